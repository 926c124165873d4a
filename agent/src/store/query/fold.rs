//! Folds samples and rollup points into the points of an answer. Pure, and the hot part of every query.
//!
//! A chunk's samples are cut into the slices of one point each, so that the loops over values have neither a
//! division nor a look at the clock in them. A counter's interval belongs to the point in which it ends, as in
//! [`rollup`](crate::store::rollup). A rollup point that is wider than the answer's is spread over those that
//! it covers, in proportion; nothing finer is known.

use super::Row;
use crate::catalog::Kind;
use crate::protocol::Aggregation;
use crate::store::chunk::Samples;
use crate::store::rollup::{CounterPoint, GAP_INTERVALS, GaugePoint, Points, usual_step};

/// Where nothing else is known, a counter's interval above this is a gap: 2.5 of the slow tier's.
const GAP_UNKNOWN_MS: f64 = 75_000.0;

/// Where the points of an answer lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// Start of the first.
    pub(super) from_ms: i64,
    /// Width of each.
    pub(super) step_ms: i64,
    /// How many.
    pub(super) points: usize,
}

impl Grid {
    /// End of the last point.
    pub(super) fn to_ms(self) -> i64 {
        self.from_ms + self.step_ms * i64::try_from(self.points).unwrap_or(0)
    }

    /// The point of a moment within the grid.
    fn index(self, at_ms: i64) -> usize {
        usize::try_from((at_ms - self.from_ms) / self.step_ms).unwrap_or(0)
    }

    fn end_of(self, index: usize) -> i64 {
        self.from_ms + self.step_ms * (i64::try_from(index).unwrap_or(0) + 1)
    }
}

/// What the points of one series hold so far.
#[derive(Debug)]
pub(super) struct Fold {
    kind: Kind,
    min: Vec<f64>,
    max: Vec<f64>,
    /// Of a gauge the sum of its values, of a counter its increase.
    sum: Vec<f64>,
    /// Of a gauge the number of samples, of a counter the milliseconds that its intervals cover.
    weight: Vec<f64>,
    /// The last value; only kept when it is asked for.
    last: Vec<f64>,
    before: Option<Before>,
    gap_ms: Option<f64>,
    any: bool,
}

/// The sample with which a counter's next interval begins.
#[derive(Clone, Copy, Debug)]
struct Before {
    epoch: u16,
    at_ms: i64,
    value: f64,
}

impl Fold {
    /// Nothing yet; it is made ready by [`Fold::begin`].
    pub(super) fn new() -> Self {
        Self {
            kind: Kind::Gauge,
            min: Vec::new(),
            max: Vec::new(),
            sum: Vec::new(),
            weight: Vec::new(),
            last: Vec::new(),
            before: None,
            gap_ms: None,
            any: false,
        }
    }

    /// Starts a series; the memory of the one before is used again.
    pub(super) fn begin(&mut self, kind: Kind, aggregation: Aggregation, points: usize) {
        let refill = |list: &mut Vec<f64>, value: f64, length: usize| {
            list.clear();
            list.resize(length, value);
        };
        self.kind = kind;
        refill(&mut self.min, f64::INFINITY, points);
        refill(&mut self.max, f64::NEG_INFINITY, points);
        refill(&mut self.sum, 0.0, points);
        refill(&mut self.weight, 0.0, points);
        let last = if aggregation == Aggregation::Last {
            points
        } else {
            0
        };
        refill(&mut self.last, f64::NAN, last);
        self.before = None;
        self.gap_ms = None;
        self.any = false;
    }

    /// Whether a sample or a rollup point was in the range.
    pub(super) const fn any(&self) -> bool {
        self.any
    }

    /// A counter's increase in a point; `None` where no interval ended.
    pub(super) fn increase(&self, index: usize) -> Option<f64> {
        (self.weight[index] > 0.0).then(|| self.sum[index])
    }

    /// The sample before the first one that is going to be added: a counter's first interval begins with it.
    pub(super) fn prime(&mut self, epoch: u16, at_ms: i64, value: f64) {
        self.before = Some(Before {
            epoch,
            at_ms,
            value,
        });
    }

