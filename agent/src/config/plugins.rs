//! The sections `[plugins.NAME]` and `[[plugins.NAME.instances]]`.
//!
//! A few keys are the agent's (whether, where from, how often, how much); every other key belongs to the
//! plugin and is handed to it untouched, as JSON. An instance has all keys of its plugin's section unless
//! it sets them itself. Whether the plugin likes its keys is its own to say, later.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::reader::Mistake;
use super::unit;
use super::validation::DAY;
use crate::catalog::SERIES_MAX;
use crate::clock::Tiers;
use crate::collect::{Settings, find_library};

/// Runs without being configured, so that a fresh agent has something to show.
const UNASKED: &str = "system";
/// The agent's collector of itself.
const OWN_NAME: &str = "agent";
/// The agent's own keys in a plugin's section and in that of an instance.
pub const HOST_KEYS: [&str; 6] = [
    "enabled",
    "path",
    "timeout",
    "interval",
    "series_max",
    "instances",
];
/// A configured bound beyond this is a slip of the finger.
const SERIES_MAX_MAX: usize = 1_000_000;

/// `[plugins.NAME]` as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    enabled: bool,
    path: Option<PathBuf>,
    #[serde(deserialize_with = "unit::optional_duration")]
    timeout: Option<Duration>,
    #[serde(deserialize_with = "unit::optional_duration")]
    interval: Option<Duration>,
    series_max: usize,
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
    timeout: Option<Duration>,
    #[serde(deserialize_with = "unit::optional_duration")]
    interval: Option<Duration>,
    series_max: Option<usize>,
    #[serde(flatten)]
    own: Map<String, Value>,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            timeout: None,
            interval: None,
            series_max: SERIES_MAX,
            instances: Vec::new(),
            own: Map::new(),
        }
    }
}

/// One collector that is to run: a plugin, or one of its configured instances.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Unique among collectors: the plugin's name, or the instance's.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Path of the library; found by the plugin's name where none is set.
    pub path: Option<PathBuf>,
    /// How often it collects; a whole multiple of the fast interval.
    pub interval: Duration,
    /// How long a collect may take; at most 0.8 of the interval.
    pub timeout: Duration,
    /// Series that may live at a time.
    pub series_max: usize,
    /// The plugin's own keys, an object.
    pub config: Value,
    /// Position among the plugin's configured instances; `None` when there are none.
    pub position: Option<usize>,
}

impl Instance {
    /// A plugin that is not configured, as its empty section would have it.
    pub fn of(plugin: &str) -> Self {
        let tiers = Tiers::default();
        Self {
            name: plugin.to_owned(),
            plugin: plugin.to_owned(),
            path: None,
            interval: tiers.fast,
            timeout: timeout(None, tiers.fast),
            series_max: SERIES_MAX,
            config: Value::Object(Map::new()),
            position: None,
        }
    }

    /// What its supervisor needs; an error says where the library was looked for.
    pub fn settings(&self) -> Result<Settings, String> {
        let library = match &self.path {
            Some(path) if path.is_file() => path.clone(),
            Some(path) => return Err(format!("there is no library {}", path.display())),
            None => find_library(&self.plugin)?,
        };
        Ok(Settings {
            name: self.name.clone(),
            plugin: self.plugin.clone(),
            library,
            config: self.config.clone(),
            interval: self.interval,
            timeout: self.timeout,
            series_max: self.series_max,
            labelled: self.position.is_some(),
        })
    }

    /// The sections in which a key of its may stand, the nearest first.
    pub fn sections(&self) -> Vec<String> {
        let plugin = format!("plugins.{}", self.plugin);
        match self.position {
            Some(position) => vec![format!("{plugin}.instances[{position}]"), plugin],
            None => vec![plugin],
        }
    }
}

