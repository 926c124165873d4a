use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::catalog::{Kind, Unit};
use crate::clock::Tier;
use crate::store::Config;
use crate::store::registry::StoredSeries;

/// Each of this many series is all gaps of 5,000 points: 3 MB, far more than waits for a client.
const SERIES: usize = 40;

fn store() -> (Arc<Engine>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path(), Config::default(), 0).unwrap();
    for n in 0..SERIES {
        let series = StoredSeries {
            id: 0,
            metric: "m".to_owned(),
            kind: Kind::Gauge,
            unit: Unit::Count,
            tier: Tier::Fast,
            topic: "t".to_owned(),
            collector: "c".to_owned(),
            labels: [("n".to_owned(), n.to_string())].into_iter().collect(),
            last_day: 0,
        };
        assert!(engine.registry.resolve(series).is_some());
    }
    (Arc::new(engine), folder)
}

async fn answering(store: Arc<Engine>, time: Duration) -> (Answering, Body, Arc<Queries>) {
    let clock = Clock::system();
    let query = question::parse("metric=m&points=5000&from=0&to=5000000", 0).unwrap();
    let plan = store.plan(&query, 0).unwrap();
    let (sender, body) = Body::stream();
    let queries = Arc::new(Queries::default());
    let answering = Answering {
        store,
        plan,
        aggregation: query.aggregation,
        deadline: clock.mono() + time,
        clock,
        sender,
        _place: queries.enter().await.unwrap(),
    };
    (answering, body, queries)
}

async fn read(body: Body) -> Value {
    let bytes = body.collect().await.expect("a whole answer").to_bytes();
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test]
async fn a_large_answer_arrives_whole_in_pieces() {
    let (store, _folder) = store();
    let (answering, body, queries) = answering(store, TIME_MAX).await;
    let task = spawn_blocking(move || answering.run());
    let answer = read(body).await;
    task.await.unwrap();
    assert_eq!(answer["complete"], true);
    let series = answer["series"].as_array().unwrap();
    assert_eq!(series.len(), SERIES);
    for one in series {
        assert_eq!(one["max"].as_array().unwrap().len(), 5_000);
    }
    assert_eq!(queries.running.available_permits(), RUNNING_MAX);
}

#[tokio::test]
async fn who_does_not_read_holds_little_and_who_goes_away_ends_the_question() {
    let (store, _folder) = store();
    let (answering, body, queries) = answering(store, Duration::from_hours(1)).await;
    let task = spawn_blocking(move || answering.run());
    let Body::Stream(Some(receiver)) = &body else {
        panic!("not a stream: {body:?}");
    };
    while receiver.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(queries.running.available_permits(), RUNNING_MAX - 1);
    drop(body);
    task.await.unwrap();
    assert_eq!(queries.running.available_permits(), RUNNING_MAX);
}

#[tokio::test]
async fn when_the_time_is_up_the_answer_says_so() {
    let (store, _folder) = store();
    let (answering, body, _queries) = answering(store, Duration::ZERO).await;
    let task = spawn_blocking(move || answering.run());
    let answer = read(body).await;
    task.await.unwrap();
    assert_eq!(answer["complete"], false);
    let stopped = answer["stopped"].as_str().unwrap();
    assert!(stopped.starts_with("it took longer than 10 s"), "{stopped}");
    assert!(answer["series"].as_array().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_run_some_wait_shortly_and_the_rest_is_told_to_come_back() {
    let queries = Arc::new(Queries::default());
    let running = [
        queries.enter().await.unwrap(),
        queries.enter().await.unwrap(),
    ];
    let waiting: Vec<_> = (0..WAITING_MAX)
        .map(|_| {
            let queries = Arc::clone(&queries);
            tokio::spawn(async move { queries.enter().await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    let refused = queries.enter().await.unwrap_err();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.into_answer().headers()[header::RETRY_AFTER], "1");
    drop(running);
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    // Who waits in vain is told so as well.
    let _running = [
        queries.enter().await.unwrap(),
        queries.enter().await.unwrap(),
    ];
    assert_eq!(queries.enter().await.unwrap_err().body.code, "busy");
}
