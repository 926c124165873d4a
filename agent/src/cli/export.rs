//! `barograph export`: samples or points as text, to stdout or into a file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::origin::{Origin, folder};
use super::output::{BUFFER_BYTES, Output};
use super::scope::{ScopeArguments, word};
use crate::clock::Clock;
use crate::control::request::{Extract, Request};
use crate::protocol::Resolution;
use crate::store::export::Format;

/// How far back an export goes unless something is given: what is kept at full resolution by default.
const LAST_MS: i64 = 86_400_000;

/// What `export` can be told.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How it is written: openmetrics, jsonl or csv
    #[arg(long, value_name = "WORD", default_value = "openmetrics", value_parser = word::<Format>)]
    format: Format,
    /// Only metrics of this name, * stands for any run of characters; can be given several times
    #[arg(long = "metric", value_name = "METRIC")]
    metrics: Vec<String>,
    #[command(flatten)]
    scope: ScopeArguments,
    /// What is exported: raw (every sample), minute or hour
    #[arg(long, value_name = "WORD", default_value = "raw", value_parser = word::<Resolution>)]
    resolution: Resolution,
    /// Write into this file, which is replaced once the new one is whole
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let (root, config) = folder(config, arguments.scope.data_dir.clone())?;
    let now_ms = Clock::system().now_ms();
    let request = Request::Export(Extract {
        scope: arguments.scope.scope(arguments.metrics, LAST_MS, now_ms)?,
        resolution: arguments.resolution,
        format: arguments.format,
    });
    let origin = Origin::find(&root, config.store)?;
    if let Some(path) = arguments.output {
        let mut output = Output::create(&path)?;
        {
            let mut out = BufWriter::with_capacity(BUFFER_BYTES, &mut output);
            origin
                .ask(&request, &mut out)
                .map_err(|failure| failure.at(&path))?;
            out.flush()
                .map_err(|error| Failure::from(error).at(&path))?;
        }
        output.keep()?;
    } else {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        origin.ask(&request, &mut out)?;
        out.flush()?;
    }
    Ok(())
}
