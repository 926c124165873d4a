//! The binary `barograph`: arguments to a subcommand, its outcome to an exit code.

use std::process::ExitCode;

use barograph::{allocator, cli};

fn main() -> ExitCode {
    allocator::set_up();
    cli::main()
}
