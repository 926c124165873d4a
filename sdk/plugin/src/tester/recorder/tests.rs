//! What the tester refuses, and in which words.

use serde_json::json;

use super::super::rules::LABELS_MAX;
use super::*;
use crate::{Tier, histogram::BOUNDS_MAX};

fn metric(name: &str, bounds: &[f64], labels: &[&str]) -> DeclaredMetric {
    DeclaredMetric {
        name: name.to_owned(),
        counter: name.ends_with("_total"),
        bounds: bounds.to_vec(),
        unit: "count",
        tier: Tier::Fast,
        help: String::new(),
        otel: String::new(),
        chart: <(String, String)>::default(),
        style: "line",
        overview: false,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    }
}

/// A recorder with the series 0 of a gauge and 1 of a histogram with two bounds.
fn recorder() -> Recorder {
    let mut recorder = Recorder::new("shop");
    let histogram = metric("wait_seconds", &[0.1, 1.0], &[]);
    recorder
        .define_metric(abi::KIND_GAUGE, metric("depth", &[], &[]))
        .unwrap();
    recorder
        .define_metric(abi::KIND_HISTOGRAM, histogram)
        .unwrap();
    for metric in 0..2 {
        recorder.define_series(metric, Vec::new()).unwrap();
    }
    recorder
}

fn event_of(name: &str, data: &str, position: &[u8]) -> Result<EmittedEvent, String> {
    event(
        Some(Level::Info),
        0,
        name.as_bytes(),
        data.as_bytes(),
        position,
    )
}

#[test]
fn metrics_that_break_a_rule_are_refused() {
    let (gauge, histogram) = (abi::KIND_GAUGE, abi::KIND_HISTOGRAM);
    let refused = |kind, name: &str, bounds: &[f64], labels: &[&str]| {
        let mut recorder = Recorder::new("shop");
        let declared = DeclaredMetric {
            counter: false,
            ..metric(name, bounds, labels)
        };
        assert_eq!(recorder.define_metric(kind, declared), Err(abi::E_CONFIG));
        recorder.unexpected().concat()
    };
    assert_eq!(
        refused(gauge, "Depth", &[], &[]),
        "metric \"Depth\" has an invalid name"
    );
    assert_eq!(
        refused(gauge, "depth", &[], &["Queue"]),
        "metric \"depth\" has an invalid name"
    );
    assert_eq!(
        refused(gauge, "depth_total", &[], &[]),
        "only counters end in _total: depth_total"
    );
    assert_eq!(
        refused(gauge, "depth", &[1.0], &[]),
        "depth has bounds, but is no histogram"
    );
    assert_eq!(
        refused(histogram, "wait", &[], &[]),
        "wait has 0 bounds, not 1 to 64"
    );
    assert_eq!(
        refused(histogram, "wait", &[0.0; BOUNDS_MAX + 1], &[]),
        "wait has 65 bounds, not 1 to 64"
    );
    for bounds in [
        [1.0, 1.0],
        [2.0, 1.0],
        [f64::NAN, 1.0],
        [1.0, f64::INFINITY],
    ] {
        assert_eq!(
            refused(histogram, "wait", &bounds, &[]),
            "the bounds of wait are not finite and ascending"
        );
    }
    assert_eq!(
        refused(histogram, "wait", &[1.0], &["le"]),
        "wait is a histogram, whose label le is its own"
    );
}

