//! Real damage to each kind of file: the level opens, keeps all that can be found, says what is gone, keeps writing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Contents, START_MS, chunk, hour, raw, read, seal};
use crate::store::Level;
use crate::store::chunk::{self as codec, Samples};
use crate::store::generation::Block;
use crate::store::group;

const HOURS: i64 = 4;
const SERIES: u32 = 80;

fn series() -> Vec<u32> {
    (0..SERIES).collect()
}

/// A level with some whole hours, closed; and the folder of its generation.
fn written(root: &Path) -> PathBuf {
    let generations = raw(root);
    for number in 0..HOURS {
        seal(&generations, hour(number), &series());
        // Opened again each hour, so that there is a snapshot in the middle of the log.
        generations.close_idle(true);
    }
    drop(generations);
    root.join("raw").join((START_MS / 1_000).to_string())
}

/// What can be found in the files by eye.
fn findable(folder: &Path) -> BTreeSet<(Block, u32)> {
    let mut files = vec![folder.join("db")];
    if let Ok(blobs) = fs::read_dir(folder.join("blobs")) {
        files.extend(blobs.map(|blob| blob.unwrap().path()));
    }
    let mut found = BTreeSet::new();
    for file in files {
        let bytes = fs::read(&file).unwrap_or_default();
        for (_, group) in group::carve(&bytes) {
            let header = group.header();
            let block = Block {
                start_ms: header.block_ms,
                epoch: header.epoch,
            };
            for (series, bytes) in group.chunks() {
                if codec::decode(bytes, &mut Samples::default()).is_ok() {
                    assert_eq!(bytes, chunk(block, series));
                    found.insert((block, series));
                }
            }
        }
    }
    found
}

/// What is read after the damage; twice, and after a restart, the same. New hours are taken, and losses told.
fn recovered(root: &Path, case: &str) -> (Contents, Vec<String>) {
    let generations = raw(root);
    let read_all = |generations: &_| {
        let mut all = Contents::new();
        for number in 0..HOURS {
            all.extend(read(generations, hour(number), &series()));
        }
        all
    };
    let found = read_all(&generations);
    let losses = generations.take_losses();
    assert_eq!(
        generations
            .blocks(START_MS, hour(6).start_ms)
            .unwrap()
            .len(),
        {
            let blocks: BTreeSet<Block> = found.keys().map(|(block, _)| *block).collect();
            blocks.len()
        }
    );
    seal(&generations, hour(5), &series());
    assert!(generations.take_losses().is_empty(), "{case}");
    drop(generations);

    let generations = raw(root);
    assert!(read_all(&generations) == found, "{case}");
    assert_eq!(
        read(&generations, hour(5), &series()).len(),
        SERIES as usize
    );
    assert!(generations.take_losses().is_empty(), "{case}");
    for ((block, series), bytes) in &found {
        assert!(*bytes == chunk(*block, *series), "{case}");
    }
    (found, losses)
}

fn total() -> usize {
    SERIES as usize * usize::try_from(HOURS).unwrap()
}

/// Damages a fresh copy of `folder` and compares what is found with what there is to be found.
fn case(name: &str, damage: impl Fn(&Path)) -> (usize, Vec<String>) {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path());
    damage(&folder);
    let findable = findable(&folder);
    let (found, losses) = recovered(root.path(), name);
    let found: BTreeSet<(Block, u32)> = found.into_keys().collect();
    let missed: Vec<_> = findable.difference(&found).collect();
    assert!(
        missed.is_empty(),
        "{name}: {missed:?} could have been found"
    );
    let lost = total() - found.len();
    if lost > 0 {
        assert!(
            losses.iter().any(|loss| loss.starts_with("lost ")),
            "{name}: {losses:?}"
        );
    }
    (lost, losses)
}

fn truncate(file: &Path, percent: u64) {
    let len = fs::metadata(file).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(len * percent / 100).unwrap();
}

fn flip(file: &Path, permille: usize) {
    let mut bytes = fs::read(file).unwrap();
    let at = (bytes.len() - 1) * permille / 1_000;
    bytes[at] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("snap.")
        })
        .collect()
}

fn blobs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("blobs")).unwrap();
    let mut blobs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    blobs.sort();
    blobs
}

#[test]
fn a_truncated_log() {
    for percent in [0, 3, 20, 50, 75, 90, 97, 99] {
        let (lost, losses) = case(&format!("truncated to {percent} %"), |folder| {
            truncate(&folder.join("db"), percent);
        });
        println!(
            "log cut to {percent} %: {lost} of {} lost: {losses:?}",
            total()
        );
    }
}

