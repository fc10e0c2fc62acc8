//! Where every workout stands with the live pipeline: the golden activities against its runs and uploads.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::workouts::{Workout, Workouts};
use crate::dedupe;
use crate::error::{Error, Result};
use crate::fitglue::runs::{Run, Runs, Status};
use crate::fitglue::uploads::Uploads;
use crate::fitglue::{self, source_name};
use crate::store::dataset;
use crate::store::dataset::cells::Rows;
use crate::store::each::each_bucket;
use crate::store::lake::Lake;
use crate::store::state::exports::Exports;

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
    for member in &workout.members {
        let source = source_name(member.source);
        let by_id = runs.of_activity(source, &member.source_id);
        let by_start = runs.that_began("file_upload", member.start_s, SAME_START_S);
        for run in by_id.chain(by_start) {
            best = best.min(match of_run(run, now_s) {
                Standing::There if !own => Standing::Duplicate,
                found => found,
            });
        }
        // Echoes come last, so the first one is who would be sent.
        own = false;
    }
    if workout.members.iter().any(|member| member.is_echo) { best.min(Standing::Loop) } else { best }
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
    /// Runs that the exports have.
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
    /// Everybody's workouts by the month in which they began, `2024-05`: what the pipeline has, and lost.
    pub months: BTreeMap<String, Counts>,
    /// Activities that came after the last dedupe, and are in no workout yet.
    pub not_deduped: u64,
    /// Buckets that could not be read, and why; their users are in none of the figures.
    pub damaged: Vec<String>,
}

/// An error that says what has to be there first, or whom nobody knows.
pub fn check(lake: &Lake, users: &[String]) -> Result<()> {
    if dataset::files(lake, &lake.golden_folder())?.is_empty() {
        return Err(Error::Usage("there are no workouts yet; run `longrun dedupe` first".to_string()));
    }
    if !fitglue::knows_runs(lake)? {
        return Err(Error::Usage(
            "no export of the live pipeline's runs was imported, so everything would seem to be missing there; run \
             `longrun pipeline import FILE` with exports of its runs, users and uploads first (`[]` where it has none)"
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

/// `2024-05`
pub fn month(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()
}

type Months = BTreeMap<String, Counts>;

/// Everybody's, or only these users'. A bucket that cannot be read does not stop the others.
pub fn reconcile(lake: &Lake, users: &[String], now: Timestamp) -> Result<Reconciled> {
    check(lake, users)?;
    let uploads = Uploads::read(lake)?;
    let of_buckets = each_bucket(&lake.buckets_of(users), |bucket| {
        let read = || -> Result<(Vec<OfUser>, Months)> {
            let workouts = Workouts::read(lake, bucket, &uploads, users)?;
            let exports = Exports::open(lake)?;
            let mut months = Months::new();
            let of_user = |(user_id, workouts): (&String, &Vec<Workout>)| {
                of_user(&exports, user_id, workouts, now, &mut months)
            };
            let of_users: Vec<OfUser> = workouts.by_user.iter().map(of_user).collect::<Result<_>>()?;
            Ok((of_users, months))
        };
        super::damage_apart(read())
    })?
    .all()?;
    let mut reconciled =
        Reconciled { not_deduped: dedupe::behind(lake, users)?.activities, ..Reconciled::default() };
    for of_bucket in of_buckets {
        match of_bucket {
            Ok((of_users, months)) => {
                reconciled.users.extend(of_users);
                for (month, counts) in months {
                    reconciled.months.entry(month).or_default().add_all(&counts);
                }
            }
            Err(damage) => reconciled.damaged.push(damage),
        }
    }
    reconciled
        .users
        .sort_by(|a, b| b.counts.owed().cmp(&a.counts.owed()).then_with(|| a.user_id.cmp(&b.user_id)));
    for user in &reconciled.users {
        reconciled.totals.add_all(&user.counts);
    }
    Ok(reconciled)
}

fn of_user(
    exports: &Exports,
    user_id: &str,
    workouts: &[Workout],
    now: Timestamp,
    months: &mut Months,
) -> Result<OfUser> {
    let runs = Runs::read(exports, user_id)?;
    let mut counts = Counts::default();
    let (mut first_owed, mut last_owed) = (None, None);
    for workout in workouts {
        let standing = standing(workout, &runs, now.as_second());
        counts.add(standing);
        months.entry(month(workout.start)).or_default().add(standing);
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
    use crate::redrive::workouts::Member;
    use crate::sources::Source;

    fn member(source: Source, id: &str, is_echo: bool) -> Member {
        Member {
            source,
            source_id: id.to_string(),
            is_same: true,
            start_s: 1_000_000,
            elapsed_s: Some(600.0),
            is_echo,
            is_gone: false,
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
        let strava = || member(Source::Strava, "7", false);
        let hevy = || member(Source::Hevy, "h", false);
        let echo = || member(Source::Strava, "8", true);
        let failed = || run("r", "strava", "7", Status::Failed);
        let cases: [(&str, Vec<Member>, Vec<Run>, Standing); 14] = [
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
        for (name, members, runs, expected) in cases {
            let workout = Workout {
                golden_id: "g".to_string(),
                start: Timestamp::from_second(1_000_000).unwrap(),
                sport: None,
                title: None,
                members,
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
            members: vec![strava()],
        };
        assert_eq!(standing(&workout, &Runs::of(vec![stalled]), NOW_S), Standing::Failed);
    }
}
