//! Requests and connections, before anything is a WebSocket.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::raw::{Raw, UPGRADE};
use super::{BRISK, goes_on, witness};
use crate::agent::{Agent, PATIENCE};

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
