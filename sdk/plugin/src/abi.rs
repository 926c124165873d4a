//! The plugin ABI, version 1: what `include/barograph_plugin.h` says, as Rust types.
//!
//! The agent's plugin host and the SDK's [`export_collector!`](crate::export_collector) meet here and
//! nowhere else; authors of Rust collectors never see it. Every pointer is borrowed for the call, the
//! callee copies, and no memory is freed across the boundary. A struct begins with its own size, so a
//! minor version may only add fields at the tail, and a field is read only where `struct_size` covers it;
//! the small structs that are handed over in arrays ([`Sample`], [`Histogram`], [`Str`]) never change.
//! This file holds no logic but the layout and its assertions.

use std::ffi::c_void;

/// `BAROGPV1` read as a little-endian number: the first eight bytes of every plugin.
pub const MAGIC: u64 = u64::from_le_bytes(*b"BAROGPV1");
/// Must be the same on both sides.
pub const ABI_MAJOR: u16 = 1;
/// May differ: a higher one has more fields at the tail.
pub const ABI_MINOR: u16 = 0;
/// The data symbol that a plugin library exports, a [`Plugin`].
pub const SYMBOL: &[u8] = b"BAROGRAPH_PLUGIN_V1\0";
/// The ELF section with the lines `key=value\n` that `barograph plugin inspect` reads without running code.
pub const NOTE_SECTION: &str = ".barograph";

/// The call did what it was asked to.
pub const OK: i32 = 0;
/// A collect that keeps its samples and reports what it could not read.
pub const PARTIAL: i32 = 1;
/// A `reconfigure` that asks to be created anew.
pub const RESTART: i32 = 2;
/// The configuration can't be used; [`Host::set_error`] said why.
pub const E_CONFIG: i32 = -1;
/// The source does not answer; try again at the next tick.
pub const E_UNAVAILABLE: i32 = -2;
/// The source did not answer in time.
pub const E_TIMEOUT: i32 = -3;
/// The plugin panicked; the instance is not usable any more.
pub const E_PANIC: i32 = -4;
/// The instance can't go on and must be created anew.
pub const E_FATAL: i32 = -5;
/// The call came after `stop`, or declares or retires by an id that was never given. A sample with such an id is left
/// out of its call, see [`Host::push`].
pub const E_CLOSED: i32 = -6;
/// A bound was reached: series, labels, samples or the event queue.
pub const E_FULL: i32 = -7;

/// Kind of a metric: a value that goes up and down.
pub const KIND_GAUGE: u32 = 0;
/// Kind of a metric: a total that only grows, until its source restarts.
pub const KIND_COUNTER: u32 = 1;
/// Kind of a metric: how often values fell into each of its buckets, see [`Histogram`]. It is kept and shown as
/// three counters, `NAME_bucket` with the label `le`, `NAME_sum` and `NAME_count`, as Prometheus has them.
pub const KIND_HISTOGRAM: u32 = 2;

/// Bit of [`Plugin::features`]: it emits events.
pub const FEATURE_EVENTS: u64 = 1;
/// Bit of [`Plugin::features`]: [`Plugin::lookup`] is there.
pub const FEATURE_LOOKUP: u64 = 2;
/// The bits of [`Plugin::features`] that a host has to know to run the plugin; it may pass over the others.
pub const FEATURES_REQUIRED: u64 = 0xffff_ffff_0000_0000;

/// Bits of [`Tick::tiers`] (as shifts) and values of [`Metric::tier`]: 1 s, 5 s and 30 s.
pub const TIER_FAST: u32 = 0;
/// See [`TIER_FAST`].
pub const TIER_MEDIUM: u32 = 1;
/// See [`TIER_FAST`].
pub const TIER_SLOW: u32 = 2;

/// Bit of [`Metric::flags`]: the metric's chart also stands on the Overview.
pub const METRIC_OVERVIEW: u32 = 1;

