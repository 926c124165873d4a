//! The engine on a real catalog and batches that the test makes.

use std::collections::BTreeMap;

use super::*;
use crate::alerts::rule::{Function, Limits};
use crate::bus::Sample;
use crate::catalog::{Kind, Metric};
use crate::clock::{Tier, TierSet};
use crate::protocol::{Comparison, Severity};

const START_MS: i64 = 1_700_000_000_000;
const FAST: TierSet = TierSet::EMPTY.with(Tier::Fast);

struct Rig {
    engine: Engine,
    catalog: Catalog,
    collector: CollectorId,
    started: Instant,
    at_ms: i64,
}

fn rule(name: &str, metric: &str, warning: f64, hold_s: u64) -> Rule {
    Rule {
        name: name.to_owned(),
        metric: metric.to_owned(),
        labels: BTreeMap::new(),
        function: Function::Last,
        window: Duration::ZERO,
        limits: Limits {
            comparison: Comparison::Above,
            warning: Some(warning),
            critical: None,
            clear: warning,
            hold: Duration::from_secs(hold_s),
        },
        message: "{metric} of {collector} is {value}".to_owned(),
    }
}

fn metric(name: &str, tier: Tier, kind: Kind) -> Metric {
    Metric::for_test(name, kind, tier, &["cpu"])
}

impl Rig {
    fn new(rules: Vec<Rule>) -> Self {
        Self::with(rules, Vec::new())
    }

    fn with(rules: Vec<Rule>, kept: Vec<Saved>) -> Self {
        let catalog = Catalog::default();
        let collector = catalog.register("system", "system", "system", 100);
        let started = Batch::test_moment(START_MS);
        Self {
            engine: Engine::new(catalog.clone(), rules, kept, started),
            catalog,
            collector,
            started,
            at_ms: START_MS,
        }
    }

    fn series(&self, name: &str, cpu: &str) -> SeriesId {
        self.of_tier(name, cpu, Tier::Fast, Kind::Gauge)
    }

    fn of_tier(&self, name: &str, cpu: &str, tier: Tier, kind: Kind) -> SeriesId {
        let metric = self
            .catalog
            .define_metric(self.collector, metric(name, tier, kind));
        let values = vec![cpu.to_owned()];
        let series = self
            .catalog
            .define_series(self.collector, metric.unwrap(), values);
        series.unwrap()
    }

    /// A batch a second after the last one; gives the events with the state that each tells.
    fn batch(&mut self, due: TierSet, up: bool, samples: &[(SeriesId, f64)]) -> Vec<String> {
        self.at_ms += 1_000;
        let after = u64::try_from(self.at_ms - START_MS).unwrap();
        let samples = samples
            .iter()
            .map(|&(series, value)| Sample { series, value });
        self.engine.batch(&Batch {
            collector: self.collector,
            tick: 0,
            at_ms: self.at_ms,
            at: self.started + Duration::from_millis(after),
            due,
            up,
            took: Duration::ZERO,
            samples: samples.collect(),
        });
        let events = &self.engine.outcome.events;
        let told = events.iter().map(|event| {
            let alert = &event.data;
            let resolved = event.event == "dashboard-alert-resolved";
            assert_eq!(resolved, alert.state == AlertState::Resolved);
            format!("{} {:?}", alert.rule, alert.state).to_lowercase()
        });
        let told = told.collect();
        self.engine.outcome.events.clear();
        told
    }

    fn fast(&mut self, samples: &[(SeriesId, f64)]) -> Vec<String> {
        self.batch(FAST, true, samples)
    }

    /// What a restart would find on the disk.
    fn kept(&mut self) -> Vec<Saved> {
        let changes = self.engine.take().changes;
        changes.into_values().flatten().collect()
    }
}

