//! Copies what a plugin lends for a call: structs, arrays and texts behind its pointers.
//!
//! Null, a wrong length, an address that is not aligned and bytes that are no UTF-8 are all a plugin's everyday
//! mistakes and are told apart here. An address that can't be read at all ends the host, as it would the plugin.

use std::fmt;

use barograph_sdk::abi;

use crate::catalog::NAME_BYTES_MAX;
use crate::collect::codec::LABELS_MAX;
use crate::collect::host::refusal::Refusal;
use crate::words;

/// What is wrong with a text that was copied as well as it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Longer than this.
    Cut(usize),
    /// The bytes that are none were replaced with U+FFFD.
    NotUtf8,
    /// Null, but of a length.
    Null,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(max) => write!(f, "is longer than {max} bytes and was cut"),
            Self::NotUtf8 => f.write_str("is not UTF-8; what is none was replaced"),
            Self::Null => f.write_str("has a length, but its pointer is null"),
        }
    }
}

/// Copies the texts of a call and keeps what was wrong with them.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Which text, and what of it.
    pub(super) flaws: Vec<(&'static str, Flaw)>,
}

impl Reading {
    /// # Safety
    /// As [`abi::Str::as_bytes`].
    pub(super) unsafe fn text(
        &mut self,
        what: &'static str,
        text: abi::Str,
        bytes_max: usize,
    ) -> String {
        // SAFETY: the caller vouches for it.
        let (text, flaw) = unsafe { self::text(text, bytes_max) };
        self.flaws.extend(flaw.map(|flaw| (what, flaw)));
        text
    }

    /// Label names or values; `all` names them in a refusal.
    ///
    /// # Safety
    /// `texts` points at `count` texts, or is null.
    pub(super) unsafe fn texts(
        &mut self,
        what: &'static str,
        texts: *const abi::Str,
        count: usize,
        all: &str,
    ) -> Result<Vec<String>, Refusal> {
        if count > LABELS_MAX {
            let why = format!("{all} are {count}; at most {LABELS_MAX} are allowed");
            return Err(Refusal::full(why));
        }
        // SAFETY: the caller vouches for the count and for each text.
        unsafe {
            let texts = array(texts, count, all)?;
            Ok(texts
                .map(|text| self.text(what, text, NAME_BYTES_MAX))
                .collect())
        }
    }
}

/// Copies a text, cut between two characters and with what is not UTF-8 replaced.
///
/// # Safety
/// As [`abi::Str::as_bytes`].
pub(super) unsafe fn text(text: abi::Str, bytes_max: usize) -> (String, Option<Flaw>) {
    if text.ptr.is_null() {
        return (String::new(), (text.len > 0).then_some(Flaw::Null));
    }
    let cut = text.len > bytes_max;
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { bytes(text, bytes_max) };
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), cut.then_some(Flaw::Cut(bytes_max))),
        // What looks like a mistake at the end is a character that was cut in two.
        Err(error) if cut && error.error_len().is_none() => {
            let whole = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            (whole.into_owned(), Some(Flaw::Cut(bytes_max)))
        }
        Err(_) => {
            let mut text = String::from_utf8_lossy(bytes).into_owned();
            // The replacement is longer than what it stands for.
            text.truncate(text.floor_char_boundary(bytes_max));
            (text, Some(Flaw::NotUtf8))
        }
    }
}

/// Borrows the bytes of a text, cut at `bytes_max`.
///
/// # Safety
/// As [`abi::Str::as_bytes`].
pub(super) unsafe fn bytes<'a>(text: abi::Str, bytes_max: usize) -> &'a [u8] {
    // A length above what an object can have is not even an address to Rust.
    let len = text.len.min(bytes_max).min(isize::MAX.unsigned_abs());
    let ptr = text.ptr;
    // SAFETY: the caller vouches for it.
    unsafe { abi::Str { ptr, len }.as_bytes() }
}

/// Copies a struct that begins with its own size, at least as long as that of ABI 1.0.
///
/// # Safety
/// It is null, or its first four bytes are its size, which is readable.
pub(super) unsafe fn sized<T: Copy>(value: *const T, what: &str) -> Result<T, Refusal> {
    if value.is_null() {
        return Err(Refusal::config(format!("{what} is null")));
    }
    // SAFETY: the caller vouches for the size.
    let size = unsafe { value.cast::<u32>().read_unaligned() } as usize;
    let needed = size_of::<T>();
    if size < needed {
        return Err(Refusal::config(format!(
            "{what} has a struct_size of {size}, and ABI 1.0 has {needed} bytes there"
        )));
    }
    // SAFETY: the caller vouches for as many bytes as the size says; every field of these structs is good with
    // any bits.
    Ok(unsafe { value.read_unaligned() })
}

/// Copies an array one by one, wherever it stands.
///
/// # Safety
/// `values` is null, or points at `count` values that live as long as the iterator.
pub(super) unsafe fn array<T: Copy>(
    values: *const T,
    count: usize,
    what: &str,
) -> Result<impl ExactSizeIterator<Item = T>, Refusal> {
    if count > 0 && values.is_null() {
        let count = words::count(count, "is", "are");
        return Err(Refusal::config(format!(
            "{what} are null, but {count} said to be there"
        )));
    }
    // SAFETY: the caller vouches for the count, and the index stays below it.
    Ok((0..count).map(move |index| unsafe { values.wrapping_add(index).read_unaligned() }))
}

/// Copies at most `count_max` numbers.
///
/// # Safety
/// `values` is null, or points at `count` numbers.
pub(super) unsafe fn numbers(
    values: *const f64,
    count: usize,
    count_max: usize,
    what: &str,
) -> Result<Vec<f64>, Refusal> {
    if count > count_max {
        let why = format!("{what} are {count}; at most {count_max} are allowed");
        return Err(Refusal::config(why));
    }
    // SAFETY: the caller vouches for the count.
    Ok(unsafe { array(values, count, what)? }.collect())
}

/// A place for an id that is not null.
pub(super) fn place(id: *mut u32, call: &str) -> Result<*mut u32, Refusal> {
    if id.is_null() {
        return Err(Refusal::config(format!(
            "{call}: the place for the id is null"
        )));
    }
    Ok(id)
}
