//! The only door to sled: a small ordered database in a folder of its own.
//!
//! Every call into sled stands behind [`guard`]: its panics become errors, and its errors say what the caller can
//! do. A handle that saw an error is not used again, because sled keeps an error for good: the next call opens the
//! database anew, and what was not flushed before the error may be missing then. [`sync`] makes a flush durable,
//! which sled's own is not. Nothing here repairs anything; that is `store::recover`.

#[cfg(test)]
pub(crate) mod faults;
mod guard;
mod sync;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use guard::guarded;
use sync::Synced;

/// Bytes of a value, shared with the cache that it was read from.
pub type Value = sled::IVec;

/// Bytes of sled's segment. A value above a quarter of it becomes a file of its own.
const SEGMENT_BYTES: usize = 64 * 1_024;
/// The least that sled takes. It never evicts anything from databases this small, whatever is set, so memory is
/// bounded by closing them; docs/benchmarks.md has the figures.
const CACHE_BYTES: u64 = 256 * 1_024;
/// A handle gives its lock back some milliseconds after it was dropped, or when a process that was being started
/// at that moment has closed what it inherited.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// Another handle has it open.
    #[error("{0} is open elsewhere")]
    Locked(String),
    /// The disk is full.
    #[error("no space left for {0}")]
    Full(String),
    /// Something that was written before an error is not there, and has to be written again.
    #[error("{0} lost what was not flushed before an error")]
    Unflushed(String),
    /// What was read is not what was written.
    #[error("{path} is damaged: {message}")]
    Damaged {
        /// The folder.
        path: String,
        /// What sled said.
        message: String,
    },
    /// Any other failure of the disk.
    #[error("{path}: {error}")]
    Io {
        /// The folder.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

/// One small ordered database in a folder of its own. Shared by reference between threads.
pub struct Kv {
    folder: PathBuf,
    /// `None` after an error.
    db: RwLock<Option<sled::Db>>,
    /// Beside the database, so that a sync holds nobody up.
    synced: Mutex<Synced>,
}

impl fmt::Debug for Kv {
    /// Without the content, which sled's own would print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Kv {
    /// Opens the database in `folder`, which is made if it is not there. No repairs: see `store::recover`.
    pub fn open(folder: &Path) -> Result<Self, KvError> {
        let db = open(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            db: RwLock::new(Some(db)),
            synced: Mutex::default(),
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, KvError> {
        self.with(|db| db.get(key))
    }

    /// The greatest key at or below `key`, with its value.
    pub fn floor(&self, key: &[u8]) -> Result<Option<(Value, Value)>, KvError> {
        self.with(|db| db.range(..=key).next_back().transpose())
    }

    /// Calls `visit` with each pair from `from` up to, without, `to`, in order, until it says false.
    pub fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        // `visit` runs outside of the guard and of the lock: its panics are its own, and it may use this database.
        let mut pairs = Some(self.with(|db| Ok(db.range(from..to)))?);
        let outcome = loop {
            let Some(open) = pairs.as_mut() else {
                break Ok(());
            };
            match guarded(&self.folder, || open.next().transpose()) {
                Ok(Some((key, value))) if visit(&key, &value) => {}
                Ok(_) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // The last handle of a database writes when it goes, and can fail at that.
        let closed = guarded(&self.folder, || {
            pairs.take();
            Ok(())
        });
        if outcome.is_err() {
            self.discard();
        }
        outcome.and(closed)
    }

    /// Sets a key.
    pub fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.with(|db| {
            #[cfg(test)]
            faults::check(&self.folder, faults::Operation::Write)?;
            db.insert(key, value).map(drop)
        })
    }

    /// Sets (`Some`) and removes (`None`) keys, all or none.
    pub fn apply(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), KvError> {
        self.with(|db| {
            #[cfg(test)]
            faults::check(&self.folder, faults::Operation::Write)?;
            let mut batch = sled::Batch::default();
            for (key, value) in changes {
                match value {
                    Some(value) => batch.insert(*key, *value),
                    None => batch.remove(*key),
                }
            }
            db.apply_batch(batch)
        })
    }

    /// Everything written so far is on the disk when this returns.
    pub fn flush(&self) -> Result<(), KvError> {
        self.with(|db| {
            #[cfg(test)]
            faults::check(&self.folder, faults::Operation::Flush)?;
            db.flush().map(drop)
        })?;
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        synced.sync(&self.folder).map_err(|error| {
            self.discard();
            guard::translate(&self.folder, error.into())
        })
    }

    /// Runs a call on an open handle, and gives that handle up if it fails.
    fn with<T>(&self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, KvError> {
        let mut slot = self.db.read().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            drop(slot);
            self.reopen()?;
            slot = self.db.read().unwrap_or_else(PoisonError::into_inner);
        }
        let Some(db) = slot.as_ref() else {
            // Another thread's call failed in between; it reports what there is to report.
            return Err(KvError::Locked(self.folder.display().to_string()));
        };
        let outcome = guarded(&self.folder, || call(db));
        drop(slot);
        if outcome.is_err() {
            self.discard();
        }
        outcome
    }

    fn reopen(&self) -> Result<(), KvError> {
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(open(&self.folder)?);
        }
        Ok(())
    }

    fn discard(&self) {
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let db = slot.take();
        // What goes wrong now has been reported by the call that failed.
        let _ = guarded(&self.folder, || {
            drop(db);
            Ok(())
        });
    }
}

impl Drop for Kv {
    /// sled writes when its last handle goes, and panics if it cannot.
    fn drop(&mut self) {
        self.discard();
    }
}

fn open(folder: &Path) -> Result<sled::Db, KvError> {
    let is_new = !folder.join("db").exists();
    let mut attempt = 1;
    let db = loop {
        let opened = guarded(folder, || {
            sled::Config::new()
                .path(folder)
                .mode(sled::Mode::LowSpace)
                .segment_size(SEGMENT_BYTES)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None)
                .open()
        });
        match opened {
            Err(KvError::Locked(_)) if attempt < LOCK_ATTEMPTS => {
                attempt += 1;
                thread::sleep(LOCK_PAUSE);
            }
            other => break other?,
        }
    };
    if is_new {
        sync::folder(folder).map_err(|error| guard::translate(folder, error.into()))?;
    }
    Ok(db)
}

#[cfg(test)]
mod tests;
