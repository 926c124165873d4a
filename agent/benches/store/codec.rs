//! The codec alone: bytes and time a sample or point, on the recorded trace and its continuation.
//!
//! Every chunk is decoded and compared bit for bit before anything is timed.

use std::path::Path;
use std::time::{Duration, Instant};

use barograph::catalog::Kind;
use barograph::store::chunk::{self, Samples};
use barograph::store::rollup::{self, Points};

use crate::fill::START_MS;
use crate::trace::Trace;

/// Seconds of a chunk in the store.
const HOUR: usize = 3_600;
/// Seconds that are in memory between two runs of the head.
const RUN: usize = 300;
/// Hours that the trace is continued for: a block of minutes.
const HOURS: usize = 6;
const MINUTE_MS: i64 = 60_000;
/// Samples of a day, which the target for decoding is in.
const DAY: f64 = 86_400.0;
/// The quickest of these counts: other work on the machine only slows down.
const ROUNDS: usize = 5;

/// Some series over some time.
#[derive(Debug)]
struct Window {
    times_ms: Vec<i64>,
    series: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
    values: Vec<f64>,
}

/// Prints what chunks of the trace take.
pub(crate) fn run(path: &Path) {
    let trace = Trace::load(path).expect("the recorded trace is there");
    println!(
        "{} series; sizes in bytes a sample, times in nanoseconds a sample",
        trace.len()
    );
    println!(
        "{:<44} {:>9} {:>8} {:>8} {:>8} {:>10}",
        "chunks", "samples", "size", "encode", "decode", "ms a day*"
    );
    let recorded = window(&trace, trace.times_ms().to_vec());
    let seconds = recorded.times_ms.len();
    chunks("as recorded, a chunk a series", &recorded, seconds);
    let on_grid = window(&trace, grid(seconds));
    chunks("the same with stamps on the grid", &on_grid, seconds);
    let mut continued = window(&trace, grid(HOUR * HOURS));
    chunks("continued, chunks of 5 min (the head's)", &continued, RUN);
    chunks("continued, chunks of 1 h", &continued, HOUR);
    rollups(&continued);
    classes(&continued);
    // Quotients of two counters are answers of the store and not what collectors give it.
    let is_sample = |column: &Column| !column.name.starts_with("rate_");
    continued.series.retain(is_sample);
    chunks("chunks of 1 h without rate_*", &continued, HOUR);
    println!("* decoding one series of 86,400 samples, the mean of all series");
}

/// Seconds on the grid.
fn grid(seconds: usize) -> Vec<i64> {
    let times = (START_MS..).step_by(1_000);
    times.take(seconds).collect()
}

/// All series at those times, one a second.
fn window(trace: &Trace, times_ms: Vec<i64>) -> Window {
    let column = |at: usize| {
        let (name, kind) = trace.series(at);
        let values = (0..times_ms.len()).map(|second| trace.value(at, second));
        Column {
            name: name.to_owned(),
            kind,
            values: values.collect(),
        }
    };
    let series = (0..trace.len()).map(column).collect();
    Window { times_ms, series }
}

impl Window {
    /// Times and values of each chunk, series after series.
    fn cut(&self, seconds: usize) -> impl Iterator<Item = (&[i64], &[f64])> {
        let parts = move |column| -> (_, &Column) { (self.times_ms.chunks(seconds), column) };
        let cut = self.series.iter().map(parts);
        cut.flat_map(move |(times, column)| times.zip(column.values.chunks(seconds)))
    }

    fn encode(&self, seconds: usize) -> Vec<Vec<u8>> {
        let cut = self.cut(seconds);
        let encoded = cut.map(|(times, values)| {
            let mut out = Vec::new();
            chunk::encode(times, values, &mut out);
            out
        });
        encoded.collect()
    }
}

