//! The people of the demo, and what went wrong with their data.

use std::collections::BTreeMap;

use arrow::array::Array;

use super::output;
use crate::error::Result;
use crate::store::dataset;
use crate::store::dataset::cells::{Rows, field, structs};
use crate::store::lake::Lake;
use crate::testing::synth::{self, Options, Person};

/// Their names and lives, in the order of the homes in [`synth`]: New York, Berlin, Delhi, Kathmandu, Sydney.
pub const CAST: [(&str, &str); 5] = [
    ("nora", "New York, trains with a watch, a wristband and two apps; files of hers were uploaded twice"),
    ("jonas", "Berlin, lifts, and writes down every set in Hevy"),
    ("meera", "Delhi, has nothing but Strava"),
    ("pema", "Kathmandu, a quarter of an hour beside everybody's clock; her wristband dies on long days"),
    ("ellie", "Sydney, a day ahead of most servers; a wristband and a strength log"),
];

/// The invented people under these names.
pub fn person(options: Options, number: u32) -> Person {
    let person = synth::person(options, number);
    match CAST.get(number as usize) {
        Some((name, _)) => Person { user_id: name.to_string(), ..person },
        None => person,
    }
}

/// What deduping found out about a person.
#[derive(Debug, Default)]
struct Found {
    records: u64,
    workouts: u64,
    pieces: u64,
    copies: u64,
    zones: u64,
    hidden: u64,
}

/// A line about each person.
pub fn findings(lake: &Lake) -> Result<Vec<String>> {
    let mut people: BTreeMap<String, Found> = BTreeMap::new();
    for bucket in dataset::used_buckets(lake)? {
        for batch in dataset::read(lake, &lake.golden(bucket), Some(&["user_id", "members", "conflicts"]))? {
            let rows = Rows(&batch);
            for row in 0..batch.num_rows() {
                let of = people.entry(rows.text("user_id", row)).or_default();
                let [members, conflicts] = ["members", "conflicts"].map(|list| structs(rows.list(list), row));
                let has_kind = |kind| (0..conflicts.len()).any(|at| field(&conflicts, "kind", at) == kind);
                of.workouts += 1;
                of.records += members.len() as u64;
                of.pieces += u64::from((0..members.len()).any(|at| field(&members, "role", at) == "part"));
                of.zones += u64::from(has_kind("zone"));
                of.hidden += u64::from(has_kind("hidden"));
            }
        }
        for batch in dataset::read(lake, &lake.matches(bucket), Some(&["user_id", "reason"]))? {
            let rows = Rows(&batch);
            for row in (0..batch.num_rows()).filter(|row| rows.words("reason").value(*row) == "copy") {
                people.entry(rows.text("user_id", row)).or_default().copies += 1;
            }
        }
    }
    Ok(people.iter().map(|(user, found)| line(user, found)).collect())
}

fn line(user: &str, found: &Found) -> String {
    let said = [
        (found.pieces, "came in pieces"),
        (found.zones, "had a record in a wrong time zone"),
        (found.copies, "recordings came twice"),
        (found.hidden, "hide when they began"),
    ];
    let said: Vec<String> = said
        .into_iter()
        .filter(|(n, _)| *n > 1)
        .map(|(n, what)| format!("{} {what}", output::count(n)))
        .collect();
    let records = output::count_of(found.records, "record", "records");
    let workouts = output::count_of(found.workouts, "workout", "workouts");
    match said.is_empty() {
        true => format!("  {user:6} {records} → {workouts}"),
        false => format!("  {user:6} {records} → {workouts}: {}", said.join(", ")),
    }
}
