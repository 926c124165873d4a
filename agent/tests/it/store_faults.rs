//! The fault table of the store, each row with the real fault and a real agent: a full disk, damaged files, a
//! second agent, a newer schema. (Kills stand in `store_kill`, clock steps in the engine's own tests.)

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barograph::catalog::{Kind, Unit};
use barograph::clock::Tier;
use barograph::store::engine::Engine;
use barograph::store::registry::StoredSeries;
use barograph::store::{Config, HOUR_MS};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::agent::{Agent, new_folder, on_tmpfs, until};

/// Hours of history that the damaged folders hold: more than one generation.
const HOURS: i64 = 9;
/// Series in them.
const SERIES: u32 = 40;
/// Bytes of the small file system.
const TMPFS: &str = "24m";

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_millis()).expect("a time")
}

/// A folder whose `data` holds [`HOURS`] of history up to the present, with a sample every ten seconds.
fn with_history() -> Arc<TempDir> {
    let folder = new_folder();
    let end_ms = now_ms() / 10_000 * 10_000;
    let mut at_ms = end_ms - HOURS * HOUR_MS;
    let data = folder.path().join("data");
    let engine = Engine::open(&data, Config::default(), at_ms).expect("it opens");
    let ids: Vec<u32> = (0..SERIES)
        .map(|at| engine.registry.resolve(series(at)).expect("there is room"))
        .collect();
    while at_ms < end_ms {
        let samples: Vec<_> = ids.iter().map(|&id| (id, value(id, at_ms))).collect();
        engine.push(0, at_ms, &samples);
        // Each upkeep syncs; as many as there are seconds would test the disk's patience.
        if at_ms % 60_000 == 0 {
            engine.maintain(at_ms).expect("the disk has room");
        }
        at_ms += 10_000;
    }
    engine.stop().expect("the disk has room");
    folder
}

fn series(at: u32) -> StoredSeries {
    StoredSeries {
        id: 0,
        metric: "past".to_owned(),
        kind: Kind::Gauge,
        unit: Unit::Count,
        tier: Tier::Medium,
        topic: "past".to_owned(),
        collector: "past".to_owned(),
        labels: [("at".to_owned(), at.to_string())].into_iter().collect(),
        last_day: 0,
    }
}

/// Noisy, so that the files are of some size.
fn value(series: u32, at_ms: i64) -> f64 {
    let seed = u64::from(series) << 32 ^ at_ms.cast_unsigned();
    (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64
}

/// Points that the API gives for the past of the damaged folders: hours that are there.
async fn hours_there(agent: &Agent) -> usize {
    let (to, step) = (now_ms() / HOUR_MS * HOUR_MS, HOUR_MS);
    let from = to - HOURS * HOUR_MS;
    let points = (to - from) / step;
    let path = format!(
        "/api/dashboard/metrics/history?metric=past&label=at:7&from={from}&to={to}&points={points}&resolution=raw"
    );
    let answer = agent.json(&path).await;
    let rows = answer["series"].as_array().expect("series");
    let values = rows
        .first()
        .map(|row| row["avg"].as_array().expect("an envelope").clone());
    values
        .unwrap_or_default()
        .iter()
        .filter(|value| !value.is_null())
        .count()
}

/// Every file below a folder that has some content, by the kind of thing that it belongs to.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() > 0) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Truncate,
    Flip,
    Delete,
}

fn damage(file: &Path, how: Damage) {
    let mut bytes = fs::read(file).expect("a file");
    match how {
        Damage::Truncate => bytes.truncate(bytes.len() / 2),
        Damage::Flip => {
            // Sparse parts of a file hold nothing: the flips go where content is.
            let used: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
            for part in 1..8 {
                bytes[used[used.len() * part / 8]] ^= 0x10;
            }
        }
        Damage::Delete => return fs::remove_file(file).expect("it is ours"),
    }
    fs::write(file, bytes).expect("it is ours");
}

/// Copies a folder; the socket that a killed agent leaves is nothing to copy.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            fs::copy(&path, &target).expect("room");
        }
    }
}

