//! What a tick gave, as a table and as JSON. Pure.
//!
//! In a table the counters of a histogram's series are one row: how many values, their sum, and the buckets as a
//! small chart. JSON has the counters as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use barograph_sdk::abi::LOG_LEVELS;
use serde_json::{Value, json};

use crate::catalog::{BOUND_LABEL, Unit};
use crate::cli::table::{Align, chart, columns};
use crate::collect::link::PluginEvent;
use crate::collect::{TrialBatch, TrialSample};
use crate::words;

type Labels = BTreeMap<String, String>;

/// A line of the table, in the order in which its first sample was pushed.
#[derive(Debug)]
enum Row<'a> {
    Plain(&'a TrialSample),
    Histogram(Histogram<'a>),
}

/// A histogram's series, put together again.
#[derive(Debug)]
struct Histogram<'a> {
    metric: &'a str,
    labels: Labels,
    /// Cumulative, by their bounds in the order in which they were pushed.
    buckets: Vec<f64>,
    sum: f64,
    count: f64,
    unit: Unit,
}

/// One JSON object.
pub(super) fn json(batch: &TrialBatch) -> Value {
    let sample = |sample: &TrialSample| {
        json!({
            "metric": sample.metric,
            "labels": sample.labels,
            "value": sample.value,
            "kind": sample.kind,
            "unit": sample.unit,
        })
    };
    let (refused, refusal) = &batch.refused;
    json!({
        "tick": batch.tick,
        "at": batch.at_ms,
        "tookMs": batch.took.as_secs_f64() * 1e3,
        "partial": batch.partial,
        "refused": refused,
        "refusal": Some(refusal).filter(|refusal| !refusal.is_empty()),
        "samples": batch.samples.iter().map(sample).collect::<Vec<_>>(),
        "events": batch.events.iter().map(event_json).collect::<Vec<_>>(),
    })
}

fn event_json(event: &PluginEvent) -> Value {
    json!({
        "at": Some(event.at_ms).filter(|at_ms| *at_ms != 0),
        "level": level(event),
        "name": event.name,
        "data": serde_json::from_str::<Value>(&event.data).unwrap_or_else(|_| json!({})),
        "position": Some(&event.position).filter(|position| !position.is_empty()),
    })
}

fn level(event: &PluginEvent) -> &'static str {
    let last = LOG_LEVELS.len() - 1;
    LOG_LEVELS[usize::from(event.level).min(last)]
}

/// Columns as wide as their widest cell; with the tick `before` it, only what changed since.
pub(super) fn table(batch: &TrialBatch, before: Option<&TrialBatch>) -> String {
    let all = rows(&batch.samples);
    let old: Vec<[String; 4]> = before.map_or_else(Vec::new, |before| {
        rows(&before.samples).iter().map(Row::cells).collect()
    });
    let shown: Vec<Vec<String>> = all
        .iter()
        .map(Row::cells)
        .filter(|cells| before.is_none() || !old.contains(cells))
        .map(Vec::from)
        .collect();
    let mut text = format!(
        "tick {}: {} in {:.1} ms",
        batch.tick,
        words::count(batch.samples.len(), "sample", "samples"),
        batch.took.as_secs_f64() * 1e3
    );
    if before.is_some() && shown.is_empty() {
        text.push_str(", as before\n");
    } else if before.is_some() && shown.len() < all.len() {
        // A write to a string can't fail.
        let _ = writeln!(text, ", {} of {} rows changed", shown.len(), all.len());
    } else {
        text.push('\n');
    }
    if !shown.is_empty() {
        let head = [
            ("METRIC", Align::Left),
            ("LABELS", Align::Left),
            ("VALUE", Align::Right),
            ("UNIT", Align::Left),
        ];
        text.push_str(&columns(&head, &shown));
    }
    for event in &batch.events {
        let _ = write!(text, "event: {} {}", level(event), event.name);
        for part in [&event.data, &event.position] {
            if !part.is_empty() {
                let _ = write!(text, " {part}");
            }
        }
        text.push('\n');
    }
    if let Some(partial) = &batch.partial {
        let _ = writeln!(text, "could not be read: {partial}");
    }
    if let (refused @ 1.., refusal) = &batch.refused {
        let things = words::count(
            *refused,
            "sample, definition or event",
            "samples, definitions or events",
        );
        let _ = writeln!(text, "refused: {things}; {refusal}");
    }
    text
}

fn rows(samples: &[TrialSample]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(samples.len());
    for sample in samples {
        let Some((metric, part)) = part(sample) else {
            rows.push(Row::Plain(sample));
            continue;
        };
        let mut labels = sample.labels.clone();
        if part == "bucket" {
            labels.remove(BOUND_LABEL);
        }
        let known = rows.iter_mut().rev().find_map(|row| match row {
            Row::Histogram(known) if known.metric == metric && known.labels == labels => {
                Some(known)
            }
            _ => None,
        });
        match (known, part) {
            (Some(known), "bucket") => known.buckets.push(sample.value),
            (Some(known), "sum") => (known.sum, known.unit) = (sample.value, sample.unit),
            (Some(known), _) => known.count = sample.value,
            (None, "bucket") => rows.push(Row::Histogram(Histogram {
                metric,
                labels,
                buckets: vec![sample.value],
                sum: 0.0,
                count: 0.0,
                unit: sample.unit,
            })),
            // A counter of its own that happens to be called so.
            (None, _) => rows.push(Row::Plain(sample)),
        }
    }
    rows
}

