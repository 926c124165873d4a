//! `barograph plugin`: what the authors and the operators of plugins need, one file a subcommand.
//!
//! [`new`](self::new) makes a plugin, [`inspect`] and [`check`] look at one, [`run_once`], [`watch`], [`lookup`] and
//! [`bench`] run it without an agent, [`list`] shows what an agent with this configuration would run. [`subject`]
//! finds the plugin that is meant, [`samples`] turns its ticks into text. A plugin's code runs in a process of its own
//! here as well.

mod bench;
mod builder;
mod check;
mod inspect;
mod list;
mod lookup;
mod new;
mod run_once;
mod samples;
mod sources;
mod subject;
mod watch;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a plugin that builds at once, in a folder of its own
    New(new::Arguments),
    /// Print what a library says of itself, without running any of its code
    Inspect {
        /// Path of the library
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check a library, its manifest and its configuration; exits with 1 if something is wrong
    Check {
        #[command(flatten)]
        subject: subject::Named,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Run a plugin for some ticks without an agent and print its samples
    RunOnce {
        #[command(flatten)]
        subject: subject::Named,
        /// How many ticks; the first is immediate
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=86_400))]
        ticks: u32,
        /// Print one JSON object for each tick
        #[arg(long)]
        json: bool,
    },
    /// Build a plugin whenever its sources change, run it and print what changed in each tick
    Watch {
        #[command(flatten)]
        subject: subject::Named,
    },
    /// Look something up in a plugin by a name of its configuration, and print the answer, one JSON value
    Lookup(lookup::Arguments),
    /// Collect again and again and print what a tick costs
    Bench(bench::Arguments),
    /// Print the configured plugins, and the libraries that are there but not configured
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: Option<&Path>, command: Command) -> Result<(), Failure> {
    match command {
        Command::New(arguments) => new::run(&arguments),
        Command::Inspect { file, json } => inspect::run(&file, json),
        Command::Check { subject, json } => check::run(config, &subject, json),
        Command::RunOnce {
            subject,
            ticks,
            json,
        } => run_once::run(config, &subject, ticks, json),
        Command::Watch { subject } => watch::run(config, &subject),
        Command::Lookup(arguments) => lookup::run(config, &arguments),
        Command::Bench(arguments) => bench::run(config, &arguments),
        Command::List { json } => list::run(config, json),
    }
}
