//! All rules on all series: takes batches, says what happened and what has to be kept.
//!
//! It has no task, no channel and no disk; time comes with the batches. An alert whose series is not there
//! (not yet after a restart, or not any more) is detached: it is shown as it was last, and ends when its
//! rule is gone or its collector delivers without it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::persist::{Changes, Saved};
use super::rule::Rule;
use super::state::{self, Moment, State, Transition};
use super::watch::{self, Subject, Watch};
use crate::bus::Batch;
use crate::catalog::{Catalog, CollectorId, SeriesId, Tables};
use crate::protocol::{AlertInfo, AlertState, Labels, RuleInfo, ServerEvent};

/// Channel of the events.
const CHANNEL: &str = "admin";
/// Rules times series. One with a window takes up to 40 KB; a rule on one metric of a thousand queues is far
/// from it.
const WATCHES_MAX: usize = 10_000;
/// Alerts whose series is gone; beyond it they are forgotten as soon as they are over.
const DETACHED_MAX: usize = 1_000;
/// A restored alert waits for its series for so long after the start.
const RETURN_MS: i64 = 5 * 60_000;
/// How often it is looked after alerts that no batch comes for.
const SWEEP_MS: i64 = 1_000;

/// An event for the admins.
pub type Event = ServerEvent<AlertInfo>;

/// A series whose window can be filled with what was before it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Where the answer belongs.
    place: (CollectorId, SeriesId, String),
    /// Its collector's name.
    pub collector: String,
    /// Its metric.
    pub metric: String,
    /// Its labels.
    pub labels: Labels,
    /// How far back.
    pub span: Duration,
}

/// What came of what the engine was told since it was asked last.
#[derive(Debug, Default)]
pub struct Outcome {
    /// In order.
    pub events: Vec<Event>,
    /// What has to be kept.
    pub changes: Changes,
    /// Among the changes is one that must not be told twice after a restart.
    pub is_urgent: bool,
    /// Windows that are empty.
    pub wanted: Vec<Wanted>,
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    catalog: Catalog,
    rules: Vec<Arc<Rule>>,
    builtin: Vec<Rule>,
    /// Grows with each change of the rules.
    edition: u64,
    collectors: HashMap<CollectorId, Watched>,
    detached: BTreeMap<String, Saved>,
    watches: usize,
    started: Instant,
    swept_ms: Option<i64>,
    is_full: bool,
    outcome: Outcome,
}

#[derive(Debug, Default)]
struct Watched {
    /// Revision of the catalog and edition of the rules that the watches were made from.
    version: Option<(u64, u64)>,
    watches: Vec<Watch>,
    /// Positions of the watches of a series.
    by_series: HashMap<SeriesId, Vec<usize>>,
    /// Its last batch was a good one.
    is_up: bool,
}

impl Engine {
    /// With the alerts that were kept.
    pub fn new(catalog: Catalog, rules: Vec<Rule>, kept: Vec<Saved>, started: Instant) -> Self {
        let detached = kept
            .into_iter()
            .map(|mut saved| {
                saved.alert.value = None;
                (saved.alert.id.clone(), saved)
            })
            .collect();
        Self {
            catalog,
            rules: rules.into_iter().map(Arc::new).collect(),
            builtin: super::defaults::rules(),
            edition: 0,
            collectors: HashMap::new(),
            detached,
            watches: 0,
            started,
            swept_ms: None,
            is_full: false,
            outcome: Outcome::default(),
        }
    }

    /// Replaces the rules. Alerts of rules that stay, by name, keep their states.
    pub fn set_rules(&mut self, rules: Vec<Rule>) {
        self.rules = rules.into_iter().map(Arc::new).collect();
        self.edition += 1;
        // The next batch, which comes within a tick, brings everything up to date.
        self.swept_ms = None;
    }

    /// Takes in a batch.
    pub fn batch(&mut self, batch: &Batch) {
        let now = Moment {
            wall_ms: batch.at_ms,
            mono_ms: self.mono_ms(batch.at),
        };
        self.refresh(batch.collector, now);
        if self
            .swept_ms
            .is_none_or(|swept| now.mono_ms - swept >= SWEEP_MS)
        {
            self.swept_ms = Some(now.mono_ms);
            self.sweep(now);
        }
        let Some(watched) = self.collectors.get_mut(&batch.collector) else {
            return;
        };
        watched.is_up = batch.up;
        for sample in &batch.samples {
            for position in watched.by_series.get(&sample.series).into_iter().flatten() {
                watched.watches[*position].sample(now.mono_ms, sample.value);
            }
        }
        for watch in &mut watched.watches {
            let before = watch.state;
            let is_due = |tier| !batch.up || batch.due.contains(tier);
            if let Some(transition) = watch.evaluate(is_due, now) {
                self.outcome.note(watch, &before, transition, now);
            }
        }
    }