/// Values of [`Metric::unit`], in this order: count, bytes, seconds, ratio (0..1), hertz, celsius,
/// packets, operations, info (the value is always 1 and the labels are the information).
pub const UNITS: [&str; 9] = [
    "count",
    "bytes",
    "seconds",
    "ratio",
    "hertz",
    "celsius",
    "packets",
    "operations",
    "info",
];
/// Values of [`Metric::chart_style`], in this order.
pub const CHART_STYLES: [&str; 4] = ["line", "area", "stacked", "none"];
/// Values of the level given to [`Host::log`], in this order.
pub const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Borrowed UTF-8 of `len` bytes, not terminated; `ptr` may be null where `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// First byte.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

/// Declares a metric: one name, many series.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// `sizeof` of the struct that the plugin was built with.
    pub struct_size: u32,
    /// `KIND_GAUGE`, `KIND_COUNTER` or `KIND_HISTOGRAM`.
    pub kind: u32,
    /// Index into [`UNITS`].
    pub unit: u32,
    /// How often it is sampled: `TIER_FAST`, `TIER_MEDIUM` or `TIER_SLOW`.
    pub tier: u32,
    /// `METRIC_…` bits.
    pub flags: u32,
    /// Index into [`CHART_STYLES`].
    pub chart_style: u32,
    /// Prometheus-style name with its base unit, `[a-z][a-z0-9_]*`, at most 256 bytes, 249 for a histogram.
    ///
    /// What the agent says itself is refused with [`E_CONFIG`]: names that begin with `barograph_`, and the
    /// plugin's topic with `_up` or `_collect_seconds` behind it. With the topic of another collector before
    /// that, the metric has no samples.
    pub name: Str,
    /// One sentence for people.
    pub help: Str,
    /// The OpenTelemetry name, or empty.
    pub otel: Str,
    /// Heading under which the page draws it.
    pub chart_section: Str,
    /// Metrics of one section with the same title share a chart.
    pub chart_title: Str,
    /// Label names, at most 16, and 15 for a histogram.
    pub labels: *const Str,
    /// Number of label names.
    pub label_count: usize,
    /// Upper bounds of a histogram's buckets, finite and ascending; the last bucket, without a bound, is not
    /// among them. Null for other kinds.
    pub bounds: *const f64,
    /// Number of bounds, 1 to 64 for a histogram.
    pub bound_count: usize,
}

/// One value of one series.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Id from [`Host::define_series`].
    pub series: u32,
    /// Zero; bits are kept for later.
    pub flags: u32,
    /// In the metric's unit; a counter's is its cumulative total.
    pub value: f64,
}

/// The counts of one series of a histogram.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    /// Id from [`Host::define_series`].
    pub series: u32,
    /// Zero; bits are kept for later.
    pub flags: u32,
    /// Of all values so far, in the metric's unit.
    pub sum: f64,
    /// For each bucket how many values fell into it so far: above the bound before its own, up to its own. A
    /// value is in one bucket only.
    pub counts: *const u64,
    /// One more than the metric has bounds.
    pub count: usize,
}

/// Something that happened, between ticks or in one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// `sizeof` of the struct that the plugin was built with.
    pub struct_size: u32,
    /// How bad it is: an index into [`LOG_LEVELS`].
    pub level: u32,
    /// When it happened, Unix milliseconds; 0 for now.
    pub at_ms: i64,
    /// What happened, `[a-z][a-z0-9_-]*`, at most 64 bytes.
    pub name: Str,
    /// The particulars: a JSON object of at most 16 kB, or empty.
    pub data: Str,
    /// Where its source stands after it, in the plugin's own words, at most 256 bytes; empty leaves the position
    /// as it is. The agent keeps it together with the event and hands the last one to the next `create`.
    pub position: Str,
}

/// What a collect is asked for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// `sizeof` of the struct that the host was built with.
    pub struct_size: u32,
    /// Bit `1 << TIER_…` for each tier that is due.
    pub tiers: u32,
    /// Counts up by one a tick; a gap is a missed tick.
    pub number: u64,
    /// Wall time of the tick, Unix milliseconds.
    pub at_ms: i64,
    /// When the host gives up, on the clock of [`Host::now_mono_ns`].
    pub deadline_ns: u64,
}

/// What the host offers to a plugin. Valid until `destroy` returns.
///
/// `define_metric`, `define_series` and `retire_series` are called from `create`, `start` or `collect` only;
/// `push`, `push_histogram`, `emit_event`, `log`, `cancelled`, `set_error` and `now_mono_ns` from any thread
/// until `stop` returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// `sizeof` of the struct that the host was built with.
    pub struct_size: u32,
    /// [`ABI_MAJOR`] of the host.
    pub abi_major: u16,
    /// [`ABI_MINOR`] of the host.
    pub abi_minor: u16,
    /// First argument of every function below.
    pub ctx: *mut c_void,
    /// Declares a metric and gives its id. Declaring the same name again gives the same id.
    pub define_metric:
        unsafe extern "C" fn(ctx: *mut c_void, metric: *const Metric, id: *mut u32) -> i32,
    /// Declares a series by its label values, in the order of the metric's label names.
    pub define_series: unsafe extern "C" fn(
        ctx: *mut c_void,
        metric: u32,
        values: *const Str,
        count: usize,
        id: *mut u32,
    ) -> i32,
    /// Says that a series will not come again. Its id is never reused.
    pub retire_series: unsafe extern "C" fn(ctx: *mut c_void, series: u32) -> i32,
    /// Adds samples to the running collect; they count only if it succeeds.
    ///
    /// Each is taken or left out for itself, so that a bad one costs none of the others, and the answer is
    /// [`OK`] all the same: a series that was never given or is retired, one of a histogram, a value that is not
    /// finite. What is left out is counted, and the operator is told the reason. The whole call is refused with
    /// [`E_CLOSED`] after `stop`, with [`E_CONFIG`] where the samples are null, and with [`E_FULL`]
    /// where the tick would have more than two samples for each series that the instance may have.
    pub push: unsafe extern "C" fn(ctx: *mut c_void, samples: *const Sample, count: usize) -> i32,
    /// Writes to the agent's log; `level` is an index into [`LOG_LEVELS`].
    pub log: unsafe extern "C" fn(ctx: *mut c_void, level: u32, message: Str),
    /// 1 when the host has given up on the running call, else 0.
    pub cancelled: unsafe extern "C" fn(ctx: *mut c_void) -> i32,
    /// Why the running call is about to fail; `field` is the dotted path of a configuration key, or empty.
    pub set_error: unsafe extern "C" fn(ctx: *mut c_void, field: Str, message: Str),
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub now_mono_ns: unsafe extern "C" fn(ctx: *mut c_void) -> u64,
    /// Adds histograms to the running collect, as [`Host::push`] does samples. One of a series that is no
    /// histogram's, or with another number of counts than there are buckets, is left out and the answer is
    /// [`OK`]. Where it is [`E_FULL`], or [`E_CONFIG`] for counts that are null, those before
    /// it were taken.
    pub push_histogram:
        unsafe extern "C" fn(ctx: *mut c_void, histograms: *const Histogram, count: usize) -> i32,
    /// Hands over an event. On [`E_FULL`] the agent is behind: the plugin keeps the event, stops reading its source
    /// and tries again later, so that nothing is lost.
    pub emit_event: unsafe extern "C" fn(ctx: *mut c_void, event: *const Event) -> i32,
    /// Position of the last event that was stored, or empty: from there `create` reads its source on.
    pub position: Str,
}

/// Receives what [`Plugin::describe`] writes, in one or more pieces.
pub type Write = unsafe extern "C" fn(out: *mut c_void, piece: Str);

/// What a plugin library exports under [`SYMBOL`]. Calls for one instance never overlap.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    /// [`MAGIC`].
    pub magic: u64,
    /// `sizeof` of the struct that the plugin was built with.
    pub struct_size: u32,
    /// Must equal the host's.
    pub abi_major: u16,
    /// May differ from the host's.
    pub abi_minor: u16,
    /// `FEATURE_…` bits.
    pub features: u64,
    /// Name in `config.toml`: `[plugins.NAME]`.
    pub name: Str,
    /// Topic under which its metrics are streamed.
    pub topic: Str,
    /// Version of the plugin.
    pub version: Str,
    /// Writes the manifest as JSON, with the JSON Schema of the configuration under `config`. The host calls it at
    /// each start, and hands over no configuration that the schema refuses.
    pub describe: unsafe extern "C" fn(out: *mut c_void, write: Write) -> i32,
    /// Checks a configuration (JSON) without side effects.
    pub check_config: unsafe extern "C" fn(host: *const Host, config: Str) -> i32,
    /// Makes an instance.
    pub create:
        unsafe extern "C" fn(host: *const Host, config: Str, instance: *mut *mut c_void) -> i32,
    /// Called once after `create`.
    pub start: unsafe extern "C" fn(instance: *mut c_void) -> i32,
    /// Samples what is due and pushes it.
    pub collect: unsafe extern "C" fn(instance: *mut c_void, tick: *const Tick) -> i32,
    /// Takes a new configuration, or asks for a restart.
    pub reconfigure: unsafe extern "C" fn(instance: *mut c_void, config: Str) -> i32,
    /// Ends all threads of the instance; nothing calls the host after it.
    pub stop: unsafe extern "C" fn(instance: *mut c_void) -> i32,
    /// Frees the instance.
    pub destroy: unsafe extern "C" fn(instance: *mut c_void),
    /// Answers a lookup that the operator named in the configuration, with one JSON value; `parameter` is only
    /// ever bound, never part of a query's text. [`E_CONFIG`] for a name that it does not know. A collect waits for
    /// it, so it is given up after 500 ms, or half the interval, which [`Host::cancelled`] says; one that does not
    /// return then is ended with its process. Null without [`FEATURE_LOOKUP`].
    pub lookup: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            name: Str,
            parameter: Str,
            out: *mut c_void,
            write: Write,
        ) -> i32,
    >,
}

/// What [`Plugin::lookup`] points at. The field has the type written out, as the header's generator takes a
/// function behind a name and an `Option` for a struct.
pub type Lookup = unsafe extern "C" fn(
    instance: *mut c_void,
    name: Str,
    parameter: Str,
    out: *mut c_void,
    write: Write,
) -> i32;

// SAFETY: the strings point at constants of the plugin's library, which is never unloaded.
unsafe impl Sync for Plugin {}

impl Str {
    /// Borrows `text` for a call.
    pub const fn new(text: &str) -> Self {
        Self {
            ptr: text.as_ptr(),
            len: text.len(),
        }
    }

    /// Borrows the bytes back.
    ///
    /// # Safety
    /// `ptr` points at `len` readable bytes that live for `'a`, or `len` is 0.
    pub const unsafe fn as_bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 || self.ptr.is_null() {
            return &[];
        }
        // SAFETY: the caller vouches for pointer, length and lifetime.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

