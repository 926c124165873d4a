//! The log: to stderr, for people or as one JSON object a line.
//!
//! [`init`] installs it once a process; its [`Handle`] changes the level on a reload. Parts write through
//! `tracing` and don't know this file. A thread of its own writes, from a bounded queue, so that nobody ever
//! waits for stderr.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};
use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

/// Lines that may wait for stderr. Beyond it lines are lost: a pipe that nobody reads costs the log only.
const LINES_MAX: usize = 1_024;
/// What every target of our own code begins with.
const CRATE: &str = "barograph::";

/// `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How a line looks.
    pub format: Format,
    /// Which lines there are.
    pub level: Filter,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Time, level, part, message, fields.
    #[default]
    Human,
    /// One object a line.
    Json,
}

/// A level for everything, and others for parts: `info,hub=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    default: LevelFilter,
    /// Part of the agent (`hub`, `http::ws`) or whole target, with its level.
    parts: Vec<(String, LevelFilter)>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            default: LevelFilter::INFO,
            parts: Vec::new(),
        }
    }
}

/// The text is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFilter;

impl FromStr for Filter {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Self, BadFilter> {
        let mut filter = Self::default();
        for directive in text.split(',').map(str::trim) {
            let Some((part, word)) = directive.split_once('=') else {
                filter.default = level(directive)?;
                continue;
            };
            if part.is_empty() || part.contains(char::is_whitespace) {
                return Err(BadFilter);
            }
            filter.parts.push((part.to_owned(), level(word)?));
        }
        Ok(filter)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let expected = "\"error\", \"warn\", \"info\", \"debug\", \"trace\" or \"off\", or a list with parts such as \"info,hub=debug\"";
        text.parse()
            .map_err(|BadFilter| D::Error::invalid_value(Unexpected::Str(&text), &expected))
    }
}

impl Filter {
    fn targets(&self) -> Targets {
        let whole = self
            .parts
            .iter()
            .map(|(part, level)| (part.clone(), *level));
        let own = self
            .parts
            .iter()
            .map(|(part, level)| (format!("{CRATE}{part}"), *level));
        Targets::new()
            .with_default(self.default)
            .with_targets(whole)
            .with_targets(own)
    }
}

fn level(word: &str) -> Result<LevelFilter, BadFilter> {
    match word {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        "off" => Ok(LevelFilter::OFF),
        _ => Err(BadFilter),
    }
}

/// Changes the log of the process while it runs.
#[derive(Clone, Debug)]
pub struct Handle {
    filter: reload::Handle<Targets, Registry>,
    /// Writes what waits when the last handle goes, within a second.
    _writer: Arc<WorkerGuard>,
}

impl Handle {
    /// From now on these lines are written. The format stays as it was.
    pub fn set(&self, filter: &Filter) {
        // It fails only when the log is gone, and then there is nothing to change.
        let _ = self.filter.reload(filter.targets());
    }
}

/// Installs the log of this process; a second call changes nothing that is written.
pub fn init(config: &Config) -> Handle {
    let (filter, handle) = reload::Layer::new(config.level.targets());
    let (stderr, writer) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_MAX)
        .lossy(true)
        .thread_name("log")
        .finish(io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let lines = match config.format {
        Format::Human => lines.event_format(Human).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    // It fails only when the process has a log already.
    let _ = tracing_subscriber::registry()
        .with(filter.and_then(lines))
        .try_init();
    Handle {
        filter: handle,
        _writer: Arc::new(writer),
    }
}

/// `2026-01-31T12:00:00.000000Z INFO  hub: message field=value`
struct Human;

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut line)?;
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN ",
            Level::INFO => "INFO ",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        let target = metadata.target();
        write!(
            line,
            " {level} {}: ",
            target.strip_prefix(CRATE).unwrap_or(target)
        )?;
        // What plugins say comes here too, and nobody may write a line in the name of somebody else.
        let mut said = String::new();
        context.format_fields(Writer::new(&mut said), event)?;
        writeln!(line, "{}", said.replace('\n', "\\n").replace('\r', "\\r"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of three events under the filter.
    fn written(filter: &str) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let filter = filter.parse::<Filter>().unwrap().targets();
        let layer = layer.event_format(Human).with_filter(filter);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(target: "barograph::hub", clients = 2, "subscribed");
            tracing::debug!(target: "barograph::hub::lane", "skipped");
            tracing::warn!(target: "plugin", plugin = "system", "slow disk");
        });
        let bytes = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| {
                line.split_once(' ')
                    .expect("a time comes first")
                    .1
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn a_line_for_people_has_level_part_message_and_fields() {
        let all = written("debug");
        assert_eq!(
            all,
            [
                "INFO  hub: subscribed clients=2",
                "DEBUG hub::lane: skipped",
                "WARN  plugin: slow disk plugin=\"system\"",
            ]
        );
    }

    #[test]
    fn a_message_stays_on_one_line() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let layer = layer.event_format(Human);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let message = "slow\r\n2026-11-21T00:00:00Z ERROR store: forged";
            tracing::warn!(target: "plugin", "{message}");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let said = "WARN  plugin: slow\\r\\n2026-11-21T00:00:00Z ERROR store: forged\n";
        assert!(text.ends_with(said), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn parts_have_levels_of_their_own() {
        assert_eq!(written("info").len(), 2);
        assert_eq!(written("warn,hub=debug").len(), 3);
        assert_eq!(written("off,hub::lane=debug").len(), 1);
        assert_eq!(written("info,plugin=error,hub=off").len(), 0);
        assert_eq!(written("off, plugin=warn").len(), 1);
    }

    #[test]
    fn nonsense_is_no_filter() {
        for text in [
            "",
            "loud",
            "INFO",
            "info,",
            "hub=",
            "=debug",
            "info hub=debug",
        ] {
            assert_eq!(text.parse::<Filter>(), Err(BadFilter), "{text}");
        }
    }
}
