//! `longrun bench`

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::output::say;
use super::{Context, Exit};
use crate::error::{Error, Result};
use crate::store::local;

/// What it is compared with, by the names that PyPI has for them, and what checks its output.
const PEERS: [&str; 4] = ["duckdb", "polars", "pyarrow", "polyline"];
const SCRIPT: &str = include_str!("../../benches/peers/run.py");

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder for bench.json, bench.svg and the environment with the other tools
    #[arg(default_value = "bench")]
    to: PathBuf,
    /// The Python that the environment is made with
    #[arg(long, default_value = "python3", value_name = "PYTHON")]
    python: PathBuf,
    /// Invented people
    #[arg(long, default_value_t = 50)]
    users: u32,
    /// Activities of each
    #[arg(long, default_value_t = 2000)]
    activities: u32,
    /// How often each tool runs; they take turns
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// A page whose table between the marks of `longrun bench` is written anew
    #[arg(long, value_name = "FILE")]
    docs: Option<PathBuf>,
}

pub fn run(_context: &Context, args: &Args) -> Result<Exit> {
    let to = std::path::absolute(&args.to).map_err(Error::io("find", &args.to))?;
    local::create_folder(&to)?;
    let python = environment(&args.python, &to)?;
    let own = std::env::current_exe().map_err(Error::io("find", "longrun"))?;
    let mut script = Command::new(&python);
    script.args(["-c", SCRIPT]).arg(own).arg("--folder").arg(&to).arg("--results").arg(&to);
    for (name, number) in
        [("--users", args.users), ("--activities", args.activities), ("--rounds", args.rounds)]
    {
        script.arg(name).arg(number.to_string());
    }
    if let Some(docs) = &args.docs {
        script.arg("--docs").arg(docs);
    }
    succeed(&mut script, &python)?;
    say!("wrote {} and {}", to.join("bench.json").display(), to.join("bench.svg").display());
    Ok(Exit::Done)
}

/// The environment's Python, which has the other tools; made where it is not there yet.
fn environment(python: &Path, to: &Path) -> Result<PathBuf> {
    let imports = format!("import {}", PEERS.join(", "));
    let has_them = |python: &Path| {
        let tried = Command::new(python).args(["-c", &imports]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let folder = to.join("python");
    let own = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if has_them(&own) {
        return Ok(own);
    }
    say!("installing {} from PyPI in {}", PEERS.join(", "), folder.display());
    succeed(Command::new(python).args([OsStr::new("-m"), OsStr::new("venv"), folder.as_os_str()]), python)?;
    succeed(Command::new(&own).args(["-m", "pip", "install", "--quiet"]).args(PEERS), &own)?;
    Ok(own)
}

fn succeed(command: &mut Command, program: &Path) -> Result<()> {
    let status = command.status().map_err(Error::io("run", program))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::io("run", program)(io::Error::other(format!("{status}; what it says is above"))))
}
