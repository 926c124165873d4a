//! Whatever bytes a plugin writes to its host's link: messages or an error, never a panic, nor more memory than the
//! bytes themselves ask for.
//!
//! The first byte of an input says how the rest is read: as one message to the agent, as one to the host, or as a
//! stream of frames, which is how the agent reads. What is decoded is encoded again and has to come back as it was.
//! With `FUZZ_SEEDS` set to a folder, one of each message is written into it first. Called by `cargo xtask fuzz link`;
//! it never touches anything but that folder.

#![no_main]

#[path = "link/seeds.rs"]
mod seeds;

use barograph::collect::link::{self, LENGTH_BYTES, ToAgent, ToHost};

/// The first byte of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    ToAgent,
    ToHost,
    Stream,
}

libfuzzer_sys::fuzz_target!(
    init: if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        seeds::write(folder.as_ref());
    },
    |input: &[u8]| {
        let Some((first, rest)) = input.split_first() else {
            return;
        };
        match first {
            0 => to_agent(rest),
            1 => to_host(rest),
            2 => stream(rest),
            _ => {}
        }
    }
);

fn to_agent(bytes: &[u8]) {
    if let Ok(message) = ToAgent::decode(bytes) {
        let again = ToAgent::decode(&encoded(|out| message.encode(out)));
        // As text, because a sample that is not a number is not equal to itself.
        let again = again.expect("what was encoded can be decoded");
        assert_eq!(format!("{again:?}"), format!("{message:?}"));
    }
}

fn to_host(bytes: &[u8]) {
    if let Ok(message) = ToHost::decode(bytes) {
        let again = ToHost::decode(&encoded(|out| message.encode(out)));
        assert_eq!(again, Ok(message));
    }
}

/// Kind and body of one frame.
fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    let (body, whole) = link::frame(&out)
        .expect("no frame is that large")
        .expect("a frame is whole");
    assert_eq!((whole, body.len()), (out.len(), out.len() - LENGTH_BYTES));
    body.to_vec()
}

fn stream(mut bytes: &[u8]) {
    while let Ok(Some((body, whole))) = link::frame(bytes) {
        assert_eq!(body.len() + LENGTH_BYTES, whole);
        if ToAgent::decode(body).is_err() {
            return;
        }
        bytes = &bytes[whole..];
    }
}
