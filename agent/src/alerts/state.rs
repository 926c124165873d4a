//! The states of one alert and the step from one to the next.
//!
//! Pure: [`step`] takes a state, a value and a moment and gives the next state. A value that is missing
//! keeps everything as it is and stops the time that a threshold has to be crossed for, so that absence
//! neither raises nor ends an alert. Once it fires, an alert only gets worse or ends: its severity never
//! goes down, or a value around the critical threshold would be news each time. The cases stand in
//! `cases/` as text: a line `load` sets limits, `eval` gives a value and says what must come of it.

use serde::{Deserialize, Serialize};

use super::rule::Limits;
use crate::protocol::Severity;

/// Resolved alerts are shown for so long.
pub const RESOLVED_MS: i64 = 3_600_000;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Unix milliseconds: what people are told.
    pub wall_ms: i64,
    /// Milliseconds on a clock that is never stepped: what spans are measured with.
    pub mono_ms: i64,
}

/// For how long the thresholds have been crossed without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Any of them.
    pub any_ms: i64,
    /// The critical one; `None` while it is not crossed.
    pub critical_ms: Option<i64>,
    /// When the last value came, on the clock that is never stepped. `None` after a gap and after a restart.
    #[serde(skip)]
    pub seen_ms: Option<i64>,
}

/// Where an alert stands. Times are Unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// All is well.
    #[default]
    Inactive,
    /// A threshold is crossed, but not yet for long enough.
    Pending {
        /// When it was crossed.
        since_ms: i64,
        /// The worst that is crossed now.
        severity: Severity,
        /// For how long.
        held: Held,
    },
    /// It was crossed for long enough, and the value has not come back to the clear threshold.
    Firing {
        /// When it was crossed.
        since_ms: i64,
        /// When it began to fire.
        fired_ms: i64,
        /// The worst so far.
        severity: Severity,
        /// For how long.
        held: Held,
    },
    /// It was firing and is over.
    Resolved {
        /// When it was crossed.
        since_ms: i64,
        /// When it began to fire.
        fired_ms: i64,
        /// When it was over.
        resolved_ms: i64,
        /// The worst that it was.
        severity: Severity,
    },
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// A threshold was crossed.
    Pending,
    /// It was not crossed for long enough.
    Dropped,
    /// The alert began to fire.
    Fired,
    /// It fires and has become critical.
    Worsened,
    /// It was firing and is over.
    Resolved,
    /// It has been over for so long that it is not shown any more.
    Forgotten,
}

/// The next state, and what happened.
pub fn step(
    limits: &Limits,
    state: &State,
    value: Option<f64>,
    now: Moment,
) -> (State, Option<Transition>) {
    let Some(value) = value else {
        return absent(state, now);
    };
    match (*state, limits.severity(value)) {
        (State::Inactive | State::Resolved { .. }, Some(severity)) => begin(limits, severity, now),
        (State::Inactive | State::Resolved { .. }, None) => absent(state, now),
        (State::Pending { .. }, None) => (State::Inactive, Some(Transition::Dropped)),
        (State::Pending { since_ms, held, .. }, Some(severity)) => {
            let held = held.go_on(Some(severity), now.mono_ms);
            wait(limits, since_ms, severity, held, now)
        }
        (State::Firing { .. }, _) if limits.is_clear(value) => end(state, now),
        (
            State::Firing {
                since_ms,
                fired_ms,
                severity,
                held,
            },
            crossed,
        ) => {
            let held = held.go_on(crossed, now.mono_ms);
            let is_worse = severity < Severity::Critical && held.critical_for(limits);
            let state = State::Firing {
                since_ms,
                fired_ms,
                severity: if is_worse {
                    Severity::Critical
                } else {
                    severity
                },
                held,
            };
            (state, is_worse.then_some(Transition::Worsened))
        }
    }
}

/// Ends an alert whose series or rule is gone for good.
pub fn end(state: &State, now: Moment) -> (State, Option<Transition>) {
    match *state {
        State::Firing {
            since_ms,
            fired_ms,
            severity,
            ..
        } => {
            let state = State::Resolved {
                since_ms,
                fired_ms,
                resolved_ms: now.wall_ms,
                severity,
            };
            (state, Some(Transition::Resolved))
        }
        State::Pending { .. } => (State::Inactive, Some(Transition::Dropped)),
        other => (other, None),
    }
}

fn begin(limits: &Limits, severity: Severity, now: Moment) -> (State, Option<Transition>) {
    let held = Held {
        any_ms: 0,
        critical_ms: (severity == Severity::Critical).then_some(0),
        seen_ms: Some(now.mono_ms),
    };
    let (state, transition) = wait(limits, now.wall_ms, severity, held, now);
    (state, transition.or(Some(Transition::Pending)))
}

/// Fires if the time has come.
fn wait(
    limits: &Limits,
    since_ms: i64,
    severity: Severity,
    held: Held,
    now: Moment,
) -> (State, Option<Transition>) {
    if held.any_ms < limits.hold_ms() {
        let state = State::Pending {
            since_ms,
            severity,
            held,
        };
        return (state, None);
    }
    // With no threshold for a warning the critical one is the only one that can have been held.
    let severity = if held.critical_for(limits) {
        Severity::Critical
    } else {
        Severity::Warning
    };
    let state = State::Firing {
        since_ms,
        fired_ms: now.wall_ms,
        severity,
        held,
    };
    (state, Some(Transition::Fired))
}

/// What a tick without a value changes, or one whose value is fine: [`step`] without limits.
pub fn absent(state: &State, now: Moment) -> (State, Option<Transition>) {
    let mut state = *state;
    match &mut state {
        State::Resolved { resolved_ms, .. } if now.wall_ms - *resolved_ms > RESOLVED_MS => {
            return (State::Inactive, Some(Transition::Forgotten));
        }
        State::Pending { held, .. } | State::Firing { held, .. } => held.seen_ms = None,
        State::Inactive | State::Resolved { .. } => {}
    }
    (state, None)
}

impl Held {
    /// Adds the time since the last value, if there was one just before.
    fn go_on(self, crossed: Option<Severity>, mono_ms: i64) -> Self {
        let passed = self.seen_ms.map_or(0, |seen| (mono_ms - seen).max(0));
        let critical = crossed == Some(Severity::Critical);
        Self {
            any_ms: self.any_ms.saturating_add(passed),
            critical_ms: critical
                .then(|| self.critical_ms.map_or(0, |ms| ms.saturating_add(passed))),
            seen_ms: Some(mono_ms),
        }
    }

    fn critical_for(&self, limits: &Limits) -> bool {
        self.critical_ms.is_some_and(|ms| ms >= limits.hold_ms())
    }
}

impl Limits {
    fn hold_ms(&self) -> i64 {
        i64::try_from(self.hold.as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
