//! A person's years, one scene after the other: outings, and the recordings of them that reach each account.

use super::chance::Dice;
use super::person::{BAND, Person, SECOND, WATCH};
use super::record::Recording;
use super::sports;
use super::world::{self, Outing};
use crate::sources::Source;

pub struct Diary<'a> {
    pub person: &'a Person,
    pub dice: Dice,
    pub now_s: i64,
    workouts: u32,
    /// By account.
    pub kept: Vec<(usize, Recording)>,
}

impl<'a> Diary<'a> {
    pub fn new(person: &'a Person, seed: u64, number: u32) -> Diary<'a> {
        let dice = Dice::of(seed, (u64::from(number) << 20) + 3);
        Diary { person, dice, now_s: person.years.0, workouts: 0, kept: Vec::new() }
    }

    pub fn workouts(&self) -> u32 {
        self.workouts
    }

    /// The next day that something is done on, at the person's hour.
    pub fn next_day(&mut self) {
        let days = self.dice.around(1.5, 0.8).clamp(1.0, 60.0) as i64;
        let day_s = (self.now_s + days * 86_400).div_euclid(86_400) * 86_400;
        let (_, offset_s, _, _) = self.person.place_at(day_s);
        let hour = (self.person.hour + 2.0 * self.dice.normal()).clamp(4.0, 22.5);
        self.now_s = day_s + (hour * 3600.0) as i64 - i64::from(offset_s) + self.dice.whole(0, 59);
    }

    pub fn sport(&mut self) -> &'static str {
        self.dice.pick(&self.person.favourites)
    }

    pub fn outdoor_sport(&mut self) -> &'static str {
        self.dice.pick(&["Run", "Ride", "Walk", "Hike", "GravelRide", "TrailRun", "MountainBikeRide"])
    }

    pub fn usual_seconds(&mut self) -> i64 {
        self.dice.around(3000.0, 0.6).clamp(500.0, 20_000.0) as i64
    }

    /// Something done for some seconds from now on, as its own workout.
    pub fn outing(&mut self, sport: &'static str, seconds: i64) -> Outing {
        self.workouts += 1;
        self.leg(sport, seconds)
    }

    /// The same, along the way of this number.
    pub fn outing_along(&mut self, sport: &'static str, seconds: i64, way: u64) -> Outing {
        self.workouts += 1;
        self.along(sport, seconds, way)
    }

    /// A further leg of the same workout.
    pub fn leg(&mut self, sport: &'static str, seconds: i64) -> Outing {
        let seed = self.dice.seed();
        self.along(sport, seconds, seed)
    }

    fn along(&mut self, sport: &'static str, seconds: i64, way: u64) -> Outing {
        let (place, utc_offset_s, is_on_trip, is_after_switch) = self.person.place_at(self.now_s);
        let known = sports::named(sport);
        let dice = &mut self.dice;
        let mut pauses = Vec::new();
        let mut at = dice.between(200.0, 2500.0);
        while at < seconds as f64 * 0.9 && dice.chance(0.55) {
            let to = (at + dice.around(70.0, 1.0)).min(seconds as f64 * 0.95);
            pauses.push((at, to));
            at = to + dice.between(100.0, 3000.0);
        }
        let mut outing = Outing {
            workout: self.workouts,
            sport,
            start_s: self.now_s,
            seconds,
            pauses,
            utc_offset_s,
            metres: 0.0,
            way: None,
            bpm: dice.between(95.0, 165.0),
            phase: dice.between(0.0, 6.0),
            is_on_trip,
            is_after_switch,
        };
        let moving_s = outing.moving_before(seconds as f64);
        outing.metres = known.metres_per_s * self.person.speed * moving_s * dice.around(1.0, 0.1);
        if known.is_outdoor() {
            let mut from = Dice::of(way, 5);
            let (north_m, east_m) = (900.0 * from.normal(), 900.0 * from.normal());
            let from = world::moved((place.lat_deg, place.lon_deg), north_m, east_m);
            outing.way = Some(world::way(way, from, outing.metres, dice.chance(0.5)));
        }
        self.now_s += seconds;
        outing
    }

    pub fn wait(&mut self, low_s: i64, high_s: i64) {
        self.now_s += self.dice.whole(low_s, high_s);
    }

    /// A device's recording of outings, from when it was started to when it was stopped.
    pub fn record(&mut self, outings: &[&Outing], device: usize) -> Recording {
        let slack_s = self.person.devices[device].slack_s;
        let (first, last) = (outings[0], outings[outings.len() - 1]);
        let most_s = (last.end_s() - first.start_s) as f64 / 10.0;
        let late = |dice: &mut Dice| (slack_s * dice.normal()).clamp(-most_s, most_s) as i64;
        let (from_s, to_s) = (first.start_s + late(&mut self.dice), last.end_s() + late(&mut self.dice));
        self.record_between(outings, device, from_s, to_s)
    }

    pub fn record_between(
        &mut self,
        outings: &[&Outing],
        device: usize,
        from_s: i64,
        to_s: i64,
    ) -> Recording {
        let device = &self.person.devices[device];
        let mut r = Recording::of(outings, from_s, to_s, device, &mut self.dice);
        if device.pauses_itself && r.moving_s < r.elapsed_s * 97 / 100 {
            r.classes.insert("auto_pause");
        } else {
            r.moving_s = r.elapsed_s;
        }
        r
    }

    /// Puts a device's recording where the device's recordings arrive.
    pub fn keep(&mut self, device: usize, mut r: Recording) {
        let wrong = &self.person.devices[device].wrong_clock;
        if let Some((_, _, off_s)) = wrong.iter().find(|(from, to, _)| (*from..*to).contains(&r.start_s)) {
            r.shift(*off_s);
            r.classes.insert("clock_off");
        }
        for (index, account) in self.person.accounts.iter().enumerate() {
            for (from, is_straight) in &account.feeds {
                if *from == device
                    && let Some(taken) = account.take(r.clone(), *is_straight, &mut self.dice)
                {
                    self.kept.push((index, taken));
                }
            }
        }
    }

    /// Puts a recording into one account, as it is.
    pub fn keep_in(&mut self, account: usize, r: Recording) {
        self.kept.push((account, r));
    }

    /// An account that the watch does not feed, or any.
    pub fn other_account(&mut self) -> usize {
        let is_other = |index: &usize| {
            let account = &self.person.accounts[*index];
            account.source != Source::Hevy && account.feeds.iter().all(|(device, _)| *device != WATCH)
        };
        let others: Vec<usize> = (0..self.person.accounts.len()).filter(is_other).collect();
        if others.is_empty() { 0 } else { self.dice.pick(&others) }
    }

    /// The recordings of what somebody carries on an ordinary day.
    pub fn carry(&mut self, outing: &Outing) {
        let watch = self.record(&[outing], WATCH);
        self.keep(WATCH, watch);
        for (device, share) in [(SECOND, 0.35), (BAND, 0.5)] {
            if self.dice.chance(share) {
                let r = self.record(&[outing], device);
                self.keep(device, r);
            }
        }
    }

    /// The watch's recording, and of another device one for something to go wrong with.
    pub fn watch_and(&mut self, outing: &Outing, device: usize) -> Recording {
        let watch = self.record(&[outing], WATCH);
        self.keep(WATCH, watch);
        self.record(&[outing], device)
    }
}
