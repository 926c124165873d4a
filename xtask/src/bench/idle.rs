//! The memory of a connection that is open and silent: WebSockets that subscribe to nothing.
//!
//! Counted in the agent's processes only. What the kernel holds for a socket is the same for
//! every server and belongs to none of them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Resource, Rlimit};

use crate::bench::served::Served;
use crate::shell::Fallible;

/// Long enough for the agent to have handled the last upgrade and freed what it took.
const SETTLE: Duration = Duration::from_secs(3);

/// Bytes of memory for each of `connections` idle ones.
pub(crate) fn bytes_per_connection(agent: &Served, connections: usize) -> Fallible<f64> {
    // The first connections pay for code and pools that all later ones share.
    let warm = open(agent.port, 16)?;
    sleep(SETTLE);
    let before = agent.cost()?.pss_bytes;
    let open = open(agent.port, connections)?;
    sleep(SETTLE);
    let after = agent.cost()?.pss_bytes;
    drop((warm, open));
    Ok((after as f64 - before as f64) / connections as f64)
}

/// Lets this process and the agents it starts have as many files open as the system allows.
pub(crate) fn raise_file_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where this is refused, opening the connections says so.
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
}

fn open(port: u16, count: usize) -> Fallible<Vec<TcpStream>> {
    (0..count)
        .map(|number| {
            upgrade(port)
                .map_err(|error| format!("connection {number} of {count} failed: {error}").into())
        })
        .collect()
}

/// Upgrades by hand and reads the greeting, so that the agent has nothing left to write.
fn upgrade(port: u16) -> Fallible<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // The key is the one of RFC 6455's example; the agent answers any.
    write!(
        stream,
        "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !is_greeted(&seen) {
        match stream.read(&mut buffer) {
            Ok(0) => return Err("it was closed".into()),
            Ok(count) => seen.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if seen.starts_with(b"HTTP/1.1") && !seen.starts_with(b"HTTP/1.1 101") {
            let text = String::from_utf8_lossy(&seen);
            return Err(text.lines().next().unwrap_or_default().to_owned().into());
        }
    }
    Ok(stream)
}

/// Whether the answer's head and one whole frame from the agent are there.
fn is_greeted(seen: &[u8]) -> bool {
    let Some(head) = seen.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let frame = &seen[head + 4..];
    let Some(&short) = frame.get(1) else {
        return false;
    };
    let (from, length) = match short & 0x7f {
        126 if frame.len() >= 4 => (4, usize::from(u16::from_be_bytes([frame[2], frame[3]]))),
        126 | 127 => return false,
        short => (2, usize::from(short)),
    };
    frame.len() >= from + length
}

#[cfg(test)]
mod tests {
    use super::is_greeted;

    #[test]
    fn a_greeting_is_whole_or_awaited() {
        let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        assert!(!is_greeted(&answer));
        answer.extend([0x81, 126, 1, 0]);
        assert!(!is_greeted(&answer));
        answer.extend([b'x'; 256]);
        assert!(is_greeted(&answer));
        assert!(is_greeted(b"HTTP/1.1 101\r\n\r\n\x81\x02{}"));
    }
}
