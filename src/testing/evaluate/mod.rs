//! How good matching is, on people whose truth is known: pairs and groups, by what is hard about them,
//! beside the rules that others have published, with what chance leaves open.
//!
//! Seeds below 1000 are for tuning; none of the others was ever looked at for it.

pub mod baselines;
mod figures;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::dedupe::block::{self, Pair};
use crate::dedupe::cluster::Group;
use crate::dedupe::link::{self, Decision, Reason};
use crate::dedupe::record::{self, Record};
use crate::dedupe::weights::{Seen, Weights, level_name};
use crate::dedupe::{self, LEARNED_FROM, PersonRecords, Thresholds, people};
use crate::error::{Error, Result};
use crate::model::activity::{Activity, ActivityColumns};
use crate::model::columns::Columns;
use crate::sources::Source;
use crate::store::dataset;
use crate::store::lake::Lake;
use crate::store::state::answers::Answers;
use crate::testing::synth::exports::Truth;
use crate::testing::synth::records::Class;
use crate::testing::synth::{self, Scene, rows};
use baselines::BASELINES;
use figures::Counts;
pub use figures::{Estimate, Scores};

/// One person's records, sorted as matching wants them, and the truth about each.
struct Labelled {
    records: Vec<Record>,
    truth: Vec<Truth>,
}

impl Labelled {
    fn true_pairs(&self) -> Vec<Pair> {
        let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, truth) in self.truth.iter().enumerate() {
            truth.of.iter().for_each(|id| by_id.entry(id).or_default().push(at));
        }
        let mut pairs: Vec<Pair> =
            by_id.into_values().flat_map(|own| pairs_of(&self.records, &own)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}

fn pairs_of(records: &[Record], own: &[usize]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (at, one) in own.iter().enumerate() {
        pairs.extend(own[at + 1..].iter().map(|other| block::pair(records, *one, *other)));
    }
    pairs
}

fn pairs_of_groups(records: &[Record], linked: &link::Linked) -> HashSet<Pair> {
    let own = |group: &Group| -> Vec<usize> { group.members.iter().map(|(at, _)| *at).collect() };
    linked.groups.iter().flat_map(|group| pairs_of(records, &own(group))).collect()
}

/// Found and not, and what should not have been, of one person.
#[derive(Debug, Default, Clone)]
struct OfPerson {
    records: u64,
    candidates: u64,
    crowded: u64,
    pairs: Counts,
    /// Pairs of different sources only: what the baselines are about.
    across: Counts,
    groups: Counts,
    blocking: Counts,
    classes: BTreeMap<Class, Counts>,
    scenes: BTreeMap<Scene, Counts>,
    baselines: Vec<Counts>,
    /// By threshold.
    curve: Vec<Counts>,
    errors: Vec<Mistake>,
}

/// A pair that was found and is not one, or is one and was missed.
#[derive(Debug, Clone, Serialize)]
pub struct Mistake {
    pub user_id: String,
    pub mistake: &'static str,
    pub a: String,
    pub b: String,
    pub start_offset_s: i64,
    pub classes: Vec<Class>,
    pub scenes: Vec<Scene>,
    /// The level of each comparison. Nothing where the pair was not compared.
    pub levels: Vec<Option<&'static str>>,
    pub bits: Option<f64>,
    pub decision: Option<Decision>,
    pub reason: Option<Reason>,
}

fn mistake(labelled: &Labelled, pair: Pair, linked: &link::Linked, was_found: bool) -> Mistake {
    let Labelled { records, truth } = labelled;
    let both = [pair.a, pair.b];
    let scored = linked.pairs.iter().find(|scored| scored.pair == pair);
    let levels = |scored: &link::Scored| -> Vec<Option<&'static str>> {
        scored.pattern.iter().enumerate().map(|(at, level)| level_name(at, *level)).collect()
    };
    Mistake {
        user_id: truth[pair.a].user_id.clone(),
        mistake: if was_found { "wrong" } else { "missed" },
        a: records[pair.a].name(),
        b: records[pair.b].name(),
        start_offset_s: records[pair.b].start_s - records[pair.a].start_s,
        classes: both.iter().flat_map(|at| truth[*at].classes.iter().copied()).collect(),
        scenes: both.iter().filter_map(|at| truth[*at].scene).map(|(scene, _)| scene).collect(),
        levels: scored.map(levels).unwrap_or_default(),
        bits: scored.map(|scored| scored.bits),
        decision: scored.map(|scored| scored.decision),
        reason: scored.map(|scored| scored.reason),
    }
}

