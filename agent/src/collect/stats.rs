//! What is counted about each collector, for the agent's metrics about itself and for `/api/dashboard/plugins`.
//!
//! Supervisors write, the introspection and the API read. Numbers are plain atomics, because each stands
//! alone; what belongs together is in [`Status`], behind a lock that is held for a copy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::LostReason;
use super::status::{Outcome, Status};
use crate::catalog::Catalog;
use crate::protocol::PluginInfo;

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
    /// Collects that failed at their deadline.
    pub deadline_missed: AtomicU64,
    /// Ticks that went by while an earlier collect was running.
    pub ticks_missed: AtomicU64,
    /// Resident memory of its process and of what that has started; 0 while it does not run.
    pub rss_bytes: AtomicU64,
    /// Whether it failed so often that it is only probed.
    pub circuit_open: AtomicBool,
    /// Samples, definitions and events that were not taken.
    pub refused: AtomicU64,
    /// Series that the limit kept out before the catalog heard of them.
    pub series_dropped: AtomicU64,
    /// Events that were stored.
    pub events_stored: AtomicU64,
    restarts: [AtomicU64; LostReason::ALL.len()],
    reloads: [AtomicU64; Outcome::ALL.len()],
    status: Mutex<Status>,
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

    /// Counts a reload and remembers it as the last.
    pub fn reloaded(&self, at_ms: i64, outcome: Outcome, reason: Option<String>) {
        self.reloads[outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.status().reloaded(at_ms, outcome, reason);
    }

    /// Reloads by outcome, in the order of [`Outcome::ALL`].
    pub fn reloads(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let counts = self
            .reloads
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Outcome::ALL.into_iter().zip(counts)
    }

    /// Remembers how long a collect took.
    pub fn took(&self, took: Duration) {
        self.collect_ns.store(
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// What is no number; hold it shortly and never across an await.
    pub fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn info(&self) -> PluginInfo {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (collect_ns, rss_bytes) = (load(&self.collect_ns), load(&self.rss_bytes));
        let restarts = self.restarts();
        PluginInfo {
            name: self.name.clone(),
            plugin: self.plugin.clone(),
            collect_ms: (collect_ns > 0).then_some(collect_ns as f64 / 1e6),
            refused: load(&self.refused),
            series_dropped: load(&self.series_dropped),
            events_stored: load(&self.events_stored),
            rss_bytes: (rss_bytes > 0).then_some(rss_bytes),
            deadlines_missed: load(&self.deadline_missed),
            ticks_missed: load(&self.ticks_missed),
            restarts: restarts
                .map(|(reason, count)| (reason.name().to_owned(), count))
                .collect(),
            ..self.status().info()
        }
    }
}

/// Cloneable handle of everybody's numbers.
#[derive(Clone, Debug, Default)]
pub struct Stats(Arc<RwLock<Vec<Arc<CollectorStats>>>>);

impl Stats {
    /// The numbers of a collector, made at its first start and kept over reloads.
    pub fn of(&self, name: &str, plugin: &str) -> Arc<CollectorStats> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().find(|stats| stats.name == name);
        if let Some(known) = known.filter(|known| known.plugin == plugin) {
            return Arc::clone(known);
        }
        let stats = Arc::new(CollectorStats {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            ..CollectorStats::default()
        });
        match all.iter_mut().find(|stats| stats.name == name) {
            // The name belongs to another plugin now.
            Some(known) => *known = Arc::clone(&stats),
            None => all.push(Arc::clone(&stats)),
        }
        stats
    }

    /// Forgets a collector that was taken out of the configuration.
    pub fn remove(&self, name: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|stats| stats.name != name);
    }

    /// Puts the collectors in the order of these names.
    pub fn arrange(&self, names: &[&str]) {
        let place = |stats: &Arc<CollectorStats>| {
            let at = names.iter().position(|name| *name == stats.name);
            at.unwrap_or(usize::MAX)
        };
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.sort_by_key(place);
    }

    /// Everybody's numbers.
    pub fn all(&self) -> Vec<Arc<CollectorStats>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Everything about every collector of a plugin, in the order of the configuration.
    pub fn infos(&self, catalog: &Catalog) -> Vec<PluginInfo> {
        let mut infos: Vec<_> = self.all().iter().map(|stats| stats.info()).collect();
        let tables = catalog.read();
        for info in &mut infos {
            let mut collectors = tables.collectors().map(|(_, collector)| collector);
            let same = collectors.find(|collector| {
                collector.name == info.name
                    && collector.plugin == info.plugin
                    && collector.topic == info.topic
            });
            if let Some(collector) = same {
                info.series = collector.series_capped() as u64;
                info.series_dropped += collector.series_dropped;
            }
        }
        infos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_keeps_its_numbers_unless_its_name_goes_to_another_plugin() {
        let stats = Stats::default();
        stats.of("a", "p").lost(LostReason::Exited);
        stats.of("b", "p");
        assert_eq!(stats.of("a", "p").restarts_total(), 1);
        assert_eq!(stats.of("a", "q").restarts_total(), 0);
        stats.arrange(&["b", "a"]);
        let names: Vec<_> = stats.all().iter().map(|its| its.name.clone()).collect();
        assert_eq!(names, ["b", "a"]);
    }

    #[test]
    fn an_info_has_numbers_status_and_the_catalogs_counts() {
        let (all, catalog) = (Stats::default(), Catalog::default());
        let stats = all.of("a", "p");
        stats.status().topic = "t".to_owned();
        stats.series_dropped.store(5, Ordering::Relaxed);
        stats.lost(LostReason::Memory);
        stats.reloaded(7, Outcome::Refused, Some("no".to_owned()));
        let collector = catalog.register("a", "p", "t", 1);
        let metric = crate::catalog::Metric::for_test(
            "m",
            crate::catalog::Kind::Gauge,
            crate::clock::Tier::Fast,
            &["x"],
        );
        let metric = catalog.define_metric(collector, metric).unwrap();
        for value in ["1", "2"] {
            let _ = catalog.define_series(collector, metric, vec![value.to_owned()]);
        }
        let own = vec!["own".to_owned()];
        let _ = catalog.define_own_series(collector, metric, own);
        let infos = all.infos(&catalog);
        let [info] = infos.as_slice() else {
            panic!("{infos:?}")
        };
        // Of the six, five were kept out by the host.
        assert_eq!((info.series, info.series_dropped), (1, 6));
        assert_eq!(info.restarts["memory"], 1);
        let reload = info.reload.as_ref().unwrap();
        assert_eq!((reload.at, reload.outcome.as_str()), (7, "refused"));
        assert!(
            info.error.as_deref().is_some_and(|e| e.contains("no")),
            "{info:?}"
        );
        assert_eq!(info.collect_ms, None, "before the first collect");
    }
}
