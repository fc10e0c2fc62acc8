//! `longrun completions` and `longrun man`: for whoever installs longrun.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::output::say;
use super::{Cli, Exit, output};
use crate::error::{Error, Result};
use crate::store::local;

#[derive(Debug, clap::Args)]
pub struct Completions {
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub struct Man {
    /// The folder to write them to, such as /usr/local/share/man/man1
    to: PathBuf,
}

pub fn completions(args: &Completions) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "longrun", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}

pub fn man(args: &Man) -> Result<Exit> {
    local::create_folder(&args.to)?;
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &args.to).map_err(Error::io("write in", &args.to))?;
    say!("wrote the man pages to {}; try `man {}`", args.to.display(), args.to.join("longrun.1").display());
    Ok(Exit::Done)
}
