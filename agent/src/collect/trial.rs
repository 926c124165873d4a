//! Plugins tried without an agent: what `barograph check` and `barograph plugin` call.
//!
//! They use the same process, link and deadlines as the running agent, so that what works here works there. There is
//! no store: events are acknowledged as soon as they are here, and each start begins without a position. With a trial
//! ends whatever its plugin has started, also where it is dropped.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::events::{self, Queue};
use super::link::{PluginEvent, Purpose};
use super::orphans::Reaping;
use super::process::{Process, StartError};
use super::spawner::Spawner;
use super::{Failure, Isolation, Lookup, Refused, Runner as _, Settings, lookup};
use crate::catalog::{Catalog, Kind, Unit};
use crate::clock::{Clock, Tick, Ticker, Tier, TierSet, Tiers};

/// Events of one tick; a plugin that has more finds its queue full until the next one.
const EVENTS_MAX: usize = 4_096;
/// Events that are taken at a time, and about so many bytes of them.
const GROUP_MAX: usize = 256;
const GROUP_BYTES_MAX: usize = 1 << 20;

/// A plugin's own configuration is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PluginConfigError {
    /// Dotted path of the key within the plugin's section; empty when it is none in particular.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// A trial that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// The plugin answered with an error and goes on.
    #[error("{0}")]
    Refused(String),
    /// The plugin did not start, or runs no more.
    #[error("{0}")]
    Lost(String),
}

/// What one tick of a trial gave.
#[derive(Clone, Debug, Default)]
pub struct TrialBatch {
    /// Number of the tick, from 0.
    pub tick: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// From the question to the answer.
    pub took: Duration,
    /// Of that the time inside the plugin.
    pub inside: Option<Duration>,
    /// What could not be read, if anything.
    pub partial: Option<String>,
    /// Samples, definitions and events that were refused, and why the first of them was.
    pub refused: (u32, String),
    /// In the order in which they were pushed.
    pub samples: Vec<TrialSample>,
    /// What happened since the last tick, and in this one.
    pub events: Vec<PluginEvent>,
}

/// One sample with its names.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialSample {
    /// Metric name.
    pub metric: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// In `unit`.
    pub value: f64,
    /// Kind of the metric.
    pub kind: Kind,
    /// Unit of the metric.
    pub unit: Unit,
}

/// Lets the plugin check its configuration, in a process of its own.
pub async fn check(settings: &Settings) -> Result<(), PluginConfigError> {
    let plain = |message: String| PluginConfigError {
        field: String::new(),
        message,
    };
    let (_reaping, mut process, _) =
        prepare(&disposable(settings)).map_err(|error| plain(error.to_string()))?;
    let launched = process.launch(Purpose::Check).await;
    process.stop().await;
    match launched {
        Ok(_) => Ok(()),
        Err(StartError::Refused { field, message }) => Err(PluginConfigError { field, message }),
        Err(error) => Err(plain(error.to_string())),
    }
}

/// The plugin's manifest, written in a process of its own: name, topic, version, needs, and the JSON Schema of its
/// configuration as `config`.
pub async fn describe(settings: &Settings) -> Result<Value, TrialError> {
    let (_reaping, mut process, _) =
        prepare(&disposable(settings)).map_err(|error| TrialError::Lost(error.to_string()))?;
    let described = process.describe().await;
    process.stop().await;
    let text = described.map_err(|error| TrialError::Lost(error.to_string()))?;
    serde_json::from_str(&text)
        .map_err(|error| TrialError::Refused(format!("its manifest is no JSON: {error}")))
}

/// A plugin that runs without an agent. Dropping it ends its process.
#[derive(Debug)]
pub struct Trial {
    process: Process,
    catalog: Catalog,
    clock: Clock,
    ticker: Ticker,
    events: Queue,
    /// What happened since the last batch.
    early: Vec<PluginEvent>,
    /// The last to be dropped: the process has to be on its way.
    _reaping: Reaping,
}

impl Trial {
    /// Starts the plugin where the settings say.
    pub async fn start(settings: &Settings) -> Result<Self, TrialError> {
        let (reaping, process, catalog) =
            prepare(settings).map_err(|error| TrialError::Lost(error.to_string()))?;
        let clock = Clock::system();
        let (outbox, events) = events::channel(clock.clone(), Vec::new());
        let mut process = process.with_events(outbox);
        process.start().await.map_err(TrialError::from)?;
        let ticker = clock.ticker(Tiers::default());
        Ok(Self {
            process,
            catalog,
            clock,
            ticker,
            events,
            early: Vec::new(),
            _reaping: reaping,
        })
    }

