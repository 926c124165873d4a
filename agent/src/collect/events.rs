//! Events of plugins on their way to the disk: what waits, and how far each source was read.
//!
//! [`Outbox`] is the handle that running plugins offer their events to; [`Queue`] is the end of the one task that
//! stores them in [`kept`], in the order in which they were offered. At most [`WAITING_MAX`] events of a collector
//! wait, with about [`WAITING_BYTES_MAX`] bytes: an offer beyond that is given back, its plugin sees `E_FULL` and stops
//! reading its source, and no collector takes another one's room. So nothing is lost while the disk is full or slow.
//!
//! An event and the position of its source after it are one record. A plugin that starts again is handed the
//! position of the last event that was taken in here ([`Outbox::position`]), since that one will be stored, and an
//! agent that starts again hands out the last one that was stored. What was not taken in the source gives again. So
//! each event of a source that is read on from its position is stored exactly once, whoever of the two is killed;
//! events without positions are stored at most once, and are missing if they were on their way.

pub mod kept;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barograph_sdk::abi;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::link::PluginEvent;
use crate::clock::Clock;

/// Events of one collector that may wait for the disk; offers beyond it are given back.
pub const WAITING_MAX: usize = 1_024;
/// Bytes of them from which on nothing more is taken in. The last one may go beyond it, by its own size.
pub const WAITING_BYTES_MAX: usize = 2 << 20;
/// Bytes of an event's name, as the header says; so are the next two.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of an event's data.
pub const DATA_BYTES_MAX: usize = 16 * 1_024;
/// Bytes of a position.
pub const POSITION_BYTES_MAX: usize = 256;

/// Where running plugins put their events. Cloneable handle.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Shared>);

/// What waits, for the one task that stores it.
#[derive(Debug)]
pub struct Queue(Arc<Shared>);

/// An event that was taken in.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The collector's name.
    pub collector: Arc<str>,
    /// Its time is set, and its data can be read by [`data`].
    pub event: PluginEvent,
    /// Why it is not stored; only its position counts then.
    pub refusal: Option<String>,
    /// Set to the event's sequence once it is on the disk.
    stored: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
    /// There is something to take, or the end has come.
    arrived: Notify,
    /// There is room again.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    collectors: HashMap<Arc<str>, Account>,
    is_closed: bool,
}

/// What is known of a collector.
#[derive(Debug, Default)]
struct Account {
    /// After the last event that was taken in.
    position: String,
    /// Events that were taken in and are not stored, and their bytes.
    waiting: usize,
    waiting_bytes: usize,
}

impl Account {
    fn has_room(&self) -> bool {
        self.waiting < WAITING_MAX && self.waiting_bytes < WAITING_BYTES_MAX
    }
}

/// Both ends, with the positions up to which each collector's source is stored.
pub fn channel(clock: Clock, positions: Vec<(Arc<str>, String)>) -> (Outbox, Queue) {
    let known = |(collector, position)| {
        let account = Account {
            position,
            ..Account::default()
        };
        (collector, account)
    };
    let state = State {
        collectors: positions.into_iter().map(known).collect(),
        ..State::default()
    };
    let shared = Arc::new(Shared {
        clock,
        state: Mutex::new(state),
        arrived: Notify::new(),
        freed: Notify::new(),
    });
    (Outbox(Arc::clone(&shared)), Queue(shared))
}

impl Outbox {
    /// Where the collector's source stood after its last event; from there a new start reads on. Empty before the
    /// first. An instance that was created while another one still ran, and that has offered its own events since,
    /// has an older position, and would give those events again.
    pub fn position(&self, collector: &str) -> String {
        let state = self.0.lock();
        let account = state.collectors.get(collector);
        account.map_or(String::new(), |account| account.position.clone())
    }

