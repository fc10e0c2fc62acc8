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
use std::io::{self, Write};
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
    rebucket_on(lake, buckets, Disk { before: &|| Ok(()) })
}

/// The disk, one change at a time.
#[derive(Clone, Copy)]
struct Disk<'a> {
    /// Called before each change. An error ends it all there, as a kill would.
    before: &'a dyn Fn() -> Result<()>,
}

impl Disk<'_> {
    fn change<T>(
        self,
        action: &'static str,
        path: &Path,
        change: impl FnOnce() -> io::Result<T>,
    ) -> Result<T> {
        (self.before)()?;
        change().map_err(Error::io(action, path))
    }

    fn rename(self, from: &Path, to: &Path) -> Result<()> {
        self.change("move", from, || fs::rename(from, to))
    }

    /// Removes a folder with what is in it, if it is there.
    fn remove(self, folder: &Path) -> Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(Error::io("list", folder))?,
        };
        for entry in entries {
            let path = entry.map_err(Error::io("list", folder))?.path();
            if path.is_dir() {
                self.remove(&path)?;
            } else {
                self.change("remove", &path, || fs::remove_file(&path))?;
            }
        }
        self.change("remove", folder, || fs::remove_dir(folder))
    }

    fn write_synced(self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = self.change("write", path, || File::create(path))?;
        self.change("write", path, || {
            file.write_all(bytes)?;
            file.sync_all()
        })
    }
}

fn rebucket_on(lake: &Lake, buckets: u32, disk: Disk) -> Result<Rebucketed> {
    let _locks = lock_all(lake)?;
    let work = lake.root().join(FOLDER);
    let mut done = Rebucketed { buckets, ..Rebucketed::default() };
    if cut_off(lake.root()).is_none() {
        disk.remove(&work)?;
        if lake.bucket_count() == buckets {
            return Ok(done);
        }
        Dealing::new(lake, &work, buckets, disk)?.deal(&mut done)?;
        disk.write_synced(&work.join(READY), buckets.to_string().as_bytes())?;
        sync_folder(&work)?;
    }
    carry_on(lake, &work, buckets, disk)?;
    Ok(done)
}

/// Puts what was dealt out in the place of what there was. Each step is left out where it is done.
fn carry_on(lake: &Lake, work: &Path, buckets: u32, disk: Disk) -> Result<()> {
    let root = lake.root();
    let (landing, dealt, old) = (root.join("landing"), work.join("landing"), work.join("old"));
    if dealt.exists() {
        if landing.exists() {
            disk.rename(&landing, &old)?;
        }
        disk.rename(&dealt, &landing)?;
        sync_folder(root)?;
        sync_folder(work)?;
    }
    for folder in names::DATASETS {
        disk.remove(&root.join(folder))?;
    }
    (disk.before)()?;
    write_charter(&Local::new(root), &Charter::new(buckets, lake.has_geometry()))?;
    disk.remove(&old)?;
    // The sign goes last, and only then is the lake one like any other.
    let ready = work.join(READY);
    disk.change("remove", &ready, || fs::remove_file(&ready))?;
    disk.remove(work)?;
    sync_folder(root)
}

struct Dealing<'a> {
    lake: &'a Lake,
    work: &'a Path,
    buckets: u32,
    disk: Disk<'a>,
    /// What is to be written on to each segment, and how many frames it has in all.
    held: BTreeMap<Key, (Vec<u8>, u64)>,
    held_bytes: usize,
}

