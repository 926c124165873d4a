//! Keys of sealed blocks: `block start (i64, sign flipped) ‖ epoch u16 ‖ first series u32`, big-endian, so that
//! the order of bytes is that of time, epoch and series. A block's marker has the series `u32::MAX` and says
//! that the block is whole.

/// The series of a block's marker.
pub const MARKER: u32 = u32::MAX;
/// Bytes of a key.
pub const KEY_BYTES: usize = 14;

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
