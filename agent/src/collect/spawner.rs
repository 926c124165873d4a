//! Starts the children, on one thread that lives as long as the agent.
//!
//! The kernel sends a child its death signal when the *thread* that started it ends, so no worker of the
//! runtime may do it. The child is this binary again, as `plugin-host NAME`: in a session and process group
//! of its own, killed when the agent dies, without new privileges, core dumps or our environment, with limits
//! of memory and descriptors, kept from the agent's data ([`super::fence`]), its socket on descriptor 3 and its
//! output in a pipe that goes to the log. The same thread looks for what plugins leave behind, see
//! [`super::orphans`].

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, Signal};
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::child::{Child, Started};
use super::fence::Ruleset;
use super::host::LINK_FD;
use super::{Settings, fence, orphans};

/// Starts that may wait. A collector has two under way at most, and a start beyond the bound fails.
const REQUESTS_MAX: usize = 1_024;
/// Variables that a child keeps; secrets never travel by environment.
const KEPT_VARIABLES: [&str; 4] = ["PATH", "LANG", "TZ", "LD_LIBRARY_PATH"];
/// Descriptors that a child may have open.
const DESCRIPTORS_MAX: u64 = 1_024;
/// How often it is looked for what plugins left behind, also when none has ended.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// What the kernel holds a child to.
#[derive(Clone, Copy, Debug)]
struct Limits {
    address_space_max_bytes: Option<u64>,
}

enum Request {
    Start {
        name: String,
        limits: Limits,
        reply: oneshot::Sender<io::Result<Started>>,
    },
    /// A plugin has ended: what did it leave behind?
    Sweep,
}

/// Cloneable handle of the thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Spawner(SyncSender<Request>);

impl Spawner {
    /// Starts the thread, for the runtime that it is called on.
    pub fn start() -> io::Result<Self> {
        let (sender, requests) = sync_channel::<Request>(REQUESTS_MAX);
        let reserved = reserve()?;
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("spawner".into())
            .stack_size(256 << 10)
            .spawn(move || {
                let _reserved = reserved;
                let _entered = runtime.enter();
                serve(&requests);
            })?;
        Ok(Self(sender))
    }

    /// For the agent itself, before any plugin is even asked something: what plugins leave behind is ended, their
    /// processes can't write to its data folder, and nobody of the same user may read the agent's memory, where secrets
    /// of the configuration are. Children that this process has already are left alone; later ones have to be the
    /// spawner's.
    pub fn reap_from_now(data_dir: &Path) -> io::Result<()> {
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        fence::close(data_dir);
        fence::announce();
        orphans::begin()
    }

    /// Starts a host; the collector's name only shows in the process list.
    pub(super) async fn spawn(&self, settings: &Settings) -> io::Result<Started> {
        let gone = || io::Error::other("the thread that starts plugins has ended");
        let (reply, answer) = oneshot::channel();
        let request = Request::Start {
            name: settings.name.clone(),
            limits: Limits {
                address_space_max_bytes: settings.address_space_max_bytes,
            },
            reply,
        };
        self.0.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => io::Error::other("too many plugins wait to be started"),
            TrySendError::Disconnected(_) => gone(),
        })?;
        answer.await.map_err(|_| gone())?
    }

    /// Looks for what a plugin that has ended left behind, soon.
    pub(super) fn sweep(&self) {
        // When the queue is full, the regular look is soon enough.
        let _ = self.0.try_send(Request::Sweep);
    }
}

fn serve(requests: &Receiver<Request>) {
    loop {
        match requests.recv_timeout(SWEEP_EVERY) {
            // A requester that has gone drops the child, and the child ends.
            Ok(Request::Start {
                name,
                limits,
                reply,
            }) => drop(reply.send(spawn(&name, limits))),
            Ok(Request::Sweep) | Err(RecvTimeoutError::Timeout) => orphans::sweep(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Occupies the link's number in this process for good, so that nothing std opens for a start can have it.
fn reserve() -> io::Result<Vec<OwnedFd>> {
    let mut reserved = Vec::new();
    loop {
        let file = OwnedFd::from(std::fs::File::open("/dev/null")?);
        let above = file.as_raw_fd() > LINK_FD;
        reserved.push(file);
        if above {
            return Ok(reserved);
        }
    }
}

fn spawn(name: &str, limits: Limits) -> io::Result<Started> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let (output, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("barograph")
        .arg("plugin-host")
        .arg(name)
        .env_clear();
    for key in KEPT_VARIABLES {
        if let Some(value) = std::env::var_os(key) {
            command.env(key, value);
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input);
    let parent = rustix::process::getpid();
    let socket = theirs.as_raw_fd();
    let fence = fence::ruleset();
    // SAFETY: the closure runs between fork and exec and makes system calls only: no allocation, no locks.
    unsafe {
        command.pre_exec(move || prepare(parent, socket, limits, fence.as_ref()));
    }
    let ((process, pid), known) = orphans::adopt(|| {
        let process = command.spawn()?;
        let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.expect("a child that was not waited for has its process id");
        Ok(((process, pid), pid))
    })?;
    Ok(Started {
        child: Child::Process {
            pid,
            process,
            known: Some(known),
        },
        link: UnixStream::from(ours),
        output: Some(output),
    })
}

/// Between fork and exec: only async-signal-safe calls.
fn prepare(parent: Pid, socket: c_int, limits: Limits, fence: Option<&Ruleset>) -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        // The agent died before the death signal was set.
        return Err(io::Error::from(rustix::io::Errno::SRCH));
    }
    rustix::thread::set_no_new_privs(true)?;
    if let Some(fence) = fence {
        fence.restrict_self()?;
    }
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, DESCRIPTORS_MAX)?;
    if let Some(bytes) = limits.address_space_max_bytes {
        limit(Resource::As, bytes)?;
    }
    // SAFETY: a plain system call; `reserve` keeps the number away from everything that std has open here.
    let moved = unsafe { libc::dup2(socket, LINK_FD) };
    if moved < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Sets both limits, never above what the agent itself may have.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let allowed = rustix::process::getrlimit(resource).maximum;
    let value = allowed.map_or(value, |allowed| allowed.min(value));
    let both = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    Ok(rustix::process::setrlimit(resource, both)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;

    use super::fence::Version;
    use super::*;

    #[test]
    fn a_child_signals_its_own_children_and_not_its_parent() {
        let _reserved = reserve().unwrap();
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let (parent, socket) = (rustix::process::getpid(), theirs.as_raw_fd());
        let limits = Limits {
            address_space_max_bytes: None,
        };
        let fence = fence::ruleset();
        let mut command = std::process::Command::new("sh");
        command.args([
            "-c",
            "sleep 60 & kill $! || exit 9; kill -0 $PPID 2>/dev/null",
        ]);
        // SAFETY: as in `spawn`.
        unsafe {
            command.pre_exec(move || prepare(parent, socket, limits, fence.as_ref()));
        }
        let reaches_parent = command.status().unwrap().code();
        let expected = i32::from(Version::of_kernel() >= Some(Version::SIGNALS));
        assert_eq!(reaches_parent, Some(expected));
    }
}
