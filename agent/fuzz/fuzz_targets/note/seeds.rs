//! What a run starts from: small ELF files of both widths and both byte orders, with a note and without.

use std::fs;
use std::path::Path;

/// How a file is written.
#[derive(Clone, Copy)]
struct Layout {
    wide: bool,
    big: bool,
}

/// Writes the inputs, one a file.
pub(crate) fn write(folder: &Path) {
    let notes: [&[u8]; 4] = [
        b"abi=1.0\nname=web\ntopic=web\nversion=0.1.0\n",
        b"abi=1.0\nname=web\ntopic=web\nversion=0.1.0\n\0abi=1.1\nfuture=\x1b[2J\n",
        b"\xff=\n==\nabi\nname=\n",
        b"",
    ];
    let layouts = [(true, false), (true, true), (false, false), (false, true)];
    let layouts = layouts.map(|(wide, big)| Layout { wide, big });
    let inputs = layouts.into_iter().flat_map(|layout| {
        let files = notes
            .iter()
            .map(move |note| layout.file(".barograph", note));
        files.chain([layout.file(".note.gnu", notes[0])])
    });
    for (at, input) in inputs.enumerate() {
        let path = folder.join(format!("seed-{at:03}"));
        fs::write(&path, input)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
}

impl Layout {
    /// A library of three sections: none, the note's, and the names of both.
    fn file(self, name: &str, note: &[u8]) -> Vec<u8> {
        let (header_bytes, section_bytes) = if self.wide { (64, 64) } else { (52, 40) };
        let names = format!("\0{name}\0.shstrtab\0");
        let strtab = name.len() as u64 + 2;
        let note_at = header_bytes;
        let names_at = note_at + note.len() as u64;
        let sections_at = (names_at + names.len() as u64).next_multiple_of(8);
        let mut out = vec![0x7f, b'E', b'L', b'F'];
        out.extend([1 + u8::from(self.wide), 1 + u8::from(self.big), 1]);
        out.resize(16, 0);
        // A library, for x86-64 or i386, without an entry, program headers or flags.
        self.half(&mut out, 3);
        self.half(&mut out, if self.wide { 62 } else { 3 });
        self.word(&mut out, 1);
        self.address(&mut out, 0);
        self.address(&mut out, 0);
        self.address(&mut out, sections_at);
        self.word(&mut out, 0);
        for value in [header_bytes, 0, 0, section_bytes, 3, 2] {
            self.half(&mut out, u16::try_from(value).expect("a small number"));
        }
        out.extend(note);
        out.extend(names.as_bytes());
        out.resize(usize::try_from(sections_at).expect("a small number"), 0);
        let sections = [
            (0, 0, 0, 0),
            (1, 1, note_at, note.len() as u64),
            (strtab, 3, names_at, names.len() as u64),
        ];
        for (name, kind, at, len) in sections {
            self.word(&mut out, name);
            self.word(&mut out, kind);
            for value in [0, 0, at, len] {
                self.address(&mut out, value);
            }
            self.word(&mut out, 0);
            self.word(&mut out, 0);
            self.address(&mut out, 1);
            self.address(&mut out, 0);
        }
        out
    }

    fn half(self, out: &mut Vec<u8>, value: u16) {
        out.extend(if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }

    fn word(self, out: &mut Vec<u8>, value: u64) {
        let value = u32::try_from(value).expect("a small number");
        out.extend(if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }

    fn address(self, out: &mut Vec<u8>, value: u64) {
        if !self.wide {
            self.word(out, value);
        } else if self.big {
            out.extend(value.to_be_bytes());
        } else {
            out.extend(value.to_le_bytes());
        }
    }
}