/// Odds that a pair has to have, along the curve.
const CURVE: [f64; 8] = [1.0, 3.0, 10.0, 20.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

fn evaluate_person(labelled: &Labelled, weights: &Weights, thresholds: Thresholds) -> OfPerson {
    let Labelled { records, truth } = labelled;
    let linked = link::link(records, weights, thresholds, &Answers::default());
    let truth_pairs = labelled.true_pairs();
    let true_pairs: HashSet<Pair> = truth_pairs.iter().copied().collect();
    let found = pairs_of_groups(records, &linked);
    let mut out = OfPerson {
        records: records.len() as u64,
        candidates: linked.pairs.len() as u64,
        crowded: linked.crowded,
        pairs: Counts::of(&found, &true_pairs),
        ..OfPerson::default()
    };
    let is_across = |pair: &&Pair| records[pair.a].source != records[pair.b].source;
    let across: HashSet<Pair> = true_pairs.iter().filter(is_across).copied().collect();
    out.across = Counts::of(&found.iter().filter(is_across).copied().collect(), &across);

    let mut true_groups: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, truth) in truth.iter().enumerate() {
        truth.of.iter().for_each(|id| true_groups.entry(id).or_default().push(at));
    }
    let true_groups: HashSet<Vec<usize>> = true_groups.into_values().collect();
    let found_groups: HashSet<Vec<usize>> = linked
        .groups
        .iter()
        .map(|group| {
            let mut own: Vec<usize> = group.members.iter().map(|(at, _)| *at).collect();
            own.sort_unstable();
            own
        })
        .collect();
    out.groups = Counts::of(&found_groups, &true_groups);

    let seen: HashSet<Pair> = linked.pairs.iter().map(|s| s.pair).collect();
    out.blocking = Counts::of(&across.intersection(&seen).copied().collect(), &across);

    for pair in &truth_pairs {
        let classes: HashSet<Class> =
            [pair.a, pair.b].iter().flat_map(|at| truth[*at].classes.iter().copied()).collect();
        for class in classes {
            out.classes.entry(class).or_default().saw(found.contains(pair), true);
        }
    }
    for pair in &found {
        let is_true = true_pairs.contains(pair);
        let scenes: HashSet<Scene> =
            [pair.a, pair.b].iter().filter_map(|at| truth[*at].scene).map(|(scene, _)| scene).collect();
        for scene in scenes {
            out.scenes.entry(scene).or_default().saw(true, is_true);
        }
    }
    let mut mistaken: Vec<(Pair, bool)> = found.difference(&true_pairs).map(|pair| (*pair, true)).collect();
    mistaken.extend(true_pairs.difference(&found).map(|pair| (*pair, false)));
    mistaken.sort_unstable();
    out.errors = mistaken.iter().map(|(pair, was)| mistake(labelled, *pair, &linked, *was)).collect();
    out.baselines = BASELINES
        .iter()
        .map(|baseline| Counts::of(&baselines::pairs(records, baseline).into_iter().collect(), &across))
        .collect();
    out.curve = CURVE
        .iter()
        .map(|odds| {
            let at = Thresholds { match_odds: *odds, review_odds: thresholds.review_odds.min(*odds) };
            let found = pairs_of_groups(records, &link::link(records, weights, at, &Answers::default()));
            Counts::of(&found.into_iter().filter(|pair| is_across(&pair)).collect(), &across)
        })
        .collect();
    out
}

/// One rule of others.
#[derive(Debug, Clone, Serialize)]
pub struct Baseline {
    pub name: &'static str,
    pub rule: &'static str,
    #[serde(flatten)]
    pub scores: Scores,
}

/// What is hard, and how much of it was found.
#[derive(Debug, Clone, Serialize)]
pub struct ClassRecall {
    pub class: Class,
    pub pairs: u64,
    pub found: u64,
    pub recall: Estimate,
}

/// What lies close together, and how many of the pairs that were found there are right.
#[derive(Debug, Clone, Serialize)]
pub struct ScenePrecision {
    pub scene: Scene,
    pub found: u64,
    pub wrong: u64,
    pub precision: Estimate,
}

