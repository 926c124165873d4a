//! Which plugin a command is about: one of the configuration by its name, or a library by its path.
//!
//! A library runs with the section of the plugin that its note names. `--set` and `--config-json` change the plugin's
//! own keys for this one run. The note is all that is read of a library here; none of its code runs.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::Failure;
use crate::cli::check::check_keys;
use crate::cli::load;
use crate::collect::library::{Shelf, find_library};
use crate::collect::note::{self, Note};
use crate::collect::{Isolation, Settings, Trial, TrialError};
use crate::config::{Config, ConfigErrors, Instance, Source};

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Named {
    /// Name of a plugin or an instance of the configuration, or path of a library
    #[arg(value_name = "NAME|FILE")]
    pub(super) plugin: String,
    /// Set a key of its configuration: KEY is a path such as limits.memory, VALUE is JSON or plain text
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Its whole configuration, a JSON object, instead of the configured one
    #[arg(long, value_name = "JSON")]
    pub(super) config_json: Option<String>,
}

/// The plugin that is meant, and where its keys stand.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) instance: Instance,
    pub(super) source: Source,
}

/// What a library says of itself, all of it there.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) name: String,
    pub(super) topic: String,
    pub(super) version: String,
    pub(super) abi: String,
    pub(super) file_bytes: u64,
}

impl Named {
    /// Finds it; `config` is the file that the command line names.
    pub(super) fn find(&self, config: Option<&Path>) -> Result<Subject, Failure> {
        let (config, source) = load(config)?;
        let mut instance = chosen(&config, &self.plugin).map_err(Failure::Usage)?;
        if let Some(text) = &self.config_json {
            instance.config = whole(text).map_err(Failure::Usage)?;
        }
        for text in &self.set {
            set(&mut instance.config, text).map_err(Failure::Usage)?;
        }
        Ok(Subject { instance, source })
    }

    /// The same for another library than the one that was named.
    pub(super) fn of_library(&self, library: &Path) -> Self {
        let mut plugin = library.display().to_string();
        if !plugin.contains('/') {
            plugin.insert_str(0, "./");
        }
        Self {
            plugin,
            ..self.clone()
        }
    }
}

impl Subject {
    /// What it needs to run there, whatever is configured, with a copy of its library on the shelf.
    pub(super) fn settings(
        &self,
        copies: &Shelf,
        isolation: Isolation,
    ) -> Result<Settings, Failure> {
        let found = self.instance.settings(copies);
        Ok(Settings {
            isolation,
            ..found.map_err(Failure::Usage)?
        })
    }

    /// Starts it if it has nothing against its keys. The library is open then, so that its copy may go.
    pub(super) async fn start(&self, settings: &Settings) -> Result<Trial, Failure> {
        let wrong = check_keys(&self.instance, settings.clone(), &self.source).await;
        if let Some(errors) = ConfigErrors::new(wrong) {
            return Err(errors.into());
        }
        let started = Trial::start(settings).await;
        started.map_err(|error| self.failed(&error))
    }

    pub(super) fn failed(&self, error: &TrialError) -> Failure {
        Failure::Running(format!("plugin {}: {error}", self.instance.plugin))
    }
}

/// Where the library of a collector is, as configured or found; nothing is judged yet.
pub(super) fn library(instance: &Instance) -> Result<PathBuf, String> {
    match &instance.path {
        Some(path) if path.is_file() => Ok(path.clone()),
        Some(path) => Err(format!("there is no library {}", path.display())),
        None => find_library(&instance.plugin),
    }
}

/// A shelf for the life of the command.
pub(super) fn shelf() -> Result<Shelf, Failure> {
    Shelf::temporary()
        .map_err(|error| Failure::Running(format!("no folder for a copy of the library: {error}")))
}

/// Reads the words that stand in the library's section.
pub(super) fn words(file: &Path) -> Result<Words, String> {
    // A device or a pipe might never end.
    if file.exists() && !file.is_file() {
        return Err(format!(
            "{} is not a file; give the path of a plugin's library",
            file.display()
        ));
    }
    let Note {
        name,
        topic,
        version,
        abi,
        file_bytes,
        ..
    } = note::read(file).map_err(|error| error.to_string())?;
    let given = |key: &str, value: Option<String>| {
        let shown = file.display();
        value.ok_or_else(|| {
            format!("{shown} is a broken plugin: its section .barograph has no {key}")
        })
    };
    Ok(Words {
        name: given("name", name)?,
        topic: given("topic", topic)?,
        version: given("version", version)?,
        abi: given("abi", abi)?,
        file_bytes,
    })
}

