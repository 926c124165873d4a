//! `initialData`, the first event on every connection: what the agent is and what it expects.

use crate::http::catalog::topics;
use crate::http::frame::MESSAGE_BYTES_MAX;
use crate::http::{State, VERSION};
use crate::hub::CHANNELS_MAX;
use crate::protocol::{Identity, InitialData, Limits, ServerEvent};

pub(super) fn initial_data(state: &State, heartbeat_ms: u32) -> ServerEvent<InitialData> {
    let frame_bytes = u32::try_from(MESSAGE_BYTES_MAX).expect("the bound is small");
    ServerEvent {
        event: "initialData".to_owned(),
        channel: String::new(),
        at: state.clock.now_ms(),
        data: InitialData {
            server: "barograph".to_owned(),
            version: VERSION.to_owned(),
            agent_id: state.agent_id.clone(),
            started_at: state.started_at,
            host: state.host.clone(),
            topics: topics(&state.catalog.read()),
            tiers: state.intervals(),
            limits: Limits {
                frame_bytes,
                channels: u32::try_from(CHANNELS_MAX).expect("the bound is small"),
                messages_per_minute: state.config.limits.messages_per_minute,
            },
            heartbeat_ms,
            you: Identity {
                role: "admin".to_owned(),
                user: None,
            },
        },
    }
}
