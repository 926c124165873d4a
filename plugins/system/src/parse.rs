//! What the kernel's files of `/proc` say, as numbers. Pure: text in, values out, no file and no clock.
//!
//! A line counts only with its newline, so that a text cut off in the middle of a number gives fewer
//! values and never wrong ones. What is missing or unreadable is `None`; nothing here fails or panics.
//! Formats: proc(5), and `Documentation/{admin-guide/iostats,accounting/psi}.rst` of the kernel.

/// Modes of CPU time, in the order of `/proc/stat`.
pub(crate) const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const IDLE: usize = 3;
const IOWAIT: usize = 4;

/// Time of one CPU by mode, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTimes(pub(crate) [u64; MODES.len()]);

/// How a CPU spent a span of time, as shares of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CpuShares {
    pub(crate) modes: [f64; MODES.len()],
    /// All but idle and waiting for IO.
    pub(crate) busy: f64,
}

impl CpuTimes {
    /// Shares of the time since `earlier`; none when no tick has passed.
    pub(crate) fn since(&self, earlier: &Self) -> Option<CpuShares> {
        let mut ticks = [0; MODES.len()];
        for (mode, ticks) in ticks.iter_mut().enumerate() {
            // The kernel lets idle and iowait fall by a tick now and then.
            *ticks = self.0[mode].saturating_sub(earlier.0[mode]);
        }
        let all = ticks
            .iter()
            .fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
        if all == 0 {
            return None;
        }
        let modes = ticks.map(|ticks| ticks as f64 / all as f64);
        let busy = (1.0 - modes[IDLE] - modes[IOWAIT]).clamp(0.0, 1.0);
        Some(CpuShares { modes, busy })
    }

    /// Whether this is an idle mode, which a chart of what the CPUs do leaves out.
    pub(crate) fn is_idle(mode: usize) -> bool {
        mode == IDLE
    }
}

/// `/proc/stat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) total: Option<CpuTimes>,
    /// Number of each online CPU and its times.
    pub(crate) cpus: Vec<(usize, CpuTimes)>,
    pub(crate) interrupts: Option<u64>,
    pub(crate) context_switches: Option<u64>,
    pub(crate) forks: Option<u64>,
    pub(crate) processes_running: Option<u64>,
    pub(crate) processes_blocked: Option<u64>,
}

/// Reads `/proc/stat` into `stat`, whose allocation is used again.
pub(crate) fn stat(text: &str, stat: &mut Stat) {
    let mut cpus = std::mem::take(&mut stat.cpus);
    cpus.clear();
    *stat = Stat {
        cpus,
        ..Stat::default()
    };
    for line in lines(text) {
        let Some((key, rest)) = line.split_once(' ') else {
            continue;
        };
        match key {
            "cpu" => stat.total = cpu_times(rest),
            "intr" => stat.interrupts = first(rest),
            "ctxt" => stat.context_switches = first(rest),
            "processes" => stat.forks = first(rest),
            "procs_running" => stat.processes_running = first(rest),
            "procs_blocked" => stat.processes_blocked = first(rest),
            _ => {
                let number = key
                    .strip_prefix("cpu")
                    .and_then(|number| number.parse().ok());
                if let (Some(number), Some(times)) = (number, cpu_times(rest)) {
                    stat.cpus.push((number, times));
                }
            }
        }
    }
}

fn cpu_times(text: &str) -> Option<CpuTimes> {
    let mut times = CpuTimes::default();
    let mut words = text.split_ascii_whitespace();
    for (mode, ticks) in times.0.iter_mut().enumerate() {
        match words.next() {
            Some(word) => *ticks = word.parse().ok()?,
            // Kernels before 2.6.11 have no time stolen, and the first four are as old as the file.
            None if mode > IDLE => break,
            None => return None,
        }
    }
    Some(times)
}

/// Load over the last 1, 5 and 15 minutes, from `/proc/loadavg`.
pub(crate) fn loadavg(text: &str) -> Option<[f64; 3]> {
    let mut words = lines(text).next()?.split_ascii_whitespace();
    let mut load = || {
        words
            .next()?
            .parse::<f64>()
            .ok()
            .filter(|load| load.is_finite())
    };
    Some([load()?, load()?, load()?])
}

/// `/proc/meminfo`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meminfo {
    pub(crate) total: Option<u64>,
    pub(crate) free: Option<u64>,
    pub(crate) available: Option<u64>,
    pub(crate) buffers: Option<u64>,
    pub(crate) cached: Option<u64>,
    pub(crate) slab_reclaimable: Option<u64>,
    pub(crate) slab_unreclaimable: Option<u64>,
    pub(crate) dirty: Option<u64>,
    pub(crate) writeback: Option<u64>,
    pub(crate) committed: Option<u64>,
    pub(crate) swap_total: Option<u64>,
    pub(crate) swap_free: Option<u64>,
}

impl Meminfo {
    /// What is left of the whole without free memory and what can be reclaimed from caches, so that
    /// the five parts of the memory chart add up to the total.
    pub(crate) fn used(&self) -> Option<u64> {
        let caches = [self.free, self.buffers, self.cached, self.slab_reclaimable];
        let rest = caches
            .iter()
            .flatten()
            .fold(0_u64, |sum, part| sum.saturating_add(*part));
        Some(self.total?.saturating_sub(rest))
    }
}

