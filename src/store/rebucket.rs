//! Another number of buckets: landing and archives are dealt out anew, and the datasets are made anew from them.
//!
//! ```text
//! rebucket/landing/…     the landing as it will be; begun anew where it was cut off before it was whole
//! rebucket/ready         it is whole: from now on the change is carried on, and no other command opens the lake
//! rebucket/old/          the landing as it was, until the rest is done
//! ```
//!
//! Every answer and every archive keeps its bytes, and each person's keep their order.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::archives;
use super::backend::Key;
use super::lake::{Bucket, Lake, bucket_of};
use super::landing::{Frames, Piece, Position, Unopened, seal};
use super::local::{Local, create_folder, sync_folder};
use super::names::{self, Charter, write_charter};
use super::purge::lock_all;
use crate::error::{Error, Result};

const FOLDER: &str = "rebucket";
const READY: &str = "ready";
/// Held of a segment before it is written on.
const HELD_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rebucketed {
    pub buckets: u32,
    pub responses: u64,
    pub archives: u64,
}

/// The number of buckets that a change that was cut off leads to; None where there is none that has to be carried on.
pub fn cut_off(root: &Path) -> Option<u32> {
    fs::read_to_string(root.join(FOLDER).join(READY)).ok()?.trim().parse().ok()
}

/// Deals everything out to so many buckets. Whoever calls this again after a kill has it carried on.
pub fn rebucket(lake: &Lake, buckets: u32) -> Result<Rebucketed> {
    let _locks = lock_all(lake)?;
    let work = lake.root().join(FOLDER);
    let mut done = Rebucketed { buckets, ..Rebucketed::default() };
    if cut_off(lake.root()).is_none() {
        remove(&work)?;
        Dealing::new(lake, &work, buckets)?.deal(&mut done)?;
        write_synced(&work.join(READY), buckets.to_string().as_bytes())?;
        sync_folder(&work)?;
    }
    carry_on(lake, &work, buckets)?;
    Ok(done)
}

/// Puts what was dealt out in the place of what there was. Each step is left out where it is done.
fn carry_on(lake: &Lake, work: &Path, buckets: u32) -> Result<()> {
    let root = lake.root();
    let (landing, dealt, old) = (root.join("landing"), work.join("landing"), work.join("old"));
    if dealt.exists() {
        if landing.exists() {
            fs::rename(&landing, &old).map_err(Error::io("move", &landing))?;
        }
        fs::rename(&dealt, &landing).map_err(Error::io("move", &dealt))?;
        sync_folder(root)?;
        sync_folder(work)?;
    }
    for folder in names::DATASETS {
        remove(&root.join(folder))?;
    }
    write_charter(&Local::new(root), &Charter::new(buckets, lake.has_geometry()))?;
    remove(&old)?;
    // The sign goes last, and only then is the lake one like any other.
    let ready = work.join(READY);
    fs::remove_file(&ready).map_err(Error::io("remove", &ready))?;
    remove(work)?;
    sync_folder(root)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", folder)(e)),
        _ => Ok(()),
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io("write", path))
}

struct Dealing<'a> {
    lake: &'a Lake,
    work: &'a Path,
    buckets: u32,
    /// What is to be written on to each segment, and how many frames it has in all.
    held: BTreeMap<Key, (Vec<u8>, u64)>,
    held_bytes: usize,
}

impl Dealing<'_> {
    fn new<'a>(lake: &'a Lake, work: &'a Path, buckets: u32) -> Result<Dealing<'a>> {
        create_folder(&work.join("landing"))?;
        Ok(Dealing { lake, work, buckets, held: BTreeMap::new(), held_bytes: 0 })
    }

    fn deal(&mut self, done: &mut Rebucketed) -> Result<()> {
        for bucket in self.lake.buckets() {
            self.deal_landing(bucket, done)?;
        }
        self.flush()?;
        let segments: Vec<(Key, u64)> =
            self.held.iter().map(|(key, (_, frames))| (key.clone(), *frames)).collect();
        for (key, frames) in segments {
            self.write_on(&key, &seal(frames), true)?;
        }
        self.deal_archives(done)?;
        sync_all(&self.work.join("landing"))
    }

    fn deal_landing(&mut self, bucket: Bucket, done: &mut Rebucketed) -> Result<()> {
        for piece in Frames::open(self.lake, bucket, Position::default())? {
            // What nobody can open is nobody's, and stays as it is in one of the new segments.
            let (segment, bytes, to, frames) = match piece? {
                Piece::Frame(frame) => {
                    let to = match frame.open() {
                        Ok((header, _)) => bucket_of(&header.user_id, self.buckets),
                        Err(Unopened::Newer) => {
                            return Err(Error::Usage(
                                "some answers were landed by a newer longrun; change the number of buckets with that one"
                                    .to_string(),
                            ));
                        }
                        Err(_) => Bucket(bucket.0 % self.buckets),
                    };
                    (frame.segment.clone(), frame.bytes, to, 1)
                }
                Piece::Damaged { segment, offset, bytes } => {
                    let read = self.lake.backend().read_range(&segment, offset..offset + bytes)?;
                    (segment, read.unwrap_or_default().to_vec(), Bucket(bucket.0 % self.buckets), 0)
                }
            };
            let (_, run, number) = names::segment(&segment).expect("frames lie in segments");
            let (held, count) = self.held.entry(names::segment_key(to, run, number)).or_default();
            held.extend_from_slice(&bytes);
            *count += frames;
            done.responses += frames;
            self.held_bytes += bytes.len();
            if self.held_bytes > HELD_BYTES * 64 {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut held = std::mem::take(&mut self.held);
        for (key, (bytes, _)) in &mut held {
            self.write_on(key, bytes, false)?;
            *bytes = Vec::new();
        }
        self.held = held;
        self.held_bytes = 0;
        Ok(())
    }

    fn path(&self, key: &Key) -> Result<PathBuf> {
        let path = self.work.join(key.as_str());
        create_folder(path.parent().expect("an object lies in a folder"))?;
        Ok(path)
    }

    fn write_on(&self, key: &Key, bytes: &[u8], is_last: bool) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let path = self.path(key)?;
        let write = || {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(bytes)?;
            if is_last { file.sync_all() } else { Ok(()) }
        };
        write().map_err(Error::io("write", &path))
    }

    /// Archives by a second name of the same bytes, and the lines about them.
    fn deal_archives(&self, done: &mut Rebucketed) -> Result<()> {
        let mut next: BTreeMap<Bucket, u32> = BTreeMap::new();
        for bucket in self.lake.buckets() {
            let imports = archives::list(self.lake, bucket)?;
            if let Some((_, what)) = imports.damaged.first() {
                return Err(Error::damaged(self.lake.place(&names::archives_of(bucket)), what));
            }
            for (number, import) in imports.imports {
                let to = bucket_of(&import.user_id, self.buckets);
                let own = next.entry(to).or_default();
                let line = self.lake.backend().read(&names::import_key(bucket, number))?.unwrap_or_default();
                write_synced(&self.path(&names::import_key(to, *own))?, &line)?;
                *own += 1;
                done.archives += 1;
                let Some(from) = self.lake.backend().path(&names::archive_key(bucket, &import.sha256))?
                else {
                    continue;
                };
                let path = self.path(&names::archive_key(to, &import.sha256))?;
                if !path.exists() {
                    fs::hard_link(&from, &path).map_err(Error::io("link", &path))?;
                }
            }
        }
        Ok(())
    }
}

/// Makes the names in a folder and below durable.
fn sync_all(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        }
    }
    sync_folder(folder)
}
