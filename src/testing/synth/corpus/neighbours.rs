//! Days on which things lie so close that they are easily taken for one another, and are not the same.

use super::diary::Diary;
use super::person::{BAND, SECOND, WATCH};
use super::scenes::log_strength;
use super::world::{Outing, VIRTUAL, moved, way};
use crate::sources::Source;

type Scene = fn(&mut Diary<'_>, &'static str);

/// With their names and how often each comes up.
pub const NEIGHBOURS: [(&str, Scene, u32); 15] = [
    ("interval_reps", interval_reps, 2),
    ("warm_up_race", warm_up_race, 3),
    ("two_a_day", two_a_day, 3),
    ("there_and_back", there_and_back, 4),
    ("school_runs", school_runs, 3),
    ("dog_walks", dog_walks, 3),
    ("nested_walk", nested_walk, 2),
    ("same_loop", same_loop, 3),
    ("yearly_race", yearly_race, 2),
    ("gym_warm_up", gym_warm_up, 4),
    ("virtual_and_real", virtual_and_real, 3),
    ("couple", couple, 3),
    ("family", family, 2),
    ("back_to_back", back_to_back, 3),
    ("ten_minutes_apart", ten_minutes_apart, 3),
];

/// Everything that is kept meanwhile is of the scene.
pub fn play(d: &mut Diary<'_>, (name, scene, _): (&'static str, Scene, u32)) {
    let before = d.kept.len();
    scene(d, name);
    for (_, r) in &mut d.kept[before..] {
        r.classes.insert(name);
    }
}

fn one(d: &mut Diary<'_>, sport: &'static str, seconds: i64) {
    let o = d.outing(sport, seconds);
    d.carry(&o);
}

fn interval_reps(d: &mut Diary<'_>, _: &str) {
    let seconds = d.dice.whole(50, 300);
    for _ in 0..d.dice.whole(4, 9) {
        one(d, "Run", seconds);
        d.wait(40, 200);
    }
}

fn warm_up_race(d: &mut Diary<'_>, _: &str) {
    let (before, race, after) = (d.dice.whole(500, 1300), d.dice.whole(1100, 9000), d.dice.whole(400, 1200));
    for seconds in [before, race, after] {
        one(d, "Run", seconds);
        d.wait(60, 1200);
    }
}

fn two_a_day(d: &mut Diary<'_>, _: &str) {
    let sport = d.sport();
    for _ in 0..2 {
        let seconds = d.usual_seconds().min(5000);
        one(d, sport, seconds);
        d.wait(4 * 3600, 8 * 3600);
    }
}

fn there_and_back(d: &mut Diary<'_>, _: &str) {
    let (way, seconds) = (d.dice.seed(), d.dice.whole(700, 3600));
    for _ in 0..2 {
        again(d, "Ride", seconds, way);
        d.wait(7 * 3600, 10 * 3600);
    }
}

/// Along a known way, once more.
fn again(d: &mut Diary<'_>, sport: &'static str, seconds: i64, way: u64) {
    let seconds = (seconds as f64 * d.dice.around(1.0, 0.02)) as i64;
    let o = d.outing_along(sport, seconds, way);
    d.carry(&o);
}

fn school_runs(d: &mut Diary<'_>, _: &str) {
    let (way, seconds) = (d.dice.seed(), d.dice.whole(300, 800));
    for gap in [600, 6 * 3600, 600, 600] {
        again(d, "Walk", seconds, way);
        d.wait(gap - 120, gap + 300);
    }
}

fn ten_minutes_apart(d: &mut Diary<'_>, _: &str) {
    let (sport, way, seconds) = (d.outdoor_sport(), d.dice.seed(), d.dice.whole(420, 1500));
    for _ in 0..d.dice.whole(2, 4) {
        again(d, sport, seconds, way);
        d.wait(300, 900);
    }
}

fn dog_walks(d: &mut Diary<'_>, _: &str) {
    let way = d.dice.seed();
    for _ in 0..d.dice.whole(2, 4) {
        let seconds = d.dice.whole(600, 2400);
        let walk = d.outing_along("Walk", seconds, way);
        for device in [BAND, SECOND] {
            if d.dice.chance(0.7) {
                let r = d.record(&[&walk], device);
                d.keep(device, r);
            }
        }
        d.wait(3 * 3600, 5 * 3600);
    }
}

