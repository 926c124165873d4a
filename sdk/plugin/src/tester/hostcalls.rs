//! The functions of the host's table in a test: the C side of the [`Recorder`].
//!
//! They read what they are given and leave the rules to the recorder. `ctx` is the recorder's mutex, so
//! that tasks and threads of the plugin may call while a test reads.

use std::{
    borrow::Cow,
    ffi::c_void,
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    DeclaredMetric,
    recorder::{self, Recorder},
    rules::{LABELS_MAX, NAME_BYTES_MAX},
};
use crate::{
    Level, Tier,
    abi::{self, Event, Histogram, Host, Metric, Sample, Str},
    export::struct_size,
    histogram::BOUNDS_MAX,
};

/// Bytes of a help text.
const HELP_BYTES_MAX: usize = 4 << 10;

const LEVELS: [Level; abi::LOG_LEVELS.len()] = [
    Level::Error,
    Level::Warn,
    Level::Info,
    Level::Debug,
    Level::Trace,
];

/// The table of a host that writes to `recorder`, which has to outlive it, as has `position`.
pub(super) fn host_of(recorder: &Arc<Mutex<Recorder>>, position: &str) -> Host {
    Host {
        struct_size: struct_size::<Host>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        ctx: Arc::as_ptr(recorder).cast_mut().cast(),
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
        position: Str::new(position),
    }
}

/// A test that failed while it held the lock has nothing to say about what was recorded.
pub(super) fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// `ctx` is the one of [`host_of`], and its recorder lives.
unsafe fn recorder<'a>(ctx: *mut c_void) -> MutexGuard<'a, Recorder> {
    // SAFETY: as promised by the caller.
    lock(unsafe { &*ctx.cast::<Mutex<Recorder>>() })
}

/// Copies a text of the plugin. What is not UTF-8 is replaced, what is too long is cut, and both are reported, as
/// the agent does it.
///
/// # Safety
/// As for [`Str::as_bytes`].
unsafe fn text(recorder: &mut Recorder, text: Str, bytes_max: usize) -> String {
    // SAFETY: as promised by the caller.
    let mut text = unsafe { spoken(recorder, text) };
    if text.len() > bytes_max {
        let what = format!("a text that is longer than {bytes_max} bytes and cut: {text:?}");
        recorder.refusals.push(what);
        text.truncate(text.floor_char_boundary(bytes_max));
    }
    text
}

/// Copies a text for people, which may be long.
///
/// # Safety
/// As for [`Str::as_bytes`].
unsafe fn spoken(recorder: &mut Recorder, text: Str) -> String {
    if text.ptr.is_null() && text.len > 0 {
        let what = format!("a text of {} bytes whose pointer is null", text.len);
        recorder.refusals.push(what);
    }
    // SAFETY: as promised by the caller.
    let bytes = unsafe { text.as_bytes() };
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, Cow::Owned(_)) {
        recorder
            .refusals
            .push(format!("a text that is not UTF-8: {text:?}"));
    }
    text.into_owned()
}

/// Refuses a list that is null, unless it has nothing.
fn check_list<T>(
    recorder: &mut Recorder,
    what: &str,
    first: *const T,
    count: usize,
) -> Result<(), i32> {
    if first.is_null() && count > 0 {
        let what = format!("{what} whose pointer is null, but not the number of them: {count}");
        return Err(recorder.refuse(abi::E_CONFIG, what));
    }
    Ok(())
}

/// A list that a plugin lends for the call.
///
/// # Safety
/// `first` points at `count` values that are valid for the call, or is null, or `count` is 0.
unsafe fn list<'a, T>(
    recorder: &mut Recorder,
    what: &str,
    first: *const T,
    count: usize,
) -> Result<&'a [T], i32> {
    check_list(recorder, what, first, count)?;
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: as promised by the caller.
    Ok(unsafe { slice::from_raw_parts(first, count) })
}

/// Names or values of labels.
///
/// # Safety
/// As for [`list`], and each text as for [`Str::as_bytes`].
unsafe fn texts(
    recorder: &mut Recorder,
    first: *const Str,
    count: usize,
) -> Result<Vec<String>, i32> {
    if count > LABELS_MAX {
        let what = format!("{count} labels, more than {LABELS_MAX}");
        return Err(recorder.refuse(abi::E_FULL, what));
    }
    // SAFETY: as promised by the caller.
    let items = unsafe { list(recorder, "labels", first, count) }?;
    // SAFETY: so is each of them.
    let copy = |item: &Str| unsafe { text(recorder, *item, NAME_BYTES_MAX) };
    Ok(items.iter().map(copy).collect())
}

