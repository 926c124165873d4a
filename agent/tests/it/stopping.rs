//! The end of an agent, and its changes while it runs.

use serde_json::{Value, json};

use crate::agent::{Agent, alive, library};
use crate::client::Client;

#[tokio::test]
async fn a_stopping_agent_tells_its_clients_when_to_come_back_and_takes_its_plugins_along() {
    let mut agent = Agent::start().await;
    let host = agent.host("system").await;
    let (mut one, _) = Client::connect(&agent).await;
    let (mut other, _) = Client::connect(&agent).await;
    one.subscribe(json!({"channel": "metrics:system"})).await;
    one.event("system-metrics").await;
    agent.signal("TERM");
    for client in [&mut one, &mut other] {
        let (code, reason) = client.closed().await;
        assert_eq!(code, 1001);
        let reason: Value = serde_json::from_str(&reason).expect("JSON");
        assert!(reason["reconnectAfterMs"].is_u64(), "{reason}");
    }
    assert_eq!(agent.end().await, Some(0));
    assert!(!alive(host), "the plugin outlived its agent");
}

#[tokio::test]
async fn a_reload_stops_and_starts_collectors_and_series_keep_their_identity() {
    let agent = Agent::start().await;
    agent
        .component_that("system", |component| component["up"] == true)
        .await;
    let before = memory_series(&agent).await;
    let (mut client, _) = Client::connect(&agent).await;
    client.subscribe(json!({"channel": "basic-metrics"})).await;
    change(&agent, "[plugins.system]\nenabled = false\n");
    client
        .event_that(|event| {
            let components = event["data"]["components"].as_array();
            components.is_some_and(|all| all.iter().all(|one| one["name"] != "system"))
        })
        .await;
    assert!(agent.hosts("system").is_empty(), "its process still runs");
    change(&agent, "[plugins.system]\nper_cpu = false\n");
    agent
        .component_that("system", |component| component["up"] == true)
        .await;
    assert_eq!(memory_series(&agent).await, before);
    let metrics = agent.get("/metrics").await.body;
    assert!(
        !metrics.contains("system_cpu_utilization_ratio{cpu=\"0\"}"),
        "per_cpu = false was not taken over: {metrics}"
    );
}

#[tokio::test]
async fn a_reload_with_a_mistake_changes_nothing() {
    let agent = Agent::start().await;
    let host = agent.host("system").await;
    change(&agent, "[plugins.system]\nper_cpus = false\n");
    crate::agent::until("the complaint", || {
        agent
            .log()
            .contains("did you mean `per_cpu`?")
            .then_some(())
    })
    .await;
    assert_eq!(agent.host("system").await, host);
}

fn change(agent: &Agent, config: &str) {
    std::fs::write(agent.config_file(), config).expect("a written file");
    agent.signal("HUP");
}

async fn memory_series(agent: &Agent) -> Value {
    let catalog = agent.json("/api/catalog").await;
    let metrics = catalog["metrics"].as_array().expect("metrics").clone();
    let total = metrics
        .iter()
        .find(|metric| metric["name"] == "system_memory_total_bytes");
    total.expect("the metric")["series"][0]["id"].clone()
}

#[tokio::test]
async fn a_log_that_nobody_reads_costs_its_lines_and_nothing_else() {
    let chatty = library("chatty").display().to_string();
    let mut agent = Agent::unread(&format!("[plugins.chatty]\npath = {chatty:?}\n")).await;
    let (mut client, _) = Client::connect(&agent).await;
    client.subscribe(json!({"channel": "metrics:chatty"})).await;
    // A pipe holds 64 kB and a tick logs 80: it is full from the first one on.
    for _ in 0..4 {
        client.event("chatty-metrics").await;
        assert_eq!(agent.get("/healthz").await.status, 200);
    }
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0));
}

#[tokio::test]
async fn collects_that_hang_do_not_hold_up_the_stop() {
    let slow = library("slow").display().to_string();
    let mut config = format!(
        "[plugins.slow]\npath = {slow:?}\ninterval = \"60s\"\ntimeout = \"48s\"\ndelay_ms = 40000\n"
    );
    config += "[[plugins.slow.instances]]\nname = \"one\"\n";
    config += "[[plugins.slow.instances]]\nname = \"two\"\n";
    config += "[[plugins.slow.instances]]\nname = \"three\"\n";
    let mut agent = Agent::with(&config).await;
    let mut hosts = Vec::new();
    for name in ["one", "two", "three"] {
        hosts.push(agent.host(name).await);
    }
    agent.signal("TERM");
    // An agent that does not stop within its 10 s says so by its exit code.
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());
    assert!(
        hosts.iter().all(|host| !alive(*host)),
        "a plugin outlived its agent"
    );
}
