//! Pco's part of the format: one wrapped chunk of one page, without the file header.
//!
//! What is written uses the modes classic, float multiple and float quantum, with or without consecutive
//! differences. The others are refused before pco sees them: dictionaries and look-back windows let a few bytes
//! ask for 128 MiB of memory.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::DecodeError;

/// The header of pco format 4.1, which is not stored.
const HEADER: [u8; 2] = [4, 1];
/// Bits of the fields at the start of pco's metadata.
const VARIANT_BITS: usize = 4;
/// Pco's modes: classic, float multiple with a base of 64 bits, float quantum with 8 bits.
const MODE_BITS: [(u64, usize); 3] = [(0, 0), (2, 64), (3, 8)];
/// Pco's differences: none, consecutive.
const DIFFERENCES: [u64; 2] = [0, 1];

const WRONG: DecodeError = DecodeError::Corrupt("pco does not know its payload");

/// Appends integers whose differences, offsets and divisors have been dealt with.
pub(super) fn write_ints<T: Number>(latents: &[T], out: &mut Vec<u8>) {
    let config = ChunkConfig::default()
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(DeltaSpec::NoOp)
        .with_enable_8_bit(true);
    write(latents, &config, out);
}

/// Appends floats; pco looks for a mode and for differences itself.
pub(super) fn write_floats(values: &[f64], out: &mut Vec<u8>) {
    let mut config = ChunkConfig::default();
    let start = out.len();
    write(values, &config, out);
    if admit(&out[start..]).is_err() {
        // Auto may choose a look-back, which is never read.
        out.truncate(start);
        config = config.with_delta_spec(DeltaSpec::TryConsecutive(1));
        write(values, &config, out);
    }
}

fn write<T: Number>(values: &[T], config: &ChunkConfig, out: &mut Vec<u8>) {
    let mut chunk = FileCompressor::default()
        .chunk_compressor(values, config)
        .expect("the configuration is valid");
    chunk
        .write_meta(&mut *out)
        .and_then(|out| chunk.write_page(0, out))
        .expect("a vector takes all that is written");
}

/// Fills `values` from a payload, which must have exactly as many.
pub(super) fn read<T: Number>(payload: &[u8], values: &mut [T]) -> Result<(), DecodeError> {
    admit(payload)?;
    let (file, _) = FileDecompressor::new(HEADER.as_slice()).map_err(|_| WRONG)?;
    let (mut chunk, rest) = file
        .chunk_decompressor::<T, _>(payload)
        .map_err(|_| WRONG)?;
    let mut page = chunk
        .page_decompressor(rest, values.len())
        .map_err(|_| WRONG)?;
    let progress = page.read(values).map_err(|_| WRONG)?;
    if progress.finished && page.into_src().is_empty() {
        Ok(())
    } else {
        Err(WRONG)
    }
}

/// Whether the payload is of a kind that this module writes.
fn admit(payload: &[u8]) -> Result<(), DecodeError> {
    let mode = bits(payload, 0)?;
    let (_, mode_bits) = MODE_BITS
        .iter()
        .find(|(known, _)| *known == mode)
        .ok_or(WRONG)?;
    let differences = bits(payload, VARIANT_BITS + mode_bits)?;
    if DIFFERENCES.contains(&differences) {
        Ok(())
    } else {
        Err(WRONG)
    }
}

/// The variant at a bit; pco fills bytes from the lowest bit up, and variants lie within one byte.
fn bits(payload: &[u8], at: usize) -> Result<u64, DecodeError> {
    let byte = payload.get(at / 8).ok_or(DecodeError::Truncated)?;
    Ok(u64::from(byte >> (at % 8) & 0xf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_that_is_not_stored_is_what_pco_writes() {
        let mut header = Vec::new();
        FileCompressor::default().write_header(&mut header).unwrap();
        assert_eq!(
            header, HEADER,
            "a new pco format needs a method of its own in the chunk format"
        );
    }

    #[test]
    fn dictionaries_and_lookbacks_are_refused() {
        for first in [0x04, 0x01, 0x20, 0x30, 0x0f, 0xf0] {
            assert_eq!(admit(&[first; 1]), Err(WRONG), "{first:#x}");
        }
        assert_eq!(admit(&[0x10]), Ok(()));
        assert_eq!(admit(&[0x03, 0x10]), Ok(()));
        assert_eq!(admit(&[0x02]), Err(DecodeError::Truncated));
        assert_eq!(admit(&[]), Err(DecodeError::Truncated));
    }
}
