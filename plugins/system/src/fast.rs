//! What is sampled each second, from `/proc` and the cgroup.
//!
//! It keeps the previous tick's totals for shares and means. Files that this kernel does not have are
//! passed over; any other failure is a warning, and the rest is sampled all the same.

mod cpu;
mod disk;
mod memory;

use std::{io, path::Path, time::Instant};

use barograph_sdk::Sink;

use self::{cpu::Cpus, disk::Disks};
use crate::{
    cgroup::{Cgroup, Usage},
    config::{Config, Patterns},
    metrics::{Container, Metrics, Pressure},
    parse,
    source::KernelFile,
};

/// Open files and the previous totals.
#[derive(Debug)]
pub(crate) struct Fast {
    files: Files,
    pub(crate) cgroup: Option<Cgroup>,
    cpus: Cpus,
    disks: Disks,
    /// When the previous tick was sampled.
    sampled: Option<Instant>,
}

/// The files of `/proc`, and the buffer that all are read through.
#[derive(Debug)]
struct Files {
    buffer: Vec<u8>,
    stat: KernelFile,
    loadavg: KernelFile,
    meminfo: KernelFile,
    vmstat: KernelFile,
    diskstats: KernelFile,
    pressure: [(&'static str, KernelFile); 3],
}

impl Fast {
    pub(crate) fn new(config: &Config, root: &Path, cgroup: Option<Cgroup>) -> Self {
        let file = |name: &str| KernelFile::new(root.join("proc").join(name));
        Self {
            files: Files {
                buffer: Vec::new(),
                stat: file("stat"),
                loadavg: file("loadavg"),
                meminfo: file("meminfo"),
                vmstat: file("vmstat"),
                diskstats: file("diskstats"),
                pressure: ["cpu", "memory", "io"]
                    .map(|resource| (resource, file(&format!("pressure/{resource}")))),
            },
            cgroup,
            cpus: Cpus::new(config.per_cpu),
            disks: Disks::new(
                Patterns::new(&config.devices_exclude),
                root.join("sys/block"),
            ),
            sampled: None,
        }
    }

    pub(crate) fn sample(&mut self, metrics: &Metrics, out: &mut Sink<'_>) {
        let now = Instant::now();
        let span_ms = self
            .sampled
            .replace(now)
            .map(|earlier| (now - earlier).as_secs_f64() * 1000.0);
        let usage = self
            .cgroup
            .as_mut()
            .map(|cgroup| cgroup.usage(&mut self.files.buffer));
        let machine = self
            .cgroup
            .as_ref()
            .filter(|cgroup| cgroup.is_machine)
            .zip(usage);
        let files = &mut self.files;
        let buffer = &mut files.buffer;

        if let Some(text) = read(&mut files.stat, buffer, out) {
            let limit =
                machine.and_then(|(cgroup, usage)| Some((cgroup.limit.cpus?, usage.cpu.usage_us?)));
            self.cpus.sample(text, limit, span_ms, metrics, out);
        }
        if let Some([one, five, fifteen]) =
            read(&mut files.loadavg, buffer, out).and_then(parse::loadavg)
        {
            metrics.scheduler.load1.set(out, one);
            metrics.scheduler.load5.set(out, five);
            metrics.scheduler.load15.set(out, fifteen);
        }
        if let Some(text) = read(&mut files.meminfo, buffer, out) {
            let limit =
                machine.and_then(|(cgroup, usage)| Some((cgroup.limit.memory_bytes?, usage)));
            memory::sample(&parse::meminfo(text), limit, metrics, out);
        }
        if let Some(text) = read(&mut files.vmstat, buffer, out) {
            memory::sample_paging(&parse::vmstat(text), &metrics.paging, out);
        }
        for (resource, file) in &mut files.pressure {
            if let Some(text) = read(file, buffer, out) {
                sample_pressure(resource, text, &metrics.pressure, out);
            }
        }
        if let Some(text) = read(&mut files.diskstats, buffer, out) {
            self.disks.sample(text, span_ms, &metrics.disk, out);
        }
        if let Some((cgroup, usage)) = self.cgroup.as_ref().zip(usage) {
            sample_cgroup(cgroup, &usage, &metrics.container, out);
        }
    }
}

/// A file's text; none, with a warning, when it can't be read. A file that the kernel was built or
/// started without is nothing to warn of.
pub(crate) fn read<'b>(
    file: &mut KernelFile,
    buffer: &'b mut Vec<u8>,
    out: &mut Sink<'_>,
) -> Option<&'b str> {
    match file.read(buffer) {
        Ok(text) => Some(text),
        Err(error) => {
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::Unsupported
            ) {
                out.warn(error.to_string());
            }
            None
        }
    }
}

/// Ratios are given to four decimals: a hundredth of a percent is below what the sources resolve.
pub(crate) fn rounded(ratio: f64) -> f64 {
    (ratio * 10_000.0).round() / 10_000.0
}

fn sample_pressure(resource: &str, text: &str, metrics: &Pressure, out: &mut Sink<'_>) {
    for stall in parse::pressure(text) {
        let labels = [resource, if stall.full { "full" } else { "some" }];
        metrics
            .avg10
            .with(out, labels)
            .set(rounded(stall.avg10_ratio));
        metrics
            .stalled
            .with(out, labels)
            .set_total(stall.total_us as f64 / 1e6);
    }
}

fn sample_cgroup(cgroup: &Cgroup, usage: &Usage, metrics: &Container, out: &mut Sink<'_>) {
    let cpu = &usage.cpu;
    for (mode, us) in [("user", cpu.user_us), ("system", cpu.system_us)] {
        if let Some(us) = us {
            metrics
                .cpu_seconds
                .with(out, [mode])
                .set_total(us as f64 / 1e6);
        }
    }
    if let Some(us) = cpu.throttled_us {
        metrics.throttled_seconds.set_total(out, us as f64 / 1e6);
    }
    for (total, counter) in [
        (cpu.periods, metrics.periods),
        (cpu.periods_throttled, metrics.periods_throttled),
    ] {
        if let Some(total) = total {
            counter.set_total(out, total);
        }
    }
    for (bytes, gauge) in [
        (usage.memory_bytes, metrics.memory),
        (usage.working_set_bytes(), metrics.working_set),
        (cgroup.limit.memory_bytes, metrics.memory_limit),
    ] {
        if let Some(bytes) = bytes {
            gauge.set(out, bytes);
        }
    }
    if let Some(cpus) = cgroup.limit.cpus {
        metrics.cpu_limit.set(out, cpus);
    }
}

#[cfg(test)]
mod tests;
