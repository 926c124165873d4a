//! `barograph plugin watch`: builds a plugin whenever its sources change and shows its ticks, until Ctrl-C.
//!
//! Each build's library runs in a process of its own, from a copy, so that the next build can't disturb it. Whatever
//! goes wrong is said, and the next change tries again. Of a library without sources the file itself is watched.
//! Nothing is built while a plugin runs, so that what plugins leave behind is told from what builds do.

use std::path::{Path, PathBuf};

use tokio::signal::unix::SignalKind;

use super::builder::Builder;
use super::sources::Sources;
use super::subject::{self, Named, is_path};
use super::{Failure, samples};
use crate::cli::check::check_plugin;
use crate::cli::origin::note;
use crate::cli::runtime::{Runtime, print};
use crate::clock::Clock;
use crate::collect::{Isolation, Trial, TrialBatch, TrialError};
use crate::config::FILE;

/// What is watched.
#[derive(Debug)]
enum Watched {
    /// A folder that is built.
    Folder(PathBuf, Builder),
    /// A library that somebody else builds.
    Library(PathBuf),
}

pub(super) fn run(config: Option<&Path>, named: &Named) -> Result<(), Failure> {
    let watched = Watched::find(config, named)?;
    // The plugin's process ends with its trial, and a build with its future.
    match Runtime::new()?.block_on(watch(config, named, &watched)) {
        // That is how it ends well.
        Err(Failure::Interrupted(kind)) if kind == SignalKind::interrupt() => Ok(()),
        ended => ended?,
    }
}

impl Watched {
    fn find(config: Option<&Path>, named: &Named) -> Result<Self, Failure> {
        let folder = PathBuf::from(&named.plugin);
        if folder.is_dir() {
            let builder = Builder::of(&folder).ok_or_else(|| {
                let shown = folder.display();
                Failure::Usage(format!(
                    "{shown} has no Cargo.toml and no Makefile to build it by"
                ))
            })?;
            return Ok(Self::Folder(folder, builder));
        }
        if is_path(&named.plugin) {
            return Ok(Self::Library(folder));
        }
        let library = subject::library(&named.find(config)?.instance);
        library.map(Self::Library).map_err(Failure::Usage)
    }

    /// Its sources, and the configuration that it runs with.
    fn sources(&self, config: Option<&Path>) -> Sources {
        let (Self::Folder(path, _) | Self::Library(path)) = self;
        let config = config.unwrap_or(Path::new(FILE));
        Sources::new(vec![path.clone(), config.to_owned()])
    }

    async fn library(&self) -> Result<PathBuf, String> {
        let (folder, builder) = match self {
            Self::Folder(folder, builder) => (folder, builder),
            Self::Library(library) => return Ok(library.clone()),
        };
        let clock = Clock::system();
        let began = clock.mono();
        let library = builder.build(folder).await?;
        let took = clock.mono().saturating_duration_since(began);
        note(&format!(
            "built {} in {:.1} s",
            library.display(),
            took.as_secs_f64()
        ));
        Ok(library)
    }
}

/// Ends only with an error that nothing can be done about.
async fn watch(config: Option<&Path>, named: &Named, watched: &Watched) -> Result<(), Failure> {
    loop {
        // Before the build: what changes while it runs is built next.
        let mut sources = watched.sources(config);
        match start(config, named, watched).await {
            Ok(trial) => show(trial, &mut sources).await?,
            Err(failure @ Failure::OutputClosed) => return Err(failure),
            Err(failure) => {
                // It begins with our name already, or with the line of the configuration.
                let words = failure.to_string();
                note(words.strip_prefix("barograph: ").unwrap_or(&words));
                note("waiting for a change");
                sources.changed().await;
            }
        }
    }
}

async fn start(config: Option<&Path>, named: &Named, watched: &Watched) -> Result<Trial, Failure> {
    let library = watched.library().await.map_err(Failure::Running)?;
    let subject = named.of_library(&library).find(config)?;
    let shelf = subject::shelf()?;
    let settings = subject.settings(&shelf, Isolation::Process)?;
    let wrong = check_plugin(&subject.instance, settings.clone(), &subject.source).await;
    if !wrong.is_empty() {
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        return Err(Failure::Running(wrong.join("\n")));
    }
    // The library is open once it has started; the copy may go with its shelf.
    let trial = Trial::start(&settings).await;
    trial.map_err(|error| subject.failed(&error))
}

/// Shows ticks until the sources change.
async fn show(mut trial: Trial, sources: &mut Sources) -> Result<(), Failure> {
    let mut before: Option<TrialBatch> = None;
    loop {
        let next = tokio::select! {
            next = trial.next() => next,
            () = sources.changed() => {
                trial.stop().await;
                return Ok(());
            }
        };
        match next {
            Ok(batch) => {
                let text = samples::table(&batch, before.as_ref());
                print(text).await?;
                before = Some(batch);
            }
            Err(TrialError::Refused(why)) => note(&format!("no samples: {why}")),
            Err(TrialError::Lost(why)) => {
                note(&format!("the plugin ended: {why}; waiting for a change"));
                sources.changed().await;
                return Ok(());
            }
        }
    }
}
