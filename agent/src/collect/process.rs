//! One plugin in its process or thread: the real [`Runner`].
//!
//! It owns the child, the agent's end of the link and the mapping from the host's ids to the catalog's.
//! It gives a collect its deadline, then a cancel and a short grace, then SIGKILL to the child's whole group;
//! a thread can only be left behind. It knows no schedule and no back-off; those are the supervisor's.

mod claims;
mod events;
mod forked;
mod pending;
mod running;
mod scope;

use std::io;
use std::time::Duration;

use barograph_sdk::abi;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::child::{self, Abandoned, Child};
use super::events::Outbox;
use super::link::{Done, Purpose, ToHost};
use super::spawner::Spawner;
use super::{
    Collected, Facts, Failure, Handover, Isolation, Lookup, LostReason, Reconfigured, Refused,
    Runner, Settings, keeps_samples, library,
};
use crate::bus::Sample;
use crate::catalog::{Catalog, CollectorId, SeriesId};
use crate::clock::{Tick, TierSet};
use claims::Claims;
use events::{Events, Flow};
use running::{Loaded, Running, UnknownSeries};
use scope::Scope;

/// Between the cancel and SIGKILL, and for what should take no time at all.
const CANCEL_GRACE: Duration = Duration::from_millis(100);
/// For a plugin to stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A plugin in its process or thread.
#[derive(Debug)]
pub struct Process {
    settings: Settings,
    spawner: Spawner,
    catalog: Catalog,
    collector: CollectorId,
    outbox: Option<Outbox>,
    /// Of all processes of this collector.
    claims: Claims,
    /// Threads of this collector that may still hang.
    abandoned: Abandoned,
    /// Whether the events of its next start go on to the outbox.
    flow: Flow,
    running: Option<Running>,
    version: Option<String>,
    /// The series of the process that was lost last.
    lost_series: Vec<SeriesId>,
    /// What was not taken since it was asked last, but for what its process still counts.
    refused: Refused,
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
            outbox: None,
            claims: Claims::default(),
            abandoned: Abandoned::default(),
            flow: Flow::default(),
            running: None,
            version: None,
            lost_series: Vec::new(),
            refused: Refused::default(),
            old_noise: None,
        }
    }

    /// Where its events go; without it they are taken and dropped.
    #[must_use]
    pub fn with_events(mut self, outbox: Outbox) -> Self {
        self.outbox = Some(outbox);
        self
    }

    /// Starts the host for `purpose` and waits for its `Ready`: the plugin's name, topic and version.
    pub(super) async fn launch(&mut self, purpose: Purpose) -> Result<[String; 3], StartError> {
        match self.load(purpose).await? {
            Loaded::Ready(ready) => Ok(ready),
            Loaded::Manifest(_) => Err(StartError::Other("answered with a manifest".to_owned())),
        }
    }

    /// Starts the host to write the plugin's manifest, JSON.
    pub(super) async fn describe(&mut self) -> Result<String, StartError> {
        match self.load(Purpose::Describe).await? {
            Loaded::Manifest(manifest) => Ok(manifest),
            Loaded::Ready(_) => Err(StartError::Other("answered without a manifest".to_owned())),
        }
    }

    /// Its process, while it has one.
    pub(super) fn pid(&self) -> Option<u32> {
        let pid = self.running.as_ref()?.child.pid()?;
        Some(pid.as_raw_nonzero().get().cast_unsigned())
    }

    async fn load(&mut self, purpose: Purpose) -> Result<Loaded, StartError> {
        let (copy, sha256) = (self.settings.loaded.clone(), self.settings.sha256.clone());
        let verified = tokio::task::spawn_blocking(move || library::verify(&copy, &sha256));
        match verified.await {
            Ok(verified) => verified.map_err(StartError::Other)?,
            Err(error) => return Err(StartError::Other(error.to_string())),
        }
        let started = match self.settings.isolation {
            Isolation::Process => self.spawner.spawn(&self.settings).await?,
            Isolation::Thread if self.abandoned.is_running() => {
                let message = "hangs in a thread that was left behind; it is started again once that has ended";
                return Err(StartError::Other(message.to_owned()));
            }
            Isolation::Thread => child::start_thread(&self.settings.name, &self.abandoned)?,
        };
        let events = Events::new(self.outbox.as_ref(), &self.settings.name, self.flow);
        let mut running = Running::new(started, &self.settings, &self.claims, events)?;
        let scope = self.scope();
        let loaded = timeout(scope.settings.start_timeout, running.load(&scope, purpose)).await;
        match loaded {
            Ok(Ok(loaded)) => {
                self.running = Some(running);
                Ok(loaded)
            }
            Ok(Err(StartError::Refused { field, message })) => {
                self.dispose(running).await;
                // The host knows the copy that it loads; people know the library.
                let copy = self.settings.loaded.display().to_string();
                let library = self.settings.library.display().to_string();
                let message = message.replace(&copy, &library);
                Err(StartError::Refused { field, message })
            }
            Ok(Err(StartError::Lost(failure))) => {
                let failure = conclude(&mut running, failure).await;
                self.dispose(running).await;
                Err(StartError::Lost(failure))
            }
            Ok(Err(error)) => {
                self.dispose(running).await;
                Err(error)
            }
            Err(_) => {
                self.dispose(running).await;
                let ms = self.settings.start_timeout.as_millis();
                let message = format!("was not ready within {ms} ms and was ended");
                Err(StartError::Other(message))
            }
        }
    }

    const fn scope(&self) -> Scope<'_> {
        Scope {
            settings: &self.settings,
            catalog: &self.catalog,
            collector: self.collector,
            claims: &self.claims,
        }
    }

    /// What runs, and what it is driven with.
    fn parts(&mut self) -> Result<(&mut Running, Scope<'_>), Failure> {
        let Some(running) = self.running.as_mut() else {
            return Err(lost(LostReason::Exited, "is not running"));
        };
        let scope = Scope {
            settings: &self.settings,
            catalog: &self.catalog,
            collector: self.collector,
            claims: &self.claims,
        };
        Ok((running, scope))
    }

    async fn try_collect(&mut self, tick: &Tick, tiers: TierSet) -> Result<Done, Failure> {
        let (running, scope) = self.parts()?;
        running.settle(&scope).await?;
        let (number, deadline) = (tick.number, scope.settings.timeout);
        let request = ToHost::Collect {
            number,
            at_ms: tick.at_ms,
            tiers: tiers.bits(),
            deadline,
            events_stored: running.events.stored(),
        };
        running.send(&request).await?;
        running.count_lines(&scope.settings.name);
        if let Ok(done) = timeout(deadline, running.done(&scope, number)).await {
            return done;
        }
        running.send(&ToHost::Cancel).await?;
        if let Ok(done) = timeout(CANCEL_GRACE, running.done(&scope, number)).await {
            done
        } else {
            let ms = deadline.as_millis();
            Err(lost(
                LostReason::Deadline,
                format!("did not answer within {ms} ms and was ended"),
            ))
        }
    }

    async fn try_reconfigure(
        &mut self,
        config: &serde_json::Value,
    ) -> Result<Reconfigured, Failure> {
        let (running, scope) = self.parts()?;
        running.settle(&scope).await?;
        let config = config.to_string();
        running.send(&ToHost::Reconfigure { config }).await?;
        let deadline = scope.settings.timeout;
        let answered = timeout(deadline, running.reconfigured(&scope)).await;
        let (code, field, message) = answered.unwrap_or_else(|_| {
            let ms = deadline.as_millis();
            let what = format!("did not take its configuration within {ms} ms and was ended");
            Err(lost(LostReason::Deadline, what))
        })?;
        match code {
            abi::OK => Ok(Reconfigured::Applied),
            abi::RESTART => Ok(Reconfigured::Restart),
            abi::E_PANIC | abi::E_FATAL | abi::E_CLOSED => Err(lost(LostReason::Failed, message)),
            _ => {
                let refused = StartError::Refused { field, message };
                Err(Failure::Refused(refused.to_string()))
            }
        }
    }

    /// What was sampled, with everything that can't be a sample counted as refused.
    fn collected(&mut self, done: Done) -> Collected {
        let Some(running) = self.running.as_mut() else {
            return Collected::default();
        };
        let mut samples = Vec::with_capacity(done.samples.len());
        for &(id, value) in &done.samples {
            match running.series_of(id) {
                Err(UnknownSeries) => {
                    let why = || "a sample of a series that was never declared".to_owned();
                    self.refused.add(why);
                }
                Ok(_) if !value.is_finite() => {
                    self.refused
                        .add(|| "a sample that is no finite number".to_owned());
                }
                // The catalog did not take the series, which was counted when it was declared.
                Ok(None) => {}
                Ok(Some(series)) => samples.push(Sample { series, value }),
            }
        }
        Collected {
            samples,
            partial: done.error.or_else(|| running.refused_metric.clone()),
            events_stored: running.events.count_stored(),
            inside: Some(done.took),
        }
    }

    /// Ends what was lost, and says how it really ended. Cancel-safe: until that is done it still runs, so that whoever
    /// listens to it again hears the same.
    async fn end(&mut self, failure: Failure) -> Failure {
        let Some(running) = self.running.as_mut() else {
            return failure;
        };
        let failure = match running.ending.clone() {
            // What is heard of it while it is being ended is our own doing.
            Some(known) => known,
            None => conclude(running, failure).await,
        };
        running.ending = Some(failure.clone());
        running.kill().await;
        if let Some(running) = self.running.take() {
            self.forget(running);
        }
        failure
    }

    /// Ends a process.
    async fn dispose(&mut self, mut running: Running) {
        running.kill().await;
        self.forget(running);
    }

    /// Lets go of a process that has ended; what it printed last is still forwarded until the next one ends.
    fn forget(&mut self, mut running: Running) {
        self.lost_series = running.live_series();
        self.refused.append(running.take_refused());
        if let Some(older) = std::mem::replace(&mut self.old_noise, running.noise.take()) {
            older.abort();
        }
        if self.settings.isolation == Isolation::Process {
            self.spawner.sweep();
        }
    }
}

