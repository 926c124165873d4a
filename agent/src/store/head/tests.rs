//! The head against kills, damage, steps of the clock, full disks and readers at the same time.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::file::faults;
use super::*;

const START: i64 = 500_000 * HOUR_MS;
const HOUR: Hour = Hour {
    start_ms: START,
    epoch: 0,
};

/// What any series has at any time.
fn value(series: u32, at_ms: i64) -> f64 {
    let seconds = ((at_ms - START) / 1_000) as f64;
    match series % 3 {
        0 => f64::from(series),
        1 => seconds * f64::from(series),
        _ => (seconds + f64::from(series)).sqrt(),
    }
}

fn push(head: &Head, collector: u32, at_ms: i64, series: &[u32]) -> Pushed {
    let samples: Vec<(u32, f64)> = series.iter().map(|&id| (id, value(id, at_ms))).collect();
    head.push(collector, at_ms, &samples)
}

fn seconds(head: &Head, seconds: std::ops::Range<i64>) {
    for second in seconds {
        push(head, 1, START + second * 1_000, &[1, 2, 3]);
    }
}

fn reopened(folder: &Path) -> (Head, Vec<String>) {
    let (head, replayed) = Head::open(folder).expect("damage is no reason not to open");
    (head, replayed.losses)
}

/// All samples of an hour, each checked to be what was pushed at its time and to stand once.
fn content(head: &Head, hour: Hour) -> BTreeMap<u32, Vec<i64>> {
    let mut content = BTreeMap::new();
    let series = head.series(hour).expect("no input/output");
    let mut visit = |id: u32, samples: &Samples| {
        assert!(samples.times_ms.is_sorted_by(|a, b| a < b), "series {id}");
        for (&at_ms, found) in samples.times_ms.iter().zip(&samples.values) {
            let expected = value(id, at_ms).to_bits();
            assert_eq!(found.to_bits(), expected, "series {id} at {at_ms}");
        }
        let seconds = samples.times_ms.iter().map(|at| (at - START) / 1_000);
        assert!(content.insert(id, seconds.collect()).is_none());
    };
    head.read(hour, &series, &mut visit).expect("it reads");
    content
}

fn all(seconds: std::ops::Range<i64>) -> BTreeMap<u32, Vec<i64>> {
    [1, 2, 3].map(|id| (id, seconds.clone().collect())).into()
}

fn only_file(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder).expect("it is there");
    let entry = entries.next().expect("a file").expect("it reads");
    assert!(entries.next().is_none());
    entry.path()
}

#[test]
fn flushed_samples_are_there_again_and_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (head, _) = reopened(folder.path());
    seconds(&head, 0..10);
    head.flush().expect("room");
    seconds(&head, 10..300);
    assert_eq!(content(&head, HOUR), all(0..300));
    head.flush().expect("room");
    head.cut(START + 295_000).expect("room");
    assert_eq!(content(&head, HOUR), all(0..300));
    seconds(&head, 300..310);
    head.flush().expect("room");
    seconds(&head, 310..315);
    assert_eq!(content(&head, HOUR), all(0..315));
    drop(head);

    let (head, losses) = reopened(folder.path());
    assert_eq!(losses, [""; 0]);
    assert_eq!(content(&head, HOUR), all(0..310));
    assert_eq!(head.hours(), [HOUR]);
    // What was replayed goes into the next run like what was pushed.
    seconds(&head, 315..600);
    head.cut(START + 600_000).expect("room");
    let left = head.state().hours[&HOUR].tables.len();
    assert_eq!(left, 0);
    drop(head);
    let (head, losses) = reopened(folder.path());
    assert_eq!(losses, [""; 0]);
    let mut expected = all(0..310);
    for times in expected.values_mut() {
        times.extend(315..600);
    }
    assert_eq!(content(&head, HOUR), expected);

    head.remove(HOUR).expect("it is there");
    assert!(head.hours().is_empty());
    assert!(
        fs::read_dir(folder.path())
            .expect("it is there")
            .next()
            .is_none()
    );
    assert_eq!(push(&head, 1, START + 700_000, &[1]).dropped, 1);
}

