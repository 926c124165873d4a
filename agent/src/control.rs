//! `data_dir/agent.sock`: how the command line speaks to a running agent.
//!
//! A connection is one [`Request`], a line of JSON, and its answer in [`frame`]s. Only the agent's own user and root
//! are answered: the socket's mode says so, and the peer's credentials are checked besides. Bounded are connections,
//! the request's size and time, how many requests are worked on at a time, and how long a client may not read. The
//! work runs on the blocking pool and stops when its client has gone. A socket that a killed agent left is replaced,
//! which is safe because the folder is owned by then; it is removed at a stop.

pub mod client;
pub mod frame;
pub mod request;

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::store::engine::Engine;
use frame::{Code, Refusal};
use request::{Request, Undone};

/// Name of the socket in the data folder.
pub const SOCKET: &str = "agent.sock";
/// An operator's few terminals and scripts; more wait in the socket's backlog.
const CONNECTIONS_MAX: usize = 16;
/// Requests that are worked on at a time, so that they leave the disk to the store.
const WORKING_MAX: usize = 2;
/// A request names at most 64 metrics and 16 labels.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// The command line writes its request at once.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a request waits for those before it.
const TURN_MAX: Duration = Duration::from_mins(1);
/// A client that takes nothing for so long has hung or was stopped; the work for it ends.
const STALL_MAX: Duration = Duration::from_secs(30);
/// Frames between the work and the socket.
const FRAMES_MAX: usize = 4;
/// After a failed accept, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);
/// For telling those that are connected that the agent stops.
const FAREWELL_MAX: Duration = Duration::from_millis(500);
/// Bytes of a socket's path that the system takes.
const PATH_BYTES_MAX: usize = 107;

/// What the socket answers from.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What time it is.
    pub clock: Clock,
    /// The history.
    pub engine: Arc<Engine>,
    /// The data folder, which this agent owns.
    pub root: PathBuf,
}

/// The bound socket; the file goes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds it in the data folder, which must be owned. Needs a runtime.
    pub fn bind(root: &Path) -> io::Result<Self> {
        let path = root.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = reachable(&path, |path| UnixListener::bind(path))?;
        // Until here its mode is the umask's; whoever slips in is judged by his credentials like everyone.
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Calls `open` with the path, or with a short one for the same file: the path of a socket may not be longer than
/// 107 bytes, that of a data folder may.
fn reachable<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return open(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return open(path);
    };
    let folder = fs::File::open(folder)?;
    open(&Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

/// Whether a process of user `peer` may ask an agent of user `own`.
fn may_ask(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Answers until `stop` says true or its sender is gone.
pub async fn serve(socket: Socket, parts: Parts, mut stop: watch::Receiver<bool>) {
    let turns = Arc::new(Semaphore::new(WORKING_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = socket.listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = converse(stream, parts.clone(), Arc::clone(&turns), stop.clone());
                connections.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to agent.sock could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// One connection: a request and its answer.
async fn converse(
    mut stream: UnixStream,
    parts: Parts,
    turns: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let outcome = tokio::select! {
        outcome = answer(&mut stream, parts, &turns) => outcome,
        _ = stop.wait_for(|stop| *stop) => {
            Err(Refusal::new(Code::Stopping, "the agent is stopping; ask again when it runs"))
        }
    };
    if let Err(refusal) = outcome {
        // If the stop came within a frame, the client takes this for a part of it, and sees that it is cut off.
        let _ = timeout(FAREWELL_MAX, stream.write_all(&frame::error(&refusal))).await;
    }
    let _ = timeout(FAREWELL_MAX, stream.shutdown()).await;
}

async fn answer(stream: &mut UnixStream, parts: Parts, turns: &Semaphore) -> Result<(), Refusal> {
    let peer = stream.peer_cred().map_err(|error| {
        Refusal::new(
            Code::Forbidden,
            format!("the agent can't tell who asks: {error}"),
        )
    })?;
    if !may_ask(peer.uid(), rustix::process::geteuid().as_raw()) {
        tracing::warn!(
            uid = peer.uid(),
            pid = peer.pid(),
            "was refused on agent.sock"
        );
        let message = "only the agent's own user and root may ask; use sudo";
        return Err(Refusal::new(Code::Forbidden, message));
    }
    let request = read_request(stream).await?;
    let Ok(Ok(_turn)) = timeout(TURN_MAX, turns.acquire()).await else {
        let message = "the agent is busy with other requests; try again later";
        return Err(Refusal::new(Code::Busy, message));
    };
    let (sender, mut frames) = mpsc::channel(FRAMES_MAX);
    let task = spawn_blocking(move || work(&request, &parts, Frames(sender)));
    while let Some(bytes) = frames.recv().await {
        let bytes: Vec<u8> = bytes;
        match timeout(STALL_MAX, stream.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            // The client has gone or hangs. Without a receiver the work ends with its next frame.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    drop(frames);
    if let Err(error) = task.await {
        tracing::error!("a request on agent.sock ended badly: {error}");
    }
    Ok(())
}

async fn read_request(stream: &mut UnixStream) -> Result<Request, Refusal> {
    let bad = |message: String| Refusal::new(Code::BadRequest, message);
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(REQUEST_BYTES_MAX));
    match timeout(REQUEST_TIME_MAX, reader.read_until(b'\n', &mut line)).await {
        Ok(Ok(_)) if line.ends_with(b"\n") => {}
        Ok(Ok(_)) => return Err(bad("a request is one line of at most 64 KiB".to_owned())),
        Ok(Err(error)) => return Err(bad(format!("the request could not be read: {error}"))),
        Err(_) => return Err(bad("the request did not come within 5 s".to_owned())),
    }
    serde_json::from_slice(&line).map_err(|error| {
        let version = env!("CARGO_PKG_VERSION");
        bad(format!(
            "this agent, version {version}, does not know the request: {error}"
        ))
    })
}

/// Does the work, on a thread that may block.
fn work(request: &Request, parts: &Parts, frames: Frames) {
    let mut out = frame::Writer::new(frames);
    let outcome = request.perform(&parts.engine, &parts.root, parts.clock.now_ms(), &mut out);
    // Where writing fails the client has gone, and nobody is left to be told.
    let _ = match outcome {
        Ok(notes) => {
            let all = notes.iter().try_for_each(|note| out.note(note));
            all.and_then(|()| out.end())
        }
        Err(Undone::Refused(refusal)) => out.fail(&refusal),
        Err(Undone::Write(error)) => Err(error),
    };
}

/// Passes frames to the task that writes them.
struct Frames(mpsc::Sender<Vec<u8>>);

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(bytes.to_vec())
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
