//! Reloads: who runs at which tick, and what is said of it.

use super::*;
use crate::bus::Batch;
use crate::collect::status::Outcome;
use rig::{START_MS, library};

/// One batch for each second, in order, each from one source.
fn assert_no_gap(batches: &[Arc<Batch>]) {
    for pair in batches.windows(2) {
        assert_eq!(pair[1].at_ms - pair[0].at_ms, 1_000, "{pair:?}");
        assert_eq!(pair[1].tick - pair[0].tick, 1);
    }
}

fn outcome(rig: &Rig) -> (String, Option<String>) {
    let reload = rig.info().reload.expect("a reload");
    (reload.outcome, reload.reason)
}

#[tokio::test(start_paused = true)]
async fn a_successor_takes_over_between_two_ticks_and_series_stay_the_same() {
    let mut rig = Rig::start(settings(
        json!({"declare": ["stays", "goes"], "stop_ms": 700}),
    ));
    let mut batches = rig.ups(3).await;
    let before = batches[2].samples.clone();
    rig.wish(library(
        "b",
        json!({"declare": ["stays", "comes"], "start_ms": 2_300}),
    ));
    batches.extend(rig.ups(6).await);
    rig.stop().await;
    assert_no_gap(&batches[1..]);
    assert_eq!(outcome(&rig), ("switched".to_owned(), None));
    let after = &batches[8].samples;
    assert_eq!(
        before[0].series, after[0].series,
        "the same name, the same series"
    );
    assert_eq!(rig.retired(), ["goes"]);
    // Each tick was one source's; the second one's first collect was its probe, dropped.
    let log = rig.log();
    assert_eq!(rig.said("collects"), batches.len() + 1, "{log:?}");
    assert_eq!(
        rig.said("2 collects 111"),
        2,
        "the probe and its first tick: {log:?}"
    );
    assert_eq!(rig.said("1 stops"), 1);
    assert_eq!(rig.info().version.as_deref(), Some("1.0.2"));
    assert_eq!(rig.info().sha256, "b");
    assert_eq!(rig.info().restarts["exited"], 0, "a reload is no loss");
}

