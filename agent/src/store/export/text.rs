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
mod tests;
