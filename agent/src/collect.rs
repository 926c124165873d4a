//! Collectors: running plugins and turning what they give into batches.
//!
//! [`library`] says what may be loaded, [`spawner`] starts processes and [`fence`] keeps them in, [`host`] is what
//! runs in them, [`link`] is what both sides say, [`process`] drives one such process, [`supervisor`] keeps one
//! collector on schedule and alive, [`trial`] is the same without an agent, and [`schema`] is what a manifest says
//! of a plugin's configuration. They define into the catalog and publish on the bus; they know nothing of what reads
//! it.

mod backoff;
mod child;
mod codec;
pub mod events;
mod fence;
pub mod host;
mod hostcalls;
pub mod library;
pub mod link;
pub mod lookup;
mod noise;
pub mod note;
mod orphans;
pub mod process;
pub mod schema;
pub mod spawner;
pub mod stats;
pub mod status;
pub mod supervisor;
mod trial;

use std::path::PathBuf;
use std::time::Duration;

use barograph_sdk::abi;
use tokio::sync::oneshot;

use crate::bus::Sample;
use crate::catalog::SeriesId;
use crate::clock::{Tick, TierSet};
use crate::words;
pub use library::find_library;
pub use orphans::end_all;
pub use trial::{PluginConfigError, Trial, TrialBatch, TrialError, TrialSample, check, describe};

/// Where a plugin's code runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// In a process of its own: whatever it does, the agent goes on.
    #[default]
    Process,
    /// On a thread of the agent, which it can take down.
    Thread,
}

/// How long a start may take, unless configured otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Resident memory above which a plugin's process is started anew, unless configured otherwise.
pub const RSS_MAX_BYTES: u64 = 512 << 20;

/// What one collector needs to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The collector's name: the plugin's, or the configured instance's.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Path of its library, as found; messages name it.
    pub library: PathBuf,
    /// Path of what is loaded: a copy of the library under its hash; the library itself in a trial that can't load copies.
    pub loaded: PathBuf,
    /// SHA-256 of what is loaded, in hexadecimal digits; empty where no library was looked at.
    pub sha256: String,
    /// Where its code runs.
    pub isolation: Isolation,
    /// How long a start may take.
    pub start_timeout: Duration,
    /// Resident memory above which its process is started anew.
    pub rss_max_bytes: Option<u64>,
    /// Address space that its process may have.
    pub address_space_max_bytes: Option<u64>,
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

impl Isolation {
    /// As configured and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread => "thread",
        }
    }
}

/// A successful collect.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// What was sampled.
    pub samples: Vec<Sample>,
    /// What could not be read, if anything.
    pub partial: Option<String>,
    /// Events that were stored since the collect before.
    pub events_stored: u64,
    /// How long the plugin itself took, without the way to it; `None` where nobody measured it.
    pub inside: Option<Duration>,
}

/// What was not taken of a plugin: samples, definitions and events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub count: u32,
    /// Why the first of them was not; empty if none was refused.
    pub why: String,
    /// How many of them are series that the limit kept out.
    pub series: u32,
}

impl Refused {
    /// Counts one; the words are made for the first only.
    pub fn add(&mut self, why: impl FnOnce() -> String) {
        if self.count == 0 {
            self.why = why();
        }
        self.count = self.count.saturating_add(1);
    }

    /// Adds what was refused after it.
    pub fn append(&mut self, later: Self) {
        if self.count == 0 {
            self.why = later.why;
        }
        self.count = self.count.saturating_add(later.count);
        self.series = self.series.saturating_add(later.series);
    }

    /// In words; `None` if nothing was refused.
    pub fn words(&self) -> Option<String> {
        let count = words::count(self.count, "was", "were");
        (self.count > 0).then(|| format!("{count} refused: {}", self.why))
    }
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
    /// It used more memory than it may and was ended.
    Memory,
}

