//! What a run starts from: every form that the encoders know, small, as inputs with [`REPAIRED`] set.

use std::fs;
use std::path::Path;

use barograph::catalog::{Kind, Unit};
use barograph::clock::Tier;
use barograph::store::chunk::{self, Samples};
use barograph::store::group::{Builder, Header};
use barograph::store::record::{Encoder, Section};
use barograph::store::registry::StoredSeries;
use barograph::store::registry::record as series;
use barograph::store::rollup;

use super::{Form, REPAIRED};

const CRC_BYTES: usize = 4;
const START_MS: i64 = 1_790_000_000_000;
/// Samples of each series: enough for every way to pack them, few enough for short inputs.
const COUNT: i32 = 200;

/// Writes the inputs, one a file.
pub(crate) fn write(folder: &Path) {
    let mut inputs: Vec<(Form, Vec<u8>)> = Vec::new();
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    for samples in every_kind() {
        let mut chunk = Vec::new();
        chunk::encode(&samples.times_ms, &samples.values, &mut chunk);
        chunks.push(chunk);
        for kind in [Kind::Gauge, Kind::Counter] {
            // Points of a few samples each, or there would be too few of them to be packed.
            let points = rollup::fold(kind, &samples, None, 5_000);
            let mut chunk = Vec::new();
            rollup::encode(&points, 5_000, &mut chunk);
            inputs.push((Form::Rollup, without_crc(&chunk)));
        }
        inputs.push((Form::Body, section(&samples)));
    }
    let group = group(&chunks);
    inputs.extend(chunks.iter().map(|chunk| (Form::Chunk, without_crc(chunk))));
    inputs.push((Form::Remains, [b"rest".as_slice(), &group, &group].concat()));
    inputs.push((Form::Group, group));
    let first = every_kind().swap_remove(0);
    let mut encoder = Encoder::default();
    put_section(&first, &mut encoder);
    if let Some((header, _)) = encoder.finish() {
        let frame = header.encode();
        inputs.push((Form::Frame, [&frame, section(&first).as_slice()].concat()));
    }
    inputs.push((Form::Series, series::encode(&series::Record::Next(300))));
    inputs.push((Form::Series, stored_series()));
    for (at, (form, content)) in inputs.iter().enumerate() {
        let mut input = vec![*form as u8 | REPAIRED];
        input.extend(content);
        let path = folder.join(format!("seed-{at:03}"));
        fs::write(&path, input)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
}

fn every_kind() -> Vec<Samples> {
    let values: [fn(i32) -> f64; 9] = [
        |i| f64::from(i * i * 4),
        |_| 42.0,
        |i| f64::from(i * 7 % 5),
        |i| f64::from(i * 7_919 % 1_013 * 65_537),
        |i| f64::from(i * 7_919 % 1_013) * 8e12,
        |i| f64::from(i * 7 % 1_013) / 100.0,
        |i| f64::from(i).sin(),
        |i| f64::from(i % 13) * 0.1 + 1e-9,
        |i| [0.0, -0.0, f64::NAN, f64::INFINITY][i.unsigned_abs() as usize % 4],
    ];
    let times: [fn(i64) -> i64; 3] = [
        |i| i * 1_000,
        |i| i * 1_000 + i / 100 * 60_500,
        |i| i * 1_000 + i * 7 % 9,
    ];
    let all = values.iter().zip(times.iter().cycle());
    let mut kinds: Vec<Samples> = all
        .map(|(value, time)| Samples {
            times_ms: (0..COUNT).map(|i| START_MS + time(i.into())).collect(),
            values: (0..COUNT).map(value).collect(),
        })
        .collect();
    kinds.push(Samples::default());
    kinds
}

fn without_crc(chunk: &[u8]) -> Vec<u8> {
    chunk[..chunk.len() - CRC_BYTES].to_vec()
}

fn group(chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = Header {
        tag: 1,
        block_ms: START_MS,
        epoch: 2,
    };
    let mut builder = Builder::new(header, usize::MAX);
    for (series, chunk) in (5..).step_by(3).zip(chunks) {
        builder.push(series, chunk);
    }
    builder.finish().1
}

/// What the body of a W record unpacks to.
fn section(samples: &Samples) -> Vec<u8> {
    let mut encoder = Encoder::default();
    put_section(samples, &mut encoder);
    encoder.finish().map_or_else(Vec::new, |(header, body)| {
        let len = u32::from_le_bytes([body[0], body[1], body[2], body[3]]);
        debug_assert_eq!(header.body_bytes as usize, body.len());
        zstd::bulk::decompress(&body[4..], len as usize).expect("what was packed can be unpacked")
    })
}

/// A column with a value at each tick, and one with a value at each second.
fn put_section(samples: &Samples, encoder: &mut Encoder) {
    let offset = |at: &i64| u32::try_from(at - START_MS).expect("the samples lie within an hour");
    let section = Section {
        collector: 3,
        ticks: samples.times_ms.iter().map(offset).collect(),
        columns: Vec::new(),
    };
    encoder.section(section.collector, &section.ticks, 2);
    encoder.column(7, None, &samples.values);
    let half: Vec<f64> = samples.values.iter().step_by(2).copied().collect();
    encoder.column(9, Some(&mut (0..).step_by(2).take(half.len())), &half);
}

fn stored_series() -> Vec<u8> {
    let mut labels = barograph::protocol::Labels::default();
    labels.insert("mount".to_owned(), "/data".to_owned());
    series::encode_series(&StoredSeries {
        id: 12,
        metric: "disk_used_bytes".to_owned(),
        kind: Kind::Gauge,
        unit: Unit::Bytes,
        tier: Tier::ALL[0],
        topic: "system".to_owned(),
        collector: "system".to_owned(),
        labels,
        last_day: 20_000,
    })
}
