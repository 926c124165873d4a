//! The hub's owner task: one loop over batches, ticks and requests.
//!
//! It alone knows who subscribed to what. With nobody watching, a batch costs its application to the
//! current values and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::frame::Update;
use super::lane::{Close, Lane, SlotId, json_frame};
use super::tiers::{Feed, FeedKey};
use super::{
    BASIC, Connection, ConnectionId, Held, Parts, Request, Shared, Subscription, Target, refusal,
    unknown_channel,
};
use crate::bus::Batch;
use crate::catalog::CollectorId;
use crate::clock::{Ticker, TierSet};
use crate::protocol::{BasicMetrics, ErrorBody, ServerEvent};

/// Subscriptions that one connection may have.
pub(crate) const CHANNELS_MAX: usize = 64;
/// When clients come back that are still there as the task ends without having been drained.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Task {
    parts: Parts,
    ticker: Ticker,
    requests: mpsc::Receiver<Request>,
    shared: Arc<Shared>,
    clients: HashMap<ConnectionId, Client>,
    feeds: HashMap<Arc<FeedKey>, Feed>,
    basic: IndexMap<SlotId, Arc<Lane>>,
    admin: IndexMap<SlotId, Arc<Lane>>,
    connections: u64,
    slots: u64,
    tables: u64,
    draining: bool,
}

struct Client {
    lane: Arc<Lane>,
    /// In the order in which they were asked for.
    subscriptions: Vec<(Held, Seat)>,
}

/// Where a subscription gets its frames.
struct Seat {
    slot: SlotId,
    /// `None` for channels without one.
    feed: Option<Arc<FeedKey>>,
}

impl Task {
    pub(super) fn new(
        parts: Parts,
        requests: mpsc::Receiver<Request>,
        shared: Arc<Shared>,
    ) -> Self {
        let ticker = parts.clock.ticker(parts.tiers);
        Self {
            parts,
            ticker,
            requests,
            shared,
            clients: HashMap::new(),
            feeds: HashMap::new(),
            basic: IndexMap::new(),
            admin: IndexMap::new(),
            connections: 0,
            slots: 0,
            tables: 0,
            draining: false,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            // Batches and ticks are few, so that they can go before requests without starving them.
            tokio::select! {
                biased;
                () = self.shared.wake.notified() => self.sweep(),
                batch = self.parts.queue.next() => match batch {
                    Some(batch) => self.batch(&batch),
                    None => break,
                },
                tick = self.ticker.next() => self.tick(tick.at_ms),
                request = self.requests.recv() => match request {
                    Some(request) => self.handle(request),
                    None => break,
                },
            }
        }
        self.close_all(RECONNECT_AFTER);
    }

    fn batch(&mut self, batch: &Batch) {
        let applied = self.parts.current.apply(batch);
        if self.feeds.is_empty() {
            return;
        }
        self.refresh(batch.collector);
        let view = self.parts.current.read();
        for feed in self.feeds.values_mut() {
            feed.deliver(batch, applied, &view);
        }
    }

    /// Lets the feeds of a collector's topic see what changed in the catalog.
    fn refresh(&mut self, collector: CollectorId) {
        let tables = self.parts.catalog.read();
        let topic = &tables.collector(collector).topic;
        for feed in self.feeds.values_mut().filter(|feed| feed.topic() == topic) {
            feed.refresh(collector, &tables, &mut self.tables);
        }
    }

    fn tick(&mut self, at_ms: i64) {
        if self.basic.is_empty() {
            return;
        }
        let update = self.basic_metrics(at_ms);
        for (slot, lane) in &self.basic {
            lane.put(*slot, None, &update);
        }
    }

    fn basic_metrics(&self, at_ms: i64) -> Arc<Update> {
        let event = ServerEvent {
            event: BASIC.to_owned(),
            channel: BASIC.to_owned(),
            at: at_ms,
            data: BasicMetrics {
                components: self.parts.board.components(),
            },
        };
        self.shared.counters.encoded.fetch_add(1, Ordering::Relaxed);
        Arc::new(Update::plain(json_frame(&event), TierSet::ALL))
    }

    /// A reply that nobody waits for any more is of no use to anybody, and its loss no error.
    fn handle(&mut self, request: Request) {
        match request {
            Request::Connect { reply } => {
                if !self.draining {
                    let connection = self.connect();
                    let id = connection.id;
                    if reply.send(connection).is_err() {
                        self.forget(id);
                    }
                }
            }
            Request::Subscribe { id, wanted, reply } => {
                let _ = reply.send(self.subscribe(id, wanted));
            }
            Request::Unsubscribe { id, held, reply } => {
                let _ = reply.send(self.unsubscribe(id, &held));
            }
            Request::Announce { frame } => {
                for (slot, lane) in &self.admin {
                    lane.event(*slot, &frame);
                }
            }
            Request::Drain { spread, reply } => {
                self.draining = true;
                self.close_all(spread);
                let _ = reply.send(());
            }
        }
    }

