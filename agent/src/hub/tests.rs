//! The hub's promises, on simulated time: a real bus, catalog and board, and clients that take their lanes.

mod fanout;
mod lanes;
mod shapes;
mod tiers;
mod view;

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::bus::{Batch, Bus, Sample};
use crate::catalog::{CollectorId, Kind, Metric, SeriesId};
use crate::clock::TierSet;
use crate::protocol::Component;

/// Wall time at the start, a whole minute.
const START_MS: i64 = 1_700_000_040_000;

const FAST: TierSet = TierSet::EMPTY.with(Tier::Fast);
const MEDIUM: TierSet = FAST.with(Tier::Medium);

/// An agent's inside with one collector, `system`, that publishes what the test says.
struct Rig {
    hub: Hub,
    clock: Clock,
    catalog: Catalog,
    board: Board,
    bus: Bus,
    collector: CollectorId,
    at_ms: i64,
}

impl Rig {
    fn start() -> Self {
        let (clock, catalog, board) = (
            Clock::simulated(START_MS),
            Catalog::default(),
            Board::default(),
        );
        let (bus, mut queues) = Bus::new(&[("hub", 64)]);
        let parts = Parts {
            clock: clock.clone(),
            tiers: Tiers::default(),
            catalog: catalog.clone(),
            board: board.clone(),
            current: Current::new(catalog.clone()),
            queue: queues.pop().unwrap(),
        };
        let (hub, task) = start(parts);
        tokio::spawn(task);
        let collector = catalog.register("system", "system", "system", 100);
        Self {
            hub,
            clock,
            catalog,
            board,
            bus,
            collector,
            at_ms: START_MS,
        }
    }

    fn series(&self, name: &str, kind: Kind, tier: Tier, labels: &[(&str, &str)]) -> SeriesId {
        // Some are the supervisor's.
        let metric = self
            .catalog
            .define_own_metric(self.collector, metric(name, kind, tier, labels));
        let values = labels
            .iter()
            .map(|(_, value)| (*value).to_owned())
            .collect();
        self.catalog
            .define_series(self.collector, metric.unwrap(), values)
            .unwrap()
    }

    fn gauge(&self, name: &str, tier: Tier) -> SeriesId {
        self.series(name, Kind::Gauge, tier, &[])
    }

    /// Publishes a successful batch a second after the last one, and waits until the hub has dealt with it.
    async fn batch(&mut self, due: TierSet, samples: &[(SeriesId, f64)]) {
        self.publish(due, true, samples);
        self.settle().await;
    }

    async fn failure(&mut self, due: TierSet) {
        self.publish(due, false, &[]);
        self.settle().await;
    }

    fn publish(&mut self, due: TierSet, up: bool, samples: &[(SeriesId, f64)]) {
        self.at_ms += 1_000;
        let samples = samples
            .iter()
            .map(|&(series, value)| Sample { series, value })
            .collect();
        self.bus.publish(Batch {
            collector: self.collector,
            tick: 0,
            at_ms: self.at_ms,
            at: Batch::test_moment(self.at_ms),
            due,
            up,
            took: Duration::ZERO,
            samples,
        });
    }

    /// Batches go before requests, so that an answer means that they have been dealt with.
    async fn settle(&self) {
        let connection = self.hub.connect().await.unwrap();
        self.hub.disconnect(connection.id);
    }

    async fn client(&self) -> Client {
        Client {
            connection: self.hub.connect().await.unwrap(),
            hub: self.hub.clone(),
        }
    }
}

fn metric(name: &str, kind: Kind, tier: Tier, labels: &[(&str, &str)]) -> Metric {
    let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
    Metric::for_test(name, kind, tier, &names)
}

struct Client {
    connection: Connection,
    hub: Hub,
}

impl Client {
    fn lane(&self) -> &Lane {
        &self.connection.lane
    }

    async fn subscribe(&self, tier: Tier, shape: Shape) {
        self.subscribe_to(tier, shape, Match::default())
            .await
            .unwrap();
    }

    async fn subscribe_to(
        &self,
        tier: Tier,
        shape: Shape,
        matching: Match,
    ) -> Result<(), ErrorBody> {
        let target = Target::parse("metrics:system")?;
        self.hub
            .subscribe(
                self.connection.id,
                Subscription {
                    target,
                    tier,
                    shape,
                    matching,
                },
            )
            .await
    }

    async fn unsubscribe(&self, tier: Tier) -> Result<(), ErrorBody> {
        let target = Target::Metrics("system".to_owned());
        self.hub.unsubscribe(self.connection.id, target, tier).await
    }

    async fn subscribe_basic(&self) {
        let wanted = Subscription {
            target: Target::Basic,
            tier: Tier::Slow,
            shape: Shape::Named,
            matching: Match::default(),
        };
        self.hub
            .subscribe(self.connection.id, wanted)
            .await
            .unwrap();
    }

    fn bytes(&self) -> Vec<bytes::Bytes> {
        let mut out = Vec::new();
        assert_eq!(self.lane().take(&mut out), None);
        out
    }

    /// What waits, as JSON.
    fn events(&self) -> Vec<Value> {
        self.bytes().iter().map(|frame| json(frame)).collect()
    }

    /// The data of the one event that waits.
    fn data(&self) -> Value {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]["data"].take()
    }
}

fn json(frame: &[u8]) -> Value {
    let head = match frame[1] {
        127 => 10,
        126 => 4,
        _ => 2,
    };
    serde_json::from_slice(&frame[head..]).unwrap()
}

fn matching(metrics: &[&str], labels: &[(&str, &str)]) -> Match {
    Match {
        metrics: metrics.iter().map(|&pattern| pattern.to_owned()).collect(),
        labels: labels
            .iter()
            .map(|&(n, v)| (n.to_owned(), v.to_owned()))
            .collect(),
    }
}

fn component(name: &str) -> Component {
    Component {
        name: name.to_owned(),
        topic: "system".to_owned(),
        up: true,
        latency_ms: Some(1.5),
        since: START_MS,
        restarts: 0,
        error: None,
    }
}
