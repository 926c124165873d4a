//! The functions of the table, called as a plugin calls them: rightly, and in every way wrongly.

use std::ptr;

use super::super::host::tests::{Agent, context as new_context, gauge};
use super::super::link::{Done, ToAgent};
use super::*;
use crate::catalog::Unit;

/// A table with its context and the agent's end of the link.
struct Plugin {
    host: abi::Host,
    context: &'static Context,
    agent: Agent,
}

fn plugin() -> Plugin {
    let (context, agent) = new_context(10);
    Plugin {
        host: table(context, "from here"),
        context,
        agent,
    }
}

fn texts(values: &[&str]) -> Vec<abi::Str> {
    values.iter().map(|value| abi::Str::new(value)).collect()
}

fn raw(bytes: &[u8]) -> abi::Str {
    let (ptr, len) = (bytes.as_ptr(), bytes.len());
    abi::Str { ptr, len }
}

const NULL_OF_FIVE: abi::Str = abi::Str {
    ptr: ptr::null(),
    len: 5,
};

impl Plugin {
    fn metric(&self, metric: &abi::Metric) -> Result<u32, i32> {
        let mut id = u32::MAX;
        // SAFETY: metric and place live for the call.
        let code = unsafe { (self.host.define_metric)(self.host.ctx, metric, &raw mut id) };
        if code == abi::OK { Ok(id) } else { Err(code) }
    }

    fn series(&self, metric: u32, values: &[abi::Str]) -> Result<u32, i32> {
        let mut id = u32::MAX;
        let (values, count) = (values.as_ptr(), values.len());
        // SAFETY: values and place live for the call.
        let code =
            unsafe { (self.host.define_series)(self.host.ctx, metric, values, count, &raw mut id) };
        if code == abi::OK { Ok(id) } else { Err(code) }
    }

    fn push(&self, samples: &[(u32, f64)]) -> i32 {
        let samples: Vec<abi::Sample> = samples
            .iter()
            .map(|&(series, value)| abi::Sample {
                series,
                flags: 0,
                value,
            })
            .collect();
        // SAFETY: the samples live for the call.
        unsafe { (self.host.push)(self.host.ctx, samples.as_ptr(), samples.len()) }
    }

    fn counts(&self, series: u32, sum: f64, counts: &[u64]) -> i32 {
        let histogram = abi::Histogram {
            series,
            flags: 0,
            sum,
            counts: counts.as_ptr(),
            count: counts.len(),
        };
        // SAFETY: the histogram lives for the call.
        unsafe { (self.host.push_histogram)(self.host.ctx, &raw const histogram, 1) }
    }

    fn event(&self, event: &abi::Event) -> i32 {
        // SAFETY: the event lives for the call.
        unsafe { (self.host.emit_event)(self.host.ctx, event) }
    }

    fn retire(&self, series: u32) -> i32 {
        // SAFETY: the call takes no pointer but the table's own.
        unsafe { (self.host.retire_series)(self.host.ctx, series) }
    }

    fn log(&self, level: u32, message: abi::Str) {
        // SAFETY: the message lives for the call, or is null.
        unsafe { (self.host.log)(self.host.ctx, level, message) };
    }

    fn done(&self) -> Done {
        self.context.done(1, abi::OK, None)
    }

    /// What was refused since it was asked last: how often, and why first.
    fn refused(&self) -> (u32, String) {
        let done = self.done();
        (done.refused, done.refusal)
    }

    #[track_caller]
    fn assert_refused(&self, why: &str) {
        assert_eq!(self.refused(), (1, why.to_owned()));
    }
}

fn event() -> abi::Event {
    abi::Event {
        struct_size: struct_size::<abi::Event>(),
        level: 1,
        at_ms: 7,
        name: abi::Str::new("job-moved"),
        data: abi::Str::new("{\"id\": 3}"),
        position: abi::Str::new("12-0"),
    }
}

