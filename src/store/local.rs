//! The one door to this machine's disk for everything that must survive a crash: bytes first, then the name.
//!
//! ```text
//! lake/                 the objects, each under its key
//! ├── locks/put-<n>     the turns of those who put on a condition ([`super::turn`])
//! ├── locks/<name>      held by the process that writes what the name stands for; the lock is the kernel's
//! └── tmp/<random>      in the making; locked by the process that makes it, so that what a killed one left is known
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::backend::{Append, Backend, Guard, Key, Opened, Put, ReadAt, Stat, Version};
use super::turn::{self, Turns};
use crate::error::{Error, Result};

const TMP: &str = "tmp";
const LOCKS: &str = "locks";
/// How long a conditional put may stand still while others wait: far more than comparing and renaming takes.
const TURN: Duration = Duration::from_secs(5);

/// A folder as the place of a lake.
#[derive(Debug, Clone)]
pub struct Local {
    root: PathBuf,
}

impl Local {
    pub fn new(root: &Path) -> Local {
        Local { root: root.to_path_buf() }
    }

    fn at(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn tmp(&self) -> PathBuf {
        self.root.join(TMP)
    }

    fn stage(&self) -> Result<tempfile::NamedTempFile> {
        let tmp = self.scratch()?;
        locked(|| staged_in(&tmp))
    }

    /// Removes what killed processes left in `tmp/`.
    fn sweep(&self) -> Result<()> {
        let tmp = self.tmp();
        for entry in entries(&tmp)? {
            let path = entry.map_err(Error::io("list", &tmp))?.path();
            let Ok(file) = File::open(&path) else { continue };
            if path.is_file() && file.try_lock().is_ok() {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }

    fn version(&self, key: &Key) -> Result<Option<Version>> {
        let path = self.at(key);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(stat(&metadata).version)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(Error::io("read", &path)(e)),
        }
    }
}

/// Neither the file nor, perhaps, its folder is there.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn stat(metadata: &fs::Metadata) -> Stat {
    let version =
        format!("{}-{}.{}-{}", metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len());
    Stat { bytes: metadata.len(), version: Version(version) }
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

impl Backend for Local {
    fn open(&self, key: &Key) -> Result<Option<Opened>> {
        let path = self.at(key);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        let metadata = file.metadata().map_err(Error::io("read", &path))?;
        if metadata.is_dir() {
            return Ok(None);
        }
        Ok(Some(Opened::new(stat(&metadata), Arc::new(file))))
    }

    fn list(&self, folder: &Key) -> Result<Vec<(Key, u64)>> {
        Ok(self.versions(folder)?.into_iter().map(|(key, stat)| (key, stat.bytes)).collect())
    }

    fn versions(&self, folder: &Key) -> Result<Vec<(Key, Stat)>> {
        let mut found = Vec::new();
        let mut folders = vec![folder.clone()];
        while let Some(folder) = folders.pop() {
            let path = self.at(&folder);
            for entry in entries(&path)? {
                let entry = entry.map_err(Error::io("list", &path))?;
                // Names that are no text are none of ours.
                let Ok(name) = entry.file_name().into_string() else { continue };
                if name.contains(['=', '\\']) {
                    continue;
                }
                let metadata = match entry.metadata() {
                    Ok(metadata) => metadata,
                    Err(e) if is_absent(&e) => continue,
                    Err(e) => return Err(Error::io("read", entry.path())(e)),
                };
                if metadata.is_dir() {
                    folders.push(folder.join(&name));
                } else {
                    found.push((folder.join(&name), stat(&metadata)));
                }
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    fn names(&self, folder: &Key) -> Result<Vec<String>> {
        let path = self.at(folder);
        let mut names = Vec::new();
        for entry in entries(&path)? {
            let entry = entry.map_err(Error::io("list", &path))?;
            // Names that are no text are none of ours.
            if entry.file_type().is_ok_and(|kind| kind.is_file())
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn put(
        &self,
        key: &Key,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<u64> {
        let path = self.at(key);
        let staged = self.stage()?;
        let failed = |source| Error::Io { action: "write", path: path.clone(), source };
        let mut out = BufWriter::with_capacity(1 << 18, staged.as_file());
        write(&mut out).map_err(failed)?;
        out.into_inner().map_err(|e| failed(e.into_error()))?;
        let bytes = staged.as_file().metadata().map_err(failed)?.len();
        persist(staged, &path)?;
        Ok(bytes)
    }

    fn put_if(&self, key: &Key, expected: Option<&Version>, bytes: &[u8]) -> Result<Put> {
        let (path, locks, tmp) = (self.at(key), self.root.join(LOCKS), self.tmp());
        create_folder(path.parent().expect("an object lies in a folder"))?;
        let mut turns = Turns { folder: &locks, making: &tmp, patience: TURN };
        loop {
            let staged = self.stage()?;
            let written = staged.as_file().write_all(bytes).and_then(|()| staged.as_file().sync_all());
            let metadata = written.and_then(|()| staged.as_file().metadata());
            let version = stat(&metadata.map_err(Error::io("write", &path))?).version;
            let name = staged.path().file_name().and_then(|name| name.to_str()).expect("we named it");
            match turns.put(name, &path, || Ok(self.version(key)?.as_ref() == expected))? {
                turn::Outcome::Put => return Ok(Put::Done(version)),
                turn::Outcome::Changed => return Ok(Put::Changed),
                // Where all are slow, all need longer.
                turn::Outcome::Passed => turns.patience *= 2,
            }
        }
    }

    fn put_file(&self, key: &Key, file: tempfile::NamedTempFile) -> Result<()> {
        persist(file, &self.at(key))
    }

    fn append(&self, key: &Key) -> Result<Box<dyn Append>> {
        let path = self.at(key);
        let folder = path.parent().expect("an object lies in a folder");
        create_folder(folder)?;
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("create", &path))?;
        sync_folder(folder)?;
        Ok(Box::new(Segment { file, path, length: 0 }))
    }

    fn remove(&self, key: &Key) -> Result<()> {
        let path = self.at(key);
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(path.parent().expect("an object lies in a folder")),
            Err(e) if is_absent(&e) => Ok(()),
            Err(e) => Err(Error::io("remove", &path)(e)),
        }
    }

    fn lock(&self, name: &str, what: &str) -> Result<Box<dyn Guard>> {
        let lock = Lock::at(self.root.join(LOCKS).join(name), format!("{what} of {}", self.root.display()))?;
        self.sweep()?;
        Ok(Box::new(lock))
    }

    fn scratch(&self) -> Result<PathBuf> {
        let tmp = self.tmp();
        create_folder(&tmp)?;
        Ok(tmp)
    }

    fn path(&self, key: &Key) -> Result<Option<PathBuf>> {
        let path = self.at(key);
        Ok(path.is_file().then_some(path))
    }

    fn place(&self, key: &Key) -> PathBuf {
        self.at(key)
    }
}

pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if !is_absent(&e) => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// The entries of a folder; none where it is not there.
pub fn entries(folder: &Path) -> Result<Box<dyn Iterator<Item = io::Result<fs::DirEntry>>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Box::new(entries)),
        Err(e) if is_absent(&e) => Ok(Box::new(std::iter::empty())),
        Err(e) => Err(Error::io("list", folder)(e)),
    }
}

/// Gives a file in the making its name, once its bytes are on the disk.
pub fn persist(staged: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    let folder = path.parent().expect("a file lies in a folder");
    create_folder(folder)?;
    staged.as_file().sync_all().map_err(Error::io("write", path))?;
    staged.persist(path).map_err(|e| Error::io("replace", path)(e.error))?;
    sync_folder(folder)
}

/// Replaces a file outside of a lake, through a neighbour: the old bytes or the new ones are there, never a mixture.
/// Returns its length.
pub fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folder(folder)?;
    let staged = staged_in(folder)?;
    let failed = |source| Error::Io { action: "write", path: path.to_path_buf(), source };
    let mut out = BufWriter::with_capacity(1 << 18, staged.as_file());
    write(&mut out).map_err(failed)?;
    out.into_inner().map_err(|e| failed(e.into_error()))?;
    let bytes = staged.as_file().metadata().map_err(failed)?.len();
    persist(staged, &folder.join(path.file_name().unwrap_or_default()))?;
    Ok(bytes)
}

/// A file in the making, as readable as any other: the umask decides.
pub fn staged_in(folder: &Path) -> Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(Error::io("write in", folder))
}

/// A file in the making that nobody else may read, in a scratch folder; locked for as long as it is open.
pub fn making_in(scratch: &Path) -> Result<tempfile::NamedTempFile> {
    locked(|| tempfile::NamedTempFile::new_in(scratch).map_err(Error::io("write in", scratch)))
}

/// A file in the making, locked so that nobody takes it for a dead process's.
pub fn locked(make: impl Fn() -> Result<tempfile::NamedTempFile>) -> Result<tempfile::NamedTempFile> {
    loop {
        let staged = make()?;
        match staged.as_file().try_lock() {
            Ok(()) if staged.path().exists() => return Ok(staged),
            // A process that starts took it for a dead one's before it was locked, and removes it.
            Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(source)) => return Err(Error::io("lock", staged.path())(source)),
        }
    }
}

