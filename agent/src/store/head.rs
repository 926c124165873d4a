//! The head: what is not sealed yet. Append files of an hour, and the last minutes in memory.

use std::path::Path;

use super::StoreError;
use super::chunk::Samples;

/// An hour of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour {
    /// Its start, Unix milliseconds.
    pub start_ms: i64,
    /// The epoch of the wall clock: one more after each backward step.
    pub epoch: u16,
}

/// What a replay found.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// For the log and `/healthz`: what was damaged, and what was lost with it.
    pub losses: Vec<String>,
}

/// What became of pushed samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Samples that were taken.
    pub taken: usize,
    /// Samples that came too late for their hour, or that the paused head had no room for.
    pub dropped: usize,
}

/// See the module. Shared by reference between threads; one of them writes.
#[derive(Debug)]
pub struct Head {}

impl Head {
    /// Opens the folder `head`, replaying what is there.
    pub fn open(folder: &Path) -> Result<(Self, Replayed), StoreError> {
        let _ = folder;
        todo!()
    }

    /// Takes the samples of one collector's tick: `(store series, value)`. No input/output.
    pub fn push(&self, collector: u32, at_ms: i64, samples: &[(u32, f64)]) -> Pushed {
        let _ = (collector, at_ms, samples);
        todo!()
    }

    /// Appends what was pushed since the last flush as one record an hour file, and syncs it.
    /// On an error the samples stay in memory (bounded: the oldest go) and the next flush tries again.
    pub fn flush(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Turns what is in memory of samples before `before_ms` into a run record; those samples leave memory.
    pub fn cut(&self, before_ms: i64) -> Result<(), StoreError> {
        let _ = before_ms;
        todo!()
    }

    /// All hours that are held, oldest first.
    pub fn hours(&self) -> Vec<Hour> {
        todo!()
    }

    /// The series of an hour, ascending.
    pub fn series(&self, hour: Hour) -> Result<Vec<u32>, StoreError> {
        let _ = hour;
        todo!()
    }

    /// Appends the samples of some series (ascending) in an hour, runs and memory together. `visit` is called once
    /// for each of them that has any.
    pub fn read(
        &self,
        hour: Hour,
        series: &[u32],
        visit: &mut dyn FnMut(u32, &Samples),
    ) -> Result<(), StoreError> {
        let _ = (hour, series, visit);
        todo!()
    }

    /// From now on samples for that hour are late.
    pub fn close(&self, hour: Hour) {
        let _ = hour;
        todo!()
    }

    /// Unlinks an hour's file: everything in it is sealed.
    pub fn remove(&self, hour: Hour) -> Result<(), StoreError> {
        let _ = hour;
        todo!()
    }

    /// The epoch that a collector writes in; the newest that exists for one that has not written yet.
    pub fn epoch(&self, collector: u32) -> u16 {
        let _ = collector;
        todo!()
    }

    /// Bytes of the files, and of the samples in memory.
    pub fn sizes(&self) -> (u64, usize) {
        todo!()
    }
}
