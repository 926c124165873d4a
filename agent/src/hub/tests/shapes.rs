//! What frames look like: snapshots, tables, counters, both shapes, and agreement with the protocol's types.

use serde_json::json;

use super::*;
use crate::protocol::{ColumnsData, NamedData, NamedSample, ServerEvent, TierArrays};

#[tokio::test(start_paused = true)]
async fn a_snapshot_comes_first_with_the_table_and_bare_values_follow() {
    let mut rig = Rig::start();
    let (load, disk) = (rig.gauge("load", Tier::Fast), rig.gauge("disk", Tier::Slow));
    rig.batch(TierSet::ALL, &[(load, 0.5), (disk, 7.0)]).await;
    let client = rig.client().await;
    client.subscribe(Tier::Fast, Shape::Columns).await;
    let expected = json!({
        "tier": "fast", "collector": "system", "up": true, "snapshot": true, "table": 1,
        "series": {"fast": [["load", {}]], "slow": [["disk", {}]]},
        "values": {"fast": [0.5], "slow": [7]},
    });
    assert_eq!(client.data(), expected);
    rig.batch(FAST, &[(load, 0.25)]).await;
    let expected = json!({
        "event": "system-metrics", "channel": "metrics:system", "at": START_MS + 2_000,
        "data": {"tier": "fast", "collector": "system", "up": true, "table": 1, "values": {"fast": [0.25]}},
    });
    assert_eq!(client.events(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_before_the_first_batch_gets_the_table_with_it() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let client = rig.client().await;
    client.subscribe(Tier::Fast, Shape::Columns).await;
    assert!(client.events().is_empty());
    rig.batch(FAST, &[(load, 1.0)]).await;
    assert_eq!(client.data()["series"], json!({"fast": [["load", {}]]}));
}

#[tokio::test(start_paused = true)]
async fn the_table_is_sent_again_when_series_change_and_only_then() {
    let mut rig = Rig::start();
    let one = rig.series("cpu", Kind::Gauge, Tier::Fast, &[("cpu", "0")]);
    let client = rig.client().await;
    client.subscribe(Tier::Fast, Shape::Columns).await;
    rig.batch(FAST, &[(one, 1.0)]).await;
    assert!(client.data()["series"].is_object());
    let two = rig.series("cpu", Kind::Gauge, Tier::Fast, &[("cpu", "1")]);
    rig.batch(FAST, &[(one, 1.0), (two, 2.0)]).await;
    let changed = client.data();
    assert_eq!(
        changed["series"]["fast"],
        json!([["cpu", {"cpu": "0"}], ["cpu", {"cpu": "1"}]])
    );
    rig.catalog.retire(one);
    rig.batch(FAST, &[(two, 3.0)]).await;
    let retired = client.data();
    assert_eq!(retired["series"]["fast"], json!([["cpu", {"cpu": "1"}]]));
    assert_eq!(retired["values"]["fast"], json!([3]));
    assert!(retired["table"].as_u64() > changed["table"].as_u64());
    rig.batch(FAST, &[(two, 4.0)]).await;
    assert_eq!(client.data().get("series"), None);
}

#[tokio::test(start_paused = true)]
async fn the_table_is_not_lost_with_the_frame_that_carried_it() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let (slow, late) = (rig.client().await, rig.client().await);
    slow.subscribe(Tier::Fast, Shape::Columns).await;
    rig.batch(FAST, &[(load, 1.0)]).await;
    rig.batch(FAST, &[(load, 2.0)]).await;
    late.subscribe(Tier::Fast, Shape::Columns).await;
    assert_eq!(late.data()["series"], json!({"fast": [["load", {}]]}));
    let events = slow.events();
    assert_eq!(events[0]["event"], "skipped");
    assert_eq!(events[1]["data"]["series"], json!({"fast": [["load", {}]]}));
    assert_eq!(events[1]["data"]["values"], json!({"fast": [2]}));
}

#[tokio::test(start_paused = true)]
async fn counters_are_rates_and_a_reset_is_a_gap() {
    let mut rig = Rig::start();
    let bytes = rig.series("bytes_total", Kind::Counter, Tier::Fast, &[]);
    let (named, columns) = (rig.client().await, rig.client().await);
    named.subscribe(Tier::Fast, Shape::Named).await;
    columns.subscribe(Tier::Fast, Shape::Columns).await;
    let cases = [
        (100.0, json!(null)),
        (150.0, json!(50)),
        (3.0, json!(null)),
        (4.5, json!(1.5)),
    ];
    for (total, rate) in cases {
        rig.batch(FAST, &[(bytes, total)]).await;
        assert_eq!(columns.data()["values"]["fast"][0], rate);
        let sample = named.data()["metrics"]["bytes_total"][0].take();
        assert_eq!(sample["total"].as_f64(), Some(total));
        assert_eq!(sample["rate"], rate);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sample_that_was_due_and_did_not_come_is_a_gap() {
    let mut rig = Rig::start();
    let (load, heat) = (rig.gauge("load", Tier::Fast), rig.gauge("heat", Tier::Fast));
    let (named, columns) = (rig.client().await, rig.client().await);
    named.subscribe(Tier::Fast, Shape::Named).await;
    columns.subscribe(Tier::Fast, Shape::Columns).await;
    rig.batch(FAST, &[(load, 1.0)]).await;
    assert_eq!(columns.data()["values"]["fast"], json!([1, null]));
    assert_eq!(
        named.data()["metrics"],
        json!({"load": [{"labels": {}, "value": 1}]})
    );
    rig.batch(FAST, &[(heat, 40.0)]).await;
    assert_eq!(columns.data()["values"]["fast"], json!([null, 40]));
    let expected = json!({
        "load": [{"labels": {}, "value": null, "stale": true}],
        "heat": [{"labels": {}, "value": 40}],
    });
    assert_eq!(named.data()["metrics"], expected);
}

/// No value is whole here: the hub writes 3 where the types give 3.0, which JSON does not tell apart.
#[tokio::test(start_paused = true)]
async fn frames_are_byte_for_byte_what_the_types_of_the_protocol_give() {
    let odd_path = "a\"\\\n\u{e9}";
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let odd = rig.series(
        "odd_total",
        Kind::Counter,
        Tier::Medium,
        &[("path", odd_path)],
    );
    let (named, columns) = (rig.client().await, rig.client().await);
    named.subscribe(Tier::Medium, Shape::Named).await;
    columns.subscribe(Tier::Medium, Shape::Columns).await;
    rig.batch(MEDIUM, &[(load, 1.5), (odd, 10.25)]).await;
    let table = columns.data()["table"].as_u64().unwrap();
    named.data();
    rig.batch(FAST, &[(load, 3.75)]).await;
    rig.batch(MEDIUM, &[(load, 2.5), (odd, 30.75)]).await;

    let arrays = |fast| TierArrays {
        fast: Some(vec![Some(fast)]),
        medium: Some(vec![Some(10.25)]),
        slow: None,
    };
    let data = ColumnsData {
        tier: Tier::Medium,
        collector: "system".to_owned(),
        up: true,
        snapshot: false,
        table,
        series: None,
        values: arrays(2.5),
        min: Some(arrays(2.5)),
        avg: Some(arrays(3.125)),
        max: Some(arrays(3.75)),
    };
    assert_eq!(text(&columns.bytes()[0]), typed(rig.at_ms, data));

    let gauge = NamedSample {
        value: Some(Some(2.5)),
        min: Some(2.5),
        avg: Some(3.125),
        max: Some(3.75),
        ..NamedSample::default()
    };
    let counter = NamedSample {
        labels: [("path".to_owned(), odd_path.to_owned())]
            .into_iter()
            .collect(),
        total: Some(Some(30.75)),
        rate: Some(Some(10.25)),
        min: Some(10.25),
        avg: Some(10.25),
        max: Some(10.25),
        ..NamedSample::default()
    };
    let metrics = [
        ("load".to_owned(), vec![gauge]),
        ("odd_total".to_owned(), vec![counter]),
    ];
    let data = NamedData {
        tier: Tier::Medium,
        collector: "system".to_owned(),
        up: true,
        snapshot: false,
        metrics: metrics.into_iter().collect(),
    };
    assert_eq!(text(&named.bytes()[0]), typed(rig.at_ms, data));
}

fn text(frame: &[u8]) -> String {
    String::from_utf8(frame[4..].to_vec()).unwrap()
}

fn typed(at: i64, data: impl Serialize) -> String {
    let event = "system-metrics".to_owned();
    let channel = "metrics:system".to_owned();
    serde_json::to_string(&ServerEvent {
        event,
        channel,
        at,
        data,
    })
    .unwrap()
}