    /// Adds those samples that are in `[from_ms, to_ms)` and on the grid. Calls come in the order of time.
    pub(super) fn samples(
        &mut self,
        grid: Grid,
        epoch: u16,
        samples: &Samples,
        (from_ms, to_ms): (i64, i64),
    ) {
        let times = &samples.times_ms[..];
        let values = &samples.values[..times.len()];
        let start = times.partition_point(|at| *at < from_ms.max(grid.from_ms));
        let end = times.partition_point(|at| *at < to_ms.min(grid.to_ms()));
        if self.kind == Kind::Counter {
            if times.len() > 1 {
                self.gap_ms = Some(usual_step(times, None) as f64 * GAP_INTERVALS);
            }
            // Samples of the same chunk that lie before the range are what its first interval begins with.
            let within = times.partition_point(|at| *at < from_ms);
            if start > within {
                self.prime(epoch, times[start - 1], values[start - 1]);
            }
        }
        self.any |= start < end;
        let mut first = start;
        while first < end {
            let index = grid.index(times[first]);
            let bound = grid.end_of(index);
            let next = first + times[first..end].partition_point(|at| *at < bound);
            match self.kind {
                Kind::Gauge => self.gauge_slice(index, &values[first..next]),
                Kind::Counter => {
                    self.counter_slice(index, epoch, &times[first..next], &values[first..next]);
                }
            }
            if let Some(last) = self.last.get_mut(index) {
                *last = values[next - 1];
            }
            first = next;
        }
    }

    fn gauge_slice(&mut self, index: usize, values: &[f64]) {
        let (mut min, mut max) = (self.min[index], self.max[index]);
        let (mut sum, mut count) = (0.0, 0_u32);
        for &value in values {
            // NaN is no value: both comparisons are false for it, and the sum leaves it out.
            min = if value < min { value } else { min };
            max = if value > max { value } else { max };
            sum += if value.is_nan() { 0.0 } else { value };
            count += u32::from(!value.is_nan());
        }
        self.min[index] = min;
        self.max[index] = max;
        self.sum[index] += sum;
        self.weight[index] += f64::from(count);
    }

    fn counter_slice(&mut self, index: usize, epoch: u16, times: &[i64], values: &[f64]) {
        let gap_ms = self.gap_ms.unwrap_or(GAP_UNKNOWN_MS);
        let (mut min, mut max) = (self.min[index], self.max[index]);
        let (mut sum, mut covered) = (0.0, 0.0);
        let mut before = self.before.filter(|before| before.epoch == epoch);
        let (mut usual_ms, mut per_second) = (1_000, 1.0);
        for (&at_ms, &value) in times.iter().zip(values) {
            if value.is_nan() {
                continue;
            }
            if let Some(before) = before {
                let interval_ms = at_ms - before.at_ms;
                if interval_ms > 0 && interval_ms as f64 <= gap_ms {
                    let grown = value - before.value;
                    let increase = if grown < 0.0 { value } else { grown };
                    if interval_ms != usual_ms {
                        usual_ms = interval_ms;
                        per_second = 1_000.0 / interval_ms as f64;
                    }
                    let rate = increase * per_second;
                    min = if rate < min { rate } else { min };
                    max = if rate > max { rate } else { max };
                    sum += increase;
                    covered += interval_ms as f64;
                }
            }
            before = Some(Before {
                epoch,
                at_ms,
                value,
            });
        }
        self.before = before;
        self.min[index] = min;
        self.max[index] = max;
        self.sum[index] += sum;
        self.weight[index] += covered;
    }

