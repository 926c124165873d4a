//! The agent's collector of itself: topic `agent`.
//!
//! It reads what the parts count about themselves and publishes it like any collector's samples. It runs in
//! the agent, so it needs no process, and it is the only reader that knows several parts; nobody knows it.

mod family;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::bus::{Batch, Bus, Sample};
use crate::catalog::{Catalog, ChartHint, CollectorId, Metric, MetricId, SERIES_MAX, SeriesId};
use crate::clock::{Clock, Tick, Tier, TierSet, Tiers};
use crate::collect::stats::Stats;
use crate::hub::Hub;
use crate::store::Level;
use crate::store::engine::Engine;
use crate::{http, proc};
use family::Family;

/// Name of the collector, its plugin and its topic.
pub(crate) const NAME: &str = "agent";

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
    pub stats: Stats,
    /// The clients' numbers.
    pub hub: Hub,
    /// The server's numbers.
    pub server: Arc<http::Stats>,
    /// The store's numbers.
    pub store: Arc<Engine>,
}

/// Registers the collector; the future runs it until `stop` says true or its sender is gone.
pub fn run(sources: Sources, mut stop: watch::Receiver<bool>) -> impl Future<Output = ()> + Send {
    let collector = sources.catalog.register(NAME, NAME, NAME, SERIES_MAX);
    let mut ticker = sources.clock.ticker(sources.tiers);
    let mut reading = Reading {
        started: sources.clock.mono(),
        collector,
        metrics: HashMap::new(),
        series: HashMap::new(),
        steps: 0,
        sources,
    };
    async move {
        loop {
            let tick = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                tick = ticker.next() => tick,
            };
            reading.tick(&tick);
        }
    }
}

struct Reading {
    sources: Sources,
    started: tokio::time::Instant,
    collector: CollectorId,
    metrics: HashMap<&'static str, MetricId>,
    series: HashMap<(&'static str, Vec<String>), SeriesId>,
    steps: u64,
}

impl Reading {
    fn tick(&mut self, tick: &Tick) {
        if tick.stepped_ms != 0 {
            self.steps += 1;
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
            self.history(&mut out);
        }
        self.plugins_fast(&mut out);
        self.traffic(&mut out, tick.due);
        self.push(&mut out, &family::CPU, &[], cpu_seconds());
        let took = self.sources.clock.mono().saturating_duration_since(began);
        self.sources.bus.publish(Batch {
            collector: self.collector,
            tick: tick.number,
            at_ms: tick.at_ms,
            at: tick.at,
            due: tick.due,
            up: true,
            took,
            samples: out,
        });
    }

    fn plugins_fast(&mut self, out: &mut Vec<Sample>) {
        for stats in self.sources.stats.all() {
            let labels = [stats.plugin.as_str(), stats.name.as_str()];
            let up = stats.up.load(Ordering::Relaxed);
            self.push(out, &family::UP, &labels, f64::from(u8::from(up)));
            if up {
                let seconds = stats.collect_ns.load(Ordering::Relaxed) as f64 / 1e9;
                self.push(out, &family::COLLECT, &labels, seconds);
            }
        }
    }

    fn plugins(&mut self, out: &mut Vec<Sample>) {
        for stats in self.sources.stats.all() {
            let labels = [stats.plugin.as_str(), stats.name.as_str()];
            for (reason, count) in stats.restarts() {
                self.push(
                    out,
                    &family::RESTARTS,
                    &[labels[0], labels[1], reason.name()],
                    count as f64,
                );
            }
            for (outcome, count) in stats.reloads() {
                self.push(
                    out,
                    &family::RELOADS,
                    &[labels[0], labels[1], outcome.name()],
                    count as f64,
                );
            }
            let open = f64::from(u8::from(stats.circuit_open.load(Ordering::Relaxed)));
            self.push(out, &family::CIRCUIT, &labels, open);
            let load = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
            self.push(out, &family::PLUGIN_REFUSED, &labels, load(&stats.refused));
            self.push(
                out,
                &family::DEADLINE,
                &labels,
                load(&stats.deadline_missed),
            );
            self.push(out, &family::TICKS, &labels, load(&stats.ticks_missed));
            if let rss_bytes @ 1.. = stats.rss_bytes.load(Ordering::Relaxed) {
                self.push(out, &family::PLUGIN_RSS, &labels, rss_bytes as f64);
            }
        }
        self.series(out);
    }

