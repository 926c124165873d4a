//! Tiers: windows and their aggregates, several tiers at once, failures and what a match leaves.

use serde_json::json;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_medium_subscriber_gets_the_aggregates_of_each_window() {
    let mut rig = Rig::start();
    let (load, sockets) = (
        rig.gauge("load", Tier::Fast),
        rig.gauge("sockets", Tier::Medium),
    );
    let disk = rig.gauge("disk", Tier::Slow);
    rig.batch(TierSet::ALL, &[(load, 9.0), (sockets, 9.0), (disk, 9.0)])
        .await;
    let client = rig.client().await;
    client.subscribe(Tier::Medium, Shape::Columns).await;
    assert_eq!(client.data()["snapshot"], json!(true));
    for value in [1.0, 4.0, 2.0, 3.0] {
        rig.batch(FAST, &[(load, value)]).await;
        assert!(client.events().is_empty());
    }
    rig.batch(MEDIUM, &[(load, 5.0), (sockets, 80.0)]).await;
    let data = client.data();
    assert_eq!(data["values"], json!({"fast": [5], "medium": [80]}));
    assert_eq!(data["min"], json!({"fast": [1], "medium": [80]}));
    assert_eq!(data["avg"], json!({"fast": [3], "medium": [80]}));
    assert_eq!(data["max"], json!({"fast": [5], "medium": [80]}));
    rig.batch(TierSet::ALL, &[(load, 6.0), (sockets, 81.0), (disk, 7.0)])
        .await;
    let data = client.data();
    assert_eq!(
        data["values"],
        json!({"fast": [6], "medium": [81], "slow": [7]})
    );
    assert_eq!(
        data["min"],
        json!({"fast": [6], "medium": [81], "slow": [7]})
    );
}

#[tokio::test(start_paused = true)]
async fn a_counters_window_is_of_its_rates_and_a_reset_does_not_count() {
    let mut rig = Rig::start();
    let total = rig.series("total", Kind::Counter, Tier::Fast, &[]);
    let client = rig.client().await;
    client.subscribe(Tier::Slow, Shape::Named).await;
    for value in [10.0, 20.0, 50.0, 0.0] {
        rig.batch(FAST, &[(total, value)]).await;
    }
    rig.batch(TierSet::ALL, &[(total, 2.0)]).await;
    let expected = json!([{"labels": {}, "total": 2, "rate": 2, "min": 2, "avg": 14, "max": 30}]);
    assert_eq!(client.data()["metrics"]["total"], expected);
}

#[tokio::test(start_paused = true)]
async fn a_window_survives_a_change_of_series() {
    let mut rig = Rig::start();
    let one = rig.series("cpu", Kind::Gauge, Tier::Fast, &[("cpu", "1")]);
    let client = rig.client().await;
    client.subscribe(Tier::Medium, Shape::Columns).await;
    rig.batch(FAST, &[(one, 1.0)]).await;
    rig.series("another", Kind::Gauge, Tier::Fast, &[]);
    rig.batch(MEDIUM, &[(one, 3.0)]).await;
    let data = client.data();
    assert_eq!(data["min"]["fast"], json!([1, null]));
    assert_eq!(data["avg"]["fast"], json!([2, null]));
}

