//! Rollup chunk v1: the points of one series in one block of time.
//!
//! | field | bytes |
//! |---|---|
//! | version | 1 |
//! | kind | 1: 0 gauge, 1 counter |
//! | width | varint, milliseconds: of a point |
//! | count | varint, at most 10,000; of 0 points nothing but the checksum follows |
//! | first | zigzagged varint, Unix milliseconds: the first point's start |
//! | times' form | 1: as in a chunk of samples, the step being the width |
//! | times | part, only if the form is not regular |
//! | counts | part: packed integers |
//! | of a gauge: scale | 1: a column's tag of decimals, or 255 for none |
//! | … least | part: packed integers, divided by 10 to the scale; without a scale a column |
//! | … greatest | part: packed integers, greatest − least; without a scale a column |
//! | … mean | part: packed integers, code of the mean − code of the least |
//! | of a counter: increase | part: a column |
//! | … resets | part: packed integers |
//! | … covered | part: packed integers, milliseconds |
//! | checksum | CRC-32 of all before, little-endian |
//!
//! A part is a varint of its length and its bytes; varints, packed integers, columns and the forms of times are
//! those of a chunk of samples. The code of a number is the upper 28 bits of its f64 without the sign (11 of
//! exponent, 16 of fraction), rounded to nearest, negated for a negative number: codes are in the order of the
//! numbers, and near numbers have near codes. A decoded mean is moved between least and greatest.

use crate::store::chunk::DecodeError;
use crate::store::chunk::bytes::{Reader, checked, put_crc, put_part, put_signed, put_varint};
use crate::store::chunk::{column, pack, times};

use super::{CounterPoint, GaugePoint, Points, within};

/// The only version so far.
const VERSION: u8 = 1;
const GAUGE: u8 = 0;
const COUNTER: u8 = 1;
/// The scale of values that are no decimals.
const UNSCALED: u8 = 255;

/// Most points in a chunk, three times those of the longest generation; bounds what damage can allocate.
const COUNT_MAX: usize = 10_000;

/// Bits of an f64's fraction that a mean loses: 16 of 52 stay, and one that is not stored.
const CODE_SHIFT: u32 = 36;
const SIGN: u64 = 1 << 63;

/// Appends the chunk of these points, of `width_ms` each, to `out`.
pub fn encode(points: &Points, width_ms: i64, out: &mut Vec<u8>) {
    let start = out.len();
    let (kind, times_ms, counts): (u8, Vec<i64>, Vec<i64>) = match points {
        Points::Gauge(points) => {
            let columns = points.iter().map(|p| (p.at_ms, i64::from(p.count)));
            let (times_ms, counts) = columns.unzip();
            (GAUGE, times_ms, counts)
        }
        Points::Counter(points) => {
            let columns = points.iter().map(|p| (p.at_ms, i64::from(p.count)));
            let (times_ms, counts) = columns.unzip();
            (COUNTER, times_ms, counts)
        }
    };
    assert!(times_ms.len() <= COUNT_MAX, "a chunk has an end");
    out.extend([VERSION, kind]);
    put_varint(out, width_ms.cast_unsigned());
    put_varint(out, times_ms.len() as u64);
    if let Some(first_ms) = times_ms.first() {
        put_signed(out, *first_ms);
        let mut exceptions = Vec::new();
        let form = times::encode(&times_ms, width_ms, &mut exceptions);
        out.push(form);
        if form != times::REGULAR {
            put_part(out, |out| out.extend_from_slice(&exceptions));
        }
        put_ints(out, &counts);
        match points {
            Points::Gauge(points) => encode_gauge(points, out),
            Points::Counter(points) => encode_counter(points, out),
        }
    }
    put_crc(out, start);
}

fn put_ints(out: &mut Vec<u8>, ints: &[i64]) {
    put_part(out, |out| pack::pack(ints, out));
}

fn encode_gauge(points: &[GaugePoint], out: &mut Vec<u8>) {
    let mut bounds: Vec<f64> = points.iter().map(|point| point.min).collect();
    bounds.extend(points.iter().map(|point| point.max));
    if let Some((scale, ints)) = column::decimals(&bounds) {
        let (least, greatest) = ints.split_at(points.len());
        let spans: Vec<i64> = greatest.iter().zip(least).map(|(g, l)| g - l).collect();
        out.push(scale);
        put_ints(out, least);
        put_ints(out, &spans);
    } else {
        let (least, greatest) = bounds.split_at(points.len());
        out.push(UNSCALED);
        put_part(out, |out| column::encode(least, out));
        put_part(out, |out| column::encode(greatest, out));
    }
    let means: Vec<i64> = points
        .iter()
        .map(|point| code(point.avg) - code(point.min))
        .collect();
    put_ints(out, &means);
}

