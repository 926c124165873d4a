#![expect(clippy::cast_possible_wrap, reason = "the numbers of a test are small")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::store::chunk::DecodeError;
use crate::store::chunk::bytes::{CRC_BYTES, put_crc};

const MINUTE: i64 = 60_000;
/// A mean is off by at most this much of itself.
const MEAN_ERROR: f64 = 1.0 / 131_072.0;

fn samples(values: &[f64]) -> Samples {
    Samples {
        times_ms: (0..values.len() as i64).map(|tick| tick * 1_000).collect(),
        values: values.to_vec(),
    }
}

fn gauge(points: &Points) -> &[GaugePoint] {
    match points {
        Points::Gauge(points) => points,
        Points::Counter(_) => panic!("points of a gauge"),
    }
}

fn counter(points: &Points) -> &[CounterPoint] {
    match points {
        Points::Counter(points) => points,
        Points::Gauge(_) => panic!("points of a counter"),
    }
}

fn encoded(points: &Points) -> Vec<u8> {
    let mut out = Vec::new();
    encode(points, MINUTE, &mut out);
    out
}

fn assert_comes_back(points: &Points) -> Points {
    let back = decode(&encoded(points)).unwrap();
    match points {
        Points::Counter(_) => assert_eq!(&back, points),
        Points::Gauge(points) => {
            assert_eq!(gauge(&back).len(), points.len());
            for (back, point) in gauge(&back).iter().zip(points) {
                assert_eq!((back.at_ms, back.count), (point.at_ms, point.count));
                assert_eq!(back.min.to_bits(), point.min.to_bits());
                assert_eq!(back.max.to_bits(), point.max.to_bits());
                assert!(back.min <= back.avg && back.avg <= back.max, "{back:?}");
                let bound = (point.avg.abs() * MEAN_ERROR).max(f64::MIN_POSITIVE);
                let is_near = (back.avg - point.avg).abs() <= bound;
                assert!(
                    is_near || back.avg.to_bits() == point.avg.to_bits(),
                    "{back:?} {point:?}"
                );
            }
        }
    }
    back
}

fn sample_points() -> Vec<Points> {
    let wobble = |i: i64| ((i * 7_919) % 1_013) as f64;
    let values = |f: &dyn Fn(i64) -> f64| samples(&(0..3_000).map(f).collect::<Vec<f64>>());
    let mut gap = values(&wobble);
    gap.times_ms[900..]
        .iter_mut()
        .for_each(|at| *at += 17 * MINUTE);
    let of = |kind, samples: &Samples| fold(kind, samples, None, MINUTE);
    vec![
        Points::Gauge(Vec::new()),
        Points::Counter(Vec::new()),
        of(Kind::Gauge, &values(&|_| 7.25)),
        of(Kind::Gauge, &gap),
        of(Kind::Gauge, &values(&|i| wobble(i) / 100.0 - 3.0)),
        of(Kind::Gauge, &values(&|i| (i as f64).sin())),
        of(
            Kind::Counter,
            &values(&|i| i as f64 * 100.0 + wobble(i) / 20.0),
        ),
        of(Kind::Counter, &gap),
    ]
}

#[test]
fn points_of_every_kind_come_back() {
    for points in sample_points() {
        assert_comes_back(&points);
    }
}

#[test]
fn a_gauge_keeps_its_bounds_and_leaves_nan_out() {
    let mut values = vec![2.0; 60];
    values[3] = f64::NAN;
    values[4] = -1.0;
    values.extend([f64::NAN; 60]);
    values.extend([5.0, 9.0]);
    let points = fold(Kind::Gauge, &samples(&values), None, MINUTE);
    let of = |at_ms, count, min, max, avg| GaugePoint {
        at_ms,
        count,
        min,
        max,
        avg,
    };
    let expected = [
        of(0, 59, -1.0, 2.0, 115.0 / 59.0),
        of(120_000, 2, 5.0, 9.0, 7.0),
    ];
    assert_eq!(gauge(&points), expected);
    let hours = merge(&points, 60 * MINUTE);
    let [hour] = gauge(&hours) else {
        panic!("{hours:?}")
    };
    assert_eq!((hour.count, hour.min, hour.max), (61, -1.0, 9.0));
    assert!((hour.avg - 129.0 / 61.0).abs() < 1e-12);
}

#[test]
fn a_mean_is_between_its_bounds_whatever_happens() {
    for values in [
        [f64::MAX, f64::MAX],
        [f64::NEG_INFINITY, f64::INFINITY],
        [-0.0, 0.0],
        [f64::MIN_POSITIVE / 8.0, 0.0],
        [1.000_000_01, 1.000_000_02],
    ] {
        assert_comes_back(&fold(Kind::Gauge, &samples(&values), None, MINUTE));
    }
}

