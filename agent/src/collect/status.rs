//! What is known of a collector besides its numbers: where it stands, what went wrong lately, how the last
//! reload went. Plain values; [`super::stats`] holds them and its supervisor writes them.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Facts, Isolation, LostReason, Settings};
use crate::protocol::{PluginFault, PluginInfo, PluginPhase, PluginReload};

/// Faults that are remembered.
const FAULTS_MAX: usize = 16;
/// The reason of a fault that did not cost a restart.
const REFUSED: &str = "refused";

/// How a change of a collector's library or configuration went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The running instance took it.
    Applied,
    /// A new instance took over.
    Switched,
    /// The old one goes on.
    Refused,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Applied, Self::Switched, Self::Refused];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Switched => "switched",
            Self::Refused => REFUSED,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Status {
    /// Topic of its metrics.
    pub topic: String,
    /// SHA-256 of the copy that runs; empty if there is none.
    pub sha256: String,
    library: String,
    isolation: Isolation,
    interval: Duration,
    timeout: Duration,
    series_max: usize,
    rss_max_bytes: Option<u64>,
    phase: PluginPhase,
    since: i64,
    next_start_at: Option<i64>,
    facts: Facts,
    error: Option<String>,
    /// The newest last.
    faults: VecDeque<PluginFault>,
    /// Why a collect or its samples were refused last; its count changes from tick to tick, the reason does not.
    refusal: String,
    reload: Option<PluginReload>,
}

impl Status {
    /// Takes over what it runs with from now on.
    pub fn configured(&mut self, settings: &Settings) {
        self.library = settings.library.display().to_string();
        self.sha256.clone_from(&settings.sha256);
        self.isolation = settings.isolation;
        self.interval = settings.interval;
        self.timeout = settings.timeout;
        self.series_max = settings.series_max;
        self.rss_max_bytes = settings.rss_max_bytes;
    }

    /// Says that it can't be run as it is configured.
    pub fn is_refused(&mut self, at_ms: i64, error: &str) {
        self.stands(at_ms, PluginPhase::Refused, None);
        self.runs(Facts::default());
        self.is_wrong(Some(error.to_owned()));
    }

    /// Says where it stands.
    pub fn stands(&mut self, at_ms: i64, phase: PluginPhase, next_start_at: Option<i64>) {
        if self.phase != phase || self.since == 0 {
            self.since = at_ms;
        }
        self.phase = phase;
        self.next_start_at = next_start_at;
    }

    /// Where it stands.
    pub(crate) const fn phase(&self) -> PluginPhase {
        self.phase
    }

    /// Says what runs. The version stays known when nothing does.
    pub fn runs(&mut self, facts: Facts) {
        let version = facts.version.or_else(|| self.facts.version.take());
        self.facts = Facts { version, ..facts };
    }

    /// Says what is wrong now.
    pub fn is_wrong(&mut self, error: Option<String>) {
        self.error = error;
    }

    /// Remembers a loss.
    pub fn lost(&mut self, at: i64, reason: LostReason, message: String) {
        self.remember(at, reason.name(), message);
    }

    /// Remembers that a collect failed or samples were refused, once for each reason in a row.
    pub fn refused(&mut self, at: i64, refusal: &str, message: &str) {
        let is_known = self
            .faults
            .back()
            .is_some_and(|last| last.reason == REFUSED);
        if !is_known || self.refusal != refusal {
            refusal.clone_into(&mut self.refusal);
            self.remember(at, REFUSED, message.to_owned());
        }
    }

    fn remember(&mut self, at: i64, reason: &str, message: String) {
        if self.faults.len() == FAULTS_MAX {
            self.faults.pop_front();
        }
        let reason = reason.to_owned();
        self.faults.push_back(PluginFault {
            at,
            reason,
            message,
        });
    }

    /// Remembers a reload as the last.
    pub(super) fn reloaded(&mut self, at: i64, outcome: Outcome, reason: Option<String>) {
        let outcome = outcome.name().to_owned();
        self.reload = Some(PluginReload {
            at,
            outcome,
            reason,
        });
    }

    /// It starts anew, with what is wanted now: no reload has been refused.
    pub(super) fn starts_anew(&mut self) {
        self.reload = None;
    }

    /// Why the last reload was refused, if it was; it is wrong until another one is not.
    pub fn reload_refusal(&self) -> Option<String> {
        let reload = self
            .reload
            .as_ref()
            .filter(|reload| reload.outcome == REFUSED)?;
        let reason = reload.reason.as_deref().unwrap_or_default();
        Some(format!(
            "goes on as before, because its reload was refused: {reason}"
        ))
    }

    pub(super) fn info(&self) -> PluginInfo {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        PluginInfo {
            topic: self.topic.clone(),
            version: self.facts.version.clone(),
            isolation: self.isolation.name().to_owned(),
            phase: self.phase,
            since: self.since,
            next_start_at: self.next_start_at,
            pid: self.facts.pid,
            library: self.library.clone(),
            sha256: self.sha256.clone(),
            interval_ms: ms(self.interval),
            timeout_ms: ms(self.timeout),
            series_max: self.series_max as u64,
            rss_max_bytes: self.rss_max_bytes,
            error: self.error.clone().or_else(|| self.reload_refusal()),
            faults: self.faults.iter().rev().cloned().collect(),
            reload: self.reload.clone(),
            ..PluginInfo::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sixteen_faults_are_kept_and_come_first() {
        let mut status = Status::default();
        for at in 0..20 {
            status.lost(at, LostReason::Killed, "was ended".to_owned());
        }
        let faults = status.info().faults;
        assert_eq!(faults.len(), FAULTS_MAX);
        assert_eq!((faults[0].at, faults[15].at), (19, 4));
    }

    #[test]
    fn the_same_refusal_is_remembered_once_in_a_row() {
        let mut status = Status::default();
        status.refused(1, "not finite", "3 samples were refused: not finite");
        status.refused(2, "not finite", "4 samples were refused: not finite");
        status.refused(3, "unknown", "4 samples were refused: unknown");
        status.lost(4, LostReason::Exited, "exited".to_owned());
        status.refused(5, "unknown", "4 samples were refused: unknown");
        let at: Vec<_> = status.info().faults.iter().map(|fault| fault.at).collect();
        assert_eq!(at, [5, 4, 3, 1]);
    }

    #[test]
    fn a_phase_has_the_time_of_its_beginning() {
        let mut status = Status::default();
        status.stands(5, PluginPhase::Starting, None);
        status.stands(6, PluginPhase::Waiting, Some(9));
        status.stands(7, PluginPhase::Waiting, Some(9));
        let info = status.info();
        assert_eq!((info.since, info.next_start_at), (6, Some(9)));
    }
}
