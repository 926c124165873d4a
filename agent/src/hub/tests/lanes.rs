//! What waits for a client: order, what is skipped, and when it is cut off.

use serde_json::json;

use super::*;

#[tokio::test(start_paused = true)]
async fn control_goes_before_metrics_and_skipped_frames_are_counted() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let client = rig.client().await;
    client.subscribe(Tier::Fast, Shape::Columns).await;
    for value in [1.0, 2.0, 3.0, 4.0] {
        rig.batch(FAST, &[(load, value)]).await;
    }
    assert!(client.lane().control(&json!({"id": 1, "type": "ok"})));
    assert!(client.lane().control(&json!({"id": 2, "type": "ok"})));
    let events = client.events();
    assert_eq!(events[0]["id"], json!(1));
    assert_eq!(events[1]["id"], json!(2));
    assert_eq!(events[2]["channel"], json!("metrics:system"));
    assert_eq!(events[2]["event"], json!("skipped"));
    assert_eq!(events[2]["data"], json!({"tier": "fast", "skipped": 3}));
    assert_eq!(events[3]["data"]["values"]["fast"], json!([4]));
    assert_eq!(events.len(), 4);
    let stats = rig.hub.stats();
    assert_eq!((stats.frames, stats.skipped), (4, 3));
    rig.batch(FAST, &[(load, 5.0)]).await;
    assert_eq!(client.events().len(), 1, "what was skipped is said once");
}

#[tokio::test(start_paused = true)]
async fn a_slower_tiers_values_are_not_lost_with_a_skipped_frame() {
    let mut rig = Rig::start();
    let (load, disk) = (rig.gauge("load", Tier::Fast), rig.gauge("disk", Tier::Slow));
    let (slow, quick) = (rig.client().await, rig.client().await);
    slow.subscribe(Tier::Fast, Shape::Columns).await;
    quick.subscribe(Tier::Fast, Shape::Columns).await;
    rig.batch(TierSet::ALL, &[(load, 1.0), (disk, 7.0)]).await;
    assert_eq!(quick.data()["values"], json!({"fast": [1], "slow": [7]}));
    rig.batch(FAST, &[(load, 2.0)]).await;
    assert_eq!(quick.data()["values"], json!({"fast": [2]}));
    let events = slow.events();
    assert_eq!(events[0]["data"]["skipped"], json!(1));
    assert_eq!(
        events[1]["data"]["values"],
        json!({"fast": [2], "slow": [7]})
    );
    assert_eq!(events[1]["data"]["snapshot"], json!(true));
}

#[tokio::test(start_paused = true)]
async fn an_overflow_of_control_closes_with_4008() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let client = rig.client().await;
    client.subscribe(Tier::Fast, Shape::Columns).await;
    for id in 0..64 {
        assert!(client.lane().control(&json!({"id": id, "type": "ok"})));
    }
    assert!(!client.lane().control(&json!({"id": 64, "type": "ok"})));
    rig.batch(FAST, &[(load, 1.0)]).await;
    client.lane().ready().await;
    let mut out = Vec::new();
    let close = client.lane().take(&mut out).unwrap();
    assert_eq!((close.code, close.reason.as_str()), (4008, "slow, resume"));
    assert_eq!(
        out.len(),
        64,
        "the answers that were promised, and no metrics after them"
    );
    assert!(!client.lane().control(&json!({"id": 65, "type": "ok"})));
    assert_eq!(client.lane().take(&mut out), None);
}

#[tokio::test(start_paused = true)]
async fn the_first_reason_to_close_counts_and_answers_still_go_out() {
    let rig = Rig::start();
    let client = rig.client().await;
    client.lane().control(&json!({"id": 1, "type": "ok"}));
    client.lane().close(Close {
        code: 4029,
        reason: "too many requests".to_owned(),
    });
    client.lane().close(Close {
        code: 1001,
        reason: String::new(),
    });
    let mut out = Vec::new();
    assert_eq!(client.lane().take(&mut out).unwrap().code, 4029);
    assert_eq!(out.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_lane_can_be_given_up_and_begun_again() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let client = rig.client().await;
    client.subscribe(Tier::Fast, Shape::Columns).await;
    let waited = tokio::time::timeout(Duration::from_millis(10), client.lane().ready()).await;
    assert!(waited.is_err());
    rig.batch(FAST, &[(load, 1.0)]).await;
    client.lane().ready().await;
    client.lane().ready().await;
    assert_eq!(client.events().len(), 1);
}

impl Rig {
    async fn announce(&self, number: usize, data: &str) {
        let event = ServerEvent {
            event: "happened".to_owned(),
            channel: "admin".to_owned(),
            at: START_MS,
            data: json!({"number": number, "text": data}),
        };
        self.hub.announce(&event).await.unwrap();
        self.settle().await;
    }
}

impl Client {
    async fn subscribe_admin(&self) {
        let wanted = Subscription {
            target: Target::Admin,
            tier: Tier::Fast,
            shape: Shape::Named,
            matching: Match::default(),
        };
        let id = self.connection.id;
        self.hub.subscribe(id, wanted).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_encoded_once_and_come_between_control_and_metrics() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let (one, two, other) = (rig.client().await, rig.client().await, rig.client().await);
    one.subscribe(Tier::Fast, Shape::Columns).await;
    one.subscribe_admin().await;
    two.subscribe_admin().await;
    rig.batch(FAST, &[(load, 1.0)]).await;
    rig.announce(1, "").await;
    rig.announce(2, "").await;
    assert!(one.lane().control(&json!({"id": 1, "type": "ok"})));
    let (first, second) = (one.bytes(), two.bytes());
    assert_eq!(json(&first[0])["id"], json!(1));
    assert_eq!(json(&first[1])["data"]["number"], json!(1));
    assert_eq!(json(&first[2])["data"]["number"], json!(2));
    assert_eq!(json(&first[3])["channel"], json!("metrics:system"));
    assert_eq!(first.len(), 4);
    assert_eq!(second.len(), 2);
    assert_eq!(first[1].as_ptr(), second[0].as_ptr(), "the same bytes");
    assert!(other.bytes().is_empty(), "not subscribed");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_an_ended_subscription_comes_out() {
    let rig = Rig::start();
    let client = rig.client().await;
    client.subscribe_admin().await;
    rig.announce(1, "").await;
    let id = client.connection.id;
    let left = client.hub.unsubscribe(id, Target::Admin, Tier::Slow).await;
    left.unwrap();
    rig.announce(2, "").await;
    assert!(client.bytes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn events_that_pile_up_close_with_4008_after_those_that_wait() {
    for (data, expected) in [(String::new(), 256), ("x".repeat(50_000), 5)] {
        let rig = Rig::start();
        let (slow, quick) = (rig.client().await, rig.client().await);
        slow.subscribe_admin().await;
        quick.subscribe_admin().await;
        let mut taken = 0;
        for number in 0..=expected {
            rig.announce(number, &data).await;
            taken += quick.bytes().len();
        }
        assert_eq!(taken, expected + 1, "who reads misses nothing");
        let mut out = Vec::new();
        let close = slow.lane().take(&mut out).unwrap();
        assert_eq!((close.code, close.reason.as_str()), (4008, "slow, resume"));
        assert_eq!(out.len(), expected);
        rig.announce(0, "").await;
        assert!(slow.bytes().is_empty());
    }
}
