//! Reads the datasets into the figures and lists of a report.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Int32Type;
use jiff::Timestamp;

use super::calendar::Counting;
use super::pairs::{Pairs, Wanted};
use super::people::{OfPerson, People};
use super::tracks::Drawing;
use super::{
    Comparison, Conflict, ConflictFigures, Given, Member, Options, Overview, Pipeline, RejectFigures, Report,
    SourceFigures, Words, Workout,
};
use crate::dedupe::weights::{COMPARISONS, Weights};
use crate::error::{Error, Result};
use crate::fitglue::knows_runs;
use crate::redrive::{self, reconcile};
use crate::sources::Source;
use crate::stats::calendar::Begin;
use crate::store::dataset;
use crate::store::dataset::cells::{Rows, field, structs};
use crate::store::lake::{Bucket, Lake};

/// Sums over the buckets read so far.
struct Collecting<'a> {
    options: &'a Options,
    overview: Overview,
    calendar: Counting,
    people: People,
    users: Words,
    words: Words,
    sources: BTreeMap<String, SourceFigures>,
    conflicts: BTreeMap<(String, String, String), u64>,
    pairs: Pairs,
    map: Drawing,
    workouts: Vec<Workout>,
    field_sets: BTreeMap<Vec<String>, u32>,
}

/// What is known while a bucket is read.
#[derive(Default)]
struct OfBucket {
    people: BTreeMap<String, OfPerson>,
    /// User and name of the records that belong to a workout, and of those that share one.
    known: HashSet<(String, String)>,
    shared: HashSet<(String, String)>,
}

pub fn collect(lake: &Lake, options: &Options, progress: impl Fn(u64)) -> Result<Report> {
    let mut all = Collecting::new(options);
    if dataset::files(lake, &lake.golden_folder())?.is_empty() {
        return Err(Error::Usage("nothing to report yet; run `longrun dedupe` first".to_string()));
    }
    for bucket in lake.buckets_of(options.user.as_slice()) {
        all.take_bucket(lake, bucket)?;
        progress(1);
    }
    if all.people.all == 0 {
        let user = options.user.as_deref().unwrap_or_default();
        return Err(Error::Usage(format!("no records of user {user:?} in the lake")));
    }
    all.overview.rejects = rejects(lake, options)?;
    all.overview.pipeline = pipeline(lake, options)?;
    Ok(all.finish(weights(lake)?))
}

