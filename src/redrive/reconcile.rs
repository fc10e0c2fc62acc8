//! Where every workout stands with the live pipeline: the golden activities against its runs and uploads.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use jiff::Timestamp;
use serde::Serialize;

use crate::dedupe;
use crate::error::{Error, Result};
use crate::fitglue::runs::{Run, Runs, Status};
use crate::fitglue::uploads::Ledger;
use crate::fitglue::{self, source_name};
use crate::sources::Source;
use crate::store::dataset;
use crate::store::dataset::cells::Rows;
use crate::store::each::each_bucket;
use crate::store::lake::{Bucket, Lake, is_among};

/// Where a workout stands with the pipeline. Of several runs, the one furthest to the front counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Standing {
    /// A run has it.
    There,
    /// A run has it, through another source.
    Duplicate,
    /// The pipeline itself uploaded it somewhere.
    Loop,
    /// Its run is in a state that this longrun does not know.
    Unclear,
    /// Its run was blocked, because the tier's syncs were used up.
    TierBlocked,
    /// Its run failed, or has stood still for a day.
    Failed,
    Missing,
}

impl Standing {
    pub const ALL: [Standing; 7] = [
        Standing::There,
        Standing::Duplicate,
        Standing::Loop,
        Standing::Unclear,
        Standing::TierBlocked,
        Standing::Failed,
        Standing::Missing,
    ];

    /// What the pipeline should have, and has not.
    pub const OWED: [Standing; 3] = [Standing::TierBlocked, Standing::Failed, Standing::Missing];

    pub fn is_owed(self) -> bool {
        Standing::OWED.contains(&self)
    }

    pub fn name(self) -> &'static str {
        match self {
            Standing::There => "there",
            Standing::Duplicate => "duplicate",
            Standing::Loop => "loop",
            Standing::Unclear => "unclear",
            Standing::TierBlocked => "tier_blocked",
            Standing::Failed => "failed",
            Standing::Missing => "missing",
        }
    }
}

/// A record that tells of a workout.
#[derive(Debug, Clone, PartialEq)]
pub struct Teller {
    pub source: Source,
    pub source_id: String,
    /// Whether it tells of the workout, and not of a part of it, or of it and others.
    pub is_same: bool,
    pub start_s: i64,
    pub elapsed_s: Option<f64>,
    /// Whether the pipeline put it there.
    pub is_echo: bool,
    /// Where its row stands: number of the batch, and in it.
    pub row: (usize, usize),
}

impl Teller {
    pub fn name(&self) -> String {
        format!("{}:{}", self.source, self.source_id)
    }
}

/// A golden activity, as far as the pipeline is concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct Workout {
    pub golden_id: String,
    pub start: Timestamp,
    pub sport: Option<String>,
    pub title: Option<String>,
    /// In the order in which they would be sent.
    pub tellers: Vec<Teller>,
}

/// A run that has not moved for so long will not move any more.
const STALLED_S: i64 = 86_400;
/// The pipeline gives files ids of chance, so they are known by when they began.
const SAME_START_S: i64 = 60;

fn of_run(run: &Run, now_s: i64) -> Standing {
    match &run.status {
        Status::Synced | Status::Partial | Status::Pending | Status::Skipped | Status::Archived => {
            Standing::There
        }
        Status::Running if run.updated_s.is_some_and(|at| now_s.saturating_sub(at) > STALLED_S) => {
            Standing::Failed
        }
        Status::Running => Standing::There,
        Status::Failed => Standing::Failed,
        Status::TierBlocked => Standing::TierBlocked,
        Status::Unknown(_) => Standing::Unclear,
    }
}

/// Where a workout stands.
pub fn standing(workout: &Workout, runs: &Runs, now_s: i64) -> Standing {
    let mut best = Standing::Missing;
    let mut own = true;
    for teller in &workout.tellers {
        let source = source_name(teller.source);
        let by_id = runs.of_activity(&source, &teller.source_id);
        let by_start = runs.that_began("file_upload", teller.start_s, SAME_START_S);
        for run in by_id.chain(by_start) {
            best = best.min(match of_run(run, now_s) {
                Standing::There if !own => Standing::Duplicate,
                found => found,
            });
        }
        // Echoes come last, so the first one is who would be sent.
        own = false;
    }
    if workout.tellers.iter().any(|teller| teller.is_echo) { best.min(Standing::Loop) } else { best }
}

