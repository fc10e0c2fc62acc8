//! A lake of format 1 becomes one of format 2. Landing, archives and the state database keep every byte, under new
//! names; the datasets are dropped, because they are made anew from those. Each step may be cut off anywhere and done
//! again, and `lake.toml` says 2 only when all are done.
//!
//! | format 1 | format 2 |
//! |---|---|
//! | `landing/strava/bucket=017.jsonl.zst` | `landing/strava/017/000000-000.jsonl.zst` |
//! | `landing/archives/bucket=017/9f86d081…` | `landing/archives/017/9f86d081…` |
//! | a line of `landing/archives/bucket=017.jsonl` | `landing/archives/017/000003.json` |
//! | `activities/`, `origins/`, `streams/`, `rejects/`, `matches/`, `golden/` | made by `normalize` and `dedupe` |

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::backend::Backend;
use super::local::{Local, create_folder, sync_folder};
use super::names::{
    ARCHIVES, Bucket, Charter, DATASETS, archive_key, archives_of, import_key, segment_key, write_charter,
};
use crate::error::{Error, Result};

/// Locks and files in the making of format 1, which lay beside the stores.
const OF_FORMAT_1: [&str; 3] = [".lock", ".partial", ".import-"];

pub fn to_format_2(root: &Path, local: &Local, charter: Charter) -> Result<()> {
    let _guard = local.lock("migrate", "the change of format")?;
    let _old_guards = hold_old_locks(root)?;
    for bucket in (0..charter.buckets).map(Bucket) {
        move_landing(root, local, bucket)?;
        move_archives(root, local, bucket)?;
    }
    for folder in DATASETS.iter().map(|name| root.join(name)).filter(|folder| folder.exists()) {
        fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
    }
    for folder in ["landing/strava", "landing/archives", "redrive", ""].map(|name| root.join(name)) {
        remove_leftovers(&folder)?;
    }
    let redrive = root.join("redrive");
    match fs::remove_dir(&redrive) {
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
            return Err(Error::io("remove", &redrive)(e));
        }
        _ => {}
    }
    write_charter(local, &charter)
}

/// A longrun of format 1 that is at work keeps this out, and this keeps it out.
fn hold_old_locks(root: &Path) -> Result<Vec<fs::File>> {
    let mut held = Vec::new();
    for folder in ["landing/strava", "landing/archives", "activities", "matches", "redrive"] {
        let path = root.join(folder).join(".lock");
        let Ok(file) = fs::File::open(&path) else { continue };
        if file.try_lock().is_err() {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            return Err(Error::Busy { store: format!("{folder} of {}", root.display()), holder });
        }
        held.push(file);
    }
    Ok(held)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    if !from.exists() {
        return Ok(());
    }
    let folder = to.parent().expect("it lies in the lake");
    create_folder(folder)?;
    fs::rename(from, to).map_err(Error::io("move", from))?;
    sync_folder(folder)?;
    sync_folder(from.parent().expect("it lies in the lake"))
}

fn old(root: &Path, folder: &str, bucket: Bucket, suffix: &str) -> PathBuf {
    root.join(folder).join(format!("bucket={bucket}{suffix}"))
}

fn move_landing(root: &Path, local: &Local, bucket: Bucket) -> Result<()> {
    let key = segment_key(bucket, 0, 0);
    rename(&old(root, "landing/strava", bucket, ".jsonl.zst"), &local.place(&key))
}

fn move_archives(root: &Path, local: &Local, bucket: Bucket) -> Result<()> {
    let folder = old(root, ARCHIVES, bucket, "");
    if folder.exists() {
        for entry in fs::read_dir(&folder).map_err(Error::io("list", &folder))? {
            let path = entry.map_err(Error::io("list", &folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !is_leftover(&name) {
                rename(&path, &local.place(&archive_key(bucket, &name)))?;
            }
        }
        fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
    }
    let log = old(root, ARCHIVES, bucket, ".jsonl");
    let lines = match fs::read(&log) {
        Ok(lines) => lines,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("read", &log)(e)),
    };
    create_folder(&local.place(&archives_of(bucket)))?;
    // A torn last line was never an import.
    for (number, line) in
        lines.split_inclusive(|byte| *byte == b'\n').enumerate().filter(|(_, l)| l.ends_with(b"\n"))
    {
        let number = u32::try_from(number).expect("imports of a bucket are fewer");
        local.put(&import_key(bucket, number), &mut |out| out.write_all(line))?;
    }
    fs::remove_file(&log).map_err(Error::io("remove", &log))
}

fn is_leftover(name: &str) -> bool {
    name.starts_with('.') && OF_FORMAT_1.iter().any(|mark| name.contains(mark))
}

fn remove_leftovers(folder: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        if is_leftover(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}
