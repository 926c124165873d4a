//! The private wire between the agent and its plugin host: framing and messages, pure.
//!
//! A frame is `length: u32 ‖ kind: u8 ‖ body`, little-endian, the length counting kind and body. Strings
//! are `length: u32 ‖ UTF-8`. Both ends are the same binary, so nothing here is versioned; but a plugin
//! shares the host's address space and may scribble on the socket, so the agent's decoder takes any bytes
//! and answers with an error.

use barograph_sdk::abi;

use crate::catalog::{ChartStyle, Kind, Unit};
use crate::clock::Tier;

mod messages;
mod wire;

pub use messages::{Done, MetricDefinition, PluginEvent, Purpose, ToAgent, ToHost};

/// Bytes of a frame, length field excluded. A tick of 100,000 samples is 1.2 MB.
pub const FRAME_BYTES_MAX: usize = 4 << 20;
/// Bytes of the length field.
pub const LENGTH_BYTES: usize = 4;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The frame ends before its message does.
    #[error("message is cut short")]
    Short,
    /// The frame goes on after its message.
    #[error("message has {0} bytes too many")]
    Long(usize),
    /// A kind, code or index that does not exist.
    #[error("message has an unknown {0}")]
    Unknown(&'static str),
    /// A string is not UTF-8.
    #[error("message has a string that is not UTF-8")]
    Utf8,
    /// The length field is above the bound.
    #[error("frame of {0} bytes is above the bound of 4 MiB")]
    TooLarge(usize),
}

/// Takes the next whole frame's kind and body off the front of `bytes`, with its whole length.
pub fn frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, LinkError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(LinkError::TooLarge(length));
    }
    let whole = LENGTH_BYTES + length;
    Ok(bytes.get(LENGTH_BYTES..whole).map(|body| (body, whole)))
}

/// The kind with this number in the ABI.
pub fn kind(number: u32) -> Result<Kind, LinkError> {
    match number {
        abi::KIND_GAUGE => Ok(Kind::Gauge),
        abi::KIND_COUNTER => Ok(Kind::Counter),
        _ => Err(LinkError::Unknown("metric kind")),
    }
}

/// The unit with this number in the ABI.
pub fn unit(number: u32) -> Result<Unit, LinkError> {
    const UNITS: [Unit; abi::UNITS.len()] = [
        Unit::Count,
        Unit::Bytes,
        Unit::Seconds,
        Unit::Ratio,
        Unit::Hertz,
        Unit::Celsius,
        Unit::Packets,
        Unit::Operations,
        Unit::Info,
    ];
    UNITS
        .get(number as usize)
        .copied()
        .ok_or(LinkError::Unknown("unit"))
}

/// The tier with this number in the ABI.
pub fn tier(number: u32) -> Result<Tier, LinkError> {
    Tier::ALL
        .get(number as usize)
        .copied()
        .ok_or(LinkError::Unknown("tier"))
}

/// The chart style with this number in the ABI.
pub fn style(number: u32) -> Result<ChartStyle, LinkError> {
    const STYLES: [ChartStyle; abi::CHART_STYLES.len()] = [
        ChartStyle::Line,
        ChartStyle::Area,
        ChartStyle::Stacked,
        ChartStyle::None,
    ];
    STYLES
        .get(number as usize)
        .copied()
        .ok_or(LinkError::Unknown("chart style"))
}

#[cfg(test)]
mod tests;
