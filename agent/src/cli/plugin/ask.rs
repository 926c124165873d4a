//! `barograph plugin ask`: a question to a plugin's `lookup`, as a running agent would ask it.

use std::io::{self, Write};
use std::path::Path;

use super::Failure;
use super::subject::{self, Named};
use crate::cli::check::check_keys;
use crate::cli::short_runtime;
use crate::collect::Trial;
use crate::config::ConfigErrors;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    subject: Named,
    /// Name of the question
    question: String,
    /// What it is asked about
    parameter: String,
}

pub(super) fn run(config: Option<&Path>, arguments: &Arguments) -> Result<(), Failure> {
    let subject = arguments.subject.find(config)?;
    let shelf = subject::shelf()?;
    let settings = subject.settings(&shelf)?;
    let answer = short_runtime()?.block_on(async {
        let wrong = check_keys(&subject.instance, settings.clone(), &subject.source).await;
        if let Some(errors) = ConfigErrors::new(wrong) {
            return Err(Failure::from(errors));
        }
        let failed = |error| Failure::Running(format!("plugin {}: {error}", settings.plugin));
        let mut trial = Trial::start(&settings).await.map_err(failed)?;
        drop(shelf);
        let answer = trial.ask(&arguments.question, &arguments.parameter).await;
        trial.stop().await;
        answer.map_err(failed)
    })?;
    writeln!(io::stdout(), "{answer}")?;
    Ok(())
}
