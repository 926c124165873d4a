//! Failures of the disk for tests: the nth write or flush below a folder fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// An insert or a batch.
    Write,
    /// A flush.
    Flush,
}

struct Fault {
    below: PathBuf,
    operation: Operation,
    /// Operations that still succeed.
    after: u32,
    kind: io::ErrorKind,
}

/// By folder, so that tests in one process don't meet each other's.
static FAULTS: Mutex<Vec<Fault>> = Mutex::new(Vec::new());

/// From the `after`-th on, operations on databases below a folder fail, until [`heal`].
pub(crate) fn fail(below: &Path, operation: Operation, after: u32, kind: io::ErrorKind) {
    let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
    faults.push(Fault {
        below: below.to_owned(),
        operation,
        after,
        kind,
    });
}

/// Nothing below a folder fails any more.
pub(crate) fn heal(below: &Path) {
    let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
    faults.retain(|fault| !fault.below.starts_with(below));
}

/// What sled would say.
pub(super) fn check(folder: &Path, operation: Operation) -> sled::Result<()> {
    let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
    for fault in &mut *faults {
        if fault.operation == operation && folder.starts_with(&fault.below) {
            if fault.after == 0 {
                return Err(sled::Error::Io(fault.kind.into()));
            }
            fault.after -= 1;
        }
    }
    Ok(())
}
