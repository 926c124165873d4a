//! What can be had of a damaged generation: groups that are found in its remains go into a fresh one.
//!
//! Every chunk is decoded, so that what was salvaged can be read. What the list of whole blocks promises and the
//! remains don't hold is told in words, and the list is corrected: a loss is reported once.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::Path;

use super::super::chunk::{self, Samples};
use super::super::group::{self, Builder, Group, Header};
use super::super::rollup;
use super::super::{Level, StoreError, key, period, recover};
use super::sealed::{Marker, Sealed};
use super::{Block, GROUP_BYTES_MAX};
use crate::kv::{Kv, KvError};

/// What came of it.
#[derive(Debug)]
pub(super) struct Salvaged {
    /// Groups that were saved.
    pub(super) groups: usize,
    /// Blocks that are not known to have been whole.
    pub(super) partial: BTreeSet<Block>,
    /// What is gone, in words.
    pub(super) losses: Vec<String>,
}

/// What was found of a block.
#[derive(Debug, Default)]
struct Found {
    /// First and last series of the groups that were written.
    groups: BTreeMap<u32, u32>,
    /// Samples of the series that were written.
    series: BTreeMap<u32, u64>,
    /// Chunks of damaged groups, with their samples: different copies of a group can have different ones left.
    pieces: BTreeMap<u32, (Vec<u8>, u64)>,
}

