//! One WebSocket client, from `initialData` to the closing handshake.
//!
//! One task owns the socket. It waits until something waits in the hub's lane, until the socket is ready or
//! until a time has come, and each of these waits can be dropped half-way without loss. Messages are
//! answered through the lane, so that answers and events keep their order. While a client does not read,
//! the lane is not emptied and the hub keeps only the latest of each metric. Whatever a client does wrong
//! ends its own session, with a code that says what it was.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::Membership;
use super::allowance::Allowance;
use super::greeting;
use super::outbox::Outbox;
use super::request::{self, Action, Request};
use crate::http::frame::{Item, Reader, Violation};
use crate::http::seats::Seat;
use crate::http::{State, count};
use crate::hub::Lane;
use crate::protocol::ServerReply;

/// How often the server pings.
const HEARTBEAT_MS: u32 = 30_000;
const HEARTBEAT: Duration = Duration::from_millis(HEARTBEAT_MS as u64);
/// A client that sent no whole frame for so long is gone.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// A client whose socket took nothing for so long is given up.
const STALL_MAX: Duration = Duration::from_secs(10);
/// What is left of the conversation once it is to end.
const CLOSING_MAX: Duration = Duration::from_secs(2);
const CLOSE_GOING: u16 = 1001;
const CLOSE_TOO_MANY: u16 = 4029;
/// Answers that are queued before they are written. The lane holds 64, and one read can bring more requests
/// than that; a client that reads its answers must not be taken for one that does not.
const REPLIES_MAX: usize = 32;
const READ_BYTES: usize = 4 * 1024;

/// How a session ends.
#[derive(Debug)]
enum End {
    /// The client is gone.
    Gone,
    /// The client does not read; there is no use in telling it.
    Stalled,
    /// The client closed; its code goes back to it.
    Closed(Option<u16>),
    /// The server closes, after what waits for the client.
    Close(u16, String),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Close(violation.code, violation.reason.to_owned())
    }
}

/// What one read brought.
#[derive(Debug, Default)]
struct Input {
    items: Vec<Item>,
    /// What came after the items.
    violation: Option<Violation>,
}

/// See the module.
#[derive(Debug)]
pub(in crate::http) struct Session {
    stream: TcpStream,
    /// What hyper had read beyond the handshake.
    early: Bytes,
    state: Arc<State>,
    membership: Membership,
    _seat: Seat,
    reader: Reader,
    outbox: Outbox,
    heard_at: Instant,
    ping_at: Instant,
    /// When the socket stopped taking bytes.
    stalled_at: Option<Instant>,
    allowance: Allowance,
}

impl Session {
    pub(super) fn new(
        stream: TcpStream,
        early: Bytes,
        state: Arc<State>,
        membership: Membership,
        seat: Seat,
    ) -> Self {
        let now = state.clock.mono();
        let allowance = Allowance::new(state.config.limits.messages_per_minute, now);
        Self {
            stream,
            early,
            state,
            membership,
            _seat: seat,
            reader: Reader::default(),
            outbox: Outbox::default(),
            heard_at: now,
            ping_at: now + HEARTBEAT,
            stalled_at: None,
            allowance,
        }
    }

    /// Serves the client until it goes or has to.
    pub(in crate::http) async fn run(mut self: Box<Self>) {
        self.lane()
            .control(&greeting::initial_data(&self.state, HEARTBEAT_MS));
        let Err(end) = self.serve().await;
        tracing::debug!(?end, "a WebSocket session ends");
        match end {
            End::Gone => {}
            End::Stalled => self.abort(),
            End::Closed(code) => {
                self.outbox.close(code, "");
                self.say_goodbye().await;
            }
            End::Close(code, reason) => {
                let mut frames = Vec::new();
                // Should the hub want to close as well, the first reason counts.
                let _ = self.lane().take(&mut frames);
                self.outbox.extend(frames);
                self.outbox.close(Some(code), &reason);
                self.say_goodbye().await;
            }
        }
    }

    async fn say_goodbye(&mut self) {
        if !matches!(
            timeout(CLOSING_MAX, self.flush_and_drain()).await,
            Ok(Ok(()))
        ) {
            self.abort();
        }
    }