/// The collectors of all sections that are enabled, in the order of the file; the mistakes go to `found`.
pub(super) fn instances(
    mut sections: IndexMap<String, Section>,
    tiers: &Tiers,
    found: &mut Vec<Mistake>,
) -> Vec<Instance> {
    if !sections.contains_key(UNASKED) {
        sections.shift_insert(0, UNASKED.to_owned(), Section::default());
    }
    let mut report = |path: &[&str], message: String| {
        let path = path.iter().map(ToString::to_string).collect();
        found.push(Mistake { path, message });
    };
    let mut all = Vec::new();
    for (plugin, section) in &sections {
        if !unit::is_name(plugin, b"") {
            let message = "a plugin's name is lower-case letters, digits and _, at most 64";
            report(&["plugins", plugin], message.to_owned());
        }
        let mut report = |path: &[&str], message| {
            report(&[&["plugins", plugin.as_str()], path].concat(), message);
        };
        let made = of_section(plugin, section, tiers, &mut report);
        all.extend(made.into_iter().filter(|_| section.enabled));
    }
    let mut names = HashSet::from([OWN_NAME]);
    for instance in &all {
        if names.insert(&instance.name) {
            continue;
        }
        let position = instance.position.map(|position| position.to_string());
        let mut path = vec!["plugins", &instance.plugin];
        path.extend(
            position
                .as_deref()
                .into_iter()
                .flat_map(|at| ["instances", at, "name"]),
        );
        report(
            &path,
            format!("the name `{}` is taken by another collector", instance.name),
        );
    }
    all
}

/// The collectors of one section.
fn of_section(
    plugin: &str,
    section: &Section,
    tiers: &Tiers,
    report: &mut dyn FnMut(&[&str], String),
) -> Vec<Instance> {
    let interval = check_interval(section.interval, tiers.fast, tiers, &["interval"], report);
    check_series(section.series_max, &["series_max"], report);
    if section.instances.is_empty() {
        return vec![Instance {
            name: plugin.to_owned(),
            plugin: plugin.to_owned(),
            path: section.path.clone(),
            interval,
            timeout: timeout(section.timeout, interval),
            series_max: section.series_max,
            config: Value::Object(section.own.clone()),
            position: None,
        }];
    }
    let mut made = Vec::with_capacity(section.instances.len());
    for (position, instance) in section.instances.iter().enumerate() {
        let at = position.to_string();
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
        let series_max = instance.series_max.unwrap_or(section.series_max);
        let path = ["instances", &at, "interval"];
        let interval = check_interval(instance.interval, interval, tiers, &path, report);
        check_series(series_max, &["instances", &at, "series_max"], report);
        let mut config = section.own.clone();
        config.extend(instance.own.clone());
        made.push(Instance {
            name,
            plugin: plugin.to_owned(),
            path: section.path.clone(),
            interval,
            timeout: timeout(instance.timeout.or(section.timeout), interval),
            series_max,
            config: Value::Object(config),
            position: Some(position),
        });
    }
    made
}

/// A collect has to end before the next begins, with room for what comes after it.
fn timeout(configured: Option<Duration>, interval: Duration) -> Duration {
    let longest = interval * 4 / 5;
    configured.map_or(longest, |timeout| {
        timeout.clamp(Duration::from_millis(1), longest)
    })
}

fn check_interval(
    configured: Option<Duration>,
    inherited: Duration,
    tiers: &Tiers,
    path: &[&str],
    report: &mut dyn FnMut(&[&str], String),
) -> Duration {
    let Some(interval) = configured else {
        return inherited;
    };
    let shown = unit::shown(interval);
    if interval.is_zero() || !interval.as_millis().is_multiple_of(tiers.fast.as_millis()) {
        let fast = unit::shown(tiers.fast);
        report(
            path,
            format!("{shown} is not a whole multiple of tiers.fast, {fast}"),
        );
        return inherited;
    }
    if interval >= DAY {
        report(path, format!("{shown} is too long; it has to be below 24h"));
        return inherited;
    }
    interval
}

