//! The only clock of the agent.
//!
//! Everything is scheduled on the monotonic clock and stamped with wall time. A [`Ticker`] gives one
//! immediate tick and then one at each whole multiple of the fast interval, says which tiers are due,
//! counts ticks that were missed and notices when the wall clock was stepped. A simulated clock runs on
//! tokio's paused time, so that a seeded test can drive the whole App. No other file of the agent asks
//! the operating system for the time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A wall clock that differs from the monotonic one by more than this since the last tick was stepped.
const STEP_MIN_MS: i64 = 400;

/// How often a metric is sampled or delivered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Every second unless configured otherwise.
    #[default]
    Fast,
    /// Every 5 seconds unless configured otherwise.
    Medium,
    /// Every 30 seconds unless configured otherwise.
    Slow,
}

impl Tier {
    /// All tiers, fastest first.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Medium, Self::Slow];

    /// Position in [`Tier::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word of the wire and of the configuration.
    pub const fn name(self) -> &'static str {
        ["fast", "medium", "slow"][self as usize]
    }
}

/// A set of tiers.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct TierSet(u8);

impl TierSet {
    /// No tier.
    pub const EMPTY: Self = Self(0);
    /// Every tier.
    pub const ALL: Self = Self(0b111);

    /// The set with `tier` added.
    #[must_use]
    pub const fn with(self, tier: Tier) -> Self {
        Self(self.0 | 1 << tier as u8)
    }

    /// Whether `tier` is in the set.
    pub const fn contains(self, tier: Tier) -> bool {
        self.0 & (1 << tier as u8) != 0
    }

    /// One bit a tier, the fastest lowest: the form of the plugin ABI.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Debug for TierSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Tier::ALL.iter().filter(|tier| self.contains(**tier)))
            .finish()
    }
}

/// The three intervals. Each is a whole multiple of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiers {
    /// Interval of [`Tier::Fast`].
    pub fast: Duration,
    /// Interval of [`Tier::Medium`].
    pub medium: Duration,
    /// Interval of [`Tier::Slow`].
    pub slow: Duration,
}

impl Default for Tiers {
    fn default() -> Self {
        Self {
            fast: Duration::from_secs(1),
            medium: Duration::from_secs(5),
            slow: Duration::from_secs(30),
        }
    }
}

impl Tiers {
    /// The interval of `tier`.
    pub const fn interval(&self, tier: Tier) -> Duration {
        match tier {
            Tier::Fast => self.fast,
            Tier::Medium => self.medium,
            Tier::Slow => self.slow,
        }
    }

    /// The same tiers for a collector that collects every `interval` at most: none is faster than that.
    #[must_use]
    pub fn at_least(&self, interval: Duration) -> Self {
        let fit = |tier: Duration| {
            let times = tier
                .as_millis()
                .div_ceil(interval.as_millis().max(1))
                .max(1);
            interval * u32::try_from(times).unwrap_or(u32::MAX)
        };
        Self {
            fast: interval,
            medium: fit(self.medium),
            slow: fit(self.slow),
        }
    }

    /// The interval of `tier` in milliseconds.
    pub fn interval_ms(&self, tier: Tier) -> i64 {
        i64::try_from(self.interval(tier).as_millis())
            .expect("a configured interval is below a day")
    }

    /// The tiers whose grid holds the wall time `at_ms`.
    fn due(&self, at_ms: i64) -> TierSet {
        Tier::ALL
            .into_iter()
            .filter(|tier| *tier == Tier::Fast || at_ms.rem_euclid(self.interval_ms(*tier)) == 0)
            .fold(TierSet::EMPTY, TierSet::with)
    }
}

