//! The lookup that a plugin has been handed and has not answered: at most one, with a time of its own.
//!
//! A plugin's calls never overlap, so a lookup that goes on keeps the next collect waiting. It is given up when its
//! time is over, or nobody waits for it any more, and only between collects: the host cancels all that it was asked
//! before, so a collect is asked for once the lookup has ended. One that is not minded even then costs the process,
//! as a collect would.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::{CANCEL_GRACE, lost};
use crate::collect::{Failure, LostReason};

/// How long a plugin may take, unless half of its interval is less: then the other half is left for a collect.
const LOOKUP_MAX: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(super) struct Pending {
    /// Of the lookup, on the link.
    id: u32,
    /// None once it was given up.
    reply: Option<oneshot::Sender<Result<String, Failure>>>,
    time: Duration,
    over: Pin<Box<Sleep>>,
    /// Its time is over, and `over` is the grace after that.
    is_late: bool,
}

impl Pending {
    pub(super) fn new(
        id: u32,
        reply: oneshot::Sender<Result<String, Failure>>,
        interval: Duration,
    ) -> Self {
        let time = LOOKUP_MAX.min(interval / 2);
        Self {
            id,
            reply: Some(reply),
            time,
            over: Box::pin(sleep(time)),
            is_late: false,
        }
    }

    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    /// Waits until something has to be done about it, see [`Pending::give_up`]. Cancel-safe.
    pub(super) async fn overdue(&mut self) {
        match &mut self.reply {
            Some(reply) => tokio::select! {
                () = &mut self.over => {}
                () = reply.closed() => {}
            },
            None => (&mut self.over).await,
        }
    }

    /// What is overdue is to be cancelled. Whoever asked may leave at any time; it costs the process only if its time and
    /// the grace are over too.
    pub(super) fn give_up(&mut self) -> Result<(), Failure> {
        let ms = self.time.as_millis();
        let reply = self.reply.take();
        if self.is_late {
            let what = format!("did not end a lookup within {ms} ms and was ended");
            return Err(lost(LostReason::Deadline, what));
        }
        if self.over.is_elapsed() {
            self.is_late = true;
            self.over = Box::pin(sleep(CANCEL_GRACE));
            if let Some(reply) = reply {
                let late = format!("did not answer within {ms} ms");
                let _ = reply.send(Err(Failure::Refused(late)));
            }
        }
        Ok(())
    }

    /// It has ended like this.
    pub(super) fn answer(self, answer: Result<String, Failure>) {
        if let Some(reply) = self.reply {
            // Whoever asked may have gone.
            let _ = reply.send(answer);
        }
    }
}
