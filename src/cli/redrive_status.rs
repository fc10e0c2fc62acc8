//! `longrun redrive status`

use super::output::say;
use super::{Context, Exit, output};
use crate::error::Result;
use crate::redrive::status::{OfSink, status};
use crate::store::lake::Lake;

pub fn run(context: &Context, lake: &Lake) -> Result<Exit> {
    let (sinks, damaged) = status(lake)?;
    if context.json {
        output::json(&sinks)?;
    } else if !sinks.is_empty() {
        output::print(table(&sinks).trim_end())?;
    }
    if sinks.is_empty() {
        say!("nothing was sent yet; `longrun redrive --sink …` previews what would be");
    }
    for of_sink in &sinks {
        describe(of_sink);
    }
    damaged.iter().for_each(|damage| say!("not looked at for changes: {damage}"));
    Ok(Exit::Done)
}

fn table(sinks: &[OfSink]) -> String {
    let head = ["sink", "users", "delivered", "refused", "unsettled", "first", "last"];
    let day = |time: Option<jiff::Timestamp>| time.map_or(String::new(), output::minute);
    let rows: Vec<Vec<String>> = sinks
        .iter()
        .map(|of_sink| {
            vec![
                of_sink.sink.clone(),
                output::count(of_sink.users),
                output::count(of_sink.delivered),
                output::count(of_sink.rejected),
                output::count(of_sink.unsettled),
                day(of_sink.first),
                day(of_sink.last),
            ]
        })
        .collect();
    output::table(&head, &rows)
}

fn describe(of_sink: &OfSink) {
    if let Some(runs) = &of_sink.runs {
        let mut runs: Vec<String> =
            runs.iter().map(|(status, count)| format!("{} {status}", output::count(*count))).collect();
        if of_sink.not_seen > 0 {
            runs.push(format!("{} in no export yet", output::count(of_sink.not_seen)));
        }
        if !runs.is_empty() {
            say!("{}: what was delivered is {} by the newest export", of_sink.sink, runs.join(", "));
        }
    }
    if let Some(first) = of_sink.changed_since.first() {
        say!(
            "{}: {} changed since {} delivered, such as {} of {}; --json names all, and `longrun redrive --user {} --again {}` sends it once more",
            of_sink.sink,
            output::count_of(of_sink.changed_since.len() as u64, "record has", "records have"),
            if of_sink.changed_since.len() == 1 { "it was" } else { "they were" },
            first.record,
            first.user_id,
            first.user_id,
            first.record
        );
    }
    if of_sink.unsettled > 0 {
        say!(
            "{}: {} may or may not have arrived; the same redrive sends them again under their ids",
            of_sink.sink,
            output::count(of_sink.unsettled)
        );
    }
}
