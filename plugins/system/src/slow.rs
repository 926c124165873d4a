//! What is sampled each thirty seconds: file systems, and what changes rarely.

use std::path::Path;

use barograph_sdk::{Error, Sink};

use crate::{
    config::{Config, Patterns},
    fast::{Fast, read, rounded},
    host::Host,
    metrics::Metrics,
    mounts::Mounts,
    parse,
    source::KernelFile,
};

/// sysinfo's view of the host, and the thread that reads mounts.
#[derive(Debug)]
pub(crate) struct Slow {
    host: Host,
    mounts: Mounts,
    file_nr: KernelFile,
    buffer: Vec<u8>,
}

impl Slow {
    pub(crate) fn new(config: &Config, proc: &Path) -> Result<Self, Error> {
        Ok(Self {
            host: Host::new()?,
            mounts: Mounts::start(Patterns::new(&config.mounts_exclude))?,
            file_nr: KernelFile::new(proc.join("sys/fs/file-nr")),
            buffer: Vec::new(),
        })
    }

    /// Samples what is slow, and reads the limits anew by which `fast` measures.
    pub(crate) fn sample(&mut self, metrics: &Metrics, fast: &mut Fast, out: &mut Sink<'_>) {
        if let Some(cgroup) = &mut fast.cgroup {
            cgroup.refresh_limit();
        }
        self.sample_host(metrics, fast, out);
        self.sample_mounts(metrics, out);
    }

    fn sample_host(&mut self, metrics: &Metrics, fast: &Fast, out: &mut Sink<'_>) {
        let metrics = &metrics.host;
        self.host.refresh();
        let names = self.host.names();
        let labels = [
            &names.hostname,
            &names.os,
            &names.kernel,
            &names.arch,
            &names.cpu_model,
        ];
        metrics.info.with(out, labels.map(String::as_str)).set(1);
        let limit = fast.cgroup.as_ref().filter(|cgroup| cgroup.is_machine);
        let offered = limit.and_then(|cgroup| cgroup.limit.cpus);
        metrics
            .cpus
            .set(out, offered.unwrap_or(self.host.cpus() as f64));
        for (cpu, hertz) in self.host.frequencies() {
            metrics.frequency.with(out, [cpu]).set(hertz);
        }
        for (sensor, celsius) in self.host.temperatures() {
            metrics.temperature.with(out, [sensor]).set(celsius);
        }
        if let Some((boot_time, uptime)) = Host::boot() {
            metrics.boot_time.set(out, boot_time);
            metrics.uptime.set(out, uptime);
        }
        let files = read(&mut self.file_nr, &mut self.buffer, out).and_then(parse::file_nr);
        if let Some((open, limit)) = files {
            metrics.files.set(out, open);
            metrics.files_limit.set(out, limit);
        }
    }

    fn sample_mounts(&mut self, metrics: &Metrics, out: &mut Sink<'_>) {
        let metrics = &metrics.filesystem;
        let Some(mounts) = self.mounts.read() else {
            out.warn("a mounted file system does not answer, so none is sampled");
            return;
        };
        for mount in &mounts {
            let labels = [mount.point.as_str(), mount.file_system.as_str()];
            metrics
                .utilization
                .with(out, labels)
                .set(rounded(mount.used_ratio()));
            metrics.size.with(out, labels).set(mount.size_bytes);
            metrics.free.with(out, labels).set(mount.free_bytes);
            metrics
                .available
                .with(out, labels)
                .set(mount.available_bytes);
            if mount.inodes > 0 {
                metrics.inodes.with(out, labels).set(mount.inodes);
                metrics.inodes_free.with(out, labels).set(mount.inodes_free);
            }
        }
    }
}
