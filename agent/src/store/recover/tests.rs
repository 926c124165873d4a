use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{OVERLAP_BYTES, Outcome, Place, WINDOW_BYTES, carve, climb};
use crate::kv::faults::{self, Operation};
use crate::kv::{Kv, KvError};
use crate::store::StoreError;

const PAIRS: u32 = 300;

fn value(number: u32) -> Vec<u8> {
    format!("<value {number:05}>").repeat(10).into_bytes()
}

/// A database such as `core`: small values, written in several sessions.
fn written(folder: &Path) {
    for from in (0..PAIRS).step_by(100) {
        let kv = Kv::open(folder).unwrap();
        for number in from..from + 100 {
            kv.insert(&number.to_be_bytes(), &value(number)).unwrap();
        }
        kv.flush().unwrap();
    }
}

/// Accepts a database with all pairs.
fn check(folder: &Path) -> Result<(), KvError> {
    let kv = Kv::open(folder)?;
    for number in 0..PAIRS {
        if kv.get(&number.to_be_bytes())?.is_none() {
            return Err(KvError::Damaged {
                path: folder.display().to_string(),
                message: format!("{number} is missing"),
            });
        }
    }
    Ok(())
}

fn place<'a>(folder: &'a Path, quarantine: &'a Path) -> Place<'a> {
    Place {
        folder,
        quarantine,
        name: "core",
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_sound_database_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let (folder, quarantine) = (root.path().join("core"), root.path().join("quarantine"));
    written(&folder);
    let outcome = climb(place(&folder, &quarantine), &mut || check(&folder)).unwrap();
    assert!(matches!(outcome, Outcome::Sound));
    assert!(entries(&quarantine).is_empty());
    // Others may keep files beside the database.
    fs::write(folder.join("sealed"), "x").unwrap();
    let outcome = climb(place(&folder, &quarantine), &mut || check(&folder)).unwrap();
    assert!(matches!(outcome, Outcome::Sound));
    assert!(folder.join("sealed").exists());
}

#[test]
fn without_its_snapshot_it_is_whole_again() {
    let root = tempfile::tempdir().unwrap();
    let (folder, quarantine) = (root.path().join("core"), root.path().join("quarantine"));
    written(&folder);
    for name in entries(&folder)
        .iter()
        .filter(|name| name.starts_with("snap."))
    {
        let path = folder.join(name);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let outcome = climb(place(&folder, &quarantine), &mut || check(&folder)).unwrap();
    assert!(matches!(outcome, Outcome::Repaired { .. }), "{outcome:?}");
    assert!(entries(&quarantine).is_empty());
    check(&folder).unwrap();
}

#[test]
fn the_remains_have_everything_that_was_not_hit() {
    let root = tempfile::tempdir().unwrap();
    let (folder, quarantine) = (root.path().join("core"), root.path().join("quarantine"));
    written(&folder);
    let db = folder.join("db");
    let mut bytes = fs::read(&db).unwrap();
    // Every message from the second on: sled would zero what it cannot read when it opens this.
    let hits: Vec<usize> = (700..bytes.len()).step_by(2_900).collect();
    for hit in &hits {
        bytes[*hit] ^= 0x40;
    }
    fs::write(&db, &bytes).unwrap();
    let outcome = climb(place(&folder, &quarantine), &mut || check(&folder)).unwrap();
    let Outcome::Quarantined { remains, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(remains, quarantine.join("core-1"));
    assert_eq!(fs::read(remains.join("db")).unwrap(), bytes);
    let mut shown = 0;
    carve(&remains, &mut |window| shown += window.len()).unwrap();
    assert!(shown >= bytes.len());

    // The folder is a new database, and a second damage gets a name of its own.
    let kv = Kv::open(&folder).unwrap();
    assert_eq!(kv.get(&7_u32.to_be_bytes()).unwrap(), None);
    drop(kv);
    let outcome = climb(place(&folder, &quarantine), &mut || check(&folder)).unwrap();
    assert!(matches!(outcome, Outcome::Quarantined { remains, .. } if remains.ends_with("core-2")));
}

#[test]
fn a_full_disk_is_no_damage() {
    let root = tempfile::tempdir().unwrap();
    let (folder, quarantine) = (root.path().join("core"), root.path().join("quarantine"));
    written(&folder);
    faults::fail(&folder, Operation::Write, 0, ErrorKind::StorageFull);
    let mut full = || Kv::open(&folder)?.insert(b"x", b"y");
    match climb(place(&folder, &quarantine), &mut full) {
        Err(StoreError::Kv(KvError::Full(_))) => {}
        other => panic!("{other:?}"),
    }
    faults::heal(&folder);
    assert!(entries(&quarantine).is_empty());
    check(&folder).unwrap();
}

#[test]
fn a_climb_that_was_cut_off_begins_with_the_copy_from_before() {
    let root = tempfile::tempdir().unwrap();
    let (folder, quarantine) = (root.path().join("core"), root.path().join("quarantine"));
    written(&folder);
    let copy = quarantine.join(".core");
    fs::create_dir_all(copy.join("blobs")).unwrap();
    fs::copy(folder.join("db"), copy.join("db")).unwrap();
    // What the attempt before left of the original.
    fs::write(folder.join("db"), vec![0; 70_000]).unwrap();
    let outcome = climb(place(&folder, &quarantine), &mut || check(&folder)).unwrap();
    assert!(matches!(outcome, Outcome::Repaired { .. }), "{outcome:?}");
    check(&folder).unwrap();
    assert!(entries(&quarantine).is_empty());
}

#[test]
fn windows_overlap_so_that_nothing_is_cut_in_two() {
    let root = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..WINDOW_BYTES * 2 + 5_000)
        .map(|at| u8::try_from(at / 251 % 256).unwrap())
        .collect();
    fs::write(root.path().join("db"), &bytes).unwrap();
    let mut offset = 0;
    carve(root.path(), &mut |window| {
        assert_eq!(
            window,
            &bytes[offset..(offset + WINDOW_BYTES).min(bytes.len())]
        );
        offset += WINDOW_BYTES - OVERLAP_BYTES;
    })
    .unwrap();
    assert!(offset >= bytes.len());
}
