use std::io::ErrorKind;
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::collect::events::{Outbox, Queue, channel};
use crate::collect::link::PluginEvent;
use crate::kv::faults::{self, Operation};

struct Rig {
    folder: TempDir,
    outbox: Outbox,
    queue: Queue,
    kept: Kept,
    stored: Arc<AtomicU64>,
}

impl Rig {
    fn new() -> Self {
        Self::inside(tempfile::tempdir().unwrap())
    }

    fn inside(folder: TempDir) -> Self {
        let kept = Kept::open(Arc::new(Kv::open(folder.path()).unwrap())).unwrap();
        let (outbox, queue) = channel(Clock::system(), kept.positions());
        Self {
            folder,
            outbox,
            queue,
            kept,
            stored: Arc::default(),
        }
    }

    /// As if the agent had been killed: nothing is written any more.
    fn again(self) -> Self {
        let Self { folder, kept, .. } = self;
        drop(kept);
        Self::inside(folder)
    }

    fn offer(&self, collector: &str, number: u64, position: &str) {
        let event = PluginEvent {
            sequence: number,
            level: 3,
            at_ms: i64::try_from(number).unwrap(),
            name: "counted".to_owned(),
            data: format!("{{\"number\":{number}}}"),
            position: position.to_owned(),
        };
        self.outbox.offer(collector, event, &self.stored).unwrap();
    }

    async fn group(&mut self) -> Vec<Waiting> {
        self.queue.next(1_000, 1_000_000).await.unwrap()
    }

    async fn commit(&mut self) -> Vec<PluginEventInfo> {
        let group = self.group().await;
        let events = self.kept.commit(&group).unwrap();
        self.queue.stored(&group);
        events
    }

    /// Numbers and ids of what is there, newest first.
    fn newest(&self, collector: Option<&str>, limit: usize) -> Vec<(u64, u64)> {
        let found = self.kept.newest(collector, limit).unwrap();
        let each = found.iter().map(|event| {
            let event: PluginEventInfo = serde_json::from_str(&event.json).unwrap();
            (event.data["number"].as_u64().unwrap(), event.id)
        });
        each.collect()
    }

    fn keys(&self) -> usize {
        let mut count = 0;
        let each = &mut |_: &[u8], _: &[u8]| {
            count += 1;
            true
        };
        self.kept.core.scan(b"e", b"f", each).unwrap();
        count
    }
}

#[tokio::test]
async fn events_and_positions_are_there_after_a_restart_and_numbers_go_on() {
    let mut rig = Rig::new();
    rig.offer("redis", 1, "1-0");
    rig.offer("redis", 2, "");
    rig.offer("main-db", 7, "x");
    let events = rig.commit().await;
    let expected = PluginEventInfo {
        collector: "redis".to_owned(),
        id: 2,
        at: 2,
        level: "debug".to_owned(),
        name: "counted".to_owned(),
        data: serde_json::json!({"number": 2}),
    };
    assert_eq!(events[1], expected);

    let mut rig = rig.again();
    assert_eq!(rig.outbox.position("redis"), "1-0");
    assert_eq!(rig.outbox.position("main-db"), "x");
    assert_eq!((rig.kept.last("redis"), rig.kept.last("red")), (2, 0));
    rig.offer("redis", 3, "3-0");
    assert_eq!(rig.commit().await[0].id, 3);
    assert_eq!(rig.newest(Some("redis"), 10), [(3, 3), (2, 2), (1, 1)]);
    assert_eq!(rig.newest(Some("redis"), 2), [(3, 3), (2, 2)]);
    assert!(rig.newest(Some("none"), 2).is_empty());
    let rig = rig.again();
    assert_eq!(rig.outbox.position("redis"), "3-0");
}

