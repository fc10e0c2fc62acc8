//! `longrun dedupe evaluate`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::odds::Odds;
use super::output::say;
use super::{Cli, Context, Exit, output};
use crate::error::{Error, Result};
use crate::store::lake::Lake;
use crate::store::local;
use crate::testing::evaluate::{self, Estimate, Evaluation, Scores, corpus, truth};
use crate::testing::synth;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Measure on this corpus: exports by person in `DIR/<user>/<source>/`, and `DIR/truth.csv`
    ///
    /// `longrun synth corpus` writes one. The columns of `truth.csv` are user, source, key, workout, class and
    /// relation; the key of a record is its id in the source, the name of its file, or its start.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["seed", "users", "activities"])]
    corpus: Option<PathBuf>,
    /// Measure on the lake, with what its records truly are from a file of `synth exports` or `synth activities`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["corpus", "seed", "users", "activities", "into"])]
    truth: Option<PathBuf>,
    /// Invent people: the same seed gives the same; those below 1000 are for tuning
    #[arg(long, default_value_t = 7001)]
    seed: u64,
    #[arg(long, default_value_t = 200)]
    users: u32,
    /// Workouts of each
    #[arg(long, default_value_t = 60)]
    activities: u32,
    /// Keep the lake that the corpus is imported into; the same again is not imported twice
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Score with the weights of this file, not with those learned from the same records without their truth
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    odds: Odds,
    /// Write every pair that was wrong or missed as JSON lines; only of seeds below 1000
    #[arg(long, value_name = "FILE")]
    mistakes: Option<PathBuf>,
    /// Also measure each class with weights that were learned from a lake without it
    #[arg(long, conflicts_with_all = ["truth", "weights"])]
    leave_one_out: bool,
}

pub fn run(context: &Context, args: &Args) -> Result<Exit> {
    let scratch = tempfile::tempdir().map_err(Error::io("make", std::env::temp_dir()))?;
    let (lake, truth) = match &args.truth {
        Some(file) => {
            may_tune(args, None)?;
            (context.folder()?.to_path_buf(), truth::of_jsonl(file)?)
        }
        None => of_corpus(args, scratch.path())?,
    };
    dedupe(&lake, args, args.weights.as_deref())?;
    let measured = evaluate::measure(&Lake::open(&lake)?, truth.clone())?;
    if let Some(file) = &args.mistakes {
        let path = std::path::absolute(file).map_err(Error::io("find", file))?;
        local::replace(&path, |out| {
            measured.mistakes.iter().try_for_each(|mistake| {
                serde_json::to_writer(&mut *out, mistake)?;
                out.write_all(b"\n")
            })
        })?;
    }
    if context.json {
        output::json(&measured)?;
    } else {
        output::print(tables(&measured).trim_end())?;
    }
    if args.leave_one_out {
        let rows = leave_one_out(&lake, &truth, &measured, args, scratch.path())?;
        output::print(
            output::table(&["without", "true pairs", "recall", "recall, learned without it"], &rows)
                .trim_end(),
        )?;
    }
    if !measured.lost.is_empty() {
        say!(
            "{} records of the truth are not in the lake; their pairs count as missed:",
            measured.lost.len()
        );
        output::complaints(&measured.lost);
    }
    Ok(Exit::Done)
}

fn may_tune(args: &Args, seed: Option<u64>) -> Result<()> {
    if args.mistakes.is_some() { corpus::check_tuning(seed, "--mistakes") } else { Ok(()) }
}

/// Imports and normalizes a corpus, invented for this if none is named.
fn of_corpus(args: &Args, scratch: &Path) -> Result<(PathBuf, truth::Truth)> {
    let seed = match &args.corpus {
        Some(folder) => corpus::seed(folder)?,
        None => Some(args.seed),
    };
    may_tune(args, seed)?;
    let folder = match &args.corpus {
        Some(folder) => folder.clone(),
        None => {
            let folder = scratch.join("corpus");
            let people = synth::Options { seed: args.seed, users: args.users, activities: args.activities };
            synth::corpus::write(&folder, people)?;
            folder
        }
    };
    let exports = corpus::exports(&folder, scratch)?;
    let truth = truth::of_csv(&folder.join("truth.csv"), &exports)?;
    let lake = args.into.clone().unwrap_or_else(|| scratch.join("lake"));
    let manifest = scratch.join("manifest.csv");
    local::replace(&manifest, |out| out.write_all(corpus::manifest(&exports).as_bytes()))?;
    step(&lake, &["import", "--manifest", &manifest.to_string_lossy()])?;
    step(&lake, &["normalize"])?;
    Ok((lake, truth))
}

