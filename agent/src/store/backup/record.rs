//! The records of a backup file. Pure: any `Write` and `Read` will do.
//!
//! The file begins with `BAROBKUP` and the format's version (u8), then come records, `type u8 ‖ length u32 ‖ body ‖
//! CRC-32 of all three`, numbers little-endian. The last one is an end, which says how many came before it, so that
//! a file that was cut between two records is noticed as well.
//!
//! | type | body |
//! |---|---|
//! | 1 about | JSON: what wrote it and when |
//! | 2 core | pairs: `key length u16 ‖ value length u32 ‖ key ‖ value` |
//! | 3 head file | its name; the contents follow |
//! | 4 head bytes | the next bytes of that file |
//! | 5 group | `level u8 ‖ block start i64 ‖ epoch u16`, then the group as it is stored |
//! | 6 marker | `level u8 ‖ block start i64 ‖ epoch u16 ‖ groups u32 ‖ series u32 ‖ samples u64`: the block is whole |
//! | 7 end | records before it, u64 |

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::store::Level;
use crate::store::generation::{Block, Marker};

const MAGIC: &[u8; 8] = b"BAROBKUP";
const VERSION: u8 = 1;
/// Bytes of a body. Groups have 15,500 and the rest is cut to fit, so more is damage.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
const BLOCK_BYTES: usize = 11;
const MARKER_BYTES: usize = BLOCK_BYTES + 16;

/// What wrote a backup and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of the agent.
    pub agent: String,
    /// Schema of the data folder.
    pub schema: u32,
    /// When it was begun, Unix milliseconds.
    pub at_ms: i64,
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    About(About),
    Core(Vec<(Vec<u8>, Vec<u8>)>),
    HeadFile(String),
    HeadBytes(Vec<u8>),
    Group(Level, Block, Vec<u8>),
    Marker(Level, Block, Marker),
}

/// Why a file is no backup, or not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It begins with something else.
    #[error("it is no backup of barograph")]
    NoBackup,
    /// It was written by a later version.
    #[error("it has the format {0}, which this agent does not know; use the one that wrote it")]
    Newer(u8),
    /// The end is missing.
    #[error("it is cut short after {0} bytes")]
    CutShort(u64),
    /// A checksum does not match.
    #[error("it is damaged at byte {0}")]
    Damaged(u64),
    /// The disk failed.
    #[error("it can't be read: {0}")]
    Io(io::Error),
}

/// Writes records.
#[derive(Debug)]
pub(super) struct Writer<W: Write> {
    out: W,
    records: u64,
    body: Vec<u8>,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        out.write_all(&[VERSION])?;
        Ok(Self {
            out,
            records: 0,
            body: Vec::new(),
            bytes: MAGIC.len() as u64 + 1,
        })
    }

    pub(super) fn about(&mut self, about: &About) -> io::Result<()> {
        let body = serde_json::to_vec(about).expect("strings and numbers become JSON");
        self.record(1, &body)
    }

    /// Pairs of the core; those that don't fit into one record go into several.
    pub(super) fn core(&mut self, pairs: &[(Vec<u8>, Vec<u8>)]) -> io::Result<()> {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        for (key, value) in pairs {
            let (Ok(key_len), Ok(value_len)) =
                (u16::try_from(key.len()), u32::try_from(value.len()))
            else {
                return Err(io::Error::other("a setting is too large for a backup"));
            };
            if body.len() + key.len() + value.len() + 6 > BODY_BYTES_MAX {
                self.record(2, &body)?;
                body.clear();
            }
            body.extend_from_slice(&key_len.to_le_bytes());
            body.extend_from_slice(&value_len.to_le_bytes());
            body.extend_from_slice(key);
            body.extend_from_slice(value);
        }
        if !body.is_empty() {
            self.record(2, &body)?;
        }
        self.body = body;
        Ok(())
    }

    pub(super) fn head_file(&mut self, name: &str) -> io::Result<()> {
        self.record(3, name.as_bytes())
    }

    pub(super) fn head_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.record(4, bytes)
    }

    pub(super) fn group(&mut self, level: Level, block: Block, group: &[u8]) -> io::Result<()> {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        put_block(&mut body, level, block);
        body.extend_from_slice(group);
        let written = self.record(5, &body);
        self.body = body;
        written
    }

    pub(super) fn marker(&mut self, level: Level, block: Block, marker: Marker) -> io::Result<()> {
        let mut body = Vec::with_capacity(MARKER_BYTES);
        put_block(&mut body, level, block);
        body.extend_from_slice(&marker.groups.to_le_bytes());
        body.extend_from_slice(&marker.series.to_le_bytes());
        body.extend_from_slice(&marker.samples.to_le_bytes());
        self.record(6, &body)
    }

    /// The file is whole; gives its length.
    pub(super) fn end(mut self) -> io::Result<u64> {
        let records = self.records.to_le_bytes();
        self.record(7, &records)?;
        self.out.flush()?;
        Ok(self.bytes)
    }

    fn record(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        if body.len() > BODY_BYTES_MAX {
            return Err(io::Error::other("a record is too large for a backup"));
        }
        let len = u32::try_from(body.len()).expect("below a megabyte");
        let mut crc = crc32fast::Hasher::new();
        crc.update(&[kind]);
        crc.update(&len.to_le_bytes());
        crc.update(body);
        self.out.write_all(&[kind])?;
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&crc.finalize().to_le_bytes())?;
        self.records += 1;
        self.bytes += body.len() as u64 + 9;
        Ok(())
    }
}

