//! Metrics under names that are the agent's own: what it says of itself and of each collector can't be taken away.

use serde_json::Value;

use crate::agent::{Agent, library, until};

/// A section of the fixture that declares these names besides its own, and then other sections.
fn config(names: &[&str], others: &str) -> String {
    let path = library("raw").display().to_string();
    format!("[plugins.raw]\npath = {path:?}\nnames = {names:?}\n{others}")
}

fn template() -> String {
    let path = library("template").display().to_string();
    format!("[plugins.template]\npath = {path:?}\n")
}

fn says(info: &Value, words: &[&str]) -> bool {
    let error = info["error"].as_str().unwrap_or_default();
    words.iter().all(|word| error.contains(word))
}

#[tokio::test]
async fn a_name_of_another_collectors_topic_is_refused_whoever_comes_first() {
    // Here it stands first and is ready first.
    let names = ["template_up", "system_collect_seconds", "raw_link_up"];
    let agent = Agent::with(&config(&names, &template())).await;
    let info = agent
        .plugin_that("raw", |info| {
            says(info, &["`template_up`", "topic `template`"])
        })
        .await;
    assert_eq!(info["phase"], "running", "{info:#}");
    for collector in ["system", "template"] {
        agent
            .plugin_that(collector, |info| info["error"].is_null())
            .await;
        agent
            .component_that(collector, |component| component["up"] == true)
            .await;
        let up = format!("{collector}_up{{instance=\"{collector}\"}}");
        assert_eq!(agent.value(&up).await, Some(1.0));
    }
    let seconds = agent.value("system_collect_seconds{").await;
    assert!(seconds.is_some_and(|seconds| seconds < 5.0), "{seconds:?}");
    assert_eq!(agent.value("raw_link_up{").await, Some(7.0), "is nobody's");
    assert_eq!(
        agent.value("raw_collects{").await.map(f64::is_finite),
        Some(true)
    );
}

#[tokio::test]
async fn the_agents_prefix_and_the_own_topics_names_are_refused_at_the_start() {
    for name in ["barograph_plugin_up", "raw_up", "raw_collect_seconds"] {
        let agent = Agent::with(&config(&[name], "")).await;
        let named = format!("`{name}` can't be a plugin's");
        let info = agent.plugin_that("raw", |info| says(info, &[&named])).await;
        assert_eq!(info["faults"][0]["reason"], "start", "{info:#}");
        let up = agent.value("barograph_plugin_up{plugin=\"raw\"").await;
        assert_eq!(up, Some(0.0));
        assert_eq!(agent.value("raw_up{").await, Some(0.0));
    }
}

#[tokio::test]
async fn a_topic_that_comes_when_its_name_is_taken_says_by_whom_and_what_to_do() {
    let names = ["template_up"];
    let agent = Agent::with(&config(&names, "")).await;
    agent
        .plugin_that("raw", |info| info["collectMs"].is_number())
        .await;
    assert_eq!(agent.value("template_up{").await, Some(7.0));
    agent.reload(&config(&names, &template()));
    let words = ["`template_up`", "plugin `raw`", "restart the agent"];
    agent
        .plugin_that("template", |info| says(info, &words))
        .await;
    until("the same in the log", || {
        let log = agent.log();
        log.contains("the agent can't say `template_up`")
            .then_some(())
    })
    .await;
    // Its own samples are there.
    assert!(agent.value("template_load1").await.is_some());
}
