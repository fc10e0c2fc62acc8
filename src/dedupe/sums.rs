//! What somebody typed in for all that they did: the warm-up, the race and the cool-down in one line.
//!
//! Whoever has only a day and round sizes is believed by these: that far, and that long, went no single recording of
//! that day, but all of its sport together did.

use std::collections::BTreeMap;

use super::cluster::Clusters;
use super::join::Join;
use super::relation::{self, DAY_S};
use crate::model::sport::ANY_FAMILY;

/// Rounded, and measured by receivers that err.
const ONE_DISTANCE: f64 = 0.1;
/// From the first start to the last end, or all that was recorded.
const ONE_LENGTH: f64 = 0.15;
/// The sum must fit so much better than any recording by itself.
const MUCH_BETTER: f64 = 1.5;
/// Nobody adds up a day of errands.
const MOST_PARTS: usize = 4;
/// And one outing has no longer pause.
const LONGEST_PAUSE_S: i64 = 60 * 60;

/// What one cluster tells, by its typical record.
struct Told {
    cluster: usize,
    at: usize,
    span: (i64, i64),
    distance_m: f64,
}

/// What was typed in and what was recorded of one sport on one day.
#[derive(Default)]
struct Day {
    typed: Vec<Told>,
    recorded: Vec<Told>,
}

/// The typed wholes and what they are sums of. Asked before what was typed in comes to one of them because it begins
/// with it.
pub fn find(clusters: &Clusters) -> Vec<Join> {
    let mut days: BTreeMap<(i64, &str), Day> = BTreeMap::new();
    for (cluster, members) in clusters.members.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
        let at = clusters.typical(cluster);
        let (record, placed) = (&clusters.records[at], &clusters.placed[at]);
        let family = record.sport.map(|sport| sport.family).filter(|family| *family != ANY_FAMILY);
        let Some((family, distance_m)) = family.zip(record.distance_m) else { continue };
        let day = (placed.start_s + placed.offset_s.unwrap_or(0)).div_euclid(DAY_S);
        let told = Told { cluster, at, span: placed.span(), distance_m };
        let Day { typed, recorded } = days.entry((day, family)).or_default();
        let is_typed = members.iter().all(|at| clusters.placed[*at].is_by_hand);
        if is_typed { typed.push(told) } else { recorded.push(told) }
    }
    let sums = days.into_values().filter(|day| day.typed.len() == 1);
    sums.filter_map(|day| join(clusters, &day.typed[0], day.recorded)).collect()
}

fn join(clusters: &Clusters, typed: &Told, mut parts: Vec<Told>) -> Option<Join> {
    parts.sort_by_key(|part| (part.span, part.at));
    if !(2..=MOST_PARTS).contains(&parts.len())
        || parts.iter().any(|p| clusters.are_two(p.cluster, typed.cluster))
    {
        return None;
    }
    let are_apart = parts.windows(2).all(|two| {
        relation::overlap_s(two[0].span, two[1].span) == 0 && two[1].span.0 - two[0].span.1 <= LONGEST_PAUSE_S
    });
    let off = |one: f64, other: f64| (one - other).abs() / one.max(other);
    let sum_m: f64 = parts.iter().map(|part| part.distance_m).sum();
    let off_of_sum = off(typed.distance_m, sum_m);
    let fits_better =
        parts.iter().all(|part| off(typed.distance_m, part.distance_m) > MUCH_BETTER * off_of_sum);
    let length_s = |span: (i64, i64)| (span.1 - span.0) as f64;
    let all_s: f64 = parts.iter().map(|part| length_s(part.span)).sum();
    let span_s = length_s((parts[0].span.0, parts[parts.len() - 1].span.1));
    let is_as_long = [all_s, span_s].iter().any(|s| off(length_s(typed.span), *s) <= ONE_LENGTH);
    let is_sum = are_apart && off_of_sum <= ONE_DISTANCE && fits_better && is_as_long;
    is_sum.then(|| Join {
        whole: typed.at,
        parts: parts.iter().map(|part| part.at).collect(),
        gap_s: 0,
        is_sum,
    })
}
