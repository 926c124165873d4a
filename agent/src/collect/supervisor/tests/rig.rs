//! A supervisor on simulated time, over a source that does what its configuration says.

use std::sync::{Mutex, MutexGuard};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::super::*;
use crate::bus::{Batch, Queue, Sample};
use crate::catalog::{Kind, Metric, SERIES_MAX};
use crate::collect::lookup::Lookups;
use crate::collect::stats::Stats;
use crate::collect::{Collected, Facts, Isolation, Reconfigured, Refused, START_TIMEOUT};
use crate::protocol::{Component, PluginInfo};

pub(super) const START_MS: i64 = 1_700_000_000_000;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn settings(config: Value) -> Settings {
    Settings {
        name: "c".to_owned(),
        plugin: "p".to_owned(),
        library: "/nowhere".into(),
        loaded: "/nowhere".into(),
        sha256: String::new(),
        isolation: Isolation::Process,
        start_timeout: START_TIMEOUT,
        rss_max_bytes: None,
        address_space_max_bytes: None,
        config,
        interval: ms(1_000),
        timeout: ms(800),
        series_max: SERIES_MAX,
        labelled: false,
    }
}

/// As [`settings`], of another library.
pub(super) fn library(sha256: &str, config: Value) -> Settings {
    Settings {
        sha256: sha256.to_owned(),
        ..settings(config)
    }
}

/// What all sources of a rig share.
#[derive(Default)]
struct World {
    /// `NUMBER does`: what was done to which source.
    log: Vec<String>,
    sources: usize,
    /// Takes the place of every configuration.
    script: Option<Value>,
    starts: u64,
    stuck_looks: u64,
}

/// A source whose configuration has: `declare` (names of series), `start_ms`, `fails_starts` (how many of the
/// rig's starts fail), `collect_ms`, `fails_collects` (each is refused), `dies_at` (its collects that lose it),
/// `refuses` (how much is refused in each collect) and `drops` (how many series of that), `holds_lookups` (until it is
/// lost), `reconfigures` (`applied`, `restart`, `refused`, `lost`), `stop_ms`, `stops_badly`, `starts_again` (its
/// handover), `stuck_looks` (how often it is found stuck after it was lost).
pub(super) struct Source {
    number: usize,
    config: Value,
    catalog: Catalog,
    collector: CollectorId,
    world: Arc<Mutex<World>>,
    collects: u64,
    is_lost: bool,
    starts_again: bool,
    series: Vec<SeriesId>,
    refused: Refused,
    held: Vec<Lookup>,
}

impl Source {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn say(&self, what: &str) {
        let line = format!("{} {what}", self.number);
        self.world().log.push(line);
    }

    fn key(&self, name: &str) -> Value {
        let world = self.world();
        world.script.as_ref().unwrap_or(&self.config)[name].clone()
    }

    fn number(&self, name: &str) -> u64 {
        self.key(name).as_u64().unwrap_or(0)
    }

    fn declare(&self, name: &str) -> SeriesId {
        let metric = Metric::for_test(name, Kind::Gauge, Tier::Fast, &[]);
        let metric = self.catalog.define_metric(self.collector, metric).unwrap();
        self.catalog
            .define_series(self.collector, metric, Vec::new())
            .unwrap()
    }
}

fn lost(reason: LostReason) -> Failure {
    let message = "as the script says".to_owned();
    Failure::Lost { reason, message }
}

impl Runner for Source {
    async fn start(&mut self) -> Result<(), Failure> {
        self.say("starts");
        tokio::time::sleep(ms(self.number("start_ms"))).await;
        let names = self.key("declare");
        let names = names.as_array().cloned().unwrap_or_default();
        let is_failing = {
            let fails = self.number("fails_starts");
            let mut world = self.world();
            world.starts += 1;
            fails >= world.starts
        };
        if is_failing {
            self.series = Vec::new();
            return Err(lost(LostReason::Start));
        }
        self.is_lost = false;
        self.series = names
            .iter()
            .map(|name| self.declare(name.as_str().unwrap()))
            .collect();
        Ok(())
    }

