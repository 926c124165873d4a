//! What a plugin's host runs in: a process of its own, or a thread of the agent.
//!
//! Both are at the other end of a link; they differ in what is known of them and in how they end. A process
//! can be ended from outside, with everything that it started. A thread can't: it is abandoned, and whoever
//! wants to start the same plugin again looks first whether it has gone.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal};

use super::orphans::Known;
use super::{Failure, LostReason, host};
use crate::proc;

/// How long a thread whose link has ended may take to end as well.
const THREAD_END: Duration = Duration::from_millis(100);
/// How often it is looked whether a thread has ended; nothing tells.
const THREAD_LOOK: Duration = Duration::from_millis(5);

/// A host that was started.
#[derive(Debug)]
pub(super) struct Started {
    /// What it runs in.
    pub(super) child: Child,
    /// The agent's end of the link.
    pub(super) link: UnixStream,
    /// What it prints, where that is its own.
    pub(super) output: Option<OwnedFd>,
}

/// What a host runs in.
#[derive(Debug)]
pub(super) enum Child {
    /// A process, the leader of its own group. Dropped, its whole group ends.
    Process {
        /// Its id, which is also its group's.
        pid: Pid,
        /// Reaps it.
        process: tokio::process::Child,
        /// Taken once it was reaped.
        known: Option<Known>,
    },
    /// A thread. Dropped, it is one of the abandoned ones.
    Thread {
        /// Taken when it is dropped.
        handle: Option<JoinHandle<()>>,
        /// Where it goes if it does not end.
        abandoned: Abandoned,
    },
}

/// Threads of one collector that were left behind and may still run. Cloneable handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Abandoned(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Abandoned {
    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one of them still runs.
    pub(super) fn is_running(&self) -> bool {
        let mut threads = self.lock();
        threads.retain(|thread| !thread.is_finished());
        !threads.is_empty()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        match self {
            // A start or a collect that was given up must not leave a process behind.
            Self::Process { pid, process, .. } => {
                if process.id().is_some() {
                    let _ = rustix::process::kill_process_group(*pid, Signal::KILL);
                }
            }
            Self::Thread { handle, abandoned } => abandoned.lock().extend(handle.take()),
        }
    }
}

impl Child {
    /// Its process, where it has one.
    pub(super) const fn pid(&self) -> Option<Pid> {
        match self {
            Self::Process { pid, .. } => Some(*pid),
            Self::Thread { .. } => None,
        }
    }

    /// Resident memory, where it has its own.
    pub(super) fn rss_bytes(&self) -> Option<u64> {
        proc::rss_bytes(&self.pid()?.as_raw_nonzero().to_string())
    }

    /// Waits until it has ended by itself; for ever with a thread, of which only the link's end tells.
    /// Cancel-safe.
    pub(super) async fn wait(&mut self) -> Option<Failure> {
        let Self::Process { process, known, .. } = self else {
            return std::future::pending().await;
        };
        let status = process.wait().await;
        if let Some(known) = known.take() {
            known.reaped();
        }
        status.ok().map(how)
    }

    /// Ends it. Of a process the whole group ends, the plugin's own children too. A thread whose link was closed
    /// before gets a moment.
    pub(super) async fn kill(&mut self) {
        match self {
            Self::Process { pid, .. } => {
                let _ = rustix::process::kill_process_group(*pid, Signal::KILL);
                self.wait().await;
            }
            Self::Thread { handle, .. } => {
                let ended = async {
                    while handle.as_ref().is_some_and(|thread| !thread.is_finished()) {
                        tokio::time::sleep(THREAD_LOOK).await;
                    }
                };
                let _ = tokio::time::timeout(THREAD_END, ended).await;
            }
        }
    }
}

/// Starts a host on a thread of this process.
pub(super) fn start_thread(name: &str, abandoned: &Abandoned) -> io::Result<Started> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let handle = host::run_thread(UnixStream::from(theirs), name)?;
    Ok(Started {
        child: Child::Thread {
            handle: Some(handle),
            abandoned: abandoned.clone(),
        },
        link: UnixStream::from(ours),
        output: None,
    })
}

fn how(status: ExitStatus) -> Failure {
    let (reason, message) = match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = name_of(signal).map_or(String::new(), |name| format!(" ({name})"));
            (
                LostReason::Killed,
                format!("was ended by signal {signal}{name}"),
            )
        }
        (_, code) => (
            LostReason::Exited,
            format!("exited with code {}", code.unwrap_or(0)),
        ),
    };
    Failure::Lost { reason, message }
}

/// The name of a signal that programming mistakes or people end a process with.
const fn name_of(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGABRT => "SIGABRT: it aborted",
        libc::SIGBUS => "SIGBUS: a bad access to memory",
        libc::SIGFPE => "SIGFPE: a division by zero",
        libc::SIGILL => "SIGILL: an illegal instruction",
        libc::SIGKILL => "SIGKILL: somebody killed it, or the machine had no memory left",
        libc::SIGSEGV => "SIGSEGV: a bad access to memory or a stack overflow",
        libc::SIGTERM => "SIGTERM",
        _ => return None,
    })
}
