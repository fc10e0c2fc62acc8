//! One account, two people: a couple, a family, a club. At one time their account holds records that cannot be of
//! one body, and so that two records overlap in time says little about either.

use std::collections::{BTreeMap, HashSet};

use super::block::Pair;
use super::levels::{ABSENT, DISTANCE, EFFORT, IDENTITY, SPORT, TIME, TRACK, number};
use super::record::{Record, Recorder};
use super::relation::{self, Kind};
use super::scored::Scored;
use super::weights::Weights;
use crate::sources::Source;

/// Whether two records of one source may be of one workout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// As two records of two sources.
    Free,
    /// If each has another source that tells of it, too: whoever uses the account now and then has no other.
    Doubtful,
    /// A body is in one place, and does one thing at a time.
    Cut,
}

/// What is known of who used a person's accounts.
#[derive(Debug, Default)]
pub struct Company {
    /// Records beside which somebody else recorded with the same account.
    beside: HashSet<usize>,
    /// Accounts where that is a habit.
    shared: HashSet<Source>,
    /// Of these, those of two who go out together.
    of_couples: HashSet<Source>,
    /// Accounts in which what begins and ends together is mostly of one person's devices.
    of_devices: HashSet<Source>,
    /// Records of which nobody knows how fast the heart beat: one app counts pauses, the other does not.
    in_doubt: HashSet<usize>,
}

/// A heart beats at one rate, on whatever wrist; bands read wrong by a few beats per minute.
const OTHER_HEART_BPM: f64 = 12.0;
const ONE_HEART_BPM: f64 = 4.0;

fn is(scored: &Scored, comparison: usize, level: &str) -> bool {
    scored.pattern[comparison] == number(comparison, level)
}

fn is_any(scored: &Scored, comparison: usize, levels: &[&str]) -> bool {
    levels.iter().any(|level| is(scored, comparison, level))
}

fn kind(scored: &Scored) -> Kind {
    relation::kind(scored.pattern[TIME])
}

/// Beats per minute that two hearts are apart.
fn hearts(records: &[Record], Pair { a, b }: Pair) -> Option<f64> {
    records[a].heart_rate_bpm.zip(records[b].heart_rate_bpm).map(|(one, other)| (one - other).abs())
}

impl Company {
    pub fn of(records: &[Record], pairs: &[Scored]) -> Company {
        const A_HABIT: usize = 3;
        // And so much of what is told at one time there that it is one.
        const A_SHARE: usize = 5;
        let mut company = Company { in_doubt: in_doubt(records, pairs), ..Company::default() };
        let mut times: BTreeMap<Source, usize> = BTreeMap::new();
        let mut copies: BTreeMap<Source, usize> = BTreeMap::new();
        let of_two: Vec<&Scored> = pairs.iter().filter(|s| company.is_of_two(records, s)).collect();
        for scored in of_two {
            let Pair { a, b } = scored.pair;
            company.beside.extend([a, b]);
            *times.entry(records[a].source).or_insert(0) += 1;
        }
        for scored in pairs.iter().filter(|s| is_copy(records, s)) {
            *copies.entry(records[scored.pair.a].source).or_insert(0) += 1;
        }
        let is_habit = |source: &Source, n: usize| {
            n >= A_HABIT && A_SHARE * n >= copies.get(source).copied().unwrap_or(0)
        };
        // Whoever records everything twice does so more often than somebody else borrows the account.
        let is_mostly_copies =
            |(source, n): &(&Source, &usize)| 2 * **n >= 3 * times.get(*source).copied().unwrap_or(0);
        company.of_devices.extend(copies.iter().filter(is_mostly_copies).map(|(source, _)| *source));
        company.of_couples = company.couples(records, pairs);
        company.of_devices.retain(|source| !company.of_couples.contains(source));
        company.shared.extend(&company.of_couples);
        company.shared.extend(times.iter().filter(|(source, n)| is_habit(source, **n)).map(|(s, _)| *s));
        company
    }

    /// Marks what overlaps at such a time and does not lie on one way.
    pub fn mark(&self, pairs: &mut [Scored], weights: &Weights) {
        for scored in pairs.iter_mut().filter(|s| kind(s) == Kind::Part || is(s, TIME, "slid")) {
            if self.is_beside(scored.pair) && !is_on_one_way(scored) && !is(scored, IDENTITY, "same") {
                scored.pattern[TIME] = number(TIME, "company");
                scored.bits = weights.score(&scored.pattern);
            }
        }
    }

    /// Whether an account holds what several devices recorded, so that two of its records at one time may be one.
    pub fn gathers(&self, source: Source) -> bool {
        source.spec().gathers || self.of_devices.contains(&source)
    }

    /// Whether several people use an account.
    pub fn is_shared(&self, source: Source) -> bool {
        self.shared.contains(&source)
    }

    /// Whether somebody else recorded with the account of one of two at that time.
    pub fn is_beside(&self, pair: Pair) -> bool {
        self.beside.contains(&pair.a) || self.beside.contains(&pair.b)
    }

