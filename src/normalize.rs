//! Landing to dataset, in parallel: what is pending of a bucket is parsed frame by frame on all
//! cores and merged into the bucket's files in one rewrite.
//!
//! Running it again changes nothing. A bucket whose new landing only repeats rows gets them
//! with the newer `fetched_at`.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use rayon::prelude::*;

use crate::activity::{Activity, ActivityColumns, Reject, RejectColumns, Streams, StreamsColumns};
use crate::dataset::columns::Columns;
use crate::dataset::merge::merge;
use crate::dataset::{self, Provenance, Table, batch};
use crate::error::{Error, Result};
use crate::files::Lock;
use crate::lake::{Bucket, Lake};
use crate::landing::{Ask, Frame, Frames, Header};
use crate::sources::{Fault, strava};

/// Parsed together before a bucket's files are rewritten; what bounds the memory of a bucket.
const CHUNK_BYTES: usize = 192 << 20;
/// Parsed by one core into one batch of rows.
const GROUP_BYTES: usize = 2 << 20;

/// Besides one per core, because a worker that syncs a file waits for the disk.
const WORKERS_AT_THE_DISK: usize = 1;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    pub buckets_rewritten: u64,
    pub responses: u64,
    /// Responses that say that something is not there any more.
    pub gone: u64,
    /// Rows that were not there before.
    pub activities_added: u64,
    pub activities: u64,
    pub streams: u64,
    pub points: u64,
    pub rejects: u64,
    pub landing_bytes: u64,
    pub json_bytes: u64,
    pub written_bytes: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Summary) {
        self.buckets_rewritten += other.buckets_rewritten;
        self.responses += other.responses;
        self.gone += other.gone;
        self.activities_added += other.activities_added;
        self.activities += other.activities;
        self.streams += other.streams;
        self.points += other.points;
        self.rejects += other.rejects;
        self.landing_bytes += other.landing_bytes;
        self.json_bytes += other.json_bytes;
        self.written_bytes += other.written_bytes;
    }
}

/// Bytes of landing that are pending, for a progress bar.
pub fn pending_bytes(lake: &Lake) -> Result<u64> {
    let mut pending = 0;
    for bucket in lake.buckets() {
        let landed = std::fs::metadata(lake.landing(bucket)).map_or(0, |m| m.len());
        if landed > 0 {
            let taken = dataset::provenance(&lake.activities(strava::SOURCE, bucket))?;
            pending += landed.saturating_sub(taken.map_or(0, |p| p.landing_offset));
        }
    }
    Ok(pending)
}

/// Normalizes everything that is pending. `progress` is told of landing bytes that are done.
pub fn run(lake: &Lake, progress: impl Fn(u64) + Sync) -> Result<Summary> {
    let _lock = Lock::take(&lake.activities_folder(), "the dataset")?;
    let buckets: Vec<Bucket> = lake.buckets().filter(|b| lake.landing(*b).exists()).collect();
    let next = AtomicU64::new(0);
    let total = Mutex::new(Ok(Summary::default()));
    // Few buckets are open at a time, which bounds the memory. Their frames are parsed on
    // rayon's threads; those must not start on another bucket while they wait.
    std::thread::scope(|scope| {
        for _ in 0..(rayon::current_num_threads() + WORKERS_AT_THE_DISK).min(buckets.len()) {
            scope.spawn(|| {
                while let Some(bucket) = buckets.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let done = normalize_bucket(lake, *bucket, &progress);
                    let mut total = total.lock().expect("no thread panics while it holds this");
                    match (&mut *total, done) {
                        (Ok(sum), Ok(done)) => *sum += done,
                        (Ok(_), Err(e)) => *total = Err(e),
                        (Err(_), _) => {}
                    }
                    if total.is_err() {
                        break;
                    }
                }
            });
        }
    });
    total.into_inner().expect("no thread panics while it holds this")
}

