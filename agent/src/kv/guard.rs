//! What stands between sled and everyone else: its panics and its errors become [`KvError`]s.
//!
//! sled checks much of what it reads from a damaged file with assertions, and reports a full disk as any error.

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::KvError;

/// Runs one call of sled. The caller gives the handle up after an error, so nothing half-changed is seen again.
pub(super) fn guarded<T>(
    folder: &Path,
    call: impl FnOnce() -> sled::Result<T>,
) -> Result<T, KvError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => outcome.map_err(|error| translate(folder, error)),
        Err(panic) => Err(KvError::Damaged {
            path: folder.display().to_string(),
            message: said(panic.as_ref()),
        }),
    }
}

/// Tells a full disk, a held lock and damage from other failures.
pub(super) fn translate(folder: &Path, error: sled::Error) -> KvError {
    let path = folder.display().to_string();
    let error = match error {
        sled::Error::Io(error) => error,
        sled::Error::Corruption { at, .. } => {
            let place = at.map_or(String::new(), |at| format!(" at {at}"));
            return KvError::Damaged {
                path,
                message: format!("a checksum is wrong{place}"),
            };
        }
        other => {
            return KvError::Damaged {
                path,
                message: other.to_string(),
            };
        }
    };
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => KvError::Full(path),
        // A file that is cut short or gone; sled keeps the folder to itself, so that is nobody's doing.
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::NotFound => {
            KvError::Damaged {
                path,
                message: error.to_string(),
            }
        }
        // sled has no error of its own for this; the words are those of its version 0.34.7, which is pinned.
        _ if error.to_string().starts_with("could not acquire lock") => KvError::Locked(path),
        _ => KvError::Io { path, error },
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    // Some assertions print whole tables.
    const CHARS_MAX: usize = 200;
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it stopped without a word");
    message.chars().take(CHARS_MAX).collect()
}
