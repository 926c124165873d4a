//! Clients that break the rules: each gets a status or a close code that says so, and nobody else notices.
//!
//! Every case is followed by a look at a witness, a well-behaved client of the same agent, which must go on
//! receiving.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::agent::{Agent, PATIENCE};
use crate::client::Client;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// Five ticks a second, so that a look at the witness is short.
const BRISK: &str = "[tiers]\nfast = \"200ms\"\nmedium = \"1s\"\nslow = \"2s\"\n";
const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;

/// Waits for the witness's next event of the present, not one that came before.
async fn goes_on(witness: &mut Client) {
    let answer = witness.ask(json!({"type": "ping"})).await;
    let now = answer["at"].as_i64().expect("the agent's time");
    witness
        .event_that(|event| event["at"].as_i64() > Some(now))
        .await;
}

async fn witness(agent: &Agent) -> Client {
    let (mut client, _) = Client::connect(agent).await;
    client.subscribe(json!({"channel": "basic-metrics"})).await;
    client
}

/// A WebSocket connection without manners.
struct Raw {
    stream: TcpStream,
}

impl Raw {
    async fn open(agent: &Agent) -> Self {
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
    async fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes).await {
            let gone = matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            );
            assert!(gone, "{error}");
        }
    }

    /// The next frame: opcode and payload.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
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

    async fn answer(&mut self) -> Value {
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
    async fn close_code(mut self) -> u16 {
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
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
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

async fn closes_with(agent: &Agent, witness: &mut Client, cases: &[(&str, Vec<u8>, u16)]) {
    for (name, bytes, code) in cases {
        let mut raw = Raw::open(agent).await;
        raw.send(bytes).await;
        assert_eq!(raw.close_code().await, *code, "{name}");
        goes_on(witness).await;
    }
}

#[tokio::test]
async fn json_garbage_is_answered_and_the_connection_stays() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    let mut raw = Raw::open(&agent).await;
    let cases = [
        ("hello", "bad_json", Value::Null),
        ("{\"id\":1,", "bad_json", Value::Null),
        ("", "bad_json", Value::Null),
        ("[]", "bad_request", Value::Null),
        (
            r#"{"id":1,"type":"subscribe","channel":"metrics:system","colour":"red"}"#,
            "bad_request",
            json!("colour"),
        ),
        (
            r#"{"id":1,"type":"subscribe","channel":"metrics:system","tier":"hourly"}"#,
            "bad_request",
            json!("tier"),
        ),
        (
            r#"{"id":1,"type":"subscribe","channel":"gossip"}"#,
            "unknown_channel",
            json!("channel"),
        ),
        (r#"{"id":1,"type":"reboot"}"#, "unknown_type", json!("type")),
    ];
    for (text, code, field) in cases {
        raw.send(&frame(FIN | TEXT, text.as_bytes())).await;
        let answer = raw.answer().await;
        assert_eq!(answer["type"], "error", "{text}");
        assert_eq!(answer["error"]["code"], code, "{text}");
        assert_eq!(answer["error"]["field"], field, "{text}: {answer}");
    }
    raw.send(&frame(FIN | TEXT, br#"{"id":9,"type":"ping"}"#))
        .await;
    assert_eq!(raw.answer().await["id"], 9);
    goes_on(&mut witness).await;
}

#[tokio::test]
async fn frames_against_the_protocol_close_with_1002() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    let cases = [
        ("not masked", b"\x81\x02{}".to_vec(), 1002),
        ("first reserved bit", frame(0xc1, b"{}"), 1002),
        ("last reserved bit", frame(0x91, b"{}"), 1002),
        ("reserved opcode", frame(0x83, b"{}"), 1002),
        ("reserved control opcode", frame(0x8b, b""), 1002),
        ("fragmented ping", frame(0x09, b""), 1002),
        ("ping of 126 bytes", frame(0x89, &[0; 126]), 1002),
        ("a continuation of nothing", frame(0x80, b"{}"), 1002),
        (
            "a message inside another",
            [frame(TEXT, b"{"), frame(FIN | TEXT, b"}")].concat(),
            1002,
        ),
        (
            "a length with the highest bit",
            b"\x81\xff\xff\0\0\0\0\0\0\0".to_vec(),
            1002,
        ),
        ("half a closing code", frame(0x88, b"\x03"), 1002),
        (
            "a closing code that is none",
            frame(0x88, &1005_u16.to_be_bytes()),
            1002,
        ),
    ];
    closes_with(&agent, &mut witness, &cases).await;
}

#[tokio::test]
async fn content_that_is_not_taken_closes_with_its_code() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    let half = [b' '; 9_000];
    let cases = [
        ("binary", frame(0x82, b"{}"), 1003),
        (
            "a byte that UTF-8 never has",
            frame(FIN | TEXT, b"{\"\xff\"}"),
            1007,
        ),
        (
            "a character cut off at the end",
            frame(FIN | TEXT, b"caf\xc3"),
            1007,
        ),
        (
            "bad UTF-8 in an unfinished message",
            frame(TEXT, b"\xed\xa0\x80"),
            1007,
        ),
        (
            "bad UTF-8 in a closing frame",
            frame(0x88, b"\x03\xe8\xff"),
            1007,
        ),
        (
            "one byte too much, only claimed",
            b"\x81\xfe\x40\x01".to_vec(),
            1009,
        ),
        (
            "4 GiB, only claimed",
            b"\x81\xff\0\0\0\x01\0\0\0\0".to_vec(),
            1009,
        ),
        (
            "fragments that add up",
            [frame(TEXT, &half), frame(FIN, &half)].concat(),
            1009,
        ),
    ];
    closes_with(&agent, &mut witness, &cases).await;
}

#[tokio::test]
async fn endless_fragments_close_with_1009() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    for piece in [&b""[..], b" "] {
        let mut raw = Raw::open(&agent).await;
        raw.send(&frame(TEXT, piece)).await;
        for _ in 0..1_000 {
            raw.send(&frame(0, piece)).await;
        }
        assert_eq!(raw.close_code().await, 1009);
        goes_on(&mut witness).await;
    }
}

#[tokio::test]
async fn a_fair_close_is_echoed() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    for code in [1000_u16, 1001, 4999] {
        let mut raw = Raw::open(&agent).await;
        raw.send(&frame(0x88, &[&code.to_be_bytes()[..], b"bye"].concat()))
            .await;
        assert_eq!(raw.close_code().await, code);
    }
    // One that vanishes in the middle of a frame.
    let mut raw = Raw::open(&agent).await;
    raw.send(&frame(FIN | TEXT, b"{\"type\":\"ping\"}")[..7])
        .await;
    drop(raw);
    goes_on(&mut witness).await;
}

