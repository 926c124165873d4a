//! Questions to the store: series by name and label, points of a width, from the level that fits.

use super::StoreError;
use super::engine::Engine;
use super::registry::{Selector, StoredSeries};
use crate::protocol::{Aggregation, Resolution};

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Which series.
    pub selector: Selector,
    /// From here, Unix milliseconds.
    pub from_ms: i64,
    /// Up to here, without it.
    pub to_ms: i64,
    /// How many points at most.
    pub points: u32,
    /// What a point says.
    pub aggregation: Aggregation,
    /// What to read; `None` lets the width of a point decide.
    pub resolution: Option<Resolution>,
}

/// How a question is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Start of the first point.
    pub from_ms: i64,
    /// End of the last point.
    pub to_ms: i64,
    /// Width of a point.
    pub step_ms: i64,
    /// What is read.
    pub resolution: Resolution,
    /// Which series, by metric, then number.
    pub series: Vec<std::sync::Arc<StoredSeries>>,
}

/// The points of one series: one entry a point, NaN where there is a gap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// With an envelope: least of each point.
    pub min: Vec<f64>,
    /// With an envelope the mean, else the aggregation's value.
    pub value: Vec<f64>,
    /// With an envelope: greatest of each point.
    pub max: Vec<f64>,
}

/// Why a question is refused.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It makes no sense; the field and why.
    #[error("{0}: {1}")]
    Bad(&'static str, String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Checks a question and says how it will be answered. No input/output.
    pub fn plan(&self, query: &Query, now_ms: i64) -> Result<Plan, QueryError> {
        let _ = (query, now_ms);
        todo!()
    }

    /// Answers, series by series, several at a time where they lie together; `visit` says false to stop.
    pub fn answer(
        &self,
        plan: &Plan,
        aggregation: Aggregation,
        visit: &mut dyn FnMut(&StoredSeries, &Row) -> bool,
    ) -> Result<(), QueryError> {
        let _ = (plan, aggregation, visit);
        todo!()
    }
}
