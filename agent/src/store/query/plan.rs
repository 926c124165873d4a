//! Width of a point, resolution, and the bounds of a question. Pure.
//!
//! The width is the least that covers the range with so many points, rounded up to whole seconds, minutes or
//! hours, and the ends lie on its multiples: the same question a second later has the same points but for the
//! last, and live samples fold into them without a seam.

use std::sync::Arc;

use super::{Query, QueryError};
use crate::catalog::Kind;
use crate::protocol::{Aggregation, Resolution};
use crate::store::HOUR_MS;
use crate::store::registry::StoredSeries;

/// Points of an answer: more than the pixels of any chart.
pub const POINTS_MAX: u32 = 5_000;
/// Series of an answer: more than any chart shows, and what bounds the time of a query.
pub const SERIES_MAX: usize = 500;
/// Buckets × points of a question for percentiles: all buckets of a histogram are held at once, 32 bytes each.
pub(super) const BUCKET_POINTS_MAX: usize = 500_000;
/// Length of a range: far beyond every retention, and so small that no arithmetic on it can overflow.
const RANGE_MAX_MS: i64 = 20 * 366 * 24 * HOUR_MS;
/// The year 2500: above it a time was most likely meant in other units.
const TIME_MAX_MS: i64 = 16_725_225_600_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Where the points of an answer lie, and what they are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) step_ms: i64,
    pub(super) resolution: Resolution,
}

/// Checks range and points and says where they lie.
pub(super) fn shape(query: &Query, now_ms: i64) -> Result<Shape, QueryError> {
    let bad = |field, message: String| Err(QueryError::Bad(field, message));
    for (field, at_ms) in [("to", query.to_ms), ("from", query.from_ms)] {
        if !(0..=TIME_MAX_MS).contains(&at_ms) {
            return bad(
                field,
                format!("{at_ms} is no time in Unix milliseconds, from 0 up to {TIME_MAX_MS}"),
            );
        }
    }
    if query.from_ms >= query.to_ms {
        return bad("from", "must be before `to`".to_owned());
    }
    let range_ms = query.to_ms - query.from_ms;
    if range_ms > RANGE_MAX_MS {
        return bad(
            "from",
            "the range is longer than 20 years; ask for less".to_owned(),
        );
    }
    if !(1..=POINTS_MAX).contains(&query.points) {
        return bad("points", format!("must be 1 up to {POINTS_MAX}"));
    }
    let least_ms = ceil(range_ms, i64::from(query.points), 1);
    let forced_ms = match query.resolution {
        Some(Resolution::Hour) => HOUR_MS,
        Some(Resolution::Minute) => MINUTE_MS,
        _ => 1_000,
    };
    let width_ms = least_ms.max(forced_ms);
    let raw = query.resolution == Some(Resolution::Raw);
    let unit_ms = match width_ms {
        HOUR_MS.. if !raw => HOUR_MS,
        MINUTE_MS.. if !raw => MINUTE_MS,
        _ => 1_000,
    };
    // The first rounding can lift it to the next unit: 59.5 minutes are an hour.
    let step_ms = ceil(width_ms, unit_ms, unit_ms);
    let last = query.aggregation == Aggregation::Last;
    let resolution = query.resolution.unwrap_or(match step_ms {
        // Rollups have no last value; of the promised day there are samples.
        _ if last && query.from_ms >= now_ms - DAY_MS => Resolution::Raw,
        HOUR_MS.. => Resolution::Hour,
        MINUTE_MS.. => Resolution::Minute,
        _ => Resolution::Raw,
    });
    Ok(Shape {
        from_ms: query.from_ms / step_ms * step_ms,
        to_ms: ceil(query.to_ms, step_ms, step_ms),
        step_ms,
        resolution,
    })
}

/// `value / by`, rounded up, times `unit`.
fn ceil(value: i64, by: i64, unit: i64) -> i64 {
    (value + by - 1) / by * unit
}

/// Of the series that match, those that the question is about, in the order of the answer.
pub(super) fn series(
    matched: Vec<Arc<StoredSeries>>,
    query: &Query,
) -> Result<Vec<Arc<StoredSeries>>, QueryError> {
    let oldest_day = query.from_ms / DAY_MS;
    let any = !matched.is_empty();
    let mut series = matched;
    // What was last seen before the range has nothing in it. A day of slack: days are written when they turn.
    series.retain(|series| series.last_day == 0 || i64::from(series.last_day) + 1 >= oldest_day);
    let recent = !series.is_empty();
    let word = match query.aggregation {
        aggregation if super::histogram::quantile(aggregation).is_some() => {
            series.retain(|series| super::histogram::bound(series).is_some());
            "histogram buckets (counters with a label `le`)"
        }
        Aggregation::Rate | Aggregation::Increase => {
            series.retain(|series| series.kind == Kind::Counter);
            "counters"
        }
        _ => "series",
    };
    if any && recent && series.is_empty() {
        let message = format!("it is about {word}, and none of the matching series is one");
        return Err(QueryError::Bad("agg", message));
    }
    if series.len() > SERIES_MAX {
        let message = format!(
            "{} series match, at most {SERIES_MAX} are answered at a time; narrow it by name, label or collector",
            series.len()
        );
        return Err(QueryError::Bad("metric", message));
    }
    Ok(series)
}

