//! What an operator can set: `config.toml` and the variables laid over it, as a tree of the parts' own
//! configurations.
//!
//! Reading goes in three steps: the text with the place of each key ([`Source`]), types, and what types
//! can't say. Unknown keys are refused; all mistakes are reported at once, each with its file and line or
//! its variable. Every key has a default, and the `config.toml` at the root of the repository shows them
//! all. Only `cli` and `app` read this; the parts get their own pieces.
//!
//! A variable's name is `BAROGRAPH_` and the key's path, joined by `__`: `BAROGRAPH_LOG__FORMAT=json`.
//! `data_dir` and other relative paths are relative to the working directory.

mod alerts;
mod error;
mod node;
mod plugins;
mod reader;
mod source;
mod store;
mod unit;
mod validation;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;

pub(crate) use error::unknown_key;
pub use error::{ConfigError, ConfigErrors};
pub use node::Origin;
pub use plugins::{HOST_KEYS, Instance, Resolved, Unusable};
pub use source::{Source, VARIABLE_PREFIX};
pub(crate) use unit::is_name;

use crate::alerts::rule::Rule;
use crate::clock::Tiers;
use crate::http::Limits;
use crate::{http, log};
use reader::Mistake;
use validation::validate;

/// Read when no file is named, if it is there.
pub const FILE: &str = "config.toml";

/// The whole configuration, valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the server listens: a loopback address; port 0 asks for any free one.
    pub listen: SocketAddr,
    /// The folder of everything that outlives the process.
    pub data_dir: PathBuf,
    /// The three intervals.
    pub tiers: Tiers,
    /// The server's part: `[http]` and `[limits]`.
    pub http: http::Config,
    /// How much history is kept: `[store]`.
    pub store: crate::store::Config,
    /// What is logged, and how.
    pub log: log::Config,
    /// Threads.
    pub runtime: Runtime,
    /// The collectors to run.
    pub collectors: Vec<Instance>,
    /// The collectors of plugins that are switched off, for those who list them.
    pub disabled: Vec<Instance>,
    /// What is watched: the rules that come with the agent and those of `[[alerts.rules]]`.
    pub alerts: Vec<Rule>,
}

/// `[runtime]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runtime {
    /// Threads that serve clients and drive collectors.
    pub workers: usize,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    #[serde(deserialize_with = "unit::address")]
    listen: SocketAddr,
    data_dir: PathBuf,
    tiers: RawTiers,
    store: store::RawStore,
    http: RawHttp,
    limits: Limits,
    log: log::Config,
    runtime: Runtime,
    alerts: alerts::Section,
    plugins: IndexMap<String, plugins::Section>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTiers {
    #[serde(deserialize_with = "unit::duration")]
    fast: Duration,
    #[serde(deserialize_with = "unit::duration")]
    medium: Duration,
    #[serde(deserialize_with = "unit::duration")]
    slow: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawHttp {
    allowed_origins: Vec<String>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10_132),
            data_dir: PathBuf::from("barograph-data"),
            tiers: RawTiers::default(),
            store: store::RawStore::default(),
            http: RawHttp::default(),
            limits: Limits::default(),
            log: log::Config::default(),
            runtime: Runtime::default(),
            alerts: alerts::Section::default(),
            plugins: IndexMap::new(),
        }
    }
}

impl Default for RawTiers {
    fn default() -> Self {
        let Tiers { fast, medium, slow } = Tiers::default();
        Self { fast, medium, slow }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self { workers: 2 }
    }
}

impl Default for Config {
    fn default() -> Self {
        validate(Raw::default(), &mut Vec::new())
    }
}

impl Config {
    /// Reads the file at `path` (else [`FILE`] in the working directory, if it is there) and lays `env` over
    /// it. The [`Source`] tells later where a key came from.
    pub fn load(
        path: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Source), ConfigErrors> {
        let source = Source::load(path, Path::new(FILE), env).map_err(reported)?;
        let config = Self::of_source(&source)?;
        Ok((config, source))
    }

    fn of_source(source: &Source) -> Result<Self, ConfigErrors> {
        let (raw, mut mistakes) = reader::read::<Raw>(source.root.clone());
        let config = validate(raw, &mut mistakes);
        let place = |mistake: Mistake| source.error_at(&mistake.path, mistake.message);
        let errors = mistakes.into_iter().map(place).collect();
        ConfigErrors::new(errors).map_or(Ok(config), Err)
    }