/// Cloneable handle of the clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System,
    /// Wall time is `wall_ms` plus what tokio's (paused) time has gone on since `origin`.
    Simulated {
        origin: Instant,
        wall_ms: AtomicI64,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(Source::System))
    }

    /// A clock on tokio's time, which a test has paused; wall time starts at `wall_ms`.
    pub fn simulated(wall_ms: i64) -> Self {
        Self(Arc::new(Source::Simulated {
            origin: Instant::now(),
            wall_ms: AtomicI64::new(wall_ms),
        }))
    }

    /// Wall time, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        match &*self.0 {
            Source::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            Source::Simulated { origin, wall_ms } => {
                wall_ms.load(Ordering::Relaxed) + millis(origin.elapsed())
            }
        }
    }

    /// Monotonic time.
    pub fn mono(&self) -> Instant {
        Instant::now()
    }

    /// Steps a simulated wall clock; the machine's own is never touched.
    pub fn step(&self, delta_ms: i64) {
        if let Source::Simulated { wall_ms, .. } = &*self.0 {
            wall_ms.fetch_add(delta_ms, Ordering::Relaxed);
        }
    }

    /// A schedule: one immediate tick, then one at each whole multiple of the fast interval.
    pub fn ticker(&self, tiers: Tiers) -> Ticker {
        Ticker {
            clock: self.clone(),
            tiers,
            number: 0,
            next: None,
        }
    }
}

/// One tick of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Counts up by one, missed ticks included.
    pub number: u64,
    /// The grid's wall time, Unix milliseconds; the first tick is off the grid.
    pub at_ms: i64,
    /// When it began.
    pub at: Instant,
    /// The tiers that are due; all of them in the first tick.
    pub due: TierSet,
    /// How many ticks went by since the last one because its work took too long.
    pub missed: u64,
    /// By how much the wall clock was stepped since the last tick, in milliseconds; 0 if it was not.
    pub stepped_ms: i64,
}

/// See [`Clock::ticker`].
#[derive(Debug)]
pub struct Ticker {
    clock: Clock,
    tiers: Tiers,
    number: u64,
    next: Option<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    at: Instant,
    at_ms: i64,
}

impl Ticker {
    /// Waits for the next tick. Cancel-safe.
    pub async fn next(&mut self) -> Tick {
        let Some(slot) = self.next else {
            return self.first();
        };
        tokio::time::sleep_until(slot.at).await;
        self.arrive(slot)
    }

    fn first(&mut self) -> Tick {
        let (at, at_ms) = (self.clock.mono(), self.clock.now_ms());
        self.next = Some(self.align(at, at_ms));
        Tick {
            number: 0,
            at_ms,
            at,
            due: TierSet::ALL,
            missed: 0,
            stepped_ms: 0,
        }
    }

    /// The first slot of the wall clock's grid after the given moment.
    fn align(&self, now: Instant, now_ms: i64) -> Slot {
        let wait_ms = self.fast_ms() - now_ms.rem_euclid(self.fast_ms());
        Slot {
            at: now + Duration::from_millis(wait_ms.unsigned_abs()),
            at_ms: now_ms + wait_ms,
        }
    }

    fn arrive(&mut self, slot: Slot) -> Tick {
        let (now, now_ms) = (self.clock.mono(), self.clock.now_ms());
        let late = now.saturating_duration_since(slot.at);
        let missed = u64::try_from(millis(late) / self.fast_ms()).unwrap_or(0);
        let missed_ms = i64::try_from(missed).unwrap_or(0) * self.fast_ms();
        let stepped_ms = now_ms - (slot.at_ms + millis(late));
        self.number += 1 + missed;
        if stepped_ms.abs() > STEP_MIN_MS {
            // The old grid means nothing any more: this tick is off it, the next is on the new one.
            self.next = Some(self.align(now, now_ms));
            let due = TierSet::EMPTY.with(Tier::Fast);
            return Tick {
                number: self.number,
                at_ms: now_ms,
                at: now,
                due,
                missed,
                stepped_ms,
            };
        }
        let at_ms = slot.at_ms + missed_ms;
        let at = slot.at + Duration::from_millis(missed_ms.unsigned_abs());
        self.next = Some(self.follow(Slot { at, at_ms }, now, now_ms));
        let due = self.due_since(slot.at_ms, at_ms);
        Tick {
            number: self.number,
            at_ms,
            at: now,
            due,
            missed,
            stepped_ms: 0,
        }
    }

    /// The next slot, with the slow drift between the two clocks taken out of it.
    fn follow(&self, slot: Slot, now: Instant, now_ms: i64) -> Slot {
        let aligned = self.align(now, now_ms);
        let at_ms = slot.at_ms + self.fast_ms();
        if aligned.at_ms == at_ms {
            return aligned;
        }
        Slot {
            at: slot.at + self.tiers.fast,
            at_ms,
        }
    }

