//! When a plugin's sources changed: the times and sizes of its files, looked at again and again.
//!
//! A folder is walked whole, within bounds, and only files that a compiler reads count, so that what a build or the
//! plugin itself writes starts no other build.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::MissedTickBehavior;

/// How often they are looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// Files that are looked at, at most.
const FILES_MAX: usize = 10_000;
/// Folders below the plugin's own.
const DEPTH_MAX: usize = 16;
/// What ends the names of sources.
const EXTENSIONS: [&str; 13] = [
    "rs", "toml", "c", "h", "cc", "cpp", "cxx", "hpp", "hxx", "s", "zig", "go", "mk",
];
/// Sources without such an end.
const NAMES: [&str; 3] = ["Makefile", "makefile", "GNUmakefile"];

/// What is watched.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    paths: Vec<PathBuf>,
    seen: Look,
}

/// Time and size of each file; a file that is written anew has another time.
type Look = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Sources {
    /// Folders with all that is in them, and single files.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let seen = look(&paths);
        Self { paths, seen }
    }

    /// Waits for a change since the last one that was told. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            period.tick().await;
            if self.look_again() {
                return;
            }
        }
    }

    fn look_again(&mut self) -> bool {
        let now = look(&self.paths);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn look(paths: &[PathBuf]) -> Look {
    let mut found = Look::new();
    for path in paths {
        if path.is_dir() {
            walk(path, DEPTH_MAX, &mut found);
        } else {
            add(path, &mut found);
        }
    }
    found
}

fn walk(folder: &Path, depth: usize, found: &mut Look) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if found.len() >= FILES_MAX {
            return;
        }
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if depth > 0 && !name.starts_with('.') && name != "target" && name != "barograph-data" {
                walk(&entry.path(), depth - 1, found);
            }
        } else if is_source(&name) {
            add(&entry.path(), found);
        }
    }
}

fn is_source(name: &str) -> bool {
    let end = name
        .rsplit_once('.')
        .map(|(_, end)| end.to_ascii_lowercase());
    NAMES.contains(&name) || end.is_some_and(|end| EXTENSIONS.contains(&end.as_str()))
}

fn add(path: &Path, found: &mut Look) {
    if let Ok(data) = fs::metadata(path) {
        found.insert(path.to_owned(), (data.modified().ok(), data.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_count_and_what_a_build_writes_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("src/deep")).unwrap();
        fs::create_dir_all(path("target/debug")).unwrap();
        fs::create_dir_all(path(".git")).unwrap();
        fs::write(path("src/lib.rs"), "a").unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let watched = vec![folder.path().to_owned(), outside.path().to_owned()];
        let mut sources = Sources::new(watched);
        assert!(!sources.look_again());
        for name in [
            "target/debug/x.rs",
            ".git/x.c",
            "Cargo.lock",
            "x.so",
            "log",
            "src/x.o",
        ] {
            fs::write(path(name), "x").unwrap();
            assert!(!sources.look_again(), "{name}");
        }
        for name in [
            "src/lib.rs",
            "src/deep/x.rs",
            "x.c",
            "Makefile",
            "Cargo.toml",
        ] {
            fs::write(path(name), "longer").unwrap();
            assert!(sources.look_again(), "{name}");
        }
        fs::remove_file(path("x.c")).unwrap();
        assert!(sources.look_again(), "a removed file");
        fs::write(outside.path(), "x").unwrap();
        assert!(sources.look_again(), "a single file");
        assert!(!sources.look_again());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut sources = Sources::new(vec![folder.path().to_owned()]);
        fs::write(folder.path().join("x.c"), "x").unwrap();
        sources.changed().await;
        let again = tokio::time::timeout(PERIOD * 10, sources.changed()).await;
        assert!(again.is_err());
    }
}
