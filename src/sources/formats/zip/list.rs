//! Lists the files of a folder or a zip, and of the zips within it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::measured::{ALWAYS_ALLOWED_BYTES, MAX_RATIO, is_ours};
use super::names::{is_litter, label, leads_out, text};
use super::slice::Slice;
use super::{ArchiveEntry, Container, Place};
use crate::error::{Error, Result};
use crate::numbers::count_of;
use crate::sources::Fault;

/// A zip in a zip in a zip.
const MAX_NESTING: usize = 3;

/// How many entries a zip says it has: names that come twice are one for who reads it by names. None where it says that
/// elsewhere, as large ones do.
fn told_entries(zip: &Slice) -> Option<usize> {
    const END: &[u8] = b"PK\x05\x06";
    const LENGTH: i64 = 22;
    const LONGEST_COMMENT: i64 = u16::MAX as i64;
    let mut zip = zip.clone();
    let bytes = zip.seek(SeekFrom::End(0)).ok()?;
    zip.seek(SeekFrom::End(-(LENGTH + LONGEST_COMMENT).min(i64::try_from(bytes).ok()?))).ok()?;
    let mut end = Vec::new();
    zip.read_to_end(&mut end).ok()?;
    let at = end.windows(END.len()).rposition(|bytes| bytes == END)?;
    let count = u16::from_le_bytes(end.get(at + 10..at + 12)?.try_into().ok()?);
    (count < u16::MAX).then_some(count.into())
}

impl Container {
    /// Lists what the zips among the files hold, in their place.
    pub(super) fn open_zips(&mut self) -> Result<()> {
        for entry in std::mem::take(&mut self.entries) {
            self.may_inflate = self.may_inflate.saturating_add(entry.bytes.saturating_mul(MAX_RATIO));
            match entry.path().filter(|_| entry.name.to_lowercase().ends_with(".zip")) {
                None => self.entries.push(entry),
                Some(path) => {
                    let file = Arc::new(File::open(path).map_err(Error::io("read", path))?);
                    let slice = Slice::whole(file, entry.bytes);
                    self.list_zip(slice, &format!("{}!", entry.name), 1)?;
                }
            }
        }
        self.may_inflate = self.may_inflate.saturating_add(ALWAYS_ALLOWED_BYTES);
        Ok(())
    }

    pub(super) fn list_folder(&mut self, folder: &Path) -> Result<()> {
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

    pub(super) fn list_zip(&mut self, slice: Slice, prefix: &str, depth: usize) -> Result<()> {
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
        let told = told_entries(&slice).unwrap_or(zip.len());
        if told > zip.len() {
            let hidden = count_of((told - zip.len()) as u64, "entry has", "entries have");
            let what = format!("{hidden} the name of a later one, and only the last of a name is read");
            self.refuse(format!("{prefix}directory"), &what);
        }
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
            return Ok(Ok(outer.part(start, entry.size())));
        }
        let mut copy = tempfile::tempfile_in(&self.scratch).map_err(Error::io("write in", &self.scratch))?;
        Ok(match io::copy(&mut self.measured(&mut entry), &mut copy) {
            Ok(length) => Ok(Slice::whole(Arc::new(copy), length)),
            // A full disk is no fault of the archive.
            Err(e) if is_ours(&e) => return Err(Error::io("write in", &self.scratch)(e)),
            Err(e) => Err(e.to_string()),
        })
    }

    fn refuse(&mut self, name: String, reason: &str) {
        self.faults.push((name, Fault::record(reason)));
    }
}
