//! What a plugin's library says of itself without being run: the lines of its ELF section `.barograph`.
//!
//! The section holds `key=value` lines (`abi`, `name`, `topic`, `version`, and `default=on` in a plugin that runs
//! without being configured), put there by `export_collector!` or by the header's macro. Reading it executes nothing
//! and takes any bytes, so it is safe on any file.

use std::fs;
use std::path::Path;

use barograph_sdk::abi;
use object::{Object as _, ObjectSection as _, ReadCache, ReadRef};

use super::library::LIBRARY_BYTES_MAX;
use crate::catalog::NAME_BYTES_MAX;

/// Bytes of the section: a few lines.
const NOTE_BYTES_MAX: u64 = 4 << 10;

/// The lines of the section; a key that is not there is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// `MAJOR.MINOR` of the plugin ABI.
    pub abi: Option<String>,
    /// Name in `config.toml`.
    pub name: Option<String>,
    /// Topic of its metrics.
    pub topic: Option<String>,
    /// Version of the plugin.
    pub version: Option<String>,
    /// Whether it runs where no section of `config.toml` names it.
    pub runs_unasked: bool,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// Why a file has no note.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The file can't be read.
    #[error("{0} can't be read: {1}")]
    Io(String, std::io::Error),
    /// It is larger than any library.
    #[error("{0} is larger than 512 MiB, which no plugin is")]
    TooLarge(String),
    /// It is no ELF file.
    #[error("{0} is not a library (no ELF file)")]
    NotElf(String),
    /// It is a library, but no plugin.
    #[error(
        "{0} is not a Barograph plugin: it has no section .barograph; was it built with export_collector! or against barograph_plugin.h?"
    )]
    NotPlugin(String),
}

/// Why bytes have no note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// They are no ELF file.
    NotElf,
    /// They are one without the section, or with one that no plugin has.
    NotPlugin,
}

/// Reads the note of the library at `path`. Of a large file only the pages that lead to it are read.
pub fn read(path: &Path) -> Result<Note, NoteError> {
    let shown = path.display().to_string();
    let io = |error| NoteError::Io(shown.clone(), error);
    let file = fs::File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()));
    }
    let file_bytes = metadata.len();
    if file_bytes > LIBRARY_BYTES_MAX {
        return Err(NoteError::TooLarge(shown));
    }
    match parse(&ReadCache::new(file)) {
        Ok(note) => Ok(Note { file_bytes, ..note }),
        Err(Unreadable::NotElf) => Err(NoteError::NotElf(shown)),
        Err(Unreadable::NotPlugin) => Err(NoteError::NotPlugin(shown)),
    }
}

/// Reads the note of a library's bytes, whatever they are. Its size is left at 0.
pub fn parse<'data>(bytes: impl ReadRef<'data>) -> Result<Note, Unreadable> {
    let elf = object::File::parse(bytes).map_err(|_| Unreadable::NotElf)?;
    let section = elf
        .section_by_name(abi::NOTE_SECTION)
        .filter(|section| section.size() <= NOTE_BYTES_MAX)
        .ok_or(Unreadable::NotPlugin)?;
    let text = section.data().map_err(|_| Unreadable::NotPlugin)?;
    Ok(lines(&String::from_utf8_lossy(text)))
}

