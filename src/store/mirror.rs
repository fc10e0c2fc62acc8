//! Bringing a lake to a store and back: what both have is left alone, the rest is copied and looked at again.
//!
//! Landing and archives are never changed once they are there but where somebody is forgotten, so one of the same
//! length is the same. Of a dataset's file the bytes are compared where the lengths agree.
//! A copy of a dataset's file does not say which run put it: that is of the store where it was put.
//! `lake.toml` goes last: a lake that has one is whole. The state database, its locks and what is in the making stay.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::archives;
use super::backend::{Backend, Key};
use super::dataset::stamp;
use super::each::each_bucket;
use super::hashing::{Hash, Hashing};
use super::lake::{Bucket, Lake};
use super::local::{locked, staged_in};
use super::names::{self, CHARTER, LANDING, REPORTS};
use crate::error::{Error, Result};

/// Files at the top that go along.
const FILES: [&str; 3] = ["rules.json", "policy.toml", "weights.toml"];

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Mirrored {
    pub files: u64,
    pub bytes: u64,
    /// Files that were there already.
    pub same: u64,
    /// Files that were there and no longer are at home.
    pub removed: u64,
    /// Archives that were left in their place and cannot be read there.
    pub out_of_reach: u64,
}

/// What is copied, and who is right where both have something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// From the machine that fetches: landing, archives, rules and policy are as they are there. Datasets are made
    /// elsewhere, and left alone.
    Landed,
    /// From there with its datasets and weights, which take the place of those that are there.
    Everything,
    /// Back to it: datasets, weights and pages of runs, and whatever else it does not have. Nothing that landed there is
    /// replaced, no answers come back that it once had, and its own reports stay.
    Back,
}

/// Copies from one lake to another of as many buckets. `progress` is told of bytes.
pub fn mirror(from: &Lake, to: &dyn Backend, take: Take, progress: impl Fn(u64) + Sync) -> Result<Mirrored> {
    let mut mirrored = Mirrored::default();
    let files = AtomicU64::new(0);
    let bytes = AtomicU64::new(0);
    let copy = |key: &Key| -> Result<()> {
        let copied = copy(from.backend(), to, key)?;
        files.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(copied, Ordering::Relaxed);
        progress(copied);
        Ok(())
    };
    let is_whole = take == Take::Back && to.exists(&Key::new(CHARTER))?;
    let walked: Vec<Key> = from.buckets().map(names::walked_key).collect();
    let (mut owed, mut leaving) = (Vec::new(), Vec::new());
    let is_landing = |folder: &&str| *folder == LANDING;
    // What lies in the others may differ with the same length.
    let replaced = names::DATASETS.into_iter().chain([REPORTS]).filter(|_| take != Take::Landed);
    for folder in [LANDING].into_iter().chain(replaced) {
        let there: BTreeMap<Key, u64> = to.list(&Key::new(folder))?.into_iter().collect();
        let mut here = from.backend().list(&Key::new(folder))?;
        here.retain(|(key, _)| !walked.contains(key));
        // A lake that is whole had those before it had its newest one: what it no longer has of them was forgotten.
        let is_reports = folder == REPORTS;
        // Reports are of who has the lake: with what nobody else knows, and to compare the next ones with.
        here.retain(|(key, _)| !is_reports || !is_whole || names::is_run_page(key));
        let run = |key: &Key| names::segment(key).map(|(_, run, _)| run);
        let newest = if is_whole { there.keys().filter_map(run).max() } else { None };
        here.retain(|(key, _)| there.contains_key(key) || run(key) > newest || run(key).is_none());
        for (key, length) in &here {
            match there.get(key) {
                Some(other) if is_landing(&folder) && (other == length || take == Take::Back) => {
                    mirrored.same += 1;
                }
                Some(other) if [*length, length.saturating_sub(stamp::LENGTH)].contains(other) => {
                    owed.push((key.clone(), true));
                }
                _ => owed.push((key.clone(), false)),
            }
        }
        // What a dataset no longer has is no longer a part of it.
        if !is_landing(&folder) {
            let stays = |key: &Key| is_reports && (is_whole || names::is_run_page(key));
            let gone = there.keys().filter(|key| here.binary_search_by(|(own, _)| own.cmp(key)).is_err());
            leaving.extend(gone.filter(|key| !stays(key)).cloned());
        }
    }
    for name in FILES.into_iter().filter(|name| take != Take::Landed || *name != "weights.toml") {
        let key = Key::new(name);
        match (from.backend().read(&key)?, to.read(&key)?) {
            (Some(here), Some(there)) if stamp::unmark(&here) == there => mirrored.same += 1,
            (Some(here), _) => {
                let own = stamp::unmark(&here);
                to.put(&key, &mut |out| out.write_all(own))?;
                files.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(own.len() as u64, Ordering::Relaxed);
            }
            (None, Some(_)) if take != Take::Back => to.remove(&key)?,
            (None, _) => {}
        }
    }
    let same = AtomicU64::new(0);
    super::each::at_once(&owed, |(key, may_be_same)| {
        if *may_be_same && is_same(from.backend(), to, key)? {
            same.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        copy(key)
    })?;
    mirrored.same += same.into_inner();
    // Behind the copies: rows that went into another file are there before they go from this one.
    for key in leaving {
        to.remove(&key)?;
        mirrored.removed += 1;
    }
    mirrored.out_of_reach = left_in_place(from, to, &copy_from_place(to, &files, &bytes, &progress))?;
    // Who keeps their datasets keeps what the charter says of them.
    let charter = Key::new(CHARTER);
    let is_there = to.exists(&charter)?;
    if !is_there || (take != Take::Landed && !is_same(from.backend(), to, &charter)?) {
        copy(&charter)?;
    }
    Ok(Mirrored { files: files.into_inner(), bytes: bytes.into_inner(), ..mirrored })
}

/// Copies a file that lies outside of the lake.
fn copy_from_place<'a>(
    to: &'a dyn Backend,
    files: &'a AtomicU64,
    bytes: &'a AtomicU64,
    progress: &'a (impl Fn(u64) + Sync),
) -> impl Fn(&Key, &std::path::Path, u64) -> Result<()> + Sync + 'a {
    move |key, path, length| {
        to.upload(key, path)?;
        files.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(length, Ordering::Relaxed);
        progress(length);
        Ok(())
    }
}

