//! Finding the activities that are the same workout.
//!
//! ```text
//! activities ─ record ─ timeline ─ block ─ compare ─ decide ─ cluster ─▶ golden/017.parquet
//!              (what     (zones,    (which  (relation, (pairs)  (groups,     one row per workout
//!               counts)   clocks)    pairs)  levels)             parts)  ─▶ matches/017.parquet
//!                                                                           one row per pair
//! ```
//!
//! Buckets are independent, and so are the people in them; what is found depends on nothing but a person's
//! records, the weights, the thresholds and the answers, in whatever order they come. A bucket whose files,
//! weights and answers are as they were is not touched again: both of its files say what they were made
//! from.

mod agreement;
mod alone;
mod assign;
pub mod block;
pub mod clock;
pub mod cluster;
mod company;
mod compare;
mod copies;
mod current;
mod decide;
mod explain;
mod false_start;
pub mod footprint;
mod forgotten;
mod golden;
mod habits;
mod join;
pub mod learn;
pub mod levels;
pub mod link;
mod lonely;
mod matches;
mod midnight;
mod outing;
mod placed;
mod race;
pub mod record;
pub mod relation;
mod repetition;
mod rest;
mod rollover;
#[cfg(test)]
mod scenarios;
mod scored;
mod sequence;
mod snow;
mod sports;
mod stray;
mod sums;
mod tiles;
pub mod timeline;
mod titles;
mod twins;
mod uploaded;
pub mod weights;
pub mod zones;

use std::collections::BTreeMap;
use std::ops::AddAssign;

use arrow::array::{AsArray, RecordBatch};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::columns::Columns;
use crate::model::pair::{Match, MatchColumns};
use crate::store::dataset::cells::Rows;
use crate::store::dataset::{self, MadeFrom, Table};
pub use crate::store::each::Run;
use crate::store::each::each_bucket;
use crate::store::lake::{Bucket, Lake};
use crate::store::state::answers::{AllAnswers, Answers};
pub use current::{Behind, behind, is_settled};
use current::{Made, inputs, rules};
use learn::Seen;
use link::Linked;
use record::Record;
use scored::{Decision, Reason, Scored};
use weights::Weights;

/// Changes whenever the same input would come out differently.
pub const VERSION: u64 = 19;

/// The odds from which on a pair is taken for one workout, and those from which on somebody should look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub match_odds: f64,
    pub review_odds: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds { match_odds: 20.0, review_odds: 1.0 }
    }
}

/// What becomes of records that their source no longer has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gone {
    #[default]
    LeftOut,
    Counted,
}

/// What a run is told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub thresholds: Thresholds,
    pub gone: Gone,
    /// Kept in the lake and used from now on.
    pub weights: Option<Weights>,
    pub learn: Learn,
    /// Empty for all.
    pub buckets: Vec<Bucket>,
}

/// When weights are learned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Learn {
    /// Where the lake has none, or some that were learned from next to nothing.
    #[default]
    IfNeeded,
    Anew,
    /// Those that the lake has are taken as they are: they were learned for a whole run, from more than lies here.
    Never,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    pub buckets: u64,
    /// The others were as they would have come out.
    pub buckets_rewritten: u64,
    pub users: u64,
    /// Records of the rewritten buckets, by all their sources.
    pub activities: u64,
    pub pairs: u64,
    pub matches: u64,
    pub reviews: u64,
    /// Pairs that a person decided.
    pub answered: u64,
    /// Workouts that the records are of.
    pub golden: u64,
    /// Of those, with more than one record.
    pub golden_of_many: u64,
    /// Records with more neighbours than were looked at.
    pub crowded: u64,
    /// Summed over records, and over workouts.
    pub distance_before_m: f64,
    pub distance_after_m: f64,
    pub time_before_s: f64,
    pub time_after_s: f64,
    pub written_bytes: u64,
    /// Files that were damaged and were made anew.
    pub remade: Vec<String>,
    /// Pairs that weights were learned from; none where the lake's were taken.
    pub learned_from: u64,
    /// Pairs that the weights in use were once learned from; none where somebody wrote them.
    pub weights_learned_from: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Summary) {
        self.buckets += other.buckets;
        self.buckets_rewritten += other.buckets_rewritten;
        self.users += other.users;
        self.activities += other.activities;
        self.pairs += other.pairs;
        self.matches += other.matches;
        self.reviews += other.reviews;
        self.answered += other.answered;
        self.golden += other.golden;
        self.golden_of_many += other.golden_of_many;
        self.crowded += other.crowded;
        self.distance_before_m += other.distance_before_m;
        self.distance_after_m += other.distance_after_m;
        self.time_before_s += other.time_before_s;
        self.time_after_s += other.time_after_s;
        self.written_bytes += other.written_bytes;
        self.remade.extend(other.remade);
        self.learned_from += other.learned_from;
        self.weights_learned_from = self.weights_learned_from.max(other.weights_learned_from);
    }
}