impl Runner for Process {
    async fn start(&mut self) -> Result<(), Failure> {
        match self.launch(Purpose::Collect).await {
            Ok([name, topic, version]) => {
                if name == self.settings.plugin {
                    self.version = Some(version);
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
        let mut done = match self.try_collect(tick, tiers).await {
            Ok(done) => done,
            Err(failure) => return Err(self.end(failure).await),
        };
        self.refused.append(Refused {
            count: done.refused,
            why: std::mem::take(&mut done.refusal),
            series: done.dropped,
        });
        if keeps_samples(done.code) {
            return Ok(self.collected(done));
        }
        let message = done.error.unwrap_or_default();
        if matches!(done.code, abi::E_PANIC | abi::E_FATAL | abi::E_CLOSED) {
            return Err(self.end(lost(LostReason::Failed, message)).await);
        }
        Err(Failure::Refused(message))
    }

    async fn died(&mut self) -> Failure {
        let Ok((running, scope)) = self.parts() else {
            return std::future::pending().await;
        };
        let failure = running.listen(&scope).await;
        self.end(failure).await
    }

    async fn stop(&mut self) -> Option<Failure> {
        let (running, scope) = self.parts().ok()?;
        let polite = async {
            if running.send(&ToHost::Stop).await.is_ok() {
                running.farewell(&scope).await;
            }
        };
        let forced = timeout(STOP_GRACE, polite).await.is_err();
        let running = self.running.take()?;
        self.dispose(running).await;
        forced.then(|| {
            let ms = STOP_GRACE.as_millis();
            lost(
                LostReason::Deadline,
                format!("did not stop within {ms} ms and was ended"),
            )
        })
    }

    async fn withdraw(&mut self) -> Option<Failure> {
        let forced = self.stop().await;
        let declared = std::mem::take(&mut self.lost_series);
        self.claims.retire_unclaimed(&declared, &self.catalog);
        forced
    }

    fn take_over(&mut self) -> Handover {
        self.flow = Flow::Open;
        if self
            .running
            .as_mut()
            .is_none_or(|running| running.events.release())
        {
            Handover::Done
        } else {
            Handover::StartAgain
        }
    }

    async fn reconfigure(&mut self, settings: &Settings) -> Result<Reconfigured, Failure> {
        match self.try_reconfigure(&settings.config).await {
            Ok(Reconfigured::Applied) => {
                self.settings = settings.clone();
                Ok(Reconfigured::Applied)
            }
            Ok(Reconfigured::Restart) => Ok(Reconfigured::Restart),
            Err(failure @ Failure::Refused(_)) => Err(failure),
            Err(failure) => Err(self.end(failure).await),
        }
    }

    fn successor(&self, settings: Settings) -> Self {
        Self {
            settings,
            spawner: self.spawner.clone(),
            catalog: self.catalog.clone(),
            collector: self.collector,
            outbox: self.outbox.clone(),
            claims: self.claims.clone(),
            abandoned: self.abandoned.clone(),
            flow: Flow::Held,
            running: None,
            version: None,
            lost_series: Vec::new(),
            refused: Refused::default(),
            old_noise: None,
        }
    }

    async fn look_up(&mut self, lookup: Lookup) {
        if let Some(running) = self.running.as_mut() {
            return running.look_up(lookup).await;
        }
        let failure = lost(LostReason::Exited, "is not running");
        let _ = lookup.reply.send(Err(failure));
    }

    fn take_refused(&mut self) -> Refused {
        let mut refused = std::mem::take(&mut self.refused);
        if let Some(running) = &mut self.running {
            refused.append(running.take_refused());
        }
        refused
    }

    fn facts(&self) -> Facts {
        Facts {
            version: self.version.clone(),
            pid: self.pid(),
            is_stuck: self.abandoned.is_running(),
        }
    }

    fn rss_bytes(&self) -> Option<u64> {
        self.running.as_ref()?.rss_bytes()
    }

    fn series(&self) -> Vec<SeriesId> {
        match &self.running {
            Some(running) => running.live_series(),
            None => self.lost_series.clone(),
        }
    }
}

/// Finds out how a host ended whose link ended: by itself, or not at all.
async fn conclude(running: &mut Running, failure: Failure) -> Failure {
    let is_silent =
        matches!(&failure, Failure::Lost { reason, .. } if *reason == LostReason::Exited);
    if !is_silent || matches!(running.child, Child::Thread { .. }) {
        return failure;
    }
    match timeout(CANCEL_GRACE, running.child.wait()).await {
        Ok(ended) => ended.unwrap_or(failure),
        Err(_) => lost(LostReason::Protocol, "closed its link and was ended"),
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
    Lost(#[from] Failure),
    #[error("{0}")]
    Other(String),
}

fn lost(reason: LostReason, message: impl Into<String>) -> Failure {
    Failure::Lost {
        reason,
        message: message.into(),
    }
}

#[cfg(test)]
mod tests;
