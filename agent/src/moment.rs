//! Moments as people write and read them: RFC 3339, Unix seconds or milliseconds, or relative to now.
//!
//! For the command line and the text formats of exports. Everything is UTC unless an offset is written out.
//! Pure: what time it is, is an argument.

use std::fmt;

const DAY_MS: i64 = 86_400_000;
/// Digits alone up to this are Unix seconds (until the year 5138), beyond it milliseconds (from 1973 on).
const SECONDS_MAX: f64 = 1e11;
/// What a moment may be at most: the end of the year 9999, which is where RFC 3339 ends.
const MOMENT_MS_MAX: i64 = 253_402_300_799_999;

/// The text is no moment; it says what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time; write it like 2026-11-21T04:00:00Z, 2026-11-21, 1795233600 (Unix seconds or \
     milliseconds), -90m (relative to now) or now"
)]
pub struct BadMoment(String);

/// The text is no length of time; it says what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no length of time; write it like 30s, 15m, 6h, 2d or 1h30m")]
pub struct BadLength(String);

/// Reads a moment; Unix milliseconds.
pub fn parse(text: &str, now_ms: i64) -> Result<i64, BadMoment> {
    let text = text.trim();
    let moment = if text == "now" {
        Some(now_ms)
    } else if let Some(ago) = text.strip_prefix('-') {
        length(ago).ok().map(|ms| now_ms - ms)
    } else {
        unix(text).or_else(|| rfc_3339(text))
    };
    moment
        .filter(|ms| (0..=MOMENT_MS_MAX).contains(ms))
        .ok_or_else(|| BadMoment(text.to_owned()))
}

/// Reads a length of time such as `90s`, `6h` or `1h30m`; milliseconds, more than 0.
pub fn length(text: &str) -> Result<i64, BadLength> {
    let bad = || BadLength(text.to_owned());
    let mut rest = text;
    let mut total_ms = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: i64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => DAY_MS,
            "w" => 7 * DAY_MS,
            "y" => 365 * DAY_MS,
            _ => return Err(bad()),
        };
        rest = &rest[letters..];
        total_ms = number
            .checked_mul(unit_ms)
            .and_then(|ms| ms.checked_add(total_ms))
            .ok_or_else(bad)?;
    }
    (1..=MOMENT_MS_MAX)
        .contains(&total_ms)
        .then_some(total_ms)
        .ok_or_else(bad)
}

fn unix(text: &str) -> Option<i64> {
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let ms = if number < SECONDS_MAX {
        (number * 1e3).round()
    } else {
        number.round()
    };
    if ms > MOMENT_MS_MAX as f64 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)] // Bounded before.
    Some(ms as i64)
}

/// `2026-11-21`, `2026-11-21T04:00Z`, `2026-11-21 04:00:00.250+01:00`; without an offset it is UTC.
fn rfc_3339(text: &str) -> Option<i64> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let days = days_since_1970(year, month, day)?;
    if rest.is_empty() {
        return Some(days * DAY_MS);
    }
    let (hour, rest) = number(rest.strip_prefix(['T', 't', ' '])?, 2)?;
    let (minute, mut rest) = number(rest.strip_prefix(':')?, 2)?;
    let mut ms = 0;
    if let Some(seconds) = rest.strip_prefix(':') {
        let (second, after) = number(seconds, 2)?;
        // A leap second is the last moment of its minute: Unix time has no room for it.
        ms = second.min(59) * 1_000;
        rest = after;
        if second > 60 {
            return None;
        }
        if let Some(fraction) = after.strip_prefix('.') {
            let digits = fraction
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(fraction.len());
            let padded: String = fraction[..digits]
                .chars()
                .chain("000".chars())
                .take(3)
                .collect();
            ms += padded.parse::<i64>().ok().filter(|_| digits > 0)?;
            rest = &fraction[digits..];
        }
    }
    let offset_ms = offset(rest)?;
    (hour < 24 && minute < 60)
        .then(|| days * DAY_MS + hour * 3_600_000 + minute * 60_000 + ms - offset_ms)
}

fn offset(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, rest) = number(&text[1..], 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2)?;
    (rest.is_empty() && hours < 24 && minutes < 60)
        .then_some(sign * (hours * 3_600_000 + minutes * 60_000))
}

