//! The values of one series that a rule's function looks at.
//!
//! Pure; time is given, on a clock that is never stepped. A window keeps at most [`BUCKETS_MAX`] buckets:
//! where it has more samples than that, several share one and are known by their least, greatest and mean.
//! [`Input`] turns a counter's totals into rates and increases before they come here.

use std::collections::VecDeque;
use std::time::Duration;

use super::rule::Function;
use crate::catalog::Kind;

/// Ten minutes of seconds; longer windows are coarser. At 64 bytes each a window takes 40 KB at most.
pub const BUCKETS_MAX: i64 = 600;

/// What one sample adds to a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// A gauge's value, a counter's rate per second; `None` for a counter's first sample.
    pub value: Option<f64>,
    /// The change since the sample before, and the seconds it took; `None` for the first one.
    pub change: Option<(f64, f64)>,
}

/// The sample before, per series.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input {
    before: Option<(i64, f64)>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// On the grid of buckets.
    start_ms: i64,
    /// Of its newest sample.
    last_ms: i64,
    min: f64,
    max: f64,
    sum: f64,
    count: u32,
    change: f64,
    seconds: f64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Window {
    span_ms: i64,
    bucket_ms: i64,
    buckets: VecDeque<Bucket>,
    /// When the first sample came, since the window was empty after a gap.
    begun_ms: Option<i64>,
}

impl Input {
    /// Takes a sample. A counter that went down began anew: what it shows has been added since.
    pub fn take(&mut self, kind: Kind, at_ms: i64, value: f64) -> Point {
        let before = self.before.replace((at_ms, value));
        let change =
            before
                .filter(|(before_ms, _)| at_ms > *before_ms)
                .map(|(before_ms, before)| {
                    let grown = match kind {
                        Kind::Counter if value < before => value,
                        _ => value - before,
                    };
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "a span in milliseconds is small"
                    )]
                    let seconds = (at_ms - before_ms) as f64 / 1_000.0;
                    (grown, seconds)
                });
        let value = match kind {
            Kind::Gauge => Some(value),
            Kind::Counter => change.map(|(grown, seconds)| grown / seconds),
        };
        Point { value, change }
    }

    /// The next sample follows no other: the time between is a gap.
    pub const fn forget(&mut self) {
        self.before = None;
    }
}

impl Window {
    /// An empty one.
    pub fn new(span: Duration) -> Self {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1);
        Self {
            span_ms,
            bucket_ms: (span_ms + BUCKETS_MAX - 1) / BUCKETS_MAX,
            buckets: VecDeque::new(),
            begun_ms: None,
        }
    }

    /// Adds what a sample brought. Samples come in order.
    pub fn push(&mut self, at_ms: i64, point: Point) {
        let start_ms = at_ms - at_ms.rem_euclid(self.bucket_ms);
        let is_new = self
            .buckets
            .back()
            .is_none_or(|last| last.start_ms < start_ms);
        if is_new {
            self.buckets.push_back(Bucket {
                start_ms,
                last_ms: at_ms,
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                sum: 0.0,
                count: 0,
                change: 0.0,
                seconds: 0.0,
            });
        }
        if let Some(bucket) = self.buckets.back_mut() {
            bucket.last_ms = at_ms;
            if let Some(value) = point.value {
                bucket.min = bucket.min.min(value);
                bucket.max = bucket.max.max(value);
                bucket.sum += value;
                bucket.count += 1;
            }
            if let Some((change, seconds)) = point.change {
                bucket.change += change;
                bucket.seconds += seconds;
            }
        }
        self.begun_ms.get_or_insert(at_ms);
        self.expire(at_ms);
    }

    /// Puts what `older` holds before what is there, as far as it is older: a start goes on where the last run
    /// ended.
    pub fn prepend(&mut self, older: Self) {
        let first_ms = self
            .buckets
            .front()
            .map_or(i64::MAX, |first| first.start_ms);
        for bucket in older.buckets.into_iter().rev() {
            if bucket.last_ms < first_ms {
                self.buckets.push_front(bucket);
            }
        }
        self.begun_ms = match (older.begun_ms, self.begun_ms) {
            (Some(older), Some(own)) => Some(older.min(own)),
            (older, own) => older.or(own),
        };
        if let Some(newest_ms) = self.buckets.back().map(|last| last.last_ms) {
            self.expire(newest_ms);
        }
    }

    /// Lets go of what is older than the window. Called where a sample should have come and did not.
    pub fn expire(&mut self, now_ms: i64) {
        let oldest = now_ms - self.span_ms;
        while self
            .buckets
            .front()
            .is_some_and(|first| first.last_ms <= oldest)
        {
            self.buckets.pop_front();
        }
        if self.buckets.is_empty() {
            self.begun_ms = None;
        }
    }

    /// What the function gives. `None` until the samples reach over half of the window: a mean of the first
    /// few values after a start would be taken for that of five minutes.
    pub fn value(&self, function: Function) -> Option<f64> {
        let reached_ms = self.buckets.back()?.last_ms - self.begun_ms?;
        if reached_ms.saturating_mul(2) < self.span_ms {
            return None;
        }
        let filled = || self.buckets.iter().filter(|bucket| bucket.count > 0);
        let count: u32 = filled().map(|bucket| bucket.count).sum();
        match function {
            Function::Rate => {
                let (change, seconds) = self.buckets.iter().fold((0.0, 0.0), |sum, bucket| {
                    (sum.0 + bucket.change, sum.1 + bucket.seconds)
                });
                (seconds > 0.0).then(|| change / seconds)
            }
            _ if count == 0 => None,
            Function::Last => filled().next_back().map(Bucket::mean),
            Function::Avg => {
                Some(filled().map(|bucket| bucket.sum).sum::<f64>() / f64::from(count))
            }
            Function::Min => Some(
                filled()
                    .map(|bucket| bucket.min)
                    .fold(f64::INFINITY, f64::min),
            ),
            Function::Max => Some(
                filled()
                    .map(|bucket| bucket.max)
                    .fold(f64::NEG_INFINITY, f64::max),
            ),
            Function::P95 => p95(filled(), count),
        }
    }
}

