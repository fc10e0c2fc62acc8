//! A folder that archives are dropped into, one folder below it for each user: `INBOX/<user>/<archive>`. What was
//! imported is moved to `INBOX/done/<user>/`, and what is no export to `INBOX/refused/<user>/`, with the reason beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use walkdir::WalkDir;

use super::import::{AUTO, Line, import};
use super::output::{self, say};
use crate::error::{Error, Result};
use crate::store::archives::{Archives, Outcome};
use crate::store::lake::Lake;

const DONE: &str = "done";
const REFUSED: &str = "refused";
/// What browsers and copying programs call a file that is not whole yet.
const UNFINISHED: [&str; 4] = ["part", "tmp", "crdownload", "download"];

/// What came of the folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub imported: u64,
    /// The same archive was imported before.
    pub known: u64,
    pub refused: u64,
    /// Archives that may still be on their way, and stay.
    pub waiting: u64,
    /// Archives that could not be read or moved, and stay: a sentence each.
    pub failed: Vec<String>,
}

/// Imports everything in the folder that has not changed for `settle`.
pub fn take(lake: &Lake, inbox: &Path, settle: Duration, zone: Option<&str>) -> Result<Taken> {
    let mut taken = Taken::default();
    let real = |path: &Path| path.canonicalize().map_err(Error::io("read", path));
    let (own, folder) = (real(lake.root())?, real(inbox)?);
    // What lies in it is moved.
    if own.starts_with(&folder) || folder.starts_with(&own) {
        let what = "one lies in the other; take a folder of its own for the inbox";
        return Err(Error::Usage(format!(
            "{} and the lake {}: {what}",
            inbox.display(),
            lake.root().display()
        )));
    }
    let mut archives = Archives::open(lake)?;
    for user in listed(inbox)? {
        let name = user.file_name().unwrap_or_default();
        if user.is_symlink() {
            taken.failed.push(is_link(&user));
            continue;
        }
        if !user.is_dir() || name == DONE || name == REFUSED {
            continue;
        }
        // A user whose name is no text can have no rows.
        let Some(user_id) = name.to_str() else {
            taken.failed.push(format!("{}: the name of the user is not UTF-8", user.display()));
            continue;
        };
        for path in listed(&user)? {
            if !is_settled(&path, settle) {
                taken.waiting += 1;
                continue;
            }
            let line = Line {
                place: path.display().to_string(),
                user_id: user_id.to_string(),
                source: AUTO.to_string(),
                path,
                zone: zone.map(str::to_string),
            };
            take_one(lake, &mut archives, inbox, &line, &mut taken)?;
        }
    }
    Ok(taken)
}

fn is_link(path: &Path) -> String {
    format!("{} is a symbolic link; links are not followed", path.display())
}

fn take_one(
    lake: &Lake,
    archives: &mut Archives,
    inbox: &Path,
    line: &Line,
    taken: &mut Taken,
) -> Result<()> {
    let mut left_out = Vec::new();
    let imported = match line.path.is_symlink() {
        true => Err(Error::Usage(is_link(&line.path))),
        false => import(lake, archives, line, false, &mut left_out),
    };
    left_out.iter().for_each(|what| say!("left out {what}"));
    let moved = match imported {
        Ok(Outcome::Imported { bytes }) => {
            say!("imported {} ({})", line.place, output::bytes(bytes));
            taken.imported += 1;
            put_away(inbox, DONE, line)
        }
        Ok(Outcome::Known) => {
            say!("{} was imported before", line.place);
            taken.known += 1;
            put_away(inbox, DONE, line)
        }
        Err(Error::Usage(reason)) => {
            say!("refused {reason}");
            taken.refused += 1;
            put_away(inbox, REFUSED, line).and_then(|to| {
                let mut why = to.into_os_string();
                why.push(".why.txt");
                let why = free(PathBuf::from(why));
                fs::write(&why, format!("{reason}\n")).map(|()| why)
            })
        }
        Err(e @ (Error::Busy { .. } | Error::Damaged { .. })) => return Err(e),
        Err(e) => {
            taken.failed.push(format!("{}: {e}", line.place));
            return Ok(());
        }
    };
    if let Err(e) = moved {
        taken.failed.push(format!("{} cannot be moved: {e}", line.place));
    }
    Ok(())
}

/// What lies in a folder, by name, without what is hidden or unfinished.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(Error::io("read", folder))?.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| {
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_unfinished = path.extension().is_some_and(|end| UNFINISHED.iter().any(|word| end == *word));
        !is_hidden && !is_unfinished
    });
    paths.sort();
    Ok(paths)
}

/// Whether nothing of it has changed for so long. A time in the future is that of another clock, and no change.
fn is_settled(path: &Path, settle: Duration) -> bool {
    let now = SystemTime::now();
    WalkDir::new(path).into_iter().filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok()).all(
        |modified| {
            now.duration_since(modified).is_err()
                || now.duration_since(modified).is_ok_and(|age| age >= settle)
        },
    )
}

/// Moves an archive to another folder of the inbox, under a name that is free there.
fn put_away(inbox: &Path, to: &str, line: &Line) -> io::Result<PathBuf> {
    let folder = inbox.join(to).join(&line.user_id);
    fs::create_dir_all(&folder)?;
    let free = free(folder.join(line.path.file_name().unwrap_or_default()));
    fs::rename(&line.path, &free)?;
    Ok(free)
}

/// A path, with a number behind it where something has it already.
fn free(path: PathBuf) -> PathBuf {
    let numbered = (2..).map(|number| {
        let mut numbered = path.clone().into_os_string();
        numbered.push(format!(" ({number})"));
        PathBuf::from(numbered)
    });
    let free = std::iter::once(path.clone()).chain(numbered).find(|path| fs::symlink_metadata(path).is_err());
    free.expect("there are more numbers than files")
}