    /// Beats per minute that two hearts are apart, as far as that can be believed.
    fn hearts(&self, records: &[Record], pair: Pair) -> Option<f64> {
        hearts(records, pair).filter(|_| self.are_hearts_sure(pair))
    }

    fn are_hearts_sure(&self, pair: Pair) -> bool {
        !(self.in_doubt.contains(&pair.a) || self.in_doubt.contains(&pair.b))
    }

    /// Accounts whose records at one time often tell of two hearts: the devices of one body tell of one.
    fn couples(&self, records: &[Record], pairs: &[Scored]) -> HashSet<Source> {
        const FEWEST: usize = 6;
        // A band on the wrist is wrong now and then, and seldom by much.
        const APART: f64 = 0.4;
        const FAR_APART: f64 = 0.11;
        let mut told: BTreeMap<Source, (usize, usize, usize)> = BTreeMap::new();
        // Of three devices on one body one may be wrong, and would be twice.
        let mut seen: HashSet<usize> = HashSet::new();
        for scored in pairs.iter().filter(|s| is_any(s, TIME, &["same", "aligned", "close"])) {
            let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
            let is_meant = a.source == b.source && !a.source.spec().is_hub() && !is(scored, IDENTITY, "same");
            if let Some(bpm) = self.hearts(records, scored.pair).filter(|_| is_meant)
                && !seen.contains(&scored.pair.a)
                && !seen.contains(&scored.pair.b)
            {
                seen.extend([scored.pair.a, scored.pair.b]);
                let (all, apart, far) = told.entry(a.source).or_default();
                *all += 1;
                *apart += usize::from(bpm > ONE_HEART_BPM);
                *far += usize::from(bpm > 2.0 * ONE_HEART_BPM);
            }
        }
        let is_couples = |(all, apart, far): (usize, usize, usize)| {
            all >= FEWEST && apart as f64 >= APART * all as f64 && far as f64 >= FAR_APART * all as f64
        };
        told.into_iter().filter(|(_, told)| is_couples(*told)).map(|(source, _)| source).collect()
    }

    /// Whether two records of one source are of two people: at one time at two places, or with two hearts.
    fn is_of_two(&self, records: &[Record], scored: &Scored) -> bool {
        let Pair { a, b } = scored.pair;
        if records[a].source != records[b].source || !is_at_once(scored) {
            return false;
        }
        // A receiver that is far off goes on and off with the others.
        let is_bad_receiver = is_any(scored, TIME, &["same", "aligned", "close"]) && has_one_size(scored);
        let is_elsewhere = is(scored, TRACK, "elsewhere") && !is_bad_receiver;
        let is_whole = kind(scored) == Kind::Whole && !is(scored, TIME, "slid");
        let is_sure = self.are_hearts_sure(scored.pair);
        is_elsewhere || (is_whole && is_sure && is_any(scored, EFFORT, &["different", "other"]))
    }

    /// Of two records of one source.
    pub fn tie(&self, records: &[Record], scored: &Scored) -> Tie {
        let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
        let is_copy = is(scored, TIME, "same") && is(scored, DISTANCE, "same") && is(scored, TRACK, "same");
        if is(scored, IDENTITY, "same") || is_copy {
            return Tie::Free;
        }
        if !is_at_once(scored) || is(scored, TRACK, "elsewhere") {
            return Tie::Cut;
        }
        // What somebody typed in or logged beside the recording is of no other body.
        let is_log = |log: &Record, other: &Record| {
            (log.is_by_hand() != other.is_by_hand() && went_as_far(log, other))
                || (!log.measures() && other.measures() && !log.is_of_one_recorder_with(other))
        };
        let is_beside_log = is_log(a, b) || is_log(b, a);
        let is_piece = is_any(scored, TIME, &["piece", "company"]);
        if is_beside_log && !is_piece && is_one_thing(a, b, scored) {
            return Tie::Free;
        }
        // Of two devices that begin and end together one has a wrong name.
        let is_of_devices = self.of_devices.contains(&a.source) && !is(scored, TIME, "loose");
        let is_of_one_size = has_one_size(scored) || is_any(scored, EFFORT, &["same", "close"]);
        let has_wrong_name = is_any(scored, TIME, &["aligned", "close", "loose"])
            && (is_of_devices || (self.gathers(a.source) && is_of_one_size))
            && !self.shared.contains(&a.source)
            && !(a.is_of_one_recorder_with(b) && a.names_recorder());
        // A hub takes over what it is given, under whatever name.
        let is_other_sport = is(scored, SPORT, "different") && !is(scored, TIME, "same") && !has_wrong_name;
        let hearts = self.hearts(records, scored.pair);
        let has_other_heart = kind(scored) == Kind::Whole && hearts.is_some_and(|bpm| bpm > OTHER_HEART_BPM);
        if is_other_sport || has_other_heart {
            return Tie::Cut;
        }
        // Two hearts beat as fast now and then.
        let most_bpm = if self.of_couples.contains(&a.source) { 0.0 } else { ONE_HEART_BPM };
        let one_heart = hearts.is_some_and(|bpm| bpm <= most_bpm);
        let is_one_way = is_any(scored, TRACK, &["same", "inside"]);
        // Of a couple that trains together only the hearts differ.
        let is_of_devices = is_side_by_side(records, scored) && self.of_devices.contains(&a.source);
        if self.shared.contains(&a.source) && !one_heart && !is_of_devices {
            return Tie::Doubtful;
        }
        let gathers = self.gathers(a.source);
        if !gathers && kind(scored) == Kind::Part && !is_one_thing(a, b, scored) {
            return Tie::Cut;
        }
        let is_sure = match kind(scored) {
            _ if is(scored, TIME, "sequence") => true,
            _ if is(scored, TIME, "piece") && is(scored, SPORT, "same") => gathers,
            // A walk that a band found in a hike is in its own source beside the hike.
            _ if is_any(scored, TIME, &["piece", "company"]) => false,
            _ if is(scored, TIME, "overlap") => is_one_way,
            Kind::Whole => gathers || !is(scored, TIME, "loose") || one_heart || is_one_way,
            _ => is_one_way || one_heart || (gathers && !self.is_beside(scored.pair)),
        };
        if is_sure { Tie::Free } else { Tie::Doubtful }
    }
}

