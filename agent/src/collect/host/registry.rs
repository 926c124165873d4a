//! What a plugin declared: its metrics and series, and which series of the link each of them became. Pure.
//!
//! The plugin's ids are indices of these tables. A metric is one of the link and a series is one of the link,
//! but a histogram is three metrics, and each series of it one for each bucket and two more; their ids follow
//! each other. Declaring the same thing again gives the same id. Every number here is bounded.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::refusal::{Refusal, Why};
use crate::catalog::{
    BOUND_LABEL, ChartHint, ChartStyle, Kind, METRICS_MAX, NAME_BYTES_MAX, Unit, own,
};
use crate::collect::codec::LABELS_MAX;
use crate::collect::link::{MetricDefinition, ToAgent};
use crate::words;

/// Bounds of a histogram, as the header says.
pub(in crate::collect) const BOUNDS_MAX: usize = 64;
/// Series of a histogram besides its buckets: sum and count.
const TOTALS: u32 = 2;

/// A metric as the plugin gave it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::collect) struct Declaration {
    /// A histogram's kind is that of its parts, a counter.
    pub(in crate::collect) definition: MetricDefinition,
    /// Of a histogram; empty otherwise.
    pub(in crate::collect) bounds: Vec<f64>,
}

/// All metrics and series of one instance.
#[derive(Debug, Default)]
pub(in crate::collect) struct Registry {
    pub(super) series_max: usize,
    /// The plugin's: what the agent says of it is not the plugin's to say.
    pub(super) topic: String,
    metrics: Vec<Metric>,
    /// By the name that the plugin gave it.
    metric_ids: HashMap<String, u32>,
    /// Of the link.
    names: HashSet<String>,
    series: Vec<Series>,
    series_ids: HashMap<Arc<[u8]>, u32>,
    /// The label values that were looked up last; kept for its allocation.
    key: Vec<u8>,
    /// Series of the link that were declared, and those of them that live.
    declared: u32,
    live: usize,
    /// Series of the plugin that the limit kept out since the last tick.
    dropped: u32,
}

#[derive(Debug)]
struct Metric {
    declaration: Declaration,
    /// The link's id of the metric, or of a histogram's buckets.
    first: u32,
    /// A histogram's bounds as label values, the last bucket's included.
    bounds: Vec<String>,
}

#[derive(Debug)]
struct Series {
    metric: u32,
    /// The link's id of the series, or of a histogram's first bucket.
    first: u32,
    /// Its label values; none once it is retired.
    key: Option<Arc<[u8]>>,
}

/// Why a value of a series is not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::collect) enum Unfit {
    NeverGiven,
    Retired,
    NotFinite(f64),
    IsHistogram,
    NoHistogram,
    Buckets { given: usize, needed: usize },
}

impl Registry {
    /// Takes a metric; gives its id and adds what the agent has to know to `out`.
    pub(in crate::collect) fn metric(
        &mut self,
        declaration: Declaration,
        out: &mut Vec<ToAgent>,
    ) -> Result<u32, Refusal> {
        let name = &declaration.definition.name;
        if let Some(&known) = self.metric_ids.get(name) {
            if self.metrics[known as usize].declaration == declaration {
                return Ok(known);
            }
            return Err(Refusal::config(format!(
                "metric `{name}` is declared twice, and not alike"
            )));
        }
        check_declaration(&declaration)?;
        own::check(name, |topic| topic == self.topic)
            .map_err(|error| Refusal::config(error.to_string()))?;
        let parts = parts(&declaration);
        if let Some(taken) = parts.iter().find(|part| self.names.contains(&part.name)) {
            let taken = &taken.name;
            return Err(Refusal::config(format!(
                "metric `{name}` needs the name `{taken}`, which another metric has"
            )));
        }
        if self.names.len() + parts.len() > METRICS_MAX {
            return Err(Refusal::full(format!(
                "metric `{name}`: the limit of {METRICS_MAX} metrics is reached"
            )));
        }
        let id = id_of(self.metrics.len())?;
        let first = id_of(self.names.len())?;
        self.metric_ids.insert(name.clone(), id);
        let bounds = bound_labels(&declaration.bounds);
        self.metrics.push(Metric {
            declaration,
            first,
            bounds,
        });
        for part in parts {
            self.names.insert(part.name.clone());
            out.push(ToAgent::Metric(Box::new(part)));
        }
        Ok(id)
    }