    fn connect(&mut self) -> Connection {
        self.connections += 1;
        let id = ConnectionId(self.connections);
        let counters = Arc::clone(&self.shared.counters);
        counters.clients.fetch_add(1, Ordering::Relaxed);
        let lane = Arc::new(Lane::new(self.parts.clock.clone(), counters));
        let client = Client {
            lane: Arc::clone(&lane),
            subscriptions: Vec::new(),
        };
        self.clients.insert(id, client);
        Connection { id, lane }
    }

    fn subscribe(&mut self, id: ConnectionId, wanted: Subscription) -> Result<(), ErrorBody> {
        let held = Held::new(wanted.target.clone(), wanted.tier);
        self.check(id, &held)?;
        self.drop_subscription(id, &held);
        self.slots += 1;
        let slot = SlotId(self.slots);
        let client = self
            .clients
            .get_mut(&id)
            .expect("it was there when it was checked");
        let lane = Arc::clone(&client.lane);
        lane.add_slot(slot, held.target.channel().into(), held.tier);
        let feed = match wanted.target {
            Target::Basic => {
                lane.put(slot, None, &self.basic_metrics(self.parts.clock.now_ms()));
                self.basic.insert(slot, lane);
                None
            }
            Target::Admin => {
                self.admin.insert(slot, lane);
                None
            }
            Target::Metrics(topic) => {
                let (tier, shape, matching) = (held.tier, wanted.shape, wanted.matching);
                let key = FeedKey {
                    topic,
                    tier,
                    shape,
                    matching,
                };
                Some(self.join(key, slot, &lane))
            }
        };
        let client = self
            .clients
            .get_mut(&id)
            .expect("it was there when it was checked");
        client.subscriptions.push((held, Seat { slot, feed }));
        Ok(())
    }

    fn check(&self, id: ConnectionId, held: &Held) -> Result<(), ErrorBody> {
        let Some(client) = self.clients.get(&id) else {
            return Err(refusal(
                "closed",
                "the connection is closed".to_owned(),
                None,
            ));
        };
        if let Target::Metrics(topic) = &held.target
            && !self
                .parts
                .catalog
                .read()
                .collectors()
                .any(|(_, known)| known.topic == *topic)
        {
            return Err(unknown_channel(&held.target.channel()));
        }
        let others = client
            .subscriptions
            .iter()
            .filter(|(known, _)| known != held)
            .count();
        if others >= CHANNELS_MAX {
            let message = format!(
                "a connection has at most {CHANNELS_MAX} subscriptions; unsubscribe from one first"
            );
            return Err(refusal("too_many_channels", message, Some("channel")));
        }
        Ok(())
    }

    /// Adds a subscriber to its feed, which begins with the first one.
    fn join(&mut self, key: FeedKey, slot: SlotId, lane: &Arc<Lane>) -> Arc<FeedKey> {
        let key = match self.feeds.get_key_value(&key) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(key),
        };
        let counters = &self.shared.counters;
        let feed = self
            .feeds
            .entry(Arc::clone(&key))
            .or_insert_with(|| Feed::new(Arc::clone(&key), Arc::clone(counters)));
        let tables = self.parts.catalog.read();
        for (id, collector) in tables.collectors() {
            if collector.topic == key.topic {
                feed.refresh(id, &tables, &mut self.tables);
            }
        }
        drop(tables);
        feed.join(slot, lane, &self.parts.current.read());
        key
    }

    fn unsubscribe(&mut self, id: ConnectionId, held: &Held) -> Result<(), ErrorBody> {
        if self.drop_subscription(id, held) {
            return Ok(());
        }
        let (channel, tier) = (held.target.channel(), held.tier.name());
        let message = format!("there is no subscription to `{channel}` at tier {tier}");
        Err(refusal("not_subscribed", message, Some("channel")))
    }

    fn drop_subscription(&mut self, id: ConnectionId, held: &Held) -> bool {
        let Some(client) = self.clients.get_mut(&id) else {
            return false;
        };
        let Some(index) = client
            .subscriptions
            .iter()
            .position(|(known, _)| known == held)
        else {
            return false;
        };
        let (_, seat) = client.subscriptions.remove(index);
        client.lane.remove_slot(seat.slot);
        self.leave(&seat);
        true
    }

    fn leave(&mut self, seat: &Seat) {
        let Some(key) = &seat.feed else {
            self.basic.swap_remove(&seat.slot);
            self.admin.swap_remove(&seat.slot);
            return;
        };
        if self
            .feeds
            .get_mut(key)
            .is_some_and(|feed| feed.leave(seat.slot))
        {
            self.feeds.remove(key);
        }
    }

    /// Forgets the connections that are gone.
    fn sweep(&mut self) {
        let departed = std::mem::take(&mut *self.shared.departed());
        for id in departed {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        self.shared.counters.clients.fetch_sub(1, Ordering::Relaxed);
        for (_, seat) in &client.subscriptions {
            self.leave(seat);
        }
    }

    fn close_all(&mut self, spread: Duration) {
        let clients = u128::try_from(self.clients.len()).unwrap_or(1).max(1);
        for (index, client) in (0..).zip(self.clients.values()) {
            let after_ms = spread.as_millis() * index / clients;
            let reason = format!(r#"{{"reconnectAfterMs":{after_ms}}}"#);
            client.lane.close(Close { code: 1001, reason });
        }
    }
}
