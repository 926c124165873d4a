//! What a plugin has against its keys: it costs the collector that they are for, and nobody else.
//!
//! The plugin is a small one in C whose only sample is its key `value`. It writes a line to the file `asked` beside its
//! library whenever it is asked what it thinks of its keys.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::agent::{Agent, until};
use crate::cli::{barograph, stderr};
use crate::compiler::{beside, compile};

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a temp folder"));
        place.build(&[]);
        place
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn build(&self, more: &[&str]) {
        let asked = format!("-DASKED=\"{}\"", self.path("asked").display());
        let new = self.path("new.so");
        let defined = [&[asked.as_str()], more].concat();
        compile(&beside("plugin_keys/number.c"), &defined, &new);
        fs::rename(new, self.path("number.so")).expect("the same folder");
    }

    /// Two collectors with these keys.
    fn config(&self, one: &str, two: &str) -> String {
        let path = self.path("number.so").display().to_string();
        format!(
            "[plugins.number]\npath = {path:?}\n[[plugins.number.instances]]\nname = 'one'\n{one}\n\
             [[plugins.number.instances]]\nname = 'two'\n{two}\n"
        )
    }

    /// How often it was asked so far.
    fn asked(&self) -> usize {
        let lines = fs::read_to_string(self.path("asked")).unwrap_or_default();
        lines.lines().count()
    }
}

/// Waits until a collector samples this.
async fn samples(agent: &Agent, name: &str, value: f64) {
    let start = format!("number_value{{instance={name:?}}}");
    for _ in 0..1_000 {
        if agent.value(&start).await == Some(value) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{name} does not sample {value}\n{}", agent.log());
}

/// Waits until a collector has this against its keys; gives the whole error.
async fn refused(agent: &Agent, name: &str, says: &str) -> String {
    let info = agent
        .plugin_that(name, |info| {
            info["error"].as_str().is_some_and(|it| it.contains(says))
        })
        .await;
    until("the word in the log", || {
        agent.log().contains(says).then_some(())
    })
    .await;
    info["error"].as_str().expect("an error").to_owned()
}

/// Waits for so many reloads in all.
async fn reloads(agent: &Agent, count: usize) {
    let words = "the configuration was reloaded";
    until("a reload", || {
        (agent.log().matches(words).count() >= count).then_some(())
    })
    .await;
}

fn check(config: &Path) -> Option<i32> {
    let folder = config.parent().expect("a folder");
    let output = barograph(folder, &[], &["check", "--config", "config.toml"]);
    assert!(stderr(&output).contains("config.toml:5: plugins.number.instances[0]."));
    output.status.code()
}

#[tokio::test]
async fn a_wrong_key_refuses_its_collector_and_the_agent_starts() {
    let place = Place::new();
    let wrong = place.config("valeu = 1\nvalue = 'x'", "value = 2");
    let agent = Agent::with(&wrong).await;
    samples(&agent, "two", 2.0).await;
    let file = agent.config_file().display().to_string();
    let says = format!("{file}:5: plugins.number.instances[0].valeu: ");
    let error = refused(&agent, "one", &says).await;
    let second = format!("; {file}:6: plugins.number.instances[0].value: ");
    assert!(
        error.starts_with(&says) && error.contains(&second),
        "{error}"
    );
    let info = agent.plugin("one").await;
    assert_eq!(info["phase"], "refused", "{info:#}");
    assert_eq!(agent.hosts("one"), [0; 0]);
    assert_eq!(agent.json("/healthz").await["status"], "degraded");
    assert_eq!(check(&agent.config_file()), Some(2));
    // It is asked again as long as it does not run.
    agent.signal("HUP");
    reloads(&agent, 1).await;
    assert_eq!(agent.plugin("one").await["error"], error.as_str());
    // Mended, it runs, and the other one noticed nothing.
    let host = agent.host("two").await;
    agent.reload(&place.config("value = 1", "value = 2"));
    samples(&agent, "one", 1.0).await;
    assert_eq!(agent.host("two").await, host);
}

#[tokio::test]
async fn a_wrong_key_keeps_the_old_collector_and_all_else_is_reloaded() {
    let place = Place::new();
    let agent = Agent::with(&place.config("value = 1", "value = 2")).await;
    samples(&agent, "one", 1.0).await;
    samples(&agent, "two", 2.0).await;
    let host = agent.host("one").await;
    let wrong = place.config("value = 'x'", "value = 3");
    agent.reload(&format!("{wrong}[log]\nlevel = 'debug'\n"));
    refused(
        &agent,
        "one",
        "config.toml:5: plugins.number.instances[0].value: ",
    )
    .await;
    samples(&agent, "two", 3.0).await;
    samples(&agent, "one", 1.0).await;
    assert_eq!(agent.host("one").await, host);
    reloads(&agent, 1).await;
    assert!(
        agent.log().contains("applied=\"log, plugins\""),
        "{}",
        agent.log()
    );
    let info = agent.plugin("one").await;
    assert_eq!(
        (&info["phase"], &info["reload"]["outcome"]),
        (&"running".into(), &"refused".into()),
        "{info:#}"
    );
    assert_eq!(check(&agent.config_file()), Some(2));
    agent.reload(&place.config("value = 4", "value = 3"));
    samples(&agent, "one", 4.0).await;
}

#[tokio::test]
async fn a_reload_asks_only_what_has_changed() {
    let place = Place::new();
    let agent = Agent::with(&place.config("value = 1", "value = 2")).await;
    for (name, value) in [("one", 1.0), ("two", 2.0)] {
        samples(&agent, name, value).await;
    }
    assert_eq!(place.asked(), 2);
    agent.signal("HUP");
    reloads(&agent, 1).await;
    assert_eq!(place.asked(), 2, "nothing has changed");
    agent.reload(&place.config("value = 1", "value = 3"));
    samples(&agent, "two", 3.0).await;
    assert_eq!(place.asked(), 3, "the second one's keys");
    // Another library under the same path.
    place.build(&["-DTIMES=10"]);
    agent.signal("HUP");
    for (name, value) in [("one", 10.0), ("two", 30.0)] {
        samples(&agent, name, value).await;
    }
    assert_eq!(place.asked(), 5);
}
