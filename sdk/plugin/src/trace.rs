//! The bridge from [`tracing`] to the agent's log.
//!
//! `runtime.rs` makes a [`Bridge`] the default subscriber of the collector's threads. Each event becomes one
//! message, `target: message key=value`, at its own level; which levels are kept is the agent's choice, so
//! that an operator can turn on a plugin's debug messages. Spans are passed over.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{Level, export::Link};

/// Sends the events of one collector to its host.
pub(crate) struct Bridge {
    link: Arc<Link>,
}

impl Bridge {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }
}

impl Subscriber for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let target = event.metadata().target();
        let Line { message, fields } = line;
        let level = level_of(*event.metadata().level());
        self.link
            .log(level as u32, &format!("{target}:{message}{fields}"));
    }

    // None is enabled, so none is ever made, entered or recorded.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn level_of(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

/// An event's fields as text, each with the space before it.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_word = !value.is_empty()
            && !value.contains(|c: char| c.is_whitespace() || c.is_control() || "\"=".contains(c));
        if is_word || field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, " {value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests;
