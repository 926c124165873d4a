//! Which series a subscription or a query wants: metric names with `*`, and exact labels.
//!
//! It is asked when a table of series is built, never for a sample. Pure.

use crate::protocol::{ErrorBody, Match};

/// Patterns of one match.
const METRICS_MAX: usize = 64;
/// Labels of one match.
const LABELS_MAX: usize = 16;

/// Refuses a match that is larger than a client may ask for.
pub(crate) fn check(matching: &Match) -> Result<(), ErrorBody> {
    let refuse = |field: &str, what: &str, max: usize| {
        Err(ErrorBody {
            code: "bad_request".to_owned(),
            message: format!(
                "a match has at most {max} {what}; split the subscription by tier or widen it"
            ),
            field: Some(field.to_owned()),
        })
    };
    if matching.metrics.len() > METRICS_MAX {
        return refuse("match.metrics", "metric patterns", METRICS_MAX);
    }
    if matching.labels.len() > LABELS_MAX {
        return refuse("match.labels", "labels", LABELS_MAX);
    }
    Ok(())
}

/// Whether it wants the series of `metric` with these labels.
pub(crate) fn wants(matching: &Match, metric: &str, labels: &[(&str, &str)]) -> bool {
    let named = matching.metrics.is_empty() || matching.metrics.iter().any(|p| glob(p, metric));
    named
        && matching
            .labels
            .iter()
            .all(|(name, value)| labels.contains(&(name, value)))
}

/// Whether `text` has the form of `pattern`, in which each `*` stands for any run of characters.
///
/// After a mismatch only the last `*` takes one character more, so that the work stays below the product
/// of the two lengths for any pattern that a client can send.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((after_star, taken)) = retry {
            retry = Some((after_star, taken + 1));
            p = after_star;
            t = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn globs() {
        let cases = [
            ("system_cpu_*", "system_cpu_seconds_total", true),
            ("system_cpu_*", "system_cpu_", true),
            ("system_cpu_*", "system_memory_bytes", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*_total", "a_total_total", true),
            ("a*b*c", "a_b_b_c", true),
            ("a*b*c", "a_c_b", false),
            ("a**b", "ab", true),
            ("?", "a", false),
            ("abc", "ab", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn labels_must_all_be_there() {
        let matching = |labels: &[(&str, &str)]| Match {
            metrics: Vec::new(),
            labels: labels
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
        };
        let labels = [("cpu", "0"), ("mode", "user")];
        let wants = |m: &Match| wants(m, "m", &labels);
        assert!(wants(&matching(&[])));
        assert!(wants(&matching(&[("cpu", "0")])));
        assert!(wants(&matching(&[("cpu", "0"), ("mode", "user")])));
        assert!(!wants(&matching(&[("cpu", "1")])));
        assert!(!wants(&matching(&[("cpu", "0"), ("disk", "a")])));
    }

    #[test]
    fn what_is_too_large_is_refused_by_name() {
        let many = Match {
            metrics: vec![String::new(); METRICS_MAX + 1],
            ..Match::default()
        };
        assert_eq!(
            check(&many).unwrap_err().field.as_deref(),
            Some("match.metrics")
        );
        assert!(check(&Match::default()).is_ok());
    }

    fn backtracking(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((b'*', tail)), rest) => {
                backtracking(tail, text) || rest.is_some_and(|(_, t)| backtracking(pattern, t))
            }
            (Some((head, tail)), Some((first, t))) => head == first && backtracking(tail, t),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_agrees_with_plain_backtracking(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            let expected = backtracking(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(glob(&pattern, &text), expected);
        }
    }
}
