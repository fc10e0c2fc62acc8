//! `longrun plan`

use jiff::{SignedDuration, Timestamp};

use super::output::say;
use super::{Context, Exit, fetch, output};
use crate::error::Result;
use crate::fetch::survey::{Question, Survey, survey};
use crate::sources::strava::endpoints::Depth;
use crate::sources::strava::walk::Wanted;
use crate::store::state::rates::Rates;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How much of every activity
    #[arg(long, value_enum, default_value = "streams")]
    depth: Depth,
    /// Only this user; can be given several times
    #[arg(long = "user", value_name = "ID")]
    users: Vec<String>,
    /// Share of a full rate window that is left to others using the same application, as `fetch --reserve` has it
    #[arg(long, value_name = "SHARE", value_parser = fetch::share)]
    reserve: Option<f64>,
    /// A list that was walked to its end within this time is not asked for again
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = fetch::duration)]
    max_age: SignedDuration,
    /// Walk the whole list of each account whose last whole walk is older than this
    #[arg(long, value_name = "DURATION", value_parser = fetch::duration)]
    sweep: Option<SignedDuration>,
    /// As if a fetch stopped after this many calls
    #[arg(long, value_name = "N")]
    max_calls: Option<u64>,
    /// Ask also for what an imported archive has
    #[arg(long)]
    ignore_archives: bool,
    /// Lengths of the API's rate windows in seconds
    #[arg(long, env = "LONGRUN_STRAVA_WINDOWS", default_value = "900,86400", value_name = "SHORT,DAY", value_parser = fetch::windows)]
    windows: (u32, u32),
}

impl Args {
    fn question(self, now: Timestamp) -> Question {
        Question {
            wanted: Wanted::new(self.depth, now, self.max_age, self.sweep),
            users: self.users,
            ignore_archives: self.ignore_archives,
            reserve: self.reserve,
            short_window_s: self.windows.0,
            day_s: self.windows.1,
            max_calls: self.max_calls,
        }
    }
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = context.open()?;
    let now = Rates::open_to_read(&lake)?.now()?;
    let survey = survey(&lake, &args.question(now), now)?;
    if context.json {
        output::json(&survey)?;
        return Ok(Exit::Done);
    }
    output::print(table(&survey).trim_end())?;
    describe(&survey);
    Ok(Exit::Done)
}

fn table(survey: &Survey) -> String {
    let kinds: Vec<&str> = survey.calls.keys().copied().collect();
    let head: Vec<&str> =
        ["user", "activities"].into_iter().chain(kinds.iter().copied()).chain(["calls"]).collect();
    let about = |is_estimate: bool, count: u64| {
        format!("{}{}", if is_estimate && count > 0 { "~" } else { "" }, output::count(count))
    };
    let rows: Vec<Vec<String>> = survey
        .accounts
        .iter()
        .map(|a| {
            let count = |kind: &&str| a.calls.get(kind).copied().unwrap_or(0);
            let mut row = vec![a.user_id.clone(), output::count(a.activities as u64)];
            row.extend(kinds.iter().map(|kind| about(a.is_estimate, count(kind))));
            row.push(about(a.is_estimate, a.calls.values().sum()));
            row
        })
        .collect();
    output::table(&head, &rows)
}

/// What it comes to.
fn describe(survey: &Survey) {
    let about = if survey.is_estimate { "about " } else { "" };
    let calls = output::count(survey.calls_owed);
    say!(
        "{about}{calls} {} owed; {} fit into a rate window and {} into a day at the limits as last seen",
        if survey.calls_owed == 1 { "call is" } else { "calls are" },
        output::count(survey.room.short),
        output::count(survey.room.day)
    );
    match survey.done_at {
        _ if survey.calls_owed == 0 => say!("nothing is owed"),
        Some(done_at) => say!(
            "that is {} rate {} on {} {}: done about {} UTC, if fetch is left running",
            output::count(survey.windows),
            if survey.windows == 1 { "window" } else { "windows" },
            output::count(survey.days),
            if survey.days == 1 { "day" } else { "days" },
            output::minute(done_at)
        ),
        None => say!("no call fits beside this reserve; choose a smaller one with --reserve"),
    }
    if survey.is_estimate {
        say!("lists marked ~ are not known to their end yet; the numbers sharpen as pages land");
    }
}
