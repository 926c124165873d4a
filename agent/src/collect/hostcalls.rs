//! The functions that the host offers to a plugin: the C side of [`super::host`].
//!
//! Each checks everything that it is given, since the caller may be written in any language, acts on the
//! [`Context`] and answers with a code of the ABI. No panic may leave them: each is a plain function on
//! checked values behind a guard.

use std::ffi::c_void;
use std::mem::size_of;
use std::sync::atomic::Ordering;

use barograph_sdk::abi;

use super::codec::LABELS_MAX;
use super::host::{self, Context};
use super::link::{self, MetricDefinition, ToAgent};
use crate::catalog::{ChartHint, METRICS_MAX, NAME_BYTES_MAX};

/// Bytes of a help text, a log line or an error.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Samples that one tick may push for each series that it may have.
const SAMPLES_PER_SERIES_MAX: usize = 2;

/// The table for `create`; `context` lives as long as the process.
pub(super) fn table(context: &'static Context) -> abi::Host {
    abi::Host {
        struct_size: u32::try_from(size_of::<abi::Host>()).expect("a struct of a few bytes"),
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
    }
}

/// The context behind `ctx`.
///
/// # Safety
/// `ctx` is the one of [`table`].
unsafe fn context<'a>(ctx: *mut c_void) -> Option<&'a Context> {
    // SAFETY: the caller vouches for it; the context is never freed.
    unsafe { ctx.cast::<Context>().as_ref() }
}

/// Runs one call; a panic in it would unwind into foreign frames, so it becomes a code.
fn guarded(call: impl FnOnce() -> Result<(), i32>) -> i32 {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) {
        Ok(Ok(())) => abi::OK,
        Ok(Err(code)) => code,
        Err(_) => abi::E_FATAL,
    }
}

/// Copies a borrowed string, cut at `max` bytes; bytes that are not UTF-8 are replaced.
///
/// # Safety
/// As [`abi::Str::as_bytes`].
unsafe fn text(text: abi::Str, max: usize) -> String {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { text.as_bytes() };
    String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned()
}

