//! `cargo xtask bench store [--peers]`: the store's codec, disk, memory, processor time and answers.
//!
//! The parts run in `agent/benches/store`, each in a process of its own. With `--peers` the same 24 hours of
//! the recorded trace are also given to Prometheus and VictoriaMetrics, and all three are asked over HTTP.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::peer::{self, Peer};
use crate::bench::row::{self, Row};
use crate::bench::served::Served;
use crate::needs;
use crate::place::Place;
use crate::shell::{self, Fallible};

/// Series that the peers are given: two metrics of 60.
const PEER_SERIES: u32 = 120;
/// Series of the whole trace.
const TRACE_SERIES: u32 = 675;
/// Hours of history of each comparison.
const HOURS: u32 = 24;
/// Requests that are timed after the first.
const ROUNDS: usize = 11;
/// Width of a peer's point: 24 hours to 500.
const STEP_SECONDS: i64 = 173;

pub(crate) fn store(place: &Place, parts: &[String], peers: bool) -> Fallible {
    let trace = trace(place)?;
    needs::ensure(&[&needs::C_COMPILER])?;
    for part in ["codec", "sled", "days", "questions"] {
        if parts.is_empty() && !(peers && part == "sled")
            || parts.iter().any(|wanted| wanted == part)
        {
            bench(place, &[part, &trace.display().to_string()])?;
        }
    }
    if peers {
        compare(place, &trace)?;
    }
    Ok(())
}

/// Simulated days at speed, measured after each of these hours.
pub(crate) fn days(place: &Place, hours: &str) -> Fallible {
    let trace = trace(place)?;
    needs::ensure(&[&needs::C_COMPILER])?;
    for series in ["500", "2000"] {
        bench(
            place,
            &["days", &trace.display().to_string(), series, hours],
        )?;
    }
    Ok(())
}

fn trace(place: &Place) -> Fallible<PathBuf> {
    let trace = place.root.join("../shared/data/proc-1s.bin.zst");
    if trace.is_file() {
        return Ok(trace);
    }
    Err(format!("the recorded trace {} is not there", trace.display()).into())
}

fn bench(place: &Place, arguments: &[&str]) -> Fallible {
    let cargo = [
        "bench",
        "--quiet",
        "--package",
        "barograph",
        "--bench",
        "store",
        "--",
    ];
    shell::run(place.cargo().args(cargo).args(arguments))
}

fn compare(place: &Place, trace: &Path) -> Fallible {
    needs::ensure(&[&needs::PROMTOOL, &needs::VICTORIA_METRICS])?;
    super::build_release(place)?;
    let folder = place.target.join("bench-store");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let outcome = compare_in(place, trace, &folder);
    let _ = fs::remove_dir_all(&folder);
    outcome
}

fn compare_in(place: &Place, trace: &Path, folder: &Path) -> Fallible {
    let hour_ms = 3_600_000;
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now_ms = i64::try_from(now_ms.as_millis())?;
    let end_ms = now_ms - now_ms % hour_ms;
    let day = Day {
        place,
        trace: trace.display().to_string(),
        folder,
        start_ms: end_ms - i64::from(HOURS) * hour_ms,
        end_ms,
    };
    let mut rows = Vec::new();
    day.ours(&mut rows)?;
    day.victoria(&mut rows)?;
    day.prometheus(&mut rows)?;
    day.disks(&mut rows)?;
    row::print(&rows);
    Ok(())
}

/// The last whole hours of the trace, which every store is given.
#[derive(Debug)]
struct Day<'a> {
    place: &'a Place,
    trace: String,
    folder: &'a Path,
    start_ms: i64,
    end_ms: i64,
}

