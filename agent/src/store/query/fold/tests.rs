use proptest::prelude::*;

use super::*;
use crate::store::rollup;

const SECOND: i64 = 1_000;

fn grid(from_ms: i64, step_ms: i64, points: usize) -> Grid {
    Grid {
        from_ms,
        step_ms,
        points,
    }
}

fn samples(list: &[(i64, f64)]) -> Samples {
    Samples {
        times_ms: list.iter().map(|(at, _)| *at).collect(),
        values: list.iter().map(|(_, value)| *value).collect(),
    }
}

fn every_second(values: &[f64]) -> Samples {
    let times = (0..).step_by(1_000);
    Samples {
        times_ms: times.take(values.len()).collect(),
        values: values.to_vec(),
    }
}

const ALL: (i64, i64) = (i64::MIN, i64::MAX);

fn folded(kind: Kind, aggregation: Aggregation, grid: Grid, chunks: &[Samples]) -> Row {
    let mut fold = Fold::new();
    fold.begin(kind, aggregation, grid.points);
    for chunk in chunks {
        fold.samples(grid, 0, chunk, ALL);
    }
    let mut row = Row::default();
    fold.row(aggregation, &mut row);
    row
}

/// NaN as `None`, so that rows can be compared.
fn shown(values: &[f64]) -> Vec<Option<f64>> {
    values
        .iter()
        .map(|value| (!value.is_nan()).then_some(*value))
        .collect()
}

#[test]
fn a_gauge_by_every_aggregation() {
    let chunk = every_second(&[4.0, 2.0, 6.0, f64::NAN, f64::NAN, 1.0, 8.0, 9.0]);
    let cases: &[(Aggregation, &[Option<f64>])] = &[
        (
            Aggregation::Avg,
            &[Some(3.0), Some(6.0), Some(1.0), Some(8.5), None],
        ),
        (
            Aggregation::Min,
            &[Some(2.0), Some(6.0), Some(1.0), Some(8.0), None],
        ),
        (
            Aggregation::Max,
            &[Some(4.0), Some(6.0), Some(1.0), Some(9.0), None],
        ),
        (
            Aggregation::Last,
            &[Some(2.0), None, Some(1.0), Some(9.0), None],
        ),
    ];
    for (aggregation, expected) in cases {
        let grid = grid(0, 2 * SECOND, 5);
        let row = folded(
            Kind::Gauge,
            *aggregation,
            grid,
            std::slice::from_ref(&chunk),
        );
        assert_eq!(shown(&row.value), *expected, "{aggregation:?}");
        assert!(row.min.is_empty() && row.max.is_empty());
    }
    let row = folded(
        Kind::Gauge,
        Aggregation::Envelope,
        grid(0, 4 * SECOND, 2),
        &[chunk],
    );
    assert_eq!(shown(&row.min), [Some(2.0), Some(1.0)]);
    assert_eq!(shown(&row.value), [Some(4.0), Some(6.0)]);
    assert_eq!(shown(&row.max), [Some(6.0), Some(9.0)]);
}

