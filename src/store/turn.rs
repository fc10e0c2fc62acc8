//! Conditional puts in a folder, one at a time, whatever becomes of who has the turn.
//!
//! A folder can rename, and cannot rename on a condition. So who puts takes a turn: the kernel's lock of
//! `put-<number>`, in which it writes the name of its file in the making, looks at the condition, and renames.
//!
//! A process that stands still in its turn (stopped, swapped out, its disk stuck) would hold up all others for good.
//! Who has waited long enough goes on to the next number. Who has a turn there first removes the files that earlier
//! turns name: the rename of who stood still then finds nothing to rename, and it begins anew. Who takes a turn of a
//! number that is no longer the last gives it back. So a turn that is passed while its holder is only slow costs time,
//! and never an update.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::local::{create_folder, entries, is_absent};
use crate::error::{Error, Result};

const BEGIN: &str = "put-";
const PAUSE: Duration = Duration::from_millis(1);

/// The folder of the turns, that of the files in the making, and how long who has a turn may stand still.
pub struct Turns<'a> {
    pub folder: &'a Path,
    pub making: &'a Path,
    pub patience: Duration,
}

/// What became of a file in the making.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Put,
    /// The condition did not hold.
    Changed,
    /// Others went on without it.
    Passed,
}

struct Turn(File);

impl Drop for Turn {
    /// Closing the file is not enough, as with any lock of a file.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Turns<'_> {
    /// Renames a file in the making, whose bytes are on the disk, if the condition holds.
    pub fn put(
        &self,
        staged: &Path,
        path: &Path,
        condition: impl FnOnce() -> Result<bool>,
    ) -> Result<Outcome> {
        create_folder(self.folder)?;
        let (number, turn) = self.wait()?;
        for earlier in self.numbers()?.into_iter().filter(|earlier| *earlier < number) {
            self.end(earlier)?;
        }
        let name = staged.file_name().unwrap_or_default().as_encoded_bytes();
        turn.0
            .set_len(0)
            .and_then(|()| (&turn.0).write_all(name))
            .map_err(Error::io("write", self.at(number)))?;
        if self.last()? != number {
            return Ok(Outcome::Passed);
        }
        if !condition()? {
            return Ok(Outcome::Changed);
        }
        match fs::rename(staged, path) {
            Ok(()) => Ok(Outcome::Put),
            Err(e) if is_absent(&e) && !staged.exists() => Ok(Outcome::Passed),
            Err(e) => Err(Error::io("replace", path)(e)),
        }
    }

