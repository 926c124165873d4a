//! What a collector writes to during a tick: the [`Sink`], and the [`Log`] that also works between ticks.
//!
//! Values go through families into the [`Registry`]; nothing of them is kept here.

use std::{sync::Arc, time::Duration};

use crate::{Tier, export::Link, registry::Registry};

/// Severity of a message in the agent's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Somebody has to act.
    Error = 0,
    /// Something is not as it should be.
    Warn = 1,
    /// Worth knowing once.
    Info = 2,
    /// For the plugin's author.
    Debug = 3,
    /// For the plugin's author, in quantity.
    Trace = 4,
}

/// Writes to the agent's log from anywhere in the plugin, other threads included.
///
/// On the collector's own thread the macros of [`tracing`](crate::tracing) do the same, with fields.
#[derive(Clone, Debug)]
pub struct Log {
    link: Arc<Link>,
}

impl Log {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Writes one message; it goes nowhere once the collector was stopped.
    pub fn write(&self, level: Level, message: &str) {
        self.link.log(level as u32, message);
    }
}

/// Which tick is being collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Counts up by one a tick; a gap is a missed tick.
    pub number: u64,
    /// Wall time of the tick, Unix milliseconds.
    pub at_ms: i64,
    pub(crate) tiers: u32,
    pub(crate) deadline_ns: u64,
}

/// Takes the samples of one tick.
#[derive(Debug)]
pub struct Sink<'a> {
    pub(crate) registry: &'a mut Registry,
}

impl Sink<'_> {
    /// Whether metrics of this tier are wanted in this tick. Values given to others are dropped, so
    /// this only saves the work of reading them.
    pub fn due(&self, tier: Tier) -> bool {
        self.registry.tick().tiers & tier.bit() != 0
    }

    /// The tick being collected.
    pub fn tick(&self) -> Tick {
        self.registry.tick()
    }

    /// How long the agent still waits for this tick: what a request to a server may take at most. A
    /// [`collect`](crate::Collector::collect) that awaits beyond it is dropped.
    pub fn time_left(&self) -> Duration {
        let now_ns = self.registry.link().now_mono_ns();
        Duration::from_nanos(self.registry.tick().deadline_ns.saturating_sub(now_ns))
    }

    /// Whether the agent has given up on this tick; long work should stop then.
    pub fn cancelled(&self) -> bool {
        self.registry.link().cancelled()
    }

    /// Reports that a part could not be read. The tick's samples are kept, and the message is shown
    /// beside the collector until a tick has none.
    pub fn warn(&mut self, message: impl Into<String>) {
        self.registry.warn(message.into());
    }

    /// Writes to the agent's log.
    pub fn log(&self, level: Level, message: &str) {
        self.registry.link().log(level as u32, message);
    }
}
