//! `longrun dedupe evaluate`

use std::io::Write;
use std::path::PathBuf;

use super::dedupe::{Odds, read_weights};
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::store::local;
use crate::testing::evaluate::{self, Evaluation};
use crate::testing::synth;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The same seed gives the same people; those below 1000 are for tuning
    #[arg(long, default_value_t = 7001)]
    seed: u64,
    #[arg(long, default_value_t = 1000)]
    users: u32,
    /// Workouts of each
    #[arg(long, default_value_t = 160)]
    activities: u32,
    /// What records of the lake truly are, as `synth` writes it, instead of invented people
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "users", "activities"])]
    truth: Option<PathBuf>,
    /// Score with the weights of this file
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    odds: Odds,
    /// Write every pair that was wrong or missed, with what it was scored by, as JSON lines
    #[arg(long, value_name = "FILE")]
    mistakes: Option<PathBuf>,
}

pub fn run(context: &Context, args: &Args) -> Result<Exit> {
    let options = evaluate::Options {
        thresholds: args.odds.thresholds()?,
        weights: read_weights(args.weights.as_ref())?,
    };
    let evaluation = if let Some(truth) = &args.truth {
        evaluate::of_lake(&context.open()?, truth, &options, |_| ())?
    } else {
        let people = synth::Options { seed: args.seed, users: args.users, activities: args.activities };
        let bar = output::bar(u64::from(args.users), "  evaluate {bar:30} {pos}/{len} people, {eta} left");
        let evaluation = evaluate::of_synth(people, &options, |done| bar.inc(done));
        bar.finish_and_clear();
        evaluation
    };
    if let Some(file) = &args.mistakes {
        let path = std::path::absolute(file).map_err(Error::io("find", file))?;
        local::replace(&path, |out| {
            evaluation.mistakes.iter().try_for_each(|mistake| {
                serde_json::to_writer(&mut *out, mistake)?;
                out.write_all(b"\n")
            })
        })?;
    }
    if context.json {
        output::json(&evaluation)?;
    } else {
        output::print(tables(&evaluation).trim_end())?;
    }
    Ok(Exit::Done)
}

/// A word as it stands in JSON.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).expect("it is plain");
    value.as_str().unwrap_or_default().to_string()
}

fn tables(e: &Evaluation) -> String {
    let share = |estimate: evaluate::Estimate| {
        format!("{:.4} ({:.4} – {:.4})", estimate.value, estimate.low, estimate.high)
    };
    let scores = |name: &str, s: &evaluate::Scores| {
        vec![
            name.to_string(),
            share(s.precision),
            share(s.recall),
            share(s.f1),
            output::count(s.wrong),
            output::count(s.missed),
        ]
    };
    let mut text = format!(
        "{} records of {} people; {} candidates ({:.2} per record); the weights were learned from {} pairs without labels\n\
         {:.4} of the true pairs were candidates ({:.4} – {:.4})\n\n",
        output::count(e.records),
        output::count(e.users),
        output::count(e.candidates),
        e.candidates as f64 / e.records.max(1) as f64,
        output::count(e.learned_from),
        e.blocking_recall.value,
        e.blocking_recall.low,
        e.blocking_recall.high
    );
    let head = ["", "precision (95 %)", "recall", "F1", "wrong", "missed"];
    text += &output::table(
        &head,
        &[
            scores("pairs", &e.pairs),
            scores("pairs across sources", &e.across),
            scores("whole groups", &e.groups),
        ],
    );
    text += "\nthe rules of others, on pairs across sources\n";
    text += &output::table(&head, &e.baselines.iter().map(|b| scores(b.name, &b.scores)).collect::<Vec<_>>());
    text += "\nwhat is hard: pairs of which one record at least is so\n";
    let rows: Vec<Vec<String>> = e
        .classes
        .iter()
        .map(|c| {
            vec![word(&c.class), output::count(c.pairs), output::count(c.pairs - c.found), share(c.recall)]
        })
        .collect();
    text += &output::table(&["", "true pairs", "missed", "recall (95 %)"], &rows);
    text += "\nwhat lies close: pairs that were found beside it\n";
    let rows: Vec<Vec<String>> = e
        .scenes
        .iter()
        .map(|s| vec![word(&s.scene), output::count(s.found), output::count(s.wrong), share(s.precision)])
        .collect();
    text += &output::table(&["", "found", "wrong", "precision (95 %)"], &rows);
    text += "\nby the odds that a pair has to have\n";
    let rows: Vec<Vec<String>> = e
        .curve
        .iter()
        .map(|p| {
            vec![
                format!("{}", p.odds),
                format!("{:.4}", p.precision),
                format!("{:.4}", p.recall),
                format!("{:.4}", p.f1),
            ]
        })
        .collect();
    text += &output::table(&["odds", "precision", "recall", "F1"], &rows);
    text
}
