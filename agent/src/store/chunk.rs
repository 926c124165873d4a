//! Chunk v1: the samples of one series in one block of time, compressed, bit for bit. Pure.
//!
//! | field | bytes |
//! |---|---|
//! | version | 1 |
//! | form | bits 0–1: form of the times (`times`); bit 2: constant; the rest 0 |
//! | count | varint, at most [`COUNT_MAX`]; of 0 samples nothing but the checksum follows |
//! | first time | zigzagged varint, Unix milliseconds |
//! | step | varint, milliseconds, only of 2 samples or more: the most usual interval |
//! | span | varint, milliseconds, only if the times are not regular: last time − first time |
//! | constant: value | number |
//! | else: first, last, min, max, sum | 5 numbers |
//! | times | only if the times are not regular: varint length, and what `times` says |
//! | else: values | a column (`column`) up to the checksum |
//! | checksum | CRC-32 of all before, little-endian |
//!
//! Varints, zigzag and numbers are those of `bytes`. The sum of a constant is value × count; NaN takes no part in
//! min, max and sum, and min and max are NaN where there is nothing else.
//!
//! A counter is stored as its cumulative total; rates and increases exist only in answers. A histogram is stored as
//! counters, which is all that this format knows of it: one series a bucket, named `NAME_bucket` with the label
//! `le`, the bucket's upper bound in the metric's unit as shortest decimal text (`+Inf` for the last), whose value
//! is the number of observations at or below that bound; `NAME_sum`, the sum of the observations; and `NAME_count`,
//! the number of them, equal to the last bucket. Those are ordinary series with the histogram's other labels, so
//! that a bucket's increase over any time is found like any counter's, and quantiles are computed in answers from
//! increases at the same times.

pub(super) mod bytes;
pub(super) mod column;
pub(super) mod pack;
mod plane;
#[cfg(test)]
mod tests;
pub(super) mod times;

use bytes::{CRC_BYTES, Reader, put_crc, put_number, put_part, put_signed, put_varint};

/// The only version so far.
const VERSION: u8 = 1;
const TIMES: u8 = 0b011;
const CONSTANT: u8 = 0b100;

/// Most samples in a chunk: an hour of the shortest interval that a tier can have, three times over. What a damaged
/// count can make the decoder allocate is bounded by it.
pub const COUNT_MAX: usize = 1 << 17;

/// The samples of one series, oldest first: times and values are parallel, times strictly increasing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Unix milliseconds.
    pub times_ms: Vec<i64>,
    /// In the metric's unit; a counter's cumulative total.
    pub values: Vec<f64>,
}

/// What a chunk's header says without its payload being decoded. NaN takes no part in `min`, `max` and `sum`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Samples.
    pub count: u32,
    /// Time of the first.
    pub first_ms: i64,
    /// Time of the last.
    pub last_ms: i64,
    /// The most usual interval; 0 where there is none.
    pub step_ms: i64,
    /// The first value.
    pub first: f64,
    /// The last value.
    pub last: f64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
}

/// Why bytes are no chunk (or group, or record) that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error("it is cut short")]
    Truncated,
    /// Its checksum does not match.
    #[error("its checksum is wrong")]
    Checksum,
    /// It was written by a later version of the agent.
    #[error("its version is {0}, which this agent does not know")]
    UnknownVersion(u8),
    /// Its checksum matches, but its content makes no sense.
    #[error("{0}")]
    Corrupt(&'static str),
}

/// Appends the chunk of these samples to `out`. The times increase strictly, there are as many values, and at most
/// [`COUNT_MAX`] of both.
pub fn encode(times_ms: &[i64], values: &[f64], out: &mut Vec<u8>) {
    assert_eq!(times_ms.len(), values.len(), "a value for each time");
    assert!(values.len() <= COUNT_MAX, "a chunk has an end");
    debug_assert!(times_ms.is_sorted_by(|a, b| a < b), "times increase");
    let start = out.len();
    out.push(VERSION);
    let form_at = out.len();
    out.push(0);
    put_varint(out, values.len() as u64);
    if let (Some(first_ms), Some(last_ms)) = (times_ms.first(), times_ms.last()) {
        let step_ms = times::step_ms(times_ms);
        let mut times = Vec::new();
        let mut form = times::encode(times_ms, step_ms, &mut times);
        let is_regular = form == times::REGULAR;
        put_signed(out, *first_ms);
        if values.len() > 1 {
            put_varint(out, step_ms.cast_unsigned());
        }
        if !is_regular {
            put_varint(out, last_ms.wrapping_sub(*first_ms).cast_unsigned());
        }
        let summary = Summary::of_values(values);
        let is_constant = is_constant(values);
        if is_constant {
            form |= CONSTANT;
            put_number(out, summary.first);
        } else {
            for value in summary.values() {
                put_number(out, value);
            }
        }
        if !is_regular {
            put_part(out, |out| out.extend_from_slice(&times));
        }
        if !is_constant {
            column::encode(values, out);
        }
        out[form_at] = form;
    }
    put_crc(out, start);
}

