//! What a plugin says has happened is stored exactly once and in order: whoever is killed, however many events come
//! at once, and while the disk is full.
//!
//! The plugin is the fixture `eventful`, which counts up to the number in a file, an event a number. 4 kills of the
//! agent here, 100 in `cargo xtask soak events`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Duration, timeout};

use crate::agent::{Agent, PATIENCE, library, new_folder, on_tmpfs, signal};
use crate::client::Client;
use crate::store_faults::fill;

/// Events are acknowledged with each tick, so fast ones let a flood through sooner.
const BRISK: &str = "[tiers]\nfast = \"200ms\"\nmedium = \"1s\"\nslow = \"2s\"\n";
/// As many as the agent keeps of a collector.
const KEPT: u64 = 1_000;
/// Kills of the plugin: the pauses before its starts grow.
const KILLS: u64 = 3;
/// Kills of the agent.
const AGENT_KILLS: u64 = 4;
/// New instances in one test.
const RELOADS: u64 = 4;
/// Numbers that are counted between two kills.
const STRETCH: u64 = 200;
/// More than the host, the link and the agent hold together.
const FLOOD: u64 = 20_000;
/// Room for the store and the libraries' copies.
const TMPFS: &str = "96m";

/// The number to count to, which the fixture reads again and again.
struct Goal(PathBuf);

impl Goal {
    fn new(folder: &TempDir) -> Self {
        Self(folder.path().join("upto"))
    }

    fn set(&self, number: u64) {
        // Renamed, so that half a number is never read.
        let next = self.0.with_extension("next");
        fs::write(&next, number.to_string()).expect("a file");
        fs::rename(&next, &self.0).expect("it is ours");
    }

    fn config(&self) -> String {
        let path = library("eventful").display().to_string();
        let upto = self.0.display().to_string();
        format!("{BRISK}[plugins.eventful]\npath = {path:?}\nupto = {upto:?}\n")
    }
}

/// An event's number by the plugin, and by the agent.
fn numbers(event: &Value) -> (u64, u64) {
    assert_eq!(event["collector"], "eventful", "{event}");
    assert_eq!(event["name"], "counted", "{event}");
    assert_eq!(event["level"], "info", "{event}");
    assert!(event["at"].as_i64() > Some(1_600_000_000_000), "{event}");
    let number = event["data"]["number"].as_u64();
    number
        .zip(event["id"].as_u64())
        .unwrap_or_else(|| panic!("{event}"))
}

/// All events that are kept, the oldest first.
async fn stored(agent: &Agent) -> Vec<(u64, u64)> {
    let path = "/api/dashboard/plugins/events?collector=eventful&limit=1000";
    let answer = agent.get(path).await;
    if answer.status == 404 {
        return Vec::new();
    }
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
    let events = answer["events"].as_array().expect("events");
    events.iter().rev().map(numbers).collect()
}