#[test]
fn each_series_of_a_rule_has_an_alert_of_its_own() {
    let mut rig = Rig::new(vec![rule("load", "load", 5.0, 2)]);
    let (zero, one) = (rig.series("load", "0"), rig.series("load", "1"));
    assert_eq!(rig.fast(&[(zero, 9.0), (one, 1.0)]), ["load pending"]);
    assert_eq!(rig.fast(&[(zero, 9.0), (one, 9.0)]), ["load pending"]);
    assert_eq!(rig.fast(&[(zero, 9.0), (one, 9.0)]), ["load firing"]);
    let alerts = rig.engine.alerts();
    let shown: Vec<_> = alerts
        .iter()
        .map(|alert| (alert.labels["cpu"].as_str(), alert.state))
        .collect();
    assert_eq!(
        shown,
        [("0", AlertState::Firing), ("1", AlertState::Pending)]
    );
    assert_eq!(alerts[0].message, "load of system is 9");
    assert_eq!(
        (alerts[0].since, alerts[0].fired_at),
        (START_MS + 1_000, Some(START_MS + 3_000))
    );
    assert_ne!(alerts[0].id, alerts[1].id);
    assert_eq!(
        rig.fast(&[(zero, 1.0), (one, 1.0)]),
        ["load resolved", "load resolved"]
    );
    let dropped: Vec<_> = rig
        .engine
        .alerts()
        .iter()
        .map(|alert| alert.fired_at)
        .collect();
    assert_eq!(dropped, [Some(START_MS + 3_000)], "one never fired");
}

#[test]
fn labels_narrow_a_rule() {
    let mut narrow = rule("load", "load", 5.0, 0);
    narrow.labels = BTreeMap::from([("cpu".to_owned(), "1".to_owned())]);
    let mut rig = Rig::new(vec![narrow]);
    assert_eq!(
        rig.engine.rules()[0].waiting_for.as_deref(),
        Some("no collector has a metric load yet")
    );
    let zero = rig.series("load", "0");
    assert_eq!(rig.fast(&[(zero, 9.0)]), [""; 0]);
    assert_eq!(
        rig.engine.rules()[0].waiting_for.as_deref(),
        Some("load has no series with these labels yet")
    );
    let one = rig.series("load", "1");
    assert_eq!(rig.engine.rules()[0].waiting_for, None);
    assert_eq!(rig.fast(&[(zero, 9.0), (one, 9.0)]), ["load firing"]);
}

#[test]
fn a_collector_that_fails_leaves_its_alerts_as_they_are() {
    let mut rig = Rig::new(vec![rule("load", "load", 5.0, 3)]);
    let load = rig.series("load", "0");
    assert_eq!(rig.fast(&[(load, 9.0)]), ["load pending"]);
    for _ in 0..10 {
        assert_eq!(rig.batch(FAST, false, &[]), [""; 0]);
    }
    for _ in 0..3 {
        assert_eq!(rig.fast(&[(load, 9.0)]), [""; 0], "the gap does not count");
    }
    assert_eq!(rig.fast(&[(load, 9.0)]), ["load firing"]);
    assert_eq!(rig.batch(TierSet::EMPTY, false, &[]), [""; 0]);
    let alerts = rig.engine.alerts();
    assert_eq!(
        (alerts[0].state, alerts[0].value),
        (AlertState::Firing, None)
    );
    assert_eq!(rig.fast(&[(load, 1.0)]), ["load resolved"]);
}

#[test]
fn a_slow_metric_is_not_missed_between_its_ticks() {
    let mut rig = Rig::new(vec![rule("disk", "disk", 5.0, 2)]);
    let disk = rig.of_tier("disk", "0", Tier::Slow, Kind::Gauge);
    assert_eq!(
        rig.batch(TierSet::ALL, true, &[(disk, 9.0)]),
        ["disk pending"]
    );
    for _ in 0..3 {
        assert_eq!(rig.fast(&[]), [""; 0]);
    }
    assert_eq!(
        rig.batch(TierSet::ALL, true, &[(disk, 9.0)]),
        ["disk firing"]
    );
}

#[test]
fn a_counter_is_compared_by_its_rate() {
    let mut rig = Rig::new(vec![rule("requests", "requests_total", 100.0, 0)]);
    let requests = rig.of_tier("requests_total", "0", Tier::Fast, Kind::Counter);
    assert_eq!(rig.fast(&[(requests, 1_000_000.0)]), [""; 0]);
    assert_eq!(rig.fast(&[(requests, 1_000_050.0)]), [""; 0]);
    assert_eq!(rig.fast(&[(requests, 1_000_250.0)]), ["requests firing"]);
    assert_eq!(
        rig.fast(&[(requests, 10.0)]),
        ["requests resolved"],
        "a reset is 10 a second"
    );
}