#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub odds: f64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    pub users: u64,
    pub records: u64,
    pub candidates: u64,
    pub crowded: u64,
    pub learned_from: u64,
    /// Pairs of one workout, in one source or two.
    pub pairs: Scores,
    /// Of different sources only, as the baselines.
    pub across: Scores,
    /// Groups that are exactly right.
    pub groups: Scores,
    /// The share of true pairs across sources that were compared at all.
    pub blocking_recall: Estimate,
    pub classes: Vec<ClassRecall>,
    pub scenes: Vec<ScenePrecision>,
    /// For pairs of different sources.
    pub curve: Vec<Point>,
    pub baselines: Vec<Baseline>,
    pub seconds_of_matching: f64,
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
}

/// What is measured with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub thresholds: Thresholds,
    /// None: those of the lake, or learned from the same records without their labels.
    pub weights: Option<Weights>,
}

/// People that are in memory at a time.
const AT_A_TIME: u32 = 256;

/// On invented people. `progress` is told of people that are done.
pub fn of_synth(people: synth::Options, options: &Options, progress: impl Fn(u64)) -> Evaluation {
    let invent = |numbers: std::ops::Range<u32>| -> Vec<Labelled> {
        numbers.into_par_iter().map(|number| invented(people, number)).collect()
    };
    let mut learned_from = 0;
    let weights = options.weights.clone().unwrap_or_else(|| {
        let mut seen = Seen::default();
        let mut first = 0;
        while first < people.users && seen.pairs() < LEARNED_FROM {
            let some = invent(first..people.users.min(first + AT_A_TIME));
            seen.add(dedupe::seen_of(some.iter().map(|l| l.records.as_slice())));
            first += AT_A_TIME;
        }
        learned_from = seen.pairs();
        Weights::default().learn(&seen)
    });
    let mut all = Vec::new();
    let mut seconds = 0.0;
    for first in (0..people.users).step_by(AT_A_TIME as usize) {
        let some = invent(first..people.users.min(first + AT_A_TIME));
        let (done, took) = evaluate(&some, &weights, options.thresholds);
        seconds += took;
        progress(done.len() as u64);
        all.extend(done);
    }
    summed(&all, learned_from, seconds)
}

fn invented(options: synth::Options, number: u32) -> Labelled {
    let person = synth::person(options, number);
    let own = rows::of(&person, number, options);
    let mut columns = ActivityColumns::default();
    own.iter().for_each(|(activity, _)| columns.push(activity));
    let truth = own.into_iter().map(|(_, truth)| truth);
    labelled(&dataset::batch::<Activity>(&mut columns), truth)
        .remove(&person.user_id)
        .unwrap_or_else(|| Labelled { records: Vec::new(), truth: Vec::new() })
}

/// Records with their truths, by user. Records that nobody knows the truth of are left out.
fn labelled(
    batch: &arrow::array::RecordBatch,
    truth: impl Iterator<Item = Truth>,
) -> BTreeMap<String, Labelled> {
    let mut truths: HashMap<(String, Source, String), Truth> =
        truth.map(|t| ((t.user_id.clone(), t.source, t.source_id.clone()), t)).collect();
    with_truths(std::slice::from_ref(batch), &mut truths)
}

fn with_truths(
    batches: &[arrow::array::RecordBatch],
    truths: &mut HashMap<(String, Source, String), Truth>,
) -> BTreeMap<String, Labelled> {
    let label = |(user_id, own): (String, PersonRecords)| {
        let mut labelled = Labelled { records: Vec::new(), truth: Vec::new() };
        for record in own.records {
            if let Some(truth) = truths.remove(&(user_id.clone(), record.source, record.source_id.clone())) {
                labelled.records.push(record);
                labelled.truth.push(truth);
            }
        }
        (user_id, labelled)
    };
    people(batches).into_iter().map(label).collect()
}

