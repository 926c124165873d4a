//! Deadlines, cancelling, what goes on between ticks, and what is inert after a stop.
//!
//! The desk's clock stands at 0: a deadline of 0 has come when the tick begins, any other never comes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;

use super::BLOCKING_THREADS_MAX;
use crate::{
    Collector, EmitError, Error, Event, Events, Gauge, Level, Log, Manifest, Reload, Setup, Sink,
    abi, export::desk::Desk, serde_json, tokio,
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Config {}

/// Hangs in its first collect and in the lookup `hang`.
#[derive(Debug)]
struct Hanging {
    ticks: Gauge,
    tick: u64,
    /// Counts the futures that were dropped while they hung.
    dropped: Arc<AtomicU64>,
}

struct CountsDrop(Arc<AtomicU64>);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Collector for Hanging {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("hanging", "tests", "1.0.0").lookup();

    fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self {
            ticks: setup.gauge("hanging_ticks").build(),
            tick: 0,
            dropped: Arc::default(),
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        self.tick += 1;
        self.ticks.set(out, self.tick);
        if self.tick == 1 {
            let _guard = CountsDrop(Arc::clone(&self.dropped));
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn reconfigure(&mut self, _config: Config) -> Result<Reload, Error> {
        Ok(Reload::Applied)
    }

    async fn lookup(&mut self, name: &str, _parameter: &str) -> Result<serde_json::Value, Error> {
        if name == "hang" {
            std::future::pending::<()>().await;
        }
        Ok(self.dropped.load(Ordering::Relaxed).into())
    }
}

#[test]
fn a_collect_that_hangs_is_dropped_at_its_deadline_and_the_next_one_works() {
    let mut desk = Desk::with::<Hanging>();
    assert_eq!(desk.collect_until(0), abi::E_TIMEOUT);
    assert_eq!(desk.error(), "was not done by its deadline");
    assert_eq!(desk.heard().samples, [], "its samples are dropped with it");
    assert_eq!(desk.lookup("dropped", ""), (abi::OK, "1".to_owned()));
    assert_eq!(desk.collect(), abi::OK);
    assert_eq!(desk.heard().samples, [(0, 2.0)]);
    assert_eq!(desk.reconfigure("{}"), abi::OK);
}

#[test]
fn a_collect_that_is_done_counts_however_late() {
    let mut desk = Desk::with::<Hanging>();
    assert_eq!(desk.collect_until(0), abi::E_TIMEOUT);
    assert_eq!(desk.collect_until(0), abi::OK);
    assert_eq!(desk.heard().samples, [(0, 2.0)]);
}

#[test]
fn a_call_that_the_host_has_given_up_on_is_dropped() {
    let mut desk = Desk::with::<Hanging>();
    desk.heard().cancelled = true;
    assert_eq!(desk.collect(), abi::E_TIMEOUT);
    assert_eq!(desk.error(), "was given up by the agent");
    assert_eq!(desk.lookup("hang", ""), (abi::E_TIMEOUT, String::new()));
    assert_eq!(
        desk.collect(),
        abi::OK,
        "what does not wait does not look at the flag"
    );
    desk.heard().cancelled = false;
    assert_eq!(desk.lookup("dropped", ""), (abi::OK, "1".to_owned()));
}

#[test]
fn a_lookup_is_unknown_unless_it_is_implemented() {
    #[derive(Debug)]
    struct Silent;
    impl Collector for Silent {
        type Config = Config;
        const MANIFEST: Manifest = Manifest::new("silent", "tests", "1.0.0").lookup();
        fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
            Ok(Self)
        }
        async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
            Ok(())
        }
    }
    let mut desk = Desk::with::<Silent>();
    assert_eq!(desk.lookup("is_admin", "x").0, abi::E_CONFIG);
    assert_eq!(desk.error(), "unknown lookup `is_admin`");
    assert_eq!(desk.collect(), abi::OK);
}

#[test]
fn time_that_is_over_is_a_timeout() {
    #[derive(Debug)]
    struct Asking;
    impl Collector for Asking {
        type Config = Config;
        const MANIFEST: Manifest = Manifest::new("asking", "tests", "1.0.0");
        fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
            Ok(Self)
        }
        async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
            let answer = std::future::pending::<Result<(), Error>>();
            tokio::time::timeout(Duration::ZERO, answer).await?
        }
    }
    let mut desk = Desk::with::<Asking>();
    assert_eq!(desk.collect(), abi::E_TIMEOUT);
    assert_eq!(desk.error(), "the source did not answer in time");
}

/// What a collector left behind in a place that outlives it.
static LEFT: Mutex<Option<(Log, Events)>> = Mutex::new(None);

#[derive(Debug)]
struct Forgetful;

impl Collector for Forgetful {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("forgetful", "tests", "1.0.0").events();

    fn new(_config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        *LEFT.lock().unwrap() = Some((setup.log(), setup.events()));
        Ok(Self)
    }

    async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn handles_that_outlive_the_instance_are_inert() {
    let mut desk = Desk::with::<Forgetful>();
    let (log, events) = LEFT.lock().unwrap().take().unwrap();
    log.write(Level::Info, "before");
    assert_eq!(events.emit(Event::new("before")), Ok(()));
    assert_eq!(desk.stop(), abi::OK);
    log.write(Level::Info, "after");
    assert_eq!(events.emit(Event::new("after")), Err(EmitError::Closed));
    assert_eq!(desk.heard().log, [(2, "before".to_owned())]);
    assert_eq!(desk.heard().events.len(), 1);
    assert_eq!(desk.collect(), abi::E_CLOSED);
    assert_eq!(
        desk.stop(),
        abi::OK,
        "a second stop is one too many, no harm"
    );
}

/// Blocks a thread of the runtime for as long as the test lets it.
static GATE: Mutex<()> = Mutex::new(());

#[derive(Debug)]
struct Blocking;

impl Collector for Blocking {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("blocking", "tests", "1.0.0");

    fn new(_config: Config, _setup: &mut Setup<'_>) -> Result<Self, Error> {
        Ok(Self)
    }

    async fn collect(&mut self, _out: &mut Sink<'_>) -> Result<(), Error> {
        let work = tokio::task::spawn_blocking(|| drop(GATE.lock()));
        work.await.map_err(|error| Error::fatal(error.to_string()))
    }
}

#[test]
fn blocking_work_that_hangs_holds_neither_a_tick_nor_the_stop() {
    let gate = GATE.lock().unwrap();
    let mut desk = Desk::with::<Blocking>();
    // More of them than there are threads for blocking work.
    for _ in 0..BLOCKING_THREADS_MAX + 2 {
        assert_eq!(desk.collect_until(0), abi::E_TIMEOUT);
    }
    assert_eq!(desk.stop(), abi::OK);
    drop(gate);
}
