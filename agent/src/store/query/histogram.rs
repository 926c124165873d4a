//! Percentiles over time from a histogram's buckets. Pure.
//!
//! A histogram is stored as counters, one a bucket, whose label `le` is the bucket's upper bound; counts are
//! cumulative over the buckets, as Prometheus has them. Buckets that agree in metric, collector and all other
//! labels are one histogram. A percentile of a point is found in the buckets' increases within it, linear
//! between the bounds of the bucket in which it lies: the error is at most the width of that bucket.

use std::sync::Arc;

use super::fold::Fold;
use crate::catalog::{BOUND_LABEL, Kind, Unit};
use crate::protocol::{Aggregation, Labels};
use crate::store::registry::StoredSeries;

/// The quantile that an aggregation asks for.
pub(super) const fn quantile(aggregation: Aggregation) -> Option<f64> {
    match aggregation {
        Aggregation::P50 => Some(0.5),
        Aggregation::P90 => Some(0.9),
        Aggregation::P95 => Some(0.95),
        Aggregation::P99 => Some(0.99),
        _ => None,
    }
}

/// The upper bound of a bucket; `None` for a series that is no bucket.
pub(super) fn bound(series: &StoredSeries) -> Option<f64> {
    let bound = series.labels.get(BOUND_LABEL)?.parse().ok()?;
    (series.kind == Kind::Counter && !f64::is_nan(bound)).then_some(bound)
}

/// Brings the buckets of each histogram together, ascending by bound, and says how many each has.
pub(super) fn group(buckets: &mut [Arc<StoredSeries>]) -> Vec<usize> {
    let of = |series: &StoredSeries| bound(series).unwrap_or(f64::NAN);
    buckets.sort_by(|a, b| of(a).total_cmp(&of(b)));
    // Stable, so that the bounds of each histogram stay in order.
    buckets.sort_by_cached_key(|series| {
        let labels: Vec<_> = labels(series).into_iter().collect();
        (series.metric.clone(), series.collector.clone(), labels)
    });
    buckets
        .chunk_by(|a, b| {
            a.metric == b.metric && a.collector == b.collector && labels(a) == labels(b)
        })
        .map(<[_]>::len)
        .collect()
}

/// The series under which a histogram's percentiles are answered: its buckets without their bound.
pub(super) fn whole(bucket: &StoredSeries) -> StoredSeries {
    let base = bucket
        .metric
        .strip_suffix("_bucket")
        .unwrap_or(&bucket.metric);
    let unit = match base.rsplit('_').next() {
        Some("seconds") => Unit::Seconds,
        Some("bytes") => Unit::Bytes,
        Some("ratio") => Unit::Ratio,
        _ => Unit::Count,
    };
    StoredSeries {
        kind: Kind::Gauge,
        unit,
        labels: labels(bucket),
        ..bucket.clone()
    }
}

