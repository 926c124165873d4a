//! `barograph query`: points of some series as a table with small charts, or as JSON.
//!
//! One series is shown point by point, several a line each. JSON has the form of the HTTP API's history and is written
//! as it comes; if it can't be finished, it says so in itself and in the exit code.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::Args;
use serde::Deserialize;

use super::Failure;
use super::origin::{Origin, folder};
use super::scope::{ScopeArguments, word};
use super::table::{Align, chart, columns, length, quantity};
use crate::catalog::{Kind, Unit};
use crate::clock::Clock;
use crate::control::request::{Head, Question, Request, Stopped};
use crate::moment::Shown;
use crate::protocol::{Aggregation, Labels, Resolution};

/// How far back a query goes unless something is given.
const LAST_MS: i64 = 3_600_000;

/// What `query` can be told.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Names of metrics; * stands for any run of characters
    #[arg(value_name = "METRIC", required = true)]
    metrics: Vec<String>,
    #[command(flatten)]
    scope: ScopeArguments,
    /// How many points at most
    #[arg(long, value_name = "N", default_value_t = 60)]
    points: u32,
    /// What a point says: envelope, avg, min, max, last, rate, increase, p50, p90, p95 or p99
    #[arg(long, value_name = "WORD", default_value = "envelope", value_parser = word::<Aggregation>)]
    agg: Aggregation,
    /// What is read: raw, minute or hour; the width of a point decides unless given
    #[arg(long, value_name = "WORD", value_parser = word::<Resolution>)]
    resolution: Option<Resolution>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let (root, config) = folder(config, arguments.scope.data_dir.clone())?;
    let now_ms = Clock::system().now_ms();
    let request = Request::Query(Question {
        scope: arguments.scope.scope(arguments.metrics, LAST_MS, now_ms)?,
        points: arguments.points,
        aggregation: arguments.agg,
        resolution: arguments.resolution,
    });
    let origin = Origin::find(&root, config.store)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if arguments.json {
        let mut json = Json::default();
        let asked = origin.ask(&request, &mut Lines::new(|line| json.line(line, &mut out)));
        json.end(asked.as_ref().err().map(ToString::to_string), &mut out)?;
        out.flush()?;
        asked?;
    } else {
        let mut table = Table::default();
        origin.ask(&request, &mut Lines::new(|line| table.line(line)))?;
        out.write_all(table.shown().as_bytes())?;
    }
    out.flush()?;
    Ok(())
}

/// Calls a function with each line that is written.
struct Lines<F> {
    each: F,
    line: Vec<u8>,
}

impl<F: FnMut(&str) -> io::Result<()>> Lines<F> {
    fn new(each: F) -> Self {
        Self {
            each,
            line: Vec::new(),
        }
    }
}

impl<F: FnMut(&str) -> io::Result<()>> Write for Lines<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            (self.each)(str::from_utf8(&line).map_err(io::Error::other)?)?;
        }
        self.line.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts the lines of an answer together to one object.
#[derive(Debug, Default)]
struct Json {
    lines: u64,
    stopped: Option<String>,
}

impl Json {
    fn line(&mut self, line: &str, out: &mut impl Write) -> io::Result<()> {
        if let Ok(Stopped { stopped }) = serde_json::from_str(line) {
            self.stopped = Some(stopped);
            return Ok(());
        }
        match self.lines {
            0 => write!(
                out,
                "{},\"series\":[",
                line.strip_suffix('}').unwrap_or(line)
            )?,
            1 => write!(out, "\n{line}")?,
            _ => write!(out, ",\n{line}")?,
        }
        self.lines += 1;
        Ok(())
    }

    fn end(&self, failed: Option<String>, out: &mut impl Write) -> io::Result<()> {
        if self.lines == 0 {
            return Ok(());
        }
        match failed.or_else(|| self.stopped.clone()) {
            None => writeln!(out, "],\"complete\":true}}"),
            Some(why) => {
                let why = serde_json::Value::String(why);
                writeln!(out, "],\"complete\":false,\"stopped\":{why}}}")
            }
        }
    }
}

