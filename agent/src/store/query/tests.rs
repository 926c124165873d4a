//! Questions to a store that was filled in simulated time.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::catalog::{Kind, Unit};
use crate::clock::Tier;
use crate::protocol::Match;
use crate::store::{Config, HOUR_MS};

/// A moment at which every kind of generation begins: a multiple of 90 days.
const START_MS: i64 = 2_160 * HOUR_MS * 225;
const COLLECTOR: u32 = 0;

/// A stored series of a test.
pub(super) fn stored(metric: &str, kind: Kind, labels: &[(&str, &str)]) -> StoredSeries {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    StoredSeries {
        id: 0,
        metric: metric.to_owned(),
        kind,
        unit: Unit::Count,
        tier: Tier::Fast,
        topic: "system".to_owned(),
        collector: "system".to_owned(),
        labels: labels.iter().map(own).collect(),
        last_day: 0,
    }
}

/// A store, its folder, and its time.
struct Filled {
    engine: Engine,
    ids: Vec<u32>,
    now_ms: i64,
    _folder: TempDir,
}

impl Filled {
    fn new(series: &[StoredSeries]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(folder.path(), Config::default(), START_MS).unwrap();
        let resolve = |series: &StoredSeries| engine.registry.resolve(series.clone()).unwrap();
        Self {
            ids: series.iter().map(resolve).collect(),
            engine,
            now_ms: START_MS,
            _folder: folder,
        }
    }

    /// Samples every second up to, without, `seconds` after the start; `values` gives those of a second.
    fn run(&mut self, seconds: std::ops::Range<i64>, values: impl Fn(i64, usize) -> Option<f64>) {
        for second in seconds {
            self.now_ms = START_MS + second * 1_000;
            let samples: Vec<_> = (0..self.ids.len())
                .filter_map(|n| Some((self.ids[n], values(second, n)?)))
                .collect();
            self.engine.push(COLLECTOR, self.now_ms, &samples);
            if second % 30 == 29 {
                self.engine.maintain(self.now_ms).unwrap();
            }
        }
    }

    /// Lets time go by until nothing is left to be sealed or rolled up.
    fn settle(&mut self, seconds: i64) {
        for _ in 0..seconds / 10 {
            self.now_ms += 10_000;
            self.engine.maintain(self.now_ms).unwrap();
        }
    }

    fn ask(&self, metric: &str, (from, to): (i64, i64), points: u32) -> Query {
        let _ = self;
        Query {
            selector: Selector {
                matching: Match {
                    metrics: vec![metric.to_owned()],
                    ..Match::default()
                },
                collector: None,
            },
            from_ms: START_MS + from * 1_000,
            to_ms: START_MS + to * 1_000,
            points,
            aggregation: Aggregation::Envelope,
            resolution: None,
        }
    }

    fn answer(&self, query: &Query) -> (Plan, Vec<(Arc<StoredSeries>, Row)>) {
        let plan = self.engine.plan(query, self.now_ms).unwrap();
        let mut rows = Vec::new();
        let answered = self
            .engine
            .answer(&plan, query.aggregation, &mut |series, row| {
                rows.push((Arc::new(series.clone()), row.clone()));
                true
            });
        assert_eq!(answered.unwrap().stopped, None);
        (plan, rows)
    }

    /// The values of the only series.
    fn values(&self, query: &Query) -> Vec<Option<f64>> {
        let (plan, rows) = self.answer(query);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].1.value.len(), plan.points());
        shown(&rows[0].1.value)
    }
}

/// NaN as `None`, so that rows can be compared.
fn shown(values: &[f64]) -> Vec<Option<f64>> {
    values
        .iter()
        .map(|value| (!value.is_nan()).then_some(*value))
        .collect()
}

/// A gauge that wanders, with a gap of 100 s at the full hour, and a counter that is reset every 5,000 s.
fn wander(second: i64, n: usize) -> Option<f64> {
    if second % 3_600 < 100 && second >= 3_600 {
        return None;
    }
    let wave = second * 37 % 1_009;
    Some(match n {
        0 => wave as f64 / 8.0,
        _ => (second % 5_000 * 10) as f64,
    })
}

fn wanderers() -> [StoredSeries; 2] {
    [
        stored("gauge", Kind::Gauge, &[]),
        stored("counter_total", Kind::Counter, &[]),
    ]
}

#[test]
fn what_was_pushed_a_moment_ago_is_in_the_answer() {
    let mut store = Filled::new(&wanderers());
    store.run(0..5, wander);
    let mut query = store.ask("gauge", (0, 5), 5);
    let expected: Vec<_> = (0..5).map(|second| wander(second, 0)).collect();
    assert_eq!(store.values(&query), expected);
    query.selector.matching.metrics = vec!["counter_total".to_owned()];
    query.aggregation = Aggregation::Increase;
    let ten = Some(10.0);
    assert_eq!(store.values(&query), [None, ten, ten, ten, ten]);
    store.engine.maintain(store.now_ms + 20_000).unwrap();
    assert_eq!(store.values(&query), [None, ten, ten, ten, ten]);
}

