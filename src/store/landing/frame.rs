//! One response as it lies in a segment: a zstd frame with its size and a checksum, and one JSON line within.
//!
//! ```text
//! {"v":1,"source":"strava","kind":"list",…,"status":200,"body":[{"id":…},…]}⏎
//! {"v":1,"source":"strava","kind":"detail",…,"status":404,"body_text":""}⏎
//! ```
//!
//! A body that is JSON on one line stands there as it came; any other is kept to the byte as `body_text` or
//! `body_base64`.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use zstd::zstd_safe;

use super::Header;
use crate::store::backend::Key;

/// A good compromise for JSON: higher levels cost more time than they save bytes.
const LEVEL: i32 = 3;
pub const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest response that is kept; longer ones are refused while they arrive.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// Room for a body that is all escapes, and its header.
pub const MAX_FRAME_BYTES: usize = 6 * MAX_BODY_BYTES + (1 << 20);
/// Deeper JSON is kept as text, so that no reader of the landing has to recurse into it.
const MAX_DEPTH: usize = 64;
/// The version of the line in a frame. Frames of a newer one are kept for a newer longrun.
pub const VERSION: u8 = 1;

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

/// Why a frame could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    #[error("written by a newer longrun; it is kept, and read after an upgrade")]
    Newer,
    #[error("damaged: {0}")]
    Damaged(String),
}

impl From<String> for Unopened {
    fn from(reason: String) -> Unopened {
        Unopened::Damaged(reason)
    }
}

impl From<&str> for Unopened {
    fn from(reason: &str) -> Unopened {
        Unopened::Damaged(reason.to_string())
    }
}

/// A frame, still compressed.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The segment it lies in.
    pub segment: Arc<Key>,
    /// Where it begins there.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Where it is, as `raw_ref` columns have it.
    pub fn place(&self) -> String {
        format!("{}@{}", self.segment, self.offset)
    }

    /// Bytes of the line within, as its writer declared them.
    pub fn line_bytes(&self) -> usize {
        match zstd_safe::get_frame_content_size(&self.bytes) {
            Ok(Some(size)) => usize::try_from(size).unwrap_or(usize::MAX),
            _ => usize::MAX,
        }
    }

    /// The header and the body, verbatim. An error says what is wrong with the frame.
    pub fn open(&self) -> Result<(Header, Vec<u8>), Unopened> {
        let mut line = Vec::new();
        let (header, body) = self.open_into(&mut line)?;
        line.truncate(body.end);
        line.drain(..body.start);
        Ok((header, line))
    }

    /// The same, into memory that is used again, and where the body stands there.
    pub fn open_into(&self, line: &mut Vec<u8>) -> Result<(Header, Range<usize>), Unopened> {
        let size = self.line_bytes();
        if size > MAX_FRAME_BYTES {
            return Err(format!("a frame of {size} bytes").into());
        }
        line.clear();
        line.reserve(size);
        DECOMPRESSOR
            .with_borrow_mut(|decompressor| decompressor.decompress_to_buffer(&self.bytes, line))
            .map_err(|e| e.to_string())?;
        // The header is written before the body and escapes its quotes, so this cannot stand within it.
        const MARK: &[u8] = b",\"body";
        let mark = line.windows(MARK.len()).position(|w| w == MARK).ok_or("no body in the envelope")?;
        let mut head = line[..mark].to_vec();
        head.push(b'}');
        let header: Header = serde_json::from_slice(&head).map_err(|e| unreadable_header(&head, &e))?;
        let rest = mark + MARK.len();
        let end = line.len().checked_sub(2).filter(|end| *end >= rest).ok_or("envelope without an end")?;
        let body = &line[rest..end];
        if body.starts_with(b"\":") {
            return Ok((header, rest + 2..end));
        }
        let unquote =
            |raw: &[u8]| serde_json::from_slice::<String>(raw).map_err(|e| format!("envelope: {e}"));
        let unquoted = if let Some(raw) = body.strip_prefix(b"_text\":") {
            unquote(raw)?.into_bytes()
        } else if let Some(raw) = body.strip_prefix(b"_base64\":") {
            BASE64.decode(unquote(raw)?).map_err(|e| format!("envelope: {e}"))?
        } else {
            return Err("a body of an unknown kind in the envelope".into());
        };
        *line = unquoted;
        Ok((header, 0..line.len()))
    }
}

/// What a newer longrun says may have other fields; anything else was never written by one.
fn unreadable_header(head: &[u8], error: &serde_json::Error) -> Unopened {
    #[derive(Deserialize)]
    struct Versioned {
        v: u64,
    }
    match serde_json::from_slice::<Versioned>(head) {
        Ok(Versioned { v }) if v > u64::from(VERSION) => Unopened::Newer,
        _ => Unopened::Damaged(format!("envelope: {error}")),
    }
}
