//! Which handler answers: the guard first, then the path, then the method.
//!
//! Paths are compared as they are; nothing is decoded, so no encoding of a path leads around a rule. The
//! parser of hyper has refused what is no HTTP before (400, or 431 for a head of more than 16 KiB).

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::error::{Answer, Error, excerpt, protect};
use super::guard::{Guard, Origin};
use super::ws::Pending;
use super::{State, alerts, assets, catalog, count, dashboard, health, history, plugins, ws};

/// Bytes of the request's target.
const TARGET_BYTES_MAX: usize = 8 * 1024;

/// What leaves the router: an answer, and the connection's future when it is to become a WebSocket.
pub(super) type Routed = (Answer, Option<Pending>);

/// Answers a request.
pub(super) async fn route(state: &State, guard: &Guard, request: Request<Incoming>) -> Routed {
    count(&state.stats.requests);
    let origin = match guard.check(request.method(), request.uri(), request.headers()) {
        Ok(origin) => origin,
        Err(refusal) => return (Error::from(refusal).into_answer(), None),
    };
    let (mut answer, pending) = match dispatch(state, request).await {
        Ok(routed) => routed,
        Err(error) => (error.into_answer(), None),
    };
    if let Origin::Allowed(origin) = origin {
        answer
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer
            .headers_mut()
            .append(header::VARY, HeaderValue::from_static("origin"));
    }
    (answer, pending)
}

async fn dispatch(state: &State, request: Request<Incoming>) -> Result<Routed, Error> {
    check_target(&request)?;
    let path = request.uri().path();
    if path == "/ws" {
        allow(request.method(), &[Method::GET])?;
        check_body(&request)?;
        let (answer, pending) = ws::upgrade(state, request).await?;
        return Ok((answer, Some(pending)));
    }
    let page = path.strip_prefix("/dashboard/");
    let known = matches!(
        path,
        "/" | "/dashboard"
            | "/healthz"
            | "/metrics"
            | "/api/catalog"
            | "/api/dashboard/alerts"
            | "/api/dashboard/metrics"
            | "/api/dashboard/metrics/history"
            | "/api/dashboard/plugins"
            | "/api/dashboard/plugins/events"
    );
    if !known && page.is_none() {
        let path = excerpt(path.as_bytes());
        return Err(Error::not_found(format!(
            "nothing is at `{path}`; the page is at /dashboard/"
        )));
    }
    allow(request.method(), &[Method::GET, Method::HEAD])?;
    check_body(&request)?;
    let answer = match path {
        "/" | "/dashboard" => redirect(),
        "/healthz" => health::healthz(state),
        "/metrics" => health::metrics(state),
        "/api/catalog" => catalog::catalog(state),
        "/api/dashboard/alerts" => alerts::alerts(state, request.uri().query())?,
        "/api/dashboard/metrics" => dashboard::metrics(state, request.uri().query())?,
        "/api/dashboard/metrics/history" => history::history(state, request.uri().query()).await?,
        "/api/dashboard/plugins" => plugins::plugins(state, request.uri().query())?,
        "/api/dashboard/plugins/events" => plugins::events(state, request.uri().query()).await?,
        _ => assets::file(page.unwrap_or_default(), request.headers())?,
    };
    Ok((answer, None))
}

fn check_target(request: &Request<Incoming>) -> Result<(), Error> {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES_MAX {
        let message =
            format!("the target has {target} bytes; at most {TARGET_BYTES_MAX} are taken");
        return Err(Error::new(
            StatusCode::URI_TOO_LONG,
            "uri_too_long",
            message,
        ));
    }
    Ok(())
}

fn check_body(request: &Request<Incoming>) -> Result<(), Error> {
    if !request.body().is_end_stream() {
        let message = "no request here takes a body; send none";
        return Err(
            Error::new(StatusCode::PAYLOAD_TOO_LARGE, "content_too_large", message)
                .header(header::CONNECTION, "close"),
        );
    }
    Ok(())
}

fn allow(method: &Method, allowed: &[Method]) -> Result<(), Error> {
    if allowed.contains(method) {
        return Ok(());
    }
    let names = if allowed.contains(&Method::HEAD) {
        "GET, HEAD"
    } else {
        "GET"
    };
    let message = format!(
        "method {} is not allowed here; use {names}",
        excerpt(method.as_str().as_bytes())
    );
    Err(Error::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
    .header(header::ALLOW, names))
}

/// Not a permanent one: browsers would keep it for whatever listens on this port next.
fn redirect() -> Answer {
    let mut answer = Response::new(Bytes::new().into());
    *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    answer
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static("/dashboard/"));
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    protect(&mut answer);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_methods_are_told_the_allowed_ones() {
        let both = [Method::GET, Method::HEAD];
        assert!(allow(&Method::HEAD, &both).is_ok());
        let error = allow(&Method::DELETE, &both).unwrap_err();
        assert_eq!(error.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(
            error.body.message,
            "method DELETE is not allowed here; use GET, HEAD"
        );
        assert_eq!(error.into_answer().headers()[header::ALLOW], "GET, HEAD");
        let socket = allow(&Method::HEAD, &[Method::GET]).unwrap_err();
        assert_eq!(socket.into_answer().headers()[header::ALLOW], "GET");
    }

    #[test]
    fn the_root_leads_to_the_page() {
        let answer = redirect();
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(answer.headers()[header::LOCATION], "/dashboard/");
    }
}
