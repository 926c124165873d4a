//! One plugin in its process: the real [`Runner`].
//!
//! It owns the child, the agent's end of the link and the mapping from the host's ids to the catalog's.
//! It gives a collect its deadline, then a cancel and a short grace, then SIGKILL to the child's whole group.
//! It knows no schedule and no back-off; those are the supervisor's.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use barograph_sdk::abi;
use rustix::process::Signal;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::link::{self, Done, MetricDefinition, Purpose, ToAgent, ToHost};
use super::spawner::Spawner;
use super::{Collected, Failure, LostReason, Runner, Settings, keeps_samples, noise};
use crate::bus::Sample;
use crate::catalog::{Catalog, CollectorId, Metric, MetricId, SeriesId};
use crate::clock::{Tick, TierSet};

/// From spawn to `Ready`.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Between the cancel and SIGKILL, and for a polite stop.
const CANCEL_GRACE: Duration = Duration::from_millis(100);
/// For a plugin to stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// What is read from the link at a time.
const READ_BYTES: usize = 16 << 10;
/// Lines that a plugin may log for each collect; the rest is counted.
const LOG_LINES_MAX: u32 = 20;

/// A plugin in its process.
#[derive(Debug)]
pub struct Process {
    settings: Settings,
    spawner: Spawner,
    catalog: Catalog,
    collector: CollectorId,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    pid: rustix::process::Pid,
    process: tokio::process::Child,
    link: UnixStream,
    /// Bytes read and not decoded yet.
    input: Vec<u8>,
    /// The catalog's ids by the host's; `None` where the catalog refused.
    metrics: Vec<Option<MetricId>>,
    series: Vec<Option<SeriesId>>,
    log_lines: u32,
}

