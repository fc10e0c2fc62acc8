//! A bucket's workouts, each with the records that it was made of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use jiff::Timestamp;

use crate::error::Result;
use crate::fitglue::source_name;
use crate::fitglue::uploads::Uploads;
use crate::sources::Source;
use crate::store::dataset;
use crate::store::dataset::cells::Rows;
use crate::store::lake::{Bucket, Lake, is_among};

/// A record of a workout.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub source: Source,
    pub source_id: String,
    /// Whether it covers the workout, and not a part of it, or it and another one.
    pub is_same: bool,
    pub start_s: i64,
    pub elapsed_s: Option<f64>,
    /// Whether the pipeline put it there.
    pub is_echo: bool,
    /// Whether the source no longer has it.
    pub is_gone: bool,
    /// Where its row is: number of the batch, and in it.
    pub row: (usize, usize),
}

impl Member {
    /// `strava:123`
    pub fn name(&self) -> String {
        format!("{}:{}", self.source, self.source_id)
    }

    /// Its row, in the batches that it was read with.
    pub fn rows<'a>(&self, batches: &'a [RecordBatch]) -> (Rows<'a>, usize) {
        (Rows(&batches[self.row.0]), self.row.1)
    }
}

/// A golden row, as far as the pipeline is concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct Workout {
    pub golden_id: String,
    pub start: Timestamp,
    pub sport: Option<String>,
    pub title: Option<String>,
    /// In the order in which they would be sent.
    pub members: Vec<Member>,
}

/// The columns of activities that messages are made of.
const COLUMNS: [&str; 20] = [
    "user_id",
    "source",
    "source_id",
    "source_account_id",
    "title",
    "description",
    "sport",
    "start_time",
    "elapsed_s",
    "distance_m",
    "calories_kcal",
    "laps",
    "exercise_sets",
    "uploaded_by_pipeline",
    "origin",
    "detail_at",
    "raw_ref",
    "archive_ref",
    "start_quality",
    "gone_at",
];

/// A bucket's workouts by user, oldest first, and the rows of their members.
#[derive(Debug)]
pub struct Workouts {
    pub batches: Arc<[RecordBatch]>,
    pub by_user: BTreeMap<String, Vec<Workout>>,
}

/// User, source and id.
type Name = (String, String, String);

impl Workouts {
    /// Reads a bucket; only these users, or everybody where none are named.
    pub fn read(lake: &Lake, bucket: Bucket, uploads: &Uploads, users: &[String]) -> Result<Workouts> {
        const OF_GOLDEN: [&str; 6] = ["golden_id", "members", "user_id", "title", "sport", "start_time"];
        let golden = lake.golden(bucket);
        let batches: Arc<[RecordBatch]> = dataset::activities(lake, bucket, Some(&COLUMNS))?.into();
        let mut members: HashMap<Name, Member> = HashMap::new();
        for (number, batch) in batches.iter().enumerate() {
            let rows = Rows(batch);
            for row in (0..batch.num_rows()).filter(|row| is_among(users, rows.words("user_id").value(*row)))
            {
                if let Some(member) = member(rows, (number, row), uploads) {
                    members.insert(rows.activity(row), member);
                }
            }
        }
        let mut by_user: BTreeMap<String, Vec<Workout>> = BTreeMap::new();
        for batch in dataset::read_checked(lake, &golden, Some(&OF_GOLDEN), "dedupe")? {
            let rows = Rows(&batch);
            for row in (0..batch.num_rows()).filter(|row| is_among(users, rows.words("user_id").value(*row)))
            {
                let user_id = rows.text("user_id", row);
                if let Some(workout) = workout(rows, row, &user_id, &members) {
                    by_user.entry(user_id).or_default().push(workout);
                }
            }
        }
        for own in by_user.values_mut() {
            own.sort_by(|a, b| (a.start, &a.golden_id).cmp(&(b.start, &b.golden_id)));
        }
        Ok(Workouts { batches, by_user })
    }
}

/// A row of activities. Whether it covers its workout, the workout says.
fn member(rows: Rows, (batch, row): (usize, usize), uploads: &Uploads) -> Option<Member> {
    let source = Source::named(rows.words("source").value(row))?;
    let source_id = rows.text("source_id", row);
    let start_s = rows.time_ms("start_time", row).div_euclid(1000);
    let elapsed_s = rows.number("elapsed_s", row);
    let user_id = rows.words("user_id").value(row);
    let is_echo = rows.is_true("uploaded_by_pipeline", row)
        || uploads.has(user_id, source_name(source), &source_id, start_s, elapsed_s);
    // Datasets of before do not have the column.
    let is_gone = rows.0.column_by_name("gone_at").is_some_and(|gone| gone.is_valid(row));
    Some(Member {
        source,
        source_id,
        is_same: false,
        start_s,
        elapsed_s,
        is_echo,
        is_gone,
        row: (batch, row),
    })
}

fn workout(rows: Rows, row: usize, user_id: &str, known: &HashMap<Name, Member>) -> Option<Workout> {
    let mut members = Vec::new();
    if let Some(listed) = rows.within("members", row) {
        let listed = Rows(&listed);
        for at in 0..listed.0.num_rows() {
            let name = (user_id.to_string(), listed.text("source", at), listed.text("source_id", at));
            if let Some(member) = known.get(&name) {
                members.push(Member { is_same: listed.text("role", at) == "same", ..member.clone() });
            }
        }
    }
    members.sort_by_key(|m| (m.is_echo, !m.is_same, m.source.spec().ranks.sent));
    Some(Workout {
        golden_id: rows.text("golden_id", row),
        start: rows.time("start_time", row)?,
        sport: rows.word("sport", row),
        title: rows.word("title", row),
        members,
    })
}