    /// Adds collectors for the plugins that run without being configured, before the others. One that has a
    /// section runs as that says, and one whose name is taken does not run.
    pub fn run_unasked(&mut self, plugins: &[String]) {
        let is_taken = |name: &String| {
            let known = self.collectors.iter().chain(&self.disabled);
            known
                .clone()
                .any(|one| one.plugin == *name || one.name == *name)
        };
        let wanted: Vec<_> = plugins.iter().filter(|name| !is_taken(name)).collect();
        let made = wanted
            .into_iter()
            .map(|plugin| plugins::unasked(plugin, &self.tiers));
        self.collectors = made.chain(std::mem::take(&mut self.collectors)).collect();
    }

    /// The sections in which `new` differs, for the log of a reload.
    pub fn changes(&self, new: &Self) -> Vec<&'static str> {
        [
            ("listen", self.listen != new.listen),
            ("data_dir", self.data_dir != new.data_dir),
            ("tiers", self.tiers != new.tiers),
            ("store", self.store != new.store),
            (
                "http",
                self.http.allowed_origins != new.http.allowed_origins,
            ),
            ("limits", self.http.limits != new.http.limits),
            ("log", self.log != new.log),
            ("runtime", self.runtime != new.runtime),
            ("plugins", self.collectors != new.collectors),
            ("alerts", self.alerts != new.alerts),
        ]
        .into_iter()
        .filter_map(|(section, changed)| changed.then_some(section))
        .collect()
    }
}

