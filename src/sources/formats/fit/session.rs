//! Sessions and laps: the sums that a device wrote.

use super::decode::Message;
use super::{is_time, time};
use crate::model::activity::Lap;

#[derive(Debug, Default, Clone)]
pub struct Session {
    pub start_s: Option<i64>,
    /// When the message was written, which is when the session ended.
    pub end_s: Option<i64>,
    pub sport: Option<i64>,
    pub sub_sport: Option<i64>,
    pub profile_name: Option<String>,
    pub elapsed_s: Option<f64>,
    pub timer_s: Option<f64>,
    pub moving_s: Option<f64>,
    pub distance_m: Option<f64>,
    pub calories_kcal: Option<f64>,
    pub avg_speed_mps: Option<f64>,
    pub max_speed_mps: Option<f64>,
    pub avg_heart_rate_bpm: Option<f64>,
    pub max_heart_rate_bpm: Option<f64>,
    pub avg_cadence_rpm: Option<f64>,
    pub max_cadence_rpm: Option<f64>,
    pub avg_power_w: Option<f64>,
    pub max_power_w: Option<f64>,
    pub normalized_power_w: Option<f64>,
    pub work_j: Option<f64>,
    pub ascent_m: Option<f64>,
    pub descent_m: Option<f64>,
    pub temperature_c: Option<f64>,
    pub extra: Vec<(&'static str, f64)>,
}

impl Session {
    /// When it ended, by the later of its two words.
    pub fn ends_s(&self) -> Option<i64> {
        let by_length = self.start_s.zip(self.elapsed_s).map(|(start, elapsed)| start + elapsed as i64);
        self.end_s.max(by_length)
    }

