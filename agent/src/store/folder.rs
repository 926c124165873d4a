//! The data folder: who owns it, which schema it has, how much room there is.
//!
//! `lock` is held with `flock` as long as a [`Folder`] lives and names its owner's process. `schema` is one line,
//! `barograph VERSION`, read before anything else is opened. Migration is in [`migration`]. Nothing here knows
//! what the levels hold.

mod migration;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{FlockOperation, flock, statvfs};
use rustix::io::Errno;

use super::StoreError;
pub(super) use migration::Migration;

/// The schema that this agent writes.
pub const SCHEMA: u32 = 1;

/// What is in the file `schema` before the number.
const PRODUCT: &str = "barograph ";

/// The owned data folder. Given back when it is dropped.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Held for its lock alone.
    _lock: File,
    notes: Vec<String>,
}

/// Room on the file system of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process can still write.
    pub free_bytes: u64,
    /// Its size.
    pub total_bytes: u64,
}

impl Folder {
    /// Takes the folder, which is made if it is not there: one owner at a time, no newer schema; an older one is
    /// migrated.
    pub fn take(root: &Path) -> Result<Self, StoreError> {
        Self::take_with(root, SCHEMA, &[])
    }

    /// `migrations` lead to `schema`, each from the one before.
    fn take_with(root: &Path, schema: u32, migrations: &[Migration]) -> Result<Self, StoreError> {
        // Others than the owner have no business with what an agent saw.
        const OWNER_ALONE: u32 = 0o750;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(OWNER_ALONE)
            .create(root)
            .map_err(at(root))?;
        let lock = lock(root)?;
        let mut notes = Vec::new();
        migration::resume(root)?;
        match read_schema(root)? {
            Found::Version(found) if found > schema => {
                return Err(StoreError::NewerSchema {
                    path: root.to_owned(),
                    found,
                    known: schema,
                });
            }
            Found::Version(found) => {
                for migration in migrations.iter().filter(|one| one.from >= found) {
                    migration.run(root)?;
                    notes.push(format!(
                        "the data folder was migrated from schema {} to {}",
                        migration.from,
                        migration.from + 1
                    ));
                }
            }
            Found::Nothing => write_schema(root, schema)?,
            Found::Unreadable => {
                // The versions so far can be told apart by nothing else, so it is taken for the one that most have.
                write_schema(root, schema)?;
                notes.push(format!(
                    "the file `schema` was lost or damaged; taken to be {schema}"
                ));
            }
        }
        Ok(Self {
            root: root.to_owned(),
            _lock: lock,
            notes,
        })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was migrated or repaired when it was taken, for the log.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Room on its file system.
    pub fn space(&self) -> Result<Space, StoreError> {
        space(&self.root).map_err(at(&self.root))
    }
}

/// Names the path that an error happened at.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> StoreError + '_ {
    move |error| StoreError::Io {
        path: path.to_owned(),
        error,
    }
}

/// Room on the file system of a path.
pub fn space(path: &Path) -> io::Result<Space> {
    let found = statvfs(path)?;
    Ok(Space {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// What a file or folder really takes on the disk, with everything in it. What vanishes meanwhile takes nothing.
pub fn disk_bytes(path: &Path) -> u64 {
    // The unit of `st_blocks`, whatever the file system's own.
    const BLOCK_BYTES: u64 = 512;
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    let own = metadata.blocks() * BLOCK_BYTES;
    let within = match fs::read_dir(path) {
        Ok(entries) if metadata.is_dir() => entries
            .flatten()
            .map(|entry| disk_bytes(&entry.path()))
            .sum(),
        _ => 0,
    };
    own + within
}

/// Makes a folder's entries durable.
pub(super) fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(at(folder))
}

/// Replaces a small file, durably and at once.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(at(path))?;
    path.parent().map_or(Ok(()), sync)
}

fn lock(root: &Path) -> Result<File, StoreError> {
    const OWNER_WRITES: u32 = 0o640;
    let path = root.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWNER_WRITES)
        .open(&path)
        .map_err(at(&path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            return Err(StoreError::Owned {
                path: root.to_owned(),
                // 0 for an owner that has the lock for a moment only and did not write yet.
                pid: text.trim().parse().unwrap_or(0),
            });
        }
        Err(error) => return Err(at(&path)(error.into())),
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", process::id())
    };
    match write() {
        // The lock is what counts: a full disk must not keep the agent from starting.
        Err(error) if error.kind() != ErrorKind::StorageFull => Err(at(&path)(error)),
        _ => Ok(file),
    }
}

enum Found {
    Version(u32),
    /// An empty folder.
    Nothing,
    Unreadable,
}

fn read_schema(root: &Path) -> Result<Found, StoreError> {
    let path = root.join("schema");
    match fs::read(&path) {
        Ok(bytes) => {
            let version = str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.strip_prefix(PRODUCT)?.trim_end().parse().ok());
            Ok(version.map_or(Found::Unreadable, Found::Version))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(if root.join("core").exists() {
            Found::Unreadable
        } else {
            Found::Nothing
        }),
        Err(error) => Err(at(&path)(error)),
    }
}

fn write_schema(root: &Path, version: u32) -> Result<(), StoreError> {
    write_whole(
        &root.join("schema"),
        format!("{PRODUCT}{version}\n").as_bytes(),
    )
}

#[cfg(test)]
mod tests;
