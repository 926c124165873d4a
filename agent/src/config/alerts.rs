//! The section `[alerts]`: rules, each `[[alerts.rules]]`.
//!
//! The rules that come with the agent are there unasked. One in the file with the same name takes the
//! place of such a rule as a whole, and with `enabled = false` it only takes it away. Whether a metric
//! exists shows when its collector runs: a rule may wait for it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;

use super::error::list;
use super::reader::Mistake;
use super::unit;
use super::validation::DAY;
use crate::alerts::defaults;
use crate::alerts::rule::{Function, Limits, PLACEHOLDERS, Rule};
use crate::protocol::Comparison;

/// More rules than anybody can read the alerts of.
const RULES_MAX: usize = 200;
/// As many as a subscription may match.
const LABELS_MAX: usize = 16;
/// A message is one line of a notification.
const MESSAGE_BYTES_MAX: usize = 500;
/// Shorter windows hold a sample or none.
const WINDOW_MIN: Duration = Duration::from_secs(1);

/// `[alerts]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Section {
    rules: Vec<RawRule>,
}

/// `[[alerts.rules]]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRule {
    name: String,
    enabled: bool,
    metric: Option<String>,
    labels: IndexMap<String, String>,
    function: Function,
    #[serde(deserialize_with = "unit::optional_duration")]
    window: Option<Duration>,
    comparison: Comparison,
    warning: Option<f64>,
    critical: Option<f64>,
    clear: Option<f64>,
    #[serde(rename = "for", deserialize_with = "unit::duration")]
    hold: Duration,
    message: Option<String>,
}

impl Default for RawRule {
    fn default() -> Self {
        Self {
            name: String::new(),
            enabled: true,
            metric: None,
            labels: IndexMap::new(),
            function: Function::Last,
            window: None,
            comparison: Comparison::Above,
            warning: None,
            critical: None,
            clear: None,
            hold: Duration::ZERO,
            message: None,
        }
    }
}

/// Where the mistakes of one rule go: its key, or none, and the message.
type Report<'a> = dyn FnMut(Option<&str>, String) + 'a;

/// All rules that are to run: those that come with the agent, then those of the file in its order.
pub(super) fn rules(section: Section, found: &mut Vec<Mistake>) -> Vec<Rule> {
    let mut report = |at: usize, key: Option<&str>, message: String| {
        let (at, key) = (at.to_string(), key.map(str::to_owned));
        let path = ["alerts".to_owned(), "rules".to_owned(), at];
        let path = path.into_iter().chain(key).collect();
        found.push(Mistake { path, message });
    };
    if section.rules.len() > RULES_MAX {
        let message = format!("there are more than {RULES_MAX} rules; one can watch many series");
        report(RULES_MAX, None, message);
    }
    let mut rules = defaults::rules();
    let mut names = HashSet::new();
    for (at, raw) in section.rules.into_iter().enumerate().take(RULES_MAX) {
        if !check_name(&raw.name, &mut |key, message| report(at, key, message)) {
            continue;
        }
        if !names.insert(raw.name.clone()) {
            let message = format!("the name `{}` is taken by another rule", raw.name);
            report(at, Some("name"), message);
            continue;
        }
        let place = rules.iter().position(|rule| rule.name == raw.name);
        let is_off_switch = !raw.enabled && raw.metric.is_none();
        let enabled = raw.enabled;
        let made = if is_off_switch {
            None
        } else {
            valid(raw, &mut |key, message| report(at, key, message))
        };
        match (made.filter(|_| enabled), place) {
            (Some(rule), Some(place)) => rules[place] = rule,
            (Some(rule), None) => rules.push(rule),
            (None, Some(place)) => drop(rules.remove(place)),
            (None, None) => {}
        }
    }
    rules
}

fn check_name(name: &str, report: &mut Report<'_>) -> bool {
    if name.is_empty() {
        let message = "each rule needs a name of its own, such as name = \"disk-full\"";
        report(None, message.to_owned());
        return false;
    }
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.len() > 64 || !name.bytes().all(good) {
        let message = "a rule's name is lower-case letters, digits and -, at most 64";
        report(Some("name"), message.to_owned());
        return false;
    }
    true
}

/// The rule, if nothing is wrong with it.
fn valid(raw: RawRule, report: &mut Report<'_>) -> Option<Rule> {
    let mut wrong = false;
    let mut report = |key: Option<&str>, message: String| {
        wrong = true;
        report(key, message);
    };
    check_series(&raw, &mut report);
    let window = window(&raw, &mut report);
    let limits = limits(&raw, &mut report);
    if raw.hold > DAY {
        let shown = unit::shown(raw.hold);
        report(Some("for"), format!("{shown} is too long; at most 24h"));
    }
    let message = raw.message.unwrap_or_else(|| {
        let side = match raw.comparison {
            Comparison::Above => "above",
            Comparison::Below => "below",
        };
        format!("{{metric}} of {{collector}} is {{value}}, {side} {{threshold}}")
    });
    check_message(&message, &mut report);
    let (metric, limits) = (raw.metric?, limits?);
    (!wrong).then(|| Rule {
        name: raw.name,
        metric,
        labels: raw.labels.into_iter().collect::<BTreeMap<_, _>>(),
        function: raw.function,
        window,
        limits,
        message,
    })
}

