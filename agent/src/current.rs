//! The latest value of each series, and every counter's rate per second.
//!
//! The hub's task applies each batch; the HTTP server reads. It holds the present only: a series is stale
//! from the moment that its collector failed, or that a sample of it was due and did not come, and has no
//! value until the next one. A counter has no rate after its first sample, a reset or a stale gap.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use indexmap::IndexMap;

use tokio::time::Instant;

use crate::bus::{Batch, Sample};
use crate::catalog::{Catalog, Collector, CollectorId, Kind, MetricId, SeriesId, Tables};
use crate::clock::Tier;
use crate::protocol::{CurrentAnswer, CurrentCollector, CurrentTopic, Labels, NamedSample};

/// Cloneable handle. A plain lock serves: there is one writer, a few times a second.
#[derive(Clone, Debug)]
pub struct Current {
    catalog: Catalog,
    state: Arc<RwLock<State>>,
}

/// A consistent view of all values; hold it shortly and never across an await. Who also needs the catalog
/// takes that first, as everybody does, or two readers and two writers could wait for each other in a ring.
#[derive(Debug)]
pub struct View<'a>(RwLockReadGuard<'a, State>);

/// The last sample of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latest {
    /// In the metric's unit; a counter's total.
    pub value: f64,
    /// A counter's rate per second, where it has one.
    pub rate: Option<f64>,
    /// When it was taken, Unix milliseconds.
    pub at_ms: i64,
    /// The same on the monotonic clock.
    at: Instant,
    /// It no longer says anything about the present.
    pub stale: bool,
    /// Number of the batch that brought it.
    batch: u64,
}

/// What is known of a collector since its first batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorNow {
    /// Whether its last collect succeeded.
    pub up: bool,
    /// When that was, Unix milliseconds.
    pub at_ms: i64,
    /// How long it took.
    pub took: Duration,
}

/// What a batch changed beyond the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The collector was up, or unknown, and is down now.
    pub failed: bool,
}

#[derive(Debug, Default)]
struct State {
    /// By series id.
    series: Vec<Option<Latest>>,
    /// By collector id.
    collectors: Vec<Watched>,
    batches: u64,
}

/// A collector with what has to be known of its series at each batch, so that the catalog need not be asked.
#[derive(Debug, Default)]
struct Watched {
    now: Option<CollectorNow>,
    /// The catalog's revision that `members` were read from.
    revision: Option<u64>,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    series: SeriesId,
    tier: Tier,
}

