//! Reads the datasets into the figures and lists of a report.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Int32Type;
use jiff::Timestamp;

use super::calendar::Counting;
use super::clocks;
use super::{
    Comparison, ConflictFigures, OFFSET_BINS, OFFSET_FIRST_S, OFFSET_STEP_S, Options, Overview, Pair,
    Pipeline, RejectFigures, Report, Side, SourceFigures, SourcePair, Workout, tracks,
};
use crate::dedupe::clock::{Clock, Sighting};
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
#[derive(Default)]
struct Collecting {
    overview: Overview,
    calendar: Counting,
    users: HashSet<String>,
    sources: BTreeMap<String, SourceFigures>,
    source_pairs: BTreeMap<(String, String), Between>,
    clocks: clocks::Counting,
    conflicts: BTreeMap<(String, String, String), u64>,
    pairs: Vec<Pair>,
    workouts: Vec<Workout>,
    field_sets: BTreeMap<Vec<String>, usize>,
}

#[derive(Default)]
struct Between {
    figures: SourcePair,
    offsets_s: Vec<i32>,
    drifts: Vec<f64>,
}

pub fn collect(lake: &Lake, options: &Options, progress: impl Fn(u64)) -> Result<Report> {
    let mut all = Collecting::default();
    if dataset::files(lake, &lake.golden_folder())?.is_empty() {
        return Err(Error::Usage("nothing to report yet; run `longrun dedupe` first".to_string()));
    }
    for bucket in lake.buckets_of(options.user.as_slice()) {
        all.take_bucket(lake, bucket, options)?;
        progress(1);
    }
    if all.users.is_empty() {
        let user = options.user.as_deref().unwrap_or_default();
        return Err(Error::Usage(format!("no records of user {user:?} in the lake")));
    }
    all.overview.rejects = rejects(lake, options)?;
    all.overview.pipeline = pipeline(lake, options)?;
    Ok(all.finish(weights(lake)?))
}

impl Collecting {
    fn take_bucket(&mut self, lake: &Lake, bucket: Bucket, options: &Options) -> Result<()> {
        let is_wanted = |user: &str| options.user.as_deref().is_none_or(|wanted| wanted == user);
        for path in [lake.golden(bucket), lake.matches(bucket)] {
            dataset::check_schema(lake, &path, "dedupe")?;
        }
        let (mut known, mut shared) = (HashSet::new(), HashSet::new());
        for batch in dataset::read(lake, &lake.golden(bucket), None)? {
            self.take_golden(&Rows(&batch), &is_wanted, &mut known, &mut shared);
        }
        let most_urgent =
            |w: &Workout| (usize::MAX - w.conflicts.len(), usize::MAX - w.members.len(), -w.start_ms);
        self.workouts.sort_by_cached_key(|w| (most_urgent(w), w.user.clone(), w.id.clone()));
        self.workouts.truncate(options.most_workouts);
        let mut pairs = Vec::new();
        for batch in dataset::read(lake, &lake.matches(bucket), None)? {
            self.take_matches(&Rows(&batch), &is_wanted, &mut pairs);
        }
        pairs.append(&mut self.pairs);
        self.pairs = most_worth_a_look(pairs, options.most_pairs);
        self.take_activities(lake, bucket, &is_wanted, &known, &shared)
    }

