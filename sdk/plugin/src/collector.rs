//! What an author implements: the [`Collector`] trait, its [`Manifest`] and its [`Error`].
//!
//! `runtime.rs` calls the trait from the plugin's own thread, `export.rs` turns an [`Error`] into a
//! code of the ABI. Nothing here touches the host.

use std::{
    fmt,
    future::{Future, ready},
    io,
};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Setup, Sink, abi};

/// A source of metrics: made from its configuration, then asked for samples once a tick.
///
/// All methods run on one thread of the plugin's own, inside a current-thread tokio runtime. It keeps
/// turning between ticks, so tasks started with [`tokio::spawn`](crate::tokio::spawn) run there too;
/// code that blocks is fine in `collect`, as nobody else waits for that thread. A panic in any method ends
/// the instance and nothing else: the agent makes a new one.
pub trait Collector: Sized + Send + 'static {
    /// The plugin's section of `config.toml`. Its JSON Schema becomes part of the manifest, and the agent refuses
    /// what that does not allow: where serde reads something else than the type says (`deserialize_with`, `alias`),
    /// tell schemars too.
    ///
    /// Put `#[serde(default, deny_unknown_fields)]` on it, so that a typo is an error and each key is
    /// optional.
    type Config: DeserializeOwned + JsonSchema;

    /// Who the plugin is.
    const MANIFEST: Manifest;

    /// Makes an instance and declares its metric families.
    fn new(config: Self::Config, setup: &mut Setup<'_>) -> Result<Self, Error>;

    /// Samples the source. The samples of a failed collect are dropped whole; use
    /// [`Sink::warn`] where only a part could not be read.
    ///
    /// What still awaits when the deadline of the tick has come is dropped at that await, as by
    /// [`tokio::time::timeout`](crate::tokio::time::timeout), the tick fails with
    /// [`ErrorKind::Timeout`], and the next tick collects as usual. So a connection in the middle of an
    /// answer is best taken out of `self` while it is used, and put back afterwards. Code that blocks the
    /// thread beyond the deadline can't be dropped: the agent ends the process and starts anew.
    fn collect(&mut self, out: &mut Sink<'_>) -> impl Future<Output = Result<(), Error>>;

    /// Takes a changed configuration without losing state, or asks to be made anew, which is what happens
    /// unless it is implemented. An error keeps the instance as it is, with the old configuration.
    fn reconfigure(&mut self, config: Self::Config) -> Result<Reload, Error> {
        let _ = config;
        Ok(Reload::Restart)
    }

    /// Answers a lookup that the operator has named in the configuration, such as a query whether somebody
    /// is an administrator, with one JSON value. Told by [`Manifest::lookup`], or else it is never called.
    ///
    /// `parameter` comes from outside: bind it, never make it part of a query's text. The call runs on the
    /// collector's thread, so it waits for a running `collect`, and the next one waits for it. It is dropped at an
    /// await when the agent has given up on it, after 500 ms or half the interval. Code that blocks the thread
    /// beyond that can't be dropped: the agent ends the process and starts anew.
    fn lookup(
        &mut self,
        name: &str,
        parameter: &str,
    ) -> impl Future<Output = Result<serde_json::Value, Error>> {
        let _ = parameter;
        ready(Err(Error::config("", format!("unknown lookup `{name}`"))))
    }
}

/// Name, topic, version and needs of a plugin, known without running it.
///
/// It is a constant because the same words stand in the library's `.barograph` section, where
/// `barograph plugin inspect` reads them without executing the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub(crate) name: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) version: &'static str,
    pub(crate) needs: &'static [&'static str],
    pub(crate) features: u64,
    pub(crate) runs_unasked: bool,
}

impl Manifest {
    /// A manifest; `version` is best `env!("CARGO_PKG_VERSION")`.
    ///
    /// `name` (of `[plugins.NAME]`) and `topic` are lower-case letters, digits and `_`.
    ///
    /// # Panics
    /// At compile time, when a name, topic or version could not be written to the library's section.
    pub const fn new(name: &'static str, topic: &'static str, version: &'static str) -> Self {
        assert!(
            is_word(name),
            "a plugin's name is lower-case letters, digits and _"
        );
        assert!(
            is_word(topic),
            "a plugin's topic is lower-case letters, digits and _"
        );
        assert!(is_line(version), "a plugin's version is one line");
        Self {
            name,
            topic,
            version,
            needs: &[],
            features: 0,
            runs_unasked: false,
        }
    }

