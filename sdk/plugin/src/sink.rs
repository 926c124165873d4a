//! What a collector writes to during a tick: [`Sink`], and the [`Registry`] of series behind it.
//!
//! The registry owns the ids of all series, batches a tick's samples and hands them to the host in one
//! push; `runtime.rs` begins and ends each tick. On the hot path a known series costs one hash of its
//! label values and no allocation.

use std::{collections::HashMap, fmt::Write as _, sync::Arc, time::Duration};

use crate::{Tier, abi, export::Link};

/// Severity of a message in the agent's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Somebody has to act.
    Error = 0,
    /// Something is not as it should be.
    Warn = 1,
    /// Worth knowing once.
    Info = 2,
    /// For the plugin's author.
    Debug = 3,
    /// For the plugin's author, in quantity.
    Trace = 4,
}

/// Writes to the agent's log from anywhere in the plugin.
#[derive(Clone, Debug)]
pub struct Log {
    link: Arc<Link>,
}

impl Log {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Writes one message; it goes nowhere once the collector was stopped.
    pub fn write(&self, level: Level, message: &str) {
        self.link.log(level as u32, message);
    }
}

/// Which tick is being collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Counts up by one a tick; a gap is a missed tick.
    pub number: u64,
    /// Wall time of the tick, Unix milliseconds.
    pub at_ms: i64,
    pub(crate) tiers: u32,
    pub(crate) deadline_ns: u64,
}

/// Takes the samples of one tick.
#[derive(Debug)]
pub struct Sink<'a> {
    pub(crate) registry: &'a mut Registry,
}

/// More warnings of one tick than this are only counted.
const WARNINGS_MAX: usize = 8;

impl Sink<'_> {
    /// Whether metrics of this tier are wanted in this tick. Values given to others are dropped, so
    /// this only saves the work of reading them.
    pub fn due(&self, tier: Tier) -> bool {
        self.registry.tick.tiers & tier.bit() != 0
    }

    /// The tick being collected.
    pub fn tick(&self) -> Tick {
        self.registry.tick
    }

    /// How long the agent still waits for this tick: what a request to a server may take at most.
    pub fn time_left(&self) -> Duration {
        let now_ns = self.registry.link.now_mono_ns();
        Duration::from_nanos(self.registry.tick.deadline_ns.saturating_sub(now_ns))
    }

    /// Whether the agent has given up on this tick; long work should stop then.
    pub fn cancelled(&self) -> bool {
        self.registry.link.cancelled()
    }

    /// Reports that a part could not be read. The tick's samples are kept, and the message is shown
    /// beside the collector until a tick has none.
    pub fn warn(&mut self, message: impl Into<String>) {
        if self.registry.warnings.len() < WARNINGS_MAX {
            self.registry.warnings.push(message.into());
        } else {
            self.registry.warnings_more += 1;
        }
    }

    /// Writes to the agent's log.
    pub fn log(&self, level: Level, message: &str) {
        self.registry.link.log(level as u32, message);
    }
}

/// All families and series of one collector.
#[derive(Debug)]
pub(crate) struct Registry {
    link: Arc<Link>,
    families: Vec<FamilyState>,
    samples: Vec<abi::Sample>,
    /// The label values last looked up, each behind its length; kept for its allocation.
    key: Vec<u8>,
    tick: Tick,
    /// Counts the batches, failed ones too.
    batch: u64,
    warnings: Vec<String>,
    warnings_more: u32,
    series_refused: u32,
}

#[derive(Debug)]
struct FamilyState {
    metric: u32,
    tier: Tier,
    retire_after_ticks: u64,
    /// Ticks in which this family was due and the collect succeeded.
    ticks: u64,
    series: HashMap<Box<[u8]>, SeriesState>,
}

#[derive(Debug)]
struct SeriesState {
    id: u32,
    /// Value of `FamilyState::ticks` when it was last sampled.
    seen: u64,
    /// The batch that it was last sampled in, and where its sample stands there.
    position: (u64, usize),
    /// The total, where the SDK keeps it.
    total: Option<f64>,
}

