//! The row of a workout: what its records say, put together.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::activity::Activity;
use super::column::{Column, Giver};
use super::columns::{Columns, TableRow, record};

record! {
    /// A record that tells of the workout.
    pub struct Member, MemberColumns {
        pub source: &'static str,
        pub source_id: String,
        /// `same`; or `part` of it, or the `whole` of it and others.
        pub role: &'static str,
    }
}

record! {
    /// Which fields a record gave, and why it.
    pub struct Lineage, LineageColumns {
        pub source: &'static str,
        pub source_id: String,
        /// `agreed_start`, `written`, `sport`, `sets`, `best_recording`, `fills` where a better record had none, or
        /// `piece` where the parts say it together.
        pub why: &'static str,
        pub fields: Vec<&'static str>,
    }
}

record! {
    /// A record that says something else than what was kept.
    pub struct Conflict, ConflictColumns {
        pub field: &'static str,
        pub kept: String,
        /// What this record says.
        pub other: String,
        /// `zone`, `hidden`, `unit` or `value`.
        pub kind: &'static str,
        pub source: &'static str,
        pub source_id: String,
    }
}

record! {
    /// The first columns of the `golden` dataset; those of `activities` follow, but for what is a record's own.
    pub struct Golden, GoldenColumns {
        /// The id of its first record, by source.
        #[col(encoding = Prefixes)]
        pub golden_id: String,
        pub members: Vec<Member>,
        /// Different ones among the members.
        pub source_count: i32,
        pub lineage: Vec<Lineage>,
        pub conflicts: Vec<Conflict>,
    }
}

/// The columns of activities that a workout has.
pub fn kept() -> Vec<Kept> {
    kept_of::<Activity>()
}

/// The columns of a table that a workout has.
pub fn kept_of<R: TableRow>() -> Vec<Kept> {
    let fields = R::Columns::fields();
    let kept = R::COLUMNS.iter().zip(fields.iter()).filter(|(column, _)| column.golden != Giver::Nobody);
    kept.map(|(column, field)| Kept { column, field: field.clone() }).collect()
}

/// A column of `activities` that a workout has, too.
pub struct Kept {
    pub column: &'static Column,
    pub field: FieldRef,
}

/// The columns of the `golden` dataset.
pub fn columns() -> Vec<&'static Column> {
    Golden::COLUMNS.iter().chain(kept().into_iter().map(|kept| kept.column)).collect()
}

pub fn schema() -> SchemaRef {
    let own = <Golden as TableRow>::Columns::fields();
    let fields: Vec<FieldRef> =
        own.iter().cloned().chain(kept().into_iter().map(|kept| kept.field)).collect();
    Arc::new(Schema::new(fields))
}
