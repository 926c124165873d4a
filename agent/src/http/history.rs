//! GET `/api/dashboard/metrics/history`: points of the past.
//!
//! `question` reads the parameters, `render` writes the answer. A question runs on a blocking thread, two at a
//! time; a few may wait shortly, all others get 503. The answer leaves series by series: what is held is a few
//! series and what a slow client has not taken yet, and a question ends when its client is gone or its time up.

mod question;
mod render;

use std::sync::Arc;
use std::time::Duration;

use hyper::{StatusCode, header};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::State;
use super::body::{Body, Piece};
use super::error::{Answer, Error, plain};
use crate::clock::Clock;
use crate::protocol::Aggregation;
use crate::store::engine::Engine;
use crate::store::query::{Plan, QueryError};
use render::Rendering;

/// Questions that run at a time: each takes a processor while it does.
const RUNNING_MAX: usize = 2;
/// Questions that may wait: a page asks for a chart at a time, so this is a page or two.
const WAITING_MAX: usize = 32;
/// How long one may wait, so that a client learns soon that the agent is busy.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// How long one may take; after that it is answered with what there is.
const TIME_MAX: Duration = Duration::from_secs(10);
/// What a client that reads slowly gets on top of it to take the rest.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes that leave together; a series of 500 points with its envelope has about 25 kB.
const PIECE_BYTES: usize = 32 * 1024;

/// The places for questions; shared by all connections.
#[derive(Debug)]
pub struct Queries {
    running: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }
}

impl Queries {
    /// A place, after a short wait if need be.
    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        let busy = || {
            let message = "as many questions as may be are being answered; try again shortly";
            Error::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
                .header(header::RETRY_AFTER, "1")
        };
        let _waits = self.waiting.try_acquire().map_err(|_| busy())?;
        let place = timeout(WAIT_MAX, Arc::clone(&self.running).acquire_owned()).await;
        place
            .map_err(|_| busy())?
            .map_err(|_| Error::internal("questions are no longer answered"))
    }
}

/// GET `/api/dashboard/metrics/history?metric=…`.
pub(super) async fn history(state: &State, parameters: Option<&str>) -> Result<Answer, Error> {
    let now_ms = state.clock.now_ms();
    let query = question::parse(parameters.unwrap_or_default(), now_ms)?;
    let place = state.queries.enter().await?;
    let deadline = state.clock.mono() + TIME_MAX;
    let aggregation = query.aggregation;
    let store = Arc::clone(&state.store);
    // Names are compared with thousands of series: not on a thread that serves connections.
    let planned = spawn_blocking(move || (store.plan(&query, now_ms), store)).await;
    let (plan, store) =
        planned.map_err(|_| Error::internal("the question could not be planned"))?;
    let plan = plan.map_err(refusal)?;
    let (sender, body) = Body::stream();
    let answering = Answering {
        store,
        plan,
        aggregation,
        clock: state.clock.clone(),
        deadline,
        sender,
        _place: place,
    };
    spawn_blocking(move || answering.run());
    Ok(plain(body, "application/json"))
}

fn refusal(error: QueryError) -> Error {
    match error {
        QueryError::Bad(field, _) => Error::bad_request(error.to_string()).field(field),
        QueryError::Store(error) => Error::internal(format!("the store failed: {error}")),
    }
}

/// A question that is being answered, on a thread of its own.
struct Answering {
    store: Arc<Engine>,
    plan: Plan,
    aggregation: Aggregation,
    clock: Clock,
    deadline: Instant,
    sender: mpsc::Sender<Piece>,
    _place: OwnedSemaphorePermit,
}

impl Answering {
    fn run(self) {
        let mut rendering = Rendering::begin(&self.plan, self.aggregation);
        let mut go_on = || !self.sender.is_closed() && self.clock.mono() < self.deadline;
        let mut taken = true;
        let answered = self.store.answer_while(
            &self.plan,
            self.aggregation,
            &mut go_on,
            &mut |series, row| {
                rendering.series(series, row);
                if rendering.bytes_len() >= PIECE_BYTES {
                    taken = self.send(Piece::Bytes(rendering.take()));
                }
                taken && self.clock.mono() < self.deadline
            },
        );
        if !taken {
            return;
        }
        let stopped = match answered {
            _ if self.clock.mono() >= self.deadline => Some(format!(
                "it took longer than {} s; ask for a shorter range or fewer series",
                TIME_MAX.as_secs()
            )),
            Ok(answered) => answered.stopped,
            Err(error) => Some(error.to_string()),
        };
        rendering.end(stopped.as_deref());
        if self.send(Piece::Bytes(rendering.take())) {
            self.send(Piece::End);
        }
    }

    /// Waits for the client; false when it is gone, or too slow to wait for.
    fn send(&self, piece: Piece) -> bool {
        let sent = timeout_at(self.deadline + GRACE, self.sender.send(piece));
        matches!(Handle::current().block_on(sent), Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests;