/// The columns of activities that payloads are made of.
const COLUMNS: [&str; 19] = [
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
];

/// A bucket's workouts by user, oldest first, and the rows of those who tell of them.
#[derive(Debug, Default)]
pub struct Told {
    pub batches: Vec<RecordBatch>,
    pub workouts: BTreeMap<String, Vec<Workout>>,
}

/// Reads a bucket; of people only these users, or everybody where there are none.
pub fn read(lake: &Lake, bucket: Bucket, ledger: &Ledger, users: &[String]) -> Result<Told> {
    let golden = lake.golden(bucket);
    dataset::check_schema(lake, &golden, "dedupe")?;
    let mut told = Told { batches: dataset::activities(lake, bucket, Some(&COLUMNS))?, ..Told::default() };
    let mut places: HashMap<(String, String, String), (usize, usize)> = HashMap::new();
    for (number, batch) in told.batches.iter().enumerate() {
        let rows = Rows(batch);
        for row in (0..batch.num_rows()).filter(|row| is_among(users, rows.words("user_id").value(*row))) {
            places.insert(rows.activity(row), (number, row));
        }
    }
    const OF_GOLDEN: [&str; 6] = ["golden_id", "members", "user_id", "title", "sport", "start_time"];
    for batch in dataset::read(lake, &golden, Some(&OF_GOLDEN))? {
        let rows = Rows(&batch);
        for row in 0..batch.num_rows() {
            let user = rows.text("user_id", row);
            if !is_among(users, &user) {
                continue;
            }
            let members = rows.within("members", row);
            let tellers = members.iter().flat_map(|members| {
                let members = Rows(members);
                (0..members.0.num_rows()).filter_map(move |at| {
                    let source = members.text("source", at);
                    Some((Source::named(&source)?, members.text("source_id", at), members.text("role", at)))
                })
            });
            let mut tellers: Vec<Teller> = tellers
                .filter_map(|(source, source_id, role)| {
                    let key = (user.clone(), source.to_string(), source_id);
                    let place = *places.get(&key)?;
                    let of = Rows(&told.batches[place.0]);
                    let start_s = of.time_ms("start_time", place.1).div_euclid(1000);
                    let elapsed_s = of.number("elapsed_s", place.1);
                    let source_id = key.2;
                    let is_echo = of.is_true("uploaded_by_pipeline", place.1)
                        || ledger.has(&user, &source_name(source), &source_id, start_s, elapsed_s);
                    Some(Teller {
                        source,
                        source_id,
                        is_same: role == "same",
                        start_s,
                        elapsed_s,
                        is_echo,
                        row: place,
                    })
                })
                .collect();
            let rank = |source: Source| source.spec().ranks.sent;
            tellers.sort_by_key(|t| (t.is_echo, !t.is_same, rank(t.source)));
            let Some(start) = rows.time("start_time", row) else { continue };
            let workout = Workout {
                golden_id: rows.text("golden_id", row),
                start,
                sport: rows.word("sport", row),
                title: rows.word("title", row),
                tellers,
            };
            told.workouts.entry(user).or_default().push(workout);
        }
    }
    for own in told.workouts.values_mut() {
        own.sort_by(|a, b| (a.start, &a.golden_id).cmp(&(b.start, &b.golden_id)));
    }
    Ok(told)
}

/// How many workouts stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub workouts: u64,
    pub there: u64,
    pub duplicate: u64,
    #[serde(rename = "loop")]
    pub echo: u64,
    pub unclear: u64,
    pub tier_blocked: u64,
    pub failed: u64,
    pub missing: u64,
}

