//! Every type of the wire, with its units; no logic.
//!
//! The TypeScript of the page (`dashboards/src/wire.ts`) is generated from these types and compared by a
//! test (`cargo xtask wire` writes it). Times are Unix milliseconds, intervals milliseconds. Within
//! metric data, `null` is a value that is not there: a gap, never a zero.

mod alerts;
mod history;
mod plugins;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::{ChartHint, Kind, Unit};
use crate::clock::Tier;
pub use alerts::{AlertInfo, AlertState, AlertsAnswer, Comparison, RuleInfo, Severity};
pub use history::{Aggregation, HistoryAnswer, HistorySeries, Resolution};
pub use plugins::{
    PluginEventInfo, PluginEventsAnswer, PluginFault, PluginInfo, PluginPhase, PluginReload,
    PluginsAnswer,
};

/// Label names with values, in the metric's order.
pub type Labels = indexmap::IndexMap<String, String>;

/// What a client may send on `/ws`: one JSON object a text frame, at most 16 KiB.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(Serialize, ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct ClientRequest {
    /// Comes back in the answer; chosen by the client.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub id: Option<u32>,
    /// `subscribe`, `unsubscribe`, `subscribe-admin`, `unsubscribe-admin` or `ping`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `metrics:TOPIC`, `basic-metrics` or `admin`.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub channel: Option<String>,
    /// How often; fast unless given.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub tier: Option<Tier>,
    /// How the data is laid out; named unless given.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub shape: Option<Shape>,
    /// Narrows to some metrics or labels.
    #[serde(default, rename = "match")]
    #[cfg_attr(test, ts(optional))]
    pub matching: Option<Match>,
}

/// Layout of metric data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// An object by metric name.
    #[default]
    Named,
    /// The table of series once, then bare arrays of values.
    Columns,
}

/// Which series a subscription wants. Empty parts match everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Metric names; `*` stands for any run of characters. A series matches if any does. At most 64.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Labels that must have exactly these values. At most 16.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ServerReply {
    /// It was done.
    Ok {
        /// The request's id.
        id: Option<u32>,
        /// The agent's time, in answers to `ping`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        at: Option<i64>,
    },
    /// It was not done.
    Error {
        /// The request's id, as far as it could be read.
        id: Option<u32>,
        /// Why.
        error: ErrorBody,
    },
}

/// An error of the API: over HTTP it stands under `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ErrorBody {
    /// For programs: `not_found`, `bad_request`, `unknown_channel`, …
    pub code: String,
    /// For people: what failed and what to do.
    pub message: String,
    /// The field of the request that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub field: Option<String>,
}

/// The body of an HTTP error.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorAnswer {
    /// The error.
    pub error: ErrorBody,
}

/// An event of the server.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ServerEvent<T> {
    /// `initialData`, `system-metrics`, `basic-metrics`, `dashboard-alert`, `skipped`, …
    pub event: String,
    /// The channel that it belongs to; empty for `initialData`.
    pub channel: String,
    /// When it happened.
    pub at: i64,
    /// Depends on `event`.
    pub data: T,
}

/// Data of `initialData`, the first event on every connection.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct InitialData {
    /// Always `barograph`.
    pub server: String,
    /// Version of the agent.
    pub version: String,
    /// Random, made at each start: a change means that the agent was restarted.
    pub agent_id: String,
    /// When the agent started.
    pub started_at: i64,
    /// The machine.
    pub host: HostInfo,
    /// What can be subscribed to.
    pub topics: Vec<TopicInfo>,
    /// Intervals.
    pub tiers: TierIntervals,
    /// Bounds that a client must keep.
    pub limits: Limits,
    /// How often the server pings.
    pub heartbeat_ms: u32,
    /// Who the server takes the client for.
    pub you: Identity,
}

/// The machine that the agent runs on.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct HostInfo {
    /// Host name.
    pub hostname: String,
    /// Name and version of the distribution.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture.
    pub arch: String,
    /// Processors that the agent may run on.
    pub cpus: u32,
    /// Memory of the machine.
    #[cfg_attr(test, ts(type = "number"))]
    pub memory_bytes: u64,
}

/// One topic.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TopicInfo {
    /// `system`, `database`, …
    pub topic: String,
    /// `metrics:TOPIC`.
    pub channel: String,
    /// `TOPIC-metrics`.
    pub event: String,
}

/// Intervals of the tiers.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TierIntervals {
    /// 1,000 unless configured otherwise.
    pub fast: u32,
    /// 5,000 unless configured otherwise.
    pub medium: u32,
    /// 30,000 unless configured otherwise.
    pub slow: u32,
}

/// Bounds of a connection.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of a message to the server.
    pub frame_bytes: u32,
    /// Subscriptions of a connection.
    pub channels: u32,
    /// Messages to the server.
    pub messages_per_minute: u32,
}

/// Who a client is.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Identity {
    /// `admin`, `service` or `user`.
    pub role: String,
    /// User id, for users.
    pub user: Option<String>,
}

/// Answer of `/api/catalog`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CatalogAnswer {
    /// Version of the agent.
    pub version: String,
    /// When the agent started.
    pub started_at: i64,
    /// Intervals.
    pub tiers: TierIntervals,
    /// What can be subscribed to.
    pub topics: Vec<TopicInfo>,
    /// In definition order.
    pub metrics: Vec<MetricDescriptor>,
}

