//! What goes wrong with a recording after or while it is made. Each says so in the recording's classes.

use super::chance::Dice;
use super::record::Recording;

/// What people report to go wrong; `corpus/mod.rs` says where each comes from.
pub const TROUBLES: [&str; 28] = [
    "auto_pause",
    "bad_gps",
    "by_hand",
    "clock_off",
    "cropped",
    "died_early",
    "dst",
    "edited",
    "forgot_to_stop",
    "hub_copy",
    "local_as_utc",
    "middle_cut",
    "midnight_split",
    "pause_lost",
    "pool_length",
    "several_in_one",
    "ski_day",
    "split_by_break",
    "sport_other",
    "start_is_end",
    "started_late",
    "strength_log",
    "three_devices",
    "trainer_virtual",
    "treadmill",
    "triathlon",
    "trip",
    "two_devices",
];

/// Nothing is left of shorter ones.
const LEAST_TO_CUT_S: i64 = 200;

pub fn crop(r: &mut Recording, dice: &mut Dice) {
    if r.elapsed_s < LEAST_TO_CUT_S {
        return;
    }
    let share = |dice: &mut Dice| dice.around(0.12, 0.8).min(0.45);
    let (head, tail) = match dice.whole(0, 2) {
        0 => (share(dice), 0.0),
        1 => (0.0, share(dice)),
        _ => (share(dice), share(dice)),
    };
    let from_ms = (r.start_s + (r.elapsed_s as f64 * head) as i64) * 1000;
    let to_ms = (r.end_s() - (r.elapsed_s as f64 * tail) as i64) * 1000;
    r.classes.insert("cropped");
    if dice.chance(0.4) {
        // Privacy: the numbers stay, the ends of the way do not.
        for sample in r.samples.iter_mut().filter(|s| s.time_ms < from_ms || s.time_ms > to_ms) {
            (sample.lat_e7, sample.lon_e7) = (None, None);
        }
        return;
    }
    r.samples.retain(|s| s.time_ms >= from_ms && s.time_ms <= to_ms);
    let begun_m = r.samples.first().and_then(|s| s.distance_m).unwrap_or(0.0);
    for sample in &mut r.samples {
        sample.distance_m = sample.distance_m.map(|metres| metres - begun_m);
    }
    let kept = (to_ms - from_ms) as f64 / (r.elapsed_s * 1000) as f64;
    r.start_s = from_ms / 1000;
    r.elapsed_s = (to_ms - from_ms) / 1000;
    shrink(r, kept);
}

/// Totals of a piece.
fn shrink(r: &mut Recording, share: f64) {
    r.moving_s = ((r.moving_s as f64 * share) as i64).clamp(1, r.elapsed_s.max(1));
    r.metres *= share;
    r.kcal *= share;
}

pub fn cut_middle(r: &mut Recording, dice: &mut Dice) {
    if r.elapsed_s < LEAST_TO_CUT_S {
        return;
    }
    let share = dice.between(0.1, 0.5);
    let from = dice.between(0.1, 0.9 - share);
    let at_ms = |part: f64| (r.start_s * 1000) + (r.elapsed_s as f64 * 1000.0 * part) as i64;
    let (from_ms, to_ms) = (at_ms(from), at_ms(from + share));
    r.samples.retain(|s| s.time_ms < from_ms || s.time_ms > to_ms);
    if dice.chance(0.5) {
        // The ends are put together.
        let gap_ms = (to_ms - from_ms) / 1000 * 1000;
        r.samples.iter_mut().filter(|s| s.time_ms > to_ms).for_each(|s| s.time_ms -= gap_ms);
        r.elapsed_s -= gap_ms / 1000;
    }
    shrink(r, 1.0 - share);
    r.classes.insert("middle_cut");
}

