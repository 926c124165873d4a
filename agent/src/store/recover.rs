//! The damage ladder: what is done about a database that does not open, or does not hold what it should.
//!
//! It is opened; without its snapshot; moved to `quarantine/` in favour of an empty one, into which the caller
//! brings what [`carve`] finds in the remains. sled overwrites what it cannot read as soon as it opens a file, so
//! the ladder begins with a copy. Used for generations and for `core`; knows nothing of what they hold.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::folder::{at, sync};
use crate::kv::KvError;

/// Folders in quarantine; the oldest go.
const QUARANTINE_MAX: usize = 4;
/// What [`carve`] shows at a time, and how much of it twice: more than the longest group and registry record.
const WINDOW_BYTES: usize = 1 << 20;
const OVERLAP_BYTES: usize = 128 << 10;

/// Where a database is and what it is called in quarantine.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The database.
    pub folder: &'a Path,
    /// `quarantine` in the data folder.
    pub quarantine: &'a Path,
    /// Such as `raw-1795233600`.
    pub name: &'a str,
}

/// On which rung the ladder ended. Except for a sound one, the log should know.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing was wrong.
    Sound,
    /// It was whole without its snapshot.
    Repaired {
        /// What was wrong with it.
        why: String,
    },
    /// The folder is empty now.
    Quarantined {
        /// What was wrong with it.
        why: String,
        /// What is left of the old one, for [`carve`].
        remains: PathBuf,
    },
}

/// Climbs down until `check` accepts what is in the folder. `check` opens the database, reads all of it, and closes
/// it again. Errors that are no damage (a full disk, a held lock) end the climb.
pub fn climb(
    place: Place<'_>,
    check: &mut dyn FnMut() -> Result<(), KvError>,
) -> Result<Outcome, StoreError> {
    let copy = place.quarantine.join(format!(".{}", place.name));
    let has_copy = copy_once(place.folder, &copy);
    let why = match judge(check()) {
        Ok(None) => return forget(&copy, Outcome::Sound),
        Ok(Some(why)) => why,
        Err(error) => {
            // Nothing was found damaged, and what is written later would not be in this copy.
            forget(&copy, Outcome::Sound)?;
            return Err(error);
        }
    };
    restore(place.folder, has_copy.then_some(copy.as_path()))?;
    if judge(check())?.is_none() {
        return forget(&copy, Outcome::Repaired { why });
    }
    let remains = free_name(place)?;
    let from = if has_copy { &copy } else { place.folder };
    fs::rename(from, &remains).map_err(at(from))?;
    match fs::create_dir(place.folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(at(place.folder)(error));
        }
        _ => remove_database(place.folder, |_| true)?,
    }
    sync(place.quarantine)?;
    Ok(Outcome::Quarantined { why, remains })
}

/// Shows all bytes of a database's files, in overlapping windows. What cannot be read is shown as zeros.
pub fn carve(remains: &Path, visit: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
    let mut window = vec![0; WINDOW_BYTES];
    for path in files(remains)? {
        let file = File::open(&path).map_err(at(&path))?;
        let len = file.metadata().map_err(at(&path))?.len();
        let mut offset = 0;
        while offset < len {
            let filled = fill(&file, offset, &mut window);
            visit(&window[..filled]);
            offset += (WINDOW_BYTES - OVERLAP_BYTES) as u64;
        }
    }
    Ok(())
}

/// Reads as much as there is, skipping what the disk does not give.
fn fill(file: &File, offset: u64, window: &mut [u8]) -> usize {
    const SECTORS_BYTES: usize = 4_096;
    let mut filled = 0;
    while filled < window.len() {
        match file.read_at(&mut window[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => {
                let end = window.len().min(filled + SECTORS_BYTES);
                window[filled..end].fill(0);
                filled = end;
            }
        }
    }
    filled
}

/// The log and the blobs.
fn files(remains: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    let db = remains.join("db");
    if db.is_file() {
        files.push(db);
    }
    let blobs = remains.join("blobs");
    if blobs.is_dir() {
        for entry in fs::read_dir(&blobs).map_err(at(&blobs))? {
            files.push(entry.map_err(at(&blobs))?.path());
        }
    }
    Ok(files)
}

/// `None` for a sound one, what is wrong for a damaged one.
fn judge(checked: Result<(), KvError>) -> Result<Option<String>, StoreError> {
    match checked {
        Ok(()) => Ok(None),
        Err(error @ (KvError::Full(_) | KvError::Locked(_))) => Err(error.into()),
        Err(KvError::Io { error, path })
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Err(KvError::Io { path, error }.into())
        }
        Err(KvError::Damaged { message, .. }) => Ok(Some(message)),
        Err(error) => Ok(Some(error.to_string())),
    }
}