    fn take_golden(
        &mut self,
        rows: &Rows,
        is_wanted: &impl Fn(&str) -> bool,
        known: &mut HashSet<(String, String)>,
        shared: &mut HashSet<(String, String)>,
    ) {
        let users = rows.words("user_id");
        let (members, lineage, conflicts) =
            (rows.list("members"), rows.list("lineage"), rows.list("conflicts"));
        for row in (0..rows.0.num_rows()).filter(|row| is_wanted(users.value(*row))) {
            let (km, hours) = (distance_km(rows, row), time_s(rows, row) / 3600.0);
            // The legs of a multisport event are workouts of their own, and are summed instead.
            if !rows.is_true("is_parent", row) {
                self.overview.workouts.add(km, hours);
                self.calendar.workout(begin(rows, row), km, hours);
            }
            let of = structs(members, row);
            let named = |s: &StructArray, at: usize| {
                format!("{}:{}", field(s, "source", at), field(s, "source_id", at))
            };
            let against = structs(conflicts, row);
            for at in 0..against.len() {
                let key = (
                    field(&against, "field", at),
                    field(&against, "kind", at),
                    field(&against, "source", at),
                );
                *self.conflicts.entry(key).or_insert(0) += 1;
            }
            let user = users.value(row).to_string();
            known.extend((0..of.len()).map(|at| (user.clone(), named(&of, at))));
            if of.len() < 2 {
                continue;
            }
            self.overview.shared_workouts += 1;
            shared.extend((0..of.len()).map(|at| (user.clone(), named(&of, at))));
            let given = structs(lineage, row);
            let fields = given.column_by_name("fields").expect("lineage has it").as_list::<i32>();
            self.workouts.push(Workout {
                id: rows.text("golden_id", row),
                user,
                title: rows.word("title", row),
                sport: rows.word("sport", row).or_else(|| rows.word("sport_raw", row)),
                start_ms: rows.time_ms("start_time", row),
                utc_offset_s: rows.whole("utc_offset_s", row),
                distance_m: rows.number("distance_m", row),
                moving_s: rows.number("moving_s", row).or_else(|| rows.number("elapsed_s", row)),
                members: (0..of.len()).map(|at| (named(&of, at), field(&of, "role", at))).collect(),
                lineage: (0..given.len())
                    .map(|at| {
                        let fields = fields.value(at);
                        let fields = fields.as_string::<i32>().iter().flatten().map(str::to_string);
                        let next = self.field_sets.len();
                        let set = *self.field_sets.entry(fields.collect()).or_insert(next);
                        (named(&given, at), field(&given, "why", at), set)
                    })
                    .collect(),
                conflicts: (0..against.len())
                    .map(|at| {
                        let of = |name: &str| field(&against, name, at);
                        (of("field"), of("kind"), of("kept"), of("other"), named(&against, at))
                    })
                    .collect(),
            });
        }
    }

    fn take_matches(&mut self, rows: &Rows, is_wanted: &impl Fn(&str) -> bool, pairs: &mut Vec<Pair>) {
        let users = rows.words("user_id");
        let (decisions, reasons) = (rows.words("decision"), rows.words("reason"));
        let times = rows.words("time");
        let mut sightings: BTreeMap<(&str, String, String), Vec<Sighting>> = BTreeMap::new();
        for row in (0..rows.0.num_rows()).filter(|row| is_wanted(users.value(*row))) {
            let (decision, reason) = (decisions.value(row), reasons.value(row));
            self.clocks.take(rows, row);
            let counts = &mut self.overview.pairs;
            counts.compared += 1;
            counts.matches += u64::from(decision == "match");
            counts.review += u64::from(decision == "review");
            counts.answered += u64::from(reason == "person");
            let (a, b) = (rows.text("source_a", row), rows.text("source_b", row));
            let between = self.source_pairs.entry((a.clone(), b.clone())).or_default();
            between.figures.review += u64::from(decision == "review");
            let (a_ms, b_ms) = (rows.time_ms("start_time_a", row), rows.time_ms("start_time_b", row));
            if decision == "match" {
                between.figures.matches += 1;
                let is_hidden = times.is_valid(row) && times.value(row).starts_with("day");
                let is_shifted = rows.whole("shift_s", row).unwrap_or(0) != 0;
                between.figures.hidden += u64::from(is_hidden);
                between.figures.shifted += u64::from(is_shifted);
                let ahead_s = (b_ms - a_ms).div_euclid(1000);
                if !is_hidden && !is_shifted && reason != "part" {
                    between.offsets_s.push(ahead_s as i32);
                    sightings.entry((users.value(row), a, b)).or_default().push((a_ms / 1000, ahead_s));
                }
            }
            // Clear decisions need no look.
            let is_close = rows.small("bits", row).abs() < 12.0;
            if decision == "review" || reason == "person" || is_close {
                pairs.push(pair(rows, row));
            }
        }
        for ((_, a, b), seen) in sightings {
            if a != b
                && let Some(drift) = Clock::new(seen).drift()
            {
                let between = self.source_pairs.entry((a, b)).or_default();
                between.figures.people_fitted += 1;
                between.drifts.extend(drift.is_sure().then_some(drift.s_per_day));
            }
        }
    }