#[test]
fn a_flush_across_the_moment_of_a_cut_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (head, _) = reopened(folder.path());
    seconds(&head, 0..303);
    head.flush().expect("room");
    head.cut(START + 300_000).expect("room");
    drop(head);
    let (head, _) = reopened(folder.path());
    assert_eq!(content(&head, HOUR), all(0..303));
    // A collector that is late for the cut, but not for its hour.
    push(&head, 2, START + 302_500, &[1_000]);
    push(&head, 3, START + 304_000, &[2_000]);
    head.cut(START + 303_000).expect("room");
    assert_eq!(push(&head, 2, START + 302_900, &[1_000]).taken, 1);
    head.flush().expect("room");
    drop(head);
    let (head, _) = reopened(folder.path());
    let found = content(&head, HOUR);
    assert_eq!(found[&1], (0..303).collect::<Vec<i64>>());
    assert_eq!(found[&1_000].len(), 2);
    assert_eq!(found[&2_000].len(), 1);
}

#[test]
fn a_backward_step_begins_an_epoch_that_all_collectors_meet_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let (head, _) = reopened(folder.path());
    for second in 0..10 {
        push(&head, 1, START + second * 1_000, &[1]);
        push(&head, 2, START + second * 1_000, &[2]);
    }
    assert_eq!(push(&head, 2, START + 9_000, &[]).taken, 0);
    assert_eq!(head.epoch(2), 0);
    push(&head, 1, START + 5_000, &[1]);
    push(&head, 2, START + 5_001, &[2]);
    assert_eq!((head.epoch(1), head.epoch(2), head.epoch(3)), (1, 1, 1));
    let next = Hour { epoch: 1, ..HOUR };
    assert_eq!(head.hours(), [HOUR, next]);
    assert_eq!(content(&head, HOUR)[&1].len(), 10);
    assert_eq!(content(&head, next)[&1], [5]);
    head.flush().expect("room");
    drop(head);

    // After a start a collector goes on where the files end, unless the clock was set back meanwhile.
    let (head, _) = reopened(folder.path());
    assert_eq!(head.epoch(7), 1);
    push(&head, 7, START + 5_002, &[1]);
    assert_eq!(head.epoch(7), 1);
    drop(head);
    let (head, _) = reopened(folder.path());
    push(&head, 7, START + 5_001, &[1]);
    push(&head, 8, START + 5_001, &[2]);
    assert_eq!((head.epoch(7), head.epoch(8)), (2, 2));
    head.saw(4, START + HOUR_MS);
    push(&head, 9, START + HOUR_MS, &[3]);
    assert_eq!(head.epoch(9), 5);
}

#[test]
fn closed_hours_take_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (head, _) = reopened(folder.path());
    seconds(&head, 3_590..3_595);
    push(&head, 2, START + 3_600_000, &[9]);
    head.close(HOUR);
    let late = push(&head, 1, START + 3_596_000, &[1, 2, 3]);
    assert_eq!(
        late,
        Pushed {
            taken: 0,
            dropped: 3
        }
    );
    assert_eq!(push(&head, 1, START + 3_600_000, &[1]).taken, 1);
    head.cut(START + 3_600_000).expect("room");
    assert_eq!(content(&head, HOUR), all(3_590..3_595));
    assert_eq!(head.hours().len(), 2);
}