fn normalize_bucket(lake: &Lake, bucket: Bucket, progress: &(impl Fn(u64) + Sync)) -> Result<Summary> {
    let landing = lake.landing(bucket);
    let activities = lake.activities(strava::SOURCE, bucket);
    // A file of another schema counts as none: its rows are made anew from the whole landing.
    let mut offset = dataset::provenance(&activities)?.unwrap_or_default().landing_offset;
    let landed = std::fs::metadata(&landing).map_err(Error::io("read", &landing))?.len();
    if offset > landed {
        return Err(Error::damaged(
            &landing,
            format!(
                "it ends at byte {landed}, but {} was made from {offset} bytes of it; restore it from a copy",
                lake.relative(&activities)
            ),
        ));
    }
    let mut summary = Summary::default();
    let mut frames = Frames::open(&landing, offset)?;
    loop {
        let mut chunk = Vec::new();
        let mut chunk_bytes = 0;
        while chunk_bytes < CHUNK_BYTES
            && let Some(frame) = frames.next().transpose()?
        {
            chunk_bytes += frame.line_bytes();
            chunk.push(frame);
        }
        let Some(last) = chunk.last() else { break };
        let landing_bytes = last.end() - offset;
        offset = last.end();
        summary += commit(lake, bucket, chunk, Provenance { landing_offset: offset })?;
        summary.landing_bytes += landing_bytes;
        summary.buckets_rewritten = 1;
        progress(landing_bytes);
    }
    summary.activities = if summary.buckets_rewritten > 0 { dataset::row_count(&activities)? } else { 0 };
    Ok(summary)
}

/// Takes frames into the bucket's files: streams and rejects first, the activities, which say
/// how far the landing was taken, last.
fn commit(lake: &Lake, bucket: Bucket, frames: Vec<Frame>, provenance: Provenance) -> Result<Summary> {
    let landing = lake.relative(&lake.landing(bucket));
    let groups = groups(frames);
    let parsed: Vec<Parsed> = groups.into_par_iter().map(|group| parse(&landing, group)).collect();
    let mut summary = Summary::default();
    let mut activities = Vec::new();
    let mut streams: BTreeMap<i16, Vec<RecordBatch>> = BTreeMap::new();
    let mut rejects = Vec::new();
    for group in parsed {
        summary += group.summary;
        activities.push(group.activities);
        rejects.push(group.rejects);
        for (year, batch) in group.streams {
            streams.entry(year).or_default().push(batch);
        }
    }
    let upsert = |table: Table, path: &std::path::Path, new: Vec<RecordBatch>| -> Result<u64> {
        let is_current = dataset::provenance(path)?.is_some();
        let mut versions = if is_current { dataset::read(path, None)? } else { Vec::new() };
        versions.extend(new);
        dataset::write(path, table, provenance, merge(table, &versions))
    };
    for (year, batches) in streams {
        summary.written_bytes +=
            upsert(Table::Streams, &lake.streams(strava::SOURCE, bucket, year), batches)?;
    }
    if summary.rejects > 0 {
        summary.written_bytes += upsert(Table::Rejects, &lake.rejects(strava::SOURCE, bucket), rejects)?;
    }
    let path = lake.activities(strava::SOURCE, bucket);
    let rows_before = if dataset::provenance(&path)?.is_some() { dataset::row_count(&path)? } else { 0 };
    summary.written_bytes += upsert(Table::Activities, &path, activities)?;
    summary.activities_added = dataset::row_count(&path)?.saturating_sub(rows_before);
    Ok(summary)
}

