//! Accepts connections and bounds them: their number, and the time and memory that each may take.
//!
//! One task accepts and owns all others: a connection's task ends when hyper is done with it and hands
//! back a WebSocket session if it became one, which gets a smaller task of its own. A failure to accept is
//! counted and waited out, never fatal. On shutdown nothing new is accepted, answers under way are
//! finished, the hub tells WebSocket clients when to come back, and what is left after 3 s is dropped.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::guard::Guard;
use super::router::route;
use super::seats::{Seat, Seats};
use super::ws::{Pending, Session};
use super::{State, count};
use crate::clock::Clock;

/// For a whole head; also for the pause between two requests of a connection, which hyper times alike.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// Bytes of a head; above it 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header lines of a request; above it 431.
const HEADERS_MAX: usize = 64;
/// A client that takes nothing of an answer for so long is cut off by the kernel.
const UNTAKEN_MAX_MS: u32 = 20_000;
/// Connections that are being told that there is no room; beyond it they are dropped without a word.
const REFUSALS_MAX: usize = 64;
const REFUSAL_MAX: Duration = Duration::from_secs(1);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Over how long the clients' reconnections are spread.
const RECONNECT_SPREAD: Duration = Duration::from_secs(5);
const STOP_MAX: Duration = Duration::from_millis(2_500);

const FULL: &str = "{\"error\":{\"code\":\"too_many_connections\",\"message\":\"the agent has as many \
                    connections as it may have; try again shortly\"}}";

/// What a connection's task leaves behind.
type Left = Option<Box<Session>>;

/// Serves until `shutdown` turns true or its sender is gone, then ends within 3 s.
pub async fn serve(
    listener: std::net::TcpListener,
    state: Arc<State>,
    shutdown: watch::Receiver<bool>,
) {
    let listener = match listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
    {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the listening socket cannot be used");
            return;
        }
    };
    let mut server = Server {
        guard: Arc::new(Guard::new(state.address, &state.config.allowed_origins)),
        seats: Seats::new(state.config.limits),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        tasks: JoinSet::new(),
        shutdown,
        state,
    };
    server.accept(listener).await;
    server.stop().await;
}

struct Server {
    state: Arc<State>,
    guard: Arc<Guard>,
    seats: Seats,
    refusals: Arc<Semaphore>,
    tasks: JoinSet<Left>,
    shutdown: watch::Receiver<bool>,
}

impl Server {
    async fn accept(&mut self, listener: TcpListener) {
        let mut shutdown = self.shutdown.clone();
        let mut door = Door {
            listener,
            backoff: BACKOFF_MIN,
            closed_until: self.state.clock.mono(),
            clock: self.state.clock.clone(),
        };
        loop {
            tokio::select! {
                accepted = door.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer),
                    Err(error) => {
                        count(&self.state.stats.accept_errors);
                        tracing::warn!(%error, "cannot accept a connection");
                    }
                },
                Some(left) = self.tasks.join_next() => self.follow(left),
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        if let Some(seat) = self.seats.take(peer.ip()) {
            tune(&stream);
            let (state, guard) = (Arc::clone(&self.state), Arc::clone(&self.guard));
            self.tasks.spawn(connection(
                stream,
                seat,
                state,
                guard,
                self.shutdown.clone(),
            ));
            self.report();
            return;
        }
        count(&self.state.stats.connections_refused);
        if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            self.tasks.spawn(async move {
                // Whether the client hears it is its own matter.
                let _ = timeout(REFUSAL_MAX, refuse(stream)).await;
                drop(permit);
                None
            });
        }
    }

    fn follow(&mut self, left: Result<Left, JoinError>) {
        match left {
            Ok(Some(session)) => {
                self.tasks.spawn(async move {
                    session.run().await;
                    None
                });
            }
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "a connection's task panicked; please report it");
            }
            Ok(None) | Err(_) => {}
        }
        self.report();
    }

    fn report(&self) {
        let open = u64::try_from(self.seats.taken()).unwrap_or(u64::MAX);
        self.state.stats.connections.store(open, Ordering::Relaxed);
    }

    async fn stop(&mut self) {
        let end = self.state.clock.mono() + STOP_MAX;
        let hub = self.state.hub.clone();
        if timeout_at(end, hub.drain(RECONNECT_SPREAD)).await.is_err() {
            tracing::warn!("the hub did not tell its clients that the agent stops");
        }
        while let Ok(Some(left)) = timeout_at(end, self.tasks.join_next()).await {
            self.follow(left);
        }
        let left = self.tasks.len();
        if left > 0 {
            tracing::warn!(
                connections = left,
                "connections were dropped because they did not end"
            );
        }
        self.tasks.shutdown().await;
    }
}

/// The listening socket. Without file descriptors or memory to spare, trying again at once would only burn
/// the processor, so it waits longer each time; a client that gave up meanwhile is no reason to.
struct Door {
    listener: TcpListener,
    clock: Clock,
    backoff: Duration,
    closed_until: Instant,
}

impl Door {
    /// Cancel-safe: what it knows of the wait is in the fields.
    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        sleep_until(self.closed_until).await;
        let accepted = self.listener.accept().await;
        match &accepted {
            Ok(_) => self.backoff = BACKOFF_MIN,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => {
                self.closed_until = self.clock.mono() + self.backoff;
                self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
            }
        }
        accepted
    }
}

/// Small frames leave at once, and a client that stops reading does not hold memory for ever.
fn tune(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, UNTAKEN_MAX_MS) {
        tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
    }
}

/// Speaks HTTP until the connection ends or becomes a WebSocket.
async fn connection(
    stream: TcpStream,
    seat: Seat,
    state: Arc<State>,
    guard: Arc<Guard>,
    mut shutdown: watch::Receiver<bool>,
) -> Left {
    let slot: Arc<Mutex<Option<Pending>>> = Arc::default();
    let service = service_fn({
        let (state, slot) = (Arc::clone(&state), Arc::clone(&slot));
        move |request| {
            let (state, guard, slot) = (Arc::clone(&state), Arc::clone(&guard), Arc::clone(&slot));
            async move {
                let (answer, pending) = route(&state, &guard, request).await;
                if pending.is_some() {
                    *lock(&slot) = pending;
                }
                Ok::<_, Infallible>(answer)
            }
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(2 * HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        _ = shutdown.wait_for(|stop| *stop) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        served.as_mut().graceful_shutdown();
        served.await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
        return None;
    }
    let pending = lock(&slot).take()?;
    pending.open(state, seat).await
}

fn lock(slot: &Mutex<Option<Pending>>) -> MutexGuard<'_, Option<Pending>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a client that there is no room, after its request has come: an answer to a request that is still
/// unread when the socket closes would be lost with it.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let _ = stream.read(&mut buffer).await?;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: 5\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{FULL}",
        FULL.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