/// A file of several flushes and two runs; gives its bytes, and for each length of it that ends a flush or a run
/// how many seconds are in it.
fn written(folder: &Path) -> (Vec<u8>, Vec<(usize, i64)>) {
    let (head, _) = reopened(folder);
    let mut ends = vec![(0, 0)];
    let file_len = |head: &Head| usize::try_from(head.sizes().0).expect("short");
    for ten in 0..8 {
        seconds(&head, ten * 10..ten * 10 + 10);
        head.flush().expect("room");
        ends.push((file_len(&head), ten * 10 + 10));
        if ten % 3 == 2 {
            head.cut(START + ten * 10_000 + 5_000).expect("room");
            ends.push((file_len(&head), ten * 10 + 10));
        }
    }
    (fs::read(only_file(folder)).expect("it is there"), ends)
}

#[test]
fn a_file_that_ends_anywhere_has_every_whole_flush() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bytes, ends) = written(folder.path());
    let path = only_file(folder.path());
    // Each byte around the ends of records, and a fifth of those within.
    let near = |len: usize| ends.iter().any(|(end, _)| end.abs_diff(len) < 3);
    for len in (0..=bytes.len())
        .rev()
        .filter(|&len| len % 5 == 0 || near(len))
    {
        fs::write(&path, &bytes[..len]).expect("room");
        let (head, losses) = reopened(folder.path());
        let (end, last) = *ends.iter().rfind(|(end, _)| *end <= len).expect("0 is one");
        assert_eq!(losses, [""; 0], "a torn record was never acknowledged");
        let expected = if last == 0 {
            BTreeMap::new()
        } else {
            all(0..last)
        };
        assert_eq!(content(&head, HOUR), expected, "{len} bytes");
        assert_eq!(head.sizes().0, end as u64, "the torn tail is gone");
        if len % 31 != 0 {
            continue;
        }
        // What is written next is behind it, and there after another start.
        push(&head, 1, START + 1_000_000, &[1]);
        head.flush().expect("room");
        let before = content(&head, HOUR);
        drop(head);
        assert_eq!(content(&reopened(folder.path()).0, HOUR), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_loses_what_it_hits_and_nothing_else(
        at in any::<prop::sample::Index>(),
        len in 1..400_usize,
        noise in any::<u8>(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut bytes, _) = written(folder.path());
        let from = at.index(bytes.len());
        let to = bytes.len().min(from + len);
        for byte in &mut bytes[from..to] {
            *byte ^= noise | 1;
        }
        fs::write(only_file(folder.path()), &bytes).expect("room");
        let (head, losses) = reopened(folder.path());
        let found = content(&head, HOUR);
        let whole = all(0..80);
        prop_assert!(found.keys().all(|id| whole.contains_key(id)));
        for (id, expected) in &whole {
            let none = Vec::new();
            let held = found.get(id).unwrap_or(&none);
            prop_assert!(held.iter().all(|second| expected.contains(second)));
            // 400 bytes reach over at most a few records of ten seconds.
            prop_assert!(held.len() >= 30, "{held:?}");
        }
        if found != whole {
            prop_assert!(!losses.is_empty(), "it was lost in silence");
            prop_assert!(losses[0].contains("2027-01-15"), "{}", losses[0]);
        }
        // It goes on.
        push(&head, 1, START + 1_000_000, &[1]);
        head.flush().expect("room");
        let before = content(&head, HOUR);
        drop(head);
        prop_assert_eq!(content(&reopened(folder.path()).0, HOUR), before);
    }
}

#[test]
fn a_damaged_run_is_made_up_for_by_the_records_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, ends) = written(folder.path());
    let path = only_file(folder.path());
    for run in [3, 7] {
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("it is there");
        let middle = usize::midpoint(ends[run].0, ends[run + 1].0);
        file.write_all_at(&[0xa5; 3], middle as u64).expect("room");
        let (head, losses) = reopened(folder.path());
        assert_eq!(content(&head, HOUR), all(0..80));
        assert!(losses.iter().any(|loss| loss.contains("run")), "{losses:?}");
    }
}