fn forget(copy: &Path, outcome: Outcome) -> Result<Outcome, StoreError> {
    match fs::remove_dir_all(copy) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(copy)(error)),
        _ => Ok(outcome),
    }
}

/// Copies the database, unless an earlier attempt, which was cut off, left its copy: that one is older, and sled has
/// been at the original since. Without room for a copy the ladder goes on without.
fn copy_once(folder: &Path, copy: &Path) -> bool {
    if copy.exists() {
        return true;
    }
    let unfinished = copy.with_extension("new");
    let make = || -> io::Result<()> {
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&unfinished)?;
        for name in database_files(folder)? {
            let (from, to) = (folder.join(&name), unfinished.join(&name));
            if name == "blobs" {
                link_blobs(&from, &to)?;
            } else {
                fs::copy(&from, &to)?;
            }
        }
        fs::rename(&unfinished, copy)
    };
    let outcome = make();
    if outcome.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    outcome.is_ok()
}

/// Blobs are linked, not copied: they are written once and only ever removed.
fn link_blobs(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for blob in fs::read_dir(from)? {
        let blob = blob?;
        let to = to.join(blob.file_name());
        if !to.exists() && fs::hard_link(blob.path(), &to).is_err() {
            fs::copy(blob.path(), &to)?;
        }
    }
    Ok(())
}

/// Puts the copy's log and blobs in place again, and takes away what sled can make anew. At no moment is the folder
/// without a log, which would pass for a new database.
fn restore(folder: &Path, copy: Option<&Path>) -> Result<(), StoreError> {
    if let Some(copy) = copy {
        let put_back = || -> io::Result<()> {
            if copy.join("blobs").is_dir() {
                link_blobs(&copy.join("blobs"), &folder.join("blobs"))?;
            }
            if copy.join("db").is_file() {
                let new = folder.join("db.new");
                fs::copy(copy.join("db"), &new)?;
                File::open(&new)?.sync_all()?;
                fs::rename(&new, folder.join("db"))?;
            }
            Ok(())
        };
        put_back().map_err(at(folder))?;
    }
    remove_database(folder, |name| name != "db" && name != "blobs")
}

fn remove_database(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    for name in database_files(folder).map_err(at(folder))? {
        let path = folder.join(&name);
        if wanted(&name) {
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(at(&path))?;
        }
    }
    Ok(())
}

/// What in the folder is sled's; others may keep files beside it.
fn database_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if matches!(name.as_str(), "db" | "db.new" | "blobs" | "conf") || name.starts_with("snap.")
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// A name that is not taken, and room for it.
fn free_name(place: Place<'_>) -> Result<PathBuf, StoreError> {
    fs::create_dir_all(place.quarantine).map_err(at(place.quarantine))?;
    let mut held = Vec::new();
    for entry in fs::read_dir(place.quarantine).map_err(at(place.quarantine))? {
        let entry = entry.map_err(at(place.quarantine))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            held.push((modified.ok(), entry.path()));
        }
    }
    held.sort();
    for (_, oldest) in held
        .iter()
        .take((held.len() + 1).saturating_sub(QUARANTINE_MAX))
    {
        fs::remove_dir_all(oldest).map_err(at(oldest))?;
    }
    let mut number = 1_u32;
    loop {
        let path = place.quarantine.join(format!("{}-{number}", place.name));
        if !path.exists() {
            return Ok(path);
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests;
