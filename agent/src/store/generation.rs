//! Generations: folders of sealed blocks, each a small sled of its own, removed as a whole.
//!
//! Groups are written block by block with [`Generations::insert`]; [`Generations::seal`] makes a block whole: its
//! marker goes into the database and, once that is on the disk, into [`sealed`], a list beside the database. A
//! generation is checked against that list when this process opens it for the first time ([`check`]), and when a
//! read fails; what `store::recover` puts in quarantine is carved for groups ([`salvage`]).
//!
//! sled keeps everything that it ever read or wrote in memory, so a level closes the generations that were not used
//! lately, also the one in use, as soon as they have read [`READ_BYTES_MAX`]. docs/benchmarks.md has the figures that
//! this bound, the length of a generation and the size of a group come from.

mod check;
mod opened;
mod salvage;
mod sealed;
mod shelf;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::folder::{at, disk_bytes};
use super::group::Group;
use super::key;
use super::{Level, StoreError};
use crate::kv::KvError;
use opened::Opened;
pub use sealed::Marker;
use shelf::{REMOVED, Shelf};

/// Bytes of a group: just under a quarter of sled's segment, above which a value becomes a file of its own.
pub const GROUP_BYTES_MAX: usize = 15_500;

/// What the open generations of a level may have read. Half of it costs more opens than it saves memory.
const READ_BYTES_MAX: u64 = 4_000_000;
/// What may be written to a generation before it is closed. sled leaves pages that are not needed any more on the disk
/// for good when it is closed, so that a lower bound costs room there.
const WRITTEN_BYTES_MAX: u64 = 4_000_000;
/// What is scanned before a generation is given the chance to be closed.
const SCAN_BYTES: usize = 1_000_000;

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
    shelf: Shelf,
}

impl Generations {
    /// Lists the folders of a level; opens none. `root` is the data folder.
    pub fn open(root: &Path, level: Level) -> Result<Self, StoreError> {
        Ok(Self {
            shelf: Shelf::list(root, level)?,
        })
    }

    /// Which level.
    pub fn level(&self) -> Level {
        self.shelf.level
    }

    /// Adds groups of a block: `(first series, bytes)`. They are durable, and sure to be there, after
    /// [`Generations::seal`]; after any error, [`Generations::covered`] says what is there.
    pub fn insert(&self, block: Block, groups: &[(u32, Vec<u8>)]) -> Result<(), StoreError> {
        let start_ms = self.shelf.start_of(block);
        self.shelf.create(start_ms)?;
        self.shelf.with(start_ms, &mut |opened| {
            for (series, bytes) in groups {
                let key = key::encode(block.start_ms, block.epoch, *series);
                opened.kv.insert(&key, bytes)?;
                opened.charge_write(bytes.len());
            }
            Ok(())
        })?;
        if let Some(generation) = self.shelf.state().generations.get_mut(&start_ms) {
            generation.partial.insert(block);
        }
        Ok(())
    }

