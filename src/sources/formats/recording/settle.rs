//! Sums that contradict each other, or the samples: settled, and named in `doubts`.
//!
//! A device's own total is not overruled by noise. It falls only where its own other words and
//! the samples outvote it, by the margins that stand here. Then it is computed from the samples
//! where those are sound, and left out where they are not.

use super::sums::{counted_m, covered_s, mean, path_m};
use super::{Recording, Sample};
use crate::model::activity::Activity;

/// Sums are rounded, and clocks read a little later: so much, and one part in a hundred.
const NOISE_S: f64 = 2.0;
const NOISE: f64 = 0.01;
/// Clocks of samples may be off by one part in twenty before they overrule an elapsed time.
const CLOCK: f64 = 0.05;
/// How well two witnesses have to agree to outvote a third.
const AGREE: f64 = 0.1;
/// A counter and the positions together overrule a total that is further off,
const OFF: f64 = 1.2;
/// and one of them alone one that is twice as much or half: people correct treadmills by less.
const FAR_OFF: f64 = 2.0;
const KMH_PER_MPS: f64 = 3.6;
const MPH_PER_MPS: f64 = 2.236_94;
const KM_PER_MILE: f64 = 1.609_344;

/// Settles what a file says, before what is missing is computed.
pub fn settle(r: &mut Recording) {
    if r.is_file {
        doubt_one_moment(r);
        settle_elapsed(r);
        settle_distance(&mut r.activity, &r.samples);
        settle_average_speed(&mut r.activity);
    }
    settle_moving(&mut r.activity);
    settle_maxima(&mut r.activity, &r.samples);
}

/// Settles the sums of an activity that no file and no samples of it are at hand for.
pub fn settle_sums(a: &mut Activity) {
    settle_moving(a);
    settle_maxima(a, &[]);
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= NOISE_S + NOISE * a.abs().max(b.abs())
}

/// Converters write a whole way into one second where they know no times.
fn doubt_one_moment(r: &mut Recording) {
    if let [first, _, .., last] = &r.samples[..]
        && first.time_ms == last.time_ms
        && r.activity.elapsed_s.is_none()
    {
        r.activity.doubt("elapsed_s", format!("all {} samples are of one moment", r.samples.len()));
    }
}

fn settle_elapsed(r: &mut Recording) {
    let start_ms = r.activity.start_time.as_millisecond();
    let own_s = r.stated.end_ms.map(|end| (end - start_ms) as f64 / 1000.0).filter(|s| *s > 0.0);
    let a = &mut r.activity;
    let Some(elapsed_s) = a.elapsed_s else { return };
    let covered_s = covered_s(a, &r.samples).unwrap_or(0.0);
    if let Some(moving_s) = a.moving_s
        && moving_s > elapsed_s
        && !is_near(moving_s, elapsed_s)
        && (is_near(moving_s, covered_s) || own_s.is_some_and(|own| is_near(moving_s, own)))
    {
        a.elapsed_s = Some(moving_s);
        a.moving_s = Some(elapsed_s);
        a.doubt(
            "elapsed_s",
            format!("{elapsed_s} s is less than the {moving_s} s in motion: they are swapped"),
        );
        a.doubt("moving_s", format!("{moving_s} s is more than the {elapsed_s} s elapsed: they are swapped"));
        return;
    }
    let is_too_short = elapsed_s < covered_s * (1.0 - CLOCK) - NOISE_S;
    let is_too_long = own_s.is_some_and(|own| elapsed_s > 3.0 * own && own >= covered_s * (1.0 - NOISE))
        && covered_s * 3.0 < elapsed_s;
    if !is_too_short && !is_too_long {
        return;
    }
    a.doubt("elapsed_s", format!("{elapsed_s} s, and the samples and laps take {covered_s} s"));
    a.elapsed_s = own_s.filter(|own| is_near(*own, covered_s));
    // A total that was counted with it is no better.
    if a.moving_s.is_some_and(|moving_s| (moving_s - elapsed_s).abs() <= 1.0) {
        a.doubt("moving_s", format!("{elapsed_s} s, as the elapsed time, which is wrong"));
        a.moving_s = None;
    }
}

fn settle_moving(a: &mut Activity) {
    let (Some(moving_s), Some(elapsed_s)) = (a.moving_s, a.elapsed_s) else { return };
    if moving_s <= elapsed_s {
        return;
    }
    if is_near(moving_s, elapsed_s) {
        a.moving_s = Some(elapsed_s);
    } else {
        a.doubt("moving_s", format!("{moving_s} s is more than the {elapsed_s} s elapsed"));
        a.moving_s = None;
    }
}

fn settle_distance(a: &mut Activity, samples: &[Sample]) {
    let Some(stated_m) = a.distance_m else { return };
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
    let sampled_s = (last.time_ms - first.time_ms) as f64 / 1000.0;
    if sampled_s < 0.9 * a.elapsed_s.unwrap_or(sampled_s) {
        return;
    }
    let counted_m = counted_m(samples).filter(|m| *m > 100.0);
    let is_in_miles = |true_m: f64| {
        [stated_m / true_m, true_m / stated_m].iter().any(|ratio| (ratio / KM_PER_MILE - 1.0).abs() <= NOISE)
    };
    let is_off = |by: f64, stated: f64, true_m: f64| {
        stated > by * true_m || stated * by < true_m || is_in_miles(true_m)
    };
    // What the counter bears out, no path outvotes.
    if counted_m.is_some_and(|counted| !is_off(OFF, stated_m, counted)) {
        return;
    }
    let path_m = path_m(samples).filter(|m| *m > 100.0);
    let outvoted = match (counted_m, path_m) {
        (Some(counted), Some(path)) if (counted - path).abs() <= AGREE * counted => {
            Some(counted).filter(|counted| is_off(OFF, stated_m, *counted))
        }
        // Positions shake where somebody stays in one place.
        (Some(counted), _) => Some(counted).filter(|counted| is_off(FAR_OFF, stated_m, *counted)),
        (None, Some(path)) => Some(path).filter(|path| is_off(FAR_OFF, stated_m, *path) && stated_m > 0.0),
        (None, None) => None,
    };
    if let Some(sampled_m) = outvoted {
        a.doubt("distance_m", format!("{stated_m} m, and the samples cover {sampled_m:.1} m"));
        a.distance_m = None;
    }
}

