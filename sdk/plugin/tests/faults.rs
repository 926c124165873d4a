//! What a collector may do wrong without harm to its host: panic in every entry, hang, panic elsewhere.

use std::{borrow::Cow, future, time::Duration};

use barograph_sdk::{
    Collector, Error, Gauge, Level, Manifest, Reload, Setup, Sink, abi,
    tester::{Collected, CollectorTester, Failure, Table},
    tokio,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::json;

const DESCRIBE: usize = 0;
const CHECK_CONFIG: usize = 1;
const CREATE: usize = 2;
const COLLECT: usize = 3;
const RECONFIGURE: usize = 4;
const LOOKUP: usize = 5;
const DROP: usize = 6;

/// Panics in one of its entries.
#[derive(Debug)]
struct Panicky<const AT: usize>;

#[derive(Debug)]
struct PanickyConfig<const AT: usize>;

impl<const AT: usize> JsonSchema for PanickyConfig<AT> {
    fn schema_name() -> Cow<'static, str> {
        "Config".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        assert_ne!(AT, DESCRIBE, "in describe");
        Schema::default()
    }
}

impl<'de, const AT: usize> Deserialize<'de> for PanickyConfig<AT> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        assert_ne!(AT, CHECK_CONFIG, "in check_config");
        serde::de::IgnoredAny::deserialize(from).map(|_| Self)
    }
}

impl<const AT: usize> Collector for Panicky<AT> {
    type Config = PanickyConfig<AT>;
    const MANIFEST: Manifest = Manifest::new("panicky", "tests", "1.0.0").lookup();

    fn new(_config: Self::Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
        assert_ne!(AT, CREATE, "in create");
        Ok(Self)
    }

    async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
        tokio::task::yield_now().await;
        assert_ne!(AT, COLLECT, "in collect");
        Ok(())
    }

    fn reconfigure(&mut self, _config: Self::Config) -> Result<Reload, Error> {
        assert_ne!(AT, RECONFIGURE, "in reconfigure");
        Ok(Reload::Applied)
    }

    async fn lookup(&mut self, _name: &str, _parameter: &str) -> Result<serde_json::Value, Error> {
        assert_ne!(AT, LOOKUP, "in lookup");
        Ok(json!(true))
    }
}

impl<const AT: usize> Drop for Panicky<AT> {
    fn drop(&mut self) {
        assert_ne!(AT, DROP, "in drop");
    }
}

fn panicky<const AT: usize>() -> Result<CollectorTester, Failure> {
    CollectorTester::new::<Panicky<AT>>(&json!({}))
}

#[track_caller]
fn assert_panicked<T: std::fmt::Debug>(outcome: Result<T, Failure>, entry: &str) {
    let failure = outcome.unwrap_err();
    assert_eq!(failure.code, abi::E_PANIC);
    assert!(failure.message.starts_with("panicked: "), "{failure}");
    assert!(failure.message.contains(entry), "{failure}");
}

#[test]
fn a_panic_in_describe_is_a_code() {
    // There is no host to tell why.
    let failure = Table::of::<Panicky<DESCRIBE>>().manifest().unwrap_err();
    assert_eq!(failure.code, abi::E_PANIC);
}

#[test]
fn a_panic_in_a_configuration_is_told() {
    let checked = CollectorTester::check_config::<Panicky<CHECK_CONFIG>>(&json!({}));
    assert_panicked(checked, "in check_config");
    assert_panicked(panicky::<CHECK_CONFIG>(), "in check_config");
}

#[test]
fn a_panic_in_create_is_told() {
    assert_panicked(panicky::<CREATE>(), "in create");
}

#[test]
fn a_panic_in_a_call_is_told_and_ends_the_instance() {
    let mut tester = panicky::<COLLECT>().unwrap();
    assert_panicked(tester.tick(), "in collect");
    assert_eq!(tester.tick().unwrap_err().code, abi::E_PANIC);
    let mut tester = panicky::<RECONFIGURE>().unwrap();
    tester.tick().unwrap();
    assert_panicked(tester.reconfigure(&json!({})), "in reconfigure");
    assert_eq!(tester.tick().unwrap_err().code, abi::E_PANIC);
    let mut tester = panicky::<LOOKUP>().unwrap();
    tester.tick().unwrap();
    assert_panicked(tester.lookup("any", ""), "in lookup");
    assert_eq!(tester.lookup("any", "").unwrap_err().code, abi::E_PANIC);
}