/// Whether a struct of the plugin has all fields of version 1.0; a shorter one can't be read.
///
/// # Safety
/// `pointer` points at a struct that begins with its own size.
unsafe fn is_whole<T>(pointer: *const T) -> bool {
    // SAFETY: as promised by the caller.
    !pointer.is_null() && unsafe { *pointer.cast::<u32>() } >= struct_size::<T>()
}

fn code(answer: Result<(), i32>) -> i32 {
    answer.err().unwrap_or(abi::OK)
}

/// # Safety
/// `id` points at a place for one id, or is null, which is refused.
unsafe fn answer(
    recorder: &mut Recorder,
    id: *mut u32,
    define: impl FnOnce(&mut Recorder) -> Result<usize, i32>,
) -> i32 {
    if id.is_null() {
        return recorder.refuse(abi::E_CONFIG, "a place for an id that is null");
    }
    code(define(recorder).map(|index| {
        // SAFETY: as promised by the caller.
        unsafe { *id = u32::try_from(index).expect("tests define few") };
    }))
}

unsafe extern "C" fn define_metric(ctx: *mut c_void, metric: *const Metric, id: *mut u32) -> i32 {
    // SAFETY: the plugin passes `ctx` back, and a metric that is valid for the call.
    let (mut recorder, whole) = unsafe { (recorder(ctx), is_whole(metric)) };
    if !whole {
        return recorder.refuse(abi::E_CONFIG, "a metric's struct_size is too small");
    }
    // SAFETY: it is as long as ours, and its lists and texts are valid for the call.
    let declared = unsafe { declared(&mut recorder, &*metric) };
    // SAFETY: `id` is valid for the call.
    unsafe {
        answer(&mut recorder, id, |recorder| {
            let (kind, declared) = declared?;
            recorder.open("define_metric")?;
            recorder.define_metric(kind, declared)
        })
    }
}

/// The metric with its kind, as far as it can be read.
///
/// # Safety
/// Its lists and texts are valid for the call.
unsafe fn declared(recorder: &mut Recorder, metric: &Metric) -> Result<(u32, DeclaredMetric), i32> {
    // SAFETY: as promised by the caller.
    let name = unsafe { text(recorder, metric.name, NAME_BYTES_MAX) };
    let tier = [Tier::Fast, Tier::Medium, Tier::Slow].get(metric.tier as usize);
    let unit = abi::UNITS.get(metric.unit as usize);
    let style = abi::CHART_STYLES.get(metric.chart_style as usize);
    let (Some(tier), Some(unit), Some(style), 0..=abi::KIND_HISTOGRAM) =
        (tier, unit, style, metric.kind)
    else {
        let what = format!("kind, unit, tier or chart style of {name} is out of range");
        return Err(recorder.refuse(abi::E_CONFIG, what));
    };
    if metric.bound_count > BOUNDS_MAX {
        let count = metric.bound_count;
        let what = format!("{name} has {count} bounds, not 1 to {BOUNDS_MAX}");
        return Err(recorder.refuse(abi::E_CONFIG, what));
    }
    // SAFETY: its lists and texts are valid for the call.
    let declared = unsafe {
        let labels = texts(recorder, metric.labels, metric.label_count)?;
        let bounds = list(recorder, "bounds", metric.bounds, metric.bound_count)?;
        let mut short = |text: Str| self::text(recorder, text, NAME_BYTES_MAX);
        DeclaredMetric {
            name,
            counter: metric.kind == abi::KIND_COUNTER,
            bounds: bounds.to_vec(),
            unit,
            tier: *tier,
            otel: short(metric.otel),
            chart: (short(metric.chart_section), short(metric.chart_title)),
            help: text(recorder, metric.help, HELP_BYTES_MAX),
            style,
            overview: metric.flags & abi::METRIC_OVERVIEW != 0,
            labels,
        }
    };
    Ok((metric.kind, declared))
}

unsafe extern "C" fn define_series(
    ctx: *mut c_void,
    metric: u32,
    values: *const Str,
    count: usize,
    id: *mut u32,
) -> i32 {
    // SAFETY: the plugin passes `ctx` back, and values and a place for the id that are valid for the call.
    unsafe {
        let mut recorder = recorder(ctx);
        let values = texts(&mut recorder, values, count);
        answer(&mut recorder, id, |recorder| {
            recorder.open("define_series")?;
            recorder.define_series(metric as usize, values?)
        })
    }
}

