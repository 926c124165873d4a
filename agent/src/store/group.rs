//! A group: the chunks of several series in one block of time, with a directory, each found without the others.
//! Pure; written by the head and by sealing, read by both and by whoever salvages a damaged file.
//!
//! | field | bytes |
//! |---|---|
//! | magic | 4: `BgG\xf1`, which is no UTF-8 |
//! | version | 1 |
//! | tag | 1: what the chunks are |
//! | epoch | u16 |
//! | block | i64: start of its block of time, Unix milliseconds |
//! | length | u32: of the whole group |
//! | entries | u32: how many, at least 1 |
//! | directory length | u32 |
//! | directory | of each entry: varint of the series less the last one's (less 0 for the first), varint of the chunk's length |
//! | checksum | CRC-32 of all before |
//! | chunks | in the order of the directory, without gaps |
//!
//! Fixed integers are little-endian; varints and checksums are those of `chunk`. Series ascend strictly. The
//! directory's checksum says nothing of the chunks: each has its own.

use std::ops::Range;

use super::chunk::bytes::{CRC_BYTES, Reader, checked, put_crc, put_varint};
use super::chunk::{CHUNK_BYTES_MIN, DecodeError, is_intact};

#[cfg(test)]
mod tests;

const MAGIC: [u8; 4] = *b"BgG\xf1";
/// The only version so far.
const VERSION: u8 = 1;

/// Bytes before the directory.
pub const HEADER_BYTES: usize = 28;

/// Longest directory that is read: 20,000 series, the most that the registry has, take less. It bounds what a carved
/// header that is none can make the search check.
const DIRECTORY_BYTES_MAX: u32 = 256 << 10;

/// What a group says of itself, so that it can be found in the remains of a damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What its chunks are; [`super::Level::tag`], or one of the head's own.
    pub tag: u8,
    /// Start of its block of time, Unix milliseconds.
    pub block_ms: i64,
    /// The epoch of the wall clock.
    pub epoch: u16,
}

/// Collects chunks up to a size.
#[derive(Debug)]
pub struct Builder {
    header: Header,
    bytes_max: usize,
    first: u32,
    last: u32,
    entries: u32,
    directory: Vec<u8>,
    chunks: Vec<u8>,
}

/// A checked directory, for reading single chunks out of a group that is not in memory.
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    header: Header,
    entries: Reader<'a>,
    count: usize,
    /// Where the chunks begin.
    at: usize,
    bytes_len: usize,
}

/// A parsed group; the directory is checked, the chunks have their own checksums.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    directory: Directory<'a>,
    bytes: &'a [u8],
}

