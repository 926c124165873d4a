//! The engine as a whole, on simulated time and a real folder.
//!
//! Small here (hours of some series); 30 hours of 50 series by `STORE_HOURS=30 STORE_SERIES=50`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::catalog::{Kind, Unit};
use crate::clock::Tier;
use crate::store::chunk::{self, Samples};
use crate::store::generation::Block;
use crate::store::group::Group;
use crate::store::head::Hour;
use crate::store::registry::StoredSeries;
use crate::store::rollup::{self, Points};
use crate::store::seal::{self, Sealing};
use crate::store::writer::Writer;

/// Half an hour before a window of rollups ends, so that both sides of its end are seen soon.
const START_MS: i64 = 1_800_000_000_000 / 21_600_000 * 21_600_000 + 5 * HOUR_MS + HOUR_MS / 2;
const SECOND_MS: i64 = 1_000;

fn number(variable: &str, or: i64) -> i64 {
    let given = std::env::var(variable).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(or)
}

fn series(at: u32) -> StoredSeries {
    StoredSeries {
        id: 0,
        metric: format!("test_{}", at % 5),
        kind: kind(at),
        unit: Unit::Count,
        tier: Tier::Fast,
        topic: "test".to_owned(),
        collector: format!("collector{}", at % 3),
        labels: [("at".to_owned(), at.to_string())].into_iter().collect(),
        last_day: 0,
    }
}

fn kind(at: u32) -> Kind {
    if at % 3 == 1 {
        Kind::Counter
    } else {
        Kind::Gauge
    }
}

/// Counters grow and are reset now and then; gauges are constant, decimals, or noise.
fn value(at: u32, at_ms: i64) -> f64 {
    let second = at_ms / SECOND_MS;
    let noise = (at_ms ^ i64::from(at)).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 44;
    match at % 3 {
        0 if at.is_multiple_of(2) => f64::from(at),
        0 => (noise & 0x3ff) as f64 / 100.0,
        1 => (second % 50_000 * i64::from(at)) as f64,
        _ => (noise as f64).abs().sqrt(),
    }
}

/// A store, its folder, and what was pushed into it.
struct World {
    folder: tempfile::TempDir,
    engine: Option<Engine>,
    config: Config,
    /// Numbers on disk, by the test's own.
    ids: Vec<u32>,
    pushed: BTreeMap<u32, BTreeMap<i64, f64>>,
}

impl World {
    fn new(series: u32, now_ms: i64) -> Self {
        Self::with(series, now_ms, Config::default())
    }

