//! A plugin that runs: its link, its ids, its end.
//!
//! It speaks the link's messages and maps the host's ids to the catalog's; what is asked and for how long it is
//! waited is [`super::Process`]'s business. Whoever drops it ends the whole process group, and with it the claims
//! on its series.

use std::io;
use std::time::Duration;

use barograph_sdk::abi;
use rustix::net::Shutdown;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::claims::Claims;
use super::events::Events;
use super::forked::Forked;
use super::pending::Pending;
use super::scope::Scope;
use super::{CANCEL_GRACE, StartError, lost};
use crate::catalog::{METRICS_MAX, MetricId, SeriesId};
use crate::collect::child::{Child, Started};
use crate::collect::link::{self, Done, Purpose, ToAgent, ToHost};
use crate::collect::noise::{self, LogLines};
use crate::collect::{Failure, Lookup, LostReason, Refused, Settings};

/// What is read from the link at a time.
const READ_BYTES: usize = 16 << 10;
/// Series that a process may declare in its life, as a multiple of those that may live at a time.
const SERIES_CHURN_MAX: usize = 50;
/// How often its memory is looked at.
const MEMORY_LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    link: UnixStream,
    pub(super) noise: Option<JoinHandle<()>>,
    /// Bytes read and not decoded yet.
    input: Vec<u8>,
    /// The catalog's ids by the host's; `None` where the catalog refused.
    metrics: Vec<Option<MetricId>>,
    series: Vec<Option<SeriesId>>,
    /// Why the catalog refused the first metric that it did: that costs all of its samples.
    pub(super) refused_metric: Option<String>,
    /// Series that the catalog refused.
    refused: Refused,
    /// Why it is being ended.
    pub(super) ending: Option<Failure>,
    claims: Claims,
    log: LogLines,
    pub(super) events: Events,
    memory: Interval,
    forked: Forked,
    rss_max_bytes: Option<u64>,
    /// Lookups so far.
    lookups: u32,
    /// The last of them, until it has ended.
    pending: Option<Pending>,
    interval: Duration,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.claims.release(self.series.iter().flatten().copied());
    }
}

/// What a host says after it was told to load a library.
pub(super) enum Loaded {
    /// The plugin's name, topic and version.
    Ready([String; 3]),
    /// Its manifest, JSON.
    Manifest(String),
}

impl Running {
    pub(super) fn new(
        started: Started,
        settings: &Settings,
        claims: &Claims,
        events: Events,
    ) -> io::Result<Self> {
        started.link.set_nonblocking(true)?;
        let mut memory = interval(MEMORY_LOOK);
        memory.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let output = started.output;
        let noise =
            output.map(|output| tokio::spawn(noise::forward(settings.name.clone(), output)));
        Ok(Self {
            child: started.child,
            link: UnixStream::from_std(started.link)?,
            noise,
            input: Vec::new(),
            metrics: Vec::new(),
            series: Vec::new(),
            refused_metric: None,
            refused: Refused::default(),
            ending: None,
            claims: claims.clone(),
            log: LogLines::default(),
            events,
            memory,
            forked: Forked::default(),
            rss_max_bytes: settings.rss_max_bytes,
            lookups: 0,
            pending: None,
            interval: settings.interval,
        })
    }

    pub(super) async fn load(
        &mut self,
        scope: &Scope<'_>,
        purpose: Purpose,
    ) -> Result<Loaded, StartError> {
        let settings = scope.settings;
        let load = ToHost::Load {
            purpose,
            library: settings.loaded.display().to_string(),
            config: settings.config.to_string(),
            series_max: u32::try_from(settings.series_max).unwrap_or(u32::MAX),
            position: self.events.position.clone(),
        };
        self.send(&load).await?;
        loop {
            match self.next(scope).await? {
                ToAgent::Manifest(manifest) => return Ok(Loaded::Manifest(manifest)),
                ToAgent::Ready {
                    name,
                    topic,
                    version,
                } if purpose != Purpose::Describe => {
                    return Ok(Loaded::Ready([name, topic, version]));
                }
                ToAgent::Failed { field, message, .. } => {
                    return Err(StartError::Refused { field, message });
                }
                _ => {}
            }
        }
    }

