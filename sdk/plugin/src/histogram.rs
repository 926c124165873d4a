//! Histograms: how often values fell into each of a metric's buckets.
//!
//! An author declares the buckets' upper bounds once, then either observes values, which the SDK counts, or
//! hands over the counts of a source that counts itself. A [`Series`] of this kind has no other way to be
//! given a value, so that it can't be mixed up with a gauge or a counter. The agent keeps the three counters
//! that Prometheus has for it: `NAME_bucket` with the label `le`, `NAME_sum` and `NAME_count`.

use crate::{
    Sink, abi,
    family::{Family, Kind, Number, Series},
};

/// Most bounds that a histogram may have; each is a series of its own in the agent.
pub(crate) const BOUNDS_MAX: usize = 64;

/// Marks a family of histograms.
#[derive(Clone, Copy, Debug)]
pub enum HistogramKind {}

impl Kind for HistogramKind {
    const CODE: u32 = abi::KIND_HISTOGRAM;
}

/// A family of histograms, made by [`Setup::histogram`](crate::Setup::histogram).
pub type Histogram<const N: usize = 0> = Family<HistogramKind, N>;

impl Histogram<0> {
    /// Counts a value in the only series of a family without labels; see [`Series::observe`].
    pub fn observe(&self, out: &mut Sink<'_>, value: impl Number) {
        self.with(out, []).observe(value);
    }

    /// Samples the only series of a family without labels; see `Series::set`.
    pub fn set(&self, out: &mut Sink<'_>, counts: &[u64], sum: impl Number) {
        self.with(out, []).set(counts, sum);
    }
}

impl<const N: usize> Series<'_, HistogramKind, N> {
    /// Counts a value, in the metric's unit, in the bucket with the lowest bound that is not below it. It
    /// counts in ticks for which the metric is not due, and in failed ones, too. NaN and infinities are not
    /// counted.
    ///
    /// The SDK keeps the counts; such a series is sampled at every tick of its tier from then on, and never
    /// retired.
    pub fn observe(self, value: impl Number) {
        let (registry, family, labels) = self.into_parts();
        registry.observe(family, &labels, value.into_sample());
    }

    /// Samples what the source itself has counted so far: for each bucket how many values fell into it and
    /// into none before it, with one count more than there are bounds for what is above the last, and the
    /// sum of all values. A wrong number of counts is a warning and no sample.
    ///
    /// Where the source gives cumulative buckets, as Prometheus does, each count is the difference to the
    /// one before it.
    pub fn set(self, counts: &[u64], sum: impl Number) {
        let (registry, family, labels) = self.into_parts();
        registry.set_histogram(family, &labels, counts, sum.into_sample());
    }
}

/// The buckets of one metric.
#[derive(Debug)]
pub(crate) struct Buckets {
    metric: String,
    /// Finite and ascending, at least one.
    bounds: Vec<f64>,
}

impl Buckets {
    /// Checks the bounds; the error is for the plugin's author.
    pub(crate) fn new(metric: &str, bounds: Vec<f64>) -> Result<Self, String> {
        if bounds.is_empty() {
            return Err("has no buckets: give their upper bounds with `buckets`".to_owned());
        }
        if bounds.len() > BOUNDS_MAX {
            let count = bounds.len();
            return Err(format!(
                "has {count} buckets, {BOUNDS_MAX} is the most that there may be"
            ));
        }
        if let Some(bound) = bounds.iter().find(|bound| !bound.is_finite()) {
            return Err(format!(
                "has the bound {bound}: bounds are finite, and what is above the last has a bucket already"
            ));
        }
        if let Some(pair) = bounds.windows(2).find(|pair| pair[0] >= pair[1]) {
            let (before, after) = (pair[0], pair[1]);
            return Err(format!(
                "has the bound {after} after {before}: bounds ascend"
            ));
        }
        Ok(Self {
            metric: metric.to_owned(),
            bounds,
        })
    }

    pub(crate) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    pub(crate) fn empty(&self) -> Counts {
        Counts {
            of_buckets: vec![0; self.bounds.len() + 1].into(),
            sum: 0.0,
            is_observed: false,
        }
    }

    /// What is wrong with the number of counts.
    pub(crate) fn mismatch(&self, counts: &[u64]) -> Option<String> {
        let (expected, found) = (self.bounds.len() + 1, counts.len());
        (expected != found).then(|| {
            let metric = &self.metric;
            format!("{metric} needs {expected} counts, one a bucket, and was given {found}")
        })
    }
}

/// The counts of one series.
#[derive(Debug, PartialEq)]
pub(crate) struct Counts {
    /// One for each bound, and one for what is above the last.
    of_buckets: Box<[u64]>,
    sum: f64,
    is_observed: bool,
}

impl Counts {
    pub(crate) fn observe(&mut self, buckets: &Buckets, value: f64) {
        let bucket = buckets.bounds.partition_point(|bound| *bound < value);
        self.of_buckets[bucket] += 1;
        self.sum += value;
        self.is_observed = true;
    }

    /// `counts` was found to have the right length.
    pub(crate) fn set(&mut self, counts: &[u64], sum: f64) {
        self.of_buckets.copy_from_slice(counts);
        self.sum = sum;
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.is_observed
    }

    pub(crate) fn of_buckets(&self) -> &[u64] {
        &self.of_buckets
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests;
