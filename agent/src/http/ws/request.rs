//! A client's message, from JSON text to what it asks for.
//!
//! Pure: whether a channel exists and a match is not too large, the hub knows. Whatever is wrong becomes an answer that names the fault and the field; it never closes the
//! connection. The id of a bad request is given back as far as it can be read.

use serde_json::Value;

use crate::clock::Tier;
use crate::http::error::excerpt;
use crate::hub::{Subscription, Target};
use crate::protocol::{ClientRequest, ErrorBody, Match, ServerReply, Shape};

/// What `type` may be.
const KNOWN: &str = "subscribe, unsubscribe, subscribe-admin, unsubscribe-admin, ping";

/// What a client asks for, with the id of its request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: Option<u32>,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Subscribe(Subscription),
    Unsubscribe(Target, Tier),
    Ping,
}

/// Reads a message; the error is the answer to send.
pub(super) fn parse(text: &str) -> Result<Request, ServerReply> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let message = format!("the message is not JSON: {error}");
        ServerReply::Error {
            id: None,
            error: fault("bad_json", message, None),
        }
    })?;
    let id = value
        .get("id")
        .and_then(Value::as_u64)
        .and_then(|id| u32::try_from(id).ok());
    match shape(value).and_then(action) {
        Ok(action) => Ok(Request { id, action }),
        Err(error) => Err(ServerReply::Error { id, error }),
    }
}

fn fault(code: &str, message: impl Into<String>, field: Option<&str>) -> ErrorBody {
    ErrorBody {
        code: code.to_owned(),
        message: message.into(),
        field: field.map(str::to_owned),
    }
}

fn shape(value: Value) -> Result<ClientRequest, ErrorBody> {
    if !value.is_object() {
        return Err(fault(
            "bad_request",
            "a message must be one JSON object with a `type`",
            None,
        ));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = (path != ".").then_some(path.as_str());
        let message: String = error.inner().to_string().chars().take(300).collect();
        fault("bad_request", message, field)
    })
}

fn action(request: ClientRequest) -> Result<Action, ErrorBody> {
    match request.kind.as_str() {
        "subscribe" => {
            let target = target(request.channel.as_deref())?;
            Ok(Action::Subscribe(Subscription {
                target,
                tier: request.tier.unwrap_or_default(),
                shape: request.shape.unwrap_or_default(),
                matching: request.matching.unwrap_or_default(),
            }))
        }
        "unsubscribe" => {
            refuse(
                "unsubscribe",
                &[
                    ("shape", request.shape.is_some()),
                    ("match", request.matching.is_some()),
                ],
            )?;
            Ok(Action::Unsubscribe(
                target(request.channel.as_deref())?,
                request.tier.unwrap_or_default(),
            ))
        }
        "ping" => {
            refuse_all("ping", &request)?;
            Ok(Action::Ping)
        }
        "subscribe-admin" => {
            refuse_all("subscribe-admin", &request)?;
            Ok(Action::Subscribe(Subscription {
                target: Target::Admin,
                tier: Tier::default(),
                shape: Shape::default(),
                matching: Match::default(),
            }))
        }
        "unsubscribe-admin" => {
            refuse_all("unsubscribe-admin", &request)?;
            Ok(Action::Unsubscribe(Target::Admin, Tier::default()))
        }
        other => {
            let other = excerpt(other.as_bytes());
            let message = format!("unknown type `{other}`; known: {KNOWN}");
            Err(fault("unknown_type", message, Some("type")))
        }
    }
}

fn target(channel: Option<&str>) -> Result<Target, ErrorBody> {
    match channel {
        Some(channel) => Target::parse(channel),
        None => Err(fault(
            "bad_request",
            "`channel` is missing; name one such as `metrics:system`",
            Some("channel"),
        )),
    }
}

/// Refuses every field beside `id` and `type`.
fn refuse_all(kind: &str, request: &ClientRequest) -> Result<(), ErrorBody> {
    let given = [
        ("channel", request.channel.is_some()),
        ("tier", request.tier.is_some()),
        ("shape", request.shape.is_some()),
        ("match", request.matching.is_some()),
    ];
    refuse(kind, &given)
}

