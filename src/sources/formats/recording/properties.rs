//! Whatever is wrong with a part of a file, the sound rest never changes.

use proptest::prelude::*;

use super::{Extent, Lost, Recording, Sample};
use crate::model::activity::{Activity, Streams};

const START_MS: i64 = 1_714_806_000_000;

/// A ride along a meridian at 5 m/s, a sample every `step_s`.
fn ride(many: usize, step_s: i64, counter: bool) -> Vec<Sample> {
    let sample = |at: i64| {
        let metres = (at * step_s) as f64 * 5.0;
        Sample {
            time_ms: START_MS + at * step_s * 1000,
            lat_e7: Some(480_000_000 + (metres * 89.932) as i32),
            lon_e7: Some(110_000_000),
            altitude_m: Some(500.0 + metres / 50.0),
            distance_m: counter.then_some(metres),
            heart_rate_bpm: Some(120 + (at % 7) as i32),
            ..Sample::default()
        }
    };
    (0..many as i64).map(sample).collect()
}

fn read(samples: Vec<Sample>) -> (Activity, Streams) {
    let mut recording = Recording::new(Activity::default(), samples);
    recording.make_sense();
    let (activity, streams) = recording.finish();
    (activity, streams.expect("there are samples"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shuffled_points_are_the_same_recording(
        order in (20_usize..200).prop_flat_map(|many| Just((0..many).collect::<Vec<_>>()).prop_shuffle()),
        counter: bool
    ) {
        let sound = ride(order.len(), 3, counter);
        let shuffled = order.iter().map(|at| sound[*at]).collect();
        prop_assert_eq!(read(shuffled), read(sound));
    }

    #[test]
    fn one_poisoned_time_costs_one_sample(
        many in 20_usize..300, at: prop::sample::Index, days in prop_oneof![-20_000_i64..-31, 31_i64..9_000]
    ) {
        let sound = ride(many, 1, true);
        let at = at.index(many);
        let mut poisoned = sound.clone();
        poisoned[at].time_ms += days * 86_400_000;
        let mut rest = sound;
        rest.remove(at);
        let (mut activity, streams) = read(poisoned);
        prop_assert!(activity.partial.take().is_some_and(|words| words.starts_with("1 sample ")));
        prop_assert_eq!((activity, streams), read(rest));
    }

    #[test]
    fn a_counter_may_start_anywhere(many in 20_usize..200, begin_m in 100_u32..4_000_000) {
        let sound = ride(many, 1, true);
        let counted_on = sound.iter().map(|s| Sample { distance_m: s.distance_m.map(|m| m + f64::from(begin_m)), ..*s });
        prop_assert_eq!(read(counted_on.collect()), read(sound));
    }

    #[test]
    fn parts_of_one_moment_are_one_sample(many in 20_usize..200, split in prop::collection::vec(any::<bool>(), 200)) {
        let sound = ride(many, 1, true);
        let parts = sound.iter().zip(split).flat_map(|(sample, is_split)| {
            let place = Sample { heart_rate_bpm: None, distance_m: None, ..*sample };
            let rate = Sample { lat_e7: None, lon_e7: None, altitude_m: None, ..*sample };
            if is_split { vec![rate, place] } else { vec![*sample] }
        });
        prop_assert_eq!(read(parts.collect()), read(sound.clone()));
    }

    #[test]
    fn what_lies_outside_the_told_extent_is_left_out(many in 60_usize..300, stale in 1_usize..15, hours in 7_i64..900) {
        let sound = ride(many, 10, false);
        let stated = |samples: Vec<Sample>| {
            let length_s = (many as i64 - 1) * 10;
            let activity = Activity { elapsed_s: Some(length_s as f64), ..Activity::default() };
            let mut recording = Recording::new(activity, samples);
            recording.stated = Extent { starts_ms: vec![START_MS], end_ms: Some(START_MS + length_s * 1000) };
            recording.make_sense();
            recording
        };
        let earlier = ride(stale, 1, false).into_iter().map(|s| Sample { time_ms: s.time_ms - hours * 3_600_000, ..s });
        let mut read = stated(earlier.chain(sound.clone()).collect());
        prop_assert_eq!(read.unread.count(Lost::OutsideSample), stale);
        let expected = stated(sound);
        prop_assert!(read.activity.partial.take().is_some());
        prop_assert_eq!((read.activity, read.samples), (expected.activity, expected.samples));
    }
}

#[test]
fn where_only_times_shake_the_points_keep_their_order() {
    let sound = ride(300, 1, false);
    let mut shaken = sound.clone();
    for pair in shaken.chunks_exact_mut(2) {
        let (a, b) = (pair[0].time_ms, pair[1].time_ms);
        (pair[0].time_ms, pair[1].time_ms) = (b, a);
    }
    let (activity, streams) = read(shaken);
    assert_eq!(
        (activity.distance_m, streams.lat_e7),
        (read(sound.clone()).0.distance_m, read(sound).1.lat_e7)
    );
}

#[test]
fn a_counter_that_starts_over_goes_on_and_a_single_wrong_value_is_left_out() {
    let sound = ride(100, 10, true);
    let mut starts_over = sound.clone();
    for sample in &mut starts_over[50..] {
        sample.distance_m = sample.distance_m.map(|m| m - 2500.0);
    }
    let last = |samples: Vec<Sample>| read(samples).0.distance_m;
    let whole = last(sound.clone()).unwrap_or_default();
    assert!((last(starts_over).unwrap_or_default() - whole).abs() <= 50.0);
    for wrong in [0.0, 4e6] {
        let mut spoiled = sound.clone();
        spoiled[40].distance_m = Some(wrong);
        let (activity, _) = read(spoiled);
        assert_eq!(activity.distance_m, Some(whole), "{wrong}");
        assert_eq!(activity.partial.as_deref(), Some("1 distance that cannot be read"));
    }
}
