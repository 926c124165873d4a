//! Keeps one collector on schedule and alive.
//!
//! One task owns the collector: at each tick it collects and publishes a batch, also when there is nothing
//! to collect from, so that absence is seen; when the plugin dies between ticks it says so at once, starts
//! it again immediately the first time and with growing pauses after that. It never waits for a reader of
//! its batches and never gives up for good. [`reload`] exchanges what runs for something newer, [`report`]
//! says how it does.

mod reload;
mod report;
mod start;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::stats::CollectorStats;
use super::{Failure, Handover, Lookup, LostReason, Runner, Settings};
use crate::bus::Bus;
use crate::catalog::{Catalog, CatalogError, CollectorId, SeriesId};
use crate::clock::{Clock, Tick, Ticker, Tier, TierSet, Tiers};
use crate::health::Board;
use reload::Preparation;
pub(crate) use reload::{Trial, probe};
use start::Start;

/// How long the schedule waits for the first start, so that the first tick already has samples.
const FIRST_START_WAIT: Duration = Duration::from_millis(500);
/// How often it is looked whether a thread that hangs has ended after all.
const STUCK_LOOK: Duration = Duration::from_secs(1);
/// How long everything that still runs may take to stop.
const STOP_MAX: Duration = Duration::from_millis(2_500);
/// Lookups that may wait; whoever comes when one does is told to come again.
const LOOKUPS_MAX: usize = 1;

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

/// What is wanted of a supervisor; the newest wish counts.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// To run with these settings. Name, plugin, isolation and labels stay those of its beginning.
    Run(Box<Settings>),
    /// To stop.
    Stop,
}

enum State<R> {
    Starting(Start<R>),
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
    Wish(Box<Settings>),
    Prepared(R, Result<(), String>),
    /// Something that was stopped has ended; how, if it had to be forced.
    Left(Option<Failure>),
    Lookup(Lookup),
    Stop,
}

