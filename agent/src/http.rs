//! The HTTP server: every request from outside comes through here.
//!
//! GET `/healthz`, `/metrics`, `/api/catalog`, `/api/dashboard/metrics[?topic=]`,
//! `/api/dashboard/metrics/history?metric=`, `/api/dashboard/alerts[?state=]`, `/api/dashboard/plugins`,
//! `/api/dashboard/plugins/events[?collector=&limit=]`, `/dashboard/…` (`/` and `/dashboard` lead there) and
//! `/ws`; HEAD as GET, except for `/ws`. `listener` accepts and bounds connections, `guard` decides who may ask,
//! `router` finds the handler, the other files are one area each. Handlers read the catalog, the current values,
//! the health board and what the collectors count; live data comes from the hub, the past and the plugins' events
//! from the store. It collects nothing, and nothing outside of it knows hyper or fastwebsockets.

mod alerts;
mod assets;
mod body;
mod catalog;
mod dashboard;
mod error;
pub mod exposition;
pub mod frame;
pub mod guard;
mod health;
mod history;
mod listener;
mod plugins;
mod query;
mod router;
mod seats;
mod ws;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use tokio::time::Instant;

pub use history::Queries;
pub use listener::serve;

use crate::alerts::Alerts;
use crate::catalog::Catalog;
use crate::clock::{Clock, Tier, Tiers};
use crate::collect::events::kept::Kept;
use crate::collect::stats::Stats as PluginStats;
use crate::current::Current;
use crate::health::Board;
use crate::hub::Hub;
use crate::protocol::{HostInfo, TierIntervals};
use crate::store::engine::Engine;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an operator decides about the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Origins (`scheme://host[:port]`) other than our own whose pages may use the API.
    pub allowed_origins: Vec<String>,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of what clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections of every kind; beyond it clients get 503.
    pub connections: usize,
    /// Open connections of one address. Loopback addresses are exempt: this machine's own programs, and a
    /// local dashboard with many viewers behind it, all share one.
    pub connections_per_address: usize,
    /// Messages that a WebSocket client may send in a minute; beyond it it is closed with 4029.
    pub messages_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 100,
            messages_per_minute: 100,
        }
    }
}

/// What the handlers need; shared by all connections.
#[derive(Debug)]
pub struct State {
    /// The operator's decisions.
    pub config: Config,
    /// For stamps and deadlines.
    pub clock: Clock,
    /// Intervals.
    pub tiers: Tiers,
    /// Metrics and series.
    pub catalog: Catalog,
    /// Latest values.
    pub current: Current,
    /// States of the components.
    pub board: Board,
    /// Rules and alerts.
    pub alerts: Alerts,
    /// What the collectors count.
    pub plugins: PluginStats,
    /// Stored events of plugins.
    pub plugin_events: Arc<Kept>,
    /// Live data.
    pub hub: Hub,
    /// The machine.
    pub host: HostInfo,
    /// Random, made at each start.
    pub agent_id: String,
    /// Wall time of the start, Unix milliseconds.
    pub started_at: i64,
    /// The same moment on the monotonic clock.
    pub started: Instant,
    /// Where the server listens.
    pub address: SocketAddr,
    /// What the server counts.
    pub stats: Arc<Stats>,
    /// The past.
    pub store: Arc<Engine>,
    /// Places for questions to it.
    pub queries: Queries,
}

impl State {
    fn intervals(&self) -> TierIntervals {
        let interval = |tier| u32::try_from(self.tiers.interval_ms(tier)).unwrap_or(u32::MAX);
        TierIntervals {
            fast: interval(Tier::Fast),
            medium: interval(Tier::Medium),
            slow: interval(Tier::Slow),
        }
    }
}

/// Counters and gauges of the server, for the agent's own metrics.
#[derive(Debug, Default)]
pub struct Stats {
    /// Open connections.
    pub connections: AtomicU64,
    /// Connections that were turned away with 503.
    pub connections_refused: AtomicU64,
    /// Failures to accept, for want of file descriptors or memory most likely.
    pub accept_errors: AtomicU64,
    /// Requests that got an answer.
    pub requests: AtomicU64,
    /// WebSocket connections that were closed for what they sent.
    pub violations: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
