//! `cargo xtask header` and `cargo xtask wire`: committed files that are generated from Rust.
//!
//! The tests that compare such a file with its source write it anew when BLESS is set.

use crate::place::Place;
use crate::shell::{self, Fallible};

pub(crate) fn header() -> Fallible {
    bless("barograph-sdk", "header")
}

pub(crate) fn wire() -> Fallible {
    bless("barograph", "wire")
}

fn bless(package: &str, test: &str) -> Fallible {
    let place = Place::find()?;
    let told =
        shell::tell(
            place
                .cargo()
                .env("BLESS", "1")
                .args(["test", "--package", package, test]),
        )?;
    let ran = crate::tally::Tally::of_libtest(&told.text);
    if !told.success {
        return Err(format!("the {test} test of {package} failed").into());
    }
    if ran.passed == 0 {
        return Err(format!("{package} has no test whose name contains {test}").into());
    }
    Ok(())
}