#[test]
fn a_panic_in_a_destructor_ends_with_the_instance() {
    let mut tester = panicky::<DROP>().unwrap();
    tester.tick().unwrap();
    tester.stop();
    assert_eq!(tester.tick().unwrap_err().code, abi::E_CLOSED);
}

/// Does in each tick what the script says.
#[derive(Debug)]
struct Scripted {
    script: Vec<Step>,
    value: Gauge<1>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Script {
    script: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Step {
    Sample,
    Hang,
    PanicInTask,
    PanicInThread,
    PanicInBlocking,
}

impl Collector for Scripted {
    type Config = Script;
    const MANIFEST: Manifest = Manifest::new("scripted", "tests", "1.0.0").lookup();

    fn new(config: Script, setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self {
            script: config.script,
            value: setup.gauge("scripted_value").labels(["step"]).build(),
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        let index = usize::try_from(out.tick().number).expect("scripts are short");
        let step = self.script.get(index).copied().unwrap_or(Step::Sample);
        self.value.with(out, ["before"]).set(1);
        match step {
            Step::Sample => {}
            Step::Hang => future::pending().await,
            Step::PanicInTask => {
                let task = tokio::spawn(async { panic!("in a task") });
                let error = task.await.expect_err("it panicked");
                out.log(Level::Warn, &error.to_string());
            }
            Step::PanicInThread => {
                let thread = std::thread::spawn(|| panic!("in a thread"));
                thread.join().expect_err("it panicked");
            }
            Step::PanicInBlocking => {
                let work = tokio::task::spawn_blocking(|| panic!("in blocking work"));
                work.await.expect_err("it panicked");
            }
        }
        self.value.with(out, ["after"]).set(1);
        Ok(())
    }

    async fn lookup(&mut self, name: &str, _parameter: &str) -> Result<serde_json::Value, Error> {
        match name {
            "hang" => future::pending().await,
            _ => Ok(json!(name)),
        }
    }
}

fn scripted(script: &serde_json::Value) -> CollectorTester {
    CollectorTester::new::<Scripted>(&json!({ "script": script })).unwrap()
}

#[test]
fn a_collect_that_hangs_is_dropped_at_its_deadline_and_the_next_tick_goes_on() {
    let mut tester = scripted(&json!(["sample", "hang", "hang", "sample"]));
    tester.limit_tick(Duration::from_millis(20));
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    for _ in 0..2 {
        assert_eq!(tester.tick().unwrap_err().code, abi::E_TIMEOUT);
        assert_eq!(tester.samples(), 0, "what was given before is dropped");
    }
    assert_eq!(tester.tick(), Ok(Collected::Whole));
    assert_eq!(tester.samples(), 2);
    assert_eq!(tester.series(), 2);
}

#[test]
fn a_collect_that_hangs_ends_when_it_is_given_up() {
    let mut tester = scripted(&json!(["hang", "sample"]));
    tester.cancel();
    assert_eq!(tester.tick().unwrap_err().code, abi::E_TIMEOUT);
    assert_eq!(tester.tick(), Ok(Collected::Whole));
}

#[test]
fn a_lookup_that_hangs_ends_when_it_is_given_up() {
    let mut tester = scripted(&json!([]));
    tester.cancel();
    assert_eq!(tester.lookup("hang", "").unwrap_err().code, abi::E_TIMEOUT);
    assert_eq!(tester.lookup("name", ""), Ok(json!("name")));
    assert_eq!(tester.tick(), Ok(Collected::Whole));
}

#[test]
fn panics_beside_the_collector_end_nothing() {
    let mut tester = scripted(&json!([
        "panic_in_task",
        "panic_in_thread",
        "panic_in_blocking"
    ]));
    for _ in 0..4 {
        assert_eq!(tester.tick(), Ok(Collected::Whole));
        assert_eq!(tester.samples(), 2);
    }
    assert_eq!(tester.log().len(), 1);
}
