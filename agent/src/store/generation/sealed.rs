//! The list of a generation's whole blocks, in the file `sealed` beside the database.
//!
//! A record is 40 bytes, little-endian: start i64, epoch u16, groups u32, series u32, samples u64, zeros, CRC-32 of
//! the 36 before. It is appended after the block is on the disk, so the list says what the database must hold. The
//! markers in the database say the same: each completes the other.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::super::StoreError;
use super::super::folder::at;
use super::Block;

const RECORD_BYTES: usize = 40;
const MARKER_BYTES: usize = 16;

/// What a block's marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Groups in the block.
    pub groups: u32,
    /// Series in the block.
    pub series: u32,
    /// Samples or points in the block.
    pub samples: u64,
}

impl Marker {
    /// As it is in the database: groups, series, samples, little-endian.
    pub(super) fn encode(self) -> [u8; MARKER_BYTES] {
        let mut bytes = [0; MARKER_BYTES];
        bytes[..4].copy_from_slice(&self.groups.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.series.to_le_bytes());
        bytes[8..].copy_from_slice(&self.samples.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; MARKER_BYTES] = bytes.try_into().ok()?;
        Some(Self {
            groups: u32::from_le_bytes(bytes[..4].try_into().ok()?),
            series: u32::from_le_bytes(bytes[4..8].try_into().ok()?),
            samples: u64::from_le_bytes(bytes[8..].try_into().ok()?),
        })
    }
}

#[derive(Debug)]
pub(super) struct Sealed {
    path: PathBuf,
    blocks: BTreeMap<Block, Marker>,
}

impl Sealed {
    /// Reads the list. Records that are damaged are left out, and a torn one at the end is cut off.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("sealed");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(at(&path)(error)),
        };
        let (records, torn) = bytes.as_chunks::<RECORD_BYTES>();
        let blocks = records.iter().filter_map(decode).collect();
        if !torn.is_empty() {
            let whole = (bytes.len() - torn.len()) as u64;
            OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_len(whole))
                .map_err(at(&path))?;
        }
        Ok(Self { path, blocks })
    }

    pub(super) fn get(&self, block: Block) -> Option<Marker> {
        self.blocks.get(&block).copied()
    }

    /// All blocks that are whole, or were once.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (Block, Marker)> {
        self.blocks.iter().map(|(block, marker)| (*block, *marker))
    }

    /// Adds a block that is on the disk; or what is left of one.
    pub(super) fn add(&mut self, block: Block, marker: Marker) -> Result<(), StoreError> {
        if self.blocks.insert(block, marker) == Some(marker) {
            return Ok(());
        }
        let append = || {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.path)?;
            let len = file.metadata()?.len();
            let written = file
                .write_all(&encode(block, marker))
                .and_then(|()| file.sync_data());
            if written.is_err() {
                // Half a record would shift all that come after it.
                file.set_len(len)?;
            }
            written
        };
        append().map_err(|error| {
            // The markers in the database make up for it at the next start.
            self.blocks.remove(&block);
            at(&self.path)(error)
        })
    }

    /// Adds the markers that only the database has: the list was lost, or the agent ended between the two.
    pub(super) fn complete(&mut self, found: &BTreeMap<Block, Marker>) -> Result<(), StoreError> {
        for (block, marker) in found {
            if !self.blocks.contains_key(block) {
                self.add(*block, *marker)?;
            }
        }
        Ok(())
    }

    /// Writes the list anew.
    pub(super) fn replace(&mut self, blocks: BTreeMap<Block, Marker>) -> Result<(), StoreError> {
        let bytes: Vec<u8> = blocks
            .iter()
            .flat_map(|(block, marker)| encode(*block, *marker))
            .collect();
        super::super::folder::write_whole(&self.path, &bytes)?;
        self.blocks = blocks;
        Ok(())
    }
}

fn encode(block: Block, marker: Marker) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(&block.start_ms.to_le_bytes());
    record[8..10].copy_from_slice(&block.epoch.to_le_bytes());
    record[10..26].copy_from_slice(&marker.encode());
    let crc = crc32fast::hash(&record[..36]);
    record[36..].copy_from_slice(&crc.to_le_bytes());
    record
}

fn decode(record: &[u8; RECORD_BYTES]) -> Option<(Block, Marker)> {
    let crc = u32::from_le_bytes(record[36..].try_into().ok()?);
    if crc != crc32fast::hash(&record[..36]) {
        return None;
    }
    let block = Block {
        start_ms: i64::from_le_bytes(record[..8].try_into().ok()?),
        epoch: u16::from_le_bytes(record[8..10].try_into().ok()?),
    };
    Some((block, Marker::decode(&record[10..26])?))
}
