//! The project's own tasks, started as `cargo xtask NAME`.
//!
//! Each command is one file. What they share is small: `place` knows the folders, `shell` runs
//! programs, `needs` and `node` bring what a machine lacks, `tally` adds up test results.
//! Nothing here is part of the product, and no product crate depends on it.

mod bench;
mod bless;
mod deny;
mod dist;
mod fuzz;
mod needs;
mod node;
mod place;
mod run;
mod shell;
mod soak;
mod tally;
mod test;
mod tidy;
mod web;

use std::ffi::OsString;
use std::process::ExitCode;

use lexopt::ValueExt as _;

use crate::shell::Fallible;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [-- ARGS]          build page, plugins and agent, and run the agent with config.toml
  web                    build the page into dashboards/dist, if its inputs changed
  test [FILTER] [--only rust|page|e2e]
                         set up what is missing and run every test
  tidy                   check the rules of the source tree
  deny                   check bans, licences and sources of the dependencies, offline
  dist                   build what is shipped, and print its sizes
  header                 write the C header anew from the SDK
  wire                   write the page's wire types anew from the agent
  bench agent [--seconds 60] [--peers]
  bench startup [--rounds 20]
  bench allocator [--seconds 60]
  bench plugin [--seconds 60]
  bench sdk              compile the SDK from clean
  bench store [codec|sled|days|questions ...] [--peers]
  fuzz decode|link|note [--seconds 600]
                         random bytes into the decoders of a file, link or library; needs
                         a nightly toolchain
  soak simulation        run the simulation with many seeds
  soak kill              kill the store's writer 200 times
  soak plugins           kill plugins 1,000 times and reload them 500 times, under load
  soak events            kill the agent 100 times while a plugin emits events
  soak store             write simulated days and see that disk, memory and open time stay flat
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(true) => ExitCode::SUCCESS,
        // What failed has been printed in full by the command itself.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Fallible<bool> {
    let mut parser = lexopt::Parser::from_env();
    let Some(lexopt::Arg::Value(name)) = parser.next()? else {
        print!("{USAGE}");
        return Ok(true);
    };
    let name = name.string()?;
    match name.as_str() {
        "run" => {
            let mut arguments: Vec<OsString> = parser.raw_args()?.collect();
            if arguments.first().is_some_and(|first| first == "--") {
                arguments.remove(0);
            }
            run::run(&arguments)?;
        }
        "test" => return test::test(&test::Options::parse(&mut parser)?),
        "fuzz" => fuzz::fuzz(&mut parser)?,
        "soak" => soak::soak(&mut parser)?,
        "bench" => bench::bench(&mut parser)?,
        _ => {
            if let Some(unexpected) = parser.next()? {
                return Err(unexpected.unexpected().into());
            }
            match name.as_str() {
                "web" => web::web(),
                "tidy" => tidy::tidy(),
                "deny" => deny::deny(),
                "dist" => dist::dist(),
                "header" => bless::header(),
                "wire" => bless::wire(),
                _ => return Err(format!("no command is called {name}\n\n{USAGE}").into()),
            }?;
        }
    }
    Ok(true)
}
