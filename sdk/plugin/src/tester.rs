//! Drives a collector in a test as the agent does: through the C table, with a host in process.
//!
//! [`CollectorTester`] owns the instance and the recorder behind the host's functions, which takes what
//! the agent takes and refuses what it refuses: names, bounds, label counts, ids that were never given,
//! calls after `stop`. A refusal fails the test, unless it [asks for them](CollectorTester::expect_refusals).
//! The samples of the last tick are kept for assertions and, as text, for [golden files](golden). A
//! plugin in another language is driven by way of its [`Table`]. There is no process of its own here, so
//! a collector that hangs or crashes takes the test along.

pub mod golden;
mod hostcalls;
mod recorder;
mod rules;
mod said;
mod table;
mod text;

use std::{
    collections::BTreeSet,
    ffi::c_void,
    path::Path,
    ptr,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use self::{
    hostcalls::{host_of, lock},
    recorder::{Recorder, Sampled},
    table::written,
};
pub use self::{
    said::{Collected, DeclaredMetric, EmittedEvent, Failure},
    table::Table,
};
use crate::{
    Collector, Level, Tier,
    abi::{self, Host, Str},
    export::struct_size,
};

/// A running collector and what it said.
#[derive(Debug)]
pub struct CollectorTester {
    table: Table,
    instance: *mut c_void,
    state: State,
    /// Shared, because the host's `ctx` points at it for as long as the instance lives.
    recorder: Arc<Mutex<Recorder>>,
    /// Shared, because a plugin may keep its address until it is destroyed.
    host: Rc<Host>,
    /// What `Host::position` points at; never changed.
    _position: String,
    ticks: u64,
    limit: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Uncreated,
    Running,
    Stopped,
}

impl CollectorTester {
    /// Makes and starts a collector with a configuration as it stands in its section.
    pub fn new<C: Collector>(config: &serde_json::Value) -> Result<Self, Failure> {
        Self::at::<C>("", config)
    }

    /// As [`new`](Self::new), with the position of the last event that was stored before: what a
    /// collector finds when it is started again.
    pub fn at<C: Collector>(position: &str, config: &serde_json::Value) -> Result<Self, Failure> {
        Table::of::<C>().create(position, config)
    }

    /// Loads a built library, in whatever language it was written, and makes and starts its plugin.
    ///
    /// # Panics
    /// When the file can't be loaded or is no plugin that this version runs.
    ///
    /// # Safety
    /// As for [`Table::open`].
    pub unsafe fn open(path: &Path, config: &serde_json::Value) -> Result<Self, Failure> {
        // SAFETY: as promised by the caller.
        let table = unsafe { Table::open(path) }.unwrap_or_else(|error| panic!("{error}"));
        table.create("", config)
    }

    /// Makes and starts the plugin of a loaded library.
    ///
    /// # Safety
    /// As for [`Table::from_raw`].
    pub unsafe fn from_plugin(
        plugin: abi::Plugin,
        config: &serde_json::Value,
    ) -> Result<Self, Failure> {
        // SAFETY: as promised by the caller.
        let table = unsafe { Table::from_raw(plugin) }.unwrap_or_else(|error| panic!("{error}"));
        table.create("", config)
    }

    fn start(table: Table, position: &str, config: &serde_json::Value) -> Result<Self, Failure> {
        let recorder = Arc::new(Mutex::new(Recorder::new(&table.topic())));
        let position = position.to_owned();
        let host = Rc::new(host_of(&recorder, &position));
        let mut tester = Self {
            table,
            instance: ptr::null_mut(),
            state: State::Uncreated,
            recorder,
            host,
            _position: position,
            ticks: 0,
            limit: None,
        };
        let config = config.to_string();
        let plugin = *table.plugin();
        // SAFETY: the text is valid for the call; the host's table, and the recorder and the position
        // behind it, outlive the instance.
        let code = unsafe {
            (plugin.create)(
                Rc::as_ptr(&tester.host),
                Str::new(&config),
                &raw mut tester.instance,
            )
        };
        tester.begun(code)?;
        tester.state = State::Running;
        // SAFETY: the instance was just created.
        let code = unsafe { (plugin.start)(tester.instance) };
        tester.begun(code)?;
        Ok(tester)
    }

    /// The outcome of `create` or `start`; a failure also says which declarations were refused.
    fn begun(&self, code: i32) -> Result<(), Failure> {
        let outcome = self.recorder().outcome(code);
        outcome.map(|_| ()).map_err(|mut failure| {
            let refusals = self.take_refusals();
            if !refusals.is_empty() {
                failure.message = format!("{}: {}", failure.message, refusals.join("; "));
            }
            failure
        })
    }

    /// The manifest that `describe` writes.
    ///
    /// # Panics
    /// When `describe` fails or writes no JSON.
    pub fn manifest<C: Collector>() -> serde_json::Value {
        Table::of::<C>()
            .manifest()
            .unwrap_or_else(|failure| panic!("describe fails: {failure}"))
    }

    /// Checks a configuration without making an instance.
    pub fn check_config<C: Collector>(config: &serde_json::Value) -> Result<(), Failure> {
        Table::of::<C>().check_config(config)
    }

    /// Collects the next tick: fast ones always, medium ones at every fifth, slow ones at every
    /// thirtieth, and all of them at the first.
    pub fn tick(&mut self) -> Result<Collected, Failure> {
        let mut tiers = Tier::Fast.bit();
        if self.ticks.is_multiple_of(5) {
            tiers |= Tier::Medium.bit();
        }
        if self.ticks.is_multiple_of(30) {
            tiers |= Tier::Slow.bit();
        }
        self.collect(tiers)
    }

    /// Collects a tick for which exactly these tiers are due.
    pub fn tick_of(&mut self, tiers: &[Tier]) -> Result<Collected, Failure> {
        self.collect(tiers.iter().fold(0, |bits, tier| bits | tier.bit()))
    }

    fn collect(&mut self, tiers: u32) -> Result<Collected, Failure> {
        let number = self.ticks;
        self.ticks += 1;
        let deadline_ns = {
            let mut recorder = self.recorder();
            recorder.begin_tick();
            self.limit.map_or(u64::MAX, |limit| {
                let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
                recorder.now_ns().saturating_add(limit_ns)
            })
        };
        let tick = abi::Tick {
            struct_size: struct_size::<abi::Tick>(),
            tiers,
            number,
            at_ms: i64::try_from(number * 1000).expect("tests are shorter than that"),
            deadline_ns,
        };
        // SAFETY: the instance was created and not destroyed, and the tick is valid for the call.
        let code = unsafe { (self.table.plugin().collect)(self.instance, &raw const tick) };
        let (outcome, refusals) = {
            let mut recorder = self.recorder();
            let outcome = recorder.outcome(code);
            recorder.end_tick(outcome.is_ok());
            (outcome, recorder.unexpected())
        };
        assert_none(&refusals);
        outcome
    }

    /// Gives the instance another configuration; true when it asks to be made anew instead.
    pub fn reconfigure(&mut self, config: &serde_json::Value) -> Result<bool, Failure> {
        let config = config.to_string();
        // SAFETY: the instance was created and not destroyed, and the text is valid for the call.
        let code = unsafe { (self.table.plugin().reconfigure)(self.instance, Str::new(&config)) };
        if code == abi::RESTART {
            return Ok(true);
        }
        self.recorder().outcome(code).map(|_| false)
    }

    /// Looks something up by a name of the configuration. A plugin that has no lookups fails
    /// with `E_CONFIG`.
    ///
    /// # Panics
    /// When the answer is not one JSON value.
    pub fn lookup(&mut self, name: &str, parameter: &str) -> Result<serde_json::Value, Failure> {
        let Some(lookup) = self.table.lookup() else {
            return Err(Failure {
                code: abi::E_CONFIG,
                field: String::new(),
                message: "the plugin has no lookups".to_owned(),
            });
        };
        let (code, answer) = written(|out, write| {
            // SAFETY: the instance was created and not destroyed, and the texts and what `out` points at
            // are valid for the call.
            unsafe {
                lookup(
                    self.instance,
                    Str::new(name),
                    Str::new(parameter),
                    out,
                    write,
                )
            }
        });
        self.recorder().outcome(code)?;
        let answer = serde_json::from_slice(&answer);
        Ok(answer.unwrap_or_else(|error| panic!("the answer to {name:?} is no JSON: {error}")))
    }

    /// Stops the instance; a later tick fails with `E_CLOSED`, and so does what it asks of the host.
    pub fn stop(&mut self) {
        if self.state == State::Running {
            self.state = State::Stopped;
            // SAFETY: the instance was created and not destroyed.
            unsafe { (self.table.plugin().stop)(self.instance) };
            self.recorder().closed = true;
        }
    }

    /// Lets [`Sink::cancelled`](crate::Sink::cancelled) say so until the end of the next tick.
    pub fn cancel(&self) {
        self.recorder().cancelled = true;
    }

    /// Gives each tick so long from now on. Without this, ticks have no deadline.
    pub fn limit_tick(&mut self, limit: Duration) {
        self.limit = Some(limit);
    }

    /// Bounds the number of series, as the agent does at 2,000.
    pub fn limit_series(&self, max: usize) {
        self.recorder().series_max = max;
    }

    /// Bounds the number of events that were emitted and not [taken](Self::take_events), as the agent
    /// does at 4,096. Beyond it an event is answered with `E_FULL`.
    pub fn limit_events(&self, max: usize) {
        self.recorder().events_max = max;
    }

    /// The events that were emitted and not taken, in order.
    pub fn events(&self) -> Vec<EmittedEvent> {
        self.recorder().events.clone()
    }

    /// Takes the events, as the agent does when it has stored them: there is room for others then.
    pub fn take_events(&self) -> Vec<EmittedEvent> {
        self.recorder().take_events()
    }

    /// Position of the last event that was taken: what the agent hands to the next `create`, and a test
    /// to [`at`](Self::at).
    pub fn position(&self) -> String {
        self.recorder().position.clone()
    }

    /// From now on, keeps what the agent would refuse for [`take_refusals`](Self::take_refusals), instead
    /// of failing the test.
    pub fn expect_refusals(&self) {
        self.recorder().refusals_expected = true;
    }

    /// What the agent would have refused, and why. Who asks has seen them, so they fail the test no more.
    pub fn take_refusals(&self) -> Vec<String> {
        std::mem::take(&mut self.recorder().refusals)
    }

    /// The last tick's sample of a series, named by all its labels in any order.
    pub fn value(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        match self.sampled(metric, labels)? {
            Sampled::Value(value) => Some(value),
            Sampled::Histogram { .. } => None,
        }
    }

    /// The last tick's counts of a histogram's series, one a bucket and not cumulative, and their sum.
    pub fn histogram(&self, metric: &str, labels: &[(&str, &str)]) -> Option<(Vec<u64>, f64)> {
        match self.sampled(metric, labels)? {
            Sampled::Value(_) => None,
            Sampled::Histogram { counts, sum } => Some((counts, sum)),
        }
    }

    fn sampled(&self, metric: &str, labels: &[(&str, &str)]) -> Option<Sampled> {
        let recorder = self.recorder();
        let wanted: BTreeSet<(&str, &str)> = labels.iter().copied().collect();
        recorder.samples.iter().find_map(|(series, sampled)| {
            let (metric_of, pairs) = recorder.labels(*series);
            let pairs: BTreeSet<(&str, &str)> = pairs.into_iter().collect();
            (metric_of.name == metric && pairs == wanted).then(|| sampled.clone())
        })
    }

    /// All samples of a gauge or counter in the last tick, with their label values in declared order.
    pub fn values(&self, metric: &str) -> Vec<(Vec<String>, f64)> {
        let recorder = self.recorder();
        let of_metric = recorder.samples.iter().filter_map(|(series, sampled)| {
            let record = &recorder.series[*series as usize];
            let Sampled::Value(value) = sampled else {
                return None;
            };
            (recorder.metrics[record.metric].name == metric)
                .then(|| (record.values.clone(), *value))
        });
        of_metric.collect()
    }

    /// Number of series that are declared and not retired.
    pub fn series(&self) -> usize {
        self.recorder().series_alive()
    }

    /// Number of series that have a sample in the last tick.
    pub fn samples(&self) -> usize {
        self.recorder().samples.len()
    }

    /// The declared metrics, in order.
    pub fn metrics(&self) -> Vec<DeclaredMetric> {
        self.recorder().metrics.clone()
    }

    /// What was written to the log so far.
    pub fn log(&self) -> Vec<(Level, String)> {
        self.recorder().log.clone()
    }

    /// The last tick as text, one line a sample: `name{label="value"} 1.5`. A histogram is the lines
    /// that Prometheus has of it: `NAME_bucket` with cumulative counts, `NAME_sum` and `NAME_count`.
    pub fn text(&self) -> String {
        text::of(&self.recorder(), text::Numbers::Shown)
    }

    /// As [`text`](Self::text) with a `*` in place of each value: for sources that never say the same.
    pub fn names(&self) -> String {
        text::of(&self.recorder(), text::Numbers::Masked)
    }

    /// Compares [`text`](Self::text) with a [golden file](golden).
    #[track_caller]
    pub fn assert_text(&self, file: impl AsRef<Path>) {
        golden::assert_golden(file, &self.text());
    }

    /// Compares [`names`](Self::names) with a [golden file](golden).
    #[track_caller]
    pub fn assert_names(&self, file: impl AsRef<Path>) {
        golden::assert_golden(file, &self.names());
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        lock(&self.recorder)
    }
}

impl Drop for CollectorTester {
    fn drop(&mut self) {
        self.stop();
        if self.state == State::Stopped {
            // SAFETY: the instance was created, and this is the last call for it.
            unsafe { (self.table.plugin().destroy)(self.instance) };
        }
        if !std::thread::panicking() {
            let refusals = self.recorder().unexpected();
            assert_none(&refusals);
        }
    }
}

fn assert_none(refusals: &[String]) {
    assert!(
        refusals.is_empty(),
        "the agent would refuse: {}",
        refusals.join("; ")
    );
}

/// The examples of the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