/// What a running plugin is driven with.
struct Scope<'a> {
    settings: &'a Settings,
    catalog: &'a Catalog,
    collector: CollectorId,
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
                running.kill().await;
                Err(error)
            }
            Err(_) => {
                running.kill().await;
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
        running.log_lines = 0;
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
        let ended = running.kill().await;
        if killed_by_us {
            failure
        } else {
            ended.unwrap_or(failure)
        }
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
        running.kill().await;
    }

    fn rss_bytes(&self) -> Option<u64> {
        let pid = self.running.as_ref()?.pid.as_raw_nonzero();
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }

    fn series(&self) -> Vec<SeriesId> {
        let running = self.running.as_ref();
        running
            .map(|running| running.series.iter().flatten().copied().collect())
            .unwrap_or_default()
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

impl Running {
    fn new(child: super::spawner::Child, name: &str) -> io::Result<Self> {
        // Ends by itself with the pipe, so that a plugin's last words still reach the log.
        tokio::spawn(noise::forward(name.to_owned(), child.output));
        let link = std::os::unix::net::UnixStream::from(child.link);
        link.set_nonblocking(true)?;
        Ok(Self {
            pid: child.pid,
            process: child.process,
            link: UnixStream::from_std(link)?,
            input: Vec::new(),
            metrics: Vec::new(),
            series: Vec::new(),
            log_lines: 0,
        })
    }

    async fn load(
        &mut self,
        scope: &Scope<'_>,
        purpose: Purpose,
    ) -> Result<[String; 3], StartError> {
        let settings = scope.settings;
        let load = ToHost::Load {
            purpose,
            library: settings.library.display().to_string(),
            config: settings.config.to_string(),
            series_max: u32::try_from(settings.series_max).unwrap_or(u32::MAX),
        };
        self.send(&load).await?;
        loop {
            match self.next(scope).await? {
                ToAgent::Ready {
                    name,
                    topic,
                    version,
                } => return Ok([name, topic, version]),
                ToAgent::Failed { field, message, .. } => {
                    return Err(StartError::Refused { field, message });
                }
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: &ToHost) -> Result<(), Failure> {
        use tokio::io::AsyncWriteExt as _;
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        // A few dozen bytes into an empty socket buffer; a child that reads nothing at all is killed.
        match timeout(CANCEL_GRACE, self.link.write_all(&bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(lost(LostReason::Exited, "went away")),
            Err(_) => Err(lost(
                LostReason::Deadline,
                "does not read its link and was ended",
            )),
        }
    }

    /// Waits for the result of tick `number`; what was cancelled earlier may still answer before it.
    async fn done(&mut self, scope: &Scope<'_>, number: u64) -> Result<Done, Failure> {
        loop {
            if let ToAgent::Done(done) = self.next(scope).await?
                && done.number == number
            {
                return Ok(done);
            }
        }
    }

    /// Handles what comes between ticks, until the end. Cancel-safe, as [`Self::next`] is.
    async fn listen(&mut self, scope: &Scope<'_>) -> Failure {
        loop {
            if let Err(failure) = self.next(scope).await {
                return failure;
            }
        }
    }

    /// The next message, definitions and log lines handled on the way. Cancel-safe: bytes are kept.
    async fn next(&mut self, scope: &Scope<'_>) -> Result<ToAgent, Failure> {
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
            if let Some(message) = self.absorb(scope, message) {
                return Ok(message);
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        loop {
            let gone = || lost(LostReason::Exited, "went away");
            self.link.readable().await.map_err(|_| gone())?;
            self.input.reserve(READ_BYTES);
            match self.link.try_read_buf(&mut self.input) {
                Ok(0) => return Err(gone()),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(gone()),
            }
        }
    }

    /// Handles definitions and log lines, gives back the rest.
    fn absorb(&mut self, scope: &Scope<'_>, message: ToAgent) -> Option<ToAgent> {
        match message {
            ToAgent::Metric(definition) => {
                let id = scope.define(*definition);
                self.metrics.push(id);
            }
            ToAgent::Series { metric, values } => {
                let metric = self.metrics.get(metric as usize).copied().flatten();
                self.series
                    .push(metric.and_then(|metric| scope.define_series(metric, values)));
            }
            ToAgent::Retire { series } => {
                if let Some(slot) = self.series.get_mut(series as usize)
                    && let Some(id) = slot.take()
                {
                    scope.catalog.retire(id);
                }
            }
            ToAgent::Log { level, message } => {
                self.log_lines += 1;
                if self.log_lines <= LOG_LINES_MAX {
                    noise::log(&scope.settings.name, level, &message);
                }
            }
            other => return Some(other),
        }
        None
    }

    /// Ends the whole group, the plugin's own children too, and reaps the child. A child that was ending by
    /// itself keeps its own status.
    async fn kill(mut self) -> Option<Failure> {
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        self.process.wait().await.ok().map(how)
    }
}

fn how(status: ExitStatus) -> Failure {
    match (status.signal(), status.code()) {
        (Some(signal), _) => lost(LostReason::Killed, format!("was ended by signal {signal}")),
        (_, code) => lost(
            LostReason::Exited,
            format!("exited with code {}", code.unwrap_or(0)),
        ),
    }
}

impl Scope<'_> {
    fn define(&self, definition: MetricDefinition) -> Option<MetricId> {
        let (plugin, topic) = {
            let tables = self.catalog.read();
            let collector = tables.collector(self.collector);
            (collector.plugin.clone(), collector.topic.clone())
        };
        let mut labels = definition.labels;
        if self.settings.labelled {
            labels.insert(0, "instance".to_owned());
        }
        let metric = Metric {
            name: definition.name,
            help: definition.help,
            topic,
            plugin,
            kind: definition.kind,
            unit: definition.unit,
            tier: definition.tier,
            labels,
            otel: Some(definition.otel).filter(|otel| !otel.is_empty()),
            chart: definition.chart,
        };
        self.catalog
            .define_metric(self.collector, metric)
            .inspect_err(|error| tracing::warn!(plugin = %self.settings.name, "{error}"))
            .ok()
    }

    fn define_series(&self, metric: MetricId, mut values: Vec<String>) -> Option<SeriesId> {
        if self.settings.labelled {
            values.insert(0, self.settings.name.clone());
        }
        self.catalog
            .define_series(self.collector, metric, values)
            .inspect_err(|error| tracing::debug!(plugin = %self.settings.name, "{error}"))
            .ok()
    }
}

fn lost(reason: LostReason, message: impl Into<String>) -> Failure {
    Failure::Lost {
        reason,
        message: message.into(),
    }
}
