//! What types can't say: ranges, multiples, addresses that must stay on this machine.
//!
//! Pure: the typed file in, the configuration and the mistakes out.

use std::time::Duration;

use super::reader::Mistake;
use super::{Config, Raw, RawTiers, alerts, plugins, store, unit};
use crate::clock::Tiers;
use crate::http;

/// An interval of a day or more could not be told from a mistake.
pub(super) const DAY: Duration = Duration::from_hours(24);
const FAST_MIN: Duration = Duration::from_millis(100);
const FAST_MAX: Duration = Duration::from_mins(1);
const WORKERS_MAX: usize = 64;
/// A limit beyond this is a slip of the finger.
const LIMIT_MAX: usize = 1_000_000;
const ORIGINS_MAX: usize = 64;

/// Where mistakes go: the path of the key, and the message.
pub(super) type Report<'a> = dyn FnMut(&[&str], String) + 'a;

/// A value that is wrong is reported; the caller refuses the whole if there was any.
pub(super) fn validate(raw: Raw, found: &mut Vec<Mistake>) -> Config {
    let mut report = |path: &[&str], message: String| {
        let path = path.iter().map(ToString::to_string).collect();
        found.push(Mistake { path, message });
    };
    check_places(&raw, &mut report);
    check_origins(&raw.http.allowed_origins, &mut report);
    check_numbers(&raw, &mut report);
    let tiers = check_tiers(&raw.tiers, &mut report);
    let store = store::validate(&raw.store, &mut report);
    let collectors = plugins::instances(&raw.plugins, &tiers, found);
    Config {
        listen: raw.listen,
        data_dir: raw.data_dir,
        tiers,
        http: http::Config {
            allowed_origins: raw.http.allowed_origins,
            limits: raw.limits,
        },
        log: raw.log,
        store,
        runtime: raw.runtime,
        collectors: collectors.enabled,
        disabled: collectors.disabled,
        alerts: alerts::rules(raw.alerts, found),
    }
}

fn check_places(raw: &Raw, report: &mut Report<'_>) {
    if !raw.listen.ip().is_loopback() {
        let message = format!(
            "{} is reachable from other machines; authentication comes in a later version, until then \
             use a loopback address such as \"127.0.0.1:10132\"",
            raw.listen
        );
        report(&["listen"], message);
    }
    if raw.data_dir.as_os_str().is_empty() {
        report(
            &["data_dir"],
            "expected the path of a folder, found \"\"".to_owned(),
        );
    }
}

fn check_origins(origins: &[String], report: &mut Report<'_>) {
    for (at, origin) in origins.iter().enumerate() {
        if let Err(message) = unit::check_origin(origin) {
            report(&["http", "allowed_origins", &at.to_string()], message);
        }
    }
    if origins.len() > ORIGINS_MAX {
        report(
            &["http", "allowed_origins"],
            format!("there are more than {ORIGINS_MAX} origins"),
        );
    }
}

fn check_numbers(raw: &Raw, report: &mut Report<'_>) {
    let limits = &raw.limits;
    for (path, value, max) in [
        (["runtime", "workers"], raw.runtime.workers, WORKERS_MAX),
        (["limits", "connections"], limits.connections, LIMIT_MAX),
        (
            ["limits", "connections_per_address"],
            limits.connections_per_address,
            LIMIT_MAX,
        ),
        (
            ["limits", "messages_per_minute"],
            limits.messages_per_minute as usize,
            LIMIT_MAX,
        ),
    ] {
        if !(1..=max).contains(&value) {
            report(
                &path,
                format!("{value} is out of range; it has to be from 1 to {max}"),
            );
        }
    }
}

/// The intervals; a wrong one is replaced, so that what depends on it can be checked as well.
fn check_tiers(raw: &RawTiers, report: &mut dyn FnMut(&[&str], String)) -> Tiers {
    let mut tiers = Tiers {
        fast: raw.fast,
        medium: raw.medium,
        slow: raw.slow,
    };
    if !(FAST_MIN..=FAST_MAX).contains(&tiers.fast) {
        let (fast, min, max) = (
            unit::shown(tiers.fast),
            unit::shown(FAST_MIN),
            unit::shown(FAST_MAX),
        );
        report(
            &["tiers", "fast"],
            format!("{fast} is out of range; it has to be from {min} to {max}"),
        );
        return Tiers::default();
    }
    let mut check = |name: &str, tier: &mut Duration, below: Duration, base: &str| {
        let is_multiple = tier.as_millis().is_multiple_of(below.as_millis());
        let shown = unit::shown(*tier);
        if tier.is_zero() || !is_multiple {
            let below = unit::shown(below);
            report(
                &["tiers", name],
                format!("{shown} is not a whole multiple of tiers.{base}, {below}"),
            );
        } else if *tier >= DAY {
            report(
                &["tiers", name],
                format!("{shown} is too long; it has to be below 24h"),
            );
        } else {
            return;
        }
        *tier = below;
    };
    check("medium", &mut tiers.medium, raw.fast, "fast");
    check("slow", &mut tiers.slow, tiers.medium, "medium");
    tiers
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn values_out_of_range_are_refused() {
        for (text, expected) in [
            (
                "listen = '0.0.0.0:1'",
                "config.toml:1: listen: 0.0.0.0:1 is reachable from other machines",
            ),
            (
                "listen = '[::]:1'",
                "config.toml:1: listen: [::]:1 is reachable",
            ),
            (
                "listen = 'localhost:1'",
                "config.toml:1: listen: expected an IP address",
            ),
            (
                "listen = 10132",
                "config.toml:1: listen: expected an IP address",
            ),
            (
                "data_dir = ''",
                "config.toml:1: data_dir: expected the path",
            ),
            (
                "[tiers]\nfast = '99ms'",
                "config.toml:2: tiers.fast: 99ms is out of range",
            ),
            (
                "[tiers]\nfast = '61s'",
                "config.toml:2: tiers.fast: 61s is out of range",
            ),
            (
                "[tiers]\nfast = '2s'",
                "config.toml:1: tiers.medium: 5s is not a whole multiple of tiers.fast, 2s",
            ),
            (
                "[tiers]\nmedium = '0s'",
                "config.toml:2: tiers.medium: 0ms is not a whole multiple",
            ),
            (
                "[tiers]\nslow = '31s'",
                "config.toml:2: tiers.slow: 31s is not a whole multiple of tiers.medium, 5s",
            ),
            (
                "[tiers]\nslow = '24h'",
                "config.toml:2: tiers.slow: 1d is too long",
            ),
            (
                "[http]\nallowed_origins = [\n'http://a',\n'a']",
                "config.toml:4: http.allowed_origins[1]: expected an origin",
            ),
            (
                "[runtime]\nworkers = 0",
                "config.toml:2: runtime.workers: 0 is out of range",
            ),
            (
                "[limits]\nconnections = 0",
                "config.toml:2: limits.connections: 0 is out of range",
            ),
            (
                "[limits]\nmessages_per_minute = 0",
                "config.toml:2: limits.messages_per_minute: 0 is",
            ),
            (
                "[log]\nlevel = 'loud'",
                "config.toml:2: log.level: expected",
            ),
            (
                "plugins = 1",
                "config.toml:1: plugins: expected a table, found the number 1",
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
