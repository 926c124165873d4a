//! The store's first promise: whatever moment it is killed at, it opens, and nothing that was synced is lost
//! or doubled.
//!
//! A child process writes 2,000 series a hundred times faster than life, across the end of an hour, so that
//! flushes, runs and sealing all go on, and is killed with -9 at a random moment; then its folder is opened and
//! every sample compared with what the child must have written. 10 kills here, 200 in `cargo xtask soak kill`.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use barograph::catalog::{Kind, Unit};
use barograph::clock::Tier;
use barograph::store::chunk::{self, Samples};
use barograph::store::engine::Engine;
use barograph::store::generation::Block;
use barograph::store::group::Group;
use barograph::store::registry::StoredSeries;
use barograph::store::{Config, HOUR_MS, Level};

/// Kills in CI.
const ROUNDS: u32 = 10;
/// Series that the child writes each second.
const SERIES: u32 = 2_000;
/// Ten minutes before the end of an hour, which is then sealed within the first kills.
const START_MS: i64 = 1_800_000_000_000 - 1_800_000_000_000 % HOUR_MS + 50 * 60_000;
/// Wall time that a simulated second takes: a hundred times faster than life.
const PACE: Duration = Duration::from_millis(10);
/// How long a child lives: somewhere in between, in milliseconds.
const LIFE_MS: (u64, u64) = (150, 1_500);

/// The child is this very test, told by a variable that it is the child.
const CHILD: &str = "store_kill::nothing_that_was_synced_is_lost_or_doubled_by_a_kill";

/// What the child writes at a moment; every series differs, some are constant.
fn value(series: u32, at_ms: i64) -> f64 {
    let second = u32::try_from(at_ms / 1_000 % 1_000_000).expect("below a million");
    match series % 4 {
        0 => f64::from(series),
        1 => f64::from(second) * f64::from(series),
        2 => f64::from(second.wrapping_mul(2_654_435_761) % 1_000) / 100.0,
        _ => f64::from((second ^ series) % 17),
    }
}

fn number(variable: &str) -> Option<i64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What the child does: it writes until it is killed.
fn write(folder: &Path, mut now_ms: i64) -> ! {
    let engine = Engine::open(folder, Config::default(), now_ms).expect("it opens");
    let ids: Vec<u32> = (0..SERIES)
        .map(|at| engine.registry.resolve(series(at)).expect("there is room"))
        .collect();
    assert_eq!(ids, (ids[0]..ids[0] + SERIES).collect::<Vec<_>>());
    println!("\nopened {}", ids[0]);
    loop {
        let began = std::time::Instant::now();
        let samples: Vec<_> = ids.iter().map(|&id| (id, value(id, now_ms))).collect();
        engine.push(0, now_ms, &samples);
        if now_ms / 1_000 % 10 == 0 {
            engine.head.flush().expect("the disk has room");
            println!("flushed {now_ms}");
        }
        engine.maintain(now_ms).expect("the disk has room");
        now_ms += 1_000;
        std::thread::sleep(PACE.saturating_sub(began.elapsed()));
    }
}

fn series(at: u32) -> StoredSeries {
    StoredSeries {
        id: 0,
        metric: format!("kill_{}", at % 50),
        kind: Kind::Gauge,
        unit: Unit::Count,
        tier: Tier::Fast,
        topic: "kill".to_owned(),
        collector: "kill".to_owned(),
        labels: [("at".to_owned(), at.to_string())].into_iter().collect(),
        last_day: 0,
    }
}

fn spawn(folder: &Path, from_ms: i64) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", CHILD, "--nocapture"])
        .env("STORE_KILL_FOLDER", folder)
        .env("STORE_KILL_FROM", from_ms.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the child starts")
}

/// Lets a child write and kills it; gives the last moment that it said was synced.
fn life(folder: &Path, from_ms: i64, life: Duration) -> Option<i64> {
    let mut child = spawn(folder, from_ms);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let opened = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.starts_with("opened "));
    assert!(opened, "the store opens after every kill");
    std::thread::sleep(life);
    child.kill().expect("it runs");
    child.wait().expect("it is ours");
    lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("flushed ")?.parse().ok())
        .last()
}

