//! Days on which one thing goes wrong that people report of.

use super::diary::Diary;
use super::person::{BAND, SECOND, WATCH};
use super::troubles;
use super::world::{VIRTUAL, way};
use crate::sources::Source;

type Scene = fn(&mut Diary<'_>);

/// With how often each comes up.
pub const SCENES: [(Scene, u32); 21] = [
    (forget_to_stop, 4),
    (die_or_start_late, 6),
    (run_through, 4),
    (by_hand, 5),
    (start_is_end, 2),
    (ski_day, 2),
    (split_by_break, 4),
    (cropped, 5),
    (edited, 4),
    (trainer_virtual, 4),
    (strength_log, 8),
    (triathlon, 1),
    (pauses, 4),
    (bad_gps, 3),
    (pool, 3),
    (treadmill, 4),
    (three_devices, 4),
    (two_devices, 4),
    (midnight, 1),
    (middle_cut, 2),
    (sport_other, 3),
];

fn second(d: &mut Diary<'_>) -> usize {
    if d.dice.chance(0.5) { SECOND } else { BAND }
}

fn forget_to_stop(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let device = second(d);
    let watch = d.record(&[&o], WATCH);
    d.keep(WATCH, watch);
    let times = 1.2 + d.dice.around(0.8, 1.0).min(6.8);
    let to_s = o.start_s + ((o.seconds as f64 * times) as i64).min(14 * 3600);
    let from_s = o.start_s + d.dice.whole(-12, 12);
    let mut r = d.record_between(&[&o], device, from_s, to_s);
    if d.dice.chance(0.4) {
        // The way home by car is in it, too.
        r.scale(d.dice.between(1.1, 3.0));
    }
    r.classes.insert("forgot_to_stop");
    d.keep(device, r);
    d.now_s = d.now_s.max(to_s);
}

fn die_or_start_late(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let device = second(d);
    let watch = d.record(&[&o], WATCH);
    d.keep(WATCH, watch);
    let at_s = o.start_s + (o.seconds as f64 * d.dice.between(0.08, 0.92)) as i64;
    let (from_s, to_s, class) =
        if d.dice.chance(0.5) { (o.start_s, at_s, "died_early") } else { (at_s, o.end_s(), "started_late") };
    let mut r = d.record_between(&[&o], device, from_s, to_s);
    r.relation = "part";
    r.classes.insert(class);
    d.keep(device, r);
}

fn run_through(d: &mut Diary<'_>) {
    let mut outings = Vec::new();
    for _ in 0..d.dice.whole(2, 4) {
        let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds() / 2);
        outings.push(d.outing(sport, seconds));
        d.wait(60, 3000);
    }
    for o in &outings {
        let r = d.record(&[o], WATCH);
        d.keep(WATCH, r);
    }
    let device = second(d);
    let mut r = d.record(&outings.iter().collect::<Vec<_>>(), device);
    r.relation = "whole";
    r.classes.insert("several_in_one");
    d.keep(device, r);
}

fn by_hand(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let mut r = d.watch_and(&o, BAND);
    troubles::type_in(&mut r, &mut d.dice);
    let account = d.other_account();
    if !matches!(d.person.accounts[account].source, Source::Files | Source::Hevy) {
        d.keep_in(account, r);
    }
}

fn start_is_end(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let mut r = d.watch_and(&o, BAND);
    troubles::stamp_end(&mut r);
    d.keep(BAND, r);
}

fn ski_day(d: &mut Diary<'_>) {
    let seconds = d.dice.whole(3, 7) * 3600;
    let mut o = d.outing("AlpineSki", seconds);
    o.pauses.clear();
    // Down, and up again by lift, which is no movement of one's own.
    let mut runs = Vec::new();
    let mut at = 0.0;
    while at < seconds as f64 - 1500.0 {
        let down = d.dice.between(150.0, 900.0);
        runs.push((o.start_s + at as i64, o.start_s + (at + down) as i64));
        let up =
            if d.dice.chance(0.1) { d.dice.between(2000.0, 4000.0) } else { d.dice.between(400.0, 1200.0) };
        o.pauses.push((at + down, (at + down + up).min(seconds as f64)));
        at += down + up;
    }
    let mut whole = d.record(&[&o], WATCH);
    whole.classes.insert("ski_day");
    if d.dice.chance(0.3) {
        troubles::rename(&mut whole);
    }
    d.keep(WATCH, whole);
    let share = d.dice.between(0.5, 1.0);
    for (from_s, to_s) in runs {
        if d.dice.chance(share) {
            let mut r = d.record_between(&[&o], SECOND, from_s, to_s);
            r.relation = "part";
            r.classes.insert("ski_day");
            d.keep(SECOND, r);
        }
    }
}

