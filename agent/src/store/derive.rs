//! Rollups: points of a minute from a window of raw blocks, points of an hour from a window of minute blocks.
//!
//! A window is one block of the coarser level. It is due when it is over and everything in it is sealed; it is
//! derived once, some series at a call, and until then answers come from the finer level. Epochs of the wall clock
//! are kept apart. A restart in the middle goes on where the block ends.

use std::collections::{BTreeMap, BTreeSet};

use super::chunk::{self, DecodeError, Samples};
use super::generation::{Block, Generations};
use super::head::Hour;
use super::registry::Registry;
use super::rollup::{self, Points};
use super::writer::Writer;
use super::{HOUR_MS, Level, StoreError, period};
use crate::catalog::Kind;

/// Series that are derived together: 8 windows of one sample a second are 170,000 samples and some 5 ms of work.
const SERIES_AT_ONCE: usize = 8;
const MINUTE_MS: i64 = 60_000;

/// One block of rollups on its way.
#[derive(Debug)]
pub(super) struct Deriving {
    level: Level,
    /// The finer blocks in its window, in order.
    sources: Vec<Block>,
    /// The raw block before them, in which a counter's first interval begins.
    before: Option<Block>,
    /// What is left, ascending.
    series: Vec<u32>,
    next: usize,
    writer: Writer,
    chunk: Vec<u8>,
    /// Chunks that could not be read.
    pub(super) damaged: usize,
}

/// The level that a level is derived from.
const fn finer(level: Level) -> Level {
    match level {
        Level::Raw | Level::Minute => Level::Raw,
        Level::Hour => Level::Minute,
    }
}

/// The window of `level` that a time lies in.
fn window(level: Level, at_ms: i64) -> i64 {
    at_ms.div_euclid(level.block_ms()) * level.block_ms()
}

/// The oldest block of rollups that is due: a window that is over, has blocks, and is not whole itself. What the head
/// still `held` can change it.
pub(super) fn due(
    levels: &[Generations; 3],
    held: &[Hour],
    now_ms: i64,
) -> Result<Option<(Level, Block)>, StoreError> {
    for level in [Level::Minute, Level::Hour] {
        let windows: BTreeSet<Block> = all_blocks(&levels[finer(level) as usize])?
            .into_iter()
            .map(|source| Block {
                start_ms: window(level, source.start_ms),
                ..source
            })
            .collect();
        for block in windows {
            let end_ms = block.start_ms + level.block_ms();
            if end_ms <= now_ms
                && levels[level as usize].marker(block)?.is_none()
                && !held.iter().any(|hour| {
                    hour.epoch == block.epoch && (block.start_ms..end_ms).contains(&hour.start_ms)
                })
                && (level == Level::Minute || has_minutes(levels, block)?)
            {
                return Ok(Some((level, block)));
            }
        }
    }
    Ok(None)
}

