//! `barograph plugin list`: what an agent with this configuration would run, and what it could run.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Failure;
use super::subject::{self, Words, words};
use crate::cli::load;
use crate::cli::table::{Align, columns};
use crate::collect::library;
use crate::config::{Config, Instance};

/// A configured collector, or a library that no section names.
#[derive(Debug)]
struct Line {
    plugin: String,
    instance: Option<String>,
    state: State,
    library: Result<PathBuf, String>,
    /// What it says of itself, or why it says nothing.
    words: Result<Words, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Enabled,
    Disabled,
    Unconfigured,
}

pub(super) fn run(config: Option<&Path>, json: bool) -> Result<(), Failure> {
    let (config, _) = load(config)?;
    let lines = lines(&config);
    let mut out = io::stdout().lock();
    if json {
        let lines: Vec<Value> = lines.iter().map(Line::json).collect();
        writeln!(out, "{}", json!({"plugins": lines}))?;
    } else {
        let head = ["PLUGIN", "INSTANCE", "STATE", "VERSION", "ABI", "LIBRARY"];
        let cells: Vec<Vec<String>> = lines.iter().map(Line::cells).collect();
        out.write_all(columns(&head.map(|title| (title, Align::Left)), &cells).as_bytes())?;
    }
    Ok(())
}

fn lines(config: &Config) -> Vec<Line> {
    let configured = |state| move |instance: &Instance| Line::of(instance, state);
    let enabled = config.collectors.iter().map(configured(State::Enabled));
    let disabled = config.disabled.iter().map(configured(State::Disabled));
    let mut lines: Vec<Line> = enabled.chain(disabled).collect();
    for path in libraries() {
        if lines.iter().any(|line| line.library.as_ref() == Ok(&path)) {
            continue;
        }
        let Ok(words) = words(&path) else {
            continue;
        };
        // A library of the same name in an earlier folder is the one that is found.
        if lines.iter().any(|line| line.plugin == words.name) {
            continue;
        }
        lines.push(Line {
            plugin: words.name.clone(),
            instance: None,
            state: State::Unconfigured,
            library: Ok(path),
            words: Ok(words),
        });
    }
    lines
}

/// What lies in the folders in which plugins are looked for, and is called like one.
fn libraries() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in library::folders() {
        let mut here: Vec<_> = library::libraries_in(&folder)
            .map(|(_, path)| path)
            .collect();
        here.sort();
        found.append(&mut here);
    }
    found
}

impl Line {
    fn of(instance: &Instance, state: State) -> Self {
        let library = subject::library(instance);
        let words = library.clone().and_then(|path| words(&path));
        Self {
            plugin: instance.plugin.clone(),
            instance: Some(instance.name.clone()).filter(|_| instance.position.is_some()),
            state,
            library,
            words,
        }
    }

    /// Where it stands. What is enabled runs only if its library does.
    fn state(&self) -> &'static str {
        match (self.state, &self.library, &self.words) {
            (State::Enabled, Err(_), _) => "library missing",
            (State::Enabled, _, Err(_)) => "library broken",
            (State::Enabled, ..) => "enabled",
            (State::Disabled, ..) => "disabled",
            (State::Unconfigured, ..) => "not configured",
        }
    }

    fn cells(&self) -> Vec<String> {
        let dash = || "-".to_owned();
        let words = self.words.as_ref();
        let word = |get: fn(&Words) -> &String| words.map_or_else(|_| dash(), |it| get(it).clone());
        vec![
            self.plugin.clone(),
            self.instance.clone().unwrap_or_else(dash),
            self.state().to_owned(),
            word(|words| &words.version),
            word(|words| &words.abi),
            match (&self.library, words) {
                (Err(missing), _) => format!("missing: {missing}"),
                (Ok(_), Err(why)) => why.clone(),
                (Ok(path), Ok(_)) => path.display().to_string(),
            },
        ]
    }

    fn json(&self) -> Value {
        let words = self.words.as_ref().ok();
        let problem = self.words.as_ref().err().filter(|_| self.library.is_ok());
        json!({
            "plugin": self.plugin,
            "instance": self.instance,
            "state": self.state(),
            "configured": self.state != State::Unconfigured,
            "enabled": self.state == State::Enabled,
            "version": words.map(|words| &words.version),
            "abi": words.map(|words| &words.abi),
            "topic": words.map(|words| &words.topic),
            "library": self.library.as_ref().ok(),
            "missing": self.library.as_ref().err(),
            "problem": problem,
        })
    }
}
