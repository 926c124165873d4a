//! What a plugin's library says of itself without being run: the lines of its ELF section `.barograph`.
//!
//! The section holds `key=value` lines (`abi`, `name`, `topic`, `version`), put there by `export_collector!`
//! or by the header's macro. Reading it executes nothing, so it is safe on any file.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use barograph_sdk::abi;
use object::{Object as _, ObjectSection as _};

/// Bytes of a library that are read at most.
const LIBRARY_BYTES_MAX: u64 = 512 << 20;

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

/// Reads the note of the library at `path`.
pub fn read(path: &Path) -> Result<Note, NoteError> {
    let shown = path.display().to_string();
    let file_bytes = fs::metadata(path)
        .map_err(|error| NoteError::Io(shown.clone(), error))?
        .len();
    if file_bytes > LIBRARY_BYTES_MAX {
        return Err(NoteError::TooLarge(shown));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(LIBRARY_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| NoteError::Io(shown.clone(), error))?;
    let Ok(elf) = object::File::parse(bytes.as_slice()) else {
        return Err(NoteError::NotElf(shown));
    };
    let section = elf.section_by_name(abi::NOTE_SECTION);
    let Some(text) = section.and_then(|section| section.data().ok()) else {
        return Err(NoteError::NotPlugin(shown));
    };
    let mut note = parse(&String::from_utf8_lossy(text));
    note.file_bytes = file_bytes;
    Ok(note)
}

fn parse(text: &str) -> Note {
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
            _ => continue,
        };
        *slot = Some(value.to_owned());
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_unknown_keys_passed_over() {
        let note = parse("abi=1.0\nname=x\nfuture=y\nno line\ntopic=t\0version=0.1.0\n");
        assert_eq!(note.abi.as_deref(), Some("1.0"));
        assert_eq!(note.name.as_deref(), Some("x"));
        assert_eq!(note.topic.as_deref(), Some("t"));
        assert_eq!(note.version.as_deref(), Some("0.1.0"));
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
}