fn is_constant(values: &[f64]) -> bool {
    let first = values[0].to_bits();
    values.iter().all(|value| value.to_bits() == first)
}

impl Summary {
    /// Of no samples.
    const EMPTY: Self = Self {
        count: 0,
        first_ms: 0,
        last_ms: 0,
        step_ms: 0,
        first: f64::NAN,
        last: f64::NAN,
        min: f64::NAN,
        max: f64::NAN,
        sum: 0.0,
    };

    /// All but the times and the count.
    fn of_values(values: &[f64]) -> Self {
        let mut summary = Self {
            first: values[0],
            last: values[values.len() - 1],
            ..Self::EMPTY
        };
        for value in values.iter().filter(|value| !value.is_nan()) {
            summary.min = summary.min.min(*value);
            summary.max = summary.max.max(*value);
            summary.sum += value;
        }
        summary
    }

    fn of_constant(value: f64, count: usize) -> Self {
        let sum = if value.is_nan() {
            0.0
        } else {
            value * count as f64
        };
        Self {
            first: value,
            last: value,
            min: value,
            max: value,
            sum,
            ..Self::EMPTY
        }
    }

    const fn values(&self) -> [f64; 5] {
        [self.first, self.last, self.min, self.max, self.sum]
    }
}

/// Appends a chunk's samples to `samples`, or nothing at all.
pub fn decode(bytes: &[u8], samples: &mut Samples) -> Result<(), DecodeError> {
    let start = (samples.times_ms.len(), samples.values.len());
    let decoded = Header::read(bytes).and_then(|header| header.decode(samples));
    if decoded.is_err() {
        samples.times_ms.truncate(start.0);
        samples.values.truncate(start.1);
    }
    decoded
}

/// Reads the header only; the checksum is compared all the same.
pub fn summary(bytes: &[u8]) -> Result<Summary, DecodeError> {
    Header::read(bytes).map(|header| header.summary)
}

/// Whether its checksum matches, be it a chunk of samples or of rollups.
pub fn is_intact(bytes: &[u8]) -> bool {
    bytes::checked(bytes).is_ok()
}

/// A chunk up to its values.
struct Header<'a> {
    count: usize,
    form: u8,
    summary: Summary,
    times: Reader<'a>,
    values: Reader<'a>,
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let version = *bytes.first().ok_or(DecodeError::Truncated)?;
        let mut r = Reader::new(bytes::checked(bytes)?);
        // A wrong checksum says that the version may be damage too.
        if version != VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        r.u8()?;
        let form = r.u8()?;
        let count = r.varint_max(COUNT_MAX, "it has too many samples")?;
        let mut header = Self {
            count,
            form,
            summary: Summary::EMPTY,
            times: Reader::new(&[]),
            values: r,
        };
        if form & !(TIMES | CONSTANT) != 0 || (count == 0 && (form != 0 || r.left() > 0)) {
            return Err(DecodeError::Corrupt("its form is unknown"));
        }
        if count == 0 {
            return Ok(header);
        }
        let is_regular = form & TIMES == times::REGULAR;
        let first_ms = r.signed()?;
        let step_ms = if count > 1 {
            r.varint()?.cast_signed()
        } else {
            0
        };
        let last_ms = if is_regular {
            let steps = count as u64 - 1;
            first_ms.wrapping_add(step_ms.wrapping_mul(steps.cast_signed()))
        } else {
            first_ms.wrapping_add(r.varint()?.cast_signed())
        };
        let summary = if form & CONSTANT == 0 {
            Summary {
                first: r.number()?,
                last: r.number()?,
                min: r.number()?,
                max: r.number()?,
                sum: r.number()?,
                ..Summary::EMPTY
            }
        } else {
            Summary::of_constant(r.number()?, count)
        };
        if !is_regular {
            header.times = r.part()?;
        }
        header.values = r;
        header.summary = Summary {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            first_ms,
            last_ms,
            step_ms,
            ..summary
        };
        Ok(header)
    }

    fn decode(mut self, samples: &mut Samples) -> Result<(), DecodeError> {
        if self.count == 0 {
            return Ok(());
        }
        let grid = (self.summary.first_ms, self.summary.step_ms);
        let form = self.form & TIMES;
        times::decode(
            form,
            &mut self.times,
            self.count,
            grid,
            &mut samples.times_ms,
        )?;
        if samples.times_ms.last() != Some(&self.summary.last_ms) {
            return Err(DecodeError::Corrupt("its last time is not where it says"));
        }
        if self.form & CONSTANT == 0 {
            return column::decode(&mut self.values, self.count, &mut samples.values);
        }
        if self.values.left() > 0 {
            return Err(DecodeError::Corrupt("bytes are left over"));
        }
        let values = samples.values.len();
        samples
            .values
            .resize(values + self.count, self.summary.first);
        Ok(())
    }
}

/// Bytes of the smallest chunk: that of no samples.
pub(super) const CHUNK_BYTES_MIN: usize = 3 + CRC_BYTES;
