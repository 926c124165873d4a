//! `barograph plugin` as an author meets it: a plugin made, looked at, checked, tried, watched, measured and listed.
//!
//! The plugins are in C, which is built in a moment; `plugin_guide.rs` does the same to a crate.

mod leftovers;
mod looks;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::time::timeout;

use crate::agent::{Agent, PATIENCE, signal};
use crate::cli::{barograph, stderr, stdout};
use crate::compiler::{beside, compile};

/// An empty working directory.
fn folder() -> TempDir {
    tempfile::tempdir().expect("a temp folder")
}

/// Runs `barograph plugin`, which has to end with this code; gives what it wrote to stdout.
#[track_caller]
fn plugin(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = barograph(folder, &[], &[&["plugin"], arguments].concat());
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    stdout(&output)
}

#[track_caller]
fn plugin_json(folder: &Path, code: i32, arguments: &[&str]) -> Value {
    let text = plugin(folder, code, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).expect("one JSON object")
}

/// Makes a plugin in C and builds it, with every warning an error; gives its library.
fn new_in_c(folder: &Path, name: &str) -> PathBuf {
    plugin(folder, 0, &["new", name, "--lang", "c"]);
    let built = Command::new("make")
        .arg("CFLAGS=-Wall -Wextra -pedantic -Werror")
        .current_dir(folder.join(name))
        .output()
        .expect("make");
    assert!(built.status.success(), "{}", stderr(&built));
    folder
        .join(name)
        .join(format!("libbarograph_plugin_{name}.so"))
}