impl Dealing<'_> {
    fn new<'a>(lake: &'a Lake, work: &'a Path, buckets: u32, disk: Disk<'a>) -> Result<Dealing<'a>> {
        create_folder(&work.join("landing"))?;
        Ok(Dealing { lake, work, buckets, disk, held: BTreeMap::new(), held_bytes: 0 })
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
        self.disk.change("write", &path, || {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(bytes)?;
            if is_last { file.sync_all() } else { Ok(()) }
        })
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
                self.disk.write_synced(&self.path(&names::import_key(to, *own))?, &line)?;
                *own += 1;
                done.archives += 1;
                let Some(from) = self.lake.backend().path(&names::archive_key(bucket, &import.sha256))?
                else {
                    continue;
                };
                let path = self.path(&names::archive_key(to, &import.sha256))?;
                if !path.exists() {
                    self.disk.change("link", &path, || fs::hard_link(&from, &path))?;
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

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use std::cell::Cell;
    use std::process::Command;

    use jiff::Timestamp;

    use super::super::archives::{Archives, Wanted};
    use super::*;
    use crate::testing::synth::{self, Options};

    const PEOPLE: Options = Options { seed: 3, users: 5, activities: 4 };

    /// Answers and archives of some people, and what was made of them.
    fn landed(root: &Path) {
        let lake = Lake::open_or_create_of(root, Some(3)).unwrap();
        synth::bulk::land(&lake, PEOPLE).unwrap();
        let (mut archives, file) = (Archives::open(&lake).unwrap(), tempfile::NamedTempFile::new().unwrap());
        for number in 0..PEOPLE.users {
            // Two people have the same file.
            fs::write(file.path(), format!("a ride of {}", number / 2)).unwrap();
            let wanted = Wanted {
                user_id: synth::person(PEOPLE, number).user_id,
                source: "hevy".to_string(),
                name: "rides.csv".to_string(),
                zone: None,
            };
            archives.copy(&wanted, file.path(), Timestamp::UNIX_EPOCH).unwrap();
        }
        for folder in names::DATASETS {
            lake.put(&Key::new(folder).join("000.parquet"), b"rows").unwrap();
        }
    }

    /// Every file but locks, with its bytes.
    fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let walk = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.unwrap().into_path());
        let below = |path: PathBuf| (path.strip_prefix(root).unwrap().to_path_buf(), path);
        let is_kept = |path: &Path| !["locks", "tmp"].iter().any(|folder| path.starts_with(folder));
        let read = |(name, path): (PathBuf, PathBuf)| {
            // A folder that is left over counts, too.
            (name, if path.is_dir() { Vec::new() } else { fs::read(path).unwrap() })
        };
        walk.map(below).filter(|(name, _)| is_kept(name)).map(read).collect()
    }

    #[test]
    fn a_kill_before_any_change_is_carried_on_to_the_same_bytes() {
        const BUCKETS: u32 = 7;
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        landed(&place("before"));
        let copy = |name: &str| {
            let status = Command::new("cp").arg("-r").args([place("before"), place(name)]).status().unwrap();
            assert!(status.success());
            place(name)
        };
        // So many changes, and then as if it was killed.
        let end = |root: &Path, changes: u64| {
            let done = Cell::new(0);
            let before = || {
                done.set(done.get() + 1);
                if done.get() > changes { Err(Error::Remote("killed".to_string())) } else { Ok(()) }
            };
            let lake = Lake::open_as_it_is(root).unwrap();
            (rebucket_on(&lake, BUCKETS, Disk { before: &before }), done.get())
        };
        let (ended, changes) = end(&copy("whole"), u64::MAX);
        let dealt = ended.unwrap();
        assert!(dealt.archives == 5 && dealt.responses >= 5, "{dealt:?}");
        let (before, whole) = (files(&place("before")), files(&place("whole")));
        let landing = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<(PathBuf, Vec<u8>)> {
            let own = files.iter().filter(|(path, _)| path.starts_with(names::LANDING));
            own.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
        };
        let (mut as_before, mut half, mut as_after) = (0, 0, 0);
        for killed in 0..changes {
            let root = copy(&format!("killed-{killed}"));
            end(&root, killed).0.unwrap_err();
            // Until it is carried on it is the one or the other, or says that it is neither.
            let now = landing(&files(&root));
            match Lake::open(&root) {
                Ok(lake) if lake.bucket_count() == BUCKETS => {
                    assert!(now == landing(&whole), "killed before change {killed}");
                    as_after += 1;
                }
                Ok(_) => {
                    assert!(now == landing(&before), "killed before change {killed}");
                    as_before += 1;
                }
                Err(e) => {
                    assert!(e.to_string().contains("`longrun lake rebucket 7` carries it on"), "{e}");
                    half += 1;
                }
            }
            rebucket(&Lake::open_as_it_is(&root).unwrap(), BUCKETS).unwrap();
            assert!(files(&root) == whole, "killed before change {killed} of {changes}");
            fs::remove_dir_all(&root).unwrap();
        }
        assert!(as_before > 20 && half > 20 && as_after > 0, "{as_before} {half} {as_after}");
    }
}
