//! What plugin processes are kept from: writing to the agent's data folder, and signalling anybody else.
//!
//! The kernel's Landlock takes rights from a process and from all that it starts. It knows only lists of what is
//! allowed, so writing is allowed in every folder that lies beside the way from `/` to the data folder, as those are
//! when the process starts. What is on no list is closed: the data folder; what lies directly in a folder above it and
//! is none itself; whatever would be made or removed there; and a folder that was made there later, until the plugin's
//! next start. Reading stays open on purpose. To close it, everything that may be read would have to be on the list,
//! and what appears beside the data folder later could not be read by any plugin.
//!
//! It keeps mistakes in and not malice: Landlock knows no right to change modes and owners, and a folder on the way
//! that is mounted a second time, further off, is open there. Without Landlock nothing is kept; the log says once which
//! it is.

mod landlock;
#[cfg(test)]
mod tests;

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Statx, StatxFlags};

pub(super) use landlock::{Ruleset, Version};

/// Folders that may lie beside the way, and entries that are looked at for them. So many folders cost each start 30 ms.
const RULES_MAX: usize = 4_096;
const ENTRIES_MAX: usize = 65_536;

/// Of the whole process, as its children are; `None` where nothing is to be closed.
static CLOSED: Mutex<Option<Closed>> = Mutex::new(None);

#[derive(Debug)]
struct Closed {
    folder: PathBuf,
    /// What the log last said of it; `None` as long as it is to say nothing.
    told: Option<String>,
}

/// Why a folder stays open.
#[derive(Debug, thiserror::Error)]
enum Open {
    #[error("this kernel has no Landlock, or it is switched off")]
    NoLandlock,
    #[error("{path} can't be listed: {error}")]
    Unlisted { path: PathBuf, error: io::Error },
    #[error(
        "{0} holds too much for rules about all that lies beside it; set `data_dir` to a folder elsewhere"
    )]
    Crowded(PathBuf),
    #[error("Landlock refuses it: {0}")]
    Refused(#[from] io::Error),
}

/// Closes a folder to the plugin processes that are started from now on, and to all that they start.
pub(super) fn close(folder: &Path) {
    let mut closed = lock();
    if closed.as_ref().is_none_or(|closed| closed.folder != folder) {
        *closed = Some(Closed {
            folder: folder.to_owned(),
            told: None,
        });
    }
}

/// Says in the log whether the folder is closed; from now on also when that changes.
pub(super) fn announce() {
    if let Some(closed) = lock().as_mut() {
        closed.told = Some(String::new());
        drop(closed.ruleset(Version::of_kernel()));
    }
}

/// What the next plugin process is held to; `None` where the kernel has nothing for it. Made anew for each, because
/// a folder that was made or mounted since the last one would be closed to it.
pub(super) fn ruleset() -> Option<Ruleset> {
    let version = Version::of_kernel();
    let around = lock().as_mut().and_then(|closed| closed.ruleset(version));
    around.or_else(|| {
        let version = version.filter(|version| *version >= Version::SIGNALS)?;
        Ruleset::new(0, version.signals()).ok()
    })
}

fn lock() -> MutexGuard<'static, Option<Closed>> {
    CLOSED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Closed {
    fn ruleset(&mut self, version: Option<Version>) -> Option<Ruleset> {
        let made = around(&self.folder, version, RULES_MAX);
        let folder = self.folder.display();
        let says = match &made {
            Ok(_) if version < Some(Version::TRUNCATE) => {
                format!("plugin processes can't write to {folder}, but can cut files off there")
            }
            Ok(_) => format!("plugin processes can't write to {folder}"),
            Err(error) => format!("plugin processes may write to {folder}: {error}"),
        };
        if self.told.as_ref().is_some_and(|told| *told != says) {
            match &made {
                Ok(_) | Err(Open::NoLandlock) => tracing::info!("{says}"),
                Err(_) => tracing::warn!("{says}"),
            }
            self.told = Some(says);
        }
        made.ok()
    }
}

/// Takes the rights to write, and allows them beside the way to a folder.
fn around(folder: &Path, version: Option<Version>, rules_max: usize) -> Result<Ruleset, Open> {
    let version = version.ok_or(Open::NoLandlock)?;
    let unlisted = |path: &Path, error: io::Error| Open::Unlisted {
        path: path.to_owned(),
        error,
    };
    // The kernel goes by where a file is, whatever link led there.
    let folder = folder
        .canonicalize()
        .map_err(|error| unlisted(folder, error))?;
    let mut way = Vec::new();
    for step in folder.ancestors() {
        let found = rustix::fs::statx(CWD, step, AtFlags::empty(), StatxFlags::INO);
        way.push(inode(&found.map_err(|error| unlisted(step, error.into()))?));
    }
    let ruleset = Ruleset::new(version.writing(), version.signals())?;
    let (mut entries, mut rules) = (0, 0);
    for (step, above) in folder.ancestors().zip(folder.ancestors().skip(1)) {
        let unlisted = |error: rustix::io::Errno| unlisted(above, error.into());
        let step = step.file_name().unwrap_or_default().as_encoded_bytes();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(above, flags, Mode::empty()).map_err(unlisted)?;
        let mut listing = Dir::new(opened).map_err(unlisted)?;
        while let Some(entry) = listing.read() {
            let entry = entry.map_err(unlisted)?;
            if entries == ENTRIES_MAX || rules == rules_max {
                return Err(Open::Crowded(above.to_owned()));
            }
            entries += 1;
            let name = entry.file_name();
            // Regular files stay closed, as new ones beside them are. A rule would also keep the blocks of one that is
            // removed on the disk, for as long as any plugin runs.
            let is_file = [FileType::RegularFile, FileType::Symlink].contains(&entry.file_type());
            if !is_file && ![b"." as &[u8], b"..", step].contains(&name.to_bytes()) {
                let listing = listing.fd().map_err(unlisted)?;
                // What has gone meanwhile needs no rule, and what the kernel takes no rule for does without.
                let allowed = allow(&ruleset, version, listing, name, &way);
                rules += usize::from(allowed.unwrap_or(false));
            }
        }
    }
    Ok(ruleset)
}

/// Allows writing in an entry of a folder, if that is something to write to; gives whether it is.
fn allow(
    ruleset: &Ruleset,
    version: Version,
    listing: BorrowedFd<'_>,
    name: &CStr,
    way: &[(u32, u32, u64)],
) -> io::Result<bool> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(listing, name, flags, Mode::empty())?;
    // As it was last known: a server that has gone would be waited for without end.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let found = rustix::fs::statx(&place, c"", flags, StatxFlags::TYPE | StatxFlags::INO)?;
    let rights = match FileType::from_raw_mode(found.stx_mode.into()) {
        // Unless it is a folder of the way itself, mounted here a second time.
        FileType::Directory if !way.contains(&inode(&found)) => version.writing(),
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
            version.writing_file()
        }
        _ => return Ok(false),
    };
    ruleset.allow(place.as_fd(), rights)?;
    Ok(true)
}

/// What a rule goes by: the file system and the number in it.
const fn inode(found: &Statx) -> (u32, u32, u64) {
    (found.stx_dev_major, found.stx_dev_minor, found.stx_ino)
}
