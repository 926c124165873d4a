//! The functions that the host offers to a plugin: the C side of [`super::host`].
//!
//! Each checks everything that it is given, since the caller may be written in any language, acts on the
//! [`Context`] and answers with a code of the ABI. What it does not take is counted with the reason, for the
//! operator. No panic leaves them: each runs behind a guard.

use std::ffi::c_void;

use barograph_sdk::abi;
use serde_json::{Map, Value};

use super::events;
use super::host::refusal::{Refusal, Why};
use super::host::registry::{BOUNDS_MAX, Declaration};
use super::host::{self, Context};
use super::link::{self, MetricDefinition, PluginEvent};
use crate::catalog::{ChartHint, Kind, NAME_BYTES_MAX};
use borrow::{Flaw, Reading};

mod borrow;
#[cfg(test)]
mod tests;

/// Bytes of a help text, a log line or an error.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// The table for `create`; `context` lives as long as the process.
pub(super) fn table(context: &'static Context, position: &'static str) -> abi::Host {
    abi::Host {
        struct_size: struct_size::<abi::Host>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        ctx: std::ptr::from_ref(context).cast_mut().cast(),
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
        position: abi::Str::new(position),
    }
}

/// Value of a struct's first field.
pub(super) fn struct_size<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("the ABI's structs are small")
}

/// Copies a constant of a plugin.
///
/// # Safety
/// As [`abi::Str::as_bytes`].
pub(super) unsafe fn constant(text: abi::Str) -> String {
    // SAFETY: the caller vouches for it.
    unsafe { borrow::text(text, NAME_BYTES_MAX) }.0
}

/// The context behind `ctx`. A plugin that hands over something else, as its host's table, is refused.
///
/// # Safety
/// `ctx` is the one of [`table`], or eight bytes of something else can be read there.
unsafe fn context<'a>(ctx: *mut c_void) -> Option<&'a Context> {
    let context = ctx.cast_const().cast::<Context>();
    if context.is_null() || !context.is_aligned() {
        return None;
    }
    // SAFETY: the caller vouches for eight bytes, and a context begins with its mark.
    let mark = unsafe { context.cast::<u64>().read() };
    // SAFETY: it is a context, and none is ever freed.
    (mark == Context::MARK).then(|| unsafe { &*context })
}

/// Runs one call; a panic in it would unwind into foreign frames, so it becomes a code.
fn guarded(ctx: *mut c_void, call: impl FnOnce(&Context) -> Result<(), Refusal>) -> i32 {
    let run = || {
        // SAFETY: the header has the plugin hand over the table's `ctx`.
        let context = unsafe { context(ctx) }.ok_or_else(Refusal::ended)?;
        call(context).inspect_err(|refusal| {
            if refusal.why != Why::Fine {
                context.note(|registry| registry.words_of(&refusal.why));
            }
        })
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(Ok(())) => abi::OK,
        Ok(Err(refusal)) => refusal.code,
        Err(_) => abi::E_FATAL,
    }
}

unsafe extern "C" fn define_metric(
    ctx: *mut c_void,
    metric: *const abi::Metric,
    id: *mut u32,
) -> i32 {
    guarded(ctx, |context| {
        // SAFETY: the metric and its strings are borrowed for the call by the contract.
        let (declaration, flaws) = unsafe {
            let metric = borrow::sized(metric, "define_metric: the metric")?;
            declaration(&metric)?
        };
        let place = borrow::place(id, "define_metric")?;
        let made = context.declare(|registry, out| registry.metric(declaration, out))?;
        for (what, flaw) in flaws {
            context.note(|_| format!("{what} {flaw}"));
        }
        // SAFETY: it is not null, and a place for one id by the contract.
        unsafe { place.write_unaligned(made) };
        Ok(())
    })
}

/// What was wrong with a text, and with which.
type Flaws = Vec<(String, Flaw)>;

