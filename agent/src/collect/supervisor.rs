//! Keeps one collector on schedule and alive.
//!
//! One task owns the collector: at each tick it collects and publishes a batch, also when there is nothing
//! to collect from, so that absence is seen; when the plugin dies between ticks it says so at once, starts
//! it again immediately the first time and with growing pauses after that. It never waits for a reader of
//! its batches and never gives up for good.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::stats::CollectorStats;
use super::{Collected, Failure, LostReason, Runner, Settings};
use crate::bus::{Batch, Bus, Sample};
use crate::catalog::{
    Catalog, CatalogError, ChartHint, ChartStyle, CollectorId, Kind, Metric, SeriesId, Unit,
};
use crate::clock::{Clock, Tick, Ticker, Tier, TierSet, Tiers};
use crate::health::Board;
use crate::protocol::Component;

/// How long the schedule waits for the first start, so that the first tick already has samples.
const FIRST_START_WAIT: Duration = Duration::from_millis(500);

/// What a supervisor works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Schedules and stamps.
    pub clock: Clock,
    /// Intervals.
    pub tiers: Tiers,
    /// Where series are defined.
    pub catalog: Catalog,
    /// Where batches go.
    pub bus: Bus,
    /// Where the state is shown.
    pub board: Board,
}

enum State<R> {
    Starting(JoinHandle<(R, Result<(), Failure>)>),
    Running(R),
    Waiting(R, Instant),
    /// Only while one of the others is being made.
    Between,
}

enum Event<R> {
    Tick(Tick),
    Started(R, Result<(), Failure>),
    Died(Failure),
    Retry,
    Stop,
}

/// Owner of one collector.
pub struct Supervisor<R: Runner> {
    settings: Settings,
    parts: Parts,
    collector: CollectorId,
    topic: String,
    stats: Arc<CollectorStats>,
    state: State<R>,
    backoff: Backoff,
    /// The next collect is the first of a new start: everything is due.
    fresh: bool,
    number: u64,
    /// `TOPIC_up` and `TOPIC_collect_seconds`, defined after the plugin's own so that they are listed last.
    own: Option<Result<[SeriesId; 2], CatalogError>>,
    /// Series of this start and of earlier ones that were not retired yet.
    known: HashSet<SeriesId>,
    error: Option<String>,
}

impl<R: Runner> std::fmt::Debug for Supervisor<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<R: Runner> Supervisor<R> {
    /// Prepares and starts `runner`; [`Supervisor::run`] does the rest.
    pub fn new(
        settings: Settings,
        collector: CollectorId,
        parts: Parts,
        stats: Arc<CollectorStats>,
        runner: R,
    ) -> Self {
        let (topic, known) = {
            let tables = parts.catalog.read();
            let live = tables
                .all_series()
                .filter(|(_, s)| s.collector == collector && !s.retired);
            // Of an earlier configuration: what is not declared again will be retired.
            let known = live.map(|(id, _)| id).collect();
            (tables.collector(collector).topic.clone(), known)
        };
        let backoff = Backoff::new(&settings.name);
        Self {
            settings,
            parts,
            collector,
            topic,
            stats,
            state: start(runner),
            backoff,
            fresh: true,
            number: 0,
            own: None,
            known,
            error: None,
        }
    }