fn lines(text: &str) -> Note {
    let mut note = Note::default();
    for (key, value) in text
        .split(['\n', '\0'])
        .filter_map(|line| line.split_once('='))
    {
        let slot = match key {
            "abi" => &mut note.abi,
            "name" => &mut note.name,
            "topic" => &mut note.topic,
            "version" => &mut note.version,
            "default" => {
                note.runs_unasked = value == "on";
                continue;
            }
            _ => continue,
        };
        // They are shown on terminals, which do what such characters say.
        if value.len() <= NAME_BYTES_MAX && !value.contains(char::is_control) {
            *slot = Some(value.to_owned());
        }
    }
    note
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read_and_unknown_keys_passed_over() {
        let note = lines("abi=1.0\nname=x\nfuture=y\nno line\ntopic=t\0version=0.1.0\n");
        assert_eq!(note.abi.as_deref(), Some("1.0"));
        assert_eq!(note.name.as_deref(), Some("x"));
        assert_eq!(note.topic.as_deref(), Some("t"));
        assert_eq!(note.version.as_deref(), Some("0.1.0"));
        assert!(!note.runs_unasked);
        assert!(lines("name=x\ndefault=on\n").runs_unasked);
        assert!(!lines("name=x\ndefault=off\n").runs_unasked);
    }

    #[test]
    fn files_that_are_no_plugins_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text.so");
        fs::write(&text, "not a library").unwrap();
        assert!(matches!(read(&text), Err(NoteError::NotElf(_))));
        assert!(matches!(
            read(&folder.path().join("absent")),
            Err(NoteError::Io(..))
        ));
        let own = std::env::current_exe().unwrap();
        assert!(matches!(read(&own), Err(NoteError::NotPlugin(_))));
    }

    #[test]
    fn what_a_terminal_would_obey_and_what_is_too_long_is_not_a_value() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let note = lines(&format!(
            "name=\u{1b}[2J\ntopic={long}\nversion=1\r\nabi=1.0"
        ));
        let abi = Some("1.0".to_owned());
        assert_eq!(
            note,
            Note {
                abi,
                ..Note::default()
            }
        );
    }

    #[test]
    fn a_section_is_read_from_bytes_and_none_is_larger_than_a_few_lines() {
        let whole = elf(b"abi=1.0\nname=tiny\n");
        let note = parse(whole.as_slice()).unwrap();
        assert_eq!(note.name.as_deref(), Some("tiny"));
        let large = elf(&vec![b'\n'; 4 << 10]);
        assert_eq!(parse(large.as_slice()), Ok(Note::default()));
        let larger = elf(&vec![b'\n'; (4 << 10) + 1]);
        assert_eq!(parse(larger.as_slice()), Err(Unreadable::NotPlugin));
        for len in 0..whole.len() {
            // A cut file has no section, or one that goes beyond its end.
            assert!(parse(&whole[..len]).is_err(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(bytes.as_slice());
            let _ = lines(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn so_is_a_library_with_any_damage(
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
            len in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = elf(b"abi=1.0\nname=tiny\n");
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = parse(bytes.as_slice());
            let _ = parse(&bytes[..len.index(bytes.len())]);
        }
    }

    /// An ELF file of three sections: none, the note's, and the names of both.
    fn elf(note: &[u8]) -> Vec<u8> {
        const HEADER: u64 = 64;
        let names = b"\0.barograph\0.shstrtab\0";
        let (note_at, names_at) = (HEADER, HEADER + note.len() as u64);
        let sections_at = (names_at + names.len() as u64).next_multiple_of(8);
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let half = |bytes: &mut Vec<u8>, value: u16| bytes.extend(value.to_le_bytes());
        let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
        let long = |bytes: &mut Vec<u8>, value: u64| bytes.extend(value.to_le_bytes());
        // A library for x86-64 without an entry, program headers or flags.
        half(&mut bytes, 3);
        half(&mut bytes, 62);
        word(&mut bytes, 1);
        long(&mut bytes, 0);
        long(&mut bytes, 0);
        long(&mut bytes, sections_at);
        word(&mut bytes, 0);
        for value in [64, 56, 0, 64, 3, 2] {
            half(&mut bytes, value);
        }
        bytes.extend(note);
        bytes.extend(names);
        bytes.resize(usize::try_from(sections_at).unwrap(), 0);
        for (name, kind, at, len) in [
            (0, 0, 0, 0),
            (1, 1, note_at, note.len() as u64),
            (12, 3, names_at, names.len() as u64),
        ] {
            word(&mut bytes, name);
            word(&mut bytes, kind);
            for value in [0, 0, at, len] {
                long(&mut bytes, value);
            }
            word(&mut bytes, 0);
            word(&mut bytes, 0);
            for value in [1, 0] {
                long(&mut bytes, value);
            }
        }
        bytes
    }
}
