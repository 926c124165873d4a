//! A plugin's configuration is judged by the schema of its manifest, also where the plugin judges nothing itself: by
//! the checks, at a start and at a reload.
//!
//! What is wrong with a key is told with its line. What is wrong with the section as a whole is no key's fault: the
//! collector itself says so, which then does not start, or goes on as before.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agent::{Agent, library, until};
use crate::cli::{barograph, stderr, stdout};
use crate::compiler::{beside, compile};

/// A folder with the plugin, built with this schema.
struct Place {
    folder: TempDir,
    library: PathBuf,
}

/// The keys that the fixture has, unless a test wants others.
fn keys() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "folder": {"type": "string"},
            "depth": {"type": "integer", "minimum": 1},
            "order": {"enum": ["oldest", "newest"]},
            "limits": {
                "type": "object",
                "additionalProperties": false,
                "properties": {"bytes": {"type": "integer"}, "hosts": {"type": "array", "items": {"type": "string"}}}
            }
        }
    })
}

/// A section that has to have a key, whichever that is: a rule about none in particular.
fn any_key() -> Value {
    json!({"type": "object", "minProperties": 1})
}

impl Place {
    fn with(schema: &Value, defined: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temp folder");
        let library = folder.path().join("queue.so");
        // As a string of C, whose escapes are the same.
        let schema = format!("-DSCHEMA={:?}", schema.to_string());
        let defined = [&[schema.as_str()], defined].concat();
        compile(&beside("plugin_schema/queue.c"), &defined, &library);
        Self { folder, library }
    }

    fn config(&self, keys: &str) -> String {
        let path = self.library.display().to_string();
        format!("[plugins.queue]\npath = {path:?}\n{keys}\n")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, keys: &str, arguments: &[&str]) -> Output {
        std::fs::write(self.path().join("config.toml"), self.config(keys)).expect("a config file");
        barograph(self.path(), &[], arguments)
    }