fn dedupe(lake: &Path, args: &Args, weights: Option<&Path>) -> Result<()> {
    let odds = args.odds.words();
    let mut words: Vec<&str> = vec!["dedupe"];
    words.extend(odds.iter().map(String::as_str));
    let weights = weights.map(|path| path.to_string_lossy().into_owned());
    match &weights {
        Some(weights) => words.extend(["--weights", weights]),
        None if args.truth.is_none() => words.push("--learn"),
        None => {}
    }
    step(lake, &words)
}

/// Runs a command as a person would. That some records were refused is part of what is measured.
fn step(lake: &Path, words: &[&str]) -> Result<()> {
    let lake = lake.to_string_lossy();
    let all = ["longrun", "--lake", &lake].into_iter().chain(words.iter().copied());
    let command = Cli::try_parse_from(all).map_err(|e| Error::Usage(e.to_string()))?;
    command.end().map(drop)
}

/// Recall of each class with weights that were learned where nothing of it was.
fn leave_one_out(
    lake: &Path,
    truth: &truth::Truth,
    measured: &Evaluation,
    args: &Args,
    scratch: &Path,
) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for class in measured.classes.iter().filter(|c| c.class != evaluate::PLAIN && c.pairs > 0) {
        let without = scratch.join("without").join(&class.class);
        let other = Lake::open_or_create(&without)?;
        evaluate::without_class(&Lake::open(lake)?, truth, &class.class, &other)?;
        dedupe(&without, args, None)?;
        dedupe(lake, args, Some(&other.place(&other.weights())))?;
        let again = evaluate::measure(&Lake::open(lake)?, truth.clone())?;
        let recall = again.classes.iter().find(|c| c.class == class.class).map_or(0.0, |c| c.recall.value);
        rows.push(vec![
            class.class.clone(),
            output::count(class.pairs),
            format!("{:.4}", class.recall.value),
            format!("{recall:.4}"),
        ]);
    }
    dedupe(lake, args, None)?;
    Ok(rows)
}

fn share(estimate: Estimate) -> String {
    format!("{:.4} ({:.4} – {:.4})", estimate.value, estimate.low, estimate.high)
}

fn scores(name: &str, s: &Scores) -> Vec<String> {
    vec![
        name.to_string(),
        share(s.precision),
        share(s.recall),
        share(s.f1),
        output::count(s.wrong),
        output::count(s.missed),
    ]
}

fn tables(e: &Evaluation) -> String {
    let mut text = format!(
        "{} records of {} people, {} pairs compared; {:.4} of the true pairs across sources were among them\n\
         {} pairs are left for review, {:.2} % of those and the pairs found; {} of them are true\n\n",
        output::count(e.records),
        output::count(e.users),
        output::count(e.compared),
        e.blocking_recall.value,
        output::count(e.reviews),
        e.review_share * 100.0,
        output::count(e.true_reviews)
    );
    if e.undecidable > 0 {
        let pairs = output::count_of(e.undecidable, "pair is", "pairs are");
        text += &format!(
            "{pairs} left out, except by class: the truth says that what was exported cannot decide them\n\n"
        );
    }
    let head = ["", "precision (95 %)", "recall", "F1", "wrong", "missed"];
    text += &output::table(
        &head,
        &[
            scores("pairs", &e.pairs),
            scores("pairs across sources", &e.across),
            scores("whole workouts", &e.groups),
        ],
    );
    text += "\npublished rules, on pairs across sources\n";
    text += &output::table(&head, &e.baselines.iter().map(|b| scores(b.name, &b.scores)).collect::<Vec<_>>());
    text += &format!("longrun makes {:.2} times the errors of the best of them\n", e.errors_of_best);
    text += "\nby class: pairs of which at least one record is so\n";
    let rows: Vec<Vec<String>> = e
        .classes
        .iter()
        .map(|c| {
            vec![
                c.class.clone(),
                output::count(c.pairs),
                output::count(c.missed),
                share(c.recall),
                output::count(c.found),
                output::count(c.wrong),
                share(c.precision),
            ]
        })
        .collect();
    let head = ["", "true pairs", "missed", "recall (95 %)", "found", "wrong", "precision (95 %)"];
    text += &output::table(&head, &rows);
    text += "\nof pairs that were given these odds, how many are right\n";
    let rows: Vec<Vec<String>> = e
        .reliability
        .iter()
        .map(|r| vec![format!("from {}", r.odds_from), output::count(r.pairs), share(r.right)])
        .collect();
    text += &output::table(&["odds", "pairs", "right (95 %)"], &rows);
    text
}
