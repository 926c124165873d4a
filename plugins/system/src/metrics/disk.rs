//! Block devices and file systems.

use barograph_sdk::{Counter, Gauge, Setup, Tier, Unit};

use super::{counter, gauge};

/// Block devices.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) read_bytes: Counter<1>,
    pub(crate) written_bytes: Counter<1>,
    pub(crate) utilization: Gauge<1>,
    pub(crate) reads: Counter<1>,
    pub(crate) writes: Counter<1>,
    pub(crate) await_seconds: Gauge<1>,
    pub(crate) in_flight: Gauge<1>,
    pub(crate) read_seconds: Counter<1>,
    pub(crate) write_seconds: Counter<1>,
    pub(crate) io_seconds: Counter<1>,
}

impl Disk {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            read_bytes: counter(setup, Unit::Bytes, "system_disk_read_bytes_total")
                .help("Read from the device.")
                .chart("Disk", "Throughput")
                .otel("system.disk.io")
                .overview()
                .labels(["device"])
                .build(),
            written_bytes: counter(setup, Unit::Bytes, "system_disk_written_bytes_total")
                .help("Written to the device.")
                .chart("Disk", "Throughput")
                .otel("system.disk.io")
                .overview()
                .labels(["device"])
                .build(),
            utilization: gauge(setup, Unit::Ratio, "system_disk_utilization_ratio")
                .help("Share of the time in which the device had at least one request.")
                .chart("Disk", "Utilisation")
                .labels(["device"])
                .build(),
            reads: counter(setup, Unit::Operations, "system_disk_reads_total")
                .help("Reads that ended.")
                .chart("Disk", "Operations")
                .otel("system.disk.operations")
                .labels(["device"])
                .build(),
            writes: counter(setup, Unit::Operations, "system_disk_writes_total")
                .help("Writes that ended.")
                .chart("Disk", "Operations")
                .otel("system.disk.operations")
                .labels(["device"])
                .build(),
            await_seconds: gauge(setup, Unit::Seconds, "system_disk_await_seconds")
                .help(
                    "Mean time of the requests that ended since the last tick, queue included; \
                     0 where none did.",
                )
                .chart("Disk", "Time of a request")
                .labels(["device"])
                .build(),
            in_flight: gauge(setup, Unit::Operations, "system_disk_in_flight")
                .help("Requests that were begun and not ended.")
                .chart("Disk", "In flight")
                .labels(["device"])
                .build(),
            read_seconds: counter(setup, Unit::Seconds, "system_disk_read_seconds_total")
                .help("Time that reads took, added up.")
                .chart("Disk", "Time spent")
                .otel("system.disk.operation_time")
                .labels(["device"])
                .build(),
            write_seconds: counter(setup, Unit::Seconds, "system_disk_write_seconds_total")
                .help("Time that writes took, added up.")
                .chart("Disk", "Time spent")
                .otel("system.disk.operation_time")
                .labels(["device"])
                .build(),
            io_seconds: counter(setup, Unit::Seconds, "system_disk_io_seconds_total")
                .help("Time in which the device had at least one request.")
                .chart("Disk", "Time spent")
                .otel("system.disk.io_time")
                .labels(["device"])
                .build(),
        }
    }
}

/// Mounted file systems.
#[derive(Debug)]
pub(crate) struct Filesystem {
    pub(crate) utilization: Gauge<2>,
    pub(crate) size: Gauge<2>,
    pub(crate) free: Gauge<2>,
    pub(crate) available: Gauge<2>,
    pub(crate) inodes: Gauge<2>,
    pub(crate) inodes_free: Gauge<2>,
}

impl Filesystem {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            utilization: gauge(setup, Unit::Ratio, "system_filesystem_utilization_ratio")
                .help("Share of the space that is used, as `df` shows it.")
                .chart("Filesystems", "Use")
                .otel("system.filesystem.utilization")
                .tier(Tier::Slow)
                .labels(["mount", "type"])
                .build(),
            size: gauge(setup, Unit::Bytes, "system_filesystem_size_bytes")
                .help("Space of the file system.")
                .chart("Filesystems", "Size")
                .otel("system.filesystem.limit")
                .tier(Tier::Slow)
                .labels(["mount", "type"])
                .build(),
            free: gauge(setup, Unit::Bytes, "system_filesystem_free_bytes")
                .help("Space that is free, the reserve included.")
                .chart("Filesystems", "Free space")
                .otel("system.filesystem.usage")
                .tier(Tier::Slow)
                .labels(["mount", "type"])
                .build(),
            available: gauge(setup, Unit::Bytes, "system_filesystem_available_bytes")
                .help("Space that an unprivileged process may still fill.")
                .chart("Filesystems", "Free space")
                .otel("system.filesystem.usage")
                .tier(Tier::Slow)
                .labels(["mount", "type"])
                .build(),
            inodes: gauge(setup, Unit::Count, "system_filesystem_inodes")
                .help("Files that the file system can hold, where that is fixed.")
                .chart("Filesystems", "Inodes")
                .tier(Tier::Slow)
                .labels(["mount", "type"])
                .build(),
            inodes_free: gauge(setup, Unit::Count, "system_filesystem_inodes_free")
                .help("Files that can still be made, where their number is fixed.")
                .chart("Filesystems", "Inodes")
                .tier(Tier::Slow)
                .labels(["mount", "type"])
                .build(),
        }
    }
}
