//! The answer of `/metrics`: every current series in the Prometheus text format, version 0.0.4.
//!
//! Metrics stand in definition order. Stale series are left out, so that a reader sees a gap and not the
//! last value for ever. It only renders; the router answers.

use std::fmt::Write as _;

use crate::catalog::{Catalog, Kind, SeriesId, Tables};
use crate::current::{Current, by_metric};

/// A sample older than this is not of the present, whatever became of its collector; the limit at which
/// Prometheus itself stops showing a series.
const AGE_MAX_MS: i64 = 300_000;

/// The whole text.
pub fn render(catalog: &Catalog, current: &Current, now_ms: i64) -> String {
    let tables = catalog.read();
    let view = current.read();
    let mut out = String::with_capacity(16 * 1024);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bus::{Batch, Sample};
    use crate::catalog::{CollectorId, Metric};
    use crate::clock::{Tier, TierSet};

    fn define(
        catalog: &Catalog,
        collector: CollectorId,
        (name, help, kind): (&str, &str, Kind),
        labels: &[(&str, &str)],
    ) -> SeriesId {
        let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
        let metric = Metric {
            help: help.to_owned(),
            ..Metric::for_test(name, kind, Tier::Fast, &names)
        };
        let metric = catalog.define_metric(collector, metric).unwrap();
        let values = labels
            .iter()
            .map(|(_, value)| (*value).to_owned())
            .collect();
        catalog.define_series(collector, metric, values).unwrap()
    }

    fn apply(current: &Current, collector: CollectorId, samples: &[(SeriesId, f64)]) {
        current.apply(&Batch {
            collector,
            tick: 0,
            at_ms: 1_000,
            at: Batch::test_moment(1_000),
            due: TierSet::ALL,
            up: true,
            took: Duration::ZERO,
            samples: samples
                .iter()
                .map(|&(series, value)| Sample { series, value })
                .collect(),
        });
    }

    #[test]
    fn the_text_is_in_definition_order_escaped_and_without_what_is_stale() {
        let catalog = Catalog::default();
        let current = Current::new(catalog.clone());
        let system = catalog.register("system", "system", "system", 100);
        let second = catalog.register("second", "system", "system", 100);
        let bytes = ("disk_bytes_total", "Bytes\\of\n\"disks\".", Kind::Counter);
        let root = define(
            &catalog,
            system,
            bytes,
            &[("path", "C:\\a\n\"b\""), ("dev", "sda")],
        );
        let load = define(&catalog, system, ("load", "Load.", Kind::Gauge), &[]);
        let gone = define(&catalog, system, ("gone", "Gone.", Kind::Gauge), &[]);
        let other = define(&catalog, second, ("load", "Load.", Kind::Gauge), &[]);
        let more = define(&catalog, system, bytes, &[("path", ""), ("dev", "sdb")]);
        apply(&current, system, &[(gone, 1.0)]);
        apply(&current, system, &[(root, 1e18), (load, 0.25), (more, 3.0)]);
        apply(&current, second, &[(other, -1.5)]);
        let expected = r#"# HELP disk_bytes_total Bytes\\of\n"disks".
# TYPE disk_bytes_total counter
disk_bytes_total{path="C:\\a\n\"b\"",dev="sda"} 1000000000000000000
disk_bytes_total{path="",dev="sdb"} 3
# HELP load Load.
# TYPE load gauge
load 0.25
load{instance="second"} -1.5
"#;
        assert_eq!(render(&catalog, &current, 2_000), expected);
        let late = 1_001 + AGE_MAX_MS;
        assert_eq!(
            render(&catalog, &current, late),
            "",
            "old samples are not of the present"
        );
    }
}
