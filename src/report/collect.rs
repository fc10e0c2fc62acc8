//! Reads the datasets into the figures and lists of a report, bucket by bucket.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Int32Type;
use jiff::Timestamp;

use super::pairs::Wanted;
use super::part::Part;
use super::people::{OfPerson, Rank};
use super::{Comparison, Conflict, Given, Member, Most, Options, Pipeline, Report, Words, Workout};
use crate::dedupe::weights::{COMPARISONS, Weights};
use crate::error::{Error, Result};
use crate::fitglue::knows_runs;
use crate::redrive::{self, reconcile};
use crate::sources::Source;
use crate::stats::calendar::Begin;
use crate::store::dataset;
use crate::store::dataset::cells::{Rows, field, structs};
use crate::store::each::each_in_order;
use crate::store::lake::{Bucket, Lake};

/// What is known while a bucket is read.
#[derive(Default)]
struct OfBucket {
    people: BTreeMap<String, OfPerson>,
    /// User and name of the records that belong to a workout, and of those that share one.
    known: HashSet<(String, String)>,
    shared: HashSet<(String, String)>,
}

pub fn collect(lake: &Lake, options: &Options, progress: impl Fn(u64)) -> Result<Report> {
    if dataset::files(lake, &lake.golden_folder())?.is_empty() {
        return Err(nothing_yet());
    }
    let mut all = Part::new(options.most, Bucket(0));
    let (mut left_out, mut ended) = (Vec::new(), Ok(()));
    let mut buckets = lake.buckets_of(options.user.as_slice());
    buckets.retain(|bucket| options.buckets.is_empty() || options.buckets.contains(bucket));
    // What was lowest a moment ago is below what is lowest now, and says as well who will not be listed.
    let lowest = Mutex::new(None);
    let collect = |(): &(), bucket| {
        let lowest = *lowest.lock().expect("no thread panics while it holds this");
        part(lake, bucket, options.user.as_deref(), options.most, lowest)
    };
    each_in_order(
        &buckets,
        || Ok(()),
        collect,
        |of_bucket| {
            match of_bucket {
                Ok(part) => {
                    all.add(part);
                    *lowest.lock().expect("no thread panics while it holds this") = all.people.lowest();
                }
                Err(e) if e.is_everywhere() => ended = Err(e),
                Err(e) => left_out.push(e.to_string()),
            }
            progress(1);
            ended.is_ok()
        },
    );
    ended?;
    if let Some(user) = options.user.as_deref().filter(|_| all.people.all == 0 && left_out.is_empty()) {
        return Err(Error::Usage(format!("no records of user {user:?} in the lake")));
    }
    let weights = lake.text(&lake.weights())?.unwrap_or_else(|| Weights::default().to_toml());
    let weights = comparisons(&Weights::parse(&weights, &lake.place(&lake.weights()))?);
    let mut report = all.finish(weights, pipeline(lake, options)?);
    report.overview.left_out = left_out;
    Ok(report)
}

/// Of a lake without workouts.
pub fn nothing_yet() -> Error {
    Error::Usage("nothing to report yet; run `longrun dedupe` first".to_string())
}

/// What there is to say of a bucket. Pages are made of people who may be listed: those from the lowest rank on.
pub fn part(
    lake: &Lake,
    bucket: Bucket,
    user: Option<&str>,
    most: Most,
    lowest: Option<Rank>,
) -> Result<Part> {
    let mut part = Part::new(most, bucket);
    let is_wanted = |of: &str| user.is_none_or(|wanted| wanted == of);
    for path in [lake.golden(bucket), lake.matches(bucket)] {
        dataset::check_schema(lake, &path, "dedupe")?;
    }
    let mut of_bucket = OfBucket::default();
    for batch in dataset::read(lake, &lake.golden(bucket), None)? {
        part.take_golden(&Rows(&batch), &is_wanted, &mut of_bucket);
        part.trim_workouts_now_and_then();
    }
    part.trim_workouts();
    let mut pairs = Vec::new();
    for batch in dataset::read(lake, &lake.matches(bucket), None)? {
        let people = &mut of_bucket.people;
        part.pairs.take(&Rows(&batch), &is_wanted, &mut pairs, |user| {
            people.entry(user.to_string()).or_default().review += 1;
        });
    }
    let wanted = part.pairs.end_bucket(pairs);
    part.take_activities(lake, bucket, &is_wanted, &mut of_bucket, &wanted)?;
    part.take_rejects(lake, bucket, &is_wanted)?;
    part.people.take(of_bucket.people, &mut part.users, &mut part.calendar, lowest);
    Ok(part)
}

