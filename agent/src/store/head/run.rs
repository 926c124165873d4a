//! Runs: the content of R records, some minutes of all series as groups of chunks.
//!
//! Body, little-endian: `length u32 of the index ‖ CRC-32 of the index ‖ index ‖ groups`. Index, in LEB128 numbers:
//! `series ‖ steps between their ids… ‖ groups ‖ (step between their first series ‖ length)…`. Groups are those of
//! sealed blocks, with the tag [`TAG`], so that they can be found in the remains of a damaged file as well. In
//! memory a run is where its groups are, and a list of series that it shares with the run before if it is the same.

use std::sync::Arc;

use super::Hour;
use super::file::HeadFile;
use crate::store::chunk::bytes::{Reader, put_varint};
use crate::store::chunk::{self, DecodeError, Samples};
use crate::store::generation::GROUP_BYTES_MAX;
use crate::store::group::{self, Group};
use crate::store::record::{HEADER_BYTES, Header, Kind};

/// Tag of the groups of a run.
pub(super) const TAG: u8 = 0x10;

/// A run in a file.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Where its record is.
    pub(super) position: u64,
    /// See [`Header::before`].
    pub(super) before: u32,
    /// Its series, ascending.
    pub(super) series: Arc<[u32]>,
    /// First series and position in the file, and the end of the last one.
    groups: Vec<(u32, u64)>,
    end: u64,
}

/// Collects a run.
#[derive(Debug)]
pub(super) struct Builder {
    series: Vec<u32>,
    groups: Vec<(u32, u32)>,
    bytes: Vec<u8>,
    group: group::Builder,
    chunk: Vec<u8>,
    samples: u32,
    first: i64,
    last: i64,
    hour: Hour,
}

impl Builder {
    pub(super) fn new(hour: Hour) -> Self {
        let header = group::Header {
            tag: TAG,
            block_ms: hour.start_ms,
            epoch: hour.epoch,
        };
        Self {
            series: Vec::new(),
            groups: Vec::new(),
            bytes: Vec::new(),
            group: group::Builder::new(header, GROUP_BYTES_MAX),
            chunk: Vec::new(),
            samples: 0,
            first: i64::MAX,
            last: i64::MIN,
            hour,
        }
    }

    /// Adds a series; they come in ascending order.
    pub(super) fn push(&mut self, series: u32, samples: &Samples) {
        let (Some(&first), Some(&last)) = (samples.times_ms.first(), samples.times_ms.last())
        else {
            return;
        };
        self.chunk.clear();
        chunk::encode(&samples.times_ms, &samples.values, &mut self.chunk);
        if !self.group.push(series, &self.chunk) {
            self.finish_group();
            self.group.push(series, &self.chunk);
        }
        self.series.push(series);
        let count = u32::try_from(samples.values.len()).unwrap_or(u32::MAX);
        self.samples = self.samples.saturating_add(count);
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }

    fn finish_group(&mut self) {
        let (first, bytes) = self.group.finish();
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.groups.push((first, len));
        self.bytes.extend(bytes);
    }

    /// The frame, the index with its length and checksum, and the groups, as they follow each other in the file;
    /// `None` if there are no samples. `runs` are those before it.
    pub(super) fn finish(mut self, before: u32, runs: &[Arc<Run>]) -> Option<Record> {
        if self.series.is_empty() {
            return None;
        }
        self.finish_group();
        let mut index = Vec::new();
        put_varint(&mut index, self.series.len() as u64);
        put_steps(&mut index, self.series.iter().copied());
        put_varint(&mut index, self.groups.len() as u64);
        let mut last = 0;
        for &(first, len) in &self.groups {
            put_varint(&mut index, u64::from(first - last));
            put_varint(&mut index, u64::from(len));
            last = first;
        }
        let mut head = Vec::with_capacity(8 + index.len());
        head.extend(u32::try_from(index.len()).ok()?.to_le_bytes());
        head.extend(crc32fast::hash(&index).to_le_bytes());
        head.extend(index);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head);
        crc.update(&self.bytes);
        let previous = runs.last();
        let offset = |at_ms: i64| u32::try_from(at_ms - self.hour.start_ms).unwrap_or(0);
        let header = Header {
            kind: Kind::Run,
            epoch: self.hour.epoch,
            hour_ms: self.hour.start_ms,
            body_bytes: u32::try_from(head.len() + self.bytes.len()).ok()?,
            body_crc: crc.finalize(),
            samples: self.samples,
            first: offset(self.first),
            last: offset(self.last),
            before,
            previous_before: previous.map_or(0, |run| run.before),
            previous: previous.map_or(0, |run| run.position),
        };
        Some(Record {
            header,
            index: head,
            groups: self.bytes,
        })
    }
}

