//! Packed integers: a sequence of i64, of a length that is told apart, in few bytes.
//!
//! `method u8 ‖ parameters ‖ payload`, to the end of the part that it stands in. The low nibble of `method`:
//!
//! | | parameters | payload |
//! |---|---|---|
//! | 0 | base | none: each is `base` |
//! | 1, 2, 3, 4 | base, divisor | pco's latents, u8, u16, u32 or u64: each is `base + divisor × latent` |
//! | 5 | divisor | a zstd frame of varints: each is `divisor × unzigzag(varint)` |
//!
//! Bit 4 of `method`: the sequence holds the differences from one to the next; the first integer stands before
//! the parameters, and there is one difference less. Bases are zigzagged varints, divisors varints. Arithmetic
//! wraps at 64 bits, so that any i64 will do. A pco payload is the metadata and the one page of a wrapped chunk of
//! pco format 4.1, whose file header, always the same, is left out.

use std::cell::RefCell;

use pco::data_types::Number;

use super::DecodeError;
use super::bytes::{Reader, put_signed, put_varint, unzigzag, zigzag};
use super::plane;

const CONSTANT: u8 = 0;
const PCO_U8: u8 = 1;
const PCO_U16: u8 = 2;
const PCO_U32: u8 = 3;
const PCO_U64: u8 = 4;
const ZSTD: u8 = 5;
const DIFFERENCES: u8 = 0x10;

/// Higher levels cost twice the time for less than a hundredth of the size.
const ZSTD_LEVEL: i32 = 3;
/// Bytes of the longest varint.
const VARINT_BYTES_MAX: usize = 10;

/// Appends the integers, of which there is at least one.
pub(crate) fn pack(ints: &[i64], out: &mut Vec<u8>) {
    let plain = Affine::of(ints);
    if plain.span == 0 {
        out.push(CONSTANT);
        put_signed(out, plain.base);
        return;
    }
    let differences: Vec<i64> = ints
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    let slope = Affine::of(&differences);
    let mut best = Vec::new();
    slope.pack(&differences, Some(ints[0]), &mut best);
    if slope.span > 0 {
        let mut other = Vec::with_capacity(best.len());
        plain.pack(ints, None, &mut other);
        if other.len() < best.len() {
            std::mem::swap(&mut best, &mut other);
        }
        other.clear();
        pack_zstd(&differences, ints[0], &mut other);
        if other.len() < best.len() {
            std::mem::swap(&mut best, &mut other);
        }
    }
    out.extend_from_slice(&best);
}

/// `base + divisor × latent`, for each of some integers.
struct Affine {
    base: i64,
    divisor: u64,
    /// The greatest latent.
    span: u64,
}

impl Affine {
    fn of(ints: &[i64]) -> Self {
        let base = ints.iter().copied().min().unwrap_or(0);
        let mut all = 0;
        let mut divisor = 0;
        for int in ints {
            let offset = int.wrapping_sub(base).cast_unsigned();
            all = all.max(offset);
            if divisor != 1 {
                divisor = gcd(offset, divisor);
            }
        }
        let divisor = divisor.max(1);
        Self {
            base,
            divisor,
            span: all / divisor,
        }
    }