/// Waits until the events up to a number, at least, are stored.
async fn stored_upto(agent: &Agent, number: u64) -> Vec<(u64, u64)> {
    let wait = async {
        loop {
            let stored = stored(agent).await;
            if stored.last().is_some_and(|last| last.0 >= number) {
                return stored;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("event {number} was not stored\n{}", agent.log()))
}

/// Each number up to the last one once and in order, as far back as they are kept.
fn kept_upto(last: u64) -> Vec<(u64, u64)> {
    each_once(last.saturating_sub(KEPT) + 1, last)
}

fn each_once(from: u64, to: u64) -> Vec<(u64, u64)> {
    (from..=to).map(|number| (number, number)).collect()
}

fn agent_kills() -> u64 {
    let set = std::env::var("EVENT_KILLS").ok();
    set.map_or(AGENT_KILLS, |text| text.parse().expect("a number"))
}

async fn subscribed(agent: &Agent) -> Client {
    let (mut client, _) = Client::connect(agent).await;
    let answer = client.ask(json!({"type": "subscribe-admin"})).await;
    assert_eq!(answer["type"], "ok", "{answer}");
    client
}

/// The next events of plugins that a client hears of.
async fn heard(client: &mut Client, count: u64) -> Vec<(u64, u64)> {
    let mut heard = Vec::new();
    for _ in 0..count {
        let event = client.event("plugin-event").await;
        assert_eq!(event["channel"], "admin");
        heard.push(numbers(&event["data"]));
    }
    heard
}

#[tokio::test]
async fn a_plugin_that_is_killed_goes_on_where_its_events_were_stored() {
    let folder = new_folder();
    let goal = Goal::new(&folder);
    let agent = Agent::inside(folder, &goal.config()).await;
    let mut client = subscribed(&agent).await;
    for kill in 0..KILLS {
        let done = kill * STRETCH;
        goal.set(done + STRETCH);
        stored_upto(&agent, done + 1).await;
        let host = agent.host("eventful").await;
        signal(host, "KILL");
        stored_upto(&agent, done + STRETCH).await;
    }
    let all = each_once(1, KILLS * STRETCH);
    assert_eq!(stored(&agent).await, all);
    assert_eq!(heard(&mut client, KILLS * STRETCH).await, all);
    let component = agent.component("eventful").await.expect("the component");
    assert!(component["restarts"].as_u64() >= Some(KILLS), "{component}");
}

#[tokio::test]
async fn an_agent_that_is_killed_goes_on_where_events_were_stored() {
    let folder = new_folder();
    let goal = Goal::new(&folder);
    let mut agent = Agent::inside(folder, &goal.config()).await;
    let mut done = 0;
    for kill in 0..agent_kills() {
        goal.set(done + STRETCH);
        // Sooner or later in each stretch, so that commits, answers and starts are hit.
        stored_upto(&agent, done + 1 + kill * 37 % STRETCH).await;
        agent = Agent::inside(agent.killed().await, &goal.config()).await;
        done += STRETCH;
        assert_eq!(stored_upto(&agent, done).await, kept_upto(done));
    }
    let mut client = subscribed(&agent).await;
    goal.set(done + 1);
    let next = heard(&mut client, 1).await;
    assert_eq!(next, [(done + 1, done + 1)], "none is told again");
}

#[tokio::test]
async fn a_new_instance_takes_over_after_the_last_event_of_the_old_one() {
    exchanged(|reload| format!("padding = {reload}\n")).await;
}

/// As one that is tried in a process of its own before: what it emits there does not count.
#[tokio::test]
async fn another_collector_takes_over_after_the_last_event_of_the_old_one() {
    let isolations = ["process", "thread"];
    exchanged(|reload| {
        format!(
            "isolation = {:?}\n",
            isolations[usize::from(reload % 2 == 1)]
        )
    })
    .await;
}

/// Exchanges the plugin by these keys again and again while it counts.
async fn exchanged(keys: impl Fn(u64) -> String) {
    let folder = new_folder();
    let goal = Goal::new(&folder);
    let agent = Agent::inside(folder, &goal.config()).await;
    let mut client = subscribed(&agent).await;
    let (mut last, mut switched) = (None, 0);
    for reload in 1..=RELOADS {
        // The old one is in the middle of it, and the new one begins where the old one was at that time.
        goal.set(reload * FLOOD / RELOADS);
        agent.reload(&(goal.config() + &keys(reload)));
        let plugin = agent
            .plugin_that("eventful", |plugin| plugin["reload"]["at"].as_i64() > last)
            .await;
        last = plugin["reload"]["at"].as_i64();
        switched += u64::from(plugin["reload"]["outcome"] == "switched");
    }
    // A machine that is very busy may have a change refused, for want of an answer in time.
    assert!(switched > 0, "{}", agent.log());
    assert_eq!(heard(&mut client, FLOOD).await, each_once(1, FLOOD));
    assert_eq!(stored_upto(&agent, FLOOD).await, kept_upto(FLOOD));
}

#[tokio::test]
async fn of_a_flood_every_event_is_stored_and_told_in_order() {
    let folder = new_folder();
    let goal = Goal::new(&folder);
    let agent = Agent::inside(folder, &goal.config()).await;
    let mut client = subscribed(&agent).await;
    goal.set(FLOOD);
    assert_eq!(heard(&mut client, FLOOD).await, each_once(1, FLOOD));
    let kept = stored_upto(&agent, FLOOD).await;
    assert_eq!(kept, kept_upto(FLOOD));
    agent.sampled_after_now().await;
    let full = agent.value("eventful_full ").await.expect("a number");
    assert!(full > 0.0, "the plugin was never told to wait");
    let system = agent.component("system").await.expect("the component");
    assert_eq!(system["restarts"], 0, "{system}");
}

/// The disk is a tmpfs of the agent's own mount namespace, filled up from outside to the last byte.
#[tokio::test]
async fn while_the_disk_is_full_events_wait_and_none_is_lost() {
    let folder = new_folder();
    let goal = Goal::new(&folder);
    let data = folder.path().join("data");
    let program = on_tmpfs(&data, TMPFS);
    let agent = Agent::through(folder, &goal.config(), &program).await;
    goal.set(10);
    stored_upto(&agent, 10).await;
    let filler = agent.inner(&data).join("filler");
    fill(&filler);
    // Many, because what is written before has some room of its own.
    goal.set(FLOOD);
    let is_down = |component: &Value| component["up"] == false;
    let down = agent.component_that("plugin-events", is_down).await;
    let error = down["error"].as_str().unwrap_or_default();
    assert!(error.contains("events of plugins wait"), "{error}");
    assert_eq!(agent.json("/healthz").await["status"], "degraded");
    fs::remove_file(&filler).expect("it is ours");
    let kept = stored_upto(&agent, FLOOD).await;
    assert_eq!(kept, kept_upto(FLOOD));
    assert_eq!(agent.component("plugin-events").await, None);
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_named() {
    let agent = Agent::start().await;
    let at = |query: &str| format!("/api/dashboard/plugins{query}");
    for (query, status, field) in [
        ("?name=system", 400, "name"),
        ("/events?limit=0", 400, "limit"),
        ("/events?limit=1001", 400, "limit"),
        ("/events?collector=A", 400, "collector"),
        ("/events?since=1", 400, "since"),
        ("/events?collector=nobody", 404, "collector"),
    ] {
        let answer = agent.get(&at(query)).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["error"]["field"], field, "{query}");
    }
    for query in ["/events", "/events?collector=system&limit=5"] {
        let answer = agent.json(&at(query)).await;
        assert_eq!(answer["events"], json!([]), "{query}");
    }
}
