//! What an archive is made of: one file, a folder, or a zip with zips within, as a list of files.
//!
//! Nothing is unpacked but zips within zips, into nameless files. Names are labels and never
//! paths; those that lead out of the archive are refused all the same, because they are never
//! meant well. What inflates without measure is cut short.

mod list;
mod measured;
mod names;
mod slice;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use zip::ZipArchive;

use crate::error::{Error, Result};
use crate::sources::Fault;
use crate::store::local::making_in;
use measured::{ALWAYS_ALLOWED_BYTES, MAX_RATIO, Measured, is_ours};
use names::label;
use slice::Slice;

pub use measured::{MAX_FILE_BYTES, read_whole};
pub use names::text;

/// An archive, open.
#[derive(Debug)]
pub struct Container {
    entries: Vec<ArchiveEntry>,
    faults: Vec<(String, Fault)>,
    scratch: PathBuf,
    inflated: AtomicU64,
    may_inflate: u64,
}

/// A file in it.
#[derive(Debug, Clone)]
pub struct ArchiveEntry {
    /// With `/` between folders, and `!` behind a zip that it lies in.
    pub name: String,
    /// As the archive says; not to be relied on.
    pub bytes: u64,
    /// As it lies in the archive, deflated; 0 where it is not.
    packed_bytes: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Path(PathBuf),
    Zipped { zip: Arc<ZipArchive<Slice>>, index: usize },
}

impl Container {
    /// Opens a file or a folder. `name` is what it was called when it was imported; zips within
    /// zips are put into nameless files in `scratch`.
    pub fn open(path: &Path, name: &str, scratch: &Path) -> Result<Container> {
        let mut container = Container::empty(scratch);
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if metadata.is_dir() {
            container.list_folder(path)?;
            container.open_zips()?;
            return Ok(container);
        }
        container.may_inflate = metadata.len().saturating_mul(MAX_RATIO).saturating_add(ALWAYS_ALLOWED_BYTES);
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        let mut magic = [0; 4];
        let is_zip = file.read_exact(&mut magic).is_ok() && matches!(&magic, b"PK\x03\x04" | b"PK\x05\x06");
        if is_zip {
            let slice = Slice::whole(Arc::new(file), metadata.len());
            container.list_zip(slice, "", 1)?;
        } else {
            let place = Place::Path(path.to_path_buf());
            container.entries.push(ArchiveEntry {
                name: label(name),
                bytes: metadata.len(),
                packed_bytes: 0,
                place,
            });
        }
        Ok(container)
    }

    /// The files of a folder as they are, zips unopened.
    pub fn of_folder(folder: &Path, scratch: &Path) -> Result<Container> {
        let mut container = Container::empty(scratch);
        container.list_folder(folder)?;
        Ok(container)
    }

    /// Leaves out the files that lie in a folder, such as the lake itself. Returns how many those are.
    pub fn leave_out(&mut self, folder: &Path) -> usize {
        let Ok(folder) = folder.canonicalize() else { return 0 };
        let before = self.entries.len();
        let is_inside = |path: &Path| path.canonicalize().is_ok_and(|path| path.starts_with(&folder));
        self.entries.retain(|entry| !entry.path().is_some_and(is_inside));
        before - self.entries.len()
    }

    fn empty(scratch: &Path) -> Container {
        Container {
            entries: Vec::new(),
            faults: Vec::new(),
            scratch: scratch.to_path_buf(),
            inflated: AtomicU64::new(0),
            may_inflate: 0,
        }
    }

    pub fn entries(&self) -> &[ArchiveEntry] {
        &self.entries
    }

    /// What could not be listed, by its name.
    pub fn faults(&self) -> &[(String, Fault)] {
        &self.faults
    }