#[tokio::test]
async fn an_answer_has_a_bound_of_bytes_and_the_newest() {
    const COUNT: u64 = 200;
    let mut rig = Rig::new();
    for number in 1..=COUNT {
        let event = PluginEvent {
            sequence: number,
            level: 3,
            at_ms: 1,
            name: "large".to_owned(),
            data: format!("{{\"text\":\"{}\"}}", "x".repeat(16_000)),
            position: String::new(),
        };
        if rig
            .outbox
            .offer("loud", event.clone(), &rig.stored)
            .is_err()
        {
            rig.commit().await;
            rig.outbox.offer("loud", event, &rig.stored).unwrap();
        }
    }
    while !rig.queue.is_empty() {
        rig.commit().await;
    }
    let found = rig.kept.newest(Some("loud"), 1_000).unwrap();
    let bytes: usize = found.iter().map(|event| event.json.len()).sum();
    assert!(bytes <= READ_BYTES_MAX, "{bytes}");
    assert!(bytes + found[0].json.len() > READ_BYTES_MAX, "{bytes}");
    let ids = found.iter().map(|event| {
        let event: PluginEventInfo = serde_json::from_str(&event.json).unwrap();
        event.id
    });
    let expected = (1..=COUNT).rev().take(found.len());
    assert_eq!(ids.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(rig.kept.newest(Some("loud"), 5).unwrap().len(), 5);
}

#[tokio::test]
async fn what_was_not_committed_is_not_there() {
    let mut rig = Rig::new();
    rig.offer("redis", 1, "1");
    rig.commit().await;
    rig.offer("redis", 2, "2");
    let rig = rig.again();
    assert_eq!(
        rig.outbox.position("redis"),
        "1",
        "its source gives 2 again"
    );
    assert_eq!(rig.newest(None, 10), [(1, 1)]);
}

#[tokio::test]
async fn all_collectors_together_come_by_time_and_each_in_its_order() {
    let mut rig = Rig::new();
    for (collector, at) in [("a", 10), ("b", 40), ("a", 50), ("b", 20), ("b", 30)] {
        rig.offer(collector, at, "");
    }
    rig.commit().await;
    let numbers = |limit| {
        let found = rig.newest(None, limit).into_iter();
        found.map(|(number, _)| number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(10), [50, 30, 20, 40, 10], "b had 40 before 20");
    assert_eq!(numbers(2), [50, 30]);
}

#[tokio::test]
async fn the_newest_thousand_of_each_collector_are_kept() {
    let mut rig = Rig::new();
    rig.offer("rare", 1, "r");
    for number in 1..=2_500 {
        rig.offer("busy", number, &number.to_string());
        if number % 700 == 0 {
            rig.commit().await;
        }
    }
    rig.commit().await;
    assert_eq!(rig.keys(), 1_001);
    let found = rig.newest(Some("busy"), 1_000);
    let expected = (1_501..=2_500).rev().map(|number| (number, number));
    assert_eq!(found, expected.collect::<Vec<_>>());
    let rig = rig.again();
    assert_eq!(rig.kept.last("busy"), 2_500);
    assert_eq!(rig.newest(Some("rare"), 10), [(1, 1)]);
}

#[tokio::test]
async fn a_group_that_the_disk_did_not_take_is_stored_once_by_another_attempt() {
    for operation in [Operation::Write, Operation::Flush] {
        let mut rig = Rig::new();
        rig.offer("redis", 1, "1");
        rig.commit().await;
        rig.offer("redis", 2, "2");
        rig.offer("redis", 3, "3");
        let group = rig.group().await;
        faults::fail(rig.folder.path(), operation, 0, ErrorKind::StorageFull);
        for _ in 0..3 {
            let error = rig.kept.commit(&group).unwrap_err();
            assert!(matches!(error, KvError::Full(_)), "{error}");
        }
        assert_eq!(rig.kept.last("redis"), 1);
        faults::heal(rig.folder.path());
        let events = rig.kept.commit(&group).unwrap();
        assert_eq!(events.iter().map(|e| e.id).collect::<Vec<_>>(), [2, 3]);
        let rig = rig.again();
        assert_eq!(rig.newest(None, 10), [(3, 3), (2, 2), (1, 1)]);
        assert_eq!(rig.outbox.position("redis"), "3");
    }
}

#[tokio::test]
async fn a_refused_event_is_not_stored_and_moves_its_source_on() {
    let mut rig = Rig::new();
    rig.offer("redis", 1, "1");
    let bad = PluginEvent {
        sequence: 2,
        data: "7".to_owned(),
        position: "2".to_owned(),
        ..PluginEvent::default()
    };
    rig.outbox.offer("redis", bad, &rig.stored).unwrap();
    rig.offer("redis", 3, "");
    assert_eq!(rig.commit().await.len(), 2);
    let rig = rig.again();
    assert_eq!(rig.newest(None, 10), [(3, 2), (1, 1)]);
    assert_eq!(rig.outbox.position("redis"), "2");
}

#[tokio::test]
async fn what_is_damaged_or_of_another_is_passed_over() {
    let mut rig = Rig::new();
    for number in 1..=3 {
        rig.offer("redis", number, &number.to_string());
    }
    rig.commit().await;
    let core = &rig.kept.core;
    core.insert(b"e", b"not ours").unwrap();
    core.insert(b"e\xff\xff", b"not ours").unwrap();
    core.insert(&key("redis", 3), b"\"3\"\n{nonsense").unwrap();
    let mut rig = rig.again();
    assert_eq!(rig.newest(None, 10), [(2, 2), (1, 1)]);
    assert_eq!(rig.outbox.position("redis"), "2", "the last that is known");
    rig.offer("redis", 4, "4");
    assert_eq!(rig.commit().await[0].id, 4, "no number is used twice");
}
