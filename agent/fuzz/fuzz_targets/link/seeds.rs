//! What a run starts from: one of each message, alone and all of them as a stream.

use std::fs;
use std::path::Path;
use std::time::Duration;

use barograph::catalog::{ChartHint, ChartStyle, Kind, Unit};
use barograph::clock::Tier;
use barograph::collect::link::{
    Done, LENGTH_BYTES, MetricDefinition, PluginEvent, Purpose, ToAgent, ToHost,
};

use super::Form;

/// Writes the inputs, one a file.
pub(crate) fn write(folder: &Path) {
    let mut inputs: Vec<(Form, Vec<u8>)> = Vec::new();
    let mut stream = Vec::new();
    for message in to_agent() {
        let start = stream.len();
        message.encode(&mut stream);
        inputs.push((Form::ToAgent, stream[start + LENGTH_BYTES..].to_vec()));
    }
    inputs.push((Form::Stream, stream));
    for message in to_host() {
        let mut frame = Vec::new();
        message.encode(&mut frame);
        inputs.push((Form::ToHost, frame[LENGTH_BYTES..].to_vec()));
    }
    for (at, (form, content)) in inputs.iter().enumerate() {
        let mut input = vec![*form as u8];
        input.extend(content);
        let path = folder.join(format!("seed-{at:03}"));
        fs::write(&path, input)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
}

fn to_agent() -> Vec<ToAgent> {
    let metric = MetricDefinition {
        name: "wait_seconds_bucket".into(),
        help: "Waits.".into(),
        otel: "web.waits".into(),
        kind: Kind::Counter,
        unit: Unit::Count,
        tier: Tier::ALL[2],
        labels: vec!["path".into(), "le".into()],
        chart: ChartHint {
            section: "Web".into(),
            title: "Waits".into(),
            style: ChartStyle::None,
            overview: true,
        },
    };
    let event = PluginEvent {
        sequence: 1,
        level: 2,
        at_ms: 1_790_000_000_000,
        name: "job-moved".into(),
        data: "{\"id\":1}".into(),
        position: "12-0".into(),
    };
    let done = Done {
        number: 7,
        code: 1,
        error: Some("half of it".into()),
        refused: 2,
        refusal: "series id 7 was never given".into(),
        dropped: 1,
        took: Duration::from_micros(120),
        samples: vec![(0, 1.5), (1, f64::NAN), (u32::MAX, -0.0)],
    };
    vec![
        ToAgent::Ready {
            name: "web".into(),
            topic: "web".into(),
            version: "0.1.0".into(),
        },
        ToAgent::Failed {
            code: -1,
            field: "a.b".into(),
            message: "expected a duration".into(),
        },
        ToAgent::Metric(Box::new(metric)),
        ToAgent::Series {
            metric: 0,
            values: vec!["/".into(), "+Inf".into()],
        },
        ToAgent::Retire { series: 0 },
        ToAgent::Log {
            level: 4,
            message: "näh".into(),
        },
        ToAgent::Done(done),
        ToAgent::Event(Box::new(event)),
        ToAgent::Reconfigured {
            code: 2,
            field: String::new(),
            message: String::new(),
        },
        ToAgent::Manifest("{}".into()),
        ToAgent::LookedUp {
            id: 3,
            code: 0,
            answer: "true".into(),
        },
    ]
}

fn to_host() -> Vec<ToHost> {
    vec![
        ToHost::Load {
            purpose: Purpose::Describe,
            library: "/usr/lib/barograph/plugins/web.so".into(),
            config: "{}".into(),
            series_max: 2_000,
            position: "12-0".into(),
        },
        ToHost::Collect {
            number: 7,
            at_ms: -1,
            tiers: 7,
            deadline: Duration::from_millis(800),
            events_stored: 1,
        },
        ToHost::Reconfigure {
            config: "{}".into(),
        },
        ToHost::Lookup {
            id: 3,
            name: "is-admin".into(),
            parameter: "a".into(),
        },
        ToHost::Cancel,
        ToHost::Stop,
    ]
}
