//! Landing and archives to dataset, in parallel: what is pending of a bucket is parsed on all
//! cores and merged into the bucket's files in one rewrite, however many responses and archives
//! it comes from.
//!
//! Running it again changes nothing. A bucket whose new landing only repeats rows gets them
//! with the newer `fetched_at`.

mod annotate;
mod batch;
mod frames;
mod gone;
mod room;
mod samples;
mod unnamed;
mod zones;

use std::ops::AddAssign;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Error, Result};
use crate::sources::formats::zip::Container;
use crate::sources::{self, Fault, Source};
use crate::store::archives::{self, Import};
use crate::store::dataset::{self, ArchivesRead, FileState, MadeFrom};
use crate::store::each::{Run, WORKERS, each_bucket};
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{self, Position, Segment};
use crate::store::names;
pub use annotate::Annotations;
use batch::{Batches, Collected};
use gone::AllGone;
use room::Room;
pub use unnamed::UnnamedSports;

/// Parsed, or held in columns, before a bucket's files are rewritten; what bounds the memory of a bucket. A bucket that has
/// more is written several times.
const CHUNK_BYTES: usize = 160 << 20;
/// Lines of JSON per byte that they take compressed.
const LINES_PER_BYTE: u64 = 5;
/// Memory that a byte of lines takes until its row is written, roughly.
const MEMORY_PER_BYTE: u64 = 3;
/// The memory of the buckets that are open at a time, for each core: of two cores at least, of as many at most as there
/// are buckets open.
const BYTES_PER_CORE: usize = 112 << 20;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    pub buckets_rewritten: u64,
    pub responses: u64,
    /// Archives that were read.
    pub archives: u64,
    /// Records of archives, whatever became of them.
    pub records: u64,
    /// Records that are sound and no workouts.
    pub not_activities: u64,
    /// Responses and records that say that something is not there any more.
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
    /// Of the activities in the files that were written.
    pub unnamed_sports: UnnamedSports,
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
        self.unnamed_sports += other.unnamed_sports;
    }
}

/// Bytes of landing and archives that are pending, for a progress bar.
pub fn pending_bytes(lake: &Lake) -> Result<u64> {
    lake.buckets().map(|bucket| pending_of(lake, bucket)).sum()
}

/// The same of one bucket.
pub fn pending_of(lake: &Lake, bucket: Bucket) -> Result<u64> {
    let stored = Stored::of(lake, bucket)?;
    let mut pending = 0;
    for source in stored.sources() {
        // What cannot be read is reported by the run.
        let made = dataset::made_from(lake, &lake.activities(source.name(), bucket));
        let made = made.unwrap_or_default().unwrap_or_default();
        pending += stored.pending(source, &made.archives).map(|(_, import)| import.bytes).sum::<u64>();
        if source == Source::Strava {
            pending += made.landing.bytes_behind(&stored.segments);
        }
    }
    Ok(pending)
}

/// Normalizes everything that is pending. `progress` gets the bytes that are done.
pub fn run(lake: &Lake, progress: impl Fn(u64) + Sync) -> Result<Run<Summary>> {
    run_some(lake, &lake.buckets().collect::<Vec<_>>(), progress)
}

/// The same, of some buckets.
pub fn run_some(lake: &Lake, buckets: &[Bucket], progress: impl Fn(u64) + Sync) -> Result<Run<Summary>> {
    let _guard = lake.backend().lock("dataset", "the dataset")?;
    let annotations = Annotations::read(lake)?;
    let room = Room::new(BYTES_PER_CORE * rayon::current_num_threads().clamp(2, WORKERS));
    let work = |bucket| normalize_bucket(lake, bucket, &annotations, &room, &progress);
    let ended = each_bucket(buckets, work)?;
    Ok(Run::of(Summary::default(), ended))
}

/// Whether a bucket is as normalizing it would leave it. Segments are not opened, and rows are not read.
pub fn is_settled(lake: &Lake, bucket: Bucket, annotations: &Annotations) -> Result<bool> {
    let stored = Stored::of(lake, bucket)?;
    for source in stored.sources() {
        let Some(made) = dataset::made_from(lake, &lake.activities(source.name(), bucket))? else {
            return Ok(false);
        };
        let is_read = stored.pending(source, &made.archives).next().is_none()
            && made.archives.below >= stored.next(source)
            && (source != Source::Strava || made.landing.bytes_behind(&stored.segments) == 0);
        if !is_read || made.annotations != annotations.digest(lake, bucket, source) {
            return Ok(false);
        }
    }
    Ok(stored.damaged.is_empty() && zones::is_settled(lake, bucket)?)
}

/// What is stored of a bucket before it is normalized.
struct Stored {
    segments: Vec<Segment>,
    imports: Vec<(u32, Import)>,
    /// Lines of imports that cannot be read, by number.
    damaged: Vec<(u32, String)>,
    /// Whether activities were made from landing that is there no more.
    is_landing_lost: bool,
}

