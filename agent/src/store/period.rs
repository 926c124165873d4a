//! Times in the words of a log: `2026-11-21 04:00 to 06:00 UTC`. Pure.

use super::HOUR_MS;
use crate::moment::civil;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// From one time (Unix milliseconds) to another, to the minute, in UTC.
pub fn between(from_ms: i64, to_ms: i64) -> String {
    let (from_day, from_time) = date_and_time(from_ms);
    let (to_day, to_time) = date_and_time(to_ms);
    if from_day == to_day {
        format!("{from_day} {from_time} to {to_time} UTC")
    } else {
        format!("{from_day} {from_time} to {to_day} {to_time} UTC")
    }
}

/// A length of time in the greatest unit that it is a whole number of: `1 hour`, `6 hours`, `5 days`.
pub fn length(ms: i64) -> String {
    let (count, unit) = match ms {
        ms if ms >= DAY_MS && ms % DAY_MS == 0 => (ms / DAY_MS, "day"),
        ms if ms >= HOUR_MS && ms % HOUR_MS == 0 => (ms / HOUR_MS, "hour"),
        ms => (ms / MINUTE_MS, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn date_and_time(ms: i64) -> (String, String) {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let minutes = ms.rem_euclid(DAY_MS) / MINUTE_MS;
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{:02}:{:02}", minutes / 60, minutes % 60),
    )
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, HOUR_MS, MINUTE_MS, between, length};

    #[test]
    fn times_are_told_in_utc() {
        let from = 1_795_233_600_000;
        assert_eq!(
            between(from, from + 2 * HOUR_MS),
            "2026-11-21 04:00 to 06:00 UTC"
        );
        assert_eq!(
            between(from, from + DAY_MS + 90 * MINUTE_MS),
            "2026-11-21 04:00 to 2026-11-22 05:30 UTC"
        );
        assert_eq!(
            between(-HOUR_MS, 0),
            "1969-12-31 23:00 to 1970-01-01 00:00 UTC"
        );
    }

    #[test]
    fn lengths_have_their_unit() {
        for (ms, text) in [
            (HOUR_MS, "1 hour"),
            (30 * HOUR_MS, "30 hours"),
            (5 * DAY_MS, "5 days"),
            (10 * MINUTE_MS, "10 minutes"),
        ] {
            assert_eq!(length(ms), text);
        }
    }
}
