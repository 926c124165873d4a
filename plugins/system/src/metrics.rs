//! The table of metric families: every name, unit, help text and chart of the plugin.
//!
//! The README's table is held against it by a test. `fast.rs` and `slow.rs` give the values.

mod cpu;
mod disk;
mod host;
mod memory;

use barograph_sdk::{CounterKind, GaugeKind, Metric, Setup, Unit};

pub(crate) use self::{
    cpu::{Cpu, Pressure, Scheduler},
    disk::{Disk, Filesystem},
    host::{Container, HostFacts},
    memory::{Memory, Paging},
};

/// All families.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) cpu: Cpu,
    pub(crate) scheduler: Scheduler,
    pub(crate) memory: Memory,
    pub(crate) paging: Paging,
    pub(crate) pressure: Pressure,
    pub(crate) disk: Disk,
    pub(crate) filesystem: Filesystem,
    pub(crate) container: Container,
    pub(crate) host: HostFacts,
}

impl Metrics {
    /// Declares all families, in the order in which the page shows them.
    pub(crate) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            cpu: Cpu::new(setup),
            scheduler: Scheduler::new(setup),
            memory: Memory::new(setup),
            paging: Paging::new(setup),
            pressure: Pressure::new(setup),
            disk: Disk::new(setup),
            filesystem: Filesystem::new(setup),
            container: Container::new(setup),
            host: HostFacts::new(setup),
        }
    }
}

fn gauge<'s, 'a>(setup: &'s mut Setup<'a>, unit: Unit, name: &str) -> Metric<'s, 'a, GaugeKind, 0> {
    setup.gauge(name).unit(unit)
}

fn counter<'s, 'a>(
    setup: &'s mut Setup<'a>,
    unit: Unit,
    name: &str,
) -> Metric<'s, 'a, CounterKind, 0> {
    setup.counter(name).unit(unit)
}
