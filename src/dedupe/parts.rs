//! Recordings in parts: a watch that was stopped and started again tells of one workout twice, and one
//! that was forgotten tells of two workouts once.
//!
//! Recordings of one source that follow each other are put together and scored, like any record, against
//! what other sources tell of the same time.

use std::collections::BTreeMap;

use super::Thresholds;
use super::clock::Clock;
use super::compare;
use super::footprint::Footprint;
use super::link::Scored;
use super::record::{Quality, Record};
use super::weights::{ABSENT, IDENTITY, Pattern, TIME, Weights, number};
use crate::sources::Source;

/// One record that some of another source make up together.
#[derive(Debug, Clone)]
pub struct Join {
    pub whole: usize,
    /// In the order of time.
    pub parts: Vec<usize>,
    /// The longest pause between two of them.
    pub gap_s: i64,
    pub clock_s: i64,
    pub pattern: Pattern,
    pub bits: f64,
    /// Set when the groups are made.
    pub is_used: bool,
}

/// Pauses longer than this part two workouts, whoever recorded them.
const LONGEST_GAP_S: i64 = 15 * 60;
/// Clocks are whole seconds, and some are rounded.
const OVERLAP_S: i64 = 5;
const MOST_PARTS: usize = 4;
/// Records that a run of parts is held against.
const MOST_WHOLES: usize = 40;
/// Recordings of one source that are looked at as the next part.
const MOST_NEXT: usize = 2;
/// What the parts together are worth more than the best of them, so that a whole is not taken for the sum of
/// itself and a warm-up.
const BETTER_BITS: f64 = 3.0;

/// The joins that are good enough, each record in one at most for each pair of sources; the fewest parts and the
/// best first.
pub fn joins(
    records: &[Record],
    clocks: &BTreeMap<(Source, Source), Clock>,
    weights: &Weights,
    thresholds: Thresholds,
    pairs: &[Scored],
) -> Vec<Join> {
    let mut found = Vec::new();
    let hidden: Vec<usize> =
        (0..records.len()).filter(|at| records[*at].quality == Quality::Hidden).collect();
    let worth = Worth::of_pairs(records.len(), pairs);
    let most = |bits: &mut dyn Iterator<Item = (usize, f64)>| {
        bits.map(|(_, bits)| bits).fold(f64::NEG_INFINITY, f64::max)
    };
    for parts in runs(records) {
        let joined = join(records, &parts);
        let source = joined.source;
        let from = records.partition_point(|r| r.start_s < joined.start_s - compare::NEAR_S);
        let near =
            (from..records.len()).take_while(|at| records[*at].start_s <= joined.start_s + compare::NEAR_S);
        let of_day = |at: &&usize| (0..compare::DAY_S).contains(&(joined.start_s - records[**at].start_s));
        let on_that_day = hidden.iter().filter(of_day).copied();
        for whole in near.take(MOST_WHOLES).chain(on_that_day.take(MOST_WHOLES)) {
            let other = &records[whole];
            if other.source == source {
                continue;
            }
            let Some(join) = score(&joined, &parts, whole, other, clocks, weights) else { continue };
            // Parts that have partners of their own where the whole is from are no parts of it.
            let mut own = parts
                .iter()
                .flat_map(|part| worth.of(*part))
                .filter(|(partner, _)| *partner != whole && records[*partner].source == other.source);
            let mut alone = parts.iter().flat_map(|part| worth.of(*part)).filter(|(p, _)| *p == whole);
            if join.bits >= thresholds.match_bits()
                && join.bits > most(&mut own)
                && join.bits >= most(&mut alone) + BETTER_BITS
            {
                found.push(Join { gap_s: longest_gap_s(records, &parts), ..join });
            }
        }
    }
    found.sort_by(|x, y| {
        let parts = |join: &Join| join.parts.len();
        parts(x)
            .cmp(&parts(y))
            .then(y.bits.total_cmp(&x.bits))
            .then((x.whole, &x.parts).cmp(&(y.whole, &y.parts)))
    });
    let mut taken = std::collections::HashSet::new();
    found.retain(|join| {
        let (whole, part) = (records[join.whole].source, records[join.parts[0]].source);
        let mut sides: Vec<(usize, Source)> = join.parts.iter().map(|p| (*p, whole)).collect();
        sides.push((join.whole, part));
        let is_free = sides.iter().all(|side| !taken.contains(side));
        if is_free {
            taken.extend(sides);
        }
        is_free
    });
    found
}