    pub(super) async fn send(&mut self, message: &ToHost) -> Result<(), Failure> {
        use tokio::io::AsyncWriteExt as _;
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        // A few dozen bytes into an empty socket buffer; a child that reads nothing at all is killed.
        match timeout(CANCEL_GRACE, self.link.write_all(&bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(lost(
                LostReason::Deadline,
                "does not read its link and was ended",
            )),
        }
    }

    /// Waits until no lookup runs any more, which takes no longer than one may. A cancel that comes after what is sent
    /// next would be for that as well.
    pub(super) async fn settle(&mut self, scope: &Scope<'_>) -> Result<(), Failure> {
        while self.pending.is_some() {
            let message = self.message().await?;
            // What was cancelled earlier may still answer.
            self.absorb(scope, message)?;
            self.check_bounds(scope.settings)?;
        }
        Ok(())
    }

    /// Waits for the result of tick `number`; what was cancelled earlier may still answer before it.
    pub(super) async fn done(&mut self, scope: &Scope<'_>, number: u64) -> Result<Done, Failure> {
        loop {
            if let ToAgent::Done(done) = self.next(scope).await?
                && done.number == number
            {
                return Ok(done);
            }
        }
    }

    /// Waits for what became of a new configuration: a code, the key that it is about, and why.
    pub(super) async fn reconfigured(
        &mut self,
        scope: &Scope<'_>,
    ) -> Result<(i32, String, String), Failure> {
        loop {
            if let ToAgent::Reconfigured {
                code,
                field,
                message,
            } = self.next(scope).await?
            {
                return Ok((code, field, message));
            }
        }
    }

    /// Handles what comes between ticks, until the end. Cancel-safe, as [`Self::next`] is.
    pub(super) async fn listen(&mut self, scope: &Scope<'_>) -> Failure {
        loop {
            if let Err(failure) = self.next(scope).await {
                return failure;
            }
        }
    }

    /// Waits until a plugin that was told to stop has ended. What it still logs or emits counts; what it defines
    /// or retires does not, because the next one may have declared it already.
    pub(super) async fn farewell(&mut self, scope: &Scope<'_>) {
        while let Ok(message) = self.message().await {
            if self.hear_out(scope, message).is_err() {
                break;
            }
        }
        if matches!(self.child, Child::Process { .. }) {
            self.child.wait().await;
        }
    }

    fn hear_out(&mut self, scope: &Scope<'_>, message: ToAgent) -> Result<(), Failure> {
        match message {
            ToAgent::Log { level, message } => {
                self.log.write(&scope.settings.name, level, &message);
            }
            ToAgent::Event(event) => self.events.take(*event)?,
            _ => {}
        }
        Ok(())
    }

    /// The next message, definitions, events and log lines handled on the way. Cancel-safe: bytes are kept.
    async fn next(&mut self, scope: &Scope<'_>) -> Result<ToAgent, Failure> {
        loop {
            let message = self.message().await?;
            if let Some(message) = self.absorb(scope, message)? {
                return Ok(message);
            }
            self.check_bounds(scope.settings)?;
        }
    }

    /// The next message. Cancel-safe.
    async fn message(&mut self) -> Result<ToAgent, Failure> {
        loop {
            let decoded = match link::frame(&self.input) {
                Ok(None) => {
                    self.fill().await?;
                    continue;
                }
                Ok(Some((body, whole))) => ToAgent::decode(body).map(|message| (message, whole)),
                Err(error) => Err(error),
            };
            let (message, whole) =
                decoded.map_err(|error| lost(LostReason::Protocol, error.to_string()))?;
            self.input.drain(..whole);
            return Ok(message);
        }
    }

    /// Reads more, and keeps an eye on everything else that can happen meanwhile.
    async fn fill(&mut self) -> Result<(), Failure> {
        loop {
            let has_ended = tokio::select! {
                ready = self.link.readable() => {
                    ready.map_err(|_| gone())?;
                    false
                }
                // A child of the plugin may hold the link open, so its end alone is not enough to go by.
                _ = self.child.wait() => true,
                _ = self.memory.tick() => {
                    self.check_memory()?;
                    continue;
                }
                () = self.events.room() => {
                    self.events.pass_on();
                    continue;
                }
                () = overdue(&mut self.pending) => {
                    self.give_up_lookup()?;
                    continue;
                }
            };
            self.input.reserve(READ_BYTES);
            match self.link.try_read_buf(&mut self.input) {
                Ok(1..) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !has_ended => {}
                Ok(0) | Err(_) => return Err(gone()),
            }
        }
    }

    /// Handles definitions, events, answers and log lines, gives back the rest.
    fn absorb(&mut self, scope: &Scope<'_>, message: ToAgent) -> Result<Option<ToAgent>, Failure> {
        match message {
            ToAgent::Metric(definition) => {
                let defined = scope.define(*definition);
                if let Err(error) = &defined {
                    self.refused_metric
                        .get_or_insert_with(|| format!("{error}; it has no samples"));
                }
                self.metrics.push(defined.ok());
            }
            ToAgent::Series { metric, values } => {
                let metric = self.metrics.get(metric as usize).copied().flatten();
                let defined = metric.map(|metric| scope.define_series(metric, values));
                if let Some(Err(error)) = &defined {
                    self.refused.add(|| error.to_string());
                }
                self.series.push(defined.and_then(Result::ok));
            }
            ToAgent::Retire { series } => {
                if let Some(slot) = self.series.get_mut(series as usize)
                    && let Some(id) = slot.take()
                {
                    self.claims.retire(id, scope.catalog);
                }
            }
            ToAgent::Log { level, message } => {
                self.log.write(&scope.settings.name, level, &message);
            }
            ToAgent::Event(event) => self.events.take(*event)?,
            ToAgent::LookedUp { id, code, answer } => {
                let answer = if code == abi::OK {
                    Ok(answer)
                } else {
                    Err(Failure::Refused(answer))
                };
                if let Some(pending) = self.pending.take_if(|pending| pending.id() == id) {
                    pending.answer(answer);
                }
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// Hands a lookup to the plugin; one at a time.
    pub(super) async fn look_up(&mut self, lookup: Lookup) {
        let Lookup {
            name,
            parameter,
            reply,
        } = lookup;
        if self.pending.is_some() {
            let busy = "is still answering another lookup".to_owned();
            let _ = reply.send(Err(Failure::Refused(busy)));
            return;
        }
        self.lookups = self.lookups.wrapping_add(1);
        let id = self.lookups;
        let lookup = ToHost::Lookup {
            id,
            name,
            parameter,
        };
        match self.send(&lookup).await {
            Ok(()) => self.pending = Some(Pending::new(id, reply, self.interval)),
            // Whoever listens to the link hears of its end as well.
            Err(failure) => drop(reply.send(Err(failure))),
        }
    }

    /// Cancels the lookup. At once, because whoever waits here may be dropped at any await.
    fn give_up_lookup(&mut self) -> Result<(), Failure> {
        if let Some(pending) = &mut self.pending {
            pending.give_up()?;
        }
        let mut bytes = Vec::new();
        ToHost::Cancel.encode(&mut bytes);
        // A host whose socket is full of what it does not read is ended in a moment.
        let _ = self.link.try_write(&bytes);
        Ok(())
    }

    /// The host keeps these bounds too; a plugin that writes to the link by itself, or whose labels churn without
    /// end, is started anew, which gives back what its definitions took here.
    fn check_bounds(&self, settings: &Settings) -> Result<(), Failure> {
        let series_max = settings.series_max.saturating_mul(SERIES_CHURN_MAX);
        if self.metrics.len() > METRICS_MAX {
            let what = format!("declared more than {METRICS_MAX} metrics and was ended");
            return Err(lost(LostReason::Protocol, what));
        }
        if self.series.len() > series_max {
            let what = format!(
                "declared more than {series_max} series since its start and was ended; do its labels hold ids?"
            );
            return Err(lost(LostReason::Protocol, what));
        }
        Ok(())
    }

    /// Resident memory of its process and of what that has started, where it has one.
    pub(super) fn rss_bytes(&self) -> Option<u64> {
        Some(self.child.rss_bytes()? + self.forked.rss_bytes())
    }

    fn check_memory(&mut self) -> Result<(), Failure> {
        if let Some(pid) = self.child.pid() {
            self.forked.look(pid);
        }
        let (Some(max), Some(used)) = (self.rss_max_bytes, self.rss_bytes()) else {
            return Ok(());
        };
        if used <= max {
            return Ok(());
        }
        let (used, max) = (used >> 20, max >> 20);
        let whose = match self.forked.rss_bytes() >> 20 {
            0 => String::new(),
            forked => format!(", {forked} MiB of it in processes that it started"),
        };
        let what = format!("uses {used} MiB{whose}, more than rss_max = {max} MiB, and was ended");
        Err(lost(LostReason::Memory, what))
    }

    /// The catalog's series of a host's id; an error if the host never gave such an id.
    pub(super) fn series_of(&self, id: u32) -> Result<Option<SeriesId>, UnknownSeries> {
        self.series.get(id as usize).copied().ok_or(UnknownSeries)
    }

    pub(super) fn live_series(&self) -> Vec<SeriesId> {
        self.series.iter().flatten().copied().collect()
    }

    /// What was not taken since the last call.
    pub(super) fn take_refused(&mut self) -> Refused {
        let mut refused = std::mem::take(&mut self.refused);
        refused.append(std::mem::take(&mut self.events.refused));
        refused
    }

    /// Says how much of the last collect's log was left out.
    pub(super) fn count_lines(&mut self, collector: &str) {
        self.log.end(collector);
    }

    /// Ends the host. A thread only sees that its link has ended.
    pub(super) async fn kill(&mut self) {
        let _ = rustix::net::shutdown(&self.link, Shutdown::Both);
        self.child.kill().await;
    }
}

/// Waits until the lookup is overdue; for ever where there is none. Cancel-safe.
async fn overdue(pending: &mut Option<Pending>) {
    match pending {
        Some(pending) => pending.overdue().await,
        None => std::future::pending().await,
    }
}

/// A sample of a series that was never declared.
pub(super) struct UnknownSeries;

fn gone() -> Failure {
    lost(LostReason::Exited, "went away")
}