#[test]
fn a_bit_flipped_in_the_log() {
    for permille in (0..=1_000).step_by(40) {
        let (lost, losses) = case(&format!("bit at {permille} per mille"), |folder| {
            flip(&folder.join("db"), permille);
        });
        println!(
            "bit at {permille} per mille: {lost} of {} lost: {losses:?}",
            total()
        );
        // One bit is in one group.
        assert!(lost <= 13, "{lost}");
    }
}

#[test]
fn a_flipped_and_a_truncated_blob() {
    for permille in [0, 100, 500, 900, 1_000] {
        let (lost, losses) = case(&format!("blob bit at {permille}"), |folder| {
            let blobs = blobs(folder);
            flip(&blobs[blobs.len() / 2], permille);
        });
        println!(
            "blob bit at {permille}: {lost} of {} lost: {losses:?}",
            total()
        );
        assert!(lost <= 13, "{lost}");
    }
    for percent in [0, 50, 99] {
        let (lost, losses) = case(&format!("blob cut to {percent} %"), |folder| {
            truncate(&blobs(folder)[0], percent);
        });
        println!(
            "blob cut to {percent} %: {lost} of {} lost: {losses:?}",
            total()
        );
    }
}

#[test]
fn files_that_can_be_made_anew_cost_nothing() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 7] = [
        ("no conf", |folder| {
            fs::remove_file(folder.join("conf")).unwrap();
        }),
        ("conf flipped", |folder| flip(&folder.join("conf"), 300)),
        ("conf cut", |folder| truncate(&folder.join("conf"), 40)),
        ("no snapshot", |folder| {
            for path in snapshots(folder) {
                fs::remove_file(path).unwrap();
            }
        }),
        ("snapshot flipped", |folder| {
            flip(&snapshots(folder)[0], 500);
        }),
        ("snapshot cut", |folder| truncate(&snapshots(folder)[0], 50)),
        ("no list", |folder| {
            fs::remove_file(folder.join("sealed")).unwrap();
        }),
    ];
    for (name, damage) in cases {
        let (lost, losses) = case(name, damage);
        println!("{name}: {lost} lost: {losses:?}");
        assert_eq!(lost, 0, "{name}");
    }
}

#[test]
fn a_lost_file_costs_what_only_it_had() {
    let (lost, losses) = case("no db", |folder| {
        fs::remove_file(folder.join("db")).unwrap();
    });
    println!("no db: {lost} of {} lost: {losses:?}", total());
    assert!((1..total()).contains(&lost));
    let (lost, losses) = case("no blobs", |folder| {
        fs::remove_dir_all(folder.join("blobs")).unwrap();
    });
    println!("no blobs: {lost} of {} lost: {losses:?}", total());
    assert!((1..total()).contains(&lost));
    let (lost, losses) = case("nothing but the list", |folder| {
        fs::remove_file(folder.join("db")).unwrap();
        fs::remove_dir_all(folder.join("blobs")).unwrap();
        fs::remove_file(folder.join("conf")).unwrap();
    });
    assert_eq!(lost, total());
    let sentence = "lost 4 hours of raw history: 2026-11-21 00:00 to 04:00 UTC";
    assert!(losses.iter().any(|told| told == sentence), "{losses:?}");
}

#[test]
fn damage_that_shows_itself_while_it_is_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path());
    let generations = raw(root.path());
    assert_eq!(
        read(&generations, hour(0), &series()).len(),
        SERIES as usize
    );
    generations.close_idle(true);
    for blob in blobs(&folder) {
        flip(&blob, 500);
    }
    let mut found = 0;
    for number in 0..HOURS {
        // The chunks that were visited before the damage showed itself are not visited again.
        found += read(&generations, hour(number), &series()).len();
    }
    let remains = root
        .path()
        .join("quarantine")
        .join(format!("raw-{}-1", START_MS / 1_000));
    assert_eq!(found, findable(&remains).len());
    assert!(found > total() / 2);
    assert!(!generations.take_losses().is_empty());
    seal(&generations, hour(4), &series());
    assert_eq!(Level::Raw, generations.level());
}

#[test]
fn quarantine_does_not_grow_without_end() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path());
    for round in 0..7 {
        truncate(&folder.join("db"), 30);
        let generations = raw(root.path());
        generations.blocks(START_MS, hour(6).start_ms).unwrap();
        assert!(!generations.take_losses().is_empty(), "{round}");
        seal(&generations, hour(round % 6), &series());
    }
    let quarantine = root.path().join("quarantine");
    let held = fs::read_dir(quarantine).unwrap().count();
    assert!((1..=4).contains(&held), "{held}");
}
