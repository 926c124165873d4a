#![expect(
    clippy::cast_possible_truncation,
    reason = "the numbers of a test are small"
)]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::chunk;
use super::*;

const HEADER: Header = Header {
    tag: 1,
    block_ms: 1_790_000_000_000,
    epoch: 3,
};

fn chunk_of(count: i64) -> Vec<u8> {
    let times_ms: Vec<i64> = (0..count).map(|tick| tick * 1_000).collect();
    let values: Vec<f64> = (0..count).map(|tick| (tick * tick % 11) as f64).collect();
    let mut out = Vec::new();
    chunk::encode(&times_ms, &values, &mut out);
    out
}

fn sample() -> (Vec<(u32, Vec<u8>)>, Vec<u8>) {
    let chunks = vec![
        (0, chunk_of(0)),
        (5, chunk_of(1)),
        (1_000_000, chunk_of(300)),
        (u32::MAX, chunk_of(2)),
    ];
    let mut builder = Builder::new(HEADER, usize::MAX);
    for (series, chunk) in &chunks {
        assert!(builder.push(*series, chunk));
    }
    let len = builder.bytes_len();
    let (first, bytes) = builder.finish();
    assert_eq!((first, bytes.len()), (0, len));
    assert!(builder.is_empty());
    (chunks, bytes)
}

#[test]
fn every_chunk_is_found_again() {
    let (chunks, mut bytes) = sample();
    let len = bytes.len();
    bytes.extend_from_slice(b"what comes after it");
    let group = Group::parse(&bytes).unwrap();
    assert_eq!((group.header(), group.bytes_len()), (HEADER, len));
    assert_eq!(group.count(), chunks.len());
    let found: Vec<(u32, Vec<u8>)> = group
        .chunks()
        .map(|(series, chunk)| (series, chunk.to_vec()))
        .collect();
    assert_eq!(found, chunks);
    for (series, chunk) in &chunks {
        assert_eq!(group.chunk(*series), Some(chunk.as_slice()));
    }
    for missing in [1, 4, 6, 999_999, u32::MAX - 1] {
        assert_eq!(group.chunk(missing), None);
    }
}

#[test]
fn the_directory_is_enough_to_find_a_chunk() {
    let (chunks, bytes) = sample();
    let needed = directory_len(&bytes[..HEADER_BYTES]).unwrap();
    let directory = Directory::parse(&bytes[..needed]).unwrap();
    let range = directory.find(1_000_000).unwrap();
    assert_eq!(bytes[range], chunks[2].1);
    assert_eq!(directory.bytes_len(), bytes.len());
    assert!(directory_len(&bytes[..HEADER_BYTES - 1]).is_err());
    assert!(Directory::parse(&bytes[..needed - 1]).is_err());
}

#[test]
fn it_takes_chunks_up_to_its_size_and_always_one() {
    let chunk = chunk_of(300);
    let mut builder = Builder::new(HEADER, 500);
    let mut pushed = 0;
    while builder.push(pushed, &chunk) {
        pushed += 1;
    }
    assert_eq!(builder.len() as u32, pushed);
    assert!(pushed > 1 && builder.bytes_len() <= 500);
    let (first, bytes) = builder.finish();
    assert_eq!(first, 0);
    assert!(bytes.len() + chunk.len() > 500 - 3);
    assert_eq!(Group::parse(&bytes).unwrap().count() as u32, pushed);

    assert!(builder.push(pushed, &vec![0; 5_000]));
    assert!(!builder.push(pushed + 1, &chunk));
    assert_eq!(builder.finish().0, pushed);
}

#[test]
fn a_group_that_is_cut_or_flipped_in_its_directory_is_refused() {
    let (_, bytes) = sample();
    for len in 0..bytes.len() {
        assert_eq!(
            Group::parse(&bytes[..len]).err(),
            Some(DecodeError::Truncated)
        );
    }
    let directory = directory_len(&bytes).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let group = Group::parse(&flipped);
        if at < directory {
            assert!(group.is_err(), "{at}");
        } else {
            assert_eq!(group.unwrap().intact().count(), 3, "{at}");
        }
    }
}

#[test]
fn another_version_is_named() {
    let (_, mut bytes) = sample();
    bytes[MAGIC.len()] = 9;
    assert_eq!(
        Group::parse(&bytes).err(),
        Some(DecodeError::UnknownVersion(9))
    );
}

#[test]
fn groups_are_carved_out_of_remains() {
    let (_, group) = sample();
    let cut = &group[..group.len() - 1];
    let remains = [
        b"BgGBgBg",
        &group[..],
        b"\xf1BgG\xf1",
        cut,
        &group[..],
        b"B",
    ]
    .concat();
    let found = carve(&remains);
    let second = 7 + group.len() + 5 + cut.len();
    let offsets: Vec<usize> = found.iter().map(|(at, _)| *at).collect();
    // The one that was cut seems whole, because another one follows; its last chunk does not.
    assert_eq!(offsets, [7, 7 + group.len() + 5, second]);
    let intact: Vec<usize> = found.iter().map(|(_, g)| g.intact().count()).collect();
    assert_eq!(intact, [4, 3, 4]);
    assert!(found.iter().all(|(_, group)| group.header() == HEADER));
    assert!(carve(&[]).is_empty());
    assert!(carve(&group[1..]).is_empty());
}

proptest! {
    #[test]
    fn any_chunks_come_back(chunks in btree_map(any::<u32>(), vec(any::<u8>(), 7..40), 1..40)) {
        let mut builder = Builder::new(HEADER, usize::MAX);
        for (series, chunk) in &chunks {
            prop_assert!(builder.push(*series, chunk));
        }
        let (first, bytes) = builder.finish();
        prop_assert_eq!(Some(&first), chunks.keys().next());
        let group = Group::parse(&bytes).unwrap();
        prop_assert!(group.chunks().eq(chunks.iter().map(|(series, chunk)| (*series, chunk.as_slice()))));
    }

    #[test]
    fn any_bytes_give_an_error_or_a_group(tail in vec(any::<u8>(), 0..80), lengths in vec(0..90_u32, 3)) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[VERSION; 12]);
        bytes.truncate(16);
        bytes.extend(lengths.iter().flat_map(|len| len.to_le_bytes()));
        bytes.extend_from_slice(&tail);
        if let Ok(needed) = directory_len(&bytes)
            && needed <= bytes.len()
        {
            let crc = crc32fast::hash(&bytes[..needed - CRC_BYTES]);
            bytes[needed - CRC_BYTES..needed].copy_from_slice(&crc.to_le_bytes());
        }
        for (_, group) in carve(&bytes) {
            prop_assert_eq!(group.chunks().count(), group.count());
        }
    }
}

/// The bytes of version 1: whoever changes them needs a new version.
#[test]
fn version_1_is_written_as_ever() {
    let mut builder = Builder::new(HEADER, usize::MAX);
    assert!(builder.push(7, &[0xaa; 7]));
    assert!(builder.push(300, &[0xbb; 8]));
    let (_, bytes) = builder.finish();
    let hex = bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(
        hex,
        "426747f101010300006c50c4a00100003400000002000000050000000707a50208a1ddb591aaaaaaaaaaaaaabbbbbbbbbbbbbbbb"
    );
}
