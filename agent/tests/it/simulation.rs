//! The whole App without child processes, on simulated time: collectors that fail in every way by a seeded
//! generator, a wall clock that is stepped, and clients that read now and then.
//!
//! Each seed runs twice and must give the same trace; within a trace the promises of the schedule hold.
//! Twelve seeds of two simulated minutes here; 500 of ten minutes by `cargo xtask soak simulation`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use barograph::app::App;
use barograph::bus::Sample;
use barograph::catalog::{
    Catalog, ChartHint, ChartStyle, CollectorId, Kind, Metric, SeriesId, Unit,
};
use barograph::clock::{Clock, Tick, Tier, TierSet};
use barograph::collect::events::Outbox;
use barograph::collect::{Collected, Failure, LostReason, Reconfigured, Runner, Settings};
use barograph::config::{Config, Instance};
use barograph::hub::{Connection, Subscription, Target};
use barograph::protocol::{Match, Shape};
use serde_json::Value;

const START_MS: i64 = 1_750_000_000_300;
const COLLECTORS: usize = 3;

fn rounds() -> (u64, u64) {
    let number = |name: &str, or| {
        std::env::var(name)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(or)
    };
    (
        number("SIMULATION_SEEDS", 12),
        number("SIMULATION_SECONDS", 120),
    )
}

/// `SplitMix64`: small, seeded, and the same everywhere.
#[derive(Clone)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What the sources did, as they know it.
#[derive(Default)]
struct Ledger {
    collects: u64,
    failures: u64,
    losses: u64,
}

struct Source {
    name: String,
    catalog: Catalog,
    collector: CollectorId,
    chance: Chance,
    series: Option<SeriesId>,
    total: f64,
    dies_after: Option<Duration>,
    ledger: Arc<Mutex<Ledger>>,
}

fn lost(reason: LostReason) -> Failure {
    Failure::Lost {
        reason,
        message: "was lost by chance".to_owned(),
    }
}

impl Source {
    fn define(&mut self) -> SeriesId {
        let metric = Metric {
            name: format!("{}_events_total", self.name),
            help: "Simulated.".to_owned(),
            topic: "simulated".to_owned(),
            plugin: self.name.clone(),
            kind: Kind::Counter,
            unit: Unit::Count,
            tier: Tier::Fast,
            labels: Vec::new(),
            otel: None,
            chart: ChartHint {
                section: String::new(),
                title: String::new(),
                style: ChartStyle::Line,
                overview: false,
            },
        };
        let metric = self
            .catalog
            .define_metric(self.collector, metric)
            .expect("a good metric");
        self.catalog
            .define_series(self.collector, metric, Vec::new())
            .expect("a good series")
    }

    fn lose(&self, reason: LostReason) -> Failure {
        self.ledger.lock().expect("no panic before").losses += 1;
        lost(reason)
    }
}

impl Runner for Source {
    async fn start(&mut self) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(1 + self.chance.below(40))).await;
        if self.chance.below(8) == 0 {
            return Err(self.lose(LostReason::Start));
        }
        self.series = Some(self.define());
        Ok(())
    }

    async fn collect(&mut self, _tick: &Tick, _tiers: TierSet) -> Result<Collected, Failure> {
        self.ledger.lock().expect("no panic before").collects += 1;
        let (pause_ms, outcome) = match self.chance.below(40) {
            0 => (900, Err(self.lose(LostReason::Deadline))),
            1 => (3, Err(self.lose(LostReason::Exited))),
            2 | 3 => (700, Err(Failure::Refused("no answer".to_owned()))),
            4 => (2_600, Ok(())),
            5..10 => (self.chance.below(800), Ok(())),
            _ => (1, Ok(())),
        };
        self.dies_after =
            (self.chance.below(50) == 0).then(|| Duration::from_millis(self.chance.below(900)));
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        if outcome.is_err() {
            self.ledger.lock().expect("no panic before").failures += 1;
        }
        outcome?;
        self.total += self.chance.below(100) as f64;
        let series = self.series.expect("started");
        Ok(Collected {
            samples: vec![Sample {
                series,
                value: self.total,
            }],
            ..Collected::default()
        })
    }

    async fn died(&mut self) -> Failure {
        match self.dies_after.take() {
            Some(after) => {
                // Taken out while it waits: a tick that comes first lets the plugin live on.
                tokio::time::sleep(after).await;
                self.lose(LostReason::Killed)
            }
            None => std::future::pending().await,
        }
    }

    async fn stop(&mut self) -> Option<Failure> {
        None
    }

    async fn reconfigure(&mut self, _: &Settings) -> Result<Reconfigured, Failure> {
        Ok(Reconfigured::Restart)
    }

    fn successor(&self, settings: Settings) -> Self {
        Self {
            name: settings.name,
            catalog: self.catalog.clone(),
            collector: self.collector,
            chance: Chance(self.chance.0 ^ 1),
            series: None,
            total: self.total,
            dies_after: None,
            ledger: Arc::clone(&self.ledger),
        }
    }

    fn series(&self) -> Vec<SeriesId> {
        self.series.into_iter().collect()
    }
}

