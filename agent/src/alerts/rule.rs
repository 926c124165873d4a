//! A rule: which series it watches, what it makes of their values, and which of those are bad.
//!
//! Pure. Rules come from `config.toml` and from [`super::defaults`]; the engine applies them. Nothing here
//! knows of time or of earlier values: that is for `state.rs` and `window.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::catalog::{Kind, Unit};
use crate::protocol::{Comparison, RuleInfo, Severity};

/// What becomes of a series' values before they are compared. A counter's values are its rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    /// The newest value.
    #[default]
    Last,
    /// The mean of the window.
    Avg,
    /// The least of the window.
    Min,
    /// The greatest of the window.
    Max,
    /// The change per second over the window; of a counter, its increase, resets included.
    Rate,
    /// The value that 95 % of the window's are at or below.
    P95,
}

/// Which values are bad, how bad, and for how long they have to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Which side of a threshold is bad.
    pub comparison: Comparison,
    /// Threshold of a warning. At least one of both is there.
    pub warning: Option<f64>,
    /// Threshold of a critical alert; not on the good side of `warning`.
    pub critical: Option<f64>,
    /// A firing alert is over at this value or on its good side; not on the bad side of the thresholds.
    pub clear: f64,
    /// For how long a threshold has to be crossed.
    pub hold: Duration,
}

/// One rule, valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique among rules.
    pub name: String,
    /// Name of the metric.
    pub metric: String,
    /// Labels that a series must have, with exactly these values.
    pub labels: BTreeMap<String, String>,
    /// What is compared.
    pub function: Function,
    /// What the function looks at; zero for [`Function::Last`].
    pub window: Duration,
    /// What it is compared with.
    pub limits: Limits,
    /// Text for people, with `{value}`, `{threshold}`, `{collector}`, `{metric}`, `{labels}` and `{rule}`.
    pub message: String,
}

/// What a message is filled in with.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the rule's function gave, if there is a value.
    pub value: Option<f64>,
    /// The threshold of the alert's severity.
    pub threshold: f64,
    /// Collector of the series.
    pub collector: &'a str,
    /// Labels of the series.
    pub labels: &'a crate::protocol::Labels,
    /// How the values are written.
    pub unit: Unit,
    /// Values of a counter are rates.
    pub kind: Kind,
}

/// What can stand in braces in a message.
pub const PLACEHOLDERS: [&str; 6] = [
    "value",
    "threshold",
    "collector",
    "metric",
    "labels",
    "rule",
];

impl Function {
    /// The word of the wire and of the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Rate => "rate",
            Self::P95 => "p95",
        }
    }
}

impl Limits {
    /// How bad a value is; `None` when it is not.
    pub fn severity(&self, value: f64) -> Option<Severity> {
        let crossed = |threshold: Option<f64>| threshold.is_some_and(|at| self.is_worse(value, at));
        if crossed(self.critical) {
            return Some(Severity::Critical);
        }
        crossed(self.warning).then_some(Severity::Warning)
    }

    /// Whether a firing alert is over at this value.
    pub fn is_clear(&self, value: f64) -> bool {
        !self.is_worse(value, self.clear)
    }

    /// The threshold of a severity, or the one that there is.
    pub fn threshold(&self, severity: Severity) -> f64 {
        let (first, second) = match severity {
            Severity::Warning => (self.warning, self.critical),
            Severity::Critical => (self.critical, self.warning),
        };
        first.or(second).unwrap_or(self.clear)
    }

    /// Whether `value` lies on the bad side of `than`.
    pub fn is_worse(&self, value: f64, than: f64) -> bool {
        match self.comparison {
            Comparison::Above => value > than,
            Comparison::Below => value < than,
        }
    }
}

impl Rule {
    /// Whether a series of the rule's metric is watched.
    pub fn wants(&self, labels: &[(&str, &str)]) -> bool {
        self.labels
            .iter()
            .all(|(name, value)| labels.contains(&(name, value)))
    }

