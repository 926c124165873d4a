//! Events of plugins, from the outbox to the disk and then to the admins.
//!
//! One task takes what waits, [`GROUP_MAX`] events at a time, stores them in one commit on a thread that may
//! block, and only then tells the plugins and the hub. A disk that is full or fails is tried again every
//! [`RETRY`], with the same group, and `/healthz` says so; meanwhile the outbox fills, and plugins stop reading their
//! sources. Nothing is lost by that, and no event is told that a restart would not know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::Task;
use crate::clock::Clock;
use crate::collect::events::kept::Kept;
use crate::collect::events::{self, Outbox, Queue, Waiting};
use crate::health::Board;
use crate::hub::Hub;
use crate::kv::{Kv, KvError};
use crate::protocol::{Component, PluginEventInfo, ServerEvent};
use crate::words;

/// Events of one commit. Each costs a sync of the disk, so what came meanwhile goes together.
const GROUP_MAX: usize = 256;
/// Bytes of their data. In memory a plugin's JSON may take twenty times as much.
const GROUP_BYTES_MAX: usize = 256 * 1_024;
/// After a failure of the disk.
const RETRY: Duration = Duration::from_secs(1);
/// What the hub is told at once. A client is closed when it lets 256 events or 256 KiB wait, so a flood has to leave
/// its connection time to send.
const BURST_EVENTS: usize = 32;
const BURST_BYTES: usize = 32 * 1_024;
/// Between two bursts.
const BURST_PAUSE: Duration = Duration::from_millis(10);
/// Its component, which is shown while something is wrong.
const NAME: &str = "plugin-events";

/// The running part.
pub(super) struct PluginEvents {
    /// Where collectors put their events.
    pub(super) outbox: Outbox,
    /// What is stored.
    pub(super) kept: Arc<Kept>,
    task: Task,
}

impl PluginEvents {
    /// Reads the positions of all sources and starts storing.
    pub(super) fn start(
        core: &Arc<Kv>,
        clock: &Clock,
        board: &Board,
        hub: &Hub,
    ) -> Result<Self, KvError> {
        let kept = Arc::new(Kept::open(Arc::clone(core))?);
        let (outbox, queue) = events::channel(clock.clone(), kept.positions());
        let storing = Storing {
            queue,
            kept: Arc::clone(&kept),
            clock: clock.clone(),
            board: board.clone(),
            hub: hub.clone(),
            problem: None,
        };
        let task = Task::spawn("plugin-events", storing.run());
        Ok(Self { outbox, kept, task })
    }

    /// Stores what waits and ends; the collectors have stopped.
    pub(super) async fn stop(self, until: Instant) {
        self.outbox.close();
        self.task.join(until).await;
    }
}

struct Storing {
    queue: Queue,
    kept: Arc<Kept>,
    clock: Clock,
    board: Board,
    hub: Hub,
    /// What is wrong, as it was told last.
    problem: Option<String>,
}

impl Storing {
    async fn run(mut self) {
        while let Some(group) = self.queue.next(GROUP_MAX, GROUP_BYTES_MAX).await {
            let group = Arc::new(group);
            tell_refusals(&group);
            let Some(events) = self.store(&group).await else {
                let lost = words::count(group.len() + self.queue.len(), "event", "events");
                // Those of sources with positions come again, because nothing says that they were read.
                tracing::error!("{lost} of plugins could not be stored before the end");
                return;
            };
            self.queue.stored(&group);
            self.announce(events).await;
        }
    }

    /// Stores a group, however long it takes. `None` if the agent stops and the disk still fails.
    async fn store(&mut self, group: &Arc<Vec<Waiting>>) -> Option<Vec<PluginEventInfo>> {
        loop {
            // An attempt that begins after the outbox was closed is the last one.
            let is_last = self.queue.is_closed();
            let (kept, group) = (Arc::clone(&self.kept), Arc::clone(group));
            let outcome = spawn_blocking(move || kept.commit(&group)).await;
            let error = match outcome {
                Ok(Ok(events)) => {
                    self.mended();
                    return Some(events);
                }
                Ok(Err(error)) => error.to_string(),
                Err(error) => format!("storing them ended badly: {error}"),
            };
            self.failed(&error);
            if is_last {
                return None;
            }
            sleep(RETRY).await;
        }
    }

    fn failed(&mut self, error: &str) {
        let problem = format!(
            "events of plugins wait, and their sources are not read on: {error}; it resumes by itself as soon as the \
             disk of `data_dir` takes them: make room there if it is full"
        );
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!("{problem}");
        }
        self.board.report(Component {
            name: NAME.to_owned(),
            topic: "agent".to_owned(),
            up: false,
            latency_ms: None,
            since: self.clock.now_ms(),
            restarts: 0,
            error: Some(problem.clone()),
        });
        self.problem = Some(problem);
    }

    fn mended(&mut self) {
        if self.problem.take().is_some() {
            tracing::info!("events of plugins are stored again");
            self.board.remove(NAME);
        }
    }

    /// Tells the admins, in order. Whoever listens later reads the list.
    async fn announce(&self, events: Vec<PluginEventInfo>) {
        let (mut count, mut bytes) = (0, 0);
        for data in events {
            let event = ServerEvent {
                event: "plugin-event".to_owned(),
                channel: "admin".to_owned(),
                at: data.at,
                data,
            };
            let Ok(sent) = self.hub.announce(&event).await else {
                return;
            };
            count += 1;
            bytes += sent;
            if count >= BURST_EVENTS || bytes >= BURST_BYTES {
                (count, bytes) = (0, 0);
                sleep(BURST_PAUSE).await;
            }
        }
    }
}

/// A line for each collector, since a plugin that sends nonsense sends much of it.
fn tell_refusals(group: &[Waiting]) {
    let mut refused: BTreeMap<&str, (u32, &str)> = BTreeMap::new();
    for one in group {
        if let Some(why) = &one.refusal {
            refused.entry(&one.collector).or_insert((0, why)).0 += 1;
        }
    }
    for (collector, (count, why)) in refused {
        tracing::warn!(collector, count, "refused events: {why}");
    }
}

#[cfg(test)]
mod tests;