    /// Writes the block's marker and syncs: from now on the block is whole. The groups are counted here. Refused with
    /// [`KvError::Unflushed`] when series are missing that were inserted before an error.
    pub fn seal(&self, block: Block, marker: Marker) -> Result<(), StoreError> {
        let start_ms = self.shelf.start_of(block);
        self.shelf.create(start_ms)?;
        let folder = self.shelf.path(start_ms);
        let marker = self.shelf.with(start_ms, &mut |opened| {
            let (groups, series) = contents(opened, block)?;
            if series.len() != marker.series as usize {
                return Err(KvError::Unflushed(folder.display().to_string()));
            }
            let marker = Marker { groups, ..marker };
            let key = key::encode(block.start_ms, block.epoch, key::MARKER);
            opened.kv.insert(&key, &marker.encode())?;
            opened.kv.flush()?;
            Ok(marker)
        })?;
        let mut state = self.shelf.state();
        match (state.generations.get_mut(&start_ms), marker) {
            (Some(generation), Some(marker)) => {
                generation.sealed(&folder)?.add(block, marker)?;
                generation.partial.remove(&block);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The block's marker, if it is whole.
    pub fn marker(&self, block: Block) -> Result<Option<Marker>, StoreError> {
        let start_ms = self.shelf.start_of(block);
        let folder = self.shelf.path(start_ms);
        {
            let mut state = self.shelf.state();
            let Some(generation) = state.generations.get_mut(&start_ms) else {
                return Ok(None);
            };
            let marker = generation.sealed(&folder)?.get(block);
            if marker.is_some() {
                return Ok(marker);
            }
        }
        // The list may have lost its end: the first opening completes it.
        self.shelf.checked(start_ms)?;
        match self.shelf.state().generations.get_mut(&start_ms) {
            Some(generation) => Ok(generation.sealed(&folder)?.get(block)),
            None => Ok(None),
        }
    }

    /// The series whose chunks are in the block, ascending: of a block that was only partly sealed as well.
    pub fn covered(&self, block: Block) -> Result<Vec<u32>, StoreError> {
        let start_ms = self.shelf.start_of(block);
        let covered = self
            .shelf
            .with(start_ms, &mut |opened| Ok(contents(opened, block)?.1))?;
        Ok(covered.unwrap_or_default())
    }

    /// Calls `visit` with the chunk of each of `series` (ascending) that has one in the block.
    pub fn read(
        &self,
        block: Block,
        series: &[u32],
        visit: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<(), StoreError> {
        let mut rest = series;
        self.shelf.with(self.shelf.start_of(block), &mut |opened| {
            while let Some(first) = rest.first() {
                let key = key::encode(block.start_ms, block.epoch, *first);
                let found = opened.kv.floor(&key)?.filter(|(found, _)| {
                    key::decode(found).is_some_and(|(start_ms, epoch, _)| {
                        (start_ms, epoch) == (block.start_ms, block.epoch)
                    })
                });
                let Some((found, bytes)) = found else {
                    // It comes before the block's first group.
                    rest = &rest[1..];
                    continue;
                };
                opened.charge_read(&found, &bytes);
                // A group that cannot be read is damage, which the next start looks after.
                rest = match Group::parse(&bytes) {
                    Ok(group) => visit_group(&group, rest, visit),
                    Err(_) => &rest[1..],
                };
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Calls `visit` with every group of a generation, in order, until it says false.
    pub fn scan(
        &self,
        start_ms: i64,
        visit: &mut dyn FnMut(Block, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut from = vec![0];
        while let Some(true) = self
            .shelf
            .with(start_ms, &mut |opened| scan_some(opened, &mut from, visit))?
        {}
        Ok(())
    }

    /// The blocks that start in `[from_ms, to_ms)`, in the order of time and epoch, whole or partly sealed.
    pub fn blocks(&self, from_ms: i64, to_ms: i64) -> Result<Vec<Block>, StoreError> {
        let starts = self
            .shelf
            .state()
            .within(from_ms - self.level().generation_ms(), to_ms);
        let mut blocks = Vec::new();
        for start_ms in starts {
            self.shelf.checked(start_ms)?;
            if let Some(generation) = self.shelf.state().generations.get_mut(&start_ms) {
                let sealed = generation.sealed(&self.shelf.path(start_ms))?;
                blocks.extend(sealed.blocks().map(|(block, _)| block));
                blocks.extend(&generation.partial);
            }
        }
        blocks.retain(|block| (from_ms..to_ms).contains(&block.start_ms));
        blocks.sort_unstable();
        Ok(blocks)
    }

    /// Starts of all generations, ascending.
    pub fn starts(&self) -> Vec<i64> {
        self.shelf.state().generations.keys().copied().collect()
    }

    /// Real bytes on disk of a generation.
    pub fn disk_bytes(&self, start_ms: i64) -> u64 {
        disk_bytes(&self.shelf.path(start_ms))
    }

    /// Closes and removes a generation. Who is reading it goes on to the end of his block.
    pub fn remove(&self, start_ms: i64) -> Result<(), StoreError> {
        let path = self.shelf.path(start_ms);
        let removed = path.with_extension(REMOVED);
        {
            let mut state = self.shelf.state();
            state.generations.remove(&start_ms);
            match fs::rename(&path, &removed) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&path)(error)),
                _ => {}
            }
        }
        match fs::remove_dir_all(&removed) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(at(&removed)(error)),
            _ => Ok(()),
        }
    }

    /// Closes the generations that were not used since the last call, but for the one that is written to; or all of
    /// them.
    pub fn close_idle(&self, all: bool) {
        let mut state = self.shelf.state();
        let since = state.idle_since;
        state.idle_since = state.uses;
        for generation in state.generations.values_mut() {
            if all || (generation.used <= since && generation.written() == 0) {
                generation.close();
            }
        }
    }

    /// What was repaired or lost since the last call, for the log and `/healthz`.
    pub fn take_losses(&self) -> Vec<String> {
        std::mem::take(&mut self.shelf.state().losses)
    }
}

/// Visits what a group has of the series at the head of `rest`; those that come after its last one stay.
fn visit_group<'a>(
    group: &Group<'_>,
    rest: &'a [u32],
    visit: &mut dyn FnMut(u32, &[u8]),
) -> &'a [u32] {
    let last = group.chunks().last().map_or(0, |(series, _)| series);
    // The first is taken in any case: if this group lacks it, no other group has it.
    let within = rest
        .iter()
        .take_while(|series| **series <= last)
        .count()
        .max(1);
    for series in &rest[..within] {
        if let Some(chunk) = group.chunk(*series) {
            visit(*series, chunk);
        }
    }
    &rest[within..]
}

/// Groups and series (ascending) of a block.
fn contents(opened: &Opened, block: Block) -> Result<(u32, Vec<u32>), KvError> {
    let (from, to) = bounds(block);
    let mut groups = 0;
    let mut series = Vec::new();
    opened.kv.scan(&from, &to, &mut |key, bytes| {
        opened.charge_read(key, bytes);
        if let Ok(group) = Group::parse(bytes) {
            groups += 1;
            series.extend(group.chunks().map(|(series, _)| series));
        }
        true
    })?;
    series.sort_unstable();
    series.dedup();
    Ok((groups, series))
}

/// Scans a bounded part, moving `from` along; whether there is more.
fn scan_some(
    opened: &Opened,
    from: &mut Vec<u8>,
    visit: &mut dyn FnMut(Block, &[u8]) -> bool,
) -> Result<bool, KvError> {
    let mut bytes = 0;
    let mut is_more = false;
    let start = from.clone();
    opened.kv.scan(&start, &key::END, &mut |key, value| {
        if bytes > SCAN_BYTES {
            is_more = true;
            return false;
        }
        bytes += value.len();
        opened.charge_read(key, value);
        from.clear();
        from.extend_from_slice(key);
        // The least key after this one.
        from.push(0);
        match key::decode(key) {
            Some((start_ms, epoch, series)) if series != key::MARKER => {
                visit(Block { start_ms, epoch }, value)
            }
            _ => true,
        }
    })?;
    Ok(is_more)
}

/// First key of a block, and its marker's, which is the one after its last group.
fn bounds(block: Block) -> ([u8; key::KEY_BYTES], [u8; key::KEY_BYTES]) {
    (
        key::encode(block.start_ms, block.epoch, 0),
        key::encode(block.start_ms, block.epoch, key::MARKER),
    )
}

#[cfg(test)]
mod tests;