/// Builds the fixture, which `defined` bends.
fn shop(folder: &Path, defined: &[&str]) -> PathBuf {
    let library = folder.join("shop.so");
    compile(&beside("plugin_cli/shop.c"), defined, &library);
    library
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// The checks of an answer of `check --json` by their results.
fn results(answer: &Value) -> Vec<(&str, &str)> {
    let checks = answer["checks"].as_array().expect("checks");
    checks
        .iter()
        .map(|check| {
            let word = |key: &str| check[key].as_str().expect("a word");
            (word("check"), word("result"))
        })
        .collect()
}

#[tokio::test]
async fn a_new_plugin_in_c_runs_in_the_agent() {
    let folder = folder();
    let library = new_in_c(folder.path(), "probe");
    // Its own config.toml is enough to try it by name.
    let own = folder.path().join("probe");
    let said = plugin(&own, 0, &["run-once", "probe"]);
    assert!(said.contains("probe_load  window=\"15m\""), "{said}");
    plugin(&own, 0, &["check", "probe"]);

    let agent = Agent::with(&format!("[plugins.probe]\npath = {:?}\n", shown(&library))).await;
    agent
        .component_that("probe", |component| component["up"] == true)
        .await;
    let metrics = agent.get("/metrics").await.body;
    assert!(metrics.contains("probe_load{window=\"1m\"} "), "{metrics}");
}

#[test]
fn new_says_why_it_makes_nothing() {
    let folder = folder();
    fs::create_dir(folder.path().join("taken")).expect("a folder");
    for (arguments, expected) in [
        (
            &["new", "My-Plugin"][..],
            "lower-case letters, digits and _",
        ),
        (&["new", "taken"], "taken exists already"),
        (
            &["new", "x", "--sdk", "."],
            "is not the crate barograph-sdk",
        ),
        (&["new", "x", "--lang", "cobol"], "cobol"),
    ] {
        let output = barograph(folder.path(), &[], &[&["plugin"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = stderr(&output);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 1, "something was left");

    let said = plugin(folder.path(), 0, &["new", "x", "--folder", "deep/down"]);
    assert!(
        said.contains("cd deep/down\n") && said.contains("[plugins.x]"),
        "{said}"
    );
    assert!(folder.path().join("deep/down/src/lib.rs").is_file());
}

#[test]
fn inspect_tells_hash_and_permissions() {
    let folder = folder();
    let library = shop(folder.path(), &[]);
    let sum = Command::new("sha256sum").arg(&library).output();
    let sum = stdout(&sum.expect("sha256sum"));
    let answer = plugin_json(folder.path(), 0, &["inspect", "shop.so"]);
    let hash = answer["sha256"].as_str().expect("a hash");
    assert!(hash.len() == 64 && sum.starts_with(hash), "{answer}\n{sum}");
    for (mode, verdict) in [(0o755, "good"), (0o775, "warning"), (0o777, "refused")] {
        fs::set_permissions(&library, fs::Permissions::from_mode(mode)).expect("a mode");
        let answer = plugin_json(folder.path(), 0, &["inspect", "shop.so"]);
        assert_eq!(answer["permissions"]["verdict"], verdict, "{answer}");
        assert_eq!(answer["permissions"]["mode"], format!("{mode:04o}"));
    }
    let said = plugin(folder.path(), 0, &["inspect", "shop.so"]);
    assert!(said.contains("mode 0777, refused: "), "{said}");
}

#[test]
fn check_finds_nothing_in_a_good_plugin() {
    let folder = folder();
    shop(folder.path(), &[]);
    let answer = plugin_json(folder.path(), 0, &["check", "shop.so", "--set", "name=tea"]);
    assert_eq!(answer["ok"], true, "{answer}");
    let results = results(&answer);
    assert!(
        results.len() > 6 && results.iter().all(|(_, result)| *result == "ok"),
        "{answer}"
    );
    let said = plugin(folder.path(), 0, &["check", "./shop.so"]);
    assert!(said.starts_with("CHECK "), "{said}");
    assert!(
        said.contains("agrees with the note; needs nothing"),
        "{said}"
    );
    assert!(said.contains("keys name"), "{said}");
}

#[test]
fn check_names_what_is_wrong() {
    let folder = folder();
    let library = shop(folder.path(), &["-DWRONG"]);
    let failed = |arguments: &[&str], what: &str, why: &str| {
        let answer = plugin_json(folder.path(), 1, &[&["check"], arguments].concat());
        let all = answer["checks"].as_array().expect("checks");
        let failed: Vec<_> = all
            .iter()
            .filter(|check| check["result"] == "failed")
            .collect();
        assert!(
            failed.iter().any(|check| check["check"] == what),
            "{answer}"
        );
        let reason = failed[0]["reason"].as_str().expect("a reason");
        assert!(reason.contains(why), "{answer}");
    };
    failed(
        &["shop.so"],
        "manifest",
        "its version is \"9.9.9\", the note has \"0.1.0\"",
    );
    shop(folder.path(), &[]);
    failed(
        &["shop.so", "--set", "name=bad"],
        "config",
        "plugins.shop.name: a shop is not called so",
    );
    failed(
        &["shop.so", "--config-json", "{\"name\": \"bad\"}"],
        "config",
        "is not called so",
    );
    failed(&["absent"], "library", "libbarograph_plugin_absent.so");

    let pinned = format!(
        "[plugins.shop]\npath = 'shop.so'\nsha256 = '{}'\n",
        "0".repeat(64)
    );
    fs::write(folder.path().join("config.toml"), pinned).expect("a configuration");
    failed(&["shop"], "sha256", "sha256");
    // A library that is named by its path is that one, whatever the configuration wants.
    plugin(folder.path(), 0, &["check", "shop.so"]);

    fs::set_permissions(&library, fs::Permissions::from_mode(0o777)).expect("a mode");
    failed(&["shop.so"], "access", "shop.so");
    let said = plugin(folder.path(), 1, &["check", "shop.so"]);
    assert!(said.contains("not tried"), "{said}");
}

#[test]
fn check_gives_up_on_a_manifest_that_never_comes() {
    let folder = folder();
    shop(folder.path(), &["-DSLOW"]);
    let config = "[plugins.shop]\npath = 'shop.so'\nstart_timeout = '100ms'\n";
    fs::write(folder.path().join("config.toml"), config).expect("a configuration");
    let answer = plugin_json(folder.path(), 1, &["check", "shop"]);
    assert!(
        results(&answer).contains(&("manifest", "failed")),
        "{answer}"
    );
}

#[test]
fn run_once_shows_histograms_and_events() {
    let folder = folder();
    shop(folder.path(), &[]);
    let said = plugin(
        folder.path(),
        0,
        &["run-once", "./shop.so", "--ticks", "2", "--json"],
    );
    let ticks: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(ticks.len(), 2, "{said}");
    for (at, tick) in ticks.iter().enumerate() {
        let event = &tick["events"][0];
        assert_eq!(event["name"], "sold-out", "{tick}");
        assert_eq!(
            (&event["level"], &event["data"]["item"]),
            (&"warn".into(), &"tea".into())
        );
        assert_eq!(event["position"], (at + 1).to_string(), "{tick}");
        let samples = tick["samples"].as_array().expect("samples");
        let bucket = samples.iter().find(|sample| {
            sample["metric"] == "shop_wait_seconds_bucket" && sample["labels"]["le"] == "1"
        });
        assert_eq!(bucket.expect("a bucket")["value"], 4.0, "{tick}");
    }
    let said = plugin(folder.path(), 0, &["run-once", "./shop.so"]);
    assert!(said.contains("6 values, sum 2.5"), "{said}");
    assert!(
        said.contains("event: warn sold-out {\"item\":\"tea\"} 1"),
        "{said}"
    );
}

#[test]
fn a_crash_of_the_plugin_is_not_one_of_ours() {
    let folder = folder();
    shop(folder.path(), &["-DCRASH"]);
    // Where an agent would run it does not count here.
    let config = "[plugins.shop]\npath = 'shop.so'\nisolation = 'thread'\n";
    fs::write(folder.path().join("config.toml"), config).expect("a configuration");
    for arguments in [
        &["run-once", "shop"][..],
        &["bench", "shop", "--isolation", "process"],
    ] {
        let output = barograph(folder.path(), &[], &[&["plugin"], arguments].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.contains("plugin shop: was ended by signal 6"),
            "{said}"
        );
    }
    let answer = plugin_json(folder.path(), 0, &["check", "shop"]);
    assert_eq!(answer["ok"], true, "{answer}");
}

#[tokio::test]
async fn a_reader_that_has_enough_is_no_failure() {
    let folder = folder();
    shop(folder.path(), &[]);
    for arguments in [
        &["run-once", "./shop.so", "--ticks", "86400"][..],
        &["watch", "./shop.so"],
        &["list"],
        &["check", "./shop.so"],
    ] {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_barograph"))
            .arg("plugin")
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the agent's binary");
        drop(child.stdout.take());
        let status = timeout(PATIENCE, child.wait())
            .await
            .expect("an end in time");
        assert_eq!(status.expect("a status").code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn bench_measures_both_sides_of_the_boundary() {
    let folder = folder();
    shop(folder.path(), &[]);
    for isolation in ["process", "thread"] {
        let arguments = [
            "bench",
            "./shop.so",
            "--ticks",
            "40",
            "--isolation",
            isolation,
        ];
        let answer = plugin_json(folder.path(), 0, &arguments);
        assert_eq!(
            (&answer["ticks"], &answer["isolation"]),
            (&40.into(), &isolation.into())
        );
        // Three buckets, sum, count and the counter.
        assert_eq!(answer["samplesPerTick"]["mean"], 6.0, "{answer}");
        for time in ["collectMs", "insideMs", "boundaryMs"] {
            let [p50, max] = ["p50", "max"].map(|key| answer[time][key].as_f64().expect("a time"));
            assert!(0.0 <= p50 && p50 <= max, "{time}: {answer}");
        }
        assert!(
            answer["rssBytes"].as_u64().is_some_and(|bytes| bytes > 0),
            "{answer}"
        );
    }
    let said = plugin(folder.path(), 0, &["bench", "./shop.so", "--ticks", "10"]);
    assert!(
        said.starts_with("shop: 10 ticks, isolation process\n"),
        "{said}"
    );
    assert!(said.contains("the boundary "), "{said}");
}

#[test]
fn list_shows_what_is_configured_and_what_is_not() {
    let folder = folder();
    // Beside the binary is where plugins are looked for first.
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let agent = bin.join("barograph");
    if fs::hard_link(env!("CARGO_BIN_EXE_barograph"), &agent).is_err() {
        fs::copy(env!("CARGO_BIN_EXE_barograph"), &agent).expect("a copy of the agent");
    }
    let library = shop(folder.path(), &[]);
    fs::copy(&library, bin.join("libbarograph_plugin_shop.so")).expect("a copy");
    let config = "[plugins.system]\nenabled = false\n[plugins.gone]\n[plugins.text]\npath = 'config.toml'\n\
        [plugins.market]\npath = 'shop.so'\n[[plugins.market.instances]]\nname = 'north'\n";
    fs::write(folder.path().join("config.toml"), config).expect("a configuration");
    let list = |arguments: &[&str]| {
        let output = Command::new(&agent)
            .args(["plugin", "list"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("the agent's binary");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let answer: Value = serde_json::from_str(&list(&["--json"])).expect("JSON");
    let all = answer["plugins"].as_array().expect("plugins");
    let of = |name: &str| {
        let line = all.iter().find(|line| line["plugin"] == name);
        line.unwrap_or_else(|| panic!("{name} is not in {answer}"))
    };
    assert_eq!(of("system")["enabled"], false);
    for (name, state) in [
        ("system", "disabled"),
        ("gone", "library missing"),
        ("text", "library broken"),
        ("market", "enabled"),
        ("shop", "not configured"),
    ] {
        assert_eq!(of(name)["state"], state, "{answer}");
    }
    assert!(
        of("gone")["missing"]
            .as_str()
            .is_some_and(|why| why.contains("no library"))
    );
    let problem = of("text")["problem"].as_str();
    assert!(problem.is_some_and(|why| why.contains("is not a library")));
    let market = of("market");
    assert_eq!(
        (&market["instance"], &market["enabled"]),
        (&"north".into(), &true.into())
    );
    assert_eq!(
        (&market["version"], &market["abi"]),
        (&"0.1.0".into(), &"1.0".into())
    );
    let found = of("shop");
    assert_eq!(found["configured"], false, "{answer}");
    assert_eq!(
        found["library"],
        shown(&bin.join("libbarograph_plugin_shop.so"))
    );
    let said = list(&[]);
    assert!(
        said.starts_with("PLUGIN ")
            && ["not configured", "library missing", "library broken"]
                .iter()
                .all(|state| said.contains(state)),
        "{said}"
    );
    assert!(said.contains("missing: "), "{said}");
}

/// Reads lines until one holds these words.
async fn line_with(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>, words: &str) -> String {
    let mut before = String::new();
    let find = async {
        while let Some(line) = lines.next_line().await.expect("readable output") {
            if line.contains(words) {
                return Some(line);
            }
            before.push_str(&line);
            before.push('\n');
        }
        None
    };
    match timeout(PATIENCE, find).await {
        Ok(Some(line)) => line,
        _ => panic!("no line with {words:?} in:\n{before}"),
    }
}

#[tokio::test]
async fn watch_builds_and_shows_each_change() {
    let folder = folder();
    plugin(folder.path(), 0, &["new", "probe", "--lang", "c"]);
    let own = folder.path().join("probe");
    let source = own.join("probe.c");
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_barograph"))
        .args(["plugin", "watch", "probe"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the agent's binary");
    let mut ticks = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut words = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    line_with(&mut ticks, "probe_load  window=\"1m\"").await;

    let good = fs::read_to_string(&source).expect("a source");
    let edit = |text: &str| fs::write(&source, text).expect("an edit");
    edit(&good.replace("_load\"", "_edited\""));
    line_with(&mut ticks, "probe_edited  window=\"1m\"").await;

    edit("this is no C\n");
    line_with(&mut words, "error:").await;
    line_with(&mut words, "`make` failed").await;
    line_with(&mut words, "waiting for a change").await;
    edit(&good.replace("_load\"", "_mended\""));
    line_with(&mut ticks, "probe_mended  window=\"1m\"").await;

    // A plugin that ends by itself is shown too, and the next change starts it again.
    edit(&good.replace("(void)tick;", "(void)tick; abort();"));
    line_with(&mut words, "the plugin ended").await;
    edit(&good);
    line_with(&mut ticks, "probe_load  window=\"1m\"").await;

    signal(child.id().expect("it runs"), "INT");
    let status = timeout(PATIENCE, child.wait())
        .await
        .expect("an end in time");
    assert_eq!(status.expect("a status").code(), Some(0));
}