fn check_series(series_max: usize, path: &[&str], report: &mut dyn FnMut(&[&str], String)) {
    if !(1..=SERIES_MAX_MAX).contains(&series_max) {
        report(
            path,
            format!("{series_max} is out of range; it has to be from 1 to {SERIES_MAX_MAX}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::node::Node;
    use crate::config::reader::read;

    fn parse(text: &str) -> (Vec<Instance>, Vec<String>) {
        let tree = Node::parse(text).unwrap();
        let (sections, mut found) = read::<IndexMap<String, Section>>(tree);
        let made = instances(sections, &Tiers::default(), &mut found);
        let found = found
            .iter()
            .map(|m| format!("{}: {}", m.path.join("."), m.message))
            .collect();
        (made, found)
    }

    #[test]
    fn the_system_plugin_runs_unasked() {
        let (made, found) = parse("");
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(made.len(), 1);
        assert_eq!((made[0].name.as_str(), made[0].position), ("system", None));
        assert_eq!(made[0].timeout, Duration::from_millis(800));
        assert_eq!(parse("[system]\nenabled = false\n").0, []);
    }

    #[test]
    fn own_keys_reach_the_plugin_untouched() {
        let (made, _) =
            parse("[system]\ninterval = '5s'\nper_cpu = false\nlimits = {x = [1, 'a']}\n");
        assert_eq!(
            made[0].config,
            json!({"per_cpu": false, "limits": {"x": [1, "a"]}})
        );
        assert_eq!(made[0].interval, Duration::from_secs(5));
        assert_eq!(made[0].timeout, Duration::from_secs(4));
    }

    #[test]
    fn instances_inherit_and_override() {
        let text = "[database]\nkind = 'postgresql'\nseries_max = 50\ntimeout = '100ms'\n\
            [[database.instances]]\nname = 'main'\nurl = 'a'\n\
            [[database.instances]]\nname = 'other'\nkind = 'mysql'\ninterval = '2s'\nseries_max = 7\n";
        let (made, found) = parse(text);
        assert!(found.is_empty(), "{found:?}");
        let [_, main, other] = made.as_slice() else {
            panic!("{made:?}")
        };
        assert_eq!(main.config, json!({"kind": "postgresql", "url": "a"}));
        assert_eq!((main.name.as_str(), main.series_max), ("main", 50));
        assert_eq!(other.config, json!({"kind": "mysql"}));
        assert_eq!(
            (other.interval, other.series_max),
            (Duration::from_secs(2), 7)
        );
        assert_eq!(other.timeout, Duration::from_millis(100));
        assert_eq!(
            other.sections(),
            ["plugins.database.instances[1]", "plugins.database"]
        );
    }

    #[test]
    fn mistakes_name_their_key() {
        for (text, expected) in [
            (
                "[system]\ninterval = '1500ms'",
                "plugins.system.interval: 1500ms is not a whole multiple of tiers.fast, 1s",
            ),
            (
                "[system]\ninterval = '24h'",
                "plugins.system.interval: 1d is too long",
            ),
            (
                "[system]\nseries_max = 0",
                "plugins.system.series_max: 0 is out of range",
            ),
            ("[agent]", "plugins.agent: the name `agent` is taken"),
            ("[Bad]", "plugins.Bad: a plugin's name is"),
            (
                "[[db.instances]]\n",
                "plugins.db.instances.0: each instance needs a name",
            ),
            (
                "[[db.instances]]\nname = 'x y'",
                "plugins.db.instances.0.name: a name is",
            ),
            (
                "[[db.instances]]\nname = 'system'",
                "plugins.db.instances.0.name: the name `system` is taken",
            ),
            (
                "[[db.instances]]\nname = 'x'\ninterval = '10ms'",
                "plugins.db.instances.0.interval: 10ms is not",
            ),
        ] {
            let (_, found) = parse(text);
            assert!(
                found.len() == 1 && found[0].starts_with(expected),
                "{text}: {found:?}"
            );
        }
    }
}
