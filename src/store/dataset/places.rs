//! Where the samples of activities lie, found once for a bucket, and read some at a time.

use std::collections::{BTreeMap, HashMap};

use arrow::array::Array;

use super::cells::{Rows, field, structs};
use super::{read_checked, read_rows, sources, streams};
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
        const ATTEMPTS: usize = 8;
        let files = || -> Result<Vec<(String, Key)>> {
            let mut files = Vec::new();
            for source in sources(lake, bucket)? {
                files.extend(streams(lake, &source, bucket)?.into_iter().map(|key| (source.clone(), key)));
            }
            Ok(files)
        };
        let mut listed = files()?;
        for _ in 0..ATTEMPTS {
            let mut places = Places::default();
            listed.iter().try_for_each(|(source, file)| places.take(lake, source, file))?;
            // A file goes when a larger one takes its place, and may have gone before it was opened.
            let now = files()?;
            if now == listed {
                return Ok(places);
            }
            listed = now;
        }
        Err(rewritten(lake, &lake.streams_folder()))
    }

    fn take(&mut self, lake: &Lake, source: &str, file: &Key) -> Result<()> {
        const COLUMNS: [&str; 3] = ["user_id", "source_id", "samples"];
        let mut first = 0;
        for batch in read_checked(lake, file, Some(&COLUMNS), "normalize")? {
            let rows = Rows(&batch);
            for row in 0..batch.num_rows() {
                let samples = rows.whole("samples", row).unwrap_or(0).max(0) as usize;
                let (user_id, source_id) = (rows.text("user_id", row), rows.text("source_id", row));
                let key = (source.to_string(), user_id.clone(), source_id.clone());
                let place = Place { user_id, source_id, file: file.clone(), row: first + row, samples };
                self.0.insert(key, place);
            }
            first += batch.num_rows();
        }
        Ok(())
    }

    pub fn get(&self, source: &str, user_id: &str, source_id: &str) -> Option<&Place> {
        self.0.get(&(source.to_string(), user_id.to_string(), source_id.to_string()))
    }

    /// Where the samples of a workout are: those of its best recording; where that has none, of the record of all of it
    /// that has most; else of its parts, of the source that has most of them.
    pub fn of_workout(&self, user_id: &str, recordings: &Recordings) -> Vec<&Place> {
        let place =
            |(source, id): &Recording| self.get(source, user_id, id).filter(|place| place.samples > 0);
        let best = recordings.best.iter().find_map(place);
        let most = || recordings.same.iter().filter_map(place).max_by_key(|place| place.samples);
        if let Some(place) = best.or_else(most) {
            return vec![place];
        }
        let mut of_source: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
        for part in &recordings.parts {
            of_source.entry(&part.0).or_default().extend(place(part));
        }
        let samples = |places: &Vec<&Place>| places.iter().map(|place| place.samples).sum::<usize>();
        of_source.into_values().max_by_key(samples).unwrap_or_default()
    }
}

/// A record, by its source and its id there.
pub type Recording = (String, String);

/// The records that may have the samples of a workout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recordings {
    /// The one that was trusted most.
    pub best: Option<Recording>,
    /// All that tell of it.
    pub same: Vec<Recording>,
    /// Those that tell of a part of it.
    pub parts: Vec<Recording>,
}

impl Recordings {
    /// Those of a golden row.
    pub fn of(rows: &Rows, row: usize) -> Recordings {
        let lineage = structs(rows.list("lineage"), row);
        let best = (0..lineage.len()).find(|at| field(&lineage, "why", *at) == "best_recording");
        let members = structs(rows.list("members"), row);
        let with_role = |role: &str| -> Vec<Recording> {
            let these = (0..members.len()).filter(|at| field(&members, "role", *at) == role);
            these.map(|at| (field(&members, "source", at), field(&members, "source_id", at))).collect()
        };
        Recordings {
            best: best.map(|at| (field(&lineage, "source", at), field(&lineage, "source_id", at))),
            same: with_role("same"),
            parts: with_role("part"),
        }
    }
}

/// Reads some columns at places of any files, some rows at a time, and hands on each row with what it was wanted for.
pub fn read_wanted<'a, T>(
    lake: &Lake,
    wanted: impl IntoIterator<Item = (&'a Place, T)>,
    columns: &[&str],
    each: &mut dyn FnMut(&Rows, usize, T) -> Result<()>,
) -> Result<()> {
    const AT_A_TIME: usize = 64;
    let mut of_files: BTreeMap<&Key, BTreeMap<usize, (&Place, T)>> = BTreeMap::new();
    for (place, what) in wanted {
        of_files.entry(&place.file).or_default().insert(place.row, (place, what));
    }
    for of_file in of_files.into_values() {
        let mut rest = of_file.into_values();
        loop {
            let (places, what): (Vec<&Place>, Vec<T>) = rest.by_ref().take(AT_A_TIME).unzip();
            if places.is_empty() {
                break;
            }
            let mut what = what.into_iter();
            read_places(lake, &places, columns, &mut |rows, row| match what.next() {
                Some(what) => each(rows, row, what),
                None => Ok(()),
            })?;
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_the_best_recording_s_or_else_another_s_of_all_of_it_or_else_those_of_the_parts() {
        let mut places = Places::default();
        for (row, (source, id, samples)) in [
            ("strava", "1", 0),
            ("garmin", "2", 900),
            ("fitbit", "3", 60),
            ("files", "4", 20),
            ("files", "5", 30),
        ]
        .into_iter()
        .enumerate()
        {
            let key = (source.to_string(), "nora".to_string(), id.to_string());
            let file = Key::new(format!("streams/{source}-000-2024.parquet"));
            places.0.insert(
                key,
                Place { user_id: "nora".to_string(), source_id: id.to_string(), file, row, samples },
            );
        }
        let named = |names: &[(&str, &str)]| -> Vec<Recording> {
            names.iter().map(|(source, id)| (source.to_string(), id.to_string())).collect()
        };
        let found = |best: &[(&str, &str)], same: &[(&str, &str)], parts: &[(&str, &str)]| -> Vec<String> {
            let recordings = Recordings { best: named(best).pop(), same: named(same), parts: named(parts) };
            places.of_workout("nora", &recordings).iter().map(|place| place.source_id.clone()).collect()
        };
        let all = [("strava", "1"), ("garmin", "2"), ("fitbit", "3")];
        let halves = [("files", "4"), ("files", "5"), ("fitbit", "3")];
        assert_eq!(found(&[("fitbit", "3")], &all, &halves), ["3"]);
        assert_eq!(found(&[("strava", "1")], &all, &halves), ["2"], "the list line has none");
        assert_eq!(found(&[("strava", "1")], &all[..1], &halves[..2]), ["4", "5"]);
        assert_eq!(found(&[("strava", "1")], &all[..1], &halves), ["3"], "the band has more of it");
        assert!(found(&[("strava", "1")], &all[..1], &[("hevy", "9")]).is_empty());
    }
}
