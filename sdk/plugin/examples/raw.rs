//! A fixture without the SDK's care: a hand-written table whose calls break the contract.
//!
//! `fault` and `trigger` are as in `faulty.rs`, which has the other faults. What the host answers to the calls of
//! `push-after-stop` goes to the file `answers`, as by then nobody listens to the instance any more.

use std::{ffi::c_void, fs, mem::size_of, path::PathBuf, ptr, thread, time::Duration};

use barograph_sdk::abi::{self, Host, Metric, Plugin, Sample, Str, Tick, Write};
use serde::Deserialize;

const MANIFEST: &str = concat!(
    r#"{"name":"raw","topic":"raw","version":"0.1.0","needs":[],"#,
    r#""config":{"type":"object","properties":{"fault":{},"trigger":{},"answers":{},"names":{}}}}"#
);
/// How long an instance goes on pushing once it was stopped.
const AFTER_STOP: Duration = Duration::from_millis(200);
const PUSHES: usize = 100;
/// Bytes that are no UTF-8: a start without its continuation, and one that never begins anything.
const NO_TEXT: [u8; 4] = [b'a', 0xc3, b'(', 0xff];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    NotFinite,
    InvalidUtf8,
    GarbageIds,
    PushAfterStop,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    fault: Fault,
    trigger: Option<PathBuf>,
    answers: PathBuf,
    /// Of further metrics, whosoever they may be.
    names: Vec<String>,
}

struct Raw {
    host: Host,
    config: Config,
    metric: u32,
    series: u32,
    /// Of the further metrics.
    more: Vec<u32>,
    collects: u32,
}

// SAFETY: what the table points at may be called from any thread, by the contract.
unsafe impl Send for Raw {}

impl Raw {
    fn is_due(&self) -> bool {
        self.config
            .trigger
            .as_ref()
            .is_none_or(|trigger| fs::remove_file(trigger).is_ok())
    }

    fn define_metric(&self, name: Str, help: &str, id: &mut u32) -> i32 {
        let label = Str::new("of");
        let metric = Metric {
            struct_size: struct_size::<Metric>(),
            kind: abi::KIND_GAUGE,
            unit: 0,
            tier: abi::TIER_FAST,
            flags: 0,
            chart_style: 0,
            name,
            help: Str::new(help),
            otel: Str::new(""),
            chart_section: Str::new(""),
            chart_title: Str::new(""),
            labels: &raw const label,
            label_count: 1,
            bounds: ptr::null(),
            bound_count: 0,
        };
        // SAFETY: metric and place of the id are valid for the call.
        unsafe { (self.host.define_metric)(self.host.ctx, &raw const metric, id) }
    }

    fn define_series(&self, metric: u32, values: &[Str], id: &mut u32) -> i32 {
        let (count, values) = (values.len(), values.as_ptr());
        // SAFETY: values and place of the id are valid for the call.
        unsafe { (self.host.define_series)(self.host.ctx, metric, values, count, id) }
    }

    fn push(&self, series: u32, value: f64) -> i32 {
        let sample = Sample {
            series,
            flags: 0,
            value,
        };
        // SAFETY: one sample, valid for the call.
        unsafe { (self.host.push)(self.host.ctx, &raw const sample, 1) }
    }

    fn fail(&self) {
        match self.config.fault {
            Fault::None | Fault::PushAfterStop => {}
            Fault::NotFinite => {
                for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    self.push(self.series, value);
                }
            }
            Fault::InvalidUtf8 => self.write_no_text(),
            Fault::GarbageIds => self.use_garbage_ids(),
        }
    }

    fn write_no_text(&self) {
        let text = Str {
            ptr: NO_TEXT.as_ptr(),
            len: NO_TEXT.len(),
        };
        let mut id = 0;
        self.define_metric(text, "named by nothing that can be read", &mut id);
        if self.define_series(self.metric, &[text], &mut id) == abi::OK {
            self.push(id, 1.0);
        }
        // SAFETY: the text is valid for both calls.
        unsafe {
            (self.host.log)(self.host.ctx, 1, text);
            (self.host.set_error)(self.host.ctx, text, text);
        }
    }

    fn use_garbage_ids(&self) {
        let mut id = 0;
        for garbage in [self.series + 1, 0x5bad_1dea, u32::MAX] {
            self.push(garbage, 1.0);
            self.define_series(garbage, &[Str::new("of no metric")], &mut id);
            // SAFETY: the call takes no pointer but the host's own.
            unsafe { (self.host.retire_series)(self.host.ctx, garbage) };
        }
        // The right metric, with more labels than it has and with none.
        self.define_series(
            self.metric,
            &[Str::new("one"), Str::new("too many")],
            &mut id,
        );
        self.define_series(self.metric, &[], &mut id);
        // SAFETY: the contract has the host check for null before it reads; that it does is what is tested.
        unsafe {
            (self.host.push)(self.host.ctx, ptr::null(), 3);
            (self.host.define_metric)(self.host.ctx, ptr::null(), &raw mut id);
            (self.host.define_series)(self.host.ctx, self.metric, ptr::null(), 1, &raw mut id);
        }
    }

    /// Pushes on although it was stopped, and writes down what the host said to it.
    fn push_on(&self) {
        let codes: Vec<String> = (0..PUSHES)
            .map(|_| {
                thread::sleep(AFTER_STOP / u32::try_from(PUSHES).expect("a hundred"));
                self.push(self.series, 1.0).to_string()
            })
            .collect();
        // There is nobody left to tell of a failure; the test misses the file then.
        let _ = fs::write(&self.config.answers, codes.join("\n"));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the ABI's structs are small"
)]
const fn struct_size<T>() -> u32 {
    size_of::<T>() as u32
}

