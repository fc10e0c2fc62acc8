//! People and their workouts from a seed: the truth that test doubles tell, each in its source's
//! own format.
//!
//! The same seed and options give the same people on every machine. Nobody here is real; the
//! homes are well-known squares.

pub mod bulk;
pub mod corpus;
pub mod exports;
pub mod pipeline;
pub mod records;
pub mod rows;
pub mod strava;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::model::polyline::Track;
use crate::model::sport;

#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub seed: u64,
    pub users: u32,
    /// Of each user.
    pub activities: u32,
}

impl Default for Options {
    /// What `demo` shows.
    fn default() -> Self {
        Options { seed: 1, users: 5, activities: 640 }
    }
}

/// A person, and what they did, oldest first.
#[derive(Debug, Clone)]
pub struct Person {
    pub user_id: String,
    pub athlete_id: u64,
    pub home: Home,
    pub workouts: Vec<Workout>,
}

/// Where somebody mostly trains.
#[derive(Debug, Clone, Copy)]
pub struct Home {
    pub lat_deg: f64,
    pub lon_deg: f64,
    pub zone: &'static str,
}

/// Whole-hour, half-hour and quarter-hour zones, both hemispheres, and one beside the
/// antimeridian.
const HOMES: [Home; 8] = [
    Home { lat_deg: 40.7580, lon_deg: -73.9855, zone: "America/New_York" },
    Home { lat_deg: 52.5219, lon_deg: 13.4132, zone: "Europe/Berlin" },
    Home { lat_deg: 28.6315, lon_deg: 77.2167, zone: "Asia/Kolkata" },
    Home { lat_deg: 27.7045, lon_deg: 85.3072, zone: "Asia/Kathmandu" },
    Home { lat_deg: -33.8737, lon_deg: 151.2069, zone: "Australia/Sydney" },
    Home { lat_deg: -18.1416, lon_deg: 178.4419, zone: "Pacific/Fiji" },
    Home { lat_deg: 51.5080, lon_deg: -0.1281, zone: "Europe/London" },
    Home { lat_deg: 64.1466, lon_deg: -21.9426, zone: "Atlantic/Reykjavik" },
];

/// How a workout was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    Outdoor,
    Indoor,
    /// Typed in afterwards.
    Manual,
}

/// What really happened.
#[derive(Debug, Clone)]
pub struct Workout {
    /// Strava's number of it; later workouts have higher ones, mostly.
    pub id: u128,
    pub seed: u64,
    /// Strava's `sport_type`; one is not in anybody's table.
    pub sport: &'static str,
    /// As Strava tells it.
    pub start: Timestamp,
    /// When it really began: the athlete may hide that, or type in a rounded time.
    pub began: Timestamp,
    pub utc_offset_s: i32,
    pub elapsed_s: u32,
    pub moving_s: u32,
    pub distance_m: f64,
    pub elevation_gain_m: f64,
    pub recording: Recording,
    pub title: String,
    pub has_heart_rate: bool,
    pub has_power: bool,
    /// The athlete hides when it began.
    pub hides_start: bool,
    /// Row in the shape of the years before 2016.
    pub is_old_shape: bool,
    /// What it stands close to.
    pub scene: Option<(Scene, u64)>,
}

/// Workouts that are easily taken for one another, and are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scene {
    /// Two sessions of one sport, one right behind the other.
    BackToBack,
    /// One route there in the morning and again in the evening.
    Commute,
    /// A ride, and a run as soon as the bicycle stands.
    Brick,
    /// A short run before the real one.
    WarmUp,
    /// The same race every year.
    YearlyRace,
    /// Friends on one route at one time.
    GroupRide,
    /// Two of one household, each with a device.
    Family,
}

const UNKNOWN_SPORT: &str = "UnderwaterHockey";

/// The rng of one thing of a seed. Things are independent of each other, so that adding one
/// does not change the next.
fn rng(seed: u64, thing: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(thing))
}

