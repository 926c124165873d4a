//! `cargo xtask deny`: bans, licences and sources of the dependencies, by cargo-deny, offline.
//!
//! Advisories need a download and change without a change of ours; they are a command of their
//! own: `cargo deny check advisories`.

use std::process::Command;

use crate::place::Place;
use crate::shell::{self, Fallible};

pub(crate) fn deny() -> Fallible {
    let place = Place::find()?;
    let private = place.tools().join("bin/cargo-deny");
    let program = match shell::find("cargo-deny") {
        Some(program) => program,
        None if private.is_file() => private,
        None => {
            shell::run(
                place
                    .cargo()
                    .args(["install", "--locked", "cargo-deny", "--root"])
                    .arg(place.tools()),
            )?;
            private
        }
    };
    // An offline check can only read what cargo has already fetched.
    shell::run(place.cargo().args(["fetch", "--quiet", "--locked"]))?;
    shell::run(Command::new(program).current_dir(&place.root).args([
        "--offline",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}