impl Collecting<'_> {
    fn new(options: &Options) -> Collecting<'_> {
        Collecting {
            options,
            overview: Overview::default(),
            calendar: Counting::default(),
            people: People::default(),
            users: Words::default(),
            words: Words::default(),
            sources: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            pairs: Pairs::new(options.most_pairs),
            map: Drawing::new(options.most_tracks),
            workouts: Vec::new(),
            field_sets: BTreeMap::new(),
        }
    }

    fn take_bucket(&mut self, lake: &Lake, bucket: Bucket) -> Result<()> {
        let user = self.options.user.as_deref();
        let is_wanted = |of: &str| user.is_none_or(|wanted| wanted == of);
        for path in [lake.golden(bucket), lake.matches(bucket)] {
            dataset::check_schema(lake, &path, "dedupe")?;
        }
        let mut of_bucket = OfBucket::default();
        for batch in dataset::read(lake, &lake.golden(bucket), None)? {
            self.take_golden(&Rows(&batch), &is_wanted, &mut of_bucket);
        }
        if self.workouts.len() > 2 * self.options.most_workouts {
            self.trim_workouts();
        }
        let mut pairs = Vec::new();
        for batch in dataset::read(lake, &lake.matches(bucket), None)? {
            let people = &mut of_bucket.people;
            self.pairs.take(&Rows(&batch), &is_wanted, &mut self.overview, &mut pairs, |user| {
                people.entry(user.to_string()).or_default().review += 1;
            });
        }
        let wanted = self.pairs.keep(pairs);
        self.take_activities(lake, bucket, &is_wanted, &mut of_bucket, &wanted)?;
        self.pairs.trim();
        let (people, most) = (of_bucket.people, self.options.most_people);
        self.people.take(people, &mut self.users, &mut self.calendar, most);
        Ok(())
    }

    /// Keeps those that somebody should look at first.
    fn trim_workouts(&mut self) {
        self.workouts.sort_by_cached_key(|w| {
            let conflicts = (Reverse(w.conflicts.len()), Reverse(w.members.len()));
            (conflicts, Reverse(w.start_ms), w.user, w.members.first().map(|m| m.id.clone()))
        });
        self.workouts.truncate(self.options.most_workouts);
    }

    fn take_golden(&mut self, rows: &Rows, is_wanted: &impl Fn(&str) -> bool, of_bucket: &mut OfBucket) {
        let users = rows.words("user_id");
        let (lats, lons) = (rows.list("track_lat_e5"), rows.list("track_lon_e5"));
        for row in (0..rows.0.num_rows()).filter(|row| is_wanted(users.value(*row))) {
            let (km, hours) = (distance_km(rows, row), time_s(rows, row) / 3600.0);
            let user = users.value(row);
            let number = self.users.number(user);
            // The legs of a multisport event are workouts of their own, and are summed instead.
            if !rows.is_true("is_parent", row) {
                self.overview.workouts.add(km, hours);
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
                self.overview.shared_workouts += 1;
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
                let fields = fields.as_string::<i32>().iter().flatten().map(str::to_string);
                let next = self.field_sets.len() as u32;
                Given {
                    member: member(&mut self.words, &lineage, at),
                    why: self.words.number(&field(&lineage, "why", at)),
                    fields: *self.field_sets.entry(fields.collect()).or_insert(next),
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
                        self.overview.not_deduped += u64::from(rows.column("gone_at").is_null(row));
                        continue;
                    }
                    let figures = self.sources.entry(source.to_string()).or_default();
                    let (km, hours) = (distance_km(&rows, row), time_s(&rows, row) / 3600.0);
                    if !rows.is_true("is_parent", row) {
                        figures.activities.add(km, hours);
                        self.overview.activities.add(km, hours);
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

    fn finish(mut self, weights: Vec<Comparison>) -> Report {
        self.trim_workouts();
        self.workouts.sort_by_key(|w| (w.user, w.start_ms));
        let pairs = self.pairs.finish(&mut self.overview);
        let people = std::mem::take(&mut self.people);
        self.overview.users = people.all;
        self.overview.sources =
            self.sources.into_iter().map(|(source, figures)| SourceFigures { source, ..figures }).collect();
        self.overview.conflicts = self
            .conflicts
            .into_iter()
            .map(|((field, kind, source), count)| ConflictFigures { field, kind, source, count })
            .collect();
        self.overview.conflicts.sort_by_key(|c| Reverse(c.count));
        self.overview.shown_pairs = pairs.len() as u64;
        self.overview.shown_workouts = self.workouts.len() as u64;
        let mut field_sets: Vec<(u32, Vec<String>)> =
            self.field_sets.into_iter().map(|(fields, number)| (number, fields)).collect();
        field_sets.sort_unstable();
        Report {
            overview: self.overview,
            calendar: self.calendar.finish(),
            people: people.finish(),
            map: self.map.finish(),
            pairs,
            workouts: self.workouts,
            users: self.users.into_all(),
            words: self.words.into_all(),
            field_sets: field_sets.into_iter().map(|(_, fields)| fields).collect(),
            weights,
        }
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

/// Counts by reason, the most frequent first.
fn rejects(lake: &Lake, options: &Options) -> Result<Vec<RejectFigures>> {
    const MOST: usize = 100;
    let mut counts: BTreeMap<(String, String, String), (u64, String)> = BTreeMap::new();
    for path in dataset::files(lake, &lake.rejects_folder())? {
        for batch in dataset::read(lake, &path, None)? {
            let rows = Rows(&batch);
            let users = rows.words("user_id");
            let is_wanted = |row: &usize| options.user.as_deref().is_none_or(|u| u == users.value(*row));
            for row in (0..batch.num_rows()).filter(is_wanted) {
                let reason = rows.text("reason", row);
                // What was found differs every time; what was expected stays the same.
                let what = reason.split(", found").next().unwrap_or_default();
                let what = match rows.word("field", row) {
                    Some(field) => format!("{field}: {what}"),
                    None => what.to_string(),
                };
                let key = (rows.text("source", row), rows.text("kind", row), what);
                let (count, _) = counts.entry(key).or_insert_with(|| (0, rows.text("raw_ref", row)));
                *count += 1;
            }
        }
    }
    let mut figures: Vec<RejectFigures> = counts
        .into_iter()
        .map(|((source, kind, reason), (count, example))| RejectFigures {
            source,
            kind,
            reason,
            count,
            example,
        })
        .collect();
    figures.sort_by_key(|f| Reverse(f.count));
    figures.truncate(MOST);
    Ok(figures)
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

fn weights(lake: &Lake) -> Result<Vec<Comparison>> {
    let key = lake.weights();
    let text = lake.text(&key)?.unwrap_or_else(|| Weights::default().to_toml());
    let weights = Weights::parse(&text, &lake.place(&key))?;
    let of = |(at, comparison): (usize, &crate::dedupe::weights::Comparison)| {
        let levels = comparison.levels.iter().zip(&weights.chances[at]).enumerate();
        Comparison {
            name: comparison.name,
            levels: levels.map(|(n, (level, c))| (level.name, c.m, c.u, weights.bits(at, n as u8))).collect(),
        }
    };
    Ok(COMPARISONS.iter().enumerate().map(of).collect())
}
