//! Space and inodes of the mounted file systems, read on a thread of their own.
//!
//! A mount whose server has gone can hold `statvfs` for ever. The collector asks, waits for a moment
//! and goes on without an answer; it asks again only when the thread has come back. Network file
//! systems are left out all the same (by sysinfo), as one that hangs would hide all the others.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread,
    time::Duration,
};

use barograph_sdk::Error;
use sysinfo::{DiskRefreshKind, Disks};

use crate::config::Patterns;

/// One mounted file system.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mount {
    pub(crate) point: String,
    pub(crate) file_system: String,
    pub(crate) size_bytes: u64,
    pub(crate) free_bytes: u64,
    /// What an unprivileged process may still write; less than `free_bytes` by the reserve.
    pub(crate) available_bytes: u64,
    /// Zero where the file system has no fixed number of them.
    pub(crate) inodes: u64,
    pub(crate) inodes_free: u64,
}

impl Mount {
    /// Share of the space that is used, as `df` computes it: the reserve counts as used.
    pub(crate) fn used_ratio(&self) -> f64 {
        let used = self.size_bytes.saturating_sub(self.free_bytes) as f64;
        let usable = used + self.available_bytes as f64;
        if usable > 0.0 { used / usable } else { 0.0 }
    }
}

/// The thread and the way to it.
#[derive(Debug)]
pub(crate) struct Mounts {
    /// Holds one request; there is never a second before its answer.
    requests: SyncSender<()>,
    answers: Receiver<Vec<Mount>>,
    is_waiting: bool,
}

/// Local file systems answer within a millisecond; this is noticed in a tick but holds none up.
const PATIENCE: Duration = Duration::from_millis(100);
const STACK_BYTES: usize = 256 << 10;

impl Mounts {
    /// Starts the thread. It ends when this is dropped, unless a mount holds it.
    pub(crate) fn start(exclude: Patterns) -> Result<Self, Error> {
        let mut disks =
            Disks::new().map_err(|error| Error::unavailable(format!("sysinfo: {error}")))?;
        Self::start_reading(move || read(&mut disks, &exclude))
    }

    fn start_reading(mut read: impl FnMut() -> Vec<Mount> + Send + 'static) -> Result<Self, Error> {
        let (requests, inbox) = mpsc::sync_channel(1);
        let (outbox, answers) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("mounts".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                while inbox.recv().is_ok() {
                    if outbox.send(read()).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self {
            requests,
            answers,
            is_waiting: false,
        })
    }

    /// The mounted file systems, or none when they don't answer in time.
    pub(crate) fn read(&mut self) -> Option<Vec<Mount>> {
        if !self.is_waiting {
            self.requests.try_send(()).ok()?;
        }
        match self.answers.recv_timeout(PATIENCE) {
            Ok(mounts) => {
                self.is_waiting = false;
                Some(mounts)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.is_waiting = true;
                None
            }
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}

fn read(disks: &mut Disks, exclude: &Patterns) -> Vec<Mount> {
    disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
    let mut mounts: Vec<Mount> = Vec::new();
    for disk in disks.iter() {
        let point = disk.mount_point().to_string_lossy().into_owned();
        // Containers have single files mounted over their own, such as /etc/hosts.
        if disk.total_space() == 0 || exclude.matches(&point) || !disk.mount_point().is_dir() {
            continue;
        }
        let Ok(stat) = rustix::fs::statvfs(disk.mount_point()) else {
            continue;
        };
        // A later mount at the same place hides the earlier one.
        mounts.retain(|earlier| earlier.point != point);
        mounts.push(Mount {
            point,
            file_system: disk.file_system().to_string_lossy().into_owned(),
            size_bytes: disk.total_space(),
            free_bytes: stat.f_bfree.saturating_mul(stat.f_frsize),
            available_bytes: disk.available_space(),
            inodes: stat.f_files,
            inodes_free: stat.f_ffree,
        });
    }
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_counts_as_used() {
        let mount = Mount {
            point: "/".into(),
            file_system: "ext4".into(),
            size_bytes: 1000,
            free_bytes: 500,
            available_bytes: 450,
            inodes: 0,
            inodes_free: 0,
        };
        assert!((mount.used_ratio() - 500.0 / 950.0).abs() < 1e-12);
        let empty = Mount {
            size_bytes: 0,
            free_bytes: 0,
            available_bytes: 0,
            ..mount
        };
        assert!(empty.used_ratio().abs() < f64::EPSILON);
    }

    #[test]
    fn a_mount_that_does_not_answer_is_asked_once_and_holds_nothing_up() {
        let (release, held) = mpsc::channel::<()>();
        let (asked, questions) = mpsc::channel();
        let read = move || {
            asked.send(()).unwrap();
            let _ = held.recv();
            Vec::new()
        };
        let mut mounts = Mounts::start_reading(read).unwrap();
        assert_eq!(mounts.read(), None);
        assert_eq!(mounts.read(), None);
        release.send(()).unwrap();
        let answer = std::iter::from_fn(|| Some(mounts.read()))
            .take(100)
            .flatten()
            .next();
        assert_eq!(answer, Some(Vec::new()));
        assert_eq!(questions.try_iter().count(), 1);
    }

    #[test]
    fn the_root_is_mounted_and_can_be_left_out() {
        let mut mounts = Mounts::start(Patterns::new(&[])).unwrap();
        // The first answer may come late on a busy machine; the thread gives it in the end.
        let all = std::iter::from_fn(|| Some(mounts.read()))
            .flatten()
            .next()
            .unwrap();
        let root = all.iter().find(|mount| mount.point == "/").unwrap();
        let stat = rustix::fs::statvfs("/").unwrap();
        assert_eq!(root.size_bytes, stat.f_blocks * stat.f_frsize);
        assert!(root.free_bytes >= root.available_bytes && root.free_bytes <= root.size_bytes);
        let excluded = read(
            &mut Disks::new().unwrap(),
            &Patterns::new(&["/".to_owned()]),
        );
        assert!(excluded.iter().all(|mount| mount.point != "/"));
    }
}