#[tokio::test(start_paused = true)]
async fn what_a_successor_is_refused_in_its_trial_is_not_counted() {
    let mut rig = Rig::start(settings(json!({})));
    rig.ups(2).await;
    rig.wish(library("b", json!({"refuses": 3})));
    while rig.info().refused == 0 {
        rig.batch().await;
    }
    assert_eq!(rig.said("2 collects"), 2, "its trial and its first tick");
    assert_eq!(rig.info().refused, 3);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_fails_changes_nothing() {
    for (bad, reason) in [
        (json!({"fails_starts": 1_000}), "as the script says"),
        (json!({"fails_collects": true}), "no answer"),
        (json!({"dies_at": [1]}), "as the script says"),
    ] {
        let mut rig = Rig::start(settings(json!({"declare": ["stays"]})));
        let mut batches = rig.ups(2).await;
        rig.wish(library("b", bad));
        batches.extend(rig.ups(4).await);
        assert_no_gap(&batches[1..]);
        assert_eq!(
            outcome(&rig),
            ("refused".to_owned(), Some(reason.to_owned()))
        );
        let error = rig.component().error.expect("the reason");
        assert!(error.contains(reason), "{error}");
        assert_eq!(rig.info().error, Some(error));
        assert!(rig.component().up, "it goes on");
        assert_eq!((rig.said("2 withdraws"), rig.said("1 stops")), (1, 0));
        assert_eq!(rig.info().sha256, "", "of what runs");
        // The old settings are wanted again, so nothing is wrong any more.
        rig.wish(settings(json!({"declare": ["stays"]})));
        rig.ups(2).await;
        assert_eq!(
            (outcome(&rig).0.as_str(), rig.info().error),
            ("applied", None)
        );
        rig.stop().await;
        assert_eq!(rig.said("3 "), 0, "nothing was started for that");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_forgotten_with_what_was_refused_also_while_nothing_runs() {
    let mut rig = Rig::start(settings(json!({"fails_starts": 1_000})));
    while rig.info().phase != PluginPhase::Open {
        rig.batch().await;
    }
    rig.stats
        .reloaded(START_MS, Outcome::Refused, Some("no library".to_owned()));
    rig.wish(settings(json!({"fails_starts": 1_000})));
    rig.batch().await;
    assert_eq!(outcome(&rig), ("applied".to_owned(), None));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_can_not_read_its_source_is_no_reason_to_keep_another_that_can_not() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"], "fails_collects": true})));
    while rig.batch().await.up {}
    rig.wish(library(
        "b",
        json!({"declare": ["a"], "fails_collects": true}),
    ));
    for _ in 0..3 {
        assert!(!rig.batch().await.up);
    }
    rig.stop().await;
    assert_eq!(outcome(&rig).0, "switched");
}

#[tokio::test(start_paused = true)]
async fn a_new_configuration_alone_is_given_to_what_runs() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"]})));
    let mut batches = rig.ups(2).await;
    rig.wish(settings(
        json!({"declare": ["a"], "reconfigures": "applied"}),
    ));
    batches.extend(rig.ups(2).await);
    assert_eq!(outcome(&rig), ("applied".to_owned(), None));
    rig.wish(settings(
        json!({"declare": ["a"], "reconfigures": "refused"}),
    ));
    batches.extend(rig.ups(2).await);
    assert_eq!(
        outcome(&rig),
        ("refused".to_owned(), Some("url: not mine".to_owned()))
    );
    rig.wish(settings(
        json!({"declare": ["a", "b"], "reconfigures": "restart"}),
    ));
    batches.extend(rig.ups(3).await);
    assert_eq!(outcome(&rig), ("switched".to_owned(), None));
    rig.stop().await;
    assert_no_gap(&batches[1..]);
    assert_eq!((rig.said("1 reconfigures"), rig.said("starts")), (3, 2));
    let counts: Vec<_> = rig.stats.reloads().map(|(_, count)| count).collect();
    assert_eq!(counts, [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_over_a_new_configuration_comes_back_with_the_old_one() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"]})));
    rig.ups(2).await;
    rig.wish(settings(json!({"reconfigures": "lost"})));
    assert!(!rig.batch().await.up, "it is said at once");
    while !rig.batch().await.up {}
    assert_eq!(outcome(&rig).0, "refused");
    assert_eq!(rig.info().restarts["failed"], 1);
    rig.stop().await;
    assert_eq!(
        (rig.said("1 starts"), rig.said("2 ")),
        (2, 0),
        "{:?}",
        rig.log()
    );
}

#[tokio::test(start_paused = true)]
async fn the_newest_wish_wins() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"]})));
    let mut batches = rig.ups(2).await;
    rig.wish(library("b", json!({"declare": ["b"], "start_ms": 9_000})));
    batches.extend(rig.ups(2).await);
    rig.wish(library("c", json!({"declare": ["c"], "start_ms": 500})));
    batches.extend(rig.ups(3).await);
    rig.stop().await;
    assert_no_gap(&batches[1..]);
    let log = rig.log();
    assert_eq!(
        (rig.said("2 starts"), rig.said("2 withdraws")),
        (1, 1),
        "{log:?}"
    );
    assert_eq!(
        (rig.said("2 collects"), rig.info().sha256.as_str()),
        (0, "c")
    );
    let switched = rig.stats.reloads().map(|(_, count)| count).sum::<u64>();
    assert_eq!(switched, 1, "what was overtaken is no outcome");
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_successor() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"]})));
    rig.ups(2).await;
    rig.wish(library("b", json!({"start_ms": 9_000})));
    rig.ups(1).await;
    let before = rig.clock.mono();
    rig.stop().await;
    assert!(rig.clock.mono() - before < ms(100));
    assert_eq!(
        (rig.said("1 stops"), rig.said("2 withdraws")),
        (1, 1),
        "{:?}",
        rig.log()
    );
}

#[tokio::test(start_paused = true)]
async fn settings_that_come_during_a_start_are_used_for_the_next() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"], "start_ms": 9_000})));
    assert!(!rig.batch().await.up, "it is still starting");
    rig.wish(settings(json!({"declare": ["b"]})));
    while !rig.batch().await.up {}
    assert!(rig.clock.now_ms() - START_MS <= 2_000);
    rig.stop().await;
    assert_eq!((rig.said("1 collects"), rig.said("2 starts")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_new_interval_is_a_new_schedule() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"]})));
    rig.ups(3).await;
    rig.wish(Settings {
        interval: ms(2_000),
        ..settings(json!({"declare": ["a"]}))
    });
    // One tick of the new schedule comes at once, the others on its grid.
    let batches = rig.ups(5).await;
    rig.stop().await;
    for pair in batches[1..].windows(2) {
        assert_eq!(pair[1].at_ms - pair[0].at_ms, 2_000);
        assert_eq!(pair[1].at_ms % 2_000, 0);
    }
    assert_eq!(rig.info().interval_ms, 2_000);
}

#[tokio::test(start_paused = true)]
async fn one_that_had_to_be_forced_to_stop_is_named() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"], "stops_badly": true})));
    rig.ups(2).await;
    rig.wish(library("b", json!({"declare": ["a"], "stops_badly": true})));
    let batches = rig.ups(3).await;
    assert_no_gap(&batches);
    let faults = rig.info().faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].reason, "deadline");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_successor_whose_source_went_on_without_it_is_started_again() {
    let mut rig = Rig::start(settings(json!({"declare": ["a"], "stop_ms": 300})));
    rig.ups(2).await;
    rig.wish(library(
        "b",
        json!({"declare": ["a"], "starts_again": true}),
    ));
    let batches = rig.ups(4).await;
    assert_no_gap(&batches);
    rig.stop().await;
    let log = rig.log();
    assert_eq!(
        (rig.said("2 starts"), rig.said("1 stops")),
        (2, 1),
        "{log:?}"
    );
    assert_eq!(rig.stats.restarts_total(), 0, "it is no failure");
    assert!(rig.retired().is_empty());
}
