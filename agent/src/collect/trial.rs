//! Plugins tried without an agent: what `barograph check` and `barograph plugin run-once` call.
//!
//! Both use the same process, link and deadlines as the running agent, so that what works here works there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::link::Purpose;
use super::process::{Process, StartError};
use super::spawner::Spawner;
use super::{Runner as _, Settings};
use crate::catalog::{Catalog, Unit};
use crate::clock::{Clock, Tiers};

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
#[error("{0}")]
pub struct TrialError(String);

/// What one tick of a trial gave.
#[derive(Clone, Debug)]
pub struct TrialBatch {
    /// Number of the tick, from 0.
    pub tick: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// How long the collect took.
    pub took: Duration,
    /// What could not be read, if anything.
    pub partial: Option<String>,
    /// In the order in which they were pushed.
    pub samples: Vec<TrialSample>,
}

/// One sample with its names.
#[derive(Clone, Debug)]
pub struct TrialSample {
    /// Metric name.
    pub metric: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// In `unit`.
    pub value: f64,
    /// Unit of the metric.
    pub unit: Unit,
}

/// Lets the plugin check its configuration, in a process of its own.
pub async fn check(settings: &Settings) -> Result<(), PluginConfigError> {
    let plain = |message: String| PluginConfigError {
        field: String::new(),
        message,
    };
    let (mut process, _) = prepare(settings).map_err(|error| plain(error.to_string()))?;
    let launched = process.launch(Purpose::Check).await;
    process.stop().await;
    match launched {
        Ok(_) => Ok(()),
        Err(StartError::Refused { field, message }) => Err(PluginConfigError { field, message }),
        Err(error) => Err(plain(error.to_string())),
    }
}

/// Collects `ticks` times on the usual schedule, in a process of its own.
pub async fn run_once(settings: &Settings, ticks: u32) -> Result<Vec<TrialBatch>, TrialError> {
    let trouble = |error: &dyn std::fmt::Display| TrialError(error.to_string());
    let (mut process, catalog) = prepare(settings).map_err(|error| trouble(&error))?;
    process.start().await.map_err(|failure| trouble(&failure))?;
    let clock = Clock::system();
    let mut ticker = clock.ticker(Tiers::default());
    let mut batches = Vec::new();
    for _ in 0..ticks {
        let tick = ticker.next().await;
        let collected = process.collect(&tick, tick.due).await;
        let took = clock.mono().saturating_duration_since(tick.at);
        let collected = match collected {
            Ok(collected) => collected,
            Err(failure) => {
                process.stop().await;
                return Err(trouble(&failure));
            }
        };
        let tables = catalog.read();
        let samples = collected.samples.iter().map(|sample| {
            let metric = tables.metric(tables.series(sample.series).metric);
            let labels = tables.labels(sample.series);
            TrialSample {
                metric: metric.name.clone(),
                labels: labels
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                value: sample.value,
                unit: metric.unit,
            }
        });
        let samples = samples.collect();
        let (at_ms, partial) = (tick.at_ms, collected.partial);
        batches.push(TrialBatch {
            tick: tick.number,
            at_ms,
            took,
            partial,
            samples,
        });
    }
    process.stop().await;
    Ok(batches)
}

fn prepare(settings: &Settings) -> std::io::Result<(Process, Catalog)> {
    let catalog = Catalog::default();
    let collector = catalog.register(
        &settings.name,
        &settings.plugin,
        &settings.plugin,
        settings.series_max,
    );
    let spawner = Spawner::start()?;
    Ok((
        Process::new(settings.clone(), spawner, catalog.clone(), collector),
        catalog,
    ))
}
