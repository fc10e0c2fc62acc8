//! The store of raw responses: append-only, checksummed, exactly what the API said.
//!
//! ```text
//! landing/strava/bucket=017.jsonl.zst
//!   frame: {"v":1,"source":"strava","kind":"list",…,"status":200,"body":[{"id":…},…]}⏎
//!   frame: {"v":1,"source":"strava","kind":"detail",…,"status":404,"body_text":""}⏎
//! ```
//!
//! One zstd frame per response, each with its content size and checksum, appended and synced
//! before the response counts. Frames concatenate to a valid `.zst` whose lines are JSON, so
//! `zstdcat bucket=017.jsonl.zst | jq` works. A body that is JSON on one line stands there
//! as it came; any other is kept to the byte as `body_text` or `body_base64`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zstd::zstd_safe;

use crate::error::{Error, Result};
use crate::store::lake::{Bucket, Lake};
use crate::store::local::{Appender, Lock};

/// A good compromise for JSON: higher levels cost more time than they save bytes.
const LEVEL: i32 = 3;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest response that is kept; longer ones are refused while they arrive.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// Room for a body that is all escapes, and its header.
const MAX_FRAME_BYTES: usize = 6 * MAX_BODY_BYTES + (1 << 20);
/// Deeper JSON is kept as text, so that no reader of the landing has to recurse into it.
const MAX_DEPTH: usize = 64;

/// What was asked of the API. Times are unix seconds, as in the requests themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// A page of the activity list, and of which walk from newest to oldest: the `scan`th, down
    /// to the second `until_s` where it has such an end.
    List { scan: u32, until_s: Option<i64>, before_s: Option<i64>, page: u32 },
    /// The whole of one activity. Its start is known from the list.
    Detail { id: String, start_s: i64 },
    /// The sample series of one activity.
    Streams { id: String, start_s: i64 },
}

/// Everything about a response but its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub v: u8,
    pub source: String,
    #[serde(flatten)]
    pub ask: Ask,
    pub user_id: String,
    pub account_id: String,
    /// Path and query. Never holds a token: those travel in a header.
    pub request: String,
    /// The server's clock.
    pub fetched_at: Timestamp,
    pub status: u16,
}

/// The landing, open for appending by this process alone.
#[derive(Debug)]
pub struct Landing {
    lake: Lake,
    open: HashMap<Bucket, Appender>,
    _lock: Lock,
}

impl Landing {
    pub fn open(lake: &Lake) -> Result<Landing> {
        let lock = Lock::take(&lake.landing_folder(), "the landing")?;
        Ok(Landing { lake: lake.clone(), open: HashMap::new(), _lock: lock })
    }

    /// Appends one response. When this returns, it is on the disk. Returns the bytes it took.
    pub fn append(&mut self, header: &Header, body: &[u8]) -> Result<u64> {
        let frame = frame(header, body);
        let bucket = self.lake.bucket(&header.user_id);
        let appender = match self.open.entry(bucket) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let path = self.lake.landing(bucket);
                let good = good_length(&path)?;
                vacant.insert(Appender::open(&path, good)?)
            }
        };
        appender.append(&frame)?;
        Ok(frame.len() as u64)
    }
}

/// One response as it lies on the disk.
pub fn frame(header: &Header, body: &[u8]) -> Vec<u8> {
    let mut line = serde_json::to_vec(header).expect("a header is plain");
    assert_eq!(line.pop(), Some(b'}'), "a header is an object");
    if is_json_line(body) {
        line.extend_from_slice(b",\"body\":");
        line.extend_from_slice(body);
    } else if let Ok(text) = std::str::from_utf8(body) {
        line.extend_from_slice(b",\"body_text\":");
        serde_json::to_writer(&mut line, text).expect("writing to memory");
    } else {
        line.extend_from_slice(b",\"body_base64\":\"");
        line.extend_from_slice(BASE64.encode(body).as_bytes());
        line.push(b'"');
    }
    line.extend_from_slice(b"}\n");
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).expect("the level exists");
    compressor.include_checksum(true).expect("the parameter exists");
    compressor.compress(&line).expect("the output has room by construction")
}

