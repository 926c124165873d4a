//! The command line's side of `agent.sock`: asks one request and reads its answer. Blocking; no runtime.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::frame::{self, ReadError};
use super::request::Request;
use super::{SOCKET, reachable};

/// An agent that works on an answer sends something, or is behind others that it serves first, within this.
const SILENCE_MAX: Duration = Duration::from_mins(2);

/// Connects to the agent that runs on the folder; `None` if there is none.
pub fn connect(root: &Path) -> io::Result<Option<UnixStream>> {
    let path = root.join(SOCKET);
    match reachable(&path, |path| UnixStream::connect(path)) {
        Ok(stream) => {
            stream.set_read_timeout(Some(SILENCE_MAX))?;
            stream.set_write_timeout(Some(SILENCE_MAX))?;
            Ok(Some(stream))
        }
        // No socket, or that of an agent that was killed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Asks and reads the whole answer: data goes to `out`, what a person should know to `note`.
pub fn ask(
    mut stream: UnixStream,
    request: &Request,
    out: &mut dyn Write,
    note: &mut dyn FnMut(&str),
) -> Result<(), ReadError> {
    let mut line = serde_json::to_vec(request).expect("a request becomes JSON");
    line.push(b'\n');
    match stream.write_all(&line) {
        // It may have said why it does not listen.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(ReadError::Read(error));
        }
        _ => {}
    }
    frame::read(&stream, out, note)
}
