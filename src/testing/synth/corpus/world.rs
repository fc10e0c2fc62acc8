//! What really happens: where people live, which ways they take, and where a body is at each second.

use super::chance::Dice;

#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub lat_deg: f64,
    pub lon_deg: f64,
    pub zone: &'static str,
}

const fn place(lat_deg: f64, lon_deg: f64, zone: &'static str) -> Place {
    Place { lat_deg, lon_deg, zone }
}

/// Well-known squares: zones of whole, half and quarter hours, with daylight saving and without, on both
/// hemispheres.
pub const PLACES: [Place; 20] = [
    place(40.7580, -73.9855, "America/New_York"),
    place(41.8827, -87.6233, "America/Chicago"),
    place(39.7392, -104.9847, "America/Denver"),
    place(34.0522, -118.2437, "America/Los_Angeles"),
    place(47.5615, -52.7126, "America/St_Johns"),
    place(-23.5505, -46.6333, "America/Sao_Paulo"),
    place(-33.4378, -70.6505, "America/Santiago"),
    place(51.5080, -0.1281, "Europe/London"),
    place(38.7139, -9.1394, "Europe/Lisbon"),
    place(52.5219, 13.4132, "Europe/Berlin"),
    place(60.1699, 24.9384, "Europe/Helsinki"),
    place(64.1466, -21.9426, "Atlantic/Reykjavik"),
    place(-33.9249, 18.4241, "Africa/Johannesburg"),
    place(25.1972, 55.2744, "Asia/Dubai"),
    place(28.6315, 77.2167, "Asia/Kolkata"),
    place(27.7045, 85.3072, "Asia/Kathmandu"),
    place(35.6595, 139.7005, "Asia/Tokyo"),
    place(-34.9285, 138.6007, "Australia/Adelaide"),
    place(-33.8737, 151.2069, "Australia/Sydney"),
    place(-36.8485, 174.7633, "Pacific/Auckland"),
];

/// The island that a trainer app rides on.
pub const VIRTUAL: (f64, f64) = (-11.6362, 166.9720);

const METRES_PER_DEGREE: f64 = 111_195.0;

/// Degrees after a way in metres.
pub fn moved((lat, lon): (f64, f64), north_m: f64, east_m: f64) -> (f64, f64) {
    let lon = lon + east_m / (METRES_PER_DEGREE * lat.to_radians().cos());
    let lon = if lon > 180.0 { lon - 360.0 } else { lon };
    (lat + north_m / METRES_PER_DEGREE, lon)
}

/// Vertices of equal steps: streets that bend, out and back, or round.
pub fn way(seed: u64, from: (f64, f64), metres: f64, is_round: bool) -> Vec<(f64, f64)> {
    const VERTICES: usize = 240;
    let mut dice = Dice::of(seed, 77);
    let mut heading = dice.between(0.0, std::f64::consts::TAU);
    let turn = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let step_m = metres / VERTICES as f64;
    let bend = dice.around(0.25, 0.5).min(0.9);
    let mut at = from;
    let mut vertices = vec![at];
    let ahead = if is_round { VERTICES } else { VERTICES / 2 };
    for _ in 0..ahead {
        heading += bend * dice.normal();
        if is_round {
            heading += turn * std::f64::consts::TAU / VERTICES as f64;
        }
        at = moved(at, step_m * heading.sin(), step_m * heading.cos());
        vertices.push(at);
    }
    if !is_round {
        let back: Vec<(f64, f64)> = vertices.iter().rev().skip(1).copied().collect();
        vertices.extend(back);
    }
    vertices
}

/// One thing that one body did.
#[derive(Debug, Clone)]
pub struct Outing {
    /// Of the workout; the legs of one race share it.
    pub workout: u32,
    /// Strava's word for it.
    pub sport: &'static str,
    pub start_s: i64,
    pub seconds: i64,
    /// From and to, in seconds after the start.
    pub pauses: Vec<(f64, f64)>,
    pub utc_offset_s: i32,
    pub metres: f64,
    /// None indoors.
    pub way: Option<Vec<(f64, f64)>>,
    pub bpm: f64,
    pub phase: f64,
    pub is_on_trip: bool,
    pub is_after_switch: bool,
}

/// A body at a second.
pub struct Moment {
    pub position: Option<(f64, f64)>,
    pub metres: f64,
    pub bpm: f64,
    pub altitude_m: f64,
}

impl Outing {
    pub fn end_s(&self) -> i64 {
        self.start_s + self.seconds
    }

    /// Seconds of movement before a second after the start.
    pub fn moving_before(&self, second: f64) -> f64 {
        let second = second.clamp(0.0, self.seconds as f64);
        let still: f64 = self.pauses.iter().map(|(from, to)| (second.min(*to) - from).max(0.0)).sum();
        (second - still).max(0.0)
    }

    pub fn at(&self, time_s: i64) -> Moment {
        let second = (time_s - self.start_s) as f64;
        let all = self.moving_before(self.seconds as f64).max(1.0);
        let share = self.moving_before(second) / all;
        // Nobody keeps one pace.
        let pace = 0.02 * (share * 19.0 + self.phase).sin() * (share * (1.0 - share) * 4.0);
        let along = (share + pace).clamp(0.0, 1.0);
        let position = self.way.as_ref().map(|way| {
            let exact = along * (way.len() - 1) as f64;
            let (index, part) = (exact.floor() as usize, exact.fract());
            let (from, to) = (way[index], way[(index + 1).min(way.len() - 1)]);
            (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
        });
        let effort = if (0.0..=self.seconds as f64).contains(&second) { 1.0 } else { 0.6 };
        Moment {
            position,
            metres: along * self.metres,
            bpm: effort
                * (self.bpm + 9.0 * (second / 140.0 + self.phase).sin() + 5.0 * (second / 31.0).cos()),
            altitude_m: 120.0 + 35.0 * (along * 7.0 + self.phase).sin(),
        }
    }
}