#[test]
fn a_file_that_was_deleted_under_the_head_is_no_place_for_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let (head, _) = reopened(folder.path());
    seconds(&head, 0..10);
    head.flush().expect("room");
    fs::remove_file(only_file(folder.path())).expect("it is there");
    seconds(&head, 10..20);
    let error = head.flush().expect_err("nobody would find them");
    assert!(error.to_string().contains("deleted"), "{error}");
    assert_eq!(content(&head, HOUR), all(0..20));
}

#[test]
fn a_full_disk_is_waited_for_with_bounded_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let (head, _) = reopened(folder.path());
    seconds(&head, 0..10);
    head.flush().expect("room");
    let len = head.sizes().0;
    faults::limit(folder.path(), Some(len + 20));
    seconds(&head, 10..20);
    assert!(head.flush().is_err());
    assert!(head.cut(START + 15_000).is_err());
    assert_eq!(content(&head, HOUR), all(0..20));
    assert_eq!(head.sizes().0, len);
    assert_eq!(
        fs::metadata(only_file(folder.path()))
            .expect("it is there")
            .len(),
        len
    );
    faults::limit(folder.path(), None);
    head.flush().expect("room");
    drop(head);
    let (head, losses) = reopened(folder.path());
    assert_eq!(losses, [""; 0]);
    assert_eq!(content(&head, HOUR), all(0..20));

    // Twenty minutes without room: ten are kept.
    faults::limit(folder.path(), Some(0));
    for minute in 1..20 {
        seconds(&head, minute * 60..minute * 60 + 60);
        assert!(head.flush().is_err());
    }
    let kept = content(&head, HOUR);
    assert_eq!(kept[&1], (599..1_200).collect::<Vec<i64>>());
    assert_eq!(head.lost(), 3 * (599 - 60));
    faults::limit(folder.path(), None);
    head.flush().expect("room");
    assert!(
        head.state().hours[&HOUR]
            .tables
            .iter()
            .all(Table::is_flushed)
    );
    drop(head);
    let expected: Vec<i64> = (0..20).chain(599..1_200).collect();
    assert_eq!(content(&reopened(folder.path()).0, HOUR)[&1], expected);
}

#[test]
fn memory_is_bounded_also_when_nobody_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (head, _) = reopened(folder.path());
    seconds(&head, 2_000..7_200);
    let kept: usize = head
        .hours()
        .into_iter()
        .map(|hour| content(&head, hour).get(&1).map_or(0, Vec::len))
        .sum();
    assert!((600..=1_801).contains(&kept), "{kept}");
    assert_eq!(head.lost(), 3 * (5_200 - kept as u64));
}

#[test]
fn readers_see_every_sample_once_while_flushes_and_runs_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (head, _) = reopened(folder.path());
    let pushed = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = || {
            let mut rounds = 0;
            while !is_over.load(Ordering::Acquire) || rounds == 0 {
                let least = pushed.load(Ordering::Acquire);
                for times in content(&head, HOUR).values() {
                    assert!(times.len() as u64 >= least);
                    let count = i64::try_from(times.len()).expect("few");
                    assert_eq!(times, &(0..count).collect::<Vec<i64>>());
                }
                rounds += 1;
            }
        };
        scope.spawn(reader);
        scope.spawn(reader);
        for second in 0..1_200 {
            seconds(&head, second..second + 1);
            pushed.fetch_add(1, Ordering::Release);
            if second % 10 == 9 {
                head.flush().expect("room");
            }
            if second % 30 == 29 {
                head.cut(START + second * 1_000 - 2_000).expect("room");
            }
        }
        is_over.store(true, Ordering::Release);
    });
    assert_eq!(content(&head, HOUR), all(0..1_200));
}

#[test]
fn what_is_no_head_file_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["notes", "1-2", "3600-70000", "x-0"] {
        fs::write(folder.path().join(name), b"x").expect("room");
    }
    fs::create_dir(folder.path().join("7200-0")).expect("room");
    let (head, losses) = reopened(folder.path());
    assert!(head.hours().is_empty());
    assert_eq!(losses, [""; 0]);
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 5);
}