impl Current {
    /// Nothing is known yet.
    pub fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            state: Arc::default(),
        }
    }

    /// Takes in a batch. Only the hub's task calls this.
    pub fn apply(&self, batch: &Batch) -> Applied {
        let tables = self.catalog.read();
        let mut state = self.write();
        let state = &mut *state;
        state.refresh(batch.collector, &tables);
        state.batches += 1;
        for sample in &batch.samples {
            state.sample(batch.at_ms, batch.at, sample, &tables);
        }
        let watched = &mut state.collectors[batch.collector.0 as usize];
        for member in &watched.members {
            let due = !batch.up || batch.due.contains(member.tier);
            if let Some(latest) = &mut state.series[member.series.0 as usize]
                && due
                && latest.batch != state.batches
            {
                latest.stale = true;
                latest.rate = None;
            }
        }
        let was_up = watched.now.is_none_or(|now| now.up);
        watched.now = Some(CollectorNow {
            up: batch.up,
            at_ms: batch.at_ms,
            took: batch.took,
        });
        Applied {
            failed: was_up && !batch.up,
        }
    }

    /// A view of everything.
    pub fn read(&self) -> View<'_> {
        View(self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the series has no present value, which is also so before its first sample.
    pub fn stale(&self, series: SeriesId) -> bool {
        self.read().latest(series).is_none_or(|latest| latest.stale)
    }

    /// The answer of `/api/dashboard/metrics`: every topic, or the one asked for, with those collectors that
    /// have delivered. An unknown topic is not in the answer.
    pub fn answer(&self, topic: Option<&str>, now_ms: i64) -> CurrentAnswer {
        let tables = self.catalog.read();
        let view = self.read();
        // One without any series was taken out of the configuration: each has that of its `up` at least.
        let mut collectors: Vec<Option<CurrentCollector>> = tables
            .collectors()
            .map(|(id, known)| {
                view.collector(id)
                    .filter(|_| known.series_live > 0)
                    .map(CollectorNow::answer)
            })
            .collect();
        for (id, series) in by_metric(&tables) {
            let owner = &mut collectors[tables.series(series).collector.0 as usize];
            if let (Some(owner), Some(latest)) = (owner, view.latest(series)) {
                let metric = tables.metric(id);
                let sample = named(latest, metric.kind, labels(&tables, series));
                owner
                    .metrics
                    .entry(metric.name.clone())
                    .or_default()
                    .push(sample);
            }
        }
        let mut topics = BTreeMap::<String, CurrentTopic>::new();
        let wanted = |known: &Collector| topic.is_none_or(|topic| topic == known.topic);
        for ((_, known), now) in tables
            .collectors()
            .zip(collectors)
            .filter(|((_, known), _)| wanted(known))
        {
            let topic = topics.entry(known.topic.clone()).or_default();
            if let Some(now) = now {
                topic.collectors.insert(known.name.clone(), now);
            }
        }
        CurrentAnswer { at: now_ms, topics }
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View<'_> {
    /// The last sample of a series; `None` before the first and once the series is retired.
    pub fn latest(&self, series: SeriesId) -> Option<&Latest> {
        self.0.series.get(series.0 as usize)?.as_ref()
    }

    /// The state of a collector; `None` before its first batch.
    pub fn collector(&self, id: CollectorId) -> Option<CollectorNow> {
        self.0.collectors.get(id.0 as usize)?.now
    }
}

impl CollectorNow {
    fn answer(self) -> CurrentCollector {
        CurrentCollector {
            up: self.up,
            at: self.at_ms,
            metrics: IndexMap::new(),
        }
    }
}

impl Latest {
    /// What a chart shows: a gauge's value or a counter's rate; `None` where there is a gap.
    pub fn shown(&self, kind: Kind) -> Option<f64> {
        match kind {
            _ if self.stale => None,
            Kind::Gauge => Some(self.value),
            Kind::Counter => self.rate,
        }
    }
}

impl State {
    /// Learns of new and retired series, if there are any.
    fn refresh(&mut self, id: CollectorId, tables: &Tables) {
        let index = id.0 as usize;
        if self.collectors.len() <= index {
            self.collectors.resize_with(index + 1, Watched::default);
        }
        let watched = &mut self.collectors[index];
        let revision = tables.collector(id).revision;
        if watched.revision == Some(revision) {
            return;
        }
        watched.revision = Some(revision);
        watched.members.clear();
        for (series, known) in tables.all_series() {
            let index = series.0 as usize;
            if self.series.len() <= index {
                self.series.resize(index + 1, None);
            }
            if known.collector != id {
                continue;
            }
            if known.retired {
                self.series[index] = None;
                continue;
            }
            watched.members.push(Member {
                series,
                tier: tables.metric(known.metric).tier,
            });
        }
    }

    fn sample(&mut self, at_ms: i64, at: Instant, sample: &Sample, tables: &Tables) {
        let Some(slot) = self.series.get_mut(sample.series.0 as usize) else {
            return;
        };
        let series = tables.series(sample.series);
        if series.retired {
            return;
        }
        let rate = match (tables.metric(series.metric).kind, &*slot) {
            (Kind::Counter, Some(before)) => rate(before, sample.value, at),
            _ => None,
        };
        *slot = Some(Latest {
            value: sample.value,
            rate,
            at_ms,
            at,
            stale: false,
            batch: self.batches,
        });
    }
}

/// A counter's rate per second since the sample before; `None` where that says nothing.
fn rate(before: &Latest, value: f64, at: Instant) -> Option<f64> {
    let elapsed = at.saturating_duration_since(before.at);
    let reset = value < before.value;
    (!before.stale && !reset && !elapsed.is_zero())
        .then(|| (value - before.value) / elapsed.as_secs_f64())
}

/// All series that are not retired, by metric in definition order.
pub(crate) fn by_metric(tables: &Tables) -> impl Iterator<Item = (MetricId, SeriesId)> {
    let mut order: Vec<_> = tables
        .all_series()
        .filter(|(_, series)| !series.retired)
        .map(|(id, series)| (series.metric, id))
        .collect();
    order.sort_unstable();
    order.into_iter()
}

/// A series' label names and values.
fn labels(tables: &Tables, series: SeriesId) -> Labels {
    tables
        .labels(series)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn named(latest: &Latest, kind: Kind, labels: Labels) -> NamedSample {
    let present = (!latest.stale).then_some(latest.value);
    let sample = NamedSample {
        labels,
        stale: latest.stale,
        ..NamedSample::default()
    };
    match kind {
        Kind::Gauge => NamedSample {
            value: Some(present),
            ..sample
        },
        Kind::Counter => NamedSample {
            total: Some(present),
            rate: Some(latest.rate),
            ..sample
        },
    }
}

#[cfg(test)]
mod tests;
