//! Times in the words of a log: `2026-11-21 04:00 to 06:00 UTC`. Pure.

use super::HOUR_MS;

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

/// The date of a day since 1970, in the proleptic Gregorian calendar. Counted in eras of 400 years that begin on
/// 1 March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_ERA: i64 = 146_097;
    const DAYS_TO_1970: i64 = 719_468;
    let days = days.saturating_add(DAYS_TO_1970);
    let era = days.div_euclid(DAYS_OF_ERA);
    let of_era = days.rem_euclid(DAYS_OF_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, HOUR_MS, MINUTE_MS, between, civil, length};

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
    fn dates_follow_the_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (20_512, (2026, 2, 28)),
            (20_513, (2026, 3, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
            (-1, (1969, 12, 31)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
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
