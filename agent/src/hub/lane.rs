//! What waits for one client.
//!
//! Three lanes: control first, then events, both in order and bounded, where an overflow closes the
//! connection with 4008; then one slot for each metric subscription and collector, in which the latest
//! frame wins and the replaced ones are counted. The hub's task adds events and fills the slots, the
//! connection's own task adds answers and takes everything out. Neither ever waits for the other: the lock
//! is held for a few moves of pointers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Notify;

use super::frame::{Frame, Update};
use crate::catalog::CollectorId;
use crate::clock::{Clock, Tier};
use crate::protocol::{ServerEvent, Skipped};

/// Answers that may wait. A client that lets more of them pile up asks but does not read.
const CONTROL_MAX: usize = 64;
/// Events that may wait, and their bytes. None may be lost, so a client that lets more of them pile up is closed.
const EVENTS_MAX: usize = 256;
const EVENT_BYTES_MAX: usize = 256 * 1_024;
/// Close code of a client that does not keep up.
const CLOSE_SLOW: u16 = 4008;

/// Why a connection ends: the code and reason of its close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// As in RFC 6455, or of the 4000s.
    pub code: u16,
    /// At most 123 bytes.
    pub reason: String,
}

/// One subscription of a lane; never used again after it was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SlotId(pub(super) u64);

/// What became of a frame that was put into a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits, or there is nobody left to send it to.
    Done,
    /// It was not taken: the frame that waits has metrics of tiers which this one lacks, and they would be
    /// lost. One with all tiers must be put in its stead.
    Behind,
}

/// Sums over all lanes, for the agent's own metrics.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) clients: AtomicU64,
    pub(super) frames: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) encoded: AtomicU64,
}

/// See the module.
#[derive(Debug)]
pub struct Lane {
    waiting: Mutex<Waiting>,
    wake: Notify,
    clock: Clock,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Waiting {
    control: VecDeque<Frame>,
    /// With the subscription that each belongs to.
    events: VecDeque<(SlotId, Frame)>,
    event_bytes: usize,
    slots: Vec<Slot>,
    /// How many slots' parts hold a frame.
    metrics: usize,
    end: End,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    Open,
    Asked(Close),
    Taken,
}

/// Waiting frames of one subscription.
#[derive(Debug)]
struct Slot {
    id: SlotId,
    channel: Arc<str>,
    tier: Tier,
    skipped: u32,
    parts: Vec<Part>,
}

/// The frame of one collector, or of `basic-metrics`, which has none.
#[derive(Debug)]
struct Part {
    collector: Option<CollectorId>,
    update: Option<Arc<Update>>,
    /// Number of the table that the client has; 0 for none.
    table: u64,
}

impl Lane {
    pub(super) fn new(clock: Clock, counters: Arc<Counters>) -> Self {
        Self {
            waiting: Mutex::default(),
            wake: Notify::new(),
            clock,
            counters,
        }
    }

    /// Waits until there is something to take. Cancel-safe; for one task at a time.
    pub async fn ready(&self) {
        while self.lock().is_empty() {
            self.wake.notified().await;
        }
    }

    /// Moves everything that waits to the end of `out`, as whole frames: control, events, notices of what was
    /// skipped, metrics. If the connection is to end, they are its last frames.
    pub fn take(&self, out: &mut Vec<Bytes>) -> Option<Close> {
        let before = out.len();
        let mut waiting = self.lock();
        out.extend(waiting.control.drain(..).map(|frame| frame.bytes().clone()));
        waiting.event_bytes = 0;
        let events = waiting.events.drain(..);
        out.extend(events.map(|(_, frame)| frame.bytes().clone()));
        if waiting.metrics > 0 {
            waiting.metrics = 0;
            self.take_skipped(&mut waiting.slots, out);
            take_metrics(&mut waiting.slots, out);
        }
        let end = std::mem::replace(&mut waiting.end, End::Taken);
        let close = match end {
            End::Asked(close) => Some(close),
            End::Taken => None,
            End::Open => {
                waiting.end = End::Open;
                None
            }
        };
        drop(waiting);
        let taken = &out[before..];
        let bytes: usize = taken.iter().map(Bytes::len).sum();
        self.counters
            .frames
            .fetch_add(taken.len() as u64, Ordering::Relaxed);
        self.counters
            .bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        close
    }

    fn take_skipped(&self, slots: &mut [Slot], out: &mut Vec<Bytes>) {
        for slot in slots.iter_mut().filter(|slot| slot.skipped > 0) {
            let skipped = std::mem::take(&mut slot.skipped);
            let notice = ServerEvent {
                event: "skipped".to_owned(),
                channel: slot.channel.to_string(),
                at: self.clock.now_ms(),
                data: Skipped {
                    tier: slot.tier,
                    skipped,
                },
            };
            out.push(json_frame(&notice).bytes().clone());
        }
    }

