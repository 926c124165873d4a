//! Rollups: what is kept of the samples of a minute or an hour. Pure.
//!
//! TODO(codec): byte layout of the rollup chunk, and the bounds of what is rounded.

use super::chunk::{DecodeError, Samples};
use crate::catalog::Kind;

/// A counter's interval longer than this many of its usual ones is a gap: nothing is known of it.
pub const GAP_INTERVALS: f64 = 2.5;

/// One point of a gauge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaugePoint {
    /// Start of the minute or hour, Unix milliseconds.
    pub at_ms: i64,
    /// Samples in it; never 0.
    pub count: u32,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Mean, rounded as the codec says.
    pub avg: f64,
}

/// One point of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CounterPoint {
    /// Start of the minute or hour, Unix milliseconds.
    pub at_ms: i64,
    /// Samples in it; never 0.
    pub count: u32,
    /// What it grew by over the intervals that end in it. After a reset it counts from 0.
    pub increase: f64,
    /// How often it was reset.
    pub resets: u32,
    /// The length of those intervals: less than the point's width where there was a gap.
    pub covered_ms: u32,
}

/// The points of one series in a block, oldest first; minutes without samples are not there.
#[derive(Clone, Debug, PartialEq)]
pub enum Points {
    /// Of a gauge.
    Gauge(Vec<GaugePoint>),
    /// Of a counter.
    Counter(Vec<CounterPoint>),
}

impl Points {
    /// No points of this kind.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Gauge => Self::Gauge(Vec::new()),
            Kind::Counter => Self::Counter(Vec::new()),
        }
    }
}

/// The points of `width_ms` of some samples. `before` is the sample before the first one, where there is one:
/// a counter's first interval begins with it.
pub fn fold(kind: Kind, samples: &Samples, before: Option<(i64, f64)>, width_ms: i64) -> Points {
    let _ = (kind, samples, before, width_ms);
    todo!()
}

/// Coarser points out of finer ones.
pub fn merge(points: &Points, width_ms: i64) -> Points {
    let _ = (points, width_ms);
    todo!()
}

/// Appends the chunk of these points, of `width_ms` each, to `out`.
pub fn encode(points: &Points, width_ms: i64, out: &mut Vec<u8>) {
    let _ = (points, width_ms, out);
    todo!()
}

/// Reads a chunk of points.
pub fn decode(bytes: &[u8]) -> Result<Points, DecodeError> {
    let _ = bytes;
    todo!()
}
