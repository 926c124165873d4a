//! `/ws`: from a request to a [`session::Session`].
//!
//! The handshake is fastwebsockets'; what it does not look at (method, version, key, subprotocol) is
//! checked here, `Origin` in the guard. Afterwards the socket is taken out of hyper and out of the library,
//! together with the bytes that were read already, because its reader lacks the bounds that a server needs.

mod allowance;
mod greeting;
mod outbox;
mod request;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use fastwebsockets::upgrade::{self, UpgradeFut};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(super) use session::Session;

use super::State;
use super::error::{Answer, Error, protect};
use super::seats::Seat;
use crate::hub::{Connection, Hub};

/// The subprotocol that is named back when a client offers it.
const SUBPROTOCOL: &str = "barograph.v1";

/// A place at the hub. Giving it up, however that happens, tells the hub.
#[derive(Debug)]
struct Membership {
    hub: Hub,
    connection: Connection,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.hub.disconnect(self.connection.id);
    }
}

/// A connection whose answer 101 is on its way.
#[derive(Debug)]
pub(super) struct Pending {
    upgrade: UpgradeFut,
    membership: Membership,
}

/// Answers a request for a WebSocket.
pub(super) async fn upgrade(
    state: &State,
    mut request: Request<Incoming>,
) -> Result<(Answer, Pending), Error> {
    check_handshake(&request)?;
    let Ok(connection) = state.hub.connect().await else {
        let message = "the agent is stopping; try again shortly";
        return Err(
            Error::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
                .header(header::RETRY_AFTER, "5"),
        );
    };
    let membership = Membership {
        hub: state.hub.clone(),
        connection,
    };
    let (answer, upgrade) = upgrade::upgrade(&mut request)
        .map_err(|error| Error::bad_request(format!("the WebSocket handshake failed: {error}")))?;
    let mut answer = answer.map(|_| Bytes::new().into());
    if offers(request.headers(), SUBPROTOCOL) {
        answer.headers_mut().insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(SUBPROTOCOL),
        );
    }
    protect(&mut answer);
    Ok((
        answer,
        Pending {
            upgrade,
            membership,
        },
    ))
}

impl Pending {
    /// Waits until hyper lets go of the socket; nothing comes if the client has gone meanwhile.
    pub(super) async fn open(self, state: Arc<State>, seat: Seat) -> Option<Box<Session>> {
        let upgraded = self.upgrade.await.ok()?.into_inner().into_inner();
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
        let stream = parts.io.into_inner();
        Some(Box::new(Session::new(
            stream,
            parts.read_buf,
            state,
            self.membership,
            seat,
        )))
    }
}

fn check_handshake<B>(request: &Request<B>) -> Result<(), Error> {
    if request.version() != Version::HTTP_11 || !upgrade::is_upgrade_request(request) {
        let message =
            "this is a WebSocket; connect with `Connection: Upgrade` and `Upgrade: websocket`";
        return Err(
            Error::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message)
                .header(header::UPGRADE, "websocket"),
        );
    }
    let headers = request.headers();
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let message = "only version 13 of the WebSocket protocol is spoken";
        return Err(
            Error::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message)
                .header(header::SEC_WEBSOCKET_VERSION, "13"),
        );
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => Ok(()),
        _ => Err(Error::bad_request(
            "Sec-WebSocket-Key must be there once and be 16 bytes in base64",
        )),
    }
}

/// Sixteen bytes in base64 are 22 digits and two fillers.
fn is_key(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(digit)
}

fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|offered| offered.trim() == protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn status(headers: &[(&'static str, &str)]) -> Option<u16> {
        let mut request = Request::new(());
        for (name, value) in headers {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_str(value).unwrap());
        }
        check_handshake(&request)
            .err()
            .map(|error| error.status.as_u16())
    }

    #[test]
    fn handshakes() {
        let (connection, upgrade) = (
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
        );
        let (version, key) = (("sec-websocket-version", "13"), ("sec-websocket-key", KEY));
        assert_eq!(status(&[connection, upgrade, version, key]), None);
        assert_eq!(status(&[version, key]), Some(426));
        assert_eq!(
            status(&[connection, ("upgrade", "h2c"), version, key]),
            Some(426)
        );
        assert_eq!(
            status(&[connection, upgrade, ("sec-websocket-version", "8"), key]),
            Some(426)
        );
        assert_eq!(status(&[connection, upgrade, key]), Some(426));
        assert_eq!(status(&[connection, upgrade, version]), Some(400));
        assert_eq!(status(&[connection, upgrade, version, key, key]), Some(400));
        for bad in [
            "short",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZ?==",
            "",
        ] {
            assert_eq!(
                status(&[connection, upgrade, version, ("sec-websocket-key", bad)]),
                Some(400),
                "{bad}"
            );
        }
    }

    #[test]
    fn subprotocols() {
        let mut headers = HeaderMap::new();
        assert!(!offers(&headers, SUBPROTOCOL));
        headers.append(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static("other, barograph.v10"),
        );
        assert!(!offers(&headers, SUBPROTOCOL));
        headers.append(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static("x,barograph.v1"),
        );
        assert!(offers(&headers, SUBPROTOCOL));
    }
}