/// Whether all raw blocks in the window of a block of hours are in minutes already.
fn has_minutes(levels: &[Generations; 3], hours: Block) -> Result<bool, StoreError> {
    let end_ms = hours.start_ms + Level::Hour.block_ms();
    for raw in levels[Level::Raw as usize].blocks(hours.start_ms, end_ms)? {
        let start_ms = window(Level::Minute, raw.start_ms);
        let minutes = Block { start_ms, ..raw };
        if raw.epoch == hours.epoch && levels[Level::Minute as usize].marker(minutes)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The blocks of a level, in order.
pub(super) fn all_blocks(generations: &Generations) -> Result<Vec<Block>, StoreError> {
    let starts = generations.starts();
    let (Some(first), Some(last)) = (starts.first(), starts.last()) else {
        return Ok(Vec::new());
    };
    generations.blocks(*first, last + generations.level().generation_ms())
}

/// What is gone with the whole folder of a generation, in words: its rollups are there, and so is what is older, which
/// retention would have removed first.
pub(super) fn missing(levels: &[Generations; 3]) -> Result<Vec<String>, StoreError> {
    let mut lost = Vec::new();
    for level in [Level::Minute, Level::Hour] {
        let finer = finer(level);
        let starts = levels[finer as usize].starts();
        let rollups = all_blocks(&levels[level as usize])?;
        // A block of rollups is as long as a generation of what it was derived from.
        let mut windows: Vec<i64> = rollups.iter().map(|block| block.start_ms).collect();
        windows.dedup();
        windows.retain(|at| starts.first().is_some_and(|first| first < at) && !starts.contains(at));
        lost.extend(windows.into_iter().map(|at| {
            format!(
                "lost the {} history of {}: its folder is gone; {} rollups of it are there",
                finer.folder(),
                period::between(at, at + finer.generation_ms()),
                level.folder()
            )
        }));
    }
    Ok(lost)
}

impl Deriving {
    /// Begins, or goes on with what an earlier run began. `levels` are all generations, by [`Level`].
    pub(super) fn open(
        levels: &[Generations; 3],
        level: Level,
        block: Block,
    ) -> Result<Self, StoreError> {
        let source = &levels[finer(level) as usize];
        let end_ms = block.start_ms + level.block_ms();
        let mut sources = source.blocks(block.start_ms, end_ms)?;
        sources.retain(|source| source.epoch == block.epoch);
        let before = Block {
            start_ms: block.start_ms - HOUR_MS,
            ..block
        };
        let before = (level == Level::Minute).then_some(before);
        let writer = Writer::open(&levels[level as usize], block)?;
        let mut series = BTreeSet::new();
        for &block in &sources {
            series.extend(source.covered(block)?);
        }
        Ok(Self {
            level,
            sources,
            before,
            series: series.into_iter().filter(|&id| !writer.has(id)).collect(),
            next: 0,
            writer,
            chunk: Vec::new(),
            damaged: 0,
        })
    }

    /// Derives the points of about `samples_max` samples more; true when nothing is left.
    pub(super) fn step(
        &mut self,
        levels: &[Generations; 3],
        registry: &Registry,
        samples_max: usize,
    ) -> Result<bool, StoreError> {
        let source = &levels[finer(self.level) as usize];
        let mut done = 0;
        while done < samples_max && self.next < self.series.len() {
            let end = self.series.len().min(self.next + SERIES_AT_ONCE);
            let batch: Vec<u32> = self.series[self.next..end].to_vec();
            let (points, width_ms) = if self.level == Level::Minute {
                let points = self.minutes(source, registry, &batch, &mut done)?;
                (points, MINUTE_MS)
            } else {
                (self.hours(source, &batch, &mut done)?, HOUR_MS)
            };
            for (id, points) in points {
                if !points.is_empty() {
                    self.chunk.clear();
                    rollup::encode(&points, width_ms, &mut self.chunk);
                    self.writer.push(id, &self.chunk, points.len() as u64);
                }
            }
            self.next = end;
            self.writer.write(&levels[self.level as usize])?;
        }
        Ok(self.next == self.series.len())
    }

    /// Makes the block whole.
    pub(super) fn finish(self, levels: &[Generations; 3]) -> Result<(), StoreError> {
        self.writer.finish(&levels[self.level as usize])
    }

    fn minutes(
        &mut self,
        raw: &Generations,
        registry: &Registry,
        batch: &[u32],
        done: &mut usize,
    ) -> Result<BTreeMap<u32, Points>, StoreError> {
        let mut found: BTreeMap<u32, Samples> = BTreeMap::new();
        for &block in &self.sources {
            raw.read(block, batch, &mut |id, bytes| {
                let samples = found.entry(id).or_default();
                let held = samples.values.len();
                if chunk::decode(bytes, samples).is_err() {
                    samples.times_ms.truncate(held);
                    samples.values.truncate(held);
                    self.damaged += 1;
                }
            })?;
        }
        // A series that was forgotten in between has no kind any more, and nobody can ask for it.
        let kind = |id: u32| registry.get(id).map(|series| series.kind);
        let counters: Vec<u32> = batch
            .iter()
            .copied()
            .filter(|&id| kind(id) == Some(Kind::Counter))
            .collect();
        let mut before = BTreeMap::new();
        if let Some(block) = self.before
            && !counters.is_empty()
        {
            raw.read(block, &counters, &mut |id, bytes| {
                if let Ok(summary) = chunk::summary(bytes) {
                    before.insert(id, (summary.last_ms, summary.last));
                }
            })?;
        }
        let mut points = BTreeMap::new();
        for (id, samples) in found {
            *done += samples.values.len();
            if let Some(kind) = kind(id) {
                let folded = rollup::fold(kind, &samples, before.get(&id).copied(), MINUTE_MS);
                points.insert(id, folded);
            }
        }
        Ok(points)
    }

    fn hours(
        &mut self,
        minutes: &Generations,
        batch: &[u32],
        done: &mut usize,
    ) -> Result<BTreeMap<u32, Points>, StoreError> {
        let mut found: BTreeMap<u32, Points> = BTreeMap::new();
        for &block in &self.sources {
            minutes.read(block, batch, &mut |id, bytes| {
                if append(&mut found, id, rollup::decode(bytes)).is_err() {
                    self.damaged += 1;
                }
            })?;
        }
        *done += found.values().map(Points::len).sum::<usize>();
        let merged = found
            .into_iter()
            .map(|(id, points)| (id, rollup::merge(&points, HOUR_MS)));
        Ok(merged.collect())
    }
}

/// Adds a block's points after those of the blocks before.
fn append(
    found: &mut BTreeMap<u32, Points>,
    id: u32,
    decoded: Result<Points, DecodeError>,
) -> Result<(), DecodeError> {
    let decoded = decoded?;
    match (found.get_mut(&id), decoded) {
        (Some(Points::Gauge(all)), Points::Gauge(more)) => all.extend(more),
        (Some(Points::Counter(all)), Points::Counter(more)) => all.extend(more),
        (None, decoded) => {
            found.insert(id, decoded);
        }
        (Some(_), _) => return Err(DecodeError::Corrupt("a series is of two kinds")),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
