//! The past over HTTP: what was streamed a second ago is in it now, and what makes no sense is refused by name.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::client::Client;

const HISTORY: &str = "/api/dashboard/metrics/history";

/// The points of the one series of an answer, with the times at which they begin.
fn points(answer: &Value, field: &str) -> Vec<(i64, Option<f64>)> {
    let series = answer["series"].as_array().expect("series");
    assert_eq!(series.len(), 1, "{answer}");
    let (from, step) = (&answer["from"], &answer["step"]);
    let (from, step) = (from.as_i64().unwrap(), step.as_i64().unwrap());
    let values = series[0][field].as_array().expect("an array of points");
    let times = (from..).step_by(usize::try_from(step).unwrap());
    times.zip(values.iter().map(Value::as_f64)).collect()
}

/// Values of a gauge and a counter as they were streamed, by the second in which they were sampled.
async fn streamed(agent: &Agent, seconds: usize) -> Vec<(i64, f64, f64)> {
    let (mut client, _) = Client::connect(agent).await;
    let matching =
        json!({"metrics": ["system_memory_available_bytes", "system_context_switches_total"]});
    client
        .subscribe(json!({"channel": "metrics:system", "match": matching}))
        .await;
    let mut seen = Vec::new();
    while seen.len() < seconds {
        let event = client.event("system-metrics").await;
        let metrics = &event["data"]["metrics"];
        let gauge = metrics["system_memory_available_bytes"][0]["value"].as_f64();
        let counter = metrics["system_context_switches_total"][0]["total"].as_f64();
        let at = event["at"].as_i64().expect("a time");
        // The first event repeats what was sampled before; only ticks on the grid are compared.
        if event["snapshot"].is_null() && at % 1_000 == 0 {
            seen.push((at, gauge.expect("a value"), counter.expect("a total")));
        }
    }
    seen
}

#[tokio::test]
async fn what_was_streamed_is_in_the_history_at_once() {
    let agent = Agent::start().await;
    let seen = streamed(&agent, 4).await;
    let (from, to) = (seen[0].0, seen[seen.len() - 1].0 + 1_000);
    let range = format!("from={from}&to={to}&resolution=raw");
    let gauge = agent
        .json(&format!(
            "{HISTORY}?metric=system_memory_available_bytes&{range}"
        ))
        .await;
    assert_eq!(gauge["step"], 1_000);
    assert_eq!((&gauge["from"], &gauge["to"]), (&json!(from), &json!(to)));
    assert_eq!(
        (&gauge["resolution"], &gauge["agg"]),
        (&json!("raw"), &json!("envelope"))
    );
    assert_eq!(gauge["complete"], true, "{gauge}");
    assert_eq!(gauge["series"][0]["collector"], "system");
    assert_eq!(gauge["series"][0]["unit"], "bytes");
    for field in ["min", "avg", "max"] {
        let found = points(&gauge, field);
        for (at, value, _) in &seen {
            assert!(
                found.contains(&(*at, Some(*value))),
                "{field} at {at}: {found:?}"
            );
        }
    }
    let counter = |agg: &str| {
        let path = format!("{HISTORY}?metric=system_context_switches_total&agg={agg}&{range}");
        let agent = &agent;
        async move { points(&agent.json(&path).await, "values") }
    };
    let (totals, increases, rates) = (
        counter("last").await,
        counter("increase").await,
        counter("rate").await,
    );
    for pair in seen.windows(2) {
        let ((before, _, less), (at, _, total)) = (pair[0], pair[1]);
        assert!(totals.contains(&(at, Some(total))), "{totals:?}");
        if at - before == 1_000 {
            let grown = Some(total - less);
            assert!(
                increases.contains(&(at, grown)),
                "{increases:?} {at} {grown:?}"
            );
            assert!(rates.contains(&(at, grown)), "{rates:?} {at} {grown:?}");
        }
    }
}

#[tokio::test]
async fn series_are_chosen_by_name_label_and_collector() {
    let agent = Agent::start().await;
    agent.sampled_after_now().await;
    let ask = |query: &str| {
        let path = format!("{HISTORY}?points=10&{query}");
        let agent = &agent;
        async move {
            agent.json(&path).await["series"]
                .as_array()
                .unwrap()
                .clone()
        }
    };
    let many = ask("metric=system_*&collector=system").await;
    assert!(many.len() > 20, "{} series", many.len());
    let names: Vec<_> = many
        .iter()
        .map(|series| series["metric"].as_str())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    let labelled: Vec<_> = many
        .iter()
        .filter_map(|series| Some((series, series["labels"].as_object()?.iter().next()?)))
        .collect();
    let (series, (name, value)) = labelled.first().expect("a series with a label");
    let label = format!("{name}:{}", value.as_str().unwrap());
    let encoded: Vec<_> = label.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let encoded = encoded.concat();
    let metric = series["metric"].as_str().unwrap();
    let found = ask(&format!("metric={metric}&label={encoded}")).await;
    assert!(!found.is_empty());
    assert!(found.iter().all(|series| series["labels"][name] == **value));
    assert!(ask("metric=system_*&collector=nobody").await.is_empty());
    // Of a time before the agent was: left out by pattern, all gaps by name.
    let past = "from=1600000000000&to=1600000600000";
    assert!(ask(&format!("metric=system_*&{past}")).await.is_empty());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_field() {
    let agent = Agent::start().await;
    agent.sampled_after_now().await;
    for (query, field) in [
        ("", "metric"),
        ("metric=a&metrics=b", "metrics"),
        ("metric=a&from=2&to=1", "from"),
        ("metric=a&to=9999999999999999", "to"),
        ("metric=a&points=0", "points"),
        ("metric=a&points=5001", "points"),
        ("metric=a&agg=median", "agg"),
        ("metric=system_memory_available_bytes&agg=rate", "agg"),
        ("metric=system_memory_available_bytes&agg=p99", "agg"),
        ("metric=a&resolution=second", "resolution"),
        ("metric=a%2", "metric"),
        ("metric=a&label=b", "label"),
    ] {
        let answer = agent.get(&format!("{HISTORY}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["error"]["field"], field, "{query}: {body}");
    }
    let post = format!(
        "POST {HISTORY} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        agent.addr
    );
    assert_eq!(agent.request(&post).await.status, 405);
    let head = format!(
        "HEAD {HISTORY}?metric=* HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        agent.addr
    );
    let head = agent.request(&head).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