fn split_by_break(d: &mut Diary<'_>) {
    let sport = d.dice.pick(&["Hike", "Ride", "GravelRide", "Walk"]);
    let seconds = d.usual_seconds() * 2 + 2400;
    let mut o = d.outing(sport, seconds);
    let parts = d.dice.whole(2, 3);
    let mut cuts = vec![0.0];
    o.pauses.clear();
    for part in 1..parts {
        let middle = seconds as f64 * part as f64 / parts as f64 + d.dice.normal() * 200.0;
        let rest = d.dice.around(700.0, 0.8).min(seconds as f64 / 5.0);
        o.pauses.push((middle, middle + rest));
        cuts.extend([middle, middle + rest]);
    }
    cuts.push(seconds as f64);
    let whole = d.record(&[&o], WATCH);
    d.keep(WATCH, whole);
    let device = second(d);
    for piece in cuts.chunks(2) {
        let (from_s, to_s) = (o.start_s + piece[0] as i64, o.start_s + piece[1] as i64);
        let mut r = d.record_between(&[&o], device, from_s, to_s);
        r.relation = "part";
        r.classes.insert("split_by_break");
        d.keep(device, r);
    }
}

fn cropped(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let device = second(d);
    let mut r = d.watch_and(&o, device);
    troubles::crop(&mut r, &mut d.dice);
    d.keep(device, r);
}

fn middle_cut(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let device = second(d);
    let mut r = d.watch_and(&o, device);
    troubles::cut_middle(&mut r, &mut d.dice);
    d.keep(device, r);
}

fn edited(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let mut r = d.watch_and(&o, BAND);
    troubles::edit(&mut r, &mut d.dice);
    d.keep(BAND, r);
}

fn trainer_virtual(d: &mut Diary<'_>) {
    let seconds = d.usual_seconds();
    let o = d.outing("VirtualRide", seconds);
    let mut app = o.clone();
    app.way = Some(way(d.dice.seed(), VIRTUAL, o.metres, true));
    let mut r = d.record(&[&app], SECOND);
    r.classes.insert("trainer_virtual");
    let account = d.person.account(Source::Strava).unwrap_or_else(|| d.other_account());
    d.keep_in(account, r);
    let mut trainer = d.record(&[&o], SECOND);
    trainer.scale(d.dice.around(1.0, 0.08));
    trainer.classes.insert("trainer_virtual");
    d.keep(SECOND, trainer);
    let from_s = o.start_s - d.dice.whole(-120, 400);
    let to_s = o.end_s() + d.dice.whole(-60, 600);
    let mut watch = d.record_between(&[&o], BAND, from_s, to_s);
    watch.metres = 0.0;
    watch.forget_samples();
    if d.dice.chance(0.5) {
        troubles::rename(&mut watch);
    }
    watch.classes.insert("trainer_virtual");
    d.keep(BAND, watch);
}

fn strength_log(d: &mut Diary<'_>) {
    let seconds = d.usual_seconds().min(7200);
    let o = d.outing("WeightTraining", seconds);
    log_strength(d, &o);
}

/// A log of sets, and a watch that was started and stopped at other times.
pub fn log_strength(d: &mut Diary<'_>, o: &super::world::Outing) {
    let ahead_s = d.dice.around(150.0, 1.0).min(1500.0) as i64 * if d.dice.chance(0.5) { 1 } else { -1 };
    let longer_s = d.dice.around(240.0, 1.1).min(3600.0) as i64 * if d.dice.chance(0.7) { 1 } else { -1 };
    let from_s = (o.start_s - ahead_s).min(o.end_s() - 300);
    let mut watch = d.record_between(&[o], WATCH, from_s, (o.end_s() + longer_s).max(from_s + 300));
    watch.classes.insert("strength_log");
    if d.dice.chance(0.3) {
        troubles::rename(&mut watch);
    }
    d.keep(WATCH, watch);
    if let Some(hevy) = d.person.account(Source::Hevy) {
        let mut log = d.record(&[o], BAND);
        log.classes.insert("strength_log");
        log.forget_samples();
        (log.bpm, log.metres) = (None, 0.0);
        log.shift(log.start_s.div_euclid(60) * 60 - log.start_s);
        log.elapsed_s = (log.elapsed_s / 60).max(1) * 60;
        if log.is_on_trip {
            log.classes.insert("trip");
        }
        d.keep_in(hevy, log);
    }
}

