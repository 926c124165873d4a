//! Lookups by way of a supervisor.

use super::*;

#[tokio::test(start_paused = true)]
async fn one_is_answered_between_two_ticks() {
    let mut rig = Rig::start(settings(json!({})));
    rig.ups(2).await;
    for _ in 0..3 {
        assert_eq!(rig.look_up("is_admin").await.as_deref(), Ok("[\"x\"]"));
        rig.ups(1).await;
    }
    assert_eq!(rig.said("looks up is_admin"), 3, "{:?}", rig.log());
    rig.stop().await;
    let gone = rig.look_up("is_admin").await;
    assert_eq!(gone, Err("there is no collector c".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn one_waits_for_a_collect_and_the_next_is_told_to_come_again() {
    let mut rig = Rig::start(settings(json!({"collect_ms": 700})));
    rig.ups(1).await;
    // In the middle of the next collect.
    tokio::time::sleep(ms(500)).await;
    let (first, second) = tokio::join!(rig.look_up("first"), rig.look_up("second"));
    assert_eq!(first.as_deref(), Ok("[\"x\"]"));
    let busy = "c is still answering another lookup; come again";
    assert_eq!(second, Err(busy.to_owned()));
    rig.ups(2).await;
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_waits_for_any_more_is_not_handed_on() {
    let mut rig = Rig::start(settings(json!({"collect_ms": 700})));
    rig.ups(1).await;
    tokio::time::sleep(ms(500)).await;
    let gone = tokio::time::timeout(ms(50), rig.look_up("gone")).await;
    assert!(gone.is_err());
    rig.ups(2).await;
    assert_eq!(rig.said("looks up"), 0, "{:?}", rig.log());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_run_answers_so() {
    let mut rig = Rig::start(settings(json!({"fails_starts": 1_000})));
    while rig.info().phase != PluginPhase::Open {
        rig.batch().await;
    }
    let answer = rig.look_up("is_admin").await;
    assert_eq!(answer, Err("c: is not running".to_owned()));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_first_answers_so() {
    let mut rig = Rig::start(settings(json!({"holds_lookups": true, "dies_at": [3]})));
    rig.ups(2).await;
    let answer = rig.look_up("is_admin").await;
    assert_eq!(answer, Err("c: ended before it answered".to_owned()));
    while !rig.batch().await.up {}
    rig.stop().await;
}
