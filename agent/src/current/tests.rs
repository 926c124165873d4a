//! Rates, gaps and what is stale, on batches made by hand.

use super::*;
use crate::catalog::Metric;
use crate::clock::TierSet;

const FAST: TierSet = TierSet::EMPTY.with(Tier::Fast);

struct Rig {
    catalog: Catalog,
    current: Current,
    collector: CollectorId,
    at_ms: i64,
}

impl Rig {
    fn new() -> Self {
        let catalog = Catalog::default();
        let collector = catalog.register("system", "system", "system", 100);
        Self {
            current: Current::new(catalog.clone()),
            catalog,
            collector,
            at_ms: 0,
        }
    }

    fn series(&self, name: &str, kind: Kind, tier: Tier) -> SeriesId {
        let metric = Metric::for_test(name, kind, tier, &[]);
        let metric = self.catalog.define_metric(self.collector, metric).unwrap();
        self.catalog
            .define_series(self.collector, metric, Vec::new())
            .unwrap()
    }

    fn batch(&mut self, due: TierSet, up: bool, samples: &[(SeriesId, f64)]) -> Applied {
        self.batch_after(1_000, due, up, samples)
    }

    fn batch_after(
        &mut self,
        ms: i64,
        due: TierSet,
        up: bool,
        samples: &[(SeriesId, f64)],
    ) -> Applied {
        self.at_ms += ms;
        self.current.apply(&Batch {
            collector: self.collector,
            tick: 0,
            at_ms: self.at_ms,
            at: Batch::test_moment(self.at_ms),
            due,
            up,
            took: Duration::ZERO,
            samples: samples
                .iter()
                .map(|&(series, value)| Sample { series, value })
                .collect(),
        })
    }

    fn rate(&self, series: SeriesId) -> Option<f64> {
        self.current.read().latest(series).unwrap().rate
    }
}

#[test]
fn a_rate_is_per_second_of_the_time_that_went_by() {
    let mut rig = Rig::new();
    let total = rig.series("total", Kind::Counter, Tier::Fast);
    rig.batch(FAST, true, &[(total, 100.0)]);
    assert_eq!(rig.rate(total), None);
    rig.batch_after(250, FAST, true, &[(total, 110.0)]);
    assert_eq!(rig.rate(total), Some(40.0));
    rig.batch_after(3_000, FAST, true, &[(total, 113.0)]);
    assert_eq!(rig.rate(total), Some(1.0));
    rig.batch(FAST, true, &[(total, 113.0)]);
    assert_eq!(rig.rate(total), Some(0.0));
}

#[test]
fn a_reset_a_gap_and_a_clock_that_was_set_back_leave_no_rate() {
    let mut rig = Rig::new();
    let total = rig.series("total", Kind::Counter, Tier::Fast);
    rig.batch(FAST, true, &[(total, 100.0)]);
    rig.batch(FAST, true, &[(total, 1.0)]);
    assert_eq!(rig.rate(total), None, "reset");
    rig.batch(FAST, true, &[(total, 2.0)]);
    assert_eq!(rig.rate(total), Some(1.0));
    rig.batch(FAST, false, &[]);
    assert_eq!(rig.rate(total), None, "stale");
    rig.batch(FAST, true, &[(total, 3.0)]);
    assert_eq!(rig.rate(total), None, "after the gap");
    rig.batch_after(-5_000, FAST, true, &[(total, 4.0)]);
    assert_eq!(rig.rate(total), None, "set back");
    rig.batch(FAST, true, &[(total, 5.0)]);
    assert_eq!(rig.rate(total), Some(1.0));
}

#[test]
fn what_was_due_and_did_not_come_is_stale_and_what_was_not_due_is_not() {
    let mut rig = Rig::new();
    let [a, b] = ["a", "b"].map(|name| rig.series(name, Kind::Gauge, Tier::Fast));
    let slow = rig.series("slow", Kind::Gauge, Tier::Slow);
    assert!(rig.current.stale(a), "before the first sample");
    rig.batch(TierSet::ALL, true, &[(a, 1.0), (b, 2.0), (slow, 3.0)]);
    rig.batch(FAST, true, &[(a, 1.0)]);
    assert_eq!(
        [a, b, slow].map(|series| rig.current.stale(series)),
        [false, true, false]
    );
    rig.batch(TierSet::ALL, true, &[(a, 1.0), (b, 1.0)]);
    assert_eq!(
        [a, b, slow].map(|series| rig.current.stale(series)),
        [false, false, true]
    );
}

#[test]
fn a_failure_makes_everything_stale_but_what_came_with_it() {
    let mut rig = Rig::new();
    let up = rig.series("up", Kind::Gauge, Tier::Fast);
    let slow = rig.series("slow", Kind::Gauge, Tier::Slow);
    let first = rig.batch(TierSet::ALL, true, &[(up, 1.0), (slow, 3.0)]);
    assert!(!first.failed);
    assert!(rig.batch(TierSet::EMPTY, false, &[(up, 0.0)]).failed);
    assert_eq!(
        [up, slow].map(|series| rig.current.stale(series)),
        [false, true]
    );
    assert!(
        !rig.batch(FAST, false, &[(up, 0.0)]).failed,
        "it was down already"
    );
    let now = rig.current.read().collector(rig.collector).unwrap();
    assert_eq!((now.up, now.at_ms), (false, rig.at_ms));
}

#[test]
fn a_retired_series_is_forgotten_and_begins_anew() {
    let mut rig = Rig::new();
    let total = rig.series("total", Kind::Counter, Tier::Fast);
    rig.batch(FAST, true, &[(total, 1.0)]);
    rig.catalog.retire(total);
    rig.batch(FAST, true, &[(total, 2.0)]);
    assert_eq!(rig.current.read().latest(total), None);
    assert_eq!(rig.series("total", Kind::Counter, Tier::Fast), total);
    rig.batch(FAST, true, &[(total, 3.0)]);
    assert_eq!(rig.rate(total), None);
}

#[test]
fn the_answer_is_by_topic_collector_and_metric() {
    let mut rig = Rig::new();
    let total = rig.series("total", Kind::Counter, Tier::Fast);
    let load = rig.series("load", Kind::Gauge, Tier::Fast);
    rig.catalog.register("main", "database", "database", 10);
    rig.batch(FAST, true, &[(total, 1.0), (load, 0.5)]);
    rig.batch(FAST, true, &[(total, 3.0)]);
    let answer = serde_json::to_value(rig.current.answer(None, 9)).unwrap();
    let metrics = serde_json::json!({
        "total": [{"labels": {}, "total": 3.0, "rate": 2.0}],
        "load": [{"labels": {}, "value": null, "stale": true}],
    });
    let system = serde_json::json!({"up": true, "at": rig.at_ms, "metrics": metrics});
    let expected = serde_json::json!({
        "at": 9,
        "topics": {"system": {"collectors": {"system": system}}, "database": {"collectors": {}}},
    });
    assert_eq!(answer, expected);
    let one = rig.current.answer(Some("database"), 9);
    assert_eq!(one.topics.keys().collect::<Vec<_>>(), ["database"]);
    assert!(rig.current.answer(Some("nothing"), 9).topics.is_empty());
}
