//! Libraries of plugins: where they are found, whether they may be loaded, and the copy that is loaded.
//!
//! The agent never loads the file that the configuration names. A [`Shelf`] opens it once, looks at whom it
//! belongs to and who may write to it, reads it through that one descriptor, compares its SHA-256 with the
//! configured one, and keeps a copy of it as `SHA256.so` in a folder of its own. That copy is what a host
//! gets, so that a file which is exchanged or removed later changes nothing before the next reload.
//!
//! It knows neither processes nor the ABI; whether a library is a plugin shows when it is started.

mod error;
mod search;
mod trust;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, statvfs};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

pub use error::LibraryError;
pub use search::{find_library, folders, libraries_in, unasked};

/// Bytes of a library; even with all its debugging symbols a plugin has a fifth of it.
pub(super) const LIBRARY_BYTES_MAX: u64 = 512 << 20;
/// What is read at a time.
const READ_BYTES: usize = 128 << 10;
/// Hexadecimal digits of a SHA-256.
pub const SHA256_DIGITS: usize = 64;
/// States of files that are remembered: as many as there are libraries, and some more after each exchange.
const KNOWN_MAX: usize = 256;
/// What the name of an unfinished copy begins with.
const PARTIAL: &str = ".partial-";
/// Nobody but the owner, who reads and runs it.
const COPY_MODE: u32 = 0o500;
const FOLDER_MODE: u32 = 0o700;

/// What is asked of a library beyond what is asked of every one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The only content that may be loaded: SHA-256 in hexadecimal digits.
    pub sha256: Option<String>,
    /// Whether a library that its group may write to is refused, and not only warned of.
    pub strict: bool,
}

/// A library that may be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The copy that is to be loaded; in a trial it may be the library itself.
    pub loaded: PathBuf,
    /// SHA-256 of the copy, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What is unwise about the file.
    pub warnings: Vec<String>,
}

/// Tells one state of a file from another without reading it.
///
/// A file that is written to or exchanged has another one, unless somebody goes to lengths to hide it: the
/// time of the last change (ctime) can't be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileState {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What was found out about a file, and the copy that was good then.
#[derive(Clone, Debug)]
struct Known {
    sha256: String,
    copy: FileState,
}

/// The folder of the copies.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    /// Saves reading a library again that has not changed since. Begun anew when it has [`KNOWN_MAX`] entries.
    known: Mutex<HashMap<FileState, Known>>,
    is_temporary: bool,
}

impl Shelf {
    /// The shelf in `folder`, which is made if it is not there and is then the agent's user's alone.
    pub fn open(folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = folder.as_ref();
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Self::owned(folder, false)
    }

    /// One in the temp folder that is gone when it is dropped, for a trial of a plugin. Where nothing can be loaded from
    /// there, the libraries themselves are.
    pub fn temporary() -> io::Result<Self> {
        let temp = std::env::temp_dir();
        loop {
            let folder = temp.join(format!("barograph-plugins-{}", unique()));
            match DirBuilder::new().mode(FOLDER_MODE).create(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => return Self::owned(&folder, true),
            }
        }
    }

