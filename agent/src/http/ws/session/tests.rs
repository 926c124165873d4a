//! A session over a real socket on paused time: what only the passing of time brings about.

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::*;
use crate::alerts::Alerts;
use crate::bus::Bus;
use crate::catalog::Catalog;
use crate::clock::{Clock, Tiers};
use crate::collect::events::kept::Kept;
use crate::collect::stats::Stats;
use crate::current::Current;
use crate::health::Board;
use crate::http::seats::Seats;
use crate::http::{Config, Limits as Bounds, Queries};
use crate::hub::{self, Hub};
use crate::store::{self, engine::Engine};

/// A hub whose task runs, with a server's state around it. Only the bus keeps the hub running.
fn state() -> (Arc<State>, Bus) {
    let (bus, mut queues) = Bus::new(&[("hub", 16)]);
    let (clock, catalog, board) = (Clock::system(), Catalog::default(), Board::default());
    let current = Current::new(catalog.clone());
    let parts = hub::Parts {
        clock: clock.clone(),
        tiers: Tiers::default(),
        catalog: catalog.clone(),
        board: board.clone(),
        current: current.clone(),
        queue: queues.pop().unwrap(),
    };
    let (hub, task): (Hub, _) = hub::start(parts);
    tokio::spawn(task);
    // These tests ask nothing of the store, so its folder may go.
    let folder = tempfile::tempdir().unwrap();
    let store = Engine::open(folder.path(), store::Config::default(), clock.now_ms()).unwrap();
    let kept = Kept::open(Arc::clone(&store.core)).unwrap();
    let state = State {
        alerts: Alerts::idle(catalog.clone(), &clock),
        config: Config::default(),
        started_at: clock.now_ms(),
        started: clock.mono(),
        clock,
        tiers: Tiers::default(),
        catalog,
        current,
        board,
        hub,
        host: crate::protocol::HostInfo::default(),
        agent_id: "test".to_owned(),
        address: "127.0.0.1:0".parse().unwrap(),
        stats: Arc::default(),
        store: Arc::new(store),
        queries: Queries::default(),
        plugins: Stats::default(),
        plugin_events: Arc::new(kept),
    };
    (Arc::new(state), bus)
}

/// A client's socket, the session's lane and the session itself.
async fn session(state: &Arc<State>, early: &[u8]) -> (TcpStream, Arc<Lane>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // A small buffer, so that a client that does not read is full soon, however much the machine allows.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let client = socket
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let connection = state.hub.connect().await.unwrap();
    let lane = Arc::clone(&connection.lane);
    let membership = Membership {
        hub: state.hub.clone(),
        connection,
    };
    let seat = Seats::new(Bounds::default()).take(peer.ip()).unwrap();
    let early = Bytes::copy_from_slice(early);
    let session = Session::new(stream, early, Arc::clone(state), membership, seat);
    (client, lane, tokio::spawn(Box::new(session).run()))
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_pinged_and_then_closed() {
    let (state, _bus) = state();
    let (mut client, _, ended) = session(&state, b"").await;
    let began = Instant::now();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    assert!(began.elapsed() >= SILENCE_MAX);
    let tail = b"\x89\x00\x88\x1c\x03\xe9nothing was heard for 60 s";
    assert!(
        bytes.ends_with(&tail[..]),
        "{:?}",
        String::from_utf8_lossy(&bytes)
    );
    drop(client);
    ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_given_up() {
    let (state, _bus) = state();
    let (mut client, lane, ended) = session(&state, b"").await;
    for _ in 0..20 {
        assert!(lane.control(&"x".repeat(1 << 20)));
    }
    let began = Instant::now();
    ended.await.unwrap();
    assert!(began.elapsed() >= STALL_MAX && began.elapsed() < SILENCE_MAX);
    let mut bytes = Vec::new();
    let reset = client.read_to_end(&mut bytes).await;
    assert!(
        reset.is_err(),
        "the rest of {} bytes is not kept for it",
        bytes.len()
    );
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_handshake_is_not_lost() {
    let (state, _bus) = state();
    let mut early = vec![0x81, 0x80 | 15, 0, 0, 0, 0];
    early.extend(br#"{"type":"ping"}"#);
    early.extend(b"\x88\x80\0\0\0\0");
    let (mut client, _, ended) = session(&state, &early).await;
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    assert!(
        bytes.ends_with(b"\x88\x00"),
        "{:?}",
        String::from_utf8_lossy(&bytes)
    );
    drop(client);
    ended.await.unwrap();
}