pub fn spoil_gps(r: &mut Recording, dice: &mut Dice) {
    if !r.has_track() {
        return;
    }
    let metres = dice.around(60.0, 0.7).min(500.0);
    let (mut north, mut east) = (0.0, 0.0);
    for sample in &mut r.samples {
        north = 0.9 * north + metres * 0.44 * dice.normal();
        east = 0.9 * east + metres * 0.44 * dice.normal();
        let jump = if dice.chance(0.01) { 20.0 } else { 1.0 };
        let e7 = |value: Option<i32>, off_m: f64| value.map(|v| v + (off_m * jump * 90.0) as i32);
        (sample.lat_e7, sample.lon_e7) = (e7(sample.lat_e7, north), e7(sample.lon_e7, east));
    }
    r.scale(1.0 + dice.around(0.12, 0.7).min(0.6));
    r.classes.insert("bad_gps");
}

/// Noted from memory, or with the paper that came with the machine.
pub fn type_in(r: &mut Recording, dice: &mut Dice) {
    let local_s = r.start_s + i64::from(r.utc_offset_s);
    let midnight_s = local_s.div_euclid(86_400) * 86_400;
    let local_s = match dice.whole(0, 4) {
        0 => midnight_s + 12 * 3600,
        1 => midnight_s,
        2 => midnight_s + dice.whole(19 * 3600, 23 * 3600),
        3 => local_s.div_euclid(900) * 900,
        _ => local_s.div_euclid(3600) * 3600,
    };
    r.shift(local_s - i64::from(r.utc_offset_s) - r.start_s);
    let step_s = dice.pick(&[60, 300, 300, 600, 900]);
    r.elapsed_s = ((r.moving_s + step_s / 2) / step_s).max(1) * step_s;
    r.moving_s = r.elapsed_s;
    let step_m = dice.pick(&[100.0, 500.0, 1000.0, 1000.0]);
    r.metres = if dice.chance(0.8) { (r.metres / step_m).round() * step_m } else { 0.0 };
    r.bpm = None;
    r.forget_samples();
    r.is_manual = true;
    r.classes.insert("by_hand");
}

pub fn edit(r: &mut Recording, dice: &mut Dice) {
    match dice.whole(0, 2) {
        0 => {
            let minutes = dice.around(12.0, 1.0).min(180.0) as i64 * if dice.chance(0.5) { 1 } else { -1 };
            r.shift(minutes * 60);
        }
        1 => r.scale(dice.around(1.0, 0.15)),
        _ => {
            r.elapsed_s = ((r.elapsed_s as f64) * dice.around(1.0, 0.15)) as i64 / 60 * 60 + 60;
            r.moving_s = r.moving_s.min(r.elapsed_s);
        }
    }
    r.forget_samples();
    r.title = format!("{} with Alex", r.title);
    r.classes.insert("edited");
}

pub fn stamp_end(r: &mut Recording) {
    r.forget_samples();
    r.start_s = r.end_s();
    r.classes.insert("start_is_end");
}

pub fn lose_pauses(r: &mut Recording, dice: &mut Dice) {
    if dice.chance(0.5) {
        r.moving_s = r.elapsed_s;
    } else {
        r.elapsed_s = r.moving_s;
        let end_ms = r.end_s() * 1000;
        r.samples.retain(|s| s.time_ms <= end_ms);
    }
    r.classes.insert("pause_lost");
}

pub fn rename(r: &mut Recording) {
    r.sport = "Workout";
    r.classes.insert("sport_other");
}

/// A health hub's copy of another app's workout: what is left when an app passes on as little as it must.
pub fn hand_on(r: &mut Recording, dice: &mut Dice) {
    r.forget_track();
    match dice.whole(0, 3) {
        0 => r.metres = 0.0,
        1 => r.bpm = None,
        2 => {
            r.start_s = r.start_s.div_euclid(60) * 60;
            r.elapsed_s = (r.elapsed_s / 60).max(1) * 60;
        }
        _ => r.scale(dice.around(1.0, 0.05)),
    }
    if dice.chance(0.3) {
        r.forget_samples();
    }
    if dice.chance(0.25) {
        rename(r);
    }
    r.moving_s = r.moving_s.min(r.elapsed_s);
    r.classes.insert("hub_copy");
}
