//! Golden activities: one row per workout, each field from the record that tells it best.
//!
//! | fields | come from |
//! |---|---|
//! | start, zone | the start that most records agree on; of those, the exact before the rounded; never a hidden one |
//! | title, description and what else people write, Strava's counts and efforts | Strava, Hevy, Garmin, Fitbit, Apple, Health Connect, files |
//! | sport | the athlete's rule; else the same order, a sport before "workout" |
//! | exercise sets | Hevy, Garmin, Strava, and the others |
//! | everything that was measured | the best recording: with a device's file before without, what was typed in last; then Garmin, files, Strava, Apple, Health Connect, Fitbit, Hevy |
//!
//! A field that the best record does not have is filled from the next one that has it (a heart rate from
//! the band of the other wrist). A record of a part of the workout, or of it and another one, gives nothing
//! while there is one of the whole.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::interleave;

use super::cluster::{Group, Role};
use super::record::{Quality, Record};
use super::{Row, compare, relation};
use crate::model::columns::Columns;
use crate::model::golden::{Conflict, Golden, GoldenColumns, Lineage, Member, kept, schema};
use crate::model::sport::ANY_FAMILY;
use crate::sources::Source;

/// Who is asked for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Start,
    Told,
    Sport,
    Sets,
    Recorded,
}

impl Rule {
    const ALL: [Rule; 5] = [Rule::Start, Rule::Told, Rule::Sport, Rule::Sets, Rule::Recorded];

    fn of(column: &str) -> Rule {
        match column {
            "start_time" | "start_quality" | "utc_offset_s" | "timezone" => Rule::Start,
            "sport" | "sport_raw" | "sport_rule" => Rule::Sport,
            "exercise_sets" => Rule::Sets,
            "user_id" | "title" | "description" | "gear_id" | "commute" | "private" | "visibility"
            | "flagged" | "suffer_score" | "perceived_exertion" | "workout_type" | "kudos_count"
            | "achievement_count" | "comment_count" | "athlete_count" | "photo_count" | "pr_count"
            | "segment_efforts" | "best_efforts" => Rule::Told,
            _ => Rule::Recorded,
        }
    }

    fn why(self) -> &'static str {
        match self {
            Rule::Start => "agreed_start",
            Rule::Told => "told",
            Rule::Sport => "sport",
            Rule::Sets => "sets",
            Rule::Recorded => "best_recording",
        }
    }
}

/// Starts that differ by less say the same.
const SAME_START_S: i64 = 120;

/// The members in the order in which a rule asks them.
fn asked(group: &Group, records: &[Record], rule: Rule) -> Vec<usize> {
    let mut members = group.members.clone();
    let votes = |record: &Record| {
        let agree = group.members.iter().filter(|(other, _)| {
            records[*other].quality != Quality::Hidden
                && (records[*other].start_s - record.start_s).abs() <= SAME_START_S
        });
        agree.count()
    };
    members.sort_by_key(|(at, role)| {
        let r = &records[*at];
        let ranks = r.source.spec().ranks;
        let recorded = (r.is_manual, r.file.is_none(), usize::from(ranks.measured));
        let first = match rule {
            Rule::Start => {
                let doubt = match r.quality {
                    Quality::Exact => 0,
                    Quality::Minute => 1,
                    Quality::ZoneUnknown => 2,
                    Quality::Hidden => 3,
                };
                (usize::from(doubt == 3), usize::MAX - votes(r), doubt, usize::from(r.utc_offset_s.is_none()))
            }
            Rule::Told => (usize::from(ranks.written), 0, 0, 0),
            Rule::Sport => {
                let is_vague = r.sport.is_none_or(|sport| sport.family == ANY_FAMILY);
                (usize::from(is_vague), usize::from(ranks.written), 0, 0)
            }
            Rule::Sets => (usize::from(ranks.sets), 0, 0, 0),
            Rule::Recorded => (0, 0, 0, 0),
        };
        (*role, first, recorded, *at)
    });
    // Of a part, or of more than it, nothing is taken while the workout itself was told.
    if members.iter().any(|(_, role)| *role == Role::Same) {
        members.retain(|(_, role)| *role == Role::Same);
    }
    members.into_iter().map(|(at, _)| at).collect()
}

/// One person's groups. `rows` says where each record stands among batches of activities.
pub struct Linked<'a> {
    pub records: &'a [Record],
    pub rows: &'a [Row],
    pub groups: &'a [Group],
}