#[tokio::test(start_paused = true)]
async fn two_tiers_of_a_channel_are_two_subscriptions() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let client = rig.client().await;
    client.subscribe(Tier::Fast, Shape::Columns).await;
    client.subscribe(Tier::Medium, Shape::Columns).await;
    rig.batch(FAST, &[(load, 1.0)]).await;
    assert_eq!(client.data()["tier"], json!("fast"));
    rig.batch(MEDIUM, &[(load, 3.0)]).await;
    let events = client.events();
    let tiers: Vec<_> = events
        .iter()
        .map(|event| event["data"]["tier"].as_str().unwrap())
        .collect();
    assert_eq!(tiers, ["fast", "medium"]);
    assert_eq!(events[1]["data"]["avg"]["fast"], json!([2]));
    client.unsubscribe(Tier::Fast).await.unwrap();
    rig.batch(MEDIUM, &[(load, 3.0)]).await;
    assert_eq!(client.data()["tier"], json!("medium"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_at_once_with_nulls_for_every_series() {
    let mut rig = Rig::start();
    let (load, disk) = (rig.gauge("load", Tier::Fast), rig.gauge("disk", Tier::Slow));
    let total = rig.series("total", Kind::Counter, Tier::Fast, &[]);
    let (fast, slow) = (rig.client().await, rig.client().await);
    fast.subscribe(Tier::Fast, Shape::Columns).await;
    slow.subscribe(Tier::Slow, Shape::Named).await;
    rig.batch(TierSet::ALL, &[(load, 1.0), (disk, 2.0), (total, 5.0)])
        .await;
    fast.data();
    slow.data();
    rig.failure(TierSet::EMPTY).await;
    let data = fast.data();
    assert_eq!(data["up"], json!(false));
    assert_eq!(
        data["values"],
        json!({"fast": [null, null], "slow": [null]})
    );
    let data = slow.data();
    assert_eq!(data["up"], json!(false));
    assert_eq!(
        data["metrics"]["disk"],
        json!([{"labels": {}, "value": null, "stale": true}])
    );
    let expected = json!([{"labels": {}, "total": null, "rate": null, "stale": true}]);
    assert_eq!(data["metrics"]["total"], expected);
    rig.failure(FAST).await;
    assert_eq!(fast.data()["up"], json!(false));
    assert!(slow.events().is_empty());
    rig.batch(FAST, &[(load, 3.0), (total, 7.0)]).await;
    let data = fast.data();
    assert_eq!(data["up"], json!(true));
    assert_eq!(
        data["values"],
        json!({"fast": [3, null]}),
        "a counter has no rate over a gap"
    );
    rig.batch(FAST, &[(load, 3.0), (total, 8.0)]).await;
    assert_eq!(fast.data()["values"], json!({"fast": [3, 1]}));
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_batch_brings_nevertheless_is_shown() {
    let mut rig = Rig::start();
    let (up, load) = (
        rig.gauge("system_up", Tier::Fast),
        rig.gauge("load", Tier::Fast),
    );
    let (fast, medium) = (rig.client().await, rig.client().await);
    fast.subscribe(Tier::Fast, Shape::Columns).await;
    medium.subscribe(Tier::Medium, Shape::Columns).await;
    rig.batch(FAST, &[(up, 1.0), (load, 2.0)]).await;
    assert_eq!(fast.data()["values"], json!({"fast": [1, 2]}));
    rig.publish(TierSet::EMPTY, false, &[(up, 0.0)]);
    rig.settle().await;
    assert_eq!(fast.data()["values"], json!({"fast": [0, null]}));
    let data = medium.data();
    assert_eq!(data["values"], json!({"fast": [0, null]}));
    assert_eq!(data["avg"], json!({"fast": [0.5, 2]}));
}

#[tokio::test(start_paused = true)]
async fn a_match_narrows_to_metrics_and_labels() {
    let mut rig = Rig::start();
    let zero = rig.series("cpu_ratio", Kind::Gauge, Tier::Fast, &[("cpu", "0")]);
    let one = rig.series("cpu_ratio", Kind::Gauge, Tier::Fast, &[("cpu", "1")]);
    let load = rig.gauge("load", Tier::Fast);
    let disk = rig.gauge("disk", Tier::Slow);
    let client = rig.client().await;
    let wanted = matching(&["cpu_*", "disk"], &[]);
    client
        .subscribe_to(Tier::Fast, Shape::Named, wanted)
        .await
        .unwrap();
    rig.batch(
        TierSet::ALL,
        &[(zero, 0.5), (one, 1.0), (load, 2.0), (disk, 3.0)],
    )
    .await;
    let expected = json!({
        "cpu_ratio": [{"labels": {"cpu": "0"}, "value": 0.5}, {"labels": {"cpu": "1"}, "value": 1}],
        "disk": [{"labels": {}, "value": 3}],
    });
    assert_eq!(client.data()["metrics"], expected);
    let wanted = matching(&[], &[("cpu", "1")]);
    client
        .subscribe_to(Tier::Fast, Shape::Named, wanted)
        .await
        .unwrap();
    let expected = json!({"cpu_ratio": [{"labels": {"cpu": "1"}, "value": 1}]});
    assert_eq!(
        client.data()["metrics"],
        expected,
        "the later subscription replaces the earlier"
    );
    let wanted = matching(&["disk"], &[]);
    client
        .subscribe_to(Tier::Fast, Shape::Columns, wanted)
        .await
        .unwrap();
    assert_eq!(client.data()["values"], json!({"slow": [3]}));
    rig.batch(FAST, &[(zero, 0.5)]).await;
    assert!(
        client.events().is_empty(),
        "a batch without anything that it wants is no frame"
    );
}

#[tokio::test(start_paused = true)]
async fn basic_metrics_come_at_once_and_then_each_second() {
    let rig = Rig::start();
    rig.board.report(component("system"));
    let client = rig.client().await;
    // Once in the agent's life the schedule begins off its grid.
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.subscribe_basic().await;
    let first = client.events().remove(0);
    assert_eq!(first["at"], json!(START_MS + 300));
    assert_eq!(first["data"]["components"][0]["latencyMs"], json!(1.5));
    for second in 1..=5 {
        client.lane().ready().await;
        let events = client.events();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["at"], json!(START_MS + 1_000 * second));
        assert_eq!(rig.clock.now_ms(), START_MS + 1_000 * second);
    }
    rig.hub
        .unsubscribe(client.connection.id, Target::Basic, Tier::Fast)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(client.events().is_empty());
}
