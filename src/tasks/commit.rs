//! Putting what a task has made, file by file, so that whatever is cut off or overtaken is found and done again.

use super::spool::{Read, Spool};
use crate::error::{Error, Result};
use crate::store::backend::{Backend, Key};
use crate::store::dataset::{self, MadeFrom, Table, stamp};
use crate::store::hashing::hash;
use crate::store::names::DATASETS;

/// Whose files are put.
#[derive(Debug, Clone, Copy)]
pub struct OfRun<'a> {
    pub order: u64,
    /// Folders that an older run may still write in: there, what is as it was is put as well.
    pub contested: &'a [&'a str],
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// So many files were put; the others were as they are.
    Done(u64),
    /// Somebody else was faster; nothing was put behind that.
    Overtaken,
}

/// Puts everything that has changed.
pub fn commit(spool: &Spool, of_run: OfRun<'_>, to: &dyn Backend) -> Result<Committed> {
    let mut files = 0;
    for (key, fate) in changed(spool)? {
        let before = spool.read.get(&key);
        let path = spool.path(&key);
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let is_contested = of_run.contested.contains(&folder_of(&key));
        let is_settled = |before: &&Read| before.order == of_run.order || !is_contested;
        if let Some(before) = before.filter(is_settled)
            && hash(&stamp::put_in(bytes.clone(), before.order)) == before.hash
        {
            if fate == Fate::Replaced {
                to.remove(&key)?;
            }
            continue;
        }
        let bytes = stamp::put_in(bytes, of_run.order);
        if !to.put_over(&key, before.map(|before| &before.version), &bytes)? {
            return Ok(Committed::Overtaken);
        }
        files += 1;
    }
    Ok(Committed::Done(files))
}

/// What becomes of a file that is in a task's folder, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Stays,
    /// It is gone: one without rows takes its place, so that who read it before is refused.
    Emptied,
    /// So is this, whose rows stand in another file now. Once it has no rows, who puts some there hides nothing, and it
    /// can be removed.
    Replaced,
}

/// The files that are there, and those that were, in the order of their folders. What is gone comes behind what stands in
/// its place.
fn changed(spool: &Spool) -> Result<Vec<(Key, Fate)>> {
    let there = spool.written()?;
    let gone: Vec<&Key> = spool.read.keys().filter(|key| !spool.path(key).exists()).collect();
    let mut files = Vec::new();
    for key in gone {
        let lake = &spool.lake;
        dataset::write(lake, key, table(key), &MadeFrom::default(), [])?;
        let is_replaced = dataset::is_left_over(lake, key, &there);
        files.push((key.clone(), if is_replaced { Fate::Replaced } else { Fate::Emptied }));
    }
    files.extend(there.into_iter().map(|key| (key, Fate::Stays)));
    let rank =
        |key: &Key| DATASETS.iter().position(|folder| *folder == folder_of(key)).expect("it is a dataset's");
    files.sort_by_key(|(key, fate)| (rank(key), *fate, key.clone()));
    Ok(files)
}

fn folder_of(key: &Key) -> &str {
    key.as_str().split('/').next().expect("a key has a part")
}

fn table(key: &Key) -> Table {
    match folder_of(key) {
        "streams" => Table::Streams,
        "rejects" => Table::Rejects,
        "matches" => Table::Matches,
        "golden" => Table::Golden,
        _ => Table::Activities,
    }
}
