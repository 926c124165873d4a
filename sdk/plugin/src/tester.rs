//! Drives a collector in a test as the agent does: through the C table, with a host in process.
//!
//! [`CollectorTester`] owns the instance and the recorder behind the host's functions, which checks
//! what the agent would refuse (names, label counts, unknown ids). The samples of the last tick are
//! kept for assertions. It has no deadline and no process of its own.

mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::c_void,
    fmt::Write as _,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use self::recorder::{Recorder, host_of, text};
use crate::{
    Collector, Level, Tier,
    abi::{self, Host, Plugin, Str},
    export::struct_size,
};

/// A running collector and what it said.
#[derive(Debug)]
pub struct CollectorTester {
    plugin: Plugin,
    instance: *mut c_void,
    /// Boxed, because the host's `ctx` points at it for as long as the instance lives.
    recorder: Box<Mutex<Recorder>>,
    /// Boxed, because a plugin may keep its address until it is destroyed.
    host: Box<Host>,
    ticks: u64,
}

/// A failed call: its code of the ABI and what the plugin said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of `abi::E_…`.
    pub code: i32,
    /// Dotted path of the configuration key at fault, or empty.
    pub field: String,
    /// What failed.
    pub message: String,
}

/// A successful tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// All was read.
    Whole,
    /// Samples were kept, and this could not be read.
    Partial(String),
}

/// A metric as it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredMetric {
    /// Its name.
    pub name: String,
    /// Whether it is a counter.
    pub counter: bool,
    /// One of [`abi::UNITS`].
    pub unit: &'static str,
    /// How often it is sampled.
    pub tier: Tier,
    /// The sentence for people.
    pub help: String,
    /// The OpenTelemetry name, or empty.
    pub otel: String,
    /// Heading and title of its chart.
    pub chart: (String, String),
    /// One of [`abi::CHART_STYLES`].
    pub style: &'static str,
    /// Whether its chart stands on the Overview.
    pub overview: bool,
    /// Label names.
    pub labels: Vec<String>,
}

impl CollectorTester {
    /// Makes and starts a collector with a configuration as it stands in its section.
    pub fn new<C: Collector>(config: &serde_json::Value) -> Result<Self, Failure> {
        Self::start(crate::export::plugin::<C>(), config)
    }

    /// Makes and starts the plugin of a loaded library.
    ///
    /// # Safety
    /// The table's functions keep the contract of the ABI, and the library stays loaded.
    pub unsafe fn from_plugin(plugin: Plugin, config: &serde_json::Value) -> Result<Self, Failure> {
        Self::start(plugin, config)
    }

    fn start(plugin: Plugin, config: &serde_json::Value) -> Result<Self, Failure> {
        assert_eq!(plugin.magic, abi::MAGIC, "the table is a plugin's");
        assert_eq!(
            plugin.abi_major,
            abi::ABI_MAJOR,
            "the plugin is built for this ABI"
        );
        let recorder = Box::new(Mutex::new(Recorder::new()));
        let host = Box::new(host_of(&recorder));
        let mut tester = Self {
            plugin,
            instance: ptr::null_mut(),
            recorder,
            host,
            ticks: 0,
        };
        let config = config.to_string();
        // SAFETY: the text is valid for the call; the host's table and the recorder behind its `ctx`
        // outlive the instance.
        let code = unsafe {
            (plugin.create)(
                &raw const *tester.host,
                Str::new(&config),
                &raw mut tester.instance,
            )
        };
        tester.outcome(code)?;
        // SAFETY: the instance was just created.
        let code = unsafe { (plugin.start)(tester.instance) };
        tester.outcome(code)?;
        Ok(tester)
    }

    /// The manifest that `describe` writes.
    ///
    /// # Panics
    /// When `describe` fails or writes no JSON.
    pub fn manifest<C: Collector>() -> serde_json::Value {
        unsafe extern "C" fn write(out: *mut c_void, piece: Str) {
            // SAFETY: `out` is the String below, and the piece is valid for the call.
            let (out, piece) = unsafe { (&mut *out.cast::<String>(), text(piece)) };
            out.push_str(&piece);
        }
        let mut manifest = String::new();
        // SAFETY: `manifest` outlives the call.
        let code =
            unsafe { (crate::export::plugin::<C>().describe)((&raw mut manifest).cast(), write) };
        assert_eq!(code, abi::OK, "describe succeeds");
        serde_json::from_str(&manifest).expect("describe writes JSON")
    }