/// The groups of some people as rows, from batches with all columns of `activities`.
pub fn rows(batches: &[RecordBatch], people: &[Linked]) -> RecordBatch {
    let kept = kept();
    let rules: Vec<Rule> = kept.iter().map(|(_, field)| Rule::of(field.name())).collect();
    let all: Vec<(&[Record], &[Row], &Group)> =
        people.iter().flat_map(|one| one.groups.iter().map(|group| (one.records, one.rows, group))).collect();
    let order: Vec<[Vec<usize>; 5]> =
        all.iter().map(|(records, _, group)| Rule::ALL.map(|rule| asked(group, records, rule))).collect();
    // Of each row and column, the record that gives it: the first that has it, or the first of all.
    let mut givers: Vec<Vec<usize>> = Vec::with_capacity(kept.len());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(kept.len());
    for ((index, field), rule) in kept.iter().zip(&rules) {
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(*index).as_ref()).collect();
        let has_rule = |row: Row| {
            let column = batches[row.0].column_by_name("sport_rule").expect("activities have it");
            column.is_valid(row.1)
        };
        let column_givers: Vec<usize> = all
            .iter()
            .zip(&order)
            .map(|((_, rows, _), order)| {
                let asked = &order[*rule as usize];
                // The athlete's own rule comes before any source, and its columns stay together.
                if *rule == Rule::Sport
                    && let Some(ruled) = asked.iter().find(|at| has_rule(rows[**at]))
                {
                    return *ruled;
                }
                // What belongs together comes from one record, what is missing included.
                if matches!(*rule, Rule::Start | Rule::Sport) {
                    return asked[0];
                }
                let giver = asked.iter().find(|at| {
                    let (batch, row) = rows[**at];
                    arrays[batch].is_valid(row)
                });
                giver.copied().unwrap_or(asked[0])
            })
            .collect();
        let taken: Vec<Row> =
            all.iter().zip(&column_givers).map(|((_, rows, _), giver)| rows[*giver]).collect();
        let values = if arrays.is_empty() {
            arrow::array::new_empty_array(field.data_type())
        } else {
            interleave(&arrays, &taken).expect("all batches are of one schema")
        };
        columns.push(values);
        givers.push(column_givers);
    }
    let mut own = GoldenColumns::default();
    for (at, ((records, _, group), order)) in all.iter().zip(&order).enumerate() {
        let mut lineage: BTreeMap<(usize, &str), Vec<String>> = BTreeMap::new();
        if group.members.len() > 1 {
            for (column, (_, field)) in kept.iter().enumerate() {
                if columns[column].is_null(at) {
                    continue;
                }
                let rule = rules[column];
                let giver = givers[column][at];
                let why = if giver == order[rule as usize][0] { rule.why() } else { "fills" };
                lineage.entry((giver, why)).or_default().push(field.name().clone());
            }
        }
        let first = group.members[0].0;
        let mut sources: Vec<Source> = group.members.iter().map(|(at, _)| records[*at].source).collect();
        sources.sort_unstable();
        sources.dedup();
        own.push(&Golden {
            golden_id: records[first].name(),
            members: group
                .members
                .iter()
                .map(|(at, role)| Member {
                    source: records[*at].source.to_string(),
                    source_id: records[*at].source_id.clone(),
                    role: role.name().to_string(),
                })
                .collect(),
            source_count: sources.len() as i32,
            lineage: lineage
                .into_iter()
                .map(|((giver, why), fields)| Lineage {
                    source: records[giver].source.to_string(),
                    source_id: records[giver].source_id.clone(),
                    why: why.to_string(),
                    fields,
                })
                .collect(),
            conflicts: conflicts(records, group, order),
        });
    }
    let columns = own.finish().into_iter().chain(columns).collect();
    RecordBatch::try_new(schema(), columns).expect("the columns are of the schema")
}

/// Where members say something else than the records that were asked first.
fn conflicts(records: &[Record], group: &Group, order: &[Vec<usize>; 5]) -> Vec<Conflict> {
    const OFF_START_S: i64 = 300;
    const OFF_DISTANCE: f64 = 0.05;
    const OFF_DURATION: f64 = 0.1;
    const OFF_DURATION_S: f64 = 60.0;
    let first = |rule: Rule| &records[order[rule as usize][0]];
    let (start, recorded, told) = (first(Rule::Start), first(Rule::Recorded), first(Rule::Sport));
    let mut found = Vec::new();
    for (at, role) in &group.members {
        let r = &records[*at];
        if *role != Role::Same {
            continue;
        }
        let mut add = |field: &str, kept: String, told: String, kind: &str| {
            found.push(Conflict {
                field: field.to_string(),
                kept,
                told,
                kind: kind.to_string(),
                source: r.source.to_string(),
                source_id: r.source_id.clone(),
            });
        };
        let late_s = r.start_s - start.start_s;
        if late_s.abs() > OFF_START_S {
            let kind = match r.quality {
                Quality::Hidden => "hidden",
                _ if (late_s + relation::SHIFTED_S).rem_euclid(relation::QUARTER_S)
                    <= 2 * relation::SHIFTED_S =>
                {
                    "zone"
                }
                _ => "value",
            };
            add("start_time", start.start_s.to_string(), r.start_s.to_string(), kind);
        }
        if let (Some(kept), Some(told)) = (recorded.distance_m, r.distance_m) {
            let share = (kept - told).abs() / kept.max(told);
            if share > OFF_DISTANCE {
                let kind = if compare::is_miles_for_km(kept, told) { "unit" } else { "value" };
                add("distance_m", format!("{kept:.0}"), format!("{told:.0}"), kind);
            }
        }
        if let Some((seconds, share)) = relation::apart(recorded, r)
            && seconds > OFF_DURATION_S
            && share > OFF_DURATION
            && let (Some(kept), Some(told)) = (recorded.elapsed_s, r.elapsed_s)
        {
            add("elapsed_s", format!("{kept:.0}"), format!("{told:.0}"), "value");
        }
        if let (Some(kept), Some(told)) = (told.sport, r.sport)
            && kept.family != told.family
            && ![kept.family, told.family].contains(&ANY_FAMILY)
        {
            add("sport", kept.name.to_string(), told.name.to_string(), "value");
        }
    }
    found
}
