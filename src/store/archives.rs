//! The store of imported archives: their bytes, unchanged, and a line for each import.
//!
//! ```text
//! landing/archives/bucket=017.jsonl         a line per import, in order: whose, of what source, which hash
//! landing/archives/bucket=017/9f86d081…     the archive itself, by the SHA-256 of its bytes
//! ```
//!
//! A folder is packed into one zip, without compression and with nothing in it but names and
//! bytes, so that the same folder is the same archive. The line is written last: an archive
//! without one was never imported.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;

use crate::error::{Error, Result};
use crate::model::hex;
use crate::sources::formats::zip::Container;
use crate::sources::{ReadFrom, Source};
use crate::store::lake::{Bucket, Lake};
use crate::store::local::{self, Appender, Lock};

/// One import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    pub v: u8,
    pub user_id: String,
    pub source: Source,
    pub sha256: String,
    pub bytes: u64,
    /// What the file or the folder was called.
    pub name: String,
    pub imported_at: Timestamp,
    /// The zone of wall clocks that come without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Where the archive is, if it was left where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_place: Option<InPlace>,
}

/// An archive that was not copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPlace {
    pub path: PathBuf,
    /// When it was last changed, in unix milliseconds.
    pub modified_ms: i64,
}

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub user_id: String,
    pub source: Source,
    pub path: PathBuf,
    pub zone: Option<String>,
    pub in_place: bool,
}

/// How an import ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `left_out` names what of a folder was not packed, and why.
    Imported { bytes: u64, left_out: Vec<String> },
    /// The same bytes were imported for the same user before.
    Known,
}

/// The archives, open for importing by this process alone.
#[derive(Debug)]
pub struct Archives {
    lake: Lake,
    _lock: Lock,
}

impl Archives {
    pub fn open(lake: &Lake) -> Result<Archives> {
        let folder = lake.archives_folder();
        let lock = Lock::take(&folder, "the archives")?;
        // What a crash left in the making is nobody's.
        for entry in std::fs::read_dir(&folder).map_err(Error::io("list", &folder))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(STAGED) {
                std::fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
            }
        }
        Ok(Archives { lake: lake.clone(), _lock: lock })
    }

    /// Where what is in the making may lie.
    pub fn scratch(&self) -> PathBuf {
        self.lake.archives_folder()
    }

    /// Imports a file or a folder.
    pub fn import(&mut self, wanted: &Wanted, now: Timestamp) -> Result<Outcome> {
        let path = &wanted.path;
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        let bucket = self.lake.bucket(&wanted.user_id);
        let known = list(&self.lake, bucket)?;
        // An archive that was left in its place is known only while it can still be read from there, and
        // not to one who wants a copy.
        let is_known = |sha256: &str| {
            known.iter().any(|(import, _)| {
                let same = import.user_id == wanted.user_id && import.source == wanted.source;
                let is_there = match &import.in_place {
                    Some(_) => wanted.in_place && open(&self.lake, import).is_ok(),
                    None => true,
                };
                same && import.sha256 == sha256 && import.zone == wanted.zone && is_there
            })
        };
        let folder = self.lake.archives(bucket);
        let name =
            path.file_name().map_or_else(|| "folder".to_string(), |n| n.to_string_lossy().into_owned());
        let mut left_out = Vec::new();
        let (sha256, bytes, in_place) = if metadata.is_dir() {
            if wanted.in_place {
                return Err(Error::Usage(format!(
                    "{} is a folder; only a file can be left where it is, so leave out --in-place",
                    path.display()
                )));
            }
            let packed = pack(path, &self.lake.archives_folder(), &mut left_out)?;
            let (sha256, bytes) = hash(&mut packed.as_file(), path)?;
            if is_known(&sha256) {
                return Ok(Outcome::Known);
            }
            local::keep(packed, &folder.join(&sha256))?;
            (sha256, bytes, None)
        } else if wanted.in_place {
            let mut file = File::open(path).map_err(Error::io("read", path))?;
            let (sha256, bytes) = hash(&mut file, path)?;
            let path = std::path::absolute(path).map_err(Error::io("find", path))?;
            (sha256, bytes, Some(InPlace { path, modified_ms: modified_ms(&metadata) }))
        } else {
            // Only where one of this length is known can it be known: then it is hashed before it is copied.
            if known.iter().any(|(import, _)| import.bytes == metadata.len()) {
                let mut file = File::open(path).map_err(Error::io("read", path))?;
                if is_known(&hash(&mut file, path)?.0) {
                    return Ok(Outcome::Known);
                }
            }
            let staged = staged(&self.lake.archives_folder())?;
            let mut file = File::open(path).map_err(Error::io("read", path))?;
            let (sha256, bytes) = copy(&mut file, &mut staged.as_file(), path)?;
            local::keep(staged, &folder.join(&sha256))?;
            (sha256, bytes, None)
        };
        if is_known(&sha256) {
            return Ok(Outcome::Known);
        }
        let import = Import {
            v: 1,
            user_id: wanted.user_id.clone(),
            source: wanted.source,
            sha256,
            bytes,
            name,
            imported_at: now,
            zone: wanted.zone.clone(),
            in_place,
        };
        let log = self.lake.archives_log(bucket);
        let good = known.last().map_or(0, |(_, end)| *end);
        let mut line = serde_json::to_vec(&import).expect("an import is plain");
        line.push(b'\n');
        Appender::open(&log, good)?.append(&line)?;
        Ok(Outcome::Imported { bytes, left_out })
    }
}

