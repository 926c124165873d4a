//! The plugin host: what loads a library and calls it.
//!
//! The agent starts its own binary as `barograph plugin-host` with a socket on descriptor 3, or a thread of its
//! own with such a socket, sends one `Load` and then a `Collect` for each tick. Here is the only dlopen of the
//! agent. One thread reads the socket and knows at once when the agent goes away; another one calls the plugin
//! (`instance`), whose functions call back into a [`Context`] by way of [`super::hostcalls`]. Nothing here knows
//! the catalog or the clock of the agent, and a library is never unloaded.
//!
//! A process ends with `_exit`, so that neither destructors nor forgotten threads of a plugin can keep it. A
//! thread never ends the process: it returns when the link ends or after `Stop`, and one that hangs in the
//! plugin is left where it is, with its context.

use std::io::Read;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::{io, thread};

use barograph_sdk::abi;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::time::{ClockId, clock_gettime};

use super::link::{self, LinkError, ToHost};

mod answer;
pub(super) mod backlog;
mod context;
mod instance;
mod library;
pub(super) mod refusal;
pub(super) mod registry;
mod schema;
mod serve;
#[cfg(test)]
pub(super) mod tests;

pub(super) use context::Context;
use serve::{Request, serve};

/// The descriptor that the agent's socket stands on.
pub const LINK_FD: i32 = 3;
/// Stack of the thread that reads the link; it decodes and forwards.
const READER_STACK_BYTES: usize = 128 << 10;
/// Stack of a thread that calls a plugin: as much as the main thread of a process has.
const PLUGIN_STACK_BYTES: usize = 8 << 20;
/// Requests that may wait while one runs: the agent sends a collect after the last one's answer, and a lookup, a
/// configuration and a stop may come between.
const REQUESTS_MAX: usize = 4;

/// Where a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a process that has no other purpose.
    Process,
    /// On a thread of the agent.
    Thread,
}

/// Runs the host of this process until the agent says stop or goes away.
pub fn run() -> ExitCode {
    // SAFETY: only borrowed for this call; a closed descriptor gives an error, not undefined behaviour.
    let descriptor = unsafe { BorrowedFd::borrow_raw(LINK_FD) };
    if rustix::io::fcntl_getfd(descriptor).is_err() {
        eprintln!(
            "plugin-host is started by the agent itself; use `barograph plugin run-once` instead"
        );
        return ExitCode::from(2);
    }
    // What the plugin is configured with, its passwords too, is nothing for another process of the same user. The
    // agent cannot see to it: starting a program resets it.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // SAFETY: the descriptor is open and, by the agreement with the agent's spawner, ours alone.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(LINK_FD) });
    let Ok((context, requests)) = open(Place::Process, stream) else {
        return ExitCode::FAILURE;
    };
    let well = serve(context, &requests, library::open);
    // What a plugin in C printed and did not flush yet is what its author looks for.
    // SAFETY: a null stream means all of them.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    exit_now(i32::from(!well));
}

/// Runs a host on a thread of this process; the handle is finished when nothing of the host runs any more but
/// what the plugin forgot. Whoever drops the other end of the link ends it, unless it hangs in the plugin.
pub fn run_thread(stream: UnixStream, name: &str) -> io::Result<JoinHandle<()>> {
    start_thread(stream, name, library::open)
}

fn start_thread(
    stream: UnixStream,
    name: &str,
    load: impl FnOnce(&str) -> Result<abi::Plugin, String> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (context, requests) = open(Place::Thread, stream)?;
    let name = name.replace('\0', "");
    let started = thread::Builder::new()
        .name(format!("plugin-{name}"))
        .stack_size(PLUGIN_STACK_BYTES)
        .spawn(move || {
            // A panic of the host itself; those of a plugin are caught by its SDK. The agent sees the link end.
            let _ = catch_unwind(AssertUnwindSafe(|| serve(context, &requests, load)));
            context.close();
        });
    if started.is_err() {
        context.close();
    }
    started
}

/// Makes the context and starts the thread that reads the link.
fn open(place: Place, stream: UnixStream) -> io::Result<(&'static Context, Receiver<Request>)> {
    // The agent's end may be driven by its runtime; this one waits in its calls.
    stream.set_nonblocking(false)?;
    let reader = stream.try_clone()?;
    let context = Context::leaked(place, stream);
    let (sender, requests) = sync_channel(REQUESTS_MAX);
    let started = thread::Builder::new()
        .name("link".into())
        .stack_size(READER_STACK_BYTES)
        .spawn(move || {
            let _ = catch_unwind(AssertUnwindSafe(|| read_link(&reader, context, &sender)));
            // The agent has gone, or speaks nonsense. In both cases a process has no purpose any more.
            match place {
                Place::Process => exit_now(0),
                Place::Thread => {
                    // First, so that a thread that writes into a full socket lets go of it.
                    let _ = reader.shutdown(Shutdown::Both);
                    context.close();
                }
            }
        });
    if let Err(error) = started {
        context.close();
        return Err(error);
    }
    Ok((context, requests))
}

/// Forwards what the agent asks for until the link ends.
fn read_link(stream: &UnixStream, context: &Context, sender: &SyncSender<Request>) {
    let mut bytes = Vec::new();
    let mut number = 0;
    while let Ok(message) = next(stream, &mut bytes) {
        if message == ToHost::Cancel {
            context.give_up(number);
            continue;
        }
        number += 1;
        if sender.send(Request { number, message }).is_err() {
            return;
        }
    }
}

fn next(mut stream: &UnixStream, bytes: &mut Vec<u8>) -> Result<ToHost, LinkError> {
    let mut length = [0; link::LENGTH_BYTES];
    stream
        .read_exact(&mut length)
        .map_err(|_| LinkError::Short)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > link::FRAME_BYTES_MAX {
        return Err(LinkError::TooLarge(length));
    }
    bytes.resize(length, 0);
    stream.read_exact(bytes).map_err(|_| LinkError::Short)?;
    ToHost::decode(bytes)
}

pub(super) fn now_mono_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Ends the process without running destructors of a plugin that may hang in them.
fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}