#[test]
fn what_is_right_reaches_the_agent() {
    let mut plugin = plugin();
    // SAFETY: the position lives as long as the table.
    assert_eq!(unsafe { plugin.host.position.as_bytes() }, b"from here");
    let labels = texts(&["path"]);
    let metric = abi::Metric {
        kind: abi::KIND_COUNTER,
        unit: 2,
        tier: abi::TIER_SLOW,
        flags: abi::METRIC_OVERVIEW,
        chart_style: 2,
        otel: abi::Str::new("web.waits"),
        chart_section: abi::Str::new("Web"),
        chart_title: abi::Str::new("Waits"),
        labels: labels.as_ptr(),
        label_count: labels.len(),
        ..gauge("wait_seconds_total")
    };
    assert_eq!(plugin.metric(&metric), Ok(0));
    let Some(ToAgent::Metric(known)) = plugin.agent.next() else {
        panic!("no metric");
    };
    assert_eq!((known.kind, known.unit), (Kind::Counter, Unit::Seconds));
    assert_eq!(
        (known.help.as_str(), known.otel.as_str()),
        ("Help.", "web.waits")
    );
    assert_eq!(
        (known.chart.title.as_str(), known.chart.overview),
        ("Waits", true)
    );
    assert_eq!(plugin.series(0, &texts(&["/"])), Ok(0));
    assert_eq!(plugin.push(&[(0, 1.0), (0, 2.0)]), abi::OK);
    plugin.log(0, abi::Str::new("näh"));
    assert_eq!(plugin.event(&event()), abi::OK);
    assert_eq!(plugin.retire(0), abi::OK);
    let mut kinds = (0..4).map(|_| plugin.agent.next().expect("a message"));
    assert!(matches!(kinds.next(), Some(ToAgent::Series { metric: 0, values }) if values == ["/"]));
    assert!(matches!(kinds.next(), Some(ToAgent::Log { level: 0, message }) if message == "näh"));
    assert!(matches!(kinds.next(), Some(ToAgent::Event(event)) if event.sequence == 1));
    assert!(matches!(kinds.next(), Some(ToAgent::Retire { series: 0 })));
    let done = plugin.done();
    assert_eq!((done.samples.len(), done.refused), (2, 0));
}

#[test]
fn a_context_that_is_none_is_refused() {
    let plugin = plugin();
    let host = plugin.host;
    let own = host.ctx;
    let somewhere = [0_u64; 64];
    let wrong = [
        ptr::null_mut(),
        // The table in place of its context, which is what is easily mistaken.
        (&raw const host).cast_mut().cast(),
        own.wrapping_byte_add(1),
        (&raw const somewhere).cast_mut().cast(),
    ];
    let (metric, event, mut id) = (gauge("jobs"), event(), 0);
    for ctx in wrong {
        // SAFETY: all pointers but the context are right, and eight bytes can be read of each of those.
        unsafe {
            let codes = [
                (host.define_metric)(ctx, &raw const metric, &raw mut id),
                (host.define_series)(ctx, 0, ptr::null(), 0, &raw mut id),
                (host.retire_series)(ctx, 0),
                (host.push)(ctx, ptr::null(), 0),
                (host.push_histogram)(ctx, ptr::null(), 0),
                (host.emit_event)(ctx, &raw const event),
            ];
            assert_eq!(codes, [abi::E_CLOSED; 6]);
            (host.log)(ctx, 0, abi::Str::new("lost"));
            (host.set_error)(ctx, abi::Str::new(""), abi::Str::new("lost"));
            assert_eq!((host.cancelled)(ctx), 1);
            assert!((host.now_mono_ns)(ctx) > 0);
        }
    }
    assert_eq!(plugin.refused(), (0, String::new()));
}