/// Of each record, its partners and what the pairs are worth.
struct Worth(Vec<Vec<(usize, f64)>>);

impl Worth {
    fn of_pairs(records: usize, pairs: &[Scored]) -> Worth {
        let mut worth = vec![Vec::new(); records];
        for scored in pairs {
            worth[scored.pair.a].push((scored.pair.b, scored.bits));
            worth[scored.pair.b].push((scored.pair.a, scored.bits));
        }
        Worth(worth)
    }

    fn of(&self, record: usize) -> impl Iterator<Item = (usize, f64)> {
        self.0[record].iter().copied()
    }
}

fn longest_gap_s(records: &[Record], parts: &[usize]) -> i64 {
    let gaps = parts.windows(2).map(|two| records[two[1]].start_s - records[two[0]].end_s());
    gaps.max().unwrap_or(0)
}

/// Recordings of one source, one right after the other: every run of two to four.
fn runs(records: &[Record]) -> Vec<Vec<usize>> {
    let mut by_source: BTreeMap<Source, Vec<usize>> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        if record.elapsed_s.is_some() && record.quality != Quality::Hidden {
            by_source.entry(record.source).or_default().push(at);
        }
    }
    let mut runs = Vec::new();
    for own in by_source.values() {
        let follow = |last: usize| {
            let end_s = records[last].end_s();
            let from = own.partition_point(|at| records[*at].start_s < end_s - OVERLAP_S);
            let next = own[from..].iter().copied().filter(move |at| *at > last);
            next.take_while(move |at| records[*at].start_s <= end_s + LONGEST_GAP_S).take(MOST_NEXT)
        };
        for first in own {
            let mut open = vec![vec![*first]];
            while let Some(run) = open.pop() {
                for next in follow(run[run.len() - 1]) {
                    let longer: Vec<usize> = run.iter().copied().chain([next]).collect();
                    if longer.len() < MOST_PARTS {
                        open.push(longer.clone());
                    }
                    runs.push(longer);
                }
            }
        }
    }
    runs
}

/// The parts as if they had been one recording.
fn join(records: &[Record], parts: &[usize]) -> Record {
    let all: Vec<&Record> = parts.iter().map(|part| &records[*part]).collect();
    let (first, last) = (all[0], all[all.len() - 1]);
    let sum = |value: &dyn Fn(&Record) -> Option<f64>| all.iter().map(|r| value(r)).sum::<Option<f64>>();
    let seconds: f64 = all.iter().filter_map(|r| r.elapsed_s).sum();
    let footprints: Vec<&Footprint> = all.iter().map(|r| &r.footprint).collect();
    let has_all_ways = footprints.iter().all(|f| !f.is_empty());
    Record {
        source_id: String::new(),
        elapsed_s: Some((last.end_s() - first.start_s) as f64),
        moving_s: sum(&|r| r.moving_s.or(r.elapsed_s)),
        distance_m: sum(&|r| r.distance_m),
        sport: all.iter().find_map(|r| r.sport),
        footprint: if has_all_ways { Footprint::union(&footprints) } else { Footprint::default() },
        heart_rate_bpm: sum(&|r| Some(r.heart_rate_bpm? * r.elapsed_s?)).map(|beats| beats / seconds),
        calories_kcal: sum(&|r| r.calories_kcal),
        file: None,
        upload: None,
        came_from: None,
        serial: None,
        ..first.clone()
    }
}

fn score(
    joined: &Record,
    parts: &[usize],
    whole: usize,
    other: &Record,
    clocks: &BTreeMap<(Source, Source), Clock>,
    weights: &Weights,
) -> Option<Join> {
    // The clock of a pair is how far the later source is ahead of the earlier.
    let sources = (joined.source.min(other.source), joined.source.max(other.source));
    let ahead_s = clocks.get(&sources).and_then(|clock| clock.ahead_s(joined.start_s)).unwrap_or(0);
    let clock_s = if joined.source < other.source { ahead_s } else { -ahead_s };
    let agree = ["same", "aligned", "close", "loose", "day"].map(|level| number(TIME, level));
    let timing = compare::timing(joined, other, clock_s).filter(|timing| agree.contains(&timing.level))?;
    let mut pattern = compare::pattern(joined, other, timing);
    pattern[IDENTITY] = ABSENT;
    Some(Join {
        whole,
        parts: parts.to_vec(),
        gap_s: 0,
        clock_s: ahead_s,
        pattern,
        bits: weights.score(&pattern),
        is_used: false,
    })
}
