//! The report: one HTML file that needs no network, and its figures as JSON.
//!
//! Buckets are read one at a time, and what there is to say of each is a [`Part`], here or in a task of a run. The
//! figures cover all of them. Of pairs, workouts, people and tracks the page has so many: those that a person should
//! look at first. They lie in it as packed columns, and are unpacked when they are looked at, so that the page opens at
//! once.

mod calendar;
mod clocks;
mod collect;
mod page;
mod pairs;
mod part;
mod people;
mod tracks;
mod words;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::redrive::plan::Summary;
use crate::redrive::reconcile::Reconciled;
use crate::store::lake::{Bucket, Lake};

pub use calendar::{Calendar, Month};
pub use clocks::{AnsweredOdds, ClockFigures};
pub use collect::{comparisons, nothing_yet, part};
pub use page::{html, pack, write};
pub use part::{Part, VERSION as PART_VERSION};
pub use people::{Person, PersonPage};
pub use tracks::{Cell, Line, Map};

use words::Words;

/// What is shown.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only this person's.
    pub user: Option<String>,
    /// Only these; empty for all.
    pub buckets: Vec<Bucket>,
    pub most: Most,
}

/// Workouts and pairs in the lists, people with a page, and tracks on the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Most {
    pub workouts: usize,
    pub pairs: usize,
    pub people: usize,
    pub tracks: usize,
}

impl Default for Most {
    fn default() -> Self {
        Most { workouts: 100_000, pairs: 10_000, people: 2_000, tracks: 100_000 }
    }
}

/// Everything on the page.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub overview: Overview,
    pub calendar: Calendar,
    pub people: Vec<Person>,
    pub map: Map,
    /// The most useful answers first.
    pub pairs: Vec<Pair>,
    /// By user and start.
    pub workouts: Vec<Workout>,
    /// Names and words by the numbers that people, workouts and tracks refer to them with.
    pub users: Vec<String>,
    pub words: Vec<String>,
    /// Lists of field names. There are few different ones, so workouts refer to them by index.
    pub field_sets: Vec<Vec<String>>,
    pub weights: Vec<Comparison>,
}

/// The figures.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Overview {
    pub users: u64,
    pub activities: Totals,
    pub workouts: Totals,
    /// Workouts with more than one record.
    pub shared_workouts: u64,
    pub pairs: Decisions,
    pub sources: Vec<SourceFigures>,
    pub source_pairs: Vec<SourcePair>,
    /// Zones and clocks that were found, by the records in `matches` that were moved for it.
    pub clocks: Vec<ClockFigures>,
    /// How the odds of pairs fared with people who looked at them.
    pub answered_odds: Vec<AnsweredOdds>,
    pub conflicts: Vec<ConflictFigures>,
    pub rejects: Vec<RejectFigures>,
    /// Where the workouts stand with the live pipeline, if its runs were imported.
    pub pipeline: Option<Pipeline>,
    /// Records that came after the last dedupe; no figure counts them.
    pub not_deduped: u64,
    /// Why buckets could not be read; no figure counts what is in them.
    pub left_out: Vec<String>,
    pub shown_pairs: u64,
    pub shown_workouts: u64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Totals {
    pub count: u64,
    pub distance_km: f64,
    pub time_h: f64,
}

impl Totals {
    fn add(&mut self, distance_km: f64, time_h: f64) {
        self.count += 1;
        self.distance_km += distance_km;
        self.time_h += time_h;
    }

