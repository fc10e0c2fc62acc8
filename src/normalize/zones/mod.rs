//! Zones for starts that came without one: what the same person's other records of that day say is proposed in
//! `utc_offset_guess_s` and `guess_from`. The start itself is never moved.
//!
//! A proposal follows from the activities of the person's bucket, of all sources, and from nothing else. It is made
//! when a source's rows are written, and again where another source's are written after them. A file with such starts says which files its proposals were made from: whatever is
//! fetched or imported later, and wherever a run was cut, the next run finds that they have changed and proposes anew.
//! Memory is bounded by a bucket's rows: of each, a few numbers are held.

mod evidence;

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int32Builder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{Float64Type, Int32Type};
use twox_hash::XxHash64;

use crate::error::Result;
use crate::model::columns::{TimeType, second_of};
use crate::store::backend::Key;
use crate::store::dataset::cells::{Rows, replaced};
use crate::store::dataset::{self, MadeFrom, Table};
use crate::store::lake::{Bucket, Lake};
use evidence::{Evidence, Guess, Person};

const UNKNOWN: &str = "zone_unknown";
const OFFSET: &str = "utc_offset_guess_s";
const FROM: &str = "guess_from";
/// What is read of every record.
const COLUMNS: [&str; 8] = [
    "user_id",
    "source_id",
    "start_time",
    "start_quality",
    "utc_offset_s",
    "timezone",
    "start_lat_deg",
    "start_lon_deg",
];

/// A source's activities of the bucket.
struct File {
    source: String,
    key: Key,
    made: MadeFrom,
}

/// Whether all proposals are of the activities that there are.
pub fn is_settled(lake: &Lake, bucket: Bucket) -> Result<bool> {
    let files = files(lake, bucket)?;
    Ok(stale(lake, &files, digest(&files))?.is_empty())
}

/// The files whose proposals were made of others than these.
fn stale<'a>(lake: &Lake, files: &'a [File], digest: u64) -> Result<Vec<&'a File>> {
    let mut stale = Vec::new();
    for file in files.iter().filter(|file| file.made.datasets != digest) {
        // Of the words for a start's quality, it is the last one.
        if dataset::greatest_word(lake, &file.key, "start_quality")?.as_deref() == Some(UNKNOWN) {
            stale.push(file);
        }
    }
    Ok(stale)
}

/// Proposes zones for a bucket's starts without one, where something changed. Returns the bytes written.
pub fn settle(lake: &Lake, bucket: Bucket) -> Result<u64> {
    let files = files(lake, bucket)?;
    let digest = digest(&files);
    let stale = stale(lake, &files, digest)?;
    if stale.is_empty() {
        return Ok(0);
    }
    let people = people(lake, &files, None)?;
    let mut written_bytes = 0;
    for file in stale {
        let rows = dataset::read(lake, &file.key, None)?;
        let rows = rows.iter().map(|batch| proposed(batch, &people));
        let made = MadeFrom { datasets: digest, ..file.made.clone() };
        written_bytes += dataset::write(lake, &file.key, Table::Activities, &made, rows)?;
    }
    Ok(written_bytes)
}

/// Rows of a source that are about to be written, with proposals for those without a zone, and what their file is
/// made from. So they are written once, unless another source of the bucket is written later.
pub fn propose(
    lake: &Lake,
    bucket: Bucket,
    source: &str,
    made: &MadeFrom,
    rows: &[RecordBatch],
) -> Result<(MadeFrom, Vec<RecordBatch>)> {
    let mut files = files(lake, bucket)?;
    files.retain(|file| file.source != source);
    let key = lake.activities(source, bucket);
    files.push(File { source: source.to_string(), key, made: made.clone() });
    files.sort_by(|a, b| a.source.cmp(&b.source));
    let people = people(lake, &files, Some((source, rows)))?;
    let made = MadeFrom { datasets: digest(&files), ..made.clone() };
    Ok((made, rows.iter().map(|batch| proposed(batch, &people)).collect()))
}

/// Whether some of the rows have no zone.
pub fn lacks_zones(rows: &[RecordBatch]) -> bool {
    let lacks =
        |batch: &RecordBatch| Rows(batch).words("start_quality").iter().flatten().any(|q| q == UNKNOWN);
    rows.iter().any(lacks)
}

