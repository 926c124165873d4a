//! Rules on metrics, and the alerts that come of them.
//!
//! [`Alerts`] is the handle: the API reads through it, a reload changes the rules. One task takes batches
//! from its queue of the bus, lets the [`engine`] evaluate them, has what changed written to the core
//! database ([`persist`]) on a thread that may block, and gives out events. An event that an alert fires
//! or is over goes out after it is on the disk, so that a restart never tells it again; a disk that is
//! slow or full delays it by [`WRITE_MAX`] at most. It knows neither the hub nor the store.

pub mod defaults;
pub mod engine;
pub mod persist;
pub mod rule;
pub mod state;
mod watch;
pub mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::bus::Queue;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::kv::{Kv, KvError};
use crate::protocol::{AlertState, AlertsAnswer};
use engine::{Engine, Event, Outcome, Wanted};
use persist::Changes;
use rule::Rule;

/// Events that may wait for whoever takes them; beyond it they are counted and lost, while the API still
/// shows every alert.
const EVENTS_MAX: usize = 1_024;
/// An event waits for its write for so long.
const WRITE_MAX: Duration = Duration::from_secs(2);
/// Changes that may be lost, such as of pending alerts, are written this often at most.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// Windows that are filled by one look into history.
const REFILL_MAX: usize = 100;
/// Windows that may wait for it; others fill by themselves.
const WANTED_MAX: usize = 10_000;

/// Gives what a series was like before: gauges' values and counters' rates by Unix milliseconds, oldest
/// first. Called on a thread that may block.
pub type History = Arc<dyn Fn(&Wanted, i64) -> Vec<(i64, f64)> + Send + Sync>;

/// What the part works with.
pub struct Parts {
    /// Time of the start and of writes.
    pub clock: Clock,
    /// Names of what batches hold.
    pub catalog: Catalog,
    /// The part's own end of the bus.
    pub queue: Queue,
    /// Where alerts are kept.
    pub core: Arc<Kv>,
    /// All rules.
    pub rules: Vec<Rule>,
    /// What windows are filled with as their series come; called with the present as Unix milliseconds.
    pub history: History,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("core", &self.core)
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}

/// Cloneable handle.
#[derive(Clone, Debug)]
pub struct Alerts(Arc<Mutex<Engine>>);

/// The handle, the events, and the task's work, which ends when the bus does. What was kept is there when
/// this returns; a core database that can't be read is reported and begun with nothing.
pub fn start(
    parts: Parts,
) -> (
    Alerts,
    mpsc::Receiver<Event>,
    impl Future<Output = ()> + Send,
) {
    let kept = persist::load(&parts.core).unwrap_or_else(|error| {
        tracing::error!("alerts from before the start can't be read: {error}");
        Vec::new()
    });
    let engine = Engine::new(parts.catalog, parts.rules, kept, parts.clock.mono());
    let alerts = Alerts(Arc::new(Mutex::new(engine)));
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    let task = Task {
        alerts: alerts.clone(),
        queue: parts.queue,
        clock: parts.clock,
        history: parts.history,
        wanted: Vec::new(),
        refilling: None,
        writer: Writer {
            core: parts.core,
            events: sender,
            changes: Changes::new(),
            is_urgent: false,
            waiting: Vec::new(),
            running: None,
            written_at: None,
        },
    };
    (alerts, receiver, task.run())
}

impl Alerts {
    /// Replaces the rules; alerts of rules that stay, by name, keep their states.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        self.lock().set_rules(rules);
    }

    /// The answer of `/api/dashboard/alerts`, of all alerts or those in one state.
    pub fn answer(&self, state: Option<AlertState>, now_ms: i64) -> AlertsAnswer {
        let engine = self.lock();
        let mut alerts = engine.alerts();
        alerts.retain(|alert| state.is_none_or(|state| state == alert.state));
        AlertsAnswer {
            at: now_ms,
            alerts,
            rules: engine.rules(),
        }
    }

    /// Without rules, for tests of what holds a handle.
    #[cfg(test)]
    pub(crate) fn idle(catalog: Catalog, clock: &Clock) -> Self {
        let engine = Engine::new(catalog, Vec::new(), Vec::new(), clock.mono());
        Self(Arc::new(Mutex::new(engine)))
    }

    fn lock(&self) -> MutexGuard<'_, Engine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What history gave for a window.
type Refill = (Wanted, Vec<(i64, f64)>);

struct Task {
    alerts: Alerts,
    queue: Queue,
    clock: Clock,
    history: History,
    /// Windows to fill.
    wanted: Vec<Wanted>,
    refilling: Option<JoinHandle<Vec<Refill>>>,
    writer: Writer,
}

/// Has changes written, one write at a time, and gives out their events after it.
struct Writer {
    core: Arc<Kv>,
    events: mpsc::Sender<Event>,
    changes: Changes,
    is_urgent: bool,
    /// Events of `changes`.
    waiting: Vec<Event>,
    running: Option<Write>,
    written_at: Option<Instant>,
}

