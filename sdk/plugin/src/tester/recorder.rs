//! What the host of [`CollectorTester`](super::CollectorTester) was told, and the rules by which it takes
//! or refuses it.
//!
//! `hostcalls.rs` turns the C side's pointers into the values here. The codes are those that the agent
//! answers with; what it would not take is also kept in words, for the tester to fail the test with.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{
    Collected, DeclaredMetric, EmittedEvent, Failure,
    rules::{check_metric, parts, series_count},
};
use crate::{
    Level, abi,
    events::{self, DATA_BYTES_MAX, NAME_BYTES_MAX, POSITION_BYTES_MAX},
};

/// Bounds of the agent.
const SERIES_MAX: usize = 2_000;
const EVENTS_MAX: usize = 4_096;
const METRICS_MAX: usize = 500;
/// Samples that one tick may push for each series that it may have.
const SAMPLES_PER_SERIES_MAX: usize = 2;

#[derive(Debug)]
pub(super) struct SeriesRecord {
    pub(super) metric: usize,
    pub(super) values: Vec<String>,
    pub(super) retired: bool,
}

/// What a series was given in a tick.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sampled {
    Value(f64),
    /// One count a bucket, not cumulative.
    Histogram {
        counts: Vec<u64>,
        sum: f64,
    },
}

#[derive(Debug)]
pub(super) struct Recorder {
    /// The plugin's.
    topic: String,
    pub(super) metrics: Vec<DeclaredMetric>,
    /// Those that the agent has for the metrics.
    names: BTreeSet<String>,
    pub(super) series: Vec<SeriesRecord>,
    pub(super) pushed: BTreeMap<u32, Sampled>,
    /// How many samples that was, with those that another one of the same series has replaced.
    taken: usize,
    /// What was pushed in the last tick, if it succeeded.
    pub(super) samples: BTreeMap<u32, Sampled>,
    pub(super) events: Vec<EmittedEvent>,
    pub(super) events_max: usize,
    /// Of the last event that was taken.
    pub(super) position: String,
    pub(super) log: Vec<(Level, String)>,
    pub(super) error: (String, String),
    pub(super) refusals: Vec<String>,
    pub(super) refusals_expected: bool,
    pub(super) series_max: usize,
    pub(super) cancelled: bool,
    /// Set once `stop` has returned.
    pub(super) closed: bool,
    started: Instant,
}

