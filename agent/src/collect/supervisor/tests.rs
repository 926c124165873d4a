mod lookups;
mod reload;
mod rig;

use super::*;
use crate::protocol::PluginPhase;
use rig::{Rig, ms, settings};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn what_is_not_declared_again_is_retired_also_after_a_start_that_failed() {
    let mut rig = Rig::start(settings(
        json!({"declare": ["stays", "goes"], "dies_at": [3]}),
    ));
    rig.ups(2).await;
    // Its second start fails, and its third declares less.
    rig.script(json!({"declare": ["stays"], "fails_starts": 1, "dies_at": [3]}));
    while rig.batch().await.up {}
    while !rig.batch().await.up {}
    rig.stop().await;
    assert_eq!(rig.retired(), ["goes"]);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_opens_is_told_and_closes_after_a_good_minute() {
    let mut rig = Rig::start(settings(json!({"fails_starts": 6})));
    while rig.info().phase != PluginPhase::Open {
        rig.batch().await;
    }
    let info = rig.info();
    assert!(
        info.error
            .as_deref()
            .is_some_and(|e| e.ends_with("is only probed, at least every 5 min")),
        "{info:?}"
    );
    let shown = rig.component();
    assert_eq!((shown.up, shown.error), (false, info.error));
    assert!(
        info.next_start_at.is_some_and(|at| at > info.since),
        "it says when"
    );
    assert!(rig.stats.circuit_open.load(Ordering::Relaxed));
    // It is probed all the while, and comes back.
    while !rig.batch().await.up {}
    assert_eq!(rig.info().phase, PluginPhase::Running);
    assert!(
        rig.stats.circuit_open.load(Ordering::Relaxed),
        "a moment is not enough"
    );
    let mut ticks = 0;
    while rig.stats.circuit_open.load(Ordering::Relaxed) {
        assert!(rig.batch().await.up);
        ticks += 1;
    }
    assert!((60..=360).contains(&ticks), "closed after {ticks} s");
    assert_eq!(rig.info().restarts["start"], 6);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_of_one_that_is_only_probed_starts_it_at_once() {
    let mut rig = Rig::start(settings(json!({"fails_starts": 1_000})));
    while rig.info().phase != PluginPhase::Open {
        rig.batch().await;
    }
    let before = rig.clock.mono();
    rig.wish(settings(json!({"declare": ["new"]})));
    while !rig.batch().await.up {}
    assert!(rig.clock.mono() - before < ms(1_500), "without the pause");
    assert!(!rig.stats.circuit_open.load(Ordering::Relaxed));
    let info = rig.info();
    assert_eq!((info.phase, info.error), (PluginPhase::Running, None));
    assert_eq!(info.reload.unwrap().outcome, "switched");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_counted_and_named_once() {
    let mut rig = Rig::start(settings(json!({"refuses": 3})));
    rig.ups(4).await;
    rig.stop().await;
    let info = rig.info();
    assert!(info.refused >= 12, "{info:?}");
    let message = "3 were refused: not a finite number";
    assert_eq!(info.error.as_deref(), Some(message));
    let [fault] = info.faults.as_slice() else {
        panic!("{info:?}")
    };
    assert_eq!(
        (fault.reason.as_str(), fault.message.as_str()),
        ("refused", message)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_counted_also_where_the_collect_failed() {
    let mut rig = Rig::start(settings(
        json!({"fails_collects": true, "refuses": 3, "drops": 2}),
    ));
    let mut failed = 0;
    while failed < 4 {
        failed += u64::from(!rig.batch().await.up);
    }
    rig.stop().await;
    let info = rig.info();
    let collects = u64::try_from(rig.said("collects")).unwrap();
    assert!(collects >= 3, "{:?}", rig.log());
    assert_eq!(info.refused, 3 * collects);
    assert_eq!(info.series_dropped, 2 * collects);
    assert_eq!(info.error.as_deref(), Some("no answer"));
}

/// Whoever ends it at its deadline; a source that refuses at once, or answers late, misses none.
#[tokio::test(start_paused = true)]
async fn a_collect_that_fails_at_its_deadline_has_missed_it() {
    for (script, misses) in [
        (json!({"fails_collects": true, "collect_ms": 800}), true),
        (json!({"fails_collects": true, "collect_ms": 799}), false),
        (json!({"collect_ms": 810}), false),
        (json!({"dies_at": [1], "collect_ms": 900}), true),
        (json!({"dies_at": [1]}), false),
    ] {
        let mut rig = Rig::start(settings(script.clone()));
        rig.batch().await;
        // Nothing of it goes on: what is counted belongs to the collects that are over.
        rig.stop().await;
        let missed = rig.info().deadlines_missed;
        assert_eq!(missed, u64::from(misses), "{script}: {:?}", rig.log());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stuck_is_not_started_until_it_is_not() {
    let mut rig = Rig::start(settings(json!({"dies_at": [3], "stuck_looks": 40})));
    rig.ups(2).await;
    while rig.info().phase != PluginPhase::Stuck {
        rig.batch().await;
    }
    let starts = rig.said("starts");
    while !rig.batch().await.up {}
    assert_eq!(rig.said("starts"), starts + 1, "{:?}", rig.log());
    assert_eq!(rig.info().restarts["exited"], 1, "waiting is no failure");
    rig.stop().await;
}
