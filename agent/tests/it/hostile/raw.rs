//! A WebSocket client without manners: it sends whatever bytes it is told to.

use std::io::ErrorKind;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::agent::{Agent, PATIENCE};

pub(super) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
pub(super) const FIN: u8 = 0x80;
pub(super) const TEXT: u8 = 0x1;

/// A WebSocket connection without manners.
pub(super) struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub(super) async fn open(agent: &Agent) -> Self {
        let mut stream = TcpStream::connect(agent.addr).await.expect("a connection");
        let request = format!("GET /ws HTTP/1.1\r\nHost: {}\r\n{UPGRADE}\r\n", agent.addr);
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a written request");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(
                timeout(PATIENCE, stream.read_u8())
                    .await
                    .expect("an answer")
                    .expect("a head"),
            );
        }
        assert!(
            head.starts_with(b"HTTP/1.1 101 "),
            "{}",
            String::from_utf8_lossy(&head)
        );
        Self { stream }
    }

    /// Sends what the server takes; it may have closed already.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes).await {
            let gone = matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            );
            assert!(gone, "{error}");
        }
    }

    /// The next frame: opcode and payload.
    pub(super) async fn frame(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).await?;
            let length = match head[1] {
                126 => usize::from(self.stream.read_u16().await?),
                127 => usize::try_from(self.stream.read_u64().await?).expect("a sane length"),
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await?;
            Ok::<_, std::io::Error>((head[0] & 0x0f, payload))
        };
        timeout(PATIENCE, read)
            .await
            .expect("a frame in time")
            .expect("a whole frame")
    }

    pub(super) async fn answer(&mut self) -> Value {
        loop {
            let (opcode, payload) = self.frame().await;
            assert_eq!(opcode, TEXT);
            let message: Value = serde_json::from_slice(&payload).expect("JSON");
            if message.get("type").is_some() {
                return message;
            }
        }
    }

    /// Reads to the closing frame and beyond, where nothing may be but the end.
    pub(super) async fn close_code(mut self) -> u16 {
        loop {
            let (opcode, payload) = self.frame().await;
            if opcode == 0x8 {
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                let after = timeout(PATIENCE, self.stream.read(&mut [0; 16])).await;
                assert_eq!(
                    after.expect("an end in time").unwrap_or(0),
                    0,
                    "after the closing frame"
                );
                return code.expect("a code");
            }
        }
    }
}

/// A masked frame.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x5a, 0x11, 0xc3, 0x7e];
    let mut bytes = vec![first];
    match u16::try_from(payload.len()).expect("a short payload") {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).expect("below 126")),
        length => {
            bytes.push(0xfe);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}
