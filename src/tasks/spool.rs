//! A bucket's files in a folder of one task, and what the store had when they were read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::sources::Source;
use crate::store::backend::{Backend, Key, Version};
use crate::store::dataset::stamp;
use crate::store::each::at_once;
use crate::store::hashing::{Hash, Hashing};
use crate::store::lake::{Bucket, Lake};
use crate::store::local::create_folder;
use crate::store::names;

/// Where tasks work, and how much of it one may fill.
#[derive(Debug, Clone)]
pub struct Scratch {
    pub folder: PathBuf,
    pub most_bytes: Option<u64>,
}

impl Scratch {
    /// Memory, where the machine has such a folder: what lies there need not outlive the task.
    pub fn default_folder() -> PathBuf {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() }
    }

    fn check(&self, bucket: Bucket, bytes: u64) -> Result<()> {
        let found =
            rustix::fs::statvfs(&self.folder).map_err(|e| Error::io("look at", &self.folder)(e.into()))?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let most = self.most_bytes.map_or(free, |most| most.min(free));
        if bytes <= most {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        Err(Error::Usage(format!(
            "bucket {bucket} takes {} MiB of scratch, and {} has {} for it; name a folder with more with --scratch, or \
             give the lake more buckets (`longrun lake rebucket`)",
            mib(bytes),
            self.folder.display(),
            mib(most)
        )))
    }
}

/// What the store had of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub version: Version,
    /// Of its bytes as the store has them.
    pub hash: Hash,
    /// Of the run that put it; 0 where none did.
    pub order: u64,
}

#[derive(Debug)]
pub struct Spool {
    pub lake: Lake,
    pub bucket: Bucket,
    /// Of the datasets' files; landing and archives are never written.
    pub read: BTreeMap<Key, Read>,
    /// The greatest order of those.
    pub newest: u64,
    folder: TempDir,
}

/// What a step reads of a bucket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// Streams, rejects and origins.
    pub beside_activities: bool,
    /// Only rejects of those.
    pub rejects: bool,
    pub workouts: bool,
    pub landing: bool,
}

impl Spool {
    pub fn new(from: &Lake, plan: &Plan, bucket: Bucket, scratch: &Scratch) -> Result<Spool> {
        let folder = tempfile::Builder::new()
            .prefix("longrun-")
            .tempdir_in(&scratch.folder)
            .map_err(Error::io("write in", &scratch.folder))?;
        let lake = plan.scratch_lake(from, folder.path(), &[bucket.0])?;
        Ok(Spool { lake, bucket, read: BTreeMap::new(), newest: 0, folder })
    }

    /// Reads what the step will write, in that order, and what it is made from last.
    pub fn fill(&mut self, from: &Lake, needs: Needs, scratch: &Scratch) -> Result<()> {
        let sizes = self.sizes(from, needs)?;
        scratch.check(self.bucket, sizes)?;
        let bucket = self.bucket;
        if needs.workouts {
            self.take(from, vec![from.matches(bucket)])?;
            self.take(from, vec![from.golden(bucket)])?;
        }
        if needs.beside_activities {
            self.take_streams(from)?;
            self.take(from, beside_activities(from, bucket))?;
        }
        if needs.rejects {
            let rejects = Source::ALL.into_iter().map(|source| from.rejects(source.name(), bucket));
            self.take(from, rejects.collect())?;
        }
        let activities = Source::ALL.into_iter().map(|source| from.activities(source.name(), bucket));
        self.take(from, activities.collect())?;
        if needs.landing {
            let mut landing = from.backend().list(&names::segments_of(bucket))?;
            landing.extend(from.backend().list(&names::archives_of(bucket))?);
            let walked = names::walked_key(bucket);
            let keys = landing.into_iter().map(|(key, _)| key).filter(|key| *key != walked).collect();
            self.copy(from, keys)?;
        }
        Ok(())
    }

    /// What the landing of the bucket takes. What else is read is a fraction of it.
    fn sizes(&self, from: &Lake, needs: Needs) -> Result<u64> {
        if !needs.landing {
            return Ok(0);
        }
        let of = |folder: Key| -> Result<u64> {
            Ok(from.backend().list(&folder)?.iter().map(|(_, bytes)| bytes).sum())
        };
        Ok(of(names::segments_of(self.bucket))? + of(names::archives_of(self.bucket))?)
    }

    /// Samples may go into a larger piece between the listing and the reading, so what came meanwhile is read as well.
    fn take_streams(&mut self, from: &Lake) -> Result<()> {
        const ATTEMPTS: usize = 8;
        let mut taken = BTreeSet::new();
        for _ in 0..ATTEMPTS {
            let mut new = streams(from, self.bucket)?;
            new.retain(|key| taken.insert(key.clone()));
            if new.is_empty() {
                return Ok(());
            }
            self.take(from, new)?;
        }
        let folder = from.place(&from.streams_folder());
        Err(Error::Remote(format!(
            "{} is written again and again by others; run this again",
            folder.display()
        )))
    }

    /// Copies files that may be written, and remembers what they were.
    fn take(&mut self, from: &Lake, keys: Vec<Key>) -> Result<()> {
        for (key, read) in self.copy(from, keys)? {
            let order = stamp::take_out(&self.path(&key))?;
            self.newest = self.newest.max(order);
            self.read.insert(key, Read { order, ..read });
        }
        Ok(())
    }

    fn copy(&self, from: &Lake, keys: Vec<Key>) -> Result<Vec<(Key, Read)>> {
        let found = at_once(&keys, |key| {
            let path = self.lake.place(key);
            create_folder(path.parent().expect("an object lies in a folder"))?;
            download(from.backend(), key, &path)
        })?;
        Ok(keys.into_iter().zip(found).filter_map(|(key, read)| Some((key, read?))).collect())
    }

    /// The datasets' files that are there now.
    pub fn written(&self) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        for folder in names::DATASETS {
            keys.extend(self.lake.backend().list(&Key::new(folder))?.into_iter().map(|(key, _)| key));
        }
        Ok(keys)
    }

    pub fn path(&self, key: &Key) -> PathBuf {
        self.folder.path().join(key.as_str())
    }
}

/// The files of a bucket's samples.
fn streams(lake: &Lake, bucket: Bucket) -> Result<Vec<Key>> {
    let sources: Vec<&str> = Source::ALL.into_iter().map(Source::name).collect();
    let folder = lake.streams_folder();
    let names =
        at_once(&sources, |source| lake.backend().names_from(&folder, &format!("{source}-{bucket}-")))?;
    Ok(names.concat().iter().map(|name| folder.join(name)).collect())
}

/// The other files of a bucket that are written before its activities.
fn beside_activities(lake: &Lake, bucket: Bucket) -> Vec<Key> {
    let of_source = |source: Source| {
        let origin = |origin| lake.origins(source.name(), origin, bucket);
        [lake.rejects(source.name(), bucket), origin("api"), origin("archive"), origin("gone")]
    };
    Source::ALL.into_iter().flat_map(of_source).collect()
}

/// Copies an object into a file; None where there is none.
pub fn download(backend: &dyn Backend, key: &Key, path: &Path) -> Result<Option<Read>> {
    let file = File::create(path).map_err(Error::io("write", path))?;
    let mut out = Hashing::new(BufWriter::new(file));
    let stat = backend.download(key, &mut out)?;
    out.flush().map_err(Error::io("write", path))?;
    match stat {
        Some(stat) => Ok(Some(Read { version: stat.version, hash: out.said(), order: 0 })),
        None => {
            std::fs::remove_file(path).map_err(Error::io("remove", path))?;
            Ok(None)
        }
    }
}
