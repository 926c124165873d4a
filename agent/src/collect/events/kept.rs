//! Events of plugins on the disk: the newest of each collector, in the core database.
//!
//! Key: `e ‖ collector ‖ 0 ‖ number of the event u64`, big-endian. Value: two lines of JSON, where the source stood
//! after the event, a text, and the event as [`PluginEventInfo`]. So an event and its position can't come apart,
//! neither by a kill nor in a backup that was taken meanwhile. Numbers count up by one for each event of a collector,
//! also over restarts. Each commit removes what is older than the newest [`KEPT_MAX`] of its collectors. Reading does
//! not take events apart, because what a plugin put into them may be many times as large in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barograph_sdk::abi;
use serde::Deserialize;
use serde_json::Value;

use super::{Waiting, data};
use crate::kv::{Kv, KvError};
use crate::protocol::PluginEventInfo;

/// Events of one collector that are kept.
pub const KEPT_MAX: u64 = 1_000;
/// Bytes of one collector's events that are read at a time. What is kept may be eight times as much.
pub const READ_BYTES_MAX: usize = 2 << 20;
/// First byte of the keys in `core`.
const PREFIX: u8 = b'e';

/// Handle of the stored events; one task writes, others read. Calls block on the disk.
#[derive(Debug)]
pub struct Kept {
    core: Arc<Kv>,
    /// By collector: what is on the disk, never ahead of it but for the positions of events that were refused.
    sources: Mutex<HashMap<Arc<str>, Source>>,
}

/// What is known of a collector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    /// Where its source stood after its last event.
    position: String,
    /// Number of its last event.
    last: u64,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEvent {
    /// When it happened.
    pub at: i64,
    /// A [`PluginEventInfo`].
    pub json: String,
}

impl Kept {
    /// Finds the last event of each collector.
    pub fn open(core: Arc<Kv>) -> Result<Self, KvError> {
        let mut sources = HashMap::new();
        let mut from = vec![PREFIX];
        while let Some(key) = first_key(&core, &from)? {
            let Some((collector, _)) = parse(&key) else {
                // Not of this form, so somebody else's.
                from = [key.as_slice(), &[0]].concat();
                continue;
            };
            sources.insert(Arc::from(collector), find_last(&core, collector)?);
            from = [&[PREFIX], collector.as_bytes(), &[1]].concat();
        }
        Ok(Self {
            core,
            sources: Mutex::new(sources),
        })
    }

    /// Up to where each collector's source is stored.
    pub fn positions(&self) -> Vec<(Arc<str>, String)> {
        let sources = self.lock();
        let each = sources.iter();
        each.map(|(name, source)| (Arc::clone(name), source.position.clone()))
            .collect()
    }

    /// Number of a collector's last event; 0 if there was none yet.
    pub fn last(&self, collector: &str) -> u64 {
        self.lock().get(collector).map_or(0, |source| source.last)
    }

    /// Stores a group, all of it or nothing, and gives its events as they are shown; they are on the disk when this
    /// returns. After an error the same group is to be given again, before any other.
    pub fn commit(&self, group: &[Waiting]) -> Result<Vec<PluginEventInfo>, KvError> {
        let mut after: HashMap<Arc<str>, Source> = HashMap::new();
        let mut events = Vec::with_capacity(group.len());
        let mut changes: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for one in group {
            let collector = &one.collector;
            let source = after
                .entry(Arc::clone(collector))
                .or_insert_with(|| self.lock().get(collector).cloned().unwrap_or_default());
            // Also of one that is refused: its source was read, and would only give it again.
            if !one.event.position.is_empty() {
                source.position.clone_from(&one.event.position);
            }
            if one.refusal.is_some() {
                continue;
            }
            source.last += 1;
            let event = shown(one, source.last);
            let value = encode(&event, &source.position);
            changes.insert(key(collector, source.last), Some(value));
            if let Some(old @ 1..) = source.last.checked_sub(KEPT_MAX) {
                changes.insert(key(collector, old), None);
            }
            events.push(event);
        }
        if !events.is_empty() {
            self.write(&changes)?;
        }
        self.lock().extend(after);
        Ok(events)
    }

    fn write(&self, changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), KvError> {
        let pairs: Vec<(&[u8], Option<&[u8]>)> = changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
            .collect();
        self.core.apply(&pairs)?;
        self.core.flush()?;
        // When another part's call fails between the two, what was not flushed may go with it. All of the batch is
        // there or nothing, so one key tells.
        for (key, value) in pairs.iter().filter(|(_, value)| value.is_some()).take(1) {
            if self.core.get(key)?.as_deref() != *value {
                let folder = self.core.folder().display().to_string();
                return Err(KvError::Unflushed(folder));
            }
        }
        Ok(())
    }

