//! What a redrive says: before it what would go and what users would see, after it what went.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::output::{self, say};
use crate::redrive::Options;
use crate::redrive::drive::Driven;
use crate::redrive::plan::summary::BoosterFigures;
use crate::redrive::plan::{AllHeld, Summary};

/// The first workouts of a plan.
pub fn table(plan: &Summary) -> String {
    let head = ["user", "start", "sport", "status", "record", "pipeline", "destinations"];
    let rows: Vec<Vec<String>> = plan
        .entries
        .iter()
        .map(|line| {
            vec![
                line.user_id.clone(),
                output::minute(line.start),
                line.sport.clone().unwrap_or_default(),
                line.standing.name().to_string(),
                line.record.clone().unwrap_or_default(),
                line.pipeline_id.clone(),
                line.destinations.join(", "),
            ]
        })
        .collect();
    if rows.is_empty() { String::new() } else { output::table(&head, &rows) }
}

/// What an operator decides by.
pub fn describe_plan(plan: &Summary, options: &Options) {
    let listed = plan.entries.iter().filter(|line| line.is_ready).count() as u64;
    if plan.send > listed {
        say!("… and {} more; --list or --json shows them", output::count(plan.send - listed));
    }
    let users = plan.users.iter().filter(|user| user.send > 0).count() as u64;
    say!(
        "{} owed; {} of {} would go to {}, oldest first, in about {} at this pace{}",
        output::count_of(plan.owed, "workout is", "workouts are"),
        output::count(plan.send),
        output::count_of(users, "user", "users"),
        plan.sink,
        output::seconds(plan.takes_s),
        end(plan.takes_s)
    );
    if plan.send_again > 0 {
        say!(
            "{} begun before without a known end, and would go again under the same id",
            output::count_of(plan.send_again, "of them was", "of them were")
        );
    }
    describe_pipelines(&plan.pipelines);
    if !plan.syncs.is_empty() {
        say!(
            "users will see {} ({})",
            output::count_of(plan.syncs.values().sum(), "upload", "uploads"),
            listed_counts(&plan.syncs, |name, count| format!("{} to {name}", output::count(count)))
        );
    }
    describe_boosters(&plan.boosters, options.unordered);
    for (tier, figures) in &plan.tiers {
        let of_month = if figures.is_limited { " of this month" } else { "; its syncs have no limit" };
        say!(
            "tier {tier}: {} would spend {}{of_month}",
            output::count_of(figures.users, "user", "users"),
            output::count_of(figures.syncs, "sync", "syncs")
        );
    }
    describe_rest(plan.delivered_before, plan.beyond_limit, &plan.held);
    output::left_out(&plan.damaged);
    match &plan.why_not_to_send {
        Some(why) => say!("nothing was sent, and --apply would send nothing: {why}"),
        None => say!("nothing was sent; --apply sends"),
    }
}

/// When a long run would end.
fn end(takes_s: f64) -> String {
    const LONG_S: f64 = 3600.0;
    let end = Timestamp::now().checked_add(SignedDuration::from_secs(takes_s as i64));
    match end {
        Ok(end) if takes_s >= LONG_S => format!(", until {} UTC", output::minute(end)),
        _ => String::new(),
    }
}

/// The pipelines with most messages: everybody has one of their own.
fn describe_pipelines(pipelines: &BTreeMap<String, u64>) {
    const MOST: usize = 10;
    let mut by_count: Vec<(&String, &u64)> = pipelines.iter().collect();
    by_count.sort_by_key(|(_, count)| Reverse(**count));
    for (pipeline, count) in by_count.iter().take(MOST) {
        say!("  pipeline {pipeline}: {}", output::count_of(**count, "message", "messages"));
    }
    if let Some(rest) = by_count.get(MOST..).filter(|rest| !rest.is_empty()) {
        let messages = rest.iter().map(|(_, count)| **count).sum();
        say!(
            "  {} more: {}; --json lists them",
            output::count_of(rest.len() as u64, "pipeline", "pipelines"),
            output::count_of(messages, "message", "messages")
        );
    }
}

fn listed_counts(counts: &BTreeMap<String, u64>, one: impl Fn(&str, u64) -> String) -> String {
    let each = counts.iter().map(|(name, count)| one(name, *count));
    each.collect::<Vec<_>>().join(", ")
}

