//! Where libraries are found by the plugin's name, and which of them run without being configured.
//!
//! A library says so itself, in its ELF section, so that the agent need not know any plugin by name.

use std::fs;
use std::path::{Path, PathBuf};

use crate::collect::note;

/// Where plugins are looked for after the binary's own folder.
const SYSTEM_FOLDER: &str = "/usr/lib/barograph/plugins";
/// What stands around the plugin's name in that of its library.
const PREFIX: &str = "libbarograph_plugin_";
const SUFFIX: &str = ".so";
/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// Finds a plugin's library by its name: beside the binary, then in the system's folder.
pub fn find_library(name: &str) -> Result<PathBuf, String> {
    let file = format!("{PREFIX}{}{SUFFIX}", name.replace('-', "_"));
    let [own, system] = folders();
    [&own, &system].into_iter().map(|folder| folder.join(&file)).find(|path| path.is_file()).ok_or_else(|| {
        let own = own.display();
        format!("no library {file} in {own} or {SYSTEM_FOLDER}; put it there or set plugins.{name}.path")
    })
}

/// The plugins whose libraries can be found by name and say that they run without being configured, in order.
/// Nothing of them is run for it.
pub fn unasked() -> Vec<String> {
    let mut names: Vec<_> = folders()
        .iter()
        .flat_map(|folder| unasked_in(folder))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn unasked_in(folder: &Path) -> Vec<String> {
    let says_so = |(name, path): (String, PathBuf)| {
        let note = note::read(&path).ok()?;
        let is_its = note.name.as_deref() == Some(name.as_str());
        (is_its && note.runs_unasked).then_some(name)
    };
    libraries_in(folder).filter_map(says_so).collect()
}

/// The files of a folder that are called as a plugin's library is, each with the name of the plugin.
pub fn libraries_in(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.take(ENTRIES_MAX).filter_map(|entry| {
        let file = entry.file_name();
        let name = file.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        // Opening a pipe would wait for its other end.
        let path = entry.path();
        path.is_file().then(|| (name.to_owned(), path))
    })
}

/// Where libraries are found by name, the nearest first.
pub fn folders() -> [PathBuf; 2] {
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(Path::parent);
    let own = own.unwrap_or(Path::new("."));
    [own.to_owned(), SYSTEM_FOLDER.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_found_by_the_plugins_name() {
        let error = find_library("no-such").unwrap_err();
        assert!(
            error.starts_with("no library libbarograph_plugin_no_such.so in ")
                && error.contains("/usr/lib/barograph/plugins")
                && error.ends_with("or set plugins.no-such.path"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_plugin_does_not_run_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("libbarograph_plugin_text.so"), "name=text\ndefault=on\n").unwrap();
        fs::create_dir(at("libbarograph_plugin_folder.so")).unwrap();
        let own = std::env::current_exe().unwrap();
        std::os::unix::fs::symlink(own, at("libbarograph_plugin_own.so")).unwrap();
        assert_eq!(unasked_in(folder.path()), [""; 0]);
        assert_eq!(unasked_in(&at("absent")), [""; 0]);
    }
}