impl Part {
    fn take_golden(&mut self, rows: &Rows, is_wanted: &impl Fn(&str) -> bool, of_bucket: &mut OfBucket) {
        let users = rows.words("user_id");
        let (lats, lons) = (rows.list("track_lat_e5"), rows.list("track_lon_e5"));
        for row in (0..rows.0.num_rows()).filter(|row| is_wanted(users.value(*row))) {
            let (km, hours) = (distance_km(rows, row), time_s(rows, row) / 3600.0);
            let user = users.value(row);
            let number = self.users.number(user);
            // The legs of a multisport event are workouts of their own, and are summed instead.
            if !rows.is_true("is_parent", row) {
                self.totals.add(km, hours);
                let person = of_bucket.people.entry(user.to_string()).or_default();
                person.workout(begin(rows, row), km, hours);
                if lats.is_valid(row) && lons.is_valid(row) {
                    let (lat, lon) = (lats.value(row), lons.value(row));
                    let points = [&lat, &lon].map(|list| list.as_primitive::<Int32Type>().values());
                    self.map.take(number, points[0], points[1]);
                }
            }
            let workout = self.workout(rows, row, number);
            let names = workout.members.iter().map(|m| {
                let source = self.words.word(m.source);
                (user.to_string(), format!("{source}:{}", m.id))
            });
            if workout.members.len() > 1 {
                self.shared_workouts += 1;
                of_bucket.shared.extend(names.clone());
            }
            of_bucket.known.extend(names);
            self.workouts.push(workout);
        }
    }

    fn workout(&mut self, rows: &Rows, row: usize, user: u32) -> Workout {
        let [members, lineage, conflicts] =
            ["members", "lineage", "conflicts"].map(|list| structs(rows.list(list), row));
        let of: Vec<Member> = (0..members.len())
            .map(|at| Member {
                source: self.words.number(&field(&members, "source", at)),
                id: field(&members, "source_id", at).into(),
                role: self.words.number(&field(&members, "role", at)),
            })
            .collect();
        let member = |words: &mut Words, of_row: &StructArray, at: usize| {
            let source = words.number(&field(of_row, "source", at));
            let id = field(of_row, "source_id", at);
            of.iter().position(|m| m.source == source && *m.id == *id).unwrap_or(of.len())
        };
        let fields = lineage.column_by_name("fields").expect("lineage has it").as_list::<i32>();
        let lineage = (0..lineage.len())
            .map(|at| {
                let fields = fields.value(at);
                let fields: Vec<String> =
                    fields.as_string::<i32>().iter().flatten().map(str::to_string).collect();
                Given {
                    member: member(&mut self.words, &lineage, at),
                    why: self.words.number(&field(&lineage, "why", at)),
                    fields: self.field_sets.number(&fields),
                }
            })
            .collect();
        let conflicts = (0..conflicts.len())
            .map(|at| {
                let said = |name: &str| field(&conflicts, name, at);
                let key = (said("field"), said("kind"), said("source"));
                let conflict = Conflict {
                    field: self.words.number(&key.0),
                    kind: self.words.number(&key.1),
                    kept: said("kept").into(),
                    other: said("other").into(),
                    member: member(&mut self.words, &conflicts, at),
                };
                *self.conflicts.entry(key).or_insert(0) += 1;
                conflict
            })
            .collect();
        let sport = rows.word("sport", row).or_else(|| rows.word("sport_raw", row));
        Workout {
            user,
            title: rows.word("title", row).map(Into::into),
            sport: sport.map(|sport| self.words.number(&sport)),
            start_ms: rows.time_ms("start_time", row),
            utc_offset_s: rows.whole("utc_offset_s", row),
            distance_m: rows.number("distance_m", row),
            moving_s: rows.number("moving_s", row).or_else(|| rows.number("elapsed_s", row)),
            members: of,
            lineage,
            conflicts,
        }
    }