/// Everybody.
pub fn people(options: Options) -> Vec<Person> {
    (0..options.users).map(|number| person(options, number)).collect()
}

/// One of them.
pub fn person(options: Options, number: u32) -> Person {
    let mut rng = rng(options.seed, u64::from(number));
    let home = HOMES[number as usize % HOMES.len()];
    let zone = TimeZone::get(home.zone).expect("the zone is bundled");
    let athlete_id = 1_000_000 + u64::from(number) * 7_919;
    let first = Timestamp::from_second(1_325_400_000 + i64::from(number % 97) * 86_400).expect("a time");
    let last_s = 1_790_000_000_i64;
    let step_s = (last_s - first.as_second()) / i64::from(options.activities.max(1));
    let favourites = ["Run", "Ride", "Swim", "Walk", "WeightTraining", "TrailRun", "GravelRide"];
    let mut workouts: Vec<Workout> = Vec::with_capacity(options.activities as usize);
    for i in 0..options.activities {
        let sport = match i {
            // Every sport comes up, over and over, and the unknown one too.
            i if i % 16 == 7 => {
                let nth = (i / 16 + number * 13) as usize % (sport::all().len() + 1);
                sport::all().get(nth).map_or(UNKNOWN_SPORT, |sport| sport.strava)
            }
            _ => favourites[(rng.random_range(0..10_usize) + number as usize) % favourites.len()],
        };
        let jitter = rng.random_range(0..step_s.max(2) / 2);
        let mut start = first + SignedDuration::from_secs(i64::from(i) * step_s + jitter);
        // Two devices, one second: ties are where paging by time goes wrong.
        if i % 50 == 49
            && let Some(before) = workouts.last()
        {
            start = before.start;
        }
        // Most people train at their hour, and many on their way.
        if i % 3 != 0 && i % 50 != 49 {
            start = habitual(start, number, &mut rng, &zone);
        }
        let mut workout = workout(&mut rng, sport, start, &zone);
        if i % 5 == 0 {
            workout.seed = rng_of_habit(options.seed, number, sport, i / 5 % 3);
        }
        set_scene(&mut workout, options, (number, i), workouts.last(), &zone);
        let serial = u128::from(number) * u128::from(options.activities) + u128::from(i);
        workout.id = match i {
            // The examples of Strava's own documentation have ids this long.
            3 => 154_504_250_376_823_000 + serial,
            _ => 1_000_000_000 + serial * 37,
        };
        workouts.push(workout);
    }
    workouts.sort_by_key(|w| (w.start, w.id));
    Person { user_id: user_id(number), athlete_id, home, workouts }
}

/// On the same day, within an hour of when this person usually goes out.
fn habitual(start: Timestamp, number: u32, rng: &mut impl Rng, zone: &TimeZone) -> Timestamp {
    let hour = [6, 18, 7, 12, 17, 6, 19, 9][(number / 3 % 8) as usize];
    let date = zone.to_datetime(start).date();
    let usual = date.at(hour, 0, 0, 0).to_zoned(zone.clone()).map_or(start, |usual| usual.timestamp());
    usual + SignedDuration::from_secs(rng.random_range(-3_000..3_000))
}

/// What one of the three ways is made from that a person has for a sport.
fn rng_of_habit(seed: u64, number: u32, sport: &str, way: u32) -> u64 {
    let sport: u64 = sport.bytes().map(u64::from).sum();
    rng(seed ^ 0x4a_b17, u64::from(number) << 32 | sport << 8 | u64::from(way)).next_u64()
}

fn user_id(number: u32) -> String {
    format!("user-{number:04}")
}

