//! Metrics and series: names to ids and back, their kinds, units and labels, and the caps on their number.
//!
//! Collectors' links define into it, everything downstream reads from it. Ids are given in order and
//! never reused while the agent runs. It holds no values; those travel in batches and the latest of them
//! stand in [`crate::current`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, RwLock, RwLockReadGuard};

mod error;
mod metric;
pub mod own;
mod redefinition;

pub use error::CatalogError;
pub use metric::{ChartHint, ChartStyle, Kind, Metric, Unit};

/// Series that one collector may have, unless configured otherwise.
pub const SERIES_MAX: usize = 2_000;
/// Series that a collector may declare while the agent runs, as a multiple of those that may live at a time:
/// labels that churn faster hold ids, and each costs a few bytes for good.
pub const SERIES_EVER_FACTOR: usize = 500;
/// Metrics that one collector may define.
pub const METRICS_MAX: usize = 500;
/// Bytes of a name or a label value.
pub const NAME_BYTES_MAX: usize = 256;
/// The label of a histogram's buckets: their upper bound.
pub const BOUND_LABEL: &str = "le";

/// Position of a metric in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId(pub u32);

/// Position of a series in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u32);

/// Position of a collector (a plugin's instance) in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectorId(pub u32);

/// One series of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its metric.
    pub metric: MetricId,
    /// The collector that samples it.
    pub collector: CollectorId,
    /// Label values, parallel to [`Metric::labels`].
    pub values: Vec<String>,
    /// It will not come again, unless it is defined again.
    pub retired: bool,
    /// The agent says it of the collector.
    pub own: bool,
}

/// A plugin's instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Unique among collectors: the plugin's name, or the configured instance's.
    pub name: String,
    /// Name of its plugin; `agent` for the agent itself.
    pub plugin: String,
    /// Topic that its metrics are streamed under.
    pub topic: String,
    /// Series that it may have.
    pub series_max: usize,
    /// Series that are not retired.
    pub series_live: usize,
    /// Those of them that the agent says of it.
    pub series_own: usize,
    /// Series that it ever declared.
    pub series_ever: usize,
    /// Definitions that were refused by a cap here; a plugin's host refuses most of them before.
    pub series_dropped: u64,
    /// Grows with each change to its metrics or series.
    pub revision: u64,
}

impl Collector {
    /// Live series that count against its cap.
    pub const fn series_capped(&self) -> usize {
        self.series_live - self.series_own
    }
}

/// Who defines a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Plugin,
    Agent,
}

impl Whose {
    /// A name that somebody else has.
    fn refusal(self, error: CatalogError) -> CatalogError {
        match (self, error) {
            (Self::Agent, CatalogError::Conflict { name, plugin }) => {
                CatalogError::Held { name, plugin }
            }
            (_, error) => error,
        }
    }
}

/// Everything that was defined so far.
#[derive(Debug, Default)]
pub struct Tables {
    metrics: Vec<Metric>,
    series: Vec<Series>,
    collectors: Vec<Collector>,
    metric_ids: HashMap<String, MetricId>,
    /// Topics that collectors have, had or are about to have: what the agent says of them is nobody else's.
    topics: HashSet<String>,
    series_ids: HashMap<(MetricId, CollectorId, Vec<String>), SeriesId>,
    /// For each collector its retired series that are remembered, oldest first.
    retired: HashMap<CollectorId, VecDeque<SeriesId>>,
}

/// Cloneable handle; definitions are rare and short, so a plain lock serves.
#[derive(Clone, Debug, Default)]
pub struct Catalog(Arc<RwLock<Tables>>);

impl Tables {
    /// The metric with this id.
    pub fn metric(&self, id: MetricId) -> &Metric {
        &self.metrics[id.0 as usize]
    }

    /// The series with this id.
    pub fn series(&self, id: SeriesId) -> &Series {
        &self.series[id.0 as usize]
    }

    /// The collector with this id.
    pub fn collector(&self, id: CollectorId) -> &Collector {
        &self.collectors[id.0 as usize]
    }

    /// All collectors, in the order in which they were registered.
    pub fn collectors(&self) -> impl Iterator<Item = (CollectorId, &Collector)> {
        (0..).map(CollectorId).zip(&self.collectors)
    }