    /// What lies in the folder is loaded, so nobody else may put anything there.
    fn owned(folder: &Path, is_temporary: bool) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(folder)?;
        if !metadata.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        if metadata.mode() & 0o777 != FOLDER_MODE {
            // Fails for anybody but the owner and root.
            fs::set_permissions(folder, fs::Permissions::from_mode(FOLDER_MODE))?;
        }
        // A host is given the whole path, whatever folder it runs in.
        let folder = folder.canonicalize()?;
        Ok(Self {
            folder,
            known: Mutex::default(),
            is_temporary,
        })
    }

    /// Where the copies are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A folder above it that anybody may write to, and thus put another folder in the shelf's place.
    pub fn open_above(&self) -> Option<PathBuf> {
        trust::open_above(&self.folder)
    }

    /// Makes sure that the library at `path` may be loaded and that there is a copy of it.
    ///
    /// It reads the whole file unless it is in the state that it had at an earlier call, so it blocks: some
    /// milliseconds for each 5 MB.
    pub fn pin(&self, path: &Path, policy: &Policy) -> Result<Pinned, LibraryError> {
        let (mut file, metadata) = open(path)?;
        let warnings = trust::check(path, &metadata, policy.strict)?;
        let state = FileState::of(&metadata);
        if let Some(known) = self.still_known(&state) {
            expect(path, policy, &known.sha256)?;
            return Ok(self.pinned(known.sha256, warnings));
        }
        let unreadable = |error| unreadable(path, error);
        let sha256 = hash(&mut file, &mut io::sink()).map_err(unreadable)?;
        expect(path, policy, &sha256)?;
        if self.is_noexec() {
            // A trial may load the library itself; that is no worse than a copy which other processes can exchange.
            return match std::path::absolute(path) {
                Ok(loaded) if self.is_temporary => Ok(Pinned {
                    loaded,
                    sha256,
                    warnings,
                }),
                _ => Err(LibraryError::NoExec(self.folder.clone())),
            };
        }
        if !self.is_good(&sha256, metadata.len()) {
            self.copy(path, &mut file, &sha256)?;
        }
        // While it was read it may have become another one, which then counts from the next reload on.
        let after = file.metadata().map_err(unreadable)?;
        if FileState::of(&after) == state
            && let Ok(copy) = fs::symlink_metadata(self.path_of(&sha256))
        {
            let known = Known {
                sha256: sha256.clone(),
                copy: FileState::of(&copy),
            };
            let mut all = self.known();
            if all.len() >= KNOWN_MAX {
                all.clear();
            }
            all.insert(state, known);
        }
        Ok(self.pinned(sha256, warnings))
    }

    /// Removes the copies that are not to be kept, and what unfinished ones left.
    pub fn sweep(&self, keep: &[String]) {
        self.known().retain(|_, known| keep.contains(&known.sha256));
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_old = match name.strip_suffix(".so") {
                Some(sha256) => is_sha256(sha256) && !keep.iter().any(|kept| kept == sha256),
                None => name.starts_with(PARTIAL),
            };
            if is_old && let Err(error) = fs::remove_file(entry.path()) {
                let path = entry.path();
                tracing::warn!(path = %path.display(), "an old copy of a library can't be removed: {error}");
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<FileState, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a file in this state, if its copy is in the state in which it was good.
    fn still_known(&self, state: &FileState) -> Option<Known> {
        let known = self.known().get(state).cloned()?;
        let copy = fs::symlink_metadata(self.path_of(&known.sha256)).ok()?;
        (FileState::of(&copy) == known.copy).then_some(known)
    }

    fn path_of(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.so"))
    }

    fn pinned(&self, sha256: String, warnings: Vec<String>) -> Pinned {
        Pinned {
            loaded: self.path_of(&sha256),
            sha256,
            warnings,
        }
    }

    /// Whether nothing in its folder can be loaded. The dynamic linker would only say that a segment can't be mapped.
    fn is_noexec(&self) -> bool {
        statvfs(&self.folder).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC))
    }

    /// Whether a copy is there that holds what its name says. Nothing needs to be written then, so an agent
    /// whose disk is full can start its plugins again.
    fn is_good(&self, sha256: &str, bytes: u64) -> bool {
        let opened = rustix::fs::open(
            self.path_of(sha256),
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK,
            Mode::empty(),
        );
        let Ok(mut copy) = opened.map(File::from) else {
            return false;
        };
        let has_size = copy.metadata().is_ok_and(|metadata| {
            let ours = metadata.mode() & 0o777 == COPY_MODE;
            metadata.is_file() && ours && metadata.len() == bytes
        });
        has_size && hash(&mut copy, &mut io::sink()).is_ok_and(|found| found == sha256)
    }

    /// Copies the opened file under its hash; what is compared is the hash of the bytes that were written.
    fn copy(&self, path: &Path, file: &mut File, sha256: &str) -> Result<(), LibraryError> {
        let partial = self.folder.join(format!("{PARTIAL}{}", unique()));
        let copied = file.rewind().and_then(|()| {
            // The descriptor writes although the file's mode lets nobody write.
            let mut options = OpenOptions::new();
            let mut out = options
                .write(true)
                .create_new(true)
                .mode(COPY_MODE)
                .open(&partial)?;
            hash(file, &mut out)
        });
        let done = match copied {
            Ok(found) if found == sha256 => fs::rename(&partial, self.path_of(sha256))
                .map_err(|error| self.uncopied(path, error)),
            Ok(_) => Err(LibraryError::Changed(path.to_owned())),
            Err(error) => Err(self.uncopied(path, error)),
        };
        if done.is_err() {
            // If that fails as well, the next sweep does it.
            let _ = fs::remove_file(&partial);
        }
        done
    }

    fn uncopied(&self, path: &Path, error: io::Error) -> LibraryError {
        LibraryError::Copy {
            path: path.to_owned(),
            folder: self.folder.clone(),
            error,
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Whether an agent of this user would load a library, whatever it holds; gives what is unwise about it.
pub fn judge(path: &Path, strict: bool) -> Result<Vec<String>, LibraryError> {
    let (_, metadata) = open(path)?;
    trust::check(path, &metadata, strict)
}

/// SHA-256 of a library, as [`Pinned`] and the key `sha256` have it. Whether it may be loaded is not asked.
pub fn sha256(path: &Path) -> Result<String, LibraryError> {
    let (mut file, _) = open(path)?;
    hash(&mut file, &mut io::sink()).map_err(|error| unreadable(path, error))
}

/// Sees that a copy still is what was checked, however long ago that was: any process of the same user, every plugin
/// among them, may have exchanged it. Without a hash the library itself is loaded, and there is nothing to compare.
pub(super) fn verify(copy: &Path, expected: &str) -> Result<(), String> {
    if expected.is_empty() {
        return Ok(());
    }
    let what = match sha256(copy) {
        Ok(found) if found == expected => return Ok(()),
        Ok(found) => format!("has the sha256 {found} now"),
        Err(error) => error.to_string(),
    };
    let copy = copy.display();
    Err(format!(
        "its copy {copy} is not what was checked: {what}; a reload (SIGHUP) copies the library again"
    ))
}

/// Whether the text is a SHA-256 as [`Pinned`] has it.
fn is_sha256(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == SHA256_DIGITS && text.bytes().all(is_digit)
}

/// Opens a library: links are followed, and what they lead to is judged through the descriptor.
fn open(path: &Path) -> Result<(File, fs::Metadata), LibraryError> {
    // A pipe would otherwise hold the agent until somebody writes into it.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(LibraryError::Missing(path.to_owned())),
        Err(error) => return Err(unreadable(path, error.into())),
    };
    let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
    if !metadata.is_file() {
        return Err(LibraryError::NotFile(path.to_owned()));
    }
    if metadata.len() > LIBRARY_BYTES_MAX {
        return Err(LibraryError::TooLarge(path.to_owned()));
    }
    Ok((file, metadata))
}

fn unreadable(path: &Path, error: io::Error) -> LibraryError {
    LibraryError::Unreadable {
        path: path.to_owned(),
        error,
    }
}

/// Refuses a content that is not the configured one.
fn expect(path: &Path, policy: &Policy, found: &str) -> Result<(), LibraryError> {
    match &policy.sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(found) => Err(LibraryError::Mismatch {
            path: path.to_owned(),
            expected: expected.to_ascii_lowercase(),
            found: found.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Reads the rest of a file into `out`; SHA-256 of what was read.
fn hash(file: &mut File, out: &mut dyn io::Write) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    // A file that grows while it is read never ends otherwise.
    let mut bounded = file.take(LIBRARY_BYTES_MAX);
    loop {
        match bounded.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => {
                hash.update(&buffer[..len]);
                out.write_all(&buffer[..len])?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digits = hash
        .finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            // A write to a string can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
    Ok(digits)
}

/// A part of a file's name that no other shelf of this machine uses now.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}

#[cfg(test)]
mod tests;
