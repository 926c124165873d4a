//! What a metric is, as its collector declared it.

use serde::{Deserialize, Serialize};

use crate::clock::Tier;

/// What a metric's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// A cumulative total; answers carry its rate per second.
    Counter,
}

/// What a metric's values count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A plain number.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// 0 to 1.
    Ratio,
    /// Hertz.
    Hertz,
    /// Degrees Celsius.
    Celsius,
    /// Packets.
    Packets,
    /// Operations.
    Operations,
    /// Always 1; the labels are the information.
    Info,
}

/// How a chart draws its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum ChartStyle {
    /// One line a series.
    Line,
    /// A filled line.
    Area,
    /// Areas on top of each other.
    Stacked,
    /// Not drawn; shown as a fact.
    None,
}

/// How the page shows a metric. Metrics of one topic with the same section and title share a chart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChartHint {
    /// Heading.
    pub section: String,
    /// Title of the chart.
    pub title: String,
    /// How it is drawn.
    pub style: ChartStyle,
    /// Whether the chart also stands on the Overview.
    pub overview: bool,
}

/// A metric as its collector declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Prometheus-style name with its base unit.
    pub name: String,
    /// One sentence for people.
    pub help: String,
    /// Topic of the collector that defined it first.
    pub topic: String,
    /// Plugin of the collector that defined it first.
    pub plugin: String,
    /// Gauge or counter.
    pub kind: Kind,
    /// Unit of a gauge's value and of a counter's total.
    pub unit: Unit,
    /// How often it is sampled.
    pub tier: Tier,
    /// Label names, in the order of each series' values.
    pub labels: Vec<String>,
    /// OpenTelemetry name, where one exists.
    pub otel: Option<String>,
    /// How the page shows it.
    pub chart: ChartHint,
}

#[cfg(test)]
impl Metric {
    /// A metric of the topic `system`, with what a test does not care about filled in.
    pub(crate) fn for_test(name: &str, kind: Kind, tier: Tier, labels: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            help: "Help.".to_owned(),
            topic: "system".to_owned(),
            plugin: "system".to_owned(),
            kind,
            unit: Unit::Count,
            tier,
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            otel: None,
            chart: ChartHint {
                section: "Section".to_owned(),
                title: "Title".to_owned(),
                style: ChartStyle::Line,
                overview: false,
            },
        }
    }
}
