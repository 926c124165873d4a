//! Collectors exchanged on simulated time, over sources that do what their configuration says.

mod rig;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::bus::Batch;
use rig::{Rig, instance};

/// As [`instance`], on a thread: another collector.
fn on_thread(name: &str, config: Value) -> Instance {
    Instance {
        isolation: Isolation::Thread,
        ..instance(name, config)
    }
}

/// As [`instance`], one of several.
fn labelled(name: &str, config: Value) -> Instance {
    Instance {
        position: Some(0),
        ..instance(name, config)
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_its_trial_leaves_the_old_one_which_misses_nothing() {
    for (bad, reason) in [
        (json!({"fails_start": true}), "as the script says"),
        (json!({"start_ms": 60_000}), "was not ready in time"),
        (json!({"refuses": true}), "no answer"),
        (json!({"dies": true}), "as the script says"),
    ] {
        let mut rig = Rig::start(&[instance("a", json!({}))]).await;
        rig.ups("a", 2).await;
        // As long as the same is wanted, each reload tries it anew.
        for count in 1..=2 {
            rig.wish(&[on_thread("a", bad.clone())]).await;
            rig.try_out().await;
            let info = rig.info("a");
            let reload = info.reload.unwrap();
            assert_eq!(
                (reload.outcome.as_str(), reload.reason.as_deref()),
                ("refused", Some(reason))
            );
            assert!(info.error.unwrap().contains(reason));
            assert_eq!(info.isolation, "process", "of what runs");
            assert_eq!(rig.said("is tried"), count);
        }
        let batches = rig.ups("a", 3).await;
        rig.assert_no_gap(&batches);
        assert_eq!(rig.said("1 stops"), 0, "{:?}", rig.log());
        // The old one is wanted again, so nothing is wrong any more.
        rig.wish(&[instance("a", json!({}))]).await;
        while rig.info("a").error.is_some() {
            rig.ups("a", 1).await;
        }
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_good_is_tried_apart_and_takes_the_place_of_the_old_one() {
    let mut rig = Rig::start(&[instance("a", json!({}))]).await;
    let mut batches = rig.ups("a", 2).await;
    let series = rig.series("a");
    rig.wish(&[on_thread("a", json!({"start_ms": 2_300}))])
        .await;
    batches.extend(rig.ups("a", 2).await);
    assert_eq!(rig.series("a"), series, "it defines into its own catalog");
    rig.try_out().await;
    let log = rig.log();
    let at = |what: &str| log.iter().position(|line| line.contains(what));
    assert!(at("is tried in a process, held") < at("1 stops"), "{log:?}");
    assert!(rig.said("2 stops") == 1 && at("2 stops") < at("1 stops"));
    batches.extend(rig.next("a", 4).await);
    let ups = batches.iter().filter(|batch| batch.up).count();
    assert!(ups + 3 >= batches.len(), "only its own start costs a tick");
    let info = rig.info("a");
    assert_eq!(info.reload.unwrap().outcome, "switched");
    assert_eq!((info.isolation.as_str(), info.error), ("thread", None));
    let is_same = |batch: &Arc<Batch>| batch.collector == batches[0].collector;
    assert!(batches.iter().all(is_same), "one collector, as before");
    assert_eq!(rig.series("a"), series);
    assert_eq!(rig.said("takes over"), 2, "{log:?}");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_run_is_exchanged_without_a_trial() {
    let mut rig = Rig::start(&[instance("a", json!({"fails_start": true}))]).await;
    while rig.info("a").phase != PluginPhase::Open {
        rig.next("a", 1).await;
    }
    rig.wish(&[on_thread("a", json!({}))]).await;
    assert_eq!(rig.info("a").reload.unwrap().outcome, "switched");
    while !rig.next("a", 1).await[0].up {}
    assert_eq!(rig.said("is tried"), 0, "{:?}", rig.log());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_can_not_read_its_source_is_no_reason_to_keep_another_that_can_not() {
    let mut rig = Rig::start(&[instance("a", json!({"refuses": true}))]).await;
    rig.next("a", 2).await;
    rig.wish(&[on_thread("a", json!({"fails_start": true}))])
        .await;
    rig.try_out().await;
    assert_eq!(rig.info("a").reload.unwrap().outcome, "refused");
    rig.wish(&[on_thread("a", json!({"refuses": true}))]).await;
    rig.try_out().await;
    assert_eq!(rig.info("a").reload.unwrap().outcome, "switched");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn collectors_of_a_plugin_are_exchanged_together_or_not_at_all() {
    let of = |config: Value| [on_thread("a", json!({})), on_thread("b", config)];
    let mut rig = Rig::start(&[instance("a", json!({})), instance("b", json!({}))]).await;
    rig.ups("b", 2).await;
    let [a, b] = of(json!({"refuses": true, "start_ms": 500}));
    let began = rig.clock.mono();
    rig.wish(&[a, b, on_thread("c", json!({}))]).await;
    rig.try_out().await;
    assert!(rig.clock.mono() - began < Duration::from_secs(1));
    let reason = |name: &str| rig.info(name).reload.and_then(|reload| reload.reason);
    assert_eq!(reason("b").as_deref(), Some("no answer"));
    let by_b = "`b`, of the same plugin, failed its trial: no answer";
    assert_eq!(reason("a").as_deref(), Some(by_b));
    let new = rig.info("c");
    assert_eq!(
        (new.phase, new.error.as_deref()),
        (PluginPhase::Refused, Some(by_b))
    );
    for name in ["a", "b"] {
        let batches = rig.ups(name, 2).await;
        rig.assert_no_gap(&batches);
    }
    // Mended, all of them run.
    let [a, b] = of(json!({}));
    rig.wish(&[a, b, on_thread("c", json!({}))]).await;
    rig.try_out().await;
    for name in ["a", "b", "c"] {
        while !rig.next(name, 1).await[0].up {}
        assert_eq!(rig.info(name).isolation, "thread");
        assert_eq!(rig.info(name).error, None);
    }
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_instance_gets_its_label_and_the_second_waits_for_that() {
    let mut rig = Rig::start(&[instance("a", json!({}))]).await;
    rig.ups("a", 2).await;
    assert_eq!(rig.series("a"), ["m{}"]);
    let both = [labelled("a", json!({})), labelled("b", json!({}))];
    rig.wish(&both).await;
    rig.try_out().await;
    for name in ["a", "b"] {
        while !rig.next(name, 1).await[0].up {}
        assert_eq!(rig.info(name).error, None);
    }
    assert_eq!(rig.series("a"), ["m{instance=a}"]);
    assert_eq!(rig.series("b"), ["m{instance=b}"]);
    // And where the plugin itself was the collector.
    rig.wish(&[instance("c", json!({}))]).await;
    while !rig.next("c", 1).await[0].up {}
    assert_eq!(rig.info("c").error, None);
    assert_eq!(rig.series("c"), ["m{}"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_wish_wins() {
    let mut rig = Rig::start(&[instance("a", json!({}))]).await;
    rig.ups("a", 2).await;
    let slow = on_thread("a", json!({"start_ms": 9_000}));
    rig.wish(std::slice::from_ref(&slow)).await;
    rig.ups("a", 2).await;
    // The same once more goes on; the old one again ends the trial.
    rig.wish(&[slow]).await;
    rig.ups("a", 1).await;
    assert_eq!(rig.said("is tried"), 1, "{:?}", rig.log());
    rig.wish(&[instance("a", json!({}))]).await;
    let batches = rig.ups("a", 2).await;
    rig.assert_no_gap(&batches);
    assert_eq!(rig.said("2 stops"), 1, "{:?}", rig.log());
    let waited = tokio::time::timeout(Duration::from_mins(1), rig.collectors.tried()).await;
    assert!(waited.is_err(), "{waited:?}");
    assert!(rig.info("a").reload.is_none(), "nothing became of it");
    rig.wish(&[on_thread("a", json!({"start_ms": 9_000}))])
        .await;
    rig.ups("a", 1).await;
    rig.wish(&[on_thread("a", json!({}))]).await;
    rig.try_out().await;
    assert_eq!(rig.info("a").reload.unwrap().outcome, "switched");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_trial() {
    let mut rig = Rig::start(&[instance("a", json!({}))]).await;
    rig.ups("a", 2).await;
    rig.wish(&[on_thread("a", json!({"start_ms": 9_000}))])
        .await;
    rig.ups("a", 1).await;
    let (clock, began) = (rig.clock.clone(), rig.clock.mono());
    let log = rig.stop().await;
    assert!(clock.mono() - began < Duration::from_millis(100));
    for line in ["1 stops", "2 stops"] {
        assert_eq!(
            log.iter().filter(|said| *said == line).count(),
            1,
            "{log:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn others_are_started_and_stopped_while_one_is_tried() {
    let mut rig = Rig::start(&[instance("a", json!({})), instance("b", json!({}))]).await;
    rig.ups("a", 2).await;
    let slow = on_thread("a", json!({"start_ms": 9_000}));
    let other = Instance {
        plugin: "other".to_owned(),
        ..instance("c", json!({"metric": "n"}))
    };
    rig.wish(&[slow, other]).await;
    while !rig.next("c", 1).await[0].up {}
    assert_eq!(rig.collectors.stats.all().len(), 2);
    assert!(rig.series("b").is_empty(), "it is gone");
    rig.try_out().await;
    assert_eq!(rig.info("a").reload.unwrap().outcome, "switched");
    rig.stop().await;
}
