//! Whom a library belongs to, and who else could change what the agent loads.
//!
//! Whoever may write to a plugin's library runs code as the agent's user. So the file has to belong to root
//! or to that user, only they may write to it (its group is warned of, or refused on request), and no folder
//! on the way to it lets just anybody put another file in its place.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::LibraryError;

const ROOT: u32 = 0;
const WORLD_WRITES: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
/// In a folder with this bit only the owner of a file may remove or replace it.
const STICKY: u32 = 0o1000;
/// Links that lead to links; the kernel follows as many.
const LINKS_MAX: usize = 40;

/// Refuses a library that others could change; gives what is unwise about it.
pub(super) fn check(
    path: &Path,
    metadata: &Metadata,
    strict: bool,
) -> Result<Vec<String>, LibraryError> {
    let mode = metadata.mode();
    check_owner(path, metadata.uid(), rustix::process::geteuid().as_raw())?;
    if mode & WORLD_WRITES != 0 {
        return Err(LibraryError::WorldWritable(path.to_owned()));
    }
    if let Some(folder) = open_folder(path) {
        return Err(LibraryError::OpenFolder {
            path: path.to_owned(),
            folder,
        });
    }
    if mode & GROUP_WRITES == 0 {
        return Ok(Vec::new());
    }
    if strict {
        return Err(LibraryError::GroupWritable(path.to_owned()));
    }
    let shown = path.display();
    Ok(vec![format!(
        "the group of {shown} may write to it, and with it run code as the agent's user; `chmod 755 {shown}`, or set \
         `strict` to refuse such a library"
    )])
}

/// `user` is the agent's.
fn check_owner(path: &Path, owner: u32, user: u32) -> Result<(), LibraryError> {
    if owner == ROOT || owner == user {
        return Ok(());
    }
    Err(LibraryError::Owner {
        path: path.to_owned(),
        owner,
    })
}

/// The first folder on the way to a file, and to whatever its links lead to, that anybody may write to.
fn open_folder(path: &Path) -> Option<PathBuf> {
    let mut at = std::path::absolute(path).ok()?;
    for _ in 0..LINKS_MAX {
        if let Some(folder) = open_above(&at) {
            return Some(folder);
        }
        let Ok(target) = fs::read_link(&at) else {
            break;
        };
        at = at.parent()?.join(target);
    }
    // Also the folders that are links themselves.
    open_above(&path.canonicalize().ok()?)
}

/// The nearest folder above a path in which anybody may remove and replace what is there.
pub(super) fn open_above(path: &Path) -> Option<PathBuf> {
    let is_open = |folder: &&Path| {
        fs::metadata(folder).is_ok_and(|metadata| {
            let mode = metadata.mode();
            mode & WORLD_WRITES != 0 && mode & STICKY == 0
        })
    };
    path.ancestors().skip(1).find(is_open).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_belongs_to_root_or_to_the_agents_user() {
        let path = Path::new("/opt/x.so");
        for (owner, user, is_good) in [
            (0, 0, true),
            (0, 1_000, true),
            (1_000, 1_000, true),
            (1_000, 0, false),
            (1_001, 1_000, false),
        ] {
            let checked = check_owner(path, owner, user);
            assert_eq!(checked.is_ok(), is_good, "{owner} {user}");
            if let Err(error) = checked {
                let said = error.to_string();
                assert!(
                    said.starts_with(&format!(
                        "/opt/x.so belongs to the user with the id {owner}"
                    )) && said.ends_with("`chown root /opt/x.so && chmod 755 /opt/x.so`"),
                    "{said}"
                );
            }
        }
    }
}
