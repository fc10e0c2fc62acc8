//! What a sport can do: wide bounds, in `data/bounds.csv`, for speed, climb and energy.
//!
//! A value beyond them is read in another unit where exactly one fits, taken from the samples
//! where those are within, and left out otherwise. Each is named in `doubts`.

use std::sync::LazyLock;

use crate::model::activity::{Activity, Doubt, Streams};
use crate::model::sport;

/// A line of the table.
struct Bounds {
    family: &'static str,
    avg_speed_mps: f64,
    max_speed_mps: f64,
    climb_m_per_h: f64,
}

static TABLE: LazyLock<Vec<Bounds>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let [family, avg, max, climb, _why] = line.splitn(5, ',').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Bounds {
            family,
            avg_speed_mps: avg.parse().ok()?,
            max_speed_mps: max.parse().ok()?,
            climb_m_per_h: climb.parse().ok()?,
        })
    };
    let lines = include_str!("../../data/bounds.csv").lines().skip(1);
    lines.map(|line| row(line).expect("a family, three numbers and why")).collect()
});

/// Nobody burns more in an hour: 450 W for an hour, which few hold, are 1,700 kcal.
const KCAL_PER_H: f64 = 2500.0;
/// Shorter ones are rounded too much to tell.
const LEAST_S: f64 = 60.0;
/// Lifts, hills and roundings at the ends.
const SPARE_CLIMB_M: f64 = 200.0;
const SPARE_KCAL: f64 = 100.0;
/// The highest number of 16 bits, which says nothing in FIT, and what writers make of it.
const NO_CALORIES: [f64; 2] = [65_534.0, 65_535.0];
const PER_MPS: [(&str, f64); 2] = [("km/h", 3.6), ("miles per hour", 2.236_94)];
/// From below the Dead Sea to above the highest mountain, with what barometers are off.
const ALTITUDES_M: std::ops::RangeInclusive<f64> = -600.0..=9500.0;

/// The fastest that a family of sports can be.
pub fn max_speed_mps(family: &str) -> f64 {
    let of = |family: &str| TABLE.iter().find(|bounds| bounds.family == family);
    of(family).or_else(|| of(sport::ANY_FAMILY)).map_or(f64::INFINITY, |bounds| bounds.max_speed_mps)
}

/// Settles the values of an activity that its sport cannot have.
pub fn settle(a: &mut Activity, streams: Option<&Streams>) {
    let known = a.sport_raw.as_deref().and_then(|raw| sport::known(&a.source, raw));
    let family = known.map_or(sport::ANY_FAMILY, |sport| sport.family);
    let Some(bounds) = TABLE.iter().find(|bounds| bounds.family == family) else { return };
    let Some(seconds) = a.elapsed_s.or(a.moving_s).filter(|s| *s >= LEAST_S) else { return };
    settle_speed(a, bounds, seconds, streams);
    let highest_m = bounds.climb_m_per_h * seconds / 3600.0 + SPARE_CLIMB_M;
    for (column, value) in
        [("elevation_gain_m", &mut a.elevation_gain_m), ("elevation_loss_m", &mut a.elevation_loss_m)]
    {
        if let Some(metres) = value.take_if(|metres| *metres > highest_m) {
            let doubt = Doubt { field: column.to_string(), reason: format!("{metres} m in {seconds} s") };
            a.doubts.get_or_insert_default().push(doubt);
        }
    }
    settle_calories(a, seconds);
    if family != sport::ANY_FAMILY {
        settle_altitudes(a, streams);
    }
}

fn settle_speed(a: &mut Activity, bounds: &Bounds, seconds: f64, streams: Option<&Streams>) {
    let can_be = |metres: &f64| *metres <= bounds.avg_speed_mps * seconds;
    if let Some(metres) = a.distance_m.filter(|metres| !can_be(metres)) {
        let counted = streams.and_then(|s| s.distance_m.as_ref()?.iter().flatten().copied().reduce(f64::max));
        a.distance_m = counted.or(a.track_length_m).filter(can_be);
        a.doubt("distance_m", format!("{metres} m in {seconds} s"));
        if is_computed(a, "avg_speed_mps") {
            a.avg_speed_mps = None;
        }
    }
    let by_time = a.distance_m.zip(a.moving_s.or(a.elapsed_s)).map(|(m, s)| m / s.max(1.0));
    let by_time = by_time.filter(|speed| *speed <= bounds.avg_speed_mps);
    if let Some(speed) = a.avg_speed_mps.filter(|speed| *speed > bounds.avg_speed_mps) {
        a.avg_speed_mps = by_time;
        a.doubt("avg_speed_mps", format!("{speed} m/s on average"));
    } else if a.avg_speed_mps.is_none() && a.doubts.is_some() {
        a.avg_speed_mps = by_time;
    }
    if let Some(speed) = a.max_speed_mps.filter(|speed| *speed > bounds.max_speed_mps) {
        let average = a.avg_speed_mps.unwrap_or(0.0);
        let fits = |speed: f64| (average..=bounds.max_speed_mps).contains(&speed);
        let mut units = PER_MPS.into_iter().filter(|(_, per_mps)| fits(speed / per_mps));
        let sampled = streams.and_then(|s| s.speed_mps.as_ref()?.iter().flatten().copied().reduce(f64::max));
        let (read, reason) = match (sampled.filter(|speed| fits(*speed)), units.next(), units.next()) {
            (Some(sampled), _, _) => (Some(sampled), format!("{speed} m/s: the fastest sample is taken")),
            (None, Some((unit, per_mps)), None) => {
                (Some(speed / per_mps), format!("{speed} is read as {unit}"))
            }
            _ => (None, format!("{speed} m/s at the fastest")),
        };
        a.max_speed_mps = read;
        a.doubt("max_speed_mps", reason);
    }
}

