//! The times of a chunk: its collector's grid, and where it left it.
//!
//! Forms: `REGULAR`, nothing is stored; `EXCEPTIONS`, a varint of how many intervals are not the step, and for each
//! a varint of the intervals passed over since the last one and a zigzagged varint `interval − step`; `PACKED`,
//! every interval as packed integers (`pack`), less the step.

use super::DecodeError;
use super::bytes::{Reader, put_signed, put_varint};
use super::pack;

/// Every interval is the step.
pub(crate) const REGULAR: u8 = 0;
/// A few are not.
pub(crate) const EXCEPTIONS: u8 = 1;
/// Many are not.
pub(crate) const PACKED: u8 = 2;

/// Above one exception in this many intervals, packing all of them is smaller.
const INTERVALS_PER_EXCEPTION: usize = 16;

/// How often an interval has to be seen among the first ones to be the step at once.
const USUAL: usize = 8;

fn intervals(times_ms: &[i64]) -> impl Iterator<Item = i64> {
    times_ms
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
}

/// The most usual interval; 0 where there is none.
pub(crate) fn step_ms(times_ms: &[i64]) -> i64 {
    let mut usual = intervals(times_ms).take(USUAL);
    if let Some(first) = usual.next()
        && usual.all(|interval| interval == first)
    {
        return first;
    }
    let mut sorted: Vec<i64> = intervals(times_ms).collect();
    sorted.sort_unstable();
    sorted
        .chunk_by(|a, b| a == b)
        .max_by_key(|equal| equal.len())
        .map_or(0, |equal| equal[0])
}

/// Appends the times' own bytes, which may be none, and returns the form.
pub(crate) fn encode(times_ms: &[i64], step_ms: i64, out: &mut Vec<u8>) -> u8 {
    let exceptions = intervals(times_ms)
        .filter(|interval| *interval != step_ms)
        .count();
    if exceptions == 0 {
        return REGULAR;
    }
    if exceptions > times_ms.len() / INTERVALS_PER_EXCEPTION {
        let off: Vec<i64> = intervals(times_ms)
            .map(|interval| interval.wrapping_sub(step_ms))
            .collect();
        pack::pack(&off, out);
        return PACKED;
    }
    put_varint(out, exceptions as u64);
    let mut passed = 0_u64;
    for interval in intervals(times_ms) {
        if interval == step_ms {
            passed += 1;
        } else {
            put_varint(out, passed);
            put_signed(out, interval.wrapping_sub(step_ms));
            passed = 0;
        }
    }
    EXCEPTIONS
}

/// Appends `count` times, at least 1 and bounded by the caller, to `times_ms`.
pub(crate) fn decode(
    form: u8,
    reader: &mut Reader<'_>,
    count: usize,
    (first_ms, step_ms): (i64, i64),
    times_ms: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    let start = times_ms.len();
    match form {
        REGULAR => times_ms.extend(
            std::iter::successors(Some(first_ms), |at| Some(at.wrapping_add(step_ms))).take(count),
        ),
        EXCEPTIONS => exceptions(reader, count, (first_ms, step_ms), times_ms)?,
        PACKED if count > 1 => {
            times_ms.push(first_ms);
            let mut at = first_ms;
            for off in pack::unpack(reader, count - 1)? {
                at = at.wrapping_add(step_ms).wrapping_add(off);
                times_ms.push(at);
            }
        }
        _ => return Err(DecodeError::Corrupt("its times have an unknown form")),
    }
    if reader.left() > 0 {
        return Err(DecodeError::Corrupt("bytes are left over after its times"));
    }
    if times_ms[start..].is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(DecodeError::Corrupt("its times do not increase"))
    }
}

fn exceptions(
    reader: &mut Reader<'_>,
    count: usize,
    (first_ms, step_ms): (i64, i64),
    times_ms: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    const MANY: &str = "it has more exceptions than intervals";
    let mut at = first_ms;
    times_ms.push(at);
    let mut left = count - 1;
    let exceptions = reader.varint_max(left, MANY)?;
    for _ in 0..exceptions {
        let passed = reader.varint_max(left, MANY)?;
        left = left
            .checked_sub(passed + 1)
            .ok_or(DecodeError::Corrupt(MANY))?;
        for _ in 0..passed {
            at = at.wrapping_add(step_ms);
            times_ms.push(at);
        }
        at = at.wrapping_add(step_ms).wrapping_add(reader.signed()?);
        times_ms.push(at);
    }
    for _ in 0..left {
        at = at.wrapping_add(step_ms);
        times_ms.push(at);
    }
    Ok(())
}
