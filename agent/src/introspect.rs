//! The agent's collector of itself: topic `agent`.
//!
//! It reads what the parts count about themselves and publishes it like any collector's samples. It runs in
//! the agent, so it needs no process, and it is the only reader that knows several parts; nobody knows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::bus::{Batch, Bus, Sample};
use crate::catalog::{
    Catalog, ChartHint, ChartStyle, CollectorId, Kind, Metric, MetricId, SERIES_MAX, SeriesId, Unit,
};
use crate::clock::{Clock, Tick, Tier, Tiers};
use crate::collect::stats::Registry;
use crate::hub::Hub;

/// Name of the collector, its plugin and its topic.
const NAME: &str = "agent";

/// What it reads.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Schedules and stamps.
    pub clock: Clock,
    /// Intervals.
    pub tiers: Tiers,
    /// Where its series are defined, and what it counts them in.
    pub catalog: Catalog,
    /// Where its batches go, and whose queues it watches.
    pub bus: Bus,
    /// The collectors' numbers.
    pub stats: Registry,
    /// The clients' numbers.
    pub hub: Hub,
}

struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    unit: Unit,
    tier: Tier,
    labels: &'static [&'static str],
    title: &'static str,
    style: ChartStyle,
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

const UP: Family = family(
    "barograph_plugin_up",
    Kind::Gauge,
    Unit::Count,
    INSTANCE,
    "Plugins up",
    "Whether the plugin's last collect succeeded: 1 or 0.",
)
.fast()
.fact();
const RESTARTS: Family = family(
    "barograph_plugin_restarts_total",
    Kind::Counter,
    Unit::Count,
    &["plugin", "instance", "reason"],
    "Plugin restarts",
    "Times that the plugin's process was lost and started again, by reason.",
)
.fact();
const COLLECT: Family = family(
    "barograph_plugin_collect_seconds",
    Kind::Gauge,
    Unit::Seconds,
    INSTANCE,
    "Collect time",
    "How long the plugin's last collect took, its process included.",
)
.fast();
const DEADLINE: Family = family(
    "barograph_plugin_deadline_missed_total",
    Kind::Counter,
    Unit::Count,
    INSTANCE,
    "Deadlines missed",
    "Collects that were given up at their deadline.",
)
.fact();
const TICKS: Family = family(
    "barograph_plugin_ticks_missed_total",
    Kind::Counter,
    Unit::Count,
    INSTANCE,
    "Ticks missed",
    "Ticks that went by while an earlier collect was running.",
)
.fact();
const PLUGIN_RSS: Family = family(
    "barograph_plugin_rss_bytes",
    Kind::Gauge,
    Unit::Bytes,
    INSTANCE,
    "Resident memory",
    "Resident memory of the plugin's process.",
);
const SERIES: Family = family(
    "barograph_plugin_series",
    Kind::Gauge,
    Unit::Count,
    INSTANCE,
    "Series",
    "Series of the plugin that are not retired.",
);
const DROPPED: Family = family(
    "barograph_series_dropped_total",
    Kind::Counter,
    Unit::Count,
    INSTANCE,
    "Series dropped",
    "Series that were refused because the plugin is at its cap.",
)
.fact();
const CPU: Family = family(
    "barograph_cpu_seconds_total",
    Kind::Counter,
    Unit::Seconds,
    &[],
    "CPU of the agent",
    "Processor time of the agent's own process.",
)
.fast();
const RSS: Family = family(
    "barograph_rss_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[],
    "Resident memory",
    "Resident memory of the agent's own process.",
);
const UPTIME: Family = family(
    "barograph_uptime_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "Uptime",
    "Time since the agent started.",
)
.fact();
const DEPTH: Family = family(
    "barograph_queue_depth",
    Kind::Gauge,
    Unit::Count,
    &["queue"],
    "Queue depth",
    "Batches that wait in a bounded queue.",
)
.fast();
const QUEUE_DROPPED: Family = family(
    "barograph_queue_dropped_total",
    Kind::Counter,
    Unit::Count,
    &["queue"],
    "Batches dropped",
    "Batches that a full queue did not take.",
);
const CLIENTS: Family = family(
    "barograph_clients",
    Kind::Gauge,
    Unit::Count,
    &["transport"],
    "Clients",
    "Connected clients, by transport.",
)
.fast();
const FRAMES: Family = family(
    "barograph_frames_sent_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Frames",
    "Frames handed to clients' connections.",
)
.fast();
const BYTES: Family = family(
    "barograph_sent_bytes_total",
    Kind::Counter,
    Unit::Bytes,
    &[],
    "Bytes sent",
    "Bytes of the frames handed to clients' connections.",
)
.fast();
const SKIPPED: Family = family(
    "barograph_frames_skipped_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Frames",
    "Metric frames that a slow client did not get because a newer one took their place.",
)
.fast();
const STEPS: Family = family(
    "barograph_clock_steps_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Clock steps",
    "Times that the wall clock was found stepped.",
)
.fact();

/// Runs until `stop` says true or its sender is gone.
pub async fn run(sources: Sources, mut stop: watch::Receiver<bool>) {
    let collector = sources.catalog.register(NAME, NAME, NAME, SERIES_MAX);
    let mut ticker = sources.clock.ticker(sources.tiers);
    let mut reading = Reading {
        started: sources.clock.mono(),
        collector,
        metrics: HashMap::new(),
        series: HashMap::new(),
        steps: Arc::default(),
        sources,
    };
    loop {
        let tick = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            tick = ticker.next() => tick,
        };
        reading.tick(&tick);
    }
}