    /// Sums the records, and fills in those that the listed pairs show.
    fn take_activities(
        &mut self,
        lake: &Lake,
        bucket: Bucket,
        is_wanted: &impl Fn(&str) -> bool,
        known: &HashSet<(String, String)>,
        shared: &HashSet<(String, String)>,
    ) -> Result<()> {
        let mut wanted: HashMap<(String, String), Vec<(usize, bool)>> = HashMap::new();
        for (at, pair) in self.pairs.iter().enumerate().filter(|(_, pair)| pair.a.start_quality.is_empty()) {
            for (side, is_b) in [(&pair.a, false), (&pair.b, true)] {
                wanted.entry((pair.user.clone(), side.name.clone())).or_default().push((at, is_b));
            }
        }
        for source in Source::ALL {
            let path = lake.activities(source.name(), bucket);
            dataset::check_schema(lake, &path, "normalize")?;
            for batch in dataset::read(lake, &path, Some(&COLUMNS))? {
                let rows = Rows(&batch);
                let (users, ids) = (rows.words("user_id"), rows.words("source_id"));
                for row in (0..batch.num_rows()).filter(|row| is_wanted(users.value(*row))) {
                    let key = (users.value(row).to_string(), format!("{source}:{}", ids.value(row)));
                    if !known.contains(&key) {
                        self.overview.not_deduped += u64::from(rows.column("gone_at").is_null(row));
                        continue;
                    }
                    let figures = self.sources.entry(source.to_string()).or_default();
                    let (km, hours) = (distance_km(&rows, row), time_s(&rows, row) / 3600.0);
                    if !rows.is_true("is_parent", row) {
                        figures.activities.add(km, hours);
                        self.overview.activities.add(km, hours);
                        self.calendar.record(begin(&rows, row), source.name(), km);
                    }
                    figures.shared += u64::from(shared.contains(&key));
                    for (at, is_b) in wanted.get(&key).into_iter().flatten() {
                        let pair = &mut self.pairs[*at];
                        let to = if *is_b { &mut pair.b } else { &mut pair.a };
                        *to = side(&rows, row, key.1.clone());
                    }
                    if !self.users.contains(&key.0) {
                        self.users.insert(key.0);
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, weights: Vec<Comparison>) -> Report {
        self.overview.users = self.users.len() as u64;
        self.overview.sources =
            self.sources.into_iter().map(|(source, figures)| SourceFigures { source, ..figures }).collect();
        self.overview.source_pairs = self
            .source_pairs
            .into_iter()
            .map(|((a, b), between)| between.finish(a, b))
            .filter(|pair| pair.matches + pair.review > 0)
            .collect();
        (self.overview.clocks, self.overview.answered_odds) = self.clocks.clocks();
        self.overview.source_pairs.sort_by_key(|pair| std::cmp::Reverse(pair.matches));
        self.overview.conflicts = self
            .conflicts
            .into_iter()
            .map(|((field, kind, source), count)| ConflictFigures { field, kind, source, count })
            .collect();
        self.overview.conflicts.sort_by_key(|c| std::cmp::Reverse(c.count));
        self.overview.shown_pairs = self.pairs.len() as u64;
        self.overview.shown_workouts = self.workouts.len() as u64;
        let mut field_sets: Vec<(usize, Vec<String>)> =
            self.field_sets.into_iter().map(|(fields, number)| (number, fields)).collect();
        field_sets.sort_unstable();
        Report {
            overview: self.overview,
            calendar: self.calendar.finish(),
            pairs: self.pairs,
            workouts: self.workouts,
            field_sets: field_sets.into_iter().map(|(_, fields)| fields).collect(),
            weights,
        }
    }
}

impl Between {
    fn finish(mut self, a: String, b: String) -> SourcePair {
        let mut bins = vec![0_u64; OFFSET_BINS + 2];
        for ahead_s in &self.offsets_s {
            let bin = (i64::from(*ahead_s) - OFFSET_FIRST_S).div_euclid(OFFSET_STEP_S) + 1;
            bins[bin.clamp(0, OFFSET_BINS as i64 + 1) as usize] += 1;
        }
        self.offsets_s.sort_unstable();
        self.drifts.sort_by(f64::total_cmp);
        SourcePair {
            a,
            b,
            offsets: bins,
            median_offset_s: self.offsets_s.get(self.offsets_s.len() / 2).map(|s| i64::from(*s)),
            drift_s_per_day: self.drifts.get(self.drifts.len() / 2).copied(),
            people_with_drift: self.drifts.len() as u64,
            ..self.figures
        }
    }
}

/// The pairs that a person should look at first: those to review, then those answered, then the closest decisions.
fn most_worth_a_look(mut pairs: Vec<Pair>, most: usize) -> Vec<Pair> {
    let rank = |pair: &Pair| match (pair.decision.as_str(), pair.reason.as_str()) {
        (_, "person") => 1,
        ("review", _) => 0,
        _ => 2,
    };
    pairs.sort_by(|x, y| {
        let names = |pair: &Pair| (pair.user.clone(), pair.a.name.clone(), pair.b.name.clone());
        rank(x)
            .cmp(&rank(y))
            .then(x.bits.abs().total_cmp(&y.bits.abs()))
            .then_with(|| names(x).cmp(&names(y)))
    });
    pairs.truncate(most);
    pairs
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

/// What the pair's own row holds. Its two records follow when their rows are read.
fn pair(rows: &Rows, row: usize) -> Pair {
    let side = |which: &str| Side {
        name: format!(
            "{}:{}",
            rows.text(&format!("source_{which}"), row),
            rows.text(&format!("source_id_{which}"), row)
        ),
        start_ms: rows.time_ms(&format!("start_time_{which}"), row),
        ..Side::default()
    };
    let mut weights = vec![("prior".to_string(), None, rows.small("prior_bits", row))];
    for comparison in &COMPARISONS {
        let level = rows.word(comparison.name, row);
        weights.push((
            comparison.name.to_string(),
            level,
            rows.small(&format!("{}_bits", comparison.name), row),
        ));
    }
    Pair {
        user: rows.text("user_id", row),
        a: side("a"),
        b: side("b"),
        decision: rows.text("decision", row),
        reason: rows.text("reason", row),
        bits: rows.small("bits", row),
        probability: rows.small("probability", row),
        clock_s: rows.whole("clock_s", row).unwrap_or(0),
        shift_s: rows.whole("shift_s", row).unwrap_or(0),
        weights,
    }
}

fn side(rows: &Rows, row: usize, name: String) -> Side {
    let points = |name: &str| {
        let list = rows.list(name);
        list.is_valid(row).then(|| list.value(row)).map(|v| v.as_primitive::<Int32Type>().values().to_vec())
    };
    let track = points("track_lat_e5").zip(points("track_lon_e5"));
    Side {
        name,
        title: rows.word("title", row),
        sport: rows.word("sport", row).or_else(|| rows.word("sport_raw", row)),
        start_ms: rows.time_ms("start_time", row),
        start_quality: rows.text("start_quality", row),
        utc_offset_s: rows.whole("utc_offset_s", row),
        elapsed_s: rows.number("elapsed_s", row),
        moving_s: rows.number("moving_s", row),
        distance_m: rows.number("distance_m", row),
        heart_rate_bpm: rows.number("avg_heart_rate_bpm", row),
        calories_kcal: rows.number("calories_kcal", row),
        device: rows.word("device_name", row),
        track: track.and_then(|(lat, lon)| tracks::thinned(&lat, &lon)),
    }
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
    figures.sort_by_key(|f| std::cmp::Reverse(f.count));
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
