//! CPU time, and shares of it since the previous tick.

use barograph_sdk::Sink;

use super::rounded;
use crate::{
    metrics::{Cpu, Metrics, Scheduler},
    parse::{self, CpuTimes, MODES, Stat},
};

/// The previous tick's times.
#[derive(Debug)]
pub(crate) struct Cpus {
    per_cpu: bool,
    ticks_per_second: f64,
    now: Stat,
    earlier: Stat,
    /// The number of each CPU as a label.
    names: Vec<String>,
    /// CPU time of the container, in microseconds.
    earlier_usage_us: Option<u64>,
}

impl Cpus {
    pub(crate) fn new(per_cpu: bool) -> Self {
        Self {
            per_cpu,
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
            now: Stat::default(),
            earlier: Stat::default(),
            names: Vec::new(),
            earlier_usage_us: None,
        }
    }

    /// Samples `/proc/stat`; `limit` is the container's number of CPUs and CPU time in microseconds,
    /// where CPU use is measured against it.
    pub(crate) fn sample(
        &mut self,
        text: &str,
        limit: Option<(f64, u64)>,
        span_ms: Option<f64>,
        metrics: &Metrics,
        out: &mut Sink<'_>,
    ) {
        std::mem::swap(&mut self.now, &mut self.earlier);
        parse::stat(text, &mut self.now);
        self.sample_scheduler(&metrics.scheduler, out);
        let metrics = &metrics.cpu;
        self.sample_machine(metrics, out);
        if self.per_cpu {
            self.sample_each(metrics, out);
        }
        let busy = match limit {
            Some((cpus, usage_us)) => {
                let earlier_us = self.earlier_usage_us.replace(usage_us);
                container_busy(cpus, usage_us, earlier_us, span_ms)
            }
            None => self.machine_busy(),
        };
        if let Some(busy) = busy {
            metrics.busy.set(out, rounded(busy));
        }
    }

    fn sample_machine(&self, metrics: &Cpu, out: &mut Sink<'_>) {
        if let Some(total) = self.now.total {
            if !self.per_cpu {
                self.sample_seconds("all", &total, metrics, out);
            }
            if let Some(shares) = self.earlier.total.and_then(|earlier| total.since(&earlier)) {
                for (mode, share) in shares.modes.into_iter().enumerate() {
                    if !CpuTimes::is_idle(mode) {
                        metrics.modes.with(out, [MODES[mode]]).set(rounded(share));
                    }
                }
            }
        }
    }

    fn sample_scheduler(&self, metrics: &Scheduler, out: &mut Sink<'_>) {
        for (total, counter) in [
            (self.now.context_switches, metrics.context_switches),
            (self.now.interrupts, metrics.interrupts),
            (self.now.forks, metrics.forks),
        ] {
            if let Some(total) = total {
                counter.set_total(out, total);
            }
        }
        for (value, gauge) in [
            (self.now.processes_running, metrics.running),
            (self.now.processes_blocked, metrics.blocked),
        ] {
            if let Some(value) = value {
                gauge.set(out, value);
            }
        }
    }

    fn sample_each(&mut self, metrics: &Cpu, out: &mut Sink<'_>) {
        // A CPU that was taken offline leaves a gap, so the previous one is found by its number. Both
        // lists ascend.
        let mut earlier = self.earlier.cpus.iter().peekable();
        for (number, times) in &self.now.cpus {
            if *number >= CPUS_MAX {
                continue;
            }
            while self.names.len() <= *number {
                self.names.push(self.names.len().to_string());
            }
            let name = &self.names[*number];
            self.sample_seconds(name, times, metrics, out);
            while earlier.next_if(|(earlier, _)| earlier < number).is_some() {}
            let before = earlier.next_if(|(earlier, _)| earlier == number);
            if let Some(shares) = before.and_then(|(_, before)| times.since(before)) {
                metrics
                    .utilization
                    .with(out, [name])
                    .set(rounded(shares.busy));
            }
        }
    }

    fn sample_seconds(&self, cpu: &str, times: &CpuTimes, metrics: &Cpu, out: &mut Sink<'_>) {
        for (mode, ticks) in MODES.into_iter().zip(times.0) {
            metrics
                .seconds
                .with(out, [cpu, mode])
                .set_total(ticks as f64 / self.ticks_per_second);
        }
    }

    fn machine_busy(&self) -> Option<f64> {
        Some(self.now.total?.since(&self.earlier.total?)?.busy)
    }
}

/// The kernel is built for 8,192 CPUs at most; a higher number is not one.
const CPUS_MAX: usize = 8_192;

/// Share of a container's limit that was used.
fn container_busy(
    cpus: f64,
    usage_us: u64,
    earlier_us: Option<u64>,
    span_ms: Option<f64>,
) -> Option<f64> {
    let used_us = usage_us.checked_sub(earlier_us?)?;
    let offered_us = span_ms? * 1000.0 * cpus;
    (offered_us > 0.0).then(|| (used_us as f64 / offered_us).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_busy_when_its_limit_is_used() {
        assert_eq!(
            container_busy(1.5, 1_500_000, Some(0), Some(1000.0)),
            Some(1.0)
        );
        assert_eq!(
            container_busy(0.5, 250_000, Some(0), Some(1000.0)),
            Some(0.5)
        );
        assert_eq!(container_busy(2.0, 5, Some(9), Some(1000.0)), None);
        assert_eq!(container_busy(2.0, 5, None, Some(1000.0)), None);
    }
}
