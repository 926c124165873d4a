//! The whole agent: the only file that knows all parts. It wires them, starts them and stops them in order.
//!
//! Stop order: the server stops accepting and tells its clients when to come back, collectors stop, the bus
//! drains into the hub, the hub ends. Each step is bounded, and what does not end is named in the log.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::bus::Bus;
use crate::catalog::{Catalog, CollectorId};
use crate::clock::Clock;
use crate::collect::process::Process;
use crate::collect::spawner::Spawner;
use crate::collect::stats::Registry;
use crate::collect::supervisor::{Parts, Supervisor};
use crate::collect::{self, Runner, Settings};
use crate::config::{Config, Instance};
use crate::current::Current;
use crate::health::Board;
use crate::http::{self, State};
use crate::hub::{self, Hub};
use crate::protocol::Component;
use crate::{introspect, machine};

/// Batches that may wait for the hub: 17 minutes of one collector, or a minute of sixteen.
const HUB_QUEUE_BATCHES: usize = 1_024;
/// Each step of the stop.
const STEP_TIMEOUT: Duration = Duration::from_secs(4);

/// Why the agent can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder for data can't be used.
    #[error(
        "data folder {path} can't be used: {error}; set `data_dir` to a folder that this user may write to"
    )]
    DataDir {
        /// As configured.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody listens there already.
    #[error("address {0} is in use; stop what listens there or set `listen` to another port")]
    InUse(SocketAddr),
    /// The address can't be listened on.
    #[error("address {address} can't be listened on: {error}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The thread that starts plugins could not be started.
    #[error("plugins can't be started: {0}")]
    Spawner(io::Error),
}

/// Makes what collects for one collector.
pub type MakeRunner<R> = Box<dyn Fn(Settings, Catalog, CollectorId) -> R + Send + Sync>;

struct Task {
    name: String,
    handle: JoinHandle<()>,
}

struct Collecting {
    instance: Instance,
    stop: watch::Sender<bool>,
    task: Task,
}

/// A running agent.
pub struct App<R: Runner = Process> {
    config: Config,
    parts: Parts,
    stats: Registry,
    hub: Hub,
    address: SocketAddr,
    make_runner: MakeRunner<R>,
    collectors: HashMap<String, Collecting>,
    stop_server: watch::Sender<bool>,
    stop_introspect: watch::Sender<bool>,
    server: Task,
    introspect: Task,
    hub_task: Task,
}

impl<R: Runner> std::fmt::Debug for App<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Starts everything, each plugin in a process of its own.
    pub fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let spawner = Spawner::start().map_err(StartError::Spawner)?;
        let make =
            move |settings, catalog, id| Process::new(settings, spawner.clone(), catalog, id);
        Self::start_with(config, clock, Box::new(make))
    }
}

impl<R: Runner> App<R> {
    /// Starts everything, with `make_runner` making what collects: processes, or simulated sources in tests.
    pub fn start_with(
        config: Config,
        clock: Clock,
        make_runner: MakeRunner<R>,
    ) -> Result<Self, StartError> {
        prepare_folder(&config.data_dir)?;
        let (listener, address) = listen(config.listen)?;
        let (bus, mut queues) = Bus::new(&[("hub", HUB_QUEUE_BATCHES)]);
        let queue = queues.pop().expect("one queue was asked for");
        let (catalog, board, tiers) = (Catalog::default(), Board::default(), config.tiers);
        let current = Current::new(catalog.clone());
        let (hub, run_hub) = hub::start(hub::Parts {
            clock: clock.clone(),
            tiers,
            catalog: catalog.clone(),
            board: board.clone(),
            current: current.clone(),
            queue,
        });
        let parts = Parts {
            clock: clock.clone(),
            tiers,
            catalog: catalog.clone(),
            bus,
            board,
        };
        let registry = Registry::default();
        let (stop_server, server_stops) = watch::channel(false);
        let state = State {
            config: config.http.clone(),
            clock: clock.clone(),
            tiers,
            catalog: catalog.clone(),
            board: parts.board.clone(),
            current,
            hub: hub.clone(),
            started_at: clock.now_ms(),
            agent_id: random_id(),
            host: machine::read(),
            address,
            started: clock.mono(),
            stats: Arc::default(),
        };
        let serving = http::serve(listener, Arc::new(state), server_stops);
        let (stop_introspect, introspect_stops) = watch::channel(false);
        let sources = introspect::Sources {
            clock,
            tiers,
            catalog,
            bus: parts.bus.clone(),
            stats: registry.clone(),
            hub: hub.clone(),
        };
        let mut app = Self {
            server: Task::spawn("server", serving),
            introspect: Task::spawn("introspection", introspect::run(sources, introspect_stops)),
            hub_task: Task::spawn("hub", run_hub),
            config,
            parts,
            stats: registry,
            hub,
            address,
            make_runner,
            collectors: HashMap::new(),
            stop_server,
            stop_introspect,
        };
        for instance in app.config.collectors.clone() {
            app.collect(instance);
        }
        Ok(app)
    }

