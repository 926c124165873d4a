//! What can be written into a plugin's section, and what it comes to.
//!
//! An instance inherits what it does not set, and each value is checked where it stands. Pure.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::super::unit::{self, Bound};
use super::super::validation::{DAY, Report};
use super::Instance;
use crate::catalog::SERIES_MAX;
use crate::clock::Tiers;
use crate::collect::library::Policy;
use crate::collect::{Isolation, RSS_MAX_BYTES, START_TIMEOUT};

/// The agent's own keys in a plugin's section. An instance may set some of them for itself.
pub const HOST_KEYS: [&str; 12] = [
    "enabled",
    "path",
    "sha256",
    "strict",
    "isolation",
    "interval",
    "timeout",
    "start_timeout",
    "series_max",
    "rss_max",
    "address_space_max",
    "instances",
];
/// Those that all instances of a plugin share: there is one library, and one decision about it.
const SECTION_KEYS: [&str; 6] = [
    "enabled",
    "path",
    "sha256",
    "strict",
    "isolation",
    "instances",
];

/// A configured bound beyond this is a slip of the finger.
const SERIES_MAX_MAX: usize = 1_000_000;
const START_TIMEOUT_RANGE: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_mins(5));
/// A host that runs nothing yet has half of this resident.
const RSS_BYTES_MIN: u64 = 16 << 20;
/// Below it not even the host itself starts: threads reserve more than they use.
const ADDRESS_SPACE_BYTES_MIN: u64 = 64 << 20;

/// `[plugins.NAME]` as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(in crate::config) struct Section {
    enabled: bool,
    path: Option<PathBuf>,
    #[serde(deserialize_with = "unit::optional_sha256")]
    sha256: Option<String>,
    strict: bool,
    #[serde(deserialize_with = "isolation")]
    isolation: Isolation,
    #[serde(deserialize_with = "unit::optional_duration")]
    interval: Option<Duration>,
    #[serde(deserialize_with = "unit::optional_duration")]
    timeout: Option<Duration>,
    #[serde(deserialize_with = "unit::optional_duration")]
    start_timeout: Option<Duration>,
    series_max: Option<usize>,
    #[serde(deserialize_with = "unit::optional_bound")]
    rss_max: Option<Bound>,
    #[serde(deserialize_with = "unit::optional_bound")]
    address_space_max: Option<Bound>,
    instances: Vec<InstanceSection>,
    #[serde(flatten)]
    own: Map<String, Value>,
}

/// `[[plugins.NAME.instances]]` as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct InstanceSection {
    name: Option<String>,
    #[serde(deserialize_with = "unit::optional_duration")]
    interval: Option<Duration>,
    #[serde(deserialize_with = "unit::optional_duration")]
    timeout: Option<Duration>,
    #[serde(deserialize_with = "unit::optional_duration")]
    start_timeout: Option<Duration>,
    series_max: Option<usize>,
    #[serde(deserialize_with = "unit::optional_bound")]
    rss_max: Option<Bound>,
    #[serde(deserialize_with = "unit::optional_bound")]
    address_space_max: Option<Bound>,
    #[serde(flatten)]
    own: Map<String, Value>,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            sha256: None,
            strict: false,
            isolation: Isolation::default(),
            interval: None,
            timeout: None,
            start_timeout: None,
            series_max: None,
            rss_max: None,
            address_space_max: None,
            instances: Vec::new(),
            own: Map::new(),
        }
    }
}

/// The bounds as a section or an instance has them written.
struct Written {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    start_timeout: Option<Duration>,
    series_max: Option<usize>,
    rss_max: Option<Bound>,
    address_space_max: Option<Bound>,
}

/// The bounds of a collector, all checked but the timeout, which is fitted into the interval.
#[derive(Clone, Copy)]
struct Limits {
    interval: Duration,
    timeout: Option<Duration>,
    start_timeout: Duration,
    series_max: usize,
    rss_max: Bound,
    address_space_max: Bound,
}