fn labels(bucket: &StoredSeries) -> Labels {
    let others = bucket
        .labels
        .iter()
        .filter(|(name, _)| *name != BOUND_LABEL);
    others
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The quantile of each point; NaN where nothing was observed. `bounds` ascend, parallel to `folds`.
pub(super) fn quantiles(
    quantile: f64,
    bounds: &[f64],
    folds: &[Fold],
    points: usize,
    out: &mut Vec<f64>,
) {
    let mut buckets = Vec::with_capacity(bounds.len());
    out.clear();
    for index in 0..points {
        buckets.clear();
        let known = bounds.iter().zip(folds);
        buckets.extend(
            known.filter_map(|(bound, fold)| fold.increase(index).map(|count| (*bound, count))),
        );
        out.push(interpolate(quantile, &mut buckets));
    }
}

/// The quantile of cumulative counts by upper bound, ascending.
fn interpolate(quantile: f64, buckets: &mut [(f64, f64)]) -> f64 {
    // Buckets are read one after another, so that a lower one can be a little ahead of the next.
    let mut most = 0.0_f64;
    for (_, count) in buckets.iter_mut() {
        most = most.max(*count);
        *count = most;
    }
    let [finite @ .., (last, observed)] = &*buckets else {
        return f64::NAN;
    };
    // Without the bucket of everything nobody knows what was observed above the greatest bound.
    if *last != f64::INFINITY || finite.is_empty() || *observed <= 0.0 {
        return f64::NAN;
    }
    let rank = quantile * observed;
    let place = finite.partition_point(|(_, count)| *count < rank);
    let Some(&(upper, count)) = finite.get(place) else {
        return finite[finite.len() - 1].0;
    };
    let (lower, below) = match place.checked_sub(1) {
        Some(before) => finite[before],
        // Observations are not below 0 unless the first bound says that they are.
        None if upper <= 0.0 => return upper,
        None => (0.0, 0.0),
    };
    if count <= below {
        return lower;
    }
    lower + (upper - lower) * (rank - below) / (count - below)
}

#[cfg(test)]
mod tests {
    use super::super::tests::stored;
    use super::*;

    /// Bounds and cumulative counts.
    type Buckets<'a> = &'a [(f64, f64)];

    #[test]
    #[expect(clippy::float_cmp, reason = "the cases are exact in binary")]
    fn quantiles_lie_linearly_within_their_bucket() {
        let inf = f64::INFINITY;
        let cases: &[(f64, Buckets, f64)] = &[
            (0.5, &[(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 1.0),
            (0.75, &[(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 1.5),
            (0.25, &[(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 0.5),
            // In the last bucket only its lower bound is known.
            (0.99, &[(1.0, 10.0), (2.0, 20.0), (inf, 40.0)], 2.0),
            // A first bound below 0 has no lower one.
            (0.5, &[(-1.0, 10.0), (inf, 10.0)], -1.0),
            // Counts that fall are lifted.
            (0.5, &[(1.0, 10.0), (2.0, 8.0), (inf, 10.0)], 0.5),
            // An empty bucket in between is stepped over.
            (0.75, &[(1.0, 4.0), (2.0, 4.0), (4.0, 8.0), (inf, 8.0)], 3.0),
        ];
        for (quantile, buckets, expected) in cases {
            let got = interpolate(*quantile, &mut buckets.to_vec());
            assert_eq!(got, *expected, "{quantile} of {buckets:?}");
        }
        for nothing in [
            &[][..],
            &[(inf, 5.0)],
            &[(1.0, 5.0), (2.0, 5.0)],
            &[(1.0, 0.0), (inf, 0.0)],
        ] {
            assert!(
                interpolate(0.5, &mut nothing.to_vec()).is_nan(),
                "{nothing:?}"
            );
        }
    }

    #[test]
    fn buckets_of_a_histogram_come_together_by_bound() {
        let bucket = |id, le: &str, path: &str| {
            let labels = [("le", le), ("path", path)];
            let series = stored("http_seconds_bucket", Kind::Counter, &labels);
            Arc::new(StoredSeries { id, ..series })
        };
        let mut buckets = vec![
            bucket(1, "+Inf", "/a"),
            bucket(2, "10", "/a"),
            bucket(3, "+Inf", "/b"),
            bucket(4, "2.5", "/a"),
            bucket(5, "1", "/b"),
        ];
        assert_eq!(group(&mut buckets), [3, 2]);
        let ids: Vec<_> = buckets.iter().map(|bucket| bucket.id).collect();
        assert_eq!(ids, [4, 2, 1, 5, 3]);
        let whole = whole(&buckets[0]);
        assert_eq!((whole.kind, whole.unit), (Kind::Gauge, Unit::Seconds));
        assert_eq!(
            whole.labels.into_iter().collect::<Vec<_>>(),
            [("path".to_owned(), "/a".to_owned())]
        );
        assert_eq!(bound(&stored("m", Kind::Gauge, &[("le", "1")])), None);
        assert_eq!(bound(&stored("m", Kind::Counter, &[("le", "x")])), None);
    }
}