/// A run as bytes.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) header: Header,
    pub(super) index: Vec<u8>,
    pub(super) groups: Vec<u8>,
}

fn put_steps(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    let mut last = 0;
    for number in numbers {
        put_varint(out, u64::from(number - last));
        last = number;
    }
}

impl Run {
    /// Reads the index that the body of the record at `position` begins with. `known` has the runs before it.
    pub(super) fn parse(
        position: u64,
        header: &Header,
        body: &[u8],
        known: &[Arc<Self>],
    ) -> Result<Self, DecodeError> {
        const DISORDER: DecodeError = DecodeError::Corrupt("its index is in disorder");
        let (len, rest) = body.split_first_chunk().ok_or(DecodeError::Truncated)?;
        let (crc, rest) = rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        let len = u32::from_le_bytes(*len) as usize;
        let index = rest.get(..len).ok_or(DecodeError::Truncated)?;
        if crc32fast::hash(index) != u32::from_le_bytes(*crc) {
            return Err(DecodeError::Checksum);
        }
        let mut reader = Reader::new(index);
        let count = reader.count(usize::MAX)?;
        let mut series = Vec::with_capacity(count);
        let mut last = 0_u32;
        for _ in 0..count {
            last = last.checked_add(reader.varint_u32()?).ok_or(DISORDER)?;
            series.push(last);
        }
        let count = reader.count(usize::MAX)?;
        let mut groups = Vec::with_capacity(count);
        let start = position + (HEADER_BYTES + 8 + len) as u64;
        let (mut first, mut offset) = (0_u32, start);
        for _ in 0..count {
            first = first.checked_add(reader.varint_u32()?).ok_or(DISORDER)?;
            groups.push((first, offset));
            offset += u64::from(reader.varint_u32()?);
        }
        if offset > position + HEADER_BYTES as u64 + u64::from(header.body_bytes) {
            return Err(DISORDER);
        }
        let shared = known.last().filter(|run| *run.series == *series);
        Ok(Self {
            position,
            before: header.before,
            series: shared.map_or_else(|| series.into(), |run| Arc::clone(&run.series)),
            groups,
            end: offset,
        })
    }

    /// Appends the samples of the wanted series (ascending) to theirs. What cannot be read is told to `lost`, and
    /// the rest is read.
    pub(super) fn read(
        &self,
        file: &HeadFile,
        wanted: &mut [(u32, Samples)],
        lost: &mut dyn FnMut(String),
    ) {
        let mut bytes = Vec::new();
        for (at, &(first, position)) in self.groups.iter().enumerate() {
            let next = self.groups.get(at + 1);
            let end = next.map_or(self.end, |&(_, position)| position);
            let from = wanted.partition_point(|&(series, _)| series < first);
            let to = next.map_or(wanted.len(), |&(first, _)| {
                wanted.partition_point(|&(series, _)| series < first)
            });
            if from >= to {
                continue;
            }
            bytes.resize(usize::try_from(end - position).unwrap_or(0), 0);
            if let Err(error) = file.read(position, &mut bytes) {
                lost(format!(
                    "the group at byte {position} cannot be read: {error}"
                ));
                continue;
            }
            let group = match Group::parse(&bytes) {
                Ok(group) => group,
                Err(error) => {
                    lost(format!("the group at byte {position} is damaged: {error}"));
                    continue;
                }
            };
            for (series, samples) in &mut wanted[from..to] {
                let decoded = group
                    .chunk(*series)
                    .map_or(Ok(()), |chunk| chunk::decode(chunk, samples));
                if let Err(error) = decoded {
                    lost(format!(
                        "series {series} at byte {position} is damaged: {error}"
                    ));
                }
            }
        }
    }

    /// Bytes that it takes in memory, without the shared list of series.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.groups.capacity() * size_of::<(u32, u64)>()
    }
}
