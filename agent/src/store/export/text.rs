//! The text formats of an export. Pure: series and samples in, text out.
//!
//! - `OpenMetrics`: families with their type, one line a sample with its time in seconds, `# EOF`. What is a
//!   counter but not named `_total` (the buckets and sums of histograms) has the type `unknown`.
//! - JSON lines: one object a series and hour, `{"metric":{"__name__":…,label:…},"collector","kind","unit",
//!   "timestamps":[ms],"values":[…]}`, with `min` and `max` beside `values` when points are exported. It is what
//!   `VictoriaMetrics` imports.
//! - CSV: one line a sample, `time,metric,collector,labels,value`, labels as `name=value;…`.
//!
//! In the first two, series of a collector with a name of its own (which is not that of its topic) have it as the
//! label `instance`, so that two instances never share a series.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::catalog::{Kind, Unit};
use crate::moment::Shown;
use crate::store::registry::StoredSeries;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For Prometheus and its tools.
    OpenMetrics,
    /// One JSON object a line.
    #[serde(rename = "jsonl")]
    JsonLines,
    /// For spreadsheets.
    Csv,
}

/// What stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Samples.
    Samples,
    /// Points of a minute or an hour: least, mean and greatest. Of a counter they are rates per second; only
    /// `OpenMetrics`, which knows no rates, has a total there, which begins with 0.
    Points,
}

/// What is known at some moments; parallel. `min` and `max` are empty for samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part<'a> {
    /// Unix milliseconds.
    pub times_ms: &'a [i64],
    /// Samples, or means.
    pub values: &'a [f64],
    /// Least of each point.
    pub min: &'a [f64],
    /// Greatest of each point.
    pub max: &'a [f64],
}

/// Writes one export. Series come ordered by metric, the parts of a series one after the other.
#[derive(Debug)]
pub struct Text<W: Write> {
    format: Format,
    shape: Shape,
    out: W,
    /// The metric whose head was written last.
    metric: String,
    /// What each line of the current series has in common.
    prefix: String,
    line: String,
}

impl<W: Write> Text<W> {
    /// Begins the text.
    pub fn new(format: Format, shape: Shape, mut out: W) -> io::Result<Self> {
        if format == Format::Csv {
            let values = match shape {
                Shape::Samples => "value",
                Shape::Points => "min,avg,max",
            };
            writeln!(out, "time,metric,collector,labels,{values}")?;
        }
        Ok(Self {
            format,
            shape,
            out,
            metric: String::new(),
            prefix: String::new(),
            line: String::new(),
        })
    }

    /// The parts that follow are of this series.
    pub fn series(&mut self, series: &StoredSeries) -> io::Result<()> {
        self.prefix.clear();
        match self.format {
            Format::OpenMetrics => {
                if self.metric != series.metric {
                    self.metric.clone_from(&series.metric);
                    self.out.write_all(family(series).as_bytes())?;
                }
                self.prefix.push_str(&series.metric);
                braces(&mut self.prefix, series);
                self.prefix.push(' ');
            }
            Format::JsonLines => object(&mut self.prefix, series),
            Format::Csv => {
                let labels = csv_labels(series);
                let [metric, collector, labels] =
                    [&series.metric, &series.collector, &labels].map(|text| csv_field(text));
                let _ = write!(self.prefix, ",{metric},{collector},{labels}");
            }
        }
        Ok(())
    }

    /// Some samples or points of the current series, later than those before.
    pub fn part(&mut self, part: Part<'_>) -> io::Result<()> {
        if part.times_ms.is_empty() {
            return Ok(());
        }
        match self.format {
            Format::OpenMetrics => self.open_metrics(part),
            Format::JsonLines => self.json(part),
            Format::Csv => self.csv(part),
        }
    }

    /// Ends the text.
    pub fn end(mut self) -> io::Result<()> {
        if self.format == Format::OpenMetrics {
            self.out.write_all(b"# EOF\n")?;
        }
        self.out.flush()
    }

