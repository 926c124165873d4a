use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn event(sequence: u64, position: &str) -> PluginEvent {
    PluginEvent {
        sequence,
        level: 2,
        at_ms: 7,
        name: "job-moved".to_owned(),
        data: String::new(),
        position: position.to_owned(),
    }
}

fn empty() -> (Outbox, Queue, Arc<AtomicU64>) {
    let (outbox, queue) = channel(Clock::system(), Vec::new());
    (outbox, queue, Arc::default())
}

#[tokio::test]
async fn events_come_in_order_and_are_told_once_they_are_stored() {
    let (outbox, mut queue, stored) = empty();
    for sequence in 1..=3 {
        let event = event(sequence, &format!("at {sequence}"));
        outbox.offer("redis", event, &stored).unwrap();
    }
    assert_eq!(outbox.position("redis"), "at 3", "it will be stored");
    let group = queue.next(2, 1_000).await.unwrap();
    let sequences: Vec<_> = group.iter().map(|one| one.event.sequence).collect();
    assert_eq!(sequences, [1, 2]);
    assert_eq!(stored.load(Ordering::Relaxed), 0);
    queue.stored(&group);
    assert_eq!(stored.load(Ordering::Relaxed), 2);
    outbox.close();
    assert_eq!(queue.next(2, 1_000).await.unwrap().len(), 1);
    assert!(queue.next(2, 1_000).await.is_none());
    assert!(outbox.offer("redis", event(4, ""), &stored).is_err());
}

#[tokio::test]
async fn a_group_has_a_bound_of_bytes_and_one_event_at_least() {
    let (outbox, mut queue, stored) = empty();
    for sequence in 1..=3 {
        let data = format!("{{\"text\":\"{}\"}}", "x".repeat(100));
        let event = event(sequence, "");
        outbox
            .offer("redis", PluginEvent { data, ..event }, &stored)
            .unwrap();
    }
    assert_eq!(queue.next(10, 250).await.unwrap().len(), 2);
    assert_eq!(queue.next(10, 1).await.unwrap().len(), 1);
    assert!(queue.is_empty());
}

#[tokio::test]
async fn a_flood_takes_its_own_room_only_and_waits_for_more() {
    let (outbox, mut queue, stored) = empty();
    for sequence in 1..=WAITING_MAX as u64 {
        outbox.offer("loud", event(sequence, ""), &stored).unwrap();
    }
    let next = event(9_999, "beyond");
    let back = outbox.offer("loud", next.clone(), &stored).unwrap_err();
    assert_eq!(back, next);
    assert_eq!(outbox.position("loud"), "", "it was not taken in");
    outbox.offer("quiet", event(1, ""), &stored).unwrap();
    outbox.room("quiet").await;

    let waits = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.room("loud").await }
    });
    let group = queue.next(1, 1).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!waits.is_finished(), "what is not stored takes up room");
    queue.stored(&group);
    waits.await.unwrap();
    outbox.offer("loud", next, &stored).unwrap();
    assert_eq!(outbox.position("loud"), "beyond");
}

#[tokio::test]
async fn large_events_have_less_room_and_all_of_it_comes_back() {
    let (outbox, mut queue, stored) = empty();
    let large = |sequence| PluginEvent {
        data: format!("{{\"text\":\"{}\"}}", "x".repeat(DATA_BYTES_MAX - 11)),
        ..event(sequence, "")
    };
    let fills = |first: u64| {
        let taken = (first..).take_while(|&n| outbox.offer("loud", large(n), &stored).is_ok());
        taken.count()
    };
    let count = fills(1);
    let per_event = bytes(&large(1));
    assert_eq!(count, WAITING_BYTES_MAX.div_ceil(per_event));
    assert!(count < 130, "{count} of 16 kB");
    outbox.offer("quiet", large(1), &stored).unwrap();

    let group = queue.next(WAITING_MAX, usize::MAX).await.unwrap();
    assert_eq!(group.len(), count + 1);
    queue.stored(&group);
    outbox.room("loud").await;
    assert_eq!(fills(1_000), count, "nothing of the room is lost");
}

#[tokio::test]
async fn what_is_no_event_is_refused_and_takes_no_room() {
    let (outbox, mut queue, stored) = empty();
    let good = event(1, "1");
    let bad = [
        PluginEvent {
            name: "Job".to_owned(),
            ..good.clone()
        },
        PluginEvent {
            name: String::new(),
            ..good.clone()
        },
        PluginEvent {
            name: "a".repeat(65),
            ..good.clone()
        },
        PluginEvent {
            level: 5,
            ..good.clone()
        },
        PluginEvent {
            data: "[1]".to_owned(),
            ..good.clone()
        },
        PluginEvent {
            data: "{\"a\":".to_owned(),
            ..good.clone()
        },
        PluginEvent {
            data: format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500)),
            ..good.clone()
        },
        PluginEvent {
            data: format!("{{\"a\":\"{}\"}}", "x".repeat(DATA_BYTES_MAX)),
            ..good.clone()
        },
        PluginEvent {
            position: "x".repeat(POSITION_BYTES_MAX + 1),
            ..good.clone()
        },
    ];
    for event in bad.clone() {
        outbox.offer("redis", event, &stored).unwrap();
    }
    outbox.offer("redis", good, &stored).unwrap();
    let group = queue.next(100, 1_000_000).await.unwrap();
    let refusals = group.iter().map(|one| one.refusal.is_some());
    assert_eq!(
        refusals.collect::<Vec<_>>(),
        [vec![true; bad.len()], vec![false]].concat()
    );
    assert!(group.iter().all(|one| one.event.data.len() < 100));
    queue.stored(&group);
    assert_eq!(stored.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_time_happened_when_it_was_taken_in() {
    let (outbox, mut queue) = channel(Clock::simulated(5_000), Vec::new());
    let stored = Arc::default();
    for at_ms in [0, -1, 3] {
        let event = event(1, "");
        outbox
            .offer("redis", PluginEvent { at_ms, ..event }, &stored)
            .unwrap();
    }
    let group = queue.next(10, 10).await.unwrap();
    let times = group.iter().map(|one| one.event.at_ms);
    assert_eq!(times.collect::<Vec<_>>(), [5_000, 5_000, 3]);
}

#[tokio::test]
async fn a_position_from_before_the_start_is_known() {
    let positions = vec![("redis".into(), "17-0".to_owned())];
    let (outbox, _queue) = channel(Clock::system(), positions);
    assert_eq!(outbox.position("redis"), "17-0");
    assert_eq!(outbox.position("another"), "");
}