fn refuse(kind: &str, given: &[(&str, bool)]) -> Result<(), ErrorBody> {
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((field, _)) => {
            let message = format!("`{field}` has no meaning in `{kind}`; leave it out");
            Err(fault("bad_request", message, Some(field)))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (Option<u32>, ErrorBody) {
        match parse(text) {
            Err(ServerReply::Error { id, error }) => (id, error),
            other => panic!("{text} was taken: {other:?}"),
        }
    }

    #[test]
    fn requests() {
        let text = r#"{"id":1,"type":"subscribe","channel":"metrics:system","tier":"slow","shape":"columns",
            "match":{"metrics":["a*"],"labels":{"cpu":"0"}}}"#;
        let Request {
            id,
            action: Action::Subscribe(subscription),
        } = parse(text).unwrap()
        else {
            panic!("not a subscription");
        };
        assert_eq!(
            (id, subscription.tier, subscription.shape),
            (Some(1), Tier::Slow, Shape::Columns)
        );
        assert_eq!(subscription.target, Target::Metrics("system".to_owned()));
        assert_eq!(subscription.matching.labels["cpu"], "0");
        let basic = parse(r#"{"type":"subscribe","channel":"basic-metrics"}"#).unwrap();
        assert!(matches!(
            basic.action,
            Action::Subscribe(Subscription {
                tier: Tier::Fast,
                ..
            })
        ));
        assert!(matches!(
            parse(r#"{"id":3,"type":"ping"}"#).unwrap().action,
            Action::Ping
        ));
        for text in [
            r#"{"type":"subscribe","channel":"admin"}"#,
            r#"{"type":"subscribe-admin"}"#,
        ] {
            let admin = parse(text).unwrap().action;
            let Action::Subscribe(subscription) = admin else {
                panic!("{text} is no subscription");
            };
            assert_eq!(subscription.target, Target::Admin, "{text}");
        }
        assert!(matches!(
            parse(r#"{"type":"unsubscribe-admin"}"#).unwrap().action,
            Action::Unsubscribe(Target::Admin, Tier::Fast)
        ));
        let gone =
            parse(r#"{"type":"unsubscribe","channel":"basic-metrics","tier":"medium"}"#).unwrap();
        assert!(matches!(
            gone.action,
            Action::Unsubscribe(Target::Basic, Tier::Medium)
        ));
    }

    #[test]
    fn what_is_no_json_or_no_object_is_told_so() {
        for text in ["", "{", "hello", "{\"id\":1,}", &"[".repeat(10_000)] {
            assert_eq!(error(text).1.code, "bad_json");
        }
        for text in ["1", "null", "[]", "\"ping\"", "[{\"type\":\"ping\"}]"] {
            assert_eq!(error(text).1.code, "bad_request", "{text}");
        }
    }

    #[test]
    fn faults_name_the_field_and_keep_the_id() {
        let cases = [
            (
                r#"{"id":7,"type":"subscribe","channel":"basic-metrics","teir":"fast"}"#,
                "teir",
                "unknown field `teir`",
            ),
            (
                r#"{"id":7,"type":"subscribe","channel":"basic-metrics","tier":"quick"}"#,
                "tier",
                "`fast`, `medium`, `slow`",
            ),
            (
                r#"{"id":7,"type":"subscribe","channel":5}"#,
                "channel",
                "expected a string",
            ),
            (
                r#"{"id":7,"type":"subscribe"}"#,
                "channel",
                "`channel` is missing",
            ),
            (
                r#"{"id":7,"type":"subscribe","channel":"x","match":{"metric":[]}}"#,
                "match.metric",
                "unknown field",
            ),
            (
                r#"{"id":7,"type":"subscribe","channel":"x","match":{"metrics":[1]}}"#,
                "match.metrics[0]",
                "string",
            ),
            (
                r#"{"id":7,"type":"subscribe","channel":"nonsense"}"#,
                "channel",
                "nonsense",
            ),
            (
                r#"{"id":7,"type":"restart"}"#,
                "type",
                "known: subscribe, unsubscribe, subscribe-admin, unsubscribe-admin, ping",
            ),
            (
                r#"{"id":7,"type":"ping","channel":"x"}"#,
                "channel",
                "no meaning in `ping`",
            ),
            (
                r#"{"id":7,"type":"subscribe-admin","tier":"fast"}"#,
                "tier",
                "no meaning in `subscribe-admin`",
            ),
            (
                r#"{"id":7,"type":"unsubscribe","channel":"x","shape":"named"}"#,
                "shape",
                "no meaning",
            ),
        ];
        for (text, field, part) in cases {
            let (id, error) = error(text);
            assert_eq!(
                (id, error.field.as_deref()),
                (Some(7), Some(field)),
                "{text}"
            );
            assert!(error.message.contains(part), "{}", error.message);
        }
        assert_eq!(
            error(r#"{"id":-1,"type":"ping"}"#).1.field.as_deref(),
            Some("id")
        );
        assert_eq!(error(r#"{"id":3}"#).0, Some(3));
    }
}
