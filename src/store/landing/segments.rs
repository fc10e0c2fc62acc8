//! Segments: their names, their seals, and their frames in order, whatever became of the bytes.
//!
//! A torn end is one only where no sound frame and no seal follows; anything else that cannot be read is damage, is
//! reported with its place, and costs nothing behind it.

use std::fmt;
use std::io::Read;
use std::str::FromStr;
use std::sync::Arc;

use memchr::memmem;
use zstd::zstd_safe;

use super::frame::{Frame, MAGIC, MAX_FRAME_BYTES, Unopened};
use crate::error::{Error, Result};
use crate::store::backend::{Key, Opened, Reading};
use crate::store::lake::{Bucket, Lake};
use crate::store::names;

/// A frame that zstd skips, of the first of sixteen kinds.
const SKIPPED: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// Reads grow from the first of these to the last: one frame is small, and a whole segment is long.
const FIRST_READ_BYTES: u64 = 64 << 10;
const LONGEST_READ_BYTES: u64 = 4 << 20;
/// A kind of frame and its length stand in this many bytes.
const SKIPPED_HEAD_BYTES: usize = 8;

/// What stands at the end of a segment that nothing will be added to.
pub fn seal(frames: u64) -> Vec<u8> {
    let text = format!("{{\"sealed_frames\":{frames}}}\n");
    let mut seal = SKIPPED.to_vec();
    seal.extend_from_slice(&u32::try_from(text.len()).expect("a seal is short").to_le_bytes());
    seal.extend_from_slice(text.as_bytes());
    seal
}

/// A segment as a listing finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub key: Key,
    pub run: u32,
    pub number: u32,
    pub bytes: u64,
}

/// The segments of a bucket in the order in which they were written.
pub fn segments(lake: &Lake, bucket: Bucket) -> Result<Vec<Segment>> {
    let listed = lake.backend().list(&names::landing_folder().join(&bucket.to_string()))?;
    let mut segments: Vec<Segment> = listed
        .into_iter()
        .filter_map(|(key, bytes)| {
            names::segment(&key).map(|(_, run, number)| Segment { key, run, number, bytes })
        })
        .collect();
    segments.sort_by_key(|segment| (segment.run, segment.number));
    Ok(segments)
}

/// How far into a bucket's landing something was made from: everything before a byte of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub run: u32,
    pub number: u32,
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}-{:03}@{}", self.run, self.number, self.offset)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Position, ()> {
        let read = || {
            let (segment, offset) = text.split_once('@')?;
            let (run, number) = segment.split_once('-')?;
            Some(Position {
                run: run.parse().ok()?,
                number: number.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        read().ok_or(())
    }
}

impl Position {
    /// Bytes of these segments that lie behind this position.
    pub fn bytes_behind(&self, segments: &[Segment]) -> u64 {
        let behind = |segment: &Segment| match (segment.run, segment.number).cmp(&(self.run, self.number)) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => segment.bytes.saturating_sub(self.offset),
            std::cmp::Ordering::Greater => segment.bytes,
        };
        segments.iter().map(behind).sum()
    }
}

/// What stands at one place of a segment.
#[derive(Debug, Clone)]
pub enum Piece {
    Frame(Frame),
    /// Bytes that are no sound frame, with sound ones or a seal behind them.
    Damaged {
        segment: Arc<Key>,
        offset: u64,
        bytes: u64,
    },
}

/// The frames of a bucket in order, from a position on.
#[derive(Debug)]
pub struct Frames {
    lake: Lake,
    segments: std::vec::IntoIter<Segment>,
    current: Option<Current>,
    position: Position,
}

impl Frames {
    pub fn open(lake: &Lake, bucket: Bucket, from: Position) -> Result<Frames> {
        let mut segments = segments(lake, bucket)?;
        segments.retain(|segment| (segment.run, segment.number) >= (from.run, from.number));
        Ok(Frames { lake: lake.clone(), segments: segments.into_iter(), current: None, position: from })
    }

    /// What was read so far ends here.
    pub fn position(&self) -> Position {
        self.position
    }

    fn next_piece(&mut self) -> Result<Option<Piece>> {
        loop {
            if let Some(current) = &mut self.current {
                let piece = current
                    .next_piece()
                    .map_err(Error::io("read", self.lake.backend().place(&current.key)))?;
                self.position.offset = current.offset;
                if piece.is_some() {
                    return Ok(piece);
                }
            }
            let Some(segment) = self.segments.next() else { return Ok(None) };
            let same = (segment.run, segment.number) == (self.position.run, self.position.number);
            let offset = if same { self.position.offset } else { 0 };
            self.position = Position { run: segment.run, number: segment.number, offset };
            // One that was removed since it was listed has no frames.
            let opened = self.lake.backend().open(&segment.key)?;
            self.current = opened.map(|opened| Current::new(segment.key, &opened, offset));
        }
    }
}

impl Iterator for Frames {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}

/// The segment that is being read.
#[derive(Debug)]
struct Current {
    key: Arc<Key>,
    reading: Reading,
    read_bytes: u64,
    buffer: Vec<u8>,
    at: usize,
    /// Of `buffer[at]` in the segment.
    offset: u64,
}

/// What the bytes at a place begin.
enum Begins {
    Frame(usize),
    Seal(usize),
    /// Nothing that is whole and sound.
    Nothing,
}