/// The imports of a bucket in order, each with where its line ends. A torn last line counts for none.
pub fn list(lake: &Lake, bucket: Bucket) -> Result<Vec<(Import, u64)>> {
    let path = lake.archives_log(bucket);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    let mut imports = Vec::new();
    let mut end = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if !line.ends_with(b"\n") {
            break;
        }
        let import = serde_json::from_slice(line)
            .map_err(|e| Error::damaged(&path, format!("the line at byte {end}: {e}")))?;
        end += line.len() as u64;
        imports.push((import, end));
    }
    Ok(imports)
}

/// Opens the bytes of an import.
pub fn open(lake: &Lake, import: &Import) -> Result<Container> {
    let path = match &import.in_place {
        Some(kept) => {
            let metadata = std::fs::metadata(&kept.path).map_err(Error::io("read", &kept.path))?;
            if metadata.len() != import.bytes || modified_ms(&metadata) != kept.modified_ms {
                return Err(Error::Usage(format!(
                    "{} has changed since it was imported in place; import it again",
                    kept.path.display()
                )));
            }
            kept.path.clone()
        }
        None => lake.archives(lake.bucket(&import.user_id)).join(&import.sha256),
    };
    Container::open(&path, &import.name, &lake.archives_folder())
}

impl Import {
    /// Whose records its records are.
    pub fn provenance(&self, lake: &Lake) -> ReadFrom {
        let path = lake.archives(lake.bucket(&self.user_id)).join(&self.sha256);
        ReadFrom {
            user_id: self.user_id.clone(),
            source: self.source,
            account_id: None,
            fetched_at: self.imported_at,
            raw_ref: lake.relative(&path),
            zone: self.zone.as_deref().and_then(|name| TimeZone::get(name).ok()),
        }
    }
}

fn modified_ms(metadata: &std::fs::Metadata) -> i64 {
    let since = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

/// How files in the making begin. A crash can leave one, and no reader looks at it.
const STAGED: &str = ".import-";

fn staged(folder: &Path) -> Result<tempfile::NamedTempFile> {
    local::create_folder(folder)?;
    tempfile::Builder::new().prefix(STAGED).tempfile_in(folder).map_err(Error::io("write in", folder))
}

const CHUNK_BYTES: usize = 1 << 20;

/// The SHA-256 of a file, and how long it is.
fn hash(file: &mut (impl Read + Seek), path: &Path) -> Result<(String, u64)> {
    file.seek(SeekFrom::Start(0)).map_err(Error::io("read", path))?;
    copy(file, &mut io::sink(), path)
}

/// Copies to the end, hashing.
fn copy(from: &mut impl Read, to: &mut impl Write, path: &Path) -> Result<(String, u64)> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok((hex(context.finish().as_ref()), bytes));
        }
        context.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(Error::io("copy", path))?;
        bytes += read as u64;
    }
}