/// The files below a folder whose names end so, in the order of their names. A folder that is not
/// there has none.
pub fn below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("list", &folder)(e)),
        };
        for entry in entries {
            let path = entry.map_err(Error::io("list", &folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Creates a folder and makes its name, and those of the folders above that were not there, durable.
pub fn create_folder(folder: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new(""));
    create_folder(parent)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => {
            return Err(Error::io("create", folder)(e));
        }
        _ => {}
    }
    sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("sync", folder))
}

/// A file that only grows.
#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Append for Segment {
    fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.length;
        if let Err(source) = self.file.write_all(bytes).and_then(|()| self.file.sync_data()) {
            // What was written of them is taken back; what cannot be (a disk that failed) ends the segment,
            // and readers see a torn end.
            if self.file.set_len(offset).is_err() {
                self.length = u64::MAX;
            }
            return Err(Error::Io { action: "append to", path: self.path.clone(), source });
        }
        self.length += bytes.len() as u64;
        Ok(offset)
    }
}

/// A file outside of a lake that only grows. What `append` returned for is on the disk.
#[derive(Debug)]
pub struct Appender {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Appender {
    /// Opens or creates the file; `length` is where the good bytes end, anything behind is cut off.
    pub fn open(path: &Path, length: u64) -> Result<Appender> {
        let folder = path.parent().expect("a store's file lies in a folder");
        create_folder(folder)?;
        let new = !path.exists();
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(Error::io("open", path))?;
        file.set_len(length).map_err(Error::io("cut the torn end of", path))?;
        file.seek(SeekFrom::Start(length)).map_err(Error::io("seek in", path))?;
        if new {
            sync_folder(folder)?;
        }
        Ok(Appender { file, path: path.to_path_buf(), length })
    }

