//! A host for the SDK's own tests: it writes down what it hears and answers as it is told.
//!
//! [`Desk`] drives a collector through its C table, as the agent does. Its clock stands at 0, so that a
//! deadline of 0 has come and any other never comes. Unlike the tester for authors it checks nothing.

use std::{
    ffi::c_void,
    ptr, slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{plugin, struct_size};
use crate::{
    Collector,
    abi::{self, Host, Metric, Plugin, Sample, Str},
};

/// What a host heard, and what it answers.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Name, kind and bounds of each metric.
    pub(crate) metrics: Vec<(String, u32, Vec<f64>)>,
    /// Label values of each series.
    pub(crate) series: Vec<Vec<String>>,
    pub(crate) retired: Vec<u32>,
    /// Of the last collect.
    pub(crate) samples: Vec<(u32, f64)>,
    /// Of the last collect.
    pub(crate) histograms: Vec<(u32, Vec<u64>, f64)>,
    pub(crate) events: Vec<HeardEvent>,
    pub(crate) log: Vec<(u32, String)>,
    /// Field and message of the last error.
    pub(crate) error: (String, String),
    pub(crate) cancelled: bool,
    /// What the next events are answered with; OK beyond the last.
    pub(crate) event_codes: Vec<i32>,
    /// What new series are answered with.
    pub(crate) series_code: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeardEvent {
    pub(crate) level: u32,
    pub(crate) at_ms: i64,
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) position: String,
}

/// A collector's table, its host and, once created, its instance.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) plugin: Plugin,
    pub(crate) host: Box<Host>,
    pub(crate) instance: *mut c_void,
    /// Shared, as the host's `ctx` points at it while the desk is moved about.
    heard: Arc<Mutex<Heard>>,
    ticks: u64,
}

impl Desk {
    /// Nothing is created yet.
    pub(crate) fn of<C: Collector>() -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let host = Box::new(host_of(&heard));
        Self {
            plugin: plugin::<C>(),
            host,
            instance: ptr::null_mut(),
            heard,
            ticks: 0,
        }
    }

    /// An instance of the default configuration.
    pub(crate) fn with<C: Collector>() -> Self {
        let mut desk = Self::of::<C>();
        assert_eq!(desk.create("{}"), abi::OK, "{:?}", desk.heard().error);
        desk
    }

    pub(crate) fn create(&mut self, config: &str) -> i32 {
        let instance = &raw mut self.instance;
        // SAFETY: the host and what is behind it live until the instance is destroyed.
        unsafe { (self.plugin.create)(&raw const *self.host, Str::new(config), instance) }
    }

    pub(crate) fn collect(&mut self) -> i32 {
        self.collect_until(u64::MAX)
    }

    pub(crate) fn collect_until(&mut self, deadline_ns: u64) -> i32 {
        let number = self.ticks;
        self.ticks += 1;
        self.heard().samples.clear();
        self.heard().histograms.clear();
        let tick = abi::Tick {
            struct_size: struct_size::<abi::Tick>(),
            tiers: 1,
            number,
            at_ms: 0,
            deadline_ns,
        };
        // SAFETY: the instance was created, and the tick is valid for the call.
        unsafe { (self.plugin.collect)(self.instance, &raw const tick) }
    }

    pub(crate) fn reconfigure(&mut self, config: &str) -> i32 {
        // SAFETY: the instance was created, and the text is valid for the call.
        unsafe { (self.plugin.reconfigure)(self.instance, Str::new(config)) }
    }

    pub(crate) fn lookup(&mut self, name: &str, parameter: &str) -> (i32, String) {
        let mut answer = String::new();
        let lookup = self.plugin.lookup.expect("the plugin answers lookups");
        let (name, parameter) = (Str::new(name), Str::new(parameter));
        let out = (&raw mut answer).cast();
        // SAFETY: the instance was created, and the texts and `answer` are valid for the call.
        let code = unsafe { lookup(self.instance, name, parameter, out, write) };
        (code, answer)
    }

    pub(crate) fn stop(&mut self) -> i32 {
        // SAFETY: the instance was created and not destroyed.
        unsafe { (self.plugin.stop)(self.instance) }
    }

    pub(crate) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Message of the last error.
    pub(crate) fn error(&self) -> String {
        self.heard().error.1.clone()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // SAFETY: this is the last call for the instance; none is fine too.
        unsafe { (self.plugin.destroy)(self.instance) };
    }
}

/// Appends to the String behind `out`.
///
/// # Safety
/// `out` is a String that lives, and the piece is valid for the call.
pub(crate) unsafe extern "C" fn write(out: *mut c_void, piece: Str) {
    // SAFETY: `out` is a String that lives, and the piece is valid for the call.
    let (out, piece) = unsafe { (&mut *out.cast::<String>(), text(piece)) };
    out.push_str(&piece);
}

