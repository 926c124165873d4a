//! A collector as it is configured, and what it needs to run: its library found, judged and copied.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::Section;
use crate::clock::Tiers;
use crate::collect::library::{LibraryError, Policy, Shelf, find_library};
use crate::collect::{Isolation, Settings};

/// One collector that is to run: a plugin, or one of its configured instances.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Unique among collectors: the plugin's name, or the instance's.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Path of the library; found by the plugin's name where none is set.
    pub path: Option<PathBuf>,
    /// What is asked of the library.
    pub policy: Policy,
    /// Where its code runs.
    pub isolation: Isolation,
    /// How often it collects; a whole multiple of the fast interval.
    pub interval: Duration,
    /// How long a collect may take; at most 0.8 of the interval.
    pub timeout: Duration,
    /// How long a start may take.
    pub start_timeout: Duration,
    /// Series that may live at a time.
    pub series_max: usize,
    /// Resident memory above which its process is started anew.
    pub rss_max_bytes: Option<u64>,
    /// Address space that its process may have.
    pub address_space_max_bytes: Option<u64>,
    /// The plugin's own keys, an object.
    pub config: Value,
    /// Position among the plugin's configured instances; `None` when there are none.
    pub position: Option<usize>,
    /// What the plugin has against its keys, once it was asked. It does not run with them then.
    pub mistakes: Option<String>,
}

/// A collector whose library may be loaded.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What its supervisor needs.
    pub settings: Settings,
    /// What is unwise about it, for people.
    pub warnings: Vec<String>,
}

/// Why a collector can't run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unusable {
    /// The key of the plugin's section that asks for more than the library has; `None` where it is the
    /// library itself that is wrong.
    pub key: Option<&'static str>,
    /// Why, and what to do.
    pub message: String,
}

impl Instance {
    /// A plugin that is not configured, as its empty section would have it with the default tiers.
    pub fn of(plugin: &str) -> Self {
        Section::unasked(plugin, &Tiers::default())
    }

    /// [`Self::resolve`] for whoever has no use for the warnings.
    pub fn settings(&self, copies: &Shelf) -> Result<Settings, String> {
        match self.resolve(copies) {
            Ok(resolved) => Ok(resolved.settings),
            Err(error) => Err(error.message),
        }
    }

    /// Finds the library, makes sure that it may be loaded and puts a copy of it on the shelf. It blocks, as
    /// [`Shelf::pin`] does.
    pub fn resolve(&self, copies: &Shelf) -> Result<Resolved, Unusable> {
        if let Some(message) = self.mistakes.clone() {
            return Err(Unusable { key: None, message });
        }
        let library = match &self.path {
            Some(path) => path.clone(),
            None => {
                find_library(&self.plugin).map_err(|message| Unusable { key: None, message })?
            }
        };
        let mut pinned = copies
            .pin(&library, &self.policy)
            .map_err(|error| Unusable {
                key: match &error {
                    LibraryError::Mismatch { .. } => Some("sha256"),
                    LibraryError::GroupWritable(_) => Some("strict"),
                    _ => None,
                },
                message: error.to_string(),
            })?;
        if self.isolation == Isolation::Thread {
            let warning = "runs on a thread of the agent (isolation = \"thread\"): a crash of it takes the agent down";
            pinned.warnings.push(warning.to_owned());
        }
        let settings = Settings {
            library,
            loaded: pinned.loaded,
            sha256: pinned.sha256,
            ..self.unloaded()
        };
        Ok(Resolved {
            settings,
            warnings: pinned.warnings,
        })
    }

    /// What it would run with if its library could be used: nothing is copied or loaded.
    pub fn unloaded(&self) -> Settings {
        Settings {
            name: self.name.clone(),
            plugin: self.plugin.clone(),
            library: self.path.clone().unwrap_or_default(),
            loaded: PathBuf::new(),
            sha256: String::new(),
            isolation: self.isolation,
            start_timeout: self.start_timeout,
            rss_max_bytes: self.rss_max_bytes,
            address_space_max_bytes: self.address_space_max_bytes,
            config: self.config.clone(),
            interval: self.interval,
            timeout: self.timeout,
            series_max: self.series_max,
            labelled: self.position.is_some(),
        }
    }

    /// The sections in which a key of its may stand, the nearest first.
    pub fn sections(&self) -> Vec<String> {
        let plugin = format!("plugins.{}", self.plugin);
        match self.position {
            Some(position) => vec![format!("{plugin}.instances[{position}]"), plugin],
            None => vec![plugin],
        }
    }
}
