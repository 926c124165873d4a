//! `query`, `export`, `backup`, `restore` and `doctor`, as an operator meets them: on a folder with some hours of
//! history, with an agent on it and without.

mod doctor;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use barograph::catalog::{Kind, Unit};
use barograph::clock::Tier;
use barograph::store::engine::Engine;
use barograph::store::registry::StoredSeries;
use barograph::store::{Config, HOUR_MS};
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::Agent;

/// Hours that are over, so that there are sealed blocks and rollups of a whole generation.
const HOURS: i64 = 13;
/// Between samples.
const TICK_MS: i64 = 15_000;
/// Of each of the two metrics.
const SERIES: u32 = 6;

/// A folder with `data` in it: the last hours of two metrics, up to a moment that is given back.
struct History {
    folder: Arc<TempDir>,
    from_ms: i64,
    to_ms: i64,
}

fn series(metric: &str, kind: Kind, at: u32) -> StoredSeries {
    StoredSeries {
        id: 0,
        metric: metric.to_owned(),
        kind,
        unit: Unit::Bytes,
        tier: Tier::Medium,
        topic: "test".to_owned(),
        collector: "test".to_owned(),
        labels: [("disk".to_owned(), format!("sd\"{at}"))]
            .into_iter()
            .collect(),
        last_day: 0,
    }
}

fn gauge(at_ms: i64, series: u32) -> f64 {
    let phase = (at_ms / TICK_MS % 1_000) as f64 / 100.0;
    ((phase.sin() * 1_000.0).round() + f64::from(series) * 10_000.0) / 10.0
}

fn counter(at_ms: i64, series: u32) -> f64 {
    (at_ms / TICK_MS * i64::from(series + 1)) as f64
}

fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(now.as_millis()).expect("a time")
}

