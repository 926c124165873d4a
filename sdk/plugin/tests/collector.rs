//! A collector driven through the C table: samples, tiers, retirement, errors, panics, tasks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use barograph_sdk::{
    ChartStyle, Collector, Counter, Error, Gauge, Level, Log, Manifest, Reload, Setup, Sink, Tier,
    Unit, abi,
    tester::{Collected, CollectorTester, Failure},
    tokio,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// What each tick does; beyond the last, nothing.
    script: Vec<Step>,
    nested: Nested,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Nested {
    timeout_ms: u32,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Step {
    Set(Vec<(String, f64)>),
    Add(f64),
    Slow(f64),
    Warn(String),
    Fail(String),
    Panic,
    WaitForTask,
}

#[derive(Debug)]
struct Scripted {
    script: Vec<Step>,
    depth: Gauge<1>,
    done: Counter,
    slow: Gauge,
    turns: Arc<AtomicU64>,
}

impl Collector for Scripted {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("scripted", "tests", "1.2.3")
        .needs(&["nothing"])
        .lookup();

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        if config.nested.timeout_ms > 1_000 {
            return Err(Error::config("nested.timeout_ms", "is above 1000"));
        }
        let depth = setup
            .gauge("scripted_depth")
            .help("Depth.")
            .chart("Tests", "Depth");
        let depth = depth.labels(["queue"]).retire_after(3).build();
        let done = setup.counter("scripted_done_total").unit(Unit::Operations);
        let done = done
            .style(ChartStyle::Area)
            .overview()
            .otel("tests.done")
            .build();
        let slow = setup.gauge("scripted_slow").tier(Tier::Slow).build();
        let turns = Arc::new(AtomicU64::new(0));
        tokio::spawn(turn(Arc::clone(&turns), setup.log()));
        Ok(Self {
            script: config.script,
            depth,
            done,
            slow,
            turns,
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let index = usize::try_from(out.tick().number).expect("scripts are short");
        let Some(step) = self.script.get(index).cloned() else {
            return Ok(());
        };
        match step {
            Step::Set(values) => {
                for (queue, value) in &values {
                    self.depth.with(out, [queue]).set(*value);
                }
            }
            Step::Add(more) => self.done.add(out, more),
            Step::Slow(value) => self.slow.set(out, value),
            Step::Warn(message) => {
                self.depth.with(out, ["warned"]).set(1);
                out.warn(message);
            }
            Step::Fail(message) => {
                self.depth.with(out, ["failed"]).set(1);
                return Err(Error::unavailable(message));
            }
            Step::Panic => panic!("as the script says"),
            Step::WaitForTask => {
                let before = self.turns.load(Ordering::Relaxed);
                while self.turns.load(Ordering::Relaxed) == before {
                    tokio::task::yield_now().await;
                }
                self.depth.with(out, ["turned"]).set(1);
            }
        }
        Ok(())
    }

    fn reconfigure(&mut self, config: Config) -> Result<Reload, Error> {
        if config.nested.timeout_ms > 0 {
            return Ok(Reload::Restart);
        }
        self.script = config.script;
        Ok(Reload::Applied)
    }

    async fn lookup(&mut self, name: &str, parameter: &str) -> Result<serde_json::Value, Error> {
        match name {
            "steps" => Ok(json!({ "of": parameter, "steps": self.script.len() })),
            "away" => Err(Error::unavailable("nobody answers")),
            _ => Err(Error::config("", format!("unknown lookup `{name}`"))),
        }
    }
}

/// Runs between ticks for as long as the collector lives.
async fn turn(turns: Arc<AtomicU64>, log: Log) {
    log.write(Level::Info, "the task runs");
    loop {
        turns.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn scripted(script: &serde_json::Value) -> CollectorTester {
    CollectorTester::new::<Scripted>(&json!({ "script": script })).unwrap()
}

#[test]
fn samples_arrive_under_their_labels() {
    let mut tester =
        scripted(&json!([{ "set": [["a", 1.5], ["b", 2.0]] }, { "set": [["a", 3.0]] }]));
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    assert_eq!(tester.value("scripted_depth", &[("queue", "a")]), Some(1.5));
    assert_eq!(
        tester.text(),
        "scripted_depth{queue=\"a\"} 1.5\nscripted_depth{queue=\"b\"} 2\n"
    );
    tester.tick().unwrap();
    assert_eq!(
        tester.values("scripted_depth"),
        [(vec!["a".to_owned()], 3.0)]
    );
    assert_eq!(tester.series(), 2);
}

#[test]
fn label_values_are_told_apart_by_their_bounds() {
    let mut tester =
        scripted(&json!([{ "set": [["", 1.0], ["a", 2.0], ["a\u{0}", 3.0], ["a", 4.0]] }]));
    tester.tick().unwrap();
    assert_eq!(tester.series(), 3);
    assert_eq!(
        tester.value("scripted_depth", &[("queue", "a")]),
        Some(4.0),
        "the last one counts"
    );
    assert_eq!(tester.samples(), 3);
}

#[test]
fn a_series_unseen_for_three_ticks_is_retired_and_comes_back_as_a_new_one() {
    let both = json!({ "set": [["a", 1.0], ["b", 1.0]] });
    let one = json!({ "set": [["a", 1.0]] });
    let mut tester = scripted(&json!([both, one, one, one, both]));
    let mut series = || {
        tester.tick().unwrap();
        tester.series()
    };
    assert_eq!(
        [series(), series(), series(), series(), series()],
        [2, 2, 2, 1, 2]
    );
    assert_eq!(tester.value("scripted_depth", &[("queue", "b")]), Some(1.0));
}

#[test]
fn failed_collects_and_ticks_of_other_tiers_retire_nothing() {
    let fail = json!({ "fail": "no answer" });
    let mut tester = scripted(&json!([{ "set": [["a", 1.0]] }, fail, fail, fail, fail]));
    tester.tick().unwrap();
    for _ in 0..4 {
        let failure = Failure {
            code: abi::E_UNAVAILABLE,
            field: String::new(),
            message: "no answer".into(),
        };
        assert_eq!(tester.tick(), Err(failure));
        assert_eq!(tester.samples(), 0);
    }
    for _ in 0..5 {
        tester.tick_of(&[Tier::Slow]).unwrap();
    }
    assert_eq!(tester.value("scripted_depth", &[("queue", "a")]), None);
    assert_eq!(
        tester.series(),
        2,
        "the one sampled, and the one defined in a failed collect"
    );
}

#[test]
fn a_total_kept_by_the_sdk_is_sampled_at_every_tick() {
    let mut tester = scripted(&json!([{ "add": 2.0 }, { "add": 0.5 }, { "add": -1.0 }]));
    let totals: Vec<_> = (0..15)
        .map(|_| {
            tester.tick().unwrap();
            tester.value("scripted_done_total", &[])
        })
        .collect();
    assert_eq!(totals[..2], [Some(2.0), Some(2.5)]);
    assert!(
        totals[2..].iter().all(|total| *total == Some(2.5)),
        "{totals:?}"
    );
}

#[test]
fn values_for_a_tier_that_is_not_due_are_dropped() {
    let mut tester = scripted(&json!([{ "slow": 1.0 }, { "slow": 2.0 }, { "slow": 3.0 }]));
    tester.tick().unwrap();
    assert_eq!(
        tester.value("scripted_slow", &[]),
        Some(1.0),
        "all tiers are due at the first tick"
    );
    tester.tick().unwrap();
    assert_eq!(tester.samples(), 0);
    tester.tick_of(&[Tier::Slow]).unwrap();
    assert_eq!(tester.value("scripted_slow", &[]), Some(3.0));
}

#[test]
fn a_warning_keeps_the_samples() {
    let mut tester = scripted(&json!([{ "warn": "half is missing" }]));
    assert_eq!(
        tester.tick(),
        Ok(Collected::Partial("half is missing".into()))
    );
    assert_eq!(
        tester.value("scripted_depth", &[("queue", "warned")]),
        Some(1.0)
    );
}

#[test]
fn numbers_that_are_none_leave_a_gap() {
    #[derive(Debug)]
    struct Odd(Gauge<1>);
    impl Collector for Odd {
        type Config = Config;
        const MANIFEST: Manifest = Manifest::new("odd", "tests", "1.0.0");
        fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
            Ok(Self(setup.gauge("odd_value").labels(["kind"]).build()))
        }
        async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
            self.0.with(out, ["nan"]).set(f64::NAN);
            self.0.with(out, ["infinite"]).set(f64::INFINITY);
            self.0.with(out, ["whole"]).set(7_u64);
            Ok(())
        }
    }
    let mut tester = CollectorTester::new::<Odd>(&json!({})).unwrap();
    tester.tick().unwrap();
    assert_eq!(tester.text(), "odd_value{kind=\"whole\"} 7\n");
    assert_eq!(
        tester.lookup("any", "").unwrap_err().code,
        abi::E_CONFIG,
        "its manifest has no lookup"
    );
}

#[test]
fn the_limit_of_series_is_reported_and_the_rest_goes_on() {
    let mut tester = scripted(&json!([{ "set": [["a", 1.0], ["b", 2.0], ["c", 3.0]] }]));
    tester.limit_series(2);
    let message = "1 series was refused: the limit of series is reached";
    assert_eq!(tester.tick(), Ok(Collected::Partial(message.into())));
    assert_eq!(tester.samples(), 2);
}

#[test]
fn a_panic_ends_the_instance_and_nothing_else() {
    let mut tester = scripted(&json!(["panic", { "set": [["a", 1.0]] }]));
    let failure = tester.tick().unwrap_err();
    assert_eq!(
        (failure.code, failure.message.as_str()),
        (abi::E_PANIC, "panicked: as the script says")
    );
    assert_eq!(tester.tick().unwrap_err().code, abi::E_PANIC);
}

#[test]
fn tasks_turn_and_log_between_and_during_ticks() {
    let mut tester = scripted(&json!(["wait_for_task"]));
    tester.tick().unwrap();
    assert_eq!(
        tester.value("scripted_depth", &[("queue", "turned")]),
        Some(1.0)
    );
    assert_eq!(tester.log(), [(Level::Info, "the task runs".to_owned())]);
}

#[test]
fn a_stopped_instance_is_closed() {
    let mut tester = scripted(&json!([{ "set": [["a", 1.0]] }]));
    tester.stop();
    assert_eq!(tester.tick().unwrap_err().code, abi::E_CLOSED);
}

#[test]
fn a_mistake_in_the_configuration_names_its_key() {
    let field_of = |config: serde_json::Value| {
        let checked = CollectorTester::check_config::<Scripted>(&config).unwrap_err();
        let created = CollectorTester::new::<Scripted>(&config).unwrap_err();
        assert_eq!(checked, created);
        assert_eq!(checked.code, abi::E_CONFIG);
        (checked.field, checked.message)
    };
    let (field, message) = field_of(json!({ "nested": { "timeout_ms": "soon" } }));
    assert_eq!(field, "nested.timeout_ms");
    assert_eq!(message, "invalid type: string \"soon\", expected u32");
    let (field, message) = field_of(json!({ "nested": { "timeout": 5 } }));
    assert_eq!(field, "nested.timeout");
    assert!(message.starts_with("unknown field `timeout`"), "{message}");
    let (field, _) = field_of(json!({ "script": [{ "add": 1.0 }, { "jump": 2 }] }));
    assert!(field.starts_with("script[1]"), "{field}");
}

#[test]
fn a_collector_refuses_what_only_it_can_judge() {
    let config = json!({ "nested": { "timeout_ms": 5_000 } });
    assert_eq!(CollectorTester::check_config::<Scripted>(&config), Ok(()));
    let failure = CollectorTester::new::<Scripted>(&config).unwrap_err();
    assert_eq!(
        (failure.code, failure.field.as_str()),
        (abi::E_CONFIG, "nested.timeout_ms")
    );
}

#[test]
fn a_configuration_is_taken_in_place_or_by_a_restart() {
    let mut tester = scripted(&json!([]));
    assert_eq!(
        tester.reconfigure(&json!({ "script": [{ "set": [["new", 1.0]] }] })),
        Ok(false)
    );
    tester.tick().unwrap();
    assert_eq!(
        tester.value("scripted_depth", &[("queue", "new")]),
        Some(1.0)
    );
    assert_eq!(
        tester.reconfigure(&json!({ "nested": { "timeout_ms": 1 } })),
        Ok(true)
    );
    assert_eq!(
        tester.reconfigure(&json!({ "x": 1 })).unwrap_err().code,
        abi::E_CONFIG
    );
}

#[test]
fn lookups_are_answered_by_name() {
    let mut tester = scripted(&json!(["panic"]));
    let answer = |of: &str| json!({ "of": of, "steps": 1 });
    assert_eq!(tester.lookup("steps", "me"), Ok(answer("me")));
    assert_eq!(tester.lookup("steps", "\"; --"), Ok(answer("\"; --")));
    let failure = tester.lookup("leaps", "me").unwrap_err();
    assert_eq!(failure.code, abi::E_CONFIG);
    assert_eq!(failure.message, "unknown lookup `leaps`");
    let failure = tester.lookup("away", "me").unwrap_err();
    assert_eq!(failure.code, abi::E_UNAVAILABLE);
    tester.stop();
    assert_eq!(
        tester.lookup("steps", "me").unwrap_err().code,
        abi::E_CLOSED
    );
}

#[test]
fn the_manifest_holds_the_schema() {
    let manifest = CollectorTester::manifest::<Scripted>();
    assert_eq!(manifest["name"], "scripted");
    assert_eq!(manifest["topic"], "tests");
    assert_eq!(manifest["version"], "1.2.3");
    assert_eq!(manifest["needs"], json!(["nothing"]));
    assert_eq!(manifest["config"]["type"], "object");
    assert_eq!(manifest["config"]["additionalProperties"], false);
    let script = &manifest["config"]["properties"]["script"]["description"];
    assert_eq!(script, "What each tick does; beyond the last, nothing.");
}

#[test]
fn metrics_are_declared_as_they_were_built() {
    let tester = scripted(&json!([]));
    let metrics = tester.metrics();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        names,
        ["scripted_depth", "scripted_done_total", "scripted_slow"]
    );
    assert_eq!(metrics[0].chart, ("Tests".to_owned(), "Depth".to_owned()));
    assert_eq!(metrics[0].labels, ["queue"]);
    assert!(metrics[1].counter && metrics[1].overview);
    assert_eq!((metrics[1].unit, metrics[1].style), ("operations", "area"));
    assert_eq!(metrics[1].otel, "tests.done");
    assert_eq!(metrics[2].tier, Tier::Slow);
}