/// Owner of one collector.
pub struct Supervisor<R: Runner> {
    settings: Settings,
    parts: Parts,
    collector: CollectorId,
    topic: String,
    stats: Arc<CollectorStats>,
    ticker: Ticker,
    state: State<R>,
    backoff: Backoff,
    /// What is to take the place of what runs.
    preparation: Option<Preparation<R>>,
    /// What is being stopped in the background.
    leaving: JoinSet<Option<Failure>>,
    lookups: (mpsc::Sender<Lookup>, mpsc::Receiver<Lookup>),
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
        mut runner: R,
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
        runner.take_over();
        {
            let mut shown = stats.status();
            shown.topic.clone_from(&topic);
            shown.configured(&settings);
            shown.starts_anew();
        }
        let supervisor = Self {
            backoff: Backoff::new(&settings.name),
            ticker: ticker(&parts, &settings),
            settings,
            parts,
            collector,
            topic,
            stats,
            state: State::Starting(Start::of(runner)),
            preparation: None,
            leaving: JoinSet::new(),
            lookups: mpsc::channel(LOOKUPS_MAX),
            fresh: true,
            number: 0,
            own: None,
            known,
            error: None,
        };
        supervisor.show();
        supervisor
    }

    /// Where lookups in the plugin go. One may wait for a collect; who wants the answer keeps the time.
    pub fn lookups(&self) -> mpsc::Sender<Lookup> {
        self.lookups.0.clone()
    }

    /// Runs until it is told to stop or nobody can tell it any more, then stops the plugin.
    pub async fn run(mut self, mut wanted: watch::Receiver<Wanted>) {
        // A receiver of its own: waiting for the stop must not take a wish that comes before it.
        let mut stop = wanted.clone();
        let is_stop = |wanted: &Wanted| matches!(wanted, Wanted::Stop);
        self.await_first_start().await;
        loop {
            self.show();
            let event = self.next(&mut wanted).await;
            if matches!(event, Event::Stop) {
                break;
            }
            tokio::select! {
                biased;
                // A collect that hangs must not hold up the stop; its plugin is ended below.
                _ = stop.wait_for(is_stop) => break,
                () = self.handle(event) => {}
            }
        }
        self.stop_all().await;
    }

    async fn handle(&mut self, event: Event<R>) {
        match event {
            Event::Tick(tick) => self.tick(tick).await,
            Event::Started(runner, result) => self.started(runner, result),
            Event::Died(failure) => self.died(failure),
            Event::Retry => self.retry(),
            Event::Wish(settings) => self.wish(settings).await,
            Event::Prepared(successor, result) => self.prepared(successor, result),
            Event::Left(forced) => self.left(forced),
            Event::Lookup(lookup) => self.look_up(lookup).await,
            Event::Stop => {}
        }
    }

    async fn await_first_start(&mut self) {
        if let State::Starting(start) = &mut self.state
            && let Ok((runner, result)) =
                tokio::time::timeout(FIRST_START_WAIT, start.ended()).await
        {
            self.started(runner, result);
        }
    }

    async fn next(&mut self, wanted: &mut watch::Receiver<Wanted>) -> Event<R> {
        let (state, preparation) = (&mut self.state, &mut self.preparation);
        let instance = async {
            match state {
                State::Starting(start) => {
                    let (runner, result) = start.ended().await;
                    Event::Started(runner, result)
                }
                State::Running(runner) => Event::Died(runner.died().await),
                State::Waiting(_, until) => {
                    tokio::time::sleep_until(*until).await;
                    Event::Retry
                }
                State::Between => std::future::pending().await,
            }
        };
        let prepared = async {
            match preparation {
                Some(preparation) => {
                    let (successor, result) = preparation.ended().await;
                    Event::Prepared(successor, result)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = wanted.changed() => match (changed, &*wanted.borrow_and_update()) {
                (Ok(()), Wanted::Run(settings)) => Event::Wish(settings.clone()),
                _ => Event::Stop,
            },
            event = instance => event,
            event = prepared => event,
            Some(left) = self.leaving.join_next() => Event::Left(left.unwrap_or_default()),
            tick = self.ticker.next() => Event::Tick(tick),
            Some(lookup) = self.lookups.1.recv() => Event::Lookup(lookup),
        }
    }

    fn started(&mut self, runner: R, result: Result<(), Failure>) {
        self.state = State::Running(runner);
        match result {
            Ok(()) => {
                self.fresh = true;
                self.hand_over();
            }
            Err(failure) => {
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
            self.begin(runner);
        }
    }

    /// Starts it, unless a thread of its hangs, which may end at any time.
    fn begin(&mut self, runner: R) {
        self.state = if runner.facts().is_stuck {
            State::Waiting(runner, self.parts.clock.mono() + STUCK_LOOK)
        } else {
            State::Starting(Start::of(runner))
        };
    }

    /// Counts the loss and plans the next start.
    fn lose(&mut self, failure: &Failure) {
        let reason = match failure {
            Failure::Lost { reason, .. } => *reason,
            Failure::Refused(_) => LostReason::Failed,
        };
        self.stats.lost(reason);
        self.stats.rss_bytes.store(0, Ordering::Relaxed);
        let (now_ms, message) = (self.parts.clock.now_ms(), failure.to_string());
        self.stats.status().lost(now_ms, reason, message);
        let was_open = self.backoff.is_open();
        let pause = self.backoff.failed(self.parts.clock.mono());
        tracing::warn!(
            collector = %self.settings.name,
            again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "plugin {failure}"
        );
        self.error = Some(failure.to_string());
        if self.backoff.is_open() {
            let failures = self.backoff.failures();
            self.error = Some(format!(
                "{failure}; it failed {failures} times in a row and is only probed, at least every 5 min"
            ));
            if !was_open {
                tracing::error!(
                    collector = %self.settings.name,
                    "plugin failed {failures} times in a row: its circuit is open, it is only probed"
                );
            }
        }
        if let State::Running(runner) = std::mem::replace(&mut self.state, State::Between) {
            self.known.extend(runner.series());
            if pause.is_zero() {
                self.begin(runner);
            } else {
                self.state = State::Waiting(runner, self.parts.clock.mono() + pause);
            }
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
        let mut result = runner.collect(&tick, due).await;
        let refused = runner.take_refused();
        let took = self.parts.clock.mono().saturating_duration_since(began);
        if tick.due.contains(Tier::Medium) {
            self.stats
                .rss_bytes
                .store(runner.rss_bytes().unwrap_or(0), Ordering::Relaxed);
        }
        self.count(&mut result, &refused, tick.at_ms);
        if result.is_err() && took >= self.settings.timeout {
            // Whether the plugin minded it itself or was ended for it.
            self.stats.deadline_missed.fetch_add(1, Ordering::Relaxed);
        }
        match &result {
            Ok(_) => self.collected(),
            Err(failure @ Failure::Lost { .. }) => self.lose(failure),
            Err(Failure::Refused(message)) => {
                self.stats.status().refused(tick.at_ms, message, message);
            }
        }
        self.stats.took(took);
        self.publish((tick.at_ms, tick.at), due, took, result);
    }

    fn collected(&mut self) {
        let was_open = self.backoff.is_open();
        self.backoff.succeeded(self.parts.clock.mono());
        if was_open && !self.backoff.is_open() {
            tracing::info!(collector = %self.settings.name, "plugin runs again: its circuit is closed");
        }
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

    /// Tells what runs that it is alone, once it is.
    fn hand_over(&mut self) {
        if !self.leaving.is_empty() {
            return;
        }
        let (State::Running(runner) | State::Waiting(runner, _)) = &mut self.state else {
            return;
        };
        if runner.take_over() == Handover::Done {
            return;
        }
        match std::mem::replace(&mut self.state, State::Between) {
            State::Running(runner) => {
                self.known.extend(runner.series());
                self.state = State::Starting(Start::of(runner));
            }
            // What waits is started again in any case.
            other => self.state = other,
        }
    }

    fn left(&mut self, forced: Option<Failure>) {
        if let Some(Failure::Lost { reason, message }) = forced {
            tracing::warn!(collector = %self.settings.name, "plugin {message}");
            let now_ms = self.parts.clock.now_ms();
            self.stats.status().lost(now_ms, reason, message);
        }
        self.hand_over();
    }

    async fn look_up(&mut self, lookup: Lookup) {
        // It waited for a collect for so long that nobody waits for it.
        if lookup.reply.is_closed() {
            return;
        }
        if let State::Running(runner) = &mut self.state {
            runner.look_up(lookup).await;
            return;
        }
        let failure = Failure::Refused("is not running".to_owned());
        let _ = lookup.reply.send(Err(failure));
    }

    /// Stops everything at the same time, in bounded time; what is left then is ended by being dropped.
    async fn stop_all(mut self) {
        self.give_up_preparation();
        match std::mem::replace(&mut self.state, State::Between) {
            State::Running(mut runner) | State::Waiting(mut runner, _) => {
                self.leaving.spawn(async move { runner.stop().await });
            }
            State::Starting(start) => self.give_up(start),
            State::Between => {}
        }
        let all = async {
            while let Some(left) = self.leaving.join_next().await {
                if let Ok(Some(failure)) = left {
                    tracing::warn!(collector = %self.settings.name, "plugin {failure}");
                }
            }
        };
        let _ = tokio::time::timeout(STOP_MAX, all).await;
    }

    /// Ends a start that nobody waits for any more.
    fn give_up(&mut self, start: Start<R>) {
        self.leaving
            .spawn(async move { start.give_up().await.withdraw().await });
    }
}

fn ticker(parts: &Parts, settings: &Settings) -> Ticker {
    parts.clock.ticker(parts.tiers.at_least(settings.interval))
}

#[cfg(test)]
mod tests;