    /// The entries whose names end so, in lower case.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a ArchiveEntry> {
        self.entries.iter().filter(move |entry| entry.file_name().to_lowercase().ends_with(end))
    }

    /// The whole of a file.
    pub fn read(&self, entry: &ArchiveEntry) -> std::result::Result<Vec<u8>, Fault> {
        // The length of a file is known; what a zip says of one may be anything.
        let most = if entry.path().is_some() { MAX_FILE_BYTES } else { 1 << 20 };
        self.stream(entry, |input| {
            let mut bytes = Vec::with_capacity(usize::try_from(entry.bytes.min(most)).unwrap_or(0));
            read_whole(input, &mut bytes)?;
            Ok(bytes)
        })
    }

    /// The beginning of a file.
    pub fn head(&self, entry: &ArchiveEntry, length: u64) -> Vec<u8> {
        let read = self.stream(entry, |input| {
            let mut bytes = Vec::new();
            // What can be read of a broken file is what there is to see.
            let _ = input.take(length).read_to_end(&mut bytes);
            Ok(bytes)
        });
        read.unwrap_or_default()
    }

    /// Reads a file piece by piece.
    pub fn stream<T>(
        &self,
        entry: &ArchiveEntry,
        read: impl FnOnce(&mut dyn Read) -> std::result::Result<T, Fault>,
    ) -> std::result::Result<T, Fault> {
        let unreadable = |e: &dyn std::fmt::Display| Fault::record(format!("cannot be read: {e}"));
        match &entry.place {
            Place::Path(path) => {
                let mut file =
                    BufReader::with_capacity(1 << 16, File::open(path).map_err(|e| unreadable(&e))?);
                read(&mut file)
            }
            Place::Zipped { zip, index } => {
                let mut zip = ZipArchive::clone(zip);
                let mut file = zip.by_index(*index).map_err(|e| unreadable(&e))?;
                read(&mut self.measured(&mut file))
            }
        }
    }

    /// Gives a path to a file's bytes, for readers that need one.
    pub fn with_path<T>(
        &self,
        entry: &ArchiveEntry,
        read: impl FnOnce(&Path) -> std::result::Result<T, Fault>,
    ) -> Result<std::result::Result<T, Fault>> {
        if let Some(path) = entry.path() {
            return Ok(read(path));
        }
        let failed = |e: io::Error| Error::io("write in", &self.scratch)(e);
        let mut copy = making_in(&self.scratch)?;
        let mut full = None;
        let copied = self.stream(entry, |input| {
            io::copy(input, &mut copy).map_err(|e| {
                let fault = Fault::record(format!("cannot be read: {e}"));
                full = is_ours(&e).then_some(e);
                fault
            })
        });
        match (full, copied) {
            (Some(e), _) => Err(failed(e)),
            (None, Ok(_)) => Ok(read(copy.path())),
            (None, Err(fault)) => Ok(Err(fault)),
        }
    }

    /// A reader that ends in an error when the archive inflates without measure.
    fn measured<'a>(&'a self, input: &'a mut dyn Read) -> Measured<'a> {
        Measured { input, inflated: &self.inflated, may_inflate: self.may_inflate }
    }
}

impl ArchiveEntry {
    /// Without the folders.
    pub fn file_name(&self) -> &str {
        self.name.rsplit(['/', '!']).next().unwrap_or(&self.name)
    }

    /// Where it lies, if it is a file of its own.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Path(path) => Some(path),
            Place::Zipped { .. } => None,
        }
    }

    /// What reading it may take, roughly, for sharing out the work: sizes in archives are not to be relied on.
    pub fn weight(&self) -> u64 {
        const USUAL_RATIO: u64 = 20;
        let packed = if self.name.to_lowercase().ends_with(".gz") { self.bytes } else { self.packed_bytes };
        self.bytes.max(packed.saturating_mul(USUAL_RATIO))
    }

    /// The folder it lies in, with a `/` at its end; empty at the top.
    pub fn folder(&self) -> &str {
        &self.name[..self.name.len() - self.file_name().len()]
    }
}