// The layout is a contract with libraries that are built elsewhere: a change here fails to compile.
#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::offset_of;

    macro_rules! layout {
        ($($name:ident, $bytes:literal: { $($field:ident $at:literal),* })*) => {$(
            assert!(size_of::<$name>() == $bytes);
            $(assert!(offset_of!($name, $field) == $at);)*
            // The pattern names every field, so that none is without its place above.
            let _ = |$name { $($field: _),* }: $name| ();
        )*};
    }

    layout! {
        Str, 16: { ptr 0, len 8 }
        Metric, 136: {
            struct_size 0, kind 4, unit 8, tier 12, flags 16, chart_style 20, name 24, help 40, otel 56,
            chart_section 72, chart_title 88, labels 104, label_count 112, bounds 120, bound_count 128
        }
        Sample, 16: { series 0, flags 4, value 8 }
        Histogram, 32: { series 0, flags 4, sum 8, counts 16, count 24 }
        Event, 64: { struct_size 0, level 4, at_ms 8, name 16, data 32, position 48 }
        Tick, 32: { struct_size 0, tiers 4, number 8, at_ms 16, deadline_ns 24 }
        Host, 112: {
            struct_size 0, abi_major 4, abi_minor 6, ctx 8, define_metric 16, define_series 24,
            retire_series 32, push 40, log 48, cancelled 56, set_error 64, now_mono_ns 72,
            push_histogram 80, emit_event 88, position 96
        }
        Plugin, 144: {
            magic 0, struct_size 8, abi_major 12, abi_minor 14, features 16, name 24, topic 40,
            version 56, describe 72, check_config 80, create 88, start 96, collect 104,
            reconfigure 112, stop 120, destroy 128, lookup 136
        }
    }
};
