//! Trials of collectors that are to take the place of others which run.
//!
//! What makes a collector another one is said once for a whole section (the topic of its library, its isolation,
//! that it has instances), and the collectors of a plugin share the definitions of their metrics. So those of one
//! plugin are tried at the same time, and exchanged together or not at all.
//!
//! Each is tried in a process of its own, wherever it is to run later, and stopped again; its samples and events are
//! dropped. It reads its source from the stored position, which stays where it is, so what it read comes again. A
//! source without positions is read by the old one meanwhile.

use std::task::Poll;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::collectors::Plan;
use crate::clock::Clock;
use crate::collect::Runner;
use crate::collect::supervisor::{Trial, probe};
use crate::config::Instance;

/// Collectors of one plugin, each as it is configured and as it would run.
pub(super) type Members = Vec<(Instance, Plan)>;

/// What the trials of some collectors came to.
#[derive(Debug)]
pub struct Tried {
    pub(super) members: Members,
    /// Names and reasons.
    failures: Vec<(String, String)>,
}

impl Tried {
    /// Why a collector is not exchanged; `None` if all trials were good.
    pub(super) fn refusal(&self, name: &str) -> Option<String> {
        let own = self.failures.iter().find(|(failed, _)| failed == name);
        if let Some((_, reason)) = own {
            return Some(reason.clone());
        }
        let (other, reason) = self.failures.first()?;
        Some(format!(
            "`{other}`, of the same plugin, failed its trial: {reason}"
        ))
    }
}

/// Collectors of one plugin that are tried now.
#[derive(Debug)]
struct OnTrial {
    tried: Tried,
    /// Each gives its name and how it went.
    tasks: JoinSet<(String, Result<(), String>)>,
    /// Dropped, it ends the trials.
    end: watch::Sender<()>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Trials(Vec<OnTrial>);

impl Trials {
    /// Begins to try these, for the members' sake.
    pub(super) fn begin<R: Runner>(
        &mut self,
        members: Members,
        runners: Vec<(String, R, Trial)>,
        clock: &Clock,
    ) {
        let (end, ended) = watch::channel(());
        let mut tasks = JoinSet::new();
        for (name, mut runner, trial) in runners {
            let (mut ended, clock) = (ended.clone(), clock.clone());
            tasks.spawn(async move {
                let result = tokio::select! {
                    biased;
                    _ = ended.changed() => Err("was given up".to_owned()),
                    result = probe(&mut runner, &clock, trial) => result,
                };
                runner.stop().await;
                (name, result)
            });
        }
        let failures = Vec::new();
        let tried = Tried { members, failures };
        self.0.push(OnTrial { tried, tasks, end });
    }

    /// Lets the trial of exactly these go on here, if there is one.
    pub(super) fn keep(&mut self, before: &mut Self, members: &Members) -> bool {
        let found = before
            .0
            .iter()
            .position(|known| known.tried.members == *members);
        self.0.extend(found.map(|at| before.0.swap_remove(at)));
        found.is_some()
    }

    /// Waits until all collectors of a plugin were tried; for ever if none is. Cancel-safe.
    pub(super) async fn next(&mut self) -> Tried {
        std::future::poll_fn(|context| {
            for at in 0..self.0.len() {
                let known = &mut self.0[at];
                while let Poll::Ready(ended) = known.tasks.poll_join_next(context) {
                    match ended {
                        None => return Poll::Ready(self.0.swap_remove(at).tried),
                        Some(Ok((name, Err(reason)))) => known.tried.failures.push((name, reason)),
                        Some(Ok((_, Ok(())))) => {}
                        Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// What is tried.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Plan> {
        let members = self.0.iter().flat_map(|known| &known.tried.members);
        members.map(|(_, plan)| plan)
    }

    /// Ends them in the background.
    pub(super) fn give_up(self) {
        for OnTrial { mut tasks, .. } in self.0 {
            tasks.detach_all();
        }
    }

    /// Ends them and waits for that, but no longer than until this moment.
    pub(super) async fn end(self, until: Instant) {
        let tasks: Vec<_> = self
            .0
            .into_iter()
            .map(|OnTrial { tasks, end, .. }| {
                drop(end);
                tasks
            })
            .collect();
        for mut tasks in tasks {
            let all = async { while tasks.join_next().await.is_some() {} };
            let _ = timeout_at(until, all).await;
        }
    }
}
