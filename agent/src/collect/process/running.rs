//! A plugin's process that runs: its link, its ids, its end.
//!
//! It speaks the link's messages and maps the host's ids to the catalog's; what is asked and for how long it is
//! waited is [`super::Process`]'s business. Whoever drops it ends the whole process group.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::Signal;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{CANCEL_GRACE, StartError, lost};
use crate::catalog::{Catalog, CollectorId, METRICS_MAX, Metric, MetricId, SeriesId};
use crate::collect::link::{self, Done, MetricDefinition, Purpose, ToAgent, ToHost};
use crate::collect::spawner::Child;
use crate::collect::{Failure, LostReason, Settings, noise};

/// What is read from the link at a time.
const READ_BYTES: usize = 16 << 10;
/// Series that a process may declare in its life, as a multiple of those that may live at a time.
const SERIES_CHURN_MAX: usize = 50;
/// Lines that a plugin may log for each collect; the rest is counted.
const LOG_LINES_MAX: u32 = 20;

#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: rustix::process::Pid,
    pub(super) process: tokio::process::Child,
    pub(super) link: UnixStream,
    pub(super) noise: Option<JoinHandle<()>>,
    /// Bytes read and not decoded yet.
    pub(super) input: Vec<u8>,
    /// The catalog's ids by the host's; `None` where the catalog refused.
    pub(super) metrics: Vec<Option<MetricId>>,
    pub(super) series: Vec<Option<SeriesId>>,
    pub(super) log_lines: u32,
}

impl Drop for Running {
    /// A start or a collect that was given up must not leave a process behind.
    fn drop(&mut self) {
        if self.process.id().is_some() {
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
    }
}

/// What a running plugin is driven with.
pub(super) struct Scope<'a> {
    pub(super) settings: &'a Settings,
    pub(super) catalog: &'a Catalog,
    pub(super) collector: CollectorId,
}

impl Running {
    pub(super) fn new(child: Child, name: &str) -> io::Result<Self> {
        let link = std::os::unix::net::UnixStream::from(child.link);
        link.set_nonblocking(true)?;
        Ok(Self {
            pid: child.pid,
            process: child.process,
            link: UnixStream::from_std(link)?,
            noise: Some(tokio::spawn(noise::forward(name.to_owned(), child.output))),
            input: Vec::new(),
            metrics: Vec::new(),
            series: Vec::new(),
            log_lines: 0,
        })
    }

    pub(super) async fn load(
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

    pub(super) async fn send(&mut self, message: &ToHost) -> Result<(), Failure> {
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
    pub(super) async fn done(&mut self, scope: &Scope<'_>, number: u64) -> Result<Done, Failure> {
        loop {
            if let ToAgent::Done(done) = self.next(scope).await?
                && done.number == number
            {
                return Ok(done);
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

    /// The next message, definitions and log lines handled on the way. Cancel-safe: bytes are kept.
    pub(super) async fn next(&mut self, scope: &Scope<'_>) -> Result<ToAgent, Failure> {
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
            self.check_bounds(scope.settings)?;
        }
    }

    pub(super) async fn fill(&mut self) -> Result<(), Failure> {
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
    pub(super) fn absorb(&mut self, scope: &Scope<'_>, message: ToAgent) -> Option<ToAgent> {
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

    /// The host keeps these bounds too; a plugin that writes to the link by itself, or whose labels churn without
    /// end, is started anew, which gives back what its definitions took here.
    pub(super) fn check_bounds(&self, settings: &Settings) -> Result<(), Failure> {
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

    pub(super) fn live_series(&self) -> Vec<SeriesId> {
        self.series.iter().flatten().copied().collect()
    }

    /// Says how much of the last collect's log was left out.
    pub(super) fn count_lines(&mut self, collector: &str) {
        if let Some(more @ 1..) = self.log_lines.checked_sub(LOG_LINES_MAX) {
            tracing::warn!(target: "plugin", collector, "logged {more} lines more, which were left out");
        }
        self.log_lines = 0;
    }

    /// Ends the whole group, the plugin's own children too, and reaps the child. A child that was ending by
    /// itself keeps its own status.
    pub(super) async fn kill(mut self) -> Option<Failure> {
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
    pub(super) fn define(&self, definition: MetricDefinition) -> Option<MetricId> {
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

    pub(super) fn define_series(
        &self,
        metric: MetricId,
        mut values: Vec<String>,
    ) -> Option<SeriesId> {
        if self.settings.labelled {
            values.insert(0, self.settings.name.clone());
        }
        self.catalog
            .define_series(self.collector, metric, values)
            .inspect_err(|error| tracing::debug!(plugin = %self.settings.name, "{error}"))
            .ok()
    }
}
