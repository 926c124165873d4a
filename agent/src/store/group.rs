//! A group: the chunks of several series in one block of time, with a directory, each found without the others.
//!
//! TODO(codec): byte layout: magic, version, kind, block start, epoch, total length, directory with its CRC, chunks.

use super::chunk::DecodeError;

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
}

/// A parsed group; the directory is checked, the chunks have their own checksums.
#[derive(Debug)]
pub struct Group<'a> {
    bytes: &'a [u8],
}

impl Builder {
    /// An empty group, which holds at most `bytes_max` in all (but always one chunk, however large).
    pub fn new(header: Header, bytes_max: usize) -> Self {
        Self { header, bytes_max }
    }

    /// Adds a chunk; series come in ascending order. False if it does not fit, and then it was not added.
    pub fn push(&mut self, series: u32, chunk: &[u8]) -> bool {
        let _ = (series, chunk, self.header, self.bytes_max);
        todo!()
    }

    /// Series in it so far.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes and the first series; the builder is empty afterwards and can go on.
    pub fn finish(&mut self) -> (u32, Vec<u8>) {
        todo!()
    }
}

impl<'a> Group<'a> {
    /// Reads header and directory. Bytes after the group's own length are ignored.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self { bytes })
    }

    /// What it says of itself.
    pub fn header(&self) -> Header {
        let _ = self.bytes;
        todo!()
    }

    /// Its length in bytes.
    pub fn bytes_len(&self) -> usize {
        todo!()
    }

    /// The chunk of a series.
    pub fn chunk(&self, series: u32) -> Option<&'a [u8]> {
        let _ = series;
        todo!()
    }

    /// Every series with its chunk, ascending.
    pub fn chunks(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        std::iter::empty()
    }
}

/// Finds whole groups in any bytes, such as the remains of a damaged file: each with its offset.
pub fn carve(bytes: &[u8]) -> Vec<(usize, Group<'_>)> {
    let _ = bytes;
    todo!()
}
