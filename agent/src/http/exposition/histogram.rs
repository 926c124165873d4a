//! Histograms in the text: three metrics of the catalog that are one family to a reader. Pure.
//!
//! `NAME_bucket`, `NAME_sum` and `NAME_count` are counters in the catalog, as the plugin host declares them. They
//! are told by their names and labels, so a collector that declares three such counters by itself has a histogram
//! too. For each set of labels come the buckets by ascending bound, then sum and count, as the format wants them.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{Present, render_head, render_labels, render_value};
use crate::catalog::{BOUND_LABEL, CollectorId, Kind, Metric, MetricId, Tables};

/// The metrics of one histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family<'a> {
    name: &'a str,
    pub(super) bucket: MetricId,
    pub(super) sum: MetricId,
    pub(super) count: MetricId,
}

/// By each of its metrics the family that it belongs to.
#[derive(Debug, Default)]
pub(super) struct Families<'a>(HashMap<MetricId, Family<'a>>);

/// The values that have the same labels but for the bound.
#[derive(Debug, Default)]
struct Set {
    buckets: Vec<(f64, Present)>,
    sum: Option<Present>,
    count: Option<Present>,
}

impl<'a> Families<'a> {
    /// Those of all metrics.
    pub(super) fn of(tables: &'a Tables) -> Self {
        let is_bucket = |metric: &Metric| {
            metric.name.ends_with("_bucket")
                && metric
                    .labels
                    .last()
                    .is_some_and(|label| label == BOUND_LABEL)
        };
        if !tables.metrics().any(|(_, metric)| is_bucket(metric)) {
            return Self::default();
        }
        let ids: HashMap<&str, MetricId> = tables
            .metrics()
            .map(|(id, metric)| (metric.name.as_str(), id))
            .collect();
        let mut families = HashMap::new();
        for (bucket, metric) in tables.metrics().filter(|(_, metric)| is_bucket(metric)) {
            let name = metric.name.strip_suffix("_bucket").unwrap_or_default();
            let labels = &metric.labels[..metric.labels.len() - 1];
            let counter = |id: MetricId, labels: &[String]| {
                let metric = tables.metric(id);
                metric.kind == Kind::Counter && metric.labels == labels
            };
            let total = |suffix: &str| {
                let id = *ids.get(format!("{name}_{suffix}").as_str())?;
                counter(id, labels).then_some(id)
            };
            // A metric of the family's own name would give it two types.
            if let (Some(sum), Some(count), None) = (total("sum"), total("count"), ids.get(name))
                && metric.kind == Kind::Counter
            {
                let family = Family {
                    name,
                    bucket,
                    sum,
                    count,
                };
                families.extend([bucket, sum, count].map(|part| (part, family)));
            }
        }
        Self(families)
    }

    /// The histogram that a metric is part of.
    pub(super) fn with(&self, metric: MetricId) -> Option<Family<'a>> {
        self.0.get(&metric).copied()
    }
}

impl Family<'_> {
    /// Appends the family; each slice has the present values of its metric.
    pub(super) fn render(
        &self,
        out: &mut String,
        tables: &Tables,
        buckets: &[Present],
        sums: &[Present],
        counts: &[Present],
    ) {
        let mut sets: IndexMap<(CollectorId, &[String]), Set> = IndexMap::new();
        for bucket in buckets {
            let series = tables.series(bucket.series);
            if let Some((bound, values)) = series.values.split_last() {
                // A label that is no number is no bound; it stands last and is the reader's to judge.
                let bound = bound.parse().unwrap_or(f64::NAN);
                let set = sets.entry((series.collector, values)).or_default();
                set.buckets.push((bound, *bucket));
            }
        }
        for (totals, is_sum) in [(sums, true), (counts, false)] {
            for total in totals {
                let series = tables.series(total.series);
                let set = sets.entry((series.collector, &series.values)).or_default();
                let place = if is_sum { &mut set.sum } else { &mut set.count };
                *place = Some(*total);
            }
        }
        render_head(
            out,
            self.name,
            &tables.metric(self.bucket).help,
            "histogram",
        );
        for mut set in sets.into_values() {
            set.buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let buckets = set.buckets.iter().map(|(_, bucket)| bucket);
            for value in buckets.chain(&set.sum).chain(&set.count) {
                out.push_str(&tables.metric(value.metric).name);
                render_labels(out, tables, value.series);
                render_value(out, value.value);
            }
        }
    }
}
