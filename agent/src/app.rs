//! The whole agent: the only file that knows all parts. It wires them, starts them and stops them in order.
//!
//! The store is opened first: it refuses a folder that another agent has. Stop order: the server stops accepting and
//! tells its clients when to come back, collectors stop, their events are stored, the bus drains into the hub, the
//! alerts and the store, the alerts write what changed, the hub ends, the store flushes and syncs. Each step is
//! bounded, and what does not end is named in the log.

mod alerting;
mod collectors;
mod plugin_events;
mod trials;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::bus::{Bus, Queue};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::collect::library::Shelf;
use crate::collect::lookup::Lookups;
use crate::collect::process::Process;
use crate::collect::spawner::Spawner;
use crate::collect::stats::Stats;
use crate::collect::supervisor::Parts;
use crate::collect::{Runner, Settings};
use crate::config::Config;
use crate::current::Current;
use crate::health::Board;
use crate::http::{self, State};
use crate::hub::{self, Hub};
use crate::store::engine::Engine;
use crate::store::{self, StoreError};
use crate::{control, introspect, machine};
use alerting::Alerting;
use collectors::Collectors;
pub use collectors::MakeRunner;
use plugin_events::PluginEvents;
pub use trials::Tried;

/// The folder of the libraries that are loaded, in the data folder.
const PLUGINS: &str = "plugins";
/// Batches that may wait for the hub: 17 minutes of one collector, or a minute of sixteen.
const HUB_QUEUE_BATCHES: usize = 1_024;
/// Each step of the stop.
const STEP_TIMEOUT: Duration = Duration::from_secs(3);

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
    /// The socket for the command line can't be made.
    #[error("{path} can't be made: {error}")]
    Socket {
        /// In the data folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The store in it can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
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

struct Task {
    name: String,
    handle: JoinHandle<()>,
}

/// A running agent.
pub struct App<R: Runner = Process> {
    config: Config,
    collectors: Collectors<R>,
    hub: Hub,
    address: SocketAddr,
    stop_server: watch::Sender<bool>,
    stop_control: watch::Sender<bool>,
    stop_introspect: watch::Sender<bool>,
    server: Task,
    control: Task,
    introspect: Task,
    hub_task: Task,
    alerting: Alerting,
    plugin_events: PluginEvents,
    store: Task,
    engine: Arc<Engine>,
}

impl<R: Runner> std::fmt::Debug for App<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The data folder, which is this process's alone, with what outlives an agent opened.
#[derive(Debug)]
pub struct Prepared {
    engine: Arc<Engine>,
    shelf: Arc<Shelf>,
}

impl Prepared {
    /// Where the libraries are that may be loaded.
    pub const fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }
}

/// Makes or takes the data folder. It comes before the start, because plugins judge their configuration in
/// between, and no library runs that was not checked and copied into the folder.
pub fn prepare(config: &Config, clock: &Clock) -> Result<Prepared, StartError> {
    prepare_folder(&config.data_dir)?;
    // The store locks the folder, and leaves alone what is another agent's or a newer one's.
    let engine = Engine::open(&config.data_dir, config.store, clock.now_ms())?;
    let path = config.data_dir.join(PLUGINS);
    let shelf = match Shelf::open(&path) {
        Ok(shelf) => shelf,
        Err(error) => return Err(StartError::DataDir { path, error }),
    };
    if let Some(folder) = shelf.open_above() {
        let (folder, path) = (folder.display(), path.display());
        tracing::warn!(
            "anybody may write to {folder}, and so put other plugins in the place of {path}; `chmod 755 {folder}`"
        );
    }
    Ok(Prepared {
        engine: Arc::new(engine),
        shelf: Arc::new(shelf),
    })
}

impl App {
    /// Starts everything, each plugin as its configuration has it. What plugins leave behind is ended if the caller
    /// has called [`Spawner::reap_from_now`].
    pub fn start(config: Config, clock: Clock, prepared: Prepared) -> Result<Self, StartError> {
        let spawner = Spawner::start().map_err(StartError::Spawner)?;
        let make = move |settings, catalog, id, events| {
            Process::new(settings, spawner.clone(), catalog, id).with_events(events)
        };
        Self::start_with(config, clock, prepared, Box::new(make))
    }
}

