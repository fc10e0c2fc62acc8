//! How good matching is, on people whose truth is known: pairs and workouts, by what is hard about them, beside the
//! rules that others have published, with what chance leaves open.
//!
//! What is measured is what `longrun import`, `normalize` and `dedupe` made of a lake: the members of golden rows, and
//! the pairs in `matches`. How pairs are compared is nothing that is looked at here.

pub mod baselines;
pub mod corpus;
mod figures;
mod leave_out;
mod listed;
mod person;
pub mod truth;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::store::dataset;
use crate::store::dataset::cells::{Rows, field, structs};
use crate::store::lake::Lake;
use baselines::BASELINES;
use figures::Counts;
pub use figures::{Estimate, Scores, share_of};
pub use leave_out::without_class;
use listed::Listed;
use person::{BINS, Compared, Found, OfPerson};
pub use person::{Mistake, PLAIN};
use truth::Truth;

/// One rule of others.
#[derive(Debug, Clone, Serialize)]
pub struct Baseline {
    pub name: &'static str,
    pub rule: &'static str,
    #[serde(flatten)]
    pub scores: Scores,
}

/// What is hard or lies close: how many of its pairs were found, and how many of those that were found are right.
#[derive(Debug, Clone, Serialize)]
pub struct ClassFigures {
    pub class: String,
    pub pairs: u64,
    pub missed: u64,
    pub recall: Estimate,
    pub found: u64,
    pub wrong: u64,
    pub precision: Estimate,
}

/// Of the pairs that were given some odds, how many are right.
#[derive(Debug, Clone, Serialize)]
pub struct Reliability {
    pub odds_from: f64,
    pub pairs: u64,
    pub right: Estimate,
}

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    pub users: u64,
    pub records: u64,
    /// Records of the truth that are not in the lake. Their pairs count as missed.
    pub lost: Vec<String>,
    pub compared: u64,
    /// Pairs that are left out of all but the classes, because the truth says that what was exported cannot decide them.
    pub undecidable: u64,
    /// Pairs of one workout, in one source or two.
    pub pairs: Scores,
    /// Of different sources only, as the published rules.
    pub across: Scores,
    /// Workouts whose records are exactly right.
    pub groups: Scores,
    /// The share of true pairs across sources that were compared at all.
    pub blocking_recall: Estimate,
    /// Pairs that are left for somebody to look at, of those and the ones that match.
    pub review_share: f64,
    pub reviews: u64,
    pub true_reviews: u64,
    pub baselines: Vec<Baseline>,
    /// Errors across sources, as a multiple of those of the best published rule.
    pub errors_of_best: f64,
    pub classes: Vec<ClassFigures>,
    pub reliability: Vec<Reliability>,
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
}

/// Measures a lake that is deduped.
pub fn measure(lake: &Lake, mut truth: Truth) -> Result<Evaluation> {
    let people = listed::read(lake)?;
    let mut found = found(lake, &people)?;
    let everybody: Vec<_> = std::mem::take(&mut truth)
        .into_iter()
        .map(|(user, known)| {
            let records: &[Listed] = people.get(&user).map_or(&[], Vec::as_slice);
            let found = found.remove(&user).unwrap_or_default();
            (user, known, records, found)
        })
        .collect();
    let all: Vec<OfPerson> = everybody
        .into_par_iter()
        .map(|(user, known, records, found)| person::evaluate(&user, known, records, &found))
        .collect();
    if all.iter().all(|p| p.lost.len() as u64 == p.records) {
        return Err(Error::Usage("the truth tells of no record in the lake".to_string()));
    }
    Ok(summed(&all))
}