/// A trace line: when (simulated ms since the start), and the event.
type Trace = Vec<(u64, Value)>;

async fn simulate(seed: u64, seconds: u64, steps: bool) -> (Trace, u64, u64) {
    let folder = tempfile::tempdir().expect("a temp folder");
    let clock = Clock::simulated(START_MS);
    let began = clock.mono();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut app = start(&clock, folder.path(), seed, &ledger);
    let connection = subscribe(&app).await;
    let mut chance = Chance(seed ^ 0x5eed);
    let mut trace = Trace::new();
    for second in 0..seconds {
        let until = began + Duration::from_secs(second + 1);
        if steps && chance.below(25) == 0 {
            clock.step(i64::try_from(chance.below(20_000)).expect("small") - 10_000);
        }
        drain(&connection, &clock, began, until, &mut trace).await;
    }
    let stats = app.stats().all();
    let restarts = stats.iter().map(|stats| stats.restarts_total()).sum();
    app.hub().disconnect(connection.id);
    app.reload(Config {
        collectors: Vec::new(),
        ..config(folder.path())
    })
    .await;
    app.stop().await;
    let losses = ledger.lock().expect("no panic before").losses;
    (trace, restarts, losses)
}

fn config(folder: &std::path::Path) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().expect("an address"),
        data_dir: folder.join("data"),
        ..Config::default()
    }
}

fn start(
    clock: &Clock,
    folder: &std::path::Path,
    seed: u64,
    ledger: &Arc<Mutex<Ledger>>,
) -> App<Source> {
    let mut config = config(folder);
    let template = Instance::of("simulated");
    // The library is only looked for, never loaded: any file will do.
    let library = folder.join("simulated.so");
    std::fs::write(&library, "").expect("a file");
    config.collectors = (0..COLLECTORS)
        .map(|n| {
            let (name, path) = (format!("source{n}"), Some(library.clone()));
            Instance {
                name,
                plugin: "simulated".to_owned(),
                path,
                ..template.clone()
            }
        })
        .collect();
    let ledger = Arc::clone(ledger);
    let make =
        move |settings: Settings, catalog: Catalog, collector: CollectorId, _: Outbox| Source {
            chance: Chance(seed.wrapping_add(settings.name.bytes().map(u64::from).sum())),
            name: settings.name,
            catalog,
            collector,
            series: None,
            total: 0.0,
            dies_after: None,
            ledger: Arc::clone(&ledger),
        };
    let prepared = barograph::app::prepare(&config, clock).expect("a data folder");
    App::start_with(config, clock.clone(), prepared, Box::new(make)).expect("a started app")
}

async fn subscribe(app: &App<Source>) -> Connection {
    let connection = app.hub().connect().await.expect("a running hub");
    for tier in Tier::ALL {
        let target = Target::Metrics("simulated".to_owned());
        let matching = Match::default();
        let wanted = Subscription {
            target,
            tier,
            shape: Shape::Named,
            matching,
        };
        app.hub()
            .subscribe(connection.id, wanted)
            .await
            .expect("a known topic");
    }
    connection
}

/// Reads everything until a moment, as a client that keeps up does.
async fn drain(
    connection: &Connection,
    clock: &Clock,
    began: tokio::time::Instant,
    until: tokio::time::Instant,
    trace: &mut Trace,
) {
    let mut frames = Vec::new();
    while tokio::time::timeout_at(until, connection.lane.ready())
        .await
        .is_ok()
    {
        let closed = connection.lane.take(&mut frames);
        assert!(closed.is_none(), "closed: {closed:?}");
        let now = clock.mono().saturating_duration_since(began);
        let now_ms = u64::try_from(now.as_millis()).expect("minutes");
        for frame in frames.drain(..) {
            let event: Value = serde_json::from_slice(payload(&frame)).expect("JSON");
            trace.push((now_ms, event));
        }
    }
}