/// Whether a body can stand in a JSON line as it is, without hurting who reads it.
fn is_json_line(body: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for &byte in body {
        match byte {
            _ if byte < 0x20 => return false,
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

thread_local! {
    /// Making one costs as much as decompressing a small frame.
    static DECOMPRESSOR: RefCell<zstd::bulk::Decompressor<'static>> =
        RefCell::new(zstd::bulk::Decompressor::new().expect("there is memory"));
}

/// A frame, still compressed.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Where it begins in its file.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

impl Frame {
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// Bytes of the line within, as its writer declared them.
    pub fn line_bytes(&self) -> usize {
        match zstd_safe::get_frame_content_size(&self.bytes) {
            Ok(Some(size)) => usize::try_from(size).unwrap_or(usize::MAX),
            _ => usize::MAX,
        }
    }

    /// The header and the body, verbatim. An error says what is wrong with the frame.
    pub fn open(&self) -> Result<(Header, Vec<u8>), String> {
        let size = self.line_bytes();
        if size > MAX_FRAME_BYTES {
            return Err(format!("frame of {size} bytes"));
        }
        let mut line = DECOMPRESSOR
            .with_borrow_mut(|decompressor| decompressor.decompress(&self.bytes, size))
            .map_err(|e| e.to_string())?;
        // The header is written before the body and escapes its quotes, so this cannot stand within it.
        const MARK: &[u8] = b",\"body";
        let mark = line.windows(MARK.len()).position(|w| w == MARK).ok_or("no body in the envelope")?;
        let mut head = line[..mark].to_vec();
        head.push(b'}');
        let header: Header = serde_json::from_slice(&head).map_err(|e| format!("envelope: {e}"))?;
        let rest = &line[mark + MARK.len()..];
        let end = rest.len().checked_sub(2).ok_or("envelope without an end")?;
        if let Some(raw) = rest[..end].strip_prefix(b"\":") {
            let start = line.len() - 2 - raw.len();
            line.truncate(line.len() - 2);
            line.drain(..start);
            return Ok((header, line));
        }
        let unquote =
            |raw: &[u8]| serde_json::from_slice::<String>(raw).map_err(|e| format!("envelope: {e}"));
        if let Some(raw) = rest[..end].strip_prefix(b"_text\":") {
            Ok((header, unquote(raw)?.into_bytes()))
        } else if let Some(raw) = rest[..end].strip_prefix(b"_base64\":") {
            Ok((header, BASE64.decode(unquote(raw)?).map_err(|e| format!("envelope: {e}"))?))
        } else {
            Err("a body of an unknown kind in the envelope".to_string())
        }
    }
}

/// The frames of one file in order, from an offset on. Ends before a torn tail.
#[derive(Debug)]
pub struct Frames {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    at: usize,
    offset: u64,
}

const READ_BYTES: usize = 4 << 20;

impl Frames {
    /// A file that is not there has no frames.
    pub fn open(path: &Path, offset: u64) -> Result<Frames> {
        let file = match File::open(path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(offset)).map_err(Error::io("seek in", path))?;
                Some(file)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        Ok(Frames { path: path.to_path_buf(), file, buffer: Vec::new(), at: 0, offset })
    }

    /// Where the next frame begins, and so where the frames seen so far end.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads more of the file. False at its end.
    fn fill(&mut self) -> Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        self.buffer.drain(..self.at);
        self.at = 0;
        let read = file
            .take(READ_BYTES as u64)
            .read_to_end(&mut self.buffer)
            .map_err(Error::io("read", &self.path))?;
        Ok(read > 0)
    }

    /// Whether anything follows the next `length` bytes.
    fn fill_behind(&mut self, length: usize) -> Result<bool> {
        self.fill()?;
        Ok(self.buffer.len() - self.at > length)
    }

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Ok(length) = zstd_safe::find_frame_compressed_size(rest)
                && !rest.is_empty()
            {
                let frame = Frame { offset: self.offset, bytes: rest[..length].to_vec() };
                let is_last = rest.len() == length && !self.fill_behind(length)?;
                if is_last && frame.open().is_err() {
                    // Its length reached the disk before its bytes did.
                    return Ok(None);
                }
                self.at += length;
                self.offset += length as u64;
                return Ok(Some(frame));
            }
            if rest.len() > MAX_FRAME_BYTES || !self.fill()? {
                break;
            }
        }
        let rest = &self.buffer[self.at..];
        let known = rest.len().min(MAGIC.len());
        let is_torn = rest[..known] == MAGIC[..known] && rest.len() <= MAX_FRAME_BYTES;
        if is_torn || rest.iter().all(|&b| b == 0) {
            return Ok(None);
        }
        Err(Error::damaged(
            &self.path,
            format!("no frame begins at byte {}; restore it from a copy", self.offset),
        ))
    }
}

impl Iterator for Frames {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame().transpose()
    }
}

