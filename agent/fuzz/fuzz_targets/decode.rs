//! Whatever bytes the store finds on a disk: a value or an error, never a panic, nor more memory than a bound.
//!
//! The first byte of an input says which decoder gets the rest, and whether its checksums are made right first: a
//! fuzzer does not guess a CRC-32 and would stay in front of it forever. Bodies of the head's W records are packed
//! here, because it would not guess zstd's frames either. What a decoder takes is encoded again and has to come back
//! as it was. With `FUZZ_SEEDS` set to a folder, each form that the encoders know is written into it first, so that
//! no run starts from nothing. Called by `cargo xtask fuzz decode`; it never touches anything but that folder.

#![no_main]

#[path = "decode/repair.rs"]
mod repair;
#[path = "decode/seeds.rs"]
mod seeds;

use barograph::store::chunk::{self, Samples};
use barograph::store::group::{self, Group};
use barograph::store::record::{self, Section};
use barograph::store::registry::record as series;
use barograph::store::rollup::{self, GaugePoint, Points};

/// Above this many samples an input is only decoded: encoding 131,072 of them takes longer than ten thousand inputs.
const ENCODED_SAMPLES_MAX: usize = 2_048;

/// The first byte of an input, less [`REPAIRED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    Chunk,
    Rollup,
    Group,
    Remains,
    Frame,
    Body,
    Series,
}

impl Form {
    const ALL: [Self; 7] = [
        Self::Chunk,
        Self::Rollup,
        Self::Group,
        Self::Remains,
        Self::Frame,
        Self::Body,
        Self::Series,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte & !REPAIRED)).copied()
    }
}

/// Set in the first byte: checksums are made right.
const REPAIRED: u8 = 0x80;

libfuzzer_sys::fuzz_target!(
    init: if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        seeds::write(folder.as_ref());
    },
    |input: &[u8]| {
        let Some((first, rest)) = input.split_first() else {
            return;
        };
        let Some(form) = Form::of(*first) else {
            return;
        };
        if first & REPAIRED == 0 {
            decode(form, rest);
        } else {
            decode(form, &repair::repaired(form, rest));
        }
    }
);

fn decode(form: Form, bytes: &[u8]) {
    match form {
        Form::Chunk => samples(bytes),
        Form::Rollup => points(bytes),
        Form::Group => {
            if let Ok(group) = Group::parse(bytes) {
                chunks(&group);
            }
        }
        Form::Remains => {
            for (at, group) in group::carve(bytes) {
                assert!(at + group.bytes_len() <= bytes.len());
                chunks(&group);
            }
        }
        Form::Frame => frame(bytes),
        Form::Body => body(bytes),
        Form::Series => {
            if let Some((found, len)) = series::decode(bytes) {
                assert!(len <= bytes.len());
                let encoded = series::encode(&found);
                assert_eq!(series::decode(&encoded), Some((found, encoded.len())));
            }
        }
    }
}