    /// All metrics, in the order in which they were defined.
    pub fn metrics(&self) -> impl Iterator<Item = (MetricId, &Metric)> {
        (0..).map(MetricId).zip(&self.metrics)
    }

    /// All series, retired ones included, in the order in which they were defined.
    pub fn all_series(&self) -> impl Iterator<Item = (SeriesId, &Series)> {
        (0..).map(SeriesId).zip(&self.series)
    }

    /// Gives up the labels of a series that is still retired.
    fn forget(&mut self, id: SeriesId) {
        let series = &mut self.series[id.0 as usize];
        if series.retired {
            let values = std::mem::take(&mut series.values);
            self.series_ids
                .remove(&(series.metric, series.collector, values));
        }
    }

    /// The metric's label names with the series' values.
    pub fn labels(&self, id: SeriesId) -> impl Iterator<Item = (&str, &str)> {
        let series = self.series(id);
        let names = &self.metric(series.metric).labels;
        names
            .iter()
            .map(String::as_str)
            .zip(series.values.iter().map(String::as_str))
    }
}

impl Catalog {
    /// A view of everything; hold it shortly and never across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Tables> {
        self.0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps what the agent says of a topic's collectors from plugins, before any of them is registered.
    pub fn reserve(&self, topic: &str) {
        self.write().topics.insert(topic.to_owned());
    }

    /// Adds a collector, or finds the same one, which then has this cap. A name that now belongs to another
    /// plugin or topic is another collector.
    pub fn register(
        &self,
        name: &str,
        plugin: &str,
        topic: &str,
        series_max: usize,
    ) -> CollectorId {
        let mut tables = self.write();
        tables.topics.insert(topic.to_owned());
        let found = tables.collectors.iter_mut().position(|known| {
            let same = known.name == name && known.plugin == plugin && known.topic == topic;
            if same {
                known.series_max = series_max;
            }
            same
        });
        if let Some(at) = found {
            return CollectorId(id_of(at + 1));
        }
        tables.collectors.push(Collector {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            topic: topic.to_owned(),
            series_max,
            series_live: 0,
            series_own: 0,
            series_ever: 0,
            series_dropped: 0,
            revision: 0,
        });
        CollectorId(id_of(tables.collectors.len()))
    }

    /// Defines a metric of a plugin, or finds the equal one that is there. Help, tier and chart of the first stay.
    /// Another one of the same plugin takes its place once all of its series are retired.
    pub fn define_metric(
        &self,
        collector: CollectorId,
        metric: Metric,
    ) -> Result<MetricId, CatalogError> {
        self.add_metric(collector, metric, Whose::Plugin)
    }

    /// As [`Catalog::define_metric`], for what the agent itself says: its names are no plugin's, and the cap is not
    /// its.
    pub fn define_own_metric(
        &self,
        collector: CollectorId,
        metric: Metric,
    ) -> Result<MetricId, CatalogError> {
        self.add_metric(collector, metric, Whose::Agent)
    }

    fn add_metric(
        &self,
        collector: CollectorId,
        metric: Metric,
        whose: Whose,
    ) -> Result<MetricId, CatalogError> {
        check_name("metric", &metric.name)?;
        for (at, label) in metric.labels.iter().enumerate() {
            check_name("label", label)?;
            if metric.labels[..at].contains(label) {
                let (name, label) = (metric.name, label.clone());
                return Err(CatalogError::DoubleLabel { name, label });
            }
        }
        let mut tables = self.write();
        if whose == Whose::Plugin {
            own::check(&metric.name, |topic| tables.topics.contains(topic))?;
        }
        if let Some(&id) = tables.metric_ids.get(&metric.name) {
            let again = tables.define_again(id, metric);
            if again.map_err(|error| whose.refusal(error))? {
                tables.collectors[collector.0 as usize].revision += 1;
            }
            return Ok(id);
        }
        let count = tables
            .metrics
            .iter()
            .filter(|known| known.plugin == metric.plugin)
            .count();
        let owner = &mut tables.collectors[collector.0 as usize];
        if whose == Whose::Plugin && count >= METRICS_MAX {
            let collector = owner.name.clone();
            return Err(CatalogError::Full {
                collector,
                what: "metrics",
                max: METRICS_MAX,
            });
        }
        owner.revision += 1;
        tables.metrics.push(metric);
        let id = MetricId(id_of(tables.metrics.len()));
        let name = tables.metric(id).name.clone();
        tables.metric_ids.insert(name, id);
        Ok(id)
    }