    /// A tier that was due in a missed tick is due now.
    fn due_since(&self, from_ms: i64, to_ms: i64) -> TierSet {
        let mut due = TierSet::EMPTY;
        let mut at_ms = from_ms;
        while at_ms <= to_ms {
            for tier in Tier::ALL {
                if self.tiers.due(at_ms).contains(tier) {
                    due = due.with(tier);
                }
            }
            if due == TierSet::ALL {
                break;
            }
            at_ms += self.fast_ms();
        }
        due
    }

    fn fast_ms(&self) -> i64 {
        self.tiers.interval_ms(Tier::Fast)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: i64 = 1_700_000_000_250;

    async fn ticks(ticker: &mut Ticker, count: usize) -> Vec<Tick> {
        let mut ticks = Vec::new();
        for _ in 0..count {
            ticks.push(ticker.next().await);
        }
        ticks
    }

    #[tokio::test(start_paused = true)]
    async fn one_immediate_tick_then_whole_seconds_with_their_tiers() {
        let clock = Clock::simulated(START_MS);
        let began = clock.mono();
        let mut ticker = clock.ticker(Tiers::default());
        let ticks = ticks(&mut ticker, 62).await;
        assert_eq!(
            (ticks[0].at_ms, ticks[0].at, ticks[0].due),
            (START_MS, began, TierSet::ALL)
        );
        assert_eq!(ticks[1].at_ms, 1_700_000_001_000);
        assert_eq!(ticks[1].at - began, Duration::from_millis(750));
        for (n, pair) in ticks[1..].windows(2).enumerate() {
            assert_eq!(pair[1].at_ms - pair[0].at_ms, 1_000, "tick {n}");
            assert_eq!(pair[1].number - pair[0].number, 1);
        }
        for tick in &ticks[1..] {
            assert!(tick.due.contains(Tier::Fast));
            assert_eq!(tick.due.contains(Tier::Medium), tick.at_ms % 5_000 == 0);
            assert_eq!(tick.due.contains(Tier::Slow), tick.at_ms % 30_000 == 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn late_work_skips_ticks_counts_them_and_keeps_their_tiers() {
        let clock = Clock::simulated(1_700_000_003_000);
        let mut ticker = clock.ticker(Tiers::default());
        ticks(&mut ticker, 2).await;
        tokio::time::sleep(Duration::from_millis(3_400)).await;
        let late = ticker.next().await;
        // 5,000 was due and went by; 6,000 and 7,000 as well: the tick stands for the last of them.
        assert_eq!(
            (late.missed, late.number, late.at_ms),
            (2, 4, 1_700_000_007_000)
        );
        assert!(late.due.contains(Tier::Medium));
        let next = ticker.next().await;
        assert_eq!(
            (next.missed, next.number, next.at_ms),
            (0, 5, 1_700_000_008_000)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stepped_wall_clock_is_noticed_and_followed() {
        for step_ms in [7_300, -7_300, 3_600_000, -3_600_000] {
            let clock = Clock::simulated(1_700_000_000_000);
            let mut ticker = clock.ticker(Tiers::default());
            let before = ticks(&mut ticker, 3).await[2];
            clock.step(step_ms);
            let stepped = ticker.next().await;
            assert_eq!(stepped.stepped_ms, step_ms);
            assert_eq!(stepped.at_ms, before.at_ms + 1_000 + step_ms);
            let after = ticks(&mut ticker, 2).await;
            assert_eq!(
                after[0].at_ms % 1_000,
                0,
                "back on the grid after {step_ms} ms"
            );
            assert!(after[0].at_ms > stepped.at_ms && after[0].at_ms <= stepped.at_ms + 1_000);
            assert_eq!(after[0].stepped_ms, 0);
        }
    }

    #[test]
    fn slower_collectors_have_tiers_that_are_multiples_of_their_interval() {
        let tiers = Tiers::default().at_least(Duration::from_secs(2));
        assert_eq!(tiers.fast, Duration::from_secs(2));
        assert_eq!(
            (tiers.medium, tiers.slow),
            (Duration::from_secs(6), Duration::from_secs(30))
        );
    }
}
