//! Messages and frames on `/ws`.

use serde_json::{Value, json};

use super::raw::{FIN, Raw, TEXT, frame};
use super::{BRISK, goes_on, witness};
use crate::agent::Agent;
use crate::client::Client;

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