    /// Runs until `stop` says true or its sender is gone, then stops the plugin.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let intervals = self.parts.tiers.at_least(self.settings.interval);
        let mut ticker = self.parts.clock.ticker(intervals);
        self.await_first_start().await;
        loop {
            match self.next(&mut ticker, &mut stop).await {
                Event::Tick(tick) => tokio::select! {
                    biased;
                    // A collect that hangs must not hold up the stop; its plugin is ended below.
                    _ = stop.wait_for(|stop| *stop) => break,
                    () = self.tick(tick) => {}
                },
                Event::Started(runner, result) => self.started(runner, result),
                Event::Died(failure) => self.died(failure),
                Event::Retry => self.retry(),
                Event::Stop => break,
            }
        }
        match self.state {
            State::Running(mut runner) | State::Waiting(mut runner, _) => runner.stop().await,
            State::Starting(handle) => {
                handle.abort();
                // What it had started ends with its last owner, which is gone once this returns.
                let _ = handle.await;
            }
            State::Between => {}
        }
    }

    async fn await_first_start(&mut self) {
        if let State::Starting(handle) = &mut self.state
            && let Ok(ended) = tokio::time::timeout(FIRST_START_WAIT, handle).await
        {
            match ended {
                Ok((runner, result)) => self.started(runner, result),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }

    async fn next(&mut self, ticker: &mut Ticker, stop: &mut watch::Receiver<bool>) -> Event<R> {
        let other = async {
            match &mut self.state {
                State::Starting(handle) => match handle.await {
                    Ok((runner, result)) => Event::Started(runner, result),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                State::Running(runner) => Event::Died(runner.died().await),
                State::Waiting(_, until) => {
                    tokio::time::sleep_until(*until).await;
                    Event::Retry
                }
                State::Between => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Event::Stop,
            event = other => event,
            tick = ticker.next() => Event::Tick(tick),
        }
    }

    fn started(&mut self, runner: R, result: Result<(), Failure>) {
        match result {
            Ok(()) => {
                self.fresh = true;
                self.state = State::Running(runner);
            }
            Err(failure) => {
                self.state = State::Running(runner);
                self.lose(&failure);
                self.report(None);
            }
        }
    }

    fn died(&mut self, failure: Failure) {
        self.lose(&failure);
        self.number += 1;
        let now = (self.parts.clock.now_ms(), self.parts.clock.mono());
        self.publish(now, TierSet::EMPTY, Duration::ZERO, Err(failure));
    }

    fn retry(&mut self) {
        if let State::Waiting(runner, _) = std::mem::replace(&mut self.state, State::Between) {
            self.state = start(runner);
        }
    }

    /// Counts the loss and plans the next start.
    fn lose(&mut self, failure: &Failure) {
        let reason = match failure {
            Failure::Lost { reason, .. } => *reason,
            Failure::Refused(_) => LostReason::Failed,
        };
        self.stats.lost(reason);
        if reason == LostReason::Deadline {
            self.stats.deadline_missed.fetch_add(1, Ordering::Relaxed);
        }
        self.stats.rss_bytes.store(0, Ordering::Relaxed);
        let pause = self.backoff.failed(self.parts.clock.mono());
        let note = if self.backoff.is_open() {
            "; it keeps failing and is only probed"
        } else {
            ""
        };
        tracing::warn!(
            collector = %self.settings.name,
            again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "plugin {failure}{note}"
        );
        self.error = Some(format!("{failure}{note}"));
        if let State::Running(runner) = &self.state {
            self.known.extend(runner.series());
        }
        if let State::Running(runner) = std::mem::replace(&mut self.state, State::Between) {
            self.state = if pause.is_zero() {
                start(runner)
            } else {
                State::Waiting(runner, self.parts.clock.mono() + pause)
            };
        }
    }

    async fn tick(&mut self, tick: Tick) {
        self.number += 1 + tick.missed;
        self.stats
            .ticks_missed
            .fetch_add(tick.missed, Ordering::Relaxed);
        let State::Running(runner) = &mut self.state else {
            let message = self
                .error
                .clone()
                .unwrap_or_else(|| "is starting".to_owned());
            self.publish(
                (tick.at_ms, tick.at),
                tick.due,
                Duration::ZERO,
                Err(Failure::Refused(message)),
            );
            return;
        };
        let due = if self.fresh { TierSet::ALL } else { tick.due };
        let began = self.parts.clock.mono();
        let result = runner.collect(&tick, due).await;
        let took = self.parts.clock.mono().saturating_duration_since(began);
        if tick.due.contains(Tier::Medium) {
            self.stats
                .rss_bytes
                .store(runner.rss_bytes().unwrap_or(0), Ordering::Relaxed);
        }
        match &result {
            Ok(_) => self.collected(),
            Err(failure @ Failure::Lost { .. }) => self.lose(failure),
            Err(Failure::Refused(_)) => {}
        }
        self.stats.took(took);
        self.publish((tick.at_ms, tick.at), due, took, result);
    }

    fn collected(&mut self) {
        self.backoff.succeeded(self.parts.clock.mono());
        let State::Running(runner) = &self.state else {
            return;
        };
        if std::mem::take(&mut self.fresh) {
            // What the plugin had before its restart and has not declared again will not come again.
            let own = self.own.iter().flatten().flatten().copied();
            let declared = runner.series().into_iter().chain(own).collect();
            let before = std::mem::replace(&mut self.known, declared);
            for gone in before.difference(&self.known) {
                self.parts.catalog.retire(*gone);
            }
        }
    }

    fn publish(
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

    fn report(&self, took: Option<Duration>) {
        self.parts.board.report(Component {
            name: self.settings.name.clone(),
            topic: self.topic.clone(),
            up: took.is_some(),
            latency_ms: took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
            since: self.parts.clock.now_ms(),
            restarts: self.stats.restarts_total(),
            error: self.error.clone(),
        });
    }
}

fn start<R: Runner>(mut runner: R) -> State<R> {
    State::Starting(tokio::spawn(async move {
        let result = runner.start().await;
        (runner, result)
    }))
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
        let id = catalog.define_metric(collector, metric)?;
        catalog.define_own_series(collector, id, vec![settings.name.clone()])
    };
    Ok([
        define(
            "up",
            "Up",
            Unit::Count,
            "Whether the last collect succeeded: 1 or 0.",
            ChartStyle::None,
        )?,
        define(
            "collect_seconds",
            "Collect time",
            Unit::Seconds,
            "How long the last collect took, the plugin's process included.",
            ChartStyle::Line,
        )?,
    ])
}

#[cfg(test)]
mod tests;
