//! Training load of a workout, by heart rate and by power.
//!
//! `heart_load` is Banister's TRIMP (1991): minutes × r × 0.64 × e^(1.92 × r), where r is the share of the reserve
//! between the resting and the highest heart rate. The factors are those for men; what counts is the comparison with
//! other weeks of the same person.
//!
//! `power_load` is Coggan's: hours × (weighted power ÷ threshold power)² × 100. An hour at the threshold is 100.

use super::rows::Row;

/// Between which the heart rate and the power of a person lie; what is not given is taken from their workouts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Capacity {
    pub resting_bpm: Option<f64>,
    pub highest_bpm: Option<f64>,
    pub threshold_w: Option<f64>,
}

/// Of an adult at rest, where nobody says otherwise.
const RESTING_BPM: f64 = 60.0;
/// So many workouts must have reached a heart rate: a strap that slips shows 220 once.
const REACHED: usize = 3;
/// Nobody is above the threshold for so long.
const THRESHOLD_S: f64 = 2_700.0;

/// The capacity with what a person's workouts say.
pub fn of_person(given: Capacity, rows: &[Row]) -> Capacity {
    let mut highest: Vec<f64> = rows.iter().filter_map(|row| row.max_heart_rate_bpm).collect();
    highest.sort_by(|a, b| b.total_cmp(a));
    let long = rows.iter().filter(|row| row.moving_s >= THRESHOLD_S);
    Capacity {
        resting_bpm: given.resting_bpm.or(Some(RESTING_BPM)),
        highest_bpm: given.highest_bpm.or_else(|| highest.get(REACHED - 1).copied()),
        threshold_w: given.threshold_w.or_else(|| long.filter_map(|row| row.power_w).reduce(f64::max)),
    }
}

pub fn heart(row: &Row, capacity: Capacity) -> Option<f64> {
    let (resting, highest) = (capacity.resting_bpm?, capacity.highest_bpm?);
    let share = ((row.avg_heart_rate_bpm? - resting) / (highest - resting)).clamp(0.0, 1.0);
    (highest > resting).then(|| row.moving_s / 60.0 * share * 0.64 * (1.92 * share).exp())
}

pub fn power(row: &Row, capacity: Capacity) -> Option<f64> {
    let threshold = capacity.threshold_w.filter(|watts| *watts > 0.0)?;
    Some(row.moving_s / 3600.0 * (row.power_w? / threshold).powi(2) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_at_the_threshold_is_a_hundred() {
        let row =
            Row { moving_s: 3600.0, power_w: Some(250.0), avg_heart_rate_bpm: Some(160.0), ..Row::default() };
        let capacity =
            Capacity { resting_bpm: Some(50.0), highest_bpm: Some(190.0), threshold_w: Some(250.0) };
        assert_eq!(power(&row, capacity), Some(100.0));
        // 60 × 0.7857 × 0.64 × e^(1.92 × 0.7857)
        assert!((heart(&row, capacity).unwrap() - 136.4).abs() < 0.1, "{:?}", heart(&row, capacity));
        assert_eq!(heart(&row, Capacity::default()), None);
        assert_eq!(power(&row, Capacity { threshold_w: None, ..capacity }), None);
    }

    #[test]
    fn one_slipping_strap_is_no_highest_heart_rate() {
        let beats = [231.0, 188.0, 187.0, 186.0, 170.0];
        let rows = beats.map(|beats| Row { max_heart_rate_bpm: Some(beats), ..Row::default() });
        assert_eq!(of_person(Capacity::default(), &rows).highest_bpm, Some(187.0));
        let given = Capacity { highest_bpm: Some(195.0), ..Capacity::default() };
        assert_eq!(of_person(given, &rows).highest_bpm, Some(195.0));
        assert_eq!(of_person(Capacity::default(), &rows[..2]).highest_bpm, None);
    }
}