impl Stored {
    fn of(lake: &Lake, bucket: Bucket) -> Result<Stored> {
        let imports = archives::list(lake, bucket)?;
        let segments = landing::segments(lake, bucket)?;
        // What cannot be read is reported by who reads it.
        let read = |key| dataset::made_from(lake, &key).ok().flatten().unwrap_or_default().landing;
        let is_landing_lost = segments.is_empty()
            && read(lake.activities(Source::Strava.name(), bucket)) != Position::default();
        Ok(Stored { segments, imports: imports.imports, damaged: imports.damaged, is_landing_lost })
    }

    /// The sources that something is stored of.
    fn sources(&self) -> impl Iterator<Item = Source> {
        Source::ALL.into_iter().filter(|source| {
            (*source == Source::Strava && (!self.segments.is_empty() || self.is_landing_lost))
                || self.imports.iter().any(|(_, import)| import.source == source.name())
        })
    }

    /// The imports of a source that were not read yet, or have changed or come back since.
    fn pending(&self, source: Source, read: &ArchivesRead) -> impl Iterator<Item = &(u32, Import)> {
        self.imports.iter().filter(move |(number, import)| {
            import.source == source.name()
                && (*number >= read.below
                    || import.in_place.as_ref().is_some_and(|kept| {
                        let now = archives::state_of(&kept.path).ok();
                        read.left_in_place.get(number).is_some_and(|before| now.is_some() && *before != now)
                    }))
        })
    }

    /// The number that all imports of a source are below. Others' do not count: they change nothing of its files.
    fn next(&self, source: Source) -> u32 {
        let own = self.imports.iter().filter(|(_, import)| import.source == source.name());
        own.map(|(number, _)| number + 1).max().unwrap_or(0)
    }
}

fn normalize_bucket(
    lake: &Lake,
    bucket: Bucket,
    annotations: &Annotations,
    room: &Room,
    progress: &(impl Fn(u64) + Sync),
) -> Result<Summary> {
    let stored = Stored::of(lake, bucket)?;
    let mut summary = Summary::default();
    let mut failed = None;
    for source in stored.sources() {
        let work = Work { lake, bucket, source, annotations, room, chunk_bytes: CHUNK_BYTES, progress };
        match work.run(&stored) {
            Ok(done) => summary += done,
            // Its files are as they were; the other sources' are none of its business.
            Err(e) if !e.is_everywhere() => failed = Some(failed.unwrap_or(e)),
            Err(e) => return Err(e),
        }
    }
    if failed.is_none() {
        match zones::settle(lake, bucket) {
            Ok(0) => {}
            Ok(bytes) => {
                summary.written_bytes += bytes;
                summary.buckets_rewritten += 1;
            }
            Err(e) if !e.is_everywhere() => failed = Some(e),
            Err(e) => return Err(e),
        }
    }
    // Sources share a bucket, which counts once.
    summary.buckets_rewritten = summary.buckets_rewritten.min(1);
    if let Some((_, what)) = stored.damaged.first() {
        let what = format!("{what}; restore it from a copy, or delete it and import its archive again");
        failed = Some(failed.unwrap_or(Error::damaged(lake.place(&names::archives_folder()), what)));
    }
    match failed {
        Some(e) => Err(e),
        None => Ok(summary),
    }
}

/// What activities were made from of the landing is still there: a store that lost bytes is no store to go on from.
pub fn check_landing(lake: &Lake, bucket: Bucket) -> Result<()> {
    let made = dataset::made_from(lake, &lake.activities(Source::Strava.name(), bucket))?;
    check_segments(lake, bucket, &landing::segments(lake, bucket)?, made.unwrap_or_default().landing)
}

/// The same of what is known already.
fn check_segments(lake: &Lake, bucket: Bucket, segments: &[Segment], read: Position) -> Result<()> {
    if read == Position::default() {
        return Ok(());
    }
    let is_it = |segment: &&Segment| (segment.run, segment.number) == (read.run, read.number);
    let bytes = segments.iter().find(is_it).map_or(0, |segment| segment.bytes);
    if bytes >= read.offset {
        return Ok(());
    }
    let folder = lake.place(&names::landing_folder());
    Err(Error::damaged(
        folder,
        format!(
            "a segment of run {} in bucket {bucket} ends at byte {bytes}, but the activities were made from {} bytes of it; \
             restore it from a copy, or delete {}: `longrun normalize` makes it anew from what is left, and `longrun fetch \
             --whole-list` asks for the rest",
            read.run,
            read.offset,
            lake.place(&lake.activities(Source::Strava.name(), bucket)).display()
        ),
    ))
}

/// One source of one bucket.
struct Work<'a, P> {
    lake: &'a Lake,
    bucket: Bucket,
    source: Source,
    annotations: &'a Annotations,
    room: &'a Room,
    /// What may be held before it is written.
    chunk_bytes: usize,
    progress: &'a P,
}

