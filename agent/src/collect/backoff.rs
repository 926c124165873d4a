//! When a plugin that failed is started again, pure.
//!
//! The first failure costs nothing: the next start is immediate. From the second in a row the pause grows
//! from 1 s to 5 min, with jitter so that the plugins of one broken machine don't start in step. A minute
//! without a failure forgets them all.

use std::time::Duration;

use tokio::time::Instant;

/// Pause before the start after the second failure.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const LAST: Duration = Duration::from_mins(5);
/// Time without a failure after which the count starts anew.
const FORGET: Duration = Duration::from_mins(1);
/// Failures in a row from which a plugin is only probed: it has then failed for 3.5 s at least.
const OPEN_FAILURES: u32 = 5;

/// Count of failures in a row, and the state of the jitter.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<Instant>,
    seed: u64,
}

impl Backoff {
    /// `name` seeds the jitter, so that the same plugin behaves the same each time.
    pub(super) fn new(name: &str) -> Self {
        // FNV-1a: any spread will do.
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            failures: 0,
            last: None,
            seed,
        }
    }

    /// Counts a failure and says how long to wait before the next start.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        self.succeeded(now);
        self.failures += 1;
        self.last = Some(now);
        let Some(doublings) = self.failures.checked_sub(2) else {
            return Duration::ZERO;
        };
        let full = FIRST.saturating_mul(1 << doublings.min(16)).min(LAST);
        self.seed = self
            .seed
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        let part = 0.5 + 0.5 * ((self.seed >> 40) as f64 / f64::from(1 << 24));
        full.mul_f64(part)
    }

    /// A success long after the last failure forgets the failures.
    pub(super) fn succeeded(&mut self, now: Instant) {
        if self.last.is_some_and(|last| {
            now.saturating_duration_since(last) > FORGET + LAST.min(self.pause())
        }) {
            self.failures = 0;
            self.last = None;
        }
    }

    /// Forgets everything: somebody has changed what may have been wrong.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
        self.last = None;
    }

    /// Failures in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the plugin has failed so often that it is only probed.
    pub(super) const fn is_open(&self) -> bool {
        self.failures >= OPEN_FAILURES
    }

    /// The longest that the last pause can have been: it is no time of good conduct.
    fn pause(&self) -> Duration {
        self.failures
            .checked_sub(2)
            .map_or(Duration::ZERO, |doublings| {
                FIRST.saturating_mul(1 << doublings.min(16))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_is_immediate_then_grows_to_five_minutes_with_jitter() {
        let mut backoff = Backoff::new("system");
        let mut now = Instant::now();
        assert_eq!(backoff.failed(now), Duration::ZERO);
        let mut full = FIRST;
        for failure in 2..14 {
            let pause = backoff.failed(now);
            assert!(
                pause >= full / 2 && pause <= full,
                "failure {failure}: {pause:?} of {full:?}"
            );
            assert_eq!(backoff.is_open(), failure >= OPEN_FAILURES);
            full = (full * 2).min(LAST);
            now += pause;
        }
    }

    #[test]
    fn a_circuit_stays_open_until_a_good_minute_or_a_reset() {
        let mut backoff = Backoff::new("system");
        let mut now = Instant::now();
        for _ in 0..OPEN_FAILURES {
            now += backoff.failed(now);
        }
        assert!(backoff.is_open());
        backoff.succeeded(now + Duration::from_secs(30));
        assert!(backoff.is_open(), "half a minute is no good minute");
        backoff.succeeded(now + LAST + FORGET);
        assert!(!backoff.is_open());
        for _ in 0..OPEN_FAILURES {
            backoff.failed(now);
        }
        backoff.reset();
        assert!(!backoff.is_open());
        assert_eq!(
            backoff.failed(now),
            Duration::ZERO,
            "as if it were the first"
        );
    }

    #[test]
    fn a_good_minute_forgets() {
        let mut backoff = Backoff::new("system");
        let now = Instant::now();
        backoff.failed(now);
        backoff.failed(now);
        backoff.succeeded(now + Duration::from_secs(30));
        assert!(backoff.failed(now + Duration::from_secs(30)) > FIRST / 2);
        backoff.succeeded(now + Duration::from_mins(2));
        assert_eq!(
            backoff.failed(now + Duration::from_secs(121)),
            Duration::ZERO
        );
    }
}
