//! The store of raw responses: one zstd frame per response, in segments.
//!
//! ```text
//! landing/strava/017/000042-000.jsonl.zst     the first segment of the 42nd run in bucket 17
//! landing/strava/017/walked.bin               what these say of accounts, for a quick start; made anew where it is missing
//! ```
//!
//! A segment is appended to by one run, each frame durable before the next decision, and sealed when that run ends
//! or the segment is long. It is never changed after and never cut: a run that was killed leaves one without a seal,
//! perhaps with a torn end, and the next run begins a new one. A frame holds one JSON line: what was asked, of whom,
//! when, and the body. So any tool reads a segment (`zstdcat … | jq .request`), and damage costs the frame it is in.

mod forget;
mod frame;
mod segments;

use std::collections::HashMap;
use std::collections::hash_map;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use forget::{Fate, Forgotten, forget};
pub use frame::{Frame, MAX_BODY_BYTES, Unopened, VERSION, frame};
pub use segments::{Frames, Piece, Position, Segment, frame_at, seal, segments};

use crate::error::Result;
use crate::store::backend::{Append, Guard};
use crate::store::lake::{Bucket, Lake};
use crate::store::names;

/// Segments are sealed when they are this long, so that none is too long to be copied or read whole.
const SEGMENT_BYTES: u64 = 256 << 20;

/// What was asked of the API. Times are unix seconds, as in the requests themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// A page of the activity list, and of which walk from newest to oldest: the `scan`th, down
    /// to the second `until_s` where it has such an end.
    List { scan: u32, until_s: Option<i64>, before_s: Option<i64>, page: u32 },
    /// Something of one activity, whose start is known from the list. `kind` names the endpoint.
    #[serde(untagged)]
    OfActivity { kind: String, id: String, start_s: i64 },
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
    /// Something that landed before it of the same account is dated as late as this, by a clock that was ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    pub status: u16,
}

impl Header {
    /// When it counts as fetched where the newer of two answers is kept: never before what landed earlier.
    pub fn told_at(&self) -> Timestamp {
        self.after.map_or(self.fetched_at, |after| after.max(self.fetched_at))
    }
}

/// The landing, open for appending by this process alone.
#[derive(Debug)]
pub struct Landing {
    lake: Lake,
    run: u32,
    open: HashMap<Bucket, Open>,
    guard: Box<dyn Guard>,
}

/// The segment that a bucket's frames go to.
#[derive(Debug)]
struct Open {
    number: u32,
    segment: Box<dyn Append>,
    bytes: u64,
    frames: u64,
}

impl Open {
    fn new(lake: &Lake, bucket: Bucket, run: u32, number: u32) -> Result<Open> {
        let segment = lake.backend().append(&names::segment_key(bucket, run, number))?;
        Ok(Open { number, segment, bytes: 0, frames: 0 })
    }

    /// Says that the segment is whole.
    fn seal(&mut self) -> Result<()> {
        self.segment.append(&seal(self.frames)).map(drop)
    }
}

impl Landing {
    pub fn open(lake: &Lake) -> Result<Landing> {
        let guard = lake.backend().lock("landing", "the landing")?;
        let last = lake.backend().list(&names::landing_folder())?;
        let last = last.iter().filter_map(|(key, _)| names::segment(key)).map(|(_, run, _)| run).max();
        let run = last.map_or(1, |run| run + 1);
        Ok(Landing { lake: lake.clone(), run, open: HashMap::new(), guard })
    }

    /// Appends one response. When this returns, it is durable. Returns the bytes it took.
    pub fn append(&mut self, header: &Header, body: &[u8]) -> Result<u64> {
        let frame = frame(header, body);
        let bucket = self.lake.bucket(&header.user_id);
        let open = match self.open.entry(bucket) {
            hash_map::Entry::Occupied(open) => open.into_mut(),
            hash_map::Entry::Vacant(vacant) => vacant.insert(Open::new(&self.lake, bucket, self.run, 0)?),
        };
        if open.bytes > SEGMENT_BYTES {
            open.seal()?;
            *open = Open::new(&self.lake, bucket, self.run, open.number + 1)?;
        }
        open.segment.append(&frame)?;
        open.bytes += frame.len() as u64;
        open.frames += 1;
        Ok(frame.len() as u64)
    }

    /// Seals the segments of this run. Other writers are kept out for as long as what this returns lives.
    pub fn close(mut self) -> Result<Box<dyn Guard>> {
        self.open.values_mut().try_for_each(Open::seal)?;
        Ok(self.guard)
    }
}

#[cfg(test)]
mod tests;