impl<R: Runner> App<R> {
    /// Starts everything, with `make_runner` making what collects: processes, or simulated sources in tests.
    pub fn start_with(
        config: Config,
        clock: Clock,
        Prepared { engine, shelf }: Prepared,
        make_runner: MakeRunner<R>,
    ) -> Result<Self, StartError> {
        let (listener, address) = listen(config.listen)?;
        let (stop_control, controlling) = prepare_control(&config.data_dir, &clock, &engine)?;
        let (bus, queues) = Bus::new(&[
            ("hub", HUB_QUEUE_BATCHES),
            ("store", store::task::QUEUE_BATCHES),
            ("alerts", alerting::QUEUE_BATCHES),
        ]);
        let [queue, store_queue, alerts_queue] =
            <[Queue; 3]>::try_from(queues).expect("three queues were asked for");
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
        let alerting = Alerting::start(&engine, &clock, &catalog, alerts_queue, &config, &hub);
        let plugin_events =
            PluginEvents::start(&engine.core, &clock, &board, &hub).map_err(StoreError::from)?;
        let parts = Parts {
            clock: clock.clone(),
            tiers,
            catalog: catalog.clone(),
            bus,
            board,
        };
        // Before the server accepts: a client may subscribe to every configured topic at once.
        let outbox = plugin_events.outbox.clone();
        let mut collectors = Collectors::new(parts.clone(), outbox, make_runner, shelf);
        catalog.reserve(introspect::NAME);
        collectors.start(&config.collectors);
        collectors.sweep();
        let (stop_server, server_stops) = watch::channel(false);
        let state = State {
            config: config.http.clone(),
            clock: clock.clone(),
            tiers,
            catalog: catalog.clone(),
            board: parts.board.clone(),
            current,
            alerts: alerting.alerts.clone(),
            plugins: collectors.stats.clone(),
            plugin_events: Arc::clone(&plugin_events.kept),
            hub: hub.clone(),
            started_at: clock.now_ms(),
            agent_id: random_id(),
            host: machine::read(),
            address,
            started: clock.mono(),
            stats: Arc::default(),
            store: Arc::clone(&engine),
            queries: http::Queries::default(),
        };
        let server = Arc::clone(&state.stats);
        let serving = http::serve(listener, Arc::new(state), server_stops);
        let storing = store::task::run(store::task::Parts {
            clock: clock.clone(),
            catalog: catalog.clone(),
            board: parts.board.clone(),
            engine: Arc::clone(&engine),
            queue: store_queue,
        });
        let (stop_introspect, introspect_stops) = watch::channel(false);
        let sources = introspect::Sources {
            clock,
            tiers,
            catalog,
            bus: parts.bus,
            stats: collectors.stats.clone(),
            hub: hub.clone(),
            server,
            store: Arc::clone(&engine),
        };
        let introspect = introspect::run(sources, introspect_stops);
        Ok(Self {
            introspect: Task::spawn("introspection", introspect),
            hub_task: Task::spawn("hub", run_hub),
            alerting,
            plugin_events,
            control: Task::spawn("agent.sock", controlling),
            store: Task::spawn("store", storing),
            engine,
            server: Task::spawn("server", serving),
            config,
            collectors,
            hub,
            address,
            stop_server,
            stop_control,
            stop_introspect,
        })
    }

    /// Where the server listens; the real port where port 0 was configured.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// For subscribing without a socket.
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The store, for asking it without a socket.
    pub const fn store(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The collectors' numbers.
    pub const fn stats(&self) -> &Stats {
        &self.collectors.stats
    }

    /// Where something is looked up in plugins.
    pub const fn lookups(&self) -> &Lookups {
        &self.collectors.lookups
    }

    /// Whether a collector runs with exactly these settings, and nothing else is wanted of it.
    pub fn runs(&self, settings: &Settings) -> bool {
        self.collectors.runs(settings)
    }

    /// Takes over what can change in a running agent: collectors are stopped, started and exchanged. Those that are
    /// to take the place of others are tried first, see [`App::tried`].
    /// Gives back the sections that only a restart would change; they keep their old values.
    pub async fn reload(&mut self, new: Config) -> Vec<&'static str> {
        let fixed: Vec<_> = self
            .config
            .changes(&new)
            .into_iter()
            .filter(|section| !matches!(*section, "plugins" | "log" | "alerts"))
            .collect();
        self.collectors.exchange(&new.collectors).await;
        self.config.collectors = new.collectors;
        self.config.log = new.log;
        if self.config.alerts != new.alerts {
            self.alerting.alerts.set_rules(new.alerts.clone());
            self.config.alerts = new.alerts;
        }
        fixed
    }

    /// Waits until some of those were tried, and for ever if there are none. Whoever calls it calls
    /// [`App::take_over`] then. Cancel-safe.
    pub async fn tried(&mut self) -> Tried {
        self.collectors.tried().await
    }

    /// Exchanges collectors for those that were tried, or shows why they go on as before.
    pub async fn take_over(&mut self, tried: Tried) {
        self.collectors.take_over(tried).await;
    }

    /// Stops everything in order.
    pub async fn stop(self) {
        let parts = self.collectors.parts.clone();
        let step = || parts.clock.mono() + STEP_TIMEOUT;
        self.stop_server.send_replace(true);
        self.stop_control.send_replace(true);
        let accepting = step();
        self.server.join(accepting).await;
        self.control.join(accepting).await;
        self.collectors.stop_all().await;
        self.stop_introspect.send_replace(true);
        self.introspect.join(step()).await;
        self.plugin_events.stop(step()).await;
        let last = step();
        // The last handles of bus and hub go, so the queues end, and with them the alerts, the hub and the store.
        drop((parts, self.hub));
        self.alerting.join(last).await;
        self.hub_task.join(last).await;
        self.store.join(last).await;
    }
}

impl Task {
    fn spawn(name: &str, future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            name: name.to_owned(),
            handle: tokio::spawn(future),
        }
    }

    /// Waits for its end until a moment that several tasks may share.
    async fn join(mut self, until: Instant) {
        match timeout_at(until, &mut self.handle).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = %self.name, "ended badly: {error}"),
            Err(_) => {
                tracing::error!(task = %self.name, "did not end in time and was left behind");
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
    // A new file, so that nothing that lies there, a link least of all, is ever written to.
    let probe = path.join(format!(".writable-{}", random_id()));
    std::fs::File::create_new(&probe).map_err(fail)?;
    std::fs::remove_file(&probe).map_err(fail)
}

/// Binds the command line's socket in the owned folder; the future answers on it.
fn prepare_control(
    data_dir: &Path,
    clock: &Clock,
    engine: &Arc<Engine>,
) -> Result<(watch::Sender<bool>, impl Future<Output = ()> + use<>), StartError> {
    let socket = control::Socket::bind(data_dir).map_err(|error| {
        let path = data_dir.join(control::SOCKET);
        StartError::Socket { path, error }
    })?;
    let parts = control::Parts {
        clock: clock.clone(),
        engine: Arc::clone(engine),
        root: data_dir.to_owned(),
    };
    let (stop, stops) = watch::channel(false);
    Ok((stop, control::serve(socket, parts, stops)))
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
