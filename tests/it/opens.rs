//! How often the files of a lake are opened: a count that no load of the machine changes.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use walkdir::WalkDir;

/// How often each file below a folder was opened while something was done. No folder may come or go meanwhile.
pub fn opens(folder: &Path, work: impl FnOnce()) -> BTreeMap<PathBuf, usize> {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    let mut folders: BTreeMap<i32, PathBuf> = BTreeMap::new();
    for entry in WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_dir()) {
        // Closings are asked for because the kernel makes one of two equal events in a row.
        let number = inotify::add_watch(&watch, entry.path(), WatchFlags::OPEN | WatchFlags::CLOSE).unwrap();
        folders.insert(number, entry.into_path());
    }
    work();
    let mut counts = BTreeMap::new();
    let mut buffer = [MaybeUninit::uninit(); 64 << 10];
    let mut events = Reader::new(&watch, &mut buffer);
    loop {
        match events.next() {
            Ok(event) => {
                assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW), "more than the kernel keeps");
                if event.events().contains(ReadFlags::OPEN) && !event.events().contains(ReadFlags::ISDIR) {
                    let name = event.file_name().map_or("", |name| name.to_str().unwrap());
                    *counts.entry(folders[&event.wd()].join(name)).or_default() += 1;
                }
            }
            Err(Errno::WOULDBLOCK) => return counts,
            Err(e) => panic!("inotify: {e}"),
        }
    }
}