impl History {
    fn make() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temp folder"));
        let to_ms = now_ms() / TICK_MS * TICK_MS;
        let from_ms = (to_ms / HOUR_MS - HOURS) * HOUR_MS;
        let engine = Engine::open(&folder.path().join("data"), Config::default(), from_ms)
            .expect("a new store");
        let id = |metric, kind, at| {
            engine
                .registry
                .resolve(series(metric, kind, at))
                .expect("room")
        };
        let ids: Vec<_> = (0..SERIES)
            .map(|at| {
                (
                    id("test_free_bytes", Kind::Gauge, at),
                    id("test_read_bytes_total", Kind::Counter, at),
                )
            })
            .collect();
        let mut at_ms = from_ms;
        while at_ms < to_ms {
            let samples: Vec<_> = (0..SERIES)
                .zip(&ids)
                .flat_map(|(at, (free, read))| {
                    [(*free, gauge(at_ms, at)), (*read, counter(at_ms, at))]
                })
                .collect();
            let pushed = engine.push(0, at_ms, &samples);
            assert_eq!(pushed.dropped, 0);
            if at_ms % 180_000 == 0 {
                engine.maintain(at_ms).expect("the disk has room");
            }
            at_ms += TICK_MS;
        }
        engine.stop().expect("the disk has room");
        Self {
            folder,
            from_ms,
            to_ms,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn range(&self) -> [String; 4] {
        let [from, to] = [self.from_ms, self.to_ms].map(|ms| ms.to_string());
        ["--from".to_owned(), from, "--to".to_owned(), to]
    }

    /// The binary on this folder, or another one.
    fn run(&self, data: &Path, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_barograph"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("BAROGRAPH_DATA_DIR", data)
            .output()
            .expect("the agent's binary")
    }

    /// The same with the whole range; it must succeed.
    fn ranged(&self, data: &Path, arguments: &[&str]) -> (String, String) {
        let range = self.range();
        let arguments: Vec<&str> = arguments
            .iter()
            .copied()
            .chain(range.iter().map(String::as_str))
            .collect();
        let output = self.run(data, &arguments);
        assert_code(&output, 0);
        (stdout(&output), stderr(&output))
    }
}

/// It ended with this code, or the test with what it said.
#[track_caller]
fn assert_code(output: &Output, code: i32) {
    let said = || format!("{}{}", stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(code), "{}", said());
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

const QUERY: [&str; 6] = [
    "query",
    "test_*",
    "--points",
    "48",
    "--json",
    "--agg=envelope",
];

#[test]
fn without_an_agent_the_folder_answers_and_says_so() {
    let history = History::make();
    let (text, said) = history.ranged(&history.data(), &QUERY);
    assert!(said.contains("no agent runs on"), "{said}");
    let answer = json(&text);
    assert_eq!(answer["complete"], true);
    let all = answer["series"].as_array().expect("series");
    assert_eq!(all.len(), 2 * SERIES as usize);
    let free = &all[1];
    assert_eq!(
        (&free["metric"], &free["labels"]["disk"]),
        (&"test_free_bytes".into(), &"sd\"1".into())
    );
    let (min, max) = (&free["min"][3], &free["max"][3]);
    assert!(
        min.as_f64() >= Some(900.0) && max.as_f64() <= Some(1_100.0),
        "{min} {max}"
    );
    // Bytes in 15 s, and nothing before the first sample of a counter.
    let read = all
        .iter()
        .find(|series| series["metric"] == "test_read_bytes_total")
        .expect("a counter");
    assert_eq!(
        read["avg"][5].as_f64().map(|rate| (rate * 15.0).round()),
        Some(1.0)
    );
    let (table, _) = history.ranged(
        &history.data(),
        &["query", "test_*", "--label", "disk=sd\"2"],
    );
    assert!(
        table.contains("test_read_bytes_total{disk=sd\"2}"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 4, "{table}");
}

#[tokio::test]
async fn a_running_agent_answers_as_the_folder_does() {
    let history = History::make();
    let (offline, _) = history.ranged(&history.data(), &QUERY);
    let csv = ["export", "--format", "csv", "--metric", "test_*"];
    let (offline_csv, _) = history.ranged(&history.data(), &csv);
    let mut agent = Agent::inside(Arc::clone(&history.folder), "").await;
    let socket = fs::metadata(history.data().join("agent.sock")).expect("the socket");
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let (online, said) = history.ranged(&history.data(), &QUERY);
    assert_eq!(said, "");
    assert_eq!(json(&online)["series"], json(&offline)["series"]);
    let (online_csv, _) = history.ranged(&history.data(), &csv);
    assert_eq!(online_csv, offline_csv);
    let ticks = usize::try_from((history.to_ms - history.from_ms) / TICK_MS).expect("some");
    assert_eq!(online_csv.lines().count(), 1 + ticks * 2 * SERIES as usize);
    // What needs the folder for itself names who has it.
    let output = history.run(&history.data(), &["doctor"]);
    assert_code(&output, 4);
    assert!(
        stderr(&output).contains(&agent.pid().to_string()),
        "{}",
        stderr(&output)
    );
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());
    assert!(!history.data().join("agent.sock").exists());
}

#[test]
fn every_sample_comes_out_of_an_export_as_it_went_in() {
    let history = History::make();
    let file = history.folder.path().join("history.txt");
    let to_file = ["export", "--metric", "test_*", "-o", "history.txt"];
    let (text, _) = history.ranged(&history.data(), &to_file);
    assert_eq!(text, "");
    let text = fs::read_to_string(&file).expect("a file");
    assert!(
        text.starts_with("# TYPE test_free_bytes gauge\n# UNIT test_free_bytes bytes\n"),
        "{}",
        &text[..200]
    );
    assert!(text.ends_with("\n# EOF\n"));
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    for (name, value) in [
        ("test_free_bytes", gauge as fn(i64, u32) -> f64),
        ("test_read_bytes_total", counter),
    ] {
        for series in 0..SERIES {
            let mut at_ms = history.from_ms;
            while at_ms < history.to_ms {
                let expected = format!(
                    "{name}{{disk=\"sd\\\"{series}\"}} {} {}",
                    value(at_ms, series),
                    at_ms / 1_000
                );
                assert_eq!(lines.next(), Some(expected.as_str()));
                at_ms += TICK_MS;
            }
        }
    }
    assert_eq!(lines.next(), None);
    // Prometheus' own tool makes its blocks of it.
    let output = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&file)
        .arg(history.folder.path().join("blocks"))
        .output()
        .expect("promtool, of Debian's package prometheus");
    assert_code(&output, 0);
    let blocks = fs::read_dir(history.folder.path().join("blocks")).expect("blocks");
    assert!(blocks.count() >= 6);
}

#[test]
fn points_can_be_exported_too() {
    let history = History::make();
    let minutes = [
        "export",
        "--format",
        "jsonl",
        "--metric",
        "test_free_bytes",
        "--resolution",
        "minute",
    ];
    let (text, _) = history.ranged(&history.data(), &minutes);
    let lines: Vec<Value> = text.lines().map(json).collect();
    assert_eq!(lines.len(), SERIES as usize);
    let first = &lines[0];
    let times = first["timestamps"].as_array().expect("times");
    assert_eq!(times[0], history.from_ms);
    assert!(times.len() >= usize::try_from(HOURS * 60).expect("some"));
    for at in [0, 100, 500] {
        let start = times[at].as_i64().expect("a time");
        let values: Vec<f64> = (0..4)
            .map(|tick| gauge(start + tick * TICK_MS, 0))
            .collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(first["min"][at].as_f64(), Some(least));
        let mean = values.iter().sum::<f64>() / 4.0;
        let found = first["values"][at].as_f64().expect("a mean");
        assert!(
            (found - mean).abs() <= mean.abs().max(1.0) * 1e-4,
            "{found} {mean}"
        );
    }
    // A counter's total begins with the export.
    let totals = [
        "export",
        "--metric",
        "test_read_bytes_total",
        "--label",
        "disk=sd\"3",
        "--resolution",
        "hour",
    ];
    let (text, _) = history.ranged(&history.data(), &totals);
    let last = text
        .lines()
        .rfind(|line| !line.starts_with('#'))
        .expect("a total");
    let total: f64 = last
        .split(' ')
        .nth(1)
        .and_then(|value| value.parse().ok())
        .expect("a number");
    let grown = counter(history.to_ms - TICK_MS, 3) - counter(history.from_ms, 3);
    assert!((total - grown).abs() < 1e-6, "{total} {grown}");
}

#[tokio::test]
async fn a_backup_of_a_running_agent_is_restored_to_the_same_answers() {
    let history = History::make();
    let mut agent = Agent::inside(Arc::clone(&history.folder), "").await;
    let (before, _) = history.ranged(&history.data(), &QUERY);
    let file = history.folder.path().join("history.bak");
    let output = history.run(&history.data(), &["backup", "history.bak"]);
    assert_code(&output, 0);
    assert!(
        stdout(&output).contains("hours of samples"),
        "{}",
        stdout(&output)
    );
    let names: Vec<_> = fs::read_dir(history.folder.path())
        .expect("a folder")
        .flatten()
        .collect();
    assert!(
        !names
            .iter()
            .any(|entry| entry.file_name().to_string_lossy().contains("partial"))
    );
    // Not over an agent, not over data, not out of damage.
    let output = history.run(&history.data(), &["restore", "history.bak"]);
    assert_code(&output, 4);
    assert!(
        stderr(&output).contains("is not empty"),
        "{}",
        stderr(&output)
    );
    let other = history.folder.path().join("other");
    let mut bytes = fs::read(&file).expect("a backup");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(history.folder.path().join("damaged.bak"), &bytes).expect("a file");
    let output = history.run(&other, &["restore", "damaged.bak"]);
    assert_code(&output, 1);
    assert!(
        stderr(&output).contains("nothing was restored"),
        "{}",
        stderr(&output)
    );
    assert!(!other.join("core").exists() && !other.join("restoring").exists());

    // What an agent has copied of its plugins' libraries is no data, and is in no backup.
    fs::create_dir(other.join("plugins")).expect("a folder");
    let output = history.run(&other, &["restore", "history.bak"]);
    assert_code(&output, 0);
    let copies = fs::read_dir(other.join("plugins"))
        .expect("a folder")
        .count();
    assert_eq!(copies, 0);
    let (restored, _) = history.ranged(&other, &QUERY);
    assert_eq!(json(&restored)["series"], json(&before)["series"]);
    let output = history.run(&other, &["doctor"]);
    assert_code(&output, 0);
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());