/// Name of the histogram that the sample may be a part of, and which part.
fn part(sample: &TrialSample) -> Option<(&str, &'static str)> {
    let strip = |end: &str| sample.metric.strip_suffix(end);
    if sample.labels.contains_key(BOUND_LABEL) {
        return Some((strip("_bucket")?, "bucket"));
    }
    strip("_sum")
        .map(|metric| (metric, "sum"))
        .or_else(|| Some((strip("_count")?, "count")))
}

impl Row<'_> {
    fn cells(&self) -> [String; 4] {
        match self {
            Self::Plain(sample) => [
                sample.metric.clone(),
                shown(&sample.labels),
                sample.value.to_string(),
                word(sample.unit),
            ],
            Self::Histogram(histogram) => {
                let Histogram {
                    metric,
                    labels,
                    buckets,
                    sum,
                    count,
                    unit,
                } = histogram;
                let before = std::iter::once(0.0).chain(buckets.iter().copied());
                let single: Vec<Option<f64>> = before
                    .zip(buckets)
                    .map(|(before, to)| Some(to - before))
                    .collect();
                let values = words::count(*count, "value", "values");
                let value = format!("{values}, sum {sum}  {}", chart(&single));
                [(*metric).to_owned(), shown(labels), value, word(*unit)]
            }
        }
    }
}

fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    pairs.join(" ")
}

fn word(unit: Unit) -> String {
    let word = serde_json::to_value(unit).expect("a unit is a word");
    word.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::catalog::Kind;

    fn sample(metric: &str, labels: &[(&str, &str)], value: f64, unit: Unit) -> TrialSample {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TrialSample {
            metric: metric.to_owned(),
            labels: labels.collect(),
            value,
            kind: Kind::Gauge,
            unit,
        }
    }

    fn batch(samples: Vec<TrialSample>) -> TrialBatch {
        TrialBatch {
            at_ms: 1_000,
            took: Duration::from_micros(1_500),
            samples,
            ..TrialBatch::default()
        }
    }

    fn two() -> TrialBatch {
        batch(vec![
            sample("a_ratio", &[("cpu", "0")], 0.25, Unit::Ratio),
            sample("a_long_total", &[("cpu", "10")], 1e9, Unit::Count),
        ])
    }

    #[test]
    fn the_table_is_aligned() {
        let mut batch = two();
        batch.partial = Some("no sensors".to_owned());
        batch.refused = (2, "x_total is not finite".to_owned());
        batch.events.push(PluginEvent {
            level: 1,
            name: "job-failed".to_owned(),
            data: "{\"id\":7}".to_owned(),
            ..PluginEvent::default()
        });
        let expected = "tick 0: 2 samples in 1.5 ms\n\
            METRIC        LABELS         VALUE  UNIT\n\
            a_ratio       cpu=\"0\"         0.25  ratio\n\
            a_long_total  cpu=\"10\"  1000000000  count\n\
            event: warn job-failed {\"id\":7}\n\
            could not be read: no sensors\n\
            refused: 2 samples, definitions or events; x_total is not finite\n";
        assert_eq!(table(&batch, None), expected);
    }

    #[test]
    fn only_what_changed_is_shown_after_another_tick() {
        let before = two();
        let mut now = two();
        now.tick = 1;
        assert_eq!(
            table(&now, Some(&before)),
            "tick 1: 2 samples in 1.5 ms, as before\n"
        );
        now.samples[0].value = 0.5;
        let expected = "tick 1: 2 samples in 1.5 ms, 1 of 2 rows changed\n\
            METRIC   LABELS   VALUE  UNIT\n\
            a_ratio  cpu=\"0\"    0.5  ratio\n";
        assert_eq!(table(&now, Some(&before)), expected);
    }

    #[test]
    fn a_histogram_is_one_row() {
        let of = |path: &str, counts: [f64; 3], sum: f64| {
            let labels = |le: &'static str| vec![("le", le), ("path", path)];
            let bucket = |le, value| sample("wait_seconds_bucket", &labels(le), value, Unit::Count);
            vec![
                bucket("0.1", counts[0]),
                bucket("1", counts[1]),
                bucket("+Inf", counts[2]),
                sample("wait_seconds_sum", &[("path", path)], sum, Unit::Seconds),
                sample(
                    "wait_seconds_count",
                    &[("path", path)],
                    counts[2],
                    Unit::Count,
                ),
            ]
        };
        let mut samples = of("/a", [1.0, 4.0, 6.0], 2.5);
        samples.extend(of("/b", [0.0, 0.0, 0.0], 0.0));
        samples.push(sample("word_count", &[], 3.0, Unit::Count));
        let text = table(&batch(samples), None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(
            lines[2].contains("path=\"/a\"  6 values, sum 2.5  ▁█▅  seconds"),
            "{text}"
        );
        assert!(
            lines[3].contains("path=\"/b\"    0 values, sum 0  ▁▁▁  seconds"),
            "{text}"
        );
        assert!(lines[4].starts_with("word_count"), "{text}");
    }

    #[test]
    fn json_has_a_tick_in_one_object() {
        let mut batch = two();
        batch.partial = Some("no sensors".to_owned());
        batch.events.push(PluginEvent {
            name: "moved".to_owned(),
            data: "{\"to\":\"b\"}".to_owned(),
            level: 2,
            position: "12".to_owned(),
            ..PluginEvent::default()
        });
        let value = json(&batch);
        assert_eq!(value["tick"], 0);
        assert_eq!(value["partial"], "no sensors");
        assert_eq!(
            value["samples"][0],
            json!({
                "metric": "a_ratio", "labels": {"cpu": "0"}, "value": 0.25, "kind": "gauge", "unit": "ratio",
            })
        );
        assert_eq!(
            value["events"][0],
            json!({"at": null, "level": "info", "name": "moved", "data": {"to": "b"}, "position": "12"})
        );
    }
}
