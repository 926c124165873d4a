//! Questions to running plugins, for whoever has the handle.
//!
//! A collector answers one question at a time; who comes second is told so instead of waiting. A question
//! has its own time, which is not that of a collect: whoever asks is never held up by a plugin for longer.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Failure, Question};

/// How long an answer may take.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No collector has this name.
    #[error("there is no collector {0}")]
    Unknown(String),
    /// Somebody else's question is not answered yet.
    #[error("{0} is still answering another question; ask again")]
    Busy(String),
    /// The plugin could not answer.
    #[error("{collector}: {failure}")]
    Failed {
        /// Who was asked.
        collector: String,
        /// Why it could not.
        failure: Failure,
    },
    /// The plugin took too long.
    #[error("{0} did not answer within 2 s")]
    Late(String),
}

/// The collectors that can be asked, by name. Cloneable handle.
#[derive(Clone, Debug, Default)]
pub struct Lookups(Arc<RwLock<HashMap<String, mpsc::Sender<Question>>>>);

impl Lookups {
    /// Makes a collector known, or known again.
    pub fn insert(&self, collector: &str, questions: mpsc::Sender<Question>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(collector.to_owned(), questions);
    }

    /// Forgets a collector.
    pub fn remove(&self, collector: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(collector);
    }

    /// Asks a collector what it knows of `parameter` under a name that the operator configured; the answer is JSON.
    pub async fn ask(
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
        let Some(questions) = its else {
            return Err(LookupError::Unknown(collector));
        };
        let (reply, answer) = oneshot::channel();
        let question = Question {
            name,
            parameter,
            reply,
        };
        match questions.try_send(question) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(LookupError::Busy(collector)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return Err(LookupError::Unknown(collector));
            }
        }
        match timeout(ANSWER_MAX, answer).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(failure))) => Err(LookupError::Failed { collector, failure }),
            // Its instance went away with the question.
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
        let ask = |name: &str| {
            let (lookups, name) = (lookups.clone(), name.to_owned());
            async move { lookups.ask("c", name, "7".to_owned()).await }
        };
        assert_eq!(ask("user").await, Err(LookupError::Unknown("c".to_owned())));
        let (sender, mut questions) = mpsc::channel(1);
        lookups.insert("c", sender);
        let plugin = async {
            let asked: Question = questions.recv().await.unwrap();
            let answer = format!("[\"{}\",\"{}\"]", asked.name, asked.parameter);
            asked.reply.send(Ok(answer)).unwrap();
            let asked = questions.recv().await.unwrap();
            let refused = Failure::Refused("no such name".to_owned());
            asked.reply.send(Err(refused)).unwrap();
            drop(questions.recv().await.unwrap());
            questions
        };
        let asker = async {
            assert_eq!(ask("user").await.unwrap(), "[\"user\",\"7\"]");
            let refused = ask("x").await.unwrap_err();
            assert_eq!(refused.to_string(), "c: no such name");
            let ended = ask("y").await.unwrap_err();
            assert_eq!(ended.to_string(), "c: ended before it answered");
        };
        let (_questions, ()) = tokio::join!(plugin, asker);
        let (late, busy) = tokio::join!(ask("z"), ask("z"));
        assert_eq!(late, Err(LookupError::Late("c".to_owned())));
        assert_eq!(busy, Err(LookupError::Busy("c".to_owned())));
    }
}
