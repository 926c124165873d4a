//! The records of the registry: found and checked without the database around them. Pure.
//!
//! `magic "BgSr" ‖ version u8 ‖ length u16 of the body ‖ CRC-32 of version, length and body ‖ body`, little-endian.
//! Body: what it is (0 the next number, 1 a series) and numbers in LEB128; texts with their length before them.
//! A series is `id ‖ last day ‖ kind ‖ unit ‖ tier ‖ metric ‖ topic ‖ collector ‖ labels ‖ (name ‖ value)…`.

use super::StoredSeries;
use crate::catalog::{Kind, Unit};
use crate::clock::Tier;
use crate::protocol::Labels;
use crate::store::chunk::DecodeError;
use crate::store::chunk::bytes::{Reader, put_part, put_varint};

const MAGIC: [u8; 4] = *b"BgSr";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 11;
/// Labels of a series: more than a metric can have.
const LABELS_MAX: usize = 256;

/// Positions are what is stored: new ones go to the end.
const UNITS: [Unit; 9] = [
    Unit::Count,
    Unit::Bytes,
    Unit::Seconds,
    Unit::Ratio,
    Unit::Hertz,
    Unit::Celsius,
    Unit::Packets,
    Unit::Operations,
    Unit::Info,
];
const KINDS: [Kind; 2] = [Kind::Gauge, Kind::Counter];

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The next number that was never used.
    Next(u32),
    /// A series.
    Series(Box<StoredSeries>),
}

/// The bytes of a record.
pub fn encode(record: &Record) -> Vec<u8> {
    match record {
        Record::Next(next) => {
            let mut body = vec![0];
            put_varint(&mut body, u64::from(*next));
            frame(&body)
        }
        Record::Series(series) => encode_series(series),
    }
}

/// The bytes of a series' record.
pub fn encode_series(series: &StoredSeries) -> Vec<u8> {
    let mut body = vec![1];
    put_varint(&mut body, u64::from(series.id));
    put_varint(&mut body, u64::from(series.last_day));
    let unit = UNITS.iter().position(|unit| *unit == series.unit);
    let kind = KINDS.iter().position(|kind| *kind == series.kind);
    put_varint(&mut body, kind.unwrap_or(0) as u64);
    put_varint(&mut body, unit.unwrap_or(0) as u64);
    put_varint(&mut body, series.tier.index() as u64);
    for text in [&series.metric, &series.topic, &series.collector] {
        put_text(&mut body, text);
    }
    put_varint(&mut body, series.labels.len() as u64);
    for (name, value) in &series.labels {
        put_text(&mut body, name);
        put_text(&mut body, value);
    }
    frame(&body)
}

/// The record that these bytes begin with, and its length.
pub fn decode(bytes: &[u8]) -> Option<(Record, usize)> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let len = usize::from(u16::from_le_bytes([*rest.get(1)?, *rest.get(2)?]));
    let crc = u32::from_le_bytes(rest.get(3..7)?.try_into().ok()?);
    let body = rest.get(7..7 + len)?;
    if rest[0] != VERSION || checksum(body) != Some(crc) {
        return None;
    }
    let record = parse(&mut Reader::new(body)).ok()?;
    Some((record, HEADER_BYTES + len))
}

/// Where the next record may begin.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MAGIC.len()).position(|part| part == MAGIC)
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend(MAGIC);
    bytes.push(VERSION);
    bytes.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(checksum(body).unwrap_or(0).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// `None` for a body that is longer than a record can say. The catalog's bounds keep names far below.
fn checksum(body: &[u8]) -> Option<u32> {
    let len = u16::try_from(body.len()).ok()?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[VERSION]);
    crc.update(&len.to_le_bytes());
    crc.update(body);
    Some(crc.finalize())
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    put_part(body, |body| body.extend(text.as_bytes()));
}

fn text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let text = std::str::from_utf8(reader.part()?.rest());
    let text = text.map_err(|_| DecodeError::Corrupt("a name is no text"))?;
    Ok(text.to_owned())
}

fn parse(reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
    const UNKNOWN: DecodeError = DecodeError::Corrupt("it has a word that is not known");
    match reader.u8()? {
        0 => return Ok(Record::Next(reader.varint_u32()?)),
        1 => {}
        _ => return Err(UNKNOWN),
    }
    let (id, last_day) = (reader.varint_u32()?, reader.varint_u32()?);
    let mut word = || reader.varint_u32().map(|word| word as usize);
    let kind = *KINDS.get(word()?).ok_or(UNKNOWN)?;
    let unit = *UNITS.get(word()?).ok_or(UNKNOWN)?;
    let tier = *Tier::ALL.get(word()?).ok_or(UNKNOWN)?;
    let (metric, topic, collector) = (text(reader)?, text(reader)?, text(reader)?);
    let mut labels = Labels::default();
    for _ in 0..reader.count(LABELS_MAX)? {
        let name = text(reader)?;
        labels.insert(name, text(reader)?);
    }
    Ok(Record::Series(Box::new(StoredSeries {
        id,
        metric,
        kind,
        unit,
        tier,
        topic,
        collector,
        labels,
        last_day,
    })))
}
