//! A bucket of an object store as the place of a lake.
//!
//! What a commit writes is one conditional PUT, held in memory: stores have no conditional upload in parts, and none
//! deletes on a condition. A version is the ETag and the generation together, as the store said them. Reads keep to the
//! version that was opened; one that was replaced meanwhile, of an object that is longer than the first read, is an
//! error and never a mixture.
//!
//! Appending and locking are of one machine: a segment here is put anew with each frame, and a lock keeps out this
//! machine's processes. Whoever writes from several machines relies on [`Backend::put_if`] alone.

mod asked;
mod client;
mod reader;

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asked::Asked;
use bytes::Bytes;
use futures_util::StreamExt;
use object_store::path::Path as Name;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart,
};

use super::backend::{Append, Backend, Guard, Key, Opened, Put, Stat, Traffic, Version};
use super::lake::Patience;
use super::local::{Local, making_in};
use crate::error::{Error, Result};

/// Read when an object is opened: most are shorter, and cost one request.
const FIRST_BYTES: u64 = 64 << 10;
/// Longer archives go up in parts.
const ONE_PUT_BYTES: u64 = 64 << 20;
const PART_BYTES: usize = 16 << 20;
/// Parts of an upload on their way at once.
const PARTS_AT_ONCE: usize = 4;

#[derive(Debug)]
pub struct Object {
    shared: Arc<Shared>,
    /// What is in the making, and the locks of this machine.
    beside: Local,
    /// Copies that readers needed as files.
    copies: Mutex<HashMap<Key, tempfile::TempPath>>,
}

/// What readers share with the backend that opened them.
#[derive(Debug)]
struct Shared {
    store: Asked,
    /// As it was named, without a slash at its end.
    url: String,
    /// Of all keys.
    prefix: String,
    counted: Counted,
}

#[derive(Debug, Default)]
struct Counted {
    gets: AtomicU64,
    puts: AtomicU64,
    lists: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
}

