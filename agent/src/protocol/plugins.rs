//! Types of `/api/dashboard/plugins`: every collector that runs a plugin, how it does and what went wrong.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Answer of `/api/dashboard/plugins`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PluginsAnswer {
    /// When it was asked.
    pub at: i64,
    /// In the order of the configuration.
    pub plugins: Vec<PluginInfo>,
}

/// Where a plugin stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum PluginPhase {
    /// It is being started.
    #[default]
    Starting,
    /// It is asked for samples at each tick.
    Running,
    /// It failed and is started again after a pause.
    Waiting,
    /// It failed so often that it is only probed now and then.
    Open,
    /// Its thread does not come back; nothing of it is used any more.
    Stuck,
    /// Its library can't be loaded as it is; a reload looks again.
    Refused,
}

/// One collector of a plugin.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PluginInfo {
    /// The collector's name.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Topic of its metrics.
    pub topic: String,
    /// Version that the plugin said; null before its first start.
    pub version: Option<String>,
    /// `process` or `thread`.
    pub isolation: String,
    /// Where it stands.
    pub phase: PluginPhase,
    /// Since when, Unix milliseconds.
    pub since: i64,
    /// When the next start is due, in the phases `waiting` and `open`.
    pub next_start_at: Option<i64>,
    /// Its process; null where it has none.
    pub pid: Option<u32>,
    /// Path of its library, as configured or found.
    pub library: String,
    /// SHA-256 of the copy that is loaded; empty if there is none.
    pub sha256: String,
    /// How often it is asked, in milliseconds.
    #[cfg_attr(test, ts(type = "number"))]
    pub interval_ms: u64,
    /// How long a collect may take, in milliseconds.
    #[cfg_attr(test, ts(type = "number"))]
    pub timeout_ms: u64,
    /// How long the last collect took, in milliseconds.
    pub collect_ms: Option<f64>,
    /// Series of the plugin that live.
    #[cfg_attr(test, ts(type = "number"))]
    pub series: u64,
    /// Series that may live.
    #[cfg_attr(test, ts(type = "number"))]
    pub series_max: u64,
    /// How often a series was refused by that bound.
    #[cfg_attr(test, ts(type = "number"))]
    pub series_dropped: u64,
    /// Samples, definitions and events that were refused, those series included.
    #[cfg_attr(test, ts(type = "number"))]
    pub refused: u64,
    /// Events that were stored.
    #[cfg_attr(test, ts(type = "number"))]
    pub events_stored: u64,
    /// Resident memory of its process and of what that has started.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub rss_bytes: Option<u64>,
    /// Resident memory above which it is started anew.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub rss_max_bytes: Option<u64>,
    /// Collects that failed at their deadline.
    #[cfg_attr(test, ts(type = "number"))]
    pub deadlines_missed: u64,
    /// Ticks that went by while it was still busy.
    #[cfg_attr(test, ts(type = "number"))]
    pub ticks_missed: u64,
    /// How often it was started again, by reason.
    #[cfg_attr(test, ts(type = "Record<string, number>"))]
    pub restarts: BTreeMap<String, u64>,
    /// What is wrong now; null if nothing is.
    pub error: Option<String>,
    /// What went wrong lately, the newest first, at most 16.
    pub faults: Vec<PluginFault>,
    /// How the last change of its library or configuration went; null before the first.
    pub reload: Option<PluginReload>,
}

/// Something that went wrong.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PluginFault {
    /// When, Unix milliseconds.
    pub at: i64,
    /// The label `reason` of `barograph_plugin_restarts_total`, or `refused` where it was not started again.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// How a change went.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PluginReload {
    /// When, Unix milliseconds.
    pub at: i64,
    /// `applied` by the running instance, `switched` to a new one, or `refused`: the old one goes on.
    pub outcome: String,
    /// Why it was refused; null otherwise.
    pub reason: Option<String>,
}

/// Answer of `/api/dashboard/plugins/events`. The agent writes it from events as they are stored.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PluginEventsAnswer {
    /// When it was asked.
    pub at: i64,
    /// Of all collectors, or the one asked for; the newest first.
    pub events: Vec<PluginEventInfo>,
}

/// Something that a plugin said had happened. Data of `plugin-event` on the channel `admin`.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PluginEventInfo {
    /// The collector's name.
    pub collector: String,
    /// Counts up by one for each event of a collector, also over restarts.
    #[cfg_attr(test, ts(type = "number"))]
    pub id: u64,
    /// When it happened, Unix milliseconds.
    pub at: i64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// What happened.
    pub name: String,
    /// The particulars, an object.
    #[cfg_attr(test, ts(type = "Record<string, unknown>"))]
    pub data: Value,
}
