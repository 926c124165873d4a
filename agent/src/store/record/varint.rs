//! Numbers of variable length (LEB128, zigzag where they have a sign), and a reader that never reads past the end.

use crate::store::chunk::DecodeError;

/// Appends a number.
pub(in crate::store) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a number with a sign.
pub(in crate::store) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Reads what the functions above wrote.
#[derive(Debug)]
pub(in crate::store) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in crate::store) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(in crate::store) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(in crate::store) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.bytes(1)?[0])
    }

    /// Eight bytes as they are.
    pub(in crate::store) fn u64(&mut self) -> Result<u64, DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    pub(in crate::store) fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Corrupt("a number has no end"))
    }

    pub(in crate::store) fn signed(&mut self) -> Result<i64, DecodeError> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(in crate::store) fn u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.number()?).map_err(|_| DecodeError::Corrupt("a number is too large"))
    }

    /// How many things follow. Each takes at least a byte, so that a wrong count reserves no memory.
    pub(in crate::store) fn count(&mut self, max: usize) -> Result<usize, DecodeError> {
        usize::try_from(self.number()?)
            .ok()
            .filter(|&count| count <= max && count <= self.rest.len())
            .ok_or(DecodeError::Corrupt("a count is too large"))
    }
}
