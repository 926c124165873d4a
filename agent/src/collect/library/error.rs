//! Why a library can't be loaded: each says what is wrong with which file, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why a library can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Nothing stands at the path.
    #[error("there is no library {0}")]
    Missing(PathBuf),
    /// It can't be opened or read.
    #[error("{path} can't be read: {error}")]
    Unreadable {
        /// As configured or found.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder, a device or a pipe.
    #[error("{0} is not a file; give the path of a plugin's library")]
    NotFile(PathBuf),
    /// Larger than any library.
    #[error("{0} is larger than 512 MiB, which no plugin is")]
    TooLarge(PathBuf),
    /// It belongs to somebody who could exchange it.
    #[error(
        "{path} belongs to the user with the id {owner}, who could put anything into it: a library has to belong to \
         root or to the agent's user; `chown root {path} && chmod 755 {path}`"
    )]
    Owner {
        /// As configured or found.
        path: PathBuf,
        /// Id of its owner.
        owner: u32,
    },
    /// Anybody may change it.
    #[error("anybody may write to {0}; `chmod 755 {0}`")]
    WorldWritable(PathBuf),
    /// Its group may change it, and the configuration has `strict`.
    #[error("the group of {0} may write to it, which `strict` refuses; `chmod 755 {0}`")]
    GroupWritable(PathBuf),
    /// Anybody may put another file in its place.
    #[error(
        "anybody may put another file in the place of {path}, because anybody may write to the folder {folder}; \
         `chmod 755 {folder}`"
    )]
    OpenFolder {
        /// As configured or found.
        path: PathBuf,
        /// On the way to it.
        folder: PathBuf,
    },
    /// It is not the library that the configuration names.
    #[error(
        "{path} is not the configured library: its sha256 is {found}, the configuration has {expected}; bring back the \
         right file, or set `sha256` if the new one is wanted"
    )]
    Mismatch {
        /// As configured or found.
        path: PathBuf,
        /// What the configuration has.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// It was written to while it was read.
    #[error(
        "{0} was written to while it was copied; put a new library in place with `mv`, then reload again"
    )]
    Changed(PathBuf),
    /// The copy can't be made.
    #[error("{path} can't be copied to {folder}: {error}")]
    Copy {
        /// As configured or found.
        path: PathBuf,
        /// The shelf's folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nothing in the shelf's folder can be loaded.
    #[error(
        "plugins are loaded from {0}, which lies on a file system that is mounted with `noexec`; mount it without, or \
         set `data_dir` to a folder elsewhere"
    )]
    NoExec(PathBuf),
}