fn workout(rng: &mut impl Rng, sport: &'static str, start: Timestamp, zone: &TimeZone) -> Workout {
    let (speed_mps, is_outdoor_sport) = pace(sport);
    let recording = match rng.random_range(0..20) {
        0 | 1 => Recording::Manual,
        2..=4 => Recording::Indoor,
        _ if is_outdoor_sport => Recording::Outdoor,
        _ => Recording::Indoor,
    };
    let began = start;
    let hides_start = recording == Recording::Outdoor && rng.random_range(0..60) == 0;
    let start = if recording == Recording::Manual {
        Timestamp::from_second(start.as_second() / 60 * 60).expect("a time")
    } else if hides_start {
        let midnight = zone.to_datetime(start).date().to_zoned(zone.clone());
        midnight.map_or(start, |m| m.timestamp() + SignedDuration::from_secs(1))
    } else {
        start
    };
    let elapsed_s = match recording {
        Recording::Manual => rng.random_range(1..12_u32) * 600,
        _ => rng.random_range(600..7_200),
    };
    let moving_s = match rng.random_range(0..300) {
        // It happens, and nobody knows why.
        0 => elapsed_s + 2,
        _ => elapsed_s - elapsed_s * rng.random_range(0..12) / 100,
    };
    let distance_m = speed_mps * f64::from(moving_s) * rng.random_range(0.85..1.15);
    let climbs = recording == Recording::Outdoor && speed_mps > 0.0;
    let part = ["Morning", "Lunch", "Afternoon", "Evening", "Night"][rng.random_range(0..5)];
    let title = match rng.random_range(0..40) {
        0 => "Łódź ⛰️ \"grand tour\" \\ part 2".to_string(),
        1 => "长跑 🏃‍♀️ mit Ärger".to_string(),
        2 => format!("{part}\t{sport}\nwith a second line"),
        _ => format!("{part} {sport}"),
    };
    Workout {
        id: 0,
        seed: rng.next_u64(),
        sport,
        start,
        utc_offset_s: zone.to_offset(start).seconds(),
        began,
        elapsed_s,
        moving_s,
        distance_m: (distance_m * 10.0).round() / 10.0,
        elevation_gain_m: if climbs { (distance_m * rng.random_range(0.001..0.02)).round() } else { 0.0 },
        recording,
        title,
        has_heart_rate: recording != Recording::Manual && rng.random_range(0..10) > 0,
        has_power: sport.ends_with("Ride") && recording != Recording::Manual && rng.random_range(0..2) == 0,
        hides_start,
        is_old_shape: rng.random_range(0..25) == 0,
        scene: None,
    }
}

