//! `barograph plugin lookup`: what a plugin's `lookup` answers, as in a running agent.

use std::path::Path;

use super::Failure;
use super::subject::{self, Named};
use crate::cli::runtime::{Runtime, print};
use crate::collect::Isolation;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    subject: Named,
    /// Name of the lookup
    name: String,
    /// What is looked up
    parameter: String,
}

pub(super) fn run(config: Option<&Path>, arguments: &Arguments) -> Result<(), Failure> {
    let subject = arguments.subject.find(config)?;
    let shelf = subject::shelf()?;
    let settings = subject.settings(&shelf, Isolation::Process)?;
    Runtime::new()?.block_on(async {
        let mut trial = subject.start(&settings).await?;
        drop(shelf);
        let answer = trial.look_up(&arguments.name, &arguments.parameter).await;
        trial.stop().await;
        let answer = answer.map_err(|error| subject.failed(&error))?;
        print(format!("{answer}\n")).await
    })?
}
