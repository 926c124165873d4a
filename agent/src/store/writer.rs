//! Writes one sealed block, chunk by chunk in the order of series: into groups, then the generation.
//!
//! Used by sealing and by the rollups. A block may be written over many calls, and be taken up again after a
//! restart: what is in the generation already stays, and the rest goes around it. Nothing here waits or retries.

use super::generation::{Block, GROUP_BYTES_MAX, Generations, Marker};
use super::group::{Builder, Group, Header};
use super::{Level, StoreError, chunk, rollup};

/// One block that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    block: Block,
    builder: Builder,
    /// The last series in the builder.
    last: u32,
    /// Groups that are complete and not in the generation yet.
    ready: Vec<(u32, Vec<u8>)>,
    marker: Marker,
    /// First and last series of the groups that an earlier run has written, ascending.
    there: Vec<(u32, u32)>,
    /// The series in them, ascending.
    covered: Vec<u32>,
}

impl Writer {
    /// Begins a block, or goes on with one that was cut off.
    pub(super) fn open(generations: &Generations, block: Block) -> Result<Self, StoreError> {
        let header = Header {
            tag: generations.level().tag(),
            block_ms: block.start_ms,
            epoch: block.epoch,
        };
        let mut writer = Self {
            block,
            builder: Builder::new(header, GROUP_BYTES_MAX),
            last: 0,
            ready: Vec::new(),
            marker: Marker {
                groups: 0,
                series: 0,
                samples: 0,
            },
            there: Vec::new(),
            covered: generations.covered(block)?,
        };
        if !writer.covered.is_empty() {
            writer.take_up(generations)?;
        }
        Ok(writer)
    }

    /// Counts what is there, group by group.
    fn take_up(&mut self, generations: &Generations) -> Result<(), StoreError> {
        let level = generations.level();
        let span_ms = level.generation_ms();
        let generation_ms = self.block.start_ms.div_euclid(span_ms) * span_ms;
        generations.scan(generation_ms, &mut |block, bytes| {
            if block == self.block
                && let Ok(group) = Group::parse(bytes)
            {
                let mut ends = None;
                for (series, chunk) in group.chunks() {
                    ends = Some((ends.map_or(series, |(first, _)| first), series));
                    self.marker.series += 1;
                    self.marker.samples += count(level, chunk);
                }
                self.marker.groups += 1;
                self.there.extend(ends);
            }
            block <= self.block
        })
    }

    /// Whether the series is in the block, or can't be put there any more because its place is inside of a group that
    /// was written without it.
    pub(super) fn has(&self, series: u32) -> bool {
        let at = self.there.partition_point(|&(_, last)| last < series);
        self.covered.binary_search(&series).is_ok()
            || self
                .there
                .get(at)
                .is_some_and(|&(first, _)| first <= series)
    }

    /// Adds a chunk of a series that the block does not have; series come in ascending order.
    pub(super) fn push(&mut self, series: u32, chunk: &[u8], samples: u64) {
        // A group is found by its first series, so none may reach over another one.
        let next = self.there.partition_point(|&(first, _)| first < self.last);
        let is_between = self
            .there
            .get(next)
            .is_some_and(|&(first, _)| first < series);
        if !self.builder.is_empty() && is_between {
            self.ready.push(self.builder.finish());
        }
        if !self.builder.push(series, chunk) {
            self.ready.push(self.builder.finish());
            let fits = self.builder.push(series, chunk);
            debug_assert!(fits, "an empty group takes any chunk");
        }
        self.last = series;
        self.marker.series += 1;
        self.marker.samples += samples;
    }

    /// Hands complete groups to the generation.
    pub(super) fn write(&mut self, generations: &Generations) -> Result<(), StoreError> {
        if !self.ready.is_empty() {
            generations.insert(self.block, &self.ready)?;
            self.marker.groups += u32::try_from(self.ready.len()).unwrap_or(u32::MAX);
            self.ready.clear();
        }
        Ok(())
    }

    /// Writes the rest and makes the block whole.
    pub(super) fn finish(mut self, generations: &Generations) -> Result<(), StoreError> {
        if !self.builder.is_empty() {
            self.ready.push(self.builder.finish());
        }
        self.write(generations)?;
        generations.seal(self.block, self.marker)
    }
}

/// Samples or points of a chunk; 0 for one that is damaged.
fn count(level: Level, bytes: &[u8]) -> u64 {
    if level == Level::Raw {
        return chunk::summary(bytes).map_or(0, |summary| u64::from(summary.count));
    }
    rollup::decode(bytes).map_or(0, |points| points.len() as u64)
}