impl Recorder {
    pub(super) fn new(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            metrics: Vec::new(),
            names: BTreeSet::new(),
            series: Vec::new(),
            pushed: BTreeMap::new(),
            taken: 0,
            samples: BTreeMap::new(),
            events: Vec::new(),
            events_max: EVENTS_MAX,
            position: String::new(),
            log: Vec::new(),
            error: <(String, String)>::default(),
            refusals: Vec::new(),
            refusals_expected: false,
            series_max: SERIES_MAX,
            cancelled: false,
            closed: false,
            started: Instant::now(),
        }
    }

    /// A series' metric, and its labels in declared order.
    pub(super) fn labels(&self, series: u32) -> (&DeclaredMetric, Vec<(&str, &str)>) {
        let record = &self.series[series as usize];
        let metric = &self.metrics[record.metric];
        let names = metric.labels.iter().map(String::as_str);
        let values = record.values.iter().map(String::as_str);
        (metric, names.zip(values).collect())
    }

    pub(super) fn series_alive(&self) -> usize {
        let alive = self.series.iter().filter(|series| !series.retired);
        alive.count()
    }

    pub(super) fn now_ns(&self) -> u64 {
        let elapsed_ns = self.started.elapsed().as_nanos();
        u64::try_from(elapsed_ns).expect("tests are shorter than 584 years")
    }

    /// What a code means, with what the plugin said about it.
    pub(super) fn outcome(&mut self, code: i32) -> Result<Collected, Failure> {
        let (field, message) = std::mem::take(&mut self.error);
        match code {
            abi::OK => Ok(Collected::Whole),
            abi::PARTIAL => Ok(Collected::Partial(message)),
            code => Err(Failure {
                code,
                field,
                message,
            }),
        }
    }

    pub(super) fn begin_tick(&mut self) {
        self.pushed.clear();
        self.taken = 0;
    }

    /// Keeps what a successful tick pushed; of a failed one, nothing.
    pub(super) fn end_tick(&mut self, succeeded: bool) {
        let pushed = std::mem::take(&mut self.pushed);
        self.samples = if succeeded { pushed } else { BTreeMap::new() };
        self.cancelled = false;
    }

    pub(super) fn take_events(&mut self) -> Vec<EmittedEvent> {
        let last = self
            .events
            .iter()
            .rev()
            .find(|event| !event.position.is_empty());
        if let Some(last) = last {
            self.position.clone_from(&last.position);
        }
        std::mem::take(&mut self.events)
    }

    /// Takes the refusals that fail a test.
    pub(super) fn unexpected(&mut self) -> Vec<String> {
        if self.refusals_expected {
            return Vec::new();
        }
        std::mem::take(&mut self.refusals)
    }

    /// Notes what is refused, and gives `code` back.
    pub(super) fn refuse(&mut self, code: i32, what: impl Into<String>) -> i32 {
        self.refusals.push(what.into());
        code
    }

    /// Refuses every call after `stop`.
    pub(super) fn open(&mut self, call: &str) -> Result<(), i32> {
        if self.closed {
            return Err(self.refuse(abi::E_CLOSED, format!("{call} after stop")));
        }
        Ok(())
    }

    pub(super) fn define_metric(
        &mut self,
        kind: u32,
        metric: DeclaredMetric,
    ) -> Result<usize, i32> {
        if let Err(what) = check_metric(&self.topic, kind, &metric) {
            return Err(self.refuse(abi::E_CONFIG, what));
        }
        let name = &metric.name;
        if let Some(known) = self.metrics.iter().position(|known| known.name == *name) {
            return if self.metrics[known] == metric {
                Ok(known)
            } else {
                let what = format!("metric {name} is declared twice, differently");
                Err(self.refuse(abi::E_CONFIG, what))
            };
        }
        let parts = parts(&metric);
        if let Some(taken) = parts.iter().find(|part| self.names.contains(*part)) {
            let what = format!("{name} needs the name {taken}, which another metric has");
            return Err(self.refuse(abi::E_CONFIG, what));
        }
        if self.names.len() + parts.len() > METRICS_MAX {
            let what = format!("{name} is one metric more than {METRICS_MAX}");
            return Err(self.refuse(abi::E_FULL, what));
        }
        self.names.extend(parts);
        self.metrics.push(metric);
        Ok(self.metrics.len() - 1)
    }

    pub(super) fn define_series(
        &mut self,
        metric: usize,
        values: Vec<String>,
    ) -> Result<usize, i32> {
        let Some(declared) = self.metrics.get(metric) else {
            let what = format!("a series of the unknown metric {metric}");
            return Err(self.refuse(abi::E_CLOSED, what));
        };
        let labels = declared.labels.len();
        if labels != values.len() {
            let (name, given) = (&declared.name, values.len());
            let what = format!("label values of a series of {name}: {given}, and not {labels}");
            return Err(self.refuse(abi::E_CONFIG, what));
        }
        let same = |series: &SeriesRecord| {
            !series.retired && series.metric == metric && series.values == values
        };
        if let Some(known) = self.series.iter().position(same) {
            return Ok(known);
        }
        let count_of = |metric: usize| series_count(&self.metrics[metric]);
        let alive = self.series.iter().filter(|series| !series.retired);
        let alive: usize = alive.map(|series| count_of(series.metric)).sum();
        if alive + count_of(metric) > self.series_max {
            return Err(abi::E_FULL);
        }
        self.series.push(SeriesRecord {
            metric,
            values,
            retired: false,
        });
        Ok(self.series.len() - 1)
    }

    pub(super) fn retire_series(&mut self, series: u32) -> Result<(), i32> {
        match self.series.get_mut(series as usize) {
            Some(series) if !series.retired => {
                series.retired = true;
                Ok(())
            }
            _ => {
                let what = format!("series {series} is retired, but is not alive");
                Err(self.refuse(abi::E_CLOSED, what))
            }
        }
    }

    /// Whether the tick can take so many samples more.
    pub(super) fn room(&mut self, more: usize) -> Result<(), i32> {
        let max = self.series_max.saturating_mul(SAMPLES_PER_SERIES_MAX);
        if self.taken.saturating_add(more) > max {
            let what = format!("a tick with more than {max} samples");
            return Err(self.refuse(abi::E_FULL, what));
        }
        Ok(())
    }

    /// Takes a value. One that is not taken is no error of the call, as other values of it may be good.
    pub(super) fn push(&mut self, series: u32, value: f64) {
        let refused = match self.metric_of(series) {
            Err(what) => what,
            Ok(metric) if !metric.bounds.is_empty() => {
                format!("a single value for the histogram {}", metric.name)
            }
            Ok(metric) if !value.is_finite() => {
                format!("{} is {value}, which is no sample", metric.name)
            }
            Ok(_) => {
                self.pushed.insert(series, Sampled::Value(value));
                self.taken += 1;
                return;
            }
        };
        self.refusals.push(refused);
    }

    /// Takes a histogram, as [`push`](Self::push) does a value.
    pub(super) fn push_histogram(
        &mut self,
        series: u32,
        counts: Vec<u64>,
        sum: f64,
    ) -> Result<(), i32> {
        let given = counts.len();
        let refused = match self.metric_of(series) {
            Err(what) => what,
            Ok(metric) if metric.bounds.is_empty() => {
                format!("counts for {}, which is no histogram", metric.name)
            }
            Ok(metric) if given != metric.bounds.len() + 1 => {
                let (name, buckets) = (&metric.name, metric.bounds.len() + 1);
                format!("{name} needs {buckets} counts, one a bucket, and not {given}")
            }
            Ok(metric) if !sum.is_finite() => {
                format!("the sum of {} is {sum}, which is no sample", metric.name)
            }
            Ok(_) => {
                // One a bucket, the sum and the number of values.
                let taken = given + 2;
                self.room(taken)?;
                let sampled = Sampled::Histogram { counts, sum };
                self.pushed.insert(series, sampled);
                self.taken += taken;
                return Ok(());
            }
        };
        self.refusals.push(refused);
        Ok(())
    }

    /// The metric of a series that is alive.
    fn metric_of(&self, series: u32) -> Result<&DeclaredMetric, String> {
        let record = self.series.get(series as usize);
        match record.filter(|record| !record.retired) {
            Some(record) => Ok(&self.metrics[record.metric]),
            None => Err(format!("a sample of series {series}, which is not alive")),
        }
    }

    pub(super) fn emit_event(&mut self, event: EmittedEvent) -> Result<(), i32> {
        if self.events.len() >= self.events_max {
            return Err(abi::E_FULL);
        }
        self.events.push(event);
        Ok(())
    }
}