/// The frame that begins at a byte of a file; None where there is none.
pub fn frame_at(path: &Path, offset: u64) -> Result<Option<Frame>> {
    const FIRST_LOOK_BYTES: u64 = 64 << 10;
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    file.seek(SeekFrom::Start(offset)).map_err(Error::io("seek in", path))?;
    let mut bytes = Vec::new();
    let mut look = FIRST_LOOK_BYTES;
    loop {
        let read = file.by_ref().take(look).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        match zstd_safe::find_frame_compressed_size(&bytes) {
            Ok(length) if !bytes.is_empty() => {
                bytes.truncate(length);
                return Ok(Some(Frame { offset, bytes }));
            }
            _ if read == 0 || !bytes.starts_with(&MAGIC) || bytes.len() > MAX_FRAME_BYTES => return Ok(None),
            _ => look *= 4,
        }
    }
}

/// Where the whole frames of a file end. What lies behind is a torn tail.
fn good_length(path: &Path) -> Result<u64> {
    let mut frames = Frames::open(path, 0)?;
    for frame in frames.by_ref() {
        frame?;
    }
    Ok(frames.offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(user_id: &str) -> Header {
        Header {
            v: 1,
            source: "strava".to_string(),
            ask: Ask::List { scan: 1, until_s: None, before_s: Some(1_700_000_000), page: 1 },
            user_id: user_id.to_string(),
            account_id: "42".to_string(),
            request: "/athlete/activities?per_page=200".to_string(),
            fetched_at: "2026-11-23T03:00:00Z".parse().unwrap(),
            status: 200,
        }
    }

    fn landed(bodies: &[&[u8]]) -> (tempfile::TempDir, Lake, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(dir.path()).unwrap();
        let mut landing = Landing::open(&lake).unwrap();
        for body in bodies {
            landing.append(&header("u"), body).unwrap();
        }
        let path = lake.landing(lake.bucket("u"));
        (dir, lake, path)
    }

    fn bodies(path: &Path) -> Vec<Vec<u8>> {
        Frames::open(path, 0).unwrap().map(|f| f.unwrap().open().unwrap().1).collect()
    }

    #[test]
    fn every_body_comes_back_to_the_byte() {
        let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
        let all: [&[u8]; 8] = [
            b"[]",
            b"",
            b"[{\"name\":\",\\\"body\\\":\"}]",
            b"{\n  \"id\": 1\n}",
            b"<html>busy</html>",
            b"[{\"name\":\"\xff\xfe\"}]",
            b"\xef\xbb\xbf[]",
            &deep,
        ];
        let (_dir, _, path) = landed(&all);
        assert_eq!(bodies(&path), all);
    }

    #[test]
    fn a_header_that_speaks_of_bodies_is_still_read() {
        let mut tricky = header("a\",\"body\":\"b");
        tricky.request = "/x?,\"body\":1".to_string();
        let frame = Frame { offset: 0, bytes: frame(&tricky, b"[1]") };
        let (read, body) = frame.open().unwrap();
        assert_eq!(read, tricky);
        assert_eq!(body, b"[1]");
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_its_whole_frames_and_takes_new_ones() {
        let (_dir, lake, path) = landed(&[b"[1]", b"[2]", b"[3]"]);
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<u64> = Frames::open(&path, 0).unwrap().map(|f| f.unwrap().end()).collect();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let kept = ends.iter().filter(|&&end| end <= cut as u64).count();
            assert_eq!(bodies(&path).len(), kept, "cut at {cut}");
            Landing::open(&lake).unwrap().append(&header("u"), b"[4]").unwrap();
            let after = bodies(&path);
            assert_eq!(after.len(), kept + 1, "cut at {cut}");
            assert_eq!(after[kept], b"[4]");
        }
    }

    #[test]
    fn a_last_frame_whose_bytes_never_arrived_is_a_torn_tail() {
        let (_dir, lake, path) = landed(&[b"[1]", b"[2]"]);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 8;
        bytes[last] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(bodies(&path), [b"[1]"]);
        Landing::open(&lake).unwrap().append(&header("u"), b"[3]").unwrap();
        assert_eq!(bodies(&path), [b"[1]", b"[3]"]);
    }

    #[test]
    fn zeros_left_by_a_power_cut_are_a_torn_tail_and_garbage_is_not() {
        let (_dir, lake, path) = landed(&[b"[1]"]);
        let mut bytes = std::fs::read(&path).unwrap();
        let good = bytes.len();
        bytes.resize(good + 4096, 0);
        std::fs::write(&path, &bytes).unwrap();
        Landing::open(&lake).unwrap().append(&header("u"), b"[2]").unwrap();
        assert_eq!(bodies(&path).len(), 2);

        bytes.truncate(good);
        bytes.extend_from_slice(b"not a frame");
        std::fs::write(&path, &bytes).unwrap();
        let e = Landing::open(&lake).unwrap().append(&header("u"), b"[3]").unwrap_err();
        assert!(e.to_string().contains(&format!("no frame begins at byte {good}")), "{e}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "damage is reported, never cut away");
    }
}