fn put_block(body: &mut Vec<u8>, level: Level, block: Block) {
    body.push(level.tag());
    body.extend_from_slice(&block.start_ms.to_le_bytes());
    body.extend_from_slice(&block.epoch.to_le_bytes());
}

/// Reads records.
#[derive(Debug)]
pub(super) struct Reader<R: Read> {
    from: R,
    records: u64,
    at: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(mut from: R) -> Result<Self, ReadError> {
        let mut head = [0; MAGIC.len() + 1];
        let mut filled = 0;
        while filled < head.len() {
            match from.read(&mut head[filled..]) {
                Ok(0) => return Err(ReadError::NoBackup),
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::Io(error)),
            }
        }
        let [magic @ .., version] = head;
        if magic != *MAGIC {
            return Err(ReadError::NoBackup);
        }
        if version != VERSION {
            return Err(ReadError::Newer(version));
        }
        let at = head.len() as u64;
        Ok(Self {
            from,
            records: 0,
            at,
        })
    }

    /// The next record; `None` at a good end.
    pub(super) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        let start = self.at;
        let mut head = [0; 5];
        self.fill(&mut head)?;
        let [kind, len @ ..] = head;
        let len = u32::from_le_bytes(len) as usize;
        if len > BODY_BYTES_MAX {
            return Err(ReadError::Damaged(start));
        }
        let mut body = vec![0; len];
        self.fill(&mut body)?;
        let mut expected = [0; 4];
        self.fill(&mut expected)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head);
        crc.update(&body);
        if crc.finalize().to_le_bytes() != expected {
            return Err(ReadError::Damaged(start));
        }
        if kind == 7 {
            let whole = body == self.records.to_le_bytes();
            return if whole {
                Ok(None)
            } else {
                Err(ReadError::Damaged(start))
            };
        }
        self.records += 1;
        parse(kind, body).map(Some).ok_or(ReadError::Damaged(start))
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        match self.from.read_exact(bytes) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(ReadError::CutShort(self.at))
            }
            Err(error) => Err(ReadError::Io(error)),
        }
    }
}

fn parse(kind: u8, mut body: Vec<u8>) -> Option<Record> {
    Some(match kind {
        1 => Record::About(serde_json::from_slice(&body).ok()?),
        2 => Record::Core(pairs(&body)?),
        3 => Record::HeadFile(String::from_utf8(body).ok()?),
        4 => Record::HeadBytes(body),
        5 => {
            let (level, block) = take_block(body.get(..BLOCK_BYTES)?)?;
            body.drain(..BLOCK_BYTES);
            Record::Group(level, block, body)
        }
        6 if body.len() == MARKER_BYTES => {
            let (level, block) = take_block(&body[..BLOCK_BYTES])?;
            let (groups, rest) = body[BLOCK_BYTES..].split_first_chunk()?;
            let (series, rest) = rest.split_first_chunk()?;
            let marker = Marker {
                groups: u32::from_le_bytes(*groups),
                series: u32::from_le_bytes(*series),
                samples: u64::from_le_bytes(rest.try_into().ok()?),
            };
            Record::Marker(level, block, marker)
        }
        _ => return None,
    })
}