impl Counted {
    fn got(&self, bytes: u64) {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn put(&self, bytes: u64) {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Shared {
    fn name(&self, key: &Key) -> Name {
        if self.prefix.is_empty() {
            Name::from(key.as_str())
        } else {
            Name::from(format!("{}/{key}", self.prefix))
        }
    }

    fn place(&self, key: &Key) -> PathBuf {
        PathBuf::from(format!("{}/{key}", self.url))
    }

    /// The key of an object that is of this lake.
    fn key(&self, name: &Name) -> Option<Key> {
        let below = name.as_ref().strip_prefix(&self.prefix)?;
        Key::parse(below.trim_start_matches('/'))
    }

    fn failed(&self, error: &object_store::Error) -> Error {
        client::said(&self.url, error)
    }

    /// Why no more of an object that was begun can be read.
    fn unread(&self, error: &object_store::Error) -> io::Error {
        match client::is_conflict(error) || client::is_no_object(error) {
            true => io::Error::other("it was replaced while it was read; run this again"),
            false => io::Error::other(self.failed(error)),
        }
    }

    /// A conditional put that is refused may be one's own, whose answer was lost.
    fn put(&self, key: &Key, bytes: &Bytes, mode: &PutMode) -> Result<Version, object_store::Error> {
        let name = self.name(key);
        let put = self.store.ask(async |store| {
            self.counted.put(bytes.len() as u64);
            let options = PutOptions { mode: mode.clone(), ..PutOptions::default() };
            store.put_opts(&name, bytes.clone().into(), options).await
        })?;
        Ok(client::version(put.e_tag.as_deref(), put.version.as_deref()))
    }

    /// The version of an object, if it has these bytes.
    fn holds(&self, key: &Key, bytes: &Bytes) -> Result<Option<Version>, object_store::Error> {
        let name = self.name(key);
        let (found, there) = self.get(&name, &GetOptions::default())?;
        Ok((there == bytes).then_some(found.version))
    }

    fn get(&self, name: &Name, options: &GetOptions) -> Result<(Stat, Bytes), object_store::Error> {
        let got = self.store.ask(async |store| {
            let got = store.get_opts(name, options.clone()).await?;
            Ok((stat(&got.meta), got.bytes().await?))
        });
        self.counted.got(got.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64));
        got
    }

    /// One range of one version of an object.
    fn range(&self, key: &Key, version: &Version, range: Range<u64>) -> Result<Bytes, object_store::Error> {
        let options = client::of_version(version, GetRange::Bounded(range));
        Ok(self.get(&self.name(key), &options)?.1)
    }
}

fn stat(meta: &ObjectMeta) -> Stat {
    Stat { bytes: meta.size, version: client::version(meta.e_tag.as_deref(), meta.version.as_deref()) }
}

impl Object {
    /// Opens a bucket by its URL, with the credentials that the environment and the files of its cloud have.
    pub fn open(url: &str, patience: Patience) -> Result<Object> {
        let (store, prefix) = client::connect(url, patience)?;
        Object::on(store, url, prefix, client::wait(patience))
    }

    /// A store that somebody made.
    pub fn on(store: Arc<dyn ObjectStore>, url: &str, prefix: String, wait: Duration) -> Result<Object> {
        let store = Asked::new(store, wait)?;
        let shared = Shared { store, url: url.to_string(), prefix, counted: Counted::default() };
        // Another user's folder could not be written.
        let owner = std::fs::metadata("/proc/self").map_or(0, |own| own.uid());
        let hash = twox_hash::XxHash64::oneshot(0, url.as_bytes());
        let beside = Local::new(&std::env::temp_dir().join(format!("longrun-{owner}-{hash:016x}")));
        Ok(Object { shared: Arc::new(shared), beside, copies: Mutex::default() })
    }

    /// All objects whose names begin so and are behind an offset, for as long as `take` wants more.
    fn each(
        &self,
        folder: &Key,
        offset: Option<&Key>,
        mut take: impl FnMut(Key, Stat) -> bool,
    ) -> Result<()> {
        /// Objects of one answer.
        const PAGE: u64 = 1000;
        let shared = &self.shared;
        let name = shared.name(folder);
        let mut seen = 0;
        let mut behind = offset.map(|offset| shared.name(offset));
        let listed = shared.store.ask(async |store| {
            let mut found = match &behind {
                Some(last) => store.list_with_offset(Some(&name), last),
                None => store.list(Some(&name)),
            };
            while let Some(meta) = found.next().await {
                let meta = meta?;
                seen += 1;
                // What is called otherwise is none of ours.
                if let Some(key) = shared.key(&meta.location)
                    && !take(key, stat(&meta))
                {
                    break;
                }
                behind = Some(meta.location);
            }
            Ok(())
        });
        shared.counted.lists.fetch_add(seen / PAGE + 1, Ordering::Relaxed);
        listed.map_err(|e| shared.failed(&e))
    }

    /// Puts a file in parts, which is never conditional.
    fn put_parts(&self, key: &Key, path: &Path) -> Result<()> {
        let shared = &self.shared;
        let name = shared.name(key);
        let sent = shared.store.ask(async |store| {
            let mut file = match std::fs::File::open(path) {
                Ok(file) => file,
                Err(e) => return Ok(Err(e)),
            };
            let upload = store.put_multipart(&name).await?;
            let mut write = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            let mut buffer = vec![0; PART_BYTES];
            loop {
                let read = match io::Read::read(&mut file, &mut buffer) {
                    Ok(0) => break,
                    Ok(read) => read,
                    Err(e) => return Ok(Err(e)),
                };
                shared.counted.put(read as u64);
                write.wait_for_capacity(PARTS_AT_ONCE).await?;
                write.write(&buffer[..read]);
            }
            write.finish().await.map(|_| Ok(()))
        });
        sent.map_err(|e| shared.failed(&e))?.map_err(Error::io("read", path))
    }
}

impl Backend for Object {
    fn open(&self, key: &Key) -> Result<Option<Opened>> {
        let shared = &self.shared;
        let name = shared.name(key);
        let first = GetOptions { range: Some(GetRange::Bounded(0..FIRST_BYTES)), ..GetOptions::default() };
        let got = match shared.get(&name, &first) {
            // An empty object has no first byte, which stores answer in ways of their own.
            Err(e @ object_store::Error::Generic { .. }) if !client::is_unanswered(&e) => {
                let head = GetOptions { head: true, ..GetOptions::default() };
                match shared.get(&name, &head) {
                    Ok((stat, _)) if stat.bytes > 0 => shared.get(&name, &GetOptions::default()),
                    got => got,
                }
            }
            got => got,
        };
        match got {
            Ok((stat, bytes)) => {
                let reader = reader::Reader::new(shared.clone(), key.clone(), stat.clone(), bytes);
                Ok(Some(Opened::new(stat, Arc::new(reader))))
            }
            Err(e) if client::is_no_object(&e) => Ok(None),
            Err(e) => Err(shared.failed(&e)),
        }
    }

    fn list(&self, folder: &Key) -> Result<Vec<(Key, u64)>> {
        Ok(self.versions(folder)?.into_iter().map(|(key, stat)| (key, stat.bytes)).collect())
    }

    fn versions(&self, folder: &Key) -> Result<Vec<(Key, Stat)>> {
        let mut found = Vec::new();
        self.each(folder, None, |key, stat| {
            found.push((key, stat));
            true
        })?;
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    fn names(&self, folder: &Key) -> Result<Vec<String>> {
        self.names_from(folder, "")
    }

    fn names_from(&self, folder: &Key, begin: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        // The name before the first that begins so: the store's pages begin behind it.
        let offset = begin.as_bytes().split_last().and_then(|(last, before)| {
            let before = std::str::from_utf8(before).ok()?;
            Key::parse(&format!("{folder}/{before}{}", char::from(last.checked_sub(1)?)))
        });
        let below = format!("{folder}/");
        self.each(folder, offset.as_ref(), |key, _| {
            let Some(name) = key.as_str().strip_prefix(&below) else { return true };
            if name.starts_with(begin) && !name.contains('/') {
                names.push(name.to_string());
            }
            name.starts_with(begin) || name < begin
        })?;
        names.sort();
        Ok(names)
    }

    fn exists(&self, key: &Key) -> Result<bool> {
        let shared = &self.shared;
        let name = shared.name(key);
        shared.counted.got(0);
        match shared.store.ask(async |store| store.head(&name).await) {
            Ok(_) => Ok(true),
            Err(e) if client::is_no_object(&e) => Ok(false),
            Err(e) => Err(shared.failed(&e)),
        }
    }

    fn put(
        &self,
        key: &Key,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<u64> {
        let mut bytes = Vec::new();
        write(&mut bytes).map_err(Error::io("write", self.place(key)))?;
        let length = bytes.len() as u64;
        self.shared.put(key, &bytes.into(), &PutMode::Overwrite).map_err(|e| self.shared.failed(&e))?;
        Ok(length)
    }

    fn put_if(&self, key: &Key, expected: Option<&Version>, bytes: &[u8]) -> Result<Put> {
        let mode = expected.map_or(PutMode::Create, |version| PutMode::Update(client::update(version)));
        match self.shared.put(key, &Bytes::copy_from_slice(bytes), &mode) {
            Ok(version) => Ok(Put::Done(version)),
            Err(e) if client::is_conflict(&e) => Ok(Put::Changed),
            Err(e) => Err(self.shared.failed(&e)),
        }
    }

    fn put_file(&self, key: &Key, file: tempfile::NamedTempFile) -> Result<()> {
        self.upload(key, file.path())
    }

    fn upload(&self, key: &Key, path: &Path) -> Result<()> {
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        if length > ONE_PUT_BYTES {
            return self.put_parts(key, path);
        }
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        self.shared.put(key, &bytes.into(), &PutMode::Overwrite).map(drop).map_err(|e| self.shared.failed(&e))
    }

    fn download(&self, key: &Key, to: &mut dyn Write) -> Result<Option<Stat>> {
        let shared = &self.shared;
        let name = shared.name(key);
        // What came of which version, so that it is gone on with where an answer breaks off.
        let mut came: Option<(Stat, u64)> = None;
        let copied = shared.store.ask(async |store| {
            let options = match &came {
                Some((stat, copied)) if stat.bytes > *copied => {
                    client::of_version(&stat.version, GetRange::Offset(*copied))
                }
                Some(_) => return Ok(Ok(())),
                None => GetOptions::default(),
            };
            let got = store.get_opts(&name, options).await?;
            let (_, copied) = came.get_or_insert_with(|| (stat(&got.meta), 0));
            let mut stream = got.into_stream();
            while let Some(chunk) = stream.next().await {
                let chunk = chunk?;
                if let Err(e) = to.write_all(&chunk) {
                    return Ok(Err(e));
                }
                *copied += chunk.len() as u64;
            }
            Ok(Ok(()))
        });
        shared.counted.got(came.as_ref().map_or(0, |(_, copied)| *copied));
        match copied {
            Ok(written) => written.map_err(Error::io("copy", self.place(key)))?,
            Err(e) if came.is_none() && client::is_no_object(&e) => return Ok(None),
            Err(e) if came.is_none() => return Err(shared.failed(&e)),
            Err(e) => return Err(Error::io("copy", self.place(key))(shared.unread(&e))),
        }
        Ok(came.map(|(stat, _)| stat))
    }

    fn append(&self, key: &Key) -> Result<Box<dyn Append>> {
        match self.put_if(key, None, b"")? {
            Put::Done(version) => Ok(Box::new(Segment {
                shared: self.shared.clone(),
                key: key.clone(),
                version,
                bytes: Vec::new(),
            })),
            Put::Changed => Err(Error::io("create", self.place(key))(io::ErrorKind::AlreadyExists.into())),
        }
    }

    fn remove(&self, key: &Key) -> Result<()> {
        let name = self.shared.name(key);
        match self.shared.store.ask(async |store| store.delete(&name).await) {
            Err(e) if !client::is_no_object(&e) => Err(self.shared.failed(&e)),
            _ => Ok(()),
        }
    }

    fn lock(&self, name: &str, what: &str) -> Result<Box<dyn Guard>> {
        self.beside.lock(name, &format!("{what} of {}", self.shared.url))
    }

    fn scratch(&self) -> Result<PathBuf> {
        self.beside.scratch()
    }

    fn path(&self, key: &Key) -> Result<Option<PathBuf>> {
        let mut copies = self.copies.lock().expect("no thread panics while it holds this");
        if let Some(path) = copies.get(key) {
            return Ok(Some(path.to_path_buf()));
        }
        let scratch = self.scratch()?;
        let mut file = making_in(&scratch)?;
        if self.download(key, &mut file)?.is_none() {
            return Ok(None);
        }
        let path = file.into_temp_path();
        let found = path.to_path_buf();
        copies.insert(key.clone(), path);
        Ok(Some(found))
    }

    fn place(&self, key: &Key) -> PathBuf {
        self.shared.place(key)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn traffic(&self) -> Traffic {
        let of = |counted: &AtomicU64| counted.load(Ordering::Relaxed);
        let Counted { gets, puts, lists, read_bytes, written_bytes } = &self.shared.counted;
        Traffic {
            gets: of(gets),
            puts: of(puts),
            lists: of(lists),
            read_bytes: of(read_bytes),
            written_bytes: of(written_bytes),
        }
    }
}

/// A segment that is put anew with each frame.
#[derive(Debug)]
struct Segment {
    shared: Arc<Shared>,
    key: Key,
    version: Version,
    bytes: Vec<u8>,
}

impl Append for Segment {
    fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.bytes.len();
        let whole: Bytes = [&self.bytes, bytes].concat().into();
        let shared = &self.shared;
        let mode = PutMode::Update(client::update(&self.version));
        let version = shared.put(&self.key, &whole, &mode).or_else(|e| match client::is_conflict(&e) {
            true => shared.holds(&self.key, &whole)?.ok_or(e),
            false => Err(e),
        });
        self.version = version.map_err(|e| shared.failed(&e))?;
        self.bytes = whole.into();
        Ok(offset as u64)
    }
}
