//! Where things are: the root of the checkout, cargo's target folder, the page's folder.
//!
//! The target folder is asked from cargo, because an environment variable or a user's own
//! configuration may have moved it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Fallible};

#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Place {
    pub(crate) fn find() -> Fallible<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask is a folder of the workspace")
            .to_path_buf();
        let text = shell::capture(cargo().current_dir(&root).args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
        ]))?;
        let metadata: serde_json::Value = serde_json::from_str(&text)?;
        let target = metadata["target_directory"]
            .as_str()
            .ok_or("cargo metadata names no target_directory")?
            .into();
        Ok(Self { root, target })
    }

    pub(crate) fn dashboards(&self) -> PathBuf {
        self.root.join("dashboards")
    }

    /// Where tools are put that a machine lacks and that are not installed for everybody.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The agent's binary in a profile's folder (`debug`, `release`, `dist`).
    pub(crate) fn agent(&self, profile: &str) -> PathBuf {
        self.target.join(profile).join("barograph")
    }

    /// The names of the plugins in this checkout, in order.
    pub(crate) fn plugins(&self) -> Fallible<Vec<String>> {
        let folder = self.root.join("plugins");
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .map_err(|error| format!("cannot list {}: {error}", folder.display()))?
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Cargo, to be run at the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }
}

/// The file name of a plugin's library.
pub(crate) fn library(plugin: &str) -> String {
    format!("libbarograph_plugin_{}.so", plugin.replace('-', "_"))
}

/// The cargo that started this task, so that a toolchain chosen on the command line is kept.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
