//! Parse, run, and say how it ended.

use std::process::ExitCode;

use clap::Parser;
use longrun::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
