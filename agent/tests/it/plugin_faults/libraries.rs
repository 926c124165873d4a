//! Libraries that are no plugins, or not such as this agent can run; and those in C that it can.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::trial::Watch;
use crate::agent::{Agent, until};
use crate::cli::{barograph, stderr, stdout};
use crate::compiler::{compile, compile_against, sdk};

/// Builds a source of the SDK's C examples.
fn example(folder: &TempDir, source: &str) -> PathBuf {
    let name = Path::new(source).file_stem().expect("a file");
    let library = folder.path().join(name).with_extension("so");
    compile(&sdk("examples/c").join(source), &[], &library);
    library
}

fn section(plugin: &str, library: &Path) -> String {
    format!(
        "[plugins.{plugin}]\npath = {:?}\n",
        library.display().to_string()
    )
}

/// Each is refused by name and reason, and started again later, because a library may be mended meanwhile.
#[tokio::test]
async fn libraries_that_are_not_what_they_say_are_refused_in_words() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let text = folder.path().join("text.so");
    std::fs::write(&text, "this is no library").expect("a file");
    let mut config = section("text", &text) + &section("absent", Path::new("/nowhere/x.so"));
    let cases = [
        ("text", "can't be loaded"),
        ("absent", "/nowhere/x.so"),
        ("wrong_magic", "its magic number is wrong"),
        ("newer_major", "was built for plugin ABI 2"),
        ("truncated_struct", "shorter than ABI 1.0"),
        ("unknown_required_feature", "feature"),
        ("null_functions", "null"),
    ];
    for (name, _) in &cases[2..] {
        config += &section(name, &example(&folder, &format!("faulty/{name}.c")));
    }
    let agent = Agent::with(&config).await;
    let system = Watch::on(&agent, "system").await;
    for (name, says) in cases {
        let info = agent
            .plugin_that(name, |plugin| {
                !plugin["error"].is_null() && plugin["phase"] != "starting"
            })
            .await;
        let error = info["error"].as_str().unwrap_or_default();
        assert!(error.contains(says), "{info:#}");
        assert_ne!(info["phase"], "running", "{info:#}");
        let component = agent.component(name).await.expect("the component");
        assert_eq!(component["up"], false, "{component}");
    }
    assert_eq!(agent.json("/healthz").await["status"], "degraded");
    system.end(&agent, "system").await;
}

/// The agent waits for it a moment, and says for whom.
#[tokio::test]
async fn one_that_hangs_over_its_configuration_is_named_and_runs() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let library = example(&folder, "faulty/slow_check.c");
    let agent = Agent::with(&section("wrong", &library)).await;
    let says = "not done with checking their configuration after 1 s: wrong; the agent goes on";
    until("its name in the log", || {
        agent.log().contains(says).then_some(())
    })
    .await;
    agent
        .component_that("wrong", |component| component["up"] == true)
        .await;
}

/// A plugin for a later minor version runs, and so does one whose manifest nobody can read: it is for authors.
#[tokio::test]
async fn libraries_that_are_only_odd_run() {
    for source in ["faulty/newer_minor.c", "faulty/describe_garbage.c"] {
        let folder = tempfile::tempdir().expect("a temp folder");
        let library = example(&folder, source);
        let agent = Agent::with(&section("wrong", &library)).await;
        let info = agent
            .plugin_that("wrong", |plugin| plugin["phase"] == "running")
            .await;
        assert_eq!(info["version"], "0.1.0", "{info:#}");
        agent
            .component_that("wrong", |component| component["up"] == true)
            .await;
    }
}

#[tokio::test]
async fn a_plugin_in_c_is_built_against_the_header_and_shown() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let library = example(&folder, "uptime.c");
    let agent = Agent::with(&section("uptime", &library)).await;
    agent
        .component_that("uptime", |component| component["up"] == true)
        .await;
    let value = agent.value("uptime_seconds").await;
    assert!(value.is_some_and(|value| value > 0.0), "{value:?}");
}

/// What was built for ABI 1.0 loads for ever: the kept source, with the header of that day, in today's agent.
#[tokio::test]
async fn the_plugin_of_abi_1_0_is_loaded_and_shown() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let (frozen, library) = (sdk("frozen/v1.0"), folder.path().join("sample.so"));
    compile_against(&frozen, &frozen.join("sample.c"), &[], &library);
    let agent = Agent::with(&section("frozen", &library)).await;
    let info = agent
        .plugin_that("frozen", |plugin| {
            plugin["eventsStored"].as_u64() >= Some(2)
        })
        .await;
    assert_eq!(
        (&info["version"], &info["error"]),
        (&"1.0.0".into(), &serde_json::Value::Null),
        "{info:#}"
    );
    let look_up = |name: &str| {
        let arguments = ["plugin", "lookup", "./sample.so", name, "mail"];
        barograph(folder.path(), &[], &arguments)
    };
    let answer = stdout(&look_up("depth"));
    assert_eq!(answer, "{\"mail\":true,\"depth\":1}\n");
    let refusal = look_up("width");
    assert_eq!(refusal.status.code(), Some(1), "{refusal:?}");
    assert!(stderr(&refusal).contains("no such question"));
    let metrics = agent.get("/metrics").await.body;
    for line in [
        "frozen_depth{",
        "frozen_ticks_total",
        "# TYPE frozen_wait_seconds histogram",
        "frozen_wait_seconds_bucket{le=\"+Inf\"}",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// What fails again and again is only probed, and says so; once it is mended, a reload starts it at once.
#[tokio::test]
async fn a_library_that_never_loads_opens_its_circuit_until_it_is_mended() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let good = example(&folder, "uptime.c");
    let library = folder.path().join("mended.so");
    std::fs::write(&library, "this is no library").expect("a file");
    let agent = Agent::with(&section("uptime", &library)).await;
    let info = agent
        .plugin_that("uptime", |plugin| plugin["phase"] == "open")
        .await;
    let error = info["error"].as_str().unwrap_or_default();
    assert!(error.contains("is only probed"), "{info:#}");
    assert!(
        info["nextStartAt"].as_i64() > info["since"].as_i64(),
        "{info:#}"
    );
    let component = agent.component("uptime").await.expect("the component");
    assert_eq!(component["error"], error, "{component}");
    assert!(agent.log().contains("its circuit is open"));

    std::fs::rename(good, &library).expect("the mended library");
    agent.signal("HUP");
    let info = agent
        .plugin_that("uptime", |plugin| plugin["phase"] == "running")
        .await;
    assert_eq!(info["nextStartAt"], serde_json::Value::Null, "{info:#}");
    agent
        .component_that("uptime", |component| component["up"] == true)
        .await;
}
