//! What is counted about each collector, for the agent's metrics about itself.
//!
//! Supervisors write, the introspection reads; plain atomics, because each number stands alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::LostReason;

/// Numbers of one collector.
#[derive(Debug, Default)]
pub struct CollectorStats {
    /// The collector's name.
    pub name: String,
    /// Its plugin.
    pub plugin: String,
    /// Whether the last collect succeeded.
    pub up: AtomicBool,
    /// How long the last collect took, in nanoseconds.
    pub collect_ns: AtomicU64,
    /// Collects that were given up at their deadline.
    pub deadline_missed: AtomicU64,
    /// Ticks that went by while an earlier collect was running.
    pub ticks_missed: AtomicU64,
    /// Resident memory of its process; 0 while it does not run.
    pub rss_bytes: AtomicU64,
    restarts: [AtomicU64; LostReason::ALL.len()],
}

impl CollectorStats {
    /// Counts a restart.
    pub fn lost(&self, reason: LostReason) {
        self.restarts[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Restarts by reason, in the order of [`LostReason::ALL`].
    pub fn restarts(&self) -> impl Iterator<Item = (LostReason, u64)> {
        let counts = self
            .restarts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        LostReason::ALL.into_iter().zip(counts)
    }

    /// All restarts.
    pub fn restarts_total(&self) -> u64 {
        self.restarts().map(|(_, count)| count).sum()
    }

    /// Remembers how long a collect took.
    pub fn took(&self, took: Duration) {
        self.collect_ns.store(
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

/// Cloneable handle of everybody's numbers.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<RwLock<Vec<Arc<CollectorStats>>>>);

impl Registry {
    /// The numbers of a collector, made at its first start and kept over reloads.
    pub fn of(&self, name: &str, plugin: &str) -> Arc<CollectorStats> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|stats| stats.name == name) {
            return Arc::clone(known);
        }
        let (name, plugin) = (name.to_owned(), plugin.to_owned());
        let stats = Arc::new(CollectorStats {
            name,
            plugin,
            ..CollectorStats::default()
        });
        all.push(Arc::clone(&stats));
        stats
    }

    /// Forgets a collector that was taken out of the configuration.
    pub fn remove(&self, name: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|stats| stats.name != name);
    }

    /// Everybody's numbers.
    pub fn all(&self) -> Vec<Arc<CollectorStats>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
