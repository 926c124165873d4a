//! The agent's rules for metrics, as the [`Recorder`](super::recorder::Recorder) keeps them: names, labels,
//! buckets, and what a metric is made of there. Pure.
//!
//! A test of the agent gives the same declarations to both hosts, so that what passes here passes there. Two rules
//! are for authors and stricter than the agent's: only counters end in `_total`, and only histograms have bounds.

use super::DeclaredMetric;
use crate::{abi, histogram::BOUNDS_MAX};

/// Bytes of a metric's or label's name and of a label's value.
pub(super) const NAME_BYTES_MAX: usize = 256;
/// Labels of a metric.
pub(super) const LABELS_MAX: usize = 16;

/// Whether the agent takes a metric of a plugin of this topic, and the reason where it does not.
pub(super) fn check_metric(topic: &str, kind: u32, metric: &DeclaredMetric) -> Result<(), String> {
    let DeclaredMetric {
        name,
        bounds,
        labels,
        ..
    } = metric;
    if !is_name(name) || !labels.iter().all(|label| is_name(label)) {
        return Err(format!("metric {name:?} has an invalid name"));
    }
    if (1..labels.len()).any(|at| labels[..at].contains(&labels[at])) {
        return Err(format!("{name} has a label twice"));
    }
    if let Some(whose) = agents_own(topic, name) {
        return Err(format!("{name} is the agent's own name: {whose}"));
    }
    if metric.counter != name.ends_with("_total") {
        return Err(format!("only counters end in _total: {name}"));
    }
    if kind != abi::KIND_HISTOGRAM {
        return if bounds.is_empty() {
            Ok(())
        } else {
            Err(format!("{name} has bounds, but is no histogram"))
        };
    }
    if bounds.is_empty() || bounds.len() > BOUNDS_MAX {
        let given = bounds.len();
        return Err(format!("{name} has {given} bounds, not 1 to {BOUNDS_MAX}"));
    }
    if !bounds.iter().all(|bound| bound.is_finite()) || !bounds.is_sorted_by(|a, b| a < b) {
        return Err(format!("the bounds of {name} are not finite and ascending"));
    }
    if labels.iter().any(|label| label == "le") {
        return Err(format!("{name} is a histogram, whose label le is its own"));
    }
    if labels.len() == LABELS_MAX {
        return Err(format!(
            "{name} has {LABELS_MAX} labels, and its buckets need one more"
        ));
    }
    if name.len() + "_bucket".len() > NAME_BYTES_MAX {
        let len = name.len();
        return Err(format!(
            "a histogram's name of {len} bytes leaves no room for _bucket: {name}"
        ));
    }
    Ok(())
}

/// What the agent says under this name itself.
fn agents_own(topic: &str, name: &str) -> Option<&'static str> {
    if name.starts_with("barograph_") {
        return Some("all that begin with barograph_ are");
    }
    let said = name.strip_prefix(topic)?;
    matches!(said, "_up" | "_collect_seconds")
        .then_some("it says it of each collector of this topic")
}

/// Names that the agent has for a metric.
pub(super) fn parts(metric: &DeclaredMetric) -> Vec<String> {
    let name = &metric.name;
    if metric.bounds.is_empty() {
        return vec![name.clone()];
    }
    ["bucket", "sum", "count"]
        .map(|part| format!("{name}_{part}"))
        .to_vec()
}

/// Series that the agent has for one of a metric: a histogram's are its buckets, their sum and count.
pub(super) fn series_count(metric: &DeclaredMetric) -> usize {
    match metric.bounds.len() {
        0 => 1,
        bounds => bounds + 3,
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
