//! `/api/dashboard/alerts`: every alert that is not inactive, and every rule.

use super::State;
use super::error::{Answer, Error, excerpt, json};
use super::query::pairs;
use crate::protocol::AlertState;

/// What `state` may be.
const STATES: [(&str, AlertState); 3] = [
    ("firing", AlertState::Firing),
    ("pending", AlertState::Pending),
    ("resolved", AlertState::Resolved),
];

/// GET `/api/dashboard/alerts[?state=]`.
pub(super) fn alerts(state: &State, query: Option<&str>) -> Result<Answer, Error> {
    let wanted = wanted(query)?;
    Ok(json(&state.alerts.answer(wanted, state.clock.now_ms())))
}

/// Refuses what it does not know, so that a typo is not taken for "everything".
fn wanted(query: Option<&str>) -> Result<Option<AlertState>, Error> {
    let mut wanted = None;
    for (key, value) in pairs(query.unwrap_or_default()) {
        if key != "state" {
            let key = excerpt(key.as_bytes());
            let message = format!("unknown query key `{key}`; known: state");
            return Err(Error::bad_request(message).field(&key));
        }
        let Some((_, state)) = STATES.iter().find(|(name, _)| *name == value) else {
            let value = excerpt(value.as_bytes());
            let message = format!("no state `{value}`; there are firing, pending and resolved");
            return Err(Error::bad_request(message).field("state"));
        };
        if wanted.replace(*state).is_some() {
            let message = "query key `state` is given twice; ask for one state or for all";
            return Err(Error::bad_request(message).field("state"));
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_asked_for_by_its_name() {
        for (query, expected) in [
            (None, None),
            (Some(""), None),
            (Some("state=firing"), Some(AlertState::Firing)),
            (Some("&state=resolved"), Some(AlertState::Resolved)),
        ] {
            assert_eq!(wanted(query).unwrap(), expected, "{query:?}");
        }
        for (query, field) in [
            ("stat=firing", "stat"),
            ("state=", "state"),
            ("state=Firing", "state"),
            ("state=firing&state=firing", "state"),
        ] {
            let error = wanted(Some(query)).unwrap_err();
            assert_eq!(error.body.field.as_deref(), Some(field), "{query}");
        }
    }
}