fn check_series(raw: &RawRule, report: &mut Report<'_>) {
    match &raw.metric {
        None => report(
            None,
            "`metric` is missing; name one such as metric = \"system_load1\"".to_owned(),
        ),
        Some(metric) if !unit::is_name(metric, b"") => report(
            Some("metric"),
            "a metric's name is lower-case letters, digits and _, at most 64; it is taken exactly"
                .to_owned(),
        ),
        Some(_) => {}
    }
    if raw.labels.len() > LABELS_MAX {
        report(
            Some("labels"),
            format!("a rule has at most {LABELS_MAX} labels"),
        );
    }
}

fn window(raw: &RawRule, report: &mut Report<'_>) -> Duration {
    match (raw.function, raw.window) {
        (Function::Last, None) => Duration::ZERO,
        (Function::Last, Some(_)) => {
            let message =
                "the function `last` has no window; leave it out or name another function";
            report(Some("window"), message.to_owned());
            Duration::ZERO
        }
        (function, None) => {
            let name = function.name();
            let message =
                format!("`window` is missing; `{name}` needs one such as window = \"5m\"");
            report(None, message);
            Duration::ZERO
        }
        (_, Some(window)) => {
            if !(WINDOW_MIN..=DAY).contains(&window) {
                let shown = unit::shown(window);
                let message = format!("{shown} is out of range; it has to be from 1s to 24h");
                report(Some("window"), message);
            }
            window
        }
    }
}

fn limits(raw: &RawRule, report: &mut Report<'_>) -> Option<Limits> {
    let numbers = [
        ("warning", raw.warning),
        ("critical", raw.critical),
        ("clear", raw.clear),
    ];
    for (key, value) in numbers {
        if value.is_some_and(|value| !value.is_finite()) {
            report(Some(key), "expected a finite number".to_owned());
            return None;
        }
    }
    let Some(lesser) = raw.warning.or(raw.critical) else {
        let message = "a threshold is missing; set `warning`, `critical` or both";
        report(None, message.to_owned());
        return None;
    };
    let limits = Limits {
        comparison: raw.comparison,
        warning: raw.warning,
        critical: raw.critical,
        clear: raw.clear.unwrap_or(lesser),
        hold: raw.hold,
    };
    let side = match raw.comparison {
        Comparison::Above => ("above", "below"),
        Comparison::Below => ("below", "above"),
    };
    if raw
        .critical
        .is_some_and(|critical| limits.is_worse(lesser, critical))
    {
        let message = format!(
            "with comparison = \"{}\" the critical threshold can't be {} the warning",
            side.0, side.1
        );
        report(Some("critical"), message);
    }
    if limits.is_worse(limits.clear, lesser) {
        let message = format!(
            "with comparison = \"{}\" the clear threshold can't be {} the others",
            side.0, side.0
        );
        report(Some("clear"), message);
    }
    Some(limits)
}