/// What dedupe found, by user.
fn found(lake: &Lake, people: &BTreeMap<String, Vec<Listed>>) -> Result<HashMap<String, Found>> {
    let mut places: HashMap<(&str, String), usize> = HashMap::new();
    for (user, records) in people {
        places.extend(records.iter().enumerate().map(|(at, r)| ((user.as_str(), r.name()), at)));
    }
    let mut found: HashMap<String, Found> = HashMap::new();
    for bucket in lake.buckets() {
        for batch in dataset::read(lake, &lake.golden(bucket), Some(&["user_id", "members"]))? {
            let rows = Rows(&batch);
            let members = rows.list("members");
            for row in 0..batch.num_rows() {
                let user = rows.text("user_id", row);
                let of = structs(members, row);
                let name =
                    |at: usize| format!("{}:{}", field(&of, "source", at), field(&of, "source_id", at));
                let own = (0..arrow::array::Array::len(&of))
                    .filter_map(|at| places.get(&(&user, name(at))).copied());
                let own = own.collect();
                found.entry(user.clone()).or_default().groups.push(own);
            }
        }
        for batch in dataset::read(lake, &lake.matches(bucket), None)? {
            let rows = Rows(&batch);
            for row in 0..batch.num_rows() {
                let user = rows.text("user_id", row);
                let name = |side: &str| {
                    format!(
                        "{}:{}",
                        rows.text(&format!("source_{side}"), row),
                        rows.text(&format!("source_id_{side}"), row)
                    )
                };
                let (a, b) = (places.get(&(&user, name("a"))), places.get(&(&user, name("b"))));
                if let (Some(a), Some(b)) = (a, b) {
                    let compared = Compared {
                        a: *a,
                        b: *b,
                        probability: f64::from(rows.small("probability", row)),
                        decision: rows.text("decision", row),
                        reason: rows.text("reason", row),
                    };
                    found.entry(user).or_default().compared.push(compared);
                }
            }
        }
    }
    Ok(found)
}

fn summed(all: &[OfPerson]) -> Evaluation {
    let scores = |of: &dyn Fn(&OfPerson) -> Counts| Scores::of(&all.iter().map(of).collect::<Vec<_>>());
    let sum = |of: &dyn Fn(&OfPerson) -> u64| -> u64 { all.iter().map(of).sum() };
    let names: BTreeSet<&String> = all.iter().flat_map(|p| p.classes.keys()).collect();
    let class = |name: &String| {
        let s = scores(&|p| p.classes.get(name).copied().unwrap_or_default());
        ClassFigures {
            class: name.clone(),
            pairs: s.right + s.missed,
            missed: s.missed,
            recall: s.recall,
            found: s.right + s.wrong,
            wrong: s.wrong,
            precision: s.precision,
        }
    };
    let baselines: Vec<Baseline> = BASELINES
        .iter()
        .enumerate()
        .map(|(at, rule)| Baseline { name: rule.name, rule: rule.rule, scores: scores(&|p| p.baselines[at]) })
        .collect();
    let across = scores(&|p| p.across);
    let errors = |s: &Scores| s.wrong + s.missed;
    let best = baselines.iter().map(|b| errors(&b.scores)).min().unwrap_or(0);
    let reliability = |bin: usize| {
        let (pairs, right) =
            all.iter().fold((0, 0), |sum, p| (sum.0 + p.reliability[bin].0, sum.1 + p.reliability[bin].1));
        Reliability { odds_from: BINS[bin], pairs, right: share_of(right, pairs) }
    };
    let reviews = sum(&|p| p.reviews);
    let pairs = scores(&|p| p.pairs);
    Evaluation {
        users: all.len() as u64,
        records: sum(&|p| p.records),
        lost: all.iter().flat_map(|p| p.lost.iter().cloned()).collect(),
        compared: sum(&|p| p.compared),
        undecidable: sum(&|p| p.undecidable),
        groups: scores(&|p| p.groups),
        blocking_recall: scores(&|p| p.blocking).recall,
        review_share: reviews as f64 / (reviews + pairs.right + pairs.wrong).max(1) as f64,
        reviews,
        true_reviews: sum(&|p| p.true_reviews),
        errors_of_best: errors(&across) as f64 / best.max(1) as f64,
        classes: names.into_iter().map(class).collect(),
        reliability: (0..BINS.len()).map(reliability).collect(),
        mistakes: all.iter().flat_map(|p| p.mistakes.iter().cloned()).collect(),
        pairs,
        across,
        baselines,
    }
}