fn is_computed(a: &Activity, column: &str) -> bool {
    a.computed.as_ref().is_some_and(|computed| computed.iter().any(|name| name == column))
}

/// Some say calories and mean thousandths of what others call so.
fn settle_calories(a: &mut Activity, seconds: f64) {
    let most = KCAL_PER_H * seconds / 3600.0 + SPARE_KCAL;
    let Some(stated) = a.calories_kcal.filter(|kcal| *kcal > most) else { return };
    let read = stated / 1000.0;
    if NO_CALORIES.contains(&stated) {
        a.calories_kcal = None;
        a.doubt("calories_kcal", format!("{stated} kcal is how devices say that they know none"));
    } else if (0.01 * most..=most).contains(&read) {
        a.calories_kcal = Some(read);
        a.doubt("calories_kcal", format!("{stated} is read as cal"));
    } else {
        a.calories_kcal = None;
        a.doubt("calories_kcal", format!("{stated} kcal in {seconds} s"));
    }
}

fn settle_altitudes(a: &mut Activity, streams: Option<&Streams>) {
    let within = || {
        let all = streams.and_then(|s| s.altitude_m.as_ref()).into_iter().flatten().flatten().copied();
        all.filter(|metres| ALTITUDES_M.contains(metres))
    };
    if let Some(metres) = a.elevation_low_m.filter(|metres| !ALTITUDES_M.contains(metres)) {
        a.elevation_low_m = within().reduce(f64::min);
        a.doubt("elevation_low_m", format!("{metres} m"));
    }
    if let Some(metres) = a.elevation_high_m.filter(|metres| !ALTITUDES_M.contains(metres)) {
        a.elevation_high_m = within().reduce(f64::max);
        a.doubt("elevation_high_m", format!("{metres} m"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(sport: &str, change: impl Fn(&mut Activity)) -> Activity {
        let mut a = Activity {
            source: "files".to_string(),
            sport_raw: Some(sport.to_string()),
            elapsed_s: Some(3600.0),
            moving_s: Some(3500.0),
            distance_m: Some(10_000.0),
            avg_speed_mps: Some(2.857),
            max_speed_mps: Some(4.0),
            calories_kcal: Some(700.0),
            elevation_gain_m: Some(120.0),
            elevation_low_m: Some(-3.0),
            ..Activity::default()
        };
        change(&mut a);
        settle(&mut a, None);
        a
    }

    fn doubted(a: &Activity) -> Vec<&str> {
        a.doubts.iter().flatten().map(|doubt| doubt.field.as_str()).collect()
    }

    #[test]
    fn what_a_sport_can_do_is_not_doubted() {
        assert_eq!(doubted(&settled("running", |_| ())), [""; 0]);
        assert_eq!(doubted(&settled("alpine_skiing", |a| a.elevation_loss_m = Some(9000.0))), [""; 0]);
        // Of a sport without a name nothing is known.
        assert_eq!(doubted(&settled("flying", |a| a.distance_m = Some(900_000.0))), [""; 0]);
    }

    #[test]
    fn calories_a_thousand_times_too_high_are_read_as_cal() {
        let a = settled("running", |a| a.calories_kcal = Some(700_000.0));
        assert_eq!((a.calories_kcal, doubted(&a)), (Some(700.0), vec!["calories_kcal"]));
        let a = settled("running", |a| a.calories_kcal = Some(70_000.0));
        assert_eq!(a.calories_kcal, Some(70.0));
        let a = settled("running", |a| a.calories_kcal = Some(9e9));
        assert_eq!((a.calories_kcal, doubted(&a)), (None, vec!["calories_kcal"]));
    }

    #[test]
    fn what_no_sport_can_do_is_left_out_and_said() {
        let a = settled("running", |a| a.distance_m = Some(100_000.0));
        assert_eq!((a.distance_m, doubted(&a)), (None, vec!["distance_m"]));
        let a = settled("running", |a| a.max_speed_mps = Some(33.0));
        assert_eq!((a.max_speed_mps, doubted(&a)), (None, vec!["max_speed_mps"]), "km/h and mph both fit");
        let a = settled("running", |a| a.max_speed_mps = Some(40.0));
        assert_eq!((a.max_speed_mps, doubted(&a)), (Some(40.0 / 3.6), vec!["max_speed_mps"]));
        let a = settled("cycling", |a| a.elevation_gain_m = Some(9000.0));
        assert_eq!((a.elevation_gain_m, doubted(&a)), (None, vec!["elevation_gain_m"]));
        let a = settled("hiking", |a| a.elevation_low_m = Some(-5000.0));
        assert_eq!((a.elevation_low_m, doubted(&a)), (None, vec!["elevation_low_m"]));
    }
}
