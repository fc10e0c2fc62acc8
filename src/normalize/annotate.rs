//! What is said of rows by others than their source: the athlete's own rules for sports, and
//! the pipeline's ledger of what it uploaded. Both may change at any time, so they are applied
//! when a file is written, and a file says which ones it was written with.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::Float64Type;
use twox_hash::XxHash64;

use super::UnnamedSports;
use crate::error::{Error, Result};
use crate::fitglue::uploads::Uploads;
use crate::model::columns::{TimeType, second_of};
use crate::model::sport::{self, Rules};
use crate::sources::Source;
use crate::store::lake::{Bucket, Lake};

#[derive(Debug, Default)]
pub struct Annotations {
    rules: Rules,
    rules_digest: u64,
    uploads: Uploads,
}

impl Annotations {
    pub fn read(lake: &Lake) -> Result<Annotations> {
        let text = lake.text(&lake.rules())?;
        let rules = match &text {
            Some(text) => Rules::parse(text).map_err(|e| Error::damaged(lake.place(&lake.rules()), e))?,
            None => Rules::default(),
        };
        let rules_digest = text.map_or(0, |text| XxHash64::oneshot(0, text.as_bytes()));
        Ok(Annotations { rules, rules_digest, uploads: Uploads::read(lake)? })
    }

    /// Changes when what would be said of a bucket's rows may have.
    pub fn digest(&self, lake: &Lake, bucket: Bucket, source: Source) -> u64 {
        let uploads = if source.spec().can_echo { self.uploads.digest(lake, bucket) } else { 0 };
        self.rules_digest ^ uploads
    }

    /// Rows of activities with what is said of them. Sports that nothing is known of are counted in `unnamed`.
    pub fn apply(&self, source: Source, batch: &RecordBatch, unnamed: &mut UnnamedSports) -> RecordBatch {
        let schema = batch.schema();
        let column = |name: &str| batch.column(schema.index_of(name).expect("activities have it"));
        let words = |name: &str| column(name).as_string::<i32>();
        let (titles, raw) = (words("title"), words("sport_raw"));
        let (users, ids) = (words("user_id"), words("source_id"));
        let starts = column("start_time").as_primitive::<TimeType>();
        let elapsed = column("elapsed_s").as_primitive::<Float64Type>();
        let mut sports = StringBuilder::new();
        let mut rules = StringBuilder::new();
        let mut uploaded = BooleanBuilder::new();
        for row in 0..batch.num_rows() {
            let ruled = titles.is_valid(row).then(|| self.rules.decide(titles.value(row))).flatten();
            let named = || sport::canonical(source.name(), raw.is_valid(row).then(|| raw.value(row))?);
            let own = source.spec().only_sport.or_else(named);
            let sport = ruled.map(|(sport, _)| sport).or(own);
            if sport.is_none() && raw.is_valid(row) {
                unnamed.add(source.name(), raw.value(row), 1);
            }
            sports.append_option(sport);
            rules.append_option(ruled.map(|(_, words)| words));
            let elapsed_s = elapsed.is_valid(row).then(|| elapsed.value(row));
            let start_s = second_of(starts.value(row));
            let is_ours = source.spec().can_echo
                && self.uploads.has(users.value(row), source.name(), ids.value(row), start_s, elapsed_s);
            uploaded.append_option(is_ours.then_some(true));
        }
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        let mut set = |name: &str, values: ArrayRef| {
            columns[schema.index_of(name).expect("activities have it")] = values;
        };
        set("sport", Arc::new(sports.finish()));
        set("sport_rule", Arc::new(rules.finish()));
        set("uploaded_by_pipeline", Arc::new(uploaded.finish()));
        RecordBatch::try_new(schema, columns).expect("the columns are of the schema")
    }
}
