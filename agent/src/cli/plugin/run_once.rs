//! `barograph plugin run-once`: some ticks of a plugin without an agent, each printed when it ends.

use std::path::Path;

use super::subject::{self, Named};
use super::{Failure, samples};
use crate::cli::runtime::{Runtime, print};
use crate::collect::Isolation;

pub(super) fn run(
    config: Option<&Path>,
    named: &Named,
    ticks: u32,
    json: bool,
) -> Result<(), Failure> {
    let subject = named.find(config)?;
    let shelf = subject::shelf()?;
    let settings = subject.settings(&shelf, Isolation::Process)?;
    Runtime::new()?.block_on(async {
        let mut trial = subject.start(&settings).await?;
        // An end by kill -9 leaves no copy behind.
        drop(shelf);
        for _ in 0..ticks {
            let batch = trial.next().await.map_err(|error| subject.failed(&error))?;
            let text = if json {
                format!("{}\n", samples::json(&batch))
            } else {
                samples::table(&batch, None)
            };
            print(text).await?;
        }
        trial.stop().await;
        Ok(())
    })?
}
