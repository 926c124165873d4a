//! One line of time out of several epochs. Pure.
//!
//! After the wall clock went back, an hour is lived through twice, each time in an epoch of its own. The newest
//! epoch is what the clock says today, so it wins from its first sample to its last; what the older ones have
//! outside of that stays. A counter's interval never reaches from one epoch into another.

use std::ops::Range;

use crate::store::chunk::Samples;
use crate::store::rollup::Points;

/// What one piece has of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// Samples.
    Samples(Samples),
    /// Rollup points of this width.
    Points(Points, i64),
}

/// Content of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) epoch: u16,
    pub(super) content: Content,
}

/// What is left of the parts when the newest epoch wins, in the order of time.
pub(super) fn merge(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_key(|part| std::cmp::Reverse(part.epoch));
    let mut taken = Vec::<(i64, i64)>::new();
    let mut merged = Vec::<(i64, Part)>::new();
    let mut rest = parts.into_iter().peekable();
    while let Some(part) = rest.next() {
        let mut same_epoch = vec![part];
        while let Some(next) = rest.next_if(|next| next.epoch == same_epoch[0].epoch) {
            same_epoch.push(next);
        }
        let own: Vec<_> = same_epoch.iter().filter_map(extent).collect();
        for part in same_epoch {
            split(&part, &taken, &mut merged);
        }
        let first = own.iter().map(|(first, _)| *first).min();
        let last = own.iter().map(|(_, last)| *last).max();
        taken.extend(first.zip(last));
    }
    merged.sort_by_key(|(first, _)| *first);
    merged.into_iter().map(|(_, part)| part).collect()
}

/// The same for samples alone: `(epoch, samples)`.
pub(in crate::store) fn newest_wins(epochs: Vec<(u16, Samples)>) -> impl Iterator<Item = Samples> {
    let parts = epochs.into_iter().map(|(epoch, samples)| Part {
        epoch,
        content: Content::Samples(samples),
    });
    merge(parts.collect())
        .into_iter()
        .filter_map(|part| match part.content {
            Content::Samples(samples) => Some(samples),
            Content::Points(..) => None,
        })
}

impl Content {
    /// Samples or points in it.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Samples(samples) => samples.times_ms.len(),
            Self::Points(points, _) => points.len(),
        }
    }

    /// The moment of a sample, or at which a point begins.
    fn at_ms(&self, index: usize) -> i64 {
        match self {
            Self::Samples(samples) => samples.times_ms[index],
            Self::Points(Points::Gauge(points), _) => points[index].at_ms,
            Self::Points(Points::Counter(points), _) => points[index].at_ms,
        }
    }

    /// How long each of them lasts.
    const fn width_ms(&self) -> i64 {
        match self {
            Self::Samples(_) => 1,
            Self::Points(_, width_ms) => *width_ms,
        }
    }

    /// A part of it.
    fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::Samples(samples) => Self::Samples(Samples {
                times_ms: samples.times_ms[range.clone()].to_vec(),
                values: samples.values[range].to_vec(),
            }),
            Self::Points(Points::Gauge(points), width_ms) => {
                Self::Points(Points::Gauge(points[range].to_vec()), *width_ms)
            }
            Self::Points(Points::Counter(points), width_ms) => {
                Self::Points(Points::Counter(points[range].to_vec()), *width_ms)
            }
        }
    }

    /// What of it begins in `[from_ms, to_ms)`.
    pub(super) fn within(&self, from_ms: i64, to_ms: i64) -> Self {
        let first = (0..self.len()).find(|at| self.at_ms(*at) >= from_ms);
        let last = (0..self.len()).rfind(|at| self.at_ms(*at) < to_ms);
        match (first, last) {
            (Some(first), Some(last)) if first <= last => self.slice(first..last + 1),
            _ => self.slice(0..0),
        }
    }
}

/// First and last moment that a part speaks of.
fn extent(part: &Part) -> Option<(i64, i64)> {
    let last = part.content.len().checked_sub(1)?;
    let last_ms = part.content.at_ms(last) + part.content.width_ms() - 1;
    Some((part.content.at_ms(0), last_ms))
}

/// Cuts a part where newer epochs are, and adds what is left.
fn split(part: &Part, taken: &[(i64, i64)], merged: &mut Vec<(i64, Part)>) {
    let width_ms = part.content.width_ms();
    // The number of the newer extents that lie before tells the runs apart; inside of one there is none.
    let place = |index: &usize| {
        let at_ms = part.content.at_ms(*index);
        let covered = taken
            .iter()
            .any(|(first, last)| at_ms <= *last && at_ms + width_ms > *first);
        (!covered).then(|| taken.iter().filter(|(_, last)| *last < at_ms).count())
    };
    let indexes: Vec<usize> = (0..part.content.len()).collect();
    for run in indexes.chunk_by(|a, b| place(a) == place(b)) {
        if place(&run[0]).is_some() {
            let content = part.content.slice(run[0]..run[run.len() - 1] + 1);
            let epoch = part.epoch;
            merged.push((content.at_ms(0), Part { epoch, content }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rollup::GaugePoint;

    /// Times of samples by epoch.
    type Parts<'a> = &'a [(u16, &'a [i64])];

    fn samples(epoch: u16, times_ms: &[i64]) -> Part {
        let content = Content::Samples(Samples {
            times_ms: times_ms.to_vec(),
            values: vec![f64::from(epoch); times_ms.len()],
        });
        Part { epoch, content }
    }

    #[test]
    fn the_newest_wins_between_its_first_and_its_last_sample() {
        let cases: &[(Parts, Parts)] = &[
            (&[(0, &[1, 2, 3])], &[(0, &[1, 2, 3])]),
            (
                &[(0, &[1, 2, 3, 4, 5, 6]), (1, &[3, 5])],
                &[(0, &[1, 2]), (1, &[3, 5]), (0, &[6])],
            ),
            (&[(0, &[3, 4]), (1, &[1, 9])], &[(1, &[1, 9])]),
            (
                &[(0, &[0, 2, 4, 6, 8]), (1, &[1, 5]), (2, &[4, 7])],
                &[(0, &[0]), (1, &[1]), (2, &[4, 7]), (0, &[8])],
            ),
            (
                &[(0, &[0, 10, 30, 50]), (1, &[40, 45]), (2, &[5, 20])],
                &[
                    (0, &[0]),
                    (2, &[5, 20]),
                    (0, &[30]),
                    (1, &[40, 45]),
                    (0, &[50]),
                ],
            ),
        ];
        for (parts, expected) in cases {
            let of = |list: Parts| {
                list.iter()
                    .map(|(epoch, times)| samples(*epoch, times))
                    .collect::<Vec<_>>()
            };
            assert_eq!(merge(of(parts)), of(expected), "{parts:?}");
        }
    }

    #[test]
    fn a_point_of_an_older_epoch_goes_when_a_newer_one_has_any_of_its_time() {
        let point = |at_ms| GaugePoint {
            at_ms,
            count: 1,
            min: 0.0,
            max: 0.0,
            avg: 0.0,
        };
        let points = |list: &[i64]| Part {
            epoch: 0,
            content: Content::Points(
                Points::Gauge(list.iter().map(|at| point(*at)).collect()),
                60,
            ),
        };
        let merged = merge(vec![points(&[0, 60, 120, 180]), samples(1, &[70, 130])]);
        assert_eq!(
            merged,
            [points(&[0]), samples(1, &[70, 130]), points(&[180])]
        );
    }
}
