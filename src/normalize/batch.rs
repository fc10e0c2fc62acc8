//! Rows on their way into a bucket's files: collected in columns while archives and responses
//! are read, and written in one rewrite.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use jiff::tz::TimeZone;

use super::Summary;
use super::annotate::Annotations;
use crate::error::Result;
use crate::model::activity::{Activity, ActivityColumns, Reject, RejectColumns, Streams, StreamsColumns};
use crate::model::columns::Columns;
use crate::sources::{self, ArchiveItem, Fault, Found, Source};
use crate::store::dataset::merge::{DECIDING, coalesce, merge, merge_streams};
use crate::store::dataset::{self, Origins, Provenance, Table, batch};
use crate::store::lake::{Bucket, Lake};

/// Rows of one source, in columns that fill.
#[derive(Default)]
pub struct Filling {
    pub summary: Summary,
    api: ActivityColumns,
    archive: ActivityColumns,
    origins: Origins,
    streams: BTreeMap<i16, StreamsColumns>,
    rejects: RejectColumns,
    /// What the columns take in memory, roughly.
    pub bytes: usize,
}

/// Rows of one source, as batches.
#[derive(Default)]
pub struct Rows {
    pub summary: Summary,
    api: Vec<RecordBatch>,
    archive: Vec<RecordBatch>,
    origins: Origins,
    streams: BTreeMap<i16, Vec<RecordBatch>>,
    rejects: Vec<RecordBatch>,
    pub bytes: usize,
}

impl Filling {
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

    pub fn streams(&mut self, streams: &Streams) {
        self.summary.streams += 1;
        self.bytes += 60 * streams.samples.unsigned_abs() as usize;
        let year = streams.start_time.to_zoned(TimeZone::UTC).year();
        self.streams.entry(year).or_default().push(streams);
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
            Found::Activity(mut taken) => {
                let checked = sources::check(&mut taken);
                for fault in &taken.faults {
                    self.reject(&reject(fault, true));
                }
                match checked {
                    Err(fault) => self.reject(&reject(&fault, false)),
                    Ok(()) => {
                        self.activity(&taken.activity);
                        taken.streams.iter().for_each(|streams| self.streams(streams));
                    }
                }
            }
        }
    }

    pub fn finish(mut self) -> Rows {
        let mut rows =
            Rows { summary: self.summary, origins: self.origins, bytes: self.bytes, ..Rows::default() };
        if self.origins.api {
            rows.api.push(batch::<Activity>(&mut self.api));
        }
        if self.origins.archive {
            rows.archive.push(batch::<Activity>(&mut self.archive));
        }
        if self.summary.rejects > 0 {
            rows.rejects.push(batch::<Reject>(&mut self.rejects));
        }
        for (year, mut columns) in self.streams {
            rows.streams.insert(year, vec![batch::<Streams>(&mut columns)]);
        }
        rows
    }
}

impl Rows {
    pub fn add(&mut self, other: Rows) {
        self.summary += other.summary;
        self.api.extend(other.api);
        self.archive.extend(other.archive);
        self.origins.api |= other.origins.api;
        self.origins.archive |= other.origins.archive;
        for (year, batches) in other.streams {
            self.streams.entry(year).or_default().extend(batches);
        }
        self.rejects.extend(other.rejects);
        self.bytes += other.bytes;
    }

    /// Writes the rows among those of the bucket: streams and rejects first, the activities, which
    /// say how far landing and archives were taken, last.
    pub fn commit(
        self,
        lake: &Lake,
        bucket: Bucket,
        source: Source,
        taken: Provenance,
        annotations: &Annotations,
    ) -> Result<Summary> {
        let mut summary = self.summary;
        let name = source.name();
        let path = lake.activities(name, bucket);
        let before = dataset::provenance(&path)?;
        let origins_before = before.unwrap_or_default().origins;
        let origins = Origins {
            api: origins_before.api || self.origins.api,
            archive: origins_before.archive || self.origins.archive,
        };
        let taken = Provenance { origins, annotations: annotations.digest(lake, bucket, source), ..taken };
        let upsert = |table: Table, path: &Path, new: Vec<RecordBatch>| -> Result<u64> {
            let mut versions = current(path)?;
            versions.extend(new);
            dataset::write(path, table, taken, merge(table, &versions))
        };
        for (year, new) in self.streams {
            let path = lake.streams(name, bucket, year);
            let is_current = dataset::provenance(&path)?.is_some();
            let old = if is_current { dataset::read(&path, Some(&DECIDING))? } else { Vec::new() };
            let reader = dataset::batches(&path, None, ROWS_OF_STREAMS)?;
            let rows = merge_streams(&old, reader, &new);
            summary.written_bytes += dataset::write_as_read(&path, Table::Streams, taken, rows)?;
        }
        if !self.rejects.is_empty() {
            summary.written_bytes += upsert(Table::Rejects, &lake.rejects(name, bucket), self.rejects)?;
        }
        let rows_before = if before.is_some() { dataset::row_count(&path)? } else { 0 };
        let marked = |rows: RecordBatch| annotations.apply(source, &rows);
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
                    (true, _) => current(&path)?,
                    (false, true) => current(&part)?,
                    (false, false) => Vec::new(),
                };
                versions.extend(new);
                let merged: Vec<RecordBatch> = merge(Table::Activities, &versions).collect();
                summary.written_bytes += dataset::write(&part, Table::Activities, taken, merged.clone())?;
                parts.push(merged);
            }
            let rows = coalesce(&parts[0], &parts[1]).map(marked);
            summary.written_bytes += dataset::write(&path, Table::Activities, taken, rows)?;
        } else {
            let mut versions = current(&path)?;
            versions.extend(self.api);
            versions.extend(self.archive);
            let rows = merge(Table::Activities, &versions).map(marked);
            summary.written_bytes += dataset::write(&path, Table::Activities, taken, rows)?;
        }
        summary.activities_added = dataset::row_count(&path)?.saturating_sub(rows_before);
        Ok(summary)
    }
}

/// Rows of streams that are read at a time: each is thousands of samples.
const ROWS_OF_STREAMS: usize = 64;

/// The rows of a file; none where it is of another schema.
fn current(path: &Path) -> Result<Vec<RecordBatch>> {
    if dataset::provenance(path)?.is_some() { dataset::read(path, None) } else { Ok(Vec::new()) }
}
