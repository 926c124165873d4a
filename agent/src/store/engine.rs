//! The whole store without threads or clocks: whoever holds it says what time it is.

use std::path::Path;
use std::sync::Arc;

use super::generation::Generations;
use super::head::{Head, Pushed};
use super::registry::Registry;
use super::{Config, Level, StoreError};
use crate::kv::Kv;

/// See the module. Shared by reference between threads; one of them writes.
#[derive(Debug)]
pub struct Engine {
    /// Settings, series, alert states.
    pub core: Arc<Kv>,
    /// Stored series.
    pub registry: Registry,
    /// What is not sealed yet.
    pub head: Head,
    /// Sealed levels, by [`Level`].
    pub levels: [Generations; 3],
}

impl Engine {
    /// Takes the folder (one owner at a time), checks its schema, repairs what is damaged, replays the head.
    pub fn open(folder: &Path, config: Config, now_ms: i64) -> Result<Self, StoreError> {
        let _ = (folder, config, now_ms);
        todo!()
    }

    /// The generations of a level.
    pub fn level(&self, level: Level) -> &Generations {
        &self.levels[level as usize]
    }

    /// Takes the samples of one collector's tick: `(store series, value)`. No input/output.
    pub fn push(&self, collector: u32, at_ms: i64, samples: &[(u32, f64)]) -> Pushed {
        self.head.push(collector, at_ms, samples)
    }

    /// Does what is due: flush, run, a step of sealing, of rollups, of retention. Blocks on the disk; called about
    /// once a second.
    pub fn maintain(&self, now_ms: i64) -> Result<(), StoreError> {
        let _ = now_ms;
        todo!()
    }

    /// Writes and syncs everything.
    pub fn stop(&self) -> Result<(), StoreError> {
        todo!()
    }
}
