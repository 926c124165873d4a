//! `cargo xtask bench sdk`: how long the SDK takes to compile from clean, as an author's first build does.

use std::fs;
use std::io::ErrorKind;
use std::time::Instant;

use crate::bench::row::{self, Row};
use crate::place::Place;
use crate::shell::{self, Fallible};

const SECONDS_MAX: f64 = 30.0;
/// Compilers that run at the same time, whatever the machine has.
const JOBS: &str = "2";

pub(crate) fn sdk(place: &Place) -> Fallible {
    // What has to be downloaded is not compiling.
    shell::run(place.cargo().args(["fetch", "--locked"]))?;
    let folder = place.target.join("bench/sdk");
    let mut rows = Vec::new();
    for (what, profile) in [("debug", "dev"), ("release", "release")] {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut build = place.cargo();
        build.args(["build", "--package", "barograph-sdk", "--jobs", JOBS]);
        build
            .args(["--profile", profile, "--target-dir"])
            .arg(&folder);
        let began = Instant::now();
        shell::run(&mut build)?;
        let what = format!("compiled from clean on {JOBS} cores, {what}");
        rows.push(Row::at_most(
            what,
            SECONDS_MAX,
            began.elapsed().as_secs_f64(),
            "s",
        ));
    }
    row::print(&rows);
    Ok(())
}