    /// Where the server listens; the real port where port 0 was configured.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// For subscribing without a socket.
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Every component's state.
    pub const fn board(&self) -> &Board {
        &self.parts.board
    }

    /// The collectors' numbers.
    pub const fn stats(&self) -> &Registry {
        &self.stats
    }

    /// Takes over what can change in a running agent: collectors are stopped, started and started anew.
    /// Gives back the sections that only a restart would change; they keep their old values.
    pub async fn reload(&mut self, new: Config) -> Vec<&'static str> {
        let fixed: Vec<_> = self
            .config
            .changes(&new)
            .into_iter()
            .filter(|section| !matches!(*section, "plugins" | "log"))
            .collect();
        let wanted = |name: &str| new.collectors.iter().find(|instance| instance.name == name);
        let stale: Vec<_> = self
            .collectors
            .values()
            .filter(|running| wanted(&running.instance.name) != Some(&running.instance))
            .map(|running| running.instance.name.clone())
            .collect();
        for name in stale {
            self.stop_collector(&name, wanted(&name).is_none()).await;
        }
        for instance in new.collectors.clone() {
            if !self.collectors.contains_key(&instance.name) {
                self.collect(instance);
            }
        }
        self.config.collectors = new.collectors;
        self.config.log = new.log;
        fixed
    }

    /// Stops everything in order.
    pub async fn stop(self) {
        self.stop_server.send_replace(true);
        self.server.join().await;
        for running in self.collectors.values() {
            running.stop.send_replace(true);
        }
        for running in self.collectors.into_values() {
            running.task.join().await;
        }
        self.stop_introspect.send_replace(true);
        self.introspect.join().await;
        // The last handles of bus and hub go, so the hub's queue ends, and with it the hub.
        drop((self.parts, self.hub));
        self.hub_task.join().await;
    }

    /// Starts a collector; one that can't start is shown as down, with the reason.
    fn collect(&mut self, instance: Instance) {
        let settings = match instance.settings() {
            Ok(settings) => settings,
            Err(error) => return self.refuse(&instance, &error),
        };
        let topic = collect::topic_of(&settings);
        let Parts { catalog, .. } = &self.parts;
        let id = catalog.register(
            &settings.name,
            &settings.plugin,
            &topic,
            settings.series_max,
        );
        let stats = self.stats.of(&settings.name, &settings.plugin);
        let runner = (self.make_runner)(settings.clone(), catalog.clone(), id);
        let name = settings.name.clone();
        let supervisor = Supervisor::new(settings, id, self.parts.clone(), stats, runner);
        let (stop, stops) = watch::channel(false);
        let task = Task::spawn(&name, supervisor.run(stops));
        self.collectors.insert(
            name,
            Collecting {
                instance,
                stop,
                task,
            },
        );
    }

    fn refuse(&self, instance: &Instance, error: &str) {
        tracing::error!(collector = %instance.name, "plugin can't be run: {error}");
        self.parts.board.report(Component {
            name: instance.name.clone(),
            topic: instance.plugin.clone(),
            up: false,
            latency_ms: None,
            since: self.parts.clock.now_ms(),
            restarts: 0,
            error: Some(error.to_owned()),
        });
    }

    async fn stop_collector(&mut self, name: &str, for_good: bool) {
        let Some(running) = self.collectors.remove(name) else {
            return;
        };
        running.stop.send_replace(true);
        running.task.join().await;
        if !for_good {
            return;
        }
        self.parts.board.remove(name);
        let gone: Vec<_> = {
            let tables = self.parts.catalog.read();
            let of_it = |id| tables.collector(id).name == name;
            tables
                .all_series()
                .filter(|(_, s)| of_it(s.collector))
                .map(|(id, _)| id)
                .collect()
        };
        for id in gone {
            self.parts.catalog.retire(id);
        }
    }
}

impl Task {
    fn spawn(name: &str, future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            name: name.to_owned(),
            handle: tokio::spawn(future),
        }
    }

    async fn join(mut self) {
        match timeout(STEP_TIMEOUT, &mut self.handle).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = %self.name, "ended badly: {error}"),
            Err(_) => {
                let seconds = STEP_TIMEOUT.as_secs();
                tracing::error!(task = %self.name, "did not end within {seconds} s and was left behind");
                self.handle.abort();
            }
        }
    }
}

/// Makes the folder and sees that files can be made in it.
fn prepare_folder(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let fail = |error| StartError::DataDir {
        path: path.to_owned(),
        error,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(fail)?;
    let probe = path.join(".writable");
    std::fs::write(&probe, b"").map_err(fail)?;
    std::fs::remove_file(&probe).map_err(fail)
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refuse = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse(address),
        _ => StartError::Listen { address, error },
    };
    let listener = TcpListener::bind(address).map_err(refuse)?;
    listener.set_nonblocking(true).map_err(refuse)?;
    let actual = listener.local_addr().map_err(refuse)?;
    Ok((listener, actual))
}

/// Tells one run of the agent from another; no secret.
fn random_id() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let hash = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}", hash())
}