    // An agent on the restored folder gives the same answers and goes on.
    let folder = Arc::new(tempfile::tempdir().expect("a temp folder"));
    fs::rename(&other, folder.path().join("data")).expect("moved");
    let agent = Agent::inside(Arc::clone(&folder), "").await;
    agent.sampled_after_now().await;
    let (online, _) = history.ranged(&folder.path().join("data"), &QUERY);
    assert_eq!(json(&online)["series"], json(&before)["series"]);
    assert!(!agent.log().contains("lost"), "{}", agent.log());
}

#[test]
fn a_folder_without_history_is_named() {
    let folder = tempfile::tempdir().expect("a temp folder");
    for arguments in [
        &["query", "x"][..],
        &["export"],
        &["backup", "file"],
        &["doctor"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_barograph"))
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("the agent's binary");
        assert_eq!(output.status.code(), Some(4), "{arguments:?}");
        assert!(
            stderr(&output).contains("barograph-data holds no history"),
            "{}",
            stderr(&output)
        );
        assert_eq!(
            fs::read_dir(folder.path()).expect("a folder").count(),
            0,
            "{arguments:?} left something"
        );
    }
    let output = Command::new(env!("CARGO_BIN_EXE_barograph"))
        .args(["query", "x", "--from", "yesterday"])
        .current_dir(folder.path())
        .output()
        .expect("the agent's binary");
    assert_code(&output, 2);
    assert!(
        stderr(&output).contains("2026-11-21T04:00:00Z"),
        "{}",
        stderr(&output)
    );
}
