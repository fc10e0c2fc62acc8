//! The one door to the disk for everything that must survive a crash: files are
//! appended and synced, or staged beside their target, synced and renamed.
//!
//! A staged file is called `.NAME.partial`; a crash can leave one behind, no
//! reader ever looks at it, and the next replacement of the same file reuses it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Replaces `path` whole: either the old bytes or the new ones are there, never a mixture.
/// Returns the number of bytes written.
pub fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<u64> {
    let folder = path.parent().expect("a store's file lies in a folder");
    create_folder(folder)?;
    let staged = staged_name(path);
    let length = stage(&staged, write).inspect_err(|_| drop(fs::remove_file(&staged)))?;
    fs::rename(&staged, path).map_err(Error::io("replace", path))?;
    sync_folder(folder)?;
    Ok(length)
}

fn stage(staged: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<u64> {
    let failed = |source| Error::Io { action: "write", path: staged.to_path_buf(), source };
    let mut out = BufWriter::with_capacity(1 << 18, File::create(staged).map_err(failed)?);
    write(&mut out).map_err(failed)?;
    let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(file.metadata().map_err(failed)?.len())
}

/// Gives a file in the making its name, once its bytes are on the disk.
pub fn keep(staged: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    let folder = path.parent().expect("a store's file lies in a folder");
    create_folder(folder)?;
    staged.as_file().sync_all().map_err(Error::io("write", path))?;
    staged.persist(path).map_err(|e| Error::io("write", path)(e.error))?;
    sync_folder(folder)
}

fn staged_name(path: &Path) -> PathBuf {
    let name = path.file_name().expect("a store's file has a name").to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
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

/// Creates a folder and makes its name durable.
pub fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("sync", folder))
}

/// A file that only grows. What `append` returned for is on the disk.
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

/// Exclusive use of a store by one process, for as long as the value lives. The lock is the
/// kernel's: it ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    pub fn take(folder: &Path, store: &str) -> Result<Lock> {
        Lock::at(folder.join(".lock"), format!("{store} in {}", folder.display()))
    }

    /// Of one file, which may lie anywhere.
    pub fn of_file(path: &Path) -> Result<Lock> {
        let name = path.file_name().expect("a store's file has a name").to_string_lossy();
        Lock::at(path.with_file_name(format!(".{name}.lock")), path.display().to_string())
    }

    fn at(path: PathBuf, store: String) -> Result<Lock> {
        create_folder(path.parent().expect("a lock lies in a folder"))?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {
                let _ = file.set_len(0).and_then(|()| write!(file, "process {}", std::process::id()));
                Ok(Lock { _file: file })
            }
            Err(fs::TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                Err(Error::Busy { store, holder })
            }
            Err(fs::TryLockError::Error(source)) => Err(Error::Io { action: "lock", path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_replacement_leaves_the_old_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, |w| w.write_all(b"old")).unwrap();
        let failed = replace(&path, |w| {
            w.write_all(b"new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(failed.unwrap_err().to_string().contains("free some space"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn opening_cuts_what_lies_behind_the_good_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, b"goodtorn").unwrap();
        let mut log = Appender::open(&path, 4).unwrap();
        assert_eq!(log.append(b"more").unwrap(), 4);
        assert_eq!(fs::read(&path).unwrap(), b"goodmore");
    }

    #[test]
    fn a_store_has_one_writer_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path(), "landing").unwrap();
        let refused = Lock::take(dir.path(), "landing").unwrap_err().to_string();
        assert!(refused.contains("another longrun (process "), "{refused}");
        drop(held);
        Lock::take(dir.path(), "landing").unwrap();
    }
}