fn samples(bytes: &[u8]) {
    let summary = chunk::summary(bytes);
    let mut samples = Samples::default();
    let decoded = chunk::decode(bytes, &mut samples);
    assert_eq!(samples.times_ms.len(), samples.values.len());
    if decoded.is_err() {
        assert!(samples.values.is_empty(), "an error leaves nothing behind");
        return;
    }
    let summary = summary.expect("what can be decoded has a summary");
    assert_eq!(summary.count as usize, samples.values.len());
    if let (Some(first), Some(last)) = (samples.times_ms.first(), samples.times_ms.last()) {
        assert_eq!((summary.first_ms, summary.last_ms), (*first, *last));
    }
    assert!(samples.times_ms.is_sorted_by(|a, b| a < b));
    if samples.values.len() > ENCODED_SAMPLES_MAX {
        return;
    }
    let mut encoded = Vec::new();
    chunk::encode(&samples.times_ms, &samples.values, &mut encoded);
    let mut again = Samples::default();
    chunk::decode(&encoded, &mut again).expect("what was encoded can be decoded");
    assert_eq!(again.times_ms, samples.times_ms);
    assert_eq!(bits(&again.values), bits(&samples.values));
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn points(bytes: &[u8]) {
    let Ok(points) = rollup::decode(bytes) else {
        return;
    };
    let len = match &points {
        Points::Gauge(points) => points.len(),
        Points::Counter(points) => points.len(),
    };
    if len > ENCODED_SAMPLES_MAX {
        return;
    }
    let mut encoded = Vec::new();
    rollup::encode(&points, 60_000, &mut encoded);
    let again = rollup::decode(&encoded).expect("what was encoded can be decoded");
    match (&points, &again) {
        (Points::Gauge(points), Points::Gauge(again)) => {
            // The mean is rounded where it is stored, so it is compared with its bounds instead.
            let exact = |p: &GaugePoint| (p.at_ms, p.count, p.min.to_bits(), p.max.to_bits());
            assert!(points.iter().map(exact).eq(again.iter().map(exact)));
            for point in points.iter().filter(|point| point.min <= point.max) {
                assert!(
                    point.min <= point.avg && point.avg <= point.max,
                    "{point:?}"
                );
            }
        }
        (Points::Counter(points), Points::Counter(again)) => {
            let exact = |p: &rollup::CounterPoint| {
                let increase = p.increase.to_bits();
                (p.at_ms, p.count, increase, p.resets, p.covered_ms)
            };
            assert!(points.iter().map(exact).eq(again.iter().map(exact)));
        }
        _ => panic!("gauges became counters, or counters gauges"),
    }
}

fn chunks(group: &Group<'_>) {
    let mut last = None;
    let mut count = 0;
    let mut bytes_len = 0;
    for (series, chunk) in group.chunks() {
        assert!(last.is_none_or(|last| last < series), "series ascend");
        last = Some(series);
        count += 1;
        bytes_len += chunk.len();
        if chunk::is_intact(chunk) {
            // The tag says which of the two; both have to bear both.
            samples(chunk);
            points(chunk);
        }
    }
    assert_eq!(count, group.count(), "each entry has its chunk");
    assert!(bytes_len < group.bytes_len());
    assert!(group.intact().count() <= count);
    let (series, chunk) = group.chunks().next().expect("a group has a chunk");
    assert_eq!(group.chunk(series), Some(chunk));
}

fn frame(bytes: &[u8]) {
    let Ok(header) = record::Header::decode(bytes) else {
        return;
    };
    assert_eq!(header.encode(), bytes[..record::HEADER_BYTES]);
    let content = &bytes[record::HEADER_BYTES..];
    if header.check(content).is_ok() {
        body(content);
    }
}

fn body(bytes: &[u8]) {
    let Ok(sections) = record::decode(bytes) else {
        return;
    };
    let samples: usize = columns(&sections).map(|column| column.values.len()).sum();
    if samples > ENCODED_SAMPLES_MAX {
        return;
    }
    let mut writer = record::Encoder::default();
    for section in &sections {
        writer.section(section.collector, &section.ticks, section.columns.len());
        for column in &section.columns {
            let mut ticks = column.ticks.iter().copied();
            writer.column(column.series, Some(&mut ticks), &column.values);
        }
    }
    let Some((header, encoded)) = writer.finish() else {
        assert_eq!(samples, 0, "only what has no sample becomes no record");
        return;
    };
    assert_eq!(header.samples as usize, samples);
    header.check(&encoded).expect("the frame fits the body");
    let again = record::decode(&encoded).expect("what was encoded can be decoded");
    let ticks = |sections: &[Section]| -> Vec<(u32, Vec<u32>)> {
        let parts = sections.iter();
        parts.map(|s| (s.collector, s.ticks.clone())).collect()
    };
    assert_eq!(ticks(&again), ticks(&sections));
    assert_eq!(columns(&again).count(), columns(&sections).count());
    for (again, column) in columns(&again).zip(columns(&sections)) {
        assert_eq!((again.series, &again.ticks), (column.series, &column.ticks));
        assert_eq!(bits(&again.values), bits(&column.values));
    }
}

fn columns(sections: &[Section]) -> impl Iterator<Item = &record::Column> {
    sections.iter().flat_map(|section| &section.columns)
}
