//! Events: what happened in a source, between ticks or in one, with the place in the source after it.
//!
//! [`Events`] is a handle for any thread. The agent takes a bounded number of events that it has not stored
//! yet; beyond it an event comes back, and its source is not read on until it was taken. Nothing is queued
//! here, so nothing is lost here.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    Level, abi,
    export::{Link, struct_size},
};

/// Bytes of an event's name.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// Bytes of an event's data as JSON.
pub(crate) const DATA_BYTES_MAX: usize = 16 << 10;
/// Bytes of a position.
pub(crate) const POSITION_BYTES_MAX: usize = 256;
/// Between two tries to hand over an event. The agent makes room once a tick.
const ROOM_PAUSE: Duration = Duration::from_millis(50);

/// Hands events to the agent, from `collect`, from tasks that run between ticks, or from other threads.
///
/// Made by [`Setup::events`](crate::Setup::events).
#[derive(Clone, Debug)]
pub struct Events {
    link: Arc<Link>,
}

/// Something that happened: a name, its particulars, and where its source stands after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    name: String,
    level: Level,
    at_ms: i64,
    /// JSON, or why there is none.
    data: Result<String, String>,
    position: String,
}

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq)]
pub enum EmitError {
    /// The agent is behind: here is the event back. Keep it, stop reading the source and try again later, so
    /// that nothing is lost; [`Events::emit_when_room`] does that.
    Full(Event),
    /// The collector was stopped; its source is read on from the last stored position by the next one.
    Closed,
    /// The event is none: a name, data or a position that the contract does not allow.
    Invalid(String),
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(event) => write!(f, "the agent has no room for event {}", event.name),
            Self::Closed => f.write_str("the collector was stopped"),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for EmitError {}

impl Event {
    /// An event of level info, now, without particulars. Names are lower-case letters, digits, `_` and `-`,
    /// at most 64 bytes, such as `job_failed`.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            level: Level::Info,
            at_ms: 0,
            data: Ok(String::new()),
            position: String::new(),
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// When it happened, in Unix milliseconds; when it is handed over unless told.
    #[must_use]
    pub fn at_ms(mut self, at_ms: i64) -> Self {
        self.at_ms = at_ms;
        self
    }

    /// The particulars: anything that becomes a JSON object of at most 16 kB, such as a struct that derives
    /// `Serialize` or a `json!({ .. })`.
    #[must_use]
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.data = serde_json::to_string(data).map_err(|error| error.to_string());
        self
    }

    /// Where the source stands after it, in the plugin's own words of at most 256 bytes. The agent stores it
    /// in one commit with the event and gives the last one to [`Setup::position`](crate::Setup::position) of
    /// the next instance. Without one the stored position stays as it is.
    #[must_use]
    pub fn position(mut self, position: &str) -> Self {
        position.clone_into(&mut self.position);
        self
    }

    /// The data as JSON, after everything was found to be as the contract has it.
    fn checked_data(&self) -> Result<&str, String> {
        let name = &self.name;
        if !is_name(name) || name.len() > NAME_BYTES_MAX {
            return Err(format!(
                "event {name:?} has a name that is not lower-case letters, digits, _ and -, or too long"
            ));
        }
        let data = (self.data.as_ref())
            .map_err(|error| format!("event {name} has data that is no JSON: {error}"))?;
        if !data.is_empty() && !data.starts_with('{') {
            return Err(format!("event {name} has data that is no JSON object"));
        }
        for (what, bytes, bytes_max) in [
            ("data", data.len(), DATA_BYTES_MAX),
            ("a position", self.position.len(), POSITION_BYTES_MAX),
        ] {
            if bytes > bytes_max {
                return Err(format!(
                    "event {name} has {what} of {bytes} bytes, {bytes_max} is the most that there may be"
                ));
            }
        }
        Ok(data)
    }
}

/// The contract's rule, but for the length.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && (name.bytes()).all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

impl Events {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Hands over an event, or gives it back when the agent is behind.
    pub fn emit(&self, event: Event) -> Result<(), EmitError> {
        let data = event.checked_data().map_err(EmitError::Invalid)?;
        let sent = self.link.emit_event(&abi::Event {
            struct_size: struct_size::<abi::Event>(),
            level: event.level as u32,
            at_ms: event.at_ms,
            name: abi::Str::new(&event.name),
            data: abi::Str::new(data),
            position: abi::Str::new(&event.position),
        });
        sent.map_err(|code| match code {
            abi::E_FULL => EmitError::Full(event),
            abi::E_CLOSED => EmitError::Closed,
            code => {
                let name = event.name;
                EmitError::Invalid(format!(
                    "event {name} was refused by the host (code {code})"
                ))
            }
        })
    }

    /// Hands over an event and waits while the agent is behind, so that a task which reads its source one
    /// event after the other slows down to the agent's pace. Never [`EmitError::Full`].
    ///
    /// The time that it waits is tokio's, so it is awaited inside of the plugin's runtime.
    pub async fn emit_when_room(&self, mut event: Event) -> Result<(), EmitError> {
        loop {
            match self.emit(event) {
                Err(EmitError::Full(back)) => event = back,
                done => return done,
            }
            tokio::time::sleep(ROOM_PAUSE).await;
        }
    }
}

const _: () = {
    const fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Events>();
};

#[cfg(test)]
mod tests;
