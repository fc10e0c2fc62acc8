//! Best efforts: the shortest time for a distance, the longest way in a time, and the most power held for a time.
//! They are in `data/best_efforts.csv`, by the family of the sport.
//!
//! They come from the samples: their distances, or else their positions. Breaks count, as they do in a race. Where the
//! samples jump faster than the sport can, a recording is cut in two, and no effort goes across. Virtual and indoor
//! workouts have efforts in power only.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int32Type};

use super::bests::Course;
use super::calendar;
use super::rows::{Filter, Row, each};
use super::sheet::{Sheet, Values};
use crate::error::Result;
use crate::model::polyline;
use crate::sources::bounds;
use crate::store::dataset::cells::Rows;
use crate::store::dataset::{Places, read_wanted};
use crate::store::each::Gathered;
use crate::store::lake::{Bucket, Lake};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Metres, in as few seconds as can be.
    Distance,
    /// Seconds, in which to get as many metres as can be.
    Time,
    /// Seconds, for which to hold as many watts as can be.
    Power,
}

/// A line of the table.
#[derive(Debug)]
struct Effort {
    family: &'static str,
    kind: Kind,
    amount: f64,
    name: &'static str,
}

static TABLE: LazyLock<Vec<Effort>> = LazyLock::new(|| {
    let effort = |line: &'static str| {
        let [family, kind, amount, name] = line.splitn(4, ',').collect::<Vec<_>>()[..] else { return None };
        let kind = match kind {
            "distance" => Kind::Distance,
            "time" => Kind::Time,
            "power" => Kind::Power,
            _ => return None,
        };
        Some(Effort { family, kind, amount: amount.parse().ok()?, name })
    };
    let lines = include_str!("../../data/best_efforts.csv").lines().skip(1);
    lines.map(|line| effort(line).expect("a family, a kind, an amount and a name")).collect()
});

/// Longer without a sample is a hole, in which nobody knows the power.
const HOLE_S: f64 = 10.0;

/// The best of a user in an effort so far.
#[derive(Debug, Clone)]
struct Best {
    /// Seconds, metres or watts.
    value: f64,
    workout: String,
    sport: String,
    day: i64,
}

/// By user and place in the table.
type Bests = BTreeMap<(String, usize), Best>;

/// The best efforts of each user.
pub fn efforts(lake: &Lake, filter: &Filter) -> Result<Gathered<Sheet>> {
    let of_buckets = each(lake, filter, |bucket, rows| of_bucket(lake, bucket, &rows, filter))?;
    Ok(of_buckets.map(|of_buckets| sheet(&of_buckets.into_iter().flatten().collect())))
}

fn sheet(bests: &Bests) -> Sheet {
    let words = |of: &dyn Fn(&str, &Effort, &Best) -> String| {
        let cells = bests.iter().map(|((user, at), best)| Some(of(user, &TABLE[*at], best)));
        Values::Words(cells.collect())
    };
    let only = |wanted: &[Kind], value: &dyn Fn(&Effort, &Best) -> f64| -> Vec<Option<f64>> {
        let cells = bests.iter().map(|((_, at), best)| (&TABLE[*at], best));
        cells.map(|(effort, best)| wanted.contains(&effort.kind).then(|| value(effort, best))).collect()
    };
    let seconds =
        |effort: &Effort, best: &Best| if effort.kind == Kind::Distance { best.value } else { effort.amount };
    let metres =
        |effort: &Effort, best: &Best| if effort.kind == Kind::Distance { effort.amount } else { best.value };
    Sheet::default()
        .with("user", words(&|user, _, _| user.to_string()))
        .with("family", words(&|_, effort, _| effort.family.to_string()))
        .with("effort", words(&|_, effort, _| effort.name.to_string()))
        .with("time", words(&|_, effort, best| clock(seconds(effort, best))))
        .with("seconds", Values::Numbers(only(&[Kind::Distance, Kind::Time, Kind::Power], &seconds), 1))
        .with("metres", Values::Numbers(only(&[Kind::Distance, Kind::Time], &metres), 0))
        .with(
            "km_per_hour",
            Values::Numbers(
                only(&[Kind::Distance, Kind::Time], &|effort, best| {
                    metres(effort, best) / seconds(effort, best) * 3.6
                }),
                2,
            ),
        )
        .with("watts", Values::Numbers(only(&[Kind::Power], &|_, best| best.value), 0))
        .with("day", words(&|_, _, best| calendar::date(best.day).to_string()))
        .with("sport", words(&|_, _, best| best.sport.clone()))
        .with("workout", words(&|_, _, best| best.workout.clone()))
}

/// `1:02:03`, `4:05` or `59.5` seconds.
fn clock(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1}");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

fn of_bucket(lake: &Lake, bucket: Bucket, rows: &[Row], filter: &Filter) -> Result<Bests> {
    const COLUMNS: [&str; 5] = ["time_s", "distance_m", "lat_e7", "lon_e7", "power_w"];
    let places = Places::of(lake, bucket)?;
    let taken = rows.iter().filter(|row| filter.takes(row));
    let wanted = taken.flat_map(|row| {
        places.of_workout(&row.user, &row.recordings).into_iter().map(move |place| (place, row))
    });
    let mut bests = Bests::new();
    read_wanted(lake, wanted, &COLUMNS, &mut |samples, at, row| {
        take(&mut bests, row, samples, at);
        Ok(())
    })?;
    Ok(bests)
}