    /// The newest events, newest first, of one collector or of all, but no more than [`READ_BYTES_MAX`] of each. Each
    /// collector's come in the order in which they were stored; those of different collectors are ordered by their
    /// times as far as that allows.
    pub fn newest(&self, collector: Option<&str>, limit: usize) -> Result<Vec<KeptEvent>, KvError> {
        let wanted = |name: &str| collector.is_none_or(|collector| collector == name);
        let lasts: Vec<(Arc<str>, u64)> = {
            let sources = self.lock();
            let sources = sources.iter().filter(|(name, _)| wanted(name));
            sources
                .map(|(name, source)| (Arc::clone(name), source.last))
                .collect()
        };
        let mut each = Vec::new();
        for (name, last) in lasts {
            let newest = self.newest_of(&name, last, limit)?;
            each.push(newest.into_iter().peekable());
        }
        Ok(merge(each, limit))
    }

    fn newest_of(&self, name: &str, last: u64, limit: usize) -> Result<Vec<KeptEvent>, KvError> {
        let first = last.saturating_sub(limit as u64) + 1;
        let (from, to) = (key(name, first), key(name, last + 1));
        let mut found = VecDeque::new();
        let mut bytes = 0;
        self.core.scan(&from, &to, &mut |key, value| {
            match decode(value) {
                Some((_, event)) => {
                    bytes += event.json.len();
                    found.push_back(event);
                }
                None => report_damage(key),
            }
            while bytes > READ_BYTES_MAX
                && let Some(oldest) = found.pop_front()
            {
                bytes -= oldest.json.len();
            }
            true
        })?;
        Ok(found.into_iter().rev().collect())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(one: &Waiting, id: u64) -> PluginEventInfo {
    let event = &one.event;
    let level = abi::LOG_LEVELS[usize::from(event.level)];
    let data = data(event).expect("it was read when it was taken in");
    PluginEventInfo {
        collector: one.collector.to_string(),
        id,
        at: event.at_ms,
        level: level.to_owned(),
        name: event.name.clone(),
        data: Value::Object(data),
    }
}

/// The newest of several lists that have their newest first.
fn merge(mut each: Vec<Peekable<impl Iterator<Item = KeptEvent>>>, limit: usize) -> Vec<KeptEvent> {
    let mut all = Vec::new();
    while all.len() < limit {
        let heads = each.iter_mut();
        let newest = heads
            .filter_map(|list| Some((list.peek()?.at, list)))
            .max_by_key(|(at, _)| *at);
        let Some(event) = newest.and_then(|(_, list)| list.next()) else {
            break;
        };
        all.push(event);
    }
    all
}

fn find_last(core: &Kv, collector: &str) -> Result<Source, KvError> {
    let mut found = Source::default();
    let mut bound = key(collector, u64::MAX);
    while let Some((at, value)) = core.floor(&bound)? {
        let Some((_, id)) = parse(&at).filter(|(owner, _)| *owner == collector) else {
            break;
        };
        found.last = found.last.max(id);
        if let Some((position, _)) = decode(&value) {
            found.position = position;
            break;
        }
        report_damage(&at);
        let Some(before) = id.checked_sub(1) else {
            break;
        };
        bound = key(collector, before);
    }
    Ok(found)
}

fn first_key(core: &Kv, from: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
    let mut found = None;
    core.scan(from, &[PREFIX + 1], &mut |key, _| {
        found = Some(key.to_vec());
        false
    })?;
    Ok(found)
}

fn report_damage(key: &[u8]) {
    let (collector, id) = parse(key).unwrap_or_default();
    tracing::warn!(
        collector,
        id,
        "a stored event can't be read and is left out"
    );
}

fn key(collector: &str, id: u64) -> Vec<u8> {
    let name = collector.as_bytes();
    [&[PREFIX], name, &[0], &id.to_be_bytes()].concat()
}

/// Collector and number. A collector's name has no character 0, so the keys of one stand together.
fn parse(key: &[u8]) -> Option<(&str, u64)> {
    let (name, id) = key.strip_prefix(&[PREFIX])?.split_last_chunk::<8>()?;
    let name = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?;
    (!name.contains('\0')).then_some((name, u64::from_be_bytes(*id)))
}

fn encode(event: &PluginEventInfo, position: &str) -> Vec<u8> {
    let mut value = serde_json::to_vec(position).expect("a text");
    // JSON has no line breaks of its own.
    value.push(b'\n');
    serde_json::to_writer(&mut value, event).expect("plain values with string keys");
    value
}

/// Position and event.
fn decode(value: &[u8]) -> Option<(String, KeptEvent)> {
    #[derive(Deserialize)]
    struct Time {
        at: i64,
    }
    let (position, json) = std::str::from_utf8(value).ok()?.split_once('\n')?;
    let position = serde_json::from_str(position).ok()?;
    let Time { at } = serde_json::from_str(json).ok()?;
    let json = json.to_owned();
    Some((position, KeptEvent { at, json }))
}

#[cfg(test)]
mod tests;