#[test]
fn null_and_short_structs_are_refused() {
    let plugin = plugin();
    let host = &plugin.host;
    let mut id = 0;
    // SAFETY: what is not null lives for the call; that null is looked for is what is tested.
    let code = unsafe { (host.define_metric)(host.ctx, ptr::null(), &raw mut id) };
    assert_eq!(code, abi::E_CONFIG);
    plugin.assert_refused("define_metric: the metric is null");
    let metric = gauge("jobs");
    // SAFETY: as above.
    let code = unsafe { (host.define_metric)(host.ctx, &raw const metric, ptr::null_mut()) };
    assert_eq!(code, abi::E_CONFIG);
    plugin.assert_refused("define_metric: the place for the id is null");
    let short = abi::Metric {
        struct_size: 120,
        ..metric
    };
    assert_eq!(plugin.metric(&short), Err(abi::E_CONFIG));
    plugin.assert_refused(
        "define_metric: the metric has a struct_size of 120, and ABI 1.0 has 136 bytes there",
    );
    let long = abi::Metric {
        struct_size: 4_000,
        ..metric
    };
    assert_eq!(
        plugin.metric(&long),
        Ok(0),
        "a later version has more at the tail"
    );
    // SAFETY: as above.
    let code = unsafe { (host.define_series)(host.ctx, 0, ptr::null(), 1, &raw mut id) };
    assert_eq!(code, abi::E_CONFIG);
    plugin.assert_refused("define_series: the label values are null, but 1 is said to be there");
    // SAFETY: as above.
    let code = unsafe { (host.define_series)(host.ctx, 0, ptr::null(), 0, ptr::null_mut()) };
    assert_eq!(code, abi::E_CONFIG);
    plugin.assert_refused("define_series: the place for the id is null");
    // SAFETY: as above.
    let code = unsafe { (host.push)(host.ctx, ptr::null(), 3) };
    assert_eq!(code, abi::E_CONFIG);
    plugin.assert_refused("push: the samples are null, but 3 are said to be there");
    // SAFETY: as above.
    let code = unsafe { (host.push_histogram)(host.ctx, ptr::null(), usize::MAX) };
    assert_eq!(code, abi::E_CONFIG);
    assert_eq!(plugin.refused().0, 1);
    // SAFETY: as above.
    let code = unsafe { (host.emit_event)(host.ctx, ptr::null()) };
    assert_eq!(code, abi::E_CONFIG);
    plugin.assert_refused("emit_event: the event is null");
    let short = abi::Event {
        struct_size: 0,
        ..event()
    };
    assert_eq!(plugin.event(&short), abi::E_CONFIG);
    plugin.assert_refused(
        "emit_event: the event has a struct_size of 0, and ABI 1.0 has 64 bytes there",
    );
}

#[test]
fn numbers_that_stand_for_nothing_are_refused() {
    let plugin = plugin();
    let metric = gauge("jobs");
    let cases = [
        (abi::Metric { kind: 3, ..metric }, "an unknown kind"),
        (abi::Metric { unit: 9, ..metric }, "an unknown unit"),
        (abi::Metric { tier: 3, ..metric }, "an unknown tier"),
        (
            abi::Metric {
                chart_style: u32::MAX,
                ..metric
            },
            "an unknown chart style",
        ),
    ];
    for (metric, has) in cases {
        assert_eq!(plugin.metric(&metric), Err(abi::E_CONFIG));
        plugin.assert_refused(&format!("metric `jobs` has {has}"));
    }
    let crowded = abi::Metric {
        label_count: usize::MAX,
        ..metric
    };
    assert_eq!(plugin.metric(&crowded), Err(abi::E_FULL));
    let labels = format!(
        "metric `jobs`: its labels are {}; at most 16 are allowed",
        usize::MAX
    );
    plugin.assert_refused(&labels);
    assert_eq!(
        plugin.push(&[(3, 1.0)]),
        abi::OK,
        "each sample is for itself"
    );
    plugin.assert_refused("series id 3 was never given");
    assert_eq!(plugin.retire(3), abi::E_CLOSED);
    plugin.assert_refused("series id 3 was never given");
    assert_eq!(plugin.series(8, &[]), Err(abi::E_CLOSED));
    plugin.assert_refused("metric id 8 was never given");
    let event = abi::Event {
        level: 256,
        ..event()
    };
    assert_eq!(plugin.event(&event), abi::E_CONFIG);
    plugin.assert_refused("event `job-moved` has the unknown level 256");
}

