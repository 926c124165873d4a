//! Memory by use, swap and paging.

use barograph_sdk::Sink;

use super::rounded;
use crate::{
    cgroup::Usage,
    metrics::{Metrics, Paging},
    parse::{Meminfo, Vmstat},
};

/// Samples `/proc/meminfo`; `limit` is the container's memory limit and usage, where memory is
/// measured against it.
pub(crate) fn sample(
    memory: &Meminfo,
    limit: Option<(u64, Usage)>,
    metrics: &Metrics,
    out: &mut Sink<'_>,
) {
    let offered = match limit {
        // A limit above the machine's memory limits nothing.
        Some((limit, usage)) if memory.total.is_none_or(|total| limit < total) => {
            of_container(limit, &usage)
        }
        _ => *memory,
    };
    if let (Some(total), Some(available)) = (offered.total, offered.available)
        && total > 0
    {
        let ratio = 1.0 - available.min(total) as f64 / total as f64;
        metrics.memory.utilization.set(out, rounded(ratio));
    }
    let (metrics, paging) = (&metrics.memory, &metrics.paging);
    let swap_used = memory.swap_total.zip(memory.swap_free);
    for (bytes, gauge) in [
        (offered.total, metrics.total),
        (offered.available, metrics.available),
        (offered.used(), metrics.used),
        (offered.buffers, metrics.buffers),
        (offered.cached, metrics.cached),
        (offered.slab_reclaimable, metrics.slab_reclaimable),
        (offered.free, metrics.free),
        (memory.slab_unreclaimable, metrics.slab_unreclaimable),
        (memory.committed, metrics.committed),
        (memory.dirty, metrics.dirty),
        (memory.writeback, metrics.writeback),
        (memory.swap_total, paging.swap_total),
        (
            swap_used.map(|(total, free)| total.saturating_sub(free)),
            paging.swap_used,
        ),
    ] {
        if let Some(bytes) = bytes {
            gauge.set(out, bytes);
        }
    }
}

/// The parts of a container's memory, in the words of the machine's.
fn of_container(limit: u64, usage: &Usage) -> Meminfo {
    Meminfo {
        total: Some(limit),
        free: usage.memory_bytes.map(|used| limit.saturating_sub(used)),
        available: usage
            .working_set_bytes()
            .map(|used| limit.saturating_sub(used)),
        cached: usage.cached_bytes,
        ..Meminfo::default()
    }
}

/// Samples `/proc/vmstat`.
pub(crate) fn sample_paging(vmstat: &Vmstat, metrics: &Paging, out: &mut Sink<'_>) {
    let page_bytes = rustix::param::page_size() as u64;
    for (pages, counter) in [
        (vmstat.swap_in_pages, metrics.swap_in),
        (vmstat.swap_out_pages, metrics.swap_out),
    ] {
        if let Some(pages) = pages {
            counter.set_total(out, pages.saturating_mul(page_bytes));
        }
    }
    if let Some(kills) = vmstat.oom_kills {
        metrics.oom_kills.set_total(out, kills);
    }
    if let (Some(all), Some(major)) = (vmstat.faults, vmstat.faults_major) {
        metrics
            .faults
            .with(out, ["minor"])
            .set_total(all.saturating_sub(major));
        metrics.faults.with(out, ["major"]).set_total(major);
    }
}
