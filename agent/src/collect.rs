//! Collectors: running plugins and turning what they give into batches.
//!
//! [`spawner`] starts processes, [`host`] is what runs in them, [`link`] is what both sides say,
//! [`process`] drives one such process, [`supervisor`] keeps one collector on schedule and alive, and
//! [`trial`] is the same without an agent. They define into the catalog and publish on the bus;
//! they know nothing of what reads it.

mod backoff;
mod codec;
pub mod host;
mod hostcalls;
pub mod link;
mod noise;
pub mod note;
pub mod process;
pub mod spawner;
pub mod stats;
pub mod supervisor;
mod trial;

use std::path::{Path, PathBuf};
use std::time::Duration;

use barograph_sdk::abi;

use crate::bus::Sample;
use crate::catalog::SeriesId;
use crate::clock::{Tick, TierSet};
pub use trial::{PluginConfigError, TrialBatch, TrialError, TrialSample, check, run_once};

/// Where plugins are looked for after the binary's own folder.
const SYSTEM_FOLDER: &str = "/usr/lib/barograph/plugins";

/// What one collector needs to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The collector's name: the plugin's, or the configured instance's.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Path of its library.
    pub library: PathBuf,
    /// The plugin's own configuration.
    pub config: serde_json::Value,
    /// How often it collects; whole multiples of the fast interval.
    pub interval: Duration,
    /// How long a collect may take, at most 0.8 of the interval.
    pub timeout: Duration,
    /// Series that may live at a time.
    pub series_max: usize,
    /// Whether its series carry the label `instance`: it is one of several configured ones.
    pub labelled: bool,
}

/// A successful collect.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// What was sampled.
    pub samples: Vec<Sample>,
    /// What could not be read, if anything.
    pub partial: Option<String>,
}

/// Why there are no samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The plugin answered with an error and goes on.
    #[error("{0}")]
    Refused(String),
    /// The plugin is not usable any more: it must be started again.
    #[error("{message}")]
    Lost {
        /// For `barograph_plugin_restarts_total{reason}`.
        reason: LostReason,
        /// For people.
        message: String,
    },
}

/// Why a plugin had to be started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// Its process ended by itself.
    Exited,
    /// Its process was ended by a signal.
    Killed,
    /// It did not answer in time and was ended.
    Deadline,
    /// It panicked or said that it can't go on.
    Failed,
    /// It could not be started: the library, its configuration or the process.
    Start,
    /// What it sent is not of the protocol.
    Protocol,
}

impl LostReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Exited,
        Self::Killed,
        Self::Deadline,
        Self::Failed,
        Self::Start,
        Self::Protocol,
    ];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Killed => "killed",
            Self::Deadline => "deadline",
            Self::Failed => "failed",
            Self::Start => "start",
            Self::Protocol => "protocol",
        }
    }
}

/// What collects for a supervisor: a plugin in its process, or a simulated source in tests.
pub trait Runner: Send + 'static {
    /// Starts or starts again. Bounded in time by the implementation.
    fn start(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Collects the given tiers. After [`Failure::Lost`] nothing of it runs any more.
    fn collect(
        &mut self,
        tick: &Tick,
        tiers: TierSet,
    ) -> impl Future<Output = Result<Collected, Failure>> + Send;
    /// Waits between ticks until it dies. Cancel-safe.
    fn died(&mut self) -> impl Future<Output = Failure> + Send;
    /// Stops it, politely first. Bounded in time by the implementation.
    fn stop(&mut self) -> impl Future<Output = ()> + Send;
    /// Resident memory in bytes, where it is a process.
    fn rss_bytes(&self) -> Option<u64>;
    /// The series that it has and that are not retired; once it was lost, those that it had.
    fn series(&self) -> Vec<SeriesId>;
}

/// Finds a plugin's library by its name: beside the binary, then in the system's folder.
pub fn find_library(name: &str) -> Result<PathBuf, String> {
    let file = format!("libbarograph_plugin_{}.so", name.replace('-', "_"));
    let own = std::env::current_exe().ok();
    let own = own
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let folders = [own, Path::new(SYSTEM_FOLDER)];
    folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file()).ok_or_else(|| {
        let own = own.display();
        format!("no library {file} in {own} or {SYSTEM_FOLDER}; build it with `cargo build -p barograph-plugin-{name}` or set plugins.{name}.path")
    })
}

/// The topic that the library declares; a library without a readable note streams under its plugin's name.
pub fn topic_of(settings: &Settings) -> String {
    note::read(&settings.library)
        .ok()
        .and_then(|note| note.topic)
        .unwrap_or_else(|| settings.plugin.clone())
}

/// Whether a code of the ABI keeps the samples.
fn keeps_samples(code: i32) -> bool {
    code == abi::OK || code == abi::PARTIAL
}