    fn with(series: u32, now_ms: i64, config: Config) -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            engine: None,
            config,
            ids: vec![0; series as usize],
            pushed: BTreeMap::new(),
        };
        world.open(now_ms);
        world
    }

    fn open(&mut self, now_ms: i64) {
        let engine = Engine::open(self.folder.path(), self.config, now_ms).unwrap();
        for (at, id) in (0..).zip(&mut self.ids) {
            *id = engine.registry.resolve(series(at)).unwrap();
        }
        assert_eq!(
            self.ids.iter().collect::<BTreeSet<_>>().len(),
            self.ids.len()
        );
        self.engine = Some(engine);
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// As after a kill: nothing is flushed that was not flushed before.
    fn kill(&mut self, now_ms: i64) {
        self.engine = None;
        self.open(now_ms);
    }

    /// One tick of three collectors.
    fn tick(&mut self, now_ms: i64) -> usize {
        let mut taken = 0;
        for collector in 0..3 {
            let own = (0..).zip(&self.ids).filter(|(at, _)| at % 3 == collector);
            let samples: Vec<_> = own.map(|(at, &id)| (id, value(at, now_ms))).collect();
            let pushed = self.engine().push(collector, now_ms, &samples);
            taken += pushed.taken;
            if pushed.taken > 0 {
                for &(id, value) in &samples {
                    self.pushed.entry(id).or_default().insert(now_ms, value);
                }
            }
        }
        taken
    }

    /// Ticks and maintains each second of `[from_ms, to_ms)`.
    fn run(&mut self, from_ms: i64, to_ms: i64) {
        let mut now_ms = from_ms;
        while now_ms < to_ms {
            self.tick(now_ms);
            self.engine().maintain(now_ms).unwrap();
            now_ms += SECOND_MS;
        }
    }

    /// Maintains without samples until nothing is due any more; gives the time.
    fn settle(&self, mut now_ms: i64) -> i64 {
        for _ in 0..200 {
            self.engine().maintain(now_ms).unwrap();
            now_ms += 10 * SECOND_MS;
        }
        assert_eq!(self.engine().status().backlog, 0);
        now_ms
    }

    /// Everything that is held raw, by series and epoch: an hour from the head as long as it has it.
    fn held(&self) -> BTreeMap<(u32, u16), Samples> {
        let (engine, mut found) = (self.engine(), BTreeMap::<_, Samples>::new());
        let raw = engine.level(Level::Raw);
        let hours = engine.head.hours();
        for start in raw.starts() {
            let mut visit = |block: Block, bytes: &[u8]| {
                if !hours.iter().any(|&hour| seal::block(hour) == block) {
                    for (id, bytes) in Group::parse(bytes).unwrap().chunks() {
                        let samples = found.entry((id, block.epoch)).or_default();
                        chunk::decode(bytes, samples).unwrap();
                    }
                }
                true
            };
            raw.scan(start, &mut visit).unwrap();
        }
        for hour in hours {
            let series = engine.head.series(hour).unwrap();
            let mut add = |id: u32, samples: &Samples| {
                let all = found.entry((id, hour.epoch)).or_default();
                all.times_ms.extend(&samples.times_ms);
                all.values.extend(&samples.values);
            };
            engine.head.read(hour, &series, &mut add).unwrap();
        }
        found
    }

    /// What is held is what was pushed, each sample once, but for whole generations that are older than a day.
    fn check(&self) {
        let mut found: BTreeMap<u32, BTreeMap<i64, f64>> = BTreeMap::new();
        for ((id, epoch), samples) in self.held() {
            let is_ordered = samples.times_ms.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(is_ordered, "series {id}, epoch {epoch}");
            let all = found.entry(id).or_default();
            // A newer epoch wins, as in an answer.
            all.extend(samples.times_ms.into_iter().zip(samples.values));
        }
        assert_eq!(found.len(), self.pushed.len());
        for (id, pushed) in &self.pushed {
            let found = &found[id];
            let (oldest, newest) = (
                *found.keys().next().unwrap(),
                *pushed.keys().last().unwrap(),
            );
            let is_whole = pushed.keys().next() == Some(&oldest);
            assert!(is_whole || oldest <= newest - 24 * HOUR_MS, "series {id}");
            let pushed = pushed.range(oldest..);
            assert_eq!(found.len(), pushed.clone().count(), "series {id}");
            let differs = found
                .iter()
                .zip(pushed)
                .find(|(found, pushed)| found != pushed);
            assert_eq!(differs, None, "series {id}");
        }
    }

    /// Every block of minutes is the fold of the raw blocks in its window.
    fn check_minutes(&self) -> usize {
        let engine = self.engine();
        let (raw, minutes) = (engine.level(Level::Raw), engine.level(Level::Minute));
        let blocks = derive::all_blocks(minutes).unwrap();
        let oldest = derive::all_blocks(raw)
            .unwrap()
            .first()
            .map(|block| block.start_ms);
        let first = self
            .pushed
            .values()
            .next()
            .and_then(|pushed| pushed.keys().next());
        for &block in &blocks {
            assert!(minutes.marker(block).unwrap().is_some(), "{block:?}");
            // Where older hours were removed, what these were folded from is not all there any more.
            if oldest
                .zip(first)
                .is_some_and(|(oldest, &first)| first < oldest && block.start_ms <= oldest)
            {
                continue;
            }
            let end_ms = block.start_ms + Level::Minute.block_ms();
            let mut sources = raw.blocks(block.start_ms, end_ms).unwrap();
            sources.retain(|source| source.epoch == block.epoch);
            if sources.is_empty() {
                continue;
            }
            for (at, &id) in (0..).zip(&self.ids) {
                let mut samples = Samples::default();
                for &source in &sources {
                    let mut add =
                        |_: u32, bytes: &[u8]| chunk::decode(bytes, &mut samples).unwrap();
                    raw.read(source, &[id], &mut add).unwrap();
                }
                let mut before = None;
                let hour = Block {
                    start_ms: block.start_ms - HOUR_MS,
                    ..block
                };
                let mut last = |_: u32, bytes: &[u8]| {
                    let summary = chunk::summary(bytes).unwrap();
                    before = Some((summary.last_ms, summary.last));
                };
                raw.read(hour, &[id], &mut last).unwrap();
                let expected = rollup::fold(kind(at), &samples, before, 60_000);
                let mut found = None;
                let mut take = |_: u32, bytes: &[u8]| found = Some(bytes.to_vec());
                minutes.read(block, &[id], &mut take).unwrap();
                let mut encoded = Vec::new();
                rollup::encode(&expected, 60_000, &mut encoded);
                assert!(found == Some(encoded), "series {id}, {block:?}");
            }
        }
        blocks.len()
    }

    fn hours(&self) -> Vec<Hour> {
        self.engine().head.hours()
    }
}

fn stop_of(world: &mut World) {
    world.engine().stop().unwrap();
    world.engine = None;
}

