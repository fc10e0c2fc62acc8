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
use crate::model::columns::{TimeArray, TimeType, second_of};
use crate::model::policy::{Policy, Terms};
use crate::model::sport::{self, Rules};
use crate::sources::Source;
use crate::store::dataset::cells::{Rows, replaced};
use crate::store::lake::{Bucket, Lake};

#[derive(Debug, Default)]
pub struct Annotations {
    rules: Rules,
    rules_digest: u64,
    uploads: Uploads,
    policy: Policy,
    policy_digest: u64,
}

impl Annotations {
    pub fn read(lake: &Lake) -> Result<Annotations> {
        let text = lake.text(&lake.rules())?;
        let rules = match &text {
            Some(text) => Rules::parse(text).map_err(|e| Error::damaged(lake.place(&lake.rules()), e))?,
            None => Rules::default(),
        };
        let rules_digest = text.map_or(0, |text| XxHash64::oneshot(0, text.as_bytes()));
        let policy_text = lake.text(&lake.policy())?;
        let policy = policy_text.as_deref().map(Policy::parse).transpose();
        let policy = policy.map_err(|e| Error::damaged(lake.place(&lake.policy()), e))?.unwrap_or_default();
        let policy_digest = policy_text.map_or(0, |text| XxHash64::oneshot(1, text.as_bytes()));
        Ok(Annotations { rules, rules_digest, uploads: Uploads::read(lake)?, policy, policy_digest })
    }

    /// Changes when what would be said of a bucket's rows may have.
    pub fn digest(&self, lake: &Lake, bucket: Bucket, source: Source) -> u64 {
        let uploads = if source.spec().can_echo { self.uploads.digest(lake, bucket) } else { 0 };
        let policy = if self.policy.of(source.name()) == Terms::default() { 0 } else { self.policy_digest };
        self.rules_digest ^ uploads ^ policy
    }

    /// When the source's terms ask for rows to be fetched anew or forgotten.
    fn ends(&self, source: Source, batch: &RecordBatch) -> TimeArray {
        let terms = self.policy.of(source.name());
        let rows = Rows(batch);
        let origins = rows.words("origin");
        let times = |name: &str| rows.column(name).as_primitive::<TimeType>();
        let (fetched, detail, gone) = (times("fetched_at"), times("detail_at"), times("gone_at"));
        let second = |times: &TimeArray, row: usize| times.is_valid(row).then(|| second_of(times.value(row)));
        let end = |row: usize| {
            // What a person exported is theirs.
            let is_of_api = origins.value(row).starts_with("api");
            let fetched_s = second(fetched, row).filter(|_| is_of_api)?;
            let oldest_s = second(detail, row).map_or(fetched_s, |s| s.min(fetched_s));
            terms.expires_s(oldest_s, second(gone, row)).map(|s| s * 1_000_000)
        };
        (0..batch.num_rows()).map(end).collect::<TimeArray>().with_timezone("UTC")
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
        let columns: [(&str, ArrayRef); 4] = [
            ("expires_at", Arc::new(self.ends(source, batch))),
            ("sport", Arc::new(sports.finish())),
            ("sport_rule", Arc::new(rules.finish())),
            ("uploaded_by_pipeline", Arc::new(uploaded.finish())),
        ];
        replaced(batch, columns)
    }
}
