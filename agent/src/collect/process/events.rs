//! Events of a running plugin, on their way from the link to the agent's outbox.
//!
//! What the outbox has no room for waits here, in order, and is offered again when there is room. The host
//! keeps to the same bounds and lets its plugin see `E_FULL`, so whoever goes beyond them speaks around the
//! host. A successor's events are held back until the process before it has ended: what that one sent last
//! counts first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::lost;
use crate::collect::events::{Outbox, bytes};
use crate::collect::host::backlog::EVENTS_MAX;
use crate::collect::link::PluginEvent;
use crate::collect::{Failure, LostReason, Refused};

/// Bytes of those that wait here. A host counts its own a little differently, so there is room for that.
const BYTES_MAX: usize = 8 << 20;

/// Whether events go on to the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Open,
    /// The process before this one has not ended yet.
    Held,
}

#[derive(Debug)]
pub(super) struct Events {
    /// `None` in a trial, where events are good as soon as they have come.
    outbox: Option<Outbox>,
    collector: String,
    flow: Flow,
    /// Where the source stood when the process was started.
    pub(super) position: String,
    /// Number of the last event that is on the disk.
    stored: Arc<AtomicU64>,
    /// Number of the last event that has come.
    last: u64,
    /// How many events were counted as stored.
    counted: u64,
    /// Those that are none are taken like the others, and not stored.
    pub(super) refused: Refused,
    refused_total: u64,
    waiting: VecDeque<PluginEvent>,
    waiting_bytes: usize,
}

impl Events {
    pub(super) fn new(outbox: Option<&Outbox>, collector: &str, flow: Flow) -> Self {
        Self {
            position: outbox.map_or_else(String::new, |outbox| outbox.position(collector)),
            outbox: outbox.cloned(),
            collector: collector.to_owned(),
            flow,
            stored: Arc::default(),
            last: 0,
            counted: 0,
            refused: Refused::default(),
            refused_total: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// Takes what the host sent.
    pub(super) fn take(&mut self, event: PluginEvent) -> Result<(), Failure> {
        if event.sequence != self.last + 1 {
            let (number, last) = (event.sequence, self.last);
            let what = format!("sent event {number} after event {last} and was ended");
            return Err(lost(LostReason::Protocol, what));
        }
        self.last = event.sequence;
        self.waiting_bytes += bytes(&event);
        self.waiting.push_back(event);
        self.pass_on();
        if self.last - self.stored() > EVENTS_MAX as u64 || self.waiting_bytes > BYTES_MAX {
            let what = format!("sent more than {EVENTS_MAX} events at once and was ended");
            return Err(lost(LostReason::Protocol, what));
        }
        Ok(())
    }

    /// Offers what waits, as far as there is room.
    pub(super) fn pass_on(&mut self) {
        if self.flow == Flow::Held {
            return;
        }
        while let Some(event) = self.waiting.pop_front() {
            let len = bytes(&event);
            let Some(outbox) = &self.outbox else {
                self.stored.store(event.sequence, Ordering::Relaxed);
                self.waiting_bytes -= len;
                continue;
            };
            match outbox.offer(&self.collector, event, &self.stored) {
                Ok(refusal) => {
                    self.waiting_bytes -= len;
                    if let Some(why) = refusal {
                        self.refused.add(|| format!("an event was none: {why}"));
                        self.refused_total += 1;
                    }
                }
                Err(event) => return self.waiting.push_front(event),
            }
        }
    }

    /// Waits until something that waits can go on. Cancel-safe.
    pub(super) async fn room(&self) {
        match &self.outbox {
            Some(outbox) if self.flow == Flow::Open && !self.waiting.is_empty() => {
                outbox.room(&self.collector).await;
            }
            _ => std::future::pending().await,
        }
    }

    /// Lets events go on, now that no other process of the collector has any. `false` if there were newer ones of
    /// that process: this one began to read its source too early, and would say again what is known already.
    pub(super) fn release(&mut self) -> bool {
        let now = self
            .outbox
            .as_ref()
            .map(|outbox| outbox.position(&self.collector));
        if self.flow == Flow::Held && now.is_some_and(|now| now != self.position) {
            return false;
        }
        self.flow = Flow::Open;
        self.pass_on();
        true
    }

    /// Number of the last event that is on the disk, for the host.
    pub(super) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// How many have come to the disk since the last call.
    pub(super) fn count_stored(&mut self) -> u64 {
        // Of those that are none, some may still be on their way.
        let stored = self.stored().saturating_sub(self.refused_total);
        let stored = stored.max(self.counted);
        stored - std::mem::replace(&mut self.counted, stored)
    }
}