    /// Queues an answer or another message that must not be lost; `false` if the connection is ending. An
    /// overflow ends it.
    pub fn control(&self, json: &impl Serialize) -> bool {
        let frame = json_frame(json);
        let mut waiting = self.lock();
        if !matches!(waiting.end, End::Open) {
            return false;
        }
        if waiting.control.len() >= CONTROL_MAX {
            waiting.finish(slow());
            drop(waiting);
            self.wake.notify_one();
            return false;
        }
        waiting.control.push_back(frame);
        drop(waiting);
        self.wake.notify_one();
        true
    }

    /// Queues an event of a subscription, which must not be lost. An overflow ends the connection; what waits
    /// is still sent, so that the client has all events up to some point.
    pub(super) fn event(&self, id: SlotId, frame: &Frame) {
        let mut waiting = self.lock();
        if !matches!(waiting.end, End::Open) {
            return;
        }
        let bytes = waiting.event_bytes + frame.bytes().len();
        if waiting.events.len() >= EVENTS_MAX || bytes > EVENT_BYTES_MAX {
            waiting.finish(slow());
        } else {
            waiting.events.push_back((id, frame.clone()));
            waiting.event_bytes = bytes;
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Ends the connection after what waits in the lanes of control and events. The first reason given counts.
    pub fn close(&self, close: Close) {
        let mut waiting = self.lock();
        if matches!(waiting.end, End::Open) {
            waiting.finish(close);
            drop(waiting);
            self.wake.notify_one();
        }
    }

    pub(super) fn add_slot(&self, id: SlotId, channel: Arc<str>, tier: Tier) {
        self.lock().slots.push(Slot {
            id,
            channel,
            tier,
            skipped: 0,
            parts: Vec::new(),
        });
    }

    /// Nothing of this subscription is sent from now on, what waits included.
    pub(super) fn remove_slot(&self, id: SlotId) {
        let mut waiting = self.lock();
        waiting.events.retain(|(slot, _)| *slot != id);
        let left = waiting.events.iter();
        waiting.event_bytes = left.map(|(_, frame)| frame.bytes().len()).sum();
        if let Some(index) = waiting.slots.iter().position(|slot| slot.id == id) {
            let slot = waiting.slots.swap_remove(index);
            waiting.metrics -= slot
                .parts
                .iter()
                .filter(|part| part.update.is_some())
                .count();
        }
    }

    /// Puts the latest frame of a collector in place of the one that waits, if there is one.
    pub(super) fn put(
        &self,
        id: SlotId,
        collector: Option<CollectorId>,
        update: &Arc<Update>,
    ) -> Put {
        let mut waiting = self.lock();
        if !matches!(waiting.end, End::Open) {
            return Put::Done;
        }
        let idle = waiting.is_empty();
        let Some(slot) = waiting.slots.iter_mut().find(|slot| slot.id == id) else {
            return Put::Done;
        };
        let part = slot.part(collector);
        match &part.update {
            Some(older) if !update.covers(older) => return Put::Behind,
            Some(_) => {
                part.update = Some(Arc::clone(update));
                slot.skipped = slot.skipped.saturating_add(1);
                self.counters.skipped.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                part.update = Some(Arc::clone(update));
                waiting.metrics += 1;
            }
        }
        drop(waiting);
        if idle {
            // Otherwise the one who takes was told already and has not come yet.
            self.wake.notify_one();
        }
        Put::Done
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.control.is_empty()
            && self.events.is_empty()
            && self.metrics == 0
            && !matches!(self.end, End::Asked(_))
    }

    fn finish(&mut self, close: Close) {
        self.end = End::Asked(close);
        self.slots = Vec::new();
        self.metrics = 0;
    }
}

impl Slot {
    fn part(&mut self, collector: Option<CollectorId>) -> &mut Part {
        let known = self
            .parts
            .iter()
            .position(|part| part.collector == collector);
        let index = known.unwrap_or_else(|| {
            self.parts.push(Part {
                collector,
                update: None,
                table: 0,
            });
            self.parts.len() - 1
        });
        &mut self.parts[index]
    }
}

fn slow() -> Close {
    Close {
        code: CLOSE_SLOW,
        reason: "slow, resume".to_owned(),
    }
}

fn take_metrics(slots: &mut [Slot], out: &mut Vec<Bytes>) {
    for part in slots.iter_mut().flat_map(|slot| &mut slot.parts) {
        if let Some(update) = part.update.take() {
            out.push(update.frame(&mut part.table).bytes().clone());
        }
    }
}

/// A frame of anything that the protocol has a type for.
pub(super) fn json_frame(json: &impl Serialize) -> Frame {
    Frame::write(256, |out| {
        serde_json::to_writer(out, json)
            .expect("types of the protocol have string keys and plain values");
    })
}
