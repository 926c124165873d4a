use std::fs;
use std::io::ErrorKind;

use super::faults::{self, Operation};
use super::{Kv, KvError};

fn keys(kv: &Kv, from: &[u8], to: &[u8]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    kv.scan(from, to, &mut |key, _| {
        keys.push(key.to_vec());
        true
    })
    .unwrap();
    keys
}

#[test]
fn what_was_written_is_read_in_order_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let kv = Kv::open(folder.path()).unwrap();
    kv.insert(b"b", b"2").unwrap();
    kv.apply(&[(b"a", Some(b"1")), (b"d", Some(b"4")), (b"b", None)])
        .unwrap();
    kv.flush().unwrap();
    drop(kv);

    let kv = Kv::open(folder.path()).unwrap();
    assert_eq!(kv.get(b"a").unwrap().unwrap(), b"1");
    assert_eq!(kv.get(b"b").unwrap(), None);
    assert_eq!(kv.floor(b"c").unwrap().unwrap().0, b"a");
    assert_eq!(kv.floor(b"d").unwrap().unwrap().1, b"4");
    assert_eq!(kv.floor(b"A").unwrap(), None);
    assert_eq!(keys(&kv, b"a", b"d"), [b"a"]);
    assert_eq!(keys(&kv, b"a", b"e"), [b"a", b"d"]);
}

#[test]
fn a_scan_stops_when_told_and_may_read_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let kv = Kv::open(folder.path()).unwrap();
    for key in [b"a", b"b", b"c"] {
        kv.insert(key, b"x").unwrap();
    }
    let mut seen = 0;
    kv.scan(b"a", b"z", &mut |key, value| {
        assert_eq!(kv.get(key).unwrap().unwrap(), value);
        seen += 1;
        seen < 2
    })
    .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn a_second_handle_is_refused_while_the_first_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let first = Kv::open(folder.path()).unwrap();
    assert!(matches!(Kv::open(folder.path()), Err(KvError::Locked(_))));
    drop(first);
    for _ in 0..20 {
        drop(Kv::open(folder.path()).unwrap());
    }
}

#[test]
fn a_full_disk_is_told_from_a_broken_one_and_writing_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let kv = Kv::open(folder.path()).unwrap();
    kv.insert(b"a", b"1").unwrap();
    kv.flush().unwrap();

    faults::fail(folder.path(), Operation::Write, 1, ErrorKind::StorageFull);
    kv.insert(b"b", b"2").unwrap();
    assert!(matches!(kv.insert(b"c", b"3"), Err(KvError::Full(_))));
    assert!(matches!(kv.insert(b"c", b"3"), Err(KvError::Full(_))));
    assert_eq!(kv.get(b"a").unwrap().unwrap(), b"1");
    faults::heal(folder.path());
    kv.insert(b"c", b"3").unwrap();
    kv.flush().unwrap();

    faults::fail(folder.path(), Operation::Flush, 0, ErrorKind::Other);
    assert!(matches!(kv.flush(), Err(KvError::Io { .. })));
    faults::heal(folder.path());
    kv.flush().unwrap();
    assert_eq!(kv.get(b"c").unwrap().unwrap(), b"3");
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let kv = Kv::open(folder.path()).unwrap();
    for number in 0..200_u32 {
        kv.insert(&number.to_be_bytes(), &[7; 4_000]).unwrap();
    }
    kv.flush().unwrap();
    drop(kv);
    // The snapshot of this open points to what is damaged afterwards.
    drop(Kv::open(folder.path()).unwrap());
    let db = folder.path().join("db");
    let mut bytes = fs::read(&db).unwrap();
    for at in (1_000..bytes.len()).step_by(3_000) {
        bytes[at] ^= 0x10;
    }
    fs::write(&db, bytes).unwrap();

    let damaged = match Kv::open(folder.path()) {
        Ok(kv) => (0..200_u32)
            .filter_map(|number| kv.get(&number.to_be_bytes()).err())
            .all(|error| matches!(error, KvError::Damaged { .. })),
        Err(error) => matches!(error, KvError::Damaged { .. }),
    };
    assert!(damaged);
}
