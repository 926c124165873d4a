//! `barograph run`: the agent from its first line of log to its last.
//!
//! SIGTERM and SIGINT stop it within [`STOP_MAX`]; a second one ends it at once. SIGHUP reads the
//! configuration again, and looks at the plugins' libraries: what is wrong with the agent's own keys is logged
//! and the old configuration stays, else the agent takes over what it can and names what needs a restart. What is
//! wrong with a plugin's keys costs that plugin's collector alone, see [`checks`]. The one line on stdout is the
//! page's address.

mod checks;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::{Failure, load};
use crate::app::{self, App, StartError};
use crate::clock::Clock;
use crate::collect::library::Shelf;
use crate::collect::spawner::Spawner;
use crate::collect::{self, Settings};
use crate::config::{Config, Source};
use crate::log;
use checks::Checks;

/// Parts that have not stopped by then are left behind.
const STOP_MAX: Duration = Duration::from_secs(10);
/// What blocking work may still take when everything else has stopped.
const THREADS_MAX: Duration = Duration::from_millis(500);

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
    collect::end_all();
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
    mut config: Config,
    source: &Source,
    log: &log::Handle,
) -> Result<(), Failure> {
    // Before anything is started, so that no signal finds a half-built agent.
    let mut signals = Signals::new()?;
    let clock = Clock::system();
    let prepared = app::prepare(&config, &clock)?;
    let shelf = Arc::clone(prepared.shelf());
    // Also what a plugin leaves behind while it checks its configuration is found, and the data is closed to it.
    Spawner::reap_from_now(&config.data_dir)
        .map_err(|error| Failure::Running(format!("plugins can't be started: {error}")))?;
    let mut checks = Checks::default();
    checks.mark(&mut config, source, &shelf, |_| false).await;
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
            Some((_, errors)) = checks.late() => {
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
    let (mut new, source) = match load(path) {
        Ok(loaded) => loaded,
        Err(errors) => {
            for error in errors.iter() {
                error!("{error}");
            }
            error!("the configuration was not reloaded; the old one stays");
            return;
        }
    };
    let runs = |settings: &Settings| app.runs(settings);
    checks.mark(&mut new, &source, shelf, runs).await;
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
        .iter()
        .copied()
        .filter(|section| !fixed.contains(section))
        .collect();
    *known = new;
    if changed.is_empty() {
        return info!(
            "the configuration was reloaded and is as before; libraries were looked at too"
        );
    }
    // None of them where all need a restart, which was said.
    let applied = Some(applied.join(", ")).filter(|applied| !applied.is_empty());
    info!(applied, "the configuration was reloaded");
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