    fn lane(&self) -> &Arc<Lane> {
        &self.membership.connection.lane
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let early = std::mem::take(&mut self.early);
        let input = self.parse(&early);
        drop(early);
        self.take_in(input).await?;
        let mut timer = pin!(sleep_until(self.deadline()));
        loop {
            let idle = self.outbox.is_empty();
            let interest = if idle {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            tokio::select! {
                () = self.membership.connection.lane.ready(), if idle => self.empty_lane()?,
                ready = self.stream.ready(interest) => {
                    let ready = ready?;
                    if ready.is_writable() {
                        self.write()?;
                    }
                    if ready.is_readable() {
                        self.read().await?;
                    }
                }
                () = timer.as_mut() => self.on_time()?,
            }
            self.wind(timer.as_mut());
        }
    }

    /// Moves the timer only if it would come too late, or has come.
    fn wind(&self, timer: Pin<&mut Sleep>) {
        let deadline = self.deadline();
        if timer.is_elapsed() || deadline < timer.deadline() {
            timer.reset(deadline);
        }
    }

    fn deadline(&self) -> Instant {
        let deadline = self.ping_at.min(self.heard_at + SILENCE_MAX);
        self.stalled_at
            .map_or(deadline, |at| deadline.min(at + STALL_MAX))
    }

    fn on_time(&mut self) -> Result<(), End> {
        let now = self.state.clock.mono();
        if self.stalled_at.is_some_and(|at| now >= at + STALL_MAX) {
            return Err(End::Stalled);
        }
        if now >= self.heard_at + SILENCE_MAX {
            return Err(End::Close(
                CLOSE_GOING,
                "nothing was heard for 60 s".to_owned(),
            ));
        }
        if now >= self.ping_at {
            self.ping_at = now + HEARTBEAT;
            self.allowance.expect_pong();
            self.outbox.ping();
            self.write()?;
        }
        Ok(())
    }

    fn empty_lane(&mut self) -> Result<(), End> {
        let mut frames = Vec::new();
        let close = self.lane().take(&mut frames);
        self.outbox.extend(frames);
        match close {
            Some(close) => Err(End::Close(close.code, close.reason)),
            None => self.write(),
        }
    }

    fn write(&mut self) -> Result<(), End> {
        let stream = &self.stream;
        let written = self
            .outbox
            .write(|slices| stream.try_write_vectored(slices))?;
        if self.outbox.is_empty() {
            self.stalled_at = None;
        } else if written > 0 || self.stalled_at.is_none() {
            self.stalled_at = Some(self.state.clock.mono());
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), End> {
        let input = self.pull()?;
        self.take_in(input).await
    }

    /// Reads once. The buffer is on the stack and gone before anything is awaited.
    fn pull(&mut self) -> Result<Input, End> {
        let mut buffer = [0; READ_BYTES];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => Err(End::Gone),
            Ok(read) => Ok(self.parse(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Input::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(&mut self, mut bytes: &[u8]) -> Input {
        let mut input = Input::default();
        loop {
            match self.reader.next(&mut bytes) {
                Ok(Some(item)) => {
                    let last = matches!(item, Item::Close(_));
                    input.items.push(item);
                    if last {
                        return input;
                    }
                }
                Ok(None) => return input,
                Err(violation) => {
                    input.violation = Some(violation);
                    return input;
                }
            }
        }
    }

    async fn take_in(&mut self, input: Input) -> Result<(), End> {
        if !input.items.is_empty() {
            // On the heap, because thousands of sessions are idle for each one that asks something, and
            // the room for it would be three quarters of a session's.
            Box::pin(self.handle(input.items)).await?;
        }
        match input.violation {
            Some(violation) => {
                count(&self.state.stats.violations);
                Err(violation.into())
            }
            None => Ok(()),
        }
    }

    async fn handle(&mut self, items: Vec<Item>) -> Result<(), End> {
        let mut replies = 0;
        for item in items {
            self.heard_at = self.state.clock.mono();
            match item {
                Item::Text(text) => {
                    self.spend()?;
                    let reply = self.reply(&text).await;
                    self.lane().control(&reply);
                    replies += 1;
                    if replies % REPLIES_MAX == 0 && self.outbox.is_empty() {
                        self.empty_lane()?;
                    }
                }
                Item::Ping(payload) => {
                    self.spend()?;
                    self.outbox.pong(&payload);
                    self.write()?;
                }
                Item::Pong if self.allowance.take_pong() => {}
                Item::Pong => self.spend()?,
                Item::Close(code) => return Err(End::Closed(code)),
            }
        }
        Ok(())
    }

    fn spend(&mut self) -> Result<(), End> {
        if self.allowance.spend(self.heard_at) {
            return Ok(());
        }
        count(&self.state.stats.violations);
        let most = self.state.config.limits.messages_per_minute;
        Err(End::Close(
            CLOSE_TOO_MANY,
            format!("more than {most} messages in a minute"),
        ))
    }

    async fn reply(&self, text: &str) -> ServerReply {
        let Request { id, action } = match request::parse(text) {
            Ok(request) => request,
            Err(reply) => return reply,
        };
        let Membership { hub, connection } = &self.membership;
        let done = match action {
            Action::Ping => {
                return ServerReply::Ok {
                    id,
                    at: Some(self.state.clock.now_ms()),
                };
            }
            Action::Subscribe(subscription) => hub.subscribe(connection.id, subscription).await,
            Action::Unsubscribe(target, tier) => hub.unsubscribe(connection.id, target, tier).await,
        };
        match done {
            Ok(()) => ServerReply::Ok { id, at: None },
            Err(error) => ServerReply::Error { id, error },
        }
    }

    /// Sends what waits and the closing frame, then reads until the client closes as well: a socket that is
    /// closed with unread input is reset, and the client might lose the frame that tells it why.
    async fn flush_and_drain(&mut self) -> io::Result<()> {
        loop {
            let stream = &self.stream;
            self.outbox
                .write(|slices| stream.try_write_vectored(slices))?;
            if self.outbox.is_empty() {
                break;
            }
            self.stream.writable().await?;
        }
        self.stream.shutdown().await?;
        while self.discard()? {
            self.stream.readable().await?;
        }
        Ok(())
    }

    /// Throws away what is there; false at the end of the input.
    fn discard(&self) -> io::Result<bool> {
        let mut buffer = [0; READ_BYTES];
        match self.stream.try_read(&mut buffer) {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Lets the kernel forget what it still has for the client.
    fn abort(&self) {
        // Should it fail, the socket is closed the slow way.
        let _ = self.stream.set_zero_linger();
    }
}

#[cfg(test)]
mod tests;