/// One series of an answer.
#[derive(Debug, Deserialize)]
struct Series {
    metric: String,
    kind: Kind,
    unit: Unit,
    collector: String,
    labels: Labels,
    min: Option<Vec<Option<f64>>>,
    avg: Option<Vec<Option<f64>>>,
    max: Option<Vec<Option<f64>>>,
    values: Option<Vec<Option<f64>>>,
}

impl Series {
    fn points(&self) -> &[Option<f64>] {
        self.avg
            .as_deref()
            .or(self.values.as_deref())
            .unwrap_or_default()
    }

    fn name(&self) -> String {
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if labels.is_empty() {
            self.metric.clone()
        } else {
            format!("{}{{{}}}", self.metric, labels.join(","))
        }
    }

    /// Whether its values are rates of a counter.
    fn is_rate(&self, agg: Aggregation) -> bool {
        self.kind == Kind::Counter
            && !matches!(
                agg,
                Aggregation::Increase
                    | Aggregation::Last
                    | Aggregation::P50
                    | Aggregation::P90
                    | Aggregation::P95
                    | Aggregation::P99
            )
    }
}

/// The answer as text. Of several series only what their lines show is kept.
#[derive(Debug, Default)]
struct Table {
    head: Option<Head>,
    first: Option<Series>,
    rows: Vec<Vec<String>>,
    stopped: Option<String>,
}

impl Table {
    fn line(&mut self, line: &str) -> io::Result<()> {
        let Some(head) = &self.head else {
            self.head = Some(serde_json::from_str(line)?);
            return Ok(());
        };
        if let Ok(Stopped { stopped }) = serde_json::from_str(line) {
            self.stopped = Some(stopped);
            return Ok(());
        }
        let series: Series = serde_json::from_str(line)?;
        self.rows.push(summary(&series, head.agg));
        if self.first.is_none() {
            self.first = Some(series);
        }
        Ok(())
    }

    fn shown(&self) -> String {
        let Some(head) = &self.head else {
            return String::new();
        };
        let source = match head.resolution {
            Resolution::Raw => "samples",
            Resolution::Minute => "minutes",
            Resolution::Hour => "hours",
        };
        let title = format!(
            "{} to {}, points of {} from {source}\n",
            Shown(head.from),
            Shown(head.to),
            length(head.step)
        );
        let body = match (&self.first, self.rows.len()) {
            (None, _) => "no series has samples there\n".to_owned(),
            (Some(series), 1) => points(series, head),
            _ => columns(&SUMMARY, &self.rows),
        };
        match &self.stopped {
            None => title + &body,
            Some(why) => format!("{title}{body}not everything: {why}\n"),
        }
    }
}

const SUMMARY: [(&str, Align); 7] = [
    ("SERIES", Align::Left),
    ("COLLECTOR", Align::Left),
    ("", Align::Left),
    ("MIN", Align::Right),
    ("AVG", Align::Right),
    ("MAX", Align::Right),
    ("LAST", Align::Right),
];

fn summary(series: &Series, agg: Aggregation) -> Vec<String> {
    let points = series.points();
    let known: Vec<f64> = points.iter().flatten().copied().collect();
    let of = |values: &Option<Vec<Option<f64>>>, pick: fn(f64, f64) -> f64| {
        let values = values.as_deref().unwrap_or(points);
        values.iter().flatten().copied().reduce(pick)
    };
    let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    let shown = |value| quantity(value, series.unit, series.is_rate(agg));
    vec![
        series.name(),
        series.collector.clone(),
        chart(points),
        shown(of(&series.min, f64::min)),
        shown(mean),
        shown(of(&series.max, f64::max)),
        shown(known.last().copied()),
    ]
}

