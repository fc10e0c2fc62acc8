//! The store of imported archives: their bytes, unchanged, and a numbered line for each import.
//!
//! ```text
//! landing/archives/017/9f86d081…     an archive, by the SHA-256 of its bytes
//! landing/archives/017/000003.json   the third import into bucket 17: whose, of what source, which hash
//! ```
//!
//! The line is written last: an archive without one was never imported. Neither is changed after.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::backend::Guard;
use super::dataset::FileState;
use super::lake::{Bucket, Lake};
use super::local::making_in;
use super::names::{self, archive_key, archives_of, import_key};
use crate::error::{Error, Result};
use crate::model::hex;

/// One import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    pub v: u8,
    pub user_id: String,
    /// A source by its name.
    pub source: String,
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
    #[serde(with = "path_bytes")]
    pub path: PathBuf,
    /// When it was last changed before it was imported, in unix milliseconds.
    pub modified_ms: i64,
}

/// A path as text; one that is no text as the hexadecimal of its bytes, behind a mark that no absolute path begins with.
mod path_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::model::hex;

    const MARK: &str = "hex:";

    pub fn serialize<S: Serializer>(path: &Path, out: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => out.serialize_str(text),
            None => out.serialize_str(&format!("{MARK}{}", hex::encode(path.as_os_str().as_bytes()))),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(input)?;
        match text.strip_prefix(MARK) {
            Some(digits) => {
                let bytes = hex::decode(digits).ok_or_else(|| D::Error::custom("not hexadecimal"))?;
                Ok(OsString::from_vec(bytes).into())
            }
            None => Ok(text.into()),
        }
    }
}

/// Whose archive is to be imported, and how.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub user_id: String,
    pub source: String,
    /// What the file or the folder is called.
    pub name: String,
    pub zone: Option<String>,
}

/// How an import ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Imported {
        bytes: u64,
    },
    /// The same bytes were imported for the same user before.
    Known,
}

/// The archives, open for importing by this process alone.
#[derive(Debug)]
pub struct Archives {
    lake: Lake,
    _guard: Box<dyn Guard>,
}

impl Archives {
    pub fn open(lake: &Lake) -> Result<Archives> {
        let guard = lake.backend().lock("archives", "the imported archives")?;
        Ok(Archives { lake: lake.clone(), _guard: guard })
    }

    /// A folder for what is in the making.
    pub fn scratch(&self) -> Result<PathBuf> {
        self.lake.backend().scratch()
    }

    /// Imports a copy of a file.
    pub fn copy(&mut self, wanted: &Wanted, path: &Path, now: Timestamp) -> Result<Outcome> {
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let known = self.known(wanted)?;
        // Only where one of this length is known can it be known: then it is hashed before it is copied.
        if known.iter().any(|import| import.bytes == length) {
            let (sha256, _) = hash(&mut file, path)?;
            if known.iter().any(|import| import.sha256 == sha256 && import.in_place.is_none()) {
                return Ok(Outcome::Known);
            }
            file.seek(SeekFrom::Start(0)).map_err(Error::io("read", path))?;
        }
        let scratch = self.scratch()?;
        let staged = making_in(&scratch)?;
        let (sha256, bytes) = copy(&mut file, &mut staged.as_file(), path)?;
        self.keep(wanted, staged, sha256, bytes, now)
    }

    /// Imports a file that was made in the scratch folder.
    pub fn made(
        &mut self,
        wanted: &Wanted,
        staged: tempfile::NamedTempFile,
        now: Timestamp,
    ) -> Result<Outcome> {
        let (sha256, bytes) = hash(&mut staged.as_file(), staged.path())?;
        self.keep(wanted, staged, sha256, bytes, now)
    }

    fn keep(
        &mut self,
        wanted: &Wanted,
        staged: tempfile::NamedTempFile,
        sha256: String,
        bytes: u64,
        now: Timestamp,
    ) -> Result<Outcome> {
        let is_same = |import: &Import| import.sha256 == sha256 && import.in_place.is_none();
        if self.known(wanted)?.iter().any(is_same) {
            return Ok(Outcome::Known);
        }
        let key = archive_key(self.lake.bucket(&wanted.user_id), &sha256);
        self.lake.backend().put_file(&key, staged)?;
        self.log(wanted, sha256, bytes, None, now)
    }

    /// Imports a file that stays where it is.
    pub fn leave_in_place(&mut self, wanted: &Wanted, path: &Path, now: Timestamp) -> Result<Outcome> {
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        let state = state_of(path)?;
        let (sha256, bytes) = hash(&mut file, path)?;
        let path = std::path::absolute(path).map_err(Error::io("find", path))?;
        let in_place = InPlace { path, modified_ms: state.modified_ms };
        // A copy of the same bytes serves as well, and the same file in the same place is the same import.
        let is_same = |import: &Import| {
            import.sha256 == sha256
                && import.in_place.as_ref().is_none_or(|before| before.path == in_place.path)
        };
        if self.known(wanted)?.iter().any(is_same) {
            return Ok(Outcome::Known);
        }
        self.log(wanted, sha256, bytes, Some(in_place), now)
    }

