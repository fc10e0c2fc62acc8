//! What a report says of some buckets. Those of all buckets, added up in their order, are the report: where each was
//! collected makes no difference to a byte.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter};

use serde::{Deserialize, Serialize};

use super::calendar::Counting;
use super::pairs::Pairs;
use super::people::People;
use super::tracks::Drawing;
use super::{
    Comparison, Conflict, ConflictFigures, Given, Member, Most, Overview, Pipeline, RejectFigures, Report,
    SourceFigures, Totals, Words, Workout,
};
use crate::store::lake::Bucket;

/// Of a part as it is written. What an older one wrote is made anew.
pub const VERSION: u32 = 2;
/// For a part on its way between machines.
const ZSTD_LEVEL: i32 = 3;

#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    pub(super) most: Most,
    pub(super) activities: Totals,
    pub(super) totals: Totals,
    pub(super) shared_workouts: u64,
    pub(super) not_deduped: u64,
    pub(super) calendar: Counting,
    pub(super) people: People,
    pub(super) users: Words,
    pub(super) words: Words,
    pub(super) sources: BTreeMap<String, SourceFigures>,
    /// By field, kind and source.
    pub(super) conflicts: BTreeMap<(String, String, String), u64>,
    /// By source, kind and reason, with where the bytes of the first are.
    pub(super) rejects: BTreeMap<(String, String, String), (u64, String)>,
    pub(super) pairs: Pairs,
    pub(super) map: Drawing,
    pub(super) workouts: Vec<Workout>,
    pub(super) field_sets: Words<Vec<String>>,
}

impl Part {
    /// An empty part for this bucket; for bucket 0 also the start of the sum.
    pub fn new(most: Most, bucket: Bucket) -> Part {
        Part {
            most,
            activities: Totals::default(),
            totals: Totals::default(),
            shared_workouts: 0,
            not_deduped: 0,
            calendar: Counting::default(),
            people: People::new(most.people),
            users: Words::default(),
            words: Words::default(),
            sources: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            rejects: BTreeMap::new(),
            pairs: Pairs::new(most.pairs),
            map: Drawing::new(most.tracks, u64::from(bucket.0)),
            workouts: Vec::new(),
            field_sets: Words::default(),
        }
    }

    pub fn records(&self) -> u64 {
        self.activities.count
    }

    /// As it lies between machines: CBOR, which keeps every bit of a number.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut packed = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
        packed.include_checksum(true)?;
        let mut buffered = BufWriter::new(packed);
        ciborium::into_writer(self, &mut buffered).map_err(io::Error::other)?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
    }

    pub fn from_bytes(bytes: &[u8]) -> io::Result<Part> {
        ciborium::from_reader(BufReader::new(zstd::Decoder::new(bytes)?)).map_err(io::Error::other)
    }

    /// Takes in the part of the next bucket. What will not be listed is given up now and then.
    pub fn add(&mut self, other: Part) {
        let users = self.users.add(other.users);
        let words = self.words.add(other.words);
        let field_sets = self.field_sets.add(other.field_sets);
        self.activities.add_all(other.activities);
        self.totals.add_all(other.totals);
        self.shared_workouts += other.shared_workouts;
        self.not_deduped += other.not_deduped;
        self.calendar.add(&other.calendar);
        self.people.add(other.people, &users);
        for (source, more) in other.sources {
            let figures = self.sources.entry(source).or_default();
            figures.activities.add_all(more.activities);
            figures.shared += more.shared;
        }
        for (conflict, count) in other.conflicts {
            *self.conflicts.entry(conflict).or_insert(0) += count;
        }
        for (reject, (more, example)) in other.rejects {
            self.rejects.entry(reject).or_insert((0, example)).0 += more;
        }
        self.pairs.add(other.pairs);
        self.map.add(other.map, &users);
        let numbers = Renamed { users: &users, words: &words, field_sets: &field_sets };
        self.workouts.extend(other.workouts.into_iter().map(|workout| numbers.workout(workout)));
        self.trim_workouts_now_and_then();
    }

    /// Trims where there are a fourth more than are listed: each costs memory until then.
    pub(super) fn trim_workouts_now_and_then(&mut self) {
        if self.workouts.len() > self.most.workouts + self.most.workouts / 4 {
            self.trim_workouts();
        }
    }

    /// Keeps those that somebody should look at first.
    pub(super) fn trim_workouts(&mut self) {
        self.workouts.sort_by_cached_key(|w| {
            let conflicts = (Reverse(w.conflicts.len()), Reverse(w.members.len()));
            (conflicts, Reverse(w.start_ms), w.user, w.members.first().map(|m| m.id.clone()))
        });
        self.workouts.truncate(self.most.workouts);
    }

    /// The page of all buckets.
    pub fn finish(mut self, weights: Vec<Comparison>, pipeline: Option<Pipeline>) -> Report {
        self.trim_workouts();
        self.workouts.sort_by_key(|w| (w.user, w.start_ms));
        let mut overview = Overview {
            users: self.people.all,
            activities: self.activities,
            workouts: self.totals,
            shared_workouts: self.shared_workouts,
            not_deduped: self.not_deduped,
            rejects: rejects(self.rejects),
            pipeline,
            ..Overview::default()
        };
        let pairs = self.pairs.finish(&mut overview);
        overview.sources =
            self.sources.into_iter().map(|(source, figures)| SourceFigures { source, ..figures }).collect();
        overview.conflicts = self
            .conflicts
            .into_iter()
            .map(|((field, kind, source), count)| ConflictFigures { field, kind, source, count })
            .collect();
        overview.conflicts.sort_by_key(|c| Reverse(c.count));
        overview.shown_pairs = pairs.len() as u64;
        overview.shown_workouts = self.workouts.len() as u64;
        Report {
            overview,
            calendar: self.calendar.finish(),
            people: self.people.finish(),
            map: self.map.finish(),
            pairs,
            workouts: self.workouts,
            users: self.users.into_all(),
            words: self.words.into_all(),
            field_sets: self.field_sets.into_all(),
            weights,
        }
    }
}

/// The most frequent first.
fn rejects(counts: BTreeMap<(String, String, String), (u64, String)>) -> Vec<RejectFigures> {
    const MOST: usize = 100;
    let figures =
        |((source, kind, reason), (count, example))| RejectFigures { source, kind, reason, count, example };
    let mut figures: Vec<RejectFigures> = counts.into_iter().map(figures).collect();
    figures.sort_by_key(|f| Reverse(f.count));
    figures.truncate(MOST);
    figures
}

/// Translates the numbers of one part into those of the sum.
struct Renamed<'a> {
    users: &'a [u32],
    words: &'a [u32],
    field_sets: &'a [u32],
}

impl Renamed<'_> {
    fn workout(&self, mut workout: Workout) -> Workout {
        workout.user = self.users[workout.user as usize];
        workout.sport = workout.sport.map(|sport| self.word(sport));
        for Member { source, role, .. } in &mut workout.members {
            (*source, *role) = (self.word(*source), self.word(*role));
        }
        for Given { why, fields, .. } in &mut workout.lineage {
            (*why, *fields) = (self.word(*why), self.field_sets[*fields as usize]);
        }
        for Conflict { field, kind, .. } in &mut workout.conflicts {
            (*field, *kind) = (self.word(*field), self.word(*kind));
        }
        workout
    }

    fn word(&self, number: u32) -> u32 {
        self.words[number as usize]
    }
}