fn encode_counter(points: &[CounterPoint], out: &mut Vec<u8>) {
    let increases: Vec<f64> = points.iter().map(|point| point.increase).collect();
    let resets: Vec<i64> = points.iter().map(|p| i64::from(p.resets)).collect();
    let covered: Vec<i64> = points.iter().map(|p| i64::from(p.covered_ms)).collect();
    put_part(out, |out| column::encode(&increases, out));
    put_ints(out, &resets);
    put_ints(out, &covered);
}

/// Reads a chunk of points.
pub fn decode(bytes: &[u8]) -> Result<Points, DecodeError> {
    let version = *bytes.first().ok_or(DecodeError::Truncated)?;
    let mut r = Reader::new(checked(bytes)?);
    // A wrong checksum says that the version may be damage too.
    if version != VERSION {
        return Err(DecodeError::UnknownVersion(version));
    }
    r.u8()?;
    let kind = r.u8()?;
    let width_ms = r.varint()?.cast_signed();
    let count = r.varint_max(COUNT_MAX, "it has too many points")?;
    let empty = match kind {
        GAUGE => Points::Gauge(Vec::new()),
        COUNTER => Points::Counter(Vec::new()),
        _ => return Err(DecodeError::Corrupt("its kind of points is unknown")),
    };
    let points = if count == 0 {
        empty
    } else {
        let first_ms = r.signed()?;
        let form = r.u8()?;
        let mut exceptions = if form == times::REGULAR {
            Reader::new(&[])
        } else {
            r.part()?
        };
        let mut times_ms = Vec::with_capacity(count);
        let grid = (first_ms, width_ms);
        times::decode(form, &mut exceptions, count, grid, &mut times_ms)?;
        let counts = small_ints(&mut r, count)?;
        if counts.contains(&0) {
            return Err(DecodeError::Corrupt("a point has no samples"));
        }
        let starts = times_ms.into_iter().zip(counts);
        if kind == GAUGE {
            Points::Gauge(decode_gauge(&mut r, starts)?)
        } else {
            Points::Counter(decode_counter(&mut r, starts)?)
        }
    };
    if r.left() == 0 {
        Ok(points)
    } else {
        Err(DecodeError::Corrupt("bytes are left over"))
    }
}

fn ints(r: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, DecodeError> {
    pack::unpack(&mut r.part()?, count)
}

fn small_ints(r: &mut Reader<'_>, count: usize) -> Result<Vec<u32>, DecodeError> {
    ints(r, count)?
        .into_iter()
        .map(|int| u32::try_from(int).map_err(|_| DecodeError::Corrupt("a count is out of range")))
        .collect()
}

fn floats(r: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    let mut values = Vec::with_capacity(count);
    column::decode(&mut r.part()?, count, &mut values)?;
    Ok(values)
}

fn decode_gauge(
    r: &mut Reader<'_>,
    starts: impl ExactSizeIterator<Item = (i64, u32)>,
) -> Result<Vec<GaugePoint>, DecodeError> {
    let count = starts.len();
    let scale = r.u8()?;
    let (least, greatest) = if scale == UNSCALED {
        (floats(r, count)?, floats(r, count)?)
    } else {
        let least = ints(r, count)?;
        let mut greatest = ints(r, count)?;
        for (greatest, least) in greatest.iter_mut().zip(&least) {
            *greatest = greatest.wrapping_add(*least);
        }
        (
            column::scaled_back(scale, &least)?,
            column::scaled_back(scale, &greatest)?,
        )
    };
    let means = ints(r, count)?;
    let points = starts.zip(least).zip(greatest).zip(means);
    Ok(points
        .map(|((((at_ms, count), min), max), mean)| GaugePoint {
            at_ms,
            count,
            min,
            max,
            avg: within(value(code(min).wrapping_add(mean)), min, max),
        })
        .collect())
}

fn decode_counter(
    r: &mut Reader<'_>,
    starts: impl ExactSizeIterator<Item = (i64, u32)>,
) -> Result<Vec<CounterPoint>, DecodeError> {
    let count = starts.len();
    let increases = floats(r, count)?;
    let resets = small_ints(r, count)?;
    let covered = small_ints(r, count)?;
    let points = starts.zip(increases).zip(resets).zip(covered);
    Ok(points
        .map(
            |((((at_ms, count), increase), resets), covered_ms)| CounterPoint {
                at_ms,
                count,
                increase,
                resets,
                covered_ms,
            },
        )
        .collect())
}

/// The code of a number; see the layout.
fn code(value: f64) -> i64 {
    let magnitude = value.to_bits() & !SIGN;
    // Rounding up may carry into the exponent, which is right; a NaN's bits stay far below the sign.
    let code = (magnitude.saturating_add(1 << (CODE_SHIFT - 1)) >> CODE_SHIFT).cast_signed();
    if value.is_sign_negative() {
        -code
    } else {
        code
    }
}

/// A number of that code; for what is no code some number.
fn value(code: i64) -> f64 {
    let magnitude = f64::from_bits((code.unsigned_abs() << CODE_SHIFT) & !SIGN);
    if code < 0 { -magnitude } else { magnitude }
}
