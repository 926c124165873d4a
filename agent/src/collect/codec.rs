//! Little-endian reading and writing of the link's fields, pure.
//!
//! [`Writer`] fills in a frame's length when it is dropped; [`Reader`] answers every lack with an error.

use super::link::{LENGTH_BYTES, LinkError};

/// Label names or values of one metric or series.
pub(super) const LABELS_MAX: usize = 16;

pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        Self { out, start }
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.out.push(value);
        self
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.out.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.out.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn str(&mut self, text: &str) -> &mut Self {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn strs(&mut self, texts: &[String]) -> &mut Self {
        self.u32(u32::try_from(texts.len()).unwrap_or(u32::MAX));
        for text in texts {
            self.str(text);
        }
        self
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        let length = u32::try_from(self.out.len() - self.start - LENGTH_BYTES).unwrap_or(u32::MAX);
        self.out[self.start..self.start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    }
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes that were not read yet.
    pub(super) const fn left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], LinkError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(LinkError::Short)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], LinkError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(LinkError::Short)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, LinkError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, LinkError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, LinkError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn str(&mut self) -> Result<String, LinkError> {
        let len = self.u32()? as usize;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| LinkError::Utf8)
    }

    pub(super) fn strs(&mut self) -> Result<Vec<String>, LinkError> {
        let count = self.u32()? as usize;
        if count > LABELS_MAX {
            return Err(LinkError::Unknown("number of labels"));
        }
        (0..count).map(|_| self.str()).collect()
    }

    pub(super) fn end<T>(self, message: T) -> Result<T, LinkError> {
        if self.0.is_empty() {
            Ok(message)
        } else {
            Err(LinkError::Long(self.0.len()))
        }
    }
}
