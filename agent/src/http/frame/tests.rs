//! Cases of RFC 6455, properties, and the library's own reader and writer as oracles.

use fastwebsockets::{FragmentCollector, OpCode, Payload, Role, WebSocket};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame, as a well-behaved client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 14 + payload.len()];
    let (last, opcode) = (first & FIN != 0, OpCode::try_from(first & 0x0f).unwrap());
    let mut body = payload.to_vec();
    for (byte, mask) in body.iter_mut().zip(MASK.iter().cycle()) {
        *byte ^= mask;
    }
    let mut frame = fastwebsockets::Frame::new(last, opcode, Some(MASK), Payload::Borrowed(&body));
    let head = frame.fmt_head(&mut bytes);
    bytes.truncate(head);
    bytes.extend_from_slice(&body);
    bytes
}

fn read(mut input: &[u8]) -> Result<Vec<Item>, Violation> {
    let mut reader = Reader::default();
    let mut items = Vec::new();
    while let Some(item) = reader.next(&mut input)? {
        items.push(item);
    }
    Ok(items)
}

fn code(input: &[u8]) -> u16 {
    read(input).expect_err("the input breaks a rule").code
}

fn text(text: &str) -> Item {
    Item::Text(text.to_owned())
}

#[test]
fn whole_and_fragmented_messages_with_a_ping_between() {
    let input = [
        frame(0x81, b"one"),
        frame(0x01, "t\u{e9}".as_bytes().get(..2).unwrap()),
        frame(0x89, b"?"),
        frame(0x00, "\u{e9}".as_bytes().get(1..).unwrap()),
        frame(0x80, b""),
        frame(0x8a, b""),
        frame(0x81, b""),
    ];
    let expected = [
        text("one"),
        Item::Ping(b"?".to_vec()),
        text("t\u{e9}"),
        Item::Pong,
        text(""),
    ];
    assert_eq!(read(&input.concat()).unwrap(), expected);
}

#[test]
fn every_form_of_the_length() {
    for length in [0, 1, 125, 126, 127, 16_383, MESSAGE_BYTES_MAX] {
        let body = "x".repeat(length);
        assert_eq!(read(&frame(0x81, body.as_bytes())).unwrap(), [text(&body)]);
    }
    assert_eq!(
        code(&[0x81, 0xfe, 0, 125, 0, 0, 0, 0]),
        1002,
        "126 for a short length"
    );
    assert_eq!(
        code(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        1002,
        "127 for a medium length"
    );
    assert_eq!(
        code(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        1002,
        "the highest bit"
    );
}

#[test]
fn heads_that_break_the_protocol() {
    assert_eq!(code(&[0xc1]), 1002, "first reserved bit");
    assert_eq!(code(&[0xa1]), 1002, "second reserved bit");
    assert_eq!(code(&[0x91]), 1002, "third reserved bit");
    for opcode in [0x3, 0x7, 0xb, 0xf] {
        assert_eq!(code(&[FIN | opcode]), 1002, "reserved opcode {opcode}");
    }
    assert_eq!(code(&[0x81, 0x05]), 1002, "not masked");
    assert_eq!(code(&[0x09]), 1002, "fragmented ping");
    assert_eq!(code(&[0x89, 0xfe]), 1002, "long ping");
    assert_eq!(code(&[0x80]), 1002, "a continuation of nothing");
    let inside = [frame(0x01, b"a"), vec![0x81]].concat();
    assert_eq!(code(&inside), 1002, "a new message inside another");
    assert_eq!(code(&[0x82]), 1003, "binary");
}

#[test]
fn too_much_is_refused_when_it_is_claimed() {
    assert_eq!(
        code(&[0x81, 0xfe, 0x40, 0x01]),
        1009,
        "one byte too much, none of it sent"
    );
    assert_eq!(code(&[0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0]), 1009, "4 GiB");
    let mut input = frame(0x01, &[b'x'; MESSAGE_BYTES_MAX]);
    input.extend_from_slice(&[0x80, 0x81]);
    assert_eq!(code(&input), 1009, "fragments add up");
}

#[test]
fn fragments_are_counted_also_when_they_are_empty() {
    let most = usize::try_from(FRAGMENTS_MAX).unwrap();
    let mut input = frame(0x01, b"");
    input.extend(std::iter::repeat_n(frame(0x00, b""), most - 2).flatten());
    let good = [input.clone(), frame(0x80, b"end")].concat();
    assert_eq!(read(&good).unwrap(), [text("end")]);
    input.extend(frame(0x00, b""));
    input.extend(frame(0x80, b"end"));
    assert_eq!(code(&input), 1009);
}

#[test]
fn text_is_judged_before_the_message_is_complete() {
    assert_eq!(
        code(&frame(0x01, b"\xce\xba\xff")),
        1007,
        "a byte that never occurs"
    );
    assert_eq!(
        code(&frame(0x01, b"\xf4\x90")),
        1007,
        "beyond the last character"
    );
    assert_eq!(code(&frame(0x81, b"\xed\xa0\x80")), 1007, "a surrogate");
    assert_eq!(code(&frame(0x81, b"caf\xc3")), 1007, "cut off at the end");
    let half = &frame(0x81, b"ab\xff.............")[..9];
    assert_eq!(code(half), 1007, "in the middle of a frame");
    assert_eq!(
        read(&frame(0x01, b"\xf0\x9f\x8e")).unwrap(),
        [],
        "it may go on"
    );
}

#[test]
fn closing_frames() {
    let close = |payload: &[u8]| read(&frame(0x88, payload));
    assert_eq!(close(b"").unwrap(), [Item::Close(None)]);
    for good in [1000, 1001, 1003, 1007, 1014, 3000, 4999_u16] {
        let payload = [&good.to_be_bytes()[..], b"bye"].concat();
        assert_eq!(close(&payload).unwrap(), [Item::Close(Some(good))]);
    }
    for bad in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
        assert_eq!(
            close(&bad.to_be_bytes()).unwrap_err().code,
            1002,
            "code {bad}"
        );
    }
    assert_eq!(close(b"\x03").unwrap_err().code, 1002, "half a code");
    assert_eq!(close(b"\x03\xe8\xff").unwrap_err().code, 1007, "reason");
}

#[test]
fn an_idle_reader_owns_no_heap() {
    let mut reader = Reader::default();
    let input = [
        frame(0x81, &[b'x'; 5_000]),
        frame(0x89, b"abc"),
        frame(0x8a, b"abc"),
    ]
    .concat();
    let mut rest = &input[..];
    while reader.next(&mut rest).unwrap().is_some() {}
    assert_eq!(
        (reader.message.capacity(), reader.control.capacity()),
        (0, 0)
    );
    assert!(size_of::<Reader>() <= 128, "{} bytes", size_of::<Reader>());
}

#[test]
fn the_hubs_frames_are_those_of_the_library() {
    for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
        let payload = vec![b'x'; length];
        let ours = crate::hub::frame::Frame::write(0, |out| out.extend_from_slice(&payload));
        let mut theirs = Vec::new();
        let written = fastwebsockets::Frame::text(Payload::Borrowed(&payload))
            .write(&mut theirs)
            .len();
        assert!(ours.bytes()[..] == theirs[..written], "{length} bytes");
    }
}

