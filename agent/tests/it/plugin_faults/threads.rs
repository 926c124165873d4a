//! Plugins that were let into the agent itself by `isolation = "thread"`: a panic and a hang are survived.

use super::hangs::DROPPED;
use super::trial::{Trial, check, restarts};
use crate::agent::{Agent, library, until};

const THREAD: &str = "isolation = \"thread\"\ntimeout = \"300ms\"";

#[tokio::test]
async fn a_panic_on_the_agents_thread_costs_the_instance() {
    let named = ("failed", "panicked: as the fixture was told");
    check("faulty", "panic", THREAD, named).await;
}

#[tokio::test]
async fn a_collect_that_only_waits_is_dropped_there_too() {
    check("faulty", "hang-async", THREAD, DROPPED).await;
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
    trial.has_gaps().await;
    // The agent does not wait for it when it ends either.
    trial.end().await;
}

#[tokio::test]
async fn the_warning_of_a_thread_is_told_once_and_again_when_the_section_asks_for_it_anew() {
    let told = "runs on a thread of the agent";
    let path = library("template").display().to_string();
    let process = format!("[plugins.template]\npath = {path:?}\n");
    let thread = format!("{process}isolation = \"thread\"\n");
    let agent = Agent::with(&thread).await;
    assert_eq!(agent.log().matches(told).count(), 1, "{}", agent.log());
    for (number, (config, warnings)) in
        (1..).zip([(&thread, 1), (&process, 1), (&process, 1), (&thread, 2)])
    {
        agent.reload(config);
        let log = until("the reload", || {
            let log = agent.log();
            let reloads = log.matches("the configuration was reloaded").count();
            (reloads == number).then_some(log)
        })
        .await;
        assert_eq!(log.matches(told).count(), warnings, "{number}: {log}");
    }
    let log = agent.log();
    let same = "was reloaded and is as before; libraries were looked at too";
    assert_eq!(log.matches(same).count(), 2, "{log}");
    assert_eq!(log.matches("applied=\"plugins\"").count(), 2, "{log}");
    assert!(!log.contains("applied=\"\""), "{log}");
}