    /// What was imported before for the same user, source and zone.
    fn known(&self, wanted: &Wanted) -> Result<Vec<Import>> {
        let imports = list(&self.lake, self.lake.bucket(&wanted.user_id))?.imports;
        let is_same = |import: &Import| {
            import.user_id == wanted.user_id && import.source == wanted.source && import.zone == wanted.zone
        };
        Ok(imports.into_iter().map(|(_, import)| import).filter(is_same).collect())
    }

    fn log(
        &mut self,
        wanted: &Wanted,
        sha256: String,
        bytes: u64,
        in_place: Option<InPlace>,
        now: Timestamp,
    ) -> Result<Outcome> {
        let bucket = self.lake.bucket(&wanted.user_id);
        let import = Import {
            v: 1,
            user_id: wanted.user_id.clone(),
            source: wanted.source.clone(),
            sha256,
            bytes,
            name: wanted.name.clone(),
            imported_at: now,
            zone: wanted.zone.clone(),
            in_place,
        };
        let mut line = serde_json::to_vec(&import).expect("an import is plain");
        line.push(b'\n');
        let number = list(&self.lake, bucket)?.next;
        let key = import_key(bucket, number);
        if self.lake.backend().put_over(&key, None, &line)? {
            return Ok(Outcome::Imported { bytes });
        }
        Err(Error::Busy {
            store: "the imported archives".to_string(),
            holder: "an import of the same number".to_string(),
        })
    }
}

/// The imports of a bucket, in the order of their numbers.
#[derive(Debug, Default)]
pub struct Imports {
    pub imports: Vec<(u32, Import)>,
    /// Lines that cannot be read, with why: each costs its own archive.
    pub damaged: Vec<(u32, String)>,
    /// The number of the next import.
    pub next: u32,
}

pub fn list(lake: &Lake, bucket: Bucket) -> Result<Imports> {
    let mut imports = Imports::default();
    for (key, _) in lake.backend().list(&archives_of(bucket))? {
        let Some(number) = names::import(&key) else {
            continue;
        };
        let Some(line) = lake.backend().read(&key)? else { continue };
        imports.next = imports.next.max(number + 1);
        match serde_json::from_slice(&line) {
            Ok(import) => imports.imports.push((number, import)),
            Err(e) => imports.damaged.push((number, format!("{}: {e}", lake.place(&key).display()))),
        }
    }
    Ok(imports)
}

/// Where an archive's bytes are on this machine, and the state of them.
#[derive(Debug)]
pub struct Found {
    pub path: PathBuf,
    pub state: FileState,
}

/// Finds an archive. One that was left in its place may be out of reach, or have changed: then it is as it is now.
pub fn find(lake: &Lake, bucket: Bucket, import: &Import) -> Result<Found> {
    match &import.in_place {
        Some(kept) => match state_of(&kept.path) {
            Ok(state) => Ok(Found { path: kept.path.clone(), state }),
            // A lake that was brought to another machine has a copy of it.
            Err(e) => match lake.backend().path(&archive_key(bucket, &import.sha256))? {
                Some(path) => {
                    let state = FileState { bytes: import.bytes, modified_ms: kept.modified_ms };
                    Ok(Found { path, state })
                }
                None => Err(e),
            },
        },
        None => {
            let key = archive_key(bucket, &import.sha256);
            let path = lake
                .backend()
                .path(&key)?
                .ok_or_else(|| Error::damaged(lake.place(&key), "the archive is missing; import it again"))?;
            Ok(Found { path, state: FileState { bytes: import.bytes, modified_ms: 0 } })
        }
    }
}

/// Where the archive is, as `raw_ref` columns have it.
pub fn raw_ref(bucket: Bucket, import: &Import) -> String {
    archive_key(bucket, &import.sha256).to_string()
}

/// The state of a file that may be anywhere.
pub fn state_of(path: &Path) -> Result<FileState> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
    let since = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let modified_ms = since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0);
    Ok(FileState { bytes: metadata.len(), modified_ms })
}

const CHUNK_BYTES: usize = 1 << 20;

/// Whether a file has the bytes that were imported.
pub fn is_as_imported(path: &Path, import: &Import) -> Result<bool> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    Ok(hash(&mut file, path)?.0 == import.sha256)
}

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
            return Ok((hex::encode(context.finish().as_ref()), bytes));
        }
        context.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(Error::io("copy", path))?;
        bytes += read as u64;
    }
}