#[derive(Clone, Debug)]
enum Sent {
    Text(Vec<String>),
    Ping(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let pieces = prop::collection::vec("\\PC{0,40}", 1..5).prop_map(Sent::Text);
    let ping = prop::collection::vec(any::<u8>(), 0..20).prop_map(Sent::Ping);
    prop::collection::vec(prop_oneof![3 => pieces, 1 => ping], 0..8)
}

/// Cuts texts into fragments also inside of characters.
fn encode(sent: &[Sent], cut: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in sent {
        match message {
            Sent::Ping(payload) => bytes.extend(frame(0x89, payload)),
            Sent::Text(pieces) => {
                let whole = pieces.concat().into_bytes();
                let size = whole
                    .len()
                    .div_ceil(pieces.len())
                    .saturating_sub(cut)
                    .max(8);
                let mut chunks: Vec<&[u8]> = whole.chunks(size).collect();
                let end = chunks.pop().unwrap_or_default();
                for (index, chunk) in chunks.iter().enumerate() {
                    bytes.extend(frame(u8::from(index == 0), chunk));
                }
                bytes.extend(frame(FIN | u8::from(chunks.is_empty()), end));
            }
        }
    }
    bytes
}

fn items(sent: &[Sent]) -> Vec<Item> {
    sent.iter()
        .map(|message| match message {
            Sent::Text(pieces) => Item::Text(pieces.concat()),
            Sent::Ping(payload) => Item::Ping(payload.clone()),
        })
        .collect()
}

/// The texts as the library reads them; pings it answers by itself.
async fn oracle(bytes: &[u8]) -> Vec<Item> {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    client.write_all(bytes).await.unwrap();
    client.write_all(&frame(0x88, b"")).await.unwrap();
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(server, Role::Server));
    let mut texts = Vec::new();
    loop {
        let frame = socket.read_frame().await.unwrap();
        match frame.opcode {
            OpCode::Text => {
                texts.push(Item::Text(
                    String::from_utf8(frame.payload.to_vec()).unwrap(),
                ));
            }
            OpCode::Close => return texts,
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn no_input_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut reader = Reader::default();
        'input: for piece in &pieces {
            let mut rest = &piece[..];
            loop {
                match reader.next(&mut rest) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(violation) => {
                        prop_assert!(matches!(violation.code, 1002 | 1003 | 1007 | 1009));
                        break 'input;
                    }
                }
            }
            prop_assert!(rest.is_empty());
        }
        prop_assert!(reader.message.len() <= MESSAGE_BYTES_MAX);
    }

    #[test]
    fn damaged_frames_do_not_panic(sent in sent(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = encode(&sent, 0);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Err(violation) = read(&bytes) {
            prop_assert!(matches!(violation.code, 1002 | 1003 | 1007 | 1009));
        }
    }

    #[test]
    fn any_split_gives_the_same_items(sent in sent(), cut in 0..6_usize, sizes in prop::collection::vec(1..30_usize, 1..20)) {
        let bytes = encode(&sent, cut);
        let expected = items(&sent);
        prop_assert_eq!(&read(&bytes).unwrap(), &expected);
        let mut reader = Reader::default();
        let (mut found, mut rest) = (Vec::new(), &bytes[..]);
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (mut piece, after) = rest.split_at(rest.len().min(*size));
            rest = after;
            while let Some(item) = reader.next(&mut piece).unwrap() {
                found.push(item);
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_library_reads_the_same(sent in sent(), cut in 0..6_usize) {
        let bytes = encode(&sent, cut);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut expected = items(&sent);
        expected.retain(|item| matches!(item, Item::Text(_)));
        prop_assert_eq!(runtime.block_on(oracle(&bytes)), expected);
    }
}