    /// `barograph check` refuses these keys with exactly these lines.
    #[track_caller]
    fn refuses(&self, keys: &str, expected: &[&str]) {
        let output = self.run(keys, &["check"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    }

    /// The lines of `plugin check` by their name.
    fn findings(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(
            "",
            &[&["plugin", "check", "queue", "--json"], arguments].concat(),
        );
        assert_eq!(output.status.code(), Some(code), "{}", stdout(&output));
        let answer: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        let checks = answer["checks"].as_array().expect("checks").iter();
        let named = checks.map(|check| {
            let name = check["check"].as_str().expect("a name");
            (name.to_owned(), json!([check["result"], check["reason"]]))
        });
        Value::Object(named.collect())
    }
}

async fn runs(agent: &Agent) -> u32 {
    agent
        .plugin_that("queue", |info| {
            info["phase"] == "running" && info["error"].is_null()
        })
        .await;
    agent
        .component_that("queue", |component| component["up"] == true)
        .await;
    agent.host("queue").await
}

#[test]
fn every_mistake_in_a_section_is_told_with_its_line() {
    let place = Place::with(&keys(), &[]);
    place.refuses(
        "foldr = '/tmp'\ndepth = 'deep'\nintervall = '5s'\norder = 'random'",
        &[
            "config.toml:3: plugins.queue.foldr: unknown key; did you mean `folder`?",
            "config.toml:4: plugins.queue.depth: expected a whole number, found \"deep\"",
            "config.toml:5: plugins.queue.intervall: unknown key; did you mean `interval`?",
            "config.toml:6: plugins.queue.order: expected `oldest` or `newest`, found \"random\"",
        ],
    );
    place.refuses(
        "depth = 0\n[plugins.queue.limits]\nhosts = ['a', 2]\n",
        &[
            "config.toml:3: plugins.queue.depth: 0 is out of range; it has to be at least 1",
            "config.toml:5: plugins.queue.limits.hosts[1]: expected a string, found the number 2",
        ],
    );
    place.refuses(
        "[plugins.queue.limits]\nbites = 1\n[[plugins.queue.instances]]\nname = 'a'\nfolder = 7\n",
        &[
            "config.toml:4: plugins.queue.limits.bites: unknown key; did you mean `bytes`?",
            "config.toml:7: plugins.queue.instances[0].folder: expected a string, found the number 7",
        ],
    );
}

#[test]
fn a_good_section_passes() {
    let place = Place::with(&keys(), &[]);
    let good = "folder = '/tmp'\ndepth = 3\norder = 'newest'\nlimits = { bytes = 1, hosts = ['a'] }\ninterval = '2s'";
    for keys in ["", good] {
        let output = place.run(keys, &["check"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

#[test]
fn a_missing_key_is_told_once() {
    let mut schema = keys();
    schema["required"] = json!(["folder"]);
    let place = Place::with(&schema, &[]);
    let missing = "config.toml:1: plugins.queue.folder: is missing";
    place.refuses("", &[missing]);
    // One that is wrong is there.
    let wrong = "config.toml:3: plugins.queue.folder: expected a string, found the number 7";
    place.refuses("folder = 7", &[wrong]);
}

#[test]
fn the_words_of_the_plugin_count_where_it_has_some() {
    let place = Place::with(&keys(), &["-DJUDGES"]);
    place.refuses(
        "foldr = 1\ndepth = 'deep'",
        &[
            "config.toml:3: plugins.queue.foldr: unknown key; did you mean `folder`?",
            "config.toml:4: plugins.queue.depth: expected a depth such as \"5m\"",
        ],
    );
    // What the schema allows, the plugin may still refuse.
    let own = "config.toml:3: plugins.queue.depth: expected a depth such as \"5m\"";
    place.refuses("depth = 5", &[own]);
}

/// Whoever leaves `additionalProperties` out allows every key, as the standard has it.
#[test]
fn a_schema_without_an_end_allows_what_it_does_not_name() {
    let mut schema = keys();
    let open = schema.as_object_mut().expect("an object");
    open.remove("additionalProperties");
    let place = Place::with(&schema, &[]);
    let output = place.run("foldr = 1", &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found = place.findings(0, &[]);
    assert_eq!(
        found["schema"],
        json!(["ok", "keys depth, folder, limits, order, and any other"])
    );
}

#[test]
fn an_author_hears_of_schema_and_configuration() {
    let place = Place::with(&keys(), &[]);
    let found = place.findings(0, &["--set", "folder=/tmp"]);
    assert_eq!(
        found["schema"],
        json!(["ok", "keys depth, folder, limits, order"])
    );
    let found = place.findings(1, &["--set", "limits.bytes=all"]);
    let wrong = "plugins.queue.limits.bytes: expected a whole number, found \"all\"";
    assert_eq!(found["config"][0], "failed", "{found:#}");
    let said = found["config"][1].as_str().expect("a reason");
    assert!(said.ends_with(wrong), "{said}");

    let schema = json!({
        "type": "object",
        "properties": {"folder": {"type": "text"}, "at": {"$ref": "#/$defs/moment"}},
    });
    let place = Place::with(&schema, &[]);
    let found = place.findings(1, &[]);
    assert_eq!(found["schema"][0], "failed", "{found:#}");
    let said = found["schema"][1].as_str().expect("a reason");
    assert!(
        said.contains("/properties/folder: `type` has to be one of the seven types")
            && said.contains("/properties/at: `$ref` points at `#/$defs/moment`, where nothing is"),
        "{said}"
    );
    assert_eq!(found["config"][0], "ok", "{found:#}");

    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {"folder": {"type": "string", "pattern": "^/"}},
    });
    let found = Place::with(&schema, &[]).findings(0, &["--set", "folder=tmp"]);
    assert_eq!(
        found["schema"],
        json!(["ok", "keys folder; not judged: `pattern`"])
    );
}

/// A schema that is none is the author's mistake, and no reason not to run.
#[tokio::test]
async fn a_flawed_schema_is_warned_of_and_judges_nothing() {
    let schema = json!({"type": "object", "required": "folder", "additionalProperties": false});
    let place = Place::with(&schema, &[]);
    let agent = Agent::with(&place.config("foldr = 1")).await;
    runs(&agent).await;
    let words = "its configuration is not judged by a schema: the schema of its manifest is flawed: \
        `required` has to be an array of strings";
    until("the warning", || agent.log().contains(words).then_some(())).await;
    let log = agent.log();
    let line = log.lines().find(|line| line.contains(words));
    assert!(line.is_some_and(|line| line.contains("WARN")), "{log}");
}

#[tokio::test]
async fn a_typo_refuses_the_collector_at_a_start() {
    let place = Place::with(&keys(), &[]);
    let agent = Agent::with(&place.config("foldr = '/tmp'\ndepth = 'deep'")).await;
    let info = agent
        .plugin_that("queue", |info| info["phase"] == "refused")
        .await;
    let file = agent.config_file().display().to_string();
    let error = info["error"].as_str().unwrap_or_default();
    for words in [
        "3: plugins.queue.foldr: unknown key; did you mean `folder`?",
        "4: plugins.queue.depth: expected a whole number, found \"deep\"",
    ] {
        let words = format!("{file}:{words}");
        assert!(error.contains(&words), "{info:#}");
    }
    assert_eq!(agent.hosts("queue"), [0; 0]);
    agent.reload(&place.config("folder = '/tmp'"));
    runs(&agent).await;
}

#[tokio::test]
async fn a_section_that_is_wrong_as_a_whole_does_not_start() {
    for isolation in ["process", "thread"] {
        let place = Place::with(&any_key(), &[]);
        let isolation = format!("isolation = {isolation:?}\n");
        let agent = Agent::with(&place.config(&isolation)).await;
        let says = "has 0 keys; it has to have at least 1";
        let info = agent
            .plugin_that("queue", |info| {
                let error = info["error"].as_str().unwrap_or_default();
                error.contains(says)
            })
            .await;
        assert_ne!(info["phase"], "running", "{info:#}");
        let component = agent.component("queue").await.expect("the component");
        assert_eq!(component["up"], false, "{component}");
        // The plugin itself would have taken it.
        agent.reload(&place.config(&format!("{isolation}folder = 1")));
        agent
            .component_that("queue", |component| component["up"] == true)
            .await;
    }
}

#[tokio::test]
async fn a_typo_is_refused_at_a_reload_and_the_old_one_goes_on() {
    let place = Place::with(&keys(), &["-DPROMPT"]);
    let agent = Agent::with(&place.config("folder = '/tmp'")).await;
    let host = runs(&agent).await;
    agent.reload(&place.config("foldr = '/tmp'"));
    let file = agent.config_file().display().to_string();
    let words = format!("{file}:3: plugins.queue.foldr: unknown key; did you mean `folder`?");
    until("the line in the log", || {
        agent.log().contains(&words).then_some(())
    })
    .await;
    // What is right again is taken by the very instance that was there before.
    agent.reload(&place.config("folder = '/srv'"));
    agent
        .plugin_that("queue", |info| info["reload"]["outcome"] == "applied")
        .await;
    assert_eq!(runs(&agent).await, host);
    assert_eq!(agent.value("queue_created").await, Some(1.0));
}

/// Both where the instance would have taken the new section, and where another one would have been made.
#[tokio::test]
async fn a_section_that_is_wrong_as_a_whole_is_refused_at_a_reload() {
    for defined in [&["-DPROMPT"][..], &[]] {
        let place = Place::with(&any_key(), defined);
        let agent = Agent::with(&place.config("folder = 1")).await;
        let host = runs(&agent).await;
        agent.reload(&place.config(""));
        let info = agent
            .plugin_that("queue", |info| info["reload"]["outcome"] == "refused")
            .await;
        let says = "has 0 keys; it has to have at least 1";
        let reason = info["reload"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(says), "{info:#}");
        assert_eq!(info["phase"], "running", "{info:#}");
        assert_eq!(agent.host("queue").await, host);
        assert_eq!(agent.value("queue_created").await, Some(1.0));
        agent.reload(&place.config("folder = 2"));
        agent
            .plugin_that("queue", |info| info["error"].is_null())
            .await;
    }
}

/// What an operator may write today for the plugins that we ship and show.
#[test]
fn our_own_plugins_keep_to_their_schemas() {
    let sections = [
        (
            "barograph_plugin_system",
            "system",
            "per_cpu = false\nlimits = 'machine'\ndevices_exclude = []\nmounts_exclude = ['/x/*']",
        ),
        ("template", "template", ""),
        ("slow", "slow", "delay_ms = 20"),
        ("many", "many", "series = 3"),
        ("chatty", "chatty", ""),
        ("eventful", "eventful", ""),
        ("raw", "raw", "fault = 'none'\nanswers = '/tmp/x'"),
        (
            "faulty",
            "faulty",
            "fault = 'fork-50'\ntrigger = '/tmp/x'\nfolder = '/tmp'\npids = '/tmp/p'\nsetting = -3\nrestart = true",
        ),
    ];
    for (file, plugin, keys) in sections {
        let folder = tempfile::tempdir().expect("a temp folder");
        let path = library(file).display().to_string();
        let config = format!("[plugins.{plugin}]\npath = {path:?}\n{keys}\n");
        std::fs::write(folder.path().join("config.toml"), config).expect("a config file");
        let output = barograph(folder.path(), &[], &["plugin", "check", plugin]);
        assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    }
}