impl<P: Fn(u64) + Sync> Work<'_, P> {
    fn run(&self, stored: &Stored) -> Result<Summary> {
        let activities = self.lake.activities(self.source.name(), self.bucket);
        let before = dataset::made_from(self.lake, &activities)?;
        // A file of another schema counts as none: its rows are made anew from everything there is.
        let mut made = before.clone().unwrap_or_default();
        let mut summary = Summary::default();
        let mut rows = Batches::default();
        let pending: Vec<&(u32, Import)> = stored.pending(self.source, &made.archives).collect();
        let _share = self.room.take(self.needs(stored, &pending, made.landing));
        if self.source == Source::Strava {
            check_segments(self.lake, self.bucket, &stored.segments, made.landing)?;
            self.take_landing(&mut rows, &mut made, &mut summary)?;
        }
        for (number, import) in pending {
            let state = self.take_archive(import, &mut rows, &made, &mut summary)?;
            if import.in_place.is_some() {
                if state.is_some() && made.archives.left_in_place.contains_key(number) {
                    rows.read_again.push(archives::raw_ref(self.bucket, import));
                }
                made.archives.left_in_place.insert(*number, state);
            }
            rows.summary.archives += 1;
            rows.summary.archive_bytes += import.bytes;
            (self.progress)(import.bytes);
        }
        made.archives.below = made.archives.below.max(stored.next(self.source));
        made.annotations = self.annotations.digest(self.lake, self.bucket, self.source);
        if before.as_ref().is_none_or(|before| made.is_further_than(before)) {
            self.commit(&mut rows, &made, &mut summary)?;
        }
        Ok(summary)
    }

    /// The memory for what is pending, roughly.
    fn needs(&self, stored: &Stored, pending: &[&(u32, Import)], landing: Position) -> usize {
        let landed = if self.source == Source::Strava { landing.bytes_behind(&stored.segments) } else { 0 };
        let imported: u64 = pending.iter().map(|(_, import)| import.bytes).sum();
        let bytes = MEMORY_PER_BYTE * LINES_PER_BYTE * (landed + imported);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn commit(&self, rows: &mut Batches, made: &MadeFrom, summary: &mut Summary) -> Result<()> {
        // A file that is written again has all of its rows counted again.
        (summary.unnamed_sports, summary.activities) = (UnnamedSports::default(), 0);
        *summary += std::mem::take(rows).commit(
            self.lake,
            self.bucket,
            self.source,
            made.clone(),
            self.annotations,
            || self.gone(),
        )?;
        summary.buckets_rewritten = 1;
        Ok(())
    }

    /// What the whole of the landing says is gone.
    fn gone(&self) -> Result<AllGone> {
        if self.source == Source::Strava {
            gone::landed(self.lake, self.bucket)
        } else {
            Ok(AllGone::default())
        }
    }

    /// Takes an archive, and gives the state that it was read in: None where it was left in its place and is out of
    /// reach, which does not stop the others. Where it is larger than what may be held, its first part is written
    /// without the archive counting as read: a run that is cut there reads it again.
    fn take_archive(
        &self,
        import: &Import,
        rows: &mut Batches,
        made: &MadeFrom,
        summary: &mut Summary,
    ) -> Result<Option<FileState>> {
        let mut from = sources::ReadFrom {
            user_id: import.user_id.clone(),
            source: self.source,
            account_id: None,
            fetched_at: import.imported_at,
            raw_ref: archives::raw_ref(self.bucket, import),
            zone: import.zone.as_deref().and_then(|name| TimeZone::get(name).ok()),
            only_counts: false,
        };
        let mut collected = Collected::default();
        let opened = archives::find(self.lake, self.bucket, import).and_then(|found| {
            let scratch = self.lake.backend().scratch()?;
            Ok((Container::open(&found.path, &import.name, &scratch)?, found.state))
        });
        let (archive, state) = match opened {
            Ok(opened) => opened,
            Err(e) if import.in_place.is_some() => {
                collected.reject(&from.reject("archive", "", &Fault::record(e.to_string()), false));
                rows.add(collected.finish());
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        if let Some(kept) = &import.in_place
            && state.modified_ms != kept.modified_ms
            && let Ok(changed_at) = Timestamp::from_millisecond(state.modified_ms)
        {
            // What it says now is newer than what it said when it was imported.
            from.fetched_at = from.fetched_at.max(changed_at);
        }
        sources::read(self.source, &archive, &from, &mut |item| {
            collected.item(item, &from);
            if rows.bytes + collected.bytes >= self.chunk_bytes {
                rows.add(std::mem::take(&mut collected).finish());
                self.commit(rows, made, summary)?;
            }
            Ok(())
        })?;
        rows.add(collected.finish());
        Ok(Some(state))
    }
}
