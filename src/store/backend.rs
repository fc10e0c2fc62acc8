//! What a lake is kept on: a few operations on named objects, which a folder and an object store can both do.
//!
//! Above this there are keys, below it paths or URLs. An object is replaced whole or, as a segment, only ever
//! appended to by the one who created it, so a reader sees the old bytes or the new ones and never a mixture.
//! Every backend passes the same suite (`store/contract.rs`).

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Result};

/// The name of an object below the root of the lake: parts with `/` between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Panics on a name that could lead out of the lake, or that readers take for a partition.
    pub fn new(name: impl Into<String>) -> Key {
        let name = name.into();
        Key::parse(&name).unwrap_or_else(|| panic!("{name:?} is no key"))
    }

    /// A key that stands in a row or a file.
    pub fn parse(name: &str) -> Option<Key> {
        let is_sound =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['=', '\\']);
        name.split('/').all(is_sound).then(|| Key(name.to_string()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An object in the folder of this name.
    pub fn join(&self, name: &str) -> Key {
        Key::new(format!("{}/{name}", self.0))
    }

    /// Whether it lies below a folder.
    pub fn is_below(&self, folder: &Key) -> bool {
        self.as_str().strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().expect("a key has a part")
    }

    /// The last part up to its first dot.
    pub fn stem(&self) -> &str {
        self.file_name().split('.').next().expect("a name has a beginning")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Another value whenever the object was replaced or appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub(super) String);

impl Version {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An object as a listing or an opening finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub bytes: u64,
    pub version: Version,
}

/// How a conditional put ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    Done(Version),
    /// Somebody else's bytes are there; nothing was written.
    Changed,
}

/// Reads parts of one version of an object, whatever becomes of its name meanwhile: where a store no longer has the
/// version, that is an error.
pub trait ReadAt: fmt::Debug + Send + Sync {
    /// Fills the buffer from this offset on; the end of the object inside it is an error.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// An object, open for reading.
#[derive(Debug, Clone)]
pub struct Opened {
    pub stat: Stat,
    reader: Arc<dyn ReadAt>,
}

impl Opened {
    pub fn new(stat: Stat, reader: Arc<dyn ReadAt>) -> Opened {
        Opened { stat, reader }
    }

    /// The bytes of a range, cut at the end of the object.
    pub fn range(&self, range: Range<u64>) -> io::Result<Bytes> {
        let end = range.end.min(self.stat.bytes);
        let length = end.saturating_sub(range.start);
        let mut buffer = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.reader.read_exact_at(&mut buffer, range.start)?;
        Ok(buffer.into())
    }

    pub fn all(&self) -> io::Result<Bytes> {
        self.range(0..self.stat.bytes)
    }

    /// Reads on from an offset, a piece at a time.
    pub fn from(&self, offset: u64) -> Reading {
        Reading { opened: self.clone(), at: offset }
    }
}

/// An object, read from front to back.
#[derive(Debug)]
pub struct Reading {
    opened: Opened,
    at: u64,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.opened.stat.bytes.saturating_sub(self.at);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.opened.reader.read_exact_at(&mut buffer[..length], self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Length for Opened {
    fn len(&self) -> u64 {
        self.stat.bytes
    }
}

impl ChunkReader for Opened {
    type T = io::BufReader<Reading>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(io::BufReader::new(self.from(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.range(start..start.saturating_add(length as u64))?;
        if bytes.len() < length {
            return Err(parquet::errors::ParquetError::EOF(format!(
                "it ends before byte {}",
                start + length as u64
            )));
        }
        Ok(bytes)
    }
}

/// Requests to a store and the bytes of them, each request once, however often it had to be repeated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Traffic {
    pub gets: u64,
    pub puts: u64,
    pub lists: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
}

impl Traffic {
    /// What came since then.
    pub fn since(self, before: Traffic) -> Traffic {
        Traffic {
            gets: self.gets - before.gets,
            puts: self.puts - before.puts,
            lists: self.lists - before.lists,
            read_bytes: self.read_bytes - before.read_bytes,
            written_bytes: self.written_bytes - before.written_bytes,
        }
    }
}

/// A segment that grows. What `append` returned for is durable.
pub trait Append: fmt::Debug + Send {
    /// Returns the offset that the bytes begin at. After an error nothing of them counts.
    fn append(&mut self, bytes: &[u8]) -> Result<u64>;
}

/// Keeps other processes out for as long as the value lives.
pub trait Guard: fmt::Debug + Send + Sync {}

/// Where the objects of a lake are kept.
pub trait Backend: fmt::Debug + Send + Sync {
    /// None where there is no such object.
    fn open(&self, key: &Key) -> Result<Option<Opened>>;

    /// The objects below a folder with their sizes, in the order of their keys. A folder that is not there has none.
    fn list(&self, folder: &Key) -> Result<Vec<(Key, u64)>>;

    /// The same with their versions, as far as a listing tells them.
    fn versions(&self, folder: &Key) -> Result<Vec<(Key, Stat)>>;

    /// The names of the objects that lie in a folder itself, in order.
    fn names(&self, folder: &Key) -> Result<Vec<String>>;

    /// Of those, the ones that begin so.
    fn names_from(&self, folder: &Key, begin: &str) -> Result<Vec<String>> {
        let mut names = self.names(folder)?;
        names.retain(|name| name.starts_with(begin));
        Ok(names)
    }

    /// Replaces an object whole, durably. Returns its length.
    fn put(&self, key: &Key, write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>)
    -> Result<u64>;

    /// Puts an object whole, if the one that is there is the expected version; if there is none, where none is expected.
    fn put_if(&self, key: &Key, expected: Option<&Version>, bytes: &[u8]) -> Result<Put>;

    /// Puts an object over what was read, or where nothing was. Whether it has these bytes now: a refused put may be
    /// one's own, whose answer was lost.
    fn put_over(&self, key: &Key, read: Option<&Version>, bytes: &[u8]) -> Result<bool> {
        Ok(self.put_if(key, read, bytes)? != Put::Changed
            || self.read(key)?.is_some_and(|there| there == bytes))
    }

    /// Puts a file that was made in [`Backend::scratch`].
    fn put_file(&self, key: &Key, file: tempfile::NamedTempFile) -> Result<()>;

    /// Puts a copy of any file.
    fn upload(&self, key: &Key, path: &Path) -> Result<()> {
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        self.put(key, &mut |out| io::copy(&mut file, out).map(drop)).map(drop)
    }

    /// Copies an object from front to back, and says which version it was; None where there is no such object.
    fn download(&self, key: &Key, to: &mut dyn Write) -> Result<Option<Stat>> {
        let Some(opened) = self.open(key)? else { return Ok(None) };
        let mut reading = io::BufReader::with_capacity(1 << 20, opened.from(0));
        io::copy(&mut reading, to).map_err(Error::io("copy", self.place(key)))?;
        Ok(Some(opened.stat))
    }

    /// A new segment. An object that is there already is an error.
    fn append(&self, key: &Key) -> Result<Box<dyn Append>>;

    /// Removes an object; one that is not there is removed already.
    fn remove(&self, key: &Key) -> Result<()>;

    /// Keeps other processes from what a name stands for; `what` names it for people.
    fn lock(&self, name: &str, what: &str) -> Result<Box<dyn Guard>>;

    /// A folder on this machine for what is in the making. Files of runs that were killed are gone from it.
    fn scratch(&self) -> Result<PathBuf>;

    /// A path on this machine to an object's bytes, for readers that need one; None where there is no such object.
    fn path(&self, key: &Key) -> Result<Option<PathBuf>>;

    /// How people find an object: a path, or a URL.
    fn place(&self, key: &Key) -> PathBuf;

    /// Whether the objects lie on another machine, and what is of one machine (the state database) does not lie with them.
    fn is_remote(&self) -> bool {
        false
    }

    /// What was asked of the store so far; a folder counts nothing.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// The whole of an object; None where there is none.
    fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        let Some(opened) = self.open(key)? else { return Ok(None) };
        opened.all().map(Some).map_err(Error::io("read", self.place(key)))
    }

    /// A range of an object, cut at its end; None where there is no such object.
    fn read_range(&self, key: &Key, range: Range<u64>) -> Result<Option<Bytes>> {
        let Some(opened) = self.open(key)? else { return Ok(None) };
        opened.range(range).map(Some).map_err(Error::io("read", self.place(key)))
    }

    fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.open(key)?.is_some())
    }
}