/// # Safety
/// Everything that `metric` points at is borrowed for the call.
unsafe fn declaration(metric: &abi::Metric) -> Result<(Declaration, Flaws), Refusal> {
    let mut reading = Reading::default();
    // SAFETY: the caller vouches for the strings, here and below.
    let name = unsafe { reading.text("the name", metric.name, NAME_BYTES_MAX) };
    let wrong = |what| Refusal::config(format!("metric `{name}` has an {what}"));
    let histogram = metric.kind == abi::KIND_HISTOGRAM;
    let kind = if histogram {
        Kind::Counter
    } else {
        link::kind(metric.kind).map_err(|_| wrong("unknown kind"))?
    };
    let bounds = if histogram {
        let what = format!("histogram `{name}`: its bounds");
        // SAFETY: as above.
        unsafe { borrow::numbers(metric.bounds, metric.bound_count, BOUNDS_MAX, &what)? }
    } else {
        Vec::new()
    };
    if histogram && bounds.is_empty() {
        let why = format!("histogram `{name}` has no bounds; give it 1 to {BOUNDS_MAX}");
        return Err(Refusal::config(why));
    }
    let unit = link::unit(metric.unit).map_err(|_| wrong("unknown unit"))?;
    let tier = link::tier(metric.tier).map_err(|_| wrong("unknown tier"))?;
    let style = link::style(metric.chart_style).map_err(|_| wrong("unknown chart style"))?;
    // SAFETY: as above.
    let definition = unsafe {
        let what = format!("metric `{name}`: its labels");
        MetricDefinition {
            help: reading.text("the help", metric.help, TEXT_BYTES_MAX),
            otel: reading.text("the OpenTelemetry name", metric.otel, NAME_BYTES_MAX),
            kind,
            unit,
            tier,
            labels: reading.texts("a label name", metric.labels, metric.label_count, &what)?,
            chart: ChartHint {
                section: reading.text("the section", metric.chart_section, NAME_BYTES_MAX),
                title: reading.text("the chart title", metric.chart_title, NAME_BYTES_MAX),
                style,
                overview: metric.flags & abi::METRIC_OVERVIEW != 0,
            },
            name: name.clone(),
        }
    };
    let flaws = reading.flaws.into_iter();
    let flaws = flaws.map(|(what, flaw)| (format!("{what} of metric `{name}`"), flaw));
    Ok((Declaration { definition, bounds }, flaws.collect()))
}

unsafe extern "C" fn define_series(
    ctx: *mut c_void,
    metric: u32,
    values: *const abi::Str,
    count: usize,
    id: *mut u32,
) -> i32 {
    guarded(ctx, |context| {
        let mut reading = Reading::default();
        let what = "define_series: the label values";
        // SAFETY: the values are borrowed for the call by the contract.
        let values = unsafe { reading.texts("a label value", values, count, what)? };
        let place = borrow::place(id, "define_series")?;
        let made = context.declare(|registry, out| registry.series(metric, values, out))?;
        for (what, flaw) in reading.flaws {
            context.note(|registry| {
                let name = registry.name(metric);
                format!("{what} of metric `{name}` {flaw}")
            });
        }
        // SAFETY: it is not null, and a place for one id by the contract.
        unsafe { place.write_unaligned(made) };
        Ok(())
    })
}

unsafe extern "C" fn retire_series(ctx: *mut c_void, series: u32) -> i32 {
    guarded(ctx, |context| {
        context.declare(|registry, out| registry.retire(series, out))
    })
}

unsafe extern "C" fn push(ctx: *mut c_void, samples: *const abi::Sample, count: usize) -> i32 {
    guarded(ctx, |context| {
        // SAFETY: `count` samples are borrowed for the call by the contract.
        let samples = unsafe { borrow::array(samples, count, "push: the samples")? };
        context.push(samples.map(|sample| (sample.series, sample.value)))
    })
}

unsafe extern "C" fn push_histogram(
    ctx: *mut c_void,
    histograms: *const abi::Histogram,
    count: usize,
) -> i32 {
    guarded(ctx, |context| {
        let what = "push_histogram: the histograms";
        // SAFETY: `count` histograms are borrowed for the call by the contract.
        let histograms = unsafe { borrow::array(histograms, count, what)? };
        for abi::Histogram {
            series,
            sum,
            counts,
            count,
            ..
        } in histograms
        {
            let what = "push_histogram: the counts";
            // SAFETY: so are the counts of each; more than the most buckets are told apart, and not read.
            let counts = unsafe { borrow::array(counts, count.min(BOUNDS_MAX + 2), what)? };
            let counts: Vec<u64> = counts.collect();
            context.push_histogram(series, sum, &counts)?;
        }
        Ok(())
    })
}