struct Reading {
    sources: Sources,
    started: tokio::time::Instant,
    collector: CollectorId,
    metrics: HashMap<&'static str, MetricId>,
    series: HashMap<(&'static str, Vec<String>), SeriesId>,
    steps: Arc<AtomicU64>,
}

impl Reading {
    fn tick(&mut self, tick: &Tick) {
        if tick.stepped_ms != 0 {
            self.steps.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                stepped_ms = tick.stepped_ms,
                "the wall clock was stepped; the schedule follows it"
            );
        }
        let began = self.sources.clock.mono();
        let mut out = Vec::with_capacity(self.series.len());
        if tick.due.contains(Tier::Medium) {
            self.plugins(&mut out);
            self.process(&mut out);
        }
        self.plugins_fast(&mut out);
        self.traffic(&mut out);
        self.push(&mut out, &CPU, &[], cpu_seconds());
        let took = self.sources.clock.mono().saturating_duration_since(began);
        self.sources.bus.publish(Batch {
            collector: self.collector,
            tick: tick.number,
            at_ms: tick.at_ms,
            due: tick.due,
            up: true,
            took,
            samples: out,
        });
    }

    fn plugins_fast(&mut self, out: &mut Vec<Sample>) {
        for stats in self.sources.stats.all() {
            let labels = [stats.plugin.as_str(), stats.name.as_str()];
            let up = f64::from(u8::from(stats.up.load(Ordering::Relaxed)));
            self.push(out, &UP, &labels, up);
            let seconds = stats.collect_ns.load(Ordering::Relaxed) as f64 / 1e9;
            self.push(out, &COLLECT, &labels, seconds);
        }
    }

    fn plugins(&mut self, out: &mut Vec<Sample>) {
        for stats in self.sources.stats.all() {
            let labels = [stats.plugin.as_str(), stats.name.as_str()];
            for (reason, count) in stats.restarts() {
                self.push(
                    out,
                    &RESTARTS,
                    &[labels[0], labels[1], reason.name()],
                    count as f64,
                );
            }
            let load = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
            self.push(out, &DEADLINE, &labels, load(&stats.deadline_missed));
            self.push(out, &TICKS, &labels, load(&stats.ticks_missed));
            self.push(out, &PLUGIN_RSS, &labels, load(&stats.rss_bytes));
        }
        let catalog = self.sources.catalog.clone();
        let counts: Vec<_> = catalog
            .read()
            .collectors()
            .map(|(_, c)| {
                (
                    c.plugin.clone(),
                    c.name.clone(),
                    c.series_live,
                    c.series_dropped,
                )
            })
            .collect();
        for (plugin, name, live, dropped) in counts {
            self.push(out, &SERIES, &[&plugin, &name], live as f64);
            self.push(out, &DROPPED, &[&plugin, &name], dropped as f64);
        }
    }

    fn process(&mut self, out: &mut Vec<Sample>) {
        let uptime = self
            .sources
            .clock
            .mono()
            .saturating_duration_since(self.started);
        self.push(out, &UPTIME, &[], uptime.as_secs_f64());
        self.push(out, &STEPS, &[], self.steps.load(Ordering::Relaxed) as f64);
        if let Some(bytes) = resident_bytes() {
            self.push(out, &RSS, &[], bytes);
        }
    }

    fn traffic(&mut self, out: &mut Vec<Sample>) {
        let bus = self.sources.bus.clone();
        for (queue, waiting, dropped) in bus.depths() {
            self.push(out, &DEPTH, &[queue], waiting as f64);
            self.push(out, &QUEUE_DROPPED, &[queue], dropped as f64);
        }
        let stats = self.sources.hub.stats();
        self.push(out, &CLIENTS, &["websocket"], stats.clients as f64);
        self.push(out, &FRAMES, &[], stats.frames as f64);
        self.push(out, &BYTES, &[], stats.bytes as f64);
        self.push(out, &SKIPPED, &[], stats.skipped as f64);
    }

    fn push(
        &mut self,
        out: &mut Vec<Sample>,
        family: &'static Family,
        labels: &[&str],
        value: f64,
    ) {
        let key = (
            family.name,
            labels.iter().map(|&label| label.to_owned()).collect(),
        );
        if let Some(&series) = self.series.get(&key) {
            out.push(Sample { series, value });
        } else if let Some(series) = self.define(family, &key.1) {
            self.series.insert(key, series);
            out.push(Sample { series, value });
        }
    }

    fn define(&mut self, family: &'static Family, labels: &[String]) -> Option<SeriesId> {
        let metric = if let Some(&metric) = self.metrics.get(family.name) {
            metric
        } else {
            let metric = self
                .sources
                .catalog
                .define_metric(self.collector, metric(family))
                .ok()?;
            self.metrics.insert(family.name, metric);
            metric
        };
        self.sources
            .catalog
            .define_series(self.collector, metric, labels.to_vec())
            .ok()
    }
}

fn metric(family: &Family) -> Metric {
    Metric {
        name: family.name.to_owned(),
        help: family.help.to_owned(),
        topic: NAME.to_owned(),
        plugin: NAME.to_owned(),
        kind: family.kind,
        unit: family.unit,
        tier: family.tier,
        labels: family
            .labels
            .iter()
            .map(|&label| label.to_owned())
            .collect(),
        otel: None,
        chart: ChartHint {
            section: "Agent".to_owned(),
            title: family.title.to_owned(),
            style: family.style,
            overview: false,
        },
    }
}

fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

fn resident_bytes() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u32 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(f64::from(pages) * rustix::param::page_size() as f64)
}
