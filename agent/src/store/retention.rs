//! Retention: which generations go, by time and by bytes. Pure.
//!
//! A generation is too old when the clock says so and enough newer ones stand between it and the present: a clock that
//! was stepped into the future for a moment must not cost the past. When bytes run short, the oldest minute rollups go
//! first (down to a week), then hour rollups, then raw history beyond the promise. What is promised goes for no budget.

use std::time::Duration;

use super::{Config, Level};

/// Minute rollups of this age are the last to go for bytes.
const MINUTES_KEPT: Duration = Duration::from_hours(24 * 7);

/// What there is to decide about.
#[derive(Clone, Debug, Default)]
pub(super) struct Stock {
    /// For each level its generations, ascending: start in Unix milliseconds, bytes on disk.
    pub(super) generations: [Vec<(i64, u64)>; 3],
    /// Bytes of everything else in the data folder.
    pub(super) other_bytes: u64,
    /// Bytes that have to become free on the file system.
    pub(super) wanted_bytes: u64,
}

/// Why a generation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is older than what is kept.
    Age,
    /// `disk_max` is used up.
    Budget,
    /// The file system is nearly full.
    Space,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// What goes, in this order.
    pub(super) removed: Vec<(Level, i64, Reason)>,
    /// Bytes above the budget after that: what is promised does not fit into it.
    pub(super) excess_bytes: u64,
}

