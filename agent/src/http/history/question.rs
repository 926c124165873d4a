//! Parameters of a question about the past. Pure.

use serde::Deserialize;
use serde::de::value::{Error as WordError, StrDeserializer};

use super::super::error::{Error, excerpt};
use super::super::query::pairs;
use crate::protocol::Match;
use crate::store::query::Query;
use crate::store::registry::Selector;

const KNOWN: &str = "metric, label, collector, from, to, points, agg, resolution";
/// Patterns of one question, as in a subscription.
const METRICS_MAX: usize = 64;
/// Labels of one question, as in a subscription.
const LABELS_MAX: usize = 16;
/// Where `from` is when it is not given.
const RANGE_DEFAULT_MS: i64 = 24 * 3_600_000;
const POINTS_DEFAULT: u32 = 500;

/// Reads `a=b&c=d`, percent-encoded, `+` for a space. What it does not know is refused, so that a typo is not
/// taken for "everything".
pub(super) fn parse(parameters: &str, now_ms: i64) -> Result<Query, Error> {
    let mut matching = Match::default();
    let (mut collector, mut from_ms, mut to_ms) = (None, None, None);
    let (mut points, mut aggregation, mut resolution) = (None, None, None);
    for (key, value) in pairs(parameters) {
        let value = &decode(key, value)?;
        match key {
            "metric" => {
                if value.is_empty() {
                    return Err(bad(key, "must not be empty; `*` is every metric"));
                }
                matching.metrics.push(value.clone());
            }
            "label" => {
                let (name, value) = value
                    .split_once(':')
                    .filter(|(name, _)| !name.is_empty())
                    .ok_or_else(|| bad(key, "must be a name, `:` and a value"))?;
                let known = matching.labels.insert(name.to_owned(), value.to_owned());
                if known.is_some_and(|known| known != value) {
                    return Err(bad(key, "asks for two values of the same label"));
                }
            }
            "collector" => once(key, &mut collector, value.clone())?,
            "from" => once(key, &mut from_ms, number(key, value)?)?,
            "to" => once(key, &mut to_ms, number(key, value)?)?,
            "points" => once(key, &mut points, number(key, value)?)?,
            "agg" => once(key, &mut aggregation, word(key, value)?)?,
            "resolution" => once(key, &mut resolution, word(key, value)?)?,
            _ => {
                let key = excerpt(key.as_bytes());
                let message = format!("unknown query key `{key}`; known: {KNOWN}");
                return Err(Error::bad_request(message).field(&key));
            }
        }
    }
    if matching.metrics.is_empty() {
        return Err(bad(
            "metric",
            "is missing; name at least one, `*` is every metric",
        ));
    }
    if matching.metrics.len() > METRICS_MAX {
        return Err(bad(
            "metric",
            &format!("may be given {METRICS_MAX} times at most"),
        ));
    }
    if matching.labels.len() > LABELS_MAX {
        return Err(bad(
            "label",
            &format!("may be given {LABELS_MAX} times at most"),
        ));
    }
    let to_ms = to_ms.unwrap_or(now_ms);
    Ok(Query {
        selector: Selector {
            matching,
            collector,
        },
        from_ms: from_ms.unwrap_or_else(|| to_ms.saturating_sub(RANGE_DEFAULT_MS).max(0)),
        to_ms,
        points: points.unwrap_or(POINTS_DEFAULT),
        aggregation: aggregation.unwrap_or_default(),
        resolution,
    })
}

fn bad(field: &str, message: &str) -> Error {
    Error::bad_request(format!("{field}: {message}")).field(field)
}

fn once<T>(key: &str, slot: &mut Option<T>, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad(key, "is given twice")),
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, Error> {
    let what = if key == "points" {
        "a number of points"
    } else {
        "a time in Unix milliseconds"
    };
    value.parse().map_err(|_| {
        let value = excerpt(value.as_bytes());
        bad(key, &format!("`{value}` is not {what}"))
    })
}

/// A word of the protocol.
fn word<'de, T: Deserialize<'de>>(key: &str, value: &str) -> Result<T, Error> {
    let value = excerpt(value.as_bytes());
    T::deserialize(StrDeserializer::<WordError>::new(&value))
        .map_err(|error| bad(key, &error.to_string()))
}