unsafe extern "C" fn describe(out: *mut c_void, write: Write) -> i32 {
    // SAFETY: `out` is handed back untouched, the text is a constant.
    unsafe { write(out, Str::new(MANIFEST)) };
    abi::OK
}

unsafe extern "C" fn check_config(_host: *const Host, _config: Str) -> i32 {
    abi::OK
}

unsafe extern "C" fn create(host: *const Host, config: Str, instance: *mut *mut c_void) -> i32 {
    // SAFETY: the contract has table and text valid for the call; both are copied.
    let (host, config) = unsafe { (*host, config.as_bytes()) };
    let Ok(config) = serde_json::from_slice(config) else {
        return abi::E_CONFIG;
    };
    let mut raw = Raw {
        host,
        config,
        metric: 0,
        series: 0,
        more: Vec::new(),
        collects: 0,
    };
    let names = std::mem::take(&mut raw.config.names);
    for name in ["raw_collects"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
    {
        let (mut metric, mut series) = (0, 0);
        let mut code = raw.define_metric(Str::new(name), "Collects so far.", &mut metric);
        if code == abi::OK {
            code = raw.define_series(metric, &[Str::new("whole")], &mut series);
        }
        if code != abi::OK {
            return code;
        }
        if name == "raw_collects" {
            (raw.metric, raw.series) = (metric, series);
        } else {
            raw.more.push(series);
        }
    }
    // SAFETY: the contract has `instance` point at a place for one pointer.
    unsafe { *instance = Box::into_raw(Box::new(raw)).cast() };
    abi::OK
}

unsafe extern "C" fn nothing(_instance: *mut c_void) -> i32 {
    abi::OK
}

unsafe extern "C" fn collect(instance: *mut c_void, _tick: *const Tick) -> i32 {
    // SAFETY: `instance` came from `create`, was not destroyed, and calls for it never overlap.
    let raw = unsafe { &mut *instance.cast::<Raw>() };
    raw.collects += 1;
    if raw.is_due() {
        raw.fail();
    }
    for series in &raw.more {
        raw.push(*series, 7.0);
    }
    raw.push(raw.series, raw.collects.into())
}

unsafe extern "C" fn reconfigure(_instance: *mut c_void, _config: Str) -> i32 {
    abi::RESTART
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    // SAFETY: `instance` came from `create`, and this is the last call for it.
    let raw = unsafe { Box::from_raw(instance.cast::<Raw>()) };
    if raw.config.fault == Fault::PushAfterStop {
        let pushing = thread::spawn(move || raw.push_on());
        let _ = pushing.join();
    }
}

#[used]
#[unsafe(link_section = ".barograph")]
static NOTE: [u8; 41] = *b"abi=1.0\nname=raw\ntopic=raw\nversion=0.1.0\n";

#[unsafe(no_mangle)]
pub static BAROGRAPH_PLUGIN_V1: Plugin = Plugin {
    magic: abi::MAGIC,
    struct_size: struct_size::<Plugin>(),
    abi_major: abi::ABI_MAJOR,
    abi_minor: abi::ABI_MINOR,
    features: 0,
    name: Str::new("raw"),
    topic: Str::new("raw"),
    version: Str::new("0.1.0"),
    describe,
    check_config,
    create,
    start: nothing,
    collect,
    reconfigure,
    stop: nothing,
    destroy,
    lookup: None,
};