/// Where a record stands: the number of its batch, and in it.
type Row = (usize, usize);
type Placed = (Record, Row);

/// One person's records, sorted by start, source and id, and where each stands in the batches.
#[derive(Debug, Default)]
pub struct PersonRecords {
    pub records: Vec<Record>,
    rows: Vec<Row>,
}

/// Everybody's in some batches of activities.
pub fn people(batches: &[RecordBatch], gone: Gone) -> BTreeMap<String, PersonRecords> {
    let read: Vec<Vec<Option<Record>>> = batches.par_iter().map(record::of_batch).collect();
    let mut people: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
    for (number, (batch, records)) in batches.iter().zip(read).enumerate() {
        let users = batch.column_by_name("user_id").expect("activities have it").as_string::<i32>();
        let gone_at = Rows(batch).column("gone_at");
        for (row, record) in records.into_iter().enumerate() {
            let is_left_out = gone == Gone::LeftOut && gone_at.is_valid(row);
            if let Some(record) = record.filter(|_| !is_left_out) {
                let placed = (record, (number, row));
                match people.get_mut(users.value(row)) {
                    Some(own) => own.push(placed),
                    None => {
                        people.insert(users.value(row).to_string(), vec![placed]);
                    }
                }
            }
        }
    }
    let sorted = |mut own: Vec<Placed>| {
        own.sort_by(|(a, _), (b, _)| {
            (a.start_s, a.source, &a.source_id).cmp(&(b.start_s, b.source, &b.source_id))
        });
        let (mut records, rows): (Vec<_>, Vec<_>) = own.into_iter().unzip();
        record::name_devices(&mut records);
        PersonRecords { records, rows }
    };
    people.into_iter().map(|(user_id, own)| (user_id, sorted(own))).collect()
}

/// Links everything that has changed. `progress` is told of buckets that are done.
pub fn run(lake: &Lake, options: &Options, progress: impl Fn(u64) + Sync) -> Result<Run<Summary>> {
    let _guard = lake.backend().lock("matches", "the matches")?;
    let buckets = dataset::used_buckets(lake)?;
    let answers = AllAnswers::read(lake)?;
    remove_vanished(lake, &buckets)?;
    if buckets.is_empty() {
        return Ok(Run::default());
    }
    let (weights, learned_from) = weights(lake, options, &buckets, &answers)?;
    let is_wanted = |bucket: &Bucket| options.buckets.is_empty() || options.buckets.contains(bucket);
    let wanted: Vec<Bucket> = buckets.into_iter().filter(is_wanted).collect();
    let ended = each_bucket(&wanted, |bucket| {
        let done = dedupe_bucket(lake, bucket, &weights, options, &answers);
        progress(1);
        done
    })?;
    let summary = Summary {
        learned_from,
        weights_learned_from: weights.learned_from.unwrap_or(0),
        ..Summary::default()
    };
    Ok(Run::of(summary, ended))
}

/// The weights that a run takes as they are; None where it would learn some.
pub fn standing_weights(lake: &Lake, options: &Options) -> Result<Option<Weights>> {
    if let Some(given) = &options.weights {
        return Ok(Some(given.clone().pinned()));
    }
    let key = lake.weights();
    let kept = if options.learn == Learn::Anew { None } else { lake.text(&key)? };
    let kept = kept.map(|text| Weights::parse(&text, &lake.place(&key))).transpose()?;
    // Learned from next to nothing, as before the second source came in.
    let is_enough = |kept: &Weights| {
        options.learn == Learn::Never || kept.learned_from.is_none_or(|pairs| pairs >= FEWEST_LEARNED_FROM)
    };
    Ok(kept.filter(is_enough))
}

/// The weights of a lake, learned where it needs some, and not kept in it. None where there are no activities yet.
pub fn settled_weights(lake: &Lake, options: &Options, answers: &AllAnswers) -> Result<Option<Weights>> {
    let buckets = dataset::used_buckets(lake)?;
    if buckets.is_empty() {
        return Ok(None);
    }
    match standing_weights(lake, options)? {
        None => learn(lake, &buckets, answers).map(|(weights, _)| Some(weights)),
        standing => Ok(standing),
    }
}

