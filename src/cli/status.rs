//! `longrun status`

use jiff::{SignedDuration, Timestamp};

use super::output::say;
use super::{Context, Exit, fetch, output, store_status};
use crate::error::{Error, Result};
use crate::fetch::survey::{Question, Standing, Survey, survey};
use crate::model::policy::{Policy, STRAVA_2026};
use crate::sources::strava;
use crate::sources::strava::endpoints::Depth;
use crate::sources::strava::walk::Wanted;
use crate::store::lake::Lake;
use crate::store::place::Place;
use crate::store::state::rates::Rates;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Count what is owed down to this depth
    #[arg(long, value_enum, default_value = "streams")]
    depth: Depth,
    /// Only this user; can be given several times
    #[arg(long = "user", value_name = "ID")]
    users: Vec<String>,
    /// Lengths of the API's rate windows in seconds
    #[arg(long, env = "LONGRUN_STRAVA_WINDOWS", default_value = "900,86400", value_name = "SHORT,DAY", value_parser = fetch::windows)]
    windows: (u32, u32),
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    if let Place::Url(url) = &context.lake {
        return store_status::run(context, url);
    }
    let lake = context.open()?;
    let now = Rates::open_to_read(&lake)?.now()?;
    let question = Question {
        // However old a list is: what is said is how old, not that it is owed.
        wanted: Wanted::new(args.depth, now, SignedDuration::MAX, None),
        users: args.users,
        ignore_archives: false,
        reserve: Some(0.0),
        short_window_s: args.windows.0,
        day_s: args.windows.1,
        max_calls: None,
    };
    let survey = survey(&lake, &question, now)?;
    if context.json {
        output::json(&survey)?;
        return Ok(Exit::Done);
    }
    output::print(table(&survey).trim_end())?;
    survey.accounts.iter().for_each(complain);
    say_terms(&lake, &survey, Timestamp::now())?;
    say!(
        "calls left: {} in this rate window, {} today",
        output::count(survey.room.short_left),
        output::count(survey.room.day_left)
    );
    Ok(Exit::Done)
}

/// What the source's terms ask for by now: said, and done by nobody but who runs the command for it.
fn say_terms(lake: &Lake, survey: &Survey, now: Timestamp) -> Result<()> {
    let kept = lake.text(&lake.policy())?;
    let text = kept.as_deref().or(Policy::known(STRAVA_2026)).unwrap_or_default();
    let policy = Policy::parse(text).map_err(|e| Error::damaged(lake.place(&lake.policy()), e))?;
    let terms = policy.of(strava::SOURCE);
    let flag = if kept.is_some() { "" } else { " --policy strava-2026" };
    let (days, hours) = (terms.cached_s().map(|s| s / 86_400), terms.gone_s().map(|s| s / 3_600));
    let oldest = survey.accounts.iter().filter_map(|account| account.oldest).min();
    let is_overdue =
        |oldest: &Timestamp| terms.cached_s().is_some_and(|s| oldest.as_second() + s < now.as_second());
    if let Some(revoked_s) = terms.revoked_s() {
        for (user, since) in survey.accounts.iter().filter_map(|a| Some((&a.user_id, a.refused_since?))) {
            let due = Timestamp::from_second(since.as_second() + revoked_s).unwrap_or(Timestamp::MAX);
            say!(
                "user {user}: Strava's terms ask for everything that its API gave of them to be forgotten, by {} at the \
                 latest: `longrun purge --expired{flag}` forgets it from then on, `longrun purge --user {user}` now",
                output::date(due)
            );
        }
    }
    let gone: u64 = survey.accounts.iter().map(|account| account.gone as u64).sum();
    if let (Some(oldest), Some(days)) = (oldest.filter(is_overdue), days) {
        say!(
            "Strava's terms ask for what its API gave to be fetched anew or forgotten within {days} days; some of it is of {}: \
             `longrun purge --expired{flag}` forgets it",
            output::date(oldest)
        );
    }
    if let Some(hours) = hours.filter(|_| gone > 0) {
        say!(
            "Strava's terms ask for what athletes deleted to be forgotten within {hours} hours; {} gone: \
             `longrun purge --expired{flag}` forgets what is due",
            output::count_of(gone, "activity is", "activities are")
        );
    }
    Ok(())
}

fn table(survey: &Survey) -> String {
    let kinds: Vec<&str> =
        survey.accounts.first().map_or_else(Vec::new, |a| a.fetched.keys().copied().collect());
    let head: Vec<&str> = ["user", "fresh as of", "whole list as of", "activities"]
        .into_iter()
        .chain(kinds.iter().copied())
        .chain(["owed", "set aside", "gone"])
        .collect();
    let time = |time: Option<Timestamp>| time.map_or_else(|| "never".to_string(), output::minute);
    let rows: Vec<Vec<String>> = survey
        .accounts
        .iter()
        .map(|a| {
            let mut row = vec![
                a.user_id.clone(),
                time(a.fresh_as_of),
                time(a.whole_list_as_of),
                output::count(a.activities as u64),
            ];
            row.extend(
                kinds.iter().map(|kind| output::count(a.fetched.get(kind).copied().unwrap_or(0) as u64)),
            );
            let owed = output::count(a.calls.values().sum());
            row.push(if a.is_estimate { format!("~{owed}") } else { owed });
            row.extend([a.parked.len(), a.gone].map(|count| output::count(count as u64)));
            row
        })
        .collect();
    output::table(&head, &rows)
}

/// What somebody may want to look after.
fn complain(standing: &Standing) {
    if let Some(reason) = &standing.unreadable {
        say!("user {}: {reason}", standing.user_id);
    }
    if let Some(since) = standing.mistaken_since {
        say!(
            "user {}: the tokens have been another athlete's since {}, and nothing is kept of what they give; give the \
             account its own: `longrun accounts add --replace`, or `longrun connect strava --user {}`",
            standing.user_id,
            output::date(since),
            standing.user_id
        );
    }
    if let Some(since) = standing.refused_since {
        say!(
            "user {}: the athlete took the access back on {}; with a new consent (`longrun connect strava --user {}`) all \
             goes on",
            standing.user_id,
            output::date(since),
            standing.user_id
        );
    } else if let Some(since) = standing.refresh_refused_since {
        let user = &standing.user_id;
        say!(
            "user {user}: Strava has refused the refresh token since {}: it is not the newest one (renewed elsewhere, or \
             mistyped), or the athlete took the access back. With the newest tokens (`longrun accounts add`) or a new consent \
             (`longrun connect strava --user {user}`) all goes on. If the access was taken back, Strava's terms ask for \
             everything that its API gave of them to be forgotten: say so with `longrun accounts revoked {user}`",
            output::date(since)
        );
    }
    standing.doubt.iter().for_each(fetch::say_doubt);
    if let Some(lack) = standing.lack {
        say!("user {}: {lack}", standing.user_id);
    }
    for parked in &standing.parked {
        let next = Timestamp::from_second(parked.next_s).map(output::minute).unwrap_or_default();
        say!(
            "user {}: {} of activity {} set aside until {next} UTC: {}",
            standing.user_id,
            parked.kind,
            parked.id,
            parked.reason
        );
    }
}
