//! Rows on their way into a bucket's files: collected in columns while archives and responses
//! are read, and written in one rewrite.

use std::cell::RefCell;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::annotate::Annotations;
use super::gone::AllGone;
use super::samples::Samples;
use super::{Summary, UnnamedSports, gone, zones};
use crate::error::Result;
use crate::model::activity::{Activity, ActivityColumns, Reject, RejectColumns, Streams, StreamsColumns};
use crate::model::columns::Columns;
use crate::sources::{self, ArchiveItem, Fault, Found, Parsed, Source};
use crate::store::dataset::cells::Rows;
use crate::store::dataset::merge::{coalesce, merge};
use crate::store::dataset::{self, MadeFrom, Origins, Table, batch};
use crate::store::lake::{Bucket, Lake};

thread_local! {
    /// Columns with memory for as much as they collected last.
    static COLUMNS: RefCell<ActivityColumns> = RefCell::default();
}

/// Rows of one source, in columns, while they are collected.
#[derive(Default)]
pub struct Collected {
    pub summary: Summary,
    api: ActivityColumns,
    archive: ActivityColumns,
    gone: Option<ActivityColumns>,
    origins: Origins,
    streams: Option<StreamsColumns>,
    rejects: RejectColumns,
    /// What the columns take in memory, roughly.
    pub bytes: usize,
    /// Whether something was read that can tell that a record is gone.
    pub tells_of_ends: bool,
}

/// Rows of one source, as batches.
#[derive(Default)]
pub struct Batches {
    pub summary: Summary,
    api: Vec<RecordBatch>,
    archive: Vec<RecordBatch>,
    /// Records that their source no longer has.
    gone: Vec<RecordBatch>,
    origins: Origins,
    streams: Vec<RecordBatch>,
    rejects: Vec<RecordBatch>,
    /// Archives that were read again: what an earlier reading had against them is no more.
    pub read_again: Vec<String>,
    pub bytes: usize,
    tells_of_ends: bool,
}

impl Collected {
    /// With the columns that this thread collected in before.
    pub fn again() -> Collected {
        Collected { api: COLUMNS.take(), ..Collected::default() }
    }

    pub fn activity(&mut self, activity: &Activity) {
        let points = activity.track_lat_e5.as_ref().map_or(0, Vec::len);
        self.summary.points += points as u64;
        self.bytes += 1024 + 8 * points;
        if activity.origin == "api" {
            self.origins.api = true;
            self.api.push(activity);
        } else {
            self.origins.archive = true;
            self.archive.push(activity);
        }
    }

    pub fn streams(&mut self, streams: Streams) {
        self.summary.streams += 1;
        self.bytes += 60 * streams.samples.unsigned_abs() as usize;
        self.streams.get_or_insert_default().push(&streams.counted());
    }

    pub fn reject(&mut self, reject: &Reject) {
        self.summary.rejects += 1;
        self.bytes += 512;
        self.rejects.push(reject);
    }

    /// Takes what stood at one place of an archive.
    pub fn item(&mut self, item: ArchiveItem, from: &sources::ReadFrom) {
        self.summary.records += 1;
        let reject = |fault: &Fault, record_kept: bool| from.reject(item.kind, &item.at, fault, record_kept);
        match item.found {
            Found::NoActivity => self.summary.not_activities += 1,
            Found::Fault(fault) => self.reject(&reject(&fault, false)),
            Found::Gone(gone) => {
                self.summary.gone += 1;
                self.bytes += 512;
                self.gone.get_or_insert_default().push(&gone::row(gone, &item.at, from));
            }
            Found::Activity(taken) => self.parsed(taken, reject),
        }
    }

    /// Takes an activity, after the checks that every source's activities pass.
    pub fn parsed(&mut self, mut taken: Box<Parsed>, reject: impl Fn(&Fault, bool) -> Reject) {
        sources::check(&mut taken);
        taken.faults.iter().for_each(|fault| self.reject(&reject(fault, true)));
        self.activity(&taken.activity);
        taken.streams.into_iter().for_each(|streams| self.streams(streams));
    }

    pub fn finish(mut self) -> Batches {
        let has_rejects = self.summary.rejects > 0;
        let mut rows = Batches {
            summary: self.summary,
            origins: self.origins,
            bytes: self.bytes,
            tells_of_ends: self.tells_of_ends,
            ..Batches::default()
        };
        if self.origins.api {
            rows.api.push(batch::<Activity>(&mut self.api));
        }
        COLUMNS.set(self.api);
        if self.origins.archive {
            rows.archive.push(batch::<Activity>(&mut self.archive));
        }
        rows.gone.extend(self.gone.as_mut().map(batch::<Activity>));
        if has_rejects {
            rows.rejects.push(batch::<Reject>(&mut self.rejects));
        }
        rows.streams.extend(self.streams.as_mut().map(batch::<Streams>));
        rows
    }
}

impl Batches {
    pub fn add(&mut self, other: Batches) {
        self.summary += other.summary;
        self.api.extend(other.api);
        self.archive.extend(other.archive);
        self.gone.extend(other.gone);
        self.origins.api |= other.origins.api;
        self.origins.archive |= other.origins.archive;
        self.streams.extend(other.streams);
        self.rejects.extend(other.rejects);
        self.read_again.extend(other.read_again);
        self.bytes += other.bytes;
        self.tells_of_ends |= other.tells_of_ends;
    }

