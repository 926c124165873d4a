//! The command line: one file a subcommand.
//!
//! Arguments are read here and each outcome becomes an exit code: 0 done, 1 failed while running, 2 usage
//! or configuration, 3 address in use, 4 data folder unusable, from 128 on a signal. What was asked for goes to
//! stdout, all else to stderr. The hidden `plugin-host` is how the agent starts itself as the process of a plugin; nobody
//! types it.

mod backup;
mod check;
mod doctor;
mod export;
mod origin;
mod output;
mod plugin;
mod query;
mod restore;
mod run;
mod runtime;
mod scope;
mod table;
mod version;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::SignalKind;

use crate::collect::{host, library};
use crate::config::{Config, ConfigErrors, Source};

/// Must be the first argument, so that a plugin's process never builds the parser.
const PLUGIN_HOST: &str = "plugin-host";
/// For writing why the process ends.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// An observability agent for document-processing platforms
#[derive(Debug, Parser)]
#[command(name = "barograph", version)]
struct Arguments {
    /// Configuration file; without it config.toml in the working directory, if it is there
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent (also what happens without a subcommand)
    Run,
    /// Check the configuration, the plugins' own keys included, and say what it comes to
    Check,
    /// Write, try, measure and look at plugins
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Show the history of some metrics, as a table or as JSON
    Query(query::Arguments),
    /// Write samples or points as OpenMetrics, JSON lines or CSV
    Export(export::Arguments),
    /// Copy the whole history into one file, also while the agent runs
    Backup {
        /// The file; it appears when it is whole and was read back
        file: PathBuf,
        /// Another data folder than the configured one
        #[arg(long, value_name = "FOLDER")]
        data_dir: Option<PathBuf>,
    },
    /// Make an empty data folder the one that a backup was taken of
    Restore {
        /// The backup
        file: PathBuf,
        /// Another data folder than the configured one
        #[arg(long, value_name = "FOLDER")]
        data_dir: Option<PathBuf>,
    },
    /// Check everything in the data folder of an agent that does not run; exits with 1 if something is wrong
    Doctor {
        /// Repair what can be repaired
        #[arg(long)]
        repair: bool,
        /// Another data folder than the configured one
        #[arg(long, value_name = "FOLDER")]
        data_dir: Option<PathBuf>,
    },
    /// Print version, platform and allocator
    Version {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Why a subcommand did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Every mistake stands on a line of its own, which begins with its place.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("barograph: {0}")]
    Usage(String),
    #[error("barograph: {0}")]
    AddressInUse(String),
    #[error("barograph: {0}")]
    DataFolder(String),
    #[error("barograph: {0}")]
    Running(String),
    /// Whoever read our output, such as `head`, has enough.
    #[error("the output was closed")]
    OutputClosed,
    /// Whoever sent the signal knows.
    #[error("a signal came")]
    Interrupted(SignalKind),
}

impl Failure {
    /// Names the file that it is about.
    fn at(self, path: &Path) -> Self {
        match self {
            Self::Running(message) => Self::Running(format!("{}: {message}", path.display())),
            other => other,
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Running(_) => 1,
            Self::Config(_) | Self::Usage(_) => 2,
            Self::AddressInUse(_) => 3,
            Self::DataFolder(_) => 4,
            Self::Interrupted(kind) => u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX),
        }
    }

    /// Whether there is anything to say.
    fn is_told(&self) -> bool {
        !matches!(self, Self::OutputClosed | Self::Interrupted(_))
    }
}

impl From<io::Error> for Failure {
    /// Of a write to stdout.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Running(format!("the output cannot be written: {error}")),
        }
    }
}

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == PLUGIN_HOST)
    {
        return host::run();
    }
    // Ends the process by itself: with 2 on a mistake, with 0 on --help and --version.
    let arguments = Arguments::parse();
    let Err(failure) = dispatch(arguments) else {
        return ExitCode::SUCCESS;
    };
    if failure.is_told() {
        say_last(failure.to_string());
    }
    ExitCode::from(failure.code())
}

/// Writes the last words to stderr, unless that takes nothing: a pipe that nobody reads must not keep the
/// process alive, and if it is closed nobody is left to be told.
fn say_last(words: String) {
    let (done, written) = std::sync::mpsc::sync_channel(1);
    let writer = std::thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{words}");
        let _ = done.send(());
    });
    if writer.is_ok() {
        let _ = written.recv_timeout(LAST_WORDS_MAX);
    }
}

fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let config = arguments.config.as_deref();
    match arguments.command.unwrap_or(Command::Run) {
        Command::Run => run::run(config),
        Command::Check => check::run(config),
        Command::Plugin(command) => plugin::run(config, command),
        Command::Query(arguments) => query::run(config, arguments),
        Command::Export(arguments) => export::run(config, arguments),
        Command::Backup { file, data_dir } => backup::run(config, data_dir, &file),
        Command::Restore { file, data_dir } => restore::run(config, data_dir, &file),
        Command::Doctor { repair, data_dir } => doctor::run(config, data_dir, repair),
        Command::Version { json } => version::run(json),
    }
}

/// The configuration of this process: the file, its environment, and the plugins that run without either.
fn load(path: Option<&Path>) -> Result<(Config, Source), ConfigErrors> {
    let (mut config, source) = Config::load(path, std::env::vars_os())?;
    config.run_unasked(&library::unasked());
    Ok((config, source))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_subcommand_is_run() {
        let arguments = Arguments::try_parse_from(["barograph", "--config", "x.toml"]).unwrap();
        assert!(arguments.command.is_none());
        let arguments =
            Arguments::try_parse_from(["barograph", "run", "--config", "x.toml"]).unwrap();
        assert_eq!(arguments.config.as_deref(), Some(Path::new("x.toml")));
    }
}
