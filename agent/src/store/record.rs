//! Records of a head file, as bytes: their frame, and the content of a W record. An R record's is in `head::run`.
//!
//! Frame, little-endian, 56 bytes, then the body:
//! `magic "BgHd" ‖ kind u8 ('W', 'R') ‖ version u8 ‖ epoch u16 ‖ hour start i64 ms ‖ body length u32 ‖ CRC-32 of the
//! body ‖ samples u32 ‖ first u32 ‖ last u32 ‖ before u32 ‖ previous before u32 ‖ previous u64 ‖ CRC-32 of the 52
//! bytes so far`. Times are milliseconds since the hour's start; the last three are 0 in a W record, see
//! [`Header::covered_from`].
//!
//! Body of a W record: length u32 of what follows when unpacked, then zstd of sections, one a collector:
//! `collector ‖ ticks ‖ first tick ‖ steps between ticks… ‖ columns`, then each column: `series (zigzag step from the
//! last one's) ‖ mode u8 ‖ [bit 2 of the mode: count ‖ steps between the indexes of its ticks…] ‖ values`. Numbers are
//! LEB128. Values by the mode's bits 0–1: 0, all are this f64; 1, integers as zigzag steps, the first from 0; 2, the
//! first as f64, then the XOR with the one before: a byte (bytes that follow ‖ zero bytes cut off its low end, four
//! bits each) and those bytes. Pure.

use super::chunk::DecodeError;
use super::chunk::bytes::{Reader, put_signed, put_varint};

/// Bytes of a frame.
pub const HEADER_BYTES: usize = 56;
/// Begins each frame; what a search after damage looks for.
pub const MAGIC: [u8; 4] = *b"BgHd";
/// The only version so far.
const VERSION: u8 = 1;
/// Ticks of a section: an index fits into 16 bits.
pub const TICKS_MAX: usize = 1 << 16;
/// A body that unpacks to more was not written by us: 64 ticks of 20,000 series take 13 MB.
const UNPACKED_BYTES_MAX: usize = 64 << 20;
/// The fastest; what is left to win is won when the samples become chunks.
const ZSTD_LEVEL: i32 = 1;

/// What a record may ask for in memory, in samples: six times 64 ticks of 20,000 series, 84 MB. The length says
/// little of it, since a column of equal values takes 10 bytes, however many they are.
const SAMPLES_MAX: usize = 8 << 20;
/// What a section or a column takes besides its samples, counted in those (10 bytes each).
const LIST_SAMPLES: usize = 8;
/// Columns of a section that memory is reserved for before they are read.
const COLUMNS_RESERVED: usize = 4_096;

const SAME: u8 = 0;
const INTEGERS: u8 = 1;
const XOR: u8 = 2;
const MODES: u8 = 3;
const SPARSE: u8 = 4;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was pushed since the last flush.
    Write,
    /// All of some minutes, as groups of chunks.
    Run,
}

/// The frame of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the body is.
    pub kind: Kind,
    /// The epoch of the file, so that a record is known wherever it is found.
    pub epoch: u16,
    /// The hour of the file, Unix milliseconds.
    pub hour_ms: i64,
    /// Length of the body.
    pub body_bytes: u32,
    /// Checksum of the body.
    pub body_crc: u32,
    /// Samples in it, for the report if it is lost.
    pub samples: u32,
    /// Its first sample's time.
    pub first: u32,
    /// Its last sample's time.
    pub last: u32,
    /// Of a run: it has all samples before this which were held then.
    pub before: u32,
    /// Of a run: the same of the run before it.
    pub previous_before: u32,
    /// Of a run: where the run before it is in the file.
    pub previous: u64,
}

/// One collector's samples in a W record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its number in the agent that wrote it.
    pub collector: u32,
    /// Times of its ticks in milliseconds since the hour's start, ascending.
    pub ticks: Vec<u32>,
    /// Its series.
    pub columns: Vec<Column>,
}