/// What boosters do with history that they would not do with news.
fn describe_boosters(boosters: &BoosterFigures, is_unordered: bool) {
    let say_of = |what: &str, counts: &BTreeMap<String, u64>, means: &str| {
        if !counts.is_empty() {
            let runs = listed_counts(counts, |name, count| {
                format!("{name} in {}", output::count_of(count, "run", "runs"))
            });
            say!("boosters that {what}: {runs}; {means}");
        }
    };
    say_of("ask", &boosters.ask, "each run waits for an answer, and its user gets a push");
    let order = match is_unordered {
        true => "with --unordered they come out wrong",
        false => "they have counted what the pipeline has of later days already",
    };
    say_of("keep count", &boosters.keep_count, order);
    say_of("read the clock", &boosters.read_clock, "they take today for the day of the activity");
    say_of("this longrun does not know", &boosters.unknown, "find out what they do with history first");
    if boosters.not_said > 0 {
        say!(
            "no export names the boosters of {}; one of them may ask or send a push",
            output::count_of(boosters.not_said, "run", "runs")
        );
    }
}

fn describe_rest(delivered_before: u64, beyond_limit: u64, held: &AllHeld) {
    if delivered_before > 0 {
        say!(
            "{} delivered before and not sent again; the pipeline's newest export does not have them yet",
            output::count_of(delivered_before, "was", "were")
        );
    }
    if beyond_limit > 0 {
        say!("{} beyond --limit", output::count_of(beyond_limit, "is", "are"));
    }
    for (reason, figures) in held {
        say!(
            "held, {reason}: {} (such as {}: {})",
            output::count(figures.count),
            figures.example,
            figures.why
        );
        say!("  to send: {}", figures.frees);
    }
}

pub fn describe(driven: &Driven) {
    if driven.unsettled_before > 0 {
        say!(
            "{} unsettled, and outside of what was asked for now; run without filters to settle them",
            output::count_of(
                driven.unsettled_before,
                "message of an earlier run is",
                "messages of an earlier run are"
            )
        );
    }
    match &driven.said {
        Some(said) => say!("{said}"),
        None => say!(
            "delivered {} ({}) to {} in {}, with {}",
            output::count_of(driven.delivered, "message", "messages"),
            output::bytes(driven.delivered_bytes),
            driven.sink,
            output::seconds(driven.seconds),
            output::count_of(driven.attempts, "attempt", "attempts")
        ),
    }
    if driven.sent_again > 0 {
        say!(
            "{} sent again under the same id, because nobody knew whether it had arrived",
            output::count_of(driven.sent_again, "message was", "messages were")
        );
    }
    if let Some(why) = &driven.rejected_why {
        say!("{} refused, such as {why}", output::count_of(driven.rejected, "message was", "messages were"));
    }
    if let Some(file) = &driven.dead_letters {
        say!("what was refused is in {file}, each with its answer");
    }
    if driven.unknown > 0 || driven.left > 0 {
        say!(
            "{} may or may not have arrived, and {} not begun{}; nothing is lost, run the same command again",
            output::count_of(driven.unknown, "message", "messages"),
            output::count_of(driven.left, "was", "were"),
            driven.unknown_why.as_ref().map_or(String::new(), |why| format!(" ({why})"))
        );
    }
    describe_rest(driven.delivered_before, driven.beyond_limit, &driven.held);
    if driven.not_planned > 0 {
        say!(
            "{} of the plan did not go: what is held now, is not owed, or was never planned",
            output::count_of(driven.not_planned, "message", "messages")
        );
    }
    output::left_out(&driven.damaged);
    match &driven.runs {
        Some(runs) if !runs.is_empty() => {
            let runs: Vec<String> =
                runs.iter().map(|(name, count)| format!("{} {name}", output::count(*count))).collect();
            say!("their runs: {}", runs.join(", "));
        }
        _ if driven.delivered > 0 && driven.said.is_none() => {
            say!(
                "delivered means that the sink has taken them: what became of their runs is not known \
                 (--wait-for-runs, or `longrun pipeline import` of a newer export and `longrun reconcile`)"
            );
        }
        _ => {}
    }
}