    async fn collect(&mut self, tick: &Tick, tiers: TierSet) -> Result<Collected, Failure> {
        assert!(!self.is_lost, "nothing runs");
        self.collects += 1;
        self.say(&format!("collects {:03b}", tiers.bits()));
        let number = |key| u32::try_from(self.number(key)).unwrap();
        self.refused.append(Refused {
            count: number("refuses"),
            why: "not a finite number".to_owned(),
            series: number("drops"),
        });
        tokio::time::sleep(ms(self.number("collect_ms").max(1))).await;
        if self.key("fails_collects") == true {
            return Err(Failure::Refused("no answer".to_owned()));
        }
        let dies_at = self.key("dies_at");
        if dies_at
            .as_array()
            .is_some_and(|at| at.iter().any(|n| n == self.collects))
        {
            self.is_lost = true;
            self.held.clear();
            return Err(lost(LostReason::Exited));
        }
        let value = tick.number as f64;
        let samples = self.series.iter().map(|&series| Sample { series, value });
        Ok(Collected {
            samples: samples.collect(),
            ..Collected::default()
        })
    }

    async fn died(&mut self) -> Failure {
        std::future::pending().await
    }

    async fn stop(&mut self) -> Option<Failure> {
        if self.series.is_empty() && self.collects == 0 {
            return None;
        }
        tokio::time::sleep(ms(self.number("stop_ms"))).await;
        self.say("stops");
        let is_forced = self.key("stops_badly") == true;
        is_forced.then(|| lost(LostReason::Deadline))
    }

    async fn withdraw(&mut self) -> Option<Failure> {
        self.say("withdraws");
        None
    }

    async fn reconfigure(&mut self, new: &Settings) -> Result<Reconfigured, Failure> {
        self.say("reconfigures");
        match new.config["reconfigures"].as_str() {
            Some("applied") => {
                self.config = new.config.clone();
                Ok(Reconfigured::Applied)
            }
            Some("refused") => Err(Failure::Refused("url: not mine".to_owned())),
            Some("lost") => {
                self.is_lost = true;
                Err(lost(LostReason::Failed))
            }
            _ => Ok(Reconfigured::Restart),
        }
    }

    fn successor(&self, settings: Settings) -> Self {
        let number = {
            let mut world = self.world();
            world.sources += 1;
            world.sources
        };
        Self {
            number,
            starts_again: settings.config["starts_again"] == true,
            config: settings.config,
            catalog: self.catalog.clone(),
            collector: self.collector,
            world: Arc::clone(&self.world),
            collects: 0,
            is_lost: false,
            series: Vec::new(),
            refused: Refused::default(),
            held: Vec::new(),
        }
    }

    fn take_refused(&mut self) -> Refused {
        std::mem::take(&mut self.refused)
    }

    fn take_over(&mut self) -> Handover {
        if std::mem::take(&mut self.starts_again) {
            Handover::StartAgain
        } else {
            Handover::Done
        }
    }

    async fn look_up(&mut self, lookup: Lookup) {
        self.say(&format!("looks up {}", lookup.name));
        if self.key("holds_lookups") == true {
            return self.held.push(lookup);
        }
        let answer = format!("[{:?}]", lookup.parameter);
        let _ = lookup.reply.send(Ok(answer));
    }

    fn facts(&self) -> Facts {
        let looks = self.number("stuck_looks");
        let mut world = self.world();
        let is_stuck = self.is_lost && world.stuck_looks < looks;
        world.stuck_looks += u64::from(is_stuck);
        Facts {
            version: Some(format!("1.0.{}", self.number)),
            pid: None,
            is_stuck,
        }
    }

    fn series(&self) -> Vec<SeriesId> {
        self.series.clone()
    }
}