/// A metric and its series.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MetricDescriptor {
    /// Prometheus-style name with its base unit.
    pub name: String,
    /// Topic of its channel.
    pub topic: String,
    /// Plugin that defined it.
    pub plugin: String,
    /// Gauge or counter.
    pub kind: Kind,
    /// Unit of a gauge's value and of a counter's total.
    pub unit: Unit,
    /// One sentence for people.
    pub help: String,
    /// How often it is sampled.
    pub tier: Tier,
    /// Label names.
    pub labels: Vec<String>,
    /// OpenTelemetry name.
    pub otel: Option<String>,
    /// How the page shows it.
    pub chart: ChartHint,
    /// Its series that are not retired.
    pub series: Vec<SeriesInfo>,
}

/// A series.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SeriesInfo {
    /// Never reused while the agent runs.
    pub id: u32,
    /// Its collector.
    pub collector: String,
    /// Its labels.
    #[cfg_attr(test, ts(type = "Record<string, string>"))]
    pub labels: Labels,
    /// Its collector does not deliver at present.
    pub stale: bool,
}

/// Data of `TOPIC-metrics` in the named shape.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct NamedData {
    /// Of the subscription.
    pub tier: Tier,
    /// Whose samples these are.
    pub collector: String,
    /// False: the collector failed and its series are stale.
    pub up: bool,
    /// The first event after subscribing: current values of all tiers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub snapshot: bool,
    /// By metric name.
    #[cfg_attr(test, ts(type = "Record<string, NamedSample[]>"))]
    pub metrics: indexmap::IndexMap<String, Vec<NamedSample>>,
}

/// A sample in the named shape. A gauge has `value`; a counter has `total` and `rate`.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct NamedSample {
    /// Labels of the series.
    #[cfg_attr(test, ts(type = "Record<string, string>"))]
    pub labels: Labels,
    /// A gauge's value; `null` when stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional, type = "number | null"))]
    pub value: Option<Option<f64>>,
    /// A counter's cumulative total; `null` when stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional, type = "number | null"))]
    pub total: Option<Option<f64>>,
    /// A counter's rate per second; `null` after a reset or a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional, type = "number | null"))]
    pub rate: Option<Option<f64>>,
    /// Least value (or rate) of the window, on the tiers medium and slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub min: Option<f64>,
    /// Mean value (or rate) of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub avg: Option<f64>,
    /// Greatest value (or rate) of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub max: Option<f64>,
    /// The series is stale.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub stale: bool,
}

/// Data of `TOPIC-metrics` in the columns shape.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ColumnsData {
    /// Of the subscription.
    pub tier: Tier,
    /// Whose samples these are.
    pub collector: String,
    /// False: the collector failed and its series are stale.
    pub up: bool,
    /// The first event after subscribing: current values of all tiers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub snapshot: bool,
    /// Number of the table that the arrays are parallel to.
    #[cfg_attr(test, ts(type = "number"))]
    pub table: u64,
    /// The table, the first time that a client sees its number: `[metric, labels]` by the metric's tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        test,
        ts(optional, type = "TierArrays<[string, Record<string, string>]>")
    )]
    pub series: Option<TierArrays<(String, Labels)>>,
    /// Last values; a counter's is its rate per second. Only the tiers that were due are there.
    pub values: TierArrays<Option<f64>>,
    /// Least of the window, on the tiers medium and slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub min: Option<TierArrays<Option<f64>>>,
    /// Mean of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub avg: Option<TierArrays<Option<f64>>>,
    /// Greatest of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub max: Option<TierArrays<Option<f64>>>,
}

/// An array for each tier of metrics that was due.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TierArrays<T> {
    /// Metrics of the fast tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub fast: Option<Vec<T>>,
    /// Metrics of the medium tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub medium: Option<Vec<T>>,
    /// Metrics of the slow tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub slow: Option<Vec<T>>,
}

/// Data of `skipped`: the client was too slow for some frames of a metric subscription.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Skipped {
    /// Of the subscription.
    pub tier: Tier,
    /// Frames that were replaced by newer ones before they could be sent.
    pub skipped: u32,
}

/// Data of `basic-metrics`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct BasicMetrics {
    /// Every component that the agent watches.
    pub components: Vec<Component>,
}

/// A component's state.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// The collector's name.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// Whether its last collect succeeded.
    pub up: bool,
    /// How long its last collect took, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Since when it has been up, or down.
    pub since: i64,
    /// How often its process was started again.
    #[cfg_attr(test, ts(type = "number"))]
    pub restarts: u64,
    /// Why it is down, or what was wrong last.
    pub error: Option<String>,
}

/// Answer of `/api/dashboard/metrics`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CurrentAnswer {
    /// When it was asked.
    pub at: i64,
    /// By topic.
    pub topics: BTreeMap<String, CurrentTopic>,
}

/// A topic's current values.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CurrentTopic {
    /// By collector.
    pub collectors: BTreeMap<String, CurrentCollector>,
}

/// A collector's current values.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CurrentCollector {
    /// Whether its last collect succeeded.
    pub up: bool,
    /// When that was.
    pub at: i64,
    /// By metric name.
    #[cfg_attr(test, ts(type = "Record<string, NamedSample[]>"))]
    pub metrics: indexmap::IndexMap<String, Vec<NamedSample>>,
}

/// Answer of `/healthz`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct HealthAnswer {
    /// `ok`, or `degraded` when a component is down.
    pub status: String,
    /// Version of the agent.
    pub version: String,
    /// How long the agent has been running.
    pub uptime_seconds: f64,
    /// Every component.
    pub components: Vec<Component>,
}