impl LostReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Exited,
        Self::Killed,
        Self::Deadline,
        Self::Failed,
        Self::Start,
        Self::Protocol,
        Self::Memory,
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
            Self::Memory => "memory",
        }
    }
}

/// What became of a new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconfigured {
    /// It runs with it.
    Applied,
    /// It goes on with the old one; the new one needs a new instance.
    Restart,
}

/// What is known of the instance that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Version that the plugin said; `None` before its first start.
    pub version: Option<String>,
    /// Its process, where it has one.
    pub pid: Option<u32>,
    /// Its thread does not come back, so it can't be started again yet.
    pub is_stuck: bool,
}

/// What a successor found when the one before it had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// It goes on.
    Done,
    /// The one before it went further in a source that both read: it has to be started again, to begin there.
    StartAgain,
}

/// A lookup in a plugin, as its function of that name takes it.
#[derive(Debug)]
pub struct Lookup {
    /// As the operator configured it.
    pub name: String,
    /// What is looked up.
    pub parameter: String,
    /// Where the answer goes, JSON.
    pub reply: oneshot::Sender<Result<String, Failure>>,
}

/// What collects for a supervisor: a plugin in its process, or a simulated source in tests.
pub trait Runner: Sized + Send + 'static {
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
    /// Stops it, politely first; says so if it had to be forced. Bounded in time by the implementation.
    fn stop(&mut self) -> impl Future<Output = Option<Failure>> + Send;
    /// Hands the settings' configuration, which is all that is new in them, to the instance that runs. Bounded
    /// in time by the implementation. A refusal changes nothing.
    fn reconfigure(
        &mut self,
        settings: &Settings,
    ) -> impl Future<Output = Result<Reconfigured, Failure>> + Send;
    /// Another one for the same collector, with other settings, which may run beside it; nothing runs before its
    /// own [`Runner::start`].
    #[must_use]
    fn successor(&self, settings: Settings) -> Self;
    /// Stops a successor that will not take over, and retires what it alone declared.
    fn withdraw(&mut self) -> impl Future<Output = Option<Failure>> + Send {
        self.stop()
    }
    /// Nothing else of the collector runs any more: from now on its events count.
    fn take_over(&mut self) -> Handover {
        Handover::Done
    }
    /// Looks something up in the plugin. It does not wait for the answer, which comes while it collects or waits.
    fn look_up(&mut self, lookup: Lookup) -> impl Future<Output = ()> + Send {
        async move { drop(lookup) }
    }
    /// What was not taken since the last call, whether collects succeeded or not.
    fn take_refused(&mut self) -> Refused {
        Refused::default()
    }
    /// What is known of the instance.
    fn facts(&self) -> Facts {
        Facts::default()
    }
    /// Resident memory in bytes, where it is a process; with that of what it has started.
    fn rss_bytes(&self) -> Option<u64> {
        None
    }
    /// The series that it has and that are not retired; once it was lost, those that it had.
    fn series(&self) -> Vec<SeriesId>;
}

/// The topic that the library declares; a library without a readable note streams under its plugin's name.
pub fn topic_of(settings: &Settings) -> String {
    note::read(&settings.loaded)
        .ok()
        .and_then(|note| note.topic)
        .unwrap_or_else(|| settings.plugin.clone())
}

/// Refuses a library whose note says that it is another plugin than its section's. One without a readable note is
/// judged when it is started.
pub fn check_name(settings: &Settings) -> Result<(), String> {
    match note::read(&settings.loaded).map(|note| note.name) {
        Ok(Some(name)) if name != settings.plugin => {
            let (library, expected) = (settings.library.display(), &settings.plugin);
            Err(format!("{library} is plugin `{name}`, not `{expected}`"))
        }
        _ => Ok(()),
    }
}

/// Whether a code of the ABI keeps the samples.
fn keeps_samples(code: i32) -> bool {
    code == abi::OK || code == abi::PARTIAL
}