    /// Takes an event in, to be stored after those before it; then `stored` becomes its sequence. Says why it is none,
    /// if it is not: only its position counts then. Given back when there is no room for it, see [`Outbox::room`], or
    /// when the agent stops.
    pub fn offer(
        &self,
        collector: &str,
        mut event: PluginEvent,
        stored: &Arc<AtomicU64>,
    ) -> Result<Option<String>, PluginEvent> {
        let refusal = check(&event).err();
        let mut state = self.0.lock();
        let state = &mut *state;
        let collector: Arc<str> = match state.collectors.get_key_value(collector) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(collector),
        };
        let account = state.collectors.entry(Arc::clone(&collector)).or_default();
        if state.is_closed || !account.has_room() {
            return Err(event);
        }
        if refusal.is_some() {
            // Whatever it is must not take room here.
            event.name = String::new();
            event.data = String::new();
        }
        if event.position.len() > POSITION_BYTES_MAX {
            event.position = String::new();
        }
        if !event.position.is_empty() {
            account.position.clone_from(&event.position);
        }
        if event.at_ms <= 0 {
            event.at_ms = self.0.clock.now_ms();
        }
        account.waiting += 1;
        account.waiting_bytes += bytes(&event);
        state.waiting.push_back(Waiting {
            collector,
            event,
            refusal: refusal.clone(),
            stored: Arc::clone(stored),
        });
        self.0.arrived.notify_one();
        Ok(refusal)
    }

    /// Waits until an offer of this collector would be taken, for ever once the agent stops. Cancel-safe.
    pub async fn room(&self, collector: &str) {
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            // From here on nothing is missed, so that the look below decides.
            freed.as_mut().enable();
            {
                let state = self.0.lock();
                let account = state.collectors.get(collector);
                if !state.is_closed && account.is_none_or(Account::has_room) {
                    return;
                }
            }
            freed.await;
        }
    }

    /// Takes nothing in any more; what waits is still stored.
    pub fn close(&self) {
        self.0.lock().is_closed = true;
        self.0.arrived.notify_one();
    }
}

impl Queue {
    /// Waits for events and gives the oldest, at most `max` and about `bytes_max` of data. `None` once the outbox is
    /// closed and empty. They take up their collectors' room until [`Queue::stored`].
    pub async fn next(&mut self, max: usize, bytes_max: usize) -> Option<Vec<Waiting>> {
        loop {
            {
                let mut state = self.0.lock();
                let mut bytes = 0;
                let fits = |one: &&Waiting| {
                    bytes += one.event.data.len();
                    bytes <= bytes_max
                };
                let count = state.waiting.iter().take(max).take_while(fits).count();
                if !state.waiting.is_empty() {
                    return Some(state.waiting.drain(..count.max(1)).collect());
                }
                if state.is_closed {
                    return None;
                }
            }
            self.0.arrived.notified().await;
        }
    }

    /// Says that these are on the disk, or refused: their plugins hear of it, and their room is free.
    pub fn stored(&mut self, group: &[Waiting]) {
        let mut state = self.0.lock();
        for one in group {
            one.stored.fetch_max(one.event.sequence, Ordering::Relaxed);
            if let Some(account) = state.collectors.get_mut(&one.collector) {
                account.waiting = account.waiting.saturating_sub(1);
                let bytes = bytes(&one.event);
                account.waiting_bytes = account.waiting_bytes.saturating_sub(bytes);
            }
        }
        drop(state);
        self.0.freed.notify_waiters();
    }

    /// Whether nothing more is taken in.
    pub fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.lock().waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event takes in memory.
pub(super) fn bytes(event: &PluginEvent) -> usize {
    size_of::<PluginEvent>() + event.name.len() + event.data.len() + event.position.len()
}

/// The particulars of an event.
pub fn data(event: &PluginEvent) -> Result<Map<String, Value>, serde_json::Error> {
    match event.data.trim() {
        "" => Ok(Map::new()),
        text => serde_json::from_str(text),
    }
}

/// The rule of the header, but for the length.
pub(super) fn is_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(good)
}

/// The host checks as well, but a plugin shares its address space and may write to the link by itself.
fn check(event: &PluginEvent) -> Result<(), String> {
    if event.name.len() > NAME_BYTES_MAX || !is_name(&event.name) {
        return Err("its name is not lower-case letters, digits, _ and -, at most 64".to_owned());
    }
    if usize::from(event.level) >= abi::LOG_LEVELS.len() {
        return Err("its level does not exist".to_owned());
    }
    if event.data.len() > DATA_BYTES_MAX {
        return Err(format!("its data have more than {DATA_BYTES_MAX} bytes"));
    }
    if event.position.len() > POSITION_BYTES_MAX {
        return Err(format!(
            "its position has more than {POSITION_BYTES_MAX} bytes"
        ));
    }
    data(event).map_err(|error| format!("its data are no JSON object: {error}"))?;
    Ok(())
}

#[cfg(test)]
mod tests;