#[test]
fn the_head_sealed_hours_and_rollups_are_one_line() {
    let mut store = Filled::new(&wanderers());
    let hours = 13;
    store.run(0..hours * 3_600 + 1_800, wander);
    store.settle(20);
    let blocks = store
        .engine
        .level(crate::store::Level::Minute)
        .blocks(START_MS, store.now_ms)
        .unwrap();
    assert_eq!(blocks.len(), 2, "two times 6 hours are rolled up");
    // Every sample, across the border of sealed hours and head, and of an hour that is a gap at first.
    for from in [3_000, 7_000, 12 * 3_600 - 500, 13 * 3_600 - 500] {
        let query = store.ask("gauge", (from, from + 1_000), 1_000);
        let expected: Vec<_> = (from..from + 1_000)
            .map(|second| wander(second, 0))
            .collect();
        assert_eq!(store.values(&query), expected, "from {from}");
        let mut query = store.ask("counter_total", (from, from + 1_000), 1_000);
        query.aggregation = Aggregation::Increase;
        let grown = |second: i64| {
            let (before, now) = (wander(second - 1, 1)?, wander(second, 1)?);
            Some(if now < before { now } else { now - before })
        };
        let expected: Vec<_> = (from..from + 1_000).map(grown).collect();
        assert_eq!(store.values(&query), expected, "from {from}");
    }
    // Points of a minute: out of rollups as out of samples.
    for metric in ["gauge", "counter_total"] {
        for minutes in [1_u32, 5, 7, 60] {
            let seconds = hours * 3_600;
            let points = u32::try_from(seconds).unwrap() / 60 / minutes;
            let rows = |resolution| {
                let mut query = store.ask(
                    metric,
                    (
                        0,
                        seconds / i64::from(minutes * 60) * i64::from(minutes * 60),
                    ),
                    points,
                );
                query.resolution = Some(resolution);
                let (plan, mut rows) = store.answer(&query);
                assert_eq!(plan.step_ms, i64::from(minutes) * 60_000);
                (plan, rows.pop().unwrap().1)
            };
            let ((_, raw), (plan, rolled)) = (rows(Resolution::Raw), rows(Resolution::Minute));
            assert_eq!(plan.resolution, Resolution::Minute);
            if metric == "gauge" {
                assert_eq!(shown(&raw.min), shown(&rolled.min), "{minutes}");
                assert_eq!(shown(&raw.max), shown(&rolled.max), "{minutes}");
            }
            for (raw, rolled) in raw.value.iter().zip(&rolled.value) {
                let close = (raw - rolled).abs() <= raw.abs() / 50_000.0;
                assert!(
                    close || raw.is_nan() && rolled.is_nan(),
                    "{metric}: {raw} {rolled}"
                );
            }
        }
    }
}

#[test]
fn after_a_step_back_the_newest_record_counts() {
    let mut store = Filled::new(&[stored("gauge", Kind::Gauge, &[])]);
    store.run(0..4_000, |second, _| Some(second as f64));
    // Back by 1,000 s, for 500 s: from 3,000 to 3,500, which is in the hour before.
    store.run(3_000..3_500, |second, _| Some(-second as f64));
    let query = store.ask("gauge", (2_998, 3_502), 504);
    let expected: Vec<_> = (2_998_i32..3_502)
        .map(|second| {
            let again = (3_000..3_500).contains(&second);
            Some(if again { -1.0 } else { 1.0 } * f64::from(second))
        })
        .collect();
    assert_eq!(store.values(&query), expected);
}

#[test]
fn percentiles_over_time_come_from_a_histograms_buckets() {
    let bucket = |le| stored("wait_seconds_bucket", Kind::Counter, &[("le", le)]);
    let mut store = Filled::new(&[bucket("1"), bucket("2"), bucket("+Inf")]);
    // Ten observations a second: in the first minute below 1, then evenly from 1 to 2.
    store.run(0..120, |second, n| {
        let below_one = second.min(60) * 10;
        Some(if n == 0 { below_one } else { second * 10 } as f64)
    });
    for (aggregation, expected) in [
        (Aggregation::P50, [0.5, 1.5]),
        (Aggregation::P90, [0.9, 1.9]),
    ] {
        let mut query = store.ask("wait_seconds_bucket", (0, 120), 2);
        query.aggregation = aggregation;
        let (_, rows) = store.answer(&query);
        assert_eq!(rows.len(), 1, "one histogram");
        assert!(rows[0].0.labels.is_empty() && rows[0].0.kind == Kind::Gauge);
        for (value, expected) in rows[0].1.value.iter().zip(expected) {
            assert!((value - expected).abs() < 0.02, "{aggregation:?}: {value}");
        }
    }
}

#[test]
fn a_question_stops_when_nobody_waits_and_names_what_it_left_out() {
    let mut store = Filled::new(&wanderers());
    store.run(0..10, wander);
    let query = store.ask("*", (0, 10), 10);
    let plan = store.engine.plan(&query, store.now_ms).unwrap();
    let mut seen = 0;
    let answered =
        store
            .engine
            .answer_while(&plan, query.aggregation, &mut || false, &mut |_, _| {
                seen += 1;
                true
            });
    assert_eq!((answered.unwrap().stopped, seen), (None, 0));
    let answered = store.engine.answer(&plan, query.aggregation, &mut |_, _| {
        seen += 1;
        false
    });
    assert_eq!((answered.unwrap().stopped, seen), (None, 1));
    // Series without a sample: left out by pattern, all gaps by name.
    let before = store.ask("gau*", (-100, -50), 10);
    assert!(store.answer(&before).1.is_empty());
    let before = store.ask("gauge", (-100, -50), 10);
    assert!(store.values(&before).iter().all(Option::is_none));
}
