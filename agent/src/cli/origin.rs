//! Where the answers of `query`, `export` and `backup` come from: the agent that runs on the folder, else the folder.
//!
//! Both do the same work for the same [`Request`]. A folder that no agent runs on is opened as the agent would open
//! it, which takes its lock and repairs what a crash left; that is said on stderr. No data folder is ever made here.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{Failure, load};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::client;
use crate::control::frame::{Code, ReadError, Refusal};
use crate::control::request::{Request, Undone};
use crate::store::engine::Engine;
use crate::store::{self, StoreError};

/// Who answers.
pub(super) enum Origin {
    /// A running agent.
    Agent(UnixStream),
    /// The folder itself.
    Folder(Box<Engine>, PathBuf),
}

/// The data folder that the command is about, and the configuration.
pub(super) fn folder(
    config: Option<&Path>,
    data_dir: Option<PathBuf>,
) -> Result<(PathBuf, Config), Failure> {
    let (config, _) = load(config)?;
    Ok((data_dir.unwrap_or_else(|| config.data_dir.clone()), config))
}

/// Whether there is something to open; nothing is made where there was nothing.
pub(super) fn require_data(root: &Path) -> Result<(), Failure> {
    // Any of them: the others may be what was lost.
    if ["schema", "core", "head", "raw"]
        .iter()
        .any(|part| root.join(part).exists())
    {
        return Ok(());
    }
    let message = format!(
        "{} holds no history; name another folder with --data-dir, or the configuration with --config",
        root.display()
    );
    Err(Failure::DataFolder(message))
}

impl Origin {
    pub(super) fn find(root: &Path, config: store::Config) -> Result<Self, Failure> {
        let found = client::connect(root).map_err(|error| {
            let socket = root.join(crate::control::SOCKET);
            let message = format!(
                "{} can't be reached: {error}; run it as the agent's user or as root",
                socket.display()
            );
            Failure::Running(message)
        })?;
        if let Some(stream) = found {
            return Ok(Self::Agent(stream));
        }
        require_data(root)?;
        let engine = Engine::open(root, config, Clock::system().now_ms())?;
        note(&format!(
            "no agent runs on {}; reading the folder itself",
            root.display()
        ));
        Ok(Self::Folder(Box::new(engine), root.to_owned()))
    }

    /// Asks; the answer's data goes to `out`.
    pub(super) fn ask(self, request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Agent(stream) => Ok(client::ask(stream, request, out, &mut note)?),
            Self::Folder(engine, root) => {
                let now_ms = Clock::system().now_ms();
                let done = request.perform(&engine, &root, now_ms, out);
                done?.iter().for_each(|text| note(text));
                out.flush()?;
                Ok(())
            }
        }
    }
}

/// Says something beside the answer.
pub(super) fn note(text: &str) {
    // Nobody is left to be told where stderr is closed.
    let _ = writeln!(io::stderr(), "barograph: {text}");
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal.code {
            Code::BadRequest => Self::Usage(refusal.message),
            Code::Forbidden | Code::Busy | Code::Stopping | Code::Failed => {
                Self::Running(refusal.message)
            }
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(refusal) => refusal.into(),
            ReadError::Write(error) => error.into(),
            other => Self::Running(other.to_string()),
        }
    }
}

impl From<Undone> for Failure {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Refused(refusal) => refusal.into(),
            Undone::Write(error) => error.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::DataFolder(error.to_string())
    }
}