    /// Checks a configuration without making an instance.
    pub fn check_config<C: Collector>(config: &serde_json::Value) -> Result<(), Failure> {
        let recorder = Mutex::new(Recorder::new());
        let host = host_of(&recorder);
        let config = config.to_string();
        // SAFETY: the table, the recorder behind it and the text are valid for the call.
        let code = unsafe {
            (crate::export::plugin::<C>().check_config)(&raw const host, Str::new(&config))
        };
        outcome(&recorder, code).map(|_| ())
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
        self.recorder().pushed.clear();
        let tick = abi::Tick {
            struct_size: struct_size::<abi::Tick>(),
            tiers,
            number,
            at_ms: i64::try_from(number * 1000).expect("tests are shorter than that"),
            deadline_ns: u64::MAX,
        };
        // SAFETY: the instance was created and not destroyed, and the tick is valid for the call.
        let code = unsafe { (self.plugin.collect)(self.instance, &raw const tick) };
        let outcome = self.outcome(code);
        let mut recorder = self.recorder();
        let pushed = std::mem::take(&mut recorder.pushed);
        recorder.samples = match &outcome {
            Ok(_) => pushed
                .iter()
                .map(|sample| (sample.series, sample.value))
                .collect(),
            Err(_) => BTreeMap::new(),
        };
        let refusals = std::mem::take(&mut recorder.refusals);
        drop(recorder);
        assert!(
            refusals.is_empty(),
            "the agent would refuse: {}",
            refusals.join("; ")
        );
        outcome
    }

    /// Gives the instance another configuration; true when it asks to be made anew instead.
    pub fn reconfigure(&mut self, config: &serde_json::Value) -> Result<bool, Failure> {
        let config = config.to_string();
        // SAFETY: the instance was created and not destroyed, and the text is valid for the call.
        let code = unsafe { (self.plugin.reconfigure)(self.instance, Str::new(&config)) };
        if code == abi::RESTART {
            return Ok(true);
        }
        self.outcome(code).map(|_| false)
    }

    /// Stops the instance; a later tick fails with `E_CLOSED`.
    pub fn stop(&mut self) {
        // SAFETY: the instance was created and not destroyed.
        unsafe { (self.plugin.stop)(self.instance) };
    }

    /// Lets [`Sink::cancelled`](crate::Sink::cancelled) say so.
    pub fn cancel(&self) {
        self.recorder().cancelled = true;
    }

    /// Bounds the number of series, as the agent does at 2,000.
    pub fn limit_series(&self, max: usize) {
        self.recorder().series_max = max;
    }

    /// The last tick's sample of a series, named by all its labels in any order.
    pub fn value(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let recorder = self.recorder();
        let wanted: BTreeSet<(&str, &str)> = labels.iter().copied().collect();
        recorder.samples.iter().find_map(|(series, value)| {
            let (metric_of, pairs) = recorder.labels(*series);
            (metric_of.name == metric && pairs == wanted).then_some(*value)
        })
    }

    /// All samples of a metric in the last tick, with their label values in declared order.
    pub fn values(&self, metric: &str) -> Vec<(Vec<String>, f64)> {
        let recorder = self.recorder();
        let of_metric = recorder.samples.iter().filter_map(|(series, value)| {
            let record = &recorder.series[*series as usize];
            (recorder.metrics[record.metric].name == metric)
                .then(|| (record.values.clone(), *value))
        });
        of_metric.collect()
    }

    /// Number of series that are declared and not retired.
    pub fn series(&self) -> usize {
        self.recorder()
            .series
            .iter()
            .filter(|series| !series.retired)
            .count()
    }

    /// Number of samples in the last tick.
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

    /// The last tick as text, one line a sample, for golden files: `name{label="value"} 1.5`.
    pub fn text(&self) -> String {
        let recorder = self.recorder();
        recorder
            .samples
            .iter()
            .fold(String::new(), |mut text, (series, value)| {
                let record = &recorder.series[*series as usize];
                let metric = &recorder.metrics[record.metric];
                let pairs: Vec<String> = (metric.labels.iter().zip(&record.values))
                    .map(|(name, value)| format!("{name}={value:?}"))
                    .collect();
                let labels = pairs.join(",");
                let braces = if labels.is_empty() {
                    labels
                } else {
                    format!("{{{labels}}}")
                };
                writeln!(text, "{}{braces} {value}", metric.name).expect("a String takes all");
                text
            })
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcome(&self, code: i32) -> Result<Collected, Failure> {
        outcome(&self.recorder, code)
    }
}

impl Drop for CollectorTester {
    fn drop(&mut self) {
        if !self.instance.is_null() {
            // SAFETY: the instance was created, and these are the last calls for it.
            unsafe {
                (self.plugin.stop)(self.instance);
                (self.plugin.destroy)(self.instance);
            }
        }
    }
}

fn outcome(recorder: &Mutex<Recorder>, code: i32) -> Result<Collected, Failure> {
    let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
    let (field, message) = std::mem::take(&mut recorder.error);
    match code {
        abi::OK => Ok(Collected::Whole),
        abi::PARTIAL => Ok(Collected::Partial(message)),
        code => Err(Failure {
            code,
            field,
            message,
        }),
    }
}