#[test]
fn a_counter_counts_increases_resets_and_what_it_covers() {
    let mut seen = samples(&[10.0, 14.0, 3.0, 5.0, 6.0]);
    seen.times_ms[4] = 63_000;
    let points = fold(Kind::Counter, &seen, Some((-1_000, 8.0)), MINUTE);
    let first = CounterPoint {
        at_ms: 0,
        count: 4,
        increase: 2.0 + 4.0 + 3.0 + 2.0,
        resets: 1,
        covered_ms: 4_000,
    };
    // The interval of a minute is a gap: nothing is known of it.
    let second = CounterPoint {
        at_ms: MINUTE,
        count: 1,
        increase: 0.0,
        resets: 0,
        covered_ms: 0,
    };
    assert_eq!(counter(&points), [first, second]);
    assert_comes_back(&points);
    let hour = CounterPoint { count: 5, ..first };
    assert_eq!(counter(&merge(&points, 60 * MINUTE)), [hour]);
}

#[test]
fn a_chunk_that_is_cut_or_flipped_anywhere_is_refused() {
    for points in sample_points() {
        let chunk = encoded(&points);
        let content = &chunk[..chunk.len() - CRC_BYTES];
        for at in 0..chunk.len() {
            assert!(decode(&chunk[..at]).is_err(), "{at}");
            for bit in 0..8 {
                let mut flipped = chunk.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(decode(&flipped), Err(DecodeError::Checksum), "{at}");
                if at < content.len() {
                    flipped.truncate(content.len());
                    put_crc(&mut flipped, 0);
                    assert_sane(&flipped);
                }
            }
        }
    }
}

/// What decodes has points in order; that it is what was written, behind a made-up checksum, nobody can know.
fn assert_sane(chunk: &[u8]) {
    match decode(chunk) {
        Ok(Points::Gauge(points)) => assert!(points.is_sorted_by(|a, b| a.at_ms < b.at_ms)),
        Ok(Points::Counter(points)) => assert!(points.is_sorted_by(|a, b| a.at_ms < b.at_ms)),
        Err(error) => assert_ne!(error, DecodeError::Checksum),
    }
}

#[test]
fn another_version_is_named() {
    let mut chunk = encoded(&Points::Gauge(Vec::new()));
    chunk.truncate(chunk.len() - CRC_BYTES);
    chunk[0] = 7;
    put_crc(&mut chunk, 0);
    assert_eq!(decode(&chunk), Err(DecodeError::UnknownVersion(7)));
}

fn any_values() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        vec(any::<u64>().prop_map(f64::from_bits), 0..500),
        vec((-50_i64..50).prop_map(|int| int as f64 / 4.0), 0..500),
        vec((0_i64..1 << 50).prop_map(|int| int as f64), 0..500),
    ]
}

proptest! {
    #[test]
    fn points_of_any_samples_hold_them_and_come_back(values in any_values()) {
        let samples = samples(&values);
        let points = fold(Kind::Gauge, &samples, None, MINUTE);
        for (at, value) in samples.times_ms.iter().zip(&values).filter(|pair| !pair.1.is_nan()) {
            let point = gauge(&points).iter().find(|point| point.at_ms == at - at % MINUTE).unwrap();
            prop_assert!(point.min <= *value && *value <= point.max);
        }
        let counted: u32 = gauge(&points).iter().map(|point| point.count).sum();
        prop_assert_eq!(counted as usize, values.iter().filter(|value| !value.is_nan()).count());
        assert_comes_back(&points);
        assert_comes_back(&fold(Kind::Gauge, &samples, None, 7_000));
    }

    #[test]
    fn a_counters_points_add_up(mut values in vec(0..1_000_000_u32, 2..500)) {
        values.sort_unstable();
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let points = fold(Kind::Counter, &samples(&values), None, MINUTE);
        assert_comes_back(&points);
        let increase: f64 = counter(&points).iter().map(|point| point.increase).sum();
        prop_assert_eq!(increase.to_bits(), (values[values.len() - 1] - values[0]).to_bits());
        let covered: u32 = counter(&points).iter().map(|point| point.covered_ms).sum();
        prop_assert_eq!(covered as usize, (values.len() - 1) * 1_000);
    }

    #[test]
    fn any_bytes_give_an_error_or_points(kind in 0..3_u8, tail in vec(any::<u8>(), 0..120)) {
        let mut bytes = [vec![1, kind, 60, 3], tail].concat();
        put_crc(&mut bytes, 0);
        assert_sane(&bytes);
    }
}

/// The bytes of version 1: whoever changes them needs a new version.
#[test]
fn version_1_is_written_as_ever() {
    let hex = |points: &Points| {
        encoded(points)
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    let seen = samples(
        &(0..200)
            .map(|i| f64::from(i * 37 % 11) / 10.0)
            .collect::<Vec<f64>>(),
    );
    let gauge = fold(Kind::Gauge, &seen, None, MINUTE);
    assert_eq!(
        hex(&gauge),
        "0100e0d403040000090128280010000008070002000002000213129cd0ef3f993301001000000068031d00945faf6c3a75"
    );
    let seen = samples(&(0..200).map(|i| f64::from(i * i * 3)).collect::<Vec<f64>>());
    let counter = fold(Kind::Counter, &seen, None, MINUTE);
    assert_eq!(
        hex(&counter),
        "0101e0d4030400000901282800100000080713000296a3010300100000007000c007f783bf3f0200000f01c0b802e80700220000003c092a187c5338c2"
    );
}
