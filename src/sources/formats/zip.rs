//! What an archive is made of: one file, a folder, or a zip with zips within, as a list of files.
//!
//! Nothing is unpacked but zips within zips, into nameless files. Names are labels and never
//! paths; those that lead out of the archive are refused all the same, because they are never
//! meant well. What inflates without measure is cut short.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Result};
use crate::sources::Fault;

/// What is read into memory as a whole is at most this long.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// A zip in a zip in a zip.
const MAX_NESTING: usize = 3;
/// Deflate cannot do better than about 1000 to 1; no export comes near.
const MAX_RATIO: u64 = 1000;
const ALWAYS_ALLOWED_BYTES: u64 = 1 << 30;

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

/// A part of a file, with a position of its own.
#[derive(Debug, Clone)]
struct Slice {
    file: Arc<File>,
    offset: u64,
    length: u64,
    at: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..wanted], self.offset + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Slice {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
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
            let slice = Slice { file: Arc::new(file), offset: 0, length: metadata.len(), at: 0 };
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

    /// Lists what the zips among the files hold, in their place.
    fn open_zips(&mut self) -> Result<()> {
        for entry in std::mem::take(&mut self.entries) {
            self.may_inflate = self.may_inflate.saturating_add(entry.bytes.saturating_mul(MAX_RATIO));
            match entry.path().filter(|_| entry.name.to_lowercase().ends_with(".zip")) {
                None => self.entries.push(entry),
                Some(path) => {
                    let file = Arc::new(File::open(path).map_err(Error::io("read", path))?);
                    let slice = Slice { file, offset: 0, length: entry.bytes, at: 0 };
                    self.list_zip(slice, &format!("{}!", entry.name), 1)?;
                }
            }
        }
        self.may_inflate = self.may_inflate.saturating_add(ALWAYS_ALLOWED_BYTES);
        Ok(())
    }

    fn list_folder(&mut self, folder: &Path) -> Result<()> {
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.map_err(|e| {
                let source = e.into_io_error().unwrap_or_else(|| io::Error::other("a folder within itself"));
                Error::io("list", folder)(source)
            })?;
            let name = label(&text(entry.path().strip_prefix(folder).unwrap_or(entry.path())));
            if entry.file_type().is_dir() || is_litter(&name) {
                continue;
            }
            if !entry.file_type().is_file() {
                self.refuse(name, "a symbolic link or a device; links are not followed");
                continue;
            }
            let bytes = entry.metadata().map_or(0, |m| m.len());
            self.entries.push(ArchiveEntry {
                name,
                bytes,
                packed_bytes: 0,
                place: Place::Path(entry.into_path()),
            });
        }
        Ok(())
    }

    fn list_zip(&mut self, slice: Slice, prefix: &str, depth: usize) -> Result<()> {
        let zip = match ZipArchive::new(slice.clone()) {
            Ok(zip) => Arc::new(zip),
            Err(e) => {
                self.refuse(
                    prefix.trim_end_matches('!').to_string(),
                    &format!("the zip cannot be read: {e}"),
                );
                return Ok(());
            }
        };
        for index in 0..zip.len() {
            let Ok(data) = zip.by_index_data(index) else {
                self.refuse(format!("{prefix}entry {index}"), "the zip's directory is damaged here");
                continue;
            };
            // Names that are UTF-8 without saying so are more common than true ones of cp437.
            let name = match std::str::from_utf8(data.name_raw()) {
                Ok(name) => name.to_string(),
                Err(_) => data.name().map_or_else(
                    |_| String::from_utf8_lossy(data.name_raw()).into_owned(),
                    std::borrow::Cow::into_owned,
                ),
            };
            let inner = label(&name);
            let name = format!("{prefix}{inner}");
            if data.is_dir() || is_litter(&inner) {
                continue;
            }
            if leads_out(&inner) {
                self.refuse(name, "the name leads out of the archive");
            } else if data.is_symlink() {
                self.refuse(name, "a symbolic link; links are not followed");
            } else if data.encrypted() {
                self.refuse(name, "encrypted; unpack it with its password and import the folder");
            } else if inner.to_lowercase().ends_with(".zip") {
                if depth == MAX_NESTING {
                    self.refuse(name, &format!("zips nested deeper than {MAX_NESTING}"));
                    continue;
                }
                match self.inner_zip(&zip, index, &slice)? {
                    Ok(inner) => self.list_zip(inner, &format!("{name}!"), depth + 1)?,
                    Err(reason) => self.refuse(name, &reason),
                }
            } else {
                let bytes = data.size();
                let packed_bytes = match data.compression() {
                    CompressionMethod::Stored => 0,
                    _ => data.compressed_size(),
                };
                let place = Place::Zipped { zip: zip.clone(), index };
                self.entries.push(ArchiveEntry { name, bytes, packed_bytes, place });
            }
        }
        Ok(())
    }

    /// A zip within a zip: where it lies, if it is stored as it is, or a copy.
    fn inner_zip(
        &self,
        zip: &Arc<ZipArchive<Slice>>,
        index: usize,
        outer: &Slice,
    ) -> Result<std::result::Result<Slice, String>> {
        let mut zip = ZipArchive::clone(zip);
        let mut entry = match zip.by_index(index) {
            Ok(entry) => entry,
            Err(e) => return Ok(Err(e.to_string())),
        };
        if entry.compression() == CompressionMethod::Stored
            && let Some(start) = entry.data_start()
        {
            let length = entry.size().min(outer.length.saturating_sub(start));
            return Ok(Ok(Slice { file: outer.file.clone(), offset: outer.offset + start, length, at: 0 }));
        }
        let mut copy = tempfile::tempfile_in(&self.scratch).map_err(Error::io("write in", &self.scratch))?;
        Ok(match io::copy(&mut self.measured(&mut entry), &mut copy) {
            Ok(length) => Ok(Slice { file: Arc::new(copy), offset: 0, length, at: 0 }),
            // A full disk is no fault of the archive.
            Err(e) if is_ours(&e) => return Err(Error::io("write in", &self.scratch)(e)),
            Err(e) => Err(e.to_string()),
        })
    }

    fn refuse(&mut self, name: String, reason: &str) {
        self.faults.push((name, Fault::record(reason)));
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
        self.stream(entry, |input| {
            let mut bytes = Vec::with_capacity(usize::try_from(entry.bytes.min(1 << 20)).unwrap_or(0));
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
        let mut copy = tempfile::NamedTempFile::new_in(&self.scratch).map_err(failed)?;
        copy.as_file().lock().map_err(failed)?;
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

/// A path as text: bytes that are none stand as `\xff`, so that two names stay two.
pub fn text(path: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("writing to memory");
        }
    }
    text
}

/// Reads to the end, and refuses what is longer than a file may be.
pub fn read_whole(input: &mut dyn Read, bytes: &mut Vec<u8>) -> std::result::Result<(), Fault> {
    input
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(bytes)
        .map_err(|e| Fault::record(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Fault::record(format!("longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(())
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

struct Measured<'a> {
    input: &'a mut dyn Read,
    inflated: &'a AtomicU64,
    may_inflate: u64,
}

impl Read for Measured<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        if self.inflated.fetch_add(read as u64, Ordering::Relaxed) > self.may_inflate {
            return Err(io::Error::other("the archive inflates to more than a thousand times its size"));
        }
        Ok(read)
    }
}

/// Whether an error is of the disk that is written to, and not of the archive that is read.
fn is_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied)
}

/// Zips made on Windows have backslashes.
fn label(name: &str) -> String {
    let name = name.replace('\\', "/");
    name.strip_prefix("./").unwrap_or(&name).to_string()
}

/// What file managers leave behind.
fn is_litter(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    name.starts_with("__MACOSX/")
        || file.starts_with("._")
        || matches!(file, ".DS_Store" | "Thumbs.db" | "desktop.ini")
}

fn leads_out(name: &str) -> bool {
    name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') || name.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in entries {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn opened(bytes: &[u8]) -> (tempfile::TempDir, Container) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        std::fs::write(&path, bytes).unwrap();
        let container = Container::open(&path, "archive.zip", folder.path()).unwrap();
        (folder, container)
    }

    #[test]
    fn zips_within_zips_are_listed_stored_or_deflated() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let inner = zip(&[("a/1.fit", b"one"), ("2.fit", b"two")], method);
            let outer = zip(&[("DI_CONNECT\\Part1.zip", &inner), ("3.fit", b"three")], method);
            let (_folder, container) = opened(&outer);
            let names: Vec<&str> = container.entries().iter().map(|e| e.name.as_str()).collect();
            assert_eq!(names, ["DI_CONNECT/Part1.zip!a/1.fit", "DI_CONNECT/Part1.zip!2.fit", "3.fit"]);
            let read: Vec<Vec<u8>> = container.entries().iter().map(|e| container.read(e).unwrap()).collect();
            assert_eq!(read, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
            assert_eq!(container.entries()[0].file_name(), "1.fit");
            assert!(container.faults().is_empty());
        }
    }

    #[test]
    fn names_that_lead_out_are_refused_and_their_neighbours_are_not() {
        let bytes = zip(
            &[
                ("../evil.fit", b"x"),
                ("/etc/evil.fit", b"x"),
                ("C:/evil.fit", b"x"),
                ("good.fit", b"x"),
                ("__MACOSX/._good.fit", b""),
            ],
            CompressionMethod::Stored,
        );
        let (_folder, container) = opened(&bytes);
        assert_eq!(container.entries().len(), 1);
        assert_eq!(container.faults().len(), 3);
    }

    #[test]
    fn a_bomb_is_cut_short() {
        let zeros = vec![0; 300 << 20];
        let bomb = zip(&[("bomb.gpx", &zeros)], CompressionMethod::Deflated);
        assert!(bomb.len() < 1 << 20);
        let (_folder, container) = opened(&bomb);
        let fault = container.read(&container.entries()[0]).unwrap_err();
        assert!(fault.reason.contains("longer than"), "{fault}");
    }

    #[test]
    fn a_cut_zip_is_a_fault_and_not_a_failure() {
        let whole = zip(&[("a.fit", b"some bytes"), ("b.fit", b"more bytes")], CompressionMethod::Deflated);
        for cut in 4..whole.len() {
            let (_folder, container) = opened(&whole[..cut]);
            assert!(!container.faults().is_empty() || container.entries().len() == 2, "cut at {cut}");
        }
    }
}
