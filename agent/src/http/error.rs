//! Answers: the one way in which errors and JSON leave the agent.
//!
//! Every error is `{"error":{"code","message","field"?}}`. Nothing that the API says may be cached or
//! guessed at by a browser, so both kinds carry the same headers. It decides nothing; the router and the
//! handlers say what went wrong.

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Body;
use crate::protocol::{ErrorAnswer, ErrorBody};

/// What every handler gives.
pub(super) type Answer = Response<Body>;

/// An error over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Error {
    /// Status of the answer.
    pub(super) status: StatusCode,
    /// Its body.
    pub(super) body: Box<ErrorBody>,
    /// A header that belongs to the status, such as `Allow` or `Retry-After`.
    pub(super) header: Option<(HeaderName, &'static str)>,
}

impl Error {
    /// An error with this status and code.
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let body = ErrorBody {
            code: code.to_owned(),
            message: message.into(),
            field: None,
        };
        Self {
            status,
            body: Box::new(body),
            header: None,
        }
    }

    /// 400: the request is malformed.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 404: what was asked for is not there.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 500: the agent failed, which is no fault of the request.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Names the field of the request that is at fault.
    #[must_use]
    pub(super) fn field(mut self, field: &str) -> Self {
        self.body.field = Some(field.to_owned());
        self
    }

    /// Adds the header that belongs to the status.
    #[must_use]
    pub(super) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The answer to send.
    pub(super) fn into_answer(self) -> Answer {
        let mut answer = json(&ErrorAnswer { error: *self.body });
        *answer.status_mut() = self.status;
        if let Some((name, value)) = self.header {
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}

/// 200 with a JSON body.
pub(super) fn json(body: &impl Serialize) -> Answer {
    let bytes =
        serde_json::to_vec(body).expect("wire types have string keys and no fallible parts");
    plain(Bytes::from(bytes), "application/json")
}

/// 200 with a body that is made anew for each request.
pub(super) fn plain(body: impl Into<Body>, content_type: &'static str) -> Answer {
    let mut answer = Response::new(body.into());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    protect(&mut answer);
    answer
}

/// Headers that every answer has: no guessing of types, no embedding by other sites.
pub(super) fn protect(answer: &mut Answer) {
    let headers = answer.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
}

/// Outside text, cut so that it can stand in a message.
pub(super) fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let cut: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
    if cut.len() == text.len() {
        cut
    } else {
        format!("{cut}…")
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_error_is_json_with_its_field_and_header() {
        let error = Error::bad_request("unknown key `x`").field("x");
        let answer = error.header(header::ALLOW, "GET").into_answer();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.headers()[header::ALLOW], "GET");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let expected =
            r#"{"error":{"code":"bad_request","message":"unknown key `x`","field":"x"}}"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt(b"evil.example"), "evil.example");
        assert_eq!(excerpt(b"a\x1b[31m\xffb"), "a[31m\u{fffd}b…");
        assert_eq!(excerpt(&[b'x'; 1_000]).chars().count(), 65);
    }
}
