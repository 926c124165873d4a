//! What a supervisor says of its collector: batches, the board, and what the API shows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{State, Supervisor};
use crate::bus::{Batch, Sample};
use crate::catalog::{
    Catalog, CatalogError, ChartHint, ChartStyle, CollectorId, Kind, Metric, SeriesId, Unit, own,
};
use crate::clock::{Tier, TierSet};
use crate::collect::{Collected, Failure, Refused, Runner, Settings};
use crate::protocol::Component;
use crate::protocol::PluginPhase;

impl<R: Runner> Supervisor<R> {
    /// Says where it stands.
    pub(super) fn show(&self) {
        let is_open = self.backoff.is_open();
        self.stats.circuit_open.store(is_open, Ordering::Relaxed);
        let now_ms = self.parts.clock.now_ms();
        let (phase, next_start_at, facts) = match &self.state {
            State::Running(runner) => (PluginPhase::Running, None, Some(runner.facts())),
            State::Starting(_) if is_open => (PluginPhase::Open, None, None),
            State::Starting(_) => (PluginPhase::Starting, None, None),
            State::Waiting(runner, until) => {
                let wait = until.saturating_duration_since(self.parts.clock.mono());
                let at = now_ms + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                let phase = if runner.facts().is_stuck {
                    PluginPhase::Stuck
                } else if is_open {
                    PluginPhase::Open
                } else {
                    PluginPhase::Waiting
                };
                (phase, Some(at), None)
            }
            State::Between => return,
        };
        let mut status = self.stats.status();
        status.stands(now_ms, phase, next_start_at);
        status.runs(facts.unwrap_or_default());
    }

    /// Counts what was refused and stored. What was refused makes a good collect one that is not whole.
    pub(super) fn count(
        &self,
        result: &mut Result<Collected, Failure>,
        refused: &Refused,
        at_ms: i64,
    ) {
        let add = |to: &AtomicU64, more: u64| to.fetch_add(more, Ordering::Relaxed);
        add(&self.stats.refused, refused.count.into());
        add(&self.stats.series_dropped, refused.series.into());
        let Ok(collected) = result else {
            return;
        };
        add(&self.stats.events_stored, collected.events_stored);
        let Some(message) = refused.words() else {
            return;
        };
        self.stats.status().refused(at_ms, &refused.why, &message);
        collected.partial = Some(match collected.partial.take() {
            Some(partial) => format!("{partial}; {message}"),
            None => message,
        });
    }

    pub(super) fn publish(
        &mut self,
        (at_ms, at): (i64, Instant),
        due: TierSet,
        took: Duration,
        result: Result<Collected, Failure>,
    ) {
        let up = result.is_ok();
        let mut samples = match result {
            Ok(collected) => {
                self.error = collected.partial;
                collected.samples
            }
            // A loss was written down, with what follows from it, when it was counted.
            Err(Failure::Lost { .. }) => Vec::new(),
            Err(Failure::Refused(message)) => {
                self.error = Some(message);
                Vec::new()
            }
        };
        let own = self.own.get_or_insert_with(|| {
            own_series(
                &self.settings,
                &self.topic,
                self.collector,
                &self.parts.catalog,
            )
            .inspect_err(|error| tracing::error!(collector = %self.settings.name, "{error}"))
        });
        if let Err(error) = own
            && self.error.is_none()
        {
            self.error = Some(error.to_string());
        }
        if let Ok([is_up, seconds]) = *own {
            let value = f64::from(u8::from(up));
            samples.push(Sample {
                series: is_up,
                value,
            });
            if up {
                let value = took.as_secs_f64();
                samples.push(Sample {
                    series: seconds,
                    value,
                });
            }
        }
        self.stats.up.store(up, Ordering::Relaxed);
        self.report(up.then_some(took));
        let (collector, tick) = (self.collector, self.number);
        self.parts.bus.publish(Batch {
            collector,
            tick,
            at_ms,
            at,
            due,
            up,
            took,
            samples,
        });
    }

    pub(super) fn report(&self, took: Option<Duration>) {
        let error = {
            let mut status = self.stats.status();
            status.is_wrong(self.error.clone());
            self.error.clone().or_else(|| status.reload_refusal())
        };
        self.parts.board.report(Component {
            name: self.settings.name.clone(),
            topic: self.topic.clone(),
            up: took.is_some(),
            latency_ms: took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
            since: self.parts.clock.now_ms(),
            restarts: self.stats.restarts_total(),
            error,
        });
    }
}

/// `TOPIC_up` and `TOPIC_collect_seconds`, which every collector has.
fn own_series(
    settings: &Settings,
    topic: &str,
    collector: CollectorId,
    catalog: &Catalog,
) -> Result<[SeriesId; 2], CatalogError> {
    let define = |name: &str, title: &str, unit, help: &str, style| {
        let metric = Metric {
            name: format!("{topic}_{name}"),
            help: help.to_owned(),
            topic: topic.to_owned(),
            plugin: settings.plugin.clone(),
            kind: Kind::Gauge,
            unit,
            tier: Tier::Fast,
            labels: vec!["instance".to_owned()],
            otel: None,
            chart: ChartHint {
                section: "Collector".to_owned(),
                title: title.to_owned(),
                style,
                overview: false,
            },
        };
        let id = catalog.define_own_metric(collector, metric)?;
        catalog.define_own_series(collector, id, vec![settings.name.clone()])
    };
    Ok([
        define(
            own::UP,
            "Up",
            Unit::Count,
            "Whether the last collect succeeded: 1 or 0.",
            ChartStyle::None,
        )?,
        define(
            own::COLLECT_SECONDS,
            "Collect time",
            Unit::Seconds,
            "How long the last collect took, the plugin's process included.",
            ChartStyle::Line,
        )?,
    ])
}
