//! `cargo xtask fuzz decode|link|note [--seconds 600]`: random bytes, guided by coverage, into the decoders of what
//! comes from outside: the store's files, a plugin's end of the link, a plugin's library.
//!
//! The targets are in `agent/fuzz`, a workspace of its own, because coverage is counted by a nightly compiler only.
//! No sanitizer is linked in: the decoders have no `unsafe`, so what is looked for is panics, hangs and memory, which
//! libFuzzer notices by itself. Everything a run writes is below the target folder, the corpus too, so that the next
//! run goes on where this one ended.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lexopt::ValueExt as _;

use crate::needs;
use crate::place::Place;
use crate::shell::{self, Fallible};

/// What is fuzzed, by the names in `agent/fuzz/Cargo.toml`.
const TARGETS: [&str; 3] = ["decode", "link", "note"];
/// Longer inputs find nothing that these do not, and are slower: the largest seed has 15 KB.
const INPUT_BYTES_MAX: u32 = 32 << 10;
/// A decoder holds far less; the corpus and the counters take some of it too.
const MEMORY_MIB_MAX: u32 = 512;
/// An input that takes longer is a finding. The slowest sound ones take a few hundredths of a second.
const INPUT_SECONDS_MAX: u32 = 10;

pub(crate) fn fuzz(parser: &mut lexopt::Parser) -> Fallible {
    let name = match parser.next()? {
        Some(lexopt::Arg::Value(name)) => name.string()?,
        _ => return Err(format!("fuzz needs a target: {}", TARGETS.join(", ")).into()),
    };
    let Some(target) = TARGETS.into_iter().find(|target| *target == name) else {
        let targets = TARGETS.join(", ");
        return Err(format!("no fuzz target is called {name}; there are: {targets}").into());
    };
    let mut seconds = 600_u64;
    while let Some(argument) = parser.next()? {
        match argument {
            lexopt::Arg::Long("seconds") => seconds = parser.value()?.parse::<u64>()?.max(1),
            other => return Err(other.unexpected().into()),
        }
    }
    needs::ensure(&[&needs::C_COMPILER, &needs::CXX_COMPILER])?;
    let place = Place::find()?;
    let nightly = Nightly::find()?;
    let program = build(&place, &nightly, target)?;
    run(&place, &program, target, seconds)
}

/// The toolchain that the target is built with.
struct Nightly {
    cargo: String,
    /// The triple of this machine, which cargo-fuzz names its folder after.
    host: String,
}

impl Nightly {
    const NAME: &str = "nightly";

    fn find() -> Fallible<Self> {
        let asked = ["which", "--toolchain", Self::NAME, "cargo"];
        let cargo = shell::capture(Command::new("rustup").args(asked)).map_err(|error| {
            format!(
                "fuzzing needs a nightly toolchain, because only its compiler counts coverage; \
                 install one with `rustup toolchain install {} --profile minimal` ({error})",
                Self::NAME
            )
        })?;
        let cargo = cargo.trim().to_owned();
        let version = shell::capture(Command::new(&cargo).arg("-vV"))?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .ok_or("the nightly cargo does not say which machine it is for")?
            .to_owned();
        Ok(Self { cargo, host })
    }

    /// A program that calls cargo by itself gets this one instead of the one that started this task.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("CARGO", &self.cargo)
            .env("RUSTUP_TOOLCHAIN", Self::NAME)
            .env_remove("RUSTC");
        command
    }
}

fn build(place: &Place, nightly: &Nightly, target: &str) -> Fallible<PathBuf> {
    let tool = cargo_fuzz(place)?;
    let folder = place.target.join("fuzz");
    shell::run(
        nightly
            .command(tool)
            .current_dir(&place.root)
            .args(["build", "--sanitizer", "none", "--fuzz-dir", "agent/fuzz"])
            .arg("--target-dir")
            .arg(&folder)
            .args(["--target", &nightly.host, target]),
    )?;
    Ok(folder.join(&nightly.host).join("release").join(target))
}

/// cargo-fuzz, installed into the target folder if the machine has none.
fn cargo_fuzz(place: &Place) -> Fallible<PathBuf> {
    let private = place.tools().join("bin/cargo-fuzz");
    if let Some(program) = shell::find("cargo-fuzz") {
        return Ok(program);
    }
    if !private.is_file() {
        shell::run(
            place
                .cargo()
                .args(["install", "--locked", "cargo-fuzz", "--root"])
                .arg(place.tools()),
        )?;
    }
    Ok(private)
}

/// One process on one core; what it finds is an input that repeats it, named by libFuzzer's last lines.
fn run(place: &Place, program: &PathBuf, target: &str, seconds: u64) -> Fallible {
    let folder = place.target.join("fuzz").join(target);
    let folders = ["corpus", "seeds", "found"].map(|name| folder.join(name));
    for folder in &folders {
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let [corpus, seeds, found] = folders;
    shell::run(
        Command::new(program)
            .env("FUZZ_SEEDS", &seeds)
            .arg(corpus)
            .arg(&seeds)
            .arg(format!("-artifact_prefix={}/", found.display()))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .args(["-use_value_profile=1", "-print_final_stats=1"]),
    )
}
