//! Sealing: an hour that is over goes from the head into a raw block, some series at a call.
//!
//! The head keeps the hour until its block is whole, so an answer never misses it; a restart in the
//! middle goes on with the series that the block does not have yet. Reads through the head, writes through
//! [`Writer`]; when it may work is the engine's to say.

use super::generation::{Block, Generations};
use super::head::{Head, Hour};
use super::writer::Writer;
use super::{StoreError, chunk};

/// Series that are read from the head together: each reading looks through the directory of every run of the hour,
/// and 16 hours of one sample a second are some 15 ms of work.
const SERIES_AT_ONCE: usize = 16;

/// One hour on its way.
#[derive(Debug)]
pub(super) struct Sealing {
    hour: Hour,
    /// What is left, ascending.
    series: Vec<u32>,
    next: usize,
    writer: Writer,
    chunk: Vec<u8>,
}

/// The block that an hour becomes.
pub(super) fn block(hour: Hour) -> Block {
    Block {
        start_ms: hour.start_ms,
        epoch: hour.epoch,
    }
}

impl Sealing {
    /// Begins, or goes on with what an earlier run began.
    pub(super) fn open(head: &Head, raw: &Generations, hour: Hour) -> Result<Self, StoreError> {
        let writer = Writer::open(raw, block(hour))?;
        let mut series = head.series(hour)?;
        series.retain(|&id| !writer.has(id));
        Ok(Self {
            hour,
            series,
            next: 0,
            writer,
            chunk: Vec::new(),
        })
    }

    /// Seals about `samples_max` samples more; true when nothing is left.
    pub(super) fn step(
        &mut self,
        head: &Head,
        raw: &Generations,
        samples_max: usize,
    ) -> Result<bool, StoreError> {
        let mut done = 0;
        while done < samples_max && self.next < self.series.len() {
            let end = self.series.len().min(self.next + SERIES_AT_ONCE);
            let (writer, bytes) = (&mut self.writer, &mut self.chunk);
            head.read(
                self.hour,
                &self.series[self.next..end],
                &mut |id, samples| {
                    bytes.clear();
                    chunk::encode(&samples.times_ms, &samples.values, bytes);
                    writer.push(id, bytes, samples.values.len() as u64);
                    done += samples.values.len();
                },
            )?;
            self.next = end;
            self.writer.write(raw)?;
        }
        Ok(self.next == self.series.len())
    }

    /// Makes the block whole; the head's file goes only after that.
    pub(super) fn finish(self, head: &Head, raw: &Generations) -> Result<(), StoreError> {
        self.writer.finish(raw)?;
        head.remove(self.hour)
    }
}