/// A folder as one zip.
fn pack(folder: &Path, beside: &Path, left_out: &mut Vec<String>) -> Result<tempfile::NamedTempFile> {
    let staged = staged(beside)?;
    let container = Container::of_folder(folder, beside)?;
    left_out.extend(container.faults().iter().map(|(name, fault)| format!("{name}: {fault}")));
    let failed = |e: zip::result::ZipError| Error::io("pack", folder)(e.into());
    let mut zip = zip::ZipWriter::new(io::BufWriter::with_capacity(CHUNK_BYTES, staged.as_file()));
    for entry in container.entries() {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(entry.bytes >= u64::from(u32::MAX));
        let path = entry.path().expect("it was listed in a folder");
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        zip.start_file(&*entry.name, options).map_err(failed)?;
        io::copy(&mut file, &mut zip).map_err(Error::io("pack", path))?;
    }
    zip.finish().map_err(failed)?.into_inner().map_err(|e| Error::io("pack", folder)(e.into_error()))?;
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(path: &Path) -> Wanted {
        Wanted {
            user_id: "alice".to_string(),
            source: Source::Files,
            path: path.to_path_buf(),
            zone: None,
            in_place: false,
        }
    }

    fn now() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_same_bytes_are_imported_once_and_a_folder_is_the_same_whenever_it_is_packed() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(&dir.path().join("lake")).unwrap();
        let folder = dir.path().join("rides");
        std::fs::create_dir_all(folder.join("2024")).unwrap();
        std::fs::write(folder.join("2024/a.gpx"), b"<gpx/>").unwrap();
        std::fs::write(folder.join("b.gpx"), b"<gpx></gpx>").unwrap();
        let mut archives = Archives::open(&lake).unwrap();
        assert!(matches!(archives.import(&wanted(&folder), now()).unwrap(), Outcome::Imported { .. }));
        assert_eq!(archives.import(&wanted(&folder), now()).unwrap(), Outcome::Known);
        let file = folder.join("b.gpx");
        let imported = archives.import(&wanted(&file), now()).unwrap();
        assert_eq!(imported, Outcome::Imported { bytes: 11, left_out: Vec::new() });
        assert_eq!(archives.import(&wanted(&file), now()).unwrap(), Outcome::Known);
        // For somebody else it is theirs.
        let other = Wanted { user_id: "bob".to_string(), ..wanted(&file) };
        assert!(matches!(archives.import(&other, now()).unwrap(), Outcome::Imported { .. }));
        let imports = list(&lake, lake.bucket("alice")).unwrap();
        let opened = open(&lake, &imports[0].0).unwrap();
        let names: Vec<&str> = opened.entries().iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["2024/a.gpx", "b.gpx"]);
    }

    #[test]
    fn a_torn_line_is_cut_off_and_the_import_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(&dir.path().join("lake")).unwrap();
        let file = dir.path().join("a.gpx");
        std::fs::write(&file, b"<gpx/>").unwrap();
        let mut archives = Archives::open(&lake).unwrap();
        archives.import(&wanted(&file), now()).unwrap();
        let log = lake.archives_log(lake.bucket("alice"));
        let whole = std::fs::read(&log).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&log, &whole[..cut]).unwrap();
            assert_eq!(list(&lake, lake.bucket("alice")).unwrap(), []);
            archives.import(&wanted(&file), now()).unwrap();
            assert_eq!(std::fs::read(&log).unwrap(), whole);
        }
    }

    #[test]
    fn an_archive_left_in_place_is_read_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(&dir.path().join("lake")).unwrap();
        let file = dir.path().join("a.gpx");
        std::fs::write(&file, b"<gpx/>").unwrap();
        let mut archives = Archives::open(&lake).unwrap();
        archives.import(&Wanted { in_place: true, ..wanted(&file) }, now()).unwrap();
        assert!(!lake.archives(lake.bucket("alice")).exists(), "nothing is copied");
        let (import, _) = &list(&lake, lake.bucket("alice")).unwrap()[0];
        assert_eq!(open(&lake, import).unwrap().entries().len(), 1);
        std::fs::write(&file, b"<gpx></gpx>").unwrap();
        assert!(open(&lake, import).unwrap_err().to_string().contains("import it again"));
        // Which helps: a copy of it, or another look at it where it is.
        for in_place in [true, false] {
            let again = archives.import(&Wanted { in_place, ..wanted(&file) }, now()).unwrap();
            assert!(matches!(again, Outcome::Imported { .. }), "{again:?}");
        }
    }
}
