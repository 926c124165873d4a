//! One feed: what all subscribers with the same topic, tier, shape and match get.
//!
//! A feed has a stream for each collector of its topic. A fast stream gives a frame for each batch. Medium
//! and slow streams gather a [`Window`] and give a frame in the batch in which their tier is due. Whatever
//! it gives is encoded once and put into every subscriber's slot. A collector's failure is told at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use indexmap::IndexMap;

use super::encode::{self, Content, Heading};
use super::frame::Update;
use super::lane::{Counters, Lane, Put, SlotId};
use super::table::{Table, select};
use crate::bus::Batch;
use crate::catalog::{CollectorId, SeriesId, Tables};
use crate::clock::{Tier, TierSet};
use crate::current::{Applied, View};
use crate::protocol::{Match, Shape};

/// What tells one feed from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FeedKey {
    pub(super) topic: String,
    pub(super) tier: Tier,
    pub(super) shape: Shape,
    pub(super) matching: Match,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Feed {
    key: Arc<FeedKey>,
    streams: Vec<Stream>,
    subscribers: IndexMap<SlotId, Arc<Lane>>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Stream {
    collector: CollectorId,
    heading: Heading,
    /// The catalog's revision that the table was read from.
    revision: u64,
    table: Table,
    /// Only for the tiers medium and slow.
    window: Option<Window>,
    /// The present as a newcomer gets it, kept for the next one until there is a new batch.
    snapshot: Option<Arc<Update>>,
    /// Size of the last frame.
    bytes: usize,
}

/// The values, or rates, of a stream since its last frame, parallel to the table's members.
#[derive(Debug, Default)]
pub(super) struct Window {
    sums: Vec<Sum>,
    due: TierSet,
}

/// Values of one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    min: f64,
    max: f64,
    total: f64,
    count: u32,
}

impl Feed {
    pub(super) fn new(key: Arc<FeedKey>, counters: Arc<Counters>) -> Self {
        Self {
            key,
            streams: Vec::new(),
            subscribers: IndexMap::new(),
            counters,
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.key.topic
    }

    /// Reads the collector's table anew if its series changed; `last_table` is the last number given out.
    pub(super) fn refresh(&mut self, id: CollectorId, tables: &Tables, last_table: &mut u64) {
        let known = tables.collector(id);
        let position = self
            .streams
            .iter()
            .position(|stream| stream.collector == id);
        if position.is_some_and(|index| self.streams[index].revision == known.revision) {
            return;
        }
        let selected = select(tables, id, &self.key.matching);
        let mut table = || {
            *last_table += 1;
            Table::new(tables, &selected, self.key.shape, *last_table)
        };
        match position {
            Some(index) => {
                let stream = &mut self.streams[index];
                stream.revision = known.revision;
                if !stream.table.holds(&selected) {
                    stream.replace(table());
                }
            }
            None => self.streams.push(Stream {
                collector: id,
                heading: Heading::new(&self.key.topic, self.key.tier, &known.name),
                revision: known.revision,
                window: (self.key.tier != Tier::Fast).then(|| Window::new(selected.len())),
                table: table(),
                snapshot: None,
                bytes: 0,
            }),
        }
    }

    /// Gives every subscriber what a batch, which `view` holds already, means to this feed.
    pub(super) fn deliver(&mut self, batch: &Batch, applied: Applied, view: &View<'_>) {
        let streams = &mut self.streams;
        let Some(stream) = streams
            .iter_mut()
            .find(|known| known.collector == batch.collector)
        else {
            return;
        };
        stream.snapshot = None;
        let Some(tiers) = stream.due(self.key.tier, batch, applied, view) else {
            return;
        };
        if !stream.has_members(tiers) {
            return;
        }
        let (at_ms, up) = (batch.at_ms, batch.up);
        let window = stream.window.as_ref();
        let content = Content {
            at_ms,
            up,
            snapshot: false,
            tiers,
            window,
            view,
        };
        let encode = |content: &Content<'_>| {
            self.counters.encoded.fetch_add(1, Ordering::Relaxed);
            Arc::new(encode::update(
                &stream.heading,
                &stream.table,
                content,
                stream.bytes,
            ))
        };
        let update = encode(&content);
        let mut whole = None;
        for (slot, lane) in &self.subscribers {
            if lane.put(*slot, Some(batch.collector), &update) == Put::Behind {
                let whole = whole.get_or_insert_with(|| {
                    encode(&Content {
                        snapshot: true,
                        tiers: TierSet::ALL,
                        ..content
                    })
                });
                lane.put(*slot, Some(batch.collector), whole);
            }
        }
        stream.bytes = update.payload_bytes();
        if let Some(window) = &mut stream.window {
            window.clear();
        }
    }