/// What was made of buckets that have no activities any more.
fn remove_vanished(lake: &Lake, used: &[Bucket]) -> Result<()> {
    for bucket in lake.buckets().filter(|bucket| used.binary_search(bucket).is_err()) {
        for path in [lake.golden(bucket), lake.matches(bucket)] {
            lake.backend().remove(&path)?;
        }
    }
    Ok(())
}

/// The weights of the lake: given, kept from before, or learned now.
fn weights(
    lake: &Lake,
    options: &Options,
    buckets: &[Bucket],
    answers: &AllAnswers,
) -> Result<(Weights, u64)> {
    let (weights, learned_from) = match (standing_weights(lake, options)?, &options.weights) {
        (Some(kept), None) => return Ok((kept, 0)),
        (Some(given), Some(_)) => (given, 0),
        (None, _) => learn(lake, buckets, answers)?,
    };
    lake.put(&lake.weights(), weights.to_toml().as_bytes())?;
    Ok((weights, learned_from))
}

/// Weights that were learned from fewer are learned anew.
const FEWEST_LEARNED_FROM: u64 = 300;
/// Enough that the weights stand still.
pub const LEARNED_FROM: u64 = 200_000;

/// From the first buckets, as many as it takes.
fn learn(lake: &Lake, buckets: &[Bucket], answers: &AllAnswers) -> Result<(Weights, u64)> {
    let mut seen = Seen::default();
    for some in buckets.chunks(4) {
        for of_bucket in each_bucket(some, |bucket| {
            let people = people(&dataset::activities(lake, bucket, Some(&record::COLUMNS))?, Gone::LeftOut);
            let of_people = people.iter().map(|(user, own)| (own.records.as_slice(), answers.of(user)));
            Ok(seen_with(&of_people.collect::<Vec<_>>()))
        })?
        .done
        {
            // A bucket that cannot be read is reported by the run that follows.
            seen.add(of_bucket);
        }
        if seen.pairs() >= LEARNED_FROM {
            break;
        }
    }
    let weights = Weights::default().learn(&seen);
    Ok((weights, seen.pairs()))
}

/// What weights are learned from, of some people without answers.
pub fn seen_of<'a>(people: impl Iterator<Item = &'a [Record]>) -> Seen {
    let none = Answers::default();
    seen_with(&people.map(|records| (records, &none)).collect::<Vec<_>>())
}

/// The same, of people and what they answered.
fn seen_with(people: &[(&[Record], &Answers)]) -> Seen {
    let weights = Weights::default();
    people.par_iter().map(|(records, answers)| link::seen(records, &weights, answers)).reduce(
        Seen::default,
        |mut all, seen| {
            all.add(seen);
            all
        },
    )
}

/// Why two activities of one person are or are not one workout, in sentences. Names are as people write
/// them: `strava:123`.
pub fn explain(
    lake: &Lake,
    user_id: &str,
    (one, other): (&str, &str),
    weights: &Weights,
    thresholds: Thresholds,
) -> Result<String> {
    let answers = AllAnswers::read(lake)?;
    let batches = dataset::activities(lake, lake.bucket(user_id), Some(&record::COLUMNS))?;
    let own = people(&batches, Gone::LeftOut).remove(user_id).unwrap_or_default();
    let find = |name: &str| {
        let at = own.records.iter().position(|record| record.name() == name);
        at.ok_or_else(|| Error::Usage(format!("{user_id} has no activity {name}")))
    };
    let places = (find(one)?, find(other)?);
    if places.0 == places.1 {
        return Err(Error::Usage(format!("{one} is one activity, and no pair")));
    }
    let linked = link::link(&own.records, weights, thresholds, answers.of(user_id));
    Ok(explain::explain(&own.records, &linked, places, weights, thresholds))
}

