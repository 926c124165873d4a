//! The plugin ABI, version 1: what `include/barograph_plugin.h` says, as Rust types.
//!
//! The agent's plugin host and the SDK's [`export_collector!`](crate::export_collector) meet here and
//! nowhere else; authors of Rust collectors never see it. Every pointer is borrowed for the call, the
//! callee copies, and no memory is freed across the boundary. A struct begins with its own size, so a
//! minor version may only add fields at the tail, and a field is read only where `struct_size` covers it.
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
/// The call came after `stop`, or with an id that was never given.
pub const E_CLOSED: i32 = -6;
/// A bound was reached: series, labels, samples or the event queue.
pub const E_FULL: i32 = -7;

/// Kind of a metric: a value that goes up and down.
pub const KIND_GAUGE: u32 = 0;
/// Kind of a metric: a total that only grows, until its source restarts.
pub const KIND_COUNTER: u32 = 1;

/// Bits of [`Tick::tiers`] and values of [`Metric::tier`] (as shifts): 1 s, 5 s and 30 s.
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
    /// `KIND_GAUGE` or `KIND_COUNTER`.
    pub kind: u32,
    /// Index into [`UNITS`].
    pub unit: u32,
    /// How often it is sampled: `TIER_FAST`, `TIER_MEDIUM` or `TIER_SLOW`.
    pub tier: u32,
    /// `METRIC_…` bits.
    pub flags: u32,
    /// Index into [`CHART_STYLES`].
    pub chart_style: u32,
    /// Prometheus-style name with its base unit, `[a-z][a-z0-9_]*`.
    pub name: Str,
    /// One sentence for people.
    pub help: Str,
    /// The OpenTelemetry name, or empty.
    pub otel: Str,
    /// Heading under which the page draws it.
    pub chart_section: Str,
    /// Metrics of one section with the same title share a chart.
    pub chart_title: Str,
    /// Label names.
    pub labels: *const Str,
    /// Number of label names.
    pub label_count: usize,
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
/// `push`, `log`, `cancelled`, `set_error` and `now_mono_ns` from any thread until `stop` returns.
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
    pub push: unsafe extern "C" fn(ctx: *mut c_void, samples: *const Sample, count: usize) -> i32,
    /// Writes to the agent's log; `level` is an index into [`LOG_LEVELS`].
    pub log: unsafe extern "C" fn(ctx: *mut c_void, level: u32, message: Str),
    /// 1 when the host has given up on the running call, else 0.
    pub cancelled: unsafe extern "C" fn(ctx: *mut c_void) -> i32,
    /// Why the running call is about to fail; `field` is the dotted path of a configuration key, or empty.
    pub set_error: unsafe extern "C" fn(ctx: *mut c_void, field: Str, message: Str),
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub now_mono_ns: unsafe extern "C" fn(ctx: *mut c_void) -> u64,
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
    /// Bits of optional abilities; none are defined in 1.0.
    pub features: u64,
    /// Name in `config.toml`: `[plugins.NAME]`.
    pub name: Str,
    /// Topic under which its metrics are streamed.
    pub topic: Str,
    /// Version of the plugin.
    pub version: Str,
    /// Writes the manifest as JSON, with the JSON Schema of the configuration under `config`.
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
}

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
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Str>() == 16);
    assert!(size_of::<Sample>() == 16 && offset_of!(Sample, value) == 8);
    assert!(size_of::<Metric>() == 120 && offset_of!(Metric, name) == 24);
    assert!(size_of::<Tick>() == 32 && offset_of!(Tick, at_ms) == 16);
    assert!(size_of::<Host>() == 80 && offset_of!(Host, define_metric) == 16);
    assert!(size_of::<Plugin>() == 136 && offset_of!(Plugin, describe) == 72);
};