    fn latents<T>(&self, ints: &[i64], narrow: impl Fn(u64) -> T) -> Vec<T> {
        let offset = |int: &i64| int.wrapping_sub(self.base).cast_unsigned();
        if self.divisor == 1 {
            return ints.iter().map(|int| narrow(offset(int))).collect();
        }
        ints.iter()
            .map(|int| narrow(offset(int) / self.divisor))
            .collect()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the width is chosen by the greatest"
    )]
    fn pack(&self, ints: &[i64], first: Option<i64>, out: &mut Vec<u8>) {
        let method = match self.span {
            0 => CONSTANT,
            1..=0xff => PCO_U8,
            0x100..=0xffff => PCO_U16,
            0x1_0000..=0xffff_ffff => PCO_U32,
            _ => PCO_U64,
        };
        out.push(method | if first.is_some() { DIFFERENCES } else { 0 });
        if let Some(first) = first {
            put_signed(out, first);
        }
        put_signed(out, self.base);
        if method != CONSTANT {
            put_varint(out, self.divisor);
        }
        match method {
            PCO_U8 => plane::write_ints(&self.latents(ints, |x| x as u8), out),
            PCO_U16 => plane::write_ints(&self.latents(ints, |x| x as u16), out),
            PCO_U32 => plane::write_ints(&self.latents(ints, |x| x as u32), out),
            PCO_U64 => plane::write_ints(&self.latents(ints, |x| x), out),
            _ => {}
        }
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn pack_zstd(differences: &[i64], first: i64, out: &mut Vec<u8>) {
    let mut divisor = 0;
    for difference in differences {
        if divisor == 1 {
            break;
        }
        divisor = gcd(difference.unsigned_abs(), divisor);
    }
    // A divisor of 2⁶³ is no i64; such differences are rare enough not to be divided at all.
    let divisor = i64::try_from(divisor.max(1)).unwrap_or(1);
    let mut varints = Vec::with_capacity(differences.len());
    for difference in differences {
        put_varint(&mut varints, zigzag(difference / divisor));
    }
    out.push(ZSTD | DIFFERENCES);
    put_signed(out, first);
    put_varint(out, divisor.cast_unsigned());
    with_zstd(|zstd| {
        let start = out.len();
        out.resize(start + zstd::zstd_safe::compress_bound(varints.len()), 0);
        let written = zstd
            .compressor
            .compress_to_buffer(&varints, &mut out[start..])
            .expect("the buffer is as long as zstd asks for");
        out.truncate(start + written);
    });
}

struct Zstd {
    compressor: zstd::bulk::Compressor<'static>,
    decompressor: zstd::bulk::Decompressor<'static>,
}

/// Making a context costs more than compressing a chunk with it, so each thread keeps one.
fn with_zstd<T>(work: impl FnOnce(&mut Zstd) -> T) -> T {
    thread_local! {
        static CONTEXT: RefCell<Option<Zstd>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        work(context.get_or_insert_with(|| Zstd {
            compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("memory for a context"),
            decompressor: zstd::bulk::Decompressor::new().expect("memory for a context"),
        }))
    })
}

/// Reads `count` integers out of all that is left; `count` is at least 1 and bounded by the caller.
pub(crate) fn unpack(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, DecodeError> {
    let method = reader.u8()?;
    let is_differences = method & DIFFERENCES != 0;
    let first = if is_differences {
        Some(reader.signed()?)
    } else {
        None
    };
    let len = count - usize::from(is_differences);
    let mut ints = Vec::with_capacity(count);
    ints.extend(first);
    let at = ints.len();
    match method & !DIFFERENCES {
        CONSTANT => {
            let base = reader.signed()?;
            ints.resize(at + len, base);
        }
        PCO_U8 => unpack_pco::<u8>(reader, len, &mut ints)?,
        PCO_U16 => unpack_pco::<u16>(reader, len, &mut ints)?,
        PCO_U32 => unpack_pco::<u32>(reader, len, &mut ints)?,
        PCO_U64 => unpack_pco::<u64>(reader, len, &mut ints)?,
        ZSTD => unpack_zstd(reader, len, &mut ints)?,
        _ => return Err(DecodeError::Corrupt("packed by an unknown method")),
    }
    if reader.left() > 0 {
        return Err(DecodeError::Corrupt("bytes are left over"));
    }
    if is_differences {
        let mut sum = 0_i64;
        for int in &mut ints {
            sum = sum.wrapping_add(*int);
            *int = sum;
        }
    }
    Ok(ints)
}

fn unpack_pco<T: Number + Default + Into<u64>>(
    reader: &mut Reader<'_>,
    len: usize,
    ints: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    let base = reader.signed()?;
    let divisor = reader.varint()?;
    let mut latents = vec![T::default(); len];
    plane::read(reader.rest(), &mut latents)?;
    let at = |latent: T| {
        let offset = divisor.wrapping_mul(latent.into());
        base.wrapping_add(offset.cast_signed())
    };
    ints.extend(latents.into_iter().map(at));
    Ok(())
}

fn unpack_zstd(
    reader: &mut Reader<'_>,
    len: usize,
    ints: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    let divisor = reader.varint()?.cast_signed();
    let frame = reader.rest();
    let varints = with_zstd(|zstd| {
        zstd.decompressor
            .decompress(frame, len.saturating_mul(VARINT_BYTES_MAX))
    })
    .map_err(|_| DecodeError::Corrupt("zstd does not know its payload"))?;
    let mut varints = Reader::new(&varints);
    for _ in 0..len {
        ints.push(unzigzag(varints.varint()?).wrapping_mul(divisor));
    }
    if varints.left() > 0 {
        return Err(DecodeError::Corrupt("bytes are left over"));
    }
    Ok(())
}
