//! The fan-out of live data: subscriptions, tiers and what waits for each client.
//!
//! [`Hub`] is the handle that connections hold; one task ([`task`]) owns all subscriptions. It applies each
//! batch to [`Current`], and where somebody subscribed, encodes one frame for each feed ([`tiers`]) and puts
//! it into the subscribers' [`Lane`]s. Events for the admins come through [`Hub::announce`]. It never waits for a client, and knows nothing of transports.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::bus;
use crate::catalog::Catalog;
use crate::clock::{Clock, Tier, Tiers};
use crate::current::Current;
use crate::health::Board;
use crate::matching;
use crate::protocol::{ErrorBody, Match, ServerEvent, Shape};

mod encode;
pub mod frame;
mod lane;
mod table;
mod task;
mod tiers;

use frame::Frame;
use lane::Counters;
pub use lane::{Close, Lane};
pub(crate) use task::CHANNELS_MAX;

/// Requests that may wait for the task. A full queue makes the asking connection wait, nobody else.
const REQUESTS_MAX: usize = 256;
/// The channel of every component's state.
const BASIC: &str = "basic-metrics";
/// The channel of what happens.
const ADMIN: &str = "admin";

/// What the hub works with.
#[derive(Debug)]
pub struct Parts {
    /// Stamps and schedules `basic-metrics`.
    pub clock: Clock,
    /// Intervals; the hub's own schedule is that of the fast one.
    pub tiers: Tiers,
    /// Names of what batches hold.
    pub catalog: Catalog,
    /// Where `basic-metrics` come from.
    pub board: Board,
    /// What the hub keeps up to date.
    pub current: Current,
    /// The hub's own end of the bus.
    pub queue: bus::Queue,
}

/// Cloneable handle.
#[derive(Clone, Debug)]
pub struct Hub {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

/// Number of a connection, never used again while the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// A client as the hub sees it. Its holder calls [`Hub::disconnect`] when the client is gone.
#[derive(Debug)]
pub struct Connection {
    /// For later requests.
    pub id: ConnectionId,
    /// What waits for the client.
    pub lane: Arc<Lane>,
}

/// What can be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `basic-metrics`: each component's state, at each fast tick whatever the tier.
    Basic,
    /// `metrics:TOPIC`.
    Metrics(String),
    /// `admin`: alerts, and what else happens; none is lost.
    Admin,
}

/// What a client wants. It takes the place of an earlier one with the same target and tier.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The channel.
    pub target: Target,
    /// How often.
    pub tier: Tier,
    /// How the data is laid out.
    pub shape: Shape,
    /// Which series.
    pub matching: Match,
}

/// The hub has stopped, or is about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent is stopping and takes no new connections; connect again later")]
pub struct Closed;

/// Sums since the start, but for `clients`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Clients that are connected now.
    pub clients: u64,
    /// Frames that were taken out of lanes.
    pub frames: u64,
    /// Bytes of those, WebSocket headers included.
    pub bytes: u64,
    /// Metric frames that were replaced before they were taken.
    pub skipped: u64,
    /// Metric frames that were encoded, each for any number of clients.
    pub encoded: u64,
}

/// What the task reads.
#[derive(Debug)]
enum Request {
    Connect {
        reply: oneshot::Sender<Connection>,
    },
    Subscribe {
        id: ConnectionId,
        wanted: Subscription,
        reply: oneshot::Sender<Result<(), ErrorBody>>,
    },
    Unsubscribe {
        id: ConnectionId,
        held: Held,
        reply: oneshot::Sender<Result<(), ErrorBody>>,
    },
    Announce {
        frame: Frame,
    },
    Drain {
        spread: Duration,
        reply: oneshot::Sender<()>,
    },
}

/// What a connection can have one subscription to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    target: Target,
    tier: Tier,
}

/// What handles and task both reach.
#[derive(Debug, Default)]
struct Shared {
    /// Connections that are gone. Bounded by the number of connections, since each goes once.
    departed: Mutex<Vec<ConnectionId>>,
    wake: Notify,
    counters: Arc<Counters>,
}

/// The handle, and the task's work. That ends when the bus does or when the last handle is gone; whoever
/// is still connected then is told to come back.
pub fn start(parts: Parts) -> (Hub, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
    let shared = Arc::<Shared>::default();
    let task = task::Task::new(parts, receiver, Arc::clone(&shared));
    (
        Hub {
            requests: sender,
            shared,
        },
        task.run(),
    )
}