    /// Takes a series; gives its id and adds what the agent has to know to `out`.
    pub(in crate::collect) fn series(
        &mut self,
        metric: u32,
        values: Vec<String>,
        out: &mut Vec<ToAgent>,
    ) -> Result<u32, Refusal> {
        let Some(known) = self.metrics.get(metric as usize) else {
            return Err(Refusal::never_given("metric", metric));
        };
        let definition = &known.declaration.definition;
        let name = &definition.name;
        if definition.labels.len() != values.len() {
            let given = words::count(values.len(), "label value", "label values");
            let needed = words::count(definition.labels.len(), "label", "labels");
            return Err(Refusal::config(format!(
                "a series of metric `{name}` has {given}, and the metric has {needed}"
            )));
        }
        write_key(&mut self.key, metric, &values);
        if let Some(&known) = self.series_ids.get(self.key.as_slice()) {
            return Ok(known);
        }
        let count = known.series_count();
        if self.live + count as usize > self.series_max {
            self.dropped = self.dropped.saturating_add(1);
            return Err(Refusal::limit(metric));
        }
        let id = id_of(self.series.len())?;
        let first = self.declared;
        let declared = first.checked_add(count);
        self.declared = declared.ok_or_else(|| Refusal::full("no series ids are left"))?;
        self.live += count as usize;
        known.announce(values, out);
        let key: Arc<[u8]> = self.key.as_slice().into();
        self.series_ids.insert(Arc::clone(&key), id);
        self.series.push(Series {
            metric,
            first,
            key: Some(key),
        });
        Ok(id)
    }

    /// How many series the limit kept out; counts anew from here.
    pub(super) fn take_dropped(&mut self) -> u32 {
        std::mem::take(&mut self.dropped)
    }

    /// Retires a series; adds what the agent has to know to `out`.
    pub(in crate::collect) fn retire(
        &mut self,
        id: u32,
        out: &mut Vec<ToAgent>,
    ) -> Result<(), Refusal> {
        let Some(series) = self.series.get_mut(id as usize) else {
            return Err(Refusal::never_given("series", id));
        };
        let Some(key) = series.key.take() else {
            let why = self.words(id, Unfit::Retired);
            return Err(Refusal::closed(why));
        };
        self.series_ids.remove(&key);
        let count = self.metrics[series.metric as usize].series_count();
        self.live -= count as usize;
        let ids = series.first..series.first + count;
        out.extend(ids.map(|series| ToAgent::Retire { series }));
        Ok(())
    }

    /// The link's series of a plain series.
    pub(in crate::collect) fn sample(&self, id: u32, value: f64) -> Result<(u32, f64), Unfit> {
        let (series, metric) = self.living(id)?;
        if !metric.bounds.is_empty() {
            return Err(Unfit::IsHistogram);
        }
        if !value.is_finite() {
            return Err(Unfit::NotFinite(value));
        }
        Ok((series.first, value))
    }

    /// The samples that a histogram's counts and sum become: cumulative buckets, sum and count.
    pub(in crate::collect) fn histogram(
        &self,
        id: u32,
        sum: f64,
        counts: &[u64],
    ) -> Result<impl Iterator<Item = (u32, f64)>, Unfit> {
        let (series, metric) = self.living(id)?;
        if metric.bounds.is_empty() {
            return Err(Unfit::NoHistogram);
        }
        let (given, needed) = (counts.len(), metric.bounds.len());
        if given != needed {
            return Err(Unfit::Buckets { given, needed });
        }
        if !sum.is_finite() {
            return Err(Unfit::NotFinite(sum));
        }
        let total = counts.iter().fold(0, |a: u64, b| a.saturating_add(*b));
        let buckets = counts.iter().scan(0_u64, |total, count| {
            *total = total.saturating_add(*count);
            Some(*total as f64)
        });
        Ok((series.first..).zip(buckets.chain([sum, total as f64])))
    }

    /// Why a value was not taken, with the names of what it was for.
    pub(in crate::collect) fn words(&self, id: u32, why: Unfit) -> String {
        let series = self.series.get(id as usize);
        let name = series.map_or("", |series| {
            let metric = &self.metrics[series.metric as usize];
            &metric.declaration.definition.name
        });
        match why {
            Unfit::NeverGiven => format!("series id {id} was never given"),
            Unfit::Retired => format!("series {id} of metric `{name}` is retired"),
            Unfit::NotFinite(value) => {
                format!("a value of metric `{name}` is {value}, which is not finite")
            }
            Unfit::IsHistogram => {
                format!("metric `{name}` is a histogram, which takes counts and no samples")
            }
            Unfit::NoHistogram => format!("metric `{name}` is no histogram"),
            Unfit::Buckets { given, needed } => {
                let given = words::count(given, "count", "counts");
                format!("histogram `{name}` got {given}, and has {needed} buckets")
            }
        }
    }

    /// The words of a refusal; none where it is no fault.
    pub(in crate::collect) fn words_of(&self, why: &Why) -> String {
        match why {
            Why::Fine => String::new(),
            Why::Words(words) => words.clone(),
            Why::Limit(metric) => {
                let (name, max) = (self.name(*metric), self.series_max);
                format!("a series of metric `{name}`: the limit of {max} series is reached")
            }
        }
    }

    /// The name of a metric, for messages.
    pub(in crate::collect) fn name(&self, metric: u32) -> &str {
        let metric = self.metrics.get(metric as usize);
        metric.map_or("", |metric| &metric.declaration.definition.name)
    }