#[test]
fn hours_of_samples_are_read_back_from_head_and_blocks_and_rollups_are_their_fold() {
    let (hours, series) = (number("STORE_HOURS", 3), number("STORE_SERIES", 9));
    let mut world = World::new(u32::try_from(series).unwrap(), START_MS);
    let end_ms = START_MS + hours * HOUR_MS;
    world.run(START_MS, end_ms);
    world.check();
    let now_ms = world.settle(end_ms);
    assert!(world.hours().len() <= 1, "{:?}", world.hours());
    assert!(world.check_minutes() > 0);
    world.check();
    stop_of(&mut world);
    world.open(now_ms);
    world.check();
    let status = world.engine().status();
    assert_eq!((status.dropped, status.losses), (0, 0));
}

#[test]
fn a_kill_in_the_middle_of_sealing_costs_nothing_and_sealing_goes_on() {
    // More than a call seals.
    let mut world = World::new(60, START_MS);
    let hour_ms = START_MS + HOUR_MS / 2;
    world.run(hour_ms - 10 * 60_000, hour_ms + 50 * SECOND_MS);
    let engine = world.engine();
    let first = Hour {
        start_ms: hour_ms - HOUR_MS,
        epoch: 0,
    };
    let raw = engine.level(Level::Raw);
    let mut sealing = Sealing::open(&engine.head, raw, first).unwrap();
    assert!(!sealing.step(&engine.head, raw, 1).unwrap());
    engine.head.flush().unwrap();
    engine.level(Level::Raw).close_idle(true);
    drop(sealing);
    world.kill(hour_ms + 50 * SECOND_MS);
    world.check();
    let now_ms = world.settle(hour_ms + 60 * SECOND_MS);
    assert_eq!(world.hours().len(), 1);
    world.check();
    world.kill(now_ms);
    world.check();
}

#[test]
fn a_kill_between_the_block_and_the_file_leaves_one_of_both() {
    let mut world = World::new(6, START_MS);
    let hour_ms = START_MS + HOUR_MS / 2;
    world.run(hour_ms - 300_000, hour_ms);
    let (engine, first) = (world.engine(), world.hours()[0]);
    let raw = engine.level(Level::Raw);
    engine.head.flush().unwrap();
    let mut writer = Writer::open(raw, seal::block(first)).unwrap();
    let all = engine.head.series(first).unwrap();
    let mut bytes = Vec::new();
    let mut add = |id: u32, samples: &Samples| {
        bytes.clear();
        chunk::encode(&samples.times_ms, &samples.values, &mut bytes);
        writer.push(id, &bytes, samples.values.len() as u64);
    };
    engine.head.read(first, &all, &mut add).unwrap();
    writer.finish(raw).unwrap();
    world.kill(hour_ms);
    assert_eq!(world.hours(), [first]);
    world.settle(hour_ms + 61_000);
    assert_eq!(world.hours(), []);
    world.check();
}

#[test]
fn a_clock_that_goes_back_writes_no_time_twice_and_costs_nothing() {
    let mut world = World::new(6, START_MS);
    let hour_ms = START_MS + HOUR_MS / 2;
    world.run(hour_ms - 900_000, hour_ms + 300_000);
    // Back over the hour's end, which is sealed already.
    let back_ms = hour_ms - 600_000;
    world.run(back_ms, hour_ms + 400_000);
    assert_eq!(world.engine().status().dropped, 0);
    let epochs: BTreeSet<u16> = world.held().keys().map(|&(_, epoch)| epoch).collect();
    assert_eq!(epochs, BTreeSet::from([0, 1]));
    world.check();
    // A restart goes on in the newest epoch, and begins another when the clock is behind what is there.
    world.engine().head.flush().unwrap();
    world.kill(back_ms + 7_000);
    world.run(back_ms + 7_000, back_ms + 60_000);
    let epochs: BTreeSet<u16> = world.held().keys().map(|&(_, epoch)| epoch).collect();
    assert_eq!(epochs, BTreeSet::from([0, 1, 2]));
    let now_ms = world.settle(hour_ms + HOUR_MS + 400_000);
    assert_eq!(world.hours(), []);
    world.settle(now_ms + 6 * HOUR_MS);
    assert!(world.check_minutes() >= 3);
    world.check();
}

#[test]
fn a_clock_in_the_far_future_for_a_moment_costs_nothing() {
    let mut world = World::new(6, START_MS);
    world.run(START_MS, START_MS + 120_000);
    let future_ms = START_MS + 3_650 * 24 * HOUR_MS;
    world.run(future_ms, future_ms + 120_000);
    assert_eq!(world.engine().status().dropped, 0);
    world.run(START_MS + 240_000, START_MS + HOUR_MS);
    let now_ms = world.settle(START_MS + 2 * HOUR_MS);
    let future: Vec<_> = world.hours();
    assert_eq!(future.len(), 1, "{future:?}");
    assert!(future[0].start_ms > START_MS + 24 * HOUR_MS);
    world.check();
    world.kill(now_ms);
    world.check();
}

