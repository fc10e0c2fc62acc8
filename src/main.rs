//! Parse, run, and say how it ended.

use std::process::ExitCode;

use clap::Parser;
use longrun::cli::Cli;

/// Parsing makes and frees millions of short strings on every core.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