impl Section {
    /// The collector of an empty section.
    pub(super) fn unasked(plugin: &str, tiers: &Tiers) -> Instance {
        let limits = Limits::default_of(tiers);
        Self::default().instance(plugin, plugin.to_owned(), None, limits, Map::new())
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The collectors of the section; mistakes are reported with their path in it.
    pub(super) fn instances(
        &self,
        plugin: &str,
        tiers: &Tiers,
        report: &mut Report<'_>,
    ) -> Vec<Instance> {
        let limits = Limits::default_of(tiers).with(&self.written(), tiers, &[], report);
        if self.instances.is_empty() {
            return vec![self.instance(plugin, plugin.to_owned(), None, limits, self.own.clone())];
        }
        let mut made = Vec::with_capacity(self.instances.len());
        for (position, instance) in self.instances.iter().enumerate() {
            let at = position.to_string();
            for key in SECTION_KEYS
                .iter()
                .filter(|key| instance.own.contains_key(**key))
            {
                let message = format!("all instances share this key; set it in [plugins.{plugin}]");
                report(&["instances", &at, key], message);
            }
            let name = match &instance.name {
                Some(name) if unit::is_name(name, b"-") => name.clone(),
                Some(_) => {
                    let message = "a name is lower-case letters, digits, _ and -, at most 64";
                    report(&["instances", &at, "name"], message.to_owned());
                    continue;
                }
                None => {
                    let message = "each instance needs a name of its own, such as name = \"main\"";
                    report(&["instances", &at], message.to_owned());
                    continue;
                }
            };
            let limits = limits.with(&instance.written(), tiers, &["instances", &at], report);
            let mut own = self.own.clone();
            own.extend(instance.own.clone());
            made.push(self.instance(plugin, name, Some(position), limits, own));
        }
        made
    }

    fn instance(
        &self,
        plugin: &str,
        name: String,
        position: Option<usize>,
        limits: Limits,
        own: Map<String, Value>,
    ) -> Instance {
        Instance {
            name,
            plugin: plugin.to_owned(),
            path: self.path.clone(),
            policy: Policy {
                sha256: self.sha256.clone(),
                strict: self.strict,
            },
            isolation: self.isolation,
            interval: limits.interval,
            timeout: fitted(limits.timeout, limits.interval),
            start_timeout: limits.start_timeout,
            series_max: limits.series_max,
            rss_max_bytes: limits.rss_max.bytes(),
            address_space_max_bytes: limits.address_space_max.bytes(),
            config: Value::Object(own),
            position,
            mistakes: None,
        }
    }

    fn written(&self) -> Written {
        Written {
            interval: self.interval,
            timeout: self.timeout,
            start_timeout: self.start_timeout,
            series_max: self.series_max,
            rss_max: self.rss_max,
            address_space_max: self.address_space_max,
        }
    }
}

impl InstanceSection {
    fn written(&self) -> Written {
        Written {
            interval: self.interval,
            timeout: self.timeout,
            start_timeout: self.start_timeout,
            series_max: self.series_max,
            rss_max: self.rss_max,
            address_space_max: self.address_space_max,
        }
    }
}

impl Limits {
    const fn default_of(tiers: &Tiers) -> Self {
        Self {
            interval: tiers.fast,
            timeout: None,
            start_timeout: START_TIMEOUT,
            series_max: SERIES_MAX,
            rss_max: Bound::Bytes(RSS_MAX_BYTES),
            address_space_max: Bound::Off,
        }
    }

    /// These, with what is written at `path` in their place. A wrong value is reported and passed over.
    fn with(
        self,
        written: &Written,
        tiers: &Tiers,
        path: &[&str],
        report: &mut Report<'_>,
    ) -> Self {
        let report = &mut |key: &str, message: String| report(&[path, &[key]].concat(), message);
        let mut taken = self;
        taken.timeout = written.timeout.or(self.timeout);
        let interval = written.interval;
        let interval = interval.map(|interval| checked_interval(interval, tiers));
        put(&mut taken.interval, interval, "interval", report);
        let start_timeout = written.start_timeout.map(checked_start_timeout);
        put(
            &mut taken.start_timeout,
            start_timeout,
            "start_timeout",
            report,
        );
        let series_max = written.series_max.map(checked_series);
        put(&mut taken.series_max, series_max, "series_max", report);
        let rss_max = written.rss_max;
        let rss_max = rss_max.map(|bound| checked_bound(bound, RSS_BYTES_MIN));
        put(&mut taken.rss_max, rss_max, "rss_max", report);
        let space_max = written.address_space_max;
        let space_max = space_max.map(|bound| checked_bound(bound, ADDRESS_SPACE_BYTES_MIN));
        put(
            &mut taken.address_space_max,
            space_max,
            "address_space_max",
            report,
        );
        taken
    }
}

/// Takes a good value, reports a wrong one, and leaves what was inherited where there is none.
fn put<T>(
    place: &mut T,
    checked: Option<Result<T, String>>,
    key: &str,
    report: &mut dyn FnMut(&str, String),
) {
    match checked {
        Some(Ok(value)) => *place = value,
        Some(Err(message)) => report(key, message),
        None => {}
    }
}

/// `"process"` or `"thread"`.
fn isolation<'de, D: Deserializer<'de>>(from: D) -> Result<Isolation, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Process,
        Thread,
    }
    Ok(match Word::deserialize(from)? {
        Word::Process => Isolation::Process,
        Word::Thread => Isolation::Thread,
    })
}

/// A collect has to end before the next begins, with room for what comes after it.
fn fitted(timeout: Option<Duration>, interval: Duration) -> Duration {
    let longest = interval * 4 / 5;
    timeout.map_or(longest, |timeout| {
        timeout.clamp(Duration::from_millis(1), longest)
    })
}

fn checked_interval(interval: Duration, tiers: &Tiers) -> Result<Duration, String> {
    let shown = unit::shown(interval);
    if interval.is_zero() || !interval.as_millis().is_multiple_of(tiers.fast.as_millis()) {
        let fast = unit::shown(tiers.fast);
        return Err(format!(
            "{shown} is not a whole multiple of tiers.fast, {fast}"
        ));
    }
    if interval >= DAY {
        return Err(format!("{shown} is too long; it has to be below 24h"));
    }
    Ok(interval)
}

fn checked_start_timeout(timeout: Duration) -> Result<Duration, String> {
    let (min, max) = START_TIMEOUT_RANGE;
    if (min..=max).contains(&timeout) {
        return Ok(timeout);
    }
    Err(format!(
        "{} is out of range; it has to be from {} to {}",
        unit::shown(timeout),
        unit::shown(min),
        unit::shown(max)
    ))
}

fn checked_series(series_max: usize) -> Result<usize, String> {
    if (1..=SERIES_MAX_MAX).contains(&series_max) {
        return Ok(series_max);
    }
    Err(format!(
        "{series_max} is out of range; it has to be from 1 to {SERIES_MAX_MAX}"
    ))
}

fn checked_bound(bound: Bound, bytes_min: u64) -> Result<Bound, String> {
    match bound {
        Bound::Bytes(bytes) if bytes < bytes_min => Err(format!(
            "{} is too little; it has to be at least {}, or \"off\"",
            unit::shown_size(bytes),
            unit::shown_size(bytes_min)
        )),
        good => Ok(good),
    }
}
