//! A person: where they live, what they carry, which services they use, and how each of these treats what it
//! gets.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::chance::Dice;
use super::record::{Device, Recording};
use super::troubles;
use super::world::{PLACES, Place};
use crate::sources::Source;

/// What somebody carries, by index.
pub const WATCH: usize = 0;
pub const SECOND: usize = 1;
pub const BAND: usize = 2;

/// A person's account with a source.
#[derive(Debug, Clone)]
pub struct Account {
    pub source: Source,
    /// Devices whose recordings arrive here, and whether straight or by way of another app.
    pub feeds: Vec<(usize, bool)>,
    /// The share that arrives.
    coverage: f64,
    rounds_s: i64,
    rescales: f64,
    /// Sports that it has no word for.
    unknown_sports: Vec<&'static str>,
    hides_rate: bool,
    /// From and to: it writes wall clocks as if they were UTC.
    local_as_utc: Option<(i64, i64)>,
    /// Where it writes wall clocks, they follow a change of the clocks some days late.
    switches_late: bool,
    /// Chance of each further thing that goes wrong.
    pub sloppiness: f64,
}

#[derive(Debug, Clone)]
pub struct Person {
    pub user_id: String,
    pub home: Place,
    pub devices: Vec<Device>,
    pub accounts: Vec<Account>,
    pub favourites: Vec<&'static str>,
    pub speed: f64,
    pub hour: f64,
    pub years: (i64, i64),
    /// From, to, and where they are meanwhile.
    pub trips: Vec<(i64, i64, Place)>,
}

const FIRST_S: i64 = 1_420_000_000;
const LAST_S: i64 = 1_780_000_000;
/// On one record, beside what its account does to all of them.
const MOST_TROUBLES: u32 = 4;
const FAVOURITES: [&str; 11] = [
    "Run",
    "Run",
    "Ride",
    "Walk",
    "WeightTraining",
    "Hike",
    "Swim",
    "GravelRide",
    "TrailRun",
    "Yoga",
    "Rowing",
];

impl Person {
    pub fn draw(seed: u64, number: u32) -> Person {
        let mut dice = Dice::of(seed, u64::from(number) + 1);
        let dice = &mut dice;
        let from = dice.whole(FIRST_S, LAST_S - 400 * 86_400);
        let years = (from, dice.whole(from + 300 * 86_400, LAST_S));
        let sloppiness = dice.around(0.12, 0.7).min(0.6);
        let mut trips = Vec::new();
        for _ in 0..dice.whole(0, 5) {
            let begins = dice.whole(years.0, years.1);
            trips.push((begins, begins + dice.whole(3, 25) * 86_400, dice.pick(&PLACES)));
        }
        let favourites = (0..dice.whole(2, 6)).map(|_| dice.pick(&FAVOURITES)).collect();
        Person {
            user_id: format!("p{number:05}"),
            home: dice.pick(&PLACES),
            devices: (0..3).map(|_| Device::draw(dice, years)).collect(),
            accounts: accounts(dice, years, sloppiness),
            favourites,
            speed: dice.around(1.0, 0.18),
            hour: dice.between(5.5, 20.5),
            years,
            trips,
        }
    }

    /// Where somebody is, what the wall clock is ahead of UTC, and whether it is a trip or has just changed.
    pub fn place_at(&self, time_s: i64) -> (Place, i32, bool, bool) {
        let trip = self.trips.iter().find(|(from, to, _)| (*from..*to).contains(&time_s));
        let place = trip.map_or(self.home, |(_, _, place)| *place);
        let zone = TimeZone::get(place.zone).expect("the zone is bundled");
        let offset = |time_s: i64| zone.to_offset(Timestamp::from_second(time_s).expect("a time")).seconds();
        let now = offset(time_s);
        (place, now, trip.is_some(), trip.is_none() && now != offset(time_s - 6 * 86_400))
    }

    pub fn account(&self, source: Source) -> Option<usize> {
        self.accounts.iter().position(|account| account.source == source)
    }
}

