//! What the parts of a workout say together, where no record of the whole says it: a track from its pieces in the
//! order of time, sums that count each piece once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, ListArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, interleave};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int32Type};

use super::{Group, Record, Role, Row};
use crate::model::column::{Column, Parts};

/// Parts that cover less of the workout cannot say how far or how high it went.
const COVERED: f64 = 0.9;
/// Clocks are whole seconds, and some are rounded.
const OVERLAP_S: i64 = 5;

/// The parts of one workout that follow each other, all of one source.
#[derive(Debug, Default, PartialEq)]
pub struct Pieces {
    /// In the order of time.
    pub records: Vec<usize>,
    /// Together they are as long as the workout.
    pub cover_it: bool,
}

impl Pieces {
    /// The longest run of parts that one source has; none for a workout without parts. Copies of a part in other
    /// sources, or a second one at the same time, count nothing twice.
    pub fn of(group: &Group, records: &[Record]) -> Pieces {
        let parts = group.members.iter().filter(|(_, role)| *role == Role::Part).map(|(at, _)| *at);
        let mut parts: Vec<usize> = parts.collect();
        parts.sort_by_key(|at| {
            let r = &records[*at];
            (r.source.spec().ranks.measured, r.source, r.start_s, *at)
        });
        let length_s = |run: &[usize]| run.iter().filter_map(|at| records[*at].elapsed_s).sum::<f64>();
        let mut best: Vec<usize> = Vec::new();
        for of_source in parts.chunk_by(|a, b| records[*a].source == records[*b].source) {
            let mut run: Vec<usize> = Vec::new();
            for at in of_source {
                let is_behind =
                    run.last().is_none_or(|last| records[*at].start_s >= records[*last].end_s() - OVERLAP_S);
                if is_behind {
                    run.push(*at);
                }
            }
            if length_s(&run) > length_s(&best) || best.is_empty() {
                best = run;
            }
        }
        let wholes = group.members.iter().filter(|(_, role)| *role == Role::Same);
        // Pauses between the parts belong to a whole that went on.
        let whole_s = wholes.filter_map(|(at, _)| records[*at].moving_s.or(records[*at].elapsed_s));
        let whole_s = whole_s.fold(f64::INFINITY, f64::min);
        let is_known = whole_s.is_finite();
        let is_alone = group.members.iter().all(|(_, role)| *role == Role::Part);
        let cover_it = is_alone || is_known && length_s(&best) >= COVERED * whole_s;
        Pieces { records: best, cover_it }
    }

    /// Whether they may say a column. Of a workout that they do not cover they know no sum.
    pub fn may_say(&self, column: &Column) -> bool {
        let needs_all = match column.parts {
            Parts::Nothing => return false,
            Parts::First | Parts::Joined => false,
            Parts::Last | Parts::Sum | Parts::Mean | Parts::Least | Parts::Most => !column.is_of_track,
        };
        !self.records.is_empty() && (self.cover_it || !needs_all)
    }
}

/// The rows of one workout's pieces, in the order of time, and how long each took.
pub type Run = Vec<(Row, f64)>;

/// A column of what the pieces of each workout say together.
pub fn together(field: &FieldRef, parts: Parts, arrays: &[&dyn Array], runs: &[Run]) -> ArrayRef {
    let says = |row: &Row| arrays[row.0].is_valid(row.1);
    match (parts, field.data_type()) {
        (Parts::Nothing, data_type) => new_null_array(data_type, runs.len()),
        (Parts::First | Parts::Last, data_type) => {
            if runs.is_empty() {
                return new_null_array(data_type, 0);
            }
            let rows = runs.iter().map(|run| {
                let mut saying = run.iter().map(|(row, _)| *row).filter(says);
                let found = if parts == Parts::First { saying.next() } else { saying.next_back() };
                found.unwrap_or(run[0].0)
            });
            interleave(arrays, &rows.collect::<Vec<Row>>()).expect("all batches are of one schema")
        }
        (Parts::Joined, DataType::List(element)) => joined(element, arrays, runs),
        (_, DataType::Float64) => {
            let value =
                |row: Row| says(&row).then(|| arrays[row.0].as_primitive::<Float64Type>().value(row.1));
            Arc::new(runs.iter().map(|run| number(parts, run, value)).collect::<Float64Array>())
        }
        (_, DataType::Int32) => {
            let value = |row: Row| {
                says(&row).then(|| f64::from(arrays[row.0].as_primitive::<Int32Type>().value(row.1)))
            };
            let whole = |run: &Run| number(parts, run, value).map(|number| number.round() as i32);
            Arc::new(runs.iter().map(whole).collect::<Int32Array>())
        }
        (parts, data_type) => unreachable!("{parts:?} of {data_type} means nothing"),
    }
}

/// A number of all pieces. One that does not say it leaves the sum unknown.
fn number(parts: Parts, run: &Run, value: impl Fn(Row) -> Option<f64>) -> Option<f64> {
    let values: Option<Vec<(f64, f64)>> =
        run.iter().map(|(row, s)| Some((value(*row)?, s.max(1.0)))).collect();
    let values = values?;
    let only = values.iter().map(|(value, _)| *value);
    match parts {
        Parts::Sum => Some(only.sum()),
        Parts::Least => only.reduce(f64::min),
        Parts::Most => only.reduce(f64::max),
        Parts::Mean => {
            let seconds: f64 = values.iter().map(|(_, s)| s).sum();
            Some(values.iter().map(|(value, s)| value * s).sum::<f64>() / seconds)
        }
        Parts::Nothing | Parts::First | Parts::Last | Parts::Joined => None,
    }
}

/// The lists of the pieces, one behind the other.
fn joined(element: &FieldRef, arrays: &[&dyn Array], runs: &[Run]) -> ArrayRef {
    let mut pieces: Vec<ArrayRef> = Vec::new();
    let (mut lengths, mut present) = (Vec::new(), Vec::new());
    for run in runs {
        let lists = run.iter().map(|(row, _)| (arrays[row.0].as_list::<i32>(), row.1));
        let own: Vec<ArrayRef> =
            lists.filter(|(list, row)| list.is_valid(*row)).map(|(list, row)| list.value(row)).collect();
        lengths.push(own.iter().map(|piece| piece.len()).sum());
        present.push(!own.is_empty());
        pieces.extend(own);
    }
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    let values = if pieces.is_empty() {
        new_null_array(element.data_type(), 0)
    } else {
        concat(&pieces).expect("all batches are of one schema")
    };
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(element.clone(), offsets, values, Some(NullBuffer::from(present))))
}
