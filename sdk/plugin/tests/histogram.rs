//! Histograms through the C table: values that the SDK counts, counts of the source, mistakes.

use barograph_sdk::{
    Collector, Error, Histogram, Manifest, Setup, Sink, Tier, Unit, abi,
    tester::{Collected, CollectorTester},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// What each tick does; beyond the last, nothing.
    script: Vec<Vec<Step>>,
    bounds: Option<Vec<f64>>,
    label: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Step {
    Wait(String, Vec<f64>),
    Counted(Vec<u64>, f64),
    Slow(f64),
    Fail,
}

#[derive(Debug)]
struct Waits {
    script: Vec<Vec<Step>>,
    wait: Histogram<1>,
    counted: Histogram,
    slow: Histogram,
}

impl Collector for Waits {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("waits", "tests", "1.0.0");

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let bounds = config.bounds.unwrap_or(vec![0.01, 0.5, 10.0]);
        let label = config.label.unwrap_or("queue".to_owned());
        let wait = setup.histogram("waits_wait_seconds").unit(Unit::Seconds);
        let wait = wait.buckets(&bounds).labels([&label]).build();
        let counted = setup.histogram("waits_counted_bytes").unit(Unit::Bytes);
        let counted = counted.buckets(&[1024.0, 1_048_576.0]).build();
        let slow = setup.histogram("waits_slow").tier(Tier::Slow);
        Ok(Self {
            script: config.script,
            wait,
            counted,
            slow: slow.buckets(&[0.0]).build(),
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let index = usize::try_from(out.tick().number).expect("scripts are short");
        for step in self.script.get(index).into_iter().flatten() {
            match step {
                Step::Wait(queue, values) => {
                    for value in values {
                        self.wait.with(out, [queue]).observe(*value);
                    }
                }
                Step::Counted(counts, sum) => self.counted.set(out, counts, *sum),
                Step::Slow(value) => self.slow.observe(out, *value),
                Step::Fail => return Err(Error::unavailable("as the script says")),
            }
        }
        Ok(())
    }
}

fn waits(script: &serde_json::Value) -> CollectorTester {
    CollectorTester::new::<Waits>(&json!({ "script": script })).unwrap()
}

fn mail(tester: &CollectorTester) -> Option<(Vec<u64>, f64)> {
    tester.histogram("waits_wait_seconds", &[("queue", "mail")])
}

#[test]
fn observed_values_are_counted_in_their_buckets_and_kept() {
    let mut tester = waits(&json!([
        [{ "wait": ["mail", [0.25, 0.5, 20.0]] }, { "wait": ["video", [4.0]] }],
        [{ "wait": ["mail", [0.01]] }],
    ]));
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    assert_eq!(mail(&tester), Some((vec![0, 2, 0, 1], 20.75)));
    tester.tick().unwrap();
    assert_eq!(mail(&tester), Some((vec![1, 2, 0, 1], 20.76)));
    for _ in 0..20 {
        tester.tick_of(&[Tier::Fast]).unwrap();
    }
    assert_eq!(
        mail(&tester),
        Some((vec![1, 2, 0, 1], 20.76)),
        "not retired"
    );
    let metric = &tester.metrics()[0];
    assert_eq!(metric.bounds, [0.01, 0.5, 10.0]);
    assert_eq!((metric.unit, metric.counter), ("seconds", false));
}

#[test]
fn a_histogram_is_shown_as_prometheus_has_it() {
    let mut tester = waits(&json!([[
        { "wait": ["mail", [0.25, 0.5, 20.0]] },
        { "counted": [[7, 0, 2], 3_145_728.5] },
        { "slow": -1.5 },
    ]]));
    tester.tick().unwrap();
    tester.assert_text("tests/golden/histogram.txt");
    assert_eq!(tester.samples(), 3);
    assert_eq!(
        tester.value("waits_counted_bytes", &[]),
        None,
        "is not one value"
    );
}

#[test]
fn counts_of_the_source_are_handed_over_and_retired_when_they_end() {
    let counted = |tester: &CollectorTester| tester.histogram("waits_counted_bytes", &[]);
    let mut tester = waits(&json!([
        [{ "counted": [[1, 2, 3], 6.0] }, { "counted": [[2, 2, 3], 7.0] }],
        [],
        [{ "counted": [[0, 0, 1], 1.0] }],
    ]));
    tester.tick().unwrap();
    assert_eq!(
        counted(&tester),
        Some((vec![2, 2, 3], 7.0)),
        "the last counts"
    );
    tester.tick().unwrap();
    assert_eq!(counted(&tester), None);
    tester.tick().unwrap();
    assert_eq!(
        counted(&tester),
        Some((vec![0, 0, 1], 1.0)),
        "a source that was restarted counts from nothing"
    );
    for _ in 0..10 {
        tester.tick().unwrap();
    }
    assert_eq!(tester.series(), 0);
}

#[test]
fn a_wrong_number_of_counts_is_a_warning_and_no_sample() {
    let mut tester = waits(&json!([[{ "counted": [[1, 2], 3.0] }]]));
    let Ok(Collected::Partial(message)) = tester.tick() else {
        panic!("the tick is partial");
    };
    assert!(message.contains("waits_counted_bytes"), "{message}");
    assert_eq!(tester.samples(), 0);
}

#[test]
fn values_observed_in_failed_ticks_and_between_due_ones_are_not_lost() {
    let mut tester = waits(&json!([
        [{ "slow": 1.0 }],
        [{ "slow": 1.0 }, { "wait": ["mail", [1.0]] }, "fail"],
        [{ "slow": -1.0 }],
    ]));
    tester.tick().unwrap();
    assert_eq!(tester.tick().unwrap_err().code, abi::E_UNAVAILABLE);
    assert_eq!(tester.samples(), 0);
    tester.tick_of(&[Tier::Slow]).unwrap();
    assert_eq!(tester.histogram("waits_slow", &[]), Some((vec![1, 2], 1.0)));
    assert_eq!(mail(&tester), None, "is not due");
    tester.tick_of(&[Tier::Fast]).unwrap();
    assert_eq!(mail(&tester), Some((vec![0, 0, 1, 0], 1.0)));
}

#[test]
fn buckets_that_are_none_fail_the_creation() {
    let many: Vec<u32> = (0..65).collect();
    for config in [
        json!({ "bounds": [] }),
        json!({ "bounds": [1.0, 0.5] }),
        json!({ "bounds": [1.0, 1.0] }),
        json!({ "bounds": many }),
        json!({ "label": "le" }),
    ] {
        let failure = CollectorTester::new::<Waits>(&config).unwrap_err();
        assert_eq!(failure.code, abi::E_FATAL, "{config}");
        let starts = "metric waits_wait_seconds has ";
        assert!(failure.message.starts_with(starts), "{}", failure.message);
    }
    let config = json!({ "bounds": (0..64).collect::<Vec<_>>() });
    assert!(CollectorTester::new::<Waits>(&config).is_ok());
}
