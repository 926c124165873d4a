//! Questions to the store: series by name and label, points of a width, from the level that fits.
//!
//! `plan` checks a question and says where its points lie, `pieces` which blocks answer which part of it, `read`
//! reads them a few series at a time, `epochs` makes one line of time out of several, `fold` makes points of
//! samples, `histogram` makes percentiles of buckets. All but `read` are pure. A question is answered while the
//! store is written to; it holds no lock for longer than one read and changes nothing.

mod epochs;
mod fold;
mod histogram;
mod pieces;
mod plan;
mod read;

use super::StoreError;
use super::engine::Engine;
use super::registry::{Selector, StoredSeries};
use crate::protocol::{Aggregation, Resolution};
pub(super) use epochs::newest_wins;
use fold::{Fold, Grid};
pub use plan::{POINTS_MAX, SERIES_MAX};
use read::Reader;

/// Points of all series that are folded at a time, 32 bytes each: what a question holds in memory.
const BATCH_POINTS: usize = 40_000;
/// Series that are read together at most: more than there are in a group.
const BATCH_SERIES_MAX: usize = 64;
/// … and at least, so that a group is not fetched for each of its series.
const BATCH_SERIES_MIN: usize = 8;

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Which series.
    pub selector: Selector,
    /// From here, Unix milliseconds.
    pub from_ms: i64,
    /// Up to here, without it.
    pub to_ms: i64,
    /// How many points at most; one more where the ends of the range lie between two of them.
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
    /// They were asked for by name: those without a sample in the range are answered as well.
    pub by_name: bool,
}

impl Plan {
    /// How many points each series has.
    pub fn points(&self) -> usize {
        usize::try_from((self.to_ms - self.from_ms) / self.step_ms).unwrap_or(0)
    }
}

/// How an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Why it is not all that was asked for: a limit, or what is damaged.
    pub stopped: Option<String>,
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
        let shape = plan::shape(query, now_ms)?;
        let names = &query.selector.matching.metrics;
        let plan = Plan {
            from_ms: shape.from_ms,
            to_ms: shape.to_ms,
            step_ms: shape.step_ms,
            resolution: shape.resolution,
            series: plan::series(self.registry.select(&query.selector), query)?,
            by_name: !names.is_empty() && !names.iter().any(|name| name.contains('*')),
        };
        if histogram::quantile(query.aggregation).is_some() {
            plan::check_buckets(plan.series.len(), plan.points())?;
        }
        Ok(plan)
    }

    /// Answers, series by series, several at a time where they lie together; `visit` says false to stop.
    pub fn answer(
        &self,
        plan: &Plan,
        aggregation: Aggregation,
        visit: &mut dyn FnMut(&StoredSeries, &Row) -> bool,
    ) -> Result<Answered, QueryError> {
        self.answer_while(plan, aggregation, &mut || true, visit)
    }

    /// The same; it stops soon after `go_on` says false.
    pub fn answer_while(
        &self,
        plan: &Plan,
        aggregation: Aggregation,
        go_on: &mut dyn FnMut() -> bool,
        visit: &mut dyn FnMut(&StoredSeries, &Row) -> bool,
    ) -> Result<Answered, QueryError> {
        let grid = Grid {
            from_ms: plan.from_ms,
            step_ms: plan.step_ms,
            points: plan.points(),
        };
        let range = (plan.from_ms, plan.to_ms);
        let inventory = read::inventory(self, range)?;
        let pieces = pieces::pieces(plan.resolution, range, &inventory);
        let mut reader = Reader::new(self, grid, &pieces, go_on);
        match histogram::quantile(aggregation) {
            Some(quantile) => percentiles(&mut reader, plan, quantile, visit),
            None => rows(&mut reader, plan, aggregation, visit),
        }
        Ok(Answered {
            stopped: reader.stopped,
        })
    }
}

fn rows(
    reader: &mut Reader<'_>,
    plan: &Plan,
    aggregation: Aggregation,
    visit: &mut dyn FnMut(&StoredSeries, &Row) -> bool,
) {
    let together = (BATCH_POINTS / plan.points().max(1)).clamp(BATCH_SERIES_MIN, BATCH_SERIES_MAX);
    let mut folds: Vec<Fold> = (0..together.min(plan.series.len()))
        .map(|_| Fold::new())
        .collect();
    let mut row = Row::default();
    for series in plan.series.chunks(together) {
        if !reader.fold(series, aggregation, &mut folds[..series.len()]) {
            return;
        }
        for (series, fold) in series.iter().zip(&folds) {
            if !fold.any() && !plan.by_name {
                continue;
            }
            fold.row(aggregation, &mut row);
            if !visit(series, &row) {
                return;
            }
        }
    }
}

fn percentiles(
    reader: &mut Reader<'_>,
    plan: &Plan,
    quantile: f64,
    visit: &mut dyn FnMut(&StoredSeries, &Row) -> bool,
) {
    let mut buckets = plan.series.clone();
    let mut rest = &mut buckets[..];
    let lengths = histogram::group(rest);
    let mut folds = Vec::new();
    let mut row = Row::default();
    for length in lengths {
        let (group, others) = std::mem::take(&mut rest).split_at_mut(length);
        rest = others;
        folds.resize_with(folds.len().max(length), Fold::new);
        let folds = &mut folds[..length];
        if !reader.fold(group, Aggregation::Increase, folds) {
            return;
        }
        if !folds.iter().any(Fold::any) && !plan.by_name {
            continue;
        }
        let bounds: Vec<f64> = group
            .iter()
            .filter_map(|bucket| histogram::bound(bucket))
            .collect();
        histogram::quantiles(quantile, &bounds, folds, plan.points(), &mut row.value);
        if !visit(&histogram::whole(&group[0]), &row) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