#[test]
fn texts_are_made_whole_and_counted() {
    let mut plugin = plugin();
    let no_text = [b'a', 0xc3, b'(', 0xff];
    let metric = abi::Metric {
        help: raw(&no_text),
        chart_title: NULL_OF_FIVE,
        ..gauge("jobs")
    };
    assert_eq!(plugin.metric(&metric), Ok(0));
    let first = "the help of metric `jobs` is not UTF-8; what is none was replaced";
    assert_eq!(plugin.refused(), (2, first.to_owned()));
    assert!(matches!(plugin.agent.next(), Some(ToAgent::Metric(metric))
        if metric.help == "a\u{fffd}(\u{fffd}" && metric.chart.title.is_empty()));
    let name = abi::Metric {
        name: raw(&no_text),
        ..metric
    };
    assert_eq!(plugin.metric(&name), Err(abi::E_CONFIG));
    plugin
        .assert_refused("the metric name `a\u{fffd}(\u{fffd}` is not of the form [a-z][a-z0-9_]*");
    plugin.log(9, raw(&no_text));
    plugin.assert_refused("a log line is not UTF-8; what is none was replaced");
    assert!(
        matches!(plugin.agent.next(), Some(ToAgent::Log { level: 4, message })
        if message == "a\u{fffd}(\u{fffd}")
    );
    // SAFETY: the texts live for the call, or are null.
    unsafe { (plugin.host.set_error)(plugin.host.ctx, NULL_OF_FIVE, raw(&no_text)) };
    let first = "the key of an error has a length, but its pointer is null";
    assert_eq!(plugin.refused(), (2, first.to_owned()));
    assert_eq!(
        plugin.context.end(),
        (String::new(), "a\u{fffd}(\u{fffd}".to_owned())
    );
}

#[test]
fn long_texts_are_cut_between_characters() {
    let mut plugin = plugin();
    let labels = texts(&["path"]);
    let metric = abi::Metric {
        labels: labels.as_ptr(),
        label_count: 1,
        ..gauge("jobs")
    };
    assert_eq!(plugin.metric(&metric), Ok(0));
    plugin.agent.next();
    let mut value_of = |text: abi::Str| {
        plugin.series(0, &[text]).unwrap();
        match plugin.agent.next() {
            Some(ToAgent::Series { values, .. }) => (values[0].clone(), plugin.refused()),
            other => panic!("{other:?}"),
        }
    };
    let fits = "x".repeat(256);
    assert_eq!(
        value_of(abi::Str::new(&fits)),
        (fits.clone(), (0, String::new()))
    );
    let cut = "a label value of metric `jobs` is longer than 256 bytes and was cut";
    let within = format!("{}€", "y".repeat(254));
    let (value, refused) = value_of(abi::Str::new(&within));
    assert_eq!((value, refused), ("y".repeat(254), (1, cut.to_owned())));
    let (value, refused) = value_of(raw(&[0xff; 300]));
    assert_eq!(
        value.chars().count(),
        85,
        "replacements are three bytes each"
    );
    assert!(refused.1.contains("is not UTF-8"), "{refused:?}");
    // A log line is cut without a word.
    plugin.log(0, abi::Str::new(&"z".repeat(5_000)));
    assert!(
        matches!(plugin.agent.next(), Some(ToAgent::Log { message, .. }) if message.len() == 4_096)
    );
    assert_eq!(plugin.refused().0, 0);
}

#[test]
fn lengths_that_nothing_has_are_not_read() {
    let plugin = plugin();
    let endless = abi::Str {
        ptr: ptr::null(),
        len: usize::MAX,
    };
    plugin.log(0, endless);
    plugin.assert_refused("a log line has a length, but its pointer is null");
    // No sample is read of so many.
    let sample = abi::Sample {
        series: 0,
        flags: 0,
        value: 1.0,
    };
    let host = &plugin.host;
    // SAFETY: the count is refused before anything is read.
    let code = unsafe { (host.push)(host.ctx, &raw const sample, usize::MAX) };
    assert_eq!(code, abi::E_FULL);
    plugin.assert_refused("a tick with more than 20 samples");
}

#[test]
fn pointers_need_no_alignment() {
    let plugin = plugin();
    assert_eq!(plugin.metric(&gauge("jobs")), Ok(0));
    let mut place = [0_u8; 9];
    let host = &plugin.host;
    let id = place[1..].as_mut_ptr().cast::<c_void>().cast::<u32>();
    // SAFETY: four bytes stand there.
    let code = unsafe { (host.define_series)(host.ctx, 0, ptr::null(), 0, id) };
    assert_eq!((code, &place[1..5]), (abi::OK, &[0; 4][..]));
    let mut bytes = [0_u8; 33];
    for at in [1, 17] {
        bytes[at + 8..at + 16].copy_from_slice(&2.5_f64.to_ne_bytes());
    }
    // SAFETY: two samples stand there.
    let code = unsafe { (host.push)(host.ctx, bytes[1..].as_ptr().cast(), 2) };
    assert_eq!(code, abi::OK);
    assert_eq!(plugin.done().samples, [(0, 2.5), (0, 2.5)]);
}