    fn open_metrics(&mut self, part: Part<'_>) -> io::Result<()> {
        for (&at_ms, &value) in part.times_ms.iter().zip(part.values) {
            self.line.clear();
            self.line.push_str(&self.prefix);
            let infinite = if value > 0.0 { "+Inf" } else { "-Inf" };
            number(&mut self.line, value, "NaN", infinite);
            let _ = write!(self.line, " {}", at_ms.div_euclid(1_000));
            match at_ms.rem_euclid(1_000) {
                0 => self.line.push('\n'),
                ms => {
                    let _ = writeln!(self.line, ".{ms:03}");
                }
            }
            self.out.write_all(self.line.as_bytes())?;
        }
        Ok(())
    }

    fn json(&mut self, part: Part<'_>) -> io::Result<()> {
        self.line.clear();
        self.line.push_str(&self.prefix);
        self.line.push_str(",\"timestamps\":[");
        for (at, at_ms) in part.times_ms.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(self.line, "{comma}{at_ms}");
        }
        self.line.push(']');
        self.json_numbers("values", part.values);
        if self.shape == Shape::Points {
            self.json_numbers("min", part.min);
            self.json_numbers("max", part.max);
        }
        self.line.push_str("}\n");
        self.out.write_all(self.line.as_bytes())
    }

    /// JSON has no infinities: they become text, which `VictoriaMetrics` and JavaScript's `Number` read.
    fn json_numbers(&mut self, name: &str, values: &[f64]) {
        let _ = write!(self.line, ",\"{name}\":[");
        for (at, &value) in values.iter().enumerate() {
            if at > 0 {
                self.line.push(',');
            }
            let infinite = if value > 0.0 {
                "\"Infinity\""
            } else {
                "\"-Infinity\""
            };
            number(&mut self.line, value, "null", infinite);
        }
        self.line.push(']');
    }

    fn csv(&mut self, part: Part<'_>) -> io::Result<()> {
        let columns: &[&[f64]] = match self.shape {
            Shape::Samples => &[part.values],
            Shape::Points => &[part.min, part.values, part.max],
        };
        for (at, &at_ms) in part.times_ms.iter().enumerate() {
            self.line.clear();
            let _ = write!(self.line, "{}{}", Shown(at_ms), self.prefix);
            for column in columns {
                self.line.push(',');
                let value = column[at];
                let infinite = if value > 0.0 { "Infinity" } else { "-Infinity" };
                number(&mut self.line, value, "NaN", infinite);
            }
            self.line.push('\n');
            self.out.write_all(self.line.as_bytes())?;
        }
        Ok(())
    }
}

/// Whether it is a counter in the sense of `OpenMetrics`, whose name must end so.
fn is_total(series: &StoredSeries) -> bool {
    series.kind == Kind::Counter && series.metric.ends_with("_total")
}

fn family(series: &StoredSeries) -> String {
    let name = series.metric.as_str();
    let (name, kind) = match series.kind {
        Kind::Gauge => (name, "gauge"),
        Kind::Counter if is_total(series) => (name.trim_end_matches("_total"), "counter"),
        Kind::Counter => (name, "unknown"),
    };
    let mut text = format!("# TYPE {name} {kind}\n");
    let unit = match series.unit {
        Unit::Bytes => "bytes",
        Unit::Seconds => "seconds",
        Unit::Ratio => "ratio",
        Unit::Hertz => "hertz",
        Unit::Celsius => "celsius",
        Unit::Packets => "packets",
        Unit::Operations => "operations",
        Unit::Count | Unit::Info => "",
    };
    // A unit may only be named if the family's name ends in it.
    if !unit.is_empty() && name.ends_with(&format!("_{unit}")) {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    text
}

/// The labels, with the collector where it tells two instances apart.
fn labels(series: &StoredSeries) -> impl Iterator<Item = (&str, &str)> {
    let instance = (series.collector != series.topic && !series.labels.contains_key("instance"))
        .then_some(("instance", series.collector.as_str()));
    let own = series
        .labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    instance.into_iter().chain(own)
}

fn braces(out: &mut String, series: &StoredSeries) {
    let mut separator = '{';
    for (name, value) in labels(series) {
        out.push(separator);
        out.push_str(name);
        out.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '"' => out.push_str("\\\""),
                other => out.push(other),
            }
        }
        out.push('"');
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
}