/// An average is a distance by a time, whichever of the two times a device takes.
fn settle_average_speed(a: &mut Activity) {
    let (Some(stated), Some(metres)) = (a.avg_speed_mps, a.distance_m) else { return };
    let Some(elapsed_s) = a.elapsed_s.or(a.moving_s).filter(|s| *s > 0.0) else { return };
    let moving_s = a.moving_s.filter(|s| *s > 0.0).unwrap_or(elapsed_s);
    let (slowest, fastest) = (metres / elapsed_s, metres / moving_s);
    if stated == 0.0 && metres > 100.0 {
        a.avg_speed_mps = None;
        return;
    }
    if stated <= FAR_OFF * fastest && stated * FAR_OFF >= slowest {
        return;
    }
    let unit = [("km/h", KMH_PER_MPS), ("miles per hour", MPH_PER_MPS)].into_iter().find(|(_, per_mps)| {
        let read = stated / per_mps;
        (slowest * (1.0 - AGREE)..=fastest * (1.0 + AGREE)).contains(&read)
    });
    match unit {
        Some((name, per_mps)) => {
            a.doubt("avg_speed_mps", format!("{stated} is read as {name}"));
            a.avg_speed_mps = Some(stated / per_mps);
            if let Some(max) = a.max_speed_mps.filter(|max| *max >= stated) {
                a.doubt("max_speed_mps", format!("{max} is read as {name}"));
                a.max_speed_mps = Some(max / per_mps);
            }
        }
        None => {
            a.doubt("avg_speed_mps", format!("{stated} m/s, and distance by time is {fastest:.3} m/s"));
            a.avg_speed_mps = None;
        }
    }
}

/// No average is above its maximum. Which of the two is wrong, the samples tell.
fn settle_maxima(a: &mut Activity, samples: &[Sample]) {
    // The distance by the time is a witness for the average.
    if let (Some(average), Some(maximum), Some(metres)) = (a.avg_speed_mps, a.max_speed_mps, a.distance_m)
        && average > maximum * (1.0 + NOISE)
        && maximum > 0.0
        && [a.moving_s, a.elapsed_s]
            .into_iter()
            .flatten()
            .any(|s| (metres - average * s).abs() <= AGREE * metres)
    {
        a.max_speed_mps = None;
        a.doubt("max_speed_mps", format!("{maximum} is below the average of {average}"));
    }
    let speed: fn(&Sample) -> Option<f64> = |s| s.speed_mps;
    let heart_rate: fn(&Sample) -> Option<f64> = |s| s.heart_rate_bpm.filter(|bpm| *bpm > 0).map(f64::from);
    let cadence: fn(&Sample) -> Option<f64> = |s| s.cadence_rpm.filter(|rpm| *rpm > 0).map(f64::from);
    let power: fn(&Sample) -> Option<f64> = |s| s.power_w.map(f64::from);
    macro_rules! each {
        ($($average:ident, $maximum:ident, $of:ident;)*) => {$(
            if let (Some(average), Some(maximum)) = (a.$average, a.$maximum)
                && average > maximum * (1.0 + NOISE)
            {
                let known = || samples.iter().filter_map($of);
                let is_average_wrong = known().reduce(f64::max).is_some_and(|sampled| sampled < average)
                    && mean(known()).is_some_and(|sampled| sampled <= maximum);
                if maximum == 0.0 {
                    a.$maximum = None;
                } else if is_average_wrong {
                    a.$average = None;
                    a.doubt(stringify!($average), format!("{average} is above the maximum of {maximum}"));
                } else {
                    a.$maximum = None;
                    a.doubt(stringify!($maximum), format!("{maximum} is below the average of {average}"));
                }
            }
        )*};
    }
    each! {
        avg_speed_mps, max_speed_mps, speed;
        avg_heart_rate_bpm, max_heart_rate_bpm, heart_rate;
        avg_cadence_rpm, max_cadence_rpm, cadence;
        avg_power_w, max_power_w, power;
    }
}

/// Takes back what was computed and contradicts what the device says.
pub fn settle_computed(a: &mut Activity) {
    let Some(mut computed) = a.computed.take() else { return };
    macro_rules! each {
        ($($average:ident, $maximum:ident;)*) => {$(
            if let (Some(average), Some(maximum)) = (a.$average, a.$maximum)
                && average > maximum
            {
                for (column, value) in [
                    (stringify!($maximum), &mut a.$maximum),
                    (stringify!($average), &mut a.$average),
                ] {
                    if let Some(at) = computed.iter().position(|name| name == column) {
                        computed.remove(at);
                        *value = None;
                        break;
                    }
                }
            }
        )*};
    }
    each! {
        avg_speed_mps, max_speed_mps;
        avg_heart_rate_bpm, max_heart_rate_bpm;
        avg_cadence_rpm, max_cadence_rpm;
        avg_power_w, max_power_w;
    }
    a.computed = Some(computed).filter(|computed| !computed.is_empty());
}