fn groups(frames: Vec<Frame>) -> Vec<Vec<Frame>> {
    let mut groups = Vec::new();
    let mut group = Vec::new();
    let mut bytes = 0;
    for frame in frames {
        bytes += frame.line_bytes();
        group.push(frame);
        if bytes >= GROUP_BYTES {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
    }
    groups.push(group);
    groups
}

/// The rows of some frames.
struct Parsed {
    summary: Summary,
    activities: RecordBatch,
    streams: Vec<(i16, RecordBatch)>,
    rejects: RecordBatch,
}

/// Columns that fill while frames are parsed.
#[derive(Default)]
struct Filling {
    summary: Summary,
    activities: ActivityColumns,
    streams: BTreeMap<i16, StreamsColumns>,
    rejects: RejectColumns,
}

fn parse(landing: &str, frames: Vec<Frame>) -> Parsed {
    let mut filling = Filling::default();
    for frame in frames {
        let raw_ref = format!("{landing}@{}", frame.offset);
        filling.summary.responses += 1;
        filling.summary.json_bytes += frame.line_bytes() as u64;
        match frame.open() {
            Ok((header, body)) => filling.take(&frame, header, body, raw_ref),
            Err(e) => filling.reject_frame(raw_ref, e),
        }
    }
    Parsed {
        summary: filling.summary,
        activities: batch::<Activity>(&mut filling.activities),
        streams: filling
            .streams
            .into_iter()
            .map(|(year, mut columns)| (year, batch::<Streams>(&mut columns)))
            .collect(),
        rejects: batch::<Reject>(&mut filling.rejects),
    }
}

impl Filling {
    fn take(&mut self, frame: &Frame, header: Header, mut body: Vec<u8>, raw_ref: String) {
        if header.status != 200 {
            self.summary.gone += 1;
            return;
        }
        let from = strava::Provenance {
            user_id: header.user_id,
            account_id: header.account_id,
            fetched_at: header.fetched_at,
            raw_ref,
        };
        match header.ask {
            Ask::List { .. } => {
                let again = || frame.open().expect("it opened before").1;
                let read = strava::activity_list(&mut body, again, &from, |index, taken| {
                    self.take_activity("list", &from, index, taken);
                });
                if let Err(reason) = read {
                    self.reject("list", &from, 0, &Fault::record(reason), false);
                }
            }
            Ask::Detail { id, .. } => {
                let taken =
                    strava::activity_detail(&mut body, &from).map_err(|fault| match fault.source_id {
                        Some(_) => fault,
                        None => fault.of(Some(&id)),
                    });
                self.take_activity("detail", &from, 0, taken);
            }
            Ask::Streams { id, start_s } => {
                let start_time = strava::start_time(start_s);
                match strava::activity_streams(&mut body, &id, start_time, &from) {
                    Ok(streams) => {
                        self.summary.streams += 1;
                        let year = start_time.to_zoned(jiff::tz::TimeZone::UTC).year();
                        self.streams.entry(year).or_default().push(&streams);
                    }
                    Err(fault) => self.reject("streams", &from, 0, &fault, false),
                }
            }
        }
    }

    fn take_activity(
        &mut self,
        kind: &str,
        from: &strava::Provenance,
        index: usize,
        taken: Result<strava::Taken, Fault>,
    ) {
        match taken {
            Ok(taken) => {
                for fault in &taken.faults {
                    self.reject(kind, from, index, fault, true);
                }
                self.summary.points += taken.activity.track_lat_e5.as_ref().map_or(0, Vec::len) as u64;
                self.activities.push(&taken.activity);
            }
            Err(fault) => self.reject(kind, from, index, &fault, false),
        }
    }

    fn reject(
        &mut self,
        kind: &str,
        from: &strava::Provenance,
        index: usize,
        fault: &Fault,
        record_kept: bool,
    ) {
        self.summary.rejects += 1;
        self.rejects.push(&Reject {
            user_id: from.user_id.clone(),
            source: strava::SOURCE.to_string(),
            kind: kind.to_string(),
            source_id: fault.source_id.clone(),
            field: fault.field.clone(),
            reason: fault.reason.clone(),
            record_kept,
            raw_ref: format!("{}#{index}", from.raw_ref),
            fetched_at: from.fetched_at,
        });
    }

    /// A frame that cannot be opened belongs to nobody that is known.
    fn reject_frame(&mut self, raw_ref: String, reason: String) {
        self.summary.rejects += 1;
        self.rejects.push(&Reject {
            source: strava::SOURCE.to_string(),
            kind: "frame".to_string(),
            reason,
            raw_ref,
            ..Reject::default()
        });
    }
}
