//! `longrun dedupe`

use std::path::PathBuf;
use std::time::Instant;

use clap::Subcommand;
use jiff::civil::Date;

use super::odds::Odds;
use super::output::say;
use super::{Context, Exit, output, task};
use crate::dedupe::weights::Weights;
use crate::dedupe::{self, Gone, Learn, Options, Summary};
use crate::error::{Error, Result};
use crate::sources::Source;
use crate::store::dataset;
use crate::store::dataset::cells::Rows;
use crate::store::lake::Lake;
use crate::store::state::answers::{self, Answer, Given};
use crate::store::state::zones;
use crate::tasks::Step;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, clap::Args)]
struct Run {
    #[command(flatten)]
    odds: Odds,
    /// Score with the weights of this file from now on
    #[arg(long, value_name = "FILE", conflicts_with = "learn")]
    weights: Option<PathBuf>,
    /// Learn the weights anew from what is in the lake now
    #[arg(long)]
    learn: bool,
    /// Count also what its source no longer has, or no longer shows
    #[arg(long)]
    with_gone: bool,
    #[command(flatten)]
    task: task::Args,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether two activities are one workout, or in which zone a source's clocks were
    ///
    /// It is remembered, comes before everything that is found, and takes effect with the next `dedupe`.
    Decide(Decide),
    /// Say in sentences why two activities are one workout or two, and what would change it
    Explain(Explain),
    /// Measure precision and recall on invented people, or on the lake with a file of the truth
    #[cfg(feature = "testing")]
    Evaluate(super::evaluate::Args),
    /// Print the weights that pairs are scored with
    Weights,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["pair", "zone", "file"]))]
struct Decide {
    /// Two activities, as SOURCE:ID
    #[arg(long, num_args = 2, value_names = ["A", "B"], requires = "answer")]
    pair: Option<Vec<String>>,
    /// `same` or `different`; `forget` takes an answer back
    #[arg(value_parser = ["same", "different", "forget"])]
    answer: Option<String>,
    /// In which zone a source's clocks were (`hevy Europe/Berlin`); `forget` takes it back
    #[arg(long, num_args = 2, value_names = ["SOURCE", "ZONE"], requires = "user", conflicts_with = "answer")]
    zone: Option<Vec<String>>,
    /// The first day that --zone is about; else ever since
    #[arg(long, value_name = "DATE", requires = "zone")]
    from: Option<Date>,
    /// The last day that --zone is about; else for good
    #[arg(long, value_name = "DATE", requires = "zone")]
    to: Option<Date>,
    /// Many answers: a CSV of `user,a,b,answer`, the user as in the lake
    #[arg(long, value_name = "CSV", conflicts_with_all = ["answer", "user"])]
    file: Option<PathBuf>,
    /// Whose activities; needed where two people have one of that name
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Explain {
    /// One activity, as SOURCE:ID
    a: String,
    /// The other
    b: String,
    /// Whose activities; needed where two people have one of that name
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    #[command(flatten)]
    odds: Odds,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    match args.action {
        Some(Action::Explain(args)) => explain(context, &args),
        Some(Action::Decide(args)) => decide(context, args),
        #[cfg(feature = "testing")]
        Some(Action::Evaluate(args)) => super::evaluate::run(context, &args),
        Some(Action::Weights) => weights(context),
        None => dedupe(context, args.run),
    }
}

fn read_weights(file: Option<&PathBuf>) -> Result<Option<Weights>> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file).map_err(Error::io("read", file))?;
    let weights = Weights::from_toml(&text);
    weights.map(Some).map_err(|e| Error::Usage(format!("{}: {e}", file.display())))
}

fn dedupe(context: &Context, args: Run) -> Result<Exit> {
    if let Some(id) = args.task.run_id() {
        if args.weights.is_some() || args.learn || args.with_gone {
            return Err(Error::Usage(
                "a task goes by its plan: give weights and --with-gone to `run plan`".to_string(),
            ));
        }
        return task::run(context, &args.task, id, &Step::Dedupe);
    }
    let lake = context.open()?;
    let buckets = args.task.some(&lake)?;
    let options = Options {
        thresholds: args.odds.thresholds()?,
        weights: read_weights(args.weights.as_ref())?,
        learn: if args.learn { Learn::Anew } else { Learn::IfNeeded },
        buckets,
        gone: if args.with_gone { Gone::Counted } else { Gone::LeftOut },
    };
    let begin = Instant::now();
    let done = run_on(&lake, &options)?;
    if context.json {
        output::json(&done)?;
    }
    output::complaints(&done.failed);
    describe(&done.summary, begin.elapsed().as_secs_f64());
    Ok(Exit::of(done.failed.is_empty()))
}

/// Dedupes with a progress bar.
pub fn run_on(lake: &Lake, options: &Options) -> Result<dedupe::Run<Summary>> {
    let bar = output::bar(lake.buckets().count() as u64, "  dedupe {bar:30} {pos}/{len} buckets, {eta} left");
    let summary = dedupe::run(lake, options, |done| bar.inc(done));
    bar.finish_and_clear();
    summary
}

