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
    let now_ms = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_millis(),
    )?;
    let (end_ms, trace) = (now_ms - now_ms % hour_ms, trace.display().to_string());
    let start_ms = end_ms - i64::from(HOURS) * hour_ms;
    let file = |name: &str| folder.join(name);
    let (series, hours, start) = (
        PEER_SERIES.to_string(),
        HOURS.to_string(),
        start_ms.to_string(),
    );
    let make = |what: &str, path: &Path| {
        let path = path.display().to_string();
        bench(place, &[what, &trace, &path, &series, &hours, &start])
    };
    let mut rows = Vec::new();
    let samples = f64::from(PEER_SERIES) * f64::from(HOURS) * 3_600.0;

    let ours = file("ours");
    make("fill", &ours.join("data"))?;
    let agent = Served::resume(&place.agent("release"), ours.clone())?;
    let paths = |resolution: &str, metric: &str| {
        vec![format!(
            "/api/dashboard/metrics/history?metric={metric}&points=500&from={start_ms}&to={end_ms}{resolution}"
        )]
    };
    let disk = peer::disk_bytes(&ours.join("data"))?;
    told(
        &mut rows,
        "Barograph, raw",
        disk,
        agent.cost()?.pss_bytes,
        samples,
        |metric| peer::times(agent.port, &paths("&resolution=raw", metric), ROUNDS),
    )?;
    told(
        &mut rows,
        "Barograph, as it chooses",
        disk,
        agent.cost()?.pss_bytes,
        samples,
        |metric| peer::times(agent.port, &paths("", metric), ROUNDS),
    )?;
    drop(agent);

    make("jsonlines", &file("lines.json"))?;
    let victoria = Peer::victoria(folder, &file("lines.json"))?;
    fs::remove_file(file("lines.json"))?;
    let range = format!(
        "start={}&end={}&step={STEP_SECONDS}",
        start_ms / 1_000 + STEP_SECONDS,
        end_ms / 1_000
    );
    told(
        &mut rows,
        "VictoriaMetrics",
        victoria.disk_bytes()?,
        victoria.pss_bytes()?,
        samples,
        |metric| {
            let path = format!(
                "/api/v1/query_range?query=rollup({}[{STEP_SECONDS}s])&{range}&nocache=1",
                quoted(metric)
            );
            victoria.times(&[path], ROUNDS)
        },
    )?;
    drop(victoria);

    make("openmetrics", &file("lines.txt"))?;
    let prometheus = Peer::prometheus(folder, &file("lines.txt"))?;
    fs::remove_file(file("lines.txt"))?;
    told(
        &mut rows,
        "Prometheus",
        prometheus.disk_bytes()?,
        prometheus.pss_bytes()?,
        samples,
        |metric| {
            let path = |function: &str| {
                format!(
                    "/api/v1/query_range?query={function}_over_time({}[{STEP_SECONDS}s])&{range}",
                    quoted(metric)
                )
            };
            prometheus.times(&["min", "avg", "max"].map(path), ROUNDS)
        },
    )?;
    row::print(&rows);
    Ok(())
}

/// The metric of 60 series, or one of them where the name says so, as PromQL in a URL.
fn quoted(metric: &str) -> String {
    match metric.split_once("&label=name:") {
        Some((metric, name)) => format!("{metric}%7Bname=%22{name}%22%7D"),
        None => metric.to_owned(),
    }
}

fn told(
    rows: &mut Vec<Row>,
    who: &str,
    disk: u64,
    memory: u64,
    samples: f64,
    ask: impl Fn(&str) -> Fallible<Vec<f64>>,
) -> Fallible {
    for (what, metric) in [
        ("1 series", "trace_0&label=name:cpu_user_0"),
        ("60 series", "trace_1"),
    ] {
        let mut times = ask(metric)?;
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        rows.push(Row::told(
            format!("{who}: 24 h of {what} to 500 points, ms: first, median"),
            format!("{first:.1}, {median:.1}"),
        ));
    }
    rows.push(Row::told(
        format!("{who}: bytes on disk a sample"),
        format!("{:.3}", disk as f64 / samples),
    ));
    rows.push(Row::told(
        format!("{who}: memory before the questions, MB"),
        format!("{:.1}", memory as f64 / 1e6),
    ));
    Ok(())
}
