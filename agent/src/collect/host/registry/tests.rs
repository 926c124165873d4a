//! Declarations and values as a plugin gives them, and what of it goes to the agent.

use barograph_sdk::abi;
use proptest::prelude::*;

use super::*;
use crate::clock::Tier;

fn registry(series_max: usize) -> Registry {
    Registry {
        series_max,
        ..Registry::default()
    }
}

fn declaration(name: &str, labels: &[&str], bounds: &[f64]) -> Declaration {
    Declaration {
        definition: MetricDefinition {
            name: name.to_owned(),
            help: "Help.".to_owned(),
            otel: String::new(),
            kind: Kind::Counter,
            unit: Unit::Seconds,
            tier: Tier::Fast,
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            chart: ChartHint {
                section: "Web".to_owned(),
                title: "Waits".to_owned(),
                style: ChartStyle::Line,
                overview: true,
            },
        },
        bounds: bounds.to_vec(),
    }
}

fn values(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

/// The agent's tables, as it makes them from the messages.
#[derive(Debug, Default, PartialEq)]
struct Agent {
    metrics: Vec<MetricDefinition>,
    /// Metric and label values; none once it is retired.
    series: Vec<Option<(String, Vec<String>)>>,
}

impl Agent {
    fn take(&mut self, messages: Vec<ToAgent>) {
        for message in messages {
            match message {
                ToAgent::Metric(metric) => self.metrics.push(*metric),
                ToAgent::Series { metric, values } => {
                    let name = self.metrics[metric as usize].name.clone();
                    self.series.push(Some((name, values)));
                }
                ToAgent::Retire { series } => {
                    let retired = self.series[series as usize].take();
                    assert!(retired.is_some(), "{series} is retired twice");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn live(&self) -> usize {
        self.series.iter().flatten().count()
    }

    fn text(&self, (series, value): (u32, f64)) -> String {
        let (name, values) = self.series[series as usize].as_ref().expect("it lives");
        format!("{name} {} {value}", values.join(","))
    }
}

#[test]
fn a_histogram_is_three_metrics_and_a_series_for_each_bucket() {
    let (mut registry, mut out) = (registry(100), Vec::new());
    let before = registry
        .metric(declaration("first_total", &[], &[]), &mut out)
        .unwrap();
    let waits = declaration("wait_seconds", &["path"], &[0.005, 1.0, 2.5]);
    let waits = registry.metric(waits, &mut out).unwrap();
    assert_eq!((before, waits), (0, 1));
    registry.series(before, Vec::new(), &mut out).unwrap();
    let series = registry.series(waits, values(&["/"]), &mut out).unwrap();
    assert_eq!(series, 1);
    let mut agent = Agent::default();
    agent.take(std::mem::take(&mut out));
    let [_, bucket, sum, count] = agent.metrics.as_slice() else {
        panic!("{:?}", agent.metrics);
    };
    let names = [bucket, sum, count].map(|metric| metric.name.as_str());
    assert_eq!(
        names,
        [
            "wait_seconds_bucket",
            "wait_seconds_sum",
            "wait_seconds_count"
        ]
    );
    let units = [bucket, sum, count].map(|metric| (metric.kind, metric.unit));
    let count_unit = (Kind::Counter, Unit::Count);
    assert_eq!(
        units,
        [count_unit, (Kind::Counter, Unit::Seconds), count_unit]
    );
    let styles = [bucket, sum, count].map(|metric| (metric.chart.style, metric.chart.overview));
    let undrawn = (ChartStyle::None, false);
    assert_eq!(styles, [undrawn, undrawn, (ChartStyle::Line, true)]);
    assert_eq!(bucket.labels, ["path", "le"]);
    assert_eq!(
        (&sum.labels, &count.labels),
        (&values(&["path"]), &values(&["path"]))
    );
    let samples: Vec<String> = registry
        .histogram(series, 7.25, &[1, 0, 4, 2])
        .unwrap()
        .map(|sample| agent.text(sample))
        .collect();
    assert_eq!(
        samples,
        [
            "wait_seconds_bucket /,0.005 1",
            "wait_seconds_bucket /,1 1",
            "wait_seconds_bucket /,2.5 5",
            "wait_seconds_bucket /,+Inf 7",
            "wait_seconds_sum / 7.25",
            "wait_seconds_count / 7",
        ]
    );
    registry.retire(series, &mut out).unwrap();
    agent.take(out);
    assert_eq!(agent.live(), 1, "all of it is retired, and nothing else");
}

#[test]
fn a_series_of_a_histogram_counts_whole_against_the_limit() {
    let (mut registry, mut out) = (registry(9), Vec::new());
    let waits = declaration("wait_seconds", &["path"], &[1.0]);
    let waits = registry.metric(waits, &mut out).unwrap();
    let first = registry.series(waits, values(&["/a"]), &mut out).unwrap();
    registry.series(waits, values(&["/b"]), &mut out).unwrap();
    out.clear();
    let refused = registry.series(waits, values(&["/c"]), &mut out);
    assert_eq!(refused, Err(Refusal::limit(waits)));
    let words = registry.words_of(&refused.unwrap_err().why);
    let expected = "a series of metric `wait_seconds`: the limit of 9 series is reached";
    assert_eq!(words, expected);
    assert!(out.is_empty(), "all of it or nothing: {out:?}");
    assert_eq!((registry.take_dropped(), registry.take_dropped()), (1, 0));
    registry.retire(first, &mut out).unwrap();
    let again = registry.series(waits, values(&["/c"]), &mut out);
    assert_eq!(again, Ok(2), "ids are not used twice");
}

#[test]
fn the_same_again_is_the_same_id() {
    let (mut registry, mut out) = (registry(10), Vec::new());
    let one = declaration("jobs", &["queue", "host"], &[]);
    let id = registry.metric(one.clone(), &mut out).unwrap();
    let series = registry.series(id, values(&["a", "bc"]), &mut out).unwrap();
    out.clear();
    assert_eq!(registry.metric(one, &mut out), Ok(id));
    assert_eq!(
        registry.series(id, values(&["a", "bc"]), &mut out),
        Ok(series)
    );
    assert!(out.is_empty(), "{out:?}");
    let other = registry.series(id, values(&["ab", "c"]), &mut out);
    assert_eq!(
        other,
        Ok(series + 1),
        "the same letters are not the same labels"
    );
    registry.retire(series, &mut out).unwrap();
    let again = registry.series(id, values(&["a", "bc"]), &mut out);
    assert_eq!(again, Ok(series + 2), "a retired one does not come back");
    let unlike = declaration("jobs", &["queue"], &[]);
    let why = "metric `jobs` is declared twice, and not alike";
    assert_eq!(registry.metric(unlike, &mut out), Err(Refusal::config(why)));
}

#[test]
fn what_breaks_a_rule_is_refused_in_words() {
    let refused = |declaration: Declaration| {
        let mut out = Vec::new();
        let refusal = registry(10).metric(declaration, &mut out).unwrap_err();
        assert!(out.is_empty(), "{out:?}");
        assert_eq!(refusal.code, abi::E_CONFIG);
        Registry::default().words_of(&refusal.why)
    };
    let plain = |name: &str, labels: &[&str]| refused(declaration(name, labels, &[]));
    let form = "is not of the form [a-z][a-z0-9_]*";
    for name in ["", "Upper", "1st", "a-b", "näh"] {
        assert_eq!(plain(name, &[]), format!("the metric name `{name}` {form}"));
        let label = format!("metric `a`: the label name `{name}` {form}");
        assert_eq!(plain("a", &[name]), label);
    }
    assert_eq!(
        plain("a", &["b", "b"]),
        "metric `a` has the label `b` twice"
    );
    let bounds = |bounds: &[f64]| refused(declaration("h", &[], bounds));
    let infinite = "histogram `h` has a bound that is not finite; the last bucket, without a bound, is not given";
    assert_eq!(bounds(&[1.0, f64::INFINITY]), infinite);
    assert_eq!(bounds(&[f64::NAN]), infinite);
    let order = "histogram `h` has bounds that don't ascend";
    assert_eq!(bounds(&[2.0, 1.0]), order);
    assert_eq!(bounds(&[1.0, 1.0]), order);
    assert_eq!(
        bounds(&[0.0; 65]),
        "histogram `h` has 65 bounds; 64 are allowed"
    );
    let le = refused(declaration("h", &["le"], &[1.0]));
    assert_eq!(
        le,
        "histogram `h` has the label `le`, which its buckets need"
    );
    let names = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p",
    ];
    let full = refused(declaration("h", &names, &[1.0]));
    assert_eq!(
        full,
        "histogram `h` has 16 labels, and its buckets need one more"
    );
    let long = refused(declaration(&"h".repeat(250), &[], &[1.0]));
    assert!(
        long.ends_with("has a name that leaves no room for `_bucket`"),
        "{long}"
    );
}

#[test]
fn parts_of_a_histogram_take_no_name_that_is_taken() {
    let (mut registry, mut out) = (registry(10), Vec::new());
    registry
        .metric(declaration("wait_count", &[], &[]), &mut out)
        .unwrap();
    let refused = registry.metric(declaration("wait", &[], &[1.0]), &mut out);
    let why = "metric `wait` needs the name `wait_count`, which another metric has";
    assert_eq!(refused, Err(Refusal::config(why)));
    registry
        .metric(declaration("time", &[], &[1.0]), &mut out)
        .unwrap();
    let refused = registry.metric(declaration("time_sum", &[], &[]), &mut out);
    let why = "metric `time_sum` needs the name `time_sum`, which another metric has";
    assert_eq!(refused, Err(Refusal::config(why)));
}

#[test]
fn metrics_are_as_many_as_the_catalog_takes() {
    let (mut registry, mut out) = (registry(10), Vec::new());
    for at in 1..METRICS_MAX {
        registry
            .metric(declaration(&format!("m{at}"), &[], &[]), &mut out)
            .unwrap();
    }
    let why = "metric `h`: the limit of 500 metrics is reached";
    let refused = registry.metric(declaration("h", &[], &[1.0]), &mut out);
    assert_eq!(refused, Err(Refusal::full(why)));
    registry
        .metric(declaration("last", &[], &[]), &mut out)
        .unwrap();
    assert_eq!(out.len(), METRICS_MAX);
}

#[test]
fn values_are_for_series_that_live_and_of_their_kind() {
    let (mut registry, mut out) = (registry(100), Vec::new());
    let jobs = registry
        .metric(declaration("jobs", &["queue"], &[]), &mut out)
        .unwrap();
    let waits = registry
        .metric(declaration("wait", &[], &[1.0]), &mut out)
        .unwrap();
    let gone = registry.series(jobs, values(&["a"]), &mut out).unwrap();
    let plain = registry.series(jobs, values(&["b"]), &mut out).unwrap();
    let histogram = registry.series(waits, Vec::new(), &mut out).unwrap();
    registry.retire(gone, &mut out).unwrap();
    let sample = |id, value: f64| {
        let taken = registry.sample(id, value);
        taken.map_err(|why| registry.words(id, why))
    };
    let counts = |id, sum: f64, counts: &[u64]| {
        let taken = registry.histogram(id, sum, counts);
        taken
            .map(Iterator::count)
            .map_err(|why| registry.words(id, why))
    };
    assert_eq!(sample(plain, -0.0), Ok((1, -0.0)));
    assert_eq!(counts(histogram, 0.0, &[u64::MAX, u64::MAX]), Ok(4));
    let words = |refused: Result<(u32, f64), String>| refused.unwrap_err();
    assert_eq!(words(sample(77, 1.0)), "series id 77 was never given");
    assert_eq!(
        words(sample(gone, 1.0)),
        "series 0 of metric `jobs` is retired"
    );
    let nan = "a value of metric `jobs` is NaN, which is not finite";
    assert_eq!(words(sample(plain, f64::NAN)), nan);
    let infinite = "a value of metric `jobs` is -inf, which is not finite";
    assert_eq!(words(sample(plain, f64::NEG_INFINITY)), infinite);
    let kind = "metric `wait` is a histogram, which takes counts and no samples";
    assert_eq!(words(sample(histogram, 1.0)), kind);
    let words = |refused: Result<usize, String>| refused.unwrap_err();
    assert_eq!(
        words(counts(plain, 1.0, &[1])),
        "metric `jobs` is no histogram"
    );
    assert_eq!(
        words(counts(gone, 1.0, &[1])),
        "series 0 of metric `jobs` is retired"
    );
    assert_eq!(words(counts(77, 1.0, &[1])), "series id 77 was never given");
    let buckets = "histogram `wait` got 3 counts, and has 2 buckets";
    assert_eq!(words(counts(histogram, 1.0, &[1, 2, 3])), buckets);
    let sum = "a value of metric `wait` is inf, which is not finite";
    assert_eq!(words(counts(histogram, f64::INFINITY, &[1, 2])), sum);
}

#[test]
fn series_of_the_wrong_form_are_refused() {
    let (mut registry, mut out) = (registry(10), Vec::new());
    let jobs = registry
        .metric(declaration("jobs", &["queue"], &[]), &mut out)
        .unwrap();
    out.clear();
    let never = registry.series(jobs + 1, values(&["a"]), &mut out);
    assert_eq!(never, Err(Refusal::closed("metric id 1 was never given")));
    let why = "a series of metric `jobs` has 2 label values, and the metric has 1 label";
    let two = registry.series(jobs, values(&["a", "b"]), &mut out);
    assert_eq!(two, Err(Refusal::config(why)));
    let never = registry.retire(3, &mut out);
    assert_eq!(never, Err(Refusal::closed("series id 3 was never given")));
    assert!(out.is_empty(), "{out:?}");
    let id = registry.series(jobs, values(&["a"]), &mut out).unwrap();
    registry.retire(id, &mut out).unwrap();
    let twice = registry.retire(id, &mut out);
    let why = "series 0 of metric `jobs` is retired";
    assert_eq!(twice, Err(Refusal::closed(why)));
}

#[test]
fn bounds_are_short_texts() {
    let texts = bound_labels(&[-1.5, -0.0, 1e-300, 0.1, 100.0, 12_345_678.9, f64::MAX]);
    assert_eq!(
        texts,
        [
            "-1.5",
            "0",
            "1e-300",
            "0.1",
            "100",
            "12345678.9",
            "1.7976931348623157e308",
            "+Inf"
        ]
    );
}

proptest! {
    #[test]
    fn a_bound_reads_back_as_the_same_number(bound in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
        let text = Bound(bound).to_string();
        prop_assert!(text.len() <= 32, "{text}");
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bound.to_bits());
    }

    /// Whatever a plugin declares and retires in whatever order: the agent's tables are what the registry says.
    #[test]
    fn the_agent_sees_what_lives(steps in proptest::collection::vec((0..4_u32, 0..6_u32), 1..80)) {
        let mut registry = registry(20);
        let mut agent = Agent::default();
        let mut out = Vec::new();
        registry.metric(declaration("plain", &["n"], &[]), &mut out).unwrap();
        registry.metric(declaration("waits", &["n"], &[1.0, 2.0]), &mut out).unwrap();
        agent.take(std::mem::take(&mut out));
        for (step, n) in steps {
            match step {
                3 => drop(registry.retire(n, &mut out)),
                metric => drop(registry.series(metric, vec![n.to_string()], &mut out)),
            }
            agent.take(std::mem::take(&mut out));
            prop_assert_eq!(agent.live(), registry.live);
            prop_assert!(registry.live <= 20);
            for id in 0..u32::try_from(registry.series.len()).unwrap() {
                let plain = registry.sample(id, 1.0).map(|sample| agent.text(sample));
                let histogram = registry
                    .histogram(id, 0.0, &[0; 3])
                    .map(|samples| samples.inspect(|&sample| drop(agent.text(sample))).count());
                match (plain, histogram) {
                    (Err(Unfit::Retired), Err(Unfit::Retired))
                    | (Ok(_), Err(Unfit::NoHistogram))
                    | (Err(Unfit::IsHistogram), Ok(5)) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