    /// When it began, where only its end and its length are stated.
    pub fn begins_s(&self) -> Option<i64> {
        self.start_s.or_else(|| Some(self.end_s? - self.elapsed_s.or(self.timer_s)?.round() as i64))
    }
}

pub fn session(m: Message<'_>) -> Session {
    let mut extra = Vec::new();
    for (name, number, scale) in
        [("training_stress_score", 35, 10.0), ("intensity_factor", 36, 1000.0), ("pool_length_m", 44, 100.0)]
    {
        extra.extend(m.scaled(number, scale).map(|value| (name, value)));
    }
    Session {
        start_s: m.int(2).filter(|s| is_time(*s)),
        end_s: m.int(253).filter(|s| is_time(*s)),
        sport: m.int(5),
        sub_sport: m.int(6),
        profile_name: m.text(110),
        elapsed_s: m.scaled(7, 1000.0),
        timer_s: m.scaled(8, 1000.0),
        moving_s: m.scaled(59, 1000.0),
        distance_m: m.scaled(9, 100.0),
        calories_kcal: m.scaled(11, 1.0),
        avg_speed_mps: m.either(124, 14, 1000.0),
        max_speed_mps: m.either(125, 15, 1000.0),
        // Without a strap some write 0.
        avg_heart_rate_bpm: m.scaled(16, 1.0).filter(|bpm| *bpm > 0.0),
        max_heart_rate_bpm: m.scaled(17, 1.0).filter(|bpm| *bpm > 0.0),
        avg_cadence_rpm: m.scaled(18, 1.0),
        max_cadence_rpm: m.scaled(19, 1.0),
        avg_power_w: m.scaled(20, 1.0),
        max_power_w: m.scaled(21, 1.0),
        normalized_power_w: m.scaled(34, 1.0),
        work_j: m.scaled(48, 1.0),
        ascent_m: m.scaled(22, 1.0),
        descent_m: m.scaled(23, 1.0),
        temperature_c: m.scaled(57, 1.0),
        extra,
    }
}

pub fn lap(m: Message<'_>) -> Lap {
    Lap {
        start_time: m.int(2).filter(|s| is_time(*s)).map(time),
        elapsed_s: m.scaled(7, 1000.0),
        moving_s: m.scaled(8, 1000.0),
        distance_m: m.scaled(9, 100.0),
        elevation_gain_m: m.scaled(21, 1.0),
        avg_speed_mps: m.either(110, 13, 1000.0),
        max_speed_mps: m.either(111, 14, 1000.0),
        avg_heart_rate_bpm: m.scaled(15, 1.0),
        max_heart_rate_bpm: m.scaled(16, 1.0),
        avg_cadence_rpm: m.scaled(17, 1.0),
        avg_power_w: m.scaled(19, 1.0),
        ..Lap::default()
    }
}

/// What a lap says, as a session of its own.
pub fn sums_of_lap(m: Message<'_>) -> Session {
    Session {
        start_s: m.int(2).filter(|s| is_time(*s)),
        end_s: m.int(253).filter(|s| is_time(*s)),
        sport: m.int(25),
        sub_sport: m.int(39),
        elapsed_s: m.scaled(7, 1000.0),
        timer_s: m.scaled(8, 1000.0),
        moving_s: m.scaled(52, 1000.0),
        distance_m: m.scaled(9, 100.0),
        calories_kcal: m.scaled(11, 1.0),
        max_speed_mps: m.either(111, 14, 1000.0),
        avg_heart_rate_bpm: m.scaled(15, 1.0).filter(|bpm| *bpm > 0.0),
        max_heart_rate_bpm: m.scaled(16, 1.0).filter(|bpm| *bpm > 0.0),
        avg_cadence_rpm: m.scaled(17, 1.0),
        max_cadence_rpm: m.scaled(18, 1.0),
        avg_power_w: m.scaled(19, 1.0),
        max_power_w: m.scaled(20, 1.0),
        work_j: m.scaled(41, 1.0),
        ascent_m: m.scaled(21, 1.0),
        descent_m: m.scaled(22, 1.0),
        temperature_c: m.scaled(50, 1.0),
        ..Session::default()
    }
}

/// What the session would have said that was never written: the sums of its laps. A sum that one
/// of them does not say is none.
pub fn sums_of_laps(laps: &[Session]) -> Session {
    let sum = |value: fn(&Session) -> Option<f64>| laps.iter().map(value).sum::<Option<f64>>();
    let largest = |value: fn(&Session) -> Option<f64>| laps.iter().filter_map(value).reduce(f64::max);
    // Of as many seconds as each of them took.
    let average = |value: fn(&Session) -> Option<f64>| {
        let weight = |lap: &Session| lap.timer_s.or(lap.elapsed_s).unwrap_or(1.0).max(1e-3);
        let known = laps.iter().filter_map(|lap| Some((value(lap)?, weight(lap))));
        let (sum, seconds) = known.fold((0.0, 0.0), |(sum, all), (value, s)| (sum + value * s, all + s));
        (seconds > 0.0).then(|| sum / seconds)
    };
    let first = laps.iter().min_by_key(|lap| lap.start_s.unwrap_or(i64::MAX));
    Session {
        start_s: laps.iter().filter_map(Session::begins_s).min(),
        end_s: laps.iter().filter_map(Session::ends_s).max(),
        sport: first.and_then(|lap| lap.sport),
        sub_sport: first.and_then(|lap| lap.sub_sport),
        elapsed_s: sum(|lap| lap.elapsed_s),
        timer_s: sum(|lap| lap.timer_s),
        moving_s: sum(|lap| lap.moving_s),
        distance_m: sum(|lap| lap.distance_m),
        calories_kcal: sum(|lap| lap.calories_kcal),
        max_speed_mps: largest(|lap| lap.max_speed_mps),
        avg_heart_rate_bpm: average(|lap| lap.avg_heart_rate_bpm),
        max_heart_rate_bpm: largest(|lap| lap.max_heart_rate_bpm),
        avg_cadence_rpm: average(|lap| lap.avg_cadence_rpm),
        max_cadence_rpm: largest(|lap| lap.max_cadence_rpm),
        avg_power_w: average(|lap| lap.avg_power_w),
        max_power_w: largest(|lap| lap.max_power_w),
        work_j: sum(|lap| lap.work_j),
        ascent_m: sum(|lap| lap.ascent_m),
        descent_m: sum(|lap| lap.descent_m),
        temperature_c: average(|lap| lap.temperature_c),
        ..Session::default()
    }
}
