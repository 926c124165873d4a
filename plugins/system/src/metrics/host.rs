//! The host, and the agent's cgroup.

use barograph_sdk::{ChartStyle, Counter, Gauge, Setup, Tier, Unit};

use super::{counter, gauge};

/// The agent's cgroup, where it has limits or is a container's.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) cpu_limit: Gauge,
    pub(crate) cpu_seconds: Counter<1>,
    pub(crate) throttled_seconds: Counter,
    pub(crate) periods: Counter,
    pub(crate) periods_throttled: Counter,
    pub(crate) memory: Gauge,
    pub(crate) working_set: Gauge,
    pub(crate) memory_limit: Gauge,
}

impl Container {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            cpu_limit: gauge(setup, Unit::Count, "system_cgroup_cpu_limit")
                .help("CPUs' worth of time that the cgroup may use.")
                .chart("Container", "CPU limit")
                .build(),
            cpu_seconds: counter(setup, Unit::Seconds, "system_cgroup_cpu_seconds_total")
                .help("CPU time of the cgroup by mode.")
                .chart("Container", "CPU")
                .style(ChartStyle::Stacked)
                .labels(["mode"])
                .build(),
            throttled_seconds: counter(
                setup,
                Unit::Seconds,
                "system_cgroup_cpu_throttled_seconds_total",
            )
            .help("Time in which the cgroup was held back by its CPU limit.")
            .chart("Container", "Throttled")
            .build(),
            periods: counter(setup, Unit::Count, "system_cgroup_cpu_periods_total")
                .help("Periods in which the CPU limit was watched.")
                .chart("Container", "Periods")
                .build(),
            periods_throttled: counter(
                setup,
                Unit::Count,
                "system_cgroup_cpu_periods_throttled_total",
            )
            .help("Periods in which the CPU limit was reached.")
            .chart("Container", "Periods")
            .build(),
            memory: gauge(setup, Unit::Bytes, "system_cgroup_memory_bytes")
                .help("Memory of the cgroup, page cache included.")
                .chart("Container", "Memory")
                .build(),
            working_set: gauge(setup, Unit::Bytes, "system_cgroup_memory_working_set_bytes")
                .help("Memory of the cgroup without the page cache that is given up first.")
                .chart("Container", "Memory")
                .build(),
            memory_limit: gauge(setup, Unit::Bytes, "system_cgroup_memory_limit_bytes")
                .help("Memory that the cgroup may use.")
                .chart("Container", "Memory")
                .build(),
        }
    }
}

/// What changes rarely.
#[derive(Debug)]
pub(crate) struct HostFacts {
    pub(crate) info: Gauge<5>,
    pub(crate) cpus: Gauge,
    pub(crate) frequency: Gauge<1>,
    pub(crate) temperature: Gauge<1>,
    pub(crate) files: Gauge,
    pub(crate) files_limit: Gauge,
    pub(crate) boot_time: Gauge,
    pub(crate) uptime: Gauge,
}

impl HostFacts {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            info: gauge(setup, Unit::Info, "system_info")
                .help("The host in its labels; the value is always 1.")
                .chart("Host", "Host")
                .style(ChartStyle::None)
                .tier(Tier::Slow)
                .labels(["hostname", "os", "kernel", "arch", "cpu_model"])
                .build(),
            cpus: gauge(setup, Unit::Count, "system_cpus")
                .help("CPUs of the machine, or CPUs' worth of time that the container may use.")
                .chart("Host", "CPUs")
                .otel("system.cpu.logical.count")
                .style(ChartStyle::None)
                .tier(Tier::Slow)
                .build(),
            frequency: gauge(setup, Unit::Hertz, "system_cpu_frequency_hertz")
                .help("Frequency of a CPU.")
                .chart("Host", "CPU frequency")
                .otel("system.cpu.frequency")
                .tier(Tier::Slow)
                .labels(["cpu"])
                .build(),
            temperature: gauge(setup, Unit::Celsius, "system_temperature_celsius")
                .help("Temperature at a sensor.")
                .chart("Host", "Temperatures")
                .otel("hw.temperature")
                .tier(Tier::Slow)
                .labels(["sensor"])
                .build(),
            files: gauge(setup, Unit::Count, "system_file_handles")
                .help("Open file handles.")
                .chart("Host", "File handles")
                .tier(Tier::Slow)
                .build(),
            files_limit: gauge(setup, Unit::Count, "system_file_handles_limit")
                .help("File handles that can be open.")
                .chart("Host", "File handle limit")
                .style(ChartStyle::None)
                .tier(Tier::Slow)
                .build(),
            boot_time: gauge(setup, Unit::Seconds, "system_boot_time_seconds")
                .help("When the machine was started, Unix time.")
                .chart("Host", "Boot time")
                .style(ChartStyle::None)
                .tier(Tier::Slow)
                .build(),
            uptime: gauge(setup, Unit::Seconds, "system_uptime_seconds")
                .help("How long the machine has run.")
                .chart("Host", "Uptime")
                .otel("system.uptime")
                .tier(Tier::Slow)
                .build(),
        }
    }
}