fn decode(key: &str, value: &str) -> Result<String, Error> {
    let wrong = || {
        let key = excerpt(key.as_bytes());
        bad(
            &key,
            "has a `%` without two hexadecimal digits, or is not UTF-8",
        )
    };
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let [high, low, tail @ ..] = tail else {
                    return Err(wrong());
                };
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let (high, low) = digit(high).zip(digit(low)).ok_or_else(wrong)?;
                bytes.push(u8::try_from(high << 4 | low).map_err(|_| wrong())?);
                rest = tail;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{Aggregation, Resolution};

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn everything_that_can_be_asked() {
        let query = parse(
            "metric=system_cpu_*&metric=a&label=mount:%2Fvar%2flib&label=name:a+b%3A%C3%A9&collector=main\
             &from=1&to=2&points=3&agg=p99&resolution=minute&",
            NOW,
        )
        .unwrap();
        assert_eq!(query.selector.matching.metrics, ["system_cpu_*", "a"]);
        let labels: Vec<_> = query.selector.matching.labels.into_iter().collect();
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(labels, [own("mount", "/var/lib"), own("name", "a b:é")]);
        assert_eq!(query.selector.collector.as_deref(), Some("main"));
        assert_eq!((query.from_ms, query.to_ms, query.points), (1, 2, 3));
        assert_eq!(query.aggregation, Aggregation::P99);
        assert_eq!(query.resolution, Some(Resolution::Minute));
    }

    #[test]
    fn a_day_of_an_envelope_unless_said_otherwise() {
        let query = parse("metric=a", NOW).unwrap();
        assert_eq!((query.from_ms, query.to_ms), (NOW - 86_400_000, NOW));
        assert_eq!((query.points, query.resolution), (500, None));
        assert_eq!(query.aggregation, Aggregation::Envelope);
        let query = parse("metric=a&to=86400001", NOW).unwrap();
        assert_eq!((query.from_ms, query.to_ms), (1, 86_400_001));
    }

    #[test]
    fn mistakes_are_named_with_their_field() {
        for (parameters, field, words) in [
            ("", "metric", "is missing"),
            ("metric=", "metric", "must not be empty"),
            ("metrics=a", "metrics", "known: metric, label"),
            ("metric=a&label=x", "label", "a name, `:` and a value"),
            ("metric=a&label=:x", "label", "a name, `:` and a value"),
            ("metric=a&label=x:1&label=x:2", "label", "two values"),
            (
                "metric=a&from=yesterday",
                "from",
                "`yesterday` is not a time",
            ),
            ("metric=a&from=1.5", "from", "Unix milliseconds"),
            ("metric=a&to=", "to", "Unix milliseconds"),
            ("metric=a&to=1&to=2", "to", "given twice"),
            ("metric=a&points=-1", "points", "not a number of points"),
            ("metric=a&agg=mean", "agg", "`envelope`, `avg`"),
            ("metric=a&resolution=day", "resolution", "`raw`, `minute`"),
            ("metric=%4", "metric", "hexadecimal"),
            ("metric=%zz", "metric", "hexadecimal"),
            ("metric=%ff", "metric", "UTF-8"),
        ] {
            let error = parse(parameters, NOW).unwrap_err();
            assert_eq!(error.status, 400, "{parameters}");
            assert_eq!(error.body.field.as_deref(), Some(field), "{parameters}");
            let message = &error.body.message;
            assert!(message.contains(words), "{parameters}: {message}");
        }
        let many = "metric=a&".repeat(METRICS_MAX + 1);
        assert_eq!(
            parse(&many, NOW).unwrap_err().body.field.as_deref(),
            Some("metric")
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in ".{0,40}") {
            let encoded: Vec<_> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(decode("metric", &encoded.concat()).unwrap(), text);
        }

        #[test]
        fn anything_is_a_question_or_a_mistake(text in "[a-z=&%:+0-9\u{e9}]{0,60}") {
            if let Err(error) = parse(&text, NOW) {
                prop_assert!(error.body.field.is_some());
            }
        }
    }
}
