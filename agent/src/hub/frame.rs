//! A whole server text frame: the RFC 6455 header and its JSON, in one piece of shared memory.
//!
//! A frame is made once and handed to every subscriber as a counted reference. Server frames carry no
//! mask, so the same bytes fit everybody. [`Update`] is a metric frame in its two forms: with the table of
//! series for those who do not have it yet, and without. This file knows nothing of connections.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::clock::TierSet;

/// FIN and the opcode of text.
const TEXT: u8 = 0x81;
/// The longest header of an unmasked frame: two bytes and a 64-bit length.
const HEAD_BYTES_MAX: usize = 10;

/// A server text frame, header included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Makes a frame of the JSON that `write` appends; `payload_bytes` is a guess that saves growing.
    pub fn write(payload_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut buffer = Vec::with_capacity(HEAD_BYTES_MAX + payload_bytes);
        buffer.resize(HEAD_BYTES_MAX, 0);
        write(&mut buffer);
        let start = seal(&mut buffer);
        Self(Bytes::from(buffer).slice(start..))
    }

    /// Header and payload.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The JSON alone, for transports that frame it otherwise.
    pub fn payload(&self) -> Bytes {
        let head = match self.0[1] {
            127 => 10,
            126 => 4,
            _ => 2,
        };
        self.0.slice(head..)
    }
}

/// Writes the header right before the payload, which begins at [`HEAD_BYTES_MAX`], and returns where the
/// frame begins.
fn seal(buffer: &mut [u8]) -> usize {
    let length = buffer.len() - HEAD_BYTES_MAX;
    if let Ok(short @ 0..126) = u8::try_from(length) {
        buffer[8..10].copy_from_slice(&[TEXT, short]);
        return 8;
    }
    if let Ok(medium) = u16::try_from(length) {
        buffer[6..8].copy_from_slice(&[TEXT, 126]);
        buffer[8..10].copy_from_slice(&medium.to_be_bytes());
        return 6;
    }
    buffer[0..2].copy_from_slice(&[TEXT, 127]);
    buffer[2..10].copy_from_slice(&(length as u64).to_be_bytes());
    0
}

/// The table of series that columns frames refer to by its number.
#[derive(Debug)]
pub struct TableText {
    /// Unique while the agent runs; never 0.
    pub number: u64,
    /// `"series":{…},`
    pub json: String,
}

/// A metric frame of one collector, to be sent with or without its table.
#[derive(Debug)]
pub struct Update {
    bare: Frame,
    tiers: TierSet,
    table: Option<(Arc<TableText>, usize)>,
    complete: OnceLock<Frame>,
}

impl Update {
    /// A frame that is the same for everybody; `tiers` are those of the metrics in it.
    pub fn plain(bare: Frame, tiers: TierSet) -> Self {
        Self {
            bare,
            tiers,
            table: None,
            complete: OnceLock::new(),
        }
    }

    /// A frame into whose payload the text of `table` fits at `insert_at`.
    pub fn columns(bare: Frame, tiers: TierSet, table: Arc<TableText>, insert_at: usize) -> Self {
        Self {
            bare,
            tiers,
            table: Some((table, insert_at)),
            complete: OnceLock::new(),
        }
    }

    /// The frame for a client that has the table `known`, which becomes the one that it has afterwards.
    /// The form with the table is made when the first client needs it, once for all.
    pub fn frame(&self, known: &mut u64) -> &Frame {
        let Some((table, insert_at)) = &self.table else {
            return &self.bare;
        };
        if std::mem::replace(known, table.number) == table.number {
            return &self.bare;
        }
        self.complete.get_or_init(|| {
            let payload = self.bare.payload();
            Frame::write(payload.len() + table.json.len(), |out| {
                out.extend_from_slice(&payload[..*insert_at]);
                out.extend_from_slice(table.json.as_bytes());
                out.extend_from_slice(&payload[*insert_at..]);
            })
        })
    }

    /// Size of the frame without its table, header excluded.
    pub fn payload_bytes(&self) -> usize {
        self.bare.payload().len()
    }

    /// Whether nothing is lost when this frame takes the place of `older`, which was never sent.
    pub fn covers(&self, older: &Self) -> bool {
        older.tiers.bits() & !self.tiers.bits() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_rfc_6455_at_each_boundary() {
        let cases: [(usize, &[u8]); 6] = [
            (0, &[0x81, 0]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xff, 0xff]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (70_000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]),
        ];
        for (length, head) in cases {
            let frame = Frame::write(0, |out| out.extend(std::iter::repeat_n(b'x', length)));
            assert_eq!(&frame.bytes()[..head.len()], head, "length {length}");
            assert_eq!(frame.bytes().len(), head.len() + length);
            assert_eq!(frame.payload().len(), length);
        }
    }

    #[test]
    fn the_table_is_inserted_once_and_shared() {
        let bare = Frame::write(0, |out| {
            out.extend_from_slice(br#"{"table":7,"values":{}}"#);
        });
        let table = Arc::new(TableText {
            number: 7,
            json: r#""series":{},"#.to_owned(),
        });
        let update = Update::columns(bare, TierSet::ALL, table, 11);
        let (mut first, mut second) = (0, 3);
        let with = update.frame(&mut first).clone();
        assert_eq!(with.payload(), r#"{"table":7,"series":{},"values":{}}"#);
        assert_eq!(
            with.bytes().as_ptr(),
            update.frame(&mut second).bytes().as_ptr()
        );
        assert_eq!((first, second), (7, 7));
        assert_eq!(
            update.frame(&mut first).payload(),
            r#"{"table":7,"values":{}}"#
        );
    }
}