#[test]
fn a_series_that_is_gone_ends_its_alert() {
    let mut rig = Rig::new(vec![rule("load", "load", 5.0, 0)]);
    let (zero, one) = (rig.series("load", "0"), rig.series("load", "1"));
    rig.fast(&[(zero, 9.0), (one, 1.0)]);
    rig.catalog.retire(zero);
    assert_eq!(rig.fast(&[(one, 1.0)]), ["load resolved"]);
    assert_eq!(rig.engine.alerts()[0].state, AlertState::Resolved);
    for _ in 0..3_600 {
        rig.fast(&[(one, 1.0)]);
    }
    assert_eq!(rig.engine.alerts().len(), 1);
    rig.fast(&[(one, 1.0)]);
    assert_eq!(rig.engine.alerts(), [], "after an hour");
    assert_eq!(rig.kept(), []);
}

#[test]
fn new_rules_take_over_the_states_of_the_same_name() {
    let mut rig = Rig::new(vec![
        rule("load", "load", 5.0, 0),
        rule("other", "load", 5.0, 0),
    ]);
    let load = rig.series("load", "0");
    assert_eq!(rig.fast(&[(load, 9.0)]), ["load firing", "other firing"]);
    rig.engine.set_rules(vec![rule("load", "load", 7.0, 60)]);
    assert_eq!(rig.fast(&[(load, 9.0)]), ["other resolved"]);
    assert_eq!(rig.engine.alerts()[0].state, AlertState::Firing);
    assert_eq!(
        rig.fast(&[(load, 7.0)]),
        ["load resolved"],
        "by the new threshold"
    );
}

#[test]
fn a_restart_finds_what_was_and_tells_it_no_second_time() {
    let rules = || vec![rule("load", "load", 5.0, 1)];
    let mut rig = Rig::new(rules());
    let load = rig.series("load", "0");
    rig.fast(&[(load, 9.0)]);
    assert_eq!(rig.fast(&[(load, 9.0)]), ["load firing"]);
    let kept = rig.kept();

    let mut rig = Rig::with(rules(), kept.clone());
    let alerts = rig.engine.alerts();
    assert_eq!(
        (alerts[0].state, alerts[0].value),
        (AlertState::Firing, None),
        "at once"
    );
    assert_eq!(rig.fast(&[]), [""; 0]);
    let load = rig.series("load", "0");
    assert_eq!(rig.fast(&[(load, 9.0)]), [""; 0]);
    assert_eq!(rig.engine.alerts()[0].id, alerts[0].id);
    assert_eq!(rig.fast(&[(load, 1.0)]), ["load resolved"]);

    let mut rig = Rig::with(Vec::new(), kept.clone());
    assert_eq!(rig.fast(&[]), ["load resolved"], "its rule is gone");

    let mut rig = Rig::with(rules(), kept);
    let events: Vec<_> = (0..310).flat_map(|_| rig.fast(&[])).collect();
    assert_eq!(events, ["load resolved"], "its series did not come back");
    assert!(rig.at_ms - START_MS > RETURN_MS);
}

#[test]
fn a_severity_that_rises_is_told_once() {
    let mut both = rule("load", "load", 5.0, 0);
    both.limits.critical = Some(8.0);
    let mut rig = Rig::new(vec![both]);
    let load = rig.series("load", "0");
    let events: Vec<_> = [6.0, 9.0, 6.0, 9.0]
        .iter()
        .flat_map(|&value| rig.fast(&[(load, value)]))
        .collect();
    assert_eq!(events, ["load firing", "load firing"]);
    assert_eq!(rig.engine.alerts()[0].severity, Severity::Critical);
}

#[test]
fn a_window_goes_on_from_history() {
    let mut average = rule("load", "load", 5.0, 0);
    (average.function, average.window) = (Function::Avg, Duration::from_mins(1));
    let mut rig = Rig::new(vec![average]);
    let load = rig.series("load", "0");
    assert_eq!(
        rig.fast(&[(load, 9.0)]),
        [""; 0],
        "one value is no mean of a minute"
    );
    let wanted = rig.engine.take().wanted;
    assert_eq!(
        (wanted[0].metric.as_str(), wanted[0].span),
        ("load", Duration::from_mins(1))
    );
    let before: Vec<_> = (1..50)
        .rev()
        .map(|second| (rig.at_ms - second * 1_000, 9.0))
        .collect();
    let now = rig.started + Duration::from_millis(u64::try_from(rig.at_ms - START_MS).unwrap());
    rig.engine.refill(&wanted[0], &before, rig.at_ms, now);
    assert_eq!(rig.fast(&[(load, 9.0)]), ["load firing"]);
    assert!(rig.engine.take().wanted.is_empty(), "asked once");
}
