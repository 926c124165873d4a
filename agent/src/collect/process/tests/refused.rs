//! What is not taken, by whomever: the host, the catalog, the outbox and the agent's end of the link.

use super::*;
use crate::catalog::{ChartHint, ChartStyle, Kind, Unit};
use crate::clock::Tier;
use crate::collect::events::channel;
use crate::collect::link::{MetricDefinition, PluginEvent};

fn event(sequence: u64, name: &str) -> PluginEvent {
    PluginEvent {
        sequence,
        name: name.to_owned(),
        ..PluginEvent::default()
    }
}

fn no_event(sequence: u64) -> ToAgent {
    ToAgent::Event(Box::new(event(sequence, "Bad")))
}

/// A metric with two series, of which the catalog takes one.
fn definitions() -> [ToAgent; 3] {
    let definition = MetricDefinition {
        name: "p_value".to_owned(),
        help: String::new(),
        otel: String::new(),
        kind: Kind::Gauge,
        unit: Unit::Count,
        tier: Tier::Fast,
        labels: vec!["of".to_owned()],
        chart: ChartHint {
            section: String::new(),
            title: String::new(),
            style: ChartStyle::Line,
            overview: false,
        },
    };
    let series = |value: &str| ToAgent::Series {
        metric: 0,
        values: vec![value.to_owned()],
    };
    let metric = ToAgent::Metric(Box::new(definition));
    [metric, series("one"), series("two")]
}

/// Sees what comes of a collect of which the host says so much.
async fn collected(
    process: &mut Process,
    host: &mut Host,
    messages: impl IntoIterator<Item = ToAgent>,
) -> Result<Collected, Failure> {
    let life = async {
        assert!(matches!(host.next().await, Some(ToHost::Collect { .. })));
        for message in messages {
            host.say(message).await;
        }
    };
    tokio::join!(collect(process), life).0
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_refused_is_counted_once_also_where_a_collect_failed() {
    let (outbox, _queue) = channel(Clock::simulated(0), Vec::new());
    let mut process = process().with_events(outbox);
    let mut host = Host::of(&mut process);
    let failed = Done {
        number: 7,
        code: abi::E_UNAVAILABLE,
        refused: 7,
        refusal: "the limit".to_owned(),
        dropped: 5,
        ..Done::default()
    };
    let last = [no_event(1), ToAgent::Done(failed)];
    let messages = definitions().into_iter().chain(last);
    let failure = collected(&mut process, &mut host, messages).await;
    assert!(matches!(failure, Err(Failure::Refused(_))), "{failure:?}");
    let refused = process.take_refused();
    assert_eq!((refused.count, refused.series), (7 + 1 + 1, 5));
    assert_eq!(refused.why, "the limit");
    assert_eq!(process.take_refused(), Refused::default());

    let good = Done {
        number: 7,
        samples: vec![(0, 1.0), (0, f64::NAN), (1, 1.0), (2, 1.0)],
        ..Done::default()
    };
    let messages = [no_event(2), ToAgent::Done(good)];
    let good = collected(&mut process, &mut host, messages).await.unwrap();
    assert_eq!(good.samples.len(), 1);
    // An event, no number, and a series that never was; that the catalog did not take series 1 was said before.
    assert_eq!(process.take_refused().count, 3);

    host.say(no_event(3)).await;
    drop(host);
    process.died().await;
    let why = process.take_refused().why;
    assert!(why.starts_with("an event was none: its name"), "{why}");
}

#[tokio::test]
async fn what_is_no_event_is_never_counted_as_stored() {
    let (outbox, mut queue) = channel(Clock::system(), Vec::new());
    let mut events = Events::new(Some(&outbox), "c", Flow::Open);
    for (sequence, name) in (1..).zip(["Bad", "good", "Bad", "good", "Bad"]) {
        events.take(event(sequence, name)).unwrap();
    }
    assert_eq!(events.refused.count, 3);
    let mut stored = 0;
    for _ in 0..5 {
        let group = queue.next(1, 1).await.unwrap();
        queue.stored(&group);
        stored += events.count_stored();
        assert!(stored <= 2, "{stored}");
    }
    assert_eq!(stored, 2);
}
