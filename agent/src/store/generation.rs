//! Generations: folders of sealed blocks, each a small sled of its own, removed as a whole.

use std::path::Path;

use super::key;
use super::{Level, StoreError};

/// Bytes of a group: just under a quarter of sled's segment, above which a value becomes a file of its own.
pub const GROUP_BYTES_MAX: usize = 15_500;

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

/// A block in a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// Its start, Unix milliseconds.
    pub start_ms: i64,
    /// The epoch of the wall clock.
    pub epoch: u16,
}

/// The generations of one level. Shared by reference between threads; one of them writes.
#[derive(Debug)]
pub struct Generations {
    level: Level,
}

impl Generations {
    /// Lists the folders of a level; opens none. `root` is the data folder.
    pub fn open(root: &Path, level: Level) -> Result<Self, StoreError> {
        let _ = root;
        Ok(Self { level })
    }

    /// Which level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Adds groups of a block: `(first series, bytes)`.
    pub fn insert(&self, block: Block, groups: &[(u32, Vec<u8>)]) -> Result<(), StoreError> {
        let _ = (block, groups, key::MARKER);
        todo!()
    }

    /// Writes the block's marker and syncs: from now on the block is whole.
    pub fn seal(&self, block: Block, marker: Marker) -> Result<(), StoreError> {
        let _ = (block, marker);
        todo!()
    }

    /// The block's marker, if it is whole.
    pub fn marker(&self, block: Block) -> Result<Option<Marker>, StoreError> {
        let _ = block;
        todo!()
    }

    /// The series whose chunks are in the block, ascending: of a block that was only partly sealed as well.
    pub fn covered(&self, block: Block) -> Result<Vec<u32>, StoreError> {
        let _ = block;
        todo!()
    }

    /// Calls `visit` with the chunk of each of `series` (ascending) that has one in the block.
    pub fn read(
        &self,
        block: Block,
        series: &[u32],
        visit: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<(), StoreError> {
        let _ = (block, series, visit);
        todo!()
    }

    /// Calls `visit` with every group of a generation, in order, until it says false.
    pub fn scan(
        &self,
        start_ms: i64,
        visit: &mut dyn FnMut(Block, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let _ = (start_ms, visit);
        todo!()
    }

    /// Starts of all generations, ascending.
    pub fn starts(&self) -> Vec<i64> {
        todo!()
    }

    /// Real bytes on disk of a generation.
    pub fn disk_bytes(&self, start_ms: i64) -> u64 {
        let _ = start_ms;
        todo!()
    }

    /// Closes and removes a generation.
    pub fn remove(&self, start_ms: i64) -> Result<(), StoreError> {
        let _ = start_ms;
        todo!()
    }

    /// Closes the generations that were not used lately, or all of them.
    pub fn close_idle(&self, all: bool) {
        let _ = all;
        todo!()
    }

    /// What was repaired or lost since the last call, for the log and `/healthz`.
    pub fn take_losses(&self) -> Vec<String> {
        todo!()
    }
}
