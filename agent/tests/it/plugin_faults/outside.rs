//! What comes from outside: signals to a plugin's process, and the end of its agent.

use serde_json::{Value, json};

use crate::agent::{Agent, alive, signal, until};
use crate::client::Client;

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
    says_of_itself(&agent).await;
}

/// The agent's own metrics about a plugin that was killed once and runs again.
async fn says_of_itself(agent: &Agent) {
    let own = |metric: &str, more: &str| {
        format!("barograph_plugin_{metric}{{plugin=\"system\",instance=\"system\"{more}}} ")
    };
    for (metric, value) in [
        ("up", 1.0),
        ("deadline_missed_total", 0.0),
        ("ticks_missed_total", 0.0),
        ("refused_total", 0.0),
        ("circuit_open", 0.0),
    ] {
        agent
            .value_that(&own(metric, ""), |is| is == Some(value))
            .await;
    }
    for metric in ["collect_seconds", "rss_bytes", "series"] {
        agent
            .value_that(&own(metric, ""), |is| is > Some(0.0))
            .await;
    }
    for (reason, count) in [
        ("deadline", 0.0),
        ("exited", 0.0),
        ("failed", 0.0),
        ("killed", 1.0),
        ("memory", 0.0),
        ("protocol", 0.0),
        ("start", 0.0),
    ] {
        let restarts = own("restarts_total", &format!(",reason=\"{reason}\""));
        agent.value_that(&restarts, |is| is == Some(count)).await;
    }
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