fn take_block(body: &[u8]) -> Option<(Level, Block)> {
    let (&tag, rest) = body.split_first()?;
    let level = Level::ALL.into_iter().find(|level| level.tag() == tag)?;
    let (start, epoch) = rest.split_first_chunk()?;
    let block = Block {
        start_ms: i64::from_le_bytes(*start),
        epoch: u16::from_le_bytes(epoch.try_into().ok()?),
    };
    Some((level, block))
}

fn pairs(mut body: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut pairs = Vec::new();
    while !body.is_empty() {
        let (key_len, rest) = body.split_first_chunk()?;
        let (value_len, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*key_len).into())?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_len) as usize)?;
        pairs.push((key.to_vec(), value.to_vec()));
        body = rest;
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: Block = Block {
        start_ms: 1_795_233_600_000,
        epoch: 3,
    };
    const MARKER: Marker = Marker {
        groups: 1,
        series: 2,
        samples: 7_200,
    };

    fn records() -> Vec<Record> {
        let about = About {
            agent: "0.1.0".to_owned(),
            schema: 1,
            at_ms: 5,
        };
        vec![
            Record::About(about),
            Record::Core(vec![
                (b"s1".to_vec(), b"one".to_vec()),
                (b"s2".to_vec(), Vec::new()),
            ]),
            Record::HeadFile("1795233600-3".to_owned()),
            Record::HeadBytes(vec![9; 100]),
            Record::Group(Level::Minute, BLOCK, b"group".to_vec()),
            Record::Marker(Level::Minute, BLOCK, MARKER),
        ]
    }

    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes).unwrap();
        for record in records() {
            match record {
                Record::About(about) => writer.about(&about),
                Record::Core(pairs) => writer.core(&pairs),
                Record::HeadFile(name) => writer.head_file(&name),
                Record::HeadBytes(bytes) => writer.head_bytes(&bytes),
                Record::Group(level, block, bytes) => writer.group(level, block, &bytes),
                Record::Marker(level, block, marker) => writer.marker(level, block, marker),
            }
            .unwrap();
        }
        let len = writer.end().unwrap();
        assert_eq!(len, bytes.len() as u64);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Record>, ReadError> {
        let mut reader = Reader::new(bytes)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next()? {
            records.push(record);
        }
        Ok(records)
    }

    #[test]
    fn records_come_back() {
        assert_eq!(read(&file()).unwrap(), records());
    }

    #[test]
    fn a_cut_file_is_never_whole() {
        let file = file();
        for len in 0..file.len() {
            assert!(read(&file[..len]).is_err(), "{len}");
        }
        assert!(matches!(read(&file[..20]), Err(ReadError::CutShort(14))));
        assert!(matches!(
            read(b"PK\x03\x04 and more"),
            Err(ReadError::NoBackup)
        ));
        assert!(matches!(read(b"BAROBKUP\x02"), Err(ReadError::Newer(2))));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let file = file();
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn many_settings_go_into_several_records() {
        let pairs: Vec<_> = (0..30_000_u32)
            .map(|at| (at.to_be_bytes().to_vec(), vec![1; 100]))
            .collect();
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes).unwrap();
        writer.core(&pairs).unwrap();
        writer.end().unwrap();
        let found = read(&bytes).unwrap();
        assert!(found.len() > 2);
        let found: Vec<_> = found
            .into_iter()
            .flat_map(|record| match record {
                Record::Core(pairs) => pairs,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, pairs);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..9) {
            let _ = parse(kind, bytes.clone());
            let mut file = b"BAROBKUP\x01".to_vec();
            file.extend(bytes);
            let _ = read(&file);
        }
    }
}
