//! `core` is damaged in every way: names come back, numbers are not given twice.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use tempfile::TempDir;

use crate::catalog::{Kind, Unit};
use crate::clock::Tier;
use crate::kv::faults::{self, Operation};
use crate::protocol::Match;
use crate::store::engine::Engine;
use crate::store::registry::{Selector, StoredSeries, spare};
use crate::store::{Config, HOUR_MS};

const START_MS: i64 = 1_799_280_000_000;
const SERIES: u32 = 300;

fn series(at: u32) -> StoredSeries {
    StoredSeries {
        id: 0,
        metric: "m".to_owned(),
        kind: Kind::Gauge,
        unit: Unit::Count,
        tier: Tier::Slow,
        topic: "t".to_owned(),
        collector: "c".to_owned(),
        labels: [("at".to_owned(), at.to_string())].into_iter().collect(),
        last_day: 0,
    }
}

/// Two hours of history, of which the first is sealed and has series of its own.
fn written() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Engine::open(folder.path(), Config::default(), START_MS).expect("it opens");
    for at_ms in (START_MS..START_MS + 2 * HOUR_MS).step_by(30_000) {
        let is_first = at_ms < START_MS + HOUR_MS;
        let numbers = if is_first { 0..SERIES } else { 0..SERIES / 2 };
        let samples: Vec<_> = numbers
            .map(|at| {
                let id = engine.registry.resolve(series(at)).expect("room");
                (id, f64::from(at))
            })
            .collect();
        engine.push(0, at_ms, &samples);
        engine.maintain(at_ms).expect("the disk has room");
    }
    engine.stop().expect("the disk has room");
    folder
}

fn names(engine: &Engine) -> Vec<(u32, String)> {
    let selector = Selector {
        matching: Match {
            metrics: vec!["m".to_owned()],
            ..Match::default()
        },
        collector: None,
    };
    let all = engine.registry.select(&selector);
    let one = |series: &std::sync::Arc<StoredSeries>| {
        (series.id, format!("{:?}", series.labels.iter().next()))
    };
    all.iter().map(one).collect()
}

fn reopened(folder: &Path) -> (Engine, String) {
    let now_ms = START_MS + 2 * HOUR_MS;
    let engine = Engine::open(folder, Config::default(), now_ms).expect("it opens");
    let said = engine.take_losses().join("\n");
    (engine, said)
}

/// What is done to `core`, by name.
type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 5] = [
    ("deleted", |core| fs::remove_dir_all(core).expect("ours")),
    ("cut in half", |core| {
        let db = core.join("db");
        let len = fs::metadata(&db).expect("a file").len();
        let file = fs::OpenOptions::new().write(true).open(db);
        file.expect("ours").set_len(len / 2).expect("ours");
    }),
    ("empty", |core| {
        fs::write(core.join("db"), []).expect("ours");
    }),
    ("zeroed", |core| {
        let db = core.join("db");
        let len = fs::metadata(&db).expect("a file").len();
        fs::write(db, vec![0; usize::try_from(len).expect("small")]).expect("ours");
    }),
    ("another's", |core| {
        fs::write(core.join("db"), b"not a database").expect("ours");
    }),
];

#[test]
fn names_come_back_whatever_happens_to_core_and_it_is_said() {
    let whole = written();
    let (engine, said) = reopened(whole.path());
    assert_eq!(said, "");
    let mut before = names(&engine);
    assert_eq!(before.len(), SERIES as usize);
    drop(engine);
    for (number, (what, damage)) in (SERIES..).zip(DAMAGES) {
        damage(&whole.path().join("core"));
        let (engine, said) = reopened(whole.path());
        assert!(said.contains("`core`"), "{what}: {said}");
        assert!(names(&engine) == before, "{what}: {said}");
        let new = engine.registry.resolve(series(number)).expect("room");
        assert!(
            before.iter().all(|&(id, _)| id < new),
            "{what}: {new} is used"
        );
        before = names(&engine);
        engine.stop().expect("room");
        drop(engine);
        let (engine, said) = reopened(whole.path());
        assert_eq!(said, "", "{what}: all is well again");
        assert!(names(&engine) == before, "{what}");
    }
}

#[test]
fn without_their_second_copy_or_with_a_damaged_one_the_names_are_those_of_core() {
    let whole = written();
    let file = whole.path().join(spare::FILE);
    for bytes in [None, Some(&b"no names"[..]), Some(&b""[..])] {
        match bytes {
            None => fs::remove_file(&file).expect("it is there"),
            Some(bytes) => fs::write(&file, bytes).expect("ours"),
        }
        let (engine, said) = reopened(whole.path());
        assert_eq!((names(&engine).len(), said.as_str()), (300, ""));
        // It is whole again.
        assert_eq!(spare::read(&file).expect("it reads").series.len(), 300);
    }
    fs::remove_file(&file).expect("it is there");
    fs::create_dir(&file).expect("ours");
    let (engine, said) = reopened(whole.path());
    assert_eq!(names(&engine).len(), 300);
    assert!(said.contains("second copy"), "{said}");
}

#[test]
fn a_core_that_takes_nothing_holds_no_samples_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Engine::open(folder.path(), Config::default(), START_MS).expect("it opens");
    let engine = open();
    let core = folder.path().join("core");
    faults::fail(&core, Operation::Write, 0, ErrorKind::Other);
    let id = engine.registry.resolve(series(0)).expect("room");
    for second in 0..30 {
        let at_ms = START_MS + second * 1_000;
        engine.push(0, at_ms, &[(id, 1.0)]);
        engine.maintain(at_ms).expect("the head takes it");
    }
    let status = engine.status();
    assert!(status.is_up());
    let problem = status.problem().expect("it is said");
    assert!(problem.contains("names of new series"), "{problem}");
    assert!(engine.head.sizes().0 > 0, "the samples are on the disk");
    faults::heal(&core);
    engine.maintain(START_MS + 30_000).expect("room");
    assert_eq!(engine.status().problem(), None);
    // As after a kill: nothing is stopped.
    drop(engine);
    assert_eq!(open().registry.get(id).expect("its name").metric, "m");
}
