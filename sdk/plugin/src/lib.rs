//! Write collector plugins for Barograph.
//!
//! A plugin is a dynamic library with one [`Collector`]. The agent runs each instance in a process of
//! its own, calls it once a tick and streams what it sampled. A whole plugin, and its test:
//!
//! ```
//! use barograph_sdk::{Collector, Counter, Error, Gauge, Manifest, Setup, Sink, Unit, export_collector};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     /// Folder whose files are counted.
//!     folder: std::path::PathBuf,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self { folder: "/tmp".into() }
//!     }
//! }
//!
//! struct Folder {
//!     config: Config,
//!     files: Gauge<1>,
//!     scans: Counter,
//! }
//!
//! impl Collector for Folder {
//!     type Config = Config;
//!     const MANIFEST: Manifest = Manifest::new("folder", "files", env!("CARGO_PKG_VERSION"));
//!
//!     fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
//!         let files = setup.gauge("folder_files").help("Entries in the folder.").labels(["kind"]);
//!         let files = files.chart("Files", "Entries").build();
//!         let scans = setup.counter("folder_scans_total").unit(Unit::Operations).build();
//!         Ok(Self { config, files, scans })
//!     }
//!
//!     async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
//!         let entries = std::fs::read_dir(&self.config.folder)?;
//!         self.files.with(out, ["any"]).set(entries.count());
//!         self.scans.add(out, 1);
//!         Ok(())
//!     }
//! }
//!
//! export_collector!(Folder);
//!
//! # fn main() {
//! let mut tester = barograph_sdk::tester::CollectorTester::new::<Folder>(&serde_json::json!({})).unwrap();
//! tester.tick().unwrap();
//! assert!(tester.value("folder_files", &[("kind", "any")]).is_some());
//! assert_eq!(tester.value("folder_scans_total", &[]), Some(1.0));
//! # }
//! ```
//!
//! # Histograms
//!
//! How values are distributed: declare the buckets' upper bounds, then observe values, which the SDK
//! counts, or hand over what the source has counted itself.
//!
//! ```
//! # use barograph_sdk::{Histogram, Setup, Sink, Unit};
//! # fn new(setup: &mut Setup<'_>) -> Histogram<1> {
//! setup.histogram("queue_wait_seconds").unit(Unit::Seconds).help("Wait of a job before it runs.")
//!     .buckets(&[0.01, 0.1, 1.0, 10.0]).labels(["queue"]).build()
//! # }
//! # fn collect(waits: Histogram<1>, out: &mut Sink<'_>) {
//! waits.with(out, ["mail"]).observe(0.25);
//! waits.with(out, ["video"]).set(&[3, 5, 9, 2, 0], 14.5);
//! # }
//! ```
//!
//! # Events
//!
//! What happened between ticks is emitted by a task. [`Events::emit_when_room`] waits while the agent is
//! behind; the position is stored together with the event, and the next instance reads on from there. The
//! manifest says so with [`Manifest::events`].
//!
//! ```
//! # use barograph_sdk::{Event, Setup};
//! # struct Stream;
//! # impl Stream {
//! #     fn from(_: String) -> Self { Self }
//! #     async fn next(&mut self) -> (String, u64) { std::future::pending().await }
//! # }
//! # fn new(setup: &mut Setup<'_>) {
//! let (events, mut stream) = (setup.events(), Stream::from(setup.position().to_owned()));
//! barograph_sdk::tokio::spawn(async move {
//!     loop {
//!         let (id, job) = stream.next().await;
//!         let event = Event::new("job_failed").data(&serde_json::json!({ "job": job })).position(&id);
//!         if events.emit_when_room(event).await.is_err() {
//!             break;
//!         }
//!     }
//! });
//! # }
//! ```
//!
//! # Lookups
//!
//! With [`Manifest::lookup`] the agent may look something up by a name that the operator has given, which
//! [`Collector::lookup`] answers with JSON:
//!
//! ```
//! # use barograph_sdk::{Error, serde_json};
//! # struct Users;
//! # impl Users {
//! async fn lookup(&mut self, name: &str, parameter: &str) -> Result<serde_json::Value, Error> {
//!     match name {
//!         "is_admin" => Ok((parameter == "ada").into()),
//!         _ => Err(Error::config("", format!("unknown lookup `{name}`"))),
//!     }
//! }
//! # }
//! ```
//!
//! # The log
//!
//! The macros of [`tracing`] write to the agent's log, with their level and fields, from the collector and
//! the tasks and blocking work of its runtime. A thread that a plugin starts itself uses [`Setup::log`].
//! Spans are passed over, and so are messages of the crate `log`.
//!
//! ```
//! # use barograph_sdk::tracing;
//! tracing::warn!(queue = "mail", waiting = 12, "the queue does not move");
//! ```
//!
//! # Other languages
//!
//! They are written against `include/barograph_plugin.h`, which says the same as [`abi`].

#![warn(missing_docs)]

pub mod abi;
mod collector;
mod events;
#[doc(hidden)]
pub mod export;
mod family;
mod histogram;
mod registry;
mod runtime;
mod setup;
mod sink;
pub mod tester;
mod trace;

/// JSON, as [`Collector::lookup`] answers it.
pub use serde_json;
/// The runtime that collectors run in; the version has to be the SDK's.
pub use tokio;
/// Its macros write to the agent's log; the version has to be the SDK's.
pub use tracing;

pub use self::{
    collector::{Collector, Error, ErrorKind, Manifest, Reload},
    events::{EmitError, Event, Events},
    family::{Counter, CounterKind, Family, Gauge, GaugeKind, Kind, Number, Series},
    histogram::{Histogram, HistogramKind},
    setup::{ChartStyle, Metric, Setup, Tier, Unit},
    sink::{Level, Log, Sink, Tick},
};
