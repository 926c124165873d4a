//! What a plugin said in a test, as values to compare.

use std::fmt;

#[cfg(doc)]
use crate::abi;
use crate::{Level, Tier};

/// A failed call: its code of the ABI and what the plugin said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of `abi::E_…`.
    pub code: i32,
    /// Dotted path of the configuration key at fault, or empty.
    pub field: String,
    /// What failed.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl std::error::Error for Failure {}

/// A successful tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// All was read.
    Whole,
    /// Samples were kept, and this could not be read.
    Partial(String),
}

/// A metric as it was declared.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredMetric {
    /// Its name.
    pub name: String,
    /// Whether it is a counter.
    pub counter: bool,
    /// Upper bounds of a histogram's buckets; other kinds have none.
    pub bounds: Vec<f64>,
    /// One of [`abi::UNITS`].
    pub unit: &'static str,
    /// How often it is sampled.
    pub tier: Tier,
    /// The sentence for people.
    pub help: String,
    /// The OpenTelemetry name, or empty.
    pub otel: String,
    /// Heading and title of its chart.
    pub chart: (String, String),
    /// One of [`abi::CHART_STYLES`].
    pub style: &'static str,
    /// Whether its chart stands on the Overview.
    pub overview: bool,
    /// Label names.
    pub labels: Vec<String>,
}

/// An event as it was handed over.
#[derive(Clone, Debug, PartialEq)]
pub struct EmittedEvent {
    /// How bad it is.
    pub level: Level,
    /// When it happened, Unix milliseconds; 0 for now.
    pub at_ms: i64,
    /// What happened.
    pub name: String,
    /// The particulars, an object; null where there are none.
    pub data: serde_json::Value,
    /// Where its source stands after it; empty for no change.
    pub position: String,
}