/// A running supervisor and what comes out of it.
pub(super) struct Rig {
    pub(super) clock: Clock,
    pub(super) stats: Arc<CollectorStats>,
    all_stats: Stats,
    catalog: Catalog,
    board: Board,
    queue: Queue,
    wanted: watch::Sender<Wanted>,
    world: Arc<Mutex<World>>,
    running: Option<JoinHandle<()>>,
    lookups: Lookups,
}

impl Rig {
    pub(super) fn start(settings: Settings) -> Self {
        let (bus, mut queues) = Bus::new(&[("test", 4_096)]);
        let (catalog, board) = (Catalog::default(), Board::default());
        let collector = catalog.register("c", "p", "t", SERIES_MAX);
        let clock = Clock::simulated(START_MS);
        let parts = Parts {
            clock: clock.clone(),
            tiers: Tiers::default(),
            catalog: catalog.clone(),
            bus,
            board: board.clone(),
        };
        let world = Arc::new(Mutex::new(World {
            sources: 1,
            ..World::default()
        }));
        let source = Source {
            number: 1,
            config: settings.config.clone(),
            catalog: catalog.clone(),
            collector,
            world: Arc::clone(&world),
            collects: 0,
            is_lost: false,
            starts_again: false,
            series: Vec::new(),
            refused: Refused::default(),
            held: Vec::new(),
        };
        let all_stats = Stats::default();
        let stats = all_stats.of("c", "p");
        let (wanted, wishes) = watch::channel(Wanted::Run(Box::new(settings.clone())));
        let supervisor = Supervisor::new(settings, collector, parts, Arc::clone(&stats), source);
        let lookups = Lookups::default();
        lookups.insert("c", supervisor.lookups());
        Self {
            clock,
            stats,
            all_stats,
            catalog,
            board,
            queue: queues.remove(0),
            wanted,
            world,
            running: Some(tokio::spawn(supervisor.run(wishes))),
            lookups,
        }
    }

    pub(super) async fn batch(&mut self) -> Arc<Batch> {
        self.queue.next().await.expect("a batch every tick")
    }

    /// So many batches, all up.
    pub(super) async fn ups(&mut self, count: usize) -> Vec<Arc<Batch>> {
        let mut batches = Vec::new();
        while batches.len() < count {
            let batch = self.batch().await;
            assert!(batch.up, "{:?}", self.log());
            batches.push(batch);
        }
        batches
    }

    /// As whoever has the handle does it.
    pub(super) fn look_up(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<String, String>> + use<> {
        let (lookups, name) = (self.lookups.clone(), name.to_owned());
        async move {
            let answer = lookups.look_up("c", name, "x".to_owned()).await;
            answer.map_err(|error| error.to_string())
        }
    }

    pub(super) fn wish(&self, settings: Settings) {
        self.wanted.send_replace(Wanted::Run(Box::new(settings)));
    }

    /// What every source does from now on, whatever its configuration.
    pub(super) fn script(&self, script: Value) {
        let mut world = self.world.lock().unwrap();
        world.starts = 0;
        world.script = Some(script);
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.world.lock().unwrap().log.clone()
    }

    /// How many lines of the log have these words.
    pub(super) fn said(&self, words: &str) -> usize {
        self.log()
            .iter()
            .filter(|line| line.contains(words))
            .count()
    }

    pub(super) fn info(&self) -> PluginInfo {
        self.all_stats.infos(&self.catalog).remove(0)
    }

    pub(super) fn component(&self) -> Component {
        self.board.components().remove(0)
    }

    pub(super) fn retired(&self) -> Vec<String> {
        let tables = self.catalog.read();
        let retired = tables.all_series().filter(|(_, series)| series.retired);
        retired
            .map(|(_, series)| tables.metric(series.metric).name.clone())
            .collect()
    }

    /// Stops it; a stop has to end.
    pub(super) async fn stop(&mut self) {
        self.wanted.send_replace(Wanted::Stop);
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }
}
