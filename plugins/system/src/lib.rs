//! The `system` plugin: CPU, memory, pressure, disks, file systems and the host itself.
//!
//! `metrics.rs` is the table of families. `fast.rs` reads `/proc` each second through `source.rs` and
//! `parse.rs`, and the cgroup through `cgroup.rs`; `slow.rs` asks sysinfo (`host.rs`, `mounts.rs`) each
//! thirty. What can't be read is a gap and a warning; the rest is sampled all the same.

mod cgroup;
mod config;
mod fast;
mod host;
mod metrics;
mod mounts;
mod parse;
mod slow;
mod source;

use std::path::Path;

use barograph_sdk::{Collector, Error, Manifest, Setup, Sink, Tier, export_collector};

pub use self::config::{Config, Limits};
use self::{cgroup::Cgroup, fast::Fast, metrics::Metrics, slow::Slow};

/// The collector.
#[derive(Debug)]
pub struct System {
    metrics: Metrics,
    fast: Fast,
    slow: Slow,
}

impl Collector for System {
    type Config = Config;

    const MANIFEST: Manifest = Manifest::new("system", "system", env!("CARGO_PKG_VERSION"))
        .needs(&["Linux 4.14 or later", "read access to /proc and /sys"])
        .unasked();

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        Self::of(&config, Path::new("/"), setup)
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        // The limits are read first, as the fast values are measured against them.
        if out.due(Tier::Slow) {
            self.slow.sample(&self.metrics, &mut self.fast, out);
        }
        self.fast.sample(&self.metrics, out);
        Ok(())
    }
}

impl System {
    /// A collector of the machine whose `proc` and `sys` stand in `root`.
    fn of(config: &Config, root: &Path, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let proc = root.join("proc");
        if !proc.join("stat").exists() {
            return Err(Error::unavailable(format!(
                "{} is not a mounted proc file system",
                proc.display()
            )));
        }
        let cgroup = Cgroup::open(&proc.join("self"), config.limits);
        if cgroup.is_none() && config.limits == Limits::Cgroup {
            let message =
                "no cgroup of version 2 with limits was found; use \"auto\" or \"machine\"";
            return Err(Error::config("limits", message));
        }
        Ok(Self {
            metrics: Metrics::new(setup),
            fast: Fast::new(config, root, cgroup),
            slow: Slow::new(config, &proc)?,
        })
    }
}

export_collector!(System);
