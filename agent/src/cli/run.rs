//! `barograph run`: the agent from its first line of log to its last.
//!
//! SIGTERM and SIGINT stop it within [`STOP_MAX`]; a second one ends it at once. SIGHUP reads the
//! configuration again, and looks at the plugins' libraries: what is wrong with the configuration is logged
//! and the old one stays, else the agent takes over what it can and names what needs a restart. The one line on
//! stdout is the page's address.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::check::check_keys;
use super::{Failure, load};
use crate::app::{self, App, StartError};
use crate::clock::Clock;
use crate::collect::library::Shelf;
use crate::collect::spawner::Spawner;
use crate::config::{Config, ConfigError, ConfigErrors, Source};
use crate::log;

/// Parts that have not stopped by then are left behind.
const STOP_MAX: Duration = Duration::from_secs(10);
/// What blocking work may still take when everything else has stopped.
const THREADS_MAX: Duration = Duration::from_millis(500);
/// A plugin answers within milliseconds what it thinks of its keys; one that hangs must not hold the agent.
const CHECK_MAX: Duration = Duration::from_secs(1);

pub(super) fn run(path: Option<&Path>) -> Result<(), Failure> {
    let (config, source) = load(path)?;
    let log = log::init(&config.log);
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.runtime.workers)
        .thread_name("worker")
        .enable_all()
        .build()
        .map_err(|error| Failure::Running(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(serve(path.map(Path::to_owned), config, &source, &log));
    runtime.shutdown_timeout(THREADS_MAX);
    outcome
}

/// Each client is a descriptor, and the usual soft limit of 1,024 is far below the connections we allow.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "the limit of open files can't be raised; fewer clients can connect");
    }
}

/// What a signal asks for.
enum Request {
    /// With the signal's name.
    Stop(&'static str),
    Reload,
}

/// The signals that an agent listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::Running(format!("signals can't be received: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            reload: listen(SignalKind::hangup())?,
        })
    }

    /// The next one. Cancel-safe.
    async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Request::Stop("SIGINT"),
            _ = self.reload.recv() => Request::Reload,
        }
    }

    /// Waits to be told to stop and gives the signal's name; a wish to reload stays. Cancel-safe.
    async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

async fn serve(
    path: Option<PathBuf>,
    config: Config,
    source: &Source,
    log: &log::Handle,
) -> Result<(), Failure> {
    // Before anything is started, so that no signal finds a half-built agent.
    let mut signals = Signals::new()?;
    let clock = Clock::system();
    let prepared = app::prepare(&config, &clock)?;
    let shelf = Arc::clone(prepared.shelf());
    // Also what a plugin leaves behind while it checks its configuration is found.
    Spawner::reap_from_now()
        .map_err(|error| Failure::Running(format!("plugins can't be started: {error}")))?;
    let mut checks = Checks::start(&config, source, &shelf);
    checks.finish().await?;
    let file = source.file().map(|file| file.display().to_string());
    info!(
        version = env!("CARGO_PKG_VERSION"),
        config = file,
        "starting"
    );
    if config.collectors.is_empty() {
        warn!(
            "nothing is collected: no plugin is configured, and none that was found runs without that"
        );
    }
    let mut known = config.clone();
    let mut app = App::start(config, clock, prepared)?;
    announce(&app);
    let name = loop {
        tokio::select! {
            request = signals.next() => match request {
                Request::Stop(name) => break name,
                // Plugins that hang can make it last, and a stop does not wait for that.
                Request::Reload => tokio::select! {
                    () = reload(path.as_deref(), &mut known, &mut app, log, &mut checks, &shelf) => {}
                    name = signals.stop() => break name,
                },
            },
            tried = app.tried() => tokio::select! {
                () = app.take_over(tried) => {}
                name = signals.stop() => break name,
            },
            Some(errors) = checks.late() => {
                for error in errors {
                    error!("{error}");
                }
            }
        }
    };
    info!(signal = name, "stopping");
    stop(app, &mut signals).await
}