/// One series in a [`Section`]; the two lists are parallel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Store id.
    pub series: u32,
    /// Which of the section's ticks, ascending.
    pub ticks: Vec<u16>,
    /// Its values.
    pub values: Vec<f64>,
}

impl Header {
    /// The bytes of the frame.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = match self.kind {
            Kind::Write => b'W',
            Kind::Run => b'R',
        };
        bytes[5] = VERSION;
        bytes[6..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.hour_ms.to_le_bytes());
        let words = [
            self.body_bytes,
            self.body_crc,
            self.samples,
            self.first,
            self.last,
            self.before,
            self.previous_before,
        ];
        for (at, word) in words.iter().enumerate() {
            bytes[16 + 4 * at..20 + 4 * at].copy_from_slice(&word.to_le_bytes());
        }
        bytes[44..52].copy_from_slice(&self.previous.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..52]);
        bytes[52..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the frame that `bytes` begin with.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bytes: &[u8; HEADER_BYTES] = bytes
            .get(..HEADER_BYTES)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(DecodeError::Truncated)?;
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]));
        let long =
            |at: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|byte| bytes[at + byte]));
        if bytes[..4] != MAGIC {
            return Err(DecodeError::Corrupt("it does not begin like a record"));
        }
        if crc32fast::hash(&bytes[..52]) != word(52) {
            return Err(DecodeError::Checksum);
        }
        if bytes[5] != VERSION {
            return Err(DecodeError::UnknownVersion(bytes[5]));
        }
        Ok(Self {
            kind: match bytes[4] {
                b'W' => Kind::Write,
                b'R' => Kind::Run,
                _ => return Err(DecodeError::Corrupt("its kind is unknown")),
            },
            epoch: u16::from_le_bytes([bytes[6], bytes[7]]),
            hour_ms: long(8).cast_signed(),
            body_bytes: word(16),
            body_crc: word(20),
            samples: word(24),
            first: word(28),
            last: word(32),
            before: word(36),
            previous_before: word(40),
            previous: long(44),
        })
    }

    /// Whether this is the body that was written with it.
    pub fn check(&self, body: &[u8]) -> Result<(), DecodeError> {
        if body.len() != self.body_bytes as usize {
            return Err(DecodeError::Truncated);
        }
        if crc32fast::hash(body) != self.body_crc {
            return Err(DecodeError::Checksum);
        }
        Ok(())
    }

    /// Of a run: it has the samples of an earlier record at `position` from this time on, up to
    /// [`Header::before`]. What lies further back and was written before the last run is in that one.
    pub fn covered_from(&self, position: u64) -> u32 {
        if position < self.previous {
            self.previous_before
        } else {
            0
        }
    }
}

/// Builds the body of a W record.
#[derive(Debug, Default)]
pub struct Encoder {
    raw: Vec<u8>,
    series: u32,
    samples: u32,
    first: Option<u32>,
    last: u32,
}

impl Encoder {
    /// Begins a collector's part, which has `columns` columns.
    pub fn section(&mut self, collector: u32, ticks: &[u32], columns: usize) {
        put_varint(&mut self.raw, u64::from(collector));
        put_varint(&mut self.raw, ticks.len() as u64);
        let mut before = 0;
        for &tick in ticks {
            put_varint(&mut self.raw, u64::from(tick.wrapping_sub(before)));
            before = tick;
        }
        put_varint(&mut self.raw, columns as u64);
        self.series = 0;
        if let (Some(&first), Some(&last)) = (ticks.first(), ticks.last()) {
            self.first = Some(self.first.map_or(first, |known| known.min(first)));
            self.last = self.last.max(last);
        }
    }

