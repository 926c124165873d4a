//! Keys of sealed blocks: `block start (i64, sign flipped) ‖ epoch u16 ‖ first series u32`, big-endian, so that
//! the order of bytes is that of time, epoch and series. A block's marker has the series `u32::MAX` and says
//! that the block is whole.

/// The series of a block's marker.
pub const MARKER: u32 = u32::MAX;
/// Bytes of a key.
pub const KEY_BYTES: usize = 14;

/// After every key.
pub const END: [u8; KEY_BYTES + 1] = [u8::MAX; KEY_BYTES + 1];

/// The key of the group that begins with `series`.
pub fn encode(block_ms: i64, epoch: u16, series: u32) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&(block_ms.cast_unsigned() ^ 1 << 63).to_be_bytes());
    key[8..10].copy_from_slice(&epoch.to_be_bytes());
    key[10..].copy_from_slice(&series.to_be_bytes());
    key
}

/// `(block_ms, epoch, series)` of a key; `None` for what is none.
pub fn decode(key: &[u8]) -> Option<(i64, u16, u32)> {
    let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
    let block = u64::from_be_bytes(key[..8].try_into().ok()?) ^ 1 << 63;
    let epoch = u16::from_be_bytes(key[8..10].try_into().ok()?);
    let series = u32::from_be_bytes(key[10..].try_into().ok()?);
    Some((block.cast_signed(), epoch, series))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{END, KEY_BYTES, MARKER, decode, encode};

    proptest! {
        #[test]
        fn keys_are_ordered_as_what_they_name(
            a in any::<(i64, u16, u32)>(),
            b in any::<(i64, u16, u32)>(),
        ) {
            let (key_a, key_b) = (encode(a.0, a.1, a.2), encode(b.0, b.1, b.2));
            assert_eq!(key_a.cmp(&key_b), a.cmp(&b));
            assert_eq!(decode(&key_a), Some(a));
            assert!(key_a[..] < END[..]);
        }

        #[test]
        fn a_key_of_another_length_is_none(bytes in any::<Vec<u8>>()) {
            assert_eq!(decode(&bytes).is_some(), bytes.len() == KEY_BYTES);
        }
    }

    #[test]
    fn a_marker_follows_its_block_and_precedes_the_next() {
        let marker = encode(0, 0, MARKER);
        assert!(encode(0, 0, MARKER - 1) < marker);
        assert!(marker < encode(0, 1, 0));
        assert!(marker < encode(3_600_000, 0, 0));
        assert!(encode(-3_600_000, 9, 7) < encode(0, 0, 0));
    }
}
