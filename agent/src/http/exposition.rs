//! The answer of `/metrics`: every current series in the Prometheus text format, version 0.0.4.
//!
//! Metrics stand in definition order, before them whether each collector is up. Stale series are left out,
//! so that a reader sees a gap and not the last value for ever. It only renders; the router answers.

use std::fmt::Write as _;

use crate::catalog::{Catalog, Collector, CollectorId, Kind, SeriesId, Tables};
use crate::current::{CollectorNow, Current, View, by_metric};

/// A sample older than this is not of the present, whatever became of its collector; the limit at which
/// Prometheus itself stops showing a series.
const AGE_MAX_MS: i64 = 300_000;

/// What is rendered of a collector.
type Figure = fn(&CollectorNow) -> f64;

/// The whole text.
pub fn render(catalog: &Catalog, current: &Current, now_ms: i64) -> String {
    let tables = catalog.read();
    let view = current.read();
    let mut out = String::with_capacity(16 * 1024);
    render_collectors(&mut out, &tables, &view);
    let mut last = None;
    for (id, series) in by_metric(&tables) {
        let Some(latest) = view.latest(series) else {
            continue;
        };
        if latest.stale || now_ms - latest.at_ms > AGE_MAX_MS {
            continue;
        }
        let metric = tables.metric(id);
        if last != Some(id) {
            last = Some(id);
            render_head(&mut out, &metric.name, &metric.help, metric.kind);
        }
        out.push_str(&metric.name);
        render_labels(&mut out, &tables, series);
        render_value(&mut out, latest.value);
    }
    out
}

/// For each topic `TOPIC_up` and the seconds of the last collect, by instance, unless a collector defines
/// metrics of that name itself. A failed collector's own series are stale, so that it can't say it.
fn render_collectors(out: &mut String, tables: &Tables, view: &View<'_>) {
    let known: Vec<_> = tables
        .collectors()
        .filter_map(|(id, collector): (CollectorId, &Collector)| {
            Some((collector, view.collector(id)?))
        })
        .collect();
    let mut topics: Vec<&str> = known
        .iter()
        .map(|(collector, _)| collector.topic.as_str())
        .collect();
    topics.sort_unstable();
    topics.dedup();
    let families: [(&str, &str, Figure); 2] = [
        ("up", "Whether the last collect succeeded", |now| {
            f64::from(u8::from(now.up))
        }),
        ("collect_seconds", "How long the last collect took", |now| {
            now.took.as_secs_f64()
        }),
    ];
    for topic in topics {
        for (suffix, help, value) in families {
            let name = format!("{topic}_{suffix}");
            if tables.metrics().any(|(_, metric)| metric.name == name) {
                continue;
            }
            render_head(out, &name, help, Kind::Gauge);
            for (collector, now) in known
                .iter()
                .filter(|(collector, _)| collector.topic == topic)
            {
                out.push_str(&name);
                render_label(out, '{', "instance", &collector.name);
                out.push('}');
                render_value(out, value(now));
            }
        }
    }
}

fn render_head(out: &mut String, name: &str, help: &str, kind: Kind) {
    out.push_str("# HELP ");
    out.push_str(name);
    out.push(' ');
    escape(out, help, false);
    out.push_str("\n# TYPE ");
    out.push_str(name);
    out.push_str(match kind {
        Kind::Gauge => " gauge\n",
        Kind::Counter => " counter\n",
    });
}

/// A collector with a name of its own is one of several instances of its plugin, which may have the same
/// series: `instance` keeps them apart.
fn render_labels(out: &mut String, tables: &Tables, id: SeriesId) {
    let owner = tables.collector(tables.series(id).collector);
    let instance = (owner.name != owner.plugin
        && tables.labels(id).all(|(name, _)| name != "instance"))
    .then_some(("instance", owner.name.as_str()));
    let mut separator = '{';
    for (name, value) in instance.into_iter().chain(tables.labels(id)) {
        render_label(out, separator, name, value);
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
}

fn render_label(out: &mut String, separator: char, name: &str, value: &str) {
    out.push(separator);
    out.push_str(name);
    out.push_str("=\"");
    escape(out, value, true);
    out.push('"');
}

fn escape(out: &mut String, text: &str, quoted: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quoted => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

fn render_value(out: &mut String, value: f64) {
    writeln!(out, " {value}").expect("a string takes everything");
}