/// A server's text frame without its header.
fn payload(frame: &[u8]) -> &[u8] {
    match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    }
}

/// The fast frames of one collector, snapshots left out.
fn fast(trace: &Trace, name: &str) -> Vec<(u64, i64, bool)> {
    let is = |event: &&(u64, Value)| {
        let data = &event.1["data"];
        data["collector"] == name && data["tier"] == "fast" && data["snapshot"].is_null()
    };
    let frames = trace.iter().filter(is);
    frames
        .map(|(ms, event)| {
            (
                *ms,
                event["at"].as_i64().expect("a time"),
                event["data"]["up"] == true,
            )
        })
        .collect()
}

fn run(seed: u64, seconds: u64, steps: bool) -> (Trace, u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(simulate(seed, seconds, steps))
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let (seeds, seconds) = rounds();
    for seed in 0..seeds.min(3) {
        let first = run(seed, seconds, true);
        let second = run(seed, seconds, true);
        assert!(!first.0.is_empty());
        assert!(first == second, "seed {seed} ran in two ways");
    }
}

#[test]
fn a_batch_comes_every_tick_whatever_the_sources_do() {
    let (seeds, seconds) = rounds();
    for seed in 0..seeds {
        let (trace, restarts, losses) = run(seed, seconds, false);
        // A loss during the very last moment may not be counted yet by the supervisor.
        assert!(
            losses.abs_diff(restarts) <= COLLECTORS as u64,
            "seed {seed}: {restarts} of {losses}"
        );
        assert!(losses > 0, "seed {seed} was too kind to show anything");
        for n in 0..COLLECTORS {
            let frames = fast(&trace, &format!("source{n}"));
            // A collect that takes 2.6 s skips ticks, never more than that many in a row; between ticks
            // a batch says that a source died.
            for pair in frames.windows(2) {
                let gap_ms = pair[1].1 - pair[0].1;
                assert!(
                    (0..=4_000).contains(&gap_ms),
                    "seed {seed}, source{n}: {pair:?}"
                );
            }
            let on_grid = frames.iter().filter(|(_, at, _)| at % 1_000 == 0).count() as u64;
            assert!(
                on_grid * 10 >= seconds * 7,
                "seed {seed}, source{n}: {on_grid} of {seconds}"
            );
            assert!(frames.iter().any(|(_, _, up)| *up) && frames.iter().any(|(_, _, up)| !up));
        }
        slower_tiers_have_aggregates(&trace, seed);
    }
}

/// Each has frames, with aggregates that hold together. A client that takes two frames in one moment may be told
/// that an older one was skipped.
fn slower_tiers_have_aggregates(trace: &Trace, seed: u64) {
    for tier in ["medium", "slow"] {
        let ticks: Vec<_> = trace
            .iter()
            .filter(|(_, event)| event["event"] == "simulated-metrics")
            .filter(|(_, event)| event["data"]["tier"] == tier)
            .filter(|(_, event)| event["data"]["snapshot"].is_null())
            .collect();
        assert!(!ticks.is_empty(), "seed {seed}: no {tier} frame");
        for (_, event) in ticks {
            let samples = event["data"]["metrics"].as_object().expect("metrics");
            for sample in samples
                .values()
                .flat_map(|list| list.as_array().expect("samples"))
            {
                let (min, max) = (sample["min"].as_f64(), sample["max"].as_f64());
                assert!(min <= max, "seed {seed}, {tier}: {sample}");
            }
        }
    }
}

#[test]
fn a_stepped_wall_clock_loses_no_tick() {
    let (seeds, seconds) = rounds();
    for seed in 100..100 + seeds {
        let (trace, ..) = run(seed, seconds, true);
        for n in 0..COLLECTORS {
            // By simulated monotonic time, which is not stepped, there is never a long silence.
            let frames = fast(&trace, &format!("source{n}"));
            for pair in frames.windows(2) {
                assert!(
                    pair[1].0 - pair[0].0 <= 5_000,
                    "seed {seed}, source{n}: {pair:?}"
                );
            }
        }
    }
}
