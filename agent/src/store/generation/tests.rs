mod damage;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{Block, GROUP_BYTES_MAX, Generations, Marker, READ_BYTES_MAX};
use crate::kv::KvError;
use crate::kv::faults::{self, Operation};
use crate::store::chunk;
use crate::store::group::{Builder, Header};
use crate::store::{HOUR_MS, Level, StoreError};

/// 2026-11-21 00:00 UTC, the start of a generation.
const START_MS: i64 = 1_795_219_200_000;
/// Samples of a chunk of about 1,200 bytes, as much as an hour of an ordinary series.
const SAMPLES: usize = 150;

type Contents = BTreeMap<(Block, u32), Vec<u8>>;

fn hour(number: i64) -> Block {
    Block {
        start_ms: START_MS + number * HOUR_MS,
        epoch: 0,
    }
}

/// Chunks are the same each time they are asked for, and dear to make.
static CHUNKS: Mutex<Contents> = Mutex::new(Contents::new());

fn chunk(block: Block, series: u32) -> Vec<u8> {
    const DIFFERENT: u32 = 100;
    let series = series % DIFFERENT;
    let mut chunks = CHUNKS.lock().unwrap_or_else(PoisonError::into_inner);
    let chunk = chunks
        .entry((block, series))
        .or_insert_with(|| encoded(block, series));
    chunk.clone()
}

/// Values that cannot be compressed.
fn encoded(block: Block, series: u32) -> Vec<u8> {
    let mut random = (block.start_ms.unsigned_abs() ^ u64::from(series) << 7) | 1;
    let mut times = Vec::new();
    let mut values = Vec::new();
    for number in 0..SAMPLES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        times.push(block.start_ms + 20_000 * i64::try_from(number).unwrap());
        values.push(f64::from_bits(random >> 12 | 0x3ff0_0000_0000_0000));
    }
    let mut bytes = Vec::new();
    chunk::encode(&times, &values, &mut bytes);
    bytes
}

fn groups(block: Block, series: &[u32]) -> Vec<(u32, Vec<u8>)> {
    let header = Header {
        tag: Level::Raw.tag(),
        block_ms: block.start_ms,
        epoch: block.epoch,
    };
    let mut builder = Builder::new(header, GROUP_BYTES_MAX);
    let mut groups = Vec::new();
    for series in series {
        let chunk = chunk(block, *series);
        if !builder.push(*series, &chunk) {
            groups.push(builder.finish());
            assert!(builder.push(*series, &chunk));
        }
    }
    groups.push(builder.finish());
    groups
}

fn marker(series: &[u32]) -> Marker {
    Marker {
        groups: 0,
        series: u32::try_from(series.len()).unwrap(),
        samples: (series.len() * SAMPLES) as u64,
    }
}

fn seal(generations: &Generations, block: Block, series: &[u32]) {
    generations.insert(block, &groups(block, series)).unwrap();
    generations.seal(block, marker(series)).unwrap();
}

fn read(generations: &Generations, block: Block, series: &[u32]) -> Contents {
    let mut found = Contents::new();
    generations
        .read(block, series, &mut |series, chunk| {
            assert!(found.insert((block, series), chunk.to_vec()).is_none());
        })
        .unwrap();
    found
}

fn expected(block: Block, series: &[u32]) -> Contents {
    series
        .iter()
        .map(|series| ((block, *series), chunk(block, *series)))
        .collect()
}

fn raw(root: &Path) -> Generations {
    Generations::open(root, Level::Raw).unwrap()
}

#[test]
fn blocks_are_read_as_they_were_written() {
    let root = tempfile::tempdir().unwrap();
    let generations = raw(root.path());
    let series: Vec<u32> = (10..70).step_by(2).collect();
    for number in [0, 5, 6, 30] {
        seal(&generations, hour(number), &series);
    }
    let again = Block {
        epoch: 1,
        ..hour(5)
    };
    seal(&generations, again, &[10, 11]);
    generations.close_idle(true);
    for generations in [&generations, &raw(root.path())] {
        assert_eq!(
            generations.starts(),
            [hour(0), hour(6), hour(30)].map(|hour| hour.start_ms)
        );
        assert_eq!(
            read(generations, hour(5), &series),
            expected(hour(5), &series)
        );
        let some = [0, 9, 10, 11, 30, 31, 68, 69, 90];
        assert_eq!(
            read(generations, hour(6), &some),
            expected(hour(6), &[10, 30, 68])
        );
        assert_eq!(read(generations, again, &some), expected(again, &[10, 11]));
        assert!(read(generations, hour(7), &series).is_empty());
        assert!(read(generations, hour(99), &series).is_empty());
        assert_eq!(generations.covered(again).unwrap(), [10, 11]);
        let found = generations.marker(hour(30)).unwrap().unwrap();
        assert_eq!((found.series, found.samples), (30, 30 * 150));
        assert_eq!(found.groups as usize, groups(hour(30), &series).len());
        assert_eq!(generations.marker(hour(1)).unwrap(), None);
        assert_eq!(
            generations.blocks(START_MS, hour(30).start_ms).unwrap(),
            [hour(0), hour(5), again, hour(6)]
        );
        assert!(generations.take_losses().is_empty());
        generations.close_idle(true);
    }
}