struct Write {
    handle: JoinHandle<(Changes, Result<(), KvError>)>,
    /// Given out when the write has ended, or at `until`.
    events: Vec<Event>,
    until: Instant,
}

impl Task {
    async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                written = Writer::ended(&mut self.writer.running) => {
                    self.writer.finish(written);
                    self.writer.go_on(self.clock.mono());
                }
                batch = self.queue.next() => {
                    let Some(batch) = batch else { break };
                    let mut outcome = {
                        let mut engine = self.alerts.lock();
                        engine.batch(&batch);
                        engine.take()
                    };
                    self.wanted.append(&mut outcome.wanted);
                    self.wanted.truncate(WANTED_MAX);
                    self.refill().await;
                    self.writer.add(outcome);
                    self.writer.go_on(self.clock.mono());
                }
            }
        }
        self.writer.stop(self.clock.mono()).await;
    }
}

impl Task {
    /// Takes in what history gave, and asks for more, one look at a time.
    async fn refill(&mut self) {
        if self.refilling.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(done) = self.refilling.take()
        {
            // A look that panicked leaves its windows to fill by themselves.
            let found = done.await.unwrap_or_default();
            let (now_ms, now) = (self.clock.now_ms(), self.clock.mono());
            let mut engine = self.alerts.lock();
            for (wanted, points) in &found {
                engine.refill(wanted, points, now_ms, now);
            }
        }
        if self.refilling.is_some() || self.wanted.is_empty() {
            return;
        }
        let count = self.wanted.len().min(REFILL_MAX);
        let wanted: Vec<_> = self.wanted.drain(..count).collect();
        let (history, now_ms) = (Arc::clone(&self.history), self.clock.now_ms());
        self.refilling = Some(tokio::task::spawn_blocking(move || {
            let answer = |wanted: Wanted| {
                let points = history(&wanted, now_ms);
                (wanted, points)
            };
            wanted.into_iter().map(answer).collect()
        }));
    }
}

impl Writer {
    fn add(&mut self, outcome: Outcome) {
        self.changes.extend(outcome.changes);
        self.waiting.extend(outcome.events);
        self.is_urgent |= outcome.is_urgent;
    }

    /// Begins the next write if it is due; events that need none go out.
    fn go_on(&mut self, now: Instant) {
        if self.running.is_some() {
            return;
        }
        let is_due = self.written_at.is_none_or(|at| now >= at + WRITE_EVERY);
        if self.changes.is_empty() || !(self.is_urgent || is_due) {
            let events = std::mem::take(&mut self.waiting);
            self.publish(events);
            return;
        }
        self.written_at = Some(now);
        self.is_urgent = false;
        let (core, changes) = (Arc::clone(&self.core), std::mem::take(&mut self.changes));
        self.running = Some(Write {
            handle: tokio::task::spawn_blocking(move || {
                let result = persist::store(&core, &changes);
                (changes, result)
            }),
            events: std::mem::take(&mut self.waiting),
            until: now + WRITE_MAX,
        });
    }

    /// Waits until the running write has ended, or takes its events when they can wait no longer; for ever
    /// if there is none. Cancel-safe.
    async fn ended(running: &mut Option<Write>) -> Ended {
        let Some(write) = running else {
            return std::future::pending().await;
        };
        let is_late = !write.events.is_empty();
        tokio::select! {
            biased;
            joined = &mut write.handle => {
                let events = std::mem::take(&mut write.events);
                *running = None;
                Ended::Written(events, joined.ok())
            }
            () = sleep_until(write.until), if is_late => {
                Ended::Late(std::mem::take(&mut write.events))
            }
        }
    }

    fn finish(&mut self, ended: Ended) {
        match ended {
            Ended::Late(events) => {
                tracing::warn!("the disk is slow; alerts are told before they are written");
                self.publish(events);
            }
            Ended::Written(events, written) => {
                if let Some((changes, Err(error))) = written {
                    tracing::error!("alerts could not be written and will be again: {error}");
                    // What changed meanwhile is newer.
                    let newer = std::mem::replace(&mut self.changes, changes);
                    self.changes.extend(newer);
                }
                self.publish(events);
            }
        }
    }

    fn publish(&self, events: Vec<Event>) {
        for event in events {
            if let Err(mpsc::error::TrySendError::Full(lost)) = self.events.try_send(event) {
                let alert = lost.data.id;
                tracing::warn!(alert, "too many alerts at once; this one is not announced");
            }
        }
    }

    /// Writes what is left; whoever stops the agent bounds the time.
    async fn stop(mut self, now: Instant) {
        if self.running.is_some() {
            let ended = Self::ended(&mut self.running).await;
            self.finish(ended);
        }
        self.is_urgent = true;
        self.go_on(now);
        while self.running.is_some() {
            let ended = Self::ended(&mut self.running).await;
            self.finish(ended);
        }
    }
}

/// How waiting for a write ended.
enum Ended {
    /// With its events; the changes come back with the result unless the writing thread panicked.
    Written(Vec<Event>, Option<(Changes, Result<(), KvError>)>),
    /// It goes on; these events have waited long enough.
    Late(Vec<Event>),
}

#[cfg(test)]
mod tests;
