//! Types of alerts: `/api/dashboard/alerts` and the events of the channel `admin`.

use serde::{Deserialize, Serialize};

use super::Labels;

/// Where an alert stands. One that is inactive is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The threshold is crossed, but not yet for as long as the rule asks.
    Pending,
    /// The threshold has been crossed for long enough.
    Firing,
    /// It was firing and is over.
    Resolved,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The warning threshold is crossed.
    Warning,
    /// The critical threshold is crossed.
    Critical,
}

/// Which side of a threshold is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// Values greater than the threshold.
    Above,
    /// Values less than the threshold.
    Below,
}

/// One alert: a rule and a series. Data of `dashboard-alert` and `dashboard-alert-resolved`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct AlertInfo {
    /// The same for a rule and a series over restarts.
    pub id: String,
    /// Name of the rule.
    pub rule: String,
    /// Where it stands.
    pub state: AlertState,
    /// How bad it is; of a resolved one, how bad it was at its worst.
    pub severity: Severity,
    /// Name of the metric.
    pub metric: String,
    /// Collector of the series.
    pub collector: String,
    /// Labels of the series.
    #[cfg_attr(test, ts(type = "Record<string, string>"))]
    pub labels: Labels,
    /// What the rule's function last gave, in the metric's unit; `null` when there is no value.
    pub value: Option<f64>,
    /// The threshold of `severity`, in the metric's unit.
    pub threshold: f64,
    /// Which side of it is bad.
    pub comparison: Comparison,
    /// When the threshold was crossed.
    pub since: i64,
    /// When it began to fire.
    pub fired_at: Option<i64>,
    /// When it was over.
    pub resolved_at: Option<i64>,
    /// For people.
    pub message: String,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RuleInfo {
    /// Unique among rules.
    pub name: String,
    /// Name of the metric.
    pub metric: String,
    /// Labels that a series must have.
    #[cfg_attr(test, ts(type = "Record<string, string>"))]
    pub labels: Labels,
    /// `last`, `avg`, `min`, `max`, `rate` or `p95`.
    pub function: String,
    /// What the function looks at; 0 for `last`.
    pub window_ms: u32,
    /// Which side of a threshold is bad.
    pub comparison: Comparison,
    /// Threshold of a warning.
    pub warning: Option<f64>,
    /// Threshold of a critical alert.
    pub critical: Option<f64>,
    /// Where a firing alert is over; the lesser threshold unless configured.
    pub clear: f64,
    /// For how long the threshold has to be crossed.
    pub for_ms: u32,
    /// For people: why it does not watch anything yet. `null` when it does.
    pub waiting_for: Option<String>,
    /// It comes with the agent and is not in the configuration.
    pub builtin: bool,
}

/// Answer of `/api/dashboard/alerts`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AlertsAnswer {
    /// When it was asked.
    pub at: i64,
    /// Firing first, then pending, then those resolved within the last hour; newest first.
    pub alerts: Vec<AlertInfo>,
    /// Every rule.
    pub rules: Vec<RuleInfo>,
}