    /// Sums the records, and fills in those that the listed pairs show.
    fn take_activities(
        &mut self,
        lake: &Lake,
        bucket: Bucket,
        is_wanted: &impl Fn(&str) -> bool,
        of_bucket: &mut OfBucket,
        wanted: &Wanted,
    ) -> Result<()> {
        for source in Source::ALL {
            let path = lake.activities(source.name(), bucket);
            for batch in dataset::read_checked(lake, &path, Some(&COLUMNS), "normalize")? {
                let rows = Rows(&batch);
                let (users, ids) = (rows.words("user_id"), rows.words("source_id"));
                for row in (0..batch.num_rows()).filter(|row| is_wanted(users.value(*row))) {
                    let key = (users.value(row).to_string(), format!("{source}:{}", ids.value(row)));
                    if !of_bucket.known.contains(&key) {
                        self.not_deduped += u64::from(rows.column("gone_at").is_null(row));
                        continue;
                    }
                    let figures = self.sources.entry(source.to_string()).or_default();
                    let (km, hours) = (distance_km(&rows, row), time_s(&rows, row) / 3600.0);
                    if !rows.is_true("is_parent", row) {
                        figures.activities.add(km, hours);
                        self.activities.add(km, hours);
                        let person = of_bucket.people.entry(key.0.clone()).or_default();
                        person.record(begin(&rows, row), source.name(), km, hours);
                    }
                    figures.shared += u64::from(of_bucket.shared.contains(&key));
                    self.pairs.fill(wanted, &key, &rows, row);
                }
            }
        }
        Ok(())
    }

    /// Counts by reason.
    fn take_rejects(&mut self, lake: &Lake, bucket: Bucket, is_wanted: &impl Fn(&str) -> bool) -> Result<()> {
        for source in Source::ALL {
            for batch in dataset::read(lake, &lake.rejects(source.name(), bucket), None)? {
                let rows = Rows(&batch);
                let users = rows.words("user_id");
                for row in (0..batch.num_rows()).filter(|row| is_wanted(users.value(*row))) {
                    let reason = rows.text("reason", row);
                    // What was found differs every time; what was expected stays the same.
                    let what = reason.split(", found").next().unwrap_or_default();
                    let what = match rows.word("field", row) {
                        Some(field) => format!("{field}: {what}"),
                        None => what.to_string(),
                    };
                    let key = (rows.text("source", row), rows.text("kind", row), what);
                    let (count, _) =
                        self.rejects.entry(key).or_insert_with(|| (0, rows.text("raw_ref", row)));
                    *count += 1;
                }
            }
        }
        Ok(())
    }
}

const COLUMNS: [&str; 18] = [
    "user_id",
    "is_parent",
    "source_id",
    "title",
    "sport",
    "sport_raw",
    "start_time",
    "start_quality",
    "utc_offset_s",
    "elapsed_s",
    "moving_s",
    "distance_m",
    "avg_heart_rate_bpm",
    "calories_kcal",
    "device_name",
    "track_lat_e5",
    "track_lon_e5",
    "gone_at",
];

fn distance_km(rows: &Rows, row: usize) -> f64 {
    rows.number("distance_m", row).unwrap_or(0.0) / 1000.0
}

fn begin(rows: &Rows, row: usize) -> Begin {
    Begin { start_ms: rows.time_ms("start_time", row), utc_offset_s: rows.whole("utc_offset_s", row) }
}

fn time_s(rows: &Rows, row: usize) -> f64 {
    rows.number("moving_s", row).or_else(|| rows.number("elapsed_s", row)).unwrap_or(0.0)
}

/// Where the workouts stand with the live pipeline; `None` if none of its runs were imported.
fn pipeline(lake: &Lake, options: &Options) -> Result<Option<Pipeline>> {
    const MOST_USERS: usize = 200;
    if !knows_runs(lake)? {
        return Ok(None);
    }
    let mut reconciled = reconcile::reconcile(lake, options.user.as_slice(), Timestamp::now())?;
    let all_users = reconciled.users.len() as u64;
    reconciled.users.truncate(MOST_USERS);
    let mut preview = redrive::preview(lake, options.user.as_slice())?;
    if let Ok(preview) = &mut preview {
        // Everybody's are in the tables already.
        preview.users.clear();
    }
    Ok(Some(Pipeline { all_users, preview, reconciled }))
}

/// What pairs are scored with, as the page shows it.
pub fn comparisons(weights: &Weights) -> Vec<Comparison> {
    let of = |(at, comparison): (usize, &crate::dedupe::weights::Comparison)| {
        let levels = comparison.levels.iter().zip(&weights.chances[at]).enumerate();
        Comparison {
            name: comparison.name,
            levels: levels.map(|(n, (level, c))| (level.name, c.m, c.u, weights.bits(at, n as u8))).collect(),
        }
    };
    COMPARISONS.iter().enumerate().map(of).collect()
}