pub(crate) fn meminfo(text: &str) -> Meminfo {
    let mut memory = Meminfo::default();
    for line in lines(text) {
        let Some((key, rest)) = line.split_once(':') else {
            continue;
        };
        let field = match key {
            "MemTotal" => &mut memory.total,
            "MemFree" => &mut memory.free,
            "MemAvailable" => &mut memory.available,
            "Buffers" => &mut memory.buffers,
            "Cached" => &mut memory.cached,
            "SReclaimable" => &mut memory.slab_reclaimable,
            "SUnreclaim" => &mut memory.slab_unreclaimable,
            "Dirty" => &mut memory.dirty,
            "Writeback" => &mut memory.writeback,
            "Committed_AS" => &mut memory.committed,
            "SwapTotal" => &mut memory.swap_total,
            "SwapFree" => &mut memory.swap_free,
            _ => continue,
        };
        // The file writes kB and means KiB.
        *field = first(rest).and_then(|kib: u64| kib.checked_mul(1024));
    }
    memory
}

/// The totals of `/proc/vmstat` that are sampled; pages are of the machine's page size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vmstat {
    pub(crate) swap_in_pages: Option<u64>,
    pub(crate) swap_out_pages: Option<u64>,
    pub(crate) faults: Option<u64>,
    pub(crate) faults_major: Option<u64>,
    pub(crate) oom_kills: Option<u64>,
}

pub(crate) fn vmstat(text: &str) -> Vmstat {
    let mut vmstat = Vmstat::default();
    for (key, value) in pairs(text) {
        let field = match key {
            "pswpin" => &mut vmstat.swap_in_pages,
            "pswpout" => &mut vmstat.swap_out_pages,
            "pgfault" => &mut vmstat.faults,
            "pgmajfault" => &mut vmstat.faults_major,
            "oom_kill" => &mut vmstat.oom_kills,
            _ => continue,
        };
        *field = Some(value);
    }
    vmstat
}

/// One line of a file of `/proc/pressure`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stall {
    /// `some`: at least one task waited; `full`: all of them did.
    pub(crate) full: bool,
    /// Share of the last ten seconds.
    pub(crate) avg10_ratio: f64,
    pub(crate) total_us: u64,
}

pub(crate) fn pressure(text: &str) -> impl Iterator<Item = Stall> {
    lines(text).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let full = match words.next()? {
            "some" => false,
            "full" => true,
            _ => return None,
        };
        let (mut avg10, mut total_us) = (None, None);
        for word in words {
            match word.split_once('=')? {
                ("avg10", percent) => avg10 = percent.parse::<f64>().ok(),
                ("total", us) => total_us = us.parse().ok(),
                _ => {}
            }
        }
        let avg10_ratio = avg10.filter(|percent| (0.0..=100.0).contains(percent))? / 100.0;
        Some(Stall {
            full,
            avg10_ratio,
            total_us: total_us?,
        })
    })
}

/// One device of `/proc/diskstats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskTotals {
    pub(crate) reads: u64,
    pub(crate) read_sectors: u64,
    pub(crate) read_ms: u64,
    pub(crate) writes: u64,
    pub(crate) written_sectors: u64,
    pub(crate) write_ms: u64,
    pub(crate) in_flight: u64,
    /// Time with at least one request in flight.
    pub(crate) busy_ms: u64,
}

/// A sector of `/proc/diskstats`, whatever the device's own are.
pub(crate) const SECTOR_BYTES: u64 = 512;

/// What a disk did in a span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DiskUse {
    /// Share of the span with at least one request in flight.
    pub(crate) utilization_ratio: f64,
    /// Mean time of the requests that ended, queue included; 0 where none did.
    pub(crate) await_seconds: f64,
}

impl DiskTotals {
    /// What was done since `earlier`, `span_ms` ago; none when the totals began anew.
    pub(crate) fn since(&self, earlier: &Self, span_ms: f64) -> Option<DiskUse> {
        let requests = |totals: &Self| totals.reads.saturating_add(totals.writes);
        let spent_ms = |totals: &Self| totals.read_ms.saturating_add(totals.write_ms);
        let busy_ms = self.busy_ms.checked_sub(earlier.busy_ms)?;
        let ended = requests(self).checked_sub(requests(earlier))?;
        let spent_ms = spent_ms(self).checked_sub(spent_ms(earlier))?;
        if span_ms <= 0.0 {
            return None;
        }
        let await_ms = if ended == 0 {
            0.0
        } else {
            spent_ms as f64 / ended as f64
        };
        Some(DiskUse {
            utilization_ratio: (busy_ms as f64 / span_ms).clamp(0.0, 1.0),
            await_seconds: await_ms / 1000.0,
        })
    }
}

pub(crate) fn diskstats(text: &str) -> impl Iterator<Item = (&str, DiskTotals)> {
    lines(text).filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(2);
        let name = words.next()?;
        let mut fields = [0; 10];
        for field in &mut fields {
            *field = words.next()?.parse().ok()?;
        }
        let [
            reads,
            _,
            read_sectors,
            read_ms,
            writes,
            _,
            written_sectors,
            write_ms,
            in_flight,
            busy_ms,
        ] = fields;
        let totals = DiskTotals {
            reads,
            read_sectors,
            read_ms,
            writes,
            written_sectors,
            write_ms,
            in_flight,
            busy_ms,
        };
        Some((name, totals))
    })
}

/// Open file handles and their limit, from `/proc/sys/fs/file-nr`.
pub(crate) fn file_nr(text: &str) -> Option<(u64, u64)> {
    let mut words = lines(text).next()?.split_ascii_whitespace();
    let open = words.next()?.parse().ok()?;
    Some((open, words.nth(1)?.parse().ok()?))
}

/// Lines of the form `key number`.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    lines(text).filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

/// The lines that end in a newline.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
}

fn first<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests;