/// Whether a word of the command line is the path of a library.
pub(super) fn is_path(plugin: &str) -> bool {
    plugin.contains('/') || Path::new(plugin).extension().is_some_and(|end| end == "so")
}

/// A library by its path, with the section of the plugin that it is; else a collector by its name.
fn chosen(config: &Config, plugin: &str) -> Result<Instance, String> {
    let named = |name: &str| {
        configured(config, name)
            .cloned()
            .unwrap_or_else(|| Instance::of(name))
    };
    if !is_path(plugin) {
        return Ok(named(plugin));
    }
    let words = words(Path::new(plugin))?;
    let mut instance = named(&words.name);
    instance.path = Some(PathBuf::from(plugin));
    // The configured hash is that of the configured library.
    instance.policy.sha256 = None;
    Ok(instance)
}

/// The collector of that name, else the first of the plugin of that name. One that is switched off can be tried too,
/// before it is switched on.
fn configured<'a>(config: &'a Config, name: &str) -> Option<&'a Instance> {
    let all = || config.collectors.iter().chain(&config.disabled);
    all()
        .find(|instance| instance.name == name)
        .or_else(|| all().find(|instance| instance.plugin == name))
}

fn whole(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(config @ Value::Object(_)) => Ok(config),
        Ok(_) => Err("--config-json has to be an object, such as '{\"folder\": \"/tmp\"}'".into()),
        Err(error) => Err(format!("--config-json is no JSON: {error}")),
    }
}

/// Sets one key; the tables on the way to it are made where they are missing.
fn set(config: &mut Value, text: &str) -> Result<(), String> {
    let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err(format!(
            "--set takes KEY=VALUE, such as folder=/tmp, not `{text}`"
        ));
    };
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let mut at = config;
    for part in key.split('.') {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(table) = at else {
            return Err(format!(
                "--set {key}: what stands before `{part}` is no table"
            ));
        };
        at = table.entry(part).or_insert(Value::Null);
    }
    *at = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plugin_is_named_or_given_as_a_file() {
        let config = Config {
            collectors: vec![Instance {
                name: "main".to_owned(),
                ..Instance::of("database")
            }],
            ..Config::default()
        };
        let error = chosen(&config, "/proc/self/status").unwrap_err();
        assert!(error.starts_with("/proc/self/status"), "{error}");
        assert_eq!(chosen(&config, "no_such").unwrap().name, "no_such");
        let off = Config {
            collectors: Vec::new(),
            disabled: config.collectors.clone(),
            ..Config::default()
        };
        for config in [&config, &off] {
            for name in ["main", "database"] {
                let found = chosen(config, name).unwrap();
                assert_eq!(
                    (found.name, found.plugin),
                    ("main".into(), "database".into())
                );
            }
        }
        for (word, expected) in [("x.so", true), ("./x", true), ("x", false), ("so", false)] {
            assert_eq!(is_path(word), expected, "{word}");
        }
    }

    #[test]
    fn keys_are_set_by_their_path() {
        let mut config = json!({"limits": {"disk": 1}, "folder": "/"});
        for text in [
            "folder=/tmp",
            "limits.memory=2.5",
            "new.deep.key=[true]",
            "word=\"7\"",
            "empty=",
        ] {
            set(&mut config, text).unwrap();
        }
        assert_eq!(
            config,
            json!({
                "limits": {"disk": 1, "memory": 2.5}, "folder": "/tmp",
                "new": {"deep": {"key": [true]}}, "word": "7", "empty": "",
            })
        );
        for (text, expected) in [
            ("folder", "KEY=VALUE"),
            ("=1", "KEY=VALUE"),
            ("folder.x=1", "is no table"),
        ] {
            let error = set(&mut config, text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_whole_configuration_is_an_object() {
        assert_eq!(whole("{\"a\": 1}").unwrap(), json!({"a": 1}));
        assert!(whole("[1]").unwrap_err().contains("object"));
        assert!(whole("{").unwrap_err().contains("no JSON"));
    }
}
