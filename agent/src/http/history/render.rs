//! Writes a [`HistoryAnswer`](crate::protocol::HistoryAnswer) as it is read, series by series. Pure.

use bytes::Bytes;
use serde::Serialize;

use crate::catalog::{Kind, Unit};
use crate::protocol::{Aggregation, Labels, Resolution};
use crate::store::query::{Plan, Row};
use crate::store::registry::StoredSeries;

/// What is written but not taken yet.
#[derive(Debug)]
pub(super) struct Rendering {
    bytes: Vec<u8>,
    envelope: bool,
    first: bool,
}

/// The fields before the series.
#[derive(Serialize)]
struct Head {
    from: i64,
    to: i64,
    step: i64,
    resolution: Resolution,
    agg: Aggregation,
}

/// A series; NaN is written as `null`.
#[derive(Serialize)]
struct Series<'a> {
    metric: &'a str,
    kind: Kind,
    unit: Unit,
    collector: &'a str,
    labels: &'a Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<&'a [f64]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avg: Option<&'a [f64]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<&'a [f64]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'a [f64]>,
}

impl Rendering {
    /// Writes everything before the first series.
    pub(super) fn begin(plan: &Plan, aggregation: Aggregation) -> Self {
        let mut rendering = Self {
            bytes: Vec::new(),
            envelope: aggregation == Aggregation::Envelope,
            first: true,
        };
        rendering.json(&Head {
            from: plan.from_ms,
            to: plan.to_ms,
            step: plan.step_ms,
            resolution: plan.resolution,
            agg: aggregation,
        });
        // The object goes on.
        rendering.bytes.pop();
        rendering.bytes.extend_from_slice(b",\"series\":[");
        rendering
    }

    /// Writes a series.
    pub(super) fn series(&mut self, series: &StoredSeries, row: &Row) {
        if !std::mem::take(&mut self.first) {
            self.bytes.push(b',');
        }
        let envelope = |values| self.envelope.then_some(values);
        self.json(&Series {
            metric: &series.metric,
            kind: series.kind,
            unit: series.unit,
            collector: &series.collector,
            labels: &series.labels,
            min: envelope(&row.min[..]),
            avg: envelope(&row.value),
            max: envelope(&row.max),
            values: (!self.envelope).then_some(&row.value),
        });
    }

    /// Writes what comes after the last series; `stopped` says why it is not all.
    pub(super) fn end(&mut self, stopped: Option<&str>) {
        self.bytes.extend_from_slice(b"],\"complete\":");
        self.json(&stopped.is_none());
        if let Some(stopped) = stopped {
            self.bytes.extend_from_slice(b",\"stopped\":");
            self.json(&stopped);
        }
        self.bytes.push(b'}');
    }

    /// Bytes that are not taken yet.
    pub(super) const fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes them.
    pub(super) fn take(&mut self) -> Bytes {
        let capacity = self.bytes.len();
        std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity)).into()
    }

    fn json(&mut self, value: &impl Serialize) {
        serde_json::to_writer(&mut self.bytes, value)
            .expect("wire types have string keys and a vector takes every byte");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Tier;
    use crate::protocol::{HistoryAnswer, HistorySeries};

    fn stored(metric: &str) -> StoredSeries {
        let labels = [("disk".to_owned(), "\"a\"\n".to_owned())];
        StoredSeries {
            id: 1,
            metric: metric.to_owned(),
            kind: Kind::Counter,
            unit: Unit::Bytes,
            tier: Tier::Fast,
            topic: "system".to_owned(),
            collector: "main".to_owned(),
            labels: labels.into_iter().collect(),
            last_day: 0,
        }
    }

    fn wire(values: &[f64]) -> Vec<Option<f64>> {
        values
            .iter()
            .map(|value| value.is_finite().then_some(*value))
            .collect()
    }

    #[test]
    fn it_is_the_same_as_the_protocols_type() {
        for (aggregation, stopped) in [
            (Aggregation::Envelope, None),
            (Aggregation::P95, Some("10 s were \"up\"")),
        ] {
            let plan = Plan {
                from_ms: 10_000,
                to_ms: 13_000,
                step_ms: 1_000,
                resolution: Resolution::Raw,
                series: Vec::new(),
                by_name: false,
            };
            let row = Row {
                min: vec![-0.0, 1e300, f64::NAN],
                value: vec![0.1, f64::INFINITY, f64::NAN],
                max: vec![5e-324, 2.0, f64::NAN],
            };
            let envelope = aggregation == Aggregation::Envelope;
            let one = |name: &str| HistorySeries {
                metric: name.to_owned(),
                kind: Kind::Counter,
                unit: Unit::Bytes,
                collector: "main".to_owned(),
                labels: stored(name).labels,
                min: envelope.then(|| wire(&row.min)),
                avg: envelope.then(|| wire(&row.value)),
                max: envelope.then(|| wire(&row.max)),
                values: (!envelope).then(|| wire(&row.value)),
            };
            for names in [&[][..], &["a"], &["a", "b"]] {
                let answer = HistoryAnswer {
                    from: 10_000,
                    to: 13_000,
                    step: 1_000,
                    resolution: Resolution::Raw,
                    agg: aggregation,
                    series: names.iter().map(|name| one(name)).collect(),
                    complete: stopped.is_none(),
                    stopped: stopped.map(str::to_owned),
                };
                let mut rendering = Rendering::begin(&plan, aggregation);
                let mut text = Vec::new();
                for name in names {
                    rendering.series(&stored(name), &row);
                    text.extend_from_slice(&rendering.take());
                }
                rendering.end(stopped);
                text.extend_from_slice(&rendering.take());
                let expected = serde_json::to_string(&answer).unwrap();
                assert_eq!(String::from_utf8(text).unwrap(), expected);
            }
        }
    }
}
