//! Checksums made right, so that a fuzzer gets behind them. Pure; for [`super::decode`] only.
//!
//! An input holds no checksum where one stands alone at the end; where one stands in the middle its bytes are there
//! and are written over. What is too broken to say where its checksums are is left as it is.

use barograph::store::group::{self, Directory};
use barograph::store::record::HEADER_BYTES;

use super::Form;

const CRC_BYTES: usize = 4;
/// Of a head record's frame: where the body's length, its checksum and the frame's own are.
const BODY_BYTES_AT: usize = 16;
const BODY_CRC_AT: usize = 20;
const FRAME_CRC_AT: usize = 52;
/// Of a registry's record: magic, version, length and checksum come before the body.
const SERIES_CRC_AT: usize = 7;

/// The input of a decoder.
pub(crate) fn repaired(form: Form, content: &[u8]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    match form {
        Form::Chunk | Form::Rollup => bytes.extend(crc32fast::hash(content).to_le_bytes()),
        Form::Group => directory(&mut bytes),
        Form::Remains => {
            for at in 0..bytes.len() {
                directory(&mut bytes[at..]);
            }
        }
        Form::Frame => frame(&mut bytes),
        Form::Body => bytes = packed(content),
        Form::Series => series(&mut bytes),
    }
    bytes
}

/// The directory of a group, and its chunks where the directory makes sense then.
fn directory(bytes: &mut [u8]) {
    let Ok(len) = group::directory_len(bytes) else {
        return;
    };
    let Some(head) = bytes.get_mut(..len) else {
        return;
    };
    put_crc(head);
    let Ok(directory) = Directory::parse(bytes) else {
        return;
    };
    let ranges: Vec<_> = directory.entries().map(|(_, range)| range).collect();
    for range in ranges {
        if let Some(chunk) = bytes.get_mut(range) {
            put_crc(chunk);
        }
    }
}

/// Over the last four bytes the checksum of those before.
fn put_crc(bytes: &mut [u8]) {
    if let Some((content, crc)) = bytes.split_last_chunk_mut::<CRC_BYTES>() {
        *crc = crc32fast::hash(content).to_le_bytes();
    }
}

/// A frame and, as its body, the rest of the input, packed.
fn frame(bytes: &mut Vec<u8>) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let body = packed(&bytes.split_off(HEADER_BYTES));
    let words = [
        (BODY_BYTES_AT, u32::try_from(body.len()).unwrap_or(u32::MAX)),
        (BODY_CRC_AT, crc32fast::hash(&body)),
    ];
    for (at, word) in words {
        bytes[at..at + CRC_BYTES].copy_from_slice(&word.to_le_bytes());
    }
    let crc = crc32fast::hash(&bytes[..FRAME_CRC_AT]);
    bytes[FRAME_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    bytes.extend(body);
}

/// The body of a W record that unpacks to the input.
fn packed(raw: &[u8]) -> Vec<u8> {
    let len = u32::try_from(raw.len()).expect("an input is far below 4 GiB");
    let mut body = len.to_le_bytes().to_vec();
    body.extend(zstd::bulk::compress(raw, 1).expect("memory for an input"));
    body
}

fn series(bytes: &mut [u8]) {
    let Some((head, body)) = bytes.split_at_mut_checked(SERIES_CRC_AT + CRC_BYTES) else {
        return;
    };
    let len = usize::from(u16::from_le_bytes([head[5], head[6]]));
    if let Some(body) = body.get(..len) {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head[4..SERIES_CRC_AT]);
        crc.update(body);
        head[SERIES_CRC_AT..].copy_from_slice(&crc.finalize().to_le_bytes());
    }
}
