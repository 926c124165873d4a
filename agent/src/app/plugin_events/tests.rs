use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::bus::Bus;
use crate::catalog::Catalog;
use crate::clock::{Tier, Tiers};
use crate::collect::link::PluginEvent;
use crate::current::Current;
use crate::hub::{self, Connection, Subscription, Target};
use crate::kv::faults::{self, Operation};
use crate::protocol::{Match, Shape};

struct Rig {
    folder: TempDir,
    board: Board,
    clock: Clock,
    events: PluginEvents,
    client: Connection,
    stored: Arc<AtomicU64>,
    _bus: Bus,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (bus, mut queues) = Bus::new(&[("hub", 16)]);
        let (clock, catalog, board) = (
            Clock::simulated(1_000),
            Catalog::default(),
            Board::default(),
        );
        let (hub, run) = hub::start(hub::Parts {
            clock: clock.clone(),
            tiers: Tiers::default(),
            current: Current::new(catalog.clone()),
            catalog,
            board: board.clone(),
            queue: queues.pop().unwrap(),
        });
        tokio::spawn(run);
        let client = hub.connect().await.unwrap();
        let admin = Subscription {
            target: Target::Admin,
            tier: Tier::Fast,
            shape: Shape::Named,
            matching: Match::default(),
        };
        hub.subscribe(client.id, admin).await.unwrap();
        let core = Arc::new(Kv::open(folder.path()).unwrap());
        let events = PluginEvents::start(&core, &clock, &board, &hub).unwrap();
        Self {
            folder,
            board,
            clock,
            events,
            client,
            stored: Arc::default(),
            _bus: bus,
        }
    }

    fn offer(&self, sequence: u64) {
        let event = PluginEvent {
            sequence,
            level: 1,
            name: "counted".to_owned(),
            position: sequence.to_string(),
            ..PluginEvent::default()
        };
        let outbox = &self.events.outbox;
        outbox.offer("redis", event, &self.stored).unwrap();
    }

    /// The ids of the next events that the client is sent.
    async fn heard(&self, count: usize) -> Vec<u64> {
        let mut frames = Vec::new();
        while frames.len() < count {
            self.client.lane.ready().await;
            assert!(
                self.client.lane.take(&mut frames).is_none(),
                "it was closed"
            );
        }
        frames.iter().map(id).collect()
    }

    /// Waits until `/healthz` shows what is wrong, or that nothing is.
    async fn problem(&self, is_wrong: bool) -> Option<String> {
        loop {
            let components = self.board.components();
            if components.is_empty() != is_wrong {
                return components.into_iter().next().and_then(|down| down.error);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn id(frame: &Bytes) -> u64 {
    let start = frame.iter().position(|byte| *byte == b'{').unwrap();
    let event: Value = serde_json::from_slice(&frame[start..]).unwrap();
    assert_eq!(event["event"], "plugin-event");
    assert_eq!(event["at"], event["data"]["at"]);
    event["data"]["id"].as_u64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_stored_told_in_order_and_closes_no_client_that_reads() {
    let rig = Rig::new().await;
    let count = events::WAITING_MAX as u64;
    (1..=count).for_each(|sequence| rig.offer(sequence));
    let heard = rig.heard(events::WAITING_MAX).await;
    assert_eq!(heard, (1..=count).collect::<Vec<_>>());
    assert_eq!(rig.stored.load(Ordering::Relaxed), count);
    assert_eq!(rig.events.kept.newest(None, 1).unwrap().len(), 1);
    assert!(rig.board.components().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_and_its_events_are_stored_once_there_is_room() {
    let rig = Rig::new().await;
    faults::fail(
        rig.folder.path(),
        Operation::Flush,
        0,
        ErrorKind::StorageFull,
    );
    rig.offer(1);
    rig.offer(2);
    let problem = rig.problem(true).await.unwrap();
    assert!(problem.contains("no space left"), "{problem}");
    assert_eq!(rig.stored.load(Ordering::Relaxed), 0);
    rig.offer(3);
    faults::heal(rig.folder.path());
    assert_eq!(rig.heard(3).await, [1, 2, 3]);
    rig.problem(false).await;
    assert_eq!(rig.stored.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_stores_what_waits() {
    let rig = Rig::new().await;
    (1..=300).for_each(|sequence| rig.offer(sequence));
    let kept = Arc::clone(&rig.events.kept);
    rig.events
        .stop(rig.clock.mono() + Duration::from_secs(3))
        .await;
    assert_eq!(kept.last("redis"), 300);
    assert_eq!(rig.stored.load(Ordering::Relaxed), 300);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_disk_that_stays_full() {
    let rig = Rig::new().await;
    faults::fail(
        rig.folder.path(),
        Operation::Write,
        0,
        ErrorKind::StorageFull,
    );
    rig.offer(1);
    let began = rig.clock.mono();
    rig.events.stop(began + Duration::from_mins(1)).await;
    assert!(rig.clock.mono() - began <= 2 * RETRY);
    assert_eq!(rig.stored.load(Ordering::Relaxed), 0);
    faults::heal(rig.folder.path());
}
