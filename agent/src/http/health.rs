//! `/healthz` and `/metrics`.
//!
//! `/healthz` answers 200 whenever the agent can answer at all: a collector that is down makes the status
//! `degraded`, but restarting the agent would not mend it.

use bytes::Bytes;

use super::error::{Answer, json, plain};
use super::{State, VERSION, exposition};
use crate::protocol::HealthAnswer;

/// GET `/healthz`.
pub(super) fn healthz(state: &State) -> Answer {
    let components = state.board.components();
    let healthy = components.iter().all(|component| component.up);
    let uptime = state.clock.mono().saturating_duration_since(state.started);
    json(&HealthAnswer {
        status: if healthy { "ok" } else { "degraded" }.to_owned(),
        version: VERSION.to_owned(),
        uptime_seconds: uptime.as_secs_f64(),
        components,
    })
}

/// GET `/metrics`.
pub(super) fn metrics(state: &State) -> Answer {
    let text = exposition::render(&state.catalog, &state.current, state.clock.now_ms());
    plain(
        Bytes::from(text),
        "text/plain; version=0.0.4; charset=utf-8",
    )
}
