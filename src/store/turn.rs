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
//!
//! All of this needs one kernel: over a network file system, what one machine has written another one may not see yet.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::local::{Lock, create_folder, entries, is_absent, remove_if_there, sync_folder};
use crate::error::{Error, Result};

const BEGIN: &str = "put-";
const LONGEST_NAME: usize = 64;
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

impl Turns<'_> {
    /// Renames the file in the making that is called so, and whose bytes are on the disk, if the condition holds.
    pub fn put(
        &self,
        staged: &str,
        path: &Path,
        condition: impl FnOnce() -> Result<bool>,
    ) -> Result<Outcome> {
        let folder = path.parent().expect("an object lies in a folder");
        create_folder(self.folder)?;
        let (number, turn) = self.wait()?;
        let earlier: Vec<u64> = self.numbers()?.into_iter().filter(|earlier| *earlier < number).collect();
        if !earlier.is_empty() {
            earlier.into_iter().try_for_each(|earlier| self.end(earlier))?;
            // What they may have renamed is not on the disk before this.
            sync_folder(folder)?;
        }
        let mut file = turn.file();
        file.set_len(0)
            .and_then(|()| file.write_all(staged.as_bytes()))
            .map_err(Error::io("write", self.at(number)))?;
        if self.last()? != number {
            return Ok(Outcome::Passed);
        }
        if !condition()? {
            return Ok(Outcome::Changed);
        }
        let staged = self.making.join(staged);
        match fs::rename(&staged, path) {
            Ok(()) => sync_folder(folder).map(|()| Outcome::Put),
            Err(e) if is_absent(&e) && !staged.exists() => Ok(Outcome::Passed),
            Err(e) => Err(Error::io("replace", path)(e)),
        }
    }

    /// The turn of the last number.
    fn wait(&self) -> Result<(u64, Lock)> {
        let mut seen: Option<(u64, Vec<u8>, Instant)> = None;
        loop {
            let number = self.last()?;
            if let Some(turn) = Lock::of(self.open(number)?).map_err(Error::io("lock", self.at(number)))? {
                return Ok((number, turn));
            }
            let holder = self.holder(number)?;
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
        let holder = self.holder(number)?;
        // Whatever else lies there, after a power cut say, names no file in the making.
        let is_name = |name: &&str| {
            name.len() <= LONGEST_NAME
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
                && name.bytes().any(|b| b != b'.')
        };
        if let Some(name) = std::str::from_utf8(&holder).ok().filter(is_name) {
            remove_if_there(&self.making.join(name))?;
        }
        remove_if_there(&self.at(number))
    }

    /// What a turn says of its holder; nothing where it is gone.
    fn holder(&self, number: u64) -> Result<Vec<u8>> {
        let path = self.at(number);
        match fs::read(&path) {
            Err(e) if is_absent(&e) => Ok(Vec::new()),
            read => read.map_err(Error::io("read", path)),
        }
    }

    /// What it says stays: others may have gone on to it before.
    fn open(&self, number: u64) -> Result<File> {
        Lock::file_at(&self.at(number))
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
            let name = staged.path().file_name().unwrap().to_str().unwrap();
            Turns { folder, making, patience }.put(name, &self.at("object"), || Ok(condition())).unwrap()
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
        let long = "x".repeat(300);
        for name in [&b"../other"[..], b"/etc/none", b"..", b"", b"\xff", b"\0\0", long.as_bytes()] {
            fs::write(folders.at("locks/put-3"), name).unwrap();
            fs::write(folders.at("locks/put-4"), "").unwrap();
            assert_eq!(folders.put("put", Duration::ZERO, || true), Outcome::Put);
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
