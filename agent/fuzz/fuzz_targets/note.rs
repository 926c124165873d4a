//! Whatever file is said to be a plugin: a note or an error, never a panic, nor more memory than its bytes ask for.
//!
//! An input is a file. It is read from memory and, as the agent does, page by page; what comes out of it can be shown
//! on a terminal. With `FUZZ_SEEDS` set to a folder, small libraries are written into it first, because a fuzzer does
//! not guess the tables of an ELF file. Called by `cargo xtask fuzz note`; it never touches anything but that folder.

#![no_main]

#[path = "note/seeds.rs"]
mod seeds;

use std::io::Cursor;

use barograph::collect::note::{self, Note, Unreadable};
use object::ReadCache;

/// Bytes of a value, as of any name in the agent.
const VALUE_BYTES_MAX: usize = 256;

libfuzzer_sys::fuzz_target!(
    init: if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        seeds::write(folder.as_ref());
    },
    |input: &[u8]| {
        // In words, so that it stands where the tables of a file in memory do.
        let mut words = vec![0_u64; input.len().div_ceil(8)];
        for (word, bytes) in words.iter_mut().zip(input.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_ne_bytes(whole);
        }
        let bytes = object::pod::bytes_of_slice(&words);
        check(note::parse(&bytes[..input.len()]));
        check(note::parse(&ReadCache::new(Cursor::new(input))));
    }
);

fn check(note: Result<Note, Unreadable>) {
    let Ok(note) = note else {
        return;
    };
    for value in [note.abi, note.name, note.topic, note.version] {
        let value = value.unwrap_or_default();
        assert!(value.len() <= VALUE_BYTES_MAX, "{} bytes", value.len());
        assert!(!value.contains(char::is_control), "{value:?}");
    }
}
