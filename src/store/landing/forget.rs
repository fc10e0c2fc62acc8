//! Segments without some frames: the one way in which a sealed segment changes.

use std::mem;
use std::sync::Arc;

use super::segments::{Frames, Piece, Position, Segment, seal, segments};
use super::{Frame, Header};
use crate::error::Result;
use crate::store::backend::Key;
use crate::store::lake::{Bucket, Lake};

/// What was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub frames: u64,
    /// Bytes that were no sound frames: nobody knows whose they were.
    pub damaged_bytes: u64,
    pub segments: u64,
}

/// What is kept of the segment that is being read.
#[derive(Default)]
struct Kept {
    segment: Option<Arc<Key>>,
    bytes: Vec<u8>,
    frames: u64,
}

/// Rewrites a bucket's segments without the frames whose headers are to go, and without anything that is no sound
/// frame. A segment is replaced whole, so a kill leaves each as it was or as it will be. Whoever calls this holds the
/// landing.
pub fn forget(lake: &Lake, bucket: Bucket, goes: impl Fn(&Header) -> bool) -> Result<Forgotten> {
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
            Piece::Frame(frame) if is_kept(&frame, &goes) => {
                kept.bytes.extend_from_slice(&frame.bytes);
                kept.frames += 1;
            }
            Piece::Frame(_) => forgotten.frames += 1,
            Piece::Damaged { bytes, .. } => forgotten.damaged_bytes += bytes,
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

/// A frame of a newer longrun is kept, since it says whose it is to who can read it.
fn is_kept(frame: &Frame, goes: &impl Fn(&Header) -> bool) -> bool {
    match frame.open() {
        Ok((header, _)) => !goes(&header),
        Err(super::Unopened::Newer) => true,
        Err(super::Unopened::Damaged(_)) => false,
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
    } else if before != whole && before != kept.bytes.len() as u64 {
        lake.backend().put(&key, &mut |out| {
            out.write_all(&kept.bytes)?;
            out.write_all(&seal)
        })?;
        forgotten.segments += 1;
    }
    Ok(1)
}