/// The summary for people.
pub fn describe(s: &Summary, seconds: f64) {
    if s.buckets == 0 {
        say!("there are no activities yet; `longrun normalize` makes them");
        return;
    }
    if s.learned_from > 0 {
        say!("learned the weights from {}", output::count_of(s.learned_from, "pair", "pairs"));
    }
    if s.buckets_rewritten == 0 {
        say!("nothing has changed; matches and workouts are up to date");
        return;
    }
    say!(
        "{} → {}, {} of them with several records ({} in {}, {})",
        output::count_of(s.activities, "record", "records"),
        output::count_of(s.golden, "workout", "workouts"),
        output::count(s.golden_of_many),
        output::count_of(s.users, "person", "people"),
        output::count_of(s.buckets_rewritten, "changed bucket", "changed buckets"),
        output::seconds(seconds)
    );
    say!(
        "compared {}: {} match, {} to review, {} decided by you",
        output::count_of(s.pairs, "pair", "pairs"),
        output::count(s.matches),
        output::count(s.reviews),
        output::count(s.answered)
    );
    s.remade.iter().for_each(|file| say!("{file} was damaged, and was made anew"));
    let km = |metres: f64| output::count((metres / 1000.0).round() as u64);
    let hours = |seconds: f64| output::count((seconds / 3600.0).round() as u64);
    say!(
        "total {} km in {} h ({} km in {} h before removing duplicates)",
        km(s.distance_after_m),
        hours(s.time_after_s),
        km(s.distance_before_m),
        hours(s.time_before_s)
    );
    const GROWN: u64 = 10;
    if s.weights_learned_from > 0 && s.learned_from == 0 && s.pairs > GROWN * s.weights_learned_from {
        say!(
            "the weights were learned from {} pairs, when the lake was smaller: --learn learns them anew",
            output::count(s.weights_learned_from)
        );
    }
    if s.crowded > 0 {
        say!(
            "{} more neighbours within a day than are compared",
            output::count_of(s.crowded, "record has", "records have")
        );
    }
}

/// The weights of a lake, and whether it has some of its own.
pub fn weights_of(lake: &Lake) -> Result<(Weights, bool)> {
    let key = lake.weights();
    match lake.text(&key)? {
        Some(text) => Ok((Weights::parse(&text, &lake.place(&key))?, true)),
        None => Ok((Weights::default(), false)),
    }
}

fn weights(context: &Context) -> Result<Exit> {
    let lake = context.open()?;
    let (weights, are_own) = weights_of(&lake)?;
    if !are_own {
        say!("the lake has no weights yet: these are what learning starts from");
    }
    output::print(weights.to_toml().trim_end())?;
    Ok(Exit::Done)
}

fn explain(context: &Context, args: &Explain) -> Result<Exit> {
    let lake = context.open()?;
    let user_id = match &args.user {
        Some(user_id) => user_id.clone(),
        None => answers::owner(&lake, &args.a, &args.b)?,
    };
    let (weights, _) = weights_of(&lake)?;
    let thresholds = args.odds.thresholds()?;
    output::print(&dedupe::explain(&lake, &user_id, (&args.a, &args.b), &weights, thresholds)?)?;
    Ok(Exit::Done)
}

fn decide(context: &Context, args: Decide) -> Result<Exit> {
    let lake = context.open()?;
    if let Some(zone) = &args.zone {
        return decide_zone(&lake, &args, zone);
    }
    let given = match (&args.file, args.pair, args.answer) {
        (Some(file), _, _) => answers::read_file(file)?,
        (None, Some(pair), Some(answer)) => {
            let user_id = match args.user {
                Some(user_id) => user_id,
                None => answers::owner(&lake, &pair[0], &pair[1])?,
            };
            let answer = answers::parse(&answer).expect("clap lets nothing else through");
            vec![Given { user_id, one: pair[0].clone(), other: pair[1].clone(), answer }]
        }
        _ => unreachable!("clap asks for a pair with an answer, or a file"),
    };
    answers::check(&lake, &given)?;
    answers::keep(&lake, &given, jiff::Timestamp::now())?;
    let count = |answer: Option<Answer>| given.iter().filter(|g| g.answer == answer).count();
    say!(
        "remembered {} ({} same, {} different, {} taken back); `longrun dedupe` follows them",
        output::count_of(given.len() as u64, "answer", "answers"),
        count(Some(Answer::Same)),
        count(Some(Answer::Different)),
        count(None)
    );
    Ok(Exit::Done)
}

/// Remembers in which zone a source's clocks were, or takes that back.
fn decide_zone(lake: &Lake, args: &Decide, zone: &[String]) -> Result<Exit> {
    let (source, zone) = (&zone[0], Some(zone[1].clone()).filter(|zone| zone != "forget"));
    let user_id = args.user.clone().expect("clap asks for it");
    let named = source.parse::<Source>().map_err(Error::Usage)?;
    let is_known = dataset::sources(lake, lake.bucket(&user_id))?.iter().any(|name| name == named.name())
        && dataset::read(lake, &lake.activities(named.name(), lake.bucket(&user_id)), Some(&["user_id"]))?
            .iter()
            .any(|batch| (0..batch.num_rows()).any(|row| Rows(batch).text("user_id", row) == user_id));
    if zone.is_some() && !is_known {
        return Err(Error::Usage(format!("{user_id} has no activities of {source}")));
    }
    let given =
        zones::Given { user_id, source: named.name().to_string(), from: args.from, to: args.to, zone };
    let changed = zones::keep(lake, &given, jiff::Timestamp::now())?;
    match &given.zone {
        Some(zone) => {
            say!("remembered that the clocks of {source} were in {zone}; `longrun dedupe` follows it");
        }
        None => say!("took back {}", output::count_of(changed as u64, "answer", "answers")),
    }
    Ok(Exit::Done)
}