impl Hub {
    /// Adds a client, which is subscribed to nothing yet.
    pub async fn connect(&self) -> Result<Connection, Closed> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request::Connect { reply })
            .await
            .map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Subscribes; what is current waits in the lane when this returns. Errors name the request's field.
    pub async fn subscribe(&self, id: ConnectionId, wanted: Subscription) -> Result<(), ErrorBody> {
        matching::check(&wanted.matching)?;
        self.ask(|reply| Request::Subscribe { id, wanted, reply })
            .await
    }

    /// Ends a subscription; nothing more of it comes out of the lane when this returns.
    pub async fn unsubscribe(
        &self,
        id: ConnectionId,
        target: Target,
        tier: Tier,
    ) -> Result<(), ErrorBody> {
        let held = Held::new(target, tier);
        self.ask(|reply| Request::Unsubscribe { id, held, reply })
            .await
    }

    /// Sends an event to everybody who is subscribed to `admin`, in the order of the calls. It is encoded once;
    /// while the hub is busy this waits, and a client that does not keep up is closed with 4008. Gives the bytes
    /// that each client is sent.
    pub async fn announce(&self, event: &ServerEvent<impl Serialize>) -> Result<usize, Closed> {
        let frame = lane::json_frame(event);
        let bytes = frame.bytes().len();
        let request = Request::Announce { frame };
        self.requests.send(request).await.map_err(|_| Closed)?;
        Ok(bytes)
    }

    /// Forgets a client that is gone. It never waits and is never lost.
    pub fn disconnect(&self, id: ConnectionId) {
        self.shared.departed().push(id);
        self.shared.wake.notify_one();
    }

    /// Closes every connection with 1001 and tells each when to come back, evenly over `spread`. New ones
    /// are refused from then on.
    pub async fn drain(&self, spread: Duration) {
        let (reply, done) = oneshot::channel();
        if self
            .requests
            .send(Request::Drain { spread, reply })
            .await
            .is_ok()
        {
            // An error means that the task has ended, and closed everything while at it.
            let _ = done.await;
        }
    }

    /// Sums for the agent's own metrics.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        Stats {
            clients: counters.clients.load(Ordering::Relaxed),
            frames: counters.frames.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            skipped: counters.skipped.load(Ordering::Relaxed),
            encoded: counters.encoded.load(Ordering::Relaxed),
        }
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), ErrorBody>>) -> Request,
    ) -> Result<(), ErrorBody> {
        let closed = || refusal("closed", Closed.to_string(), None);
        let (reply, answer) = oneshot::channel();
        // What could not be sent holds the reply's sender, and must go before the answer is awaited.
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Target {
    /// Reads a channel's name. Whether the topic exists is only known when it is subscribed to.
    pub fn parse(channel: &str) -> Result<Self, ErrorBody> {
        match channel.strip_prefix("metrics:") {
            Some(topic) if !topic.is_empty() => Ok(Self::Metrics(topic.to_owned())),
            _ if channel == BASIC => Ok(Self::Basic),
            _ if channel == ADMIN => Ok(Self::Admin),
            _ => Err(unknown_channel(channel)),
        }
    }

    /// The channel's name.
    pub fn channel(&self) -> String {
        match self {
            Self::Basic => BASIC.to_owned(),
            Self::Admin => ADMIN.to_owned(),
            Self::Metrics(topic) => format!("metrics:{topic}"),
        }
    }
}

impl Held {
    /// Only metrics have tiers: of another channel they all are the same subscription.
    fn new(target: Target, tier: Tier) -> Self {
        let tier = match target {
            Target::Metrics(_) => tier,
            Target::Basic | Target::Admin => Tier::Fast,
        };
        Self { target, tier }
    }
}

impl Shared {
    fn departed(&self) -> MutexGuard<'_, Vec<ConnectionId>> {
        self.departed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown_channel(channel: &str) -> ErrorBody {
    let channel: String = channel.chars().take(64).collect();
    let message = format!(
        "there is no channel `{channel}`; initialData names the topics, and `{BASIC}` and `{ADMIN}` are always there"
    );
    refusal("unknown_channel", message, Some("channel"))
}

fn refusal(code: &str, message: String, field: Option<&str>) -> ErrorBody {
    ErrorBody {
        code: code.to_owned(),
        message,
        field: field.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
