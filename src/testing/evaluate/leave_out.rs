//! The same people without what one class is about, so that weights can be learned as if nobody knew of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::listed;
use super::truth::{self, Truth};
use crate::error::Result;
use crate::sources::Source;
use crate::store::dataset::cells::Rows;
use crate::store::dataset::{self, MadeFrom, Table};
use crate::store::lake::Lake;

/// Copies the activities of a lake into an empty one, but for those of workouts that a record of the class is of.
pub fn without_class(from: &Lake, truth: &Truth, class: &str, into: &Lake) -> Result<()> {
    let people = listed::read(from)?;
    let mut left_out: HashSet<(String, String)> = HashSet::new();
    let mut truth: BTreeMap<_, _> = truth.clone();
    for (user, known) in &mut truth {
        let records = people.get(user).map_or(&[][..], Vec::as_slice);
        truth::join(known, records);
        let workouts: BTreeSet<String> = known
            .iter()
            .filter(|one| one.classes.contains(class))
            .flat_map(|one| one.workouts.clone())
            .collect();
        let touched = known.iter().filter(|one| !one.workouts.is_disjoint(&workouts));
        left_out.extend(touched.filter_map(|one| Some((user.clone(), records[one.record?].name()))));
    }
    for bucket in from.buckets() {
        for source in Source::ALL {
            let key = from.activities(source.name(), bucket);
            let kept = dataset::read(from, &key, None)?.into_iter().map(|batch| {
                let rows = Rows(&batch);
                let is_kept = |row: usize| {
                    let (user, source, id) = rows.activity(row);
                    !left_out.contains(&(user, format!("{source}:{id}")))
                };
                let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(is_kept(row))).collect();
                filter_record_batch(&batch, &mask).expect("the mask is as long as the batch")
            });
            let kept: Vec<RecordBatch> = kept.filter(|batch: &RecordBatch| batch.num_rows() > 0).collect();
            if !kept.is_empty() {
                let key = into.activities(source.name(), bucket);
                dataset::write(into, &key, Table::Activities, &MadeFrom::default(), kept)?;
            }
        }
    }
    Ok(())
}