async fn stop(app: App, signals: &mut Signals) -> Result<(), Failure> {
    let stopped = tokio::select! {
        stopped = timeout(STOP_MAX, app.stop()) => stopped,
        name = signals.stop() => {
            let message = format!("a second signal, {name}, ended the agent at once");
            return Err(Failure::Running(message));
        }
    };
    if stopped.is_err() {
        let message = format!("not everything stopped within {} s", STOP_MAX.as_secs());
        return Err(Failure::Running(message));
    }
    info!("stopped");
    Ok(())
}

/// Plugins that are judging their keys, each in a process of its own.
///
/// One that refuses them would only fail again and again, so the operator hears of it before the agent
/// starts. One that can't even be asked is not a mistake of the configuration: its supervisor deals with it.
struct Checks(JoinSet<Vec<ConfigError>>);

impl Checks {
    fn start(config: &Config, source: &Source, shelf: &Arc<Shelf>) -> Self {
        let mut checks = JoinSet::new();
        for instance in &config.collectors {
            let (instance, source, shelf) = (instance.clone(), source.clone(), Arc::clone(shelf));
            checks.spawn(async move {
                // Reads the library where it has changed; collectors that run are served meanwhile.
                let resolving = instance.clone();
                let settings = spawn_blocking(move || resolving.settings(&shelf)).await;
                match settings {
                    Ok(Ok(settings)) => check_keys(&instance, settings, &source).await,
                    // A library that can't be used is said by whoever would run it.
                    _ => Vec::new(),
                }
            });
        }
        Self(checks)
    }

    /// Waits for those that answer in time.
    async fn finish(&mut self) -> Result<(), ConfigErrors> {
        let mut errors = Vec::new();
        let all = async {
            while let Some(found) = self.late().await {
                errors.extend(found);
            }
        };
        if timeout(CHECK_MAX, all).await.is_err() {
            warn!("a plugin has not checked its configuration yet; the agent goes on without it");
        }
        ConfigErrors::new(errors).map_or(Ok(()), Err)
    }

    /// The errors of one more plugin; `None` when none is asked any more. Cancel-safe.
    async fn late(&mut self) -> Option<Vec<ConfigError>> {
        let joined = self.0.join_next().await?;
        Some(joined.unwrap_or_default())
    }
}

fn announce(app: &App) {
    let address = app.address();
    let mut out = io::stdout().lock();
    let written =
        writeln!(out, "listening on http://{address}/dashboard/").and_then(|()| out.flush());
    if let Err(error) = written {
        warn!(%error, "stdout can't be written");
    }
    info!(%address, "listening");
}

async fn reload(
    path: Option<&Path>,
    known: &mut Config,
    app: &mut App,
    log: &log::Handle,
    checks: &mut Checks,
    shelf: &Arc<Shelf>,
) {
    let loaded = match load(path) {
        Ok((new, source)) => {
            *checks = Checks::start(&new, &source, shelf);
            checks.finish().await.map(|()| new)
        }
        Err(errors) => Err(errors),
    };
    let new = match loaded {
        Ok(new) => new,
        Err(errors) => {
            for error in errors.iter() {
                error!("{error}");
            }
            error!("the configuration was not reloaded; the old one stays");
            return;
        }
    };
    log.set(&new.log.level);
    if known.log.format != new.log.format {
        warn!("log.format was changed; it takes effect with a restart");
    }
    let changed = known.changes(&new);
    let fixed = app.reload(new.clone()).await;
    for section in &fixed {
        warn!("{section} was changed; it takes effect with a restart");
    }
    let applied: Vec<_> = changed
        .into_iter()
        .filter(|section| !fixed.contains(section))
        .collect();
    *known = new;
    info!(
        applied = applied.join(", "),
        "the configuration was reloaded"
    );
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::InUse(_) => Self::AddressInUse(error.to_string()),
            StartError::DataDir { .. } | StartError::Store(_) => {
                Self::DataFolder(error.to_string())
            }
            StartError::Listen { .. } | StartError::Socket { .. } | StartError::Spawner(_) => {
                Self::Running(error.to_string())
            }
        }
    }
}
