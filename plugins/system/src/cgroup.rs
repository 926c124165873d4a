//! The cgroup (version 2) that the agent runs in: its limits, and what is used of them.
//!
//! Inside a container the limits are what "the machine" offers, so `sample.rs` measures CPU use and
//! memory against them. A service with limits on a host is not a container: there they are sampled
//! beside the machine's own values and change nothing else, unless the configuration says so.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{config::Limits, parse, source::KernelFile};

/// An open cgroup with limits, or that of a container.
#[derive(Debug)]
pub(crate) struct Cgroup {
    /// From its own folder up to the mount point; a limit of any of them holds.
    folders: Vec<PathBuf>,
    /// Whether the machine's values are measured against the limits.
    pub(crate) is_machine: bool,
    pub(crate) limit: Limit,
    cpu_stat: KernelFile,
    memory_current: KernelFile,
    memory_stat: KernelFile,
}

/// What may be used; `None` where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limit {
    pub(crate) memory_bytes: Option<u64>,
    /// CPUs' worth of time, from `cpu.max` or the number of allowed CPUs.
    pub(crate) cpus: Option<f64>,
}

/// What is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) memory_bytes: Option<u64>,
    /// Page cache, a part of `memory_bytes`.
    pub(crate) cached_bytes: Option<u64>,
    /// The part of the page cache that is given up first under pressure.
    pub(crate) inactive_file_bytes: Option<u64>,
    pub(crate) cpu: CpuStat,
}

impl Usage {
    /// Memory that can't be had back by dropping caches that nobody used lately, as `kubectl top` and
    /// `docker stats` count it.
    pub(crate) fn working_set_bytes(&self) -> Option<u64> {
        Some(
            self.memory_bytes?
                .saturating_sub(self.inactive_file_bytes.unwrap_or(0)),
        )
    }
}

/// `cpu.stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuStat {
    pub(crate) usage_us: Option<u64>,
    pub(crate) user_us: Option<u64>,
    pub(crate) system_us: Option<u64>,
    pub(crate) periods: Option<u64>,
    pub(crate) periods_throttled: Option<u64>,
    pub(crate) throttled_us: Option<u64>,
}

impl Cgroup {
    /// The cgroup of the process whose `cgroup` and `mountinfo` stand in `process`; none where there
    /// is nothing to respect.
    pub(crate) fn open(process: &Path, limits: Limits) -> Option<Self> {
        let mountinfo = fs::read_to_string(process.join("mountinfo")).ok()?;
        let own = fs::read_to_string(process.join("cgroup")).ok()?;
        let (root, mount) = mount(&mountinfo)?;
        let path = own_path(&own)?;
        // The hierarchy's true root has no type. Where the mount point has one, the process sees a
        // part of the hierarchy only: it is in a container, whose limits stand at the mount point.
        let is_inside = mount.join("cgroup.type").exists();
        let folder = match path.strip_prefix(root) {
            Some(below) if !below.contains("..") => mount.join(below.trim_start_matches('/')),
            _ => mount.clone(),
        };
        let is_container = is_inside || is_runtime(path);
        let own_folder = if is_inside && limits != Limits::Cgroup {
            mount.clone()
        } else {
            folder
        };
        let folders: Vec<PathBuf> = own_folder
            .ancestors()
            .take_while(|folder| folder.starts_with(&mount))
            .map(Path::to_path_buf)
            .collect();
        let limit = limit_of(&folders);
        if !is_container && limit == Limit::default() {
            return None;
        }
        Some(Self {
            is_machine: match limits {
                Limits::Auto => is_container,
                Limits::Machine => false,
                Limits::Cgroup => true,
            },
            limit,
            cpu_stat: KernelFile::new(own_folder.join("cpu.stat")),
            memory_current: KernelFile::new(own_folder.join("memory.current")),
            memory_stat: KernelFile::new(own_folder.join("memory.stat")),
            folders,
        })
    }

    /// Reads the limits again: they can be changed while a container runs.
    pub(crate) fn refresh_limit(&mut self) {
        self.limit = limit_of(&self.folders);
    }

    /// Reads what is used; a controller that is not enabled here has no values.
    pub(crate) fn usage(&mut self, buffer: &mut Vec<u8>) -> Usage {
        let mut usage = Usage::default();
        if let Ok(text) = self.memory_current.read(buffer) {
            usage.memory_bytes = text.trim().parse().ok();
        }
        if let Ok(text) = self.memory_stat.read(buffer) {
            for (key, value) in parse::pairs(text) {
                match key {
                    "file" => usage.cached_bytes = Some(value),
                    "inactive_file" => usage.inactive_file_bytes = Some(value),
                    _ => {}
                }
            }
        }
        if let Ok(text) = self.cpu_stat.read(buffer) {
            usage.cpu = cpu_stat(text);
        }
        usage
    }
}

fn cpu_stat(text: &str) -> CpuStat {
    let mut stat = CpuStat::default();
    for (key, value) in parse::pairs(text) {
        let field = match key {
            "usage_usec" => &mut stat.usage_us,
            "user_usec" => &mut stat.user_us,
            "system_usec" => &mut stat.system_us,
            "nr_periods" => &mut stat.periods,
            "nr_throttled" => &mut stat.periods_throttled,
            "throttled_usec" => &mut stat.throttled_us,
            _ => continue,
        };
        *field = Some(value);
    }
    stat
}

/// The smallest limits on the way up.
fn limit_of(folders: &[PathBuf]) -> Limit {
    let mut limit = Limit::default();
    for folder in folders {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let memory_bytes = read("memory.max").trim().parse::<u64>().ok();
        limit.memory_bytes = smaller(limit.memory_bytes, memory_bytes, u64::min);
        limit.cpus = smaller(limit.cpus, cpu_max(&read("cpu.max")), f64::min);
    }
    if let Some(folder) = folders.first() {
        let allowed =
            cpu_count(&fs::read_to_string(folder.join("cpuset.cpus")).unwrap_or_default());
        limit.cpus = smaller(limit.cpus, allowed, f64::min);
    }
    limit
}

fn smaller<T: Copy>(a: Option<T>, b: Option<T>, min: fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(min(a, b)),
        (one, other) => one.or(other),
    }
}

/// CPUs' worth of time in `cpu.max`: `QUOTA PERIOD`, or `max PERIOD` for none.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period) = (quota.parse::<u32>().ok()?, period.parse::<u32>().ok()?);
    (period > 0).then(|| f64::from(quota) / f64::from(period))
}

/// Number of CPUs in a list such as `0-3,8`; none when it is empty, which means any.
fn cpu_count(text: &str) -> Option<f64> {
    let mut count = 0_u32;
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(f64::from(count))
}

/// The path of version 2 in `/proc/PID/cgroup`.
fn own_path(text: &str) -> Option<&str> {
    parse::lines(text).find_map(|line| line.strip_prefix("0::"))
}

/// Root and mount point of the cgroup2 file system in `/proc/PID/mountinfo`.
fn mount(text: &str) -> Option<(&str, PathBuf)> {
    parse::lines(text).find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        if file_system.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut words = mount.split(' ').skip(3);
        let (root, point) = (words.next()?, words.next()?);
        Some((root.trim_end_matches('/'), PathBuf::from(point)))
    })
}

/// Whether the path is one that a container runtime makes. It only shows in containers that share the
/// host's cgroup namespace.
fn is_runtime(path: &str) -> bool {
    ["docker", "kubepods", "libpod", "lxc", "crio", "containerd"]
        .iter()
        .any(|runtime| path.contains(runtime))
}

#[cfg(test)]
mod tests;