/// Copies an array of borrowed strings.
///
/// # Safety
/// `texts` points at `count` strings, or `count` is 0.
unsafe fn texts(texts: *const abi::Str, count: usize) -> Result<Vec<String>, i32> {
    if count > LABELS_MAX || (count > 0 && texts.is_null()) {
        return Err(abi::E_FULL);
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: not null, and the caller vouches for the count.
    let slice = unsafe { std::slice::from_raw_parts(texts, count) };
    // SAFETY: each is a borrowed string by the contract.
    Ok(slice
        .iter()
        .map(|part| unsafe { text(*part, NAME_BYTES_MAX) })
        .collect())
}

unsafe extern "C" fn define_metric(
    ctx: *mut c_void,
    metric: *const abi::Metric,
    id: *mut u32,
) -> i32 {
    guarded(|| {
        // SAFETY: pointers are borrowed for the call by the contract; null is refused here.
        let (context, metric, id) = unsafe {
            let size = metric.cast::<u32>().as_ref().ok_or(abi::E_CONFIG)?;
            if (*size as usize) < size_of::<abi::Metric>() {
                return Err(abi::E_CONFIG);
            }
            let id = id.as_mut().ok_or(abi::E_CONFIG)?;
            (context(ctx).ok_or(abi::E_CLOSED)?, &*metric, id)
        };
        // SAFETY: the strings are borrowed for the call by the contract.
        let definition = unsafe { definition(metric)? };
        let mut state = context.state();
        if let Some(known) = state
            .metrics
            .iter()
            .position(|(name, _)| *name == definition.name)
        {
            *id = u32::try_from(known).map_err(|_| abi::E_FULL)?;
            return Ok(());
        }
        if state.metrics.len() >= METRICS_MAX {
            return Err(abi::E_FULL);
        }
        *id = u32::try_from(state.metrics.len()).map_err(|_| abi::E_FULL)?;
        state
            .metrics
            .push((definition.name.clone(), definition.labels.len()));
        drop(state);
        context.send(&ToAgent::Metric(Box::new(definition)));
        Ok(())
    })
}

/// # Safety
/// Every string of `metric` is borrowed for the call.
unsafe fn definition(metric: &abi::Metric) -> Result<MetricDefinition, i32> {
    let refuse = |_| abi::E_CONFIG;
    // SAFETY: the caller vouches for the strings.
    unsafe {
        Ok(MetricDefinition {
            name: text(metric.name, NAME_BYTES_MAX),
            help: text(metric.help, TEXT_BYTES_MAX),
            otel: text(metric.otel, NAME_BYTES_MAX),
            kind: link::kind(metric.kind).map_err(refuse)?,
            unit: link::unit(metric.unit).map_err(refuse)?,
            tier: link::tier(metric.tier).map_err(refuse)?,
            labels: texts(metric.labels, metric.label_count)?,
            chart: ChartHint {
                section: text(metric.chart_section, NAME_BYTES_MAX),
                title: text(metric.chart_title, NAME_BYTES_MAX),
                style: link::style(metric.chart_style).map_err(refuse)?,
                overview: metric.flags & abi::METRIC_OVERVIEW != 0,
            },
        })
    }
}

unsafe extern "C" fn define_series(
    ctx: *mut c_void,
    metric: u32,
    values: *const abi::Str,
    count: usize,
    id: *mut u32,
) -> i32 {
    guarded(|| {
        // SAFETY: borrowed for the call by the contract; null is refused here.
        let (context, values, id) = unsafe {
            let id = id.as_mut().ok_or(abi::E_CONFIG)?;
            (
                context(ctx).ok_or(abi::E_CLOSED)?,
                texts(values, count)?,
                id,
            )
        };
        let mut state = context.state();
        let (_, labels) = state.metrics.get(metric as usize).ok_or(abi::E_CLOSED)?;
        if *labels != values.len() {
            return Err(abi::E_CONFIG);
        }
        if state.series_live >= state.series_max {
            state.refused = state.refused.saturating_add(1);
            return Err(abi::E_FULL);
        }
        *id = u32::try_from(state.series.len()).map_err(|_| abi::E_FULL)?;
        state.series.push(true);
        state.series_live += 1;
        drop(state);
        context.send(&ToAgent::Series { metric, values });
        Ok(())
    })
}

unsafe extern "C" fn retire_series(ctx: *mut c_void, series: u32) -> i32 {
    guarded(|| {
        // SAFETY: `ctx` is the table's own by the contract.
        let context = unsafe { context(ctx) }.ok_or(abi::E_CLOSED)?;
        let mut state = context.state();
        let alive = state.series.get_mut(series as usize).ok_or(abi::E_CLOSED)?;
        if !std::mem::take(alive) {
            return Err(abi::E_CLOSED);
        }
        state.series_live -= 1;
        drop(state);
        context.send(&ToAgent::Retire { series });
        Ok(())
    })
}

unsafe extern "C" fn push(ctx: *mut c_void, samples: *const abi::Sample, count: usize) -> i32 {
    guarded(|| {
        // SAFETY: `ctx` is the table's own by the contract.
        let context = unsafe { context(ctx) }.ok_or(abi::E_CLOSED)?;
        if count == 0 {
            return Ok(());
        }
        let mut state = context.state();
        if state.samples.len() + count > state.series_max * SAMPLES_PER_SERIES_MAX {
            return Err(abi::E_FULL);
        }
        if samples.is_null() {
            return Err(abi::E_CONFIG);
        }
        // SAFETY: not null, and `count` samples are borrowed for the call by the contract.
        let samples = unsafe { std::slice::from_raw_parts(samples, count) };
        for sample in samples {
            let alive = state
                .series
                .get(sample.series as usize)
                .copied()
                .unwrap_or(false);
            if alive && sample.value.is_finite() {
                state.samples.push((sample.series, sample.value));
            } else {
                state.refused = state.refused.saturating_add(1);
            }
        }
        Ok(())
    })
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: abi::Str) {
    guarded(|| {
        // SAFETY: `ctx` and `message` are as the contract says.
        let (context, message) = unsafe {
            (
                context(ctx).ok_or(abi::E_CLOSED)?,
                text(message, TEXT_BYTES_MAX),
            )
        };
        let last = abi::LOG_LEVELS.len() - 1;
        let level = u8::try_from((level as usize).min(last)).unwrap_or_default();
        context.send(&ToAgent::Log { level, message });
        Ok(())
    });
}

unsafe extern "C" fn cancelled(ctx: *mut c_void) -> i32 {
    // SAFETY: `ctx` is the table's own by the contract.
    let context = unsafe { context(ctx) };
    i32::from(context.is_none_or(|context| context.cancelled.load(Ordering::Relaxed)))
}

unsafe extern "C" fn set_error(ctx: *mut c_void, field: abi::Str, message: abi::Str) {
    guarded(|| {
        // SAFETY: `ctx` and the strings are as the contract says.
        let (context, field, message) = unsafe {
            let context = context(ctx).ok_or(abi::E_CLOSED)?;
            (
                context,
                text(field, NAME_BYTES_MAX),
                text(message, TEXT_BYTES_MAX),
            )
        };
        context.state().error = Some((field, message));
        Ok(())
    });
}

unsafe extern "C" fn now_mono_ns(_ctx: *mut c_void) -> u64 {
    host::now_mono_ns()
}
