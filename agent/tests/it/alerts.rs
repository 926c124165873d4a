//! Alerts from a real metric to the API and `/ws`: a CPU hog raises one and its end resolves it, also over a
//! kill -9 of the agent, and the rules that come with the agent.
//!
//! The hogs run at nice 1, and the rule watches the share of CPU time of such programs: what else keeps this
//! machine busy runs at nice 0 and changes nothing. It is one test, because two would see each other's hogs.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::agent::{Agent, PATIENCE};
use crate::client::Client;

const RULE: &str = r#"
[[alerts.rules]]
name = "hog"
metric = "system_cpu_mode_ratio"
labels = { mode = "nice" }
warning = 0.04
clear = 0.02
for = "2s"
message = "{value} of the CPU goes to nice programs, more than {threshold}"
"#;

/// Burns CPU time until it is dropped.
struct Hog(Child);

impl Hog {
    fn start() -> Self {
        let mut command = Command::new("nice");
        command.args(["-n", "1", "sh", "-c", "while :; do :; done"]);
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.expect("nice and sh"))
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The next event about the rule, with the state that it tells.
async fn told(client: &mut Client) -> (String, Value) {
    let event = client
        .event_that(|event| event["channel"] == "admin" && event["data"]["rule"] == "hog")
        .await;
    let state = event["data"]["state"].as_str().expect("a state");
    assert_eq!(
        event["event"] == "dashboard-alert-resolved",
        state == "resolved",
        "{event}"
    );
    (state.to_owned(), event["data"].clone())
}

/// The next event with this state; a busy machine may let the hogs starve for a tick, so that the alert is
/// pending more than once.
async fn told_that(client: &mut Client, wanted: &str) -> Value {
    loop {
        let (state, alert) = told(client).await;
        let is_between = state == "pending" || state == "resolved" && alert["firedAt"].is_null();
        if state == wanted && (wanted == "pending" || !alert["firedAt"].is_null()) {
            return alert;
        }
        assert!(is_between, "{state} before {wanted}: {alert}");
    }
}

/// The rule's alert, as the API shows it.
async fn shown(agent: &Agent, query: &str) -> Option<Value> {
    let answer = agent.json(&format!("/api/dashboard/alerts{query}")).await;
    let alerts = answer["alerts"].as_array().expect("alerts");
    alerts.iter().find(|alert| alert["rule"] == "hog").cloned()
}

async fn subscribed(agent: &Agent) -> Client {
    let (mut client, _) = Client::connect(agent).await;
    let answer = client.ask(json!({"type": "subscribe-admin"})).await;
    assert_eq!(answer["type"], "ok", "{answer}");
    client
}

#[tokio::test]
async fn a_cpu_hog_raises_an_alert_that_outlives_a_kill_and_ends_with_the_hog() {
    let agent = Agent::with(RULE).await;
    let mut client = subscribed(&agent).await;
    let hogs = [Hog::start(), Hog::start()];
    let pending = told_that(&mut client, "pending").await;
    assert_eq!(pending["firedAt"], Value::Null);
    let firing = told_that(&mut client, "firing").await;
    assert_eq!(firing["id"], pending["id"]);
    assert_eq!(firing["severity"], "warning");
    assert_eq!(firing["labels"], json!({"mode": "nice"}));
    let held_ms = firing["firedAt"].as_i64().zip(firing["since"].as_i64());
    assert!(
        held_ms.is_some_and(|(fired, since)| fired - since >= 2_000),
        "{firing}"
    );
    let found = shown(&agent, "?state=firing").await.expect("it is firing");
    assert_eq!(found["id"], firing["id"]);
    assert!(shown(&agent, "?state=pending").await.is_none());
    drop(hogs);
    let resolved = told_that(&mut client, "resolved").await;
    assert_eq!(resolved["id"], firing["id"]);
    assert!(
        resolved["resolvedAt"].as_i64() > resolved["firedAt"].as_i64(),
        "{resolved}"
    );
    let found = shown(&agent, "?state=resolved").await;
    assert_eq!(
        found.expect("it is over")["resolvedAt"],
        resolved["resolvedAt"]
    );

    let hogs = [Hog::start(), Hog::start()];
    let firing = told_that(&mut client, "firing").await;
    assert_eq!(firing["id"], resolved["id"]);
    let folder = agent.killed().await;

    let agent = Agent::inside(folder, RULE).await;
    let found = shown(&agent, "?state=firing").await.expect("at once");
    assert_eq!(found["id"], firing["id"]);
    assert_eq!(found["firedAt"], firing["firedAt"]);
    let mut client = subscribed(&agent).await;
    agent.sampled_after_now().await;
    agent.sampled_after_now().await;
    let found = shown(&agent, "").await.expect("still there");
    assert_eq!(
        (&found["id"], &found["firedAt"]),
        (&firing["id"], &firing["firedAt"])
    );
    drop(hogs);
    // Whatever was told in between would come before it.
    let (state, resolved) = told(&mut client).await;
    assert_eq!(
        (state.as_str(), &resolved["id"]),
        ("resolved", &firing["id"])
    );
    assert_eq!(resolved["firedAt"], firing["firedAt"]);
}

#[tokio::test]
async fn the_rules_that_come_with_the_agent_watch_or_say_what_they_wait_for() {
    let agent = Agent::start().await;
    agent.sampled_after_now().await;
    let answer = agent.json("/api/dashboard/alerts").await;
    let rules = answer["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), 5, "{rules:?}");
    for rule in rules {
        assert_eq!(rule["builtin"], true);
        let is_waiting = rule["waitingFor"].is_string();
        assert_eq!(is_waiting, rule["name"] != "memory", "{rule}");
    }
    let bad = agent.get("/api/dashboard/alerts?state=loud").await;
    assert_eq!(bad.status, 400, "{}", bad.body);
}

#[tokio::test]
async fn a_reload_changes_rules_and_keeps_states() {
    let above = |threshold: &str| {
        format!(
            "[[alerts.rules]]\nname = 'hog'\nmetric = 'system_memory_utilization_ratio'\n\
             warning = {threshold}\n"
        )
    };
    let agent = Agent::with(&above("0.0")).await;
    agent.sampled_after_now().await;
    let firing = until_shown(&agent, "?state=firing").await;
    let mut client = subscribed(&agent).await;
    std::fs::write(agent.config_file(), above("0.000001")).expect("a written file");
    agent.signal("HUP");
    let reloaded = async {
        loop {
            let found = shown(&agent, "?state=firing")
                .await
                .expect("it stays firing");
            assert_eq!(found["firedAt"], firing["firedAt"]);
            let answer = agent.json("/api/dashboard/alerts").await;
            let mut rules = answer["rules"].as_array().expect("rules").iter();
            if rules.any(|rule| rule["name"] == "hog" && rule["warning"] == 0.000_001) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, reloaded).await.expect("a reload in time");
    std::fs::write(agent.config_file(), "").expect("a written file");
    agent.signal("HUP");
    let (state, alert) = told(&mut client).await;
    assert_eq!(
        (state.as_str(), &alert["id"]),
        ("resolved", &firing["id"]),
        "its rule is gone"
    );
}

async fn until_shown(agent: &Agent, query: &str) -> Value {
    let wait = async {
        loop {
            if let Some(alert) = shown(agent, query).await {
                return alert;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("an alert in time")
}
