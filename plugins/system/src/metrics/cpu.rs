//! CPU time, what the scheduler does, and pressure.

use barograph_sdk::{ChartStyle, Counter, Gauge, Setup, Unit};

use super::{counter, gauge};

/// CPU time.
#[derive(Debug)]
pub(crate) struct Cpu {
    pub(crate) seconds: Counter<2>,
    pub(crate) busy: Gauge,
    pub(crate) modes: Gauge<1>,
    pub(crate) utilization: Gauge<1>,
}

impl Cpu {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            seconds: counter(setup, Unit::Seconds, "system_cpu_seconds_total")
                .help(
                    "CPU time by mode, of each CPU, or of all (`cpu=\"all\"`) with `per_cpu = \
                     false`.",
                )
                .chart("CPU", "CPU time")
                .otel("system.cpu.time")
                .style(ChartStyle::None)
                .labels(["cpu", "mode"])
                .build(),
            busy: gauge(setup, Unit::Ratio, "system_cpu_busy_ratio")
                .help(
                    "Share of the CPU time in use, of all CPUs together; inside of a container \
                     with a CPU limit, of that limit.",
                )
                .chart("CPU", "CPU use")
                .style(ChartStyle::Area)
                .overview()
                .build(),
            modes: gauge(setup, Unit::Ratio, "system_cpu_mode_ratio")
                .help("Share of the CPU time of all CPUs together spent in each mode but idle.")
                .chart("CPU", "CPU time by mode")
                .style(ChartStyle::Stacked)
                .overview()
                .labels(["mode"])
                .build(),
            utilization: gauge(setup, Unit::Ratio, "system_cpu_utilization_ratio")
                .help(
                    "Share of the time in which a CPU was in use: neither idle nor waiting for \
                     IO.",
                )
                .chart("CPU", "CPU use by CPU")
                .otel("system.cpu.utilization")
                .labels(["cpu"])
                .build(),
        }
    }
}

/// Load and what the scheduler does.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) load1: Gauge,
    pub(crate) load5: Gauge,
    pub(crate) load15: Gauge,
    pub(crate) running: Gauge,
    pub(crate) blocked: Gauge,
    pub(crate) context_switches: Counter,
    pub(crate) interrupts: Counter,
    pub(crate) forks: Counter,
}

impl Scheduler {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            load1: gauge(setup, Unit::Count, "system_load1")
                .help(
                    "Processes that run, are ready to or wait for a disk, averaged over a \
                     minute.",
                )
                .chart("CPU", "Load")
                .overview()
                .build(),
            load5: gauge(setup, Unit::Count, "system_load5")
                .help(
                    "Processes that run, are ready to or wait for a disk, averaged over 5 \
                     minutes.",
                )
                .chart("CPU", "Load")
                .overview()
                .build(),
            load15: gauge(setup, Unit::Count, "system_load15")
                .help(
                    "Processes that run, are ready to or wait for a disk, averaged over 15 \
                     minutes.",
                )
                .chart("CPU", "Load")
                .overview()
                .build(),
            running: gauge(setup, Unit::Count, "system_processes_running")
                .help("Threads that run or are ready to.")
                .chart("CPU", "Runnable and blocked")
                .build(),
            blocked: gauge(setup, Unit::Count, "system_processes_blocked")
                .help("Threads that wait for IO to end.")
                .chart("CPU", "Runnable and blocked")
                .build(),
            context_switches: counter(setup, Unit::Count, "system_context_switches_total")
                .help("Switches of a CPU from one thread to another.")
                .chart("CPU", "Context switches and interrupts")
                .build(),
            interrupts: counter(setup, Unit::Count, "system_interrupts_total")
                .help("Interrupts that were served.")
                .chart("CPU", "Context switches and interrupts")
                .build(),
            forks: counter(setup, Unit::Count, "system_forks_total")
                .help("Processes and threads that were started.")
                .chart("CPU", "Forks")
                .otel("system.processes.created")
                .build(),
        }
    }
}

/// Pressure stall information.
#[derive(Debug)]
pub(crate) struct Pressure {
    pub(crate) avg10: Gauge<2>,
    pub(crate) stalled: Counter<2>,
}

impl Pressure {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            avg10: gauge(setup, Unit::Ratio, "system_pressure_avg10_ratio")
                .help(
                    "Share of the last ten seconds in which some (or all, `kind=\"full\"`) work \
                     waited for the resource.",
                )
                .chart("Pressure", "Pressure")
                .overview()
                .labels(["resource", "kind"])
                .build(),
            stalled: counter(setup, Unit::Seconds, "system_pressure_stall_seconds_total")
                .help("Time in which some (or all) work waited for the resource.")
                .chart("Pressure", "Stalled time")
                .labels(["resource", "kind"])
                .build(),
        }
    }
}
