//! What is called what in a lake: its charter, its buckets, and the keys of the landing and the archives.

use serde::{Deserialize, Serialize};

use super::backend::{Backend, Key};
use crate::error::Result;

/// The version of the layout. A lake of a newer one is refused, one of an older is brought over.
pub const FORMAT: u32 = 2;
/// Enough that a bucket of millions of activities fits in memory many times over.
pub const BUCKETS: u32 = 128;
/// Names of buckets sort as their numbers do up to three digits; beyond that nothing depends on the order.
pub const MOST_BUCKETS: u32 = 65_536;
/// The folders of datasets. Files that say how far a bucket is come stand behind those that they say it of.
pub const DATASETS: [&str; 6] = ["streams", "rejects", "origins", "activities", "matches", "golden"];
pub const CHARTER: &str = "lake.toml";
pub const HASH: &str = "xxh64";

/// `lake.toml`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Charter {
    pub format: u32,
    pub buckets: u32,
    pub hash: String,
    /// Whether `activities` and `golden` have tracks as lines, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub geometry: bool,
}

impl Charter {
    pub fn new(buckets: u32, geometry: bool) -> Charter {
        Charter { format: FORMAT, buckets, hash: HASH.to_string(), geometry }
    }
}

pub fn write_charter(backend: &dyn Backend, charter: &Charter) -> Result<()> {
    let text = toml::to_string(charter).expect("the charter is plain");
    backend.put(&Key::new(CHARTER), &mut |out| out.write_all(text.as_bytes())).map(drop)
}

/// The folders that a lake has wherever it lies.
pub fn folders() -> impl Iterator<Item = &'static str> {
    [LANDING].into_iter().chain(DATASETS).chain([REPORTS, RUNS, FORGOTTEN])
}

/// A bucket's number, below the lake's bucket count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub u32);

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

/// Everything of runs on many machines lies here.
pub const RUNS: &str = "runs";
pub const LANDING: &str = "landing";
pub const REPORTS: &str = "reports";
const RUN_PAGE: &str = "run-";

/// The page of a lake by whoever has all of it, also what the state database knows.
pub fn own_page() -> Key {
    Key::new(REPORTS).join("report.html")
}

/// The page of a run, which knows less.
pub fn run_page(id: &str) -> Key {
    Key::new(REPORTS).join(&format!("{RUN_PAGE}{id}.html"))
}

pub fn is_run_page(key: &Key) -> bool {
    key.file_name().starts_with(RUN_PAGE)
}
/// Who was forgotten.
pub const FORGOTTEN: &str = "forgotten";
/// What a redrive keeps of what it sent, at home.
pub const REDRIVE: &str = "redrive";
const SEGMENT_SUFFIX: &str = ".jsonl.zst";
const IMPORT_SUFFIX: &str = ".json";
pub const ARCHIVES: &str = "landing/archives";
pub const SEGMENTS: &str = "landing/strava";

/// Where all segments lie.
pub fn landing_folder() -> Key {
    Key::new(SEGMENTS)
}

/// Where the segments of a bucket lie.
pub fn segments_of(bucket: Bucket) -> Key {
    landing_folder().join(&bucket.to_string())
}

pub fn segment_key(bucket: Bucket, run: u32, number: u32) -> Key {
    landing_folder().join(&format!("{bucket}/{run:06}-{number:03}{SEGMENT_SUFFIX}"))
}

/// What was read of a bucket's segments, so that they need not be read again.
pub fn walked_key(bucket: Bucket) -> Key {
    landing_folder().join(&format!("{bucket}/walked.bin"))
}

/// The bucket, run and number of a segment.
pub fn segment(key: &Key) -> Option<(Bucket, u32, u32)> {
    let mut parts = key.as_str().rsplit('/');
    let (run, number) = parts.next()?.strip_suffix(SEGMENT_SUFFIX)?.split_once('-')?;
    Some((Bucket(parts.next()?.parse().ok()?), run.parse().ok()?, number.parse().ok()?))
}

/// Where all archives lie.
pub fn archives_folder() -> Key {
    Key::new(ARCHIVES)
}

/// Where the archives of a bucket lie.
pub fn archives_of(bucket: Bucket) -> Key {
    archives_folder().join(&bucket.to_string())
}

pub fn archive_key(bucket: Bucket, sha256: &str) -> Key {
    archives_of(bucket).join(sha256)
}

pub fn import_key(bucket: Bucket, number: u32) -> Key {
    archives_of(bucket).join(&format!("{number:06}{IMPORT_SUFFIX}"))
}

/// The number of an import.
pub fn import(key: &Key) -> Option<u32> {
    key.file_name().strip_suffix(IMPORT_SUFFIX)?.parse().ok()
}
