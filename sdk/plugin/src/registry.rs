//! The series of one collector: their ids, the totals that the SDK keeps, and a tick's samples.
//!
//! Families index into the [`Registry`], `runtime.rs` begins and ends each tick, and a successful one is
//! handed to the host in one push of samples and one of histograms. On the hot path a known series costs
//! one hash of its label values and no allocation.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use crate::{
    Tier, abi,
    export::Link,
    histogram::{Buckets, Counts},
    sink::Tick,
};

/// More warnings of one tick than this are only counted.
const WARNINGS_MAX: usize = 8;

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
    /// How many were refused in this tick for the limit of series, and how many for another reason with
    /// the last of its codes.
    series_over: u32,
    series_refused: (u32, i32),
}

/// A family as it was declared.
#[derive(Debug)]
pub(crate) struct FamilyDeclaration {
    /// The host's id.
    pub(crate) metric: u32,
    pub(crate) tier: Tier,
    pub(crate) retire_after_ticks: u32,
    /// Of a histogram only.
    pub(crate) buckets: Option<Buckets>,
}

#[derive(Debug)]
struct FamilyState {
    declared: FamilyDeclaration,
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
    total: Total,
}

/// What is kept of a series between ticks.
#[derive(Debug)]
enum Total {
    /// Nothing: its source has the value.
    Source,
    /// A counter's total.
    Counter(f64),
    /// A histogram's counts.
    Histogram(Box<Counts>),
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
            series_over: 0,
            series_refused: (0, abi::OK),
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(crate) fn tick(&self) -> Tick {
        self.tick
    }

    pub(crate) fn add_family(&mut self, declared: FamilyDeclaration) -> usize {
        self.families.push(FamilyState {
            declared,
            ticks: 0,
            series: HashMap::new(),
        });
        self.families.len() - 1
    }

    pub(crate) fn sample(&mut self, family: usize, labels: &[&str], value: f64) {
        if !self.families[family].is_due(self.tick) || !value.is_finite() {
            return;
        }
        let samples = &mut self.samples;
        let family = &mut self.families[family];
        let ticks = family.ticks;
        match family.find(&self.link, &mut self.key, labels) {
            Ok((series, _)) => series.write(ticks, self.batch, value, samples),
            Err(code) => self.refused(code),
        }
    }

    pub(crate) fn add(&mut self, family: usize, labels: &[&str], more: f64) {
        if !more.is_finite() || more < 0.0 {
            return;
        }
        let family = &mut self.families[family];
        match family.find(&self.link, &mut self.key, labels) {
            Ok((series, _)) => match &mut series.total {
                Total::Counter(total) => *total += more,
                total => *total = Total::Counter(more),
            },
            Err(code) => self.refused(code),
        }
    }

    /// Counts a value of a histogram, whether it is due or not.
    pub(crate) fn observe(&mut self, family: usize, labels: &[&str], value: f64) {
        if !value.is_finite() {
            return;
        }
        let family = &mut self.families[family];
        match family.find(&self.link, &mut self.key, labels) {
            Ok((series, buckets)) => {
                if let (Total::Histogram(counts), Some(buckets)) = (&mut series.total, buckets) {
                    counts.observe(buckets, value);
                }
            }
            Err(code) => self.refused(code),
        }
    }

    /// Samples a histogram that its source counts.
    pub(crate) fn set_histogram(
        &mut self,
        family: usize,
        labels: &[&str],
        counts: &[u64],
        sum: f64,
    ) {
        let family = &mut self.families[family];
        if !family.is_due(self.tick) || !sum.is_finite() {
            return;
        }
        let buckets = family.declared.buckets.as_ref();
        if let Some(message) = buckets.and_then(|buckets| buckets.mismatch(counts)) {
            self.warn(message);
            return;
        }
        let ticks = family.ticks;
        match family.find(&self.link, &mut self.key, labels) {
            Ok((series, _)) => {
                if let Total::Histogram(kept) = &mut series.total {
                    kept.set(counts, sum);
                }
                series.seen = ticks;
                series.position = (self.batch, 0);
            }
            Err(code) => self.refused(code),
        }
    }

    /// Counts a series that the host refused.
    fn refused(&mut self, code: i32) {
        if code == abi::E_FULL {
            self.series_over += 1;
        } else {
            self.series_refused = (self.series_refused.0 + 1, code);
        }
    }

    pub(crate) fn warn(&mut self, message: String) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(message);
        } else {
            self.warnings_more += 1;
        }
    }

    pub(crate) fn begin(&mut self, tick: Tick) {
        self.tick = tick;
        self.batch += 1;
        self.clear();
    }

    /// Hands over what a successful collect sampled; gives back the message of a partial one.
    pub(crate) fn commit(&mut self) -> Result<Option<String>, i32> {
        let mut histograms = Vec::new();
        for family in &mut self.families {
            if !family.is_due(self.tick) {
                continue;
            }
            let ticks = family.ticks;
            for series in family.series.values_mut() {
                match series.total {
                    Total::Counter(total) => {
                        series.write(ticks, self.batch, total, &mut self.samples);
                    }
                    Total::Histogram(ref counts)
                        if counts.is_observed() || series.position.0 == self.batch =>
                    {
                        series.seen = ticks;
                        histograms.push((series.id, counts.of_buckets(), counts.sum()));
                    }
                    Total::Source | Total::Histogram(_) => {}
                }
            }
        }
        self.link.push(&self.samples)?;
        self.link.push_histograms(&histograms)?;
        self.retire();
        let message = self.message();
        self.clear();
        Ok(message)
    }

    fn retire(&mut self) {
        for family in &mut self.families {
            if !family.is_due(self.tick) {
                continue;
            }
            let retire_after_ticks = u64::from(family.declared.retire_after_ticks);
            let oldest = (family.ticks + 1).saturating_sub(retire_after_ticks);
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
        if self.series_over > 0 {
            let (over, were) = (self.series_over, were(self.series_over));
            self.warnings.push(format!(
                "{over} series {were} refused: the limit of series is reached"
            ));
        }
        if let (refused @ 1.., code) = self.series_refused {
            let were = were(refused);
            self.warnings.push(format!(
                "{refused} series {were} refused by the host (code {code})"
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
        self.series_over = 0;
        self.series_refused = (0, abi::OK);
    }
}

/// The verb for so many series.
fn were(count: u32) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

impl FamilyState {
    fn is_due(&self, tick: Tick) -> bool {
        tick.tiers & self.declared.tier.bit() != 0
    }

    /// The series with these label values and its buckets, declared to the host when it is new; the host's
    /// code when refused.
    fn find(
        &mut self,
        link: &Link,
        key: &mut Vec<u8>,
        labels: &[&str],
    ) -> Result<(&mut SeriesState, Option<&Buckets>), i32> {
        key.clear();
        for value in labels {
            key.extend_from_slice(&value.len().to_ne_bytes());
            key.extend_from_slice(value.as_bytes());
        }
        let buckets = self.declared.buckets.as_ref();
        if !self.series.contains_key(key.as_slice()) {
            let id = link.define_series(self.declared.metric, labels)?;
            let state = SeriesState {
                id,
                seen: self.ticks,
                position: (0, 0),
                total: buckets.map_or(Total::Source, |of| Total::Histogram(Box::new(of.empty()))),
            };
            self.series.insert(key.as_slice().into(), state);
        }
        let series = self.series.get_mut(key.as_slice());
        Ok((series.expect("it is there or was just added"), buckets))
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