    /// The turn of the last number.
    fn wait(&self) -> Result<(u64, Turn)> {
        let mut seen: Option<(u64, Vec<u8>, Instant)> = None;
        loop {
            let number = self.last()?;
            let mut file = self.open(number)?;
            match file.try_lock() {
                Ok(()) => return Ok((number, Turn(file))),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", self.at(number))(e)),
            }
            let mut holder = Vec::new();
            file.read_to_end(&mut holder).map_err(Error::io("read", self.at(number)))?;
            match &seen {
                Some((before, its, since)) if *before == number && *its == holder => {
                    if since.elapsed() >= self.patience {
                        self.open(number + 1)?;
                    }
                }
                _ => seen = Some((number, holder, Instant::now())),
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Whoever has the turn of an earlier number can no longer rename.
    fn end(&self, number: u64) -> Result<()> {
        let path = self.at(number);
        let name = match fs::read_to_string(&path) {
            Ok(name) => name,
            Err(e) if is_absent(&e) => return Ok(()),
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        if Path::new(&name).file_name().is_some_and(|plain| plain.to_str() == Some(&name)) {
            remove(&self.making.join(name))?;
        }
        remove(&path)
    }

    /// What it says stays: others may have gone on to it before.
    fn open(&self, number: u64) -> Result<File> {
        let path = self.at(number);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        options.open(&path).map_err(Error::io("open", path))
    }

    fn at(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{BEGIN}{number}"))
    }

    fn last(&self) -> Result<u64> {
        Ok(self.numbers()?.into_iter().max().unwrap_or(0))
    }

    fn numbers(&self) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in entries(self.folder)? {
            let name = entry.map_err(Error::io("list", self.folder))?.file_name();
            numbers.extend(
                name.to_str().and_then(|name| name.strip_prefix(BEGIN)).and_then(|it| it.parse::<u64>().ok()),
            );
        }
        Ok(numbers)
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if !is_absent(&e) => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Folders(tempfile::TempDir);

    impl Folders {
        fn new() -> Folders {
            let folders = Folders(tempfile::tempdir().unwrap());
            fs::create_dir(folders.at("making")).unwrap();
            fs::create_dir(folders.at("locks")).unwrap();
            folders
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// Puts text where the condition holds, with turns that are passed after so long.
        fn put(&self, text: &str, patience: Duration, condition: impl FnOnce() -> bool) -> Outcome {
            let staged = tempfile::NamedTempFile::new_in(self.at("making")).unwrap();
            fs::write(staged.path(), text).unwrap();
            let (folder, making) = (&self.at("locks"), &self.at("making"));
            Turns { folder, making, patience }
                .put(staged.path(), &self.at("object"), || Ok(condition()))
                .unwrap()
        }

        fn text(&self) -> String {
            fs::read_to_string(self.at("object")).unwrap()
        }
    }

    #[test]
    fn who_stands_still_in_its_turn_is_passed_and_changes_nothing_when_it_goes_on() {
        let folders = Folders::new();
        let soon = Duration::from_millis(20);
        let outcome = folders.put("slow", soon, || {
            for text in ["first", "second"] {
                assert_eq!(folders.put(text, soon, || true), Outcome::Put);
            }
            true
        });
        assert_eq!((outcome, folders.text().as_str()), (Outcome::Passed, "second"));
        assert_eq!(folders.put("third", soon, || false), Outcome::Changed);
        assert_eq!(folders.put("third", soon, || true), Outcome::Put);
        assert_eq!(folders.text(), "third");
        let left: Vec<_> =
            fs::read_dir(folders.at("locks")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["put-1"], "turns that are over are gone");
    }

    #[test]
    fn a_name_that_somebody_wrote_into_a_turn_removes_nothing_elsewhere() {
        let folders = Folders::new();
        fs::write(folders.at("other"), "precious").unwrap();
        for name in ["../other", "/etc/none", "..", ""] {
            fs::write(folders.at("locks/put-3"), name).unwrap();
            fs::write(folders.at("locks/put-4"), "").unwrap();
            assert_eq!(folders.put(name, Duration::ZERO, || true), Outcome::Put);
        }
        assert_eq!(fs::read_to_string(folders.at("other")).unwrap(), "precious");
    }

    #[test]
    fn no_update_is_lost_however_long_any_of_many_stands_still() {
        let folders = Folders::new();
        let passed = AtomicU32::new(0);
        assert_eq!(folders.put("0", Duration::ZERO, || true), Outcome::Put);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let (folders, passed) = (&folders, &passed);
                scope.spawn(move || {
                    let mut won = 0;
                    while won < 50 {
                        let before = folders.text();
                        let next = before.parse::<u32>().unwrap() + 1;
                        let outcome = folders.put(&next.to_string(), Duration::from_millis(2), || {
                            let holds = folders.text() == before;
                            if (u64::from(next) + thread).is_multiple_of(5) {
                                std::thread::sleep(Duration::from_millis(12));
                            }
                            holds
                        });
                        won += u32::from(outcome == Outcome::Put);
                        passed.fetch_add(u32::from(outcome == Outcome::Passed), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(folders.text(), "200");
        assert!(passed.into_inner() > 10, "turns were passed while their holders stood still");
    }
}
