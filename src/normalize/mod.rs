//! Landing and archives to dataset, in parallel: what is pending of a bucket is parsed on all
//! cores and merged into the bucket's files in one rewrite, however many responses and archives
//! it comes from.
//!
//! Running it again changes nothing. A bucket whose new landing only repeats rows gets them
//! with the newer `fetched_at`.

mod annotate;
mod batch;

use std::ops::AddAssign;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::model::activity::Reject;
use crate::sources::{self, Fault, Parsed, Source, strava};
use crate::store::archives;
use crate::store::dataset::{self, Provenance};
use crate::store::lake::{self, Bucket, Lake};
use crate::store::landing::{Ask, Frame, Frames, Header};
use crate::store::local::Lock;
use annotate::Annotations;
use batch::{Filling, Rows};

/// Parsed, or held in columns, before a bucket's files are rewritten; what bounds the memory of a bucket.
const CHUNK_BYTES: usize = 192 << 20;
/// Parsed by one core into one batch of rows.
const GROUP_BYTES: usize = 2 << 20;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    pub buckets_rewritten: u64,
    pub responses: u64,
    /// Archives that were read.
    pub archives: u64,
    /// Records of archives, whatever became of them.
    pub records: u64,
    /// Records that are sound and no workouts.
    pub not_activities: u64,
    /// Responses that say that something is not there any more.
    pub gone: u64,
    /// Rows that were not there before.
    pub activities_added: u64,
    pub activities: u64,
    pub streams: u64,
    pub points: u64,
    pub rejects: u64,
    pub landing_bytes: u64,
    pub archive_bytes: u64,
    pub json_bytes: u64,
    pub written_bytes: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Summary) {
        self.buckets_rewritten += other.buckets_rewritten;
        self.responses += other.responses;
        self.archives += other.archives;
        self.records += other.records;
        self.not_activities += other.not_activities;
        self.gone += other.gone;
        self.activities_added += other.activities_added;
        self.activities += other.activities;
        self.streams += other.streams;
        self.points += other.points;
        self.rejects += other.rejects;
        self.landing_bytes += other.landing_bytes;
        self.archive_bytes += other.archive_bytes;
        self.json_bytes += other.json_bytes;
        self.written_bytes += other.written_bytes;
    }
}

/// Bytes of landing and archives that are pending, for a progress bar.
pub fn pending_bytes(lake: &Lake) -> Result<u64> {
    let mut pending = 0;
    for bucket in lake.buckets() {
        let imports = archives::list(lake, bucket)?;
        let landed = std::fs::metadata(lake.landing(bucket)).map_or(0, |m| m.len());
        for source in Source::ALL {
            let is_told = imports.iter().any(|(import, _)| import.source == source);
            if !is_told && (source != Source::Strava || landed == 0) {
                continue;
            }
            let taken = dataset::provenance(&lake.activities(source.name(), bucket))?.unwrap_or_default();
            let new = imports.iter().filter(|(i, end)| i.source == source && *end > taken.archives_offset);
            pending += new.map(|(import, _)| import.bytes).sum::<u64>();
            if source == Source::Strava {
                pending += landed.saturating_sub(taken.landing_offset);
            }
        }
    }
    Ok(pending)
}

/// Normalizes everything that is pending. `progress` is told of bytes that are done.
pub fn run(lake: &Lake, progress: impl Fn(u64) + Sync) -> Result<Summary> {
    let _lock = Lock::take(&lake.activities_folder(), "the dataset")?;
    let annotations = Annotations::read(lake)?;
    let is_used = |bucket: &Bucket| lake.landing(*bucket).exists() || lake.archives_log(*bucket).exists();
    let buckets: Vec<Bucket> = lake.buckets().filter(is_used).collect();
    let mut total = Summary::default();
    let done = lake::each_bucket(&buckets, |bucket| normalize_bucket(lake, bucket, &annotations, &progress))?;
    done.into_iter().for_each(|summary| total += summary);
    Ok(total)
}

