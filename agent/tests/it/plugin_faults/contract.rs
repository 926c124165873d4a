//! Calls that the contract forbids, from a table written by hand.

use super::trial::{Trial, When, restarts};
use crate::agent::until;

/// Pushes of the fixture after its stop.
const PUSHES: usize = 100;
/// The fixture's bytes that are no UTF-8, as people may see them.
const SHOWN: &str = "a\u{fffd}(\u{fffd}";

/// Lets the fault happen once; the collect goes on, and what could not be taken is counted and named.
async fn refused(fault: &str, says: &str) {
    let trial = Trial::start("raw", fault, "").await;
    trial.fire();
    trial.named("refused", says).await;
    let info = trial.up().await;
    assert!(info["refused"].as_u64() >= Some(1), "{info:#}");
    assert_eq!(restarts(&info), 0, "{info:#}");
    let value = trial.agent.value("raw_collects{").await;
    assert!(value.is_some_and(f64::is_finite), "{value:?}");
    trial.end().await;
}

#[tokio::test]
async fn values_that_are_not_finite_are_refused_and_the_others_kept() {
    refused("not-finite", "finite").await;
}

#[tokio::test]
async fn text_that_is_not_utf8_reaches_nobody_as_it_is() {
    // Each time: what is sampled once is gone with the next tick.
    let trial = Trial::at(When::Always, "raw", "invalid-utf8", "").await;
    let says = format!("the metric name `{SHOWN}` is not of the form");
    trial.named("refused", &says).await;
    let (name, agent) = (&trial.name, &trial.agent);
    let series = format!("raw_collects{{instance=\"{name}\",of=\"{SHOWN}\"}} ");
    agent.value_that(&series, |value| value == Some(1.0)).await;
    let catalog = agent.json("/api/catalog").await;
    let metrics = catalog["metrics"].as_array().expect("metrics").iter();
    let names: Vec<_> = metrics
        .filter(|metric| metric["topic"] == "raw")
        .filter_map(|metric| metric["name"].as_str())
        .collect();
    assert_eq!(names, ["raw_collects", "raw_up", "raw_collect_seconds"]);
    let line = format!(" plugin: {SHOWN} collector=\"{name}\"");
    let log = until("its line", || {
        Some(agent.log()).filter(|log| log.contains(&line))
    })
    .await;
    let is_strange = |c: &char| c.is_control() && *c != '\n';
    assert_eq!(log.chars().find(is_strange), None, "{log}");
    let info = trial.info().await;
    assert_eq!(restarts(&info), 0, "{info:#}");
    trial.end().await;
}

#[tokio::test]
async fn ids_that_were_never_given_are_refused() {
    refused("garbage-ids", "series").await;
}

/// In a process of its own and on a thread of the agent, where the host's table has to outlive the instance.
#[tokio::test]
async fn pushes_after_the_stop_are_answered_with_closed() {
    for isolation in ["process", "thread"] {
        let more = format!("isolation = {isolation:?}\nanswers = \"FOLDER/answers\"");
        let trial = Trial::start("raw", "push-after-stop", &more).await;
        trial.agent.reload("");
        let file = trial.own().join("answers");
        // All of them: the file is there before what is written into it.
        let answers = until("the answers", || {
            let text = std::fs::read_to_string(&file).ok()?;
            (text.lines().count() == PUSHES).then_some(text)
        })
        .await;
        // E_CLOSED, each time.
        assert!(
            answers.lines().all(|code| code == "-6"),
            "{isolation}: {answers}"
        );
        trial.end().await;
    }
}
