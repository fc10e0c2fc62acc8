//! Segments without some frames, or with less in them: the one way in which a sealed segment changes.

use std::mem;
use std::sync::Arc;

use super::segments::{Frames, Piece, Position, Segment, seal, segments};
use super::{Frame, Header, Unopened, frame};
use crate::error::Result;
use crate::store::backend::Key;
use crate::store::lake::{Bucket, Lake};
use crate::store::names;

/// What was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub frames: u64,
    /// Frames of which a part went.
    pub shortened: u64,
    /// Bytes that were no sound frames: nobody knows whose they were.
    pub damaged_bytes: u64,
    pub segments: u64,
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Stays,
    Goes,
    /// It stays, with this body.
    Becomes(Vec<u8>),
}

/// What is kept of the segment that is being read.
#[derive(Default)]
struct Kept {
    segment: Option<Arc<Key>>,
    bytes: Vec<u8>,
    frames: u64,
    is_changed: bool,
}

/// Rewrites a bucket's segments with what becomes of each frame, and without anything that is no sound frame. A
/// segment is replaced whole, so a kill leaves each as it was or as it will be. Whoever calls this holds the landing.
pub fn forget(lake: &Lake, bucket: Bucket, fate: impl Fn(&Header, &[u8]) -> Fate) -> Result<Forgotten> {
    // It is made of all of them, so it goes before any.
    lake.backend().remove(&names::walked_key(bucket))?;
    let all = segments(lake, bucket)?;
    let mut forgotten = Forgotten::default();
    let mut kept = Kept::default();
    let mut seen = 0;
    for piece in Frames::open(lake, bucket, Position::default())? {
        let piece = piece?;
        let segment = match &piece {
            Piece::Frame(frame) => frame.segment.clone(),
            Piece::Damaged { segment, .. } => segment.clone(),
        };
        if kept.segment.as_ref() != Some(&segment) {
            seen += flush(lake, &all, mem::take(&mut kept), &mut forgotten)?;
            kept.segment = Some(segment);
        }
        match piece {
            Piece::Frame(frame) => kept.take(&frame, &fate, &mut forgotten),
            Piece::Damaged { bytes, .. } => {
                forgotten.damaged_bytes += bytes;
                kept.is_changed = true;
            }
        }
    }
    seen += flush(lake, &all, kept, &mut forgotten)?;
    // One of which no piece could be read is all torn end.
    if seen < all.len() {
        for segment in &all {
            let has_frames =
                Frames::open(lake, bucket, Position { run: segment.run, number: segment.number, offset: 0 })?
                    .next()
                    .transpose()?
                    .is_some_and(
                        |piece| matches!(piece, Piece::Frame(frame) if *frame.segment == segment.key),
                    );
            if !has_frames && segment.bytes > seal(0).len() as u64 {
                lake.backend().remove(&segment.key)?;
                forgotten.segments += 1;
                forgotten.damaged_bytes += segment.bytes;
            }
        }
    }
    Ok(forgotten)
}

impl Kept {
    fn take(&mut self, landed: &Frame, fate: &impl Fn(&Header, &[u8]) -> Fate, forgotten: &mut Forgotten) {
        let opened = landed.open();
        let fate = match &opened {
            Ok((header, body)) => fate(header, body),
            // It says whose it is to who can read it.
            Err(Unopened::Newer) => Fate::Stays,
            Err(Unopened::Damaged(_)) => Fate::Goes,
        };
        match (fate, opened) {
            (Fate::Becomes(body), Ok((header, _))) => {
                self.bytes.extend_from_slice(&frame(&header, &body));
                self.frames += 1;
                self.is_changed = true;
                forgotten.shortened += 1;
            }
            (Fate::Goes, _) => {
                self.is_changed = true;
                forgotten.frames += 1;
            }
            _ => {
                self.bytes.extend_from_slice(&landed.bytes);
                self.frames += 1;
            }
        }
    }
}

/// Replaces a segment where something of it goes. Returns how many segments that was about.
fn flush(lake: &Lake, all: &[Segment], kept: Kept, forgotten: &mut Forgotten) -> Result<usize> {
    let Some(key) = kept.segment else { return Ok(0) };
    let before = all.iter().find(|segment| segment.key == *key).map_or(0, |segment| segment.bytes);
    let seal = seal(kept.frames);
    let whole = (kept.bytes.len() + seal.len()) as u64;
    if kept.frames == 0 {
        lake.backend().remove(&key)?;
        forgotten.segments += 1;
    } else if kept.is_changed || (before != whole && before != kept.bytes.len() as u64) {
        lake.backend().put(&key, &mut |out| {
            out.write_all(&kept.bytes)?;
            out.write_all(&seal)
        })?;
        forgotten.segments += 1;
    }
    Ok(1)
}