/// Everything that the store holds, by series.
fn everything(engine: &Engine) -> HashMap<u32, Samples> {
    let mut found = HashMap::<u32, Samples>::new();
    let held = engine.head.hours();
    let raw = engine.level(Level::Raw);
    for start in raw.starts() {
        raw.scan(start, &mut |block: Block, bytes| {
            let is_held = held
                .iter()
                .any(|hour| hour.start_ms == block.start_ms && hour.epoch == block.epoch);
            if !is_held {
                for (series, bytes) in Group::parse(bytes).expect("a whole group").chunks() {
                    let samples = found.entry(series).or_default();
                    chunk::decode(bytes, samples).expect("a whole chunk");
                }
            }
            true
        })
        .expect("it reads");
    }
    for hour in held {
        let series = engine.head.series(hour).expect("it reads");
        let mut add = |id: u32, samples: &Samples| {
            let all = found.entry(id).or_default();
            all.times_ms.extend(&samples.times_ms);
            all.values.extend(&samples.values);
        };
        engine.head.read(hour, &series, &mut add).expect("it reads");
    }
    found
}

/// Compares what is there with what was written: nothing that was synced is missing, nothing is there twice,
/// nothing was never written. Gives the last moment that is there.
fn check(engine: &Engine, lives: &[(i64, Option<i64>)]) -> (i64, usize) {
    let found = everything(engine);
    let mut last_ms = START_MS - 1_000;
    let mut count = 0;
    for (&id, samples) in &found {
        assert!(
            samples.times_ms.windows(2).all(|pair| pair[0] < pair[1]),
            "series {id} has a sample twice"
        );
        for (&at_ms, &held) in samples.times_ms.iter().zip(&samples.values) {
            assert_eq!(
                held.to_bits(),
                value(id, at_ms).to_bits(),
                "series {id} at {at_ms}"
            );
        }
        for &(from_ms, synced) in lives {
            let Some(synced) = synced else { continue };
            let first = samples.times_ms.partition_point(|&at| at < from_ms);
            let end = samples.times_ms.partition_point(|&at| at <= synced);
            let expected = usize::try_from((synced - from_ms) / 1_000 + 1).expect("in order");
            assert_eq!(
                end - first,
                expected,
                "series {id} from {from_ms} to {synced}"
            );
        }
        last_ms = last_ms.max(samples.times_ms.last().copied().unwrap_or(0));
        count += samples.times_ms.len();
    }
    if lives.iter().any(|(_, synced)| synced.is_some()) {
        assert_eq!(found.len(), SERIES as usize, "every series is there");
    }
    (last_ms, count)
}

#[test]
fn nothing_that_was_synced_is_lost_or_doubled_by_a_kill() {
    if let (Ok(folder), Some(from_ms)) = (
        std::env::var("STORE_KILL_FOLDER"),
        number("STORE_KILL_FROM"),
    ) {
        write(Path::new(&folder), from_ms);
    }
    let rounds =
        number("STORE_KILLS").map_or(ROUNDS, |rounds| u32::try_from(rounds).expect("small"));
    let folder = tempfile::tempdir().expect("a temp folder");
    let data = folder.path().join("data");
    let mut random = u64::from(std::process::id()) | 1;
    let (mut from_ms, mut lives, mut held, mut open_max) =
        (START_MS, Vec::new(), 0, Duration::ZERO);
    for round in 0..rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let life_ms = LIFE_MS.0 + random % (LIFE_MS.1 - LIFE_MS.0);
        let synced = life(&data, from_ms, Duration::from_millis(life_ms));
        lives.push((from_ms, synced));
        let began = std::time::Instant::now();
        let engine = Engine::open(&data, Config::default(), from_ms).expect("it opens");
        open_max = open_max.max(began.elapsed());
        let (last_ms, count) = check(&engine, &lives);
        assert!(
            count >= held,
            "round {round} has fewer samples than the one before"
        );
        (from_ms, held) = (last_ms.max(from_ms - 1_000) + 1_000, count);
    }
    println!(
        "{rounds} kills: {held} samples over {} simulated seconds, none lost or doubled, slowest open {} ms",
        (from_ms - START_MS) / 1_000,
        open_max.as_millis()
    );
}