/// Fills the empty database in `folder`, which is that of the generation that starts at `start_ms`.
pub(super) fn salvage(
    level: Level,
    start_ms: i64,
    folder: &Path,
    remains: &Path,
    sealed: &mut Sealed,
) -> Result<Salvaged, StoreError> {
    let kv = Kv::open(folder)?;
    let mut found: BTreeMap<Block, Found> = BTreeMap::new();
    let mut failed: Option<KvError> = None;
    recover::carve(remains, &mut |bytes| {
        for (offset, group) in group::carve(bytes) {
            let header = group.header();
            let length = level.generation_ms();
            let is_ours = header.tag == level.tag()
                && header.block_ms.div_euclid(length) * length == start_ms;
            if is_ours && failed.is_none() {
                let bytes = &bytes[offset..offset + group.bytes_len()];
                failed = keep(&kv, level, &group, bytes, &mut found).err();
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    for (block, found) in &mut found {
        join(&kv, level, *block, found)?;
    }
    let (blocks, losses) = compare(level, sealed, &found);
    for (block, marker) in &blocks {
        let key = key::encode(block.start_ms, block.epoch, key::MARKER);
        kv.insert(&key, &marker.encode())?;
    }
    kv.flush()?;
    let partial = found
        .iter()
        .filter(|(block, found)| !found.groups.is_empty() && !blocks.contains_key(block))
        .map(|(block, _)| *block)
        .collect();
    sealed.replace(blocks)?;
    Ok(Salvaged {
        partial,
        groups: found.values().map(|one| one.groups.len()).sum(),
        losses,
    })
}

/// Writes a group that is whole; keeps the pieces of another.
fn keep(
    kv: &Kv,
    level: Level,
    group: &Group<'_>,
    bytes: &[u8],
    found: &mut BTreeMap<Block, Found>,
) -> Result<(), KvError> {
    let header = group.header();
    let block = Block {
        start_ms: header.block_ms,
        epoch: header.epoch,
    };
    let found = found.entry(block).or_default();
    let mut sound: Vec<(u32, &[u8], u64)> = Vec::new();
    let mut is_whole = true;
    for (series, chunk) in group.chunks() {
        match samples(level, chunk) {
            Some(samples) => sound.push((series, chunk, samples)),
            None => is_whole = false,
        }
    }
    let (Some(&(first, _, _)), Some(&(last, _, _))) = (sound.first(), sound.last()) else {
        return Ok(());
    };
    if !is_whole {
        let pieces = sound
            .iter()
            .map(|(series, chunk, samples)| (*series, (chunk.to_vec(), *samples)));
        found.pieces.extend(pieces);
        return Ok(());
    }
    // sled leaves old copies behind; the longest of those with one key has all that the others have.
    if found.groups.get(&first).is_none_or(|before| *before < last) {
        let key = key::encode(block.start_ms, block.epoch, first);
        kv.insert(&key, bytes)?;
        found.groups.insert(first, last);
        let series = sound.iter().map(|(series, _, samples)| (*series, *samples));
        found.series.extend(series);
    }
    Ok(())
}

/// Makes groups of the pieces that no whole group has.
fn join(kv: &Kv, level: Level, block: Block, found: &mut Found) -> Result<(), KvError> {
    let header = Header {
        tag: level.tag(),
        block_ms: block.start_ms,
        epoch: block.epoch,
    };
    let mut builder = Builder::new(header, GROUP_BYTES_MAX);
    let mut last = 0;
    let pieces = mem::take(&mut found.pieces);
    for (series, (chunk, samples)) in pieces {
        // A series is looked for in the group that begins nearest before it, so no two may overlap.
        let before = found.groups.range(..=series).next_back();
        if before.is_some_and(|(_, last)| *last >= series) {
            continue;
        }
        let is_apart = before.is_some_and(|(first, _)| *first > last);
        if is_apart || !builder.push(series, &chunk) {
            write(kv, block, &mut builder, last, found)?;
            builder.push(series, &chunk);
        }
        last = series;
        found.series.insert(series, samples);
    }
    write(kv, block, &mut builder, last, found)
}

fn write(
    kv: &Kv,
    block: Block,
    builder: &mut Builder,
    last: u32,
    found: &mut Found,
) -> Result<(), KvError> {
    if builder.is_empty() {
        return Ok(());
    }
    let (first, bytes) = builder.finish();
    found.groups.insert(first, last);
    kv.insert(&key::encode(block.start_ms, block.epoch, first), &bytes)
}

/// The samples or points of a chunk; `None` if it cannot be read.
fn samples(level: Level, chunk: &[u8]) -> Option<u64> {
    if level == Level::Raw {
        let mut samples = Samples::default();
        chunk::decode(chunk, &mut samples).ok()?;
        return Some(samples.values.len() as u64);
    }
    Some(rollup::decode(chunk).ok()?.len() as u64)
}

/// The list as it is now, and what is missing of it.
fn compare(
    level: Level,
    sealed: &Sealed,
    found: &BTreeMap<Block, Found>,
) -> (BTreeMap<Block, Marker>, Vec<String>) {
    let mut blocks = BTreeMap::new();
    let mut losses = Vec::new();
    // Whole blocks that are gone, put together where they follow each other.
    let mut gone: Vec<(i64, i64)> = Vec::new();
    for (block, was) in sealed.blocks() {
        let end_ms = block.start_ms + level.block_ms();
        let Some(found) = found.get(&block).filter(|found| !found.series.is_empty()) else {
            match gone.last_mut() {
                Some((_, end)) if *end >= block.start_ms => *end = end_ms,
                _ => gone.push((block.start_ms, end_ms)),
            }
            continue;
        };
        let series = u32::try_from(found.series.len()).unwrap_or(u32::MAX);
        if series < was.series {
            losses.push(format!(
                "lost {} of {} series of {} history: {}",
                was.series - series,
                was.series,
                word(level),
                period::between(block.start_ms, end_ms)
            ));
        }
        let marker = Marker {
            groups: u32::try_from(found.groups.len()).unwrap_or(u32::MAX),
            series,
            samples: found.series.values().sum(),
        };
        blocks.insert(block, marker);
    }
    losses.extend(gone.into_iter().map(|(from, to)| {
        format!(
            "lost {} of {} history: {}",
            period::length(to - from),
            word(level),
            period::between(from, to)
        )
    }));
    (blocks, losses)
}

/// What the level is called in the log.
pub(super) fn word(level: Level) -> &'static str {
    match level {
        Level::Raw => "raw",
        Level::Minute => "1-minute",
        Level::Hour => "1-hour",
    }
}
