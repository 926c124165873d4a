//! Series on disk: names and labels to numbers that are never used again.
//!
//! A series is its collector, metric, labels and kind. All of them are in memory; `core` has one record each, under
//! `s ‖ number`, and under `s ‖ u32::MAX` the next number, so that those of forgotten series stay used. Records have
//! a magic and a checksum of their own ([`record`]), and [`carve`] finds them in the remains of a damaged `core`.
//! The table is bounded: when it is full, those that had no sample for the longest are forgotten, but none that had
//! one today. Nothing here knows what time it is: the newest day is the newest that [`Registry::persist`] was told.

pub mod record;
pub mod spare;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::StoreError;
use crate::catalog::{Kind, Unit};
use crate::clock::Tier;
use crate::kv::Kv;
use crate::matching;
use crate::protocol::{Labels, Match};
use record::Record;
use spare::Spare;

/// Series that are known at a time: 20,000 take about 10 MB.
pub const SERIES_MAX: usize = 20_000;
/// What a full table forgets at once, so that a new series does not look through all of them each time.
const FORGOTTEN_AT_ONCE: usize = SERIES_MAX / 100;
/// First byte of the keys in `core`.
const KEY: u8 = b's';
/// The number in the key of what is no series but the next number.
const NEXT: u32 = u32::MAX;
/// Records of one write to `core`.
const BATCH: usize = 1_000;

/// What is known of a stored series.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSeries {
    /// Never used for another one.
    pub id: u32,
    /// Name of the metric.
    pub metric: String,
    /// Gauge or counter.
    pub kind: Kind,
    /// Unit of a gauge's value and of a counter's total.
    pub unit: Unit,
    /// How often it is sampled.
    pub tier: Tier,
    /// Topic of its metric.
    pub topic: String,
    /// Its collector's name.
    pub collector: String,
    /// Its labels, in the metric's order.
    pub labels: Labels,
    /// The last day (days since 1970) on which it had a sample.
    pub last_day: u32,
}

/// Which series; empty parts match everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// As in a subscription: metric names with `*`, and labels.
    pub matching: Match,
    /// Name of the collector.
    pub collector: Option<String>,
}

/// What is left of a registry in the remains of a damaged `core`.
#[derive(Debug, Default)]
pub struct Carved {
    /// Series by number, each as it was last written.
    pub series: BTreeMap<u32, StoredSeries>,
    /// Above all numbers that were seen.
    pub next: u32,
}

/// All stored series, in memory and in `core`. Shared by reference between threads.
#[derive(Debug)]
pub struct Registry {
    core: Arc<Kv>,
    table: RwLock<Table>,
    spare: Mutex<Option<Spare>>,
}

#[derive(Debug, Default)]
struct Table {
    series: BTreeMap<u32, Arc<StoredSeries>>,
    /// Numbers by the metric's name.
    by_metric: BTreeMap<String, BTreeSet<u32>>,
    /// Hash of what makes a series that one, and number.
    by_identity: BTreeSet<(u64, u32)>,
    /// What `core` does not have yet.
    unwritten: BTreeSet<u32>,
    /// What `core` has too much.
    forgotten: BTreeSet<u32>,
    next: u32,
    next_written: u32,
    /// The newest day.
    day: u32,
    forgotten_ever: u64,
}

impl Registry {
    /// Reads all of them. New series get numbers from `floor` on at least: one above the greatest that any file of
    /// the store has, in case that `core` lost the one it knew.
    pub fn open(core: Arc<Kv>, floor: u32) -> Result<Self, StoreError> {
        let mut table = Table::default();
        let mut damaged = 0_u32;
        core.scan(&[KEY], &[KEY + 1], &mut |key, value| {
            // Keys that are not of this form belong to somebody else.
            let number = key.get(1..).and_then(|id| id.try_into().ok());
            match number.map(u32::from_be_bytes).zip(record::decode(value)) {
                Some((id, (Record::Series(series), _))) if series.id == id => {
                    table.insert(Arc::new(*series));
                }
                Some((NEXT, (Record::Next(next), _))) => {
                    table.next = table.next.max(next);
                    table.next_written = next;
                }
                _ => damaged += 1,
            }
            true
        })?;
        if damaged > 0 {
            tracing::error!(
                damaged,
                "records of stored series are damaged; the history of these series cannot be found by name"
            );
        }
        table.next = table.next.max(floor);
        Ok(Self {
            core,
            table: RwLock::new(table),
            spare: Mutex::default(),
        })
    }

    /// From now on keeps a second copy of the names in this file; see [`spare`].
    pub fn keep_spare(&self, path: &Path) {
        let spare = Spare::new(path.to_owned());
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(spare);
        self.write_spare(true);
    }