fn dedupe_bucket(
    lake: &Lake,
    bucket: Bucket,
    weights: &Weights,
    options: &Options,
    answers: &AllAnswers,
) -> Result<Summary> {
    let (inputs, rules) = (inputs(lake, bucket, answers)?, rules(weights, options));
    let golden = lake.golden(bucket);
    let made = Made::of(lake, bucket)?;
    if made.are_all_of((inputs, rules)) {
        return Ok(Summary { buckets: 1, ..Summary::default() });
    }
    let batches = dataset::activities(lake, bucket, Some(&columns()))?;
    let people: Vec<(String, PersonRecords)> = people(&batches, options.gone).into_iter().collect();
    let linked: Vec<Linked> = people
        .par_iter()
        .map(|(user_id, own)| link::link(&own.records, weights, options.thresholds, answers.of(user_id)))
        .collect();
    let mut summary =
        Summary { buckets: 1, buckets_rewritten: 1, users: people.len() as u64, ..Summary::default() };
    summary.remade = made.damaged;
    for ((_, own), linked) in people.iter().zip(&linked) {
        let count = |is: &dyn Fn(&Scored) -> bool| linked.pairs.iter().filter(|s| is(s)).count() as u64;
        summary.activities += own.records.len() as u64;
        summary.pairs += linked.pairs.len() as u64;
        summary.matches += count(&|s| s.decision == Decision::Match);
        summary.reviews += count(&|s| s.decision == Decision::Review);
        summary.answered += count(&|s| s.reason == Reason::Person);
        summary.golden += linked.groups.len() as u64;
        summary.golden_of_many += linked.groups.iter().filter(|g| g.members.len() > 1).count() as u64;
        summary.crowded += linked.crowded;
        let time = |r: &Record| r.moving_s.or(r.elapsed_s).unwrap_or(0.0);
        summary.distance_before_m += own.records.iter().filter_map(|r| r.distance_m).sum::<f64>();
        summary.time_before_s += own.records.iter().map(time).sum::<f64>();
    }
    let made_from = MadeFrom { datasets: inputs, annotations: rules, ..MadeFrom::default() };
    let rows = match_batches(&people, &linked, weights);
    summary.written_bytes += dataset::write(lake, &lake.matches(bucket), Table::Matches, &made_from, rows)?;
    // Some people at a time: a batch holds no more text than 32 bits count.
    let golden_batches: Vec<RecordBatch> = people
        .chunks(PEOPLE_AT_A_TIME)
        .zip(linked.chunks(PEOPLE_AT_A_TIME))
        .map(|(people, linked)| {
            let some: Vec<_> = people
                .iter()
                .zip(linked)
                .map(|((_, own), linked)| golden::Linked {
                    records: &own.records,
                    rows: &own.rows,
                    groups: &linked.groups,
                })
                .collect();
            golden::rows(&batches, &some)
        })
        .collect();
    for batch in &golden_batches {
        let sum = |name: &str| -> f64 {
            let column = batch.column_by_name(name).expect("golden rows have it");
            column
                .as_primitive::<arrow::datatypes::Float64Type>()
                .iter()
                .flatten()
                .filter(|v| v.is_finite())
                .sum()
        };
        summary.distance_after_m += sum("distance_m");
        summary.time_after_s += time_s(batch);
    }
    summary.written_bytes += dataset::write(lake, &golden, Table::Golden, &made_from, golden_batches)?;
    Ok(summary)
}

/// Moving time, or elapsed where there is none, over all rows.
fn time_s(batch: &RecordBatch) -> f64 {
    let column = |name: &str| {
        let column = batch.column_by_name(name).expect("golden rows have it");
        column.as_primitive::<arrow::datatypes::Float64Type>()
    };
    let times = column("moving_s").iter().zip(column("elapsed_s"));
    let sound = |time: &f64| time.is_finite() && *time > 0.0;
    times.filter_map(|(moving, elapsed)| moving.filter(sound).or(elapsed.filter(sound))).sum()
}

const PEOPLE_AT_A_TIME: usize = 16;

/// What is read of a bucket: what matching looks at, and what golden rows have.
fn columns() -> Vec<&'static str> {
    let mut columns = record::COLUMNS.to_vec();
    columns.extend(golden::columns().filter(|column| !record::COLUMNS.contains(column)));
    columns
}

fn match_batches(
    people: &[(String, PersonRecords)],
    linked: &[Linked],
    weights: &Weights,
) -> Vec<RecordBatch> {
    const ROWS: usize = 65_536;
    let mut batches = Vec::new();
    let mut columns = MatchColumns::default();
    let mut rows = 0;
    for ((user_id, own), linked) in people.iter().zip(linked) {
        for scored in &linked.pairs {
            columns.push(&matches::row(user_id, (&own.records, &linked.placed), scored, weights));
            rows += 1;
            if rows == ROWS {
                batches.push(dataset::batch::<Match>(&mut columns));
                rows = 0;
            }
        }
    }
    batches.push(dataset::batch::<Match>(&mut columns));
    batches
}
