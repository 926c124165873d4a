//! `barograph version`: what this binary is.

use std::env::consts::{ARCH, OS};
use std::io::{self, Write};

use serde_json::json;

use super::Failure;
use crate::allocator;

/// The C library that it is built for; empty where there is only one.
const LIBC: &str = if cfg!(target_env = "gnu") {
    "-gnu"
} else if cfg!(target_env = "musl") {
    "-musl"
} else {
    ""
};

pub(super) fn run(json: bool) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let target = format!("{ARCH}-{OS}{LIBC}");
    let allocator = allocator::NAME;
    let mut out = io::stdout().lock();
    if json {
        writeln!(
            out,
            "{}",
            json!({"version": version, "target": target, "allocator": allocator})
        )?;
    } else {
        writeln!(
            out,
            "barograph {version}\ntarget {target}\nallocator {allocator}"
        )?;
    }
    Ok(())
}
