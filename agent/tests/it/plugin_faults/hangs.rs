//! What does not come back, at each of the moments at which a plugin is called.

use super::trial::{Trial, When, got_over, restarts};
use crate::agent::{alive, until};

/// A collect that the SDK gave up. On a machine that is busy the agent's word comes before its own look at the time.
pub(super) const DROPPED: (&str, &str) = (
    "refused",
    "was not done by its deadline|was given up by the agent",
);

/// Whoever minds the deadline, the plugin or the agent: it was missed.
async fn misses_its_deadline(fault: &str, named: (&str, &str)) {
    let (trial, info) = got_over("faulty", fault, "timeout = \"300ms\"", named).await;
    let missed = info["deadlinesMissed"].as_u64();
    assert!(missed >= Some(1), "{info:#}");
    let metric = trial.metric("barograph_plugin_deadline_missed_total");
    trial
        .agent
        .value_that(&metric, |missed| missed >= Some(1.0))
        .await;
    trial.end().await;
}

#[tokio::test]
async fn a_collect_that_blocks_is_ended_at_its_deadline() {
    let named = ("deadline", "did not answer within 300 ms");
    misses_its_deadline("hang-collect", named).await;
}

#[tokio::test]
async fn a_collect_that_only_waits_is_dropped_at_its_deadline_by_the_sdk() {
    misses_its_deadline("hang-async", DROPPED).await;
}

#[tokio::test]
async fn a_start_that_blocks_is_ended_and_tried_again() {
    let trial = Trial::at(
        When::AtOnce,
        "faulty",
        "hang-create",
        "start_timeout = \"1s\"",
    )
    .await;
    trial.named("start", "was not ready within 1000 ms").await;
    let info = trial.up().await;
    assert_eq!(info["restarts"]["start"], 1, "{info:#}");
    trial.end().await;
}

#[tokio::test]
async fn a_start_that_takes_its_time_is_waited_for() {
    let more = "start_timeout = \"1m\"";
    let trial = Trial::at(When::AtOnce, "faulty", "slow-start", more).await;
    trial.fired().await;
    let info = trial.info().await;
    assert_eq!(info["phase"], "starting", "{info:#}");
    // It goes on when it is fired again.
    trial.fire();
    let info = trial.up().await;
    assert_eq!(restarts(&info), 0, "{info:#}");
    trial.end().await;
}

#[tokio::test]
async fn a_stop_that_blocks_holds_up_no_successor() {
    let trial = Trial::start("faulty", "hang-stop", "").await;
    let host = trial.agent.host(&trial.name).await;
    trial.fire();
    trial.reload_with("restart = true");
    let says = "did not stop within 1000 ms";
    trial.named("deadline", says).await;
    assert!(!alive(host), "the one that was stopped still runs");
    let info = trial.up().await;
    assert_eq!(info["reload"]["outcome"], "switched", "{info:#}");
    assert!(info["pid"].is_u64() && info["pid"] != host, "{info:#}");
    trial.end().await;
}

#[tokio::test]
async fn a_stop_that_blocks_keeps_no_collector_that_was_taken_out() {
    let trial = Trial::start("faulty", "hang-stop", "").await;
    let host = trial.agent.host(&trial.name).await;
    trial.fire();
    trial.agent.reload("");
    until("the end of its process", || (!alive(host)).then_some(())).await;
    let is_gone = |info: &serde_json::Value| info.is_null();
    trial.info_that(is_gone).await;
    trial.end().await;
}

#[tokio::test]
async fn a_stop_that_blocks_holds_up_no_end_of_the_agent() {
    let trial = Trial::start("faulty", "hang-stop", "").await;
    trial.fire();
    // An agent that does not stop within its 10 s says so by its exit code.
    trial.end().await;
}