/// The hike's watch is paused at the hut, where somebody walks to the view with another device.
fn nested_walk(d: &mut Diary<'_>, _: &str) {
    let seconds = d.dice.whole(3, 6) * 3600;
    let mut hike = d.outing("Hike", seconds);
    let from = seconds as f64 * d.dice.between(0.3, 0.5);
    let rest = d.dice.between(2400.0, 4200.0);
    hike.pauses = vec![(from, from + rest)];
    let mut whole = d.record(&[&hike], WATCH);
    let (from_ms, to_ms) =
        ((hike.start_s + from as i64) * 1000, (hike.start_s + (from + rest) as i64) * 1000);
    whole.samples.retain(|s| s.time_ms < from_ms || s.time_ms > to_ms);
    d.keep(WATCH, whole);
    let end_s = d.now_s;
    d.now_s = hike.start_s + from as i64 + 300;
    let walk_s = (rest as i64 - 600).max(900);
    let mut walk = d.outing("Walk", walk_s);
    let at = hike.at(hike.start_s + from as i64).position.expect("a hike is outdoors");
    walk.way = Some(way(d.dice.seed(), moved(at, 150.0, 80.0), walk.metres, true));
    let r = d.record(&[&walk], SECOND);
    d.keep(SECOND, r);
    d.now_s = end_s;
}

fn same_loop(d: &mut Diary<'_>, _: &str) {
    let (sport, way, seconds) = (d.outdoor_sport(), d.dice.seed(), d.usual_seconds());
    for _ in 0..d.dice.whole(3, 6) {
        let start_s = d.now_s;
        again(d, sport, seconds, way);
        d.now_s = start_s + 86_400 + d.dice.whole(-700, 700);
    }
}

fn yearly_race(d: &mut Diary<'_>, _: &str) {
    let (way, seconds) = (d.dice.seed(), d.dice.whole(2400, 12_000));
    let begin_s = d.now_s;
    for year in 0..3 {
        d.now_s = begin_s + year * 364 * 86_400;
        again(d, "Run", seconds, way);
    }
    d.now_s = begin_s + 86_400;
}

fn gym_warm_up(d: &mut Diary<'_>, _: &str) {
    let seconds = d.dice.whole(420, 1300);
    let mut run = d.outing("Run", seconds);
    run.way = None;
    d.carry(&run);
    d.wait(30, 420);
    let seconds = d.usual_seconds().min(6000);
    let lifts = d.outing("WeightTraining", seconds);
    log_strength(d, &lifts);
}

fn virtual_and_real(d: &mut Diary<'_>, _: &str) {
    let seconds = d.usual_seconds().min(5000);
    let mut ride = d.outing("VirtualRide", seconds);
    ride.way = Some(way(d.dice.seed(), VIRTUAL, ride.metres, true));
    d.carry(&ride);
    d.wait(600, 7200);
    let seconds = d.usual_seconds().min(5000);
    one(d, "Ride", seconds);
}

/// Somebody else's outing on the same account.
fn guest(d: &mut Diary<'_>, beside: &Outing, account: usize) {
    let back_to_s = d.now_s;
    d.now_s = beside.start_s + d.dice.whole(-1500, 1500);
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    let device = if d.dice.chance(0.5) { SECOND } else { BAND };
    let r = d.record(&[&o], device);
    d.keep_in(account, r);
    d.now_s = back_to_s.max(d.now_s);
}

fn shared_account(d: &mut Diary<'_>) -> usize {
    let strava = d.person.account(Source::Strava);
    if d.dice.chance(0.5) { strava.unwrap_or(0) } else { d.other_account() }
}

fn couple(d: &mut Diary<'_>, _: &str) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    d.carry(&o);
    let account = shared_account(d);
    guest(d, &o, account);
}

fn family(d: &mut Diary<'_>, _: &str) {
    let (sport, seconds) = (d.outdoor_sport(), d.usual_seconds());
    let o = d.outing(sport, seconds);
    d.carry(&o);
    let account = shared_account(d);
    for _ in 0..d.dice.whole(2, 3) {
        guest(d, &o, account);
    }
}

fn back_to_back(d: &mut Diary<'_>, _: &str) {
    let seconds = d.dice.whole(25, 60) * 60;
    for _ in 0..d.dice.whole(2, 3) {
        let sport = d.dice.pick(&["Yoga", "Workout", "Yoga", "WeightTraining"]);
        one(d, sport, seconds);
        d.wait(0, 600);
    }
}