/// The object of a series, still open.
fn object(out: &mut String, series: &StoredSeries) {
    let json = |text: &str| serde_json::to_string(text).expect("a string becomes JSON");
    let _ = write!(out, "{{\"metric\":{{\"__name__\":{}", json(&series.metric));
    for (name, value) in labels(series) {
        let _ = write!(out, ",{}:{}", json(name), json(value));
    }
    let kind = serde_json::to_string(&series.kind).expect("a word becomes JSON");
    let unit = serde_json::to_string(&series.unit).expect("a word becomes JSON");
    let collector = json(&series.collector);
    let _ = write!(
        out,
        "}},\"collector\":{collector},\"kind\":{kind},\"unit\":{unit}"
    );
}

fn csv_labels(series: &StoredSeries) -> String {
    let mut text = String::new();
    for (name, value) in &series.labels {
        if !text.is_empty() {
            text.push(';');
        }
        text.push_str(name);
        text.push('=');
        for character in value.chars() {
            if matches!(character, '\\' | ';') {
                text.push('\\');
            }
            text.push(character);
        }
    }
    text
}

/// A field as RFC 4180 has it.
fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The shortest text that is read back as this value, without hundreds of digits for what is very large or small.
fn number(out: &mut String, value: f64, nan: &str, infinite: &str) {
    let size = value.abs();
    if value.is_nan() {
        out.push_str(nan);
    } else if size.is_infinite() {
        out.push_str(infinite);
    } else if size == 0.0 || (1e-5..1e17).contains(&size) {
        let _ = write!(out, "{value}");
    } else {
        let _ = write!(out, "{value:e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Tier;

    fn series(metric: &str, kind: Kind, unit: Unit, labels: &[(&str, &str)]) -> StoredSeries {
        StoredSeries {
            id: 1,
            metric: metric.to_owned(),
            kind,
            unit,
            tier: Tier::Fast,
            topic: "system".to_owned(),
            collector: "system".to_owned(),
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            last_day: 0,
        }
    }

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        let mut text = Text::new(format, Shape::Samples, &mut out).unwrap();
        let read = series(
            "disk_read_bytes_total",
            Kind::Counter,
            Unit::Bytes,
            &[("path", "C:\\a\n\"b\""), ("dev", "a,b;c")],
        );
        text.series(&read).unwrap();
        text.part(Part {
            times_ms: &[1_795_233_600_000, 1_795_233_601_250],
            values: &[1e18, 1_000_000.0],
            ..Part::default()
        })
        .unwrap();
        text.part(Part::default()).unwrap();
        let more = series(
            "disk_read_bytes_total",
            Kind::Counter,
            Unit::Bytes,
            &[("path", "")],
        );
        text.series(&more).unwrap();
        text.part(Part {
            times_ms: &[1_795_233_602_000],
            values: &[3.0],
            ..Part::default()
        })
        .unwrap();
        let mut other = series("load", Kind::Gauge, Unit::Count, &[]);
        other.collector = "second".to_owned();
        text.series(&other).unwrap();
        text.part(Part {
            times_ms: &[0, 1, 2, 3, 4],
            values: &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.1 + 0.2],
            ..Part::default()
        })
        .unwrap();
        let bucket = series(
            "wait_seconds_bucket",
            Kind::Counter,
            Unit::Count,
            &[("le", "0.5")],
        );
        text.series(&bucket).unwrap();
        text.part(Part {
            times_ms: &[5_000],
            values: &[2e-9],
            ..Part::default()
        })
        .unwrap();
        text.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn open_metrics() {
        let expected = r#"# TYPE disk_read_bytes counter
# UNIT disk_read_bytes bytes
disk_read_bytes_total{path="C:\\a\n\"b\"",dev="a,b;c"} 1e18 1795233600
disk_read_bytes_total{path="C:\\a\n\"b\"",dev="a,b;c"} 1000000 1795233601.250
disk_read_bytes_total{path=""} 3 1795233602
# TYPE load gauge
load{instance="second"} NaN 0
load{instance="second"} +Inf 0.001
load{instance="second"} -Inf 0.002
load{instance="second"} -0 0.003
load{instance="second"} 0.30000000000000004 0.004
# TYPE wait_seconds_bucket unknown
wait_seconds_bucket{le="0.5"} 2e-9 5
# EOF
"#;
        assert_eq!(written(Format::OpenMetrics), expected);
    }

    #[test]
    fn json_lines() {
        let expected = r#"{"metric":{"__name__":"disk_read_bytes_total","path":"C:\\a\n\"b\"","dev":"a,b;c"},"collector":"system","kind":"counter","unit":"bytes","timestamps":[1795233600000,1795233601250],"values":[1e18,1000000]}
{"metric":{"__name__":"disk_read_bytes_total","path":""},"collector":"system","kind":"counter","unit":"bytes","timestamps":[1795233602000],"values":[3]}
{"metric":{"__name__":"load","instance":"second"},"collector":"second","kind":"gauge","unit":"count","timestamps":[0,1,2,3,4],"values":[null,"Infinity","-Infinity",-0,0.30000000000000004]}
{"metric":{"__name__":"wait_seconds_bucket","le":"0.5"},"collector":"system","kind":"counter","unit":"count","timestamps":[5000],"values":[2e-9]}
"#;
        let text = written(Format::JsonLines);
        assert_eq!(text, expected);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["metric"]["__name__"].is_string());
        }
    }

    #[test]
    fn csv() {
        let expected = r#"time,metric,collector,labels,value
2026-11-21T04:00:00Z,disk_read_bytes_total,system,"path=C:\\a
""b"";dev=a,b\;c",1e18
2026-11-21T04:00:01.250Z,disk_read_bytes_total,system,"path=C:\\a
""b"";dev=a,b\;c",1000000
2026-11-21T04:00:02Z,disk_read_bytes_total,system,path=,3
1970-01-01T00:00:00Z,load,second,,NaN
1970-01-01T00:00:00.001Z,load,second,,Infinity
1970-01-01T00:00:00.002Z,load,second,,-Infinity
1970-01-01T00:00:00.003Z,load,second,,-0
1970-01-01T00:00:00.004Z,load,second,,0.30000000000000004
1970-01-01T00:00:05Z,wait_seconds_bucket,system,le=0.5,2e-9
"#;
        assert_eq!(written(Format::Csv), expected);
    }

    #[test]
    fn points_have_an_envelope() {
        let part = Part {
            times_ms: &[60_000],
            values: &[2.5],
            min: &[1.0],
            max: &[4.0],
        };
        let load = series("load", Kind::Gauge, Unit::Count, &[]);
        let write = |format| {
            let mut out = Vec::new();
            let mut text = Text::new(format, Shape::Points, &mut out).unwrap();
            text.series(&load).unwrap();
            text.part(part).unwrap();
            text.end().unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            write(Format::Csv),
            "time,metric,collector,labels,min,avg,max\n1970-01-01T00:01:00Z,load,system,,1,2.5,4\n"
        );
        assert!(
            write(Format::JsonLines)
                .ends_with("\"timestamps\":[60000],\"values\":[2.5],\"min\":[1],\"max\":[4]}\n")
        );
    }

    #[test]
    fn every_number_is_read_back() {
        for value in [
            0.0,
            1.0,
            -1.5,
            1e-5,
            9.9e-6,
            1e17,
            99_999_999_999_999_980.0,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            0.1,
        ] {
            let mut text = String::new();
            number(&mut text, value, "", "");
            assert_eq!(
                text.parse::<f64>().unwrap().to_bits(),
                value.to_bits(),
                "{text}"
            );
            assert!(text.len() < 26, "{text}");
        }
    }
}