impl Counts {
    pub fn add(&mut self, standing: Standing) {
        self.workouts += 1;
        *match standing {
            Standing::There => &mut self.there,
            Standing::Duplicate => &mut self.duplicate,
            Standing::Loop => &mut self.echo,
            Standing::Unclear => &mut self.unclear,
            Standing::TierBlocked => &mut self.tier_blocked,
            Standing::Failed => &mut self.failed,
            Standing::Missing => &mut self.missing,
        } += 1;
    }

    pub fn of(&self, standing: Standing) -> u64 {
        match standing {
            Standing::There => self.there,
            Standing::Duplicate => self.duplicate,
            Standing::Loop => self.echo,
            Standing::Unclear => self.unclear,
            Standing::TierBlocked => self.tier_blocked,
            Standing::Failed => self.failed,
            Standing::Missing => self.missing,
        }
    }

    fn add_all(&mut self, other: &Counts) {
        self.workouts += other.workouts;
        self.there += other.there;
        self.duplicate += other.duplicate;
        self.echo += other.echo;
        self.unclear += other.unclear;
        self.tier_blocked += other.tier_blocked;
        self.failed += other.failed;
        self.missing += other.missing;
    }

    pub fn owed(&self) -> u64 {
        Standing::OWED.iter().map(|standing| self.of(*standing)).sum()
    }
}

/// One user's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfUser {
    pub user_id: String,
    #[serde(flatten)]
    pub counts: Counts,
    /// Runs that the pipeline told of.
    pub runs: u64,
    /// Of what is owed.
    pub first_owed: Option<Timestamp>,
    pub last_owed: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reconciled {
    pub totals: Counts,
    /// Those with most owed first.
    pub users: Vec<OfUser>,
    /// Activities that came after the last dedupe, and are in no workout yet.
    pub not_deduped: u64,
}

/// An error that says what has to be there first, or whom nobody knows.
pub fn check(lake: &Lake, users: &[String]) -> Result<()> {
    if dataset::files(lake, &lake.golden_folder())?.is_empty() {
        return Err(Error::Usage("there are no workouts yet; run `longrun dedupe` first".to_string()));
    }
    if !fitglue::has_told_of_runs(lake)? {
        return Err(Error::Usage(
            "the live pipeline has told of no runs, so everything would seem to be missing there; \
             run `longrun pipeline import FILE` with exports of its runs, users and uploads first (`[]` where it has none)"
                .to_string(),
        ));
    }
    for user in users {
        let golden = dataset::read(lake, &lake.golden(lake.bucket(user)), Some(&["user_id"]))?;
        if !golden.iter().any(|batch| Rows(batch).words("user_id").iter().any(|known| known == Some(user))) {
            return Err(Error::Usage(format!("there are no workouts of {user:?} in the lake")));
        }
    }
    Ok(())
}

/// Everybody's, or only these users'.
pub fn reconcile(lake: &Lake, users: &[String], now: Timestamp) -> Result<Reconciled> {
    check(lake, users)?;
    let ledger = Ledger::read(lake)?;
    let of_buckets = each_bucket(&lake.buckets_of(users), |bucket| {
        let told = read(lake, bucket, &ledger, users)?;
        told.workouts.iter().map(|(user_id, workouts)| of_user(lake, user_id, workouts, now)).collect()
    })?
    .all()?;
    let all = of_buckets.into_iter().flat_map(|of_bucket: Vec<OfUser>| of_bucket).collect();
    let not_deduped = dedupe::not_deduped(lake, users)?;
    let mut reconciled = Reconciled { users: all, not_deduped, ..Reconciled::default() };
    reconciled
        .users
        .sort_by(|a, b| b.counts.owed().cmp(&a.counts.owed()).then_with(|| a.user_id.cmp(&b.user_id)));
    for user in &reconciled.users {
        reconciled.totals.add_all(&user.counts);
    }
    Ok(reconciled)
}

