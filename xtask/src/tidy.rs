//! `cargo xtask tidy`: a short way to the tidy test, which `test` runs too.

use crate::place::Place;
use crate::shell::{self, Fallible};

pub(crate) fn tidy() -> Fallible {
    let place = Place::find()?;
    shell::run(
        place
            .cargo()
            .args(["test", "--quiet", "--package", "xtask", "--test", "tidy"]),
    )
}
