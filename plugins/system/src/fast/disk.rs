//! Block devices: totals, and what each did since the previous tick.

use std::{collections::HashMap, path::PathBuf};

use barograph_sdk::Sink;

use super::rounded;
use crate::{
    config::Patterns,
    metrics::Disk,
    parse::{self, DiskTotals, SECTOR_BYTES},
};

/// The devices seen so far, and the previous tick's totals.
#[derive(Debug)]
pub(crate) struct Disks {
    exclude: Patterns,
    /// Has an entry for each device, and none for a partition, whose IO is its device's too.
    whole_devices: PathBuf,
    known: HashMap<String, Device>,
}

#[derive(Debug)]
struct Device {
    is_sampled: bool,
    earlier: Option<DiskTotals>,
}

impl Disks {
    pub(crate) fn new(exclude: Patterns, whole_devices: PathBuf) -> Self {
        Self {
            exclude,
            whole_devices,
            known: HashMap::new(),
        }
    }

    /// Samples `/proc/diskstats`.
    pub(crate) fn sample(
        &mut self,
        text: &str,
        span_ms: Option<f64>,
        metrics: &Disk,
        out: &mut Sink<'_>,
    ) {
        for (name, totals) in parse::diskstats(text) {
            if !self.known.contains_key(name) {
                let is_sampled = !self.exclude.matches(name) && self.is_whole(name);
                self.known.insert(
                    name.to_owned(),
                    Device {
                        is_sampled,
                        earlier: None,
                    },
                );
            }
            let Some(device) = self.known.get_mut(name).filter(|device| device.is_sampled) else {
                continue;
            };
            let earlier = device.earlier.replace(totals);
            sample_totals(name, &totals, metrics, out);
            let done = earlier
                .zip(span_ms)
                .and_then(|(earlier, ms)| totals.since(&earlier, ms));
            if let Some(done) = done {
                metrics
                    .utilization
                    .with(out, [name])
                    .set(rounded(done.utilization_ratio));
                metrics
                    .await_seconds
                    .with(out, [name])
                    .set(done.await_seconds);
            }
        }
    }

    fn is_whole(&self, name: &str) -> bool {
        // sysfs writes `!` for the `/` of names such as `cciss/c0d0`.
        self.whole_devices.join(name.replace('/', "!")).exists()
    }
}

fn sample_totals(name: &str, totals: &DiskTotals, metrics: &Disk, out: &mut Sink<'_>) {
    let bytes = |sectors: u64| sectors.saturating_mul(SECTOR_BYTES);
    let seconds = |ms: u64| ms as f64 / 1000.0;
    metrics
        .read_bytes
        .with(out, [name])
        .set_total(bytes(totals.read_sectors));
    metrics
        .written_bytes
        .with(out, [name])
        .set_total(bytes(totals.written_sectors));
    metrics.reads.with(out, [name]).set_total(totals.reads);
    metrics.writes.with(out, [name]).set_total(totals.writes);
    metrics
        .read_seconds
        .with(out, [name])
        .set_total(seconds(totals.read_ms));
    metrics
        .write_seconds
        .with(out, [name])
        .set_total(seconds(totals.write_ms));
    metrics
        .io_seconds
        .with(out, [name])
        .set_total(seconds(totals.busy_ms));
    metrics.in_flight.with(out, [name]).set(totals.in_flight);
}