impl Builder {
    /// An empty group, which holds at most `bytes_max` in all (but always one chunk, however large).
    pub const fn new(header: Header, bytes_max: usize) -> Self {
        Self {
            header,
            bytes_max,
            first: 0,
            last: 0,
            entries: 0,
            directory: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// Adds a chunk; series come in ascending order. False if it does not fit, and then it was not added.
    pub fn push(&mut self, series: u32, chunk: &[u8]) -> bool {
        let is_first = self.is_empty();
        assert!(is_first || series > self.last, "series come in order");
        let directory = self.directory.len();
        put_varint(&mut self.directory, u64::from(series - self.last));
        put_varint(&mut self.directory, chunk.len() as u64);
        if !is_first && self.bytes_len() + chunk.len() > self.bytes_max {
            self.directory.truncate(directory);
            return false;
        }
        if is_first {
            self.first = series;
        }
        self.last = series;
        self.entries += 1;
        self.chunks.extend_from_slice(chunk);
        true
    }

    /// Series in it so far.
    pub const fn len(&self) -> usize {
        self.entries as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// What `finish` would give, in bytes.
    pub const fn bytes_len(&self) -> usize {
        HEADER_BYTES + self.directory.len() + CRC_BYTES + self.chunks.len()
    }

    /// The bytes and the first series; the builder is empty afterwards and can go on. At least one chunk is in it.
    pub fn finish(&mut self) -> (u32, Vec<u8>) {
        assert!(!self.is_empty(), "a group has a chunk");
        let len = self.bytes_len();
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        bytes.push(self.header.tag);
        bytes.extend_from_slice(&self.header.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.header.block_ms.to_le_bytes());
        for size in [len, self.len(), self.directory.len()] {
            let size = u32::try_from(size).expect("a group is far below 4 GiB");
            bytes.extend_from_slice(&size.to_le_bytes());
        }
        bytes.append(&mut self.directory);
        put_crc(&mut bytes, 0);
        bytes.append(&mut self.chunks);
        let first = self.first;
        *self = Self::new(self.header, self.bytes_max);
        (first, bytes)
    }
}

/// How many bytes header and directory take, from the first [`HEADER_BYTES`]: what [`Directory::parse`] needs.
pub fn directory_len(bytes: &[u8]) -> Result<usize, DecodeError> {
    let (head, _) = bytes
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(DecodeError::Truncated)?;
    let mut r = Reader::new(head);
    if r.take(MAGIC.len())? != MAGIC {
        return Err(DecodeError::Corrupt("it is no group"));
    }
    let version = r.u8()?;
    if version != VERSION {
        return Err(DecodeError::UnknownVersion(version));
    }
    r.take(11)?;
    let (len, entries, directory) = (r.u32()?, r.u32()?, r.u32()?);
    let needed = u64::from(directory) + (HEADER_BYTES + CRC_BYTES) as u64;
    // An entry is at least two bytes of directory and a chunk.
    if entries == 0
        || directory > DIRECTORY_BYTES_MAX
        || u64::from(directory) < 2 * u64::from(entries)
        || u64::from(len) < needed + u64::from(entries) * CHUNK_BYTES_MIN as u64
    {
        return Err(DecodeError::Corrupt("its lengths contradict each other"));
    }
    usize::try_from(needed).map_err(|_| DecodeError::Corrupt("its directory is too long"))
}

impl<'a> Directory<'a> {
    /// Reads header and directory; bytes after them are ignored, and may be missing.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let at = directory_len(bytes)?;
        let bytes = bytes.get(..at).ok_or(DecodeError::Truncated)?;
        let mut r = Reader::new(checked(bytes)?);
        r.take(MAGIC.len() + 1)?;
        let tag = r.u8()?;
        let epoch = r.u16()?;
        let block_ms = r.u64()?.cast_signed();
        let bytes_len = r.u32()? as usize;
        let count = r.u32()? as usize;
        r.u32()?;
        let directory = Self {
            header: Header {
                tag,
                block_ms,
                epoch,
            },
            entries: r,
            count,
            at,
            bytes_len,
        };
        directory.check()?;
        Ok(directory)
    }

    /// What cannot be wrong behind a right checksum, unless someone wrote it so.
    fn check(&self) -> Result<(), DecodeError> {
        const WRONG: DecodeError = DecodeError::Corrupt("its directory makes no sense");
        let mut r = self.entries;
        let (mut last, mut end) = (0_u64, self.at as u64);
        for entry in 0..self.count {
            let gap = r.varint()?;
            let len = r.varint()?;
            if entry > 0 && gap == 0 {
                return Err(WRONG);
            }
            last = last.checked_add(gap).ok_or(WRONG)?;
            end = end.checked_add(len).ok_or(WRONG)?;
        }
        if r.left() == 0 && u32::try_from(last).is_ok() && end == self.bytes_len as u64 {
            Ok(())
        } else {
            Err(WRONG)
        }
    }

    /// What the group says of itself.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// The length of the whole group in bytes.
    pub const fn bytes_len(&self) -> usize {
        self.bytes_len
    }

    /// How many chunks there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Every series, ascending, and where its chunk is in the group.
    pub fn entries(&self) -> impl Iterator<Item = (u32, Range<usize>)> + use<'a> {
        let mut r = self.entries;
        let (mut series, mut at) = (0_u32, self.at);
        std::iter::from_fn(move || {
            if r.left() == 0 {
                return None;
            }
            // `check` has seen them all.
            let gap = u32::try_from(r.varint().ok()?).ok()?;
            let len = usize::try_from(r.varint().ok()?).ok()?;
            series = series.checked_add(gap)?;
            let start = at;
            at = at.checked_add(len)?;
            Some((series, start..at))
        })
    }

    /// Where the chunk of a series is in the group.
    pub fn find(&self, series: u32) -> Option<Range<usize>> {
        self.entries()
            .take_while(|(entry, _)| *entry <= series)
            .find(|(entry, _)| *entry == series)
            .map(|(_, range)| range)
    }
}

impl<'a> Group<'a> {
    /// Reads header and directory. Bytes after the group's own length are ignored.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let directory = Directory::parse(bytes)?;
        let bytes = bytes
            .get(..directory.bytes_len)
            .ok_or(DecodeError::Truncated)?;
        Ok(Self { directory, bytes })
    }

    /// What it says of itself.
    pub const fn header(&self) -> Header {
        self.directory.header
    }

    /// Its length in bytes.
    pub const fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// How many chunks there are.
    pub const fn count(&self) -> usize {
        self.directory.count
    }

    /// The chunk of a series.
    pub fn chunk(&self, series: u32) -> Option<&'a [u8]> {
        let range = self.directory.find(series)?;
        self.bytes.get(range)
    }

    /// Every series with its chunk, ascending.
    pub fn chunks(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.directory
            .entries()
            .filter_map(move |(series, range)| Some((series, bytes.get(range)?)))
    }

    /// Every series whose chunk is as it was written, ascending.
    pub fn intact(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        self.chunks().filter(|(_, chunk)| is_intact(chunk))
    }
}

/// Finds whole groups in any bytes, such as the remains of a damaged file: each with its offset. Their chunks are
/// not checked yet: see [`Group::intact`].
pub fn carve(bytes: &[u8]) -> Vec<(usize, Group<'_>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = find_magic(&bytes[at..]) {
        at += next;
        if let Ok(group) = Group::parse(&bytes[at..]) {
            found.push((at, group));
        }
        // What lies in a group's length may have been written over by another group.
        at += MAGIC.len();
    }
    found
}

fn find_magic(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == MAGIC[0])?;
        if bytes.get(at..at + MAGIC.len())? == MAGIC {
            return Some(at);
        }
        at += 1;
    }
}