fn host_of(heard: &Arc<Mutex<Heard>>) -> Host {
    Host {
        struct_size: struct_size::<Host>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        ctx: Arc::as_ptr(heard).cast_mut().cast(),
        define_metric,
        define_series,
        retire_series,
        push,
        log,
        cancelled,
        set_error,
        now_mono_ns,
        push_histogram,
        emit_event,
        position: Str::new(""),
    }
}

/// # Safety
/// As for [`Str::as_bytes`].
unsafe fn text(text: Str) -> String {
    // SAFETY: as promised by the caller.
    String::from_utf8(unsafe { text.as_bytes() }.to_vec()).expect("the SDK writes UTF-8")
}

/// # Safety
/// `at` points at `count` values that are valid for the call, or `count` is 0.
unsafe fn list<'a, T>(at: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: as promised by the caller.
    unsafe { slice::from_raw_parts(at, count) }
}

/// # Safety
/// `ctx` is the one of [`host_of`], and what is behind it lives.
unsafe fn heard<'a>(ctx: *mut c_void) -> MutexGuard<'a, Heard> {
    // SAFETY: as promised by the caller.
    let heard = unsafe { &*ctx.cast::<Mutex<Heard>>() };
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next(length: usize) -> u32 {
    u32::try_from(length).expect("tests are short")
}

unsafe extern "C" fn define_metric(ctx: *mut c_void, metric: *const Metric, id: *mut u32) -> i32 {
    // SAFETY: everything that the plugin hands over is valid for the call.
    unsafe {
        let metric = *metric;
        let bounds = list(metric.bounds, metric.bound_count).to_vec();
        let mut heard = heard(ctx);
        *id = next(heard.metrics.len());
        (heard.metrics).push((text(metric.name), metric.kind, bounds));
    }
    abi::OK
}

unsafe extern "C" fn define_series(
    ctx: *mut c_void,
    _metric: u32,
    values: *const Str,
    count: usize,
    id: *mut u32,
) -> i32 {
    // SAFETY: everything that the plugin hands over is valid for the call.
    unsafe {
        let values = list(values, count).iter().map(|value| text(*value));
        let mut heard = heard(ctx);
        if heard.series_code != abi::OK {
            return heard.series_code;
        }
        *id = next(heard.series.len());
        heard.series.push(values.collect());
    }
    abi::OK
}

unsafe extern "C" fn retire_series(ctx: *mut c_void, series: u32) -> i32 {
    // SAFETY: the plugin passes `ctx` back.
    unsafe { heard(ctx) }.retired.push(series);
    abi::OK
}

unsafe extern "C" fn push(ctx: *mut c_void, samples: *const Sample, count: usize) -> i32 {
    // SAFETY: everything that the plugin hands over is valid for the call.
    let (mut heard, samples) = unsafe { (heard(ctx), list(samples, count)) };
    let pairs = samples.iter().map(|sample| (sample.series, sample.value));
    heard.samples.extend(pairs);
    abi::OK
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: Str) {
    // SAFETY: everything that the plugin hands over is valid for the call.
    let (mut heard, message) = unsafe { (heard(ctx), text(message)) };
    heard.log.push((level, message));
}

unsafe extern "C" fn cancelled(ctx: *mut c_void) -> i32 {
    // SAFETY: the plugin passes `ctx` back.
    i32::from(unsafe { heard(ctx) }.cancelled)
}

unsafe extern "C" fn set_error(ctx: *mut c_void, field: Str, message: Str) {
    // SAFETY: everything that the plugin hands over is valid for the call.
    unsafe { heard(ctx).error = (text(field), text(message)) };
}

unsafe extern "C" fn now_mono_ns(_ctx: *mut c_void) -> u64 {
    0
}

unsafe extern "C" fn push_histogram(
    ctx: *mut c_void,
    histograms: *const abi::Histogram,
    count: usize,
) -> i32 {
    // SAFETY: everything that the plugin hands over is valid for the call.
    let (mut heard, histograms) = unsafe { (heard(ctx), list(histograms, count)) };
    for one in histograms {
        // SAFETY: as above.
        let counts = unsafe { list(one.counts, one.count) }.to_vec();
        heard.histograms.push((one.series, counts, one.sum));
    }
    abi::OK
}

unsafe extern "C" fn emit_event(ctx: *mut c_void, event: *const abi::Event) -> i32 {
    // SAFETY: everything that the plugin hands over is valid for the call.
    let (mut heard, event) = unsafe { (heard(ctx), *event) };
    if !heard.event_codes.is_empty() {
        let code = heard.event_codes.remove(0);
        if code != abi::OK {
            return code;
        }
    }
    // SAFETY: as above.
    heard.events.push(unsafe {
        HeardEvent {
            level: event.level,
            at_ms: event.at_ms,
            name: text(event.name),
            data: text(event.data),
            position: text(event.position),
        }
    });
    abi::OK
}