fn accounts(dice: &mut Dice, years: (i64, i64), sloppiness: f64) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut add = |dice: &mut Dice, source: Source, feeds: &[(usize, bool)]| match accounts
        .iter_mut()
        .find(|account| account.source == source)
    {
        Some(known) => known.feeds.extend(feeds),
        None => accounts.push(Account {
            source,
            feeds: feeds.to_vec(),
            coverage: 1.0 - dice.around(0.08, 0.9).min(0.6),
            rounds_s: dice.pick(&[1, 1, 1, 1, 10, 60]),
            rescales: dice.around(1.0, 0.012),
            unknown_sports: (0..dice.whole(0, 2)).map(|_| dice.pick(&FAVOURITES)).collect(),
            hides_rate: dice.chance(0.2),
            local_as_utc: dice.chance(0.12).then(|| {
                let from = dice.whole(years.0 - 40_000_000, years.1);
                (from, from + dice.whole(2_000_000, 90_000_000))
            }),
            switches_late: dice.chance(0.3),
            sloppiness: (sloppiness * dice.around(1.0, 0.5)).min(0.7),
        }),
    };
    let own =
        dice.pick(&[Source::Garmin, Source::Garmin, Source::Apple, Source::HealthConnect, Source::Files]);
    add(dice, own, &[(WATCH, true)]);
    if dice.chance(0.85) {
        add(dice, Source::Strava, &[(WATCH, false)]);
    }
    let second = dice.pick(&[Source::Files, Source::Files, Source::Strava, Source::HealthConnect]);
    add(dice, second, &[(SECOND, true)]);
    let band =
        dice.pick(&[Source::Fitbit, Source::Fitbit, Source::Fitbit, Source::Apple, Source::HealthConnect]);
    add(dice, band, &[(BAND, true)]);
    if dice.chance(0.45) {
        let hub = dice.pick(&[Source::Apple, Source::HealthConnect]);
        let all = [(WATCH, false), (BAND, false), (SECOND, false)];
        let some = dice.whole(1, 3) as usize;
        add(dice, hub, &all[..some]);
    }
    if dice.chance(0.5) {
        add(dice, Source::Hevy, &[]);
    }
    accounts
}

impl Account {
    /// What arrives of a recording, treated as this account treats everything; None where nothing does.
    pub fn take(&self, mut r: Recording, is_straight: bool, dice: &mut Dice) -> Option<Recording> {
        if !dice.chance(self.coverage) {
            return None;
        }
        if !is_straight && matches!(self.source, Source::Apple | Source::HealthConnect) {
            troubles::hand_on(&mut r, dice);
        } else if !is_straight {
            // The other side adds up again.
            r.metres *= self.rescales * (1.0 + 0.002 * dice.normal());
            r.moving_s = ((r.moving_s as f64 * dice.around(1.0, 0.01)) as i64).clamp(1, r.elapsed_s.max(1));
            r.kcal *= dice.around(1.0, 0.1);
        }
        if self.unknown_sports.contains(&r.sport) {
            troubles::rename(&mut r);
        }
        if self.hides_rate {
            r.bpm = None;
            r.samples.iter_mut().for_each(|s| s.heart_rate_bpm = None);
        }
        // More than a few troubles on one record leave nothing to recognise.
        for _ in 0..MOST_TROUBLES {
            if !dice.chance(self.sloppiness) {
                break;
            }
            match dice.whole(0, 5) {
                0 => troubles::crop(&mut r, dice),
                1 => troubles::spoil_gps(&mut r, dice),
                2 => troubles::lose_pauses(&mut r, dice),
                3 => troubles::rename(&mut r),
                4 if self.source != Source::Files => troubles::edit(&mut r, dice),
                _ => r.scale(dice.around(1.0, 0.02)),
            }
        }
        if self.rounds_s > 1 {
            r.shift(r.start_s.div_euclid(self.rounds_s) * self.rounds_s - r.start_s);
        }
        self.write_clock(&mut r);
        Some(r)
    }

    /// Wall clocks that go for UTC, with what becomes of them on trips and when clocks change.
    fn write_clock(&self, r: &mut Recording) {
        let is_local = self.local_as_utc.is_some_and(|(from, to)| (from..to).contains(&r.start_s));
        if !is_local || r.utc_offset_s == 0 {
            return;
        }
        let mut offset_s = i64::from(r.utc_offset_s);
        if r.is_after_switch && self.switches_late {
            offset_s += if r.start_s / 86_400 % 365 > 180 { 3600 } else { -3600 };
            r.classes.insert("dst");
        }
        if r.is_on_trip {
            r.classes.insert("trip");
        }
        r.shift(offset_s);
        r.classes.insert("local_as_utc");
    }
}
