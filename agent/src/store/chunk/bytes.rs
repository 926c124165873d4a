//! The small parts that everything stored is made of: varints, numbers, checksums, and a cursor over them.
//!
//! A varint is LEB128: seven bits a byte, lowest first. A signed one is zigzagged (0, −1, 1, −2, … become
//! 0, 1, 2, 3, …). A *number* is an f64 in few bytes where that is exact: an integer of at most 53 bits as the
//! varint `zigzag << 1`; any other f64 as the varint 1 and its 8 bytes. A checksum is a CRC-32 (IEEE) of all bytes
//! before it. Fixed integers are little-endian. Nothing read here panics or allocates.

use super::DecodeError;

/// Bytes of a checksum.
pub(crate) const CRC_BYTES: usize = 4;

/// Integers up to this magnitude are exact as f64 and so are their differences as i64.
const EXACT_INT_MAX: u64 = 1 << 53;

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Small magnitudes as small unsigned integers.
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Appends a zigzagged varint.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// The integer that this is bit for bit; −0 is none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not survive the way back is refused"
)]
pub(crate) fn exact_int(value: f64) -> Option<i64> {
    let int = value as i64;
    let is_exact = (int as f64).to_bits() == value.to_bits() && int.unsigned_abs() <= EXACT_INT_MAX;
    is_exact.then_some(int)
}

/// Appends a number.
pub(crate) fn put_number(out: &mut Vec<u8>, value: f64) {
    if let Some(int) = exact_int(value) {
        put_varint(out, zigzag(int) << 1);
    } else {
        out.push(1);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

/// Appends the checksum of what was written since `start`.
pub(crate) fn put_crc(out: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Cuts the checksum off, after comparing it.
pub(crate) fn checked(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let (content, crc) = bytes
        .split_last_chunk::<CRC_BYTES>()
        .ok_or(DecodeError::Truncated)?;
    if crc32fast::hash(content) == u32::from_le_bytes(*crc) {
        Ok(content)
    } else {
        Err(DecodeError::Checksum)
    }
}

/// A cursor over bytes that may be anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len()
    }

    /// All that is left.
    pub(crate) const fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes;
        self.bytes = &[];
        rest
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// One byte.
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A varint of at most 64 bits.
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Corrupt("a varint has more than 64 bits"))
    }

    /// A varint that counts bytes or things in memory, at most `max`.
    pub(crate) fn varint_max(
        &mut self,
        max: usize,
        complaint: &'static str,
    ) -> Result<usize, DecodeError> {
        usize::try_from(self.varint()?)
            .ok()
            .filter(|value| *value <= max)
            .ok_or(DecodeError::Corrupt(complaint))
    }

    /// A varint of at most 32 bits.
    pub(crate) fn varint_u32(&mut self) -> Result<u32, DecodeError> {
        let wide = |_| DecodeError::Corrupt("a varint has more than 32 bits");
        u32::try_from(self.varint()?).map_err(wide)
    }

    /// A varint that says how many things follow, at most `max`. Each takes a byte at least, so that a wrong count
    /// reserves no memory.
    pub(crate) fn count(&mut self, max: usize) -> Result<usize, DecodeError> {
        self.varint_max(max.min(self.left()), "a count is too large")
    }

    /// A zigzagged varint.
    pub(crate) fn signed(&mut self) -> Result<i64, DecodeError> {
        self.varint().map(unzigzag)
    }

    /// A number.
    pub(crate) fn number(&mut self) -> Result<f64, DecodeError> {
        match self.varint()? {
            1 => self.u64().map(f64::from_bits),
            odd if odd & 1 == 1 => Err(DecodeError::Corrupt("a number has an unknown form")),
            even => Ok(unzigzag(even >> 1) as f64),
        }
    }

    /// A part with its length before it.
    pub(crate) fn part(&mut self) -> Result<Self, DecodeError> {
        let len = self.varint()?;
        let len = usize::try_from(len).map_err(|_| DecodeError::Truncated)?;
        self.take(len).map(Self::new)
    }
}

/// Appends a part with its length before it.
pub(crate) fn put_part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut part = Vec::new();
    write(&mut part);
    put_varint(out, part.len() as u64);
    out.extend_from_slice(&part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_and_numbers_come_back_and_are_short() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX >> 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(Reader::new(&out).varint(), Ok(value));
            assert_eq!(
                Reader::new(&out[..out.len() - 1]).varint(),
                Err(DecodeError::Truncated)
            );
        }
        for (value, bytes) in [
            (0.0, 1),
            (-0.0, 9),
            (31.0, 1),
            (-32.0, 1),
            (9_007_199_254_740_992.0, 8),
            (9_007_199_254_740_994.0, 9),
            (0.5, 9),
            (f64::NAN, 9),
            (f64::NEG_INFINITY, 9),
        ] {
            let mut out = Vec::new();
            put_number(&mut out, value);
            assert_eq!(out.len(), bytes, "{value}");
            let back = Reader::new(&out).number().map(f64::to_bits);
            assert_eq!(back, Ok(value.to_bits()));
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn a_varint_that_goes_on_is_refused() {
        let mut reader = Reader::new(&[0xff; 11]);
        assert!(matches!(reader.varint(), Err(DecodeError::Corrupt(_))));
        let over = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2];
        assert!(matches!(
            Reader::new(&over).varint(),
            Err(DecodeError::Corrupt(_))
        ));
    }
}