    /// Adds a subscriber and gives it the present. The streams have been refreshed.
    pub(super) fn join(&mut self, slot: SlotId, lane: &Arc<Lane>, view: &View<'_>) {
        for stream in &mut self.streams {
            let Some(now) = view.collector(stream.collector) else {
                continue;
            };
            if !stream.has_members(TierSet::ALL) {
                continue;
            }
            let update = stream.snapshot.get_or_insert_with(|| {
                self.counters.encoded.fetch_add(1, Ordering::Relaxed);
                let tiers = TierSet::ALL;
                let (at_ms, up) = (now.at_ms, now.up);
                let content = Content {
                    at_ms,
                    up,
                    snapshot: true,
                    tiers,
                    window: None,
                    view,
                };
                Arc::new(encode::update(
                    &stream.heading,
                    &stream.table,
                    &content,
                    stream.bytes,
                ))
            });
            lane.put(slot, Some(stream.collector), update);
        }
        self.subscribers.insert(slot, Arc::clone(lane));
    }

    /// Takes a subscriber off; `true` if it was the last.
    pub(super) fn leave(&mut self, slot: SlotId) -> bool {
        self.subscribers.swap_remove(&slot);
        self.subscribers.is_empty()
    }
}

impl Stream {
    /// The tiers that this batch makes a frame of; `None` if it makes none.
    fn due(
        &mut self,
        tier: Tier,
        batch: &Batch,
        applied: Applied,
        view: &View<'_>,
    ) -> Option<TierSet> {
        let Some(window) = &mut self.window else {
            return match (batch.up, batch.due) {
                (false, _) => Some(TierSet::ALL),
                (true, TierSet::EMPTY) => None,
                (true, due) => Some(due),
            };
        };
        window.absorb(batch, &self.table, view);
        if applied.failed {
            return Some(TierSet::ALL);
        }
        if !batch.due.contains(tier) {
            return None;
        }
        if !batch.up {
            return Some(TierSet::ALL);
        }
        // The tiers up to the feed's own have a sample in each of its windows; a slower one in some.
        let own = Tier::ALL
            .into_iter()
            .filter(|other| *other <= tier || window.due.contains(*other));
        Some(own.fold(TierSet::EMPTY, TierSet::with))
    }

    fn has_members(&self, tiers: TierSet) -> bool {
        Tier::ALL
            .into_iter()
            .any(|tier| tiers.contains(tier) && !self.table.range(tier).is_empty())
    }

    /// Changes to another table in the middle of a window.
    fn replace(&mut self, table: Table) {
        if let Some(window) = &mut self.window {
            let series = |table: &Table| table.members.iter().map(|m| m.series).collect::<Vec<_>>();
            window.rearrange(&series(&self.table), &series(&table));
        }
        self.table = table;
        self.snapshot = None;
    }
}

impl Window {
    fn new(members: usize) -> Self {
        Self {
            sums: vec![Sum::NONE; members],
            due: TierSet::EMPTY,
        }
    }

    /// What the window has of a member; `None` if there was no value.
    pub(super) fn sum(&self, index: usize) -> Option<&Sum> {
        self.sums.get(index).filter(|sum| sum.count > 0)
    }

    /// Adds what the batch brought. What has a value after a failed one came with it, whatever was due.
    fn absorb(&mut self, batch: &Batch, table: &Table, view: &View<'_>) {
        for tier in Tier::ALL {
            if batch.due.contains(tier) {
                self.due = self.due.with(tier);
            } else if batch.up {
                continue;
            }
            for index in table.range(tier) {
                let member = &table.members[index];
                let latest = view.latest(member.series);
                if let Some(value) = latest.and_then(|latest| latest.shown(member.kind)) {
                    self.sums[index].add(value);
                }
            }
        }
    }

    fn rearrange(&mut self, from: &[SeriesId], to: &[SeriesId]) {
        let old: std::collections::HashMap<_, _> = from.iter().zip(&self.sums).collect();
        self.sums = to
            .iter()
            .map(|id| old.get(id).map_or(Sum::NONE, |sum| **sum))
            .collect();
    }

    fn clear(&mut self) {
        self.sums.fill(Sum::NONE);
        self.due = TierSet::EMPTY;
    }
}

impl Sum {
    const NONE: Self = Self {
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        total: 0.0,
        count: 0,
    };

    fn add(&mut self, value: f64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.total += value;
        self.count += 1;
    }

    /// Least, mean and greatest. Rounding must not carry the mean past the values that it was made of.
    pub(super) fn aggregates(&self) -> [f64; 3] {
        let mean = self.total / f64::from(self.count);
        [self.min, mean.clamp(self.min, self.max), self.max]
    }
}
