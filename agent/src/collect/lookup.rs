//! Lookups in running plugins, for whoever has the handle.
//!
//! A collector answers one at a time; who comes second is told so instead of waiting. It shares the
//! instance with the collects: one that runs is waited for, and the lookup has a time of its own, which costs none of
//! them. Whoever wants an answer is never held up for longer than [`ANSWER_MAX`] by both.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Failure, Lookup};

/// How long an answer may take, a collect before it included.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No collector has this name.
    #[error("there is no collector {0}")]
    Unknown(String),
    /// Somebody else's lookup is not answered yet.
    #[error("{0} is still answering another lookup; come again")]
    Busy(String),
    /// The plugin could not answer.
    #[error("{collector}: {failure}")]
    Failed {
        /// Whose plugin it is.
        collector: String,
        /// Why it could not.
        failure: Failure,
    },
    /// The plugin took too long.
    #[error("{0} did not answer within 2 s")]
    Late(String),
}

/// The collectors that can answer, by name. Cloneable handle.
#[derive(Clone, Debug, Default)]
pub struct Lookups(Arc<RwLock<HashMap<String, mpsc::Sender<Lookup>>>>);

impl Lookups {
    /// Makes a collector known, or known again.
    pub fn insert(&self, collector: &str, sender: mpsc::Sender<Lookup>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(collector.to_owned(), sender);
    }

    /// Forgets a collector.
    pub fn remove(&self, collector: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(collector);
    }

    /// Looks up what a collector knows of `parameter` under a name that the operator configured; the answer is JSON.
    pub async fn look_up(
        &self,
        collector: &str,
        name: String,
        parameter: String,
    ) -> Result<String, LookupError> {
        let its = {
            let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
            all.get(collector).cloned()
        };
        let collector = collector.to_owned();
        let Some(sender) = its else {
            return Err(LookupError::Unknown(collector));
        };
        let (reply, answer) = oneshot::channel();
        let lookup = Lookup {
            name,
            parameter,
            reply,
        };
        match sender.try_send(lookup) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(LookupError::Busy(collector)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return Err(LookupError::Unknown(collector));
            }
        }
        match timeout(ANSWER_MAX, answer).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(failure))) => Err(LookupError::Failed { collector, failure }),
            // Its instance went away with it.
            Ok(Err(_)) => {
                let failure = Failure::Refused("ended before it answered".to_owned());
                Err(LookupError::Failed { collector, failure })
            }
            Err(_) => Err(LookupError::Late(collector)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_a_refusal_a_silence_and_a_queue() {
        let lookups = Lookups::default();
        let wanted = |name: &str| {
            let (lookups, name) = (lookups.clone(), name.to_owned());
            async move { lookups.look_up("c", name, "7".to_owned()).await }
        };
        assert_eq!(
            wanted("user").await,
            Err(LookupError::Unknown("c".to_owned()))
        );
        let (sender, mut receiver) = mpsc::channel(1);
        lookups.insert("c", sender);
        let plugin = async {
            let lookup: Lookup = receiver.recv().await.unwrap();
            let answer = format!("[\"{}\",\"{}\"]", lookup.name, lookup.parameter);
            lookup.reply.send(Ok(answer)).unwrap();
            let lookup = receiver.recv().await.unwrap();
            let refused = Failure::Refused("no such name".to_owned());
            lookup.reply.send(Err(refused)).unwrap();
            drop(receiver.recv().await.unwrap());
            receiver
        };
        let asker = async {
            assert_eq!(wanted("user").await.unwrap(), "[\"user\",\"7\"]");
            let refused = wanted("x").await.unwrap_err();
            assert_eq!(refused.to_string(), "c: no such name");
            let ended = wanted("y").await.unwrap_err();
            assert_eq!(ended.to_string(), "c: ended before it answered");
        };
        let (_receiver, ()) = tokio::join!(plugin, asker);
        let (late, busy) = tokio::join!(wanted("z"), wanted("z"));
        assert_eq!(late, Err(LookupError::Late("c".to_owned())));
        assert_eq!(busy, Err(LookupError::Busy("c".to_owned())));
    }
}
