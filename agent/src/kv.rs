//! The only door to sled.

use std::path::Path;

/// Bytes of a value, shared with the cache that it was read from.
pub type Value = sled::IVec;

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// Another handle has it open.
    #[error("{0} is open elsewhere")]
    Locked(String),
    /// The disk is full.
    #[error("no space left for {0}")]
    Full(String),
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
#[derive(Debug)]
pub struct Kv {
    db: sled::Db,
}

impl Kv {
    /// Opens the database in `folder`, which is made if it is not there. No repairs: see `store::recover`.
    pub fn open(folder: &Path) -> Result<Self, KvError> {
        let _ = folder;
        todo!()
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, KvError> {
        let _ = (key, &self.db);
        todo!()
    }

    /// The greatest key at or below `key`, with its value.
    pub fn floor(&self, key: &[u8]) -> Result<Option<(Value, Value)>, KvError> {
        let _ = key;
        todo!()
    }

    /// Calls `visit` with each pair from `from` up to, without, `to`, in order, until it says false.
    pub fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        let _ = (from, to, visit);
        todo!()
    }

    /// Sets a key.
    pub fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        let _ = (key, value);
        todo!()
    }

    /// Sets (`Some`) and removes (`None`) keys, all or none.
    pub fn apply(&self, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), KvError> {
        let _ = changes;
        todo!()
    }

    /// Everything written so far is on the disk when this returns.
    pub fn flush(&self) -> Result<(), KvError> {
        todo!()
    }
}
