//! `/api/dashboard/metrics`: the current value of everything, or of one topic.

use super::State;
use super::catalog::topics;
use super::error::{Answer, Error, excerpt, json};
use super::query::pairs;

/// GET `/api/dashboard/metrics[?topic=]`.
pub(super) fn metrics(state: &State, query: Option<&str>) -> Result<Answer, Error> {
    let topic = topic(query)?;
    if let Some(topic) = topic {
        let known: Vec<_> = topics(&state.catalog.read())
            .into_iter()
            .map(|known| known.topic)
            .collect();
        if !known.iter().any(|known| known == topic) {
            return Err(unknown(topic, &known));
        }
    }
    Ok(json(&state.current.answer(topic, state.clock.now_ms())))
}

fn unknown(topic: &str, known: &[String]) -> Error {
    let topic = excerpt(topic.as_bytes());
    let known = if known.is_empty() {
        "none yet".to_owned()
    } else {
        known.join(", ")
    };
    Error::not_found(format!("no topic `{topic}`; known topics: {known}")).field("topic")
}

/// Refuses what it does not know, so that a typo is not taken for "everything".
fn topic(query: Option<&str>) -> Result<Option<&str>, Error> {
    let mut topic = None;
    for (key, value) in pairs(query.unwrap_or_default()) {
        if key != "topic" {
            let key = excerpt(key.as_bytes());
            return Err(
                Error::bad_request(format!("unknown query key `{key}`; known: topic")).field(&key),
            );
        }
        if topic.replace(value).is_some() {
            return Err(
                Error::bad_request("query key `topic` is given twice; ask for one topic")
                    .field("topic"),
            );
        }
    }
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        assert_eq!(topic(None).unwrap(), None);
        assert_eq!(topic(Some("")).unwrap(), None);
        assert_eq!(topic(Some("topic=system")).unwrap(), Some("system"));
        let typo = topic(Some("topic=system&topics=x")).unwrap_err().body;
        assert_eq!(typo.message, "unknown query key `topics`; known: topic");
        assert_eq!(typo.field.as_deref(), Some("topics"));
        assert!(topic(Some("topic=a&topic=b")).is_err());
    }

    #[test]
    fn an_unknown_topic_is_told_the_known_ones() {
        let error = unknown("sytem", &["system".to_owned(), "cache".to_owned()]);
        assert_eq!(error.status, 404);
        assert_eq!(
            error.body.message,
            "no topic `sytem`; known topics: system, cache"
        );
        assert!(unknown("x", &[]).body.message.ends_with("none yet"));
    }
}
