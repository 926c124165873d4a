//! The runtime of subcommands that try plugins: one thread, and an end by a signal that leaves nothing behind.
//!
//! Plugins run in sessions of their own, so that no key of a terminal reaches them. SIGINT, SIGTERM and SIGHUP drop what
//! runs here, which ends its plugins and all that they started; the exit code is then 128 and the signal's number, as
//! a shell would say it of a program without all this. What is printed meanwhile is written by a thread that the end
//! does not wait for, because nobody may read it.

use std::io::{self, Write};
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use crate::proc;

#[derive(Debug)]
pub(super) struct Runtime {
    /// Taken when it is dropped.
    tokio: Option<tokio::runtime::Runtime>,
    signals: Vec<(SignalKind, Signal)>,
}

impl Runtime {
    pub(super) fn new() -> Result<Self, Failure> {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Running(format!("no runtime: {error}")))?;
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        // Whoever was started by `nohup` goes on when the terminal is closed.
        if !proc::ignores(SignalKind::hangup().as_raw_value()) {
            kinds.push(SignalKind::hangup());
        }
        let entered = tokio.enter();
        let signals: io::Result<Vec<_>> = kinds
            .into_iter()
            .map(|kind| Ok((kind, signal(kind)?)))
            .collect();
        drop(entered);
        let signals = signals
            .map_err(|error| Failure::Running(format!("signals can't be received: {error}")))?;
        Ok(Self {
            tokio: Some(tokio),
            signals,
        })
    }

    /// Does this, unless a signal comes first: then it is dropped where it stands.
    pub(super) fn block_on<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let tokio = self.tokio.as_ref().expect("it is there until the drop");
        tokio.block_on(async {
            tokio::select! {
                biased;
                kind = next(&mut self.signals) => Err(Failure::Interrupted(kind)),
                done = work => Ok(done),
            }
        })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(tokio) = self.tokio.take() {
            tokio.shutdown_background();
        }
    }
}

/// The next of these signals. Cancel-safe.
async fn next(signals: &mut [(SignalKind, Signal)]) -> SignalKind {
    std::future::poll_fn(|context| {
        let mut came = signals
            .iter_mut()
            .filter_map(|(kind, signal)| signal.poll_recv(context).is_ready().then_some(*kind));
        came.next().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Writes to stdout. Dropped, it may still be written.
pub(super) async fn print(text: String) -> Result<(), Failure> {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    let written = written.await.map_err(io::Error::other).flatten();
    Ok(written?)
}