#[test]
fn a_histogram_leaves_room_for_its_buckets() {
    let mut recorder = Recorder::new("shop");
    let labels: Vec<String> = (0..LABELS_MAX).map(|n| format!("l{n}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut define = |name: &str, labels: &[&str]| {
        recorder.define_metric(abi::KIND_HISTOGRAM, metric(name, &[1.0], labels))
    };
    assert_eq!(define("wait_seconds", &labels), Err(abi::E_CONFIG));
    assert_eq!(define(&"w".repeat(250), &[]), Err(abi::E_CONFIG));
    assert_eq!(define(&"w".repeat(249), &labels[1..]), Ok(0));
    let refusals = recorder.unexpected();
    assert_eq!(
        refusals[0],
        "wait_seconds has 16 labels, and its buckets need one more"
    );
    assert!(
        refusals[1].starts_with("a histogram's name of 250 bytes leaves no room for _bucket: www"),
        "{refusals:?}"
    );
}

#[test]
fn the_names_of_what_the_agent_says_are_its_own() {
    let mut recorder = Recorder::new("shop");
    let mut define = |name: &str| recorder.define_metric(abi::KIND_GAUGE, metric(name, &[], &[]));
    for name in ["barograph_jobs", "shop_up", "shop_collect_seconds"] {
        assert_eq!(define(name), Err(abi::E_CONFIG), "{name}");
    }
    // Another topic's may be there or not; here nobody else is.
    for name in ["barograph", "up", "link_up", "shop_link_up", "shop_upload"] {
        assert!(define(name).is_ok(), "{name}");
    }
    let refusals = recorder.unexpected();
    assert_eq!(
        refusals[..2],
        [
            "barograph_jobs is the agent's own name: all that begin with barograph_ are",
            "shop_up is the agent's own name: it says it of each collector of this topic",
        ]
    );
}

#[test]
fn a_tick_takes_no_more_samples_than_its_series_can_mean() {
    let mut recorder = recorder();
    recorder.series_max = 6;
    recorder.begin_tick();
    for _ in 0..7 {
        assert_eq!(recorder.room(1), Ok(()));
        recorder.push(0, 1.0);
    }
    assert_eq!(recorder.push_histogram(1, vec![1, 2, 3], 1.0), Ok(()));
    assert_eq!(recorder.room(1), Err(abi::E_FULL));
    let more = recorder.push_histogram(1, vec![1, 2, 3], 1.0);
    assert_eq!(more, Err(abi::E_FULL));
    let why = "a tick with more than 12 samples";
    assert_eq!(recorder.unexpected(), [why, why]);
    recorder.begin_tick();
    assert_eq!(recorder.room(12), Ok(()));
}

#[test]
fn names_and_bounds_of_the_agent_hold() {
    let mut recorder = recorder();
    let sum = metric("wait_seconds_sum", &[], &[]);
    assert_eq!(
        recorder.define_metric(abi::KIND_GAUGE, sum),
        Err(abi::E_CONFIG)
    );
    let twice = metric("twice", &[], &["a", "b", "a"]);
    assert_eq!(
        recorder.define_metric(abi::KIND_GAUGE, twice),
        Err(abi::E_CONFIG)
    );
    assert_eq!(
        recorder.unexpected(),
        [
            "wait_seconds_sum needs the name wait_seconds_sum, which another metric has",
            "twice has a label twice",
        ]
    );
    // There are 4 by now, as a histogram is three.
    for number in 4..METRICS_MAX {
        let name = format!("metric_{number}");
        let defined = recorder.define_metric(abi::KIND_GAUGE, metric(&name, &[], &[]));
        assert!(defined.is_ok());
    }
    let one_more = metric("one_more", &[], &[]);
    assert_eq!(
        recorder.define_metric(abi::KIND_GAUGE, one_more),
        Err(abi::E_FULL)
    );
    assert_eq!(
        recorder.unexpected(),
        ["one_more is one metric more than 500"]
    );
}

#[test]
fn a_histograms_series_count_for_each_bucket_and_two_more() {
    let mut recorder = Recorder::new("shop");
    let histogram = metric("wait_seconds", &[0.1, 1.0], &["queue"]);
    recorder
        .define_metric(abi::KIND_HISTOGRAM, histogram)
        .unwrap();
    recorder.series_max = 10;
    for queue in ["a", "b"] {
        assert!(recorder.define_series(0, vec![queue.into()]).is_ok());
    }
    assert_eq!(
        recorder.define_series(0, vec!["c".into()]),
        Err(abi::E_FULL)
    );
    assert_eq!(
        recorder.define_series(0, vec!["a".into()]),
        Ok(0),
        "is known"
    );
    recorder.retire_series(0).unwrap();
    assert_eq!(recorder.define_series(0, vec!["c".into()]), Ok(2));
    assert!(recorder.refusals.is_empty(), "E_FULL is no mistake");
}

#[test]
fn a_metric_may_be_declared_again_and_only_the_same() {
    let mut recorder = recorder();
    let again = recorder.define_metric(abi::KIND_GAUGE, metric("depth", &[], &[]));
    assert_eq!(again, Ok(0));
    let other = recorder.define_metric(abi::KIND_GAUGE, metric("depth", &[], &["queue"]));
    assert_eq!(other, Err(abi::E_CONFIG));
    assert_eq!(
        recorder.unexpected(),
        ["metric depth is declared twice, differently"]
    );
}

#[test]
fn values_go_to_series_that_are_alive_and_of_their_kind() {
    let mut recorder = recorder();
    recorder.push(0, f64::NAN);
    recorder.push(1, 1.0);
    recorder.push(2, 1.0);
    for (series, counts, sum) in [
        (0, vec![1, 2], 1.0),
        (1, vec![1, 2], 1.0),
        (1, vec![1, 2, 3], f64::INFINITY),
    ] {
        let pushed = recorder.push_histogram(series, counts, sum);
        assert_eq!(pushed, Ok(()), "each is for itself");
    }
    assert_eq!(recorder.pushed, BTreeMap::new());
    assert_eq!(
        recorder.unexpected(),
        [
            "depth is NaN, which is no sample",
            "a single value for the histogram wait_seconds",
            "a sample of series 2, which is not alive",
            "counts for depth, which is no histogram",
            "wait_seconds needs 3 counts, one a bucket, and not 2",
            "the sum of wait_seconds is inf, which is no sample",
        ]
    );
    recorder.retire_series(0).unwrap();
    recorder.push(0, 1.0);
    assert_eq!(recorder.retire_series(0), Err(abi::E_CLOSED));
    assert_eq!(
        recorder.define_series(0, vec!["a".into()]),
        Err(abi::E_CONFIG)
    );
    assert_eq!(recorder.define_series(7, Vec::new()), Err(abi::E_CLOSED));
    assert_eq!(
        recorder.unexpected(),
        [
            "a sample of series 0, which is not alive",
            "series 0 is retired, but is not alive",
            "label values of a series of depth: 1, and not 0",
            "a series of the unknown metric 7",
        ]
    );
}

#[test]
fn samples_of_a_failed_tick_are_dropped() {
    let mut recorder = recorder();
    recorder.push(0, 1.0);
    recorder.end_tick(false);
    assert_eq!(recorder.samples, BTreeMap::new());
    recorder.push(0, 1.0);
    recorder.push(0, 2.0);
    recorder.end_tick(true);
    assert_eq!(recorder.samples, BTreeMap::from([(0, Sampled::Value(2.0))]));
}

#[test]
fn events_are_read_by_the_rules() {
    let longest = format!("a{}", "-".repeat(NAME_BYTES_MAX - 1));
    let filler = "x".repeat(DATA_BYTES_MAX - r#"{"a":""}"#.len());
    let fullest = format!(r#"{{"a":"{filler}"}}"#);
    for (name, data) in [("line-read_2", ""), (&longest, "{}"), ("full", &fullest)] {
        let event = event_of(name, data, &[b'p'; POSITION_BYTES_MAX]).unwrap();
        assert_eq!(event.name, name);
        assert_eq!(event.data.is_null(), data.is_empty());
    }
    let (too_long, too_full) = (format!("{longest}-"), format!("{fullest} "));
    let position = [b'p'; POSITION_BYTES_MAX + 1];
    let cases: [(&str, &str, &[u8], &str); 10] = [
        ("", "", b"", "event \"\" has an invalid name"),
        ("Line", "", b"", "event \"Line\" has an invalid name"),
        ("1st", "", b"", "event \"1st\" has an invalid name"),
        (&too_long, "", b"", "has an invalid name"),
        ("a", "[]", b"", "the data of event a is no JSON object"),
        ("a", "{", b"", "the data of event a is no JSON object"),
        ("a", "{}{}", b"", "the data of event a is no JSON object"),
        ("a", &too_full, b"", "the data of event a is above 16 kB"),
        (
            "a",
            "",
            &position,
            "the position of event a is above 256 bytes",
        ),
        ("a", "", b"\xff", "the position of event a is not UTF-8"),
    ];
    for (name, data, position, why) in cases {
        let refused = event_of(name, data, position).unwrap_err();
        assert!(refused.ends_with(why), "{refused}");
    }
    let levelless = event(None, 0, b"a", b"", b"").unwrap_err();
    assert_eq!(levelless, "the level of event a does not exist");
}

#[test]
fn events_beyond_the_bound_wait_until_others_are_taken() {
    let mut recorder = recorder();
    recorder.events_max = 2;
    let event = |position: &str| event_of("read", r#"{"n":1}"#, position.as_bytes()).unwrap();
    assert_eq!(recorder.emit_event(event("1")), Ok(()));
    assert_eq!(recorder.emit_event(event("")), Ok(()));
    assert_eq!(recorder.emit_event(event("3")), Err(abi::E_FULL));
    assert_eq!(recorder.position, "", "nothing is stored yet");
    let taken = recorder.take_events();
    assert_eq!(taken.len(), 2);
    assert_eq!(taken[0].data, json!({ "n": 1 }));
    assert_eq!(recorder.position, "1", "an event without one leaves it");
    assert_eq!(recorder.emit_event(event("3")), Ok(()));
    assert!(recorder.refusals.is_empty(), "E_FULL is no mistake");
}

#[test]
fn nothing_is_taken_after_stop() {
    let mut recorder = recorder();
    assert_eq!(recorder.open("push"), Ok(()));
    recorder.closed = true;
    assert_eq!(recorder.open("push"), Err(abi::E_CLOSED));
    assert_eq!(recorder.unexpected(), ["push after stop"]);
}
