//! A plugin that dies, hangs or never was one costs its own samples and nothing else.

use serde_json::{Value, json};

use crate::agent::{Agent, alive, library, signal, until};
use crate::client::Client;
use crate::streaming::assert_on_grid;

async fn watch(agent: &Agent) -> Client {
    let (mut client, _) = Client::connect(agent).await;
    client.subscribe(json!({"channel": "metrics:system"})).await;
    client.event_that(|event| up(event) == Some(true)).await;
    client
}

fn up(event: &Value) -> Option<bool> {
    (event["event"] == "system-metrics")
        .then(|| event["data"]["up"].as_bool())
        .flatten()
}

#[tokio::test]
async fn killed_its_series_go_stale_at_once_and_it_recovers() {
    let agent = Agent::start().await;
    let mut client = watch(&agent).await;
    let before = agent.host("system").await;
    signal(before, "KILL");
    let down = client.event_that(|event| up(event) == Some(false)).await;
    let memory = &down["data"]["metrics"]["system_memory_total_bytes"][0];
    assert_eq!(memory["value"], Value::Null, "stale: {memory}");
    let again = client.event_that(|event| up(event) == Some(true)).await;
    let memory = &again["data"]["metrics"]["system_memory_total_bytes"][0];
    assert!(
        memory["value"].as_f64().is_some_and(|bytes| bytes > 0.0),
        "{memory}"
    );
    assert_ne!(agent.host("system").await, before);
    let component = agent.component("system").await.expect("the component");
    assert_eq!(
        (&component["up"], &component["restarts"]),
        (&json!(true), &json!(1))
    );
    let metrics = agent.get("/metrics").await.body;
    assert!(
        metrics.contains("system_up{instance=\"system\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn stopped_it_is_given_up_at_its_deadline_and_replaced() {
    let agent = Agent::start().await;
    let mut client = watch(&agent).await;
    let before = agent.host("system").await;
    signal(before, "STOP");
    client.event_that(|event| up(event) == Some(false)).await;
    client.event_that(|event| up(event) == Some(true)).await;
    until("the stopped process to end", || {
        (!alive(before)).then_some(())
    })
    .await;
    let component = agent.component("system").await.expect("the component");
    assert_eq!(
        (&component["up"], &component["restarts"]),
        (&json!(true), &json!(1))
    );
    assert!(
        agent.log().contains("did not answer within 800 ms"),
        "{}",
        agent.log()
    );
}

#[tokio::test]
async fn one_that_exits_at_once_is_named_and_harms_no_other() {
    let faulty = library("faulty_exit");
    let config = format!(
        "[plugins.faulty_exit]\npath = {:?}\n",
        faulty.display().to_string()
    );
    let agent = Agent::with(&config).await;
    let mut client = watch(&agent).await;
    let down = agent
        .component_that("faulty_exit", |c| {
            c["up"] == false && c["restarts"].as_u64() >= Some(2)
        })
        .await;
    let error = down["error"].as_str().expect("a reason");
    assert!(error.contains("exited with code"), "{error}");
    let mut times = Vec::new();
    for _ in 0..4 {
        let event = client.event("system-metrics").await;
        assert_eq!(up(&event), Some(true));
        times.push(event["at"].as_i64().expect("a time"));
    }
    assert_on_grid(&times, 1_000);
    assert_eq!(
        agent.component("system").await.expect("the component")["restarts"],
        0
    );
}

#[tokio::test]
async fn a_library_that_is_no_plugin_is_a_clear_error() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let text = folder.path().join("text.so");
    std::fs::write(&text, "this is no library").expect("a file");
    let config = format!(
        "[plugins.text]\npath = {:?}\n[plugins.absent]\npath = \"/nowhere/x.so\"\n",
        text.display().to_string()
    );
    let agent = Agent::with(&config).await;
    watch(&agent).await;
    let text = agent
        .component_that("text", |component| !component["error"].is_null())
        .await;
    assert_eq!(text["up"], false);
    assert!(
        text["error"]
            .as_str()
            .is_some_and(|e| e.contains("text.so can't be loaded")),
        "{text}"
    );
    let absent = agent.component("absent").await.expect("the component");
    assert!(
        absent["error"]
            .as_str()
            .is_some_and(|e| e.contains("/nowhere/x.so")),
        "{absent}"
    );
    assert_eq!(agent.json("/healthz").await["status"], "degraded");
}

#[tokio::test]
async fn a_plugin_in_c_is_built_against_the_header_and_shown() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let sdk = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/plugin");
    let object = folder.path().join("libuptime.so");
    let built = std::process::Command::new("cc")
        .args([
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-shared",
            "-fPIC",
            "-I",
        ])
        .arg(sdk.join("include"))
        .arg(sdk.join("examples/c/uptime.c"))
        .arg("-o")
        .arg(&object)
        .status();
    assert!(built.expect("a C compiler").success());
    let config = format!(
        "[plugins.uptime]\npath = {:?}\n",
        object.display().to_string()
    );
    let agent = Agent::with(&config).await;
    agent
        .component_that("uptime", |component| component["up"] == true)
        .await;
    let metrics = agent.get("/metrics").await.body;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("uptime_") && !line.contains("collect"));
    let value: f64 = line
        .and_then(|l| l.rsplit(' ').next())
        .and_then(|v| v.parse().ok())
        .expect("a value");
    assert!(value > 0.0, "{metrics}");
}

#[tokio::test]
async fn plugins_end_with_an_agent_that_is_killed() {
    let agent = Agent::start().await;
    let host = agent.host("system").await;
    assert!(alive(host));
    agent.signal("KILL");
    until("the plugin's process to end", || {
        (!alive(host)).then_some(())
    })
    .await;
}
