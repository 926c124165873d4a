//! Frames of an answer on `agent.sock`: `kind u8 ‖ length u32 (big-endian) ‖ body`.
//!
//! An answer is any number of data (`D`) and notes (`N`), then exactly one end (`E`, empty) or error (`X`). Whoever
//! reads it therefore knows a whole answer from one that was cut off. Pure: any `Write` and `Read` will do.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// Bytes of a frame's body. Data is gathered up to this, so that small writes don't become small frames.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
const HEAD_BYTES: usize = 5;

/// Why a request was not answered, or not to its end. Body of an `X` frame, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people: what failed and what to do.
    pub message: String,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request makes no sense.
    BadRequest,
    /// The caller may not.
    Forbidden,
    /// Too much is going on.
    Busy,
    /// The agent is on its way out.
    Stopping,
    /// The store failed.
    Failed,
}

impl Refusal {
    /// One with this message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }
}

/// Writes an answer's data as frames.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    /// Starts with room for the head.
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Nothing is written until a frame is full or the answer ends.
    pub fn new(out: W) -> Self {
        let mut buffer = Vec::with_capacity(HEAD_BYTES + BODY_BYTES_MAX);
        buffer.resize(HEAD_BYTES, 0);
        Self { out, buffer }
    }

    /// Says something to the person who asked.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        self.flush_data()?;
        let cut = text.floor_char_boundary(BODY_BYTES_MAX);
        self.out.write_all(&frame(b'N', &text.as_bytes()[..cut]))
    }

    /// The answer is whole.
    pub fn end(mut self) -> io::Result<()> {
        self.flush_data()?;
        self.out.write_all(&frame(b'E', &[]))
    }

    /// The answer ends here, and is not whole.
    pub fn fail(mut self, refusal: &Refusal) -> io::Result<()> {
        self.flush_data()?;
        self.out.write_all(&error(refusal))
    }

    fn flush_data(&mut self) -> io::Result<()> {
        if self.buffer.len() > HEAD_BYTES {
            let head = head(b'D', self.buffer.len() - HEAD_BYTES);
            self.buffer[..HEAD_BYTES].copy_from_slice(&head);
            self.out.write_all(&self.buffer)?;
            self.buffer.truncate(HEAD_BYTES);
        }
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == HEAD_BYTES + BODY_BYTES_MAX {
            self.flush_data()?;
        }
        let room = HEAD_BYTES + BODY_BYTES_MAX - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_data()?;
        self.out.flush()
    }
}

/// A whole error frame.
pub fn error(refusal: &Refusal) -> Vec<u8> {
    let body = serde_json::to_vec(refusal).expect("strings become JSON");
    frame(b'X', &body)
}

fn head(kind: u8, len: usize) -> [u8; HEAD_BYTES] {
    let len = u32::try_from(len).expect("a body has at most 64 KiB");
    let [a, b, c, d] = len.to_be_bytes();
    [kind, a, b, c, d]
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = head(kind, body.len()).to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// Why an answer was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The other side said so.
    #[error(transparent)]
    Refused(Refusal),
    /// The connection ended before the answer did.
    #[error("the answer was cut off; the agent's log says why")]
    CutOff,
    /// It does not answer.
    #[error("the agent can't be heard: {0}")]
    Read(io::Error),
    /// It speaks another language.
    #[error("the agent's answer can't be understood; is it of another version?")]
    Strange,
    /// The data could not be passed on.
    #[error("{0}")]
    Write(io::Error),
}

/// Reads a whole answer: data goes to `out`, notes to `note`.
pub fn read(
    mut from: impl Read,
    out: &mut dyn Write,
    note: &mut dyn FnMut(&str),
) -> Result<(), ReadError> {
    let mut body = Vec::new();
    loop {
        let mut head = [0; HEAD_BYTES];
        fill(&mut from, &mut head)?;
        let [kind, len @ ..] = head;
        let len = u32::from_be_bytes(len) as usize;
        if len > BODY_BYTES_MAX {
            return Err(ReadError::Strange);
        }
        body.resize(len, 0);
        fill(&mut from, &mut body)?;
        match kind {
            b'D' => out.write_all(&body).map_err(ReadError::Write)?,
            b'N' => note(&String::from_utf8_lossy(&body)),
            b'E' => return out.flush().map_err(ReadError::Write),
            b'X' => {
                let refusal = serde_json::from_slice(&body).map_err(|_| ReadError::Strange)?;
                return Err(ReadError::Refused(refusal));
            }
            _ => return Err(ReadError::Strange),
        }
    }
}

fn fill(from: &mut impl Read, bytes: &mut [u8]) -> Result<(), ReadError> {
    from.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => ReadError::CutOff,
        _ => ReadError::Read(error),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8]) -> (Vec<u8>, Vec<String>, Result<(), ReadError>) {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let result = read(bytes, &mut out, &mut |note| notes.push(note.to_owned()));
        (out, notes, result)
    }

    #[test]
    fn a_whole_answer_is_data_notes_and_an_end() {
        let mut wire = Vec::new();
        let mut writer = Writer::new(&mut wire);
        writer.write_all(b"ab").unwrap();
        writer.write_all(b"c").unwrap();
        writer.note("mind that").unwrap();
        writer.write_all(b"d").unwrap();
        writer.end().unwrap();
        assert_eq!(
            wire,
            b"D\0\0\0\x03abcN\0\0\0\x09mind thatD\0\0\0\x01dE\0\0\0\0"
        );
        let (out, notes, result) = read_all(&wire);
        assert!(result.is_ok());
        assert_eq!(
            (out.as_slice(), notes.as_slice()),
            (&b"abcd"[..], &["mind that".to_owned()][..])
        );
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_noticed() {
        let mut wire = Vec::new();
        let mut writer = Writer::new(&mut wire);
        writer.write_all(&[7; 100]).unwrap();
        writer.end().unwrap();
        for len in 0..wire.len() {
            let (_, _, result) = read_all(&wire[..len]);
            assert!(matches!(result, Err(ReadError::CutOff)), "{len}");
        }
    }

    #[test]
    fn an_error_comes_after_what_was_said_before() {
        let mut wire = Vec::new();
        let mut writer = Writer::new(&mut wire);
        writer.write_all(b"half").unwrap();
        let refusal = Refusal::new(Code::Failed, "the disk is gone");
        writer.fail(&refusal).unwrap();
        let (out, _, result) = read_all(&wire);
        assert_eq!(out, b"half");
        assert!(matches!(result, Err(ReadError::Refused(said)) if said == refusal));
    }

    #[test]
    fn strange_bytes_are_refused() {
        for bytes in [&b"HTTP/1.1 400"[..], b"X\0\0\0\x02{}", b"D\xff\xff\xff\xff"] {
            assert!(matches!(read_all(bytes).2, Err(ReadError::Strange)));
        }
    }

    proptest! {
        #[test]
        fn data_of_any_length_comes_through(parts in prop::collection::vec(0_usize..150_000, 0..5)) {
            let mut wire = Vec::new();
            let mut writer = Writer::new(&mut wire);
            let mut expected = Vec::new();
            for (at, len) in parts.into_iter().enumerate() {
                let byte = u8::try_from(at).unwrap();
                writer.write_all(&vec![byte; len]).unwrap();
                expected.resize(expected.len() + len, byte);
            }
            writer.end().unwrap();
            let (out, _, result) = read_all(&wire);
            prop_assert!(result.is_ok());
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read_all(&bytes);
        }
    }
}