unsafe extern "C" fn emit_event(ctx: *mut c_void, event: *const abi::Event) -> i32 {
    guarded(ctx, |context| {
        // SAFETY: the event and its strings are borrowed for the call by the contract.
        let event = unsafe {
            let event = borrow::sized(event, "emit_event: the event")?;
            checked(&event)?
        };
        context.emit(event)
    })
}

/// # Safety
/// Every string of `event` is borrowed for the call.
unsafe fn checked(event: &abi::Event) -> Result<PluginEvent, Refusal> {
    // A changed name or position would be worse than none, so nothing of an event is cut or replaced.
    let whole = |what: &str, text: abi::Str, bytes_max: usize| {
        // SAFETY: the caller vouches for the strings.
        match unsafe { borrow::text(text, bytes_max) } {
            (text, None) => Ok(text),
            (_, Some(Flaw::Cut(_))) => Err(Refusal::config(format!(
                "an event whose {what} is longer than {bytes_max} bytes"
            ))),
            (_, Some(flaw)) => Err(Refusal::config(format!("an event whose {what} {flaw}"))),
        }
    };
    let name = whole("name", event.name, events::NAME_BYTES_MAX)?;
    if !events::is_name(&name) {
        return Err(Refusal::config(format!(
            "the event name `{name}` is not of the form [a-z][a-z0-9_-]*"
        )));
    }
    let data = whole("data", event.data, events::DATA_BYTES_MAX)?;
    if !data.is_empty()
        && let Err(error) = serde_json::from_str::<Map<String, Value>>(&data)
    {
        return Err(Refusal::config(format!(
            "the data of event `{name}` is no JSON object: {error}"
        )));
    }
    let position = whole("position", event.position, events::POSITION_BYTES_MAX)?;
    let level = u8::try_from(event.level).ok();
    let level = level.filter(|level| usize::from(*level) < abi::LOG_LEVELS.len());
    let Some(level) = level else {
        let level = event.level;
        return Err(Refusal::config(format!(
            "event `{name}` has the unknown level {level}"
        )));
    };
    Ok(PluginEvent {
        sequence: 0,
        level,
        at_ms: event.at_ms,
        name,
        data,
        position,
    })
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: abi::Str) {
    guarded(ctx, |context| {
        // SAFETY: the message is borrowed for the call by the contract.
        let message = unsafe { spoken(context, "a log line", message) };
        let last = abi::LOG_LEVELS.len() - 1;
        let level = u8::try_from((level as usize).min(last)).unwrap_or_default();
        context.log(level, message)
    });
}

unsafe extern "C" fn cancelled(ctx: *mut c_void) -> i32 {
    // SAFETY: `ctx` is the table's own by the contract.
    let context = unsafe { context(ctx) };
    i32::from(context.is_none_or(Context::cancelled))
}

unsafe extern "C" fn set_error(ctx: *mut c_void, field: abi::Str, message: abi::Str) {
    guarded(ctx, |context| {
        // SAFETY: both texts are borrowed for the call by the contract.
        let (field, message) = unsafe {
            (
                spoken(context, "the key of an error", field),
                spoken(context, "an error's message", message),
            )
        };
        context.set_error(field, message)
    });
}

/// Copies a text for people: a long one is cut without a word.
///
/// # Safety
/// As [`abi::Str::as_bytes`].
unsafe fn spoken(context: &Context, what: &str, text: abi::Str) -> String {
    // SAFETY: the caller vouches for it.
    let (text, flaw) = unsafe { borrow::text(text, TEXT_BYTES_MAX) };
    if let Some(flaw) = flaw.filter(|flaw| !matches!(flaw, Flaw::Cut(_))) {
        context.note(|_| format!("{what} {flaw}"));
    }
    text
}

unsafe extern "C" fn now_mono_ns(_ctx: *mut c_void) -> u64 {
    host::now_mono_ns()
}

/// What `describe` and `lookup` write with; `out` is the context.
///
/// # Safety
/// As for every function of the table: the piece is borrowed for the call.
pub(super) unsafe extern "C" fn write(out: *mut c_void, piece: abi::Str) {
    guarded(out, |context| {
        // SAFETY: the piece is borrowed for the call by the contract.
        context.write(unsafe { borrow::bytes(piece, usize::MAX) });
        Ok(())
    });
}
