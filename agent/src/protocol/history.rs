//! Types of `/api/dashboard/metrics/history`.

use serde::{Deserialize, Serialize};

use super::Labels;
use crate::catalog::{Kind, Unit};

/// What a point of history says of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    /// Least, mean and greatest value; of a counter, those of its rate per second.
    #[default]
    Envelope,
    /// Mean; of a counter, its rate per second.
    Avg,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// The last value; of a counter, its total. Out of rollups it is the last mean, and `null` for counters.
    Last,
    /// A counter's rate per second, resets taken out.
    Rate,
    /// What a counter grew by, resets taken out.
    Increase,
    /// Median over time, from a histogram's buckets.
    P50,
    /// 90th percentile over time, from a histogram's buckets.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
}

/// What points were made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Resolution {
    /// Every sample.
    Raw,
    /// Rollups of a minute, and samples where there are none yet.
    Minute,
    /// Rollups of an hour, and finer ones where there are none yet.
    Hour,
}

/// Answer of `/api/dashboard/metrics/history`. It is written as it is read: the fields come in this order.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HistoryAnswer {
    /// Start of the first point, a whole multiple of `step`.
    pub from: i64,
    /// End of the last point.
    pub to: i64,
    /// Width of a point. Point `i` covers `from + i * step` up to, without, `from + (i + 1) * step`.
    pub step: i64,
    /// What the points were made from.
    pub resolution: Resolution,
    /// What the points say.
    pub agg: Aggregation,
    /// Every series that matched and has a sample in the range, or was asked for by name.
    pub series: Vec<HistorySeries>,
    /// True when everything that was asked for is there.
    pub complete: bool,
    /// Why it is not: a limit, or hours that were damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub stopped: Option<String>,
}

/// One series of a [`HistoryAnswer`]: arrays with one entry a point, `null` where there is a gap.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HistorySeries {
    /// Name of the metric.
    pub metric: String,
    /// Gauge or counter.
    pub kind: Kind,
    /// Unit of a gauge's value and of a counter's total.
    pub unit: Unit,
    /// Its collector.
    pub collector: String,
    /// Its labels.
    #[cfg_attr(test, ts(type = "Record<string, string>"))]
    pub labels: Labels,
    /// With `agg` envelope: least of each point.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub min: Option<Vec<Option<f64>>>,
    /// With `agg` envelope: mean of each point.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub avg: Option<Vec<Option<f64>>>,
    /// With `agg` envelope: greatest of each point.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub max: Option<Vec<Option<f64>>>,
    /// With every other `agg`: its value for each point.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub values: Option<Vec<Option<f64>>>,
}
