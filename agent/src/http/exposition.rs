//! The answer of `/metrics`: every current series in the Prometheus text format, version 0.0.4.
//!
//! Metrics stand in definition order. Stale series are left out, so that a reader sees a gap and not the
//! last value for ever. The three metrics of a histogram are one family (`histogram`), which stands where its
//! buckets do. It only renders; the router answers.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::catalog::{Catalog, Kind, MetricId, SeriesId, Tables};
use crate::current::{Current, View, by_metric};
use histogram::Families;

mod histogram;

/// A sample older than this is not of the present, whatever became of its collector; the limit at which
/// Prometheus itself stops showing a series.
const AGE_MAX_MS: i64 = 300_000;

/// The whole text.
pub fn render(catalog: &Catalog, current: &Current, now_ms: i64) -> String {
    let tables = catalog.read();
    let present = present(&tables, &current.read(), now_ms);
    let families = Families::of(&tables);
    let mut rendered = HashSet::new();
    let mut out = String::with_capacity(16 * 1024);
    for values in present.chunk_by(|a, b| a.metric == b.metric) {
        let id = values[0].metric;
        if let Some(family) = families.with(id) {
            if rendered.insert(family.bucket) {
                let [buckets, sums, counts] =
                    [family.bucket, family.sum, family.count].map(|part| of_metric(&present, part));
                family.render(&mut out, &tables, buckets, sums, counts);
            }
            continue;
        }
        let metric = tables.metric(id);
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        render_head(&mut out, &metric.name, &metric.help, kind);
        for value in values {
            out.push_str(&metric.name);
            render_labels(&mut out, &tables, value.series);
            render_value(&mut out, value.value);
        }
    }
    out
}

/// The last value of a series, if it is of the present.
#[derive(Clone, Copy, Debug)]
struct Present {
    metric: MetricId,
    series: SeriesId,
    value: f64,
}

/// By metric, in definition order.
fn present(tables: &Tables, view: &View<'_>, now_ms: i64) -> Vec<Present> {
    by_metric(tables)
        .filter_map(|(metric, series)| {
            let latest = view.latest(series)?;
            let old = latest.stale || now_ms - latest.at_ms > AGE_MAX_MS;
            (!old).then_some(Present {
                metric,
                series,
                value: latest.value,
            })
        })
        .collect()
}

/// Those of one metric.
fn of_metric(present: &[Present], metric: MetricId) -> &[Present] {
    let start = present.partition_point(|value| value.metric < metric);
    let len = present[start..].partition_point(|value| value.metric == metric);
    &present[start..start + len]
}

fn render_head(out: &mut String, name: &str, help: &str, kind: &str) {
    out.push_str("# HELP ");
    out.push_str(name);
    out.push(' ');
    escape(out, help, false);
    out.push_str("\n# TYPE ");
    out.push_str(name);
    out.push(' ');
    out.push_str(kind);
    out.push('\n');
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

    #[test]
    fn a_histogram_is_one_family_with_its_buckets_by_bound() {
        let catalog = Catalog::default();
        let current = Current::new(catalog.clone());
        let web = catalog.register("web", "web", "system", 100);
        let second = catalog.register("second", "web", "system", 100);
        let part = |collector, name, labels: &[(&str, &str)]| {
            define(&catalog, collector, (name, "Time.", Kind::Counter), labels)
        };
        // As they are declared: the bound of 10 after that of 2.5, which is not their order as text.
        let mut samples = Vec::new();
        for (at, le) in (1..).zip(["0.5", "2.5", "10", "+Inf"]) {
            let series = part(web, "wait_seconds_bucket", &[("path", "/"), ("le", le)]);
            samples.push((series, f64::from(at)));
        }
        samples.push((part(web, "wait_seconds_sum", &[("path", "/")]), 7.5));
        samples.push((part(web, "wait_seconds_count", &[("path", "/")]), 4.0));
        samples.reverse();
        apply(&current, web, &samples);
        let bucket = [("path", "/"), ("le", "+Inf")];
        let other = part(second, "wait_seconds_bucket", &bucket);
        // Sum and count of the second instance did not come; alone, a `_sum` is a counter like any other.
        apply(&current, second, &[(other, 9.0)]);
        let lone = part(web, "lone_sum", &[]);
        let gauge = ("own_bucket", "Own.", Kind::Gauge);
        let own = define(&catalog, web, gauge, &[("le", "1")]);
        samples.extend([(lone, 1.0), (own, 2.0)]);
        apply(&current, web, &samples);
        let expected = r#"# HELP wait_seconds Time.
# TYPE wait_seconds histogram
wait_seconds_bucket{path="/",le="0.5"} 1
wait_seconds_bucket{path="/",le="2.5"} 2
wait_seconds_bucket{path="/",le="10"} 3
wait_seconds_bucket{path="/",le="+Inf"} 4
wait_seconds_sum{path="/"} 7.5
wait_seconds_count{path="/"} 4
wait_seconds_bucket{instance="second",path="/",le="+Inf"} 9
# HELP lone_sum Time.
# TYPE lone_sum counter
lone_sum 1
# HELP own_bucket Own.
# TYPE own_bucket gauge
own_bucket{le="1"} 2
"#;
        assert_eq!(render(&catalog, &current, 2_000), expected);
    }

    #[test]
    fn a_family_whose_name_another_metric_has_stays_three_counters() {
        let catalog = Catalog::default();
        let current = Current::new(catalog.clone());
        let web = catalog.register("web", "web", "system", 100);
        let counters = [
            ("wait_bucket", &[("le", "+Inf")][..]),
            ("wait_sum", &[]),
            ("wait_count", &[]),
        ];
        let parts = counters
            .map(|(name, labels)| define(&catalog, web, (name, "Time.", Kind::Counter), labels));
        let gauge = define(&catalog, web, ("wait", "Now.", Kind::Gauge), &[]);
        let samples = [parts[0], parts[1], parts[2], gauge].map(|series| (series, 1.0));
        apply(&current, web, &samples);
        let text = render(&catalog, &current, 2_000);
        assert_eq!(text.matches("# TYPE wait_").count(), 3, "{text}");
        assert!(!text.contains("histogram"), "{text}");
    }
}
