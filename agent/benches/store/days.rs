//! Simulated days at speed: what they leave on disk and in memory, what they wrote, and how fast they open.

use std::path::Path;
use std::time::{Duration, Instant};

use barograph::protocol::Aggregation;
use barograph::store::engine::Engine;
use barograph::store::query::Query;
use barograph::store::registry::Selector;
use barograph::store::{Config, HOUR_MS};

use crate::fill::{Filled, START_MS};
use crate::process;
use crate::trace::Trace;

/// Full-history questions before memory is read again.
const QUESTIONS: usize = 10;
/// Times that the folder is opened for one figure, their median: a single one hangs on what else the disk does.
const OPENINGS: usize = 5;

/// Prints a line for each of `marks` (simulated hours, ascending). Memory is what the store added to that of the
/// trace; "bytes each" is the whole folder over the samples of a day.
pub(crate) fn run(folder: &Path, trace: &Trace, series: usize, marks: &[usize]) {
    println!(
        "{:>6} {:>6} {:>10} {:>8} {:>8} {:>10} {:>7} {:>11} {:>10} {:>7} {:>9}",
        "series",
        "hours",
        "samples",
        "disk MB",
        "raw MB",
        "bytes each",
        "RSS MB",
        "after 10 q.",
        "written MB",
        "open ms",
        "us/sample"
    );
    let own = process::rss_bytes();
    let mut measured = Vec::new();
    let mut filled = Filled::open(folder, trace, series, START_MS);
    for &hours in marks {
        let (before, cpu) = (filled.second, process::cpu_seconds());
        filled.write(trace, hours * 3_600 - before);
        let cpu = process::cpu_seconds() - cpu;
        let written = process::written_bytes();
        let rss = process::rss_bytes();
        for _ in 0..QUESTIONS {
            everything(&filled.engine, filled.now_ms());
        }
        let after = process::rss_bytes();
        let samples = (filled.second - before) * series;
        let Filled {
            engine,
            ids,
            second,
            ..
        } = filled;
        engine.stop().expect("the disk has room");
        drop(engine);
        let (disk, raw) = (
            process::disk_bytes(folder),
            process::disk_bytes(&folder.join("raw")),
        );
        let now_ms = START_MS + i64::try_from(second).expect("years") * 1_000;
        let (engine, open) = opened(folder, now_ms);
        let kept = second.min(24 * 3_600) * series;
        println!(
            "{series:>6} {hours:>6} {:>10} {:>8.1} {:>8.1} {:>10.3} {:>7.1} {:>11.1} {:>10.1} {:>7.1} {:>9.3}",
            second * series,
            disk as f64 / 1e6,
            raw as f64 / 1e6,
            disk as f64 / kept as f64,
            rss.saturating_sub(own) as f64 / 1e6,
            after.saturating_sub(own) as f64 / 1e6,
            written as f64 / 1e6,
            open.as_secs_f64() * 1e3,
            cpu * 1e6 / samples as f64,
        );
        measured.push((hours, raw as f64, after as f64, open.as_secs_f64()));
        filled = Filled::resumed(engine, ids, second, START_MS);
    }
    // The first day fills the folder; from the second on nothing but rollups may grow.
    if let [_, first, .., last] = measured[..] {
        println!(
            "from {} h to {} h: raw history x {:.2}, memory x {:.2}, open time x {:.2}",
            first.0,
            last.0,
            last.1 / first.1,
            last.2 / first.2,
            last.3 / first.3,
        );
    }
}

/// The folder opened, and how long that takes.
fn opened(folder: &Path, now_ms: i64) -> (Engine, Duration) {
    let mut took = Vec::new();
    loop {
        let began = Instant::now();
        let engine = Engine::open(folder, Config::default(), now_ms).expect("it opens");
        took.push(began.elapsed());
        if took.len() == OPENINGS {
            took.sort_unstable();
            return (engine, took[OPENINGS / 2]);
        }
        engine.stop().expect("the disk has room");
    }
}

/// Reads every sample of the last day.
fn everything(engine: &Engine, now_ms: i64) {
    for metric in 0.. {
        let query = Query {
            selector: Selector {
                matching: barograph::protocol::Match {
                    metrics: vec![format!("trace_{metric}")],
                    ..Default::default()
                },
                collector: None,
            },
            from_ms: now_ms - 24 * HOUR_MS,
            to_ms: now_ms,
            points: 500,
            aggregation: Aggregation::Envelope,
            resolution: Some(barograph::protocol::Resolution::Raw),
        };
        let plan = engine.plan(&query, now_ms).expect("a good question");
        if plan.series.is_empty() {
            return;
        }
        engine
            .answer(&plan, query.aggregation, &mut |_, _| true)
            .expect("it reads");
    }
}
