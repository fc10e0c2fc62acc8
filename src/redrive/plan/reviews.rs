//! Records that a person should look at beside others, before either is sent.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::redrive::workouts::{Member, Workout};
use crate::store::dataset;
use crate::store::dataset::cells::Rows;
use crate::store::lake::{Bucket, Lake};

/// Of one bucket: by user and record, the names of the records beside it.
#[derive(Debug, Default)]
pub struct Reviews(HashMap<(String, String), Vec<String>>);

impl Reviews {
    pub fn read(lake: &Lake, bucket: Bucket) -> Result<Reviews> {
        const COLUMNS: [&str; 6] =
            ["user_id", "source_a", "source_id_a", "source_b", "source_id_b", "decision"];
        let mut reviews = Reviews::default();
        let path = lake.matches(bucket);
        for batch in dataset::read_checked(lake, &path, Some(&COLUMNS), "dedupe")? {
            let rows = Rows(&batch);
            for row in (0..batch.num_rows()).filter(|row| rows.words("decision").value(*row) == "review") {
                let user = rows.text("user_id", row);
                let a = format!("{}:{}", rows.text("source_a", row), rows.text("source_id_a", row));
                let b = format!("{}:{}", rows.text("source_b", row), rows.text("source_id_b", row));
                reviews.0.entry((user.clone(), a.clone())).or_default().push(b.clone());
                reviews.0.entry((user, b)).or_default().push(a);
            }
        }
        Ok(reviews)
    }

    /// A record of a workout, and the one beside it that is `taken`: the pipeline has it, gets it, or made it.
    pub fn beside(
        &self,
        user_id: &str,
        workout: &Workout,
        taken: &HashSet<String>,
    ) -> Option<(String, String)> {
        if self.0.is_empty() {
            return None;
        }
        workout.members.iter().map(Member::name).find_map(|name| {
            let beside = self.0.get(&(user_id.to_string(), name.clone()))?;
            let other = beside.iter().find(|other| taken.contains(*other))?;
            Some((name, other.clone()))
        })
    }
}
