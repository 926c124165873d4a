//! `barograph plugin run-once`: some ticks of a plugin without an agent, each printed when it ends.

use std::io::{self, Write};
use std::path::Path;

use super::subject::{self, Named};
use super::{Failure, samples};
use crate::cli::check::check_keys;
use crate::cli::short_runtime;
use crate::collect::Trial;
use crate::config::ConfigErrors;

pub(super) fn run(
    config: Option<&Path>,
    named: &Named,
    ticks: u32,
    json: bool,
) -> Result<(), Failure> {
    let subject = named.find(config)?;
    let shelf = subject::shelf()?;
    let settings = subject.settings(&shelf)?;
    short_runtime()?.block_on(async {
        let wrong = check_keys(&subject.instance, settings.clone(), &subject.source).await;
        if let Some(errors) = ConfigErrors::new(wrong) {
            return Err(errors.into());
        }
        let failed = |error| Failure::Running(format!("plugin {}: {error}", settings.plugin));
        let mut trial = Trial::start(&settings).await.map_err(failed)?;
        // The library is open; an end by Ctrl-C leaves no copy of it behind.
        drop(shelf);
        for _ in 0..ticks {
            let batch = trial.next().await.map_err(failed)?;
            let text = if json {
                format!("{}\n", samples::json(&batch))
            } else {
                samples::table(&batch, None)
            };
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        trial.stop().await;
        Ok(())
    })
}
