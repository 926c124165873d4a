//! Chunk v1: the samples of one series in one block of time, compressed.
//!
//! TODO(codec): byte layout.

/// The samples of one series, oldest first: times and values are parallel, times strictly increasing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Unix milliseconds.
    pub times_ms: Vec<i64>,
    /// In the metric's unit; a counter's cumulative total.
    pub values: Vec<f64>,
}

/// What a chunk's header says without its payload being decoded. NaN takes no part in `min`, `max` and `sum`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Samples.
    pub count: u32,
    /// Time of the first.
    pub first_ms: i64,
    /// Time of the last.
    pub last_ms: i64,
    /// The first value.
    pub first: f64,
    /// The last value.
    pub last: f64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
}

/// Why bytes are no chunk (or group, or record) that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error("it is cut short")]
    Truncated,
    /// Its checksum does not match.
    #[error("its checksum is wrong")]
    Checksum,
    /// It was written by a later version of the agent.
    #[error("its version is {0}, which this agent does not know")]
    UnknownVersion(u8),
    /// Its checksum matches, but its content makes no sense.
    #[error("{0}")]
    Corrupt(&'static str),
}

/// Appends the chunk of these samples to `out`.
pub fn encode(times_ms: &[i64], values: &[f64], out: &mut Vec<u8>) {
    let _ = (times_ms, values, out);
    todo!()
}

/// Appends a chunk's samples to `samples`.
pub fn decode(bytes: &[u8], samples: &mut Samples) -> Result<(), DecodeError> {
    let _ = (bytes, samples);
    todo!()
}

/// Reads the header only.
pub fn summary(bytes: &[u8]) -> Result<Summary, DecodeError> {
    let _ = bytes;
    todo!()
}
