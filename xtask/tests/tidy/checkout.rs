//! The files of the checkout that could be committed, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the checkout, with its path from the root.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every file that could be committed: what builds and packages leave behind is left out.
pub(crate) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace");
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the checkout can be listed") {
            let path = entry
                .expect("a folder of the checkout can be listed")
                .path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if [".git", "target", "node_modules", "dist", "barograph-data"].contains(&name.as_str())
            {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path
                    .strip_prefix(root)
                    .expect("it was found below the root");
                found.push(File {
                    path: relative.to_string_lossy().into_owned(),
                    text,
                });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 10, "the checkout is empty");
    found
}

/// Whether a whole file is for tests, be it outside the sources or a module behind `#[cfg(test)]`.
pub(crate) fn is_test(path: &str) -> bool {
    let folders = ["tests", "tests.rs", "e2e", "benches"];
    path.split('/').any(|part| folders.contains(&part)) || path.contains(".test.")
}
