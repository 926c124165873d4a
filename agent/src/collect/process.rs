//! One plugin in its process: the real [`Runner`].
//!
//! It owns the child, the agent's end of the link and the mapping from the host's ids to the catalog's.
//! It gives a collect its deadline, then a cancel and a short grace, then SIGKILL to the child's whole group.
//! It knows no schedule and no back-off; those are the supervisor's.

mod running;

use std::io;
use std::time::Duration;

use barograph_sdk::abi;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::link::{Done, Purpose, ToHost};
use super::spawner::Spawner;
use super::{Collected, Failure, LostReason, Runner, Settings, keeps_samples};
use crate::bus::Sample;
use crate::catalog::{Catalog, CollectorId, SeriesId};
use crate::clock::{Tick, TierSet};
use running::{Running, Scope};

/// From spawn to `Ready`.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Between the cancel and SIGKILL, and for a polite stop.
const CANCEL_GRACE: Duration = Duration::from_millis(100);
/// For a plugin to stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A plugin in its process.
#[derive(Debug)]
pub struct Process {
    settings: Settings,
    spawner: Spawner,
    catalog: Catalog,
    collector: CollectorId,
    running: Option<Running>,
    /// The series of the process that was lost last.
    lost_series: Vec<SeriesId>,
    /// Forwards the output of the process before this one, in case a grandchild still holds the pipe.
    old_noise: Option<JoinHandle<()>>,
}

impl Process {
    /// Prepares; nothing runs before [`Runner::start`].
    pub fn new(
        settings: Settings,
        spawner: Spawner,
        catalog: Catalog,
        collector: CollectorId,
    ) -> Self {
        Self {
            settings,
            spawner,
            catalog,
            collector,
            running: None,
            lost_series: Vec::new(),
            old_noise: None,
        }
    }

    /// Starts the host for `purpose` and waits for its `Ready`: the plugin's name, topic and version.
    pub(super) async fn launch(&mut self, purpose: Purpose) -> Result<[String; 3], StartError> {
        let child = self.spawner.spawn(&self.settings.name).await?;
        let mut running = Running::new(child, &self.settings.name)?;
        let scope = Scope {
            settings: &self.settings,
            catalog: &self.catalog,
            collector: self.collector,
        };
        match timeout(START_TIMEOUT, running.load(&scope, purpose)).await {
            Ok(Ok(ready)) => {
                self.running = Some(running);
                Ok(ready)
            }
            Ok(Err(error)) => {
                self.dispose(running).await;
                Err(error)
            }
            Err(_) => {
                self.dispose(running).await;
                let seconds = START_TIMEOUT.as_secs();
                Err(StartError::Other(format!(
                    "was not ready within {seconds} s and was ended"
                )))
            }
        }
    }

    async fn try_collect(&mut self, tick: &Tick, tiers: TierSet) -> Result<Done, Failure> {
        let Some(running) = self.running.as_mut() else {
            return Err(lost(LostReason::Exited, "is not running"));
        };
        let scope = Scope {
            settings: &self.settings,
            catalog: &self.catalog,
            collector: self.collector,
        };
        let number = tick.number;
        let request = ToHost::Collect {
            number,
            at_ms: tick.at_ms,
            tiers: tiers.bits(),
            deadline: self.settings.timeout,
        };
        running.send(&request).await?;
        running.count_lines(&self.settings.name);
        if let Ok(done) = timeout(self.settings.timeout, running.done(&scope, number)).await {
            return done;
        }
        running.send(&ToHost::Cancel).await?;
        if let Ok(done) = timeout(CANCEL_GRACE, running.done(&scope, number)).await {
            done
        } else {
            let ms = self.settings.timeout.as_millis();
            Err(lost(
                LostReason::Deadline,
                format!("did not answer within {ms} ms and was ended"),
            ))
        }
    }

    async fn end(&mut self, failure: Failure) -> Failure {
        let Some(running) = self.running.take() else {
            return failure;
        };
        let killed_by_us = matches!(&failure, Failure::Lost { reason, .. }
            if matches!(reason, LostReason::Deadline | LostReason::Protocol | LostReason::Failed));
        let ended = self.dispose(running).await;
        if killed_by_us {
            failure
        } else {
            ended.unwrap_or(failure)
        }
    }

    /// Ends a process; what it printed last is still forwarded until the next one ends.
    async fn dispose(&mut self, mut running: Running) -> Option<Failure> {
        self.lost_series = running.live_series();
        if let Some(older) = std::mem::replace(&mut self.old_noise, running.noise.take()) {
            older.abort();
        }
        running.kill().await
    }
}

impl Runner for Process {
    async fn start(&mut self) -> Result<(), Failure> {
        match self.launch(Purpose::Collect).await {
            Ok([name, topic, _]) => {
                if name == self.settings.plugin {
                    return Ok(());
                }
                self.stop().await;
                let (library, expected) = (self.settings.library.display(), &self.settings.plugin);
                Err(lost(
                    LostReason::Start,
                    format!("{library} is plugin `{name}` of topic `{topic}`, not `{expected}`"),
                ))
            }
            Err(error) => Err(lost(LostReason::Start, error.to_string())),
        }
    }

    async fn collect(&mut self, tick: &Tick, tiers: TierSet) -> Result<Collected, Failure> {
        let done = match self.try_collect(tick, tiers).await {
            Ok(done) => done,
            Err(failure @ Failure::Lost { .. }) => return Err(self.end(failure).await),
            Err(failure) => return Err(failure),
        };
        if !keeps_samples(done.code) {
            let message = done.error.unwrap_or_default();
            if matches!(done.code, abi::E_PANIC | abi::E_FATAL | abi::E_CLOSED) {
                return Err(self.end(lost(LostReason::Failed, message)).await);
            }
            return Err(Failure::Refused(message));
        }
        let known = self
            .running
            .as_ref()
            .map_or(&[][..], |running| running.series.as_slice());
        let samples = done
            .samples
            .iter()
            .filter_map(|&(id, value)| {
                let series = known.get(id as usize).copied().flatten()?;
                value.is_finite().then_some(Sample { series, value })
            })
            .collect();
        Ok(Collected {
            samples,
            partial: done.error,
        })
    }

    async fn died(&mut self) -> Failure {
        let Some(running) = self.running.as_mut() else {
            return std::future::pending().await;
        };
        let scope = Scope {
            settings: &self.settings,
            catalog: &self.catalog,
            collector: self.collector,
        };
        let failure = running.listen(&scope).await;
        self.end(failure).await
    }

    async fn stop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        if running.send(&ToHost::Stop).await.is_ok() {
            let _ = timeout(STOP_GRACE, running.process.wait()).await;
        }
        self.dispose(running).await;
    }

    fn rss_bytes(&self) -> Option<u64> {
        let pid = self.running.as_ref()?.pid.as_raw_nonzero();
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }

    fn series(&self) -> Vec<SeriesId> {
        match &self.running {
            Some(running) => running.live_series(),
            None => self.lost_series.clone(),
        }
    }
}

/// Why a plugin did not get ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("its process can't be started: {0}")]
    Io(#[from] io::Error),
    #[error("{}{message}", Some(format!("{field}: ")).filter(|_| !field.is_empty()).unwrap_or_default())]
    Refused { field: String, message: String },
    #[error("{0}")]
    Other(String),
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        Self::Other(failure.to_string())
    }
}

fn lost(reason: LostReason, message: impl Into<String>) -> Failure {
    Failure::Lost {
        reason,
        message: message.into(),
    }
}