/// Point by point.
fn points(series: &Series, head: &Head) -> String {
    let is_rate = series.is_rate(head.agg);
    let columns_of: Vec<(&str, &[Option<f64>])> = match (&series.min, &series.avg, &series.max) {
        (Some(min), Some(avg), Some(max)) => vec![("MIN", min), ("AVG", avg), ("MAX", max)],
        _ => vec![("VALUE", series.points())],
    };
    let mut titles = vec![("TIME", Align::Left)];
    titles.extend(columns_of.iter().map(|(title, _)| (*title, Align::Right)));
    let rows: Vec<Vec<String>> = (0..series.points().len())
        .map(|at| {
            let offset = i64::try_from(at)
                .unwrap_or(i64::MAX)
                .saturating_mul(head.step);
            let mut row = vec![Shown(head.from.saturating_add(offset)).to_string()];
            row.extend(columns_of.iter().map(|(_, values)| {
                quantity(values.get(at).copied().flatten(), series.unit, is_rate)
            }));
            row
        })
        .collect();
    let name = series.name();
    let collector = &series.collector;
    format!(
        "{name} of {collector}\n{}\n{}",
        chart(series.points()),
        columns(&titles, &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"from":1795233600000,"to":1795233780000,"step":60000,"resolution":"minute","agg":"envelope"}"#;
    const CPU: &str = r#"{"metric":"cpu_ratio","kind":"gauge","unit":"ratio","collector":"system","labels":{"cpu":"0"},"min":[0.1,null,0.2],"avg":[0.2,null,0.4],"max":[0.3,null,0.6]}"#;
    const DISK: &str = r#"{"metric":"read_bytes_total","kind":"counter","unit":"bytes","collector":"system","labels":{},"min":[0,0,0],"avg":[1024,1024,1024],"max":[2048,2048,4096]}"#;

    fn table(lines: &[&str]) -> String {
        let mut table = Table::default();
        let mut writer = Lines::new(|line: &str| table.line(line));
        let text = lines.join("\n") + "\n";
        for part in text.as_bytes().chunks(7) {
            writer.write_all(part).unwrap();
        }
        table.shown()
    }

    #[test]
    fn one_series_is_shown_point_by_point() {
        let expected = "2026-11-21T04:00:00Z to 2026-11-21T04:03:00Z, points of 1 min from minutes
cpu_ratio{cpu=0} of system
▁ █
TIME                   MIN   AVG   MAX
2026-11-21T04:00:00Z  10 %  20 %  30 %
2026-11-21T04:01:00Z     -     -     -
2026-11-21T04:02:00Z  20 %  40 %  60 %
";
        assert_eq!(table(&[HEAD, CPU]), expected);
    }

    #[test]
    fn several_series_have_a_line_each() {
        let expected = "2026-11-21T04:00:00Z to 2026-11-21T04:03:00Z, points of 1 min from minutes
SERIES            COLLECTOR        MIN      AVG      MAX     LAST
cpu_ratio{cpu=0}  system     ▁ █  10 %     30 %     60 %     40 %
read_bytes_total  system     ▁▁▁  0 B/s  1 KiB/s  4 KiB/s  1 KiB/s
";
        let squeezed = |text: &str| {
            text.split(' ')
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(squeezed(&table(&[HEAD, CPU, DISK])), squeezed(expected));
        let limited = table(&[HEAD, r#"{"stopped":"too much"}"#]);
        assert!(limited.ends_with("no series has samples there\nnot everything: too much\n"));
    }

    #[test]
    fn lines_become_one_json_object() {
        let joined = |lines: &[&str], stopped: Option<&str>| {
            let (mut out, mut json) = (Vec::new(), Json::default());
            for line in lines {
                json.line(line, &mut out).unwrap();
            }
            json.end(stopped.map(str::to_owned), &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        let whole = joined(&[HEAD, CPU, DISK], None);
        assert_eq!(whole["series"][1]["metric"], "read_bytes_total");
        assert_eq!(
            (&whole["step"], &whole["complete"]),
            (&60_000.into(), &true.into())
        );
        let limited = joined(&[HEAD, r#"{"stopped":"too much"}"#], None);
        assert_eq!(
            (&limited["complete"], &limited["stopped"]),
            (&false.into(), &"too much".into())
        );
        let broken = joined(&[HEAD], Some("the disk is \"gone\""));
        assert_eq!(broken["complete"], false);
        assert_eq!(broken["stopped"], "the disk is \"gone\"");
    }
}
