//! What follows from the days that somebody was active on: streaks and Eddington numbers.

use std::collections::BTreeMap;

use super::calendar;
use super::rows::{Filter, Row, each};
use super::sheet::{Sheet, Values};
use crate::error::Result;
use crate::store::each::Gathered;
use crate::store::lake::Lake;

const KM_M: f64 = 1000.0;
const MILE_M: f64 = 1609.344;

/// Days in a row; empty for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Streak {
    length: i64,
    from: i64,
    to: i64,
}

/// The longest of the streaks, the first one where several are, and the one that the last day ends.
fn longest_and_latest(days: impl Iterator<Item = i64>) -> (Streak, Streak) {
    let (mut longest, mut latest) = (Streak::default(), Streak::default());
    for day in days {
        let goes_on = latest.length > 0 && day == latest.to + 1;
        latest = match goes_on {
            true => Streak { length: latest.length + 1, to: day, ..latest },
            false => Streak { length: 1, from: day, to: day },
        };
        if latest.length > longest.length {
            longest = latest;
        }
    }
    (longest, latest)
}

/// Of each user, the days and weeks in a row that had a workout.
pub fn streaks(lake: &Lake, filter: &Filter) -> Result<Gathered<Sheet>> {
    Ok(people(lake, filter)?.map(|people| streaks_of(&people)))
}

fn streaks_of(people: &People) -> Sheet {
    let streaks: Vec<_> = people
        .values()
        .map(|days| {
            let mut weeks: Vec<i64> = days.keys().map(|day| calendar::week_number(*day)).collect();
            weeks.dedup();
            (longest_and_latest(days.keys().copied()), longest_and_latest(weeks.into_iter()))
        })
        .collect();
    type Streaks = (Streak, Streak);
    let whole = |of: &dyn Fn(&(Streaks, Streaks)) -> i64| {
        Values::Whole(streaks.iter().map(|streaks| Some(of(streaks))).collect())
    };
    let date = |of: &dyn Fn(&(Streak, Streak)) -> i64| {
        Values::Words(streaks.iter().map(|(days, _)| Some(calendar::date(of(days)).to_string())).collect())
    };
    let active = people.values().map(|days| Some(days.len() as i64)).collect();
    Sheet::default()
        .with("user", Values::Words(people.keys().cloned().map(Some).collect()))
        .with("active_days", Values::Whole(active))
        .with("longest_days", whole(&|(days, _)| days.0.length))
        .with("longest_from", date(&|days| days.0.from))
        .with("longest_to", date(&|days| days.0.to))
        .with("latest_days", whole(&|(days, _)| days.1.length))
        .with("latest_to", date(&|days| days.1.to))
        .with("longest_weeks", whole(&|(_, weeks)| weeks.0.length))
        .with("latest_weeks", whole(&|(_, weeks)| weeks.1.length))
}

/// The greatest number n of days that had a distance of at least n units each, and the days that lack to n + 1.
fn eddington_number(days_m: &[f64], unit_m: f64) -> (i64, i64) {
    // A hundredth of a metre is no reason to lack a day.
    let mut units: Vec<i64> = days_m.iter().map(|metres| ((metres + 0.01) / unit_m) as i64).collect();
    units.sort_unstable_by(|a, b| b.cmp(a));
    let number = (1_i64..).zip(&units).take_while(|(count, units)| *units >= count).count() as i64;
    let reached = units.iter().filter(|units| **units > number).count() as i64;
    (number, number + 1 - reached)
}

/// Of each user, the Eddington number in kilometres and in miles.
pub fn eddington(lake: &Lake, filter: &Filter) -> Result<Gathered<Sheet>> {
    Ok(people(lake, filter)?.map(|people| eddington_of(&people)))
}

fn eddington_of(people: &People) -> Sheet {
    let in_unit = |unit_m: f64| -> (Vec<Option<i64>>, Vec<Option<i64>>) {
        let numbers = people.values().map(|days| {
            let (number, lacking) = eddington_number(&days.values().copied().collect::<Vec<_>>(), unit_m);
            (Some(number), Some(lacking))
        });
        numbers.unzip()
    };
    let ((km, km_lacking), (miles, miles_lacking)) = (in_unit(KM_M), in_unit(MILE_M));
    Sheet::default()
        .with("user", Values::Words(people.keys().cloned().map(Some).collect()))
        .with("eddington_km", Values::Whole(km))
        .with("days_to_next_km", Values::Whole(km_lacking))
        .with("eddington_miles", Values::Whole(miles))
        .with("days_to_next_miles", Values::Whole(miles_lacking))
}

/// By user, the days with a workout, and the metres of each.
type People = BTreeMap<String, BTreeMap<i64, f64>>;

fn people(lake: &Lake, filter: &Filter) -> Result<Gathered<People>> {
    let of_buckets = each(lake, filter, |_, rows| {
        let mut people = People::new();
        for row in rows.iter().filter(|row: &&Row| filter.takes(row)) {
            *people.entry(row.user.clone()).or_default().entry(row.day).or_default() += row.distance_m;
        }
        Ok(people)
    })?;
    Ok(of_buckets.map(|of_buckets| of_buckets.into_iter().flatten().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streaks_are_days_in_a_row() {
        let (longest, latest) = longest_and_latest([3, 4, 5, 8, 9, 20, 21, 22].into_iter());
        assert_eq!(longest, Streak { length: 3, from: 3, to: 5 });
        assert_eq!(latest, Streak { length: 3, from: 20, to: 22 });
        assert_eq!(longest_and_latest([].into_iter()), Default::default());
    }

    #[test]
    fn an_eddington_number_is_reached_on_as_many_days() {
        let days = [4.0, 3.0, 3.0, 1.0].map(|km| km * KM_M);
        assert_eq!(eddington_number(&days, KM_M), (3, 3));
        assert_eq!(eddington_number(&[5.0 * KM_M; 4], KM_M), (4, 1));
        assert_eq!(eddington_number(&[999.0], KM_M), (0, 1));
        assert_eq!(eddington_number(&[], KM_M), (0, 1));
    }

    proptest::proptest! {
        #[test]
        fn an_eddington_number_is_what_its_definition_says(km in proptest::collection::vec(0.0_f64..60.0, 0..80)) {
            let days: Vec<f64> = km.iter().map(|km| km * KM_M).collect();
            let with = |least: i64| days.iter().filter(|m| **m + 0.01 >= least as f64 * KM_M).count() as i64;
            let (number, lacking) = eddington_number(&days, KM_M);
            proptest::prop_assert!(with(number) >= number && with(number + 1) < number + 1);
            proptest::prop_assert_eq!(lacking, number + 1 - with(number + 1));
        }
    }
}