fn normalize_bucket(
    lake: &Lake,
    bucket: Bucket,
    annotations: &Annotations,
    progress: &(impl Fn(u64) + Sync),
) -> Result<Summary> {
    let imports = archives::list(lake, bucket)?;
    let mut summary = Summary::default();
    for source in Source::ALL {
        let of_source: Vec<_> = imports.iter().filter(|(import, _)| import.source == source).collect();
        if !of_source.is_empty() || (source == Source::Strava && lake.landing(bucket).exists()) {
            let work = Work { lake, bucket, source, annotations, progress };
            summary += work.run(&of_source)?;
        }
    }
    // Sources share a bucket, which counts once.
    summary.buckets_rewritten = summary.buckets_rewritten.min(1);
    Ok(summary)
}

/// One source of one bucket.
struct Work<'a, P> {
    lake: &'a Lake,
    bucket: Bucket,
    source: Source,
    annotations: &'a Annotations,
    progress: &'a P,
}

impl<P: Fn(u64) + Sync> Work<'_, P> {
    fn run(&self, imports: &[&(archives::Import, u64)]) -> Result<Summary> {
        let activities = self.lake.activities(self.source.name(), self.bucket);
        let before = dataset::provenance(&activities)?;
        // A file of another schema counts as none: its rows are made anew from everything there is.
        let mut taken = before.unwrap_or_default();
        let mut summary = Summary::default();
        let mut rows = Rows::default();
        if self.source == Source::Strava {
            self.take_landing(&mut rows, &mut taken, &mut summary)?;
        }
        let taken_before = taken.archives_offset;
        for (import, end) in imports.iter().filter(|(_, end)| *end > taken_before) {
            self.take_archive(import, &mut rows, taken, &mut summary)?;
            taken.archives_offset = *end;
            rows.summary.archives += 1;
            rows.summary.archive_bytes += import.bytes;
            (self.progress)(import.bytes);
        }
        let is_marked_anew = before
            .is_some_and(|p| p.annotations != self.annotations.digest(self.lake, self.bucket, self.source));
        let is_new = before.is_none_or(|before| before != Provenance { origins: before.origins, ..taken });
        if is_new || is_marked_anew {
            self.commit(&mut rows, taken, &mut summary)?;
        }
        if summary.buckets_rewritten > 0 {
            summary.activities = dataset::row_count(&activities)?;
        }
        Ok(summary)
    }

    fn commit(&self, rows: &mut Rows, taken: Provenance, summary: &mut Summary) -> Result<()> {
        *summary +=
            std::mem::take(rows).commit(self.lake, self.bucket, self.source, taken, self.annotations)?;
        summary.buckets_rewritten = 1;
        Ok(())
    }

    /// Takes the responses that have landed. The last chunk of them is left in `rows`, so that archives
    /// join it.
    fn take_landing(&self, rows: &mut Rows, taken: &mut Provenance, summary: &mut Summary) -> Result<()> {
        let landing = self.lake.landing(self.bucket);
        let landed = match std::fs::metadata(&landing) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
            Err(e) => return Err(Error::io("read", &landing)(e)),
        };
        if taken.landing_offset > landed {
            return Err(Error::damaged(
                &landing,
                format!(
                    "it ends at byte {landed}, but {} was made from {} bytes of it; restore it from a copy",
                    self.lake.relative(&self.lake.activities(self.source.name(), self.bucket)),
                    taken.landing_offset
                ),
            ));
        }
        let name = self.lake.relative(&landing);
        let mut frames = Frames::open(&landing, taken.landing_offset)?;
        loop {
            let mut chunk = Vec::new();
            let mut chunk_bytes = 0;
            while chunk_bytes < CHUNK_BYTES
                && let Some(frame) = frames.next().transpose()?
            {
                chunk_bytes += frame.line_bytes();
                chunk.push(frame);
            }
            let Some(last) = chunk.last() else { return Ok(()) };
            if rows.bytes > 0 {
                self.commit(rows, *taken, summary)?;
            }
            let bytes = last.end() - taken.landing_offset;
            taken.landing_offset = last.end();
            let parsed: Vec<Rows> = groups(chunk).into_par_iter().map(|group| parse(&name, group)).collect();
            parsed.into_iter().for_each(|group| rows.add(group));
            rows.bytes = rows.bytes.max(chunk_bytes).max(1);
            rows.summary.landing_bytes += bytes;
            (self.progress)(bytes);
        }
    }

    /// Takes an archive. Where it is larger than what may be held, its first part is written without the
    /// archive counting as taken: a run that is cut there reads it again.
    fn take_archive(
        &self,
        import: &archives::Import,
        rows: &mut Rows,
        taken: Provenance,
        summary: &mut Summary,
    ) -> Result<()> {
        let from = import.provenance(self.lake);
        let mut filling = Filling::default();
        let archive = match archives::open(self.lake, import) {
            Ok(archive) => archive,
            // One that was left in its place may be gone from there: the others are read all the same.
            Err(e) if import.in_place.is_some() => {
                filling.reject(&from.reject("archive", "", &Fault::record(e.to_string()), false));
                rows.add(filling.finish());
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        sources::read(self.source, &archive, &from, &mut |item| {
            filling.item(item, &from);
            if rows.bytes + filling.bytes >= CHUNK_BYTES {
                rows.add(std::mem::take(&mut filling).finish());
                self.commit(rows, taken, summary)?;
            }
            Ok(())
        })?;
        rows.add(filling.finish());
        Ok(())
    }
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

fn parse(landing: &str, frames: Vec<Frame>) -> Rows {
    let mut filling = Filling::default();
    for frame in frames {
        let raw_ref = format!("{landing}@{}", frame.offset);
        filling.summary.responses += 1;
        filling.summary.json_bytes += frame.line_bytes() as u64;
        match frame.open() {
            Ok((header, body)) => take(&mut filling, &frame, header, body, raw_ref),
            // A frame that cannot be opened belongs to nobody that is known.
            Err(reason) => filling.reject(&Reject {
                source: strava::SOURCE.to_string(),
                kind: "frame".to_string(),
                reason,
                raw_ref,
                ..Reject::default()
            }),
        }
    }
    filling.finish()
}

/// Takes what a response says.
fn take(filling: &mut Filling, frame: &Frame, header: Header, mut body: Vec<u8>, raw_ref: String) {
    if header.status != 200 {
        filling.summary.gone += 1;
        return;
    }
    let from = sources::ReadFrom {
        user_id: header.user_id,
        source: Source::Strava,
        account_id: Some(header.account_id),
        fetched_at: header.fetched_at,
        raw_ref,
        zone: None,
    };
    match header.ask {
        Ask::List { .. } => {
            let again = || frame.open().expect("it opened before").1;
            let read = strava::api::activity_list(&mut body, again, &from, |index, taken| {
                take_activity(filling, "list", &from, index, taken);
            });
            if let Err(reason) = read {
                reject(filling, "list", &from, 0, &Fault::record(reason), false);
            }
        }
        Ask::Detail { id, .. } => {
            let taken =
                strava::api::activity_detail(&mut body, &from).map_err(|fault| match fault.source_id {
                    Some(_) => fault,
                    None => fault.of(Some(&id)),
                });
            take_activity(filling, "detail", &from, 0, taken);
        }
        Ask::Streams { id, start_s } => {
            match strava::api::activity_streams(&mut body, &id, strava::api::start_time(start_s), &from) {
                Ok(streams) => filling.streams(&streams),
                Err(fault) => reject(filling, "streams", &from, 0, &fault, false),
            }
        }
    }
}

fn take_activity(
    filling: &mut Filling,
    kind: &str,
    from: &sources::ReadFrom,
    index: usize,
    taken: Result<Parsed, Fault>,
) {
    match taken {
        Ok(taken) => {
            for fault in &taken.faults {
                reject(filling, kind, from, index, fault, true);
            }
            filling.activity(&taken.activity);
        }
        Err(fault) => reject(filling, kind, from, index, &fault, false),
    }
}

fn reject(
    filling: &mut Filling,
    kind: &str,
    from: &sources::ReadFrom,
    index: usize,
    fault: &Fault,
    record_kept: bool,
) {
    filling.reject(&from.reject(kind, &format!("#{index}"), fault, record_kept));
}