fn triathlon(d: &mut Diary<'_>) {
    let first = d.outing("Swim", 1800);
    d.wait(60, 400);
    let ride = d.leg("Ride", 4800);
    d.wait(60, 400);
    let run = d.leg("Run", 2900);
    let mut whole = d.record(&[&first, &ride, &run], WATCH);
    whole.sport = "Workout";
    whole.relation = "whole";
    whole.classes.insert("triathlon");
    d.keep(WATCH, whole);
    let device = second(d);
    for leg in [&first, &ride, &run] {
        let mut r = d.record(&[leg], device);
        r.relation = "part";
        r.classes.insert("triathlon");
        d.keep(device, r);
    }
}

fn pauses(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let mut o = d.outing(sport, seconds);
    let from = seconds as f64 * d.dice.between(0.2, 0.6);
    o.pauses = vec![(from, from + seconds as f64 * d.dice.between(0.05, 0.35))];
    let device = second(d);
    let mut r = d.watch_and(&o, device);
    r.moving_s = o.moving_before(seconds as f64) as i64;
    troubles::lose_pauses(&mut r, &mut d.dice);
    d.keep(device, r);
}

fn bad_gps(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let mut r = d.watch_and(&o, SECOND);
    troubles::spoil_gps(&mut r, &mut d.dice);
    d.keep(SECOND, r);
}

fn pool(d: &mut Diary<'_>) {
    let seconds = d.usual_seconds().min(6000);
    let o = d.outing("Swim", seconds);
    let device = second(d);
    let mut r = d.watch_and(&o, device);
    r.scale(d.dice.pick(&[25.0 / 33.33, 0.5, 2.0, 0.9144, 50.0 / 33.33, 1.0936]));
    r.classes.insert("pool_length");
    d.keep(device, r);
}

fn treadmill(d: &mut Diary<'_>) {
    let seconds = d.usual_seconds().min(8000);
    let mut o = d.outing("Run", seconds);
    o.way = None;
    let device = second(d);
    let mut r = d.watch_and(&o, device);
    r.scale(d.dice.between(0.7, 1.3));
    r.classes.insert("treadmill");
    d.keep(device, r);
}

fn three_devices(d: &mut Diary<'_>) {
    let seconds = d.usual_seconds() * 2;
    let o = d.outing("Ride", seconds);
    for device in [WATCH, SECOND, BAND] {
        let late_s = d.dice.around(25.0, 1.2).min(900.0) as i64;
        let early_s = d.dice.around(25.0, 1.2).min(900.0) as i64;
        let mut r = d.record_between(&[&o], device, o.start_s + late_s, o.end_s() - early_s);
        r.classes.insert("three_devices");
        d.keep(device, r);
    }
}

fn two_devices(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let account = d.person.account(Source::Strava).unwrap_or_else(|| d.other_account());
    for device in [WATCH, SECOND] {
        let late_s = d.dice.around(40.0, 1.2).min(1200.0) as i64;
        let to_s = o.end_s() + d.dice.whole(-90, 90);
        let mut r = d.record_between(&[&o], device, o.start_s + late_s, to_s);
        r.classes.insert("two_devices");
        d.keep_in(account, r);
    }
}

fn midnight(d: &mut Diary<'_>) {
    let (_, offset_s, _, _) = d.person.place_at(d.now_s);
    let local_s = d.now_s + i64::from(offset_s);
    let midnight_s = (local_s.div_euclid(86_400) + 1) * 86_400 - i64::from(offset_s);
    d.now_s = midnight_s - d.dice.whole(1200, 5000);
    let seconds = midnight_s - d.now_s + d.dice.whole(1200, 9000);
    let sport = d.outdoor_sport();
    let o = d.outing(sport, seconds);
    let watch = d.record(&[&o], WATCH);
    d.keep(WATCH, watch);
    let device = second(d);
    for (from_s, to_s) in [(o.start_s, midnight_s), (midnight_s, o.end_s())] {
        let mut r = d.record_between(&[&o], device, from_s, to_s);
        r.relation = "part";
        r.classes.insert("midnight_split");
        d.keep(device, r);
    }
}

fn sport_other(d: &mut Diary<'_>) {
    let (sport, seconds) = (d.sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let device = second(d);
    let mut r = d.watch_and(&o, device);
    troubles::rename(&mut r);
    d.keep(device, r);
}