#[test]
fn what_is_not_finite_is_left_out_and_the_rest_taken() {
    let plugin = plugin();
    plugin.metric(&gauge("jobs")).unwrap();
    let series = plugin.series(0, &[]).unwrap();
    let values = [f64::NAN, 1.0, f64::INFINITY, 2.0, f64::NEG_INFINITY];
    assert_eq!(plugin.push(&values.map(|value| (series, value))), abi::OK);
    let done = plugin.done();
    assert_eq!(done.samples, [(0, 1.0), (0, 2.0)]);
    let why = "a value of metric `jobs` is NaN, which is not finite";
    assert_eq!((done.refused, done.refusal.as_str()), (3, why));
}

#[test]
fn histograms_are_pushed_by_their_own_call() {
    let plugin = plugin();
    let bounds = [0.5, 2.0];
    let metric = abi::Metric {
        kind: abi::KIND_HISTOGRAM,
        bounds: bounds.as_ptr(),
        bound_count: 2,
        ..gauge("wait_seconds")
    };
    assert_eq!(plugin.metric(&metric), Ok(0));
    let series = plugin.series(0, &[]).unwrap();
    assert_eq!(plugin.counts(series, 1.5, &[2, 0, 1]), abi::OK);
    let samples = [(0, 2.0), (1, 2.0), (2, 3.0), (3, 1.5), (4, 3.0)];
    assert_eq!(plugin.done().samples, samples);
    for counts in [&[][..], &[1], &[1; 4], &[1; 500]] {
        assert_eq!(plugin.counts(series, 1.5, counts), abi::OK);
        let done = plugin.done();
        assert!(done.samples.is_empty(), "{done:?}");
        let says = "histogram `wait_seconds` got ";
        assert!(
            done.refused == 1 && done.refusal.starts_with(says),
            "{done:?}"
        );
    }
    assert_eq!(plugin.push(&[(series, 1.0)]), abi::OK);
    plugin
        .assert_refused("metric `wait_seconds` is a histogram, which takes counts and no samples");
    let without = abi::Metric {
        bound_count: 0,
        ..metric
    };
    assert_eq!(plugin.metric(&without), Err(abi::E_CONFIG));
    plugin.assert_refused("histogram `wait_seconds` has no bounds; give it 1 to 64");
    let null = abi::Metric {
        bounds: ptr::null(),
        ..metric
    };
    assert_eq!(plugin.metric(&null), Err(abi::E_CONFIG));
    let why = "histogram `wait_seconds`: its bounds are null, but 2 are said to be there";
    plugin.assert_refused(why);
    let crowded = abi::Metric {
        bound_count: usize::MAX,
        ..metric
    };
    assert_eq!(plugin.metric(&crowded), Err(abi::E_CONFIG));
    assert_eq!(plugin.refused().0, 1);
    let null = abi::Histogram {
        series,
        flags: 0,
        sum: 0.0,
        counts: ptr::null(),
        count: 3,
    };
    // SAFETY: the histogram lives for the call; that its null is looked for is what is tested.
    let code = unsafe { (plugin.host.push_histogram)(plugin.host.ctx, &raw const null, 1) };
    assert_eq!(code, abi::E_CONFIG);
    plugin.assert_refused("push_histogram: the counts are null, but 3 are said to be there");
}

#[test]
fn a_tick_takes_no_more_samples_than_its_series_can_mean() {
    let plugin = plugin();
    plugin.metric(&gauge("jobs")).unwrap();
    let series = plugin.series(0, &[]).unwrap();
    assert_eq!(plugin.push(&[(series, 1.0); 20]), abi::OK);
    assert_eq!(plugin.push(&[(series, 1.0)]), abi::E_FULL);
    let done = plugin.done();
    assert_eq!((done.samples.len(), done.refused), (20, 1));
    assert_eq!(plugin.push(&[(series, 1.0)]), abi::OK);
}

