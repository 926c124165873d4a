//! The host behind [`CollectorTester`](super::CollectorTester): the functions of the table, and what
//! was recorded through them.
//!
//! It refuses what the agent refuses; the tester then fails the test. `ctx` is the recorder's mutex,
//! so that tasks of the plugin may log while a test reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::c_void,
    slice,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::DeclaredMetric;
use crate::{
    Level, Tier,
    abi::{self, Host, Metric, Sample, Str},
    export::struct_size,
};

#[derive(Debug)]
pub(super) struct SeriesRecord {
    pub(super) metric: usize,
    pub(super) values: Vec<String>,
    pub(super) retired: bool,
}

#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) metrics: Vec<DeclaredMetric>,
    pub(super) series: Vec<SeriesRecord>,
    pub(super) pushed: Vec<Sample>,
    pub(super) samples: BTreeMap<u32, f64>,
    pub(super) log: Vec<(Level, String)>,
    pub(super) error: (String, String),
    pub(super) refusals: Vec<String>,
    pub(super) series_max: usize,
    pub(super) cancelled: bool,
    started: Instant,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            metrics: Vec::new(),
            series: Vec::new(),
            pushed: Vec::new(),
            samples: BTreeMap::new(),
            log: Vec::new(),
            error: <(String, String)>::default(),
            refusals: Vec::new(),
            series_max: 2_000,
            cancelled: false,
            started: Instant::now(),
        }
    }

    pub(super) fn labels(&self, series: u32) -> (&DeclaredMetric, BTreeSet<(&str, &str)>) {
        let record = &self.series[series as usize];
        let metric = &self.metrics[record.metric];
        let names = metric.labels.iter().map(String::as_str);
        (
            metric,
            names
                .zip(record.values.iter().map(String::as_str))
                .collect(),
        )
    }

    fn refuse(&mut self, what: String) -> i32 {
        self.refusals.push(what);
        abi::E_FATAL
    }

    fn define_metric(&mut self, metric: DeclaredMetric) -> Result<usize, i32> {
        if !is_name(&metric.name) || !metric.labels.iter().all(|label| is_name(label)) {
            return Err(self.refuse(format!("metric {:?} has an invalid name", metric.name)));
        }
        if metric.counter != metric.name.ends_with("_total") {
            return Err(self.refuse(format!("only counters end in _total: {}", metric.name)));
        }
        if let Some(known) = self
            .metrics
            .iter()
            .position(|known| known.name == metric.name)
        {
            return if self.metrics[known] == metric {
                Ok(known)
            } else {
                Err(self.refuse(format!(
                    "metric {} is declared twice, differently",
                    metric.name
                )))
            };
        }
        self.metrics.push(metric);
        Ok(self.metrics.len() - 1)
    }

    fn define_series(&mut self, metric: usize, values: Vec<String>) -> Result<usize, i32> {
        let Some(labels) = self.metrics.get(metric).map(|metric| metric.labels.len()) else {
            self.refuse(format!("a series of the unknown metric {metric}"));
            return Err(abi::E_CLOSED);
        };
        if labels != values.len() {
            let name = self.metrics[metric].name.clone();
            return Err(self.refuse(format!("{name} takes {labels} label values")));
        }
        let same = |series: &SeriesRecord| {
            !series.retired && series.metric == metric && series.values == values
        };
        if let Some(known) = self.series.iter().position(same) {
            return Ok(known);
        }
        if self.series.iter().filter(|series| !series.retired).count() >= self.series_max {
            return Err(abi::E_FULL);
        }
        self.series.push(SeriesRecord {
            metric,
            values,
            retired: false,
        });
        Ok(self.series.len() - 1)
    }

    fn push(&mut self, samples: &[Sample]) -> i32 {
        for sample in samples {
            match self.series.get(sample.series as usize) {
                Some(series) if !series.retired && sample.value.is_finite() => {
                    self.pushed.push(*sample);
                }
                _ => {
                    self.refuse(format!(
                        "a sample {sample:?} of no live series, or not finite"
                    ));
                    return abi::E_CLOSED;
                }
            }
        }
        abi::OK
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The table of a host that writes to `recorder`, which has to outlive it.
pub(super) fn host_of(recorder: &Mutex<Recorder>) -> Host {
    Host {
        struct_size: struct_size::<Host>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        ctx: (&raw const *recorder).cast_mut().cast(),
        define_metric,
        define_series,
        retire_series,
        push,
        log,
        cancelled,
        set_error,
        now_mono_ns,
    }
}

/// Copies a text of the plugin; a mistake in its encoding fails the test.
///
/// # Safety
/// As for [`Str::as_bytes`].
pub(super) unsafe fn text(text: Str) -> String {
    // SAFETY: as promised by the caller.
    let bytes = unsafe { text.as_bytes() };
    String::from_utf8_lossy(bytes).into_owned()
}

/// # Safety
/// `ctx` is the one of [`host_of`], and its recorder lives.
unsafe fn recorder<'a>(ctx: *mut c_void) -> MutexGuard<'a, Recorder> {
    // SAFETY: as promised by the caller.
    let recorder = unsafe { &*ctx.cast::<Mutex<Recorder>>() };
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// `texts` points at `count` texts that are valid for the call.
unsafe fn list(texts: *const Str, count: usize) -> Vec<String> {
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: as promised by the caller.
    unsafe {
        slice::from_raw_parts(texts, count)
            .iter()
            .map(|item| text(*item))
            .collect()
    }
}

unsafe extern "C" fn define_metric(ctx: *mut c_void, metric: *const Metric, id: *mut u32) -> i32 {
    // SAFETY: the plugin passes `ctx` back, and a metric and strings that are valid for the call.
    let (mut recorder, declared) = unsafe {
        let Metric {
            kind,
            unit,
            tier,
            flags,
            chart_style,
            ..
        } = *metric;
        let metric = &*metric;
        let tier = [Tier::Fast, Tier::Medium, Tier::Slow]
            .get(tier as usize)
            .copied();
        let unit = abi::UNITS.get(unit as usize).copied();
        let style = abi::CHART_STYLES.get(chart_style as usize).copied();
        let (Some(tier), Some(unit), Some(style)) = (tier, unit, style) else {
            return recorder(ctx).refuse(format!("{} is out of range", text(metric.name)));
        };
        let declared = DeclaredMetric {
            name: text(metric.name),
            counter: kind == abi::KIND_COUNTER,
            unit,
            tier,
            help: text(metric.help),
            otel: text(metric.otel),
            chart: (text(metric.chart_section), text(metric.chart_title)),
            style,
            overview: flags & abi::METRIC_OVERVIEW != 0,
            labels: list(metric.labels, metric.label_count),
        };
        (recorder(ctx), declared)
    };
    let defined = recorder.define_metric(declared);
    // SAFETY: `id` is valid for the call.
    unsafe { answer(defined, id) }
}

unsafe extern "C" fn define_series(
    ctx: *mut c_void,
    metric: u32,
    values: *const Str,
    count: usize,
    id: *mut u32,
) -> i32 {
    // SAFETY: the plugin passes `ctx` back, and values that are valid for the call.
    let (mut recorder, values) = unsafe { (recorder(ctx), list(values, count)) };
    let defined = recorder.define_series(metric as usize, values);
    // SAFETY: `id` is valid for the call.
    unsafe { answer(defined, id) }
}

/// # Safety
/// `id` points at a place for one id.
unsafe fn answer(defined: Result<usize, i32>, id: *mut u32) -> i32 {
    match defined {
        Ok(index) => {
            // SAFETY: as promised by the caller.
            unsafe { *id = u32::try_from(index).expect("tests define few") };
            abi::OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn retire_series(ctx: *mut c_void, series: u32) -> i32 {
    // SAFETY: the plugin passes `ctx` back.
    let mut recorder = unsafe { recorder(ctx) };
    match recorder.series.get_mut(series as usize) {
        Some(series) if !series.retired => {
            series.retired = true;
            abi::OK
        }
        _ => {
            recorder.refuse(format!("series {series} is retired, but is not live"));
            abi::E_CLOSED
        }
    }
}

unsafe extern "C" fn push(ctx: *mut c_void, samples: *const Sample, count: usize) -> i32 {
    if count == 0 {
        return abi::OK;
    }
    // SAFETY: the plugin passes `ctx` back, and samples that are valid for the call.
    unsafe { recorder(ctx).push(slice::from_raw_parts(samples, count)) }
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: Str) {
    const LEVELS: [Level; 5] = [
        Level::Error,
        Level::Warn,
        Level::Info,
        Level::Debug,
        Level::Trace,
    ];
    // SAFETY: the plugin passes `ctx` back, and a text that is valid for the call.
    let (mut recorder, message) = unsafe { (recorder(ctx), text(message)) };
    match LEVELS.get(level as usize) {
        Some(level) => recorder.log.push((*level, message)),
        None => {
            recorder.refuse(format!("log level {level} does not exist"));
        }
    }
}

unsafe extern "C" fn cancelled(ctx: *mut c_void) -> i32 {
    // SAFETY: the plugin passes `ctx` back.
    i32::from(unsafe { recorder(ctx) }.cancelled)
}

unsafe extern "C" fn set_error(ctx: *mut c_void, field: Str, message: Str) {
    // SAFETY: the plugin passes `ctx` back, and texts that are valid for the call.
    unsafe { recorder(ctx).error = (text(field), text(message)) };
}

unsafe extern "C" fn now_mono_ns(ctx: *mut c_void) -> u64 {
    // SAFETY: the plugin passes `ctx` back.
    let started = unsafe { recorder(ctx) }.started;
    u64::try_from(started.elapsed().as_nanos()).expect("tests are shorter than 584 years")
}