    /// Defines a series, or finds the one that is there (and revives it if it was retired).
    pub fn define_series(
        &self,
        collector: CollectorId,
        metric: MetricId,
        values: Vec<String>,
    ) -> Result<SeriesId, CatalogError> {
        self.define(collector, metric, values, false)
    }

    /// As [`Catalog::define_series`], for what the agent itself says of a collector: the cap is not its.
    pub fn define_own_series(
        &self,
        collector: CollectorId,
        metric: MetricId,
        values: Vec<String>,
    ) -> Result<SeriesId, CatalogError> {
        self.define(collector, metric, values, true)
    }

    fn define(
        &self,
        collector: CollectorId,
        metric: MetricId,
        values: Vec<String>,
        own: bool,
    ) -> Result<SeriesId, CatalogError> {
        let mut tables = self.write();
        let Some(known) = tables.metrics.get(metric.0 as usize) else {
            return Err(CatalogError::UnknownId {
                what: "metric",
                id: metric.0,
            });
        };
        if values.len() != known.labels.len() || values.iter().any(|v| v.len() > NAME_BYTES_MAX) {
            let (name, expected) = (known.name.clone(), known.labels.len());
            return Err(CatalogError::BadLabels { name, expected });
        }
        let key = (metric, collector, values);
        let found = tables.series_ids.get(&key).copied();
        if let Some(id) = found
            && !tables.series(id).retired
        {
            return Ok(id);
        }
        let owner = &mut tables.collectors[collector.0 as usize];
        if !own && owner.series_capped() >= owner.series_max {
            owner.series_dropped += 1;
            let (collector, max) = (owner.name.clone(), owner.series_max);
            return Err(CatalogError::Full {
                collector,
                what: "series",
                max,
            });
        }
        let ever_max = owner.series_max.saturating_mul(SERIES_EVER_FACTOR);
        if !own && found.is_none() && owner.series_ever >= ever_max {
            owner.series_dropped += 1;
            return Err(CatalogError::Full {
                collector: owner.name.clone(),
                what: "series ever declared (do its labels hold ids?)",
                max: ever_max,
            });
        }
        owner.series_live += 1;
        owner.series_own += usize::from(own);
        owner.series_ever += usize::from(!own && found.is_none());
        owner.revision += 1;
        if let Some(id) = found {
            let series = &mut tables.series[id.0 as usize];
            (series.retired, series.own) = (false, own);
            return Ok(id);
        }
        let values = key.2.clone();
        tables.series.push(Series {
            metric,
            collector,
            values,
            retired: false,
            own,
        });
        let id = SeriesId(id_of(tables.series.len()));
        tables.series_ids.insert(key, id);
        Ok(id)
    }

    /// Marks a series as one that will not come again. As many retired series are remembered by their labels
    /// as may live; of older ones only the id stays taken, so that churning labels cost next to nothing.
    pub fn retire(&self, id: SeriesId) {
        let mut tables = self.write();
        let series = &mut tables.series[id.0 as usize];
        if std::mem::replace(&mut series.retired, true) {
            return;
        }
        let (owner, own) = (series.collector, series.own);
        let collector = &mut tables.collectors[owner.0 as usize];
        collector.series_live -= 1;
        collector.series_own -= usize::from(own);
        collector.revision += 1;
        let max = collector.series_max;
        let retired = tables.retired.entry(owner).or_default();
        retired.push_back(id);
        if retired.len() > max
            && let Some(oldest) = retired.pop_front()
        {
            tables.forget(oldest);
        }
    }
}

/// The id of the last element of a table that has `len` of them.
fn id_of(len: usize) -> u32 {
    u32::try_from(len - 1).expect("the caps keep every table far below four billion")
}

fn check_name(what: &'static str, name: &str) -> Result<(), CatalogError> {
    let mut bytes = name.bytes();
    let head = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    let tail = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if head && tail && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(CatalogError::BadName {
        what,
        name: name.chars().take(64).collect(),
    })
}

#[cfg(test)]
mod tests;
