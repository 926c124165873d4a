//! The codec alone: bytes and time a sample, on the recorded trace.

use std::path::Path;
use std::time::Instant;

use barograph::catalog::Kind;
use barograph::store::chunk::{self, Samples};
use barograph::store::rollup;

use crate::trace::Trace;

/// Seconds of a chunk in the store.
const HOUR: usize = 3_600;
/// Hours that the trace is continued for.
const HOURS: usize = 6;

/// Prints what chunks of the trace take.
pub(crate) fn run(path: &Path) {
    let trace = Trace::load(path).expect("the recorded trace is there");
    println!(
        "{:<44} {:>9} {:>12} {:>10} {:>10}",
        "chunks", "samples", "bytes each", "encode ns", "decode ns"
    );
    measure("as recorded, one chunk a series", &trace, trace.rows(), 1);
    measure("continued, chunks of an hour", &trace, HOUR, HOURS);
    rollups(&trace);
}

fn measure(what: &str, trace: &Trace, seconds: usize, chunks: usize) {
    let (mut bytes, mut samples, mut encoding, mut decoding) = (0, 0, 0.0, 0.0);
    let times: Vec<i64> = (0..seconds * chunks)
        .map(|second| 1_799_280_000_000 + second as i64 * 1_000)
        .collect();
    let mut out = Vec::new();
    for series in 0..trace.len() {
        let values: Vec<f64> = (0..seconds * chunks)
            .map(|second| trace.value(series, second))
            .collect();
        for (times, values) in times.chunks(seconds).zip(values.chunks(seconds)) {
            out.clear();
            let began = Instant::now();
            chunk::encode(times, values, &mut out);
            encoding += began.elapsed().as_secs_f64();
            let mut decoded = Samples::default();
            let began = Instant::now();
            chunk::decode(&out, &mut decoded).expect("a whole chunk");
            decoding += began.elapsed().as_secs_f64();
            assert!(
                decoded.times_ms == times
                    && decoded
                        .values
                        .iter()
                        .zip(values)
                        .all(|(a, b)| a.to_bits() == b.to_bits())
            );
            bytes += out.len();
            samples += times.len();
        }
    }
    let each = |seconds: f64| seconds * 1e9 / samples as f64;
    println!(
        "{what:<44} {samples:>9} {:>12.3} {:>10.1} {:>10.1}",
        bytes as f64 / samples as f64,
        each(encoding),
        each(decoding)
    );
}

fn rollups(trace: &Trace) {
    let (mut bytes, mut points) = (0, 0);
    let times: Vec<i64> = (0..HOUR * HOURS)
        .map(|second| 1_799_280_000_000 + second as i64 * 1_000)
        .collect();
    for series in 0..trace.len() {
        let kind = if trace.series(series).1 {
            Kind::Counter
        } else {
            Kind::Gauge
        };
        let values = (0..HOUR * HOURS)
            .map(|second| trace.value(series, second))
            .collect();
        let samples = Samples {
            times_ms: times.clone(),
            values,
        };
        let folded = rollup::fold(kind, &samples, None, 60_000);
        let mut out = Vec::new();
        rollup::encode(&folded, 60_000, &mut out);
        bytes += out.len();
        points += HOURS * 60;
    }
    println!(
        "rollups of a minute, chunks of {HOURS} hours: {points} points, {:.2} bytes each",
        bytes as f64 / points as f64
    );
}