fn reported(errors: Vec<ConfigError>) -> ConfigErrors {
    ConfigErrors::new(errors).expect("reading failed, so there is an error")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let env = env.iter().map(|(name, value)| (name.into(), value.into()));
        match Config::load(Some(&path), env) {
            Ok((config, _)) => Ok(config),
            Err(errors) => Err(errors
                .to_string()
                .replace(&format!("{}/", folder.path().display()), "")),
        }
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(load("", &[]), Ok(Config::default()));
        let (config, source) = Config::load(None, []).unwrap();
        assert_eq!((config, source.file()), (Config::default(), None));
    }

    #[test]
    fn the_sample_shows_every_key_with_its_default() {
        let text = include_str!("../../config.toml");
        let sample = Path::new("config.toml");
        let as_is = Source::parse(sample, text).unwrap();
        let defaults = Config {
            collectors: vec![Instance::of("system")],
            ..Config::default()
        };
        assert_eq!(Config::of_source(&as_is).as_ref(), Ok(&defaults));
        let is_key = |key: &str| {
            key.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let sets = |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| is_key(key));
        let is_key_or_rule = |line: &&str| sets(line) || *line == "[[alerts.rules]]";
        let lines = text.lines().map(|line| {
            line.strip_prefix("# ")
                .filter(is_key_or_rule)
                .unwrap_or(line)
        });
        let uncommented = Source::parse(sample, &lines.collect::<Vec<_>>().join("\n")).unwrap();
        let mut config = Config::of_source(&uncommented).unwrap();
        for collector in &mut config.collectors {
            // The plugin's own keys are its to judge; its tests hold them against the sample.
            collector.config = serde_json::json!({});
        }
        assert_eq!(config, defaults);
        for key in [
            "listen",
            "data_dir",
            "tiers.fast",
            "tiers.medium",
            "tiers.slow",
            "store.history",
            "store.minute_rollups",
            "store.hour_rollups",
            "store.disk_max",
            "http.allowed_origins",
            "limits.connections",
            "limits.connections_per_address",
            "limits.messages_per_minute",
            "log.format",
            "log.level",
            "runtime.workers",
            "plugins.system.enabled",
            "plugins.system.strict",
            "plugins.system.isolation",
            "plugins.system.interval",
            "plugins.system.timeout",
            "plugins.system.start_timeout",
            "plugins.system.series_max",
            "plugins.system.rss_max",
            "plugins.system.address_space_max",
            "alerts.rules[0].name",
            "alerts.rules[0].metric",
            "alerts.rules[0].comparison",
            "alerts.rules[0].warning",
            "alerts.rules[0].critical",
            "alerts.rules[0].clear",
            "alerts.rules[0].for",
            "alerts.rules[0].message",
        ] {
            assert!(uncommented.contains(key), "{key} is not in the sample");
        }
    }

    #[test]
    fn every_mistake_names_its_line() {
        let text = "lisen = '127.0.0.1:1'\n[tiers]\nfast = 5\nmedum = '5s'\n[shop]\nopen = '24h'\n\
            [limits]\nconnections = 'many'\n[log]\nformat = 'xml'\n";
        let expected = [
            "config.toml:1: lisen: unknown key; did you mean `listen`?",
            "config.toml:3: tiers.fast: expected a duration such as \"250ms\", \"1s\", \"5m\" or \"24h\", found the number 5",
            "config.toml:4: tiers.medum: unknown key; did you mean `medium`?",
            "config.toml:5: shop: unknown key; there are `listen`, `data_dir`, `tiers`, `store`, `http`, `limits`, `log`, `runtime`, `alerts` and `plugins`",
            "config.toml:8: limits.connections: expected a whole number from 0 up, found \"many\"",
            "config.toml:10: log.format: expected one of `human` or `json`, found \"xml\"",
        ];
        assert_eq!(load(text, &[]), Err(expected.join("\n")));
    }

    #[test]
    fn good_values_are_taken() {
        let text = "listen = '[::1]:0'\n[tiers]\nfast = '250ms'\nmedium = '2s'\nslow = '10s'\n\
            [http]\nallowed_origins = ['https://a.example']\n[log]\nformat = 'json'\nlevel = 'warn,hub=debug'\n";
        let config = load(text, &[]).unwrap();
        assert_eq!(config.listen, "[::1]:0".parse().unwrap());
        assert_eq!(config.tiers.medium, Duration::from_secs(2));
        assert_eq!(config.http.allowed_origins, ["https://a.example"]);
        assert_eq!(
            Config::default().changes(&config),
            ["listen", "tiers", "http", "log"]
        );
    }

    #[test]
    fn variables_override_the_file() {
        let env = [
            ("BAROGRAPH_LISTEN", "127.0.0.1:0"),
            ("BAROGRAPH_DATA_DIR", "42"),
            ("BAROGRAPH_HTTP__ALLOWED_ORIGINS", "['https://a.example']"),
            ("BAROGRAPH_PLUGINS__SYSTEM__PER_CPU", "false"),
            ("BAROGRAPH_PLUGINS__SYSTEM__RSS_MAX", "off"),
            // Digits alone, but a text all the same.
            (
                "BAROGRAPH_PLUGINS__SYSTEM__SHA256",
                "1234567890123456789012345678901234567890123456789012345678901234",
            ),
        ];
        let config = load("listen = '127.0.0.1:9'\n", &env).unwrap();
        assert_eq!(config.listen.port(), 0);
        assert_eq!(config.data_dir, Path::new("42"));
        assert_eq!(config.http.allowed_origins, ["https://a.example"]);
        assert_eq!(
            config.collectors[0].config,
            serde_json::json!({"per_cpu": false})
        );
        assert_eq!(config.collectors[0].rss_max_bytes, None);
        let sha256 = config.collectors[0].policy.sha256.as_deref();
        assert!(sha256.is_some_and(|digits| digits.starts_with("1234567890")));
    }

    #[test]
    fn what_runs_unasked_gives_way_to_its_section() {
        let run = |text: &str| {
            let mut config = load(text, &[]).unwrap();
            config.run_unasked(&["a".to_owned(), "system".to_owned()]);
            let collectors = config.collectors;
            let described = |one: &Instance| (one.name.clone(), one.interval);
            collectors.iter().map(described).collect::<Vec<_>>()
        };
        let one = |name: &str, seconds| (name.to_owned(), Duration::from_secs(seconds));
        assert_eq!(run(""), [one("a", 1), one("system", 1)]);
        assert_eq!(
            run("[tiers]\nfast = '5s'\n"),
            [one("a", 5), one("system", 5)]
        );
        let text = "[plugins.b]\n[plugins.system]\ninterval = '2s'\n";
        assert_eq!(run(text), [one("a", 1), one("b", 1), one("system", 2)]);
        assert_eq!(run("[plugins.system]\nenabled = false\n"), [one("a", 1)]);
        let text = "[[plugins.system.instances]]\nname = 'main'\n\
            [[plugins.b.instances]]\nname = 'a'\n";
        assert_eq!(run(text), [one("main", 1), one("a", 1)]);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value, expected) in [
            (
                "BAROGRAPH_LISTN",
                "x",
                "BAROGRAPH_LISTN: listn: unknown key; did you mean `BAROGRAPH_LISTEN`?",
            ),
            (
                "BAROGRAPH_TIERS__FASTT",
                "1s",
                "BAROGRAPH_TIERS__FASTT: tiers.fastt: unknown key; did you mean `BAROGRAPH_TIERS__FAST`?",
            ),
            (
                "BAROGRAPH_TIERS__FAST",
                "soon",
                "BAROGRAPH_TIERS__FAST: tiers.fast: expected a duration",
            ),
            (
                "BAROGRAPH_LISTEN",
                "0.0.0.0:1",
                "BAROGRAPH_LISTEN: listen: 0.0.0.0:1 is reachable",
            ),
        ] {
            let found = load("", &[(name, value)]).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn broken_syntax_names_its_line() {
        let found = load("listen = '127.0.0.1:1'\n[tiers\n", &[]).unwrap_err();
        assert!(found.starts_with("config.toml:2: "), "{found}");
    }
}
