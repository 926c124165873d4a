//! What the agent measures about itself: the table of families, pure.

use crate::catalog::{ChartStyle, Kind, Unit};
use crate::clock::Tier;

pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    pub(super) tier: Tier,
    pub(super) labels: &'static [&'static str],
    pub(super) title: &'static str,
    pub(super) style: ChartStyle,
}

const fn family(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    labels: &'static [&'static str],
    title: &'static str,
    help: &'static str,
) -> Family {
    Family {
        name,
        help,
        kind,
        unit,
        tier: Tier::Medium,
        labels,
        title,
        style: ChartStyle::Line,
    }
}

impl Family {
    const fn fast(mut self) -> Self {
        self.tier = Tier::Fast;
        self
    }

    const fn fact(mut self) -> Self {
        self.style = ChartStyle::None;
        self
    }
}

const INSTANCE: &[&str] = &["plugin", "instance"];

pub(super) const UP: Family = family(
    "barograph_plugin_up",
    Kind::Gauge,
    Unit::Count,
    INSTANCE,
    "Plugins up",
    "Whether the plugin's last collect succeeded: 1 or 0.",
)
.fast()
.fact();
pub(super) const RESTARTS: Family = family(
    "barograph_plugin_restarts_total",
    Kind::Counter,
    Unit::Count,
    &["plugin", "instance", "reason"],
    "Plugin restarts",
    "Times that the plugin's process was lost and started again, by reason.",
)
.fact();
pub(super) const COLLECT: Family = family(
    "barograph_plugin_collect_seconds",
    Kind::Gauge,
    Unit::Seconds,
    INSTANCE,
    "Collect time",
    "How long the plugin's last collect took, its process included.",
)
.fast();
pub(super) const DEADLINE: Family = family(
    "barograph_plugin_deadline_missed_total",
    Kind::Counter,
    Unit::Count,
    INSTANCE,
    "Deadlines missed",
    "Collects of the plugin that failed at their deadline.",
)
.fact();
pub(super) const TICKS: Family = family(
    "barograph_plugin_ticks_missed_total",
    Kind::Counter,
    Unit::Count,
    INSTANCE,
    "Ticks missed",
    "Ticks that went by while an earlier collect was running.",
)
.fact();
pub(super) const CIRCUIT: Family = family(
    "barograph_plugin_circuit_open",
    Kind::Gauge,
    Unit::Count,
    INSTANCE,
    "Circuits open",
    "Whether the plugin failed so often that it is only probed: 1 or 0.",
)
.fact();
pub(super) const PLUGIN_REFUSED: Family = family(
    "barograph_plugin_refused_total",
    Kind::Counter,
    Unit::Count,
    INSTANCE,
    "Refused",
    "Samples, definitions and events of the plugin that were not taken.",
)
.fact();
pub(super) const RELOADS: Family = family(
    "barograph_plugin_reloads_total",
    Kind::Counter,
    Unit::Count,
    &["plugin", "instance", "outcome"],
    "Plugin reloads",
    "Changes of the plugin's library or configuration, by outcome: applied, switched or refused.",
)
.fact();
pub(super) const PLUGIN_RSS: Family = family(
    "barograph_plugin_rss_bytes",
    Kind::Gauge,
    Unit::Bytes,
    INSTANCE,
    "Resident memory",
    "Resident memory of the plugin's process and of what it started.",
);
pub(super) const SERIES: Family = family(
    "barograph_plugin_series",
    Kind::Gauge,
    Unit::Count,
    INSTANCE,
    "Series",
    "Series of the plugin that are not retired.",
);
pub(super) const DROPPED: Family = family(
    "barograph_series_dropped_total",
    Kind::Counter,
    Unit::Count,
    INSTANCE,
    "Series dropped",
    "Times that a series was refused because the plugin is at its cap.",
)
.fact();
pub(super) const CPU: Family = family(
    "barograph_cpu_seconds_total",
    Kind::Counter,
    Unit::Seconds,
    &[],
    "CPU of the agent",
    "Processor time of the agent's own process.",
)
.fast();
pub(super) const RSS: Family = family(
    "barograph_rss_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[],
    "Resident memory",
    "Resident memory of the agent's own process.",
);
pub(super) const UPTIME: Family = family(
    "barograph_uptime_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "Uptime",
    "Time since the agent started.",
)
.fact();
pub(super) const DEPTH: Family = family(
    "barograph_queue_depth",
    Kind::Gauge,
    Unit::Count,
    &["queue"],
    "Queue depth",
    "Batches that wait in a bounded queue.",
)
.fast();
pub(super) const QUEUE_DROPPED: Family = family(
    "barograph_queue_dropped_total",
    Kind::Counter,
    Unit::Count,
    &["queue"],
    "Batches dropped",
    "Batches that a full queue did not take.",
);
pub(super) const CLIENTS: Family = family(
    "barograph_clients",
    Kind::Gauge,
    Unit::Count,
    &["transport"],
    "Clients",
    "Connected clients, by transport.",
)
.fast();
pub(super) const FRAMES: Family = family(
    "barograph_frames_sent_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Frames",
    "Frames handed to clients' connections.",
)
.fast();
pub(super) const BYTES: Family = family(
    "barograph_sent_bytes_total",
    Kind::Counter,
    Unit::Bytes,
    &[],
    "Bytes sent",
    "Bytes of the frames handed to clients' connections.",
)
.fast();
pub(super) const SKIPPED: Family = family(
    "barograph_frames_skipped_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Frames",
    "Metric frames that a slow client did not get because a newer one took their place.",
)
.fast();
pub(super) const CONNECTIONS: Family = family(
    "barograph_http_connections",
    Kind::Gauge,
    Unit::Count,
    &[],
    "Clients",
    "Open connections of every kind.",
)
.fast();
pub(super) const REQUESTS: Family = family(
    "barograph_http_requests_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Requests",
    "HTTP requests that got an answer.",
);
pub(super) const REFUSED: Family = family(
    "barograph_http_connections_refused_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Connections refused",
    "Connections that were turned away because there were too many.",
)
.fact();
pub(super) const VIOLATIONS: Family = family(
    "barograph_websocket_violations_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "WebSocket violations",
    "WebSocket connections that were closed for what they sent.",
)
.fact();
pub(super) const STEPS: Family = family(
    "barograph_clock_steps_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Clock steps",
    "Times that the wall clock was found stepped.",
)
.fact();
pub(super) const STORE_SERIES: Family = family(
    "barograph_store_series",
    Kind::Gauge,
    Unit::Count,
    &[],
    "Stored series",
    "Series that the history knows, also those that are gone.",
);
pub(super) const STORE_SAMPLES: Family = family(
    "barograph_store_samples_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Stored samples",
    "Samples that the history took.",
);
pub(super) const STORE_DROPPED: Family = family(
    "barograph_store_samples_dropped_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Stored samples",
    "Samples that the history did not take: late ones, and those that it had no room for.",
);
pub(super) const STORE_DISK: Family = family(
    "barograph_store_disk_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &["level"],
    "History on disk",
    "Real bytes on disk of the history, by level: head, raw, m1 (minutes), h1 (hours).",
);
pub(super) const STORE_DENSITY: Family = family(
    "barograph_store_sample_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[],
    "Bytes a sample",
    "Real bytes on disk for each sealed sample.",
);
pub(super) const STORE_MEMORY: Family = family(
    "barograph_store_memory_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[],
    "History in memory",
    "Bytes of the samples that are kept in memory: the last minutes.",
);
pub(super) const STORE_BACKLOG: Family = family(
    "barograph_store_backlog",
    Kind::Gauge,
    Unit::Count,
    &[],
    "Hours to seal",
    "Hours that are over and not sealed yet.",
);
pub(super) const STORE_LOSSES: Family = family(
    "barograph_store_losses_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "History lost",
    "Times that something in the history was found damaged or lost; the log says what.",
)
.fact();
