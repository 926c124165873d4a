//! Series on disk: names and labels to numbers that are never used again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StoreError;
use crate::catalog::{Kind, Unit};
use crate::clock::Tier;
use crate::kv::Kv;
use crate::protocol::{Labels, Match};

/// What is known of a stored series.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSeries {
    /// Never used for another one.
    pub id: u32,
    /// Name of the metric.
    pub metric: String,
    /// Gauge or counter.
    pub kind: Kind,
    /// Unit of a gauge's value and of a counter's total.
    pub unit: Unit,
    /// How often it is sampled.
    pub tier: Tier,
    /// Topic of its metric.
    pub topic: String,
    /// Its collector's name.
    pub collector: String,
    /// Its labels, in the metric's order.
    pub labels: Labels,
    /// The last day (days since 1970) on which it had a sample.
    pub last_day: u32,
}

/// Which series; empty parts match everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// As in a subscription: metric names with `*`, and labels.
    pub matching: Match,
    /// Name of the collector.
    pub collector: Option<String>,
}

/// All stored series, in memory and in `core`. Shared by reference between threads.
#[derive(Debug)]
pub struct Registry {
    core: Arc<Kv>,
    _series: BTreeMap<u32, Arc<StoredSeries>>,
}

impl Registry {
    /// Reads all of them.
    pub fn open(core: Arc<Kv>) -> Result<Self, StoreError> {
        Ok(Self {
            core,
            _series: BTreeMap::new(),
        })
    }

    /// The number of a series, a new one if need be; `series.id` and `last_day` are not looked at. New ones are on
    /// disk after the next [`Registry::persist`]. `None` when the table is full.
    pub fn resolve(&self, series: StoredSeries) -> Option<u32> {
        let _ = (series, &self.core);
        todo!()
    }

    /// Writes what is new, and the day for those that had samples and were last seen on another.
    pub fn persist(&self, seen: &[u32], day: u32) -> Result<(), StoreError> {
        let _ = (seen, day);
        todo!()
    }

    /// The series with this number.
    pub fn get(&self, id: u32) -> Option<Arc<StoredSeries>> {
        let _ = id;
        todo!()
    }

    /// Those that match, ordered by metric, then number.
    pub fn select(&self, selector: &Selector) -> Vec<Arc<StoredSeries>> {
        let _ = selector;
        todo!()
    }
}