impl Stock {
    fn bytes(&self) -> u64 {
        let generations = self.generations.iter().flatten();
        self.other_bytes + generations.map(|(_, bytes)| bytes).sum::<u64>()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// How long a level is kept.
fn kept(config: &Config, level: Level) -> Duration {
    match level {
        Level::Raw => config.history,
        Level::Minute => config.minute_rollups,
        Level::Hour => config.hour_rollups,
    }
}

/// Decides.
pub(super) fn decide(config: &Config, mut stock: Stock, now_ms: i64) -> Decision {
    let mut decision = Decision::default();
    let mut freed = 0;
    for level in Level::ALL {
        let kept_ms = millis(kept(config, level));
        // One more than fit, because the newest has only begun.
        let newer_min = kept_ms.div_euclid(level.generation_ms())
            + i64::from(kept_ms % level.generation_ms() > 0)
            + 1;
        let list = &mut stock.generations[level as usize];
        let present = list.partition_point(|&(start, _)| start <= now_ms);
        let mut gone = 0;
        for (at, &(start_ms, bytes)) in list[..present].iter().enumerate() {
            let newer = i64::try_from(present - at - 1).unwrap_or(i64::MAX);
            if start_ms + level.generation_ms() <= now_ms.saturating_sub(kept_ms)
                && newer >= newer_min
            {
                decision.removed.push((level, start_ms, Reason::Age));
                freed += bytes;
                gone = at + 1;
            } else {
                break;
            }
        }
        list.drain(..gone);
    }
    let mut total = stock.bytes();
    for (level, start_ms, bytes) in expendable(config, &stock, now_ms) {
        let reason = if total > config.disk_bytes_max {
            Reason::Budget
        } else if freed < stock.wanted_bytes {
            Reason::Space
        } else {
            break;
        };
        decision.removed.push((level, start_ms, reason));
        total -= bytes;
        freed += bytes;
    }
    decision.excess_bytes = total.saturating_sub(config.disk_bytes_max);
    decision
}

/// What may go for bytes, in the order in which it goes.
fn expendable(config: &Config, stock: &Stock, now_ms: i64) -> Vec<(Level, i64, u64)> {
    let mut found = Vec::new();
    for (level, keep) in [
        (Level::Minute, MINUTES_KEPT.min(config.minute_rollups)),
        (Level::Hour, Duration::ZERO),
        (Level::Raw, config.history),
    ] {
        let until_ms = now_ms.saturating_sub(millis(keep));
        let list = &stock.generations[level as usize];
        let is_over = |&&(start_ms, _): &&(i64, u64)| start_ms + level.generation_ms() <= until_ms;
        let over = list.iter().take_while(is_over);
        found.extend(over.map(|&(start_ms, bytes)| (level, start_ms, bytes)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::HOUR_MS;

    const DAY_MS: i64 = 24 * HOUR_MS;
    const NOW_MS: i64 = 20_000 * DAY_MS + 7 * HOUR_MS;
    const MIB: u64 = 1 << 20;

    /// Whole generations of a level that reach back from now, `bytes` each.
    fn back(level: Level, count: i64, bytes: u64) -> Vec<(i64, u64)> {
        let span = level.generation_ms();
        let newest = NOW_MS.div_euclid(span) * span;
        (0..count)
            .rev()
            .map(|n| (newest - n * span, bytes))
            .collect()
    }

    fn stock(raw: i64, minute: i64, hour: i64) -> Stock {
        Stock {
            generations: [
                back(Level::Raw, raw, 12 * MIB),
                back(Level::Minute, minute, 40 * MIB),
                back(Level::Hour, hour, 10 * MIB),
            ],
            other_bytes: MIB,
            wanted_bytes: 0,
        }
    }

    #[test]
    fn a_day_of_raw_generations_stays_and_older_ones_go() {
        let config = Config::default();
        let decision = decide(&config, stock(8, 3, 2), NOW_MS);
        let oldest: Vec<_> = back(Level::Raw, 8, 0)[..3]
            .iter()
            .map(|&(start, _)| (Level::Raw, start, Reason::Age))
            .collect();
        // It is 07:00: yesterday from 06:00 belongs to the promise, in part.
        assert_eq!(decision.removed, oldest);
        assert_eq!(decide(&config, stock(5, 3, 2), NOW_MS), Decision::default());
    }

    #[test]
    fn a_clock_in_the_future_removes_next_to_nothing() {
        let config = Config::default();
        for years in [1, 10, 100] {
            let later_ms = NOW_MS + years * 365 * DAY_MS;
            let decision = decide(&config, stock(5, 7, 9), later_ms);
            assert_eq!(decision, Decision::default(), "{years} years");
            // A generation that is written meanwhile takes the place of one, and of none once the clock is right.
            let mut stock = stock(5, 7, 9);
            let span = Level::Raw.generation_ms();
            stock.generations[0].push((later_ms.div_euclid(span) * span, MIB));
            let removed = decide(&config, stock.clone(), later_ms).removed;
            assert_eq!(
                removed,
                [(Level::Raw, stock.generations[0][0].0, Reason::Age)]
            );
            assert_eq!(decide(&config, stock, NOW_MS).removed, []);
        }
    }

    #[test]
    fn what_lies_in_the_future_does_not_count_as_newer() {
        let mut stock = stock(3, 0, 0);
        let span = Level::Raw.generation_ms();
        for (start, _) in &mut stock.generations[0] {
            *start -= 40 * span;
        }
        let newest = NOW_MS.div_euclid(span) * span;
        stock.generations[0].extend((1..20).map(|n| (newest + n * span, MIB)));
        assert_eq!(decide(&Config::default(), stock, NOW_MS).removed, []);
    }

    #[test]
    fn minutes_go_first_then_hours_then_raw_beyond_the_promise() {
        let config = Config {
            disk_bytes_max: 100 * MIB,
            ..Config::default()
        };
        let mut stock = stock(5, 5, 3);
        // Too old as it is, so that it counts for nothing.
        stock.generations[0].splice(0..0, [(NOW_MS - NOW_MS % DAY_MS - 60 * HOUR_MS, 30 * MIB)]);
        let decision = decide(&config, stock, NOW_MS);
        let levels: Vec<_> = decision
            .removed
            .iter()
            .map(|&(level, _, reason)| (level, reason))
            .collect();
        let mut expected = vec![(Level::Raw, Reason::Age)];
        expected.extend([(Level::Minute, Reason::Budget); 2]);
        expected.extend([(Level::Hour, Reason::Budget); 2]);
        assert_eq!(levels, expected);
        assert_eq!(decision.excess_bytes, (1 + 60 + 120 + 10 - 100) * MIB);
    }

    #[test]
    fn a_full_file_system_takes_only_what_it_needs() {
        let mut stock = stock(5, 6, 1);
        stock.wanted_bytes = 50 * MIB;
        let decision = decide(&Config::default(), stock, NOW_MS);
        let starts = back(Level::Minute, 6, 0);
        let expected: Vec<_> = starts[..2]
            .iter()
            .map(|&(start, _)| (Level::Minute, start, Reason::Space))
            .collect();
        assert_eq!((decision.removed, decision.excess_bytes), (expected, 0));
    }
}