#[tokio::test]
async fn more_than_100_messages_a_minute_close_with_4029() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    let mut raw = Raw::open(&agent).await;
    raw.send(&frame(FIN | TEXT, br#"{"type":"ping"}"#).repeat(101))
        .await;
    for _ in 0..100 {
        assert_eq!(raw.answer().await["type"], "ok");
    }
    assert_eq!(raw.close_code().await, 4029);
    let mut pings = Raw::open(&agent).await;
    pings.send(&frame(0x89, b"?").repeat(1_000)).await;
    assert_eq!(pings.close_code().await, 4029);
    goes_on(&mut witness).await;
}

#[tokio::test]
async fn requests_from_elsewhere_are_refused() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    let (host, port) = (format!("Host: {}\r\n", agent.addr), agent.addr.port());
    let rebound = format!("Host: evil.example:{port}\r\n");
    let cases = [
        ("a foreign Host", rebound, 403),
        (
            "another port",
            format!("Host: 127.0.0.1:{}\r\n", port ^ 1),
            403,
        ),
        ("no Host", String::new(), 400),
        ("Host twice", host.repeat(2), 400),
        (
            "a foreign Origin",
            format!("{host}Origin: https://evil.example\r\n"),
            403,
        ),
        (
            "another port's Origin",
            format!("{host}Origin: http://localhost:{}\r\n", port ^ 1),
            403,
        ),
        ("an opaque Origin", format!("{host}Origin: null\r\n"), 403),
        (
            "another site",
            format!("{host}Sec-Fetch-Site: cross-site\r\n"),
            403,
        ),
        (
            "forwarded",
            format!("{host}Forwarded: for=10.0.0.1\r\n"),
            403,
        ),
        (
            "x-forwarded-for",
            format!("{host}X-Forwarded-For: 10.0.0.1\r\n"),
            403,
        ),
        ("x-real-ip", format!("{host}X-Real-IP: 10.0.0.1\r\n"), 403),
    ];
    for (name, headers, status) in cases {
        for (path, more) in [("/api/catalog", "Connection: close\r\n"), ("/ws", UPGRADE)] {
            let request = format!("GET {path} HTTP/1.1\r\n{headers}{more}\r\n");
            let answer = answer(&agent, &request).await;
            assert_eq!(answer.0, status, "{name} at {path}: {}", answer.1);
            let body: Value = serde_json::from_str(&answer.2).expect("JSON");
            assert!(body["error"]["message"].is_string(), "{name}");
        }
        goes_on(&mut witness).await;
    }
    let own = format!(
        "GET /api/catalog HTTP/1.1\r\nHost: LOCALHOST:{port}\r\nOrigin: http://localhost:{port}\r\n\r\n"
    );
    assert_eq!(answer(&agent, &own).await.0, 200);
}

