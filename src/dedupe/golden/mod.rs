//! Golden activities: one row per workout, each field from the record that knows it best.
//!
//! Who gives a column stands at the column (`golden = …` in `model/activity.rs`):
//!
//! | giver | the record that is asked first |
//! |---|---|
//! | start | the start that most records agree on; of those, the exact before the rounded; never a hidden one |
//! | written | by the sources' ranks for what people write |
//! | sport | the athlete's rule; else as above, a sport before "workout" |
//! | sets | by the sources' ranks for exercise sets |
//! | measured | the best recording: with a device's file before without, what was typed in last; then by the sources' ranks for what was measured |
//!
//! A field that the best record does not have is filled from the next one that has it (a heart rate from the band of
//! the other wrist). A record of a part of the workout, or of it and another one, gives nothing that a record of the
//! whole has. What no record of the whole has, the parts give together ([`pieces`]): a track in three pieces in the
//! order of time, and sums where the parts cover the workout.

mod conflicts;
mod order;
mod pieces;
#[cfg(test)]
mod tests;

use arrow::array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow::buffer::NullBuffer;

use super::Row;
use super::cluster::{Group, Role};
use super::record::Record;
use crate::model::column::{Column, Giver};
use crate::model::columns::Columns;
use crate::model::golden::{Golden, GoldenColumns, Kept, Lineage, Member, kept, schema};
use crate::model::sparse::null_array;
use crate::sources::Source;
use crate::store::dataset::cells::{self, Rows};
use pieces::{Pieces, Run};

/// The givers, each with an order of its own in which the members are asked.
const GIVERS: [Giver; 5] = [Giver::Start, Giver::Written, Giver::Sport, Giver::Sets, Giver::Measured];

/// What lineage says of a field that the first record asked gave.
fn why(giver: Giver) -> &'static str {
    match giver {
        Giver::Start => "agreed_start",
        Giver::Written => "written",
        Giver::Sport => "sport",
        Giver::Sets => "sets",
        Giver::Measured => "best_recording",
        Giver::Nobody => unreachable!("a workout has no column that nobody gives"),
    }
}

/// One person's groups. `rows` says where each record stands among batches of activities.
pub struct Linked<'a> {
    pub records: &'a [Record],
    pub rows: &'a [Row],
    pub groups: &'a [Group],
}

/// One workout, and in which order its records are asked.
struct Workout<'a> {
    records: &'a [Record],
    rows: &'a [Row],
    group: &'a Group,
    /// By giver.
    order: [Vec<usize>; 5],
    pieces: Pieces,
}

impl<'a> Workout<'a> {
    fn of(linked: &Linked<'a>, group: &'a Group) -> Workout<'a> {
        let records = linked.records;
        let order = GIVERS.map(|giver| order::asked(group, records, giver));
        Workout { records, rows: linked.rows, group, order, pieces: Pieces::of(group, records) }
    }

    /// Whether no record describes all of it.
    fn is_of_parts(&self) -> bool {
        self.pieces.records.len() > 1 && self.group.members.iter().all(|(_, role)| *role == Role::Part)
    }

    fn run(&self) -> Run {
        let piece = |at: &usize| (self.rows[*at], self.records[*at].elapsed_s.unwrap_or_default());
        self.pieces.records.iter().map(piece).collect()
    }
}

/// Where a field of a workout comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Record(usize),
    /// The pieces together.
    Pieces,
}

/// The columns of `activities` that golden rows are made of.
pub fn columns() -> impl Iterator<Item = &'static str> {
    kept().into_iter().map(|kept| kept.column.name).chain([RULE])
}

/// Where the athlete's own rule for a sport is named.
const RULE: &str = "sport_rule";

/// The groups of some people as rows, from batches with these columns.
pub fn rows(batches: &[RecordBatch], people: &[Linked]) -> RecordBatch {
    let kept = kept();
    let workouts: Vec<Workout> =
        people.iter().flat_map(|one| one.groups.iter().map(|group| Workout::of(one, group))).collect();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(kept.len());
    let mut from: Vec<Vec<From>> = Vec::with_capacity(kept.len());
    for of in &kept {
        let (values, givers) = column(batches, &workouts, of);
        columns.push(values);
        from.push(givers);
    }
    let mut own = GoldenColumns::default();
    // A column without any value has none that gave it one.
    let given: Vec<_> = kept.iter().zip(&columns).zip(&from).filter(|(_, from)| !from.is_empty()).collect();
    let given: Vec<_> = given.iter().map(|((of, values), from)| (*of, values.nulls(), *from)).collect();
    for (at, workout) in workouts.iter().enumerate() {
        let given = given.iter().filter(|(_, nulls, _)| nulls.is_none_or(|nulls| nulls.is_valid(at)));
        own.push(&golden(workout, given.map(|(of, _, from)| (of.column, from[at]))));
    }
    let columns = own.finish().into_iter().chain(columns).collect();
    RecordBatch::try_new(schema(), columns).expect("the columns are of the schema")
}

