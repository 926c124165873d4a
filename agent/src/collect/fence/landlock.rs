//! Landlock's system calls, what each version of it knows, and its rulesets; the kernel's documentation and
//! landlock(7) have the rest.
//!
//! These are own calls because the crate `landlock` asks the file system of every folder for its attributes. Where that
//! is one whose server has gone, the answer never comes, and no plugin would be started any more.

use std::ffi::{c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

const WRITE_FILE: u64 = 1 << 1;
/// Removing folders and files, and making one of each kind.
const REMOVE_AND_MAKE: u64 = 0b1_1111_1111 << 4;
/// Moving from folder to folder, which every ruleset about files denies unless it says otherwise.
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const SCOPE_SIGNAL: u64 = 1 << 1;
const NO_FLAGS: c_int = 0;

/// What the kernel's Landlock can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Version(pub(super) c_int);

impl Version {
    /// The first whose rulesets take the right to cut files off: Linux 6.2.
    pub(super) const TRUNCATE: Self = Self(3);
    /// The first with [`Version::signals`]: Linux 6.12.
    pub(in super::super) const SIGNALS: Self = Self(6);

    /// The running kernel's; `None` where there is no Landlock, or it is switched off.
    pub(in super::super) fn of_kernel() -> Option<Self> {
        const VERSION: c_int = 1;
        let no_bytes: usize = 0;
        // SAFETY: a plain system call, which reads nothing in this form.
        let version = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                std::ptr::null::<u8>(),
                no_bytes,
                VERSION,
            )
        };
        c_int::try_from(version)
            .ok()
            .filter(|version| *version > 0)
            .map(Self)
    }

    /// The rights to change what is in a folder, and below it.
    pub(super) const fn writing(self) -> u64 {
        let refer = if self.0 >= 2 { REFER } else { 0 };
        let truncate = if self.0 >= Self::TRUNCATE.0 {
            TRUNCATE
        } else {
            0
        };
        WRITE_FILE | REMOVE_AND_MAKE | refer | truncate
    }

    /// Those of them that mean something for a file.
    pub(super) const fn writing_file(self) -> u64 {
        self.writing() & (WRITE_FILE | TRUNCATE)
    }

    /// What keeps signals among those who are held to the same ruleset.
    pub(super) const fn signals(self) -> u64 {
        if self.0 >= Self::SIGNALS.0 {
            SCOPE_SIGNAL
        } else {
            0
        }
    }
}

/// `struct landlock_ruleset_attr`. A kernel that knows less of it wants the rest to be 0.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: c_int,
}

/// Rights that are taken, but for the places where they are allowed.
#[derive(Debug)]
pub(in super::super) struct Ruleset(OwnedFd);

impl Ruleset {
    /// Takes these rights on files, and what is scoped.
    pub(super) fn new(rights: u64, scoped: u64) -> io::Result<Self> {
        let attr = RulesetAttr {
            handled_access_fs: rights,
            handled_access_net: 0,
            scoped,
        };
        // SAFETY: the call reads as many bytes as the struct has, which lives until after it.
        let descriptor = checked(unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const attr,
                size_of::<RulesetAttr>(),
                NO_FLAGS,
            )
        })?;
        // SAFETY: the kernel has just made the descriptor, closed on exec, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Allows rights in a folder and below it, or on a file.
    pub(super) fn allow(&self, place: BorrowedFd<'_>, rights: u64) -> io::Result<()> {
        const PATH_BENEATH: c_int = 1;
        let attr = PathBeneathAttr {
            allowed_access: rights,
            parent_fd: place.as_raw_fd(),
        };
        // SAFETY: the struct is of the kind that the rule has and lives until after the call; both descriptors are
        // open.
        let added = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.0.as_raw_fd(),
                PATH_BENEATH,
                &raw const attr,
                NO_FLAGS,
            )
        };
        checked(added).map(drop)
    }

    /// Holds this process to it, and all that it starts, for good. It has to have given up new privileges before. Makes
    /// one system call and nothing else, so it may stand between fork and exec.
    pub(in super::super) fn restrict_self(&self) -> io::Result<()> {
        // SAFETY: a plain system call; the descriptor is open.
        let restricted = unsafe {
            libc::syscall(
                libc::SYS_landlock_restrict_self,
                self.0.as_raw_fd(),
                NO_FLAGS,
            )
        };
        checked(restricted).map(drop)
    }
}

fn checked(answer: c_long) -> io::Result<c_int> {
    match c_int::try_from(answer) {
        Ok(answer @ 0..) => Ok(answer),
        _ => Err(io::Error::last_os_error()),
    }
}