/// The matrix: each file of a folder is cut in half, changed in seven places, or deleted. The agent starts each
/// time, goes on writing, and where an hour is missing says so.
#[tokio::test]
async fn the_agent_starts_on_any_damaged_file_says_what_was_lost_and_goes_on() {
    let whole = with_history();
    let agent = Agent::inside(Arc::clone(&whole), "").await;
    let hours = hours_there(&agent).await;
    assert!(
        hours >= usize::try_from(HOURS).expect("few") - 1,
        "{hours} hours"
    );
    let whole = agent.killed().await;
    let data = whole.path().join("data");
    for file in files(&data) {
        let name = file.strip_prefix(&data).expect("below it");
        if name == Path::new("schema") {
            continue;
        }
        for how in [Damage::Truncate, Damage::Flip, Damage::Delete] {
            let folder = new_folder();
            copy(&data, &folder.path().join("data"));
            damage(&folder.path().join("data").join(name), how);
            let agent = Agent::inside(folder, "").await;
            let left = hours_there(&agent).await;
            if left != hours {
                // It is said by the task that looks after the store, which may come after the answer.
                let what = format!(
                    "a word on {} {how:?}: {left} of {hours} hours",
                    name.display()
                );
                let words = ["lost", "repaired", "damaged"];
                let is_said = || words.iter().any(|word| agent.log().contains(word));
                until(&what, || is_said().then_some(())).await;
            }
            writes(&agent).await;
        }
    }
}

/// Waits until the agent's newest sample is in its history.
async fn writes(agent: &Agent) {
    let from = now_ms();
    let path = format!(
        "/api/dashboard/metrics/history?metric=system_load1&from={}&points=60&agg=last",
        from - 60_000
    );
    for _ in 0..300 {
        let answer = agent.json(&path).await;
        if newest(&answer).is_some_and(|at| at >= from - 1_000) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing new in the history\n{}", agent.log());
}

/// Start of the last point that has a value.
fn newest(answer: &Value) -> Option<i64> {
    let values = answer["series"][0]["values"].as_array()?;
    let at = i64::try_from(values.iter().rposition(|value| !value.is_null())?).ok()?;
    Some(answer["from"].as_i64()? + at * answer["step"].as_i64()?)
}

#[tokio::test]
async fn a_second_agent_on_the_same_folder_is_refused_and_told_whose_it_is() {
    let agent = Agent::start().await;
    let second = Command::new(env!("CARGO_BIN_EXE_barograph"))
        .arg("run")
        .env("BAROGRAPH_LISTEN", "127.0.0.1:0")
        .env("BAROGRAPH_DATA_DIR", agent.data())
        .current_dir(agent.folder().path().join("data"))
        .output()
        .await
        .expect("the agent's binary");
    assert_eq!(second.status.code(), Some(4));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("process {}", agent.pid())), "{said}");
    writes(&agent).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = with_history();
    let schema = folder.path().join("data/schema");
    fs::write(&schema, "barograph 99\n").expect("it is ours");
    let before = files(&folder.path().join("data"));
    let refused = Command::new(env!("CARGO_BIN_EXE_barograph"))
        .arg("run")
        .env("BAROGRAPH_LISTEN", "127.0.0.1:0")
        .env("BAROGRAPH_DATA_DIR", folder.path().join("data"))
        .current_dir(folder.path())
        .output()
        .await
        .expect("the agent's binary");
    assert_eq!(refused.status.code(), Some(4));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("schema 99") && said.contains("data_dir"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(schema).expect("it is there"),
        "barograph 99\n"
    );
    assert_eq!(files(&folder.path().join("data")), before);
}

/// The disk is a tmpfs of the agent's own mount namespace, filled up from outside to the last byte.
#[tokio::test]
async fn a_full_disk_pauses_history_alone_and_it_resumes_by_itself() {
    let folder = new_folder();
    let data = folder.path().join("data");
    let program = on_tmpfs(&data, TMPFS);
    let agent = Agent::through(folder, "", &program).await;
    writes(&agent).await;
    let filler = agent.inner(&data).join("filler");
    let full = fill(&filler);
    assert!(full > 1 << 20, "{full} bytes of filler");
    let down = agent
        .component_that("store", |store| store["up"] == false)
        .await;
    let error = down["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("space") || error.contains("full"), "{error}");
    for _ in 0..3 {
        agent.sampled_after_now().await;
    }
    let paused_ms = now_ms();
    fs::remove_file(&filler).expect("it is ours");
    agent
        .component_that("store", |store| store["up"] == true)
        .await;
    writes(&agent).await;
    // What was sampled while the disk was full waited in memory, and is written now.
    let path = format!(
        "/api/dashboard/metrics/history?metric=system_load1&from={}&to={paused_ms}&points=5&agg=last",
        paused_ms - 3_000
    );
    let answer = agent.json(&path).await;
    assert!(newest(&answer).is_some(), "{answer}");
    until("the log's word", || {
        agent.log().contains("space").then_some(())
    })
    .await;
}

/// Writes until there is no room for a byte more, and gives the number written.
pub(crate) fn fill(file: &Path) -> u64 {
    use std::io::Write as _;
    let mut out = fs::File::create(file).expect("a file");
    let mut written = 0;
    for size in [1 << 16, 1 << 10, 1] {
        let bytes = vec![0x55; size];
        while let Ok(count) = out.write(&bytes) {
            written += count as u64;
        }
    }
    written
}
