//! One rule on one series: the values it looks at, and where the alert stands.
//!
//! The engine owns all watches and hands each the samples of its series. A watch does no input or output
//! and takes time as an argument.

use std::sync::Arc;
use std::time::Duration;

use super::persist::Saved;
use super::rule::{Facts, Function, Rule};
use super::state::{self, Moment, State, Transition};
use super::window::{Input, Point, Window};
use crate::catalog::{Kind, SeriesId, Unit};
use crate::clock::Tier;
use crate::protocol::{AlertInfo, AlertState, Labels, Severity};

/// What of a series an alert shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subject {
    /// Its collector's name.
    pub(super) collector: String,
    /// Its labels, in the metric's order.
    pub(super) labels: Labels,
    /// How often it is sampled.
    pub(super) tier: Tier,
    /// Gauge or counter.
    pub(super) kind: Kind,
    /// How its values are written.
    pub(super) unit: Unit,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    /// The same over restarts.
    pub(super) id: String,
    /// The rule.
    pub(super) rule: Arc<Rule>,
    /// The series.
    pub(super) series: SeriesId,
    /// Where the alert stands.
    pub(super) state: State,
    subject: Subject,
    input: Input,
    window: Option<Window>,
    /// What the rule's function gave last.
    value: Option<f64>,
    /// A sample has come since the last evaluation.
    sampled: bool,
}

/// The id of the alert of a rule on a series: the rule's name and a hash of what the series is.
pub(super) fn id(rule: &Rule, subject: &Subject) -> String {
    let mut labels: Vec<_> = subject.labels.iter().collect();
    labels.sort_unstable();
    let mut hash = Fnv::default();
    hash.text(&subject.collector);
    hash.text(&rule.metric);
    for (name, value) in labels {
        hash.text(name);
        hash.text(value);
    }
    format!("{}-{:016x}", rule.name, hash.0)
}

impl Watch {
    /// A watch that has seen nothing; `state` is what is known from before.
    pub(super) fn new(rule: Arc<Rule>, series: SeriesId, subject: Subject, state: State) -> Self {
        let window = window(&rule);
        Self {
            id: id(&rule, &subject),
            rule,
            series,
            state,
            subject,
            input: Input::default(),
            window,
            value: None,
            sampled: false,
        }
    }

    /// Goes on with another version of its rule; the alert stays as it is until the next value.
    pub(super) fn adopt(&mut self, rule: Arc<Rule>) {
        if self.rule.function != rule.function || self.rule.window != rule.window {
            self.window = window(&rule);
        }
        self.rule = rule;
    }

    /// Takes a sample of its series.
    pub(super) fn sample(&mut self, mono_ms: i64, value: f64) {
        let point = self.input.take(self.subject.kind, mono_ms, value);
        self.value = match &mut self.window {
            None => point.value,
            Some(window) => {
                window.push(mono_ms, point);
                window.value(self.rule.function)
            }
        };
        self.sampled = true;
    }

    /// What the rule looks at besides the newest value.
    pub(super) fn span(&self) -> Option<Duration> {
        self.window.as_ref().map(|_| self.rule.window)
    }

    /// Fills the window with what was before the first sample: gauges' values and counters' rates, oldest
    /// first, by their time on the clock that is never stepped.
    pub(super) fn refill(&mut self, points: &[(i64, f64)]) {
        let Some(window) = &mut self.window else {
            return;
        };
        let mut older = Window::new(self.rule.window);
        let mut before = None::<(i64, f64)>;
        for &(at_ms, value) in points {
            let change = before.map(|(before_ms, before)| {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a span in milliseconds is small"
                )]
                let seconds = (at_ms - before_ms) as f64 / 1_000.0;
                match self.subject.kind {
                    Kind::Gauge => (value - before, seconds),
                    Kind::Counter => (value * seconds, seconds),
                }
            });
            before = Some((at_ms, value));
            let value = Some(value);
            older.push(at_ms, Point { value, change });
        }
        window.prepend(older);
    }

    /// Evaluates the rule after a batch. Without a sample in a batch that should have had one, the series is
    /// absent; in another one there is nothing to say.
    pub(super) fn evaluate(
        &mut self,
        is_due: impl FnOnce(Tier) -> bool,
        now: Moment,
    ) -> Option<Transition> {
        if !std::mem::take(&mut self.sampled) {
            if !is_due(self.subject.tier) {
                return None;
            }
            self.input.forget();
            self.value = None;
            if let Some(window) = &mut self.window {
                window.expire(now.mono_ms);
            }
        }
        let (state, transition) = state::step(&self.rule.limits, &self.state, self.value, now);
        self.state = state;
        transition
    }

    /// What of the series is shown.
    pub(super) const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The alert's present form; `None` while it is inactive.
    pub(super) fn alert(&self) -> Option<AlertInfo> {
        let (state, since, severity) = match self.state {
            State::Inactive => return None,
            State::Pending {
                since_ms, severity, ..
            } => (AlertState::Pending, since_ms, severity),
            State::Firing {
                since_ms, severity, ..
            } => (AlertState::Firing, since_ms, severity),
            State::Resolved {
                since_ms, severity, ..
            } => (AlertState::Resolved, since_ms, severity),
        };
        let mut alert = self.form(state, severity, since);
        stamp(&mut alert, &self.state);
        Some(alert)
    }

    /// The form of one that was pending and is over without having fired.
    pub(super) fn dropped(&self, before: &State, now: Moment) -> Option<AlertInfo> {
        let State::Pending {
            since_ms, severity, ..
        } = *before
        else {
            return None;
        };
        let mut alert = self.form(AlertState::Resolved, severity, since_ms);
        alert.resolved_at = Some(now.wall_ms);
        Some(alert)
    }

    /// What is kept of it over a restart; `None` while it is inactive.
    pub(super) fn saved(&self) -> Option<Saved> {
        self.alert().map(|alert| Saved {
            state: self.state,
            unit: self.subject.unit,
            kind: self.subject.kind,
            alert,
        })
    }

    fn form(&self, state: AlertState, severity: Severity, since: i64) -> AlertInfo {
        let limits = &self.rule.limits;
        let threshold = limits.threshold(severity);
        AlertInfo {
            id: self.id.clone(),
            rule: self.rule.name.clone(),
            state,
            severity,
            metric: self.rule.metric.clone(),
            collector: self.subject.collector.clone(),
            labels: self.subject.labels.clone(),
            value: self.value,
            threshold,
            comparison: limits.comparison,
            since,
            fired_at: None,
            resolved_at: None,
            message: self.rule.message(&Facts {
                value: self.value,
                threshold,
                collector: &self.subject.collector,
                labels: &self.subject.labels,
                unit: self.subject.unit,
                kind: self.subject.kind,
            }),
        }
    }
}

/// Writes where an alert stands into its form.
pub(super) fn stamp(alert: &mut AlertInfo, state: &State) {
    match *state {
        State::Inactive | State::Pending { .. } => {}
        State::Firing { fired_ms, .. } => {
            alert.state = AlertState::Firing;
            alert.fired_at = Some(fired_ms);
        }
        State::Resolved {
            fired_ms,
            resolved_ms,
            ..
        } => {
            alert.state = AlertState::Resolved;
            alert.fired_at = Some(fired_ms);
            alert.resolved_at = Some(resolved_ms);
        }
    }
}

fn window(rule: &Rule) -> Option<Window> {
    (rule.function != Function::Last).then(|| Window::new(rule.window))
}

/// FNV-1a in 64 bits: the same in every version and on every machine.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// A byte that no text has stands after each, so that "ab", "c" is not "a", "bc".
    fn text(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
