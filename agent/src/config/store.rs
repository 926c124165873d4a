//! `[store]`: how long history is kept, and in how much room.

use std::time::Duration;

use serde::Deserialize;

use super::unit;
use super::validation::Report;
use crate::store;

/// Less than the page's longest live range would make history pointless.
const HISTORY: (Duration, Duration) = (Duration::from_hours(1), Duration::from_hours(24 * 90));
const ROLLUPS_MAX: Duration = Duration::from_hours(24 * 365 * 10);
/// Room for a small day; below it the promise can't be kept at all.
const DISK_BYTES_MIN: u64 = 64 << 20;

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawStore {
    #[serde(deserialize_with = "unit::duration")]
    history: Duration,
    #[serde(deserialize_with = "unit::duration")]
    minute_rollups: Duration,
    #[serde(deserialize_with = "unit::duration")]
    hour_rollups: Duration,
    #[serde(deserialize_with = "unit::size")]
    disk_max: u64,
}

impl Default for RawStore {
    fn default() -> Self {
        let store::Config {
            history,
            minute_rollups,
            hour_rollups,
            disk_bytes_max,
        } = store::Config::default();
        Self {
            history,
            minute_rollups,
            hour_rollups,
            disk_max: disk_bytes_max,
        }
    }
}

/// Each level lasts at least as long as the finer one, which it goes on from.
pub(super) fn validate(raw: &RawStore, report: &mut Report<'_>) -> store::Config {
    let mut check = |name: &str, value: Duration, (min, max): (Duration, Duration)| {
        if !(min..=max).contains(&value) {
            let message = format!(
                "{} is out of range; it has to be from {} to {}",
                unit::shown(value),
                unit::shown(min),
                unit::shown(max)
            );
            report(&["store", name], message);
        }
    };
    check("history", raw.history, HISTORY);
    check(
        "minute_rollups",
        raw.minute_rollups,
        (raw.history, ROLLUPS_MAX),
    );
    check(
        "hour_rollups",
        raw.hour_rollups,
        (raw.minute_rollups, ROLLUPS_MAX),
    );
    if raw.disk_max < DISK_BYTES_MIN {
        let message = format!(
            "{} is too little; it has to be at least {}",
            unit::shown_size(raw.disk_max),
            unit::shown_size(DISK_BYTES_MIN)
        );
        report(&["store", "disk_max"], message);
    }
    store::Config {
        history: raw.history,
        minute_rollups: raw.minute_rollups,
        hour_rollups: raw.hour_rollups,
        disk_bytes_max: raw.disk_max,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::load;
    use crate::store;

    #[test]
    fn good_values_are_taken() {
        let text = "[store]\nhistory = '2d'\nminute_rollups = '60d'\nhour_rollups = '5y'\ndisk_max = '512MiB'\n";
        let days = |days: u64| Duration::from_hours(24 * days);
        let expected = store::Config {
            history: days(2),
            minute_rollups: days(60),
            hour_rollups: days(5 * 365),
            disk_bytes_max: 512 << 20,
        };
        assert_eq!(load(text, &[]).unwrap().store, expected);
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expected) in [
            (
                "[store]\nhistory = 24",
                "config.toml:2: store.history: expected a duration",
            ),
            (
                "[store]\n\ndisk_max = '1GB'",
                "config.toml:3: store.disk_max: expected a size such as \"512MiB\"",
            ),
            (
                "[store]\ndisk_max = '1MiB'",
                "config.toml:2: store.disk_max: 1MiB is too little; it has to be at least 64MiB",
            ),
            (
                "[store]\nhistory = '59m'",
                "config.toml:2: store.history: 59m is out of range",
            ),
            (
                "[store]\nminute_rollups = '1h'",
                "config.toml:2: store.minute_rollups: 1h is out of range; it has to be from 1d to 10y",
            ),
            (
                "[store]\nhour_rollups = '1d'",
                "config.toml:2: store.hour_rollups: 1d is out of range",
            ),
            (
                "[store]\nkeep = '1d'",
                "config.toml:2: store.keep: unknown key",
            ),
        ] {
            let found = load(text, &[]).unwrap_err();
            assert!(
                found.starts_with(expected) && !found.contains('\n'),
                "{text}: {found}"
            );
        }
    }
}