/// Exactly so many digits, and what comes after them.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (head, rest) = text.split_at_checked(digits)?;
    head.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| head.parse().ok())
        .flatten()
        .map(|number| (number, rest))
}

/// Days of the Gregorian calendar before a year's first of March, counted from year 0: with February last,
/// leap days come at the end of a year and months have a regular pattern of lengths.
const fn days_before_march(year: i64) -> i64 {
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)
}

/// 1970-01-01, as [`days_before_march`] counts.
const EPOCH_DAYS: i64 = days_before_march(1969) + 306;

fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    // From March on, five months have 153 days.
    let days = days_before_march(years) + (153 * months + 2) / 5 + day - 1 - EPOCH_DAYS;
    // A day that the month does not have would be one of the next month.
    (civil(days) == (year, month, day)).then_some(days)
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let mut year = days * 400 / 146_097 + 1;
    while days_before_march(year) > days {
        year -= 1;
    }
    let day_of_year = days - days_before_march(year);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// Shows Unix milliseconds as RFC 3339 in UTC, such as `2026-11-21T04:00:00.250Z`; without a fraction where
/// it is a whole second.
#[derive(Clone, Copy, Debug)]
pub struct Shown(pub i64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match ms % 1_000 {
            0 => f.write_str("Z"),
            fraction => write!(f, ".{fraction:03}Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_795_233_600_000;

    #[test]
    fn moments_of_every_form() {
        let cases = [
            ("now", NOW),
            ("-1h", NOW - 3_600_000),
            ("-1h30m", NOW - 5_400_000),
            ("-2d", NOW - 2 * DAY_MS),
            ("0", 0),
            ("1795233600", NOW),
            ("1795233600.25", NOW + 250),
            ("1795233600000", NOW),
            ("1970-01-01", 0),
            ("2026-11-21", 1_795_219_200_000),
            ("2026-11-21T04:00:00Z", NOW),
            ("2026-11-21T04:00Z", NOW),
            ("2026-11-21 04:00", NOW),
            ("2026-11-21t05:00:00.5+01:00", NOW + 500),
            ("2026-11-20T23:30:00.1234-04:30", NOW + 123),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
            ("9999-12-31T23:59:59.999Z", MOMENT_MS_MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, NOW), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused_with_its_form() {
        for text in [
            "",
            "-",
            "yesterday",
            "-1",
            "-1x",
            "2026-13-01",
            "2023-02-29",
            "2026-11-31",
            "2026-00-10",
            "2026-11-21T24:00:00Z",
            "2026-11-21T04:60Z",
            "2026-11-21T04:00:61Z",
            "2026-11-21T04",
            "2026-11-21T04:00:00.Z",
            "2026-11-21T04:00:00Zx",
            "2026-11-21T04:00+1",
            "1.2.3",
            "-9999999y",
            "10000-01-01",
            "99999999999999999999",
            "é026-11-21",
        ] {
            let error = parse(text, NOW).expect_err(text);
            assert!(
                error.to_string().contains("2026-11-21T04:00:00Z"),
                "{error}"
            );
        }
    }

    #[test]
    fn lengths() {
        assert_eq!(length("250ms"), Ok(250));
        assert_eq!(length("1h30m"), Ok(5_400_000));
        assert_eq!(length("2w"), Ok(14 * DAY_MS));
        for text in ["", "0s", "h", "1", "1 h", "-1h", "9999999999999y", "1h5"] {
            assert!(length(text).is_err(), "{text}");
        }
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
            (-719_469, (0, 2, 29)),
            (-719_834, (-1, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
        // Stamps out of damaged files are shown, whatever they are.
        for ms in [i64::MIN, i64::MAX] {
            assert!(Shown(ms).to_string().ends_with('Z'));
        }
    }

    #[test]
    fn shown_as_utc() {
        assert_eq!(Shown(NOW).to_string(), "2026-11-21T04:00:00Z");
        assert_eq!(
            Shown(1_709_164_800_007).to_string(),
            "2024-02-29T00:00:00.007Z"
        );
        assert_eq!(Shown(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(ms in 0..=MOMENT_MS_MAX) {
            prop_assert_eq!(parse(&Shown(ms).to_string(), NOW), Ok(ms));
        }
    }
}
