//! Calls that the contract forbids, from a table written by hand.

use super::trial::{Trial, restarts};
use crate::agent::until;

/// Pushes of the fixture after its stop.
const PUSHES: usize = 100;

/// Lets the fault happen once; the collect goes on, and what could not be taken is counted and named.
async fn refused(fault: &str, says: &str) {
    let trial = Trial::start("raw", fault, "").await;
    trial.fire();
    trial.named("refused", says).await;
    let info = trial.up().await;
    assert!(info["samplesRefused"].as_u64() >= Some(1), "{info:#}");
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
    refused("invalid-utf8", "name").await;
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
        let file = trial.agent.folder().path().join("answers");
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