    /// Says in plain words what the plugin has to have, such as `"read access to /proc"`.
    #[must_use]
    pub const fn needs(mut self, needs: &'static [&'static str]) -> Self {
        self.needs = needs;
        self
    }

    /// Says that the plugin runs also where no section of `config.toml` names it, once its library lies in the
    /// agent's folder or that of the system's plugins. For what every machine has and that needs no
    /// configuration.
    #[must_use]
    pub const fn unasked(mut self) -> Self {
        self.runs_unasked = true;
        self
    }

    /// Says that the plugin emits events, see [`Setup::events`].
    #[must_use]
    pub const fn events(mut self) -> Self {
        self.features |= abi::FEATURE_EVENTS;
        self
    }

    /// Says that the plugin answers lookups, see [`Collector::lookup`].
    #[must_use]
    pub const fn lookup(mut self) -> Self {
        self.features |= abi::FEATURE_LOOKUP;
        self
    }

    /// Name in `config.toml`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Topic under which the metrics are streamed.
    pub const fn topic(&self) -> &'static str {
        self.topic
    }

    /// Version of the plugin.
    pub const fn version(&self) -> &'static str {
        self.version
    }

    /// What it offers beyond metrics: `abi::FEATURE_…` bits.
    pub const fn features(&self) -> u64 {
        self.features
    }
}

const fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes[0].is_ascii_lowercase()
}

const fn is_line(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] < b' ' {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty()
}

/// Answer of [`Collector::reconfigure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The instance goes on with the new configuration.
    Applied,
    /// A new instance has to be made.
    Restart,
}

/// Why a call failed. Its [`kind`](ErrorKind) decides what the agent does next:
///
/// | kind | from | in `new` | in `collect` | in `reconfigure` |
/// |---|---|---|---|---|
/// | [`config`](Self::config) | the author | a new try after a pause | the tick is dropped, the next tries again | the old configuration stays |
/// | [`unavailable`](Self::unavailable), [`timeout`](Self::timeout) | the author, [`io::Error`], a deadline | as above | as above | as above |
/// | [`fatal`](Self::fatal) | the author | as above | a new instance | a new instance |
/// | panic | the SDK | as above | a new instance | a new instance |
///
/// The pause before a new instance is none for the first, then grows from 1 s to 5 min while it goes on to
/// fail; the agent never gives up for good. In each case the message stands beside the collector on the page
/// and in the log, with the `field` of a configuration error behind the section's name. A source that is
/// away for a while, a database that restarts, is `unavailable` in `collect` and needs nothing else: the
/// next tick tries again, with the same instance. `fatal` is for state that can't be mended from within.
///
/// In `lookup` every error is the answer to the one who asked; panics and `fatal` cost the instance too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    field: String,
    message: String,
}

/// Kinds of [`Error`], which says what the agent does on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The configuration can't be used; an operator has to change it.
    Config,
    /// The source does not answer, or refuses; the next tick tries again.
    Unavailable,
    /// The source did not answer in time; the next tick tries again.
    Timeout,
    /// The collector panicked; a new instance is made.
    Panic,
    /// The instance can't go on; a new one is made.
    Fatal,
}

impl Error {
    /// The value of the key `field` (dotted path inside the plugin's section) can't be used.
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Config,
            field: field.into(),
            message: message.into(),
        }
    }

    /// The source does not answer, or refuses.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Unavailable, message)
    }

    /// The source did not answer in time.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Timeout, message)
    }

    /// The instance can't go on and has to be made anew.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Fatal, message)
    }

    pub(crate) fn panic(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Panic, message)
    }

    fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            field: String::new(),
            message: message.into(),
        }
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Dotted path of the configuration key at fault, or empty.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What failed, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The return code of the ABI.
    pub(crate) fn code(&self) -> i32 {
        match self.kind {
            ErrorKind::Config => abi::E_CONFIG,
            ErrorKind::Unavailable => abi::E_UNAVAILABLE,
            ErrorKind::Timeout => abi::E_TIMEOUT,
            ErrorKind::Panic => abi::E_PANIC,
            ErrorKind::Fatal => abi::E_FATAL,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::timeout(error.to_string()),
            _ => Self::unavailable(error.to_string()),
        }
    }
}

impl From<tokio::time::error::Elapsed> for Error {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::timeout("the source did not answer in time")
    }
}