    /// Appends and syncs. Returns the offset the bytes begin at. On failure (a full disk)
    /// what was written of them is taken back.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.length;
        if let Err(source) = self.file.write_all(bytes).and_then(|()| self.file.sync_data()) {
            // Best effort: what cannot be cut now is a torn tail, cut at the next start.
            let _ =
                self.file.set_len(offset).and_then(|()| self.file.seek(SeekFrom::Start(offset)).map(drop));
            return Err(Error::Io { action: "append to", path: self.path.clone(), source });
        }
        self.length += bytes.len() as u64;
        Ok(offset)
    }
}

/// Exclusive use by one process, for as long as the value lives. It ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Guard for Lock {}

impl Drop for Lock {
    /// Closing the file is not enough: a process that is being started holds a copy of it until it runs its own program.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Of an open file; none where another one has it.
    pub fn of(file: File) -> io::Result<Option<Lock>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }

    /// The file of a lock, with what it says.
    pub fn file_at(path: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        options.open(path).map_err(Error::io("open", path))
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Of one file, which may lie anywhere.
    pub fn of_file(path: &Path) -> Result<Lock> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Lock::at(path.with_file_name(format!(".{name}.lock")), path.display().to_string())
    }

    fn at(path: PathBuf, store: String) -> Result<Lock> {
        create_folder(path.parent().expect("a lock lies in a folder"))?;
        let Some(lock) = Lock::of(Lock::file_at(&path)?).map_err(Error::io("lock", &path))? else {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            return Err(Error::Busy { store, holder });
        };
        let mut file = lock.file();
        let _ = file.set_len(0).and_then(|()| write!(file, "process {}", std::process::id()));
        Ok(lock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_value_though_a_process_being_started_still_has_a_copy_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let lock = Lock::of_file(&path).unwrap();
        let _copy = lock.file.try_clone().unwrap();
        assert!(matches!(Lock::of_file(&path), Err(Error::Busy { .. })));
        drop(lock);
        Lock::of_file(&path).unwrap();
    }
}