impl Bucket {
    fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

/// The nearest rank; a bucket's samples all count as its mean.
fn p95<'a>(buckets: impl Iterator<Item = &'a Bucket>, count: u32) -> Option<f64> {
    let mut means: Vec<_> = buckets
        .map(|bucket| (bucket.mean(), bucket.count))
        .collect();
    means.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let rank = (u64::from(count) * 95).div_ceil(100);
    let mut passed = 0;
    means
        .into_iter()
        .find(|(_, count)| {
            passed += u64::from(*count);
            passed >= rank
        })
        .map(|(mean, _)| mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window that took these values, one a second; `None` is a gap.
    fn window(span_s: u64, kind: Kind, values: &[Option<f64>]) -> Window {
        let mut window = Window::new(Duration::from_secs(span_s));
        let mut input = Input::default();
        for (at_ms, value) in (0..).step_by(1_000).zip(values) {
            match value {
                Some(value) => window.push(at_ms, input.take(kind, at_ms, *value)),
                None => input.forget(),
            }
        }
        window
    }

    fn point(value: f64) -> Point {
        Point {
            value: Some(value),
            change: None,
        }
    }

    fn values(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[track_caller]
    fn close(found: Option<f64>, expected: f64) {
        let found = found.expect("a value");
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn functions_of_a_gauge() {
        let window = window(5, Kind::Gauge, &values(&[100.0, 1.0, 2.0, 6.0, 4.0, 5.0]));
        close(window.value(Function::Last), 5.0);
        close(window.value(Function::Avg), 3.6);
        close(window.value(Function::Min), 1.0);
        close(window.value(Function::Max), 6.0);
        close(window.value(Function::P95), 6.0);
        // From 100 to 1 happened within the window, which begins after the 100.
        close(window.value(Function::Rate), (5.0 - 100.0) / 5.0);
    }

    #[test]
    fn a_counter_is_its_rate_and_a_reset_is_no_drop() {
        let totals = values(&[10.0, 20.0, 30.0, 5.0, 15.0]);
        let window = window(4, Kind::Counter, &totals);
        close(window.value(Function::Rate), 35.0 / 4.0);
        close(window.value(Function::Min), 5.0);
        close(window.value(Function::Max), 10.0);
        close(window.value(Function::Avg), 35.0 / 4.0);
    }

    #[test]
    fn a_gap_is_left_out_of_a_rate() {
        let totals = [Some(0.0), Some(10.0), None, None, Some(500.0), Some(510.0)];
        close(
            window(10, Kind::Counter, &totals).value(Function::Rate),
            10.0,
        );
    }

    #[test]
    fn nothing_is_said_before_half_of_the_window() {
        let five = window(10, Kind::Gauge, &values(&[9.0; 5]));
        assert_eq!(five.value(Function::Avg), None);
        close(
            window(10, Kind::Gauge, &values(&[9.0; 6])).value(Function::Avg),
            9.0,
        );
        assert_eq!(window(10, Kind::Gauge, &[]).value(Function::Max), None);
        assert_eq!(
            window(2, Kind::Counter, &values(&[1.0])).value(Function::Rate),
            None
        );
    }

    #[test]
    fn the_95th_percentile_is_the_nearest_rank() {
        let rising: Vec<_> = (1..=100).map(f64::from).map(Some).collect();
        close(window(100, Kind::Gauge, &rising).value(Function::P95), 95.0);
        close(
            window(1, Kind::Gauge, &values(&[7.0, 7.0])).value(Function::P95),
            7.0,
        );
    }

    #[test]
    fn a_window_is_filled_from_before() {
        let mut live = Window::new(Duration::from_secs(10));
        for second in 0..2 {
            live.push(second * 1_000, point(5.0));
        }
        assert_eq!(live.value(Function::Avg), None);
        let mut older = Window::new(Duration::from_secs(10));
        for second in -20..1 {
            older.push(second * 1_000, point(1.0));
        }
        live.prepend(older);
        // Ten seconds up to the newest: eight of before, two of now.
        close(live.value(Function::Avg), 1.8);
        live.prepend(Window::new(Duration::from_secs(10)));
        close(live.value(Function::Avg), 1.8);
    }

    #[test]
    fn a_long_window_is_coarser_and_stays_bounded() {
        let day: Vec<_> = (0..90_000).map(|n| Some(f64::from(n % 100))).collect();
        let window = window(86_400, Kind::Gauge, &day);
        assert!(window.buckets.len() <= 601, "{}", window.buckets.len());
        close(window.value(Function::Min), 0.0);
        close(window.value(Function::Max), 99.0);
        let mean = window.value(Function::Avg).expect("a mean");
        assert!((mean - 49.5).abs() < 0.1, "{mean}");
    }
}