    fn series(&mut self, out: &mut Vec<Sample>) {
        let catalog = self.sources.catalog.clone();
        let counts: Vec<_> = catalog
            .read()
            .collectors()
            .map(|(_, c)| {
                (
                    c.plugin.clone(),
                    c.name.clone(),
                    c.series_capped(),
                    c.series_dropped,
                )
            })
            .collect();
        let hosts = self.sources.stats.all();
        for (plugin, name, live, mut dropped) in counts {
            let host = hosts
                .iter()
                .find(|its| its.plugin == plugin && its.name == name);
            if let Some(host) = host {
                dropped += host.series_dropped.load(Ordering::Relaxed);
            }
            self.push(out, &family::SERIES, &[&plugin, &name], live as f64);
            self.push(out, &family::DROPPED, &[&plugin, &name], dropped as f64);
        }
    }

    fn process(&mut self, out: &mut Vec<Sample>) {
        let uptime = self
            .sources
            .clock
            .mono()
            .saturating_duration_since(self.started);
        self.push(out, &family::UPTIME, &[], uptime.as_secs_f64());
        self.push(out, &family::STEPS, &[], self.steps as f64);
        if let Some(bytes) = proc::rss_bytes("self") {
            self.push(out, &family::RSS, &[], bytes as f64);
        }
    }

    fn history(&mut self, out: &mut Vec<Sample>) {
        let status = self.sources.store.status();
        self.push(out, &family::STORE_SERIES, &[], status.series as f64);
        self.push(out, &family::STORE_SAMPLES, &[], status.samples as f64);
        self.push(out, &family::STORE_DROPPED, &[], status.dropped as f64);
        for (level, bytes) in Level::ALL.into_iter().zip(status.level_bytes) {
            self.push(out, &family::STORE_DISK, &[level.folder()], bytes as f64);
        }
        self.push(
            out,
            &family::STORE_DISK,
            &["head"],
            status.head_bytes as f64,
        );
        if let Some(bytes) = status.bytes_per_sample() {
            self.push(out, &family::STORE_DENSITY, &[], bytes);
        }
        self.push(out, &family::STORE_MEMORY, &[], status.memory_bytes as f64);
        self.push(out, &family::STORE_BACKLOG, &[], status.backlog as f64);
        self.push(out, &family::STORE_LOSSES, &[], status.losses as f64);
    }

    fn traffic(&mut self, out: &mut Vec<Sample>, due: TierSet) {
        let bus = self.sources.bus.clone();
        for (queue, waiting, dropped) in bus.depths() {
            self.push(out, &family::DEPTH, &[queue], waiting as f64);
            self.push(out, &family::QUEUE_DROPPED, &[queue], dropped as f64);
        }
        let stats = self.sources.hub.stats();
        self.push(out, &family::CLIENTS, &["websocket"], stats.clients as f64);
        self.push(out, &family::FRAMES, &[], stats.frames as f64);
        self.push(out, &family::BYTES, &[], stats.bytes as f64);
        self.push(out, &family::SKIPPED, &[], stats.skipped as f64);
        let server = Arc::clone(&self.sources.server);
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
        self.push(out, &family::CONNECTIONS, &[], load(&server.connections));
        if due.contains(Tier::Medium) {
            self.push(out, &family::REQUESTS, &[], load(&server.requests));
            self.push(
                out,
                &family::REFUSED,
                &[],
                load(&server.connections_refused),
            );
            self.push(out, &family::VIOLATIONS, &[], load(&server.violations));
        }
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
                .define_own_metric(self.collector, metric(family))
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