    /// Adds a column. `ticks` is `None` if it has a value at each tick of the section.
    pub fn column(
        &mut self,
        series: u32,
        ticks: Option<&mut dyn Iterator<Item = u16>>,
        values: &[f64],
    ) {
        let raw = &mut self.raw;
        let step = i64::from(series) - i64::from(self.series);
        put_signed(raw, step);
        self.series = series;
        self.samples = self
            .samples
            .saturating_add(u32::try_from(values.len()).unwrap_or(u32::MAX));
        let mode = mode(values);
        match ticks {
            None => raw.push(mode),
            Some(ticks) => {
                raw.push(mode | SPARSE);
                put_varint(raw, values.len() as u64);
                let mut before = 0;
                for tick in ticks {
                    put_varint(raw, u64::from(tick - before));
                    before = tick;
                }
            }
        }
        match mode {
            SAME => raw.extend(values.first().copied().unwrap_or_default().to_le_bytes()),
            INTEGERS => {
                let mut before = 0;
                for value in values.iter().filter_map(|&value| integer(value)) {
                    put_signed(raw, value - before);
                    before = value;
                }
            }
            _ => put_xored(raw, values),
        }
    }

    /// The body, with a header whose hour, epoch and place the caller fills in. `None` if there is no sample.
    pub fn finish(self) -> Option<(Header, Vec<u8>)> {
        let first = self.first.filter(|_| self.samples > 0)?;
        let unpacked = u32::try_from(self.raw.len()).ok()?;
        let packed = zstd::bulk::compress(&self.raw, ZSTD_LEVEL).ok()?;
        let mut body = Vec::with_capacity(4 + packed.len());
        body.extend(unpacked.to_le_bytes());
        body.extend(packed);
        let header = Header {
            kind: Kind::Write,
            epoch: 0,
            hour_ms: 0,
            body_bytes: u32::try_from(body.len()).ok()?,
            body_crc: crc32fast::hash(&body),
            samples: self.samples,
            first,
            last: self.last,
            before: 0,
            previous_before: 0,
            previous: 0,
        };
        Some((header, body))
    }
}

/// The sections of a W record's body.
pub fn decode(body: &[u8]) -> Result<Vec<Section>, DecodeError> {
    let (unpacked, packed) = body.split_first_chunk().ok_or(DecodeError::Truncated)?;
    let unpacked = u32::from_le_bytes(*unpacked) as usize;
    if unpacked > UNPACKED_BYTES_MAX {
        return Err(DecodeError::Corrupt("it is too large"));
    }
    let raw = zstd::bulk::decompress(packed, unpacked)
        .map_err(|_| DecodeError::Corrupt("it does not unpack"))?;
    let mut reader = Reader::new(&raw);
    let mut room = Room(SAMPLES_MAX);
    let mut sections = Vec::new();
    while reader.left() > 0 {
        sections.push(section(&mut reader, &mut room)?);
    }
    Ok(sections)
}

/// What a record may still ask for, in samples.
struct Room(usize);

impl Room {
    /// For a list of that many entries, before it is made.
    fn take(&mut self, entries: usize) -> Result<(), DecodeError> {
        self.0 = self
            .0
            .checked_sub(entries + LIST_SAMPLES)
            .ok_or(DecodeError::Corrupt("it has too many samples"))?;
        Ok(())
    }
}

fn section(reader: &mut Reader<'_>, room: &mut Room) -> Result<Section, DecodeError> {
    let collector = reader.varint_u32()?;
    let count = reader.count(TICKS_MAX)?;
    room.take(count)?;
    let mut ticks: Vec<u32> = Vec::with_capacity(count);
    for at in 0..count {
        let step = reader.varint_u32()?;
        let before = ticks.last().copied().unwrap_or(0);
        let tick = before.checked_add(step).filter(|_| at == 0 || step > 0);
        ticks.push(tick.ok_or(DecodeError::Corrupt("its ticks are in disorder"))?);
    }
    let columns = reader.count(usize::MAX)?;
    let mut section = Section {
        collector,
        ticks,
        columns: Vec::with_capacity(columns.min(COLUMNS_RESERVED)),
    };
    let mut series = 0_i64;
    for _ in 0..columns {
        series = series.wrapping_add(reader.signed()?);
        let id =
            u32::try_from(series).map_err(|_| DecodeError::Corrupt("a series is no number"))?;
        section
            .columns
            .push(column(reader, room, id, section.ticks.len())?);
    }
    Ok(section)
}

