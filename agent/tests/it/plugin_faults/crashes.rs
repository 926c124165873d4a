//! What ends a plugin's process, or would end the agent's if it were not one of its own.

use std::path::Path;

use super::trial::{Trial, When, check, restarts};
use crate::agent::{alive, until};

#[tokio::test]
async fn a_panic_costs_the_instance() {
    let named = ("failed", "panicked: as the fixture was told");
    check("faulty", "panic", "", named).await;
}

#[tokio::test]
async fn a_panic_on_a_thread_of_the_plugin_costs_that_thread() {
    let trial = Trial::start("faulty", "panic-thread", "").await;
    trial.fire();
    until("the word on it", || {
        let log = trial.agent.log();
        log.contains("on a thread, as the fixture was told")
            .then_some(())
    })
    .await;
    let info = trial.up().await;
    assert_eq!(restarts(&info), 0, "{info:#}");
    trial.end().await;
}

#[tokio::test]
async fn a_write_through_a_null_pointer_ends_its_process() {
    check("faulty", "null-write", "", ("killed", "signal 11")).await;
}

#[tokio::test]
async fn a_stack_that_overflows_ends_its_process() {
    check("faulty", "stack-overflow", "", ("killed", "signal 11")).await;
}

#[tokio::test]
async fn an_abort_ends_its_process() {
    check("faulty", "abort", "", ("killed", "signal 6")).await;
}

#[tokio::test]
async fn an_exit_ends_its_process() {
    check("faulty", "exit", "", ("exited", "exited with code 3")).await;
}

#[tokio::test]
async fn a_kill_of_its_own_group_reaches_nobody_else() {
    check("faulty", "kill-0", "", ("killed", "signal 9")).await;
}

#[tokio::test]
async fn a_closed_link_ends_its_process() {
    let trial = Trial::start("faulty", "close-fd3", "").await;
    trial.fire();
    trial.named("exited", "exited with code 1").await;
    until("the word on it", || {
        let log = trial.agent.log();
        log.contains("closed or replaced descriptor 3")
            .then_some(())
    })
    .await;
    trial.up().await;
    trial.end().await;
}

#[tokio::test]
async fn garbage_on_the_link_ends_its_process() {
    check("faulty", "garbage-link", "", ("protocol", "frame of")).await;
}

#[tokio::test]
async fn one_that_always_exits_is_started_after_pauses() {
    let trial = Trial::at(When::Always, "faulty", "exit", "").await;
    let info = trial.info_that(|info| info["phase"] == "waiting").await;
    assert!(
        info["nextStartAt"].as_i64() > info["since"].as_i64(),
        "{info:#}"
    );
    assert!(restarts(&info) >= 2, "{info:#}");
    let error = info["error"].as_str().unwrap_or_default();
    assert!(error.contains("exited with code 3"), "{error}");
    trial.has_gaps().await;
    assert_eq!(trial.agent.json("/healthz").await["status"], "degraded");
    trial.end().await;
}

#[tokio::test]
async fn grandchildren_that_nobody_waits_for_are_ended() {
    let trial = Trial::start("faulty", "fork-50", "pids = \"FOLDER/pids\"").await;
    trial.fire();
    trial.named("exited", "exited with code 4").await;
    let pids = forked(&trial.own().join("pids"));
    assert_eq!(pids.len(), 50);
    until("the end of all grandchildren", || {
        pids.iter().all(|pid| !alive(*pid)).then_some(())
    })
    .await;
    // Reaped too: nothing waits for ever in the table of processes.
    until("the last of them to be reaped", || {
        let is_gone = |pid: &u32| !Path::new(&format!("/proc/{pid}")).exists();
        pids.iter().all(is_gone).then_some(())
    })
    .await;
    trial.up().await;
    trial.end().await;
}

fn forked(file: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(file).expect("the fixture writes it");
    text.lines().filter_map(|line| line.parse().ok()).collect()
}