fn check_message(message: &str, report: &mut Report<'_>) {
    if message.len() > MESSAGE_BYTES_MAX {
        let message = format!("a message has at most {MESSAGE_BYTES_MAX} bytes");
        report(Some("message"), message);
    }
    for after in message.split('{').skip(1) {
        let name = after.split('}').next().unwrap_or_default();
        if !PLACEHOLDERS.contains(&name) {
            let known = list(&PLACEHOLDERS, "and");
            let name: String = name.chars().take(32).collect();
            let message = format!("there is nothing to put for {{{name}}}; there are {known}");
            report(Some("message"), message);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::tests::load;
    use super::*;

    fn rule(text: &str) -> String {
        format!("[[alerts.rules]]\n{text}\n")
    }

    #[test]
    fn the_five_defaults_are_there_unasked() {
        let config = load("", &[]).unwrap();
        let names: Vec<_> = config
            .alerts
            .iter()
            .map(|rule| rule.name.as_str())
            .collect();
        let expected = [
            "queue-length",
            "processing-time",
            "error-rate",
            "memory",
            "no-active-workers",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_defaults_are_valid_rules() {
        for rule in defaults::rules() {
            let Limits {
                warning,
                critical,
                clear,
                ..
            } = rule.limits;
            let raw = RawRule {
                name: rule.name.clone(),
                metric: Some(rule.metric.clone()),
                comparison: rule.limits.comparison,
                warning,
                critical,
                clear: Some(clear),
                hold: rule.limits.hold,
                message: Some(rule.message.clone()),
                ..RawRule::default()
            };
            let made = valid(raw, &mut |key, message| {
                panic!("{}: {key:?}: {message}", rule.name)
            });
            assert_eq!(made, Some(rule));
        }
    }

    #[test]
    fn a_rule_is_read_with_its_defaults() {
        let text = rule("name = 'busy'\nmetric = 'system_cpu_busy_ratio'\nwarning = 1");
        let config = load(&text, &[]).unwrap();
        assert_eq!(config.alerts.len(), 6);
        let rule = &config.alerts[5];
        assert_eq!(
            (rule.function, rule.window),
            (Function::Last, Duration::ZERO)
        );
        let expected = Limits {
            comparison: Comparison::Above,
            warning: Some(1.0),
            critical: None,
            clear: 1.0,
            hold: Duration::ZERO,
        };
        assert_eq!(rule.limits, expected);
        assert_eq!(
            rule.message,
            "{metric} of {collector} is {value}, above {threshold}"
        );
        assert_eq!(Config::default().changes(&config), ["alerts"]);
    }

    #[test]
    fn every_key_is_taken() {
        let text = rule(
            "name = 'busy'\nmetric = 'm'\nlabels = { cpu = '0' }\nfunction = 'p95'\nwindow = '5m'\n\
             comparison = 'below'\nwarning = 3.5\ncritical = 2\nclear = 4\nfor = '1m'\nmessage = '{value}'",
        );
        let config = load(&text, &[]).unwrap();
        let rule = &config.alerts[5];
        assert_eq!(rule.labels["cpu"], "0");
        assert_eq!(
            (rule.function, rule.window),
            (Function::P95, Duration::from_mins(5))
        );
        let expected = Limits {
            comparison: Comparison::Below,
            warning: Some(3.5),
            critical: Some(2.0),
            clear: 4.0,
            hold: Duration::from_mins(1),
        };
        assert_eq!(rule.limits, expected);
    }

    #[test]
    fn a_default_is_replaced_and_switched_off_by_its_name() {
        let text = rule("name = 'memory'\nmetric = 'm'\nwarning = 1")
            + &rule("name = 'queue-length'\nenabled = false");
        let config = load(&text, &[]).unwrap();
        let shown: Vec<_> = config
            .alerts
            .iter()
            .map(|rule| (rule.name.as_str(), rule.metric.as_str()))
            .collect();
        assert_eq!(shown.len(), 4);
        assert_eq!(shown[2], ("memory", "m"));
        assert!(shown.iter().all(|(name, _)| *name != "queue-length"));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expected) in [
            (
                "metric = 'm'\nwarning = 1",
                "config.toml:1: alerts.rules[0]: each rule needs a name",
            ),
            (
                "name = 'A'\nmetric = 'm'\nwarning = 1",
                "config.toml:2: alerts.rules[0].name: a rule's name is",
            ),
            (
                "name = 'a'\nwarning = 1",
                "config.toml:1: alerts.rules[0]: `metric` is missing",
            ),
            (
                "name = 'a'\nmetric = 'm*'\nwarning = 1",
                "config.toml:3: alerts.rules[0].metric: a metric's name",
            ),
            (
                "name = 'a'\nmetric = 'm'",
                "config.toml:1: alerts.rules[0]: a threshold is missing",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarnin = 1\ncritical = 1",
                "config.toml:4: alerts.rules[0].warnin: unknown key; did you mean `warning`?",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = '1'\ncritical = 1",
                "config.toml:4: alerts.rules[0].warning: expected",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = nan",
                "config.toml:4: alerts.rules[0].warning: expected a finite number",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 2\ncritical = 1",
                "config.toml:5: alerts.rules[0].critical: with comparison = \"above\" the critical \
                 threshold can't be below the warning",
            ),
            (
                "name = 'a'\nmetric = 'm'\ncomparison = 'below'\nwarning = 2\nclear = 1",
                "config.toml:6: alerts.rules[0].clear: with comparison = \"below\" the clear threshold \
                 can't be below the others",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 1\nwindow = '5m'",
                "config.toml:5: alerts.rules[0].window: the function `last` has no window",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 1\nfunction = 'avg'",
                "config.toml:1: alerts.rules[0]: `window` is missing; `avg` needs one",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 1\nfunction = 'avg'\nwindow = '2d'",
                "config.toml:6: alerts.rules[0].window: 2d is out of range",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 1\nfunction = 'mean'",
                "config.toml:5: alerts.rules[0].function: expected one of `last`, `avg`",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 1\nfor = 5",
                "config.toml:5: alerts.rules[0].for: expected a duration",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 1\nfor = '25h'",
                "config.toml:5: alerts.rules[0].for: 25h is too long",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 1\nmessage = 'a {valeu}'",
                "config.toml:5: alerts.rules[0].message: there is nothing to put for {valeu}",
            ),
            (
                "name = 'a'\nmetric = 'm'\nwarning = 1\n[[alerts.rules]]\nname = 'a'\nmetric = 'm'\nwarning = 1",
                "config.toml:6: alerts.rules[1].name: the name `a` is taken",
            ),
        ] {
            let found = load(&rule(text), &[]).unwrap_err();
            assert!(
                found.starts_with(expected) && !found.contains('\n'),
                "{text}: {found}"
            );
        }
    }
}