impl Day<'_> {
    /// Has the bench program write the day in one of its formats.
    fn make(&self, what: &str, name: &str, series: u32) -> Fallible<PathBuf> {
        let path = self.folder.join(name);
        let (text, series) = (path.display().to_string(), series.to_string());
        let (hours, start) = (HOURS.to_string(), self.start_ms.to_string());
        bench(
            self.place,
            &[what, &self.trace, &text, &series, &hours, &start],
        )?;
        Ok(path)
    }

    fn ours(&self, rows: &mut Vec<Row>) -> Fallible {
        let data = self.make("fill", "ours/data", PEER_SERIES)?;
        let disk = peer::disk_bytes(&data)?;
        let agent = Served::resume(&self.place.agent("release"), self.folder.join("ours"))?;
        let memory = agent.cost()?.pss_bytes;
        for (who, resolution) in [
            ("Barograph, raw", "&resolution=raw"),
            ("Barograph, as it chooses", ""),
        ] {
            told(rows, who, |metric| {
                let (from, to) = (self.start_ms, self.end_ms);
                let path = format!(
                    "/api/dashboard/metrics/history?metric={metric}&points=500&from={from}&to={to}{resolution}"
                );
                peer::times(agent.port, &[path], ROUNDS)
            })?;
        }
        sizes(rows, "Barograph", disk, PEER_SERIES);
        memories(
            rows,
            "Barograph (its plugin too)",
            memory,
            agent.cost()?.pss_bytes,
        );
        Ok(())
    }

    fn victoria(&self, rows: &mut Vec<Row>) -> Fallible {
        let lines = self.make("jsonlines", "lines.json", PEER_SERIES)?;
        let peer = Peer::victoria(self.folder, &lines)?;
        fs::remove_file(lines)?;
        let memory = peer.pss_bytes()?;
        told(rows, "VictoriaMetrics", |metric| {
            let (metric, range) = (quoted(metric), self.range());
            let path = format!(
                "/api/v1/query_range?query=rollup({metric}[{STEP_SECONDS}s])&{range}&nocache=1"
            );
            peer.times(&[path], ROUNDS)
        })?;
        sizes(rows, "VictoriaMetrics", peer.disk_bytes()?, PEER_SERIES);
        memories(rows, "VictoriaMetrics", memory, peer.pss_bytes()?);
        Ok(())
    }

    fn prometheus(&self, rows: &mut Vec<Row>) -> Fallible {
        let lines = self.make("openmetrics", "lines.txt", PEER_SERIES)?;
        let peer = Peer::prometheus(self.folder, &lines)?;
        fs::remove_file(lines)?;
        let memory = peer.pss_bytes()?;
        told(rows, "Prometheus", |metric| {
            let (metric, range) = (quoted(metric), self.range());
            let path = |function: &str| {
                format!(
                    "/api/v1/query_range?query={function}_over_time({metric}[{STEP_SECONDS}s])&{range}"
                )
            };
            peer.times(&["min", "avg", "max"].map(path), ROUNDS)
        })?;
        sizes(rows, "Prometheus", peer.disk_bytes()?, PEER_SERIES);
        memories(rows, "Prometheus", memory, peer.pss_bytes()?);
        Ok(())
    }

    /// The whole trace, on disk only. Prometheus is left out: promtool would read 3.5 GB of text thirteen times.
    fn disks(&self, rows: &mut Vec<Row>) -> Fallible {
        let data = self.make("fill", "whole", TRACE_SERIES)?;
        sizes(rows, "Barograph", peer::disk_bytes(&data)?, TRACE_SERIES);
        let lines = self.make("jsonlines", "lines.json", TRACE_SERIES)?;
        let folder = self.folder.join("whole-victoria");
        fs::create_dir_all(&folder)?;
        let peer = Peer::victoria(&folder, &lines)?;
        sizes(rows, "VictoriaMetrics", peer.disk_bytes()?, TRACE_SERIES);
        Ok(())
    }

    fn range(&self) -> String {
        let (start, end) = (self.start_ms / 1_000 + STEP_SECONDS, self.end_ms / 1_000);
        format!("start={start}&end={end}&step={STEP_SECONDS}")
    }
}

/// The metric of 60 series, or one of them where the name says so, as a query in a URL.
fn quoted(metric: &str) -> String {
    match metric.split_once("&label=name:") {
        Some((metric, name)) => format!("{metric}%7Bname=%22{name}%22%7D"),
        None => metric.to_owned(),
    }
}

fn told(rows: &mut Vec<Row>, who: &str, ask: impl Fn(&str) -> Fallible<Vec<f64>>) -> Fallible {
    for (what, metric) in [
        ("1 series", "trace_0&label=name:cpu_user_0"),
        ("60 series", "trace_1"),
    ] {
        let mut times = ask(metric)?;
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        rows.push(Row::told(
            format!("{who}: {what} to 500 points, ms: first, median"),
            format!("{first:.1}, {median:.1}"),
        ));
    }
    Ok(())
}

fn sizes(rows: &mut Vec<Row>, who: &str, disk: u64, series: u32) {
    let samples = f64::from(series) * f64::from(HOURS) * 3_600.0;
    rows.push(Row::told(
        format!("{who}: bytes on disk a sample, {series} series"),
        format!("{:.3}", disk as f64 / samples),
    ));
}

fn memories(rows: &mut Vec<Row>, who: &str, before: u64, after: u64) {
    rows.push(Row::told(
        format!("{who}: memory before and after the questions, MB"),
        format!("{:.1}, {:.1}", before as f64 / 1e6, after as f64 / 1e6),
    ));
}
