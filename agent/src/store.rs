//! History: every sample for a day, rollups beyond, in an embedded store.
//!
//! [`engine`] is the whole store without threads or clocks, [`task`] drives it from the bus, [`query`] answers. Samples
//! go into the [`head`], from there into sealed blocks of [`generation`]s, from those into [`rollup`]s. What each folder
//! holds is in docs/store.md, how the modules hang together in docs/ARCHITECTURE.md, and the bytes stand in the
//! modules that write them. It knows the bus and the catalog, and neither alerts nor hub.

pub mod backup;
pub mod checkup;
pub mod chunk;
mod core;
mod derive;
pub mod engine;
pub mod export;
pub mod folder;
pub mod generation;
pub mod group;
pub mod head;
pub mod key;
mod names;
pub mod period;
pub mod query;
pub mod record;
pub mod recover;
pub mod registry;
mod retention;
pub mod rollup;
mod seal;
mod space;
mod status;
pub mod task;
mod upkeep;
mod writer;

pub use space::Disk;
pub use status::Status;

use std::path::PathBuf;
use std::time::Duration;

use crate::kv::KvError;

/// Length of an hour in milliseconds: what a head file and a raw block hold.
pub const HOUR_MS: i64 = 3_600_000;

/// A level of detail, each with folders of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Every sample.
    Raw,
    /// Points of a minute.
    Minute,
    /// Points of an hour.
    Hour,
}

impl Level {
    /// All levels, finest first.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Minute, Self::Hour];

    /// Name of its folder.
    pub const fn folder(self) -> &'static str {
        ["raw", "m1", "h1"][self as usize]
    }

    /// Tag of its groups.
    pub const fn tag(self) -> u8 {
        self as u8 + 1
    }

    /// What one block (one chunk a series) holds: an hour, 6 hours, 5 days.
    pub const fn block_ms(self) -> i64 {
        [HOUR_MS, 6 * HOUR_MS, 120 * HOUR_MS][self as usize]
    }

    /// What one generation (one folder) holds: 6 hours, 5 days, 90 days.
    pub const fn generation_ms(self) -> i64 {
        [6 * HOUR_MS, 120 * HOUR_MS, 2_160 * HOUR_MS][self as usize]
    }

    /// Width of a point; `None` for samples.
    pub const fn point_ms(self) -> Option<i64> {
        match self {
            Self::Raw => None,
            Self::Minute => Some(60_000),
            Self::Hour => Some(HOUR_MS),
        }
    }
}

/// What an operator decides about the store: `[store]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long every sample is kept.
    pub history: Duration,
    /// How long points of a minute are kept.
    pub minute_rollups: Duration,
    /// How long points of an hour are kept.
    pub hour_rollups: Duration,
    /// What the whole data folder may take on disk.
    pub disk_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            history: Duration::from_hours(24),
            minute_rollups: Duration::from_hours(24 * 30),
            hour_rollups: Duration::from_hours(24 * 730),
            disk_bytes_max: 1 << 30,
        }
    }
}

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another agent has the folder.
    #[error(
        "{path} is used by another agent (process {pid}); stop that one or set `data_dir` to another folder"
    )]
    Owned {
        /// The data folder.
        path: PathBuf,
        /// The other's process id.
        pid: u32,
    },
    /// The folder was written by a later version.
    #[error(
        "{path} was written by a newer agent (schema {found}, this one knows {known}); run that version, or set \
         `data_dir` to another folder"
    )]
    NewerSchema {
        /// The data folder.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that this agent reads.
        known: u32,
    },
}
