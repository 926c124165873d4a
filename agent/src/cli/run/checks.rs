//! Plugins that judge their own keys before they run with them, each in a process of its own.
//!
//! One that refuses them would only fail again and again, so its collector is refused, with the line of the key, and
//! all others run: what a plugin thinks of its section is plugin code, and must not keep the agent from starting. One
//! that can't even be asked is not a mistake of the configuration: its supervisor deals with it. So it does with one
//! that hangs, since nobody is waited for longer than [`CHECK_MAX`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet, spawn_blocking};
use tokio::time::timeout;
use tracing::warn;

use crate::cli::check::check_keys;
use crate::collect::Settings;
use crate::collect::library::Shelf;
use crate::config::{Config, ConfigError, ConfigErrors, Instance, Source};

/// A plugin answers within milliseconds what it thinks of its keys; one that hangs must not hold the agent.
const CHECK_MAX: Duration = Duration::from_secs(1);

/// Plugins that are asked; none at first.
#[derive(Debug, Default)]
pub(super) struct Checks {
    tasks: JoinSet<(String, Vec<ConfigError>)>,
    /// Names of those that have not answered.
    waiting: HashMap<Id, String>,
}

impl Checks {
    /// Asks the plugins of a configuration anew, but for those that `runs` already as it says, and marks those that
    /// refuse their keys.
    pub(super) async fn mark(
        &mut self,
        config: &mut Config,
        source: &Source,
        copies: &Arc<Shelf>,
        runs: impl Fn(&Settings) -> bool,
    ) {
        *self = Self::default();
        for (instance, settings) in resolved(&config.collectors, copies).await {
            if runs(&settings) {
                continue;
            }
            let (name, source) = (instance.name.clone(), source.clone());
            let task = self.tasks.spawn(async move {
                let errors = check_keys(&instance, settings, &source).await;
                (instance.name, errors)
            });
            self.waiting.insert(task.id(), name);
        }
        let all = async {
            while let Some((name, errors)) = self.late().await {
                let Some(errors) = ConfigErrors::new(errors) else {
                    continue;
                };
                let its = config.collectors.iter_mut().find(|one| one.name == name);
                if let Some(instance) = its {
                    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
                    instance.mistakes = Some(errors.join("; "));
                }
            }
        };
        if timeout(CHECK_MAX, all).await.is_err() {
            let mut names: Vec<_> = self.waiting.values().map(String::as_str).collect();
            names.sort_unstable();
            let (names, seconds) = (names.join(", "), CHECK_MAX.as_secs());
            warn!(
                "not done with checking their configuration after {seconds} s: {names}; the agent goes on without it"
            );
        }
    }

    /// Name and errors of one more plugin; `None` when none is asked any more. Cancel-safe.
    pub(super) async fn late(&mut self) -> Option<(String, Vec<ConfigError>)> {
        let (id, answered) = match self.tasks.join_next_with_id().await? {
            Ok(answered) => answered,
            Err(error) => (error.id(), Default::default()),
        };
        self.waiting.remove(&id);
        Some(answered)
    }
}

/// The collectors whose libraries can be used. The others are told of by whoever would run them.
async fn resolved(instances: &[Instance], shelf: &Arc<Shelf>) -> Vec<(Instance, Settings)> {
    let (instances, shelf) = (instances.to_vec(), Arc::clone(shelf));
    // Reads the libraries that have changed; collectors that run are served meanwhile.
    let resolving = spawn_blocking(move || {
        let resolved = instances.into_iter().filter_map(|instance| {
            let settings = instance.settings(&shelf).ok()?;
            Some((instance, settings))
        });
        resolved.collect()
    });
    resolving
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
