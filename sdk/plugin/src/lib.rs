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
//! Plugins in other languages are written against `include/barograph_plugin.h`, which says the same as
//! [`abi`].

#![warn(missing_docs)]

pub mod abi;
mod collector;
#[doc(hidden)]
pub mod export;
mod family;
mod runtime;
mod setup;
mod sink;
pub mod tester;

/// The runtime that collectors run in; the version has to be the SDK's.
pub use tokio;

pub use self::{
    collector::{Collector, Error, ErrorKind, Manifest, Reload},
    family::{Counter, CounterKind, Family, Gauge, GaugeKind, Kind, Number, Series},
    setup::{ChartStyle, Metric, Setup, Tier, Unit},
    sink::{Level, Log, Sink, Tick},
};