fn take(bests: &mut Bests, row: &Row, samples: &Rows, at: usize) {
    let Some(times) = whole(samples, "time_s", at) else { return };
    let fastest_mps = bounds::max_speed_mps(row.family);
    let metres = || numbers(samples, "distance_m", at).or_else(|| along(samples, at));
    let metres = if row.is_virtual { None } else { metres() };
    let ways = metres.map_or_else(Vec::new, |metres| ways(&times, &metres, fastest_mps));
    let energy = whole(samples, "power_w", at).map(|watts| energy(&times, &watts));
    for (place, effort) in TABLE.iter().enumerate().filter(|(_, effort)| effort.family == row.family) {
        let least = ways.iter().filter_map(|way| way.shortest(effort.amount)).reduce(f64::min);
        let value = match effort.kind {
            Kind::Distance => least,
            Kind::Time => ways.iter().filter_map(|way| way.most(effort.amount)).reduce(f64::max),
            Kind::Power => energy
                .as_ref()
                .and_then(|energy| energy.most(effort.amount))
                .map(|joules| joules / effort.amount),
        };
        let Some(value) = value.filter(|value| *value > 0.0) else { continue };
        let is_better = |best: &Best| match effort.kind {
            Kind::Distance => value < best.value,
            Kind::Time | Kind::Power => value > best.value,
        };
        let key = (row.user.clone(), place);
        if bests.get(&key).is_none_or(is_better) {
            let best = Best { value, workout: row.id.clone(), sport: row.sport.clone(), day: row.day };
            bests.insert(key, best);
        }
    }
}

/// The metres up to each position, for recordings that count none.
fn along(samples: &Rows, at: usize) -> Option<Vec<Option<f64>>> {
    let (lat, lon) = (whole(samples, "lat_e7", at)?, whole(samples, "lon_e7", at)?);
    let (mut metres, mut before) = (0.0, None);
    let positions = lat.into_iter().zip(lon).map(|(lat, lon)| lat.zip(lon));
    let counted = positions.map(|position| {
        let here = position?;
        metres += before.replace(here).map_or(0.0, |before| polyline::between_e7_m(before, here));
        Some(metres)
    });
    Some(counted.collect())
}

/// The way of a recording, cut where it jumps.
fn ways(times: &[Option<i32>], metres: &[Option<f64>], fastest_mps: f64) -> Vec<Course> {
    let mut ways = vec![Course::default()];
    for (time_s, metres) in times.iter().zip(metres) {
        let (Some(time_s), Some(metres)) = (time_s.map(f64::from), metres) else { continue };
        let last = ways.last().and_then(Course::last);
        let is_jump =
            last.is_some_and(|(then_s, then_m)| metres - then_m > fastest_mps * (time_s - then_s).max(1.0));
        if is_jump {
            ways.push(Course::default());
        }
        ways.last_mut().expect("there is one from the beginning").push(time_s, *metres);
    }
    ways
}

/// The energy of a recording: a power holds until the next sample, and in a hole there is none.
fn energy(times: &[Option<i32>], watts: &[Option<i32>]) -> Course {
    let mut course = Course::default();
    let mut power_w = 0.0;
    for (time_s, watts) in times.iter().zip(watts) {
        let Some(time_s) = time_s.map(f64::from) else { continue };
        let (then_s, joules) = course.last().unwrap_or((time_s, 0.0));
        let held_s = Some(time_s - then_s).filter(|s| *s <= HOLE_S).unwrap_or(0.0);
        course.push(time_s, joules + power_w * held_s);
        power_w = f64::from(watts.unwrap_or(0).max(0));
    }
    course
}

fn whole(samples: &Rows, name: &str, at: usize) -> Option<Vec<Option<i32>>> {
    let list = samples.list(name);
    list.is_valid(at).then(|| list.value(at).as_primitive::<Int32Type>().iter().collect())
}

fn numbers(samples: &Rows, name: &str, at: usize) -> Option<Vec<Option<f64>>> {
    let list = samples.list(name);
    list.is_valid(at).then(|| list.value(at).as_primitive::<Float64Type>().iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_effort_goes_across_a_jump() {
        let times: Vec<Option<i32>> = (0..400).map(Some).collect();
        let metres: Vec<Option<f64>> =
            (0..400).map(|t| Some(f64::from(t) * 3.0 + if t >= 200 { 900.0 } else { 0.0 })).collect();
        let ways = ways(&times, &metres, 15.0);
        assert_eq!(ways.len(), 2);
        assert!(ways.iter().all(|way| way.shortest(600.0).is_none()));
        assert_eq!(ways[0].shortest(300.0), Some(100.0));
    }

    #[test]
    fn power_in_a_hole_is_none() {
        let times = [0, 1, 2, 102, 103, 104].map(Some);
        let watts = [Some(200), Some(200), Some(400), Some(100), None, Some(100)];
        let energy = energy(&times, &watts);
        assert_eq!(energy.most(1.0), Some(200.0));
        assert_eq!(energy.last(), Some((104.0, 500.0)));
    }

    #[test]
    fn times_are_written_as_on_a_clock() {
        assert_eq!([9.58, 65.4, 3_723.0].map(clock), ["9.6", "1:05", "1:02:03"]);
    }
}
