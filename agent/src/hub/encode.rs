//! Metric frames as JSON, written straight into the bytes that go out.
//!
//! Names and labels were rendered with the [`Table`]; what is written for each tick are numbers. The result
//! is exactly what the types of [`crate::protocol`] would give, which a test of [`super::tiers`] holds.

use std::ops::Range;
use std::sync::Arc;

use super::frame::{Frame, Update};
use super::table::{Member, Table};
use super::tiers::{Sum, Window};
use crate::catalog::Kind;
use crate::clock::{Tier, TierSet};
use crate::current::{Latest, View};

/// Whole numbers up to here are exact in a double, and are written without a fraction.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Names of what [`Sum::aggregates`] gives.
const AGGREGATES: [&str; 3] = ["min", "avg", "max"];

/// The text that every frame of a collector's stream begins with.
#[derive(Debug)]
pub(super) struct Heading {
    before_at: String,
    after_at: String,
}

/// What one frame is to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'a> {
    pub(super) at_ms: i64,
    pub(super) up: bool,
    pub(super) snapshot: bool,
    /// The metrics of these tiers are in it.
    pub(super) tiers: TierSet,
    /// Adds the least, mean and greatest of a window that is at its end.
    pub(super) window: Option<&'a Window>,
    pub(super) view: &'a View<'a>,
}

impl Heading {
    pub(super) fn new(topic: &str, tier: Tier, collector: &str) -> Self {
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let (event, channel) = (
            json(&format!("{topic}-metrics")),
            json(&format!("metrics:{topic}")),
        );
        let (tier, collector) = (tier.name(), json(collector));
        Self {
            before_at: format!(r#"{{"event":{event},"channel":{channel},"at":"#),
            after_at: format!(r#","data":{{"tier":"{tier}","collector":{collector},"up":"#),
        }
    }

    fn write(&self, content: &Content<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(self.before_at.as_bytes());
        write_integer(content.at_ms, out);
        out.extend_from_slice(self.after_at.as_bytes());
        out.extend_from_slice(if content.up { b"true" } else { b"false" });
        if content.snapshot {
            out.extend_from_slice(br#","snapshot":true"#);
        }
    }
}

/// The frame in the table's own shape; `bytes` is the size of the last one.
pub(super) fn update(
    heading: &Heading,
    table: &Table,
    content: &Content<'_>,
    bytes: usize,
) -> Update {
    let Some(text) = &table.text else {
        let frame = Frame::write(bytes, |out| write_named(heading, table, content, out));
        return Update::plain(frame, content.tiers);
    };
    let mut insert_at = 0;
    let frame = Frame::write(bytes, |out| {
        let start = out.len();
        heading.write(content, out);
        out.extend_from_slice(br#","table":"#);
        write_integer(i64::try_from(text.number).unwrap_or(i64::MAX), out);
        out.push(b',');
        insert_at = out.len() - start;
        write_columns(table, content, out);
        out.extend_from_slice(b"}}");
    });
    Update::columns(frame, content.tiers, Arc::clone(text), insert_at)
}

fn write_columns(table: &Table, content: &Content<'_>, out: &mut Vec<u8>) {
    let tiers: Vec<(Tier, Range<usize>)> = Tier::ALL
        .into_iter()
        .filter(|tier| content.tiers.contains(*tier))
        .map(|tier| (tier, table.range(tier)))
        .filter(|(_, range)| !range.is_empty())
        .collect();
    write_arrays("values", &tiers, out, |index| {
        let member = &table.members[index];
        content
            .view
            .latest(member.series)
            .and_then(|latest| latest.shown(member.kind))
    });
    let Some(window) = content.window else { return };
    for (position, name) in AGGREGATES.into_iter().enumerate() {
        out.push(b',');
        write_arrays(name, &tiers, out, |index| {
            Some(window.sum(index)?.aggregates()[position])
        });
    }
}

/// `"NAME":{"fast":[…],…}`
fn write_arrays(
    name: &str,
    tiers: &[(Tier, Range<usize>)],
    out: &mut Vec<u8>,
    value: impl Fn(usize) -> Option<f64>,
) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":{");
    for (position, (tier, range)) in tiers.iter().enumerate() {
        out.extend_from_slice(if position == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(tier.name().as_bytes());
        out.extend_from_slice(b"\":[");
        for index in range.clone() {
            if index > range.start {
                out.push(b',');
            }
            write_number(value(index), out);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn write_named(heading: &Heading, table: &Table, content: &Content<'_>, out: &mut Vec<u8>) {
    heading.write(content, out);
    out.extend_from_slice(br#","metrics":{"#);
    let mut first_metric = true;
    for group in table
        .groups
        .iter()
        .filter(|group| content.tiers.contains(group.tier))
    {
        let mut first_sample = true;
        for index in group.members.clone() {
            let member = &table.members[index];
            // A series without any sample yet is not there; one that went stale says so.
            let Some(latest) = content.view.latest(member.series) else {
                continue;
            };
            if !(first_sample && first_metric) {
                out.push(b',');
            }
            if first_sample {
                out.extend_from_slice(group.head.as_bytes());
            }
            (first_metric, first_sample) = (false, false);
            write_sample(
                member,
                latest,
                content.window.and_then(|window| window.sum(index)),
                out,
            );
        }
        if !first_sample {
            out.push(b']');
        }
    }
    out.extend_from_slice(b"}}}");
}

fn write_sample(member: &Member, latest: &Latest, sum: Option<&Sum>, out: &mut Vec<u8>) {
    let value = (!latest.stale).then_some(latest.value);
    out.extend_from_slice(member.head.as_bytes());
    match member.kind {
        Kind::Gauge => {
            out.extend_from_slice(br#""value":"#);
            write_number(value, out);
        }
        Kind::Counter => {
            out.extend_from_slice(br#""total":"#);
            write_number(value, out);
            out.extend_from_slice(br#","rate":"#);
            write_number(latest.shown(Kind::Counter), out);
        }
    }
    if let Some(sum) = sum {
        for (name, value) in AGGREGATES.into_iter().zip(sum.aggregates()) {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            write_number(Some(value), out);
        }
    }
    if latest.stale {
        out.extend_from_slice(br#","stale":true"#);
    }
    out.push(b'}');
}

fn write_number(value: Option<f64>, out: &mut Vec<u8>) {
    match value {
        Some(whole) if whole.fract() == 0.0 && whole.abs() < EXACT_MAX => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole and below 2^53"
            )]
            write_integer(whole as i64, out);
        }
        Some(value) => {
            serde_json::to_writer(out, &value).expect("a number can be written to memory");
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value).expect("a number can be written to memory");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: Option<f64>) -> String {
        let mut out = Vec::new();
        write_number(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers() {
        let cases = [
            (Some(0.0), "0"),
            (Some(-3.0), "-3"),
            (Some(0.25), "0.25"),
            (Some(1e15), "1000000000000000"),
            (Some(f64::NAN), "null"),
            (Some(f64::INFINITY), "null"),
            (None, "null"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    proptest! {
        #[test]
        fn a_number_reads_back_as_itself(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(number(Some(value)).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