/// Whether both went about as far, as far as they say: what somebody typed in may be of more than one recording.
fn went_as_far(a: &Record, b: &Record) -> bool {
    a.distance_m.zip(b.distance_m).is_none_or(|(one, other)| one.min(other) >= 0.7 * one.max(other))
}

/// Whether both went along one way, as one sport. In a valley everybody starts on the same road.
fn is_on_one_way(scored: &Scored) -> bool {
    is(scored, TRACK, "same")
        || (is(scored, TRACK, "inside") && !is_any(scored, SPORT, &["kin", "different"]))
}

/// Whether two may be of one sport, as far as they say.
pub fn is_one_thing(a: &Record, b: &Record, scored: &Scored) -> bool {
    match scored.pattern[SPORT] {
        _ if a.is_parent || b.is_parent => true,
        ABSENT => a.sport.is_none() && b.sport.is_none(),
        level => ["same", "family", "confused", "unspecific"].iter().any(|name| level == number(SPORT, name)),
    }
}

fn has_one_size(scored: &Scored) -> bool {
    is_any(scored, DISTANCE, &["same", "close"])
}

/// Whether two overlap enough that they cannot be one after the other.
fn is_at_once(scored: &Scored) -> bool {
    matches!(kind(scored), Kind::Whole | Kind::Part) && !is(scored, TIME, "partly")
}

/// Records of recorders whose copies in other sources mostly tell another heart.
fn in_doubt(records: &[Record], pairs: &[Scored]) -> HashSet<usize> {
    const FEWEST: usize = 3;
    let mut told: BTreeMap<Recorder, (usize, usize)> = BTreeMap::new();
    for scored in pairs.iter().filter(|s| is(s, TIME, "same")) {
        let (a, b) = (&records[scored.pair.a], &records[scored.pair.b]);
        if a.source != b.source
            && are_to_the_metre(a, b)
            && let Some(bpm) = hearts(records, scored.pair)
        {
            for record in [a, b] {
                let (all, other) = told.entry(record.recorder()).or_default();
                *all += 1;
                *other += usize::from(bpm > ONE_HEART_BPM);
            }
        }
    }
    told.retain(|_, (all, other)| *other >= FEWEST && 2 * *other >= *all);
    (0..records.len()).filter(|at| told.contains_key(&records[*at].recorder())).collect()
}

/// Whether two began at one second, and lasted as long and went as far, to the second and the metre: no two recordings
/// do.
fn are_to_the_metre(a: &Record, b: &Record) -> bool {
    let is_near = |one: Option<f64>, other: Option<f64>| {
        one.zip(other).is_some_and(|(one, other)| (one - other).abs() <= 1.0)
    };
    a.start_s.abs_diff(b.start_s) <= 1
        && is_near(a.elapsed_s, b.elapsed_s)
        && is_near(a.distance_m, b.distance_m)
}

/// Whether two records of one source begin and end together.
fn is_side_by_side(records: &[Record], scored: &Scored) -> bool {
    let Pair { a, b } = scored.pair;
    records[a].source == records[b].source && is_any(scored, TIME, &["same", "aligned", "close", "loose"])
}

/// Whether two records of one source are the same by all that they say.
fn is_copy(records: &[Record], scored: &Scored) -> bool {
    let Pair { a, b } = scored.pair;
    records[a].source == records[b].source
        && is_any(scored, TIME, &["same", "aligned", "close"])
        && (has_one_size(scored) || is_any(scored, EFFORT, &["same", "close"]))
}
