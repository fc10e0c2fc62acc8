//! One person: pairs that are true, pairs that were found, and what each is worth.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::baselines::{self, BASELINES};
use super::figures::Counts;
use super::listed::Listed;
use super::truth::{self, Known};

/// Two places in a person's truth, the smaller first.
pub type Pair = (usize, usize);

/// A pair that was compared, by the places of its records.
#[derive(Debug, Clone)]
pub struct Compared {
    pub a: usize,
    pub b: usize,
    pub probability: f64,
    pub decision: String,
    pub reason: String,
}

/// What dedupe made of a person's records.
#[derive(Debug, Default)]
pub struct Found {
    /// The records of each workout.
    pub groups: Vec<Vec<usize>>,
    pub compared: Vec<Compared>,
}

/// Found and not, and what should not have been, of one person.
#[derive(Debug, Default, Clone)]
pub struct OfPerson {
    pub records: u64,
    pub compared: u64,
    /// Pairs that are true or were found, where the exports cannot decide.
    pub undecidable: u64,
    pub reviews: u64,
    pub true_reviews: u64,
    pub pairs: Counts,
    /// Pairs of different sources only: what the published rules are about.
    pub across: Counts,
    pub groups: Counts,
    pub blocking: Counts,
    pub classes: BTreeMap<String, Counts>,
    pub baselines: Vec<Counts>,
    /// For each bin of odds: pairs, and how many are right.
    pub reliability: [(u64, u64); BINS.len()],
    pub mistakes: Vec<Mistake>,
    pub lost: Vec<String>,
}

/// Odds from which each bin of the reliability begins.
pub const BINS: [f64; 8] = [0.0, 0.05, 0.33, 1.0, 3.0, 20.0, 100.0, 1000.0];

/// A pair that was found and is not one, or is one and was missed.
#[derive(Debug, Clone, Serialize)]
pub struct Mistake {
    pub user: String,
    pub mistake: &'static str,
    pub a: String,
    pub b: String,
    pub start_a: String,
    pub start_b: String,
    pub elapsed_a_s: Option<f64>,
    pub elapsed_b_s: Option<f64>,
    pub classes: BTreeSet<String>,
    pub relations: [String; 2],
    pub decision: Option<String>,
    pub reason: Option<String>,
    pub probability: Option<f64>,
}

/// Pairs of no class.
pub const PLAIN: &str = "plain";
/// A class that begins like this says that what was exported cannot decide. Such pairs count by their classes only.
const UNDECIDABLE: &str = "undecidable";

pub fn evaluate(user: &str, mut known: Vec<Known>, records: &[Listed], found: &Found) -> OfPerson {
    truth::join(&mut known, records);
    let of_record: HashMap<usize, usize> =
        known.iter().enumerate().filter_map(|(at, one)| Some((one.record?, at))).collect();
    let pair = |a: usize, b: usize| if a < b { (a, b) } else { (b, a) };
    let all_true: HashSet<Pair> = true_pairs(&known);
    let mut groups: HashSet<Vec<usize>> = HashSet::new();
    let mut all_found: HashSet<Pair> = HashSet::new();
    for group in &found.groups {
        let mut own: Vec<usize> = group.iter().filter_map(|record| of_record.get(record).copied()).collect();
        own.sort_unstable();
        own.dedup();
        for (at, a) in own.iter().enumerate() {
            all_found.extend(own[at + 1..].iter().map(|b| (*a, *b)));
        }
        groups.insert(own);
    }
    let is_undecidable = |at: usize| known[at].classes.iter().any(|class| class.starts_with(UNDECIDABLE));
    let can_tell = |p: &&Pair| !is_undecidable(p.0) && !is_undecidable(p.1);
    let [true_pairs, found_pairs] =
        [&all_true, &all_found].map(|pairs| pairs.iter().filter(can_tell).copied().collect::<HashSet<_>>());
    let undecidable = all_true.union(&all_found).count() - true_pairs.union(&found_pairs).count();
    let mut true_groups = true_groups(&known);
    for groups in [&mut groups, &mut true_groups] {
        groups.retain(|group| !group.is_empty() && !group.iter().any(|at| is_undecidable(*at)));
    }
    let is_across = |p: &&Pair| known[p.0].source != known[p.1].source;
    let across: HashSet<Pair> = true_pairs.iter().filter(is_across).copied().collect();
    let compared: HashMap<Pair, &Compared> = found
        .compared
        .iter()
        .filter_map(|c| Some((pair(*of_record.get(&c.a)?, *of_record.get(&c.b)?), c)))
        .filter(|(p, _)| can_tell(&p))
        .collect();
    let seen: HashSet<Pair> = compared.keys().copied().collect();
    let mut out = OfPerson {
        records: known.len() as u64,
        compared: compared.len() as u64,
        undecidable: undecidable as u64,
        pairs: Counts::of(&found_pairs, &true_pairs),
        across: Counts::of(&found_pairs.iter().filter(is_across).copied().collect(), &across),
        groups: Counts::of(&groups, &true_groups),
        blocking: Counts::of(&across.intersection(&seen).copied().collect(), &across),
        ..OfPerson::default()
    };
    for (p, c) in &compared {
        let is_true = true_pairs.contains(p);
        if c.decision == "review" {
            out.reviews += 1;
            out.true_reviews += u64::from(is_true);
        }
        let odds = c.probability / (1.0 - c.probability).max(1e-12);
        let bin = BINS.iter().rposition(|from| odds >= *from).unwrap_or(0);
        out.reliability[bin].0 += 1;
        out.reliability[bin].1 += u64::from(is_true);
    }
    for p in all_true.union(&all_found) {
        for class in classes(&known, *p) {
            let counts = out.classes.entry(class).or_default();
            counts.saw(all_found.contains(p), all_true.contains(p));
        }
    }
    out.baselines = BASELINES
        .iter()
        .map(|rule| {
            let pairs = baselines::pairs(records, rule);
            let own =
                pairs.into_iter().filter_map(|(a, b)| Some(pair(*of_record.get(&a)?, *of_record.get(&b)?)));
            Counts::of(&own.filter(|p| can_tell(&p)).collect(), &across)
        })
        .collect();
    let mut wrong: Vec<Pair> = found_pairs.symmetric_difference(&true_pairs).copied().collect();
    wrong.sort_unstable();
    let mistake = |p: Pair| {
        let (a, b) = (&known[p.0], &known[p.1]);
        let record = |one: &Known| one.record.map(|at| &records[at]);
        let start = |one: &Known| {
            let time = record(one).and_then(|r| jiff::Timestamp::from_second(r.start_s).ok());
            time.map_or_else(|| "not in the lake".to_string(), |time| time.to_string())
        };
        let name =
            |one: &Known| record(one).map_or_else(|| format!("{}:{}", one.source, one.key), Listed::name);
        let compared = compared.get(&p);
        Mistake {
            user: user.to_string(),
            mistake: if found_pairs.contains(&p) { "wrong" } else { "missed" },
            a: name(a),
            b: name(b),
            start_a: start(a),
            start_b: start(b),
            elapsed_a_s: record(a).and_then(|r| r.elapsed_s),
            elapsed_b_s: record(b).and_then(|r| r.elapsed_s),
            classes: classes(&known, p),
            relations: [a.relation.clone(), b.relation.clone()],
            decision: compared.map(|c| c.decision.clone()),
            reason: compared.map(|c| c.reason.clone()),
            probability: compared.map(|c| c.probability),
        }
    };
    out.mistakes = wrong.into_iter().map(mistake).collect();
    let lost = known.iter().filter(|one| one.record.is_none());
    out.lost = lost.map(|one| format!("{user} {}:{}", one.source, one.key)).collect();
    out
}