#[test]
fn only_the_range_counts_and_chunks_go_on_into_the_same_point() {
    let all = every_second(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let halves = [
        samples(&[(0, 1.0), (1_000, 2.0), (2_000, 3.0)]),
        samples(&[
            (3_000, 4.0),
            (4_000, 5.0),
            (5_000, 6.0),
            (6_000, 7.0),
            (7_000, 8.0),
        ]),
    ];
    for chunks in [&[all][..], &halves] {
        let row = folded(
            Kind::Gauge,
            Aggregation::Avg,
            grid(2_000, 2 * SECOND, 2),
            chunks,
        );
        assert_eq!(shown(&row.value), [Some(3.5), Some(5.5)]);
    }
}

#[test]
fn a_counter_has_rates_increases_and_resets() {
    // 10 a second, a reset to 3, a gap of 5 s, then 20 a second.
    let chunk = samples(&[
        (0, 100.0),
        (1_000, 110.0),
        (2_000, 120.0),
        (3_000, 3.0),
        (4_000, 13.0),
        (9_000, 999.0),
        (10_000, 1_019.0),
    ]);
    let cases: &[(Aggregation, &[Option<f64>])] = &[
        // The first sample has no interval that ends in it; what the gap hides is not known.
        (
            Aggregation::Increase,
            &[Some(10.0), Some(13.0), Some(10.0), None, None, Some(20.0)],
        ),
        (
            Aggregation::Rate,
            &[Some(10.0), Some(6.5), Some(10.0), None, None, Some(20.0)],
        ),
        (
            Aggregation::Avg,
            &[Some(10.0), Some(6.5), Some(10.0), None, None, Some(20.0)],
        ),
        (
            Aggregation::Min,
            &[Some(10.0), Some(3.0), Some(10.0), None, None, Some(20.0)],
        ),
        (
            Aggregation::Max,
            &[Some(10.0), Some(10.0), Some(10.0), None, None, Some(20.0)],
        ),
        (
            Aggregation::Last,
            &[
                Some(110.0),
                Some(3.0),
                Some(13.0),
                None,
                Some(999.0),
                Some(1_019.0),
            ],
        ),
    ];
    for (aggregation, expected) in cases {
        let grid = grid(0, 2 * SECOND, 6);
        let row = folded(
            Kind::Counter,
            *aggregation,
            grid,
            std::slice::from_ref(&chunk),
        );
        assert_eq!(shown(&row.value), *expected, "{aggregation:?}");
    }
}

#[test]
fn a_counters_first_interval_begins_before_the_range() {
    let chunk = every_second(&[0.0, 5.0, 10.0, 15.0]);
    let row = folded(
        Kind::Counter,
        Aggregation::Increase,
        grid(2_000, SECOND, 2),
        &[chunk],
    );
    assert_eq!(shown(&row.value), [Some(5.0), Some(5.0)]);
    // Across chunks, and primed by hand.
    let mut fold = Fold::new();
    let on = grid(10_000, SECOND, 3);
    fold.begin(Kind::Counter, Aggregation::Increase, 3);
    fold.prime(0, 9_000, 1.0);
    fold.samples(on, 0, &samples(&[(10_000, 3.0), (11_000, 4.0)]), ALL);
    fold.samples(on, 0, &samples(&[(12_000, 8.0)]), ALL);
    let mut row = Row::default();
    fold.row(Aggregation::Increase, &mut row);
    assert_eq!(shown(&row.value), [Some(2.0), Some(1.0), Some(4.0)]);
    // Another epoch's sample begins nothing.
    fold.begin(Kind::Counter, Aggregation::Increase, 3);
    fold.prime(1, 9_000, 1.0);
    fold.samples(on, 0, &samples(&[(10_000, 3.0), (11_000, 4.0)]), ALL);
    fold.row(Aggregation::Increase, &mut row);
    assert_eq!(shown(&row.value), [None, Some(1.0), None]);
}

#[test]
fn one_immediate_sample_does_not_make_gaps_of_all_others() {
    let list: Vec<_> = std::iter::once((990, 0.0))
        .chain((1..20).map(|n| (n * 1_000, n as f64)))
        .collect();
    let row = folded(
        Kind::Counter,
        Aggregation::Increase,
        grid(0, 20 * SECOND, 1),
        &[samples(&list)],
    );
    assert_eq!(shown(&row.value), [Some(19.0)]);
}

fn gauge(at_ms: i64, count: u32, min: f64, max: f64, avg: f64) -> GaugePoint {
    GaugePoint {
        at_ms,
        count,
        min,
        max,
        avg,
    }
}

#[test]
fn rollup_points_weigh_by_their_samples() {
    let mut fold = Fold::new();
    let on = grid(0, 120_000, 2);
    fold.begin(Kind::Gauge, Aggregation::Envelope, 2);
    let points = vec![
        gauge(0, 10, 1.0, 5.0, 2.0),
        gauge(60_000, 30, 0.0, 9.0, 6.0),
        gauge(240_000, 1, 7.0, 7.0, 7.0),
    ];
    fold.points(on, &Points::Gauge(points), 60_000, ALL);
    // The recent part is finer.
    fold.samples(on, 0, &samples(&[(120_000, 4.0), (121_000, 2.0)]), ALL);
    let mut row = Row::default();
    fold.row(Aggregation::Envelope, &mut row);
    assert_eq!(shown(&row.min), [Some(0.0), Some(2.0)]);
    assert_eq!(shown(&row.value), [Some(5.0), Some(3.0)]);
    assert_eq!(shown(&row.max), [Some(9.0), Some(4.0)]);
}

#[test]
fn a_wide_rollup_point_is_spread_over_narrow_ones() {
    let counter = Points::Counter(vec![CounterPoint {
        at_ms: 60_000,
        count: 60,
        increase: 120.0,
        resets: 0,
        covered_ms: 60_000,
    }]);
    let on = grid(50_000, 20_000, 5);
    let mut fold = Fold::new();
    let mut row = Row::default();
    fold.begin(Kind::Counter, Aggregation::Increase, 5);
    fold.points(on, &counter, 60_000, ALL);
    fold.row(Aggregation::Increase, &mut row);
    let sum: f64 = row.value.iter().filter(|value| !value.is_nan()).sum();
    assert!((sum - 120.0).abs() < 1e-9, "{:?}", row.value);
    fold.row(Aggregation::Rate, &mut row);
    for (value, expected) in row.value.iter().zip([2.0, 2.0, 2.0, 2.0, f64::NAN]) {
        assert!((value - expected).abs() < 1e-9 || expected.is_nan() && value.is_nan());
    }
}

#[test]
fn points_cut_off_at_their_clip_belong_to_another_piece() {
    let points = vec![gauge(0, 1, 1.0, 1.0, 1.0), gauge(60_000, 1, 2.0, 2.0, 2.0)];
    let mut fold = Fold::new();
    fold.begin(Kind::Gauge, Aggregation::Avg, 2);
    fold.points(
        grid(0, 60_000, 2),
        &Points::Gauge(points),
        60_000,
        (60_000, 120_000),
    );
    let mut row = Row::default();
    fold.row(Aggregation::Avg, &mut row);
    assert_eq!(shown(&row.value), [None, Some(2.0)]);
}

/// Relative error of a mean out of rollups: it keeps 17 significant bits.
const MEAN_ERROR: f64 = 1.0 / 65_536.0;

/// Samples about once a second with gaps, the first one off the grid; counters grow by whole numbers and reset.
fn recorded(kind: Kind) -> impl Strategy<Value = Samples> {
    let sample = (
        prop_oneof![9 => Just(1_i64), 1 => 2_i64..200],
        0_u32..1_000,
        0_u32..100,
    );
    (0_i64..999, proptest::collection::vec(sample, 2..400)).prop_map(move |(off, steps)| {
        let mut samples = Samples::default();
        let (mut second, mut total) = (600, 0.0);
        for (n, (wait, value, chance)) in steps.into_iter().enumerate() {
            second += wait;
            total = if chance == 0 { 0.0 } else { total } + f64::from(value);
            samples
                .times_ms
                .push(second * 1_000 - if n == 0 { off } else { 0 });
            samples.values.push(match kind {
                Kind::Gauge => f64::from(value) / 8.0 - 50.0,
                Kind::Counter => total,
            });
        }
        samples
    })
}

fn both_ways(kind: Kind, aggregation: Aggregation, samples: &Samples, step_ms: i64) -> (Row, Row) {
    let on = grid(0, step_ms, 200);
    let raw = folded(kind, aggregation, on, std::slice::from_ref(samples));
    let mut bytes = Vec::new();
    rollup::encode(
        &rollup::fold(kind, samples, None, 60_000),
        60_000,
        &mut bytes,
    );
    let points = rollup::decode(&bytes).expect("what was encoded is decoded");
    let mut fold = Fold::new();
    fold.begin(kind, aggregation, on.points);
    fold.points(on, &points, 60_000, ALL);
    let mut rolled = Row::default();
    fold.row(aggregation, &mut rolled);
    (raw, rolled)
}

proptest! {
    #[test]
    fn a_gauge_out_of_rollups_is_that_of_its_samples(samples in recorded(Kind::Gauge), minutes in 1_i64..90) {
        let (raw, rolled) = both_ways(Kind::Gauge, Aggregation::Envelope, &samples, minutes * 60_000);
        prop_assert_eq!(shown(&raw.min), shown(&rolled.min));
        prop_assert_eq!(shown(&raw.max), shown(&rolled.max));
        for (raw, rolled) in raw.value.iter().zip(&rolled.value) {
            // Means of minutes are rounded before they are summed up, so that the bound is that of the greatest.
            let bound = 75.0 * MEAN_ERROR;
            prop_assert!(raw.is_nan() == rolled.is_nan() && (raw.is_nan() || (raw - rolled).abs() <= bound));
        }
    }

    #[test]
    fn a_counter_out_of_rollups_grew_as_its_samples_did(samples in recorded(Kind::Counter), minutes in 1_i64..90) {
        let step_ms = minutes * 60_000;
        let (raw, rolled) = both_ways(Kind::Counter, Aggregation::Increase, &samples, step_ms);
        prop_assert_eq!(shown(&raw.value), shown(&rolled.value));
        let (raw, rolled) = both_ways(Kind::Counter, Aggregation::Rate, &samples, step_ms);
        prop_assert_eq!(shown(&raw.value), shown(&rolled.value));
        let (raw, rolled) = both_ways(Kind::Counter, Aggregation::Envelope, &samples, step_ms);
        // The rates of whole minutes lie within those of their seconds.
        for (minute, second) in rolled.min.iter().zip(&raw.min).filter(|(minute, _)| !minute.is_nan()) {
            prop_assert!(*minute >= *second - 1e-9 * second.abs());
        }
        for (minute, second) in rolled.max.iter().zip(&raw.max).filter(|(minute, _)| !minute.is_nan()) {
            prop_assert!(*minute <= *second + 1e-9 * second.abs());
        }
    }
}