/// One column of all workouts, and who gave each value.
fn column(batches: &[RecordBatch], workouts: &[Workout], of: &Kept) -> (ArrayRef, Vec<From>) {
    if batches.is_empty() {
        return (new_empty_array(of.field.data_type()), Vec::new());
    }
    let arrays =
        |name: &str| -> Vec<&dyn Array> { batches.iter().map(|batch| Rows(batch).column(name)).collect() };
    let rules = arrays(RULE);
    let arrays = arrays(of.column.name);
    if arrays.iter().all(|array| array.null_count() == array.len()) {
        return (null_array(of.field.data_type(), workouts.len()), Vec::new());
    }
    let nulls: Vec<Option<&NullBuffer>> = arrays.iter().map(|array| array.nulls()).collect();
    let says = |row: Row| nulls[row.0].is_none_or(|nulls| nulls.is_valid(row.1));
    let has_rule = |row: Row| rules[row.0].is_valid(row.1);
    let giver = of.column.golden;
    let mut runs: Vec<Run> = Vec::new();
    let (mut taken, mut from) = (Vec::with_capacity(workouts.len()), Vec::with_capacity(workouts.len()));
    for workout in workouts {
        let asked = &workout.order[giver as usize];
        let saying = || asked.iter().copied().find(|at| says(workout.rows[*at]));
        let record = match giver {
            // The athlete's own rule comes before any source. What belongs together comes from one record, what is
            // missing included.
            Giver::Sport => asked.iter().copied().find(|at| has_rule(workout.rows[*at])).or(Some(asked[0])),
            Giver::Start => Some(asked[0]),
            _ if workout.is_of_parts() && workout.pieces.may_say(of.column) => None,
            _ => saying(),
        };
        let pieces_say = || workout.pieces.records.iter().any(|at| says(workout.rows[*at]));
        if record.is_none() && workout.pieces.may_say(of.column) && pieces_say() {
            taken.push((arrays.len(), runs.len()));
            from.push(From::Pieces);
            runs.push(workout.run());
        } else {
            let at = record.or_else(saying).unwrap_or(asked[0]);
            taken.push(workout.rows[at]);
            from.push(From::Record(at));
        }
    }
    let together = pieces::together(&of.field, of.column.parts, &arrays, &runs);
    let arrays: Vec<&dyn Array> = arrays.into_iter().chain([together.as_ref()]).collect();
    (cells::taken(&arrays, &taken), from)
}

/// The columns of a golden row that are its own. `given` are the others that have a value, and who gave it.
fn golden(workout: &Workout, given: impl Iterator<Item = (&'static Column, From)>) -> Golden {
    let Workout { records, group, order, .. } = workout;
    // Few give all: to look through them takes less than a tree does.
    let mut lineage: Vec<((usize, &'static str), Vec<&'static str>)> = Vec::new();
    // What one record says alone needs no lineage.
    for (column, from) in given.take_while(|_| group.members.len() > 1) {
        let mut add =
            |at: usize, why: &'static str| match lineage.iter_mut().find(|(giver, _)| *giver == (at, why)) {
                Some((_, fields)) => fields.push(column.name),
                None => lineage.push(((at, why), vec![column.name])),
            };
        match from {
            From::Record(at) if at == order[column.golden as usize][0] => add(at, why(column.golden)),
            From::Record(at) => add(at, "fills"),
            From::Pieces => workout.pieces.records.iter().for_each(|at| add(*at, "piece")),
        }
    }
    lineage.sort_unstable_by_key(|(giver, _)| *giver);
    let mut sources: Vec<Source> = group.members.iter().map(|(at, _)| records[*at].source).collect();
    sources.sort_unstable();
    sources.dedup();
    let members = group.members.iter().map(|(at, role)| Member {
        source: records[*at].source.name(),
        source_id: records[*at].source_id.clone(),
        role: role.name(),
    });
    let lineage = lineage.into_iter().map(|((at, why), fields)| Lineage {
        source: records[at].source.name(),
        source_id: records[at].source_id.clone(),
        why,
        fields,
    });
    Golden {
        golden_id: records[group.members[0].0].name(),
        members: members.collect(),
        source_count: sources.len() as i32,
        lineage: lineage.collect(),
        conflicts: conflicts::conflicts(records, group, order),
    }
}