fn by_workout(known: &[Known]) -> HashMap<&str, Vec<usize>> {
    let mut of_workout: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, one) in known.iter().enumerate() {
        one.workouts.iter().for_each(|workout| of_workout.entry(workout).or_default().push(at));
    }
    of_workout
}

fn true_pairs(known: &[Known]) -> HashSet<Pair> {
    let mut pairs = HashSet::new();
    for own in by_workout(known).into_values() {
        for (at, a) in own.iter().enumerate() {
            pairs.extend(own[at + 1..].iter().map(|b| (*a, *b)));
        }
    }
    pairs
}

fn true_groups(known: &[Known]) -> HashSet<Vec<usize>> {
    by_workout(known).into_values().collect()
}

/// What is hard about a pair: what is about one of its records, or both.
fn classes(known: &[Known], (a, b): Pair) -> BTreeSet<String> {
    let mut classes: BTreeSet<String> = known[a].classes.union(&known[b].classes).cloned().collect();
    if classes.is_empty() {
        classes.insert(PLAIN.to_string());
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_exports_cannot_decide_is_neither_found_nor_missed() {
        let known = |key: &str, workout: &str, class: &str| Known {
            source: if key < "c" { "strava" } else { "garmin" }.to_string(),
            key: key.to_string(),
            workouts: [workout.to_string()].into(),
            classes: [class.to_string()].into(),
            relation: String::new(),
            record: None,
        };
        let all = vec![
            known("a", "1", "plain"),
            known("b", "2", "undecidable_together"),
            known("c", "1", "plain"),
            known("d", "2", "plain"),
            known("e", "3", "undecidable_by_hand"),
        ];
        let record = |one: &Known| Listed {
            source: one.source.clone(),
            source_id: one.key.clone(),
            external_id: None,
            raw_ref: String::new(),
            file_sha256: None,
            start_s: 0,
            utc_offset_s: None,
            elapsed_s: None,
            distance_m: None,
            sport: None,
        };
        let records: Vec<Listed> = all.iter().map(record).collect();
        let places = |keys: &[&str]| -> Vec<usize> {
            keys.iter().map(|key| records.iter().position(|r| r.source_id == *key).unwrap()).collect()
        };
        let found = Found {
            groups: [places(&["a", "c", "e"]), places(&["b"]), places(&["d"])].into(),
            compared: Vec::new(),
        };
        let of = evaluate("alice", all, &records, &found);
        // Missed and wrong: b with d, and e with a and c.
        assert_eq!((of.undecidable, of.mistakes.len()), (3, 0));
        assert_eq!((of.pairs.right, of.pairs.wrong, of.pairs.missed), (1, 0, 0));
        assert_eq!((of.across.right, of.across.wrong, of.across.missed), (1, 0, 0));
        let together = of.classes["undecidable_together"];
        assert_eq!((together.right, together.missed), (0, 1), "by its class it counts");
    }
}
