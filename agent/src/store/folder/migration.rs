//! From one schema to the next, in a way that can be cut off anywhere.
//!
//! A migration writes the new content into `migrating/`, next to the old. Renaming that to `migrated/` decides: before
//! it the old content counts and `migrating/` is thrown away, after it the new one does and takes the old one's
//! place entry by entry, `schema` last. The list of entries, `entries`, tells those that have already moved from
//! those that the new schema has no use for.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{StoreError, at, sync, write_schema, write_whole};

/// What is of the folder and not of its content: `plugins` has copies of libraries, which the agent's start makes.
const STAYS: [&str; 7] = [
    "lock",
    "schema",
    "agent.sock",
    "quarantine",
    "plugins",
    NEW,
    DECIDED,
];
const NEW: &str = "migrating";
const DECIDED: &str = "migrated";
const ENTRIES: &str = "entries";

/// One step.
#[derive(Debug)]
pub(in crate::store) struct Migration {
    /// The schema that it reads; it writes the next.
    pub(in crate::store) from: u32,
    /// Writes what the next schema has into the second folder, reading the first.
    pub(in crate::store) write: fn(&Path, &Path) -> Result<(), StoreError>,
}

impl Migration {
    pub(super) fn run(&self, root: &Path) -> Result<(), StoreError> {
        let new = root.join(NEW);
        remove(&new)?;
        fs::create_dir(&new).map_err(at(&new))?;
        (self.write)(root, &new)?;
        let entries: Vec<String> = names(&new)?.into_iter().collect();
        write_whole(&new.join(ENTRIES), entries.join("\n").as_bytes())?;
        write_schema(&new, self.from + 1)?;
        fs::rename(&new, root.join(DECIDED)).map_err(at(&new))?;
        sync(root)?;
        resume(root)
    }
}

/// Finishes a migration that was decided, and forgets one that was not.
pub(super) fn resume(root: &Path) -> Result<(), StoreError> {
    remove(&root.join(NEW))?;
    let decided = root.join(DECIDED);
    let list = decided.join(ENTRIES);
    let schema = decided.join("schema");
    if schema.exists() {
        let list = fs::read_to_string(&list).map_err(at(&list))?;
        let entries: BTreeSet<&str> = list.lines().collect();
        for name in names(root)? {
            if !STAYS.contains(&name.as_str()) && !entries.contains(name.as_str()) {
                remove(&root.join(&name))?;
            }
        }
        for name in entries {
            let from = decided.join(name);
            if from.exists() {
                let to = root.join(name);
                remove(&to)?;
                fs::rename(&from, &to).map_err(at(&to))?;
            }
        }
        sync(root)?;
        fs::rename(&schema, root.join("schema")).map_err(at(&schema))?;
        sync(root)?;
    }
    remove(&decided)
}

fn names(folder: &Path) -> Result<BTreeSet<String>, StoreError> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let name = entry.map_err(at(folder))?.file_name();
        names.insert(name.to_string_lossy().into_owned());
    }
    Ok(names)
}

/// A file or a folder, if it is there.
fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}