    /// Fills a window with what was before: gauges' values and counters' rates, oldest first, by Unix time.
    /// `now` is the present on both clocks.
    pub fn refill(&mut self, wanted: &Wanted, points: &[(i64, f64)], now_ms: i64, now: Instant) {
        let ahead_ms = now_ms - self.mono_ms(now);
        let points: Vec<_> = points
            .iter()
            .map(|(at, value)| (at - ahead_ms, *value))
            .collect();
        let (collector, series, rule) = &wanted.place;
        let watches = self.collectors.get_mut(collector);
        let watches = watches.into_iter().flat_map(|known| &mut known.watches);
        for watch in watches.filter(|watch| watch.series == *series && watch.rule.name == *rule) {
            watch.refill(&points);
        }
    }

    /// What happened since this was called last.
    pub fn take(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    /// Alerts: firing first, then pending, then resolved; newest first.
    pub fn alerts(&self) -> Vec<AlertInfo> {
        let live = self.collectors.values().flat_map(|known| &known.watches);
        let detached = self.detached.values().map(|saved| saved.alert.clone());
        let mut all: Vec<_> = live.filter_map(Watch::alert).chain(detached).collect();
        let order = |alert: &AlertInfo| match alert.state {
            AlertState::Firing => (0, alert.fired_at.map(|at| -at)),
            AlertState::Pending => (1, Some(-alert.since)),
            AlertState::Resolved => (2, alert.resolved_at.map(|at| -at)),
        };
        all.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.id.cmp(&b.id)));
        all
    }

    /// Every rule.
    pub fn rules(&self) -> Vec<RuleInfo> {
        let tables = self.catalog.read();
        self.rules
            .iter()
            .map(|rule| rule.info(waiting_for(rule, &tables), self.builtin.contains(rule)))
            .collect()
    }

    fn mono_ms(&self, at: Instant) -> i64 {
        let since = at.saturating_duration_since(self.started);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Makes the watches of a collector anew if its series or the rules have changed.
    fn refresh(&mut self, collector: CollectorId, now: Moment) {
        let catalog = self.catalog.clone();
        let tables = catalog.read();
        let version = (tables.collector(collector).revision, self.edition);
        let known = self.collectors.entry(collector).or_default();
        if known.version == Some(version) {
            return;
        }
        known.version = Some(version);
        let old = std::mem::take(&mut known.watches);
        self.watches -= old.len();
        let mut old: HashMap<(SeriesId, String), Watch> = old
            .into_iter()
            .map(|watch| ((watch.series, watch.rule.name.clone()), watch))
            .collect();
        let mut watches = Vec::new();
        for (series, rule) in self.pairs(collector, &tables) {
            if let Some(mut watch) = old.remove(&(series, rule.name.clone())) {
                watch.adopt(rule);
                watches.push(watch);
            } else if self.watches + watches.len() < WATCHES_MAX {
                let subject = subject(series, &tables);
                let id = watch::id(&rule, &subject);
                let kept = self.detached.remove(&id);
                let state = kept.map_or(State::Inactive, |saved| saved.state);
                let watch = Watch::new(rule, series, subject, state);
                self.outcome.wanted.extend(wanted(collector, &watch));
                watches.push(watch);
            } else if !std::mem::replace(&mut self.is_full, true) {
                tracing::error!(
                    "rules would watch more than {WATCHES_MAX} series; narrow them by labels"
                );
            }
        }
        drop(tables);
        for watch in old.into_values() {
            self.detach(watch, now);
        }
        self.watches += watches.len();
        let mut by_series = HashMap::<_, Vec<_>>::new();
        for (position, watch) in watches.iter().enumerate() {
            by_series.entry(watch.series).or_default().push(position);
        }
        let known = self.collectors.entry(collector).or_default();
        (known.watches, known.by_series) = (watches, by_series);
    }

    /// The series of a collector with the rules that want them.
    fn pairs(&self, collector: CollectorId, tables: &Tables) -> Vec<(SeriesId, Arc<Rule>)> {
        let mut pairs = Vec::new();
        let own = tables
            .all_series()
            .filter(|(_, series)| series.collector == collector && !series.retired);
        for (id, series) in own {
            let name = &tables.metric(series.metric).name;
            for rule in self.rules.iter().filter(|rule| rule.metric == *name) {
                let labels: Vec<_> = tables.labels(id).collect();
                if rule.wants(&labels) {
                    pairs.push((id, Arc::clone(rule)));
                }
            }
        }
        pairs
    }

    /// Ends the alert of a series that is gone, or of a rule that is; it is shown for as long as any other.
    fn detach(&mut self, mut watch: Watch, now: Moment) {
        let before = watch.state;
        let (state, transition) = state::end(&before, now);
        watch.state = state;
        if let Some(transition) = transition {
            self.outcome.note(&watch, &before, transition, now);
        }
        let Some(saved) = watch.saved() else {
            return;
        };
        if self.detached.len() < DETACHED_MAX {
            self.detached.insert(watch.id, saved);
        } else {
            self.outcome.changes.insert(watch.id, None);
        }
    }

    /// Looks after collectors that send nothing any more and after alerts without a series.
    fn sweep(&mut self, now: Moment) {
        let known: Vec<_> = self.collectors.keys().copied().collect();
        for collector in known {
            self.refresh(collector, now);
        }
        let over: Vec<_> = self
            .detached
            .iter()
            .filter_map(|(id, saved)| self.next_of(saved, now).map(|next| (id.clone(), next)))
            .collect();
        for (id, (state, transition)) in over {
            let Some(mut saved) = self.detached.remove(&id) else {
                continue;
            };
            saved.state = state;
            watch::stamp(&mut saved.alert, &state);
            if transition == Transition::Resolved {
                self.outcome.tell(saved.alert.clone(), now.wall_ms);
                self.outcome.is_urgent = true;
            }
            let goes_on = state != State::Inactive;
            let kept = goes_on.then(|| saved.clone());
            self.outcome.changes.insert(id.clone(), kept);
            if goes_on {
                self.detached.insert(id, saved);
            }
        }
    }

    /// What becomes of a detached alert, if anything.
    fn next_of(&self, saved: &Saved, now: Moment) -> Option<(State, Transition)> {
        let alert = &saved.alert;
        let rule = self.rules.iter().find(|rule| rule.name == alert.rule);
        let is_wanted = rule.is_some_and(|rule| rule.metric == alert.metric);
        let (mut state, mut transition) = state::absent(&saved.state, now);
        if transition.is_none() && (!is_wanted || self.is_lost(&alert.collector, now)) {
            (state, transition) = state::end(&saved.state, now);
        }
        transition.map(|transition| (state, transition))
    }

    /// Whether a series that has not come by now will not come any more.
    fn is_lost(&self, collector: &str, now: Moment) -> bool {
        if now.mono_ms < RETURN_MS {
            return false;
        }
        let tables = self.catalog.read();
        let mut of_name = tables
            .collectors()
            .filter(|(_, known)| known.name == collector && known.series_live > 0);
        of_name.all(|(id, _)| self.collectors.get(&id).is_some_and(|known| known.is_up))
    }
}