/// Makes some workouts parts of scenes: two neighbours, or two people.
fn set_scene(
    w: &mut Workout,
    options: Options,
    (number, i): (u32, u32),
    before: Option<&Workout>,
    zone: &TimeZone,
) {
    let own = u64::from(number) << 32 | u64::from(i);
    let all = i64::from(options.activities.max(1));
    let begin = |w: &mut Workout, began: Timestamp| {
        w.began = began;
        w.start = began;
        w.utc_offset_s = zone.to_offset(began).seconds();
        w.hides_start = false;
    };
    let outdoors = |w: &mut Workout, sport: &'static str, moving_s: u32| {
        w.sport = sport;
        w.title = format!("Scene {sport}");
        w.recording = Recording::Outdoor;
        w.is_old_shape = false;
        (w.moving_s, w.elapsed_s) = (moving_s, moving_s + 20);
        w.distance_m = (pace(sport).0 * f64::from(moving_s) * 10.0).round() / 10.0;
    };
    let end = |w: &Workout| w.began + SignedDuration::from_secs(i64::from(w.elapsed_s));
    let after = |w: &Workout, seconds: u64| end(w) + SignedDuration::from_secs(seconds.cast_signed());
    // Everybody of a group of four draws the same.
    let mut shared = rng(options.seed ^ 0x5eed, u64::from(number / 4) << 32 | u64::from(i));
    match (i % 40, before) {
        (10, _) => {
            outdoors(w, "Ride", 1500 + (w.seed % 600) as u32);
            begin(w, w.began);
            w.scene = Some((Scene::Commute, own));
        }
        (11, Some(out)) => {
            outdoors(w, "Ride", out.moving_s + (w.seed % 60) as u32);
            (w.seed, w.distance_m) = (out.seed, out.distance_m);
            begin(w, out.began + SignedDuration::from_secs(34_200));
            w.scene = Some((Scene::Commute, own - 1));
        }
        (14, _) => {
            outdoors(w, "Run", 1800);
            begin(w, w.began);
            w.scene = Some((Scene::BackToBack, own));
        }
        (15, Some(first)) => {
            outdoors(w, "Run", 1500 + (w.seed % 600) as u32);
            begin(w, after(first, 20 + w.seed % 100));
            w.scene = Some((Scene::BackToBack, own - 1));
        }
        (18, _) => {
            outdoors(w, "Ride", 3600);
            begin(w, w.began);
            w.scene = Some((Scene::Brick, own));
        }
        (19, Some(ride)) => {
            outdoors(w, "Run", 1800);
            begin(w, after(ride, 60 + w.seed % 120));
            w.scene = Some((Scene::Brick, own - 1));
        }
        (24, _) => {
            outdoors(w, "Run", 700);
            begin(w, w.began);
            w.scene = Some((Scene::WarmUp, own));
        }
        (25, Some(warm_up)) => {
            outdoors(w, "Run", 2700 + (w.seed % 900) as u32);
            begin(w, after(warm_up, 90 + w.seed % 300));
            w.scene = Some((Scene::WarmUp, own - 1));
        }
        (28, _) => {
            // 9 o'clock on the first of June of its year.
            outdoors(w, "Run", 2900 + (w.seed % 200) as u32);
            w.seed = u64::from(number) * 7919 + 17;
            w.distance_m = 10_000.0;
            let year = w.began.to_zoned(zone.clone()).year();
            let start = jiff::civil::date(year, 6, 1).at(9, 0, 0, 0).to_zoned(zone.clone());
            begin(w, start.map_or(w.began, |start| start.timestamp()));
            w.scene = Some((Scene::YearlyRace, u64::from(number) << 32));
        }
        (32, _) => {
            outdoors(w, "Ride", 5400);
            w.seed = shared.next_u64();
            let begins =
                1_400_000_000 + i64::from(i) * (380_000_000 / all) + shared.random_range(0..3600_i64);
            begin(w, Timestamp::from_second(begins + i64::from(number % 4) * 7).expect("a time"));
            w.scene = Some((Scene::GroupRide, u64::from(number / 4) << 32 | u64::from(i)));
        }
        (36, _) => {
            let pair = u64::from(number / 2) << 32 | u64::from(i);
            outdoors(w, "Walk", 3000);
            w.seed = rng(options.seed ^ 0xfa, pair).next_u64();
            let begins = 1_420_000_000 + i64::from(i) * (360_000_000 / all);
            begin(w, Timestamp::from_second(begins).expect("a time"));
            w.scene = Some((Scene::Family, pair));
        }
        _ => {}
    }
}

/// Usual speed, and whether people do it where satellites see them.
fn pace(sport: &str) -> (f64, bool) {
    match sport {
        "Run" | "TrailRun" | "Wheelchair" => (2.9, true),
        "Ride" | "GravelRide" | "EBikeRide" | "Velomobile" | "Handcycle" => (7.2, true),
        "MountainBikeRide" | "EMountainBikeRide" => (4.5, true),
        "Walk" | "Hike" | "Snowshoe" | "Golf" => (1.3, true),
        "Swim" => (0.8, false),
        "VirtualRide" => (8.5, false),
        "VirtualRun" | "VirtualRow" | "Elliptical" => (2.7, false),
        "AlpineSki" | "Snowboard" | "Sail" | "Windsurf" | "Kitesurf" | "IceSkate" | "InlineSkate"
        | "RollerSki" => (5.0, true),
        "NordicSki" | "BackcountrySki" | "Rowing" | "Canoeing" | "Kayaking" | "StandUpPaddling"
        | "Skateboard" => (2.5, true),
        _ => (0.0, false),
    }
}

