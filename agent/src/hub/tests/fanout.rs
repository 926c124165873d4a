//! The fan-out: one encode for all, who gets what and until when, refusals, and the end.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_frame_is_encoded_once_for_all_its_subscribers() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let mut clients = Vec::new();
    for _ in 0..50 {
        let client = rig.client().await;
        client.subscribe(Tier::Fast, Shape::Columns).await;
        clients.push(client);
    }
    for round in 0..2 {
        let before = rig.hub.stats().encoded;
        rig.batch(FAST, &[(load, 1.0)]).await;
        assert_eq!(rig.hub.stats().encoded, before + 1);
        let frames: Vec<_> = clients.iter().map(Client::bytes).collect();
        assert!(frames.iter().all(|frame| frame.len() == 1));
        let first = frames[0][0].as_ptr();
        assert!(
            frames.iter().all(|frame| frame[0].as_ptr() == first),
            "round {round}"
        );
    }
    let before = rig.hub.stats().encoded;
    let late = [rig.client().await, rig.client().await];
    for client in &late {
        client.subscribe(Tier::Fast, Shape::Columns).await;
    }
    assert_eq!(rig.hub.stats().encoded, before + 1);
    assert_eq!(late[0].bytes()[0].as_ptr(), late[1].bytes()[0].as_ptr());
}

#[tokio::test(start_paused = true)]
async fn with_nobody_watching_nothing_is_encoded() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let client = rig.client().await;
    rig.batch(FAST, &[(load, 1.0)]).await;
    assert_eq!(rig.hub.stats().encoded, 0);
    client.subscribe(Tier::Fast, Shape::Named).await;
    client.subscribe_basic().await;
    let before = rig.hub.stats().encoded;
    rig.hub.disconnect(client.connection.id);
    rig.batch(FAST, &[(load, 1.0)]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.hub.stats().encoded, before);
    assert_eq!(rig.hub.stats().clients, 0);
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_stops_the_frames_those_that_wait_included() {
    let mut rig = Rig::start();
    let load = rig.gauge("load", Tier::Fast);
    let client = rig.client().await;
    client.subscribe(Tier::Fast, Shape::Columns).await;
    rig.batch(FAST, &[(load, 1.0)]).await;
    client.unsubscribe(Tier::Fast).await.unwrap();
    assert!(client.events().is_empty());
    rig.batch(FAST, &[(load, 1.0)]).await;
    assert!(client.events().is_empty());
    let again = client.unsubscribe(Tier::Fast).await.unwrap_err();
    assert_eq!(again.code, "not_subscribed");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_refused_by_name() {
    let rig = Rig::start();
    let client = rig.client().await;
    for channel in ["", "metrics:", "metrics", "jobs", "Basic-metrics"] {
        assert_eq!(
            Target::parse(channel).unwrap_err().code,
            "unknown_channel",
            "{channel}"
        );
    }
    let wanted = |target| Subscription {
        target,
        tier: Tier::Fast,
        shape: Shape::Named,
        matching: Match::default(),
    };
    let unknown = wanted(Target::parse("metrics:sistem").unwrap());
    let error = rig
        .hub
        .subscribe(client.connection.id, unknown)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.field.as_deref()),
        ("unknown_channel", Some("channel"))
    );
    let broad = matching(&["*"; 65], &[]);
    let error = client
        .subscribe_to(Tier::Fast, Shape::Named, broad)
        .await
        .unwrap_err();
    assert_eq!(error.field.as_deref(), Some("match.metrics"));
    rig.hub.disconnect(client.connection.id);
    let gone = client
        .subscribe_to(Tier::Fast, Shape::Named, Match::default())
        .await
        .unwrap_err();
    assert_eq!(gone.code, "closed");
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_a_bounded_number_of_subscriptions() {
    let rig = Rig::start();
    let client = rig.client().await;
    let wanted = |number: u32| Subscription {
        target: Target::Metrics(format!("topic{number}")),
        tier: Tier::Fast,
        shape: Shape::Named,
        matching: Match::default(),
    };
    for number in 0..65 {
        rig.catalog
            .register(&format!("c{number}"), "p", &format!("topic{number}"), 1);
    }
    for number in 0..64 {
        rig.hub
            .subscribe(client.connection.id, wanted(number))
            .await
            .unwrap();
    }
    let error = rig
        .hub
        .subscribe(client.connection.id, wanted(64))
        .await
        .unwrap_err();
    assert_eq!(error.code, "too_many_channels");
    rig.hub
        .subscribe(client.connection.id, wanted(3))
        .await
        .expect("it takes its own place");
}

#[tokio::test(start_paused = true)]
async fn draining_spreads_the_return_of_the_clients_evenly() {
    let rig = Rig::start();
    let clients = [
        rig.client().await,
        rig.client().await,
        rig.client().await,
        rig.client().await,
    ];
    rig.hub.drain(Duration::from_secs(2)).await;
    let mut delays: Vec<_> = clients
        .iter()
        .map(|client| {
            let close = client.lane().take(&mut Vec::new()).unwrap();
            assert_eq!(close.code, 1001);
            let reason: Value = serde_json::from_str(&close.reason).unwrap();
            reason["reconnectAfterMs"].as_u64().unwrap()
        })
        .collect();
    delays.sort_unstable();
    assert_eq!(delays, [0, 500, 1_000, 1_500]);
    assert_eq!(rig.hub.connect().await.unwrap_err(), Closed);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_bus_and_closes_what_is_left() {
    let rig = Rig::start();
    let client = rig.client().await;
    drop(rig.bus);
    client.lane().ready().await;
    assert_eq!(client.lane().take(&mut Vec::new()).unwrap().code, 1001);
    assert_eq!(client.hub.connect().await.unwrap_err(), Closed);
    let refused = client.unsubscribe(Tier::Fast).await.unwrap_err();
    assert_eq!(refused.code, "closed");
}