impl Current {
    fn new(key: Key, opened: &Opened, offset: u64) -> Current {
        let reading = opened.from(offset);
        Current {
            key: Arc::new(key),
            reading,
            read_bytes: FIRST_READ_BYTES,
            buffer: Vec::new(),
            at: 0,
            offset,
        }
    }

    /// Reads more of the segment. False at its end.
    fn fill(&mut self) -> std::io::Result<bool> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let read = (&mut self.reading).take(self.read_bytes).read_to_end(&mut self.buffer)?;
        self.read_bytes = (self.read_bytes * 4).min(LONGEST_READ_BYTES);
        Ok(read > 0)
    }

    fn next_piece(&mut self) -> std::io::Result<Option<Piece>> {
        loop {
            match self.begins(0)? {
                Begins::Frame(length) => {
                    let frame = self.frame(0, length);
                    self.advance(length);
                    return Ok(Some(Piece::Frame(frame)));
                }
                Begins::Seal(length) => self.advance(length),
                Begins::Nothing => return self.damage(),
            }
        }
    }

    fn advance(&mut self, by: usize) {
        self.at += by;
        self.offset += by as u64;
    }

    fn frame(&self, ahead: usize, length: usize) -> Frame {
        let at = self.at + ahead;
        Frame {
            segment: self.key.clone(),
            offset: self.offset + ahead as u64,
            bytes: self.buffer[at..at + length].to_vec(),
        }
    }

    /// What begins so many bytes ahead.
    fn begins(&mut self, ahead: usize) -> std::io::Result<Begins> {
        loop {
            let rest = self.buffer.get(self.at + ahead..).unwrap_or_default();
            if rest.len() >= SKIPPED_HEAD_BYTES && rest.starts_with(&SKIPPED) {
                let length =
                    u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize + SKIPPED_HEAD_BYTES;
                if rest.len() >= length && rest[SKIPPED_HEAD_BYTES..].starts_with(b"{\"sealed_frames\":") {
                    return Ok(Begins::Seal(length));
                }
            } else if rest.len() >= MAGIC.len() && !rest.starts_with(&MAGIC) {
                return Ok(Begins::Nothing);
            } else if !rest.is_empty()
                && let Ok(length) = zstd_safe::find_frame_compressed_size(rest)
            {
                return Ok(if self.is_whole(ahead, length)? {
                    Begins::Frame(length)
                } else {
                    Begins::Nothing
                });
            }
            if rest.len() > MAX_FRAME_BYTES || !self.fill()? {
                return Ok(Begins::Nothing);
            }
        }
    }

    /// Whether a frame is what it seems to be. Its length is believed where another frame begins behind it and none
    /// within it; otherwise it has to be opened. A frame that is alone in its damage stays one, for its reader to
    /// report.
    fn is_whole(&mut self, ahead: usize, length: usize) -> std::io::Result<bool> {
        let end = self.at + ahead + length;
        if self.buffer.len() < end + MAGIC.len() {
            self.fill()?;
        }
        let begin = self.at + ahead;
        let behind = &self.buffer[begin + length..];
        let is_followed = behind.starts_with(&MAGIC) || behind.starts_with(&SKIPPED);
        let has_another_within = find(&self.buffer[begin + 1..begin + length]).is_some();
        if is_followed && !has_another_within {
            return Ok(true);
        }
        Ok(!matches!(self.frame(ahead, length).open(), Err(Unopened::Damaged(_))))
    }

    /// Goes to the next sound frame or seal. Where there is none, the end is torn, and nothing is said of it.
    fn damage(&mut self) -> std::io::Result<Option<Piece>> {
        let mut ahead = 1;
        loop {
            let Some(found) = self.buffer.get(self.at + ahead..).and_then(find) else {
                // What could be the beginning of a magic number is looked at with what follows it.
                let kept = (self.buffer.len() - self.at).saturating_sub(MAGIC.len() - 1);
                ahead = ahead.max(kept);
                if self.fill()? { continue } else { return Ok(None) }
            };
            ahead += found;
            if !matches!(self.begins(ahead)?, Begins::Nothing) {
                let damaged =
                    Piece::Damaged { segment: self.key.clone(), offset: self.offset, bytes: ahead as u64 };
                self.advance(ahead);
                return Ok(Some(damaged));
            }
            ahead += 1;
        }
    }
}

/// Where a frame or a seal may begin.
fn find(bytes: &[u8]) -> Option<usize> {
    let frame = memmem::find(bytes, &MAGIC);
    // A seal that begins before the frame ends before the frame does.
    let before = &bytes[..frame.map_or(bytes.len(), |at| at + MAGIC.len() - 1)];
    memmem::find(before, &SKIPPED).or(frame)
}

/// The frame that begins at a byte of a segment; None where there is none.
pub fn frame_at(lake: &Lake, key: &Key, offset: u64) -> Result<Option<Frame>> {
    let Some(opened) = lake.backend().open(key)? else { return Ok(None) };
    let mut current = Current::new(key.clone(), &opened, offset);
    let begins = current.begins(0).map_err(Error::io("read", lake.backend().place(key)))?;
    Ok(match begins {
        Begins::Frame(length) => Some(current.frame(0, length)),
        Begins::Seal(_) | Begins::Nothing => None,
    })
}
