use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::catalog::ChartHint;

/// A series' id and its value.
const SAMPLE_BYTES: usize = size_of::<u32>() + size_of::<f64>();

fn messages() -> Vec<ToAgent> {
    let chart = ChartHint {
        section: "CPU".into(),
        title: "CPU use".into(),
        style: ChartStyle::Stacked,
        overview: true,
    };
    vec![
        ToAgent::Ready {
            name: "system".into(),
            topic: "system".into(),
            version: "0.1.0".into(),
        },
        ToAgent::Failed {
            code: -1,
            field: "a.b".into(),
            message: "expected a number".into(),
        },
        ToAgent::Metric(Box::new(MetricDefinition {
            name: "system_cpu_seconds_total".into(),
            help: "Time.".into(),
            otel: String::new(),
            kind: Kind::Counter,
            unit: Unit::Seconds,
            tier: Tier::Slow,
            labels: vec!["cpu".into(), "mode".into()],
            chart,
        })),
        ToAgent::Series {
            metric: 7,
            values: vec!["0".into(), "user".into()],
        },
        ToAgent::Retire { series: 9 },
        ToAgent::Log {
            level: 1,
            message: "näh".into(),
        },
        ToAgent::Done(Done {
            number: 3,
            code: 1,
            error: Some("no /proc/pressure".into()),
            refused: 2,
            refusal: "not finite".into(),
            dropped: 1,
            took: Duration::from_micros(120),
            samples: vec![(0, 1.5), (4, -0.0)],
        }),
        ToAgent::Event(Box::new(PluginEvent {
            sequence: 7,
            level: 2,
            at_ms: -5,
            name: "job-moved".into(),
            data: "{\"id\":1}".into(),
            position: "1700000000000-0".into(),
        })),
        ToAgent::Reconfigured {
            code: -1,
            field: "a".into(),
            message: "no".into(),
        },
        ToAgent::Manifest("{}".into()),
        ToAgent::LookedUp {
            id: 4,
            code: 0,
            answer: "true".into(),
        },
    ]
}

#[test]
fn messages_come_back_as_they_went() {
    let mut bytes = Vec::new();
    for message in messages() {
        message.encode(&mut bytes);
    }
    let mut rest = bytes.as_slice();
    for message in messages() {
        let (body, whole) = frame(rest).unwrap().expect("a whole frame");
        assert_eq!(ToAgent::decode(body), Ok(message));
        rest = &rest[whole..];
    }
    assert!(rest.is_empty());
    let load = ToHost::Load {
        purpose: Purpose::Check,
        library: "/x.so".into(),
        config: "{}".into(),
        series_max: 5,
        position: "0-1".into(),
    };
    let deadline = Duration::from_millis(800);
    let collect = ToHost::Collect {
        number: 1,
        at_ms: -1,
        tiers: 7,
        deadline,
        events_stored: 9,
    };
    let reconfigure = ToHost::Reconfigure {
        config: "{}".into(),
    };
    let lookup = ToHost::Lookup {
        id: 1,
        name: "is-admin".into(),
        parameter: "u".into(),
    };
    let others = [reconfigure, lookup, ToHost::Cancel, ToHost::Stop];
    for message in [load, collect].into_iter().chain(others) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(ToHost::decode(&bytes[LENGTH_BYTES..]), Ok(message));
    }
}

#[test]
fn every_truncation_is_an_error() {
    for message in messages() {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        for len in LENGTH_BYTES..bytes.len() {
            let Ok(shorter) = ToAgent::decode(&bytes[LENGTH_BYTES..len]) else {
                continue;
            };
            // A list of samples may end after any of them; everything else is noticed.
            let (ToAgent::Done(mut expected), ToAgent::Done(found)) = (message.clone(), shorter)
            else {
                panic!("{message:?} is whole without its last bytes");
            };
            let cut = bytes.len() - len;
            assert!(cut.is_multiple_of(SAMPLE_BYTES), "{cut} bytes are missing");
            let kept = expected.samples.len() - cut / SAMPLE_BYTES;
            expected.samples.truncate(kept);
            assert_eq!(found, expected);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = frame(&bytes);
        let _ = ToHost::decode(&bytes);
        if let Ok(message) = ToAgent::decode(&bytes) {
            let mut again = Vec::new();
            message.encode(&mut again);
            // Not the same bytes (booleans fold), but the same message, NaN payloads included.
            let back = ToAgent::decode(&again[LENGTH_BYTES..]).expect("own encoding");
            prop_assert_eq!(format!("{back:?}"), format!("{message:?}"));
        }
    }
}
