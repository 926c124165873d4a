//! A tick as text, for people and golden files; the format is that of `/metrics` without its comments.

use std::fmt::Write as _;

use super::recorder::{Recorder, Sampled};

/// Whether the values stand in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    Shown,
    Masked,
}

/// The samples of the last tick, one line each, in the order in which their series were declared.
pub(super) fn of(recorder: &Recorder, numbers: Numbers) -> String {
    let mut text = String::new();
    for (series, sampled) in &recorder.samples {
        let (metric, labels) = recorder.labels(*series);
        let mut line = |name: &str, le: Option<&str>, value: &dyn std::fmt::Display| {
            let pairs: Vec<String> = labels
                .iter()
                .copied()
                .chain(le.map(|le| ("le", le)))
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect();
            let labels = if pairs.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", pairs.join(","))
            };
            let written = match numbers {
                Numbers::Shown => writeln!(text, "{name}{labels} {value}"),
                Numbers::Masked => writeln!(text, "{name}{labels} *"),
            };
            written.expect("a String takes all");
        };
        match sampled {
            Sampled::Value(value) => line(&metric.name, None, value),
            Sampled::Histogram { counts, sum } => {
                let bucket = format!("{}_bucket", metric.name);
                let mut up_to: u64 = 0;
                for (index, count) in counts.iter().enumerate() {
                    up_to = up_to.saturating_add(*count);
                    let bound = metric.bounds.get(index).map(|bound| bound_text(*bound));
                    line(&bucket, Some(bound.as_deref().unwrap_or("+Inf")), &up_to);
                }
                line(&format!("{}_sum", metric.name), None, sum);
                line(&format!("{}_count", metric.name), None, &up_to);
            }
        }
    }
    text
}

/// A bucket's bound as the agent writes it: the shortest text that reads back as the same number.
fn bound_text(bound: f64) -> String {
    match bound.abs() {
        0.0 => "0".to_owned(),
        1e-9..1e21 => bound.to_string(),
        _ => format!("{bound:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_short() {
        let bounds = [-0.0, 0.005, 1.0, -2.5, 1e20, 1e21, 1e-10];
        assert_eq!(
            bounds.map(bound_text),
            [
                "0",
                "0.005",
                "1",
                "-2.5",
                "100000000000000000000",
                "1e21",
                "1e-10"
            ]
        );
    }
}