    /// Writes the rows among those of the bucket: streams and rejects first, the activities, which
    /// say how far landing and archives were taken, last.
    pub fn commit(
        self,
        lake: &Lake,
        bucket: Bucket,
        source: Source,
        made: MadeFrom,
        annotations: &Annotations,
        landed_gone: impl FnOnce() -> Result<AllGone>,
    ) -> Result<Summary> {
        let mut summary = self.summary;
        let name = source.name();
        let activities = lake.activities(name, bucket);
        let before = dataset::made_from(lake, &activities)?;
        let origins_before = before.as_ref().map_or_else(Origins::default, |before| before.origins);
        let origins = Origins {
            api: origins_before.api || self.origins.api,
            archive: origins_before.archive || self.origins.archive,
        };
        // What is proposed for starts without a zone is proposed anew for rows that are new.
        let annotated = annotations.digest(lake, bucket, source);
        let made = MadeFrom { origins, annotations: annotated, datasets: 0, ..made };
        let samples = Samples { lake, bucket, source: name, made: &made };
        summary.written_bytes += samples.commit(&self.streams)?;
        drop(self.streams);
        if !self.rejects.is_empty() || !self.read_again.is_empty() {
            let key = lake.rejects(name, bucket);
            let mut versions = dataset::current(lake, &key)?;
            versions.iter_mut().for_each(|batch| *batch = without(batch, &self.read_again));
            versions.extend(self.rejects);
            let rows = merge(Table::Rejects, &versions);
            summary.written_bytes += dataset::write(lake, &key, Table::Rejects, &made, rows)?;
        }
        // The whole landing is asked only where it can have something to say.
        let may_be_gone =
            self.tells_of_ends || dataset::greatest_word(lake, &activities, gone::WHY)?.is_some();
        let landed_gone = if may_be_gone { landed_gone()? } else { AllGone::default() };
        let gone = gone::keep(lake, bucket, source, &made, self.gone, &mut summary)?;
        let rows_before = if before.is_some() { dataset::row_count(lake, &activities)? } else { 0 };
        let mut unnamed = UnnamedSports::default();
        let marked =
            |rows: RecordBatch| annotations.apply(source, &gone.mark(&landed_gone, rows), &mut unnamed);
        let unmarked = || -> Result<Vec<RecordBatch>> {
            Ok(gone::without(zones::without(dataset::current(lake, &activities)?)))
        };
        if origins.are_both() {
            // Each origin's rows are kept by themselves: what one of them says later must not hide
            // what the other one said.
            let mut parts = Vec::new();
            for (origin, is_only_one, new) in [
                ("api", origins_before.api && !origins_before.archive, self.api),
                ("archive", origins_before.archive && !origins_before.api, self.archive),
            ] {
                let part = lake.origins(name, origin, bucket);
                let mut versions = match (is_only_one, origins_before.are_both()) {
                    (true, _) => unmarked()?,
                    (false, true) => dataset::current(lake, &part)?,
                    (false, false) => Vec::new(),
                };
                versions.extend(new);
                let merged: Vec<RecordBatch> = merge(Table::Activities, &versions).collect();
                summary.written_bytes +=
                    dataset::write(lake, &part, Table::Activities, &made, merged.clone())?;
                parts.push(merged);
            }
            let lacks_zones = parts.iter().any(|part| zones::lacks_zones(part));
            let rows = coalesce(&parts[0], &parts[1]).map(marked).collect();
            drop(parts);
            summary.written_bytes += write_activities(lake, bucket, name, made, lacks_zones, rows)?;
        } else {
            let mut versions: Vec<RecordBatch> = unmarked()?;
            versions.extend(self.api);
            versions.extend(self.archive);
            let rows = merge(Table::Activities, &versions).map(marked);
            if zones::lacks_zones(&versions) {
                let rows = rows.collect();
                summary.written_bytes += write_activities(lake, bucket, name, made, true, rows)?;
            } else {
                summary.written_bytes += dataset::write(lake, &activities, Table::Activities, &made, rows)?;
            }
        }
        summary.unnamed_sports += unnamed;
        summary.activities = dataset::row_count(lake, &activities)?;
        summary.activities_added = summary.activities.saturating_sub(rows_before);
        Ok(summary)
    }
}

/// Writes the activities of a source, with proposals where some of them lack zones.
fn write_activities(
    lake: &Lake,
    bucket: Bucket,
    source: &str,
    made: MadeFrom,
    lacks_zones: bool,
    rows: Vec<RecordBatch>,
) -> Result<u64> {
    let key = lake.activities(source, bucket);
    if !lacks_zones {
        return dataset::write(lake, &key, Table::Activities, &made, rows);
    }
    match zones::propose(lake, bucket, source, &made, &rows) {
        Ok((made, rows)) => dataset::write(lake, &key, Table::Activities, &made, rows),
        // Another source's file cannot be read, which is none of this one's business and is said behind it.
        Err(e) if !e.is_everywhere() => dataset::write(lake, &key, Table::Activities, &made, rows),
        Err(e) => Err(e),
    }
}

/// Rejects without those of these archives.
fn without(rejects: &RecordBatch, archives: &[String]) -> RecordBatch {
    let rows = Rows(rejects);
    let is_of = |raw_ref: &str, archive: &String| {
        raw_ref
            .strip_prefix(archive.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['!', '#']))
    };
    let keeps = |row: usize| !archives.iter().any(|archive| is_of(rows.words("raw_ref").value(row), archive));
    let kept: BooleanArray = (0..rejects.num_rows()).map(|row| Some(keeps(row))).collect();
    filter_record_batch(rejects, &kept).expect("a row has an answer each")
}
