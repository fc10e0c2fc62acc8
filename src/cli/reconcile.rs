//! `longrun reconcile`

use jiff::Timestamp;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::Result;
use crate::redrive::reconcile::{self, Counts, Reconciled, Standing};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this user; can be given several times
    #[arg(long = "user", value_name = "ID")]
    users: Vec<String>,
    /// Users that the table lists, those with most owed first
    #[arg(long, default_value_t = 20, value_name = "N")]
    list: usize,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let reconciled = reconcile::reconcile(&context.open()?, &args.users, Timestamp::now())?;
    if context.json {
        output::json(&reconciled)?;
    } else {
        output::print(table(&reconciled, args.list).trim_end())?;
    }
    describe(&reconciled, args.list);
    Ok(Exit::of(reconciled.damaged.is_empty()))
}

/// A line for each of the users with most owed, and one for all.
pub fn table(reconciled: &Reconciled, list: usize) -> String {
    let head = [
        "user",
        "workouts",
        "there",
        "duplicate",
        "loop",
        "unclear",
        "blocked",
        "failed",
        "missing",
        "since",
    ];
    let line = |name: &str, counts: &Counts, since: String| {
        let mut cells = vec![name.to_string(), output::count(counts.workouts)];
        cells.extend(Standing::ALL.map(|standing| output::count(counts.of(standing))));
        cells.push(since);
        cells
    };
    let since = |time: Option<Timestamp>| time.map_or(String::new(), output::date);
    let mut rows: Vec<Vec<String>> = reconciled
        .users
        .iter()
        .take(list)
        .map(|user| line(&user.user_id, &user.counts, since(user.first_owed)))
        .collect();
    let first = reconciled.users.iter().filter_map(|user| user.first_owed).min();
    rows.push(line("all", &reconciled.totals, since(first)));
    output::table(&head, &rows)
}

pub fn describe(reconciled: &Reconciled, list: usize) {
    if reconciled.users.len() > list {
        say!("… and {} more users; --list shows more", output::count((reconciled.users.len() - list) as u64));
    }
    let totals = &reconciled.totals;
    say!(
        "of {} workouts of {} users the pipeline is owed {}: {} it never saw, {} failed, {} were blocked by the tier; \
         `longrun redrive --sink …` previews what would be sent",
        output::count(totals.workouts),
        output::count(reconciled.users.len() as u64),
        output::count(totals.owed()),
        output::count(totals.missing),
        output::count(totals.failed),
        output::count(totals.tier_blocked)
    );
    output::left_out(&reconciled.damaged);
    if reconciled.not_deduped > 0 {
        say!("{}", output::not_deduped(reconciled.not_deduped));
    }
    let without_runs = reconciled.users.iter().filter(|user| user.runs == 0).count();
    if without_runs > 0 {
        say!(
            "the pipeline's exports have no runs of {}: if there are some, import those first",
            output::count_of(without_runs as u64, "user", "users")
        );
    }
}