unsafe extern "C" fn retire_series(ctx: *mut c_void, series: u32) -> i32 {
    // SAFETY: the plugin passes `ctx` back.
    let mut recorder = unsafe { recorder(ctx) };
    let open = recorder.open("retire_series");
    code(open.and_then(|()| recorder.retire_series(series)))
}

unsafe extern "C" fn push(ctx: *mut c_void, samples: *const Sample, count: usize) -> i32 {
    // SAFETY: the plugin passes `ctx` back.
    let mut recorder = unsafe { recorder(ctx) };
    let mut push = || {
        recorder.open("push")?;
        check_list(&mut recorder, "samples", samples, count)?;
        recorder.room(count)?;
        // SAFETY: the plugin passes samples that are valid for the call.
        let samples = unsafe { list(&mut recorder, "samples", samples, count) }?;
        for sample in samples {
            recorder.push(sample.series, sample.value);
        }
        Ok(())
    };
    code(push())
}

unsafe extern "C" fn push_histogram(
    ctx: *mut c_void,
    histograms: *const Histogram,
    count: usize,
) -> i32 {
    // SAFETY: the plugin passes `ctx` back.
    let mut recorder = unsafe { recorder(ctx) };
    let mut push = || {
        recorder.open("push_histogram")?;
        // SAFETY: the plugin passes histograms that are valid for the call.
        let histograms = unsafe { list(&mut recorder, "histograms", histograms, count) }?;
        for histogram in histograms {
            // More than the most buckets are told apart, and not read.
            let count = histogram.count.min(BOUNDS_MAX + 2);
            // SAFETY: the counts are valid for the call as the histogram is.
            let counts = unsafe { list(&mut recorder, "counts", histogram.counts, count) }?;
            recorder.push_histogram(histogram.series, counts.to_vec(), histogram.sum)?;
        }
        Ok(())
    };
    code(push())
}

unsafe extern "C" fn emit_event(ctx: *mut c_void, event: *const Event) -> i32 {
    // SAFETY: the plugin passes `ctx` back, and an event that is valid for the call.
    let (mut recorder, whole) = unsafe { (recorder(ctx), is_whole(event)) };
    if !whole {
        return recorder.refuse(abi::E_CONFIG, "an event's struct_size is too small");
    }
    // SAFETY: it is as long as ours, and its texts are valid for the call.
    let read = unsafe {
        let event = &*event;
        let level = LEVELS.get(event.level as usize).copied();
        recorder::event(
            level,
            event.at_ms,
            event.name.as_bytes(),
            event.data.as_bytes(),
            event.position.as_bytes(),
        )
    };
    let open = recorder.open("emit_event");
    code(open.and_then(|()| match read {
        Ok(event) => recorder.emit_event(event),
        Err(what) => Err(recorder.refuse(abi::E_CONFIG, what)),
    }))
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: Str) {
    // SAFETY: the plugin passes `ctx` back, and a text that is valid for the call.
    let (mut recorder, message) = unsafe {
        let mut recorder = recorder(ctx);
        let message = spoken(&mut recorder, message);
        (recorder, message)
    };
    if recorder.open("log").is_err() {
        return;
    }
    match LEVELS.get(level as usize) {
        Some(level) => recorder.log.push((*level, message)),
        None => {
            recorder.refuse(abi::E_CONFIG, format!("log level {level} does not exist"));
        }
    }
}

unsafe extern "C" fn cancelled(ctx: *mut c_void) -> i32 {
    // SAFETY: the plugin passes `ctx` back.
    let recorder = unsafe { recorder(ctx) };
    i32::from(recorder.cancelled || recorder.closed)
}

unsafe extern "C" fn set_error(ctx: *mut c_void, field: Str, message: Str) {
    // SAFETY: the plugin passes `ctx` back, and texts that are valid for the call.
    unsafe {
        let mut recorder = recorder(ctx);
        recorder.error = (spoken(&mut recorder, field), spoken(&mut recorder, message));
    }
}

