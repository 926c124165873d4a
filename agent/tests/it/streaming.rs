//! What a client of `/ws` gets: tiers, shapes, matches, and the end of a subscription.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::client::Client;

/// Five times faster than life, so that a test sees all three tiers in a few seconds.
const BRISK: &str = "[tiers]\nfast = \"200ms\"\nmedium = \"1s\"\nslow = \"2s\"\n";

fn at(event: &Value) -> i64 {
    event["at"].as_i64().expect("a time")
}

fn of_tier(event: &Value, tier: &str) -> bool {
    event["event"] == "system-metrics"
        && event["data"]["tier"] == tier
        && event["data"]["snapshot"].is_null()
}

#[tokio::test]
async fn initial_data_comes_first_and_is_complete() {
    let agent = Agent::start().await;
    let (_client, first) = Client::connect(&agent).await;
    assert_eq!(first["event"], "initialData");
    let data = &first["data"];
    assert_eq!(data["server"], "barograph");
    assert_eq!(data["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(data["agentId"].as_str().map(str::len), Some(16));
    assert_eq!(data["you"]["role"], "admin");
    assert_eq!(
        data["tiers"],
        json!({"fast": 1000, "medium": 5000, "slow": 30000})
    );
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(data["host"]["hostname"], hostname.trim());
    let topics = data["topics"].as_array().unwrap();
    assert!(
        topics
            .iter()
            .any(|topic| topic["channel"] == "metrics:system"),
        "{topics:?}"
    );
}

#[tokio::test]
async fn real_seconds_the_fast_tier_comes_on_every_whole_second() {
    let agent = Agent::start().await;
    let (mut client, _) = Client::connect(&agent).await;
    client.subscribe(json!({"channel": "metrics:system"})).await;
    client.subscribe(json!({"channel": "basic-metrics"})).await;
    let mut system = Vec::new();
    let mut basic = Vec::new();
    while system.len() < 4 || basic.len() < 4 {
        let event = client.event_that(|_| true).await;
        match event["event"].as_str() {
            Some("system-metrics") if of_tier(&event, "fast") => system.push(at(&event)),
            Some("basic-metrics") => basic.push(at(&event)),
            _ => {}
        }
    }
    assert_on_grid(&system[1..], 1_000);
    assert_on_grid(&basic[1..], 1_000);
}

#[tokio::test]
async fn two_tiers_at_once_and_unsubscribe_stops_one() {
    let agent = Agent::with(BRISK).await;
    let (mut client, _) = Client::connect(&agent).await;
    client
        .subscribe(json!({"channel": "metrics:system", "tier": "medium"}))
        .await;
    client
        .subscribe(json!({"channel": "metrics:system", "tier": "slow"}))
        .await;
    let (mut medium, mut slow) = (Vec::new(), Vec::new());
    while medium.len() < 5 || slow.len() < 3 {
        let event = client
            .event_that(|e| of_tier(e, "medium") || of_tier(e, "slow"))
            .await;
        if of_tier(&event, "medium") {
            medium.push(at(&event));
        } else {
            slow.push(at(&event));
        }
    }
    assert_on_grid(&medium[1..], 1_000);
    assert_on_grid(&slow[1..], 2_000);
    let request = json!({"type": "unsubscribe", "channel": "metrics:system", "tier": "medium"});
    assert_eq!(client.ask(request).await["type"], "ok");
    for _ in 0..3 {
        let event = client.event("system-metrics").await;
        assert_eq!(
            event["data"]["tier"], "slow",
            "medium goes on after unsubscribe"
        );
    }
    let again = json!({"type": "unsubscribe", "channel": "metrics:system", "tier": "medium"});
    assert_eq!(client.ask(again).await["type"], "error");
}

#[tokio::test]
async fn slower_tiers_carry_last_least_mean_and_greatest() {
    let agent = Agent::with(BRISK).await;
    let (mut client, _) = Client::connect(&agent).await;
    let matching =
        json!({"metrics": ["system_memory_available_bytes", "system_context_switches_total"]});
    let request = json!({"channel": "metrics:system", "tier": "medium", "match": matching});
    client.subscribe(request).await;
    client.event_that(|event| of_tier(event, "medium")).await;
    let event = client.event_that(|event| of_tier(event, "medium")).await;
    let metrics = &event["data"]["metrics"];
    assert_eq!(
        metrics.as_object().map(serde_json::Map::len),
        Some(2),
        "{metrics}"
    );
    let memory = &metrics["system_memory_available_bytes"][0];
    let number = |sample: &Value, key: &str| {
        sample[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} of {sample}"))
    };
    let (min, avg, max) = (
        number(memory, "min"),
        number(memory, "avg"),
        number(memory, "max"),
    );
    assert!(min <= avg && avg <= max && min > 0.0, "{memory}");
    assert!((min..=max).contains(&number(memory, "value")), "{memory}");
    let switches = &metrics["system_context_switches_total"][0];
    assert!(
        number(switches, "total") > 0.0 && number(switches, "rate") > 0.0,
        "{switches}"
    );
    assert!(
        number(switches, "min") <= number(switches, "max"),
        "{switches}"
    );
}

#[tokio::test]
async fn columns_send_the_table_once_and_then_bare_values() {
    let agent = Agent::with(BRISK).await;
    agent
        .component_that("system", |component| component["up"] == true)
        .await;
    let (mut client, _) = Client::connect(&agent).await;
    client
        .subscribe(json!({"channel": "metrics:system", "shape": "columns"}))
        .await;
    let first = client.event("system-metrics").await;
    assert_eq!(first["data"]["snapshot"], true);
    // The second sample of a series can bring new ones into being, so tables may follow one another; each
    // comes once, with the first values that are parallel to it.
    let total_bytes = meminfo("MemTotal") * 1024.0;
    let mut data = first["data"].clone();
    let (mut table, mut series, mut bare) = (Value::Null, Vec::new(), 0);
    while bare < 5 {
        if data["table"] == table {
            assert!(data["series"].is_null(), "the table came twice");
            bare += 1;
        } else {
            table = data["table"].clone();
            series = data["series"]["fast"].as_array().expect("a table").clone();
        }
        let values = data["values"]["fast"].as_array().expect("values");
        assert_eq!(values.len(), series.len());
        let place = series
            .iter()
            .position(|row| row[0] == "system_memory_total_bytes");
        let value = values[place.expect("a row")].as_f64().expect("a number");
        assert!(
            (value - total_bytes).abs() < 1.0,
            "{value} against {total_bytes}"
        );
        data = client.event("system-metrics").await["data"].clone();
    }
}

#[tokio::test]
async fn bad_requests_get_errors_that_name_the_field_and_harm_nothing() {
    let agent = Agent::start().await;
    let (mut client, _) = Client::connect(&agent).await;
    let cases = [
        (
            json!({"type": "subscribe", "channel": "metrics:weather"}),
            "channel",
        ),
        (
            json!({"type": "subscribe", "channel": "nonsense"}),
            "channel",
        ),
        (json!({"type": "subscribe"}), "channel"),
        (json!({"type": "dance"}), "type"),
    ];
    for (request, field) in cases {
        let answer = client.ask(request.clone()).await;
        assert_eq!(answer["type"], "error", "{request}");
        assert_eq!(answer["error"]["field"], field, "{request}: {answer}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .is_some_and(|text| text.len() > 10)
        );
    }
    client.send("{not json").await;
    let answer = client.message().await;
    assert_eq!(
        (&answer["type"], &answer["id"]),
        (&json!("error"), &Value::Null)
    );
    let answer = client.ask(json!({"type": "ping"})).await;
    assert_eq!(answer["type"], "ok");
    assert!(answer["at"].is_i64());
}

/// Every time is on the grid of its interval, and steps are one interval, but for those in which a machine that
/// was stalled for longer skipped some.
pub(crate) fn assert_on_grid(times: &[i64], interval_ms: i64) {
    let steps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(times.iter().all(|at| at % interval_ms == 0), "{times:?}");
    assert!(steps.iter().all(|step| *step > 0), "{times:?}");
    let whole = steps.iter().filter(|step| **step == interval_ms).count();
    assert!(whole * 2 > steps.len(), "{times:?}");
}

/// A value of /proc/meminfo in kB.
fn meminfo(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
    let line = text
        .lines()
        .find(|line| line.starts_with(key))
        .expect("the key");
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse().ok())
        .expect("a number")
}