    /// Adds those rollup points of `width_ms` that begin in `[from_ms, to_ms)` and touch the grid.
    pub(super) fn points(
        &mut self,
        grid: Grid,
        points: &Points,
        width_ms: i64,
        (from_ms, to_ms): (i64, i64),
    ) {
        // What comes after a rollup begins with a sample that is not known.
        self.before = None;
        let wanted = |at_ms: i64| {
            at_ms >= from_ms
                && at_ms < to_ms
                && at_ms < grid.to_ms()
                && at_ms + width_ms > grid.from_ms
        };
        match points {
            Points::Gauge(points) => {
                for point in points.iter().filter(|point| wanted(point.at_ms)) {
                    self.spread(grid, point.at_ms, width_ms, |fold, index, share| {
                        fold.gauge_point(index, point, share);
                    });
                }
            }
            Points::Counter(points) => {
                for point in points.iter().filter(|point| wanted(point.at_ms)) {
                    self.spread(grid, point.at_ms, width_ms, |fold, index, share| {
                        fold.counter_point(index, point, share);
                    });
                }
            }
        }
    }

    /// Calls `add` for each point of the grid that `[at_ms, at_ms + width_ms)` covers, with its share of it.
    fn spread(
        &mut self,
        grid: Grid,
        at_ms: i64,
        width_ms: i64,
        add: impl Fn(&mut Self, usize, f64),
    ) {
        self.any = true;
        let end_ms = (at_ms + width_ms).min(grid.to_ms());
        let mut from_ms = at_ms.max(grid.from_ms);
        while from_ms < end_ms {
            let index = grid.index(from_ms);
            let until_ms = grid.end_of(index).min(end_ms);
            let share = if until_ms - from_ms == width_ms {
                1.0
            } else {
                (until_ms - from_ms) as f64 / width_ms as f64
            };
            add(self, index, share);
            from_ms = until_ms;
        }
    }

    fn gauge_point(&mut self, index: usize, point: &GaugePoint, share: f64) {
        let weight = f64::from(point.count) * share;
        if point.avg.is_nan() {
            return;
        }
        self.min[index] = self.min[index].min(point.min);
        self.max[index] = self.max[index].max(point.max);
        self.sum[index] += point.avg * weight;
        self.weight[index] += weight;
        if let Some(last) = self.last.get_mut(index) {
            *last = point.avg;
        }
    }

    fn counter_point(&mut self, index: usize, point: &CounterPoint, share: f64) {
        if point.covered_ms == 0 {
            return;
        }
        let covered_ms = f64::from(point.covered_ms);
        let rate = point.increase * 1_000.0 / covered_ms;
        self.min[index] = self.min[index].min(rate);
        self.max[index] = self.max[index].max(rate);
        self.sum[index] += point.increase * share;
        self.weight[index] += covered_ms * share;
    }

    /// Writes the points as the aggregation wants them; NaN where nothing is known.
    pub(super) fn row(&self, aggregation: Aggregation, row: &mut Row) {
        row.min.clear();
        row.value.clear();
        row.max.clear();
        let known = |value: f64, weight: f64| if weight > 0.0 { value } else { f64::NAN };
        let bounds = |values: &[f64], list: &mut Vec<f64>| {
            list.extend(values.iter().zip(&self.weight).map(|(v, w)| known(*v, *w)));
        };
        match aggregation {
            Aggregation::Envelope => {
                bounds(&self.min, &mut row.min);
                bounds(&self.max, &mut row.max);
                self.means(&mut row.value);
                // A mean that was rounded, or summed up with rounding, does not leave its own envelope.
                for ((value, min), max) in row.value.iter_mut().zip(&row.min).zip(&row.max) {
                    *value = value.max(*min).min(*max);
                }
            }
            Aggregation::Min => bounds(&self.min, &mut row.value),
            Aggregation::Max => bounds(&self.max, &mut row.value),
            Aggregation::Last => row.value.extend_from_slice(&self.last),
            Aggregation::Increase => bounds(&self.sum, &mut row.value),
            _ => self.means(&mut row.value),
        }
    }

    fn means(&self, list: &mut Vec<f64>) {
        let scale = match self.kind {
            Kind::Gauge => 1.0,
            Kind::Counter => 1_000.0,
        };
        let points = self.sum.iter().zip(&self.weight);
        // 0 by 0 is NaN, the gap.
        list.extend(points.map(|(sum, weight)| sum * scale / weight));
    }
}

#[cfg(test)]
mod tests;