impl Workout {
    pub fn has_track(&self) -> bool {
        self.recording == Recording::Outdoor && self.distance_m > 0.0
    }

    /// Points of the line that a list shows.
    pub fn summary_points(&self) -> usize {
        if self.has_track() { ((self.distance_m / 90.0) as usize).clamp(12, 320) } else { 0 }
    }

    /// Points of the whole line: one every five seconds.
    pub fn detail_points(&self) -> usize {
        if self.has_track() { (self.moving_s as usize / 5).max(2) } else { 0 }
    }

    /// The line walked, as `points` points of equal time.
    pub fn track(&self, home: Home, points: usize) -> Track {
        let mut track = Track::default();
        for i in 0..points {
            let (lat, lon) = self.position(home, i as f64 / (points - 1).max(1) as f64);
            track.lat_e5.push((lat * 1e5).round() as i32);
            track.lon_e5.push((lon * 1e5).round() as i32);
        }
        track
    }

    /// Degrees after a share of the way: a loop from home with some wiggle, roughly as long as
    /// the distance.
    pub fn position(&self, home: Home, share: f64) -> (f64, f64) {
        use std::f64::consts::TAU;
        const METRES_PER_DEGREE: f64 = 111_195.0;
        let bit = |n: u32| f64::from((self.seed >> (n * 8)) as u8) / 255.0;
        let radius_m = self.distance_m / (TAU * (1.2 + bit(0)));
        let heading = bit(1) * TAU;
        let angle = share * TAU + heading;
        let wiggle = 0.12 * (share * TAU * (3.0 + (bit(2) * 9.0).floor())).sin()
            + 0.03 * (share * TAU * (31.0 + (bit(3) * 40.0).floor())).sin();
        let r = radius_m * (1.0 + wiggle);
        let north_m = r * angle.sin() - radius_m * heading.sin();
        let east_m = r * angle.cos() - radius_m * heading.cos();
        // Nobody walks a way twice to the metre.
        let off = |waves: f64| 6.0 * (share * TAU * waves + (self.id % 1009) as f64).sin();
        let (north_m, east_m) = (north_m + off(17.0), east_m + off(13.0));
        let lat = home.lat_deg + (bit(4) - 0.5) * 0.04 + north_m / METRES_PER_DEGREE;
        let lon = home.lon_deg
            + (bit(5) - 0.5) * 0.04
            + east_m / (METRES_PER_DEGREE * home.lat_deg.to_radians().cos());
        (lat, if lon > 180.0 { lon - 360.0 } else { lon })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn the_demo_has_every_sport_and_every_kind_of_recording() {
        let people = people(Options::default());
        let workouts: Vec<&Workout> = people.iter().flat_map(|p| &p.workouts).collect();
        assert!(workouts.len() >= 3000);
        let sports: HashSet<&str> = workouts.iter().map(|w| w.sport).collect();
        assert_eq!(sports.len(), sport::all().len() + 1);
        for recording in [Recording::Outdoor, Recording::Indoor, Recording::Manual] {
            assert!(workouts.iter().filter(|w| w.recording == recording).count() > 100);
        }
        assert!(workouts.iter().any(|w| w.hides_start));
        assert!(workouts.iter().any(|w| w.moving_s > w.elapsed_s));
        let ids: HashSet<u128> = workouts.iter().map(|w| w.id).collect();
        assert_eq!(ids.len(), workouts.len());
        let scenes: BTreeSet<Scene> =
            workouts.iter().filter_map(|w| w.scene).map(|(scene, _)| scene).collect();
        assert_eq!(scenes.len(), 7);
        let ties = people[0].workouts.windows(2).filter(|w| w[0].start == w[1].start).count();
        assert!(ties >= 5, "{ties}");
    }
}