#[test]
fn events_are_whole_or_refused() {
    let mut plugin = plugin();
    let long_name = "a".repeat(65);
    let full = format!("{{\"a\":\"{}\"}}", "x".repeat((16 << 10) - 8));
    let over = format!("{full} ");
    let position = "p".repeat(257);
    let event = event();
    let data = |data: &'static str| abi::Event {
        data: abi::Str::new(data),
        ..event
    };
    let name = |name: abi::Str| abi::Event { name, ..event };
    let form = "is not of the form [a-z][a-z0-9_-]*";
    let object = "the data of event `job-moved` is no JSON object";
    let cases = [
        (name(abi::Str::new("")), format!("the event name `` {form}")),
        (
            name(abi::Str::new("Job")),
            format!("the event name `Job` {form}"),
        ),
        (
            name(abi::Str::new("9job")),
            format!("the event name `9job` {form}"),
        ),
        (
            name(abi::Str::new("a.b")),
            format!("the event name `a.b` {form}"),
        ),
        (
            name(abi::Str::new(&long_name)),
            "an event whose name is longer than 64 bytes".into(),
        ),
        (
            name(NULL_OF_FIVE),
            "an event whose name has a length, but its pointer is null".into(),
        ),
        (data("[]"), object.into()),
        (data("{\"a\":"), object.into()),
        (data("{}{}"), object.into()),
        (
            abi::Event {
                data: abi::Str::new(&over),
                ..event
            },
            "an event whose data is longer than 16384 bytes".into(),
        ),
        (
            abi::Event {
                data: raw(b"{\"a\":\"\xff\"}"),
                ..event
            },
            "an event whose data is not UTF-8".into(),
        ),
        (
            abi::Event {
                position: abi::Str::new(&position),
                ..event
            },
            "an event whose position is longer than 256 bytes".into(),
        ),
        (
            abi::Event {
                position: raw(b"\xff"),
                ..event
            },
            "an event whose position is not UTF-8".into(),
        ),
    ];
    for (event, says) in cases {
        assert_eq!(plugin.event(&event), abi::E_CONFIG, "{says}");
        let (count, why) = plugin.refused();
        assert!(count == 1 && why.starts_with(&says), "{why}, not: {says}");
    }
    let good = [
        event,
        abi::Event {
            data: abi::Str::new(&full),
            ..event
        },
        abi::Event {
            data: abi::Str::new(""),
            position: abi::Str::new(""),
            at_ms: i64::MIN,
            ..event
        },
    ];
    for (sequence, event) in (1..).zip(good) {
        assert_eq!(plugin.event(&event), abi::OK);
        assert!(matches!(plugin.agent.next(), Some(ToAgent::Event(event))
            if event.sequence == sequence && event.name == "job-moved"));
    }
    assert_eq!(plugin.refused(), (0, String::new()));
}

#[test]
fn after_the_end_every_call_says_so() {
    let mut plugin = plugin();
    plugin.metric(&gauge("jobs")).unwrap();
    plugin.series(0, &[]).unwrap();
    plugin.context.close();
    let all = [
        plugin.metric(&gauge("more")).unwrap_err(),
        plugin.series(0, &[]).unwrap_err(),
        plugin.retire(0),
        plugin.push(&[(0, 1.0)]),
        plugin.counts(0, 1.0, &[1, 2]),
        plugin.event(&event()),
    ];
    assert_eq!(all, [abi::E_CLOSED; 6]);
    plugin.log(0, abi::Str::new("not heard"));
    // SAFETY: the call takes the context only.
    assert_eq!(unsafe { (plugin.host.cancelled)(plugin.host.ctx) }, 1);
    let kept = (0..3).map(|_| plugin.agent.next()).collect::<Vec<_>>();
    assert!(matches!(
        kept[..],
        [Some(ToAgent::Metric(_)), Some(ToAgent::Series { .. }), None]
    ));
    assert_eq!(plugin.refused(), (0, String::new()));
}

#[test]
fn lines_without_end_are_not_sent_without_end() {
    let (context, agent) = new_context(10);
    let host = table(context, "");
    let reading = std::thread::spawn(move || {
        let mut agent = agent;
        std::iter::from_fn(|| agent.next()).count()
    });
    let log = |level| {
        // SAFETY: the message lives for the call.
        unsafe { (host.log)(host.ctx, level, abi::Str::new("again")) };
    };
    // None of them keeps a warning away, whatever the operator wants to see.
    for level in [4, 3, 2, 9] {
        (0..2_000).for_each(|_| log(level));
    }
    (0..10).for_each(|_| log(1));
    context.close();
    assert_eq!(reading.join().expect("a reader"), 3 * 400 + 10);
}
