//! Plugins that were let into the agent itself by `isolation = "thread"`: a panic and a hang are survived.

use super::trial::{Trial, check, restarts};

const THREAD: &str = "isolation = \"thread\"\ntimeout = \"300ms\"";

#[tokio::test]
async fn a_panic_on_the_agents_thread_costs_the_instance() {
    let named = ("failed", "panicked: as the fixture was told");
    check("faulty", "panic", THREAD, named).await;
}

#[tokio::test]
async fn a_collect_that_only_waits_is_dropped_there_too() {
    check(
        "faulty",
        "hang-async",
        THREAD,
        ("refused", "was not done by its deadline"),
    )
    .await;
}

#[tokio::test]
async fn a_thread_that_hangs_is_stuck_and_left_alone() {
    let trial = Trial::start("faulty", "hang-collect", THREAD).await;
    trial.fire();
    trial
        .named("deadline", "did not answer within 300 ms")
        .await;
    let info = trial.info_that(|info| info["phase"] == "stuck").await;
    assert_eq!(info["isolation"], "thread", "{info:#}");
    assert_eq!(info["pid"], serde_json::Value::Null, "{info:#}");
    assert_eq!(restarts(&info), 1, "{info:#}");
    // The agent does not wait for it when it ends either.
    trial.end().await;
}
