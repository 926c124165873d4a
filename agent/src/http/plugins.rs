//! `/api/dashboard/plugins`: how every collector's plugin does; and what the plugins said had happened.

use tokio::task::spawn_blocking;

use super::State;
use super::error::{Answer, Error, excerpt, json, plain};
use super::query::pairs;
use crate::collect::events::kept::{KEPT_MAX, KeptEvent};
use crate::config::is_name;
use crate::protocol::PluginsAnswer;

/// Events of an answer, unless asked for otherwise.
const LIMIT_DEFAULT: usize = 100;

/// GET `/api/dashboard/plugins`.
pub(super) fn plugins(state: &State, query: Option<&str>) -> Result<Answer, Error> {
    if let Some((key, _)) = pairs(query.unwrap_or_default()).next() {
        let key = excerpt(key.as_bytes());
        let message = format!("unknown query key `{key}`; none is known");
        return Err(Error::bad_request(message).field(&key));
    }
    let plugins = state.plugins.infos(&state.catalog);
    let at = state.clock.now_ms();
    Ok(json(&PluginsAnswer { at, plugins }))
}

/// GET `/api/dashboard/plugins/events[?collector=&limit=]`: a `PluginEventsAnswer`.
pub(super) async fn events(state: &State, query: Option<&str>) -> Result<Answer, Error> {
    let wanted = wanted(query)?;
    let kept = state.plugin_events.clone();
    if let Some(name) = &wanted.collector {
        let runs = state.plugins.all().iter().any(|stats| stats.name == *name);
        if !runs && kept.last(name) == 0 {
            let message = format!("no collector `{name}`; /api/dashboard/plugins lists them");
            return Err(Error::not_found(message).field("collector"));
        }
    }
    // The events of a collector may be 2 MiB, so only so many answers are made at a time.
    let _place = state.queries.enter().await?;
    let read = spawn_blocking(move || kept.newest(wanted.collector.as_deref(), wanted.limit));
    let found = read
        .await
        .map_err(|_| Error::internal("the events could not be read"))?
        .map_err(|error| Error::internal(format!("the store failed: {error}")))?;
    Ok(plain(
        bytes::Bytes::from(render(state.clock.now_ms(), &found)),
        "application/json",
    ))
}

/// They are stored in the form in which they are shown.
fn render(at: i64, events: &[KeptEvent]) -> String {
    let bytes: usize = events.iter().map(|event| event.json.len() + 1).sum();
    let mut text = format!(r#"{{"at":{at},"events":["#);
    text.reserve(bytes + 2);
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&event.json);
    }
    text.push_str("]}");
    text
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    collector: Option<String>,
    limit: usize,
}

/// Refuses what it does not know, so that a typo is not taken for "everything".
fn wanted(query: Option<&str>) -> Result<Wanted, Error> {
    let (mut collector, mut limit) = (None, None);
    for (key, value) in pairs(query.unwrap_or_default()) {
        let is_second = match key {
            "collector" => collector.replace(name(value)?).is_some(),
            "limit" => limit.replace(count(value)?).is_some(),
            _ => {
                let key = excerpt(key.as_bytes());
                let message = format!("unknown query key `{key}`; known: collector, limit");
                return Err(Error::bad_request(message).field(&key));
            }
        };
        if is_second {
            return Err(Error::bad_request(format!("query key `{key}` is given twice")).field(key));
        }
    }
    Ok(Wanted {
        collector,
        limit: limit.unwrap_or(LIMIT_DEFAULT),
    })
}

/// Collectors' names need no percent-encoding.
fn name(value: &str) -> Result<String, Error> {
    if !is_name(value, b"-") {
        let value = excerpt(value.as_bytes());
        let message =
            format!("`{value}` is no collector's name: lower-case letters, digits, _ and -");
        return Err(Error::bad_request(message).field("collector"));
    }
    Ok(value.to_owned())
}

fn count(value: &str) -> Result<usize, Error> {
    let count = value.parse::<u64>().ok();
    let count = count.filter(|count| (1..=KEPT_MAX).contains(count));
    count
        .and_then(|count| count.try_into().ok())
        .ok_or_else(|| {
            let value = excerpt(value.as_bytes());
            let message = format!("`{value}` is no number of events: 1 to {KEPT_MAX}");
            Error::bad_request(message).field("limit")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_asked() {
        for (query, collector, limit) in [
            (None, None, 100),
            (Some(""), None, 100),
            (Some("limit=1000"), None, 1_000),
            (Some("&collector=main-db&"), Some("main-db"), 100),
            (Some("limit=1&collector=a_1"), Some("a_1"), 1),
        ] {
            let collector = collector.map(str::to_owned);
            assert_eq!(wanted(query).unwrap(), Wanted { collector, limit });
        }
    }

    #[test]
    fn mistakes_are_named_with_their_field() {
        for (query, field) in [
            ("limits=1", "limits"),
            ("limit=", "limit"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=1&limit=1", "limit"),
            ("collector=", "collector"),
            ("collector=A", "collector"),
            ("collector=1a", "collector"),
            ("collector=-a", "collector"),
            ("collector=a&collector=b", "collector"),
        ] {
            let error = wanted(Some(query)).unwrap_err();
            assert_eq!(error.status, 400, "{query}");
            assert_eq!(error.body.field.as_deref(), Some(field), "{query}");
        }
    }

    #[test]
    fn an_answer_is_made_of_what_is_stored() {
        let event = |id: u32| KeptEvent {
            at: 1,
            json: format!(r#"{{"id":{id}}}"#),
        };
        assert_eq!(render(5, &[]), r#"{"at":5,"events":[]}"#);
        assert_eq!(
            render(5, &[event(2), event(1)]),
            r#"{"at":5,"events":[{"id":2},{"id":1}]}"#
        );
    }
}