impl Registry {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            families: Vec::new(),
            samples: Vec::new(),
            key: Vec::new(),
            tick: Tick {
                number: 0,
                at_ms: 0,
                tiers: 0,
                deadline_ns: 0,
            },
            batch: 0,
            warnings: Vec::new(),
            warnings_more: 0,
            series_refused: 0,
        }
    }

    pub(crate) fn add_family(&mut self, metric: u32, tier: Tier, retire_after_ticks: u32) -> usize {
        self.families.push(FamilyState {
            metric,
            tier,
            retire_after_ticks: retire_after_ticks.into(),
            ticks: 0,
            series: HashMap::new(),
        });
        self.families.len() - 1
    }

    pub(crate) fn sample(&mut self, family: usize, labels: &[&str], value: f64) {
        if self.tick.tiers & self.families[family].tier.bit() == 0 || !value.is_finite() {
            return;
        }
        let samples = &mut self.samples;
        let family = &mut self.families[family];
        let ticks = family.ticks;
        if let Some(series) = find(&self.link, family, &mut self.key, labels) {
            series.write(ticks, self.batch, value, samples);
        } else {
            self.series_refused += 1;
        }
    }

    pub(crate) fn add(&mut self, family: usize, labels: &[&str], more: f64) {
        if !more.is_finite() || more < 0.0 {
            return;
        }
        let family = &mut self.families[family];
        if let Some(series) = find(&self.link, family, &mut self.key, labels) {
            *series.total.get_or_insert(0.0) += more;
        } else {
            self.series_refused += 1;
        }
    }

    pub(crate) fn begin(&mut self, tick: Tick) {
        self.tick = tick;
        self.batch += 1;
        self.clear();
    }

    /// Hands over what a successful collect sampled; gives back the message of a partial one.
    pub(crate) fn commit(&mut self) -> Result<Option<String>, i32> {
        for family in &mut self.families {
            if self.tick.tiers & family.tier.bit() == 0 {
                continue;
            }
            let ticks = family.ticks;
            for series in family.series.values_mut() {
                if let Some(total) = series.total {
                    series.write(ticks, self.batch, total, &mut self.samples);
                }
            }
        }
        self.link.push(&self.samples)?;
        self.retire();
        let message = self.message();
        self.clear();
        Ok(message)
    }

    fn retire(&mut self) {
        for family in &mut self.families {
            if self.tick.tiers & family.tier.bit() == 0 {
                continue;
            }
            let oldest = (family.ticks + 1).saturating_sub(family.retire_after_ticks);
            let link = &self.link;
            family.series.retain(|_, series| {
                let kept = series.seen >= oldest;
                if !kept {
                    link.retire_series(series.id);
                }
                kept
            });
            family.ticks += 1;
        }
    }

    fn message(&mut self) -> Option<String> {
        if self.series_refused > 0 {
            let refused = self.series_refused;
            self.warnings.push(format!(
                "{refused} series were refused: the limit of series is reached"
            ));
        }
        if self.warnings.is_empty() {
            return None;
        }
        let mut message = self.warnings.join("; ");
        if self.warnings_more > 0 {
            // Writing to a String does not fail.
            let _ = write!(message, "; and {} more", self.warnings_more);
        }
        Some(message)
    }

    /// Forgets the running tick's samples, as after a failed collect.
    pub(crate) fn clear(&mut self) {
        self.samples.clear();
        self.warnings.clear();
        self.warnings_more = 0;
        self.series_refused = 0;
    }
}

impl SeriesState {
    fn write(&mut self, ticks: u64, batch: u64, value: f64, samples: &mut Vec<abi::Sample>) {
        self.seen = ticks;
        if self.position.0 == batch {
            // The last value given in a tick is the one that counts.
            samples[self.position.1].value = value;
        } else {
            self.position = (batch, samples.len());
            samples.push(abi::Sample {
                series: self.id,
                flags: 0,
                value,
            });
        }
    }
}

/// The series with these label values, declared to the host when it is new; none when refused.
fn find<'f>(
    link: &Link,
    family: &'f mut FamilyState,
    key: &mut Vec<u8>,
    labels: &[&str],
) -> Option<&'f mut SeriesState> {
    key.clear();
    for value in labels {
        key.extend_from_slice(&value.len().to_ne_bytes());
        key.extend_from_slice(value.as_bytes());
    }
    if !family.series.contains_key(key.as_slice()) {
        let id = link.define_series(family.metric, labels).ok()?;
        let state = SeriesState {
            id,
            seen: family.ticks,
            position: (0, 0),
            total: None,
        };
        family.series.insert(key.as_slice().into(), state);
    }
    family.series.get_mut(key.as_slice())
}
