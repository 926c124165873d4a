//! Starts the children, on one thread that lives as long as the agent.
//!
//! The kernel sends a child its death signal when the *thread* that started it ends, so no worker of the
//! runtime may do it. The child is this binary again, as `plugin-host NAME`: in a session and process group
//! of its own, killed when the agent dies, without new privileges, core dumps or our environment, its socket
//! on descriptor 3 and its output in a pipe that goes to the log.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Stdio;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::host::LINK_FD;

/// Starts that may wait; a collector has one under way at most, so this is the number of collectors.
const REQUESTS_MAX: usize = 256;
/// Variables that a child keeps; secrets never travel by environment.
const KEPT_VARIABLES: [&str; 4] = ["PATH", "LANG", "TZ", "LD_LIBRARY_PATH"];

/// A child that runs.
#[derive(Debug)]
pub(super) struct Child {
    /// Its process id, which is also its group's.
    pub(super) pid: Pid,
    /// Reaps it.
    pub(super) process: tokio::process::Child,
    /// The agent's end of the socket.
    pub(super) link: OwnedFd,
    /// What it prints.
    pub(super) output: OwnedFd,
}

struct Request {
    name: String,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Cloneable handle of the thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Spawner(mpsc::Sender<Request>);

impl Spawner {
    /// Starts the thread, for the runtime that it is called on.
    pub fn start() -> io::Result<Self> {
        let (sender, mut requests) = mpsc::channel::<Request>(REQUESTS_MAX);
        let reserved = reserve()?;
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("spawner".into())
            .stack_size(256 << 10)
            .spawn(move || {
                let _reserved = reserved;
                let _entered = runtime.enter();
                while let Some(request) = requests.blocking_recv() {
                    // A requester that has gone drops the child's descriptors, and the child exits on EOF.
                    let _ = request.reply.send(spawn(&request.name));
                }
            })?;
        Ok(Self(sender))
    }

    /// Starts a host; `name` only shows in the process list.
    pub(super) async fn spawn(&self, name: &str) -> io::Result<Child> {
        let gone = || io::Error::other("the thread that starts plugins has ended");
        let (reply, answer) = oneshot::channel();
        let request = Request {
            name: name.to_owned(),
            reply,
        };
        self.0.send(request).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
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

fn spawn(name: &str) -> io::Result<Child> {
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
    // SAFETY: the closure runs between fork and exec and makes system calls only: no allocation, no locks.
    unsafe {
        command.pre_exec(move || prepare(parent, socket));
    }
    let process = command.spawn()?;
    let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let pid = pid.expect("a child that was not waited for has its process id");
    Ok(Child {
        pid,
        process,
        link: ours,
        output,
    })
}

/// Between fork and exec: only async-signal-safe calls.
fn prepare(parent: Pid, socket: c_int) -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        // The agent died before the death signal was set.
        return Err(io::Error::from(rustix::io::Errno::SRCH));
    }
    rustix::thread::set_no_new_privs(true)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    // SAFETY: a plain system call; `reserve` keeps the number away from everything that std has open here.
    let moved = unsafe { libc::dup2(socket, LINK_FD) };
    if moved < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
