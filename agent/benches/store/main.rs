//! The store measured: `cargo xtask bench store` runs the parts, each in a process of its own.
//!
//! `codec TRACE`, `sled`, `days TRACE`, `questions TRACE` print tables; `fill`, `openmetrics` and `jsonlines`
//! (`TRACE PATH SERIES HOURS START_MS`) write the same history for the agent and for its peers.

mod codec;
mod dataset;
mod days;
mod fill;
mod process;
mod questions;
mod sled;
mod trace;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use dataset::Format;
use fill::{Filled, START_MS};
use trace::Trace;

/// Series whose simulated days are measured, each in a process of its own.
const SERIES: [&str; 2] = ["500", "2000"];
/// Simulated hours after which the days are measured, unless others are given.
const MARKS: &str = "24,48,72";

fn main() -> ExitCode {
    // Cargo itself adds the first of these.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The measurement of sled itself compares allocators.
    if arguments.first() != Some(&"sled") {
        barograph::allocator::set_up();
    }
    match arguments[..] {
        ["codec", trace] => codec::run(Path::new(trace)),
        ["sled", ..] => sled::run(),
        ["days", path] => SERIES
            .into_iter()
            .for_each(|series| again(&["days", path, series])),
        ["days", path, series] => days(path, series, MARKS),
        ["days", path, series, marks] => days(path, series, marks),
        ["questions", path] => {
            let (folder, trace) = (scratch(), load(path));
            let mut filled = Filled::open(folder.path(), &trace, 120, START_MS);
            filled.write(&trace, 25 * 3_600);
            questions::run(&filled.engine, filled.now_ms());
        }
        [
            what @ ("fill" | "openmetrics" | "jsonlines"),
            trace,
            path,
            series,
            hours,
            start_ms,
        ] => {
            let (trace, path) = (load(trace), PathBuf::from(path));
            let series = series.parse().expect("a number of series");
            let seconds = hours.parse::<usize>().expect("a number of hours") * 3_600;
            let start_ms = start_ms.parse().expect("Unix milliseconds");
            let format = match what {
                "fill" => {
                    let mut filled = Filled::open(&path, &trace, series, start_ms);
                    filled.write(&trace, seconds);
                    filled.settle();
                    return ExitCode::SUCCESS;
                }
                "openmetrics" => Format::OpenMetrics,
                _ => Format::JsonLines,
            };
            dataset::write(&path, format, &trace, series, seconds, start_ms)
                .expect("the disk has room");
        }
        _ => {
            eprintln!(
                "usage: codec|sled|days|questions TRACE, or fill|openmetrics|jsonlines TRACE PATH SERIES HOURS START_MS"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn days(path: &str, series: &str, marks: &str) {
    let folder = scratch();
    let marks: Vec<usize> = marks
        .split(',')
        .map(|hours| hours.parse().expect("hours"))
        .collect();
    days::run(
        folder.path(),
        &load(path),
        series.parse().expect("a number"),
        &marks,
    );
}

/// Runs a part in a process of its own, whose memory is then its own.
fn again(arguments: &[&str]) {
    let program = std::env::current_exe().expect("this program");
    let status = Command::new(program)
        .args(arguments)
        .status()
        .expect("it starts");
    assert!(status.success(), "{arguments:?} failed");
}

fn load(path: &str) -> Trace {
    Trace::load(Path::new(path)).expect("the recorded trace is there")
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temp folder")
}
