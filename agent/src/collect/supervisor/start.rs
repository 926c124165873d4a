//! A start under way, in a task of its own, so that ticks go by meanwhile and it can be given up.

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use crate::collect::{Failure, Runner};

/// See the module. Dropped, it is given up as well.
pub(super) struct Start<R> {
    task: JoinHandle<(R, Result<(), Failure>)>,
    end: oneshot::Sender<()>,
}

impl<R: Runner> Start<R> {
    /// Starts a runner; what still runs of it is stopped before.
    pub(super) fn of(mut runner: R) -> Self {
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let starting = async {
                runner.stop().await;
                runner.start().await
            };
            let result = tokio::select! {
                biased;
                _ = ended => Err(Failure::Refused("was given up".to_owned())),
                result = starting => result,
            };
            (runner, result)
        });
        Self { task, end }
    }

    /// Waits for its end. Cancel-safe, but not to be called again after it.
    pub(super) async fn ended(&mut self) -> (R, Result<(), Failure>) {
        joined((&mut self.task).await)
    }

    /// Ends what is not started yet.
    pub(super) async fn give_up(self) -> R {
        let _ = self.end.send(());
        joined(self.task.await).0
    }
}

/// What a task gave; its panic is this one's.
pub(super) fn joined<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
