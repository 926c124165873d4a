//! Collectors without processes, and what comes out of them.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::super::*;
use crate::bus::{Batch, Bus, Queue, Sample};
use crate::catalog::{Kind, Metric, SeriesId};
use crate::clock::{Clock, Tick, Tier, TierSet, Tiers};
use crate::collect::events;
use crate::collect::{Collected, Failure, Handover, LostReason, Reconfigured};
use crate::health::Board;
use crate::protocol::PluginInfo;

const START_MS: i64 = 1_700_000_000_000;
/// The file that stands for every library: it is only looked at, never loaded.
const LIBRARY: &str = "library.so";

/// Longer than any trial takes.
const TRIAL_MAX: Duration = Duration::from_mins(1);

/// A collector of the plugin `p`.
pub(super) fn instance(name: &str, config: Value) -> Instance {
    Instance {
        name: name.to_owned(),
        config,
        ..Instance::of("p")
    }
}

/// What all sources of a rig share.
#[derive(Default)]
struct World {
    /// `NUMBER does`: what was done to which source.
    log: Vec<String>,
    sources: usize,
}

/// A source whose configuration has: `metric` (`m` unless it says another), `start_ms`, `fails_start`, `refuses`
/// (each collect), `dies` (at each collect).
pub(super) struct Source {
    number: usize,
    settings: Settings,
    catalog: Catalog,
    collector: CollectorId,
    world: Arc<Mutex<World>>,
    is_successor: bool,
    has_started: bool,
    series: Vec<SeriesId>,
}