fn chunks(what: &str, window: &Window, seconds: usize) {
    let chunks = window.encode(seconds);
    for (bytes, (times, values)) in chunks.iter().zip(window.cut(seconds)) {
        let mut back = Samples::default();
        chunk::decode(bytes, &mut back).expect("what was encoded");
        let is_same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits();
        assert!(back.values.iter().zip(values).all(is_same));
        assert_eq!(
            (&back.times_ms[..], back.values.len()),
            (times, values.len())
        );
    }
    let encoding = quickest(|| drop(window.encode(seconds)));
    let mut back = Samples::default();
    let decoding = quickest(|| {
        for bytes in &chunks {
            back.times_ms.clear();
            back.values.clear();
            chunk::decode(bytes, &mut back).expect("what was encoded");
        }
    });
    let samples = window.series.len() * window.times_ms.len();
    let decoding = each(decoding, samples);
    println!(
        "{what:<44} {samples:>9} {:>8.3} {:>8.1} {decoding:>8.2} {:>10.3}",
        size(&chunks, samples),
        each(encoding, samples),
        decoding * DAY / 1e6,
    );
}

fn rollups(window: &Window) {
    let fold = |column: &Column| {
        let samples = Samples {
            times_ms: window.times_ms.clone(),
            values: column.values.clone(),
        };
        rollup::fold(column.kind, &samples, None, MINUTE_MS)
    };
    let folded: Vec<Points> = window.series.iter().map(fold).collect();
    let encode = || -> Vec<Vec<u8>> {
        let encoded = folded.iter().map(|points| {
            let mut out = Vec::new();
            rollup::encode(points, MINUTE_MS, &mut out);
            out
        });
        encoded.collect()
    };
    let chunks = encode();
    let encoding = quickest(|| drop(encode()));
    let decoding = quickest(|| {
        for bytes in &chunks {
            rollup::decode(bytes).expect("what was encoded");
        }
    });
    let points = window.series.len() * window.times_ms.len() / 60;
    println!(
        "{:<44} {points:>9} {:>8.3} {:>8.1} {:>8.2}  (a point)",
        format!("points of a minute, chunks of {HOURS} h"),
        size(&chunks, points),
        each(encoding, points),
        each(decoding, points),
    );
}

/// Which kinds of series take the most, so that one sees where the next byte is.
fn classes(window: &Window) {
    let mut classes: Vec<(&str, usize, usize)> = Vec::new();
    let chunks = window.encode(HOUR);
    for (bytes, column) in chunks.chunks(HOURS).zip(&window.series) {
        let (class, bytes) = (class(column), bytes.iter().map(Vec::len).sum::<usize>());
        match classes.iter_mut().find(|known| known.0 == class) {
            Some(known) => (known.1, known.2) = (known.1 + 1, known.2 + bytes),
            None => classes.push((class, 1, bytes)),
        }
    }
    for (class, series, bytes) in classes {
        let samples = series * window.times_ms.len();
        println!(
            "{:<44} {samples:>9} {:>8.3}",
            format!("  of them {series} {class}"),
            bytes as f64 / samples as f64
        );
    }
}

fn class(column: &Column) -> &'static str {
    let is_constant = column
        .values
        .windows(2)
        .all(|pair| pair[0].to_bits() == pair[1].to_bits());
    let is_whole = column.values.iter().all(|value| value.fract() == 0.0);
    match (column.name.split_once('_'), column.kind) {
        _ if is_constant => "constants",
        (Some(("rate", _)), _) => "rate_* (quotients)",
        (Some(("pct", _)), _) => "pct_* (quotients)",
        _ if !is_whole => "decimals",
        (_, Kind::Counter) => "counters",
        (_, Kind::Gauge) => "whole gauges",
    }
}

fn size(chunks: &[Vec<u8>], of: usize) -> f64 {
    chunks.iter().map(Vec::len).sum::<usize>() as f64 / of as f64
}

/// Nanoseconds.
fn each(took: Duration, of: usize) -> f64 {
    took.as_secs_f64() * 1e9 / of as f64
}

fn quickest(mut work: impl FnMut()) -> Duration {
    let timed = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    timed.min().expect("several rounds")
}