impl Outcome {
    fn note(&mut self, watch: &Watch, before: &State, transition: Transition, now: Moment) {
        self.changes.insert(watch.id.clone(), watch.saved());
        let alert = match transition {
            Transition::Dropped => watch.dropped(before, now),
            Transition::Forgotten => None,
            _ => watch.alert(),
        };
        self.is_urgent |= matches!(
            transition,
            Transition::Fired | Transition::Worsened | Transition::Resolved
        );
        if let Some(alert) = alert {
            self.tell(alert, now.wall_ms);
        }
    }

    fn tell(&mut self, alert: AlertInfo, at: i64) {
        let event = match alert.state {
            AlertState::Resolved => "dashboard-alert-resolved",
            AlertState::Pending | AlertState::Firing => "dashboard-alert",
        };
        self.events.push(ServerEvent {
            event: event.to_owned(),
            channel: CHANNEL.to_owned(),
            at,
            data: alert,
        });
    }
}

fn wanted(collector: CollectorId, watch: &Watch) -> Option<Wanted> {
    let span = watch.span()?;
    let subject = watch.subject();
    Some(Wanted {
        place: (collector, watch.series, watch.rule.name.clone()),
        collector: subject.collector.clone(),
        metric: watch.rule.metric.clone(),
        labels: subject.labels.clone(),
        span,
    })
}

fn subject(series: SeriesId, tables: &Tables) -> Subject {
    let known = tables.series(series);
    let metric = tables.metric(known.metric);
    let labels = tables
        .labels(series)
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Subject {
        collector: tables.collector(known.collector).name.clone(),
        labels: labels.collect(),
        tier: metric.tier,
        kind: metric.kind,
        unit: metric.unit,
    }
}

/// Why a rule does not watch anything.
fn waiting_for(rule: &Rule, tables: &Tables) -> Option<String> {
    let Some((id, _)) = tables
        .metrics()
        .find(|(_, metric)| metric.name == rule.metric)
    else {
        return Some(format!("no collector has a metric {} yet", rule.metric));
    };
    let mut series = tables
        .all_series()
        .filter(|(_, series)| series.metric == id && !series.retired);
    let is_watched = series.any(|(id, _)| {
        let labels: Vec<_> = tables.labels(id).collect();
        rule.wants(&labels)
    });
    if is_watched {
        return None;
    }
    let labels = if rule.labels.is_empty() {
        ""
    } else {
        " with these labels"
    };
    Some(format!("{} has no series{labels} yet", rule.metric))
}

#[cfg(test)]
mod tests;