/// Status, head and body of an answer; the connection may stay open afterwards.
async fn answer(agent: &Agent, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(agent.addr).await.expect("a connection");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a written request");
    let mut text = String::new();
    let read = async {
        loop {
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece).await.unwrap_or(0);
            text.push_str(&String::from_utf8_lossy(&piece[..length]));
            if length == 0 || is_complete(&text) {
                break;
            }
        }
    };
    timeout(PATIENCE, read).await.expect("an answer in time");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn is_complete(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    let length = head
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.lines().next());
    length
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: usize| body.len() >= length)
}

#[tokio::test]
async fn malformed_and_oversized_requests_get_their_status() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    let host = format!("Host: {}\r\n", agent.addr);
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\n{host}{more}\r\n");
    let upgrade = |from: &str, to: &str| get("/ws", &UPGRADE.replace(from, to));
    let cases = [
        ("no HTTP", "hello\r\n\r\n".to_owned(), 400),
        (
            "a header of 20 kB",
            get("/", &format!("X-Long: {}\r\n", "x".repeat(20_000))),
            431,
        ),
        (
            "a header of 100 kB",
            get("/", &format!("X-Long: {}\r\n", "x".repeat(100_000))),
            431,
        ),
        ("200 headers", get("/", &"X-Many: x\r\n".repeat(200)), 431),
        (
            "a target of 10 kB",
            get(&format!("/{}", "x".repeat(10_000)), ""),
            414,
        ),
        (
            "another host in the target",
            get("http://evil.example/api/catalog", ""),
            403,
        ),
        (
            "a body",
            get("/api/catalog", "Content-Length: 5\r\n\r\nhello"),
            413,
        ),
        (
            "POST",
            format!("POST /api/catalog HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n"),
            405,
        ),
        ("nothing there", get("/etc/passwd", ""), 404),
        ("a path upwards", get("/dashboard/../api/catalog", ""), 404),
        (
            "an unknown topic",
            get("/api/dashboard/metrics?topic=sytem", ""),
            404,
        ),
        (
            "an unknown query key",
            get("/api/dashboard/metrics?topc=system", ""),
            400,
        ),
        ("no upgrade", get("/ws", ""), 426),
        ("an old version", upgrade("Version: 13", "Version: 8"), 426),
        ("a bad key", upgrade("dGhl", "?"), 400),
    ];
    for (name, request, status) in cases {
        let answer = answer(&agent, &request).await;
        assert_eq!(answer.0, status, "{name}: {}", answer.1);
        goes_on(&mut witness).await;
    }
}

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let agent = Agent::with(BRISK).await;
    let mut witness = witness(&agent).await;
    let beginnings = [
        String::new(),
        format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Slow: ", agent.addr),
        format!(
            "GET /ws HTTP/1.1\r\nHost: {}\r\n{UPGRADE}X-Slow: ",
            agent.addr
        ),
    ];
    let mut attacks = Vec::new();
    for beginning in beginnings {
        for is_trickling in [false, true] {
            let stream = TcpStream::connect(agent.addr).await.expect("a connection");
            attacks.push(tokio::spawn(attack(
                stream,
                beginning.clone(),
                is_trickling,
            )));
        }
    }
    goes_on(&mut witness).await;
    for attack in attacks {
        let answer = timeout(PATIENCE, attack)
            .await
            .expect("the agent hangs up")
            .expect("no panic");
        assert!(
            !answer.starts_with("HTTP/1.1 2") && !answer.starts_with("HTTP/1.1 101"),
            "{answer}"
        );
    }
    goes_on(&mut witness).await;
}

/// Sends a beginning, then a byte now and then, until the agent hangs up; gives what it said.
async fn attack(mut stream: TcpStream, beginning: String, is_trickling: bool) -> String {
    stream
        .write_all(beginning.as_bytes())
        .await
        .expect("a written beginning");
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let trickle = async {
        let mut pause = tokio::time::interval(Duration::from_millis(200));
        while is_trickling && !beginning.is_empty() {
            pause.tick().await;
            if writer.write_all(b"x").await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // An agent that hangs up on unread bytes resets the connection, which is as good.
        _ = reader.read_to_end(&mut answer) => {}
        () = trickle => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn beyond_the_cap_there_is_503_and_room_comes_back() {
    let agent = Agent::with(&format!("{BRISK}[limits]\nconnections = 2\n")).await;
    let mut witness = witness(&agent).await;
    let second = Raw::open(&agent).await;
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        agent.addr
    );
    for upgrade in ["Connection: close\r\n", UPGRADE] {
        let request = format!("GET /ws HTTP/1.1\r\nHost: {}\r\n{upgrade}\r\n", agent.addr);
        let refused = answer(&agent, &request).await;
        assert_eq!(refused.0, 503, "{}", refused.1);
        assert!(refused.1.contains("retry-after: "), "{}", refused.1);
    }
    drop(second);
    let room = async { while answer(&agent, &request).await.0 != 200 {} };
    timeout(PATIENCE, room).await.expect("room in time");
    goes_on(&mut witness).await;
}
