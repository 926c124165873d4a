//! The way of batches: from collectors to everything that reads samples.
//!
//! A [`Batch`] is what one collector gave in one tick; there is one in every tick, also when the
//! collector failed. The bus hands each, shared, to named bounded queues. A queue that is full drops the
//! batch that does not fit and counts it: a slow reader loses, a collector never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::catalog::{CollectorId, SeriesId};
use crate::clock::TierSet;

/// One value of one series, in its metric's unit; a counter's is its cumulative total.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Which series.
    pub series: SeriesId,
    /// The value; never NaN or infinite, because those are dropped and counted at the link.
    pub value: f64,
}

/// One collector's samples of one tick.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Who collected.
    pub collector: CollectorId,
    /// The schedule's number of the tick.
    pub tick: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The same moment on the monotonic clock, which rates are derived with: it is never stepped.
    pub at: Instant,
    /// The tiers that were due. Empty in a batch between ticks, which only says that a collector died.
    pub due: TierSet,
    /// Whether the collect succeeded. If not, all of the collector's series are stale from now on.
    pub up: bool,
    /// How long the collect took.
    pub took: Duration,
    /// What was sampled; empty when the collect failed.
    pub samples: Vec<Sample>,
}

/// A reader's end.
#[derive(Debug)]
pub struct Queue {
    receiver: mpsc::Receiver<Arc<Batch>>,
}

impl Queue {
    /// The next batch; `None` once the bus is gone and the queue is drained. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<Batch>> {
        self.receiver.recv().await
    }
}

#[derive(Debug)]
struct Sender {
    name: &'static str,
    batches: mpsc::Sender<Arc<Batch>>,
    dropped: AtomicU64,
}

/// Cloneable handle of the bus. The queues are given at start and live as long as it does.
#[derive(Clone, Debug)]
pub struct Bus {
    senders: Arc<[Sender]>,
}

impl Bus {
    /// A bus with one queue for each `(name, capacity)`, in that order.
    pub fn new(queues: &[(&'static str, usize)]) -> (Self, Vec<Queue>) {
        let (senders, receivers) = queues
            .iter()
            .map(|&(name, capacity)| {
                let (sender, receiver) = mpsc::channel(capacity);
                (
                    Sender {
                        name,
                        batches: sender,
                        dropped: AtomicU64::new(0),
                    },
                    Queue { receiver },
                )
            })
            .unzip::<_, _, Vec<_>, Vec<_>>();
        (
            Self {
                senders: senders.into(),
            },
            receivers,
        )
    }

    /// Hands the batch to every queue that has room.
    pub fn publish(&self, batch: Batch) {
        let batch = Arc::new(batch);
        for queue in self.senders.iter() {
            if queue.batches.try_send(Arc::clone(&batch)).is_err() {
                queue.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// For each queue its name, the batches waiting in it and those it dropped.
    pub fn depths(&self) -> impl Iterator<Item = (&'static str, usize, u64)> {
        self.senders.iter().map(|queue| {
            let waiting = queue.batches.max_capacity() - queue.batches.capacity();
            (queue.name, waiting, queue.dropped.load(Ordering::Relaxed))
        })
    }
}

#[cfg(test)]
impl Batch {
    /// A monotonic moment for a test's wall time, in the same distance from that of other wall times.
    pub(crate) fn test_moment(at_ms: i64) -> Instant {
        static BASE: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *BASE + Duration::from_millis(at_ms.rem_euclid(86_400_000).unsigned_abs())
    }
}
