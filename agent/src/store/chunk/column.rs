//! A column: f64 values, of a number that is told apart, bit for bit, by the cheapest of a few ways.
//!
//! `tag u8 ‖ payload`, to the end of the part that it stands in:
//!
//! | tag | payload |
//! |---|---|
//! | 0 … 9 | packed integers (`pack`): each value is its integer divided by 10 to the tag; at most 53 bits |
//! | 16 | f64 by pco (`plane`) |
//! | 17 | f64, 8 bytes each |
//!
//! Whether a value is an integer or a decimal is decided by its bits, so −0, NaNs and what has only nearly few
//! decimals are kept as f64.

use super::DecodeError;
use super::bytes::{Reader, exact_int};
use super::{pack, plane};

/// More decimals than this are no decimals: 53 bits leave too few digits before the point.
const DECIMALS_MAX: u8 = 9;
const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const FLOATS: u8 = 16;
const RAW: u8 = 17;

/// Appends the values, of which there is at least one.
pub(crate) fn encode(values: &[f64], out: &mut Vec<u8>) {
    if let Some((decimals, ints)) = decimals(values) {
        out.push(decimals);
        pack::pack(&ints, out);
        return;
    }
    let start = out.len();
    out.push(FLOATS);
    plane::write_floats(values, out);
    if out.len() - start > 1 + size_of_val(values) {
        out.truncate(start);
        out.push(RAW);
        out.extend(
            values
                .iter()
                .flat_map(|value| value.to_bits().to_le_bytes()),
        );
    }
}

/// Appends `count` values, which are all that is left; `count` is at least 1 and bounded by the caller.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    values: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    match reader.u8()? {
        decimals @ 0..=DECIMALS_MAX => {
            values.extend(scaled_back(decimals, &pack::unpack(reader, count)?)?);
        }
        FLOATS => {
            let start = values.len();
            values.resize(start + count, 0.0);
            let read = plane::read(reader.rest(), &mut values[start..]);
            if read.is_err() {
                values.truncate(start);
            }
            read?;
        }
        RAW => {
            let (floats, over) = reader.rest().as_chunks::<8>();
            if floats.len() != count || !over.is_empty() {
                return Err(DecodeError::Corrupt("a column has the wrong length"));
            }
            values.extend(floats.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        }
        _ => return Err(DecodeError::Corrupt("a column has an unknown tag")),
    }
    Ok(())
}

/// The integers that give the values when divided by a power of 10, and that power.
pub(crate) fn decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut decimals = 0;
    for value in values {
        while scaled(*value, decimals).is_none() {
            decimals += 1;
            if decimals > DECIMALS_MAX {
                return None;
            }
        }
    }
    let ints: Option<Vec<i64>> = values
        .iter()
        .map(|value| scaled(*value, decimals))
        .collect();
    ints.map(|ints| (decimals, ints))
}

/// The values of some integers.
pub(crate) fn scaled_back(decimals: u8, ints: &[i64]) -> Result<Vec<f64>, DecodeError> {
    let power = POWERS
        .get(usize::from(decimals))
        .ok_or(DecodeError::Corrupt("it has too many decimals"))?;
    Ok(if decimals == 0 {
        ints.iter().map(|int| *int as f64).collect()
    } else {
        ints.iter().map(|int| *int as f64 / power).collect()
    })
}

fn scaled(value: f64, decimals: u8) -> Option<i64> {
    if decimals == 0 {
        return exact_int(value);
    }
    let power = POWERS[usize::from(decimals)];
    let int = exact_int((value * power).round())?;
    // Nothing but the way back decides, so rounding in the product does no harm.
    (int as f64 / power)
        .to_bits()
        .eq(&value.to_bits())
        .then_some(int)
}