    /// The message about one alert.
    pub fn message(&self, facts: &Facts<'_>) -> String {
        let mut out = String::with_capacity(self.message.len() + 32);
        let mut rest = self.message.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                out.push('{');
                rest = after;
                break;
            };
            match self.fact(name, facts) {
                Some(text) => out.push_str(&text),
                None => out.extend(["{", name, "}"]),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn fact(&self, name: &str, facts: &Facts<'_>) -> Option<String> {
        let is_rate = facts.kind == Kind::Counter || self.function == Function::Rate;
        let number = |value| shown(value, facts.unit, is_rate);
        Some(match name {
            "value" => facts.value.map_or_else(|| "unknown".to_owned(), number),
            "threshold" => number(facts.threshold),
            "collector" => facts.collector.to_owned(),
            "metric" => self.metric.clone(),
            "rule" => self.name.clone(),
            "labels" => {
                let pairs = facts
                    .labels
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"));
                pairs.collect::<Vec<_>>().join(", ")
            }
            _ => return None,
        })
    }

    /// As the API shows it.
    pub fn info(&self, waiting_for: Option<String>, builtin: bool) -> RuleInfo {
        let ms = |span: Duration| u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        RuleInfo {
            name: self.name.clone(),
            metric: self.metric.clone(),
            labels: self
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            function: self.function.name().to_owned(),
            window_ms: ms(self.window),
            comparison: self.limits.comparison,
            warning: self.limits.warning,
            critical: self.limits.critical,
            clear: self.limits.clear,
            for_ms: ms(self.limits.hold),
            waiting_for,
            builtin,
        }
    }
}

/// A value for people, with at most three decimals.
pub fn shown(value: f64, unit: Unit, is_rate: bool) -> String {
    let (value, unit) = match unit {
        Unit::Ratio => (value * 100.0, " %"),
        Unit::Bytes => scaled(value),
        Unit::Seconds => (value, " s"),
        Unit::Hertz => (value, " Hz"),
        Unit::Celsius => (value, " °C"),
        Unit::Packets => (value, " packets"),
        Unit::Operations => (value, " operations"),
        Unit::Count | Unit::Info => (value, ""),
    };
    let decimals = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        middle if middle >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    let per = if is_rate { "/s" } else { "" };
    format!("{text}{unit}{per}")
}

fn scaled(bytes: f64) -> (f64, &'static str) {
    let units = [" B", " KiB", " MiB", " GiB", " TiB"];
    let mut value = bytes;
    let mut at = 0;
    while value.abs() >= 1_024.0 && at + 1 < units.len() {
        value /= 1_024.0;
        at += 1;
    }
    (value, units[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Labels;

    fn limits(comparison: Comparison, warning: f64, critical: f64, clear: f64) -> Limits {
        Limits {
            comparison,
            warning: Some(warning),
            critical: Some(critical),
            clear,
            hold: Duration::ZERO,
        }
    }

    #[test]
    fn a_threshold_itself_is_not_crossed() {
        let above = limits(Comparison::Above, 85.0, 95.0, 80.0);
        for (value, severity, clear) in [
            (80.0, None, true),
            (80.1, None, false),
            (85.0, None, false),
            (85.1, Some(Severity::Warning), false),
            (95.0, Some(Severity::Warning), false),
            (95.1, Some(Severity::Critical), false),
        ] {
            assert_eq!(above.severity(value), severity, "{value}");
            assert_eq!(above.is_clear(value), clear, "{value}");
        }
        let below = limits(Comparison::Below, 10.0, 5.0, 12.0);
        for (value, severity, clear) in [
            (12.0, None, true),
            (11.9, None, false),
            (10.0, None, false),
            (9.9, Some(Severity::Warning), false),
            (4.9, Some(Severity::Critical), false),
        ] {
            assert_eq!(below.severity(value), severity, "{value}");
            assert_eq!(below.is_clear(value), clear, "{value}");
        }
    }

    #[test]
    fn one_threshold_serves_both_severities() {
        let only = Limits {
            warning: None,
            ..limits(Comparison::Below, 0.0, 1.0, 1.0)
        };
        assert_eq!(only.severity(0.0), Some(Severity::Critical));
        assert!((only.threshold(Severity::Warning) - 1.0).abs() < f64::EPSILON);
        assert!(only.is_clear(1.0));
    }

    #[test]
    fn values_are_written_in_their_unit() {
        for (value, unit, is_rate, expected) in [
            (0.8731, Unit::Ratio, false, "87.3 %"),
            (0.85, Unit::Ratio, false, "85 %"),
            (1.0, Unit::Ratio, false, "100 %"),
            (51.0, Unit::Count, false, "51"),
            (0.0, Unit::Count, false, "0"),
            (125.25, Unit::Seconds, false, "125 s"),
            (1_610_612_736.0, Unit::Bytes, false, "1.5 GiB"),
            (2_048.0, Unit::Bytes, true, "2 KiB/s"),
            (-3.0, Unit::Celsius, false, "-3 °C"),
        ] {
            assert_eq!(shown(value, unit, is_rate), expected);
        }
    }

    #[test]
    fn a_message_is_filled_in_and_unknown_words_stay() {
        let rule = Rule {
            name: "memory".to_owned(),
            metric: "m".to_owned(),
            labels: BTreeMap::new(),
            function: Function::Last,
            window: Duration::ZERO,
            limits: limits(Comparison::Above, 0.85, 0.95, 0.8),
            message: "{rule} of {collector} ({labels}): {value} > {threshold} {x} {".to_owned(),
        };
        let labels = Labels::from_iter([("cpu".to_owned(), "0".to_owned())]);
        let facts = Facts {
            value: Some(0.9),
            threshold: 0.85,
            collector: "system",
            labels: &labels,
            unit: Unit::Ratio,
            kind: Kind::Gauge,
        };
        let expected = "memory of system (cpu=0): 90 % > 85 % {x} {";
        assert_eq!(rule.message(&facts), expected);
    }

    #[test]
    fn every_label_of_the_rule_has_to_match() {
        let mut rule = super::super::defaults::rules().remove(0);
        assert!(rule.wants(&[("queue", "pdf")]));
        rule.labels = BTreeMap::from([("queue".to_owned(), "pdf".to_owned())]);
        assert!(rule.wants(&[("priority", "1"), ("queue", "pdf")]));
        assert!(!rule.wants(&[("queue", "image")]));
        assert!(!rule.wants(&[]));
    }
}
