//! Folders of history, written through the store as the agent writes it, only faster.

use std::path::Path;

use barograph::catalog::Unit;
use barograph::clock::Tier;
use barograph::store::Config;
use barograph::store::engine::Engine;
use barograph::store::registry::StoredSeries;

use crate::trace::Trace;

/// The wall time at which filled history begins: a whole hour, and of all levels' generations.
pub(crate) const START_MS: i64 = 1_799_280_000_000;

/// The engine of a folder, with the numbers of its series.
#[derive(Debug)]
pub(crate) struct Filled {
    /// The open store.
    pub(crate) engine: Engine,
    /// Store numbers, by series of the trace.
    pub(crate) ids: Vec<u32>,
    /// Simulated seconds so far.
    pub(crate) second: usize,
    start_ms: i64,
}

impl Filled {
    /// Opens a folder for `series` series of the trace; history begins at `start_ms`.
    pub(crate) fn open(folder: &Path, trace: &Trace, series: usize, start_ms: i64) -> Self {
        let engine = Engine::open(folder, Config::default(), start_ms).expect("the folder opens");
        let ids = (0..series)
            .map(|at| {
                engine
                    .registry
                    .resolve(stored(trace, at))
                    .expect("there is room")
            })
            .collect();
        Self {
            engine,
            ids,
            second: 0,
            start_ms,
        }
    }

    /// The simulated present, Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.start_ms + i64::try_from(self.second).expect("years") * 1_000
    }

    /// The same after the folder was opened anew.
    pub(crate) fn resumed(engine: Engine, ids: Vec<u32>, second: usize, start_ms: i64) -> Self {
        Self {
            engine,
            ids,
            second,
            start_ms,
        }
    }

    /// Lets everything be sealed that can be, and closes the store.
    pub(crate) fn settle(self) {
        self.engine.stop().expect("the disk has room");
    }

    /// Writes that many seconds.
    pub(crate) fn write(&mut self, trace: &Trace, seconds: usize) {
        let mut samples = Vec::with_capacity(self.ids.len());
        for _ in 0..seconds {
            samples.clear();
            let second = self.second;
            samples.extend(
                self.ids
                    .iter()
                    .enumerate()
                    .map(|(at, &id)| (id, trace.value(at, second))),
            );
            self.engine.push(0, self.now_ms(), &samples);
            self.engine
                .maintain(self.now_ms())
                .expect("the disk has room");
            self.second += 1;
        }
    }
}

/// A series of the trace: metrics have several series, told apart by a label.
fn stored(trace: &Trace, at: usize) -> StoredSeries {
    let (name, kind) = trace.series(at);
    StoredSeries {
        id: 0,
        metric: metric(at),
        kind,
        unit: Unit::Count,
        tier: Tier::Fast,
        topic: "trace".to_owned(),
        collector: "trace".to_owned(),
        labels: [("name".to_owned(), format!("{name}_{}", at / trace.len()))]
            .into_iter()
            .collect(),
        last_day: 0,
    }
}

/// The metric of a series: 60 series share one, so that a question for one metric is one for 60 series.
pub(crate) fn metric(at: usize) -> String {
    format!("trace_{}", at / 60)
}