    /// Waits for the next tick of the usual schedule and collects. The first one is at once. Cancel-safe while it
    /// waits for the tick.
    pub async fn next(&mut self) -> Result<TrialBatch, TrialError> {
        let tick = loop {
            tokio::select! {
                tick = self.ticker.next() => break tick,
                failure = self.process.died() => return Err(failure.into()),
                () = take(&mut self.events, &mut self.early),
                    if self.early.len() < EVENTS_MAX => {}
            }
        };
        self.collect(&tick).await
    }

    /// Collects at once, as for the tick with this number: fast metrics always, medium ones in every fifth, slow
    /// ones in every thirtieth.
    pub async fn collect_now(&mut self, number: u64) -> Result<TrialBatch, TrialError> {
        let every = [(Tier::Fast, 1), (Tier::Medium, 5), (Tier::Slow, 30)];
        let due = every
            .iter()
            .filter(|(_, ticks)| number.is_multiple_of(*ticks));
        let tick = Tick {
            number,
            at_ms: self.clock.now_ms(),
            at: self.clock.mono(),
            due: due.fold(TierSet::EMPTY, |set, (tier, _)| set.with(*tier)),
            missed: 0,
            stepped_ms: 0,
        };
        self.collect(&tick).await
    }

    async fn collect(&mut self, tick: &Tick) -> Result<TrialBatch, TrialError> {
        let began = self.clock.mono();
        let collected = self.process.collect(tick, tick.due).await;
        let took = self.clock.mono().saturating_duration_since(began);
        while !self.events.is_empty() && self.early.len() < EVENTS_MAX {
            take(&mut self.events, &mut self.early).await;
        }
        let collected = collected?;
        let Refused { count, why, .. } = self.process.take_refused();
        let tables = self.catalog.read();
        let samples = collected.samples.iter().map(|sample| {
            let metric = tables.metric(tables.series(sample.series).metric);
            let labels = tables.labels(sample.series);
            TrialSample {
                metric: metric.name.clone(),
                labels: labels
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                value: sample.value,
                kind: metric.kind,
                unit: metric.unit,
            }
        });
        Ok(TrialBatch {
            tick: tick.number,
            at_ms: tick.at_ms,
            took,
            inside: collected.inside,
            partial: collected.partial,
            refused: (count, why),
            samples: samples.collect(),
            events: std::mem::take(&mut self.early),
        })
    }

    /// Looks something up in the plugin by a name of its configuration; the answer is JSON.
    pub async fn look_up(&mut self, name: &str, parameter: &str) -> Result<String, TrialError> {
        let (reply, answer) = oneshot::channel();
        let lookup = Lookup {
            name: name.to_owned(),
            parameter: parameter.to_owned(),
            reply,
        };
        self.process.look_up(lookup).await;
        let answered = async {
            tokio::select! {
                biased;
                Ok(answer) = answer => answer,
                failure = self.process.died() => Err(failure),
            }
        };
        match timeout(lookup::ANSWER_MAX, answered).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(TrialError::Refused("did not answer within 2 s".to_owned())),
        }
    }

    /// The plugin's process, where it has one.
    pub fn pid(&self) -> Option<u32> {
        self.process.facts().pid
    }

    /// Stops the plugin as an agent does.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

/// Takes the events that wait, which frees their room as if they were stored. Cancel-safe.
async fn take(queue: &mut Queue, events: &mut Vec<PluginEvent>) {
    let Some(group) = queue.next(GROUP_MAX, GROUP_BYTES_MAX).await else {
        return;
    };
    queue.stored(&group);
    let good = group.into_iter().filter(|one| one.refusal.is_none());
    events.extend(good.map(|one| one.event));
}

impl From<Failure> for TrialError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(message) => Self::Refused(message),
            Failure::Lost { message, .. } => Self::Lost(message),
        }
    }
}

/// What is only asked something is asked in a process, wherever it is to run later.
fn disposable(settings: &Settings) -> Settings {
    Settings {
        isolation: Isolation::Process,
        ..settings.clone()
    }
}

/// In this order, so that what is dropped first, which is the last of them, is not what has to be the last.
fn prepare(settings: &Settings) -> io::Result<(Reaping, Process, Catalog)> {
    let reaping = Reaping::begin()?;
    let catalog = Catalog::default();
    let collector = catalog.register(
        &settings.name,
        &settings.plugin,
        &settings.plugin,
        settings.series_max,
    );
    let spawner = Spawner::start()?;
    let process = Process::new(settings.clone(), spawner, catalog.clone(), collector);
    Ok((reaping, process, catalog))
}
