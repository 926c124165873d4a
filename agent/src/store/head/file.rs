//! One append file: whole records or nothing, synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is behind a head file. Cloned by readers, who go on reading after it was unlinked.
#[derive(Clone, Debug)]
pub(super) struct HeadFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    /// End of the last whole record. What lies behind it in the file is overwritten.
    len: AtomicU64,
}

impl HeadFile {
    /// Makes it, or opens the one that is there. Others than the owner have no business with what an agent saw.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(path)?;
        let len = file.metadata()?.len();
        if len == 0
            && let Some(folder) = path.parent()
        {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            file,
            len: AtomicU64::new(len),
        })))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len.load(Ordering::Acquire)
    }

    /// Appends a record and syncs it; gives its position. After an error the file is as it was, and the next record
    /// goes to the same place.
    pub(super) fn append(&self, parts: &[&[u8]]) -> io::Result<u64> {
        let position = self.len();
        let written = self.write(position, parts);
        match written {
            Ok(end) => self.0.len.store(end, Ordering::Release),
            // Room is given back at once. If even that fails, what is left behind the end is no whole record.
            Err(_) => drop(self.0.file.set_len(position)),
        }
        written.map(|_| position)
    }

    fn write(&self, mut position: u64, parts: &[&[u8]]) -> io::Result<u64> {
        for part in parts {
            #[cfg(test)]
            let part = &faults::allowed(self, position, part)?;
            self.0.file.write_all_at(part, position)?;
            position += part.len() as u64;
        }
        // After a failed sync nobody knows what of it is on the disk, so it counts as not written.
        self.0.file.sync_data()?;
        // A file without a name takes everything, and is gone with the process.
        if self.0.file.metadata()?.nlink() == 0 {
            return Err(io::Error::other(
                "it was deleted while the agent ran; start the agent again",
            ));
        }
        Ok(position)
    }

    /// Forgets what is behind a position.
    pub(super) fn cut_off(&self, position: u64) {
        self.0.len.store(position, Ordering::Release);
        // If it fails, the next record overwrites what is there, and a reader resyncs behind that.
        drop(self.0.file.set_len(position));
    }

    pub(super) fn read(&self, position: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.file.read_exact_at(bytes, position)
    }
}

/// A disk for tests that has only so much room.
#[cfg(test)]
pub(super) mod faults {
    use std::io;
    use std::os::unix::fs::FileExt as _;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    use super::HeadFile;

    /// Folders and the length that files in them can have.
    static FULL: Mutex<Vec<(PathBuf, u64)>> = Mutex::new(Vec::new());

    /// Files in `folder` cannot grow beyond that, until they can (`None`).
    pub(crate) fn limit(folder: &Path, bytes_max: Option<u64>) {
        let mut full = FULL.lock().unwrap_or_else(PoisonError::into_inner);
        full.retain(|(path, _)| path != folder);
        full.extend(bytes_max.map(|bytes| (folder.to_owned(), bytes)));
    }

    /// As a real disk does, it takes what there is room for before it says no.
    pub(super) fn allowed<'a>(
        file: &HeadFile,
        position: u64,
        part: &'a [u8],
    ) -> io::Result<&'a [u8]> {
        let full = FULL.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = full
            .iter()
            .find(|(folder, _)| file.path().starts_with(folder));
        let room = limit.map_or(u64::MAX, |(_, max)| max.saturating_sub(position));
        match usize::try_from(room) {
            Ok(room) if room < part.len() => {
                file.0.file.write_all_at(&part[..room], position)?;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(part),
        }
    }
}