/// The files of a bucket, in the order of their sources' names.
fn files(lake: &Lake, bucket: Bucket) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for source in dataset::sources(lake, bucket)? {
        let key = lake.activities(&source, bucket);
        if let Some(made) = dataset::made_from(lake, &key)? {
            files.push(File { source, key, made });
        }
    }
    files.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(files)
}

/// What the records of the files say of where their people were. The rows of one source may be those that will be
/// in its file.
fn people(
    lake: &Lake,
    files: &[File],
    coming: Option<(&str, &[RecordBatch])>,
) -> Result<BTreeMap<String, Person>> {
    let mut people = BTreeMap::new();
    for file in files {
        match coming.filter(|(source, _)| *source == file.source) {
            Some((source, rows)) => rows.iter().for_each(|batch| collect(batch, source, &mut people)),
            None => {
                for batch in dataset::batches(lake, &file.key, Some(&COLUMNS), 8192)? {
                    collect(&batch?, &file.source, &mut people);
                }
            }
        }
    }
    people.values_mut().for_each(Person::sort);
    Ok(people)
}

/// Rows without proposals, which are no more than what is made of the rows.
pub fn without(batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    let none = |batch: RecordBatch| {
        let rows = batch.num_rows();
        replaced(
            &batch,
            [
                (OFFSET, Arc::new(Int32Array::new_null(rows)) as ArrayRef),
                (FROM, Arc::new(StringArray::new_null(rows))),
            ],
        )
    };
    batches.into_iter().map(none).collect()
}

/// Changes when the rows of the files may have. Never 0, which is what a file says whose proposals are still to be
/// made.
fn digest(files: &[File]) -> u64 {
    let mut hash = XxHash64::with_seed(0);
    for File { source, made, .. } in files {
        let archives = serde_json::to_string(&made.archives).expect("it is plain");
        hash.write(format!("{source} {} {archives}\n", made.landing).as_bytes());
    }
    hash.finish().max(1)
}

/// Adds what the records of a batch say of where their people were, and the days that it is wanted of.
fn collect(batch: &RecordBatch, source: &str, people: &mut BTreeMap<String, Person>) {
    let rows = Rows(batch);
    let (users, ids) = (rows.words("user_id"), rows.words("source_id"));
    let (qualities, zones) = (rows.words("start_quality"), rows.words("timezone"));
    let starts = rows.column("start_time").as_primitive::<TimeType>();
    let offsets = rows.column("utc_offset_s").as_primitive::<Int32Type>();
    let degrees = |name: &str| rows.column(name).as_primitive::<Float64Type>();
    let (lats, lons) = (degrees("start_lat_deg"), degrees("start_lon_deg"));
    for row in 0..batch.num_rows() {
        let start_s = second_of(starts.value(row));
        let person = people.entry(users.value(row).to_string()).or_default();
        if qualities.value(row) == UNKNOWN {
            person.asks_for(start_s);
            continue;
        }
        person.add(Evidence {
            source: source.to_string(),
            source_id: ids.value(row).to_string(),
            start_s,
            offset_s: offsets.is_valid(row).then(|| offsets.value(row)),
            zone: zones.is_valid(row).then(|| zones.value(row).to_string()),
            place: (lats.is_valid(row) && lons.is_valid(row)).then(|| (lats.value(row), lons.value(row))),
        });
    }
}

/// Rows with what is proposed for those without a zone.
fn proposed(batch: &RecordBatch, people: &BTreeMap<String, Person>) -> RecordBatch {
    let rows = Rows(batch);
    let (users, qualities) = (rows.words("user_id"), rows.words("start_quality"));
    let starts = rows.column("start_time").as_primitive::<TimeType>();
    let (mut offsets, mut from) = (Int32Builder::new(), StringBuilder::new());
    for row in 0..batch.num_rows() {
        let person = people.get(users.value(row)).filter(|_| qualities.value(row) == UNKNOWN);
        let guess = person.and_then(|person| person.guess(second_of(starts.value(row))));
        offsets.append_option(guess.as_ref().map(|guess: &Guess| guess.offset_s));
        from.append_option(guess.map(|guess| guess.from));
    }
    let columns: [(&str, ArrayRef); 2] =
        [(OFFSET, Arc::new(offsets.finish())), (FROM, Arc::new(from.finish()))];
    replaced(batch, columns)
}
