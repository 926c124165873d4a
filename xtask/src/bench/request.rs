//! A connection that asks the agent for pages one after another, over plain HTTP/1.1.
//!
//! It reads what the agent is known to send (a length, or chunks) and nothing more.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::shell::Fallible;

/// How long a peer may take to swallow a file.
const POST_LIMIT: Duration = Duration::from_mins(5);

/// Posts a file, however large, and waits for the answer.
pub(crate) fn post_file(port: u16, path: &str, file: &Path) -> Fallible {
    let mut connection = Connection::open(port)?;
    let stream = connection.stream.get_mut();
    stream.set_read_timeout(Some(POST_LIMIT))?;
    let mut body = File::open(file)?;
    let length = body.metadata()?.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    std::io::copy(&mut body, stream)?;
    let status = connection.line()?;
    if !matches!(status.split(' ').nth(1), Some("200" | "204")) {
        return Err(format!("{path} answered {status}").into());
    }
    Ok(())
}

#[derive(Debug)]
pub(crate) struct Connection {
    port: u16,
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Fallible<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .map_err(|error| format!("cannot connect to port {port}: {error}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            port,
            stream: BufReader::new(stream),
        })
    }

    /// Asks for a page and returns its text, or fails if the status isn't 200.
    pub(crate) fn get(&mut self, path: &str) -> Fallible<String> {
        let port = self.port;
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let mut length = None;
        let mut is_chunked = false;
        loop {
            let header = self.line()?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
            is_chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        }
        let body = if is_chunked {
            self.chunks()?
        } else {
            self.bytes(length.ok_or_else(|| format!("{path} answered without a length"))?)?
        };
        if status.split(' ').nth(1) != Some("200") {
            return Err(format!("{path} answered {status}").into());
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn chunks(&mut self) -> Fallible<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16)?;
            body.extend(self.bytes(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Fallible<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> Fallible<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err("the connection was closed in the middle of an answer".into());
        }
        Ok(line.trim_end().to_owned())
    }
}
