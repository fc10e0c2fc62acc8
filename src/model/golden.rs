//! The row of a workout: what its records told, put together.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::activity::Activity;
use super::columns::{Columns, Record, record};

record! {
    /// A record that tells of the workout.
    pub struct Member, MemberColumns {
        pub source: String,
        pub source_id: String,
        /// `same`; or `part` of it, or the `whole` of it and others.
        pub role: String,
    }
}

record! {
    /// Which fields a record gave, and why it.
    pub struct Lineage, LineageColumns {
        pub source: String,
        pub source_id: String,
        /// `agreed_start`, `told`, `sport`, `sets`, `best_recording`, or `fills` where a better record had none.
        pub why: String,
        pub fields: Vec<String>,
    }
}

record! {
    /// A record that says something else than what was kept.
    pub struct Conflict, ConflictColumns {
        pub field: String,
        pub kept: String,
        pub told: String,
        /// `zone`, `hidden`, `unit` or `value`.
        pub kind: String,
        pub source: String,
        pub source_id: String,
    }
}

record! {
    /// The first columns of the `golden` dataset; those of `activities` follow, but for what is a record's own.
    pub struct Golden, GoldenColumns {
        /// The id of its first record, by source.
        pub golden_id: String,
        pub members: Vec<Member>,
        /// Different ones among the members.
        pub source_count: i32,
        pub lineage: Vec<Lineage>,
        pub conflicts: Vec<Conflict>,
    }
}

/// Columns of `activities` that belong to a record and not to a workout.
const OF_RECORDS: [&str; 16] = [
    "source",
    "source_id",
    "source_account_id",
    "external_id",
    "upload_id",
    "computed",
    "partial",
    "doubts",
    "extra",
    "origin",
    "fetched_at",
    "detail_at",
    "expires_at",
    "raw_ref",
    "archive_ref",
    "schema_version",
];

/// The columns of activities that a workout has.
pub fn kept() -> Vec<(usize, FieldRef)> {
    let fields = <Activity as Record>::Columns::fields();
    let kept = fields.iter().enumerate().filter(|(_, field)| !OF_RECORDS.contains(&field.name().as_str()));
    kept.map(|(index, field)| (index, field.clone())).collect()
}

pub fn schema() -> SchemaRef {
    let own = <Golden as Record>::Columns::fields();
    let fields: Vec<FieldRef> = own.iter().cloned().chain(kept().into_iter().map(|(_, f)| f)).collect();
    Arc::new(Schema::new(fields))
}