/// Refuses a question for percentiles that would hold too much at once.
pub(super) fn check_buckets(buckets: usize, points: usize) -> Result<(), QueryError> {
    if buckets * points <= BUCKET_POINTS_MAX {
        return Ok(());
    }
    let message = format!(
        "{buckets} buckets of {points} points are more than {BUCKET_POINTS_MAX} values; ask for fewer points or one \
         histogram at a time"
    );
    Err(QueryError::Bad("points", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::registry::Selector;

    const DAY: i64 = DAY_MS;

    fn query(from_ms: i64, to_ms: i64, points: u32, resolution: Option<Resolution>) -> Query {
        Query {
            selector: Selector::default(),
            from_ms,
            to_ms,
            points,
            aggregation: Aggregation::Envelope,
            resolution,
        }
    }

    #[test]
    fn widths_and_resolutions() {
        use Resolution::{Hour, Minute, Raw};
        let now = 1_700_000_123_456;
        for (range, points, forced, step, resolution) in [
            (60_000, 500, None, 1_000, Raw),
            (300_000, 500, None, 1_000, Raw),
            (HOUR_MS, 500, None, 8_000, Raw),
            (6 * HOUR_MS, 500, None, 44_000, Raw),
            (DAY, 500, None, 180_000, Minute),
            (DAY, 500, Some(Raw), 173_000, Raw),
            (DAY, 1_440, None, 60_000, Minute),
            (DAY, 1_441, None, 60_000, Minute),
            (DAY, 24, None, HOUR_MS, Hour),
            (DAY, 24, Some(Raw), HOUR_MS, Raw),
            (30 * DAY, 500, None, 2 * HOUR_MS, Hour),
            (30 * DAY, 800, None, 54 * 60_000, Minute),
            (HOUR_MS, 500, Some(Minute), 60_000, Minute),
            (HOUR_MS, 500, Some(Hour), HOUR_MS, Hour),
            (DAY, 500, Some(Hour), HOUR_MS, Hour),
        ] {
            let query = query(now - range, now, points, forced);
            let shape = shape(&query, now).unwrap();
            let got = (shape.step_ms, shape.resolution);
            assert_eq!(got, (step, resolution), "{range} in {points}, {forced:?}");
            assert_eq!((shape.from_ms % step, shape.to_ms % step), (0, 0));
            assert!(shape.from_ms <= query.from_ms && shape.from_ms > query.from_ms - step);
            assert!(shape.to_ms >= query.to_ms && shape.to_ms < query.to_ms + step);
            assert!((shape.to_ms - shape.from_ms) / step <= i64::from(points) + 1);
        }
    }

    #[test]
    fn the_last_value_of_the_promised_day_is_read_from_samples() {
        let now = 100 * DAY;
        for (from, resolution) in [
            (now - DAY, Resolution::Raw),
            (now - DAY - 1, Resolution::Minute),
        ] {
            let query = Query {
                aggregation: Aggregation::Last,
                ..query(from, now, 500, None)
            };
            let shape = shape(&query, now).unwrap();
            assert_eq!((shape.resolution, shape.step_ms), (resolution, 180_000));
        }
    }

    #[test]
    fn nonsense_is_refused_by_field() {
        for (from, to, points, field) in [
            (-1, 10, 500, "from"),
            (10, 10, 500, "from"),
            (11, 10, 500, "from"),
            (0, i64::MAX, 500, "to"),
            (0, TIME_MAX_MS, 500, "from"),
            (0, 10, 0, "points"),
            (0, 10, 5_001, "points"),
        ] {
            match shape(&query(from, to, points, None), 0) {
                Err(QueryError::Bad(named, _)) => assert_eq!(named, field, "{from} {to} {points}"),
                other => panic!("{from} {to} {points}: {other:?}"),
            }
        }
    }

    #[test]
    fn series_without_a_sense_are_left_out_and_too_many_refused() {
        let one = |id: u32, kind, last_day| {
            Arc::new(StoredSeries {
                id,
                last_day,
                ..super::super::tests::stored("m", kind, &[])
            })
        };
        let mut ask = query(30 * DAY, 31 * DAY, 500, None);
        let all = vec![
            one(1, Kind::Gauge, 31),
            one(2, Kind::Counter, 29),
            one(3, Kind::Counter, 28),
        ];
        let ids = |ask: &Query| {
            let found = series(all.clone(), ask).unwrap();
            found.iter().map(|series| series.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&ask), [1, 2]);
        ask.aggregation = Aggregation::Rate;
        assert_eq!(ids(&ask), [2]);
        ask.aggregation = Aggregation::P99;
        let refused = series(all.clone(), &ask);
        assert!(
            matches!(refused, Err(QueryError::Bad("agg", _))),
            "{refused:?}"
        );
        let many = (0..501).map(|id| one(id, Kind::Gauge, 0)).collect();
        ask.aggregation = Aggregation::Avg;
        let refused = series(many, &ask);
        assert!(
            matches!(refused, Err(QueryError::Bad("metric", _))),
            "{refused:?}"
        );
    }
}