    fn add_all(&mut self, other: Totals) {
        self.count += other.count;
        self.distance_km += other.distance_km;
        self.time_h += other.time_h;
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Decisions {
    pub compared: u64,
    pub matches: u64,
    pub review: u64,
    pub answered: u64,
}

impl Decisions {
    fn add(&mut self, other: Decisions) {
        self.compared += other.compared;
        self.matches += other.matches;
        self.review += other.review;
        self.answered += other.answered;
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SourceFigures {
    pub source: String,
    pub activities: Totals,
    /// Of these, in workouts that another record has too.
    pub shared: u64,
}

/// How two sources record the same workouts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SourcePair {
    pub a: String,
    pub b: String,
    pub matches: u64,
    pub review: u64,
    /// Matches whose start had the wrong time zone, and whose start is hidden.
    pub shifted: u64,
    pub hidden: u64,
    /// Matches by how much later `b` starts: from -300 s in steps of 20 s, with everything beyond in the first and
    /// last bin.
    pub offsets: Vec<u64>,
    pub median_offset_s: Option<i64>,
    /// Seconds per day that the clock of `b` gains on `a`'s: the median over the people where it drifts.
    pub drift_s_per_day: Option<f64>,
    pub people_with_drift: u64,
    pub people_fitted: u64,
}

pub const OFFSET_FIRST_S: i64 = -300;
pub const OFFSET_STEP_S: i64 = 20;
pub const OFFSET_BINS: usize = 30;

#[derive(Debug, Clone, Default, Serialize)]
pub struct ConflictFigures {
    pub field: String,
    pub kind: String,
    pub source: String,
    pub count: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct RejectFigures {
    pub source: String,
    pub kind: String,
    pub reason: String,
    pub count: u64,
    /// Where the bytes of one example are.
    pub example: String,
}

/// Where the workouts stand with the live pipeline.
#[derive(Debug, Clone, Serialize)]
pub struct Pipeline {
    pub all_users: u64,
    /// What a redrive would send now, or why it would not.
    pub preview: Result<Summary, String>,
    /// Lists only the users with most owed.
    #[serde(flatten)]
    pub reconciled: Reconciled,
}

/// One of the two records of a pair.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Side {
    pub name: String,
    pub title: Option<String>,
    pub sport: Option<String>,
    pub start_ms: i64,
    pub start_quality: String,
    pub utc_offset_s: Option<i32>,
    pub elapsed_s: Option<f64>,
    pub moving_s: Option<f64>,
    pub distance_m: Option<f64>,
    pub heart_rate_bpm: Option<f64>,
    pub calories_kcal: Option<f64>,
    pub device: Option<String>,
    /// An encoded polyline of some points of its track.
    pub track: Option<String>,
}

/// A pair to look at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pair {
    pub user: String,
    pub a: Side,
    pub b: Side,
    pub decision: String,
    pub reason: String,
    pub bits: f32,
    pub probability: f32,
    pub clock_s: i32,
    pub shift_s: i32,
    /// Comparison, level and bits; the prior comes first.
    pub weights: Vec<(String, Option<String>, f32)>,
    /// Which pairs agree and differ alike.
    pub pattern: u32,
    /// Pairs to review with this pattern, and pairs that somebody answered.
    pub alike: u64,
    pub alike_answered: u64,
    /// What an answer would teach: more is more.
    pub teaches: f32,
}

/// A workout and its records. Numbers stand for words of the report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Workout {
    pub user: u32,
    pub title: Option<Box<str>>,
    pub sport: Option<u32>,
    pub start_ms: i64,
    pub utc_offset_s: Option<i32>,
    pub distance_m: Option<f64>,
    pub moving_s: Option<f64>,
    pub members: Vec<Member>,
    pub lineage: Vec<Given>,
    pub conflicts: Vec<Conflict>,
}

/// A record of a workout, and how it belongs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    pub source: u32,
    pub id: Box<str>,
    pub role: u32,
}

/// Which member gave which of the report's sets of fields, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Given {
    pub member: usize,
    pub why: u32,
    pub fields: u32,
}

/// A value that was kept, and another one, with the member that has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conflict {
    pub field: u32,
    pub kind: u32,
    pub kept: Box<str>,
    pub other: Box<str>,
    pub member: usize,
}

/// The weights of a comparison's levels.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    pub name: &'static str,
    /// Level, how often among matches, how often among others, bits.
    pub levels: Vec<(&'static str, f64, f64, f64)>,
}

/// Reads a lake that was deduped. `progress` is called with the number of buckets done.
pub fn of_lake(lake: &Lake, options: &Options, progress: impl Fn(u64)) -> Result<Report> {
    collect::collect(lake, options, progress)
}
