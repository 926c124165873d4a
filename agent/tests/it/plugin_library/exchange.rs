//! A library of another topic, another isolation, a first instance: another collector in the place of one that runs.
//! It is tried before, and only one that does well ends the old one.

use std::fs;

use serde_json::{Value, json};

use super::{Place, runs};
use crate::agent::{Agent, alive, until};
use crate::plugin_faults::trial::Watch;

const OTHER_TOPIC: &str = "-DTOPIC=\"other\"";
/// A library of another topic, with another fault.
const FAULTS: [(&str, &str); 4] = [
    ("-DBEFORE_CREATE=abort()", "SIGABRT"),
    ("-DBEFORE_CREATE=sleep(60)", "was not ready within 1000 ms"),
    ("-DBEFORE_CREATE=exit(3)", "exited with code 3"),
    (
        "-DRESULT=BAROGRAPH_E_UNAVAILABLE",
        "the source does not answer",
    ),
];
const KEYS: &str = "start_timeout = \"1s\"\n";

/// Waits until a reload has come to this after the one before it.
async fn reloaded(agent: &Agent, before: &mut Option<i64>, outcome: &str) -> Value {
    let info = agent
        .plugin_that("probe", |info| info["reload"]["at"].as_i64() > *before)
        .await;
    assert_eq!(info["reload"]["outcome"], outcome, "{info:#}");
    *before = info["reload"]["at"].as_i64();
    info
}

#[tokio::test]
async fn a_library_of_another_topic_is_tried_before_the_old_one_ends() {
    let place = Place::new();
    let agent = Agent::with(&place.config(KEYS)).await;
    let system = Watch::on(&agent, "system").await;
    let own = Watch::on(&agent, "probe").await;
    let host = agent.host("probe").await;
    let mut last = None;
    for isolation in ["process", "thread"] {
        let keys = format!("{KEYS}isolation = {isolation:?}\n");
        for (fault, says) in FAULTS {
            place.compile(&["-DBUILD=2", OTHER_TOPIC, fault], &place.library());
            // A thread that aborts would take the agent down, so no trial is one.
            agent.reload(&place.config(&keys));
            let info = reloaded(&agent, &mut last, "refused").await;
            let reason = info["reload"]["reason"].as_str().unwrap_or_default();
            assert!(reason.contains(says), "{info:#}");
            let error = info["error"].as_str().unwrap_or_default();
            assert!(error.contains(says), "{info:#}");
            assert_eq!(
                (&info["phase"], &info["topic"], &info["pid"]),
                (&json!("running"), &json!("probe"), &json!(host)),
                "{info:#}"
            );
            let log = || agent.log().contains(&format!("as before: {reason}"));
            until("the word in the log", || log().then_some(())).await;
            until("the end of what was tried", || {
                (agent.hosts("probe") == [host]).then_some(())
            })
            .await;
        }
    }
    own.seen_more(2).await;
    own.end(&agent, "probe").await;
    // Mended, it is taken at once; its metric has the same name and another topic.
    place.compile(&["-DBUILD=3", OTHER_TOPIC], &place.library());
    agent.reload(&place.config(KEYS));
    let info = reloaded(&agent, &mut last, "switched").await;
    assert_eq!(info["topic"], "other", "{info:#}");
    runs(&agent, 3).await;
    until("the end of the old one", || (!alive(host)).then_some(())).await;
    let info = agent
        .plugin_that("probe", |info| info["error"].is_null())
        .await;
    assert_eq!(info["series"], 1, "{info:#}");
    assert_eq!(agent.value("other_up").await, Some(1.0));
    assert_eq!(agent.value("probe_up").await, None, "its series are gone");
    system.end(&agent, "system").await;
}

#[tokio::test]
async fn a_plugin_gets_instances_and_loses_them_again() {
    let place = Place::new();
    let agent = Agent::with(&place.config("")).await;
    runs(&agent, 1).await;
    let instances = |names: &[&str]| {
        let section = |name: &&str| format!("[[plugins.probe.instances]]\nname = {name:?}\n");
        names.iter().map(section).collect::<String>()
    };
    // One that is called as the plugin itself, and only others.
    for names in [["probe", "second"], ["first", "second"]] {
        agent.reload(&place.config(&instances(&names)));
        for name in names {
            let line = format!("probe_build{{instance={name:?}}}");
            sampled(&agent, &line).await;
        }
        let metrics = agent.get("/metrics").await.body;
        assert_eq!(metrics.matches("\nprobe_build{").count(), 2, "{metrics}");
        agent.reload(&place.config(""));
        sampled(&agent, "probe_build ").await;
        let info = agent
            .plugin_that("probe", |info| info["error"].is_null())
            .await;
        assert_eq!(info["phase"], "running", "{info:#}");
    }
}

/// Waits for a sample of a series.
async fn sampled(agent: &Agent, line: &str) {
    let wait = async {
        while agent.value(line).await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(crate::agent::PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("{line} does not come\n{}", agent.log()));
}

#[tokio::test]
async fn one_that_does_not_run_is_exchanged_at_once() {
    let place = Place::new();
    place.compile(&["-DBUILD=1", "-DBEFORE_CREATE=exit(3)"], &place.library());
    let agent = Agent::with(&place.config("")).await;
    agent
        .plugin_that("probe", |info| info["phase"] == "waiting")
        .await;
    place.compile(&["-DBUILD=2", OTHER_TOPIC], &place.library());
    agent.signal("HUP");
    runs(&agent, 2).await;
    let info = agent.plugin("probe").await;
    assert_eq!(info["reload"]["outcome"], "switched", "{info:#}");
}

#[tokio::test]
async fn neither_a_stop_nor_another_reload_waits_for_a_trial() {
    const PATIENT: &str = "start_timeout = \"5m\"\n";
    let place = Place::new();
    let mut agent = Agent::with(&place.config(PATIENT)).await;
    runs(&agent, 1).await;
    let host = agent.host("probe").await;
    let marker = place.0.path().join("tried");
    let hang = format!(
        "-DBEFORE_CREATE=(fclose(fopen(\"{}\", \"w\")), pause())",
        marker.display()
    );
    let hangs = ["-DBUILD=2", OTHER_TOPIC, &hang];
    let tried = |agent: &Agent, running| {
        fs::remove_file(&marker).ok()?;
        assert!(alive(running), "it was ended before the trial");
        let hosts = agent.hosts("probe");
        let tried = hosts.into_iter().find(|pid| *pid != running);
        Some(tried.expect("its process"))
    };
    place.compile(&hangs, &place.library());
    agent.signal("HUP");
    let first = until("a trial", || tried(&agent, host)).await;
    place.put(3);
    agent.signal("HUP");
    runs(&agent, 3).await;
    until("the end of the trial", || (!alive(first)).then_some(())).await;
    let host = agent.host("probe").await;
    place.compile(&hangs, &place.library());
    agent.signal("HUP");
    let second = until("a trial", || tried(&agent, host)).await;
    agent.signal("TERM");
    assert_eq!(agent.end().await, Some(0), "{}", agent.log());
    assert!(!alive(second) && !alive(host));
}
