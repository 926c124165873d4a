//! What sled's flush leaves undone for a power cut.
//!
//! sled 0.34.7 writes its log with `sync_file_range`, which syncs neither the file's length nor the disk's cache,
//! and never syncs the files in `blobs`, where most of the pages of our databases are. So each flush is followed
//! by `fdatasync` of the log, of each new blob, and of the folder of blobs.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The highest blob that is known to be on the disk. Blobs are numbered upwards, never change, and a number is not
/// used again once a flush has passed it.
#[derive(Debug, Default)]
pub(super) struct Synced(Option<u64>);

impl Synced {
    /// To be called after sled's flush. The first call after an open syncs all blobs, whoever wrote them.
    pub(super) fn sync(&mut self, folder: &Path) -> io::Result<()> {
        let blobs = folder.join("blobs");
        let mut highest = self.0;
        for entry in fs::read_dir(&blobs)? {
            let entry = entry?;
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(number) = number.filter(|number| Some(*number) > self.0) else {
                continue;
            };
            match File::open(entry.path()) {
                Ok(file) => file.sync_data()?,
                // sled removes a blob whose page was written anew.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            highest = highest.max(Some(number));
        }
        if highest != self.0 {
            File::open(&blobs)?.sync_all()?;
        }
        File::open(folder.join("db"))?.sync_data()?;
        self.0 = highest;
        Ok(())
    }
}

/// Makes a new database's files known to its folder, and the folder to its parent.
pub(super) fn folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}
