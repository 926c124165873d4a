//! Rollups: what is kept of the samples of a minute or an hour. Pure.
//!
//! Points are folded out of samples, and coarser points merged out of finer ones; the bytes of their chunks are in
//! `codec`. A point belongs to the minute or hour that its samples' times lie in; a counter's interval belongs to
//! the point that it ends in. NaN is no sample: a minute of nothing else has no point. Least, greatest, count,
//! increase and resets are exact. The mean is rounded where it is stored, to 17 significant bits: it is off by at
//! most 2⁻¹⁷ of itself, and never outside of least and greatest; a mean of rounded means is off by 2⁻¹⁶ at most.

mod codec;
#[cfg(test)]
mod tests;

use super::chunk::Samples;
use crate::catalog::Kind;

pub use codec::{decode, encode};

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

    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::Gauge(points) => points.len(),
            Self::Counter(points) => points.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The points of `width_ms` of some samples. `before` is the sample before the first one, where there is one:
/// a counter's first interval begins with it.
pub fn fold(kind: Kind, samples: &Samples, before: Option<(i64, f64)>, width_ms: i64) -> Points {
    let pairs = samples
        .times_ms
        .iter()
        .copied()
        .zip(samples.values.iter().copied());
    match kind {
        Kind::Gauge => Points::Gauge(fold_gauge(pairs, width_ms)),
        Kind::Counter => {
            let gap_ms = usual_step(&samples.times_ms, before) as f64 * GAP_INTERVALS;
            Points::Counter(fold_counter(pairs, before, gap_ms, width_ms))
        }
    }
}

/// Intervals that are looked at to learn how often a series is sampled.
const INTERVALS_PROBED: usize = 63;

/// The usual interval between samples, milliseconds: the median of some of them, so that neither gaps nor the one
/// sample off the grid that comes at each start weigh in. 0 where there is nothing to go by.
pub fn usual_step(times_ms: &[i64], before: Option<(i64, f64)>) -> i64 {
    let intervals = times_ms.len().saturating_sub(1);
    if intervals == 0 {
        let first = before.zip(times_ms.first());
        return first.map_or(0, |((at, _), first)| first - at);
    }
    let taken = intervals.min(INTERVALS_PROBED);
    let mut seen = [0; INTERVALS_PROBED];
    for (n, probe) in seen[..taken].iter_mut().enumerate() {
        let at = n * intervals / taken;
        *probe = times_ms[at + 1] - times_ms[at];
    }
    *seen[..taken].select_nth_unstable(taken / 2).1
}

fn fold_gauge(pairs: impl Iterator<Item = (i64, f64)>, width_ms: i64) -> Vec<GaugePoint> {
    let mut points: Vec<GaugePoint> = Vec::new();
    for (time, value) in pairs.filter(|pair| !pair.1.is_nan()) {
        let at_ms = time - time.rem_euclid(width_ms);
        match points.last_mut().filter(|point| point.at_ms == at_ms) {
            Some(point) => {
                point.count += 1;
                point.min = point.min.min(value);
                point.max = point.max.max(value);
                point.avg += value;
            }
            None => points.push(GaugePoint {
                at_ms,
                count: 1,
                min: value,
                max: value,
                avg: value,
            }),
        }
    }
    for point in &mut points {
        // A sum beyond what an f64 holds leaves the bound that is nearest.
        point.avg = within(point.avg / f64::from(point.count), point.min, point.max);
    }
    points
}

fn fold_counter(
    pairs: impl Iterator<Item = (i64, f64)>,
    mut before: Option<(i64, f64)>,
    gap_ms: f64,
    width_ms: i64,
) -> Vec<CounterPoint> {
    let mut points: Vec<CounterPoint> = Vec::new();
    for (time, value) in pairs.filter(|pair| !pair.1.is_nan()) {
        let at_ms = time - time.rem_euclid(width_ms);
        if points.last().is_none_or(|point| point.at_ms != at_ms) {
            points.push(CounterPoint {
                at_ms,
                count: 0,
                increase: 0.0,
                resets: 0,
                covered_ms: 0,
            });
        }
        let point = points.last_mut().expect("one was pushed");
        point.count += 1;
        if let Some((earlier, last)) = before
            && (time - earlier) as f64 <= gap_ms
        {
            let reset = value < last;
            point.increase += if reset { value } else { value - last };
            point.resets += u32::from(reset);
            point.covered_ms += u32::try_from(time - earlier).unwrap_or(0);
        }
        before = Some((time, value));
    }
    points
}

/// A mean where a mean can be; rounding, and infinities of both signs, would put it elsewhere.
const fn within(avg: f64, min: f64, max: f64) -> f64 {
    avg.max(min).min(max)
}

/// Coarser points out of finer ones.
pub fn merge(points: &Points, width_ms: i64) -> Points {
    match points {
        Points::Gauge(points) => {
            let mut merged: Vec<GaugePoint> = Vec::new();
            for point in points {
                let at_ms = point.at_ms - point.at_ms.rem_euclid(width_ms);
                match merged.last_mut().filter(|merged| merged.at_ms == at_ms) {
                    Some(into) => {
                        let (had, has) = (f64::from(into.count), f64::from(point.count));
                        into.avg = (into.avg * had + point.avg * has) / (had + has);
                        into.count = into.count.saturating_add(point.count);
                        into.min = into.min.min(point.min);
                        into.max = into.max.max(point.max);
                        into.avg = within(into.avg, into.min, into.max);
                    }
                    None => merged.push(GaugePoint { at_ms, ..*point }),
                }
            }
            Points::Gauge(merged)
        }
        Points::Counter(points) => {
            let mut merged: Vec<CounterPoint> = Vec::new();
            for point in points {
                let at_ms = point.at_ms - point.at_ms.rem_euclid(width_ms);
                match merged.last_mut().filter(|merged| merged.at_ms == at_ms) {
                    Some(into) => {
                        into.count = into.count.saturating_add(point.count);
                        into.increase += point.increase;
                        into.resets = into.resets.saturating_add(point.resets);
                        into.covered_ms = into.covered_ms.saturating_add(point.covered_ms);
                    }
                    None => merged.push(CounterPoint { at_ms, ..*point }),
                }
            }
            Points::Counter(merged)
        }
    }
}