fn column(
    reader: &mut Reader<'_>,
    room: &mut Room,
    series: u32,
    ticks: usize,
) -> Result<Column, DecodeError> {
    const STRANGE: DecodeError = DecodeError::Corrupt("a tick is not there");
    let mode = reader.u8()?;
    let indexes = if mode & SPARSE == 0 {
        room.take(ticks)?;
        (0..ticks)
            .map(|at| u16::try_from(at).map_err(|_| STRANGE))
            .collect::<Result<Vec<_>, _>>()?
    } else {
        let count = reader.count(ticks)?;
        room.take(count)?;
        let mut indexes: Vec<u16> = Vec::with_capacity(count);
        for at in 0..count {
            let step = reader.varint_u32()?;
            let before = indexes.last().copied().map_or(0, u32::from);
            let index = before.checked_add(step).filter(|_| at == 0 || step > 0);
            let index = index.filter(|&index| (index as usize) < ticks);
            indexes.push(
                index
                    .and_then(|index| u16::try_from(index).ok())
                    .ok_or(STRANGE)?,
            );
        }
        indexes
    };
    let values = match mode & MODES {
        SAME => vec![f64::from_bits(reader.u64()?); indexes.len()],
        INTEGERS => integers(reader, indexes.len())?,
        XOR => xored(reader, indexes.len())?,
        _ => return Err(DecodeError::Corrupt("its values are of no known form")),
    };
    Ok(Column {
        series,
        ticks: indexes,
        values,
    })
}

fn mode(values: &[f64]) -> u8 {
    let same = |pair: &[f64]| pair[0].to_bits() == pair[1].to_bits();
    if values.windows(2).all(same) {
        SAME
    } else if values.iter().all(|&value| integer(value).is_some()) {
        INTEGERS
    } else {
        XOR
    }
}

/// The integer that a value is, if it is one that an f64 has exactly; −0 is none.
fn integer(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is within 53 bits")]
    let whole = (value.abs() <= EXACT).then_some(value as i64)?;
    ((whole as f64).to_bits() == value.to_bits()).then_some(whole)
}

fn integers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    let mut before = 0_i64;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        before = before.wrapping_add(reader.signed()?);
        values.push(before as f64);
    }
    Ok(values)
}

fn put_xored(raw: &mut Vec<u8>, values: &[f64]) {
    let mut before = None;
    for bits in values.iter().map(|value| value.to_bits()) {
        match before.map(|before: u64| before ^ bits) {
            None => raw.extend(bits.to_le_bytes()),
            Some(0) => raw.push(0),
            Some(change) => {
                let low = change.trailing_zeros() / 8;
                let bytes = (change >> (8 * low)).to_le_bytes();
                let count = 8 - low - change.leading_zeros() / 8;
                #[expect(clippy::cast_possible_truncation, reason = "both are at most 8")]
                raw.push((count as u8) << 4 | low as u8);
                raw.extend(&bytes[..count as usize]);
            }
        }
        before = Some(bits);
    }
}

fn xored(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    let mut values = Vec::with_capacity(count);
    let mut before = 0;
    for at in 0..count {
        if at == 0 {
            before = reader.u64()?;
        } else {
            let form = reader.u8()?;
            let (count, low) = (usize::from(form >> 4), u32::from(form & 0xf));
            if count > 8 || low > 7 {
                return Err(DecodeError::Corrupt("a value is longer than it can be"));
            }
            let mut change = [0; 8];
            change[..count].copy_from_slice(reader.take(count)?);
            before ^= u64::from_le_bytes(change) << (8 * low);
        }
        values.push(f64::from_bits(before));
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