#[test]
fn a_scan_visits_every_group_in_order() {
    let root = tempfile::tempdir().unwrap();
    let generations = raw(root.path());
    let series: Vec<u32> = (0..500).collect();
    let mut written = Vec::new();
    for number in 0..6 {
        seal(&generations, hour(number), &series);
        written.extend(
            groups(hour(number), &series)
                .into_iter()
                .map(|group| (hour(number), group.1)),
        );
    }
    let mut found = Vec::new();
    generations
        .scan(START_MS, &mut |block, bytes| {
            found.push((block, bytes.to_vec()));
            true
        })
        .unwrap();
    assert!(found == written);
    let mut visits = 0;
    generations
        .scan(START_MS, &mut |_, _| {
            visits += 1;
            visits < 100
        })
        .unwrap();
    assert_eq!(visits, 100);
}

#[test]
fn what_was_read_does_not_stay_open() {
    let root = tempfile::tempdir().unwrap();
    let generations = raw(root.path());
    let series: Vec<u32> = (0..500).collect();
    let held = || {
        let state = generations.shelf.state();
        let open = state
            .generations
            .values()
            .filter_map(super::shelf::Generation::fetched);
        open.collect::<Vec<u64>>()
    };
    // 18 hours of 600 kB each in three generations.
    for number in 0..18 {
        seal(&generations, hour(number), &series);
        assert!(held().iter().sum::<u64>() <= READ_BYTES_MAX);
    }
    let mut most = 0;
    for number in 0..18 {
        assert_eq!(read(&generations, hour(number), &series).len(), 500);
        let sum = held().iter().sum::<u64>();
        assert!(sum <= READ_BYTES_MAX);
        most = most.max(sum);
    }
    assert!(most > READ_BYTES_MAX / 2, "{most}");

    generations.close_idle(true);
    read(&generations, hour(0), &series);
    let once = held();
    read(&generations, hour(0), &series);
    assert_eq!(held(), once);
    generations.close_idle(false);
    assert_eq!(held().len(), 1);
    generations.close_idle(false);
    assert!(held().is_empty());
}

#[test]
fn a_generation_is_removed_as_a_whole() {
    let root = tempfile::tempdir().unwrap();
    let generations = raw(root.path());
    let series: Vec<u32> = (0..100).collect();
    seal(&generations, hour(0), &series);
    seal(&generations, hour(6), &series);
    assert!(generations.disk_bytes(START_MS) > 120_000);
    generations.remove(START_MS).unwrap();
    generations.remove(START_MS).unwrap();
    assert_eq!(generations.starts(), [hour(6).start_ms]);
    assert_eq!(generations.disk_bytes(START_MS), 0);
    assert!(read(&generations, hour(0), &series).is_empty());
    assert_eq!(generations.marker(hour(0)).unwrap(), None);
    seal(&generations, hour(0), &series);
    assert_eq!(read(&generations, hour(0), &series).len(), 100);

    // A removal that was cut off is finished at the next start.
    let folder = root.path().join("raw").join((START_MS / 1_000).to_string());
    generations.close_idle(true);
    fs::rename(&folder, folder.with_extension("removed")).unwrap();
    assert_eq!(raw(root.path()).starts(), [hour(6).start_ms]);
    assert!(!folder.with_extension("removed").exists());
}

#[test]
fn sealing_goes_on_where_a_full_disk_stopped_it() {
    let root = tempfile::tempdir().unwrap();
    let generations = raw(root.path());
    let series: Vec<u32> = (0..100).collect();
    let all = groups(hour(0), &series);
    faults::fail(root.path(), Operation::Write, 4, ErrorKind::StorageFull);
    match generations.insert(hour(0), &all) {
        Err(StoreError::Kv(KvError::Full(_))) => {}
        other => panic!("{other:?}"),
    }
    faults::heal(root.path());
    match generations.seal(hour(0), marker(&series)) {
        Err(StoreError::Kv(KvError::Unflushed(_))) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(generations.marker(hour(0)).unwrap(), None);
    let covered = generations.covered(hour(0)).unwrap();
    assert!(covered.len() < series.len());
    let rest: Vec<u32> = series
        .iter()
        .copied()
        .filter(|series| !covered.contains(series))
        .collect();
    generations
        .insert(hour(0), &groups(hour(0), &rest))
        .unwrap();

    faults::fail(root.path(), Operation::Flush, 0, ErrorKind::Other);
    assert!(generations.seal(hour(0), marker(&series)).is_err());
    assert_eq!(generations.marker(hour(0)).unwrap(), None);
    faults::heal(root.path());
    let covered = generations.covered(hour(0)).unwrap();
    let rest: Vec<u32> = series
        .iter()
        .copied()
        .filter(|series| !covered.contains(series))
        .collect();
    if !rest.is_empty() {
        generations
            .insert(hour(0), &groups(hour(0), &rest))
            .unwrap();
    }
    generations.seal(hour(0), marker(&series)).unwrap();
    assert_eq!(
        read(&generations, hour(0), &series),
        expected(hour(0), &series)
    );
    generations.close_idle(true);
    let generations = raw(root.path());
    assert_eq!(read(&generations, hour(0), &series).len(), 100);
    assert!(generations.take_losses().is_empty());
}

#[test]
fn a_block_that_was_not_sealed_to_its_end_is_known() {
    let root = tempfile::tempdir().unwrap();
    let generations = raw(root.path());
    let series: Vec<u32> = (0..40).collect();
    seal(&generations, hour(0), &series);
    generations
        .insert(hour(1), &groups(hour(1), &series[..20]))
        .unwrap();
    drop(generations);
    let generations = raw(root.path());
    assert_eq!(generations.marker(hour(1)).unwrap(), None);
    assert_eq!(generations.covered(hour(1)).unwrap(), &series[..20]);
    assert_eq!(
        generations.blocks(START_MS, hour(6).start_ms).unwrap(),
        [hour(0), hour(1)]
    );
    assert!(generations.take_losses().is_empty());
}