    /// Brings the second copy up to date, if the table has changed or it could not be written last time. History goes
    /// on without it, so that a failure is told and tried again.
    fn write_spare(&self, has_changed: bool) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(spare) = spare.as_mut() else {
            return;
        };
        if has_changed || spare.is_behind() {
            let table = self.read();
            let all: Vec<_> = table.series.values().cloned().collect();
            let next = table.next;
            drop(table);
            spare.keep(&all, next);
        }
    }

    /// Takes over what was carved out of a damaged `core`; on disk after the next [`Registry::persist`].
    pub fn adopt(&self, carved: Carved) {
        let mut table = self.write();
        table.next = table.next.max(carved.next);
        for (id, series) in carved.series {
            if !table.series.contains_key(&id) && table.find(&series).is_none() {
                table.insert(Arc::new(series));
                table.unwritten.insert(id);
            }
        }
    }

    /// The number of a series, a new one if need be; `series.id` and `last_day` are not looked at. New ones are on
    /// disk after the next [`Registry::persist`]. `None` when the table is full.
    pub fn resolve(&self, series: StoredSeries) -> Option<u32> {
        if let Some(id) = self.read().find(&series) {
            return Some(id);
        }
        let mut table = self.write();
        if let Some(id) = table.find(&series) {
            // Another thread was faster.
            return Some(id);
        }
        if table.series.len() >= SERIES_MAX && !table.forget() {
            return None;
        }
        let id = table.next;
        if id == NEXT {
            return None;
        }
        let series = StoredSeries {
            id,
            last_day: table.day,
            ..series
        };
        table.insert(Arc::new(series));
        table.unwritten.insert(id);
        Some(id)
    }

    /// Writes what is new, and the day for those that had samples and were last seen on another. To be called
    /// before samples of new series are flushed, so that no number on disk is without its name.
    pub fn persist(&self, seen: &[u32], day: u32) -> Result<(), StoreError> {
        let mut table = self.write();
        table.day = table.day.max(day);
        for &id in seen {
            table.saw(id, day);
        }
        let mut changes: Vec<(u32, Option<Vec<u8>>)> = Vec::new();
        if table.next != table.next_written {
            // First, so that it is in the first batch: no record has a number that could be given again.
            changes.push((NEXT, Some(record::encode(&Record::Next(table.next)))));
        }
        changes.extend(table.forgotten.iter().map(|&id| (id, None)));
        let unwritten = table.unwritten.iter().filter_map(|id| table.series.get(id));
        changes.extend(unwritten.map(|series| (series.id, Some(record::encode_series(series)))));
        let next = table.next;
        let is_forgetting = !table.forgotten.is_empty();
        drop(table);
        if changes.is_empty() {
            self.write_spare(false);
            return Ok(());
        }
        if is_forgetting {
            // First, or a kill in between would look as if `core` had lost them.
            self.write_spare(true);
        }
        for part in changes.chunks(BATCH) {
            let keys: Vec<[u8; 5]> = part.iter().map(|&(id, _)| key(id)).collect();
            let values = part.iter().map(|(_, value)| value.as_deref());
            let part: Vec<(&[u8], Option<&[u8]>)> =
                keys.iter().map(<[u8; 5]>::as_slice).zip(values).collect();
            self.core.apply(&part)?;
        }
        self.core.flush()?;
        let mut table = self.write();
        table.next_written = next;
        for (id, value) in changes {
            if value.is_none() {
                table.forgotten.remove(&id);
            } else {
                table.unwritten.remove(&id);
            }
        }
        drop(table);
        self.write_spare(true);
        Ok(())
    }

    /// The series with this number.
    pub fn get(&self, id: u32) -> Option<Arc<StoredSeries>> {
        self.read().series.get(&id).cloned()
    }

    /// Those that match, ordered by metric, then number.
    pub fn select(&self, selector: &Selector) -> Vec<Arc<StoredSeries>> {
        let table = self.read();
        let mut found = Vec::new();
        for name in table.metrics(&selector.matching.metrics) {
            let numbers = table.by_metric.get(name).into_iter().flatten();
            let series = numbers.filter_map(|id| table.series.get(id));
            found.extend(series.filter(|series| selector.wants(series)).cloned());
        }
        found
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.read().series.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many series were forgotten since the start. Whoever keeps numbers resolves them anew when it changes.
    pub fn forgotten(&self) -> u64 {
        self.read().forgotten_ever
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the records that are found in some bytes, such as a window of the remains of a damaged `core`.
pub fn carve(bytes: &[u8], carved: &mut Carved) {
    let mut at = 0;
    while let Some(offset) = record::find(&bytes[at..]) {
        at += offset;
        match record::decode(&bytes[at..]) {
            Some((Record::Series(series), _)) => {
                carved.next = carved.next.max(series.id.saturating_add(1));
                let known = carved.series.get(&series.id);
                if known.is_none_or(|known| known.last_day <= series.last_day) {
                    carved.series.insert(series.id, *series);
                }
            }
            Some((Record::Next(next), _)) => carved.next = carved.next.max(next),
            None => {}
        }
        at += 1;
    }
}

impl Selector {
    /// The metric's name is known to match.
    fn wants(&self, series: &StoredSeries) -> bool {
        let labels: Vec<(&str, &str)> = series
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.collector
            .as_ref()
            .is_none_or(|name| *name == series.collector)
            && matching::wants(&self.matching, &series.metric, &labels)
    }
}

impl Table {
    fn insert(&mut self, series: Arc<StoredSeries>) {
        self.next = self.next.max(series.id.saturating_add(1));
        self.day = self.day.max(series.last_day);
        self.by_identity.insert((identity(&series), series.id));
        let of_metric = self.by_metric.entry(series.metric.clone()).or_default();
        of_metric.insert(series.id);
        self.series.insert(series.id, series);
    }

    fn find(&self, series: &StoredSeries) -> Option<u32> {
        let hash = identity(series);
        let mut alike = self.by_identity.range((hash, 0)..=(hash, u32::MAX));
        alike
            .find(|(_, id)| {
                self.series
                    .get(id)
                    .is_some_and(|known| is_same(known, series))
            })
            .map(|&(_, id)| id)
    }

    fn saw(&mut self, id: u32, day: u32) {
        if let Some(series) = self.series.get_mut(&id)
            && series.last_day < day
        {
            Arc::make_mut(series).last_day = day;
            self.unwritten.insert(id);
        }
    }

    /// Makes room; false if all had samples today.
    fn forget(&mut self) -> bool {
        let today = self.day;
        let old = self
            .series
            .values()
            .filter(|series| series.last_day < today);
        let mut old: Vec<(u32, u32)> = old.map(|series| (series.last_day, series.id)).collect();
        old.sort_unstable();
        old.truncate(FORGOTTEN_AT_ONCE);
        for &(_, id) in &old {
            let Some(series) = self.series.remove(&id) else {
                continue;
            };
            self.by_identity.remove(&(identity(&series), id));
            if let Some(of_metric) = self.by_metric.get_mut(&series.metric) {
                of_metric.remove(&id);
                if of_metric.is_empty() {
                    self.by_metric.remove(&series.metric);
                }
            }
            self.unwritten.remove(&id);
            self.forgotten.insert(id);
        }
        self.forgotten_ever += old.len() as u64;
        !old.is_empty()
    }

    /// Names that match a pattern, ascending. A name without `*` is looked up, a pattern narrowed by what stands
    /// before its first `*`.
    fn metrics(&self, patterns: &[String]) -> BTreeSet<&String> {
        if patterns.is_empty() {
            return self.by_metric.keys().collect();
        }
        let mut names = BTreeSet::new();
        for pattern in patterns {
            let Some((prefix, _)) = pattern.split_once('*') else {
                names.extend(self.by_metric.get_key_value(pattern).map(|(name, _)| name));
                continue;
            };
            let alone = Match {
                metrics: vec![pattern.clone()],
                ..Match::default()
            };
            let from = (Bound::Included(prefix), Bound::Unbounded);
            let near = self.by_metric.range::<str, _>(from);
            let near = near
                .map(|(name, _)| name)
                .take_while(|name| name.starts_with(prefix));
            names.extend(near.filter(|name| matching::wants(&alone, name, &[])));
        }
        names
    }
}

fn key(id: u32) -> [u8; 5] {
    let [a, b, c, d] = id.to_be_bytes();
    [KEY, a, b, c, d]
}

/// What makes a series that one, as a number. In memory only, so that its function may change.
fn identity(series: &StoredSeries) -> u64 {
    let labels: Vec<_> = series.labels.iter().collect();
    let is_counter = series.kind == Kind::Counter;
    BuildHasherDefault::<DefaultHasher>::default().hash_one((
        &series.collector,
        &series.metric,
        labels,
        is_counter,
    ))
}

fn is_same(known: &StoredSeries, series: &StoredSeries) -> bool {
    known.metric == series.metric
        && known.collector == series.collector
        && known.kind == series.kind
        && known.labels == series.labels
}

#[cfg(test)]
mod tests;
