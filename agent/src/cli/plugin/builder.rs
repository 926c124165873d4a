//! Builds a plugin's folder with its own tool and finds the library that came of it.
//!
//! A crate is built by `cargo build`, which tells where the library is; any other folder by `make`, which leaves it
//! beside its sources. What the tools have to say goes to stderr as it is.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use serde_json::Value;
use tokio::process::Command;

use super::subject::words;

/// How a folder is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builder {
    Cargo,
    Make,
}

impl Builder {
    /// The tool whose file stands in the folder.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let has = |name: &str| folder.join(name).is_file();
        if has("Cargo.toml") {
            Some(Self::Cargo)
        } else if has("Makefile") || has("makefile") || has("GNUmakefile") {
            Some(Self::Make)
        } else {
            None
        }
    }

    /// What it is called by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cargo => "cargo build",
            Self::Make => "make",
        }
    }

    /// Builds the folder; an error says what is to be mended, below what the tool itself said. Dropping the future
    /// ends the build.
    pub(super) async fn build(self, folder: &Path) -> Result<PathBuf, String> {
        let mut command = match self {
            Self::Cargo => {
                let mut cargo = Command::new("cargo");
                cargo.args(["build", "--message-format=json-render-diagnostics"]);
                cargo.stdout(Stdio::piped());
                cargo
            }
            Self::Make => {
                let mut make = Command::new("make");
                make.stdout(to_stderr()?);
                make
            }
        };
        let running = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let name = self.name();
        let running = running.map_err(|error| format!("`{name}` can't be run: {error}"))?;
        let output = running.wait_with_output().await;
        let output = output.map_err(|error| format!("`{name}` can't be waited for: {error}"))?;
        if !output.status.success() {
            return Err(format!("`{name}` failed in {}", folder.display()));
        }
        match self {
            Self::Cargo => library_of_messages(folder, &String::from_utf8_lossy(&output.stdout)),
            Self::Make => newest_library(folder),
        }
    }
}

/// Stdout is for the plugin's ticks.
fn to_stderr() -> Result<Stdio, String> {
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    stderr
        .map(Stdio::from)
        .map_err(|error| format!("no stderr: {error}"))
}

/// The library among what cargo says it has made.
fn library_of_messages(folder: &Path, messages: &str) -> Result<PathBuf, String> {
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest.canonicalize().unwrap_or(manifest);
    let is_library = |message: &Value| {
        let kinds = message["target"]["kind"].as_array();
        kinds.is_some_and(|kinds| kinds.contains(&"cdylib".into()))
            && message["manifest_path"].as_str().map(Path::new) == Some(&manifest)
    };
    let file = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(is_library)
        .filter_map(|message| {
            let files = message["filenames"].as_array()?.iter();
            files
                .filter_map(Value::as_str)
                .map(PathBuf::from)
                .find(|file| file.extension().is_some_and(|end| end == "so"))
        })
        .next_back();
    file.ok_or_else(|| {
        let shown = folder.display();
        format!("`cargo build` made no library in {shown}; Cargo.toml needs [lib] with crate-type = [\"cdylib\"]")
    })
}

/// The plugin in the folder that was written last.
fn newest_library(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let plugins = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "so") && words(path).is_ok());
    let written = |path: &PathBuf| {
        let data = fs::metadata(path);
        data.and_then(|data| data.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    };
    plugins.max_by_key(written).ok_or_else(|| {
        let shown = folder.display();
        format!("`make` left no plugin's library (*.so) in {shown}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_built_by_the_tool_that_it_is_made_for() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Builder::of(folder.path()), None);
        fs::write(folder.path().join("Makefile"), "").unwrap();
        assert_eq!(Builder::of(folder.path()), Some(Builder::Make));
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(Builder::of(folder.path()), Some(Builder::Cargo));
    }

    #[test]
    fn the_library_is_the_folders_own() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().canonicalize().unwrap().join("Cargo.toml");
        fs::write(&manifest, "").unwrap();
        let message = |manifest: &Path, kind: &str, file: &str| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": manifest,
                "target": {"kind": [kind]}, "filenames": [file, "x.rlib"],
            })
            .to_string()
        };
        let messages = [
            message(Path::new("/else/Cargo.toml"), "cdylib", "/else/x.so"),
            message(&manifest, "custom-build", "/here/build.so"),
            "no JSON".to_owned(),
            message(&manifest, "cdylib", "/here/x.so"),
        ];
        assert_eq!(
            library_of_messages(folder.path(), &messages.join("\n")),
            Ok(PathBuf::from("/here/x.so"))
        );
        let error = library_of_messages(folder.path(), &messages[0]).unwrap_err();
        assert!(error.contains("crate-type"), "{error}");
    }

    #[test]
    fn only_plugins_are_libraries_here() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.so"), "no library").unwrap();
        let error = newest_library(folder.path()).unwrap_err();
        assert!(error.contains("left no plugin"), "{error}");
    }
}
