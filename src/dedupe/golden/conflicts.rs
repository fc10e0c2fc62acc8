//! Where records of a workout say something else than what was kept.

use super::{Giver, Group, Record, Role};
use crate::dedupe::record::Quality;
use crate::dedupe::{compare, relation};
use crate::model::golden::Conflict;
use crate::model::sport::ANY_FAMILY;

const OFF_START_S: i64 = 300;
const OFF_DISTANCE: f64 = 0.05;
const OFF_DURATION: f64 = 0.1;
const OFF_DURATION_S: f64 = 60.0;

/// The conflicts of the members that describe all of the workout. `order` is in which order each giver asks them.
pub fn conflicts(records: &[Record], group: &Group, order: &[Vec<usize>; 5]) -> Vec<Conflict> {
    let first = |giver: Giver| &records[order[giver as usize][0]];
    let (start, measured, sport) = (first(Giver::Start), first(Giver::Measured), first(Giver::Sport));
    let mut found = Vec::new();
    for (at, role) in &group.members {
        let r = &records[*at];
        if *role != Role::Same {
            continue;
        }
        let mut add = |field: &'static str, kept: String, other: String, kind: &'static str| {
            found.push(Conflict {
                field,
                kept,
                other,
                kind,
                source: r.source.name(),
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
        // The distance and the duration are those of the first that says any.
        let said = |value: fn(&Record) -> Option<f64>| {
            order[Giver::Measured as usize].iter().find_map(|at| value(&records[*at]))
        };
        if let (Some(kept), Some(other)) = (said(|r| r.distance_m), r.distance_m) {
            let share = (kept - other).abs() / kept.max(other);
            if share > OFF_DISTANCE {
                let kind = if compare::is_miles_for_km(kept, other) { "unit" } else { "value" };
                add("distance_m", format!("{kept:.0}"), format!("{other:.0}"), kind);
            }
        }
        if let Some((seconds, share)) = relation::apart(measured, r)
            && seconds > OFF_DURATION_S
            && share > OFF_DURATION
            && let (Some(kept), Some(other)) = (measured.elapsed_s, r.elapsed_s)
        {
            add("elapsed_s", format!("{kept:.0}"), format!("{other:.0}"), "value");
        }
        if let (Some(kept), Some(other)) = (sport.sport, r.sport)
            && kept.family != other.family
            && ![kept.family, other.family].contains(&ANY_FAMILY)
        {
            add("sport", kept.name.to_string(), other.name.to_string(), "value");
        }
    }
    found
}
