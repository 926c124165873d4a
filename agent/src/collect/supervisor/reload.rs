//! Exchanging what runs for something newer, without a gap.
//!
//! Where only the plugin's own configuration is new, the running instance is asked first. Otherwise another
//! one is started beside it and has to collect once; its samples of that are dropped. Then, between two
//! ticks, it takes the other one's place, which is stopped in the background. Whatever fails on the way, the
//! old one goes on and the reason is shown. Where nothing runs, the new settings are simply used, at once.

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::start::joined;
use super::{State, Supervisor, ticker};
use crate::clock::{Clock, Tick, TierSet};
use crate::collect::status::Outcome;
use crate::collect::{Failure, Reconfigured, Runner, Settings};

/// A successor on its way.
pub(super) struct Preparation<R> {
    settings: Box<Settings>,
    task: JoinHandle<(R, Result<(), String>)>,
    /// Sent or dropped, it ends the successor.
    end: oneshot::Sender<()>,
}

impl<R> Preparation<R> {
    /// Waits for its end. Cancel-safe.
    pub(super) async fn ended(&mut self) -> (R, Result<(), String>) {
        joined((&mut self.task).await)
    }
}

/// What has to be good enough in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// A collect that succeeds.
    Collects,
    /// A start; what runs can't read its source either.
    Starts,
}

impl<R: Runner> Supervisor<R> {
    /// Sees to it that it runs with these settings.
    pub(super) async fn wish(&mut self, settings: Box<Settings>) {
        if let Some(preparation) = &self.preparation
            && preparation.settings == settings
        {
            return;
        }
        self.give_up_preparation();
        match std::mem::replace(&mut self.state, State::Between) {
            State::Running(runner) => {
                self.state = State::Running(runner);
                self.exchange(settings).await;
            }
            // The same settings again: somebody thinks that it will do now.
            State::Waiting(runner, _) => self.begin_with(&runner, *settings),
            State::Starting(start) if *settings == self.settings => {
                self.state = State::Starting(start);
                self.forget_refusal();
            }
            State::Starting(start) => {
                let runner = start.give_up().await;
                self.known.extend(runner.series());
                self.begin_with(&runner, *settings);
            }
            State::Between => {}
        }
    }

    /// Nothing runs, so there is nothing to lose.
    fn begin_with(&mut self, old: &R, settings: Settings) {
        let mut runner = old.successor(settings.clone());
        self.backoff.reset();
        if settings == self.settings {
            self.forget_refusal();
        } else {
            self.reloaded(Outcome::Switched, None);
        }
        self.adopt(settings);
        if self.leaving.is_empty() {
            runner.take_over();
        }
        self.begin(runner);
    }

    async fn exchange(&mut self, settings: Box<Settings>) {
        if *settings == self.settings {
            return self.forget_refusal();
        }
        let State::Running(runner) = &mut self.state else {
            return;
        };
        if is_only_config(&self.settings, &settings) {
            match runner.reconfigure(&settings).await {
                Ok(Reconfigured::Applied) => {
                    self.adopt(*settings);
                    return self.reloaded(Outcome::Applied, None);
                }
                Ok(Reconfigured::Restart) => {}
                Err(Failure::Refused(reason)) => return self.refuse(reason),
                Err(failure) => {
                    self.refuse(failure.to_string());
                    return self.died(failure);
                }
            }
        }
        let successor = runner.successor((*settings).clone());
        let trial = if self.error.is_none() {
            Trial::Collects
        } else {
            Trial::Starts
        };
        self.prepare(successor, settings, trial);
    }

    /// What it has is wanted again, and what was refused is not.
    fn forget_refusal(&mut self) {
        let was_refused = self.stats.status().reload_refusal().is_some();
        if was_refused {
            self.reloaded(Outcome::Applied, None);
        }
    }

    fn prepare(&mut self, mut successor: R, settings: Box<Settings>, trial: Trial) {
        let (end, ended) = oneshot::channel();
        let clock = self.parts.clock.clone();
        let task = tokio::spawn(async move {
            let result = tokio::select! {
                biased;
                _ = ended => Err("a newer one came".to_owned()),
                result = probe(&mut successor, &clock, trial) => result,
            };
            if result.is_err() {
                successor.withdraw().await;
            }
            (successor, result)
        });
        self.preparation = Some(Preparation {
            settings,
            task,
            end,
        });
    }

    pub(super) fn prepared(&mut self, successor: R, result: Result<(), String>) {
        let Some(preparation) = self.preparation.take() else {
            return;
        };
        match result {
            Ok(()) => self.switch(successor, *preparation.settings),
            Err(reason) => self.refuse(reason),
        }
    }

    /// Puts the successor in its place; the next tick is its first.
    fn switch(&mut self, successor: R, settings: Settings) {
        match std::mem::replace(&mut self.state, State::Running(successor)) {
            State::Running(mut old) => {
                self.known.extend(old.series());
                self.leaving.spawn(async move { old.stop().await });
            }
            // It died while the other one was prepared, and was on its way back.
            State::Starting(start) => self.give_up(start),
            State::Waiting(..) | State::Between => {}
        }
        self.fresh = true;
        self.backoff.reset();
        self.adopt(settings);
        self.reloaded(Outcome::Switched, None);
        self.hand_over();
    }

    pub(super) fn give_up_preparation(&mut self) {
        if let Some(Preparation { task, end, .. }) = self.preparation.take() {
            let _ = end.send(());
            self.leaving.spawn(async move {
                if let Ok((mut successor, Ok(()))) = task.await {
                    // It was ready at the very moment.
                    successor.withdraw().await;
                }
                None
            });
        }
    }

    fn adopt(&mut self, settings: Settings) {
        let has_schedule = settings.interval == self.settings.interval;
        self.settings = settings;
        if !has_schedule {
            self.ticker = ticker(&self.parts, &self.settings);
        }
        self.stats.status().configured(&self.settings);
    }

    fn reloaded(&mut self, outcome: Outcome, reason: Option<String>) {
        if reason.is_none() {
            tracing::info!(collector = %self.settings.name, outcome = outcome.name(), "plugin was reloaded");
        }
        let now_ms = self.parts.clock.now_ms();
        self.stats.reloaded(now_ms, outcome, reason);
    }

    fn refuse(&mut self, reason: String) {
        tracing::error!(
            collector = %self.settings.name,
            "plugin was not reloaded and goes on as before: {reason}"
        );
        self.reloaded(Outcome::Refused, Some(reason));
    }
}

/// Whether nothing but the plugin's own configuration differs.
fn is_only_config(old: &Settings, new: &Settings) -> bool {
    let same = Settings {
        config: new.config.clone(),
        ..old.clone()
    };
    same == *new
}

/// Starts a successor and lets it collect once. It reads its source for the first time here, as it would in its
/// first tick, and declares its series.
pub(crate) async fn probe<R: Runner>(
    successor: &mut R,
    clock: &Clock,
    trial: Trial,
) -> Result<(), String> {
    let reason = |failure: Failure| failure.to_string();
    successor.start().await.map_err(reason)?;
    let tick = Tick {
        number: 0,
        at_ms: clock.now_ms(),
        at: clock.mono(),
        due: TierSet::ALL,
        missed: 0,
        stepped_ms: 0,
    };
    let collected = successor.collect(&tick, TierSet::ALL).await;
    // As of its samples, nothing is known of what it was refused.
    successor.take_refused();
    match (collected, trial) {
        (Ok(_), _) | (Err(Failure::Refused(_)), Trial::Starts) => Ok(()),
        (Err(failure), _) => Err(reason(failure)),
    }
}