fn of_user(lake: &Lake, user_id: &str, workouts: &[Workout], now: Timestamp) -> Result<OfUser> {
    let runs = Runs::read(lake, user_id)?;
    let mut counts = Counts::default();
    let (mut first_owed, mut last_owed) = (None, None);
    for workout in workouts {
        let standing = standing(workout, &runs, now.as_second());
        counts.add(standing);
        if standing.is_owed() {
            first_owed = first_owed.or(Some(workout.start));
            last_owed = Some(workout.start);
        }
    }
    Ok(OfUser { user_id: user_id.to_string(), counts, runs: runs.len() as u64, first_owed, last_owed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teller(source: Source, id: &str, is_echo: bool) -> Teller {
        Teller {
            source,
            source_id: id.to_string(),
            is_same: true,
            start_s: 1_000_000,
            elapsed_s: Some(600.0),
            is_echo,
            row: (0, 0),
        }
    }

    fn run(id: &str, source: &str, activity: &str, status: Status) -> Run {
        Run {
            user_id: "u".to_string(),
            run_id: id.to_string(),
            source: Some(source.to_string()),
            source_activity_id: Some(activity.to_string()),
            pipeline_id: None,
            status,
            start_s: Some(1_000_010),
            updated_s: Some(2_000_000),
        }
    }

    #[test]
    fn every_standing_has_its_case() {
        const NOW_S: i64 = 2_000_100;
        let strava = || teller(Source::Strava, "7", false);
        let hevy = || teller(Source::Hevy, "h", false);
        let echo = || teller(Source::Strava, "8", true);
        let failed = || run("r", "strava", "7", Status::Failed);
        let cases: [(&str, Vec<Teller>, Vec<Run>, Standing); 14] = [
            ("nothing", vec![strava()], vec![], Standing::Missing),
            ("its run", vec![strava()], vec![run("r", "strava", "7", Status::Synced)], Standing::There),
            ("skipped", vec![strava()], vec![run("r", "strava", "7", Status::Skipped)], Standing::There),
            ("running", vec![strava()], vec![run("r", "strava", "7", Status::Running)], Standing::There),
            ("other id", vec![strava()], vec![run("r", "strava", "9", Status::Synced)], Standing::Missing),
            ("other source", vec![strava()], vec![run("r", "hevy", "7", Status::Synced)], Standing::Missing),
            ("failed", vec![strava()], vec![failed()], Standing::Failed),
            (
                "blocked",
                vec![strava()],
                vec![run("r", "strava", "7", Status::TierBlocked), failed()],
                Standing::TierBlocked,
            ),
            (
                "failed, then there",
                vec![strava()],
                vec![failed(), run("s", "strava", "7", Status::Partial)],
                Standing::There,
            ),
            (
                "through hevy",
                vec![strava(), hevy()],
                vec![run("r", "hevy", "h", Status::Synced)],
                Standing::Duplicate,
            ),
            (
                "as a file",
                vec![strava()],
                vec![run("r", "file_upload", "upload_x", Status::Synced)],
                Standing::There,
            ),
            ("echo", vec![hevy(), echo()], vec![], Standing::Loop),
            (
                "echo of a failed one",
                vec![hevy(), echo()],
                vec![run("r", "hevy", "h", Status::Failed)],
                Standing::Loop,
            ),
            (
                "new state",
                vec![strava()],
                vec![run("r", "strava", "7", Status::named("12"))],
                Standing::Unclear,
            ),
        ];
        for (name, tellers, runs, expected) in cases {
            let workout = Workout {
                golden_id: "g".to_string(),
                start: Timestamp::from_second(1_000_000).unwrap(),
                sport: None,
                title: None,
                tellers,
            };
            assert_eq!(standing(&workout, &Runs::of(runs), NOW_S), expected, "{name}");
        }
        let mut stalled = run("r", "strava", "7", Status::Running);
        stalled.updated_s = Some(NOW_S - 2 * STALLED_S);
        let workout = Workout {
            golden_id: "g".to_string(),
            start: Timestamp::UNIX_EPOCH,
            sport: None,
            title: None,
            tellers: vec![strava()],
        };
        assert_eq!(standing(&workout, &Runs::of(vec![stalled]), NOW_S), Standing::Failed);
    }
}