/// Reads an event's texts by the rules of the contract; an error says which was broken.
pub(super) fn event(
    level: Option<Level>,
    at_ms: i64,
    name: &[u8],
    data: &[u8],
    position: &[u8],
) -> Result<EmittedEvent, String> {
    let shown = String::from_utf8_lossy(name);
    if !events::is_name(&shown) || name.len() > NAME_BYTES_MAX {
        return Err(format!("event {shown:?} has an invalid name"));
    }
    let level = level.ok_or_else(|| format!("the level of event {shown} does not exist"))?;
    if data.len() > DATA_BYTES_MAX {
        return Err(format!("the data of event {shown} is above 16 kB"));
    }
    let data = match data {
        [] => serde_json::Value::Null,
        data => serde_json::from_slice(data)
            .ok()
            .filter(serde_json::Value::is_object)
            .ok_or_else(|| format!("the data of event {shown} is no JSON object"))?,
    };
    if position.len() > POSITION_BYTES_MAX {
        return Err(format!("the position of event {shown} is above 256 bytes"));
    }
    let position = std::str::from_utf8(position)
        .map_err(|_| format!("the position of event {shown} is not UTF-8"))?;
    Ok(EmittedEvent {
        level,
        at_ms,
        name: shown.into_owned(),
        data,
        position: position.to_owned(),
    })
}

#[cfg(test)]
mod tests;
