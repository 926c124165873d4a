#![expect(clippy::cast_possible_wrap, reason = "the numbers of a test are small")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn encoded(times_ms: &[i64], values: &[f64]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(times_ms, values, &mut out);
    out
}

fn grid(count: usize) -> Vec<i64> {
    (0..count as i64)
        .map(|tick| 1_790_000_000_000 + tick * 1_000)
        .collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Decodes behind samples that are already there, compares bits, and gives the summary.
fn assert_comes_back(times_ms: &[i64], values: &[f64]) -> Summary {
    let chunk = encoded(times_ms, values);
    let mut samples = Samples {
        times_ms: vec![-7],
        values: vec![0.5],
    };
    decode(&chunk, &mut samples).unwrap();
    assert_eq!((samples.times_ms[0], samples.values[0]), (-7, 0.5));
    assert_eq!(&samples.times_ms[1..], times_ms);
    assert_eq!(bits(&samples.values[1..]), bits(values));
    let summary = summary(&chunk).unwrap();
    assert_eq!(summary.count as usize, values.len());
    if let (Some(first), Some(last)) = (values.first(), values.last()) {
        assert_eq!(summary.first.to_bits(), first.to_bits());
        assert_eq!(summary.last.to_bits(), last.to_bits());
        assert_eq!(Some(&summary.first_ms), times_ms.first());
        assert_eq!(Some(&summary.last_ms), times_ms.last());
        for value in values.iter().filter(|value| !value.is_nan()) {
            assert!(summary.min <= *value && *value <= summary.max);
        }
    }
    summary
}

/// One chunk of each way to store times and values, with a name for messages.
fn samples_of_every_form() -> Vec<(&'static str, Vec<i64>, Vec<f64>)> {
    let wobble = |i: i64| (i * 7_919) % 1_013;
    let of = |f: &dyn Fn(i64) -> f64| (0..400).map(f).collect::<Vec<f64>>();
    let jitter: Vec<i64> = grid(400)
        .iter()
        .enumerate()
        .map(|(i, at)| at + wobble(i as i64) % 9)
        .collect();
    let mut gap = grid(400);
    gap[200..].iter_mut().for_each(|at| *at += 60_500);
    vec![
        ("empty", vec![], vec![]),
        ("one", vec![5], vec![1.5]),
        ("constant", grid(400), vec![42.0; 400]),
        ("constant jitter", jitter.clone(), vec![42.0; 400]),
        ("gap", gap, of(&|i| wobble(i) as f64)),
        ("jitter", jitter, of(&|i| wobble(i) as f64)),
        ("line", grid(400), of(&|i| (i * 100) as f64)),
        ("u8", grid(400), of(&|i| (wobble(i) % 200) as f64)),
        ("u32", grid(400), of(&|i| (wobble(i) * 1_000_003) as f64)),
        (
            "u64",
            grid(400),
            of(&|i| (wobble(i) * 8_000_000_000_003) as f64),
        ),
        (
            "counter",
            grid(400),
            of(&|i| (i * 4_096 + wobble(i) * 4) as f64),
        ),
        ("periodic", grid(400), of(&|i| ((i % 5) * (i % 5)) as f64)),
        ("decimals", grid(400), of(&|i| wobble(i) as f64 / 100.0)),
        ("floats", grid(400), of(&|i| (i as f64).sin())),
        ("raw", grid(2), vec![f64::NAN, -0.0]),
    ]
}

#[test]
fn every_form_comes_back() {
    for (name, times_ms, values) in samples_of_every_form() {
        println!("{name}: {} bytes", encoded(&times_ms, &values).len());
        assert_comes_back(&times_ms, &values);
    }
}

#[test]
fn constants_are_tiny() {
    assert!(encoded(&grid(3_600), &vec![0.0; 3_600]).len() <= 20);
    assert!(encoded(&grid(3_600), &vec![65.25; 3_600]).len() <= 28);
}

#[test]
fn the_summary_leaves_nan_out() {
    let summary = assert_comes_back(&grid(4), &[f64::NAN, 2.5, -1.0, f64::NAN]);
    assert_eq!((summary.min, summary.max, summary.sum), (-1.0, 2.5, 1.5));
    assert_eq!(summary.step_ms, 1_000);
    let summary = assert_comes_back(&grid(2), &[f64::NAN, f64::from_bits(0x7ff8_0000_0000_0001)]);
    assert!(summary.min.is_nan() && summary.max.is_nan());
    assert_eq!(summary.sum.to_bits(), 0.0_f64.to_bits());
    let summary = assert_comes_back(&grid(3), &[2.0; 3]);
    assert_eq!((summary.min, summary.max, summary.sum), (2.0, 2.0, 6.0));
}

#[test]
fn a_chunk_that_is_cut_or_flipped_anywhere_is_refused() {
    for (name, times_ms, values) in samples_of_every_form() {
        let chunk = encoded(&times_ms, &values);
        for at in 0..chunk.len() {
            let mut samples = Samples::default();
            assert!(decode(&chunk[..at], &mut samples).is_err(), "{name}: {at}");
            let mut flipped = chunk.clone();
            for bit in 0..8 {
                flipped[at] ^= 1 << bit;
                let refused = decode(&flipped, &mut samples);
                assert_eq!(refused, Err(DecodeError::Checksum), "{name}: {at}");
                flipped[at] ^= 1 << bit;
            }
            assert_eq!(samples, Samples::default());
        }
    }
}

/// Damage behind a right checksum reaches the decoder itself, which gives a value or an error.
#[test]
fn flips_behind_a_right_checksum_do_no_harm() {
    for (_, times_ms, values) in samples_of_every_form() {
        let chunk = encoded(&times_ms, &values);
        let content = &chunk[..chunk.len() - CRC_BYTES];
        for at in 0..content.len() {
            for bit in 0..8 {
                let mut flipped = content.to_vec();
                flipped[at] ^= 1 << bit;
                put_crc(&mut flipped, 0);
                assert_sane(&flipped);
            }
            let mut cut = content[..at].to_vec();
            put_crc(&mut cut, 0);
            assert_sane(&cut);
        }
    }
}

fn assert_sane(chunk: &[u8]) {
    let mut samples = Samples::default();
    match decode(chunk, &mut samples) {
        Ok(()) => {
            assert_eq!(samples.times_ms.len(), samples.values.len());
            assert!(samples.times_ms.is_sorted_by(|a, b| a < b));
        }
        Err(_) => assert_eq!(samples, Samples::default()),
    }
}

#[test]
fn another_version_is_named() {
    let mut chunk = encoded(&grid(3), &[1.0, 2.0, 4.0]);
    chunk.truncate(chunk.len() - CRC_BYTES);
    chunk[0] = 2;
    put_crc(&mut chunk, 0);
    assert_eq!(summary(&chunk), Err(DecodeError::UnknownVersion(2)));
    let refused = decode(&chunk, &mut Samples::default());
    assert_eq!(refused, Err(DecodeError::UnknownVersion(2)));
}

fn any_times(count: usize) -> impl Strategy<Value = Vec<i64>> {
    let steps = prop_oneof![
        4 => Just(1_000_u64),
        1 => 1..3_000_u64,
        1 => 1..(u64::MAX >> 32),
    ];
    (any::<i64>(), vec(steps, count)).prop_map(|(first_ms, steps)| {
        let mut at = first_ms;
        let mut times_ms = Vec::new();
        for step in steps {
            times_ms.push(at);
            match at.checked_add_unsigned(step) {
                Some(next) => at = next,
                None => break,
            }
        }
        times_ms
    })
}

fn any_values(count: usize) -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        vec(any::<u64>().prop_map(f64::from_bits), count),
        vec((-50_i64..50).prop_map(|int| int as f64), count),
        vec(
            (-5_000_i64..5_000).prop_map(|int| int as f64 / 100.0),
            count
        ),
        vec(any::<i64>().prop_map(|int| int as f64), count),
        vec(
            prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), Just(7.25)],
            count
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_samples_come_back(
        (times_ms, values) in (0..600_usize).prop_flat_map(|count| (any_times(count), any_values(count)))
    ) {
        assert_comes_back(&times_ms, &values[..times_ms.len()]);
    }

    #[test]
    fn any_bytes_give_an_error_or_samples(
        head in vec(0..8_u8, 0..6),
        tail in vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = [vec![VERSION], head, tail].concat();
        assert_sane(&bytes);
        put_crc(&mut bytes, 0);
        assert_sane(&bytes);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The bytes of version 1, whoever changes them needs a new version.
const GOLDEN: [(&str, &str); 6] = [
    ("empty", "01000025b383fe"),
    ("constant", "01040c80b083c59868e8078002a1e370ad"),
    (
        "whole",
        "01020c80b083c59868e807bc6900900f00900fa03f0b0100c413001000000840000011000808001000002010325476980abb72bc3b",
    ),
    (
        "decimals",
        "01000c80b083c59868e80700017b14ae47e17a943f00017b14ae47e17aa43f01295c8fc2f528cc3f021100050500100000086b05d5fe6adb",
    ),
    (
        "floats",
        "01000c80b083c59868e80701555555555555d53f01922449922449b23f01922449922449b23f01555555555555d53f0194dad7376606fc3f1010010100cdccccccccccfcbf19555555555555d5bf11111111111101000000000040888888888888466bb4466bb4461dd4411dd441c1166cc1166c91e3388ee3384e823c25c8538275a45e47ea752c611226611226f9933ff9933f01c48a1a68",
    ),
    (
        "periodic",
        "0100900380b083c59868e80700400040804b0015000128b52ffd608f006500002802060a0e1f010087508b1655d06fb6",
    ),
];

#[test]
fn version_1_is_written_and_read_as_ever() {
    for (name, golden) in GOLDEN {
        let count = if name == "periodic" { 400 } else { 12 };
        let mut times_ms = grid(count);
        let values: Vec<f64> = match name {
            "constant" => vec![64.0; count],
            "whole" => (0..12).map(|i| f64::from(i * i * 4)).collect(),
            "decimals" => (0..12).map(|i| f64::from(i * 7 % 5) / 100.0).collect(),
            "floats" => (0..12).map(|i| 1.0 / f64::from(i + 3)).collect(),
            "periodic" => (0..400).map(|i| f64::from((i % 5) * (i % 5))).collect(),
            _ => Vec::new(),
        };
        times_ms.truncate(values.len());
        if name == "whole" {
            times_ms[7..].iter_mut().for_each(|at| *at += 2_500);
        }
        assert_eq!(hex(&encoded(&times_ms, &values)), golden, "{name}");
        assert_comes_back(&times_ms, &values);
    }
}