impl Source {
    fn new(
        settings: Settings,
        catalog: Catalog,
        collector: CollectorId,
        world: &Arc<Mutex<World>>,
    ) -> Self {
        Self {
            number: 0,
            settings,
            catalog,
            collector,
            world: Arc::clone(world),
            is_successor: false,
            has_started: false,
            series: Vec::new(),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn say(&self, what: &str) {
        let line = format!("{} {what}", self.number);
        self.world().log.push(line);
    }

    fn is(&self, key: &str) -> bool {
        self.settings.config[key] == true
    }

    fn declare(&self) -> Result<SeriesId, Failure> {
        let Settings {
            name,
            plugin,
            labelled,
            config,
            ..
        } = &self.settings;
        let (labels, values) = if *labelled {
            (vec!["instance"], vec![name.clone()])
        } else {
            (Vec::new(), Vec::new())
        };
        let metric = config["metric"].as_str().unwrap_or("m");
        let metric = Metric {
            plugin: plugin.clone(),
            ..Metric::for_test(metric, Kind::Gauge, Tier::Fast, &labels)
        };
        let defined = self.catalog.define_metric(self.collector, metric);
        let defined =
            defined.and_then(|metric| self.catalog.define_series(self.collector, metric, values));
        defined.map_err(|error| Failure::Refused(error.to_string()))
    }
}

fn lost() -> Failure {
    Failure::Lost {
        reason: LostReason::Exited,
        message: "as the script says".to_owned(),
    }
}

impl Runner for Source {
    async fn start(&mut self) -> Result<(), Failure> {
        if !self.has_started {
            let mut world = self.world.lock().unwrap();
            world.sources += 1;
            self.number = world.sources;
        }
        self.has_started = true;
        if self.is_successor {
            let place = self.settings.isolation.name();
            self.say(&format!("is tried in a {place}, held"));
        } else {
            self.say("starts");
        }
        let needs = Duration::from_millis(self.settings.config["start_ms"].as_u64().unwrap_or(0));
        let started = tokio::time::timeout(self.settings.start_timeout, tokio::time::sleep(needs));
        if started.await.is_err() {
            return Err(Failure::Refused("was not ready in time".to_owned()));
        }
        if self.is("fails_start") {
            return Err(lost());
        }
        self.series = vec![self.declare()?];
        Ok(())
    }

    async fn collect(&mut self, _: &Tick, _: TierSet) -> Result<Collected, Failure> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.is("refuses") {
            return Err(Failure::Refused("no answer".to_owned()));
        }
        if self.is("dies") {
            return Err(lost());
        }
        let samples = self
            .series
            .iter()
            .map(|&series| Sample { series, value: 1.0 });
        Ok(Collected {
            samples: samples.collect(),
            ..Collected::default()
        })
    }

    async fn died(&mut self) -> Failure {
        std::future::pending().await
    }

    async fn stop(&mut self) -> Option<Failure> {
        if self.has_started {
            self.say("stops");
        }
        None
    }

    async fn reconfigure(&mut self, _: &Settings) -> Result<Reconfigured, Failure> {
        Ok(Reconfigured::Applied)
    }

    fn successor(&self, settings: Settings) -> Self {
        let catalog = self.catalog.clone();
        let successor = Self::new(settings, catalog, self.collector, &self.world);
        Self {
            is_successor: true,
            ..successor
        }
    }

    fn take_over(&mut self) -> Handover {
        if !self.has_started {
            self.say("takes over");
        }
        Handover::Done
    }

    fn series(&self) -> Vec<SeriesId> {
        self.series.clone()
    }
}

/// Collectors, and what comes out of them.
pub(super) struct Rig {
    pub(super) clock: Clock,
    pub(super) collectors: Collectors<Source>,
    queue: Queue,
    world: Arc<Mutex<World>>,
    folder: TempDir,
    _events: events::Queue,
}

impl Rig {
    pub(super) async fn start(wanted: &[Instance]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LIBRARY), "").unwrap();
        let shelf = Shelf::open(folder.path().join("shelf")).unwrap();
        let (bus, mut queues) = Bus::new(&[("test", 4_096)]);
        let clock = Clock::simulated(START_MS);
        let parts = Parts {
            clock: clock.clone(),
            tiers: Tiers::default(),
            catalog: Catalog::default(),
            bus,
            board: Board::default(),
        };
        let world = Arc::new(Mutex::new(World::default()));
        let shared = Arc::clone(&world);
        let make: MakeRunner<Source> =
            Box::new(move |settings, catalog, id, _| Source::new(settings, catalog, id, &shared));
        let (outbox, events) = events::channel(clock.clone(), Vec::new());
        let mut rig = Self {
            clock,
            collectors: Collectors::new(parts, outbox, make, Arc::new(shelf)),
            queue: queues.remove(0),
            world,
            folder,
            _events: events,
        };
        rig.wish(wanted).await;
        rig
    }

    /// What a reload does.
    pub(super) async fn wish(&mut self, wanted: &[Instance]) {
        let library = self.folder.path().join(LIBRARY);
        let with_library = |instance: &Instance| Instance {
            path: Some(library.clone()),
            ..instance.clone()
        };
        let wanted: Vec<_> = wanted.iter().map(with_library).collect();
        self.collectors.exchange(&wanted).await;
    }

    /// Waits for a trial and does what follows from it.
    pub(super) async fn try_out(&mut self) {
        let tried = tokio::time::timeout(TRIAL_MAX, self.collectors.tried()).await;
        let tried = tried.expect("a trial");
        self.collectors.take_over(tried).await;
    }

    /// The next batches of a collector, under whatever topic.
    pub(super) async fn next(&mut self, name: &str, count: usize) -> Vec<Arc<Batch>> {
        let mut batches = Vec::new();
        while batches.len() < count {
            let batch = self.queue.next().await.expect("a batch every tick");
            let tables = self.collectors.parts.catalog.read();
            if tables.collector(batch.collector).name == name {
                batches.push(Arc::clone(&batch));
            }
        }
        batches
    }

    /// The same, all of them up.
    pub(super) async fn ups(&mut self, name: &str, count: usize) -> Vec<Arc<Batch>> {
        let batches = self.next(name, count).await;
        assert!(batches.iter().all(|batch| batch.up), "{:?}", self.log());
        batches
    }

    /// One batch for each second.
    pub(super) fn assert_no_gap(&self, batches: &[Arc<Batch>]) {
        for pair in batches.windows(2) {
            assert_eq!(pair[1].at_ms - pair[0].at_ms, 1_000, "{:?}", self.log());
            assert_eq!(pair[1].tick - pair[0].tick, 1);
        }
    }

    pub(super) fn info(&self, name: &str) -> PluginInfo {
        let infos = self.collectors.stats.infos(&self.collectors.parts.catalog);
        let found = infos.into_iter().find(|info| info.name == name);
        found.expect("a known collector")
    }

    /// The live series of the plugin's own metrics that a collector has, with their labels.
    pub(super) fn series(&self, name: &str) -> Vec<String> {
        let tables = self.collectors.parts.catalog.read();
        let its = tables.all_series().filter(|(_, series)| {
            !series.retired && tables.collector(series.collector).name == name
        });
        its.filter(|(_, series)| tables.metric(series.metric).help == "Help.")
            .map(|(id, series)| {
                let labels: Vec<_> = tables
                    .labels(id)
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let metric = &tables.metric(series.metric).name;
                format!("{metric}{{{}}}", labels.join(","))
            })
            .collect()
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.world.lock().unwrap().log.clone()
    }

    /// How many lines of the log have these words.
    pub(super) fn said(&self, words: &str) -> usize {
        let log = self.log();
        log.iter().filter(|line| line.contains(words)).count()
    }

    /// Stops all collectors; gives the log.
    pub(super) async fn stop(self) -> Vec<String> {
        self.collectors.stop_all().await;
        self.world.lock().unwrap().log.clone()
    }
}