    fn living(&self, id: u32) -> Result<(&Series, &Metric), Unfit> {
        let series = self.series.get(id as usize).ok_or(Unfit::NeverGiven)?;
        if series.key.is_none() {
            return Err(Unfit::Retired);
        }
        Ok((series, &self.metrics[series.metric as usize]))
    }
}

impl Metric {
    /// Series of the link that one of the plugin's is.
    fn series_count(&self) -> u32 {
        match u32::try_from(self.bounds.len()) {
            Ok(0) => 1,
            buckets => buckets.expect("the number of bounds was checked") + TOTALS,
        }
    }

    fn announce(&self, values: Vec<String>, out: &mut Vec<ToAgent>) {
        if self.bounds.is_empty() {
            out.push(ToAgent::Series {
                metric: self.first,
                values,
            });
            return;
        }
        for bound in &self.bounds {
            let mut values = values.clone();
            values.push(bound.clone());
            out.push(ToAgent::Series {
                metric: self.first,
                values,
            });
        }
        for metric in [self.first + 1, self.first + 2] {
            let values = values.clone();
            out.push(ToAgent::Series { metric, values });
        }
    }
}

fn check_declaration(declaration: &Declaration) -> Result<(), Refusal> {
    let MetricDefinition { name, labels, .. } = &declaration.definition;
    let shown: String = name.chars().take(64).collect();
    if !is_name(name) {
        return Err(Refusal::config(format!(
            "the metric name `{shown}` is not of the form [a-z][a-z0-9_]*"
        )));
    }
    for (at, label) in labels.iter().enumerate() {
        if !is_name(label) {
            let label: String = label.chars().take(64).collect();
            return Err(Refusal::config(format!(
                "metric `{shown}`: the label name `{label}` is not of the form [a-z][a-z0-9_]*"
            )));
        }
        if labels[..at].contains(label) {
            return Err(Refusal::config(format!(
                "metric `{shown}` has the label `{label}` twice"
            )));
        }
    }
    let bounds = &declaration.bounds;
    if bounds.is_empty() {
        return Ok(());
    }
    let wrong = if bounds.len() > BOUNDS_MAX {
        format!("has {} bounds; {BOUNDS_MAX} are allowed", bounds.len())
    } else if !bounds.iter().all(|bound| bound.is_finite()) {
        "has a bound that is not finite; the last bucket, without a bound, is not given".to_owned()
    } else if !bounds.is_sorted_by(|a, b| a < b) {
        "has bounds that don't ascend".to_owned()
    } else if labels.iter().any(|label| label == BOUND_LABEL) {
        "has the label `le`, which its buckets need".to_owned()
    } else if labels.len() == LABELS_MAX {
        format!("has {LABELS_MAX} labels, and its buckets need one more")
    } else if name.len() + "_bucket".len() > NAME_BYTES_MAX {
        "has a name that leaves no room for `_bucket`".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::config(format!("histogram `{shown}` {wrong}")))
}

/// The rule of the header, for metrics and labels.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The metrics of the link that a metric is.
fn parts(declaration: &Declaration) -> Vec<MetricDefinition> {
    let whole = &declaration.definition;
    if declaration.bounds.is_empty() {
        return vec![whole.clone()];
    }
    let part = |suffix: &str, unit: Unit| MetricDefinition {
        name: format!("{}_{suffix}", whole.name),
        kind: Kind::Counter,
        unit,
        ..whole.clone()
    };
    // The number of values is what a chart can draw of a histogram as it stands; the rest is for quantiles.
    let undrawn = |part: MetricDefinition| MetricDefinition {
        chart: ChartHint {
            style: ChartStyle::None,
            overview: false,
            ..part.chart
        },
        ..part
    };
    let mut bucket = undrawn(part("bucket", Unit::Count));
    bucket.labels.push(BOUND_LABEL.to_owned());
    let sum = undrawn(part("sum", whole.unit));
    vec![bucket, sum, part("count", Unit::Count)]
}

/// Label values of a histogram's buckets, none for another metric.
fn bound_labels(bounds: &[f64]) -> Vec<String> {
    if bounds.is_empty() {
        return Vec::new();
    }
    let bounds = bounds.iter().map(|&bound| Bound(bound).to_string());
    bounds.chain(["+Inf".to_owned()]).collect()
}

/// A bound as the shortest text that reads back as the same number.
struct Bound(f64);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Plain digits of the far ends of the range would be longer than a label may be.
        match self.0.abs() {
            0.0 => f.write_str("0"),
            1e-9..1e21 => write!(f, "{}", self.0),
            _ => write!(f, "{:e}", self.0),
        }
    }
}

/// Metric and label values in a form in which no two lists are alike.
fn write_key(key: &mut Vec<u8>, metric: u32, values: &[String]) {
    key.clear();
    key.extend_from_slice(&metric.to_le_bytes());
    for value in values {
        key.extend_from_slice(&value.len().to_le_bytes());
        key.extend_from_slice(value.as_bytes());
    }
}

fn id_of(index: usize) -> Result<u32, Refusal> {
    u32::try_from(index).map_err(|_| Refusal::full("no ids are left"))
}

#[cfg(test)]
mod tests;