/// On the activities of a lake, with the truth about them in a file of JSON lines. Records that the file
/// does not know are left out.
pub fn of_lake(lake: &Lake, truth: &Path, options: &Options, progress: impl Fn(u64)) -> Result<Evaluation> {
    let text = std::fs::read_to_string(truth).map_err(Error::io("read", truth))?;
    let mut truths = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let own: Truth = serde_json::from_str(line)
            .map_err(|e| Error::Usage(format!("{}, line {}: {e}", truth.display(), number + 1)))?;
        truths.insert((own.user_id.clone(), own.source, own.source_id.clone()), own);
    }
    let known = truths.len();
    let mut everybody: Vec<Labelled> = Vec::new();
    for bucket in lake.buckets() {
        let batches = dataset::activities(lake, bucket, Some(&record::COLUMNS))?;
        everybody.extend(with_truths(&batches, &mut truths).into_values());
        progress(1);
    }
    if truths.len() == known {
        return Err(Error::Usage(format!("{} tells of no activity in the lake", truth.display())));
    }
    let mut learned_from = 0;
    let key = lake.weights();
    let weights = match (&options.weights, lake.text(&key)?) {
        (Some(weights), _) => weights.clone(),
        (None, Some(text)) => Weights::parse(&text, &lake.place(&key))?,
        (None, None) => {
            let seen = dedupe::seen_of(everybody.iter().map(|l| l.records.as_slice()));
            learned_from = seen.pairs();
            Weights::default().learn(&seen)
        }
    };
    let (all, seconds) = evaluate(&everybody, &weights, options.thresholds);
    Ok(summed(&all, learned_from, seconds))
}

/// What came of each person, and the seconds that matching alone took.
fn evaluate(some: &[Labelled], weights: &Weights, thresholds: Thresholds) -> (Vec<OfPerson>, f64) {
    let begin = std::time::Instant::now();
    let linked: usize = some
        .par_iter()
        .map(|l| link::link(&l.records, weights, thresholds, &Answers::default()).groups.len())
        .sum();
    let seconds = begin.elapsed().as_secs_f64();
    std::hint::black_box(linked);
    (some.par_iter().map(|labelled| evaluate_person(labelled, weights, thresholds)).collect(), seconds)
}

fn summed(all: &[OfPerson], learned_from: u64, seconds_of_matching: f64) -> Evaluation {
    let counts = |of: &dyn Fn(&OfPerson) -> Counts| -> Vec<Counts> { all.iter().map(of).collect() };
    let scores = |of: &dyn Fn(&OfPerson) -> Counts| Scores::of(&counts(of));
    let classes: std::collections::BTreeSet<Class> =
        all.iter().flat_map(|p| p.classes.keys().copied()).collect();
    let scenes: std::collections::BTreeSet<Scene> =
        all.iter().flat_map(|p| p.scenes.keys().copied()).collect();
    let sum = |of: &dyn Fn(&OfPerson) -> u64| all.iter().map(of).sum();
    Evaluation {
        users: all.len() as u64,
        records: sum(&|p| p.records),
        candidates: sum(&|p| p.candidates),
        crowded: sum(&|p| p.crowded),
        learned_from,
        pairs: scores(&|p| p.pairs),
        across: scores(&|p| p.across),
        groups: scores(&|p| p.groups),
        blocking_recall: scores(&|p| p.blocking).recall,
        classes: classes
            .into_iter()
            .map(|class| {
                let scores = scores(&|p| p.classes.get(&class).copied().unwrap_or_default());
                let found = scores.right;
                ClassRecall { class, pairs: found + scores.missed, found, recall: scores.recall }
            })
            .collect(),
        scenes: scenes
            .into_iter()
            .map(|scene| {
                let scores = scores(&|p| p.scenes.get(&scene).copied().unwrap_or_default());
                let found = scores.right + scores.wrong;
                ScenePrecision { scene, found, wrong: scores.wrong, precision: scores.precision }
            })
            .collect(),
        curve: CURVE
            .iter()
            .enumerate()
            .map(|(at, odds)| {
                let sum: Counts = all.iter().map(|p| p.curve[at]).sum();
                Point { odds: *odds, precision: sum.precision(), recall: sum.recall(), f1: sum.f1() }
            })
            .collect(),
        baselines: BASELINES
            .iter()
            .enumerate()
            .map(|(at, baseline)| Baseline {
                name: baseline.name,
                rule: baseline.rule,
                scores: scores(&|p| p.baselines[at]),
            })
            .collect(),
        seconds_of_matching,
        mistakes: all.iter().flat_map(|p| p.errors.iter().cloned()).collect(),
    }
}
