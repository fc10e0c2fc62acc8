//! Where the samples of activities lie, found once for a bucket, and read some at a time.

use std::collections::HashMap;

use super::cells::Rows;
use super::{read_checked, read_rows, sources, years};
use crate::error::{Error, Result};
use crate::store::backend::Key;
use crate::store::lake::{Bucket, Lake};

/// Where an activity's samples are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub user_id: String,
    pub source_id: String,
    pub file: Key,
    pub row: usize,
    pub samples: usize,
}

/// Where the samples of a bucket's activities are, by source, user and id.
#[derive(Debug, Default)]
pub struct Places(HashMap<(String, String, String), Place>);

impl Places {
    /// Looks through the files of a bucket; only names and lengths are read.
    pub fn of(lake: &Lake, bucket: Bucket) -> Result<Places> {
        const COLUMNS: [&str; 3] = ["user_id", "source_id", "samples"];
        let mut places = HashMap::new();
        for source in sources(lake, bucket)? {
            for year in years(lake, &source, bucket)? {
                let file = lake.streams(&source, bucket, year);
                let mut first = 0;
                for batch in read_checked(lake, &file, Some(&COLUMNS), "normalize")? {
                    let rows = Rows(&batch);
                    for row in 0..batch.num_rows() {
                        let samples = rows.whole("samples", row).unwrap_or(0).max(0) as usize;
                        let (user_id, source_id) = (rows.text("user_id", row), rows.text("source_id", row));
                        let key = (source.clone(), user_id.clone(), source_id.clone());
                        let place =
                            Place { user_id, source_id, file: file.clone(), row: first + row, samples };
                        places.insert(key, place);
                    }
                    first += batch.num_rows();
                }
            }
        }
        Ok(Places(places))
    }

    pub fn get(&self, source: &str, user_id: &str, source_id: &str) -> Option<&Place> {
        self.0.get(&(source.to_string(), user_id.to_string(), source_id.to_string()))
    }
}

/// Reads some columns at places of one file, in the order of their rows, and hands on each row. A file that was
/// rewritten since the places were found is an error: its rows are others.
pub fn read_places(
    lake: &Lake,
    places: &[&Place],
    columns: &[&str],
    each: &mut dyn FnMut(&Rows, usize) -> Result<()>,
) -> Result<()> {
    let Some(first) = places.first() else { return Ok(()) };
    let at: Vec<usize> = places.iter().map(|place| place.row).collect();
    let columns: Vec<&str> = ["user_id", "source_id"].into_iter().chain(columns.iter().copied()).collect();
    let mut wanted = places.iter();
    for batch in read_rows(lake, &first.file, &columns, &at)? {
        let rows = Rows(&batch);
        let (users, ids) = (rows.words("user_id"), rows.words("source_id"));
        for row in 0..batch.num_rows() {
            let is_it =
                |place: &&&Place| users.value(row) == place.user_id && ids.value(row) == place.source_id;
            if wanted.next().filter(is_it).is_none() {
                return Err(rewritten(lake, &first.file));
            }
            each(&rows, row)?;
        }
    }
    if wanted.next().is_some() { Err(rewritten(lake, &first.file)) } else { Ok(()) }
}

fn rewritten(lake: &Lake, file: &Key) -> Error {
    let what = "another longrun rewrote it meanwhile; nothing is lost, run the same command again";
    Error::damaged(lake.place(file), what)
}