#[test]
fn history_goes_with_time_generation_by_generation() {
    let mut world = World::new(2, START_MS);
    let step_ms = 10 * 60_000;
    let mut now_ms = START_MS;
    for _ in 0..(50 * 6) {
        world.tick(now_ms);
        for call in 0..20 {
            world.engine().maintain(now_ms + call * SECOND_MS).unwrap();
        }
        now_ms += step_ms;
    }
    let span_ms = Level::Raw.generation_ms();
    let starts = world.engine().level(Level::Raw).starts();
    let kept_ms = now_ms - 24 * HOUR_MS;
    assert!(starts[0] <= kept_ms, "{starts:?}");
    assert!(starts[0] + 2 * span_ms > kept_ms, "{starts:?}");
    for (id, pushed) in &mut world.pushed {
        let before = pushed.len();
        pushed.retain(|&at_ms, _| at_ms >= starts[0]);
        assert!(pushed.len() < before, "series {id}");
    }
    world.check();
    // The rollups go on where the samples have ended.
    let minutes = derive::all_blocks(world.engine().level(Level::Minute)).unwrap();
    assert!(
        minutes[0].start_ms <= START_MS && minutes.len() >= 8,
        "{minutes:?}"
    );
    assert_eq!(world.engine().status().losses, 0);
}

#[test]
fn bytes_that_run_short_take_what_is_beyond_the_promise_and_say_so() {
    let config = Config {
        history: Duration::from_hours(6),
        disk_bytes_max: 1,
        ..Config::default()
    };
    let mut world = World::with(2, START_MS, config);
    let mut now_ms = START_MS;
    for _ in 0..(20 * 6) {
        world.tick(now_ms);
        for call in 0..20 {
            world.engine().maintain(now_ms + call * SECOND_MS).unwrap();
        }
        now_ms += 10 * 60_000;
    }
    let starts = world.engine().level(Level::Raw).starts();
    let span_ms = Level::Raw.generation_ms();
    assert!(
        starts
            .iter()
            .all(|start| start + span_ms > now_ms - 7 * HOUR_MS),
        "{starts:?}"
    );
    let told = world.engine().take_losses();
    let told_of = |what: &str| told.iter().filter(|told| told.contains(what)).count();
    assert!(told_of("`disk_max` is used up") > 0, "{told:?}");
    assert_eq!(told_of("kept in any case"), 1, "{told:?}");
    assert_eq!(world.engine().status().losses, 0);
}

#[test]
fn hours_of_rollups_are_made_of_minutes() {
    const TICK_MS: i64 = 600_000;
    let mut world = World::new(4, START_MS);
    let mut now_ms = START_MS;
    let window_ms = Level::Hour.block_ms();
    let end_ms = (START_MS / window_ms + 2) * window_ms + HOUR_MS;
    while now_ms < end_ms {
        world.tick(now_ms);
        for call in 0..2 {
            world
                .engine()
                .maintain(now_ms + call * 300 * SECOND_MS)
                .unwrap();
        }
        now_ms += TICK_MS;
    }
    world.settle(now_ms);
    let hours = world.engine().level(Level::Hour);
    let blocks = derive::all_blocks(hours).unwrap();
    assert!(!blocks.is_empty());
    for (at, &id) in (0..).zip(&world.ids) {
        let mut total = 0;
        for &block in &blocks {
            let mut count = |_: u32, bytes: &[u8]| match rollup::decode(bytes).unwrap() {
                Points::Gauge(points) => {
                    assert_eq!(kind(at), Kind::Gauge);
                    total += points.iter().map(|point| point.count).sum::<u32>();
                }
                Points::Counter(points) => {
                    assert_eq!(kind(at), Kind::Counter);
                    total += points.iter().map(|point| point.count).sum::<u32>();
                }
            };
            hours.read(block, &[id], &mut count).unwrap();
        }
        let last_ms = blocks[blocks.len() - 1].start_ms + window_ms;
        let expected = (last_ms - START_MS) / TICK_MS;
        assert_eq!(i64::from(total), expected, "series {id}");
    }
}

#[test]
fn a_second_owner_is_refused_with_the_pid_of_the_first() {
    let world = World::new(1, START_MS);
    let refused = Engine::open(world.folder.path(), Config::default(), START_MS).unwrap_err();
    let said = refused.to_string();
    assert!(said.contains(&std::process::id().to_string()), "{said}");
}
