//! Memory by use, swap and paging.

use barograph_sdk::{ChartStyle, Counter, Gauge, Setup, Unit};

use super::{counter, gauge};

/// Memory by use.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) utilization: Gauge,
    pub(crate) total: Gauge,
    pub(crate) available: Gauge,
    pub(crate) used: Gauge,
    pub(crate) buffers: Gauge,
    pub(crate) cached: Gauge,
    pub(crate) slab_reclaimable: Gauge,
    pub(crate) free: Gauge,
    pub(crate) slab_unreclaimable: Gauge,
    pub(crate) committed: Gauge,
    pub(crate) dirty: Gauge,
    pub(crate) writeback: Gauge,
}

impl Memory {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            utilization: gauge(setup, Unit::Ratio, "system_memory_utilization_ratio")
                .help(
                    "Share of the memory that is not available; inside of a container with a \
                     memory limit, of that limit.",
                )
                .chart("Memory", "Memory use")
                .otel("system.memory.utilization")
                .style(ChartStyle::Area)
                .overview()
                .build(),
            total: gauge(setup, Unit::Bytes, "system_memory_total_bytes")
                .help("Memory of the machine, or the limit of the container.")
                .chart("Memory", "Available memory")
                .otel("system.memory.limit")
                .build(),
            available: gauge(setup, Unit::Bytes, "system_memory_available_bytes")
                .help(
                    "Memory that programs can have without swapping; in a container, what is \
                     left below its limit.",
                )
                .chart("Memory", "Available memory")
                .otel("system.linux.memory.available")
                .build(),
            used: gauge(setup, Unit::Bytes, "system_memory_used_bytes")
                .help("Memory that is neither free nor in buffers and reclaimable caches.")
                .chart("Memory", "Memory by use")
                .otel("system.memory.usage")
                .style(ChartStyle::Stacked)
                .overview()
                .build(),
            buffers: gauge(setup, Unit::Bytes, "system_memory_buffers_bytes")
                .help("Buffers of block devices.")
                .chart("Memory", "Memory by use")
                .otel("system.memory.usage")
                .style(ChartStyle::Stacked)
                .overview()
                .build(),
            cached: gauge(setup, Unit::Bytes, "system_memory_cached_bytes")
                .help("Page cache, shared memory included.")
                .chart("Memory", "Memory by use")
                .otel("system.memory.usage")
                .style(ChartStyle::Stacked)
                .overview()
                .build(),
            slab_reclaimable: gauge(setup, Unit::Bytes, "system_memory_slab_reclaimable_bytes")
                .help("Caches of the kernel that it gives up under pressure.")
                .chart("Memory", "Memory by use")
                .otel("system.linux.memory.slab.usage")
                .style(ChartStyle::Stacked)
                .overview()
                .build(),
            free: gauge(setup, Unit::Bytes, "system_memory_free_bytes")
                .help("Memory that nothing uses.")
                .chart("Memory", "Memory by use")
                .otel("system.memory.usage")
                .style(ChartStyle::Stacked)
                .overview()
                .build(),
            slab_unreclaimable: gauge(setup, Unit::Bytes, "system_memory_slab_unreclaimable_bytes")
                .help("Objects of the kernel that it can not give up.")
                .chart("Memory", "Kernel and commitments")
                .otel("system.linux.memory.slab.usage")
                .build(),
            committed: gauge(setup, Unit::Bytes, "system_memory_committed_bytes")
                .help("Memory that programs were promised, used or not.")
                .chart("Memory", "Kernel and commitments")
                .build(),
            dirty: gauge(setup, Unit::Bytes, "system_memory_dirty_bytes")
                .help("Cached pages that wait to be written to a disk.")
                .chart("Memory", "Waiting for disks")
                .build(),
            writeback: gauge(setup, Unit::Bytes, "system_memory_writeback_bytes")
                .help("Cached pages that are being written to a disk.")
                .chart("Memory", "Waiting for disks")
                .build(),
        }
    }
}

/// Swap, page faults and what happens when memory runs out.
#[derive(Debug)]
pub(crate) struct Paging {
    pub(crate) faults: Counter<1>,
    pub(crate) oom_kills: Counter,
    pub(crate) swap_total: Gauge,
    pub(crate) swap_used: Gauge,
    pub(crate) swap_in: Counter,
    pub(crate) swap_out: Counter,
}

impl Paging {
    pub(super) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            faults: counter(setup, Unit::Count, "system_page_faults_total")
                .help(
                    "Page faults: minor ones found the page in memory, major ones read it from \
                     a disk.",
                )
                .chart("Memory", "Page faults")
                .otel("system.paging.faults")
                .labels(["kind"])
                .build(),
            oom_kills: counter(setup, Unit::Count, "system_oom_kills_total")
                .help("Processes that were killed because memory ran out.")
                .chart("Memory", "Killed for memory")
                .build(),
            swap_total: gauge(setup, Unit::Bytes, "system_swap_total_bytes")
                .help("Swap space.")
                .chart("Memory", "Swap")
                .build(),
            swap_used: gauge(setup, Unit::Bytes, "system_swap_used_bytes")
                .help("Swap space in use.")
                .chart("Memory", "Swap")
                .otel("system.paging.usage")
                .build(),
            swap_in: counter(setup, Unit::Bytes, "system_swap_in_bytes_total")
                .help("Read back from swap.")
                .chart("Memory", "Swapping")
                .otel("system.paging.operations")
                .build(),
            swap_out: counter(setup, Unit::Bytes, "system_swap_out_bytes_total")
                .help("Written to swap.")
                .chart("Memory", "Swapping")
                .otel("system.paging.operations")
                .build(),
        }
    }
}