/// Archives that were left where they are go along by their hashes. Returns how many cannot.
fn left_in_place(
    from: &Lake,
    to: &dyn Backend,
    copy: &(impl Fn(&Key, &std::path::Path, u64) -> Result<()> + Sync),
) -> Result<u64> {
    let buckets: Vec<Bucket> = from.buckets().collect();
    let of_bucket = |bucket: Bucket| -> Result<u64> {
        let mut out_of_reach = 0;
        for (_, import) in archives::list(from, bucket)?.imports {
            let Some(kept) = &import.in_place else { continue };
            let key = names::archive_key(bucket, &import.sha256);
            if to.exists(&key)? {
                continue;
            }
            // One that has changed since is not what was imported.
            let is_it = archives::state_of(&kept.path)
                .is_ok_and(|now| now.bytes == import.bytes && now.modified_ms == kept.modified_ms);
            if is_it && kept.path.is_file() {
                copy(&key, &kept.path, import.bytes)?;
            } else {
                out_of_reach += 1;
            }
        }
        Ok(out_of_reach)
    };
    Ok(each_bucket(&buckets, of_bucket)?.all()?.into_iter().sum())
}

fn digest(backend: &dyn Backend, key: &Key) -> Result<Option<Hash>> {
    let mut digest = Hashing::new(io::sink());
    Ok(backend.download(key, &mut digest)?.map(|_| digest.said()))
}

/// Whether there is what would arrive.
fn is_same(from: &dyn Backend, to: &dyn Backend, key: &Key) -> Result<bool> {
    let there = digest(to, key)?;
    if is_dataset(key) {
        return Ok(stage(from, to, key)?.map(|(_, here)| here) == there);
    }
    Ok(digest(from, key)? == there)
}

/// Copies a file, and reads back what has arrived. Returns its length.
fn copy(from: &dyn Backend, to: &dyn Backend, key: &Key) -> Result<u64> {
    let lost = || Error::damaged(from.place(key), "it was removed while it was copied; run this again");
    let here = if from.is_remote() || is_dataset(key) {
        let (staged, here) = stage(from, to, key)?.ok_or_else(lost)?;
        to.put_file(key, staged)?;
        here
    } else {
        let path = from.path(key)?.ok_or_else(lost)?;
        to.upload(key, &path)?;
        digest(from, key)?.ok_or_else(lost)?
    };
    match digest(to, key)? {
        Some(there) if here == there => Ok(here.1),
        _ => Err(Error::damaged(to.place(key), "it has arrived other than it was sent; run this again")),
    }
}

fn is_dataset(key: &Key) -> bool {
    names::DATASETS.iter().any(|folder| key.as_str().split('/').next() == Some(folder))
}

/// A copy in the making, and its hash. Which run put it stays where it was put.
fn stage(from: &dyn Backend, to: &dyn Backend, key: &Key) -> Result<Option<(NamedTempFile, Hash)>> {
    let scratch = to.scratch()?;
    let mut staged = locked(|| staged_in(&scratch))?;
    let mut digest = Hashing::new(BufWriter::new(&mut staged));
    if from.download(key, &mut digest)?.is_none() {
        return Ok(None);
    }
    digest.flush().map_err(Error::io("write in", &scratch))?;
    let mut here = digest.said();
    drop(digest);
    if is_dataset(key) && stamp::take_out(staged.path())? > 0 {
        let mut digest = Hashing::new(io::sink());
        let mut file = File::open(staged.path()).map_err(Error::io("read", staged.path()))?;
        io::copy(&mut file, &mut digest).map_err(Error::io("read", staged.path()))?;
        here = digest.said();
    }
    Ok(Some((staged, here)))
}
