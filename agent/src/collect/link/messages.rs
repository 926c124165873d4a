//! What the agent and its plugin host say to each other, as types; [`super::wire`] has their bytes.
//!
//! Ids are the host's own, counted from 0 in the order of the definitions. They are not the plugin's: a
//! histogram of the plugin is many series here.

use std::time::Duration;

#[cfg(doc)]
use barograph_sdk::abi;

use crate::catalog::{ChartHint, Kind, Unit};
use crate::clock::Tier;

/// What the host is to do with a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Create an instance and collect.
    Collect,
    /// Check the configuration and end.
    Check,
    /// Write the manifest and end.
    Describe,
}

/// From the agent to the host.
#[derive(Clone, Debug, PartialEq)]
pub enum ToHost {
    /// The first message.
    Load {
        /// What for.
        purpose: Purpose,
        /// Path of the library.
        library: String,
        /// The plugin's own configuration, JSON.
        config: String,
        /// Series that may live at a time.
        series_max: u32,
        /// Where its source stood after the last event that was stored, or empty.
        position: String,
    },
    /// Collect now.
    Collect {
        /// Number of the tick.
        number: u64,
        /// Wall time of the tick, Unix milliseconds.
        at_ms: i64,
        /// Tiers that are due, as in [`abi::Tick::tiers`].
        tiers: u32,
        /// How long it may take.
        deadline: Duration,
        /// Number of the last event that was stored; 0 before the first.
        events_stored: u64,
    },
    /// Take this configuration; answered with `Reconfigured`.
    Reconfigure {
        /// The plugin's own configuration, JSON.
        config: String,
    },
    /// Look something up by name; answered with `LookedUp`.
    Lookup {
        /// Comes back with the answer.
        id: u32,
        /// As configured.
        name: String,
        /// What is looked up.
        parameter: String,
    },
    /// Give up on the running call.
    Cancel,
    /// Stop the instance and exit.
    Stop,
}

/// A metric as the plugin declared it.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDefinition {
    /// Name with base unit.
    pub name: String,
    /// For people.
    pub help: String,
    /// OpenTelemetry name; empty if none.
    pub otel: String,
    /// Gauge or counter.
    pub kind: Kind,
    /// Unit.
    pub unit: Unit,
    /// Tier.
    pub tier: Tier,
    /// Label names.
    pub labels: Vec<String>,
    /// How the page shows it.
    pub chart: ChartHint,
}

/// Result of a collect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// Number of the tick.
    pub number: u64,
    /// One of the ABI's return codes.
    pub code: i32,
    /// Why, where the code is not OK.
    pub error: Option<String>,
    /// Samples and definitions that the host did not take.
    pub refused: u32,
    /// Why the first of them was not; empty if none was refused.
    pub refusal: String,
    /// How many of them are series that the limit kept out.
    pub dropped: u32,
    /// Time inside the plugin's function.
    pub took: Duration,
    /// `(host's series id, value)`.
    pub samples: Vec<(u32, f64)>,
}

/// Something that happened, as the plugin said it; see [`abi::Event`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginEvent {
    /// Counted from 1 by each start of the host.
    pub sequence: u64,
    /// Index into [`abi::LOG_LEVELS`].
    pub level: u8,
    /// Unix milliseconds; 0 for now.
    pub at_ms: i64,
    /// What happened.
    pub name: String,
    /// The particulars, a JSON object, or empty.
    pub data: String,
    /// Where its source stands after it; empty for no change.
    pub position: String,
}

/// From the host to the agent. Ids are the host's own, counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum ToAgent {
    /// The instance was created and started, or the configuration is good.
    Ready {
        /// The plugin's name.
        name: String,
        /// The plugin's topic.
        topic: String,
        /// The plugin's version.
        version: String,
    },
    /// The library or its configuration can't be used; the host exits.
    Failed {
        /// One of the ABI's return codes.
        code: i32,
        /// Dotted path of a configuration key, or empty.
        field: String,
        /// Why.
        message: String,
    },
    /// The next metric id is this metric.
    Metric(Box<MetricDefinition>),
    /// The next series id is this series.
    Series {
        /// The host's metric id.
        metric: u32,
        /// Label values.
        values: Vec<String>,
    },
    /// The series will not come again.
    Retire {
        /// The host's series id.
        series: u32,
    },
    /// A line for the log.
    Log {
        /// Index into [`abi::LOG_LEVELS`].
        level: u8,
        /// The line.
        message: String,
    },
    /// A collect ended.
    Done(Done),
    /// Something happened.
    Event(Box<PluginEvent>),
    /// The configuration was taken, refused, or asks for a new start.
    Reconfigured {
        /// One of the ABI's return codes.
        code: i32,
        /// Dotted path of a configuration key, or empty.
        field: String,
        /// Why it was refused, or empty.
        message: String,
    },
    /// The plugin's manifest, JSON; the host exits.
    Manifest(String),
    /// Answer of a lookup.
    LookedUp {
        /// Of the lookup.
        id: u32,
        /// One of the ABI's return codes.
        code: i32,
        /// The answer as JSON where the code is OK, or else why there is none.
        answer: String,
    },
}
