//! The task that owns the writing side of the store: batches from the bus into the engine, and once a second the
//! engine's upkeep on the blocking pool.
//!
//! While the engine works on the disk, batches wait in the bounded queue; what does not fit there the bus drops and
//! counts. What goes wrong is reported to the board and, once for each change, to the log; it ends nothing. When the
//! bus is gone and the queue drained, everything is flushed and synced.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::names::Names;
use super::status::Status;
use crate::bus::{Batch, Queue};
use crate::catalog::Catalog;
use crate::clock::{Clock, Tiers};
use crate::health::Board;
use crate::protocol::Component;

/// Batches that may wait while the disk is slow: a minute of sixteen collectors.
pub const QUEUE_BATCHES: usize = 1_024;
/// How often the engine does what is due.
const UPKEEP: Duration = Duration::from_secs(1);
/// Ticks after which series that found the registry full are asked for again.
const RETRY_TICKS: u64 = 600;
const NAME: &str = "store";

/// What the task works with.
#[derive(Debug)]
pub struct Parts {
    /// Schedules and stamps.
    pub clock: Clock,
    /// Names of what the batches hold.
    pub catalog: Catalog,
    /// Where the store's state is shown.
    pub board: Board,
    /// The store.
    pub engine: Arc<Engine>,
    /// What the collectors give.
    pub queue: Queue,
}

struct Task {
    clock: Clock,
    board: Board,
    engine: Arc<Engine>,
    names: Names,
    samples: Vec<(u32, f64)>,
    /// What was reported last, so that the log hears of changes alone.
    problem: Option<String>,
}

/// Runs until the bus is gone.
pub async fn run(parts: Parts) {
    let Parts {
        clock,
        catalog,
        board,
        engine,
        mut queue,
    } = parts;
    let mut ticker = clock.ticker(Tiers {
        fast: UPKEEP,
        ..Tiers::default()
    });
    let mut task = Task {
        names: Names::new(catalog),
        samples: Vec::new(),
        problem: None,
        clock,
        board,
        engine,
    };
    task.report();
    loop {
        tokio::select! {
            batch = queue.next() => match batch {
                Some(batch) => task.take(&batch),
                None => break,
            },
            tick = ticker.next() => {
                if tick.number % RETRY_TICKS == 0 {
                    task.names.retry();
                }
                task.maintain().await;
            }
        }
    }
    task.stop().await;
}

impl Task {
    fn take(&mut self, batch: &Batch) {
        self.samples.clear();
        let registry = &self.engine.registry;
        let refused = self.names.translate(registry, batch, &mut self.samples);
        self.engine.lose(refused);
        if !self.samples.is_empty() {
            self.engine
                .push(batch.collector.0, batch.at_ms, &self.samples);
        }
    }

    async fn maintain(&mut self) {
        let (engine, now_ms) = (Arc::clone(&self.engine), self.clock.now_ms());
        let work = tokio::task::spawn_blocking(move || {
            // What went wrong is in the status.
            let _ = engine.maintain(now_ms);
        });
        if let Err(error) = work.await {
            tracing::error!("the store's upkeep ended badly: {error}");
        }
        self.report();
    }

    fn report(&mut self) {
        for loss in self.engine.take_losses() {
            tracing::warn!("history: {loss}");
        }
        let status = self.engine.status();
        let problem = status.problem();
        match (&self.problem, &problem) {
            (_, Some(new)) if self.problem != problem => tracing::warn!("history: {new}"),
            (Some(_), None) => tracing::info!("history goes on: nothing is wrong any more"),
            _ => {}
        }
        self.problem.clone_from(&problem);
        self.board
            .report(component(&status, problem, self.clock.now_ms()));
    }

    async fn stop(self) {
        let engine = self.engine;
        let stopped = tokio::task::spawn_blocking(move || engine.stop()).await;
        match stopped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the last samples are not in the history: {error}"),
            Err(error) => tracing::error!("the store ended badly: {error}"),
        }
    }
}

fn component(status: &Status, error: Option<String>, since: i64) -> Component {
    Component {
        name: NAME.to_owned(),
        topic: "agent".to_owned(),
        up: status.is_up(),
        latency_ms: None,
        since,
        restarts: 0,
        error,
    }
}