unsafe extern "C" fn now_mono_ns(ctx: *mut c_void) -> u64 {
    // SAFETY: the plugin passes `ctx` back.
    unsafe { recorder(ctx) }.now_ns()
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    /// A host and its recorder, which lives as long.
    fn host() -> (Host, Arc<Mutex<Recorder>>) {
        let recorder = Arc::new(Mutex::new(Recorder::new("shop")));
        (host_of(&recorder, ""), recorder)
    }

    fn metric() -> Metric {
        Metric {
            struct_size: struct_size::<Metric>(),
            kind: abi::KIND_GAUGE,
            unit: 0,
            tier: 0,
            flags: 0,
            chart_style: 0,
            name: Str::new("depth"),
            help: Str::new(""),
            otel: Str::new(""),
            chart_section: Str::new(""),
            chart_title: Str::new(""),
            labels: ptr::null(),
            label_count: 0,
            bounds: ptr::null(),
            bound_count: 0,
        }
    }

    #[test]
    fn structs_that_are_too_short_or_null_are_refused() {
        let (host, recorder) = host();
        let mut id = 7;
        let short = Metric {
            struct_size: struct_size::<Metric>() - 1,
            ..metric()
        };
        // SAFETY: the recorder lives, and every pointer is valid for the call or null where that is refused.
        let codes = unsafe {
            [
                (host.define_metric)(host.ctx, &raw const short, &raw mut id),
                (host.define_metric)(host.ctx, ptr::null(), &raw mut id),
                (host.emit_event)(host.ctx, ptr::null()),
            ]
        };
        assert_eq!(codes, [abi::E_CONFIG; 3]);
        assert_eq!(id, 7);
        assert_eq!(lock(&recorder).refusals.len(), 3);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let (host, recorder) = host();
        let mut id = 7;
        let cases = [
            Metric {
                kind: 3,
                ..metric()
            },
            Metric {
                unit: 9,
                ..metric()
            },
            Metric {
                tier: 3,
                ..metric()
            },
            Metric {
                chart_style: 4,
                ..metric()
            },
        ];
        for metric in cases {
            // SAFETY: the recorder lives, and the metric and `id` are valid for the call.
            let code = unsafe { (host.define_metric)(host.ctx, &raw const metric, &raw mut id) };
            assert_eq!(code, abi::E_CONFIG);
        }
        // SAFETY: the recorder lives, and the text is valid for the call.
        unsafe { (host.log)(host.ctx, 5, Str::new("loud")) };
        let refusals = lock(&recorder).unexpected();
        assert_eq!(refusals.len(), 5);
        assert_eq!(refusals[4], "log level 5 does not exist");
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_reported() {
        let (host, recorder) = host();
        let bytes = b"a\xffb";
        let broken = Str {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        };
        // SAFETY: the recorder lives, and the texts are valid for the calls.
        unsafe {
            (host.log)(host.ctx, 0, broken);
            (host.set_error)(host.ctx, Str::new(""), broken);
        }
        let mut recorder = lock(&recorder);
        assert_eq!(recorder.log, [(Level::Error, "a\u{fffd}b".to_owned())]);
        assert_eq!(recorder.error.1, "a\u{fffd}b");
        let refusals = recorder.unexpected();
        assert_eq!(refusals, ["a text that is not UTF-8: \"a\u{fffd}b\""; 2]);
    }

    #[test]
    fn a_whole_metric_is_taken() {
        let (host, recorder) = host();
        let (labels, bounds) = ([Str::new("queue")], [0.1, 1.0]);
        let histogram = Metric {
            kind: abi::KIND_HISTOGRAM,
            labels: labels.as_ptr(),
            label_count: labels.len(),
            bounds: bounds.as_ptr(),
            bound_count: bounds.len(),
            ..metric()
        };
        let (values, counts) = ([Str::new("mail")], [1, 2, 3]);
        let (mut metric, mut series) = (7, 7);
        // SAFETY: the recorder lives, and every pointer is valid for its call.
        let codes = unsafe {
            let defined = (host.define_metric)(host.ctx, &raw const histogram, &raw mut metric);
            let declared = (host.define_series)(host.ctx, 0, values.as_ptr(), 1, &raw mut series);
            let pushed = Histogram {
                series: 0,
                flags: 0,
                sum: 4.5,
                counts: counts.as_ptr(),
                count: counts.len(),
            };
            let pushed = (host.push_histogram)(host.ctx, &raw const pushed, 1);
            [defined, declared, pushed]
        };
        assert_eq!((codes, metric, series), ([abi::OK; 3], 0, 0));
        let recorder = lock(&recorder);
        assert_eq!(recorder.metrics[0].bounds, bounds);
        assert_eq!(recorder.labels(0).1, [("queue", "mail")]);
        assert_eq!(recorder.pushed.len(), 1);
        assert!(recorder.refusals.is_empty());
    }
}
