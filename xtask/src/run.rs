//! `cargo xtask run`: from a fresh checkout to a running agent.
//!
//! At the end this process becomes the agent, so that signals, the exit code and the terminal
//! are the agent's own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::needs;
use crate::node::Node;
use crate::place::Place;
use crate::shell::{self, Fallible};
use crate::web;

pub(crate) fn run(arguments: &[OsString]) -> Fallible {
    let place = Place::find()?;
    needs::ensure(&[&needs::C_COMPILER])?;
    let node = Node::ensure(&place)?;
    web::build(&place, &node)?;
    // The default members are the agent and every plugin, whose libraries are looked up beside it.
    shell::run(place.cargo().args(["build", "--release"]))?;
    let mut agent = Command::new(place.agent("release"));
    agent.current_dir(&place.root).arg("run");
    if !names_config(arguments) {
        agent.args(["--config", "config.toml"]);
    }
    agent.args(arguments);
    println!("$ {}", shell::line(&agent));
    let error = agent.exec();
    Err(format!("cannot start {}: {error}", place.agent("release").display()).into())
}

fn names_config(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| {
        argument == "--config" || argument.to_string_lossy().starts_with("--config=")
    })
}
