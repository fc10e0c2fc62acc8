//! When a recording took place, agreed between what its file says and its samples.
//!
//! One impossible or stale time never moves or refuses the rest. The start that a file names
//! stands where most samples lie within what it says of its length; otherwise the samples tell.
//! What lies outside the recording is left out and counted. Afterwards the times never fall.

use jiff::Timestamp;

use super::{Lost, Recording, Sample, Unread, path_m};
use crate::sources::formats::time::EARLIEST_S;

/// What a file itself says of when it was recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extent {
    /// In unix milliseconds, the best first.
    pub starts_ms: Vec<i64>,
    pub end_ms: Option<i64>,
}

/// Samples that go on after a hole like this may be of another day's recording,
const HOLE_MS: i64 = 6 * HOUR_MS;
/// which they are where they are fewer than one in twenty,
const FEW_IN: usize = 20;
/// or lie more than a day away and are fewer than one in five,
const FAR_MS: i64 = 24 * HOUR_MS;
const FAR_FEW_IN: usize = 5;
/// or more than a month away.
const ELSEWHERE_MS: i64 = 30 * FAR_MS;
/// Clocks and roundings differ by so much within one file.
const SLACK_MS: i64 = 60_000;
/// A shorter hole does not part samples from the recording.
const PAUSE_MS: i64 = 600_000;
/// One time in fifty may be a mistake; where there are more, the order is another.
const STRAY_IN: usize = 50;
/// More starts than these are not tried: laps by the thousand begin at no better times.
const MOST_STARTS: usize = 8;
const HOUR_MS: i64 = 3_600_000;

impl Recording {
    /// Puts the samples in order, settles the start, and leaves out what lies outside.
    pub fn anchor(&mut self) {
        if !self.is_device_time && self.samples.iter().any(|s| s.time_ms >= EARLIEST_S * 1000) {
            let unset = |s: &Sample| s.time_ms < EARLIEST_S * 1000;
            leave_out(&mut self.samples, &mut self.unread, Lost::StraySample, unset);
        }
        self.leave_other_days();
        order(&mut self.samples, &mut self.unread);
        let stated = self.stated_start();
        let first = self.samples.first().map(|s| s.time_ms);
        let start_ms = stated.or(first).or(self.stated.starts_ms.first().copied());
        if let Some(start_ms) = start_ms {
            self.activity.start_time = Timestamp::from_millisecond(start_ms).unwrap_or_default();
            self.leave_outside(start_ms);
        }
        if stated.is_none() && !self.stated.starts_ms.is_empty() && first.is_some() {
            self.activity.doubt(
                "start_time",
                "the start in the file does not fit its samples: the first sample is taken",
            );
            self.drop_lap_times();
        }
        merge_parts(&mut self.samples);
    }

    /// Parts of another day, that stale memory or a wrong clock left.
    fn leave_other_days(&mut self) {
        // No hole among the times in their order is wider than the widest step as they are written.
        let steps = self.samples.windows(2).map(|two| two[0].time_ms.abs_diff(two[1].time_ms));
        if steps.max().is_none_or(|widest| widest <= HOLE_MS.unsigned_abs()) {
            return;
        }
        let mut times: Vec<i64> = self.samples.iter().map(|s| s.time_ms).collect();
        times.sort_unstable();
        let clusters: Vec<&[i64]> = times.chunk_by(|a, b| b - a <= HOLE_MS).collect();
        let Some(largest) =
            clusters.iter().max_by_key(|cluster| cluster.len()).filter(|_| clusters.len() > 1)
        else {
            return;
        };
        let ends = |cluster: &[i64]| (cluster[0], cluster[cluster.len() - 1]);
        let (begin, end) = ends(largest);
        // What the file itself says to belong to it stays.
        let stated_start = self.stated.starts_ms.iter().find(|start| **start - SLACK_MS <= begin);
        let is_stated_length = |stated: i64| {
            stated <= ELSEWHERE_MS
                && self.stated_length_ms().is_none_or(|length| stated <= 2 * length + SLACK_MS)
        };
        let stated = stated_start.copied().zip(self.stated.end_ms);
        let stated = stated.filter(|(from, to)| to + SLACK_MS >= end && is_stated_length(to - from));
        let is_of_another_day = |cluster: &&&[i64]| {
            let (first, last) = ends(cluster);
            let is_stated =
                stated.is_some_and(|(from, to)| (from - SLACK_MS..=to + SLACK_MS).contains(&first));
            let away = (first - end).max(begin - last);
            away > 0
                && !is_stated
                && (away > ELSEWHERE_MS
                    || cluster.len() * FEW_IN < times.len()
                    || (away > FAR_MS && cluster.len() * FAR_FEW_IN < times.len()))
        };
        let left_out: Vec<(i64, i64)> = clusters.iter().filter(is_of_another_day).map(|c| ends(c)).collect();
        let is_left_out =
            |s: &Sample| left_out.iter().any(|(begin, end)| (*begin..=*end).contains(&s.time_ms));
        leave_out(&mut self.samples, &mut self.unread, Lost::OutsideSample, is_left_out);
    }

    /// Times of laps that no sample is near are as wrong as the start.
    fn drop_lap_times(&mut self) {
        let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) else { return };
        let times = first.time_ms - SLACK_MS..=last.time_ms + SLACK_MS;
        for lap in self.activity.laps.iter_mut().flatten() {
            lap.start_time = lap.start_time.filter(|start| times.contains(&start.as_millisecond()));
        }
    }

    /// How long the file says that it took, at most.
    fn stated_length_ms(&self) -> Option<i64> {
        let a = &self.activity;
        let laps_s =
            a.laps.as_ref().map(|laps| laps.iter().filter_map(|lap| lap.elapsed_s.or(lap.moving_s)).sum());
        let longest = [a.elapsed_s, a.moving_s, laps_s].into_iter().flatten().reduce(f64::max);
        longest.filter(|s| *s > 0.0).map(|s| (s * 1000.0) as i64)
    }

    /// The first of the stated starts that most samples agree with.
    fn stated_start(&self) -> Option<i64> {
        let Some(first_ms) = self.samples.first().map(|s| s.time_ms) else {
            return self.stated.starts_ms.first().copied();
        };
        let length = self.stated_length_ms();
        let agrees = |start: &i64| {
            if (start - first_ms).abs() <= SLACK_MS {
                return true;
            }
            // What goes on without a hole began with the first of it.
            let runs_before = self.samples.windows(2).any(|two| {
                (two[0].time_ms + 1..=two[1].time_ms).contains(&(start - SLACK_MS))
                    && two[1].time_ms - two[0].time_ms <= PAUSE_MS
            });
            if runs_before {
                return false;
            }
            let length = length.or(self.stated.end_ms.map(|end| end - start)).unwrap_or(HOLE_MS);
            let end = start + length + SLACK_MS;
            let within =
                self.samples.iter().filter(|s| (start - SLACK_MS..=end).contains(&s.time_ms)).count();
            first_ms <= end && 2 * within >= self.samples.len()
        };
        let stated = self.stated.starts_ms.iter().copied().take(MOST_STARTS).find(agrees)?;
        // Fractions of a second that the samples leave off.
        Some(if (0..1000).contains(&(stated - first_ms)) { first_ms } else { stated })
    }

    /// Samples before the start, and those that begin again long after the end.
    fn leave_outside(&mut self, start_ms: i64) {
        leave_out(&mut self.samples, &mut self.unread, Lost::OutsideSample, |s| s.time_ms < start_ms);
        let elapsed_ms = self.activity.elapsed_s.map(|s| start_ms + (s * 1000.0) as i64);
        let Some(end_ms) = self.stated.end_ms.max(elapsed_ms).filter(|end| *end > start_ms) else { return };
        let mut before = start_ms;
        let is_after = |s: &&Sample| {
            let hole = s.time_ms - before;
            before = s.time_ms;
            s.time_ms > end_ms + SLACK_MS && hole > PAUSE_MS
        };
        if let Some(behind) = self.samples.iter().find(is_after).map(|s| s.time_ms) {
            leave_out(&mut self.samples, &mut self.unread, Lost::OutsideSample, |s| s.time_ms >= behind);
        }
    }
}

fn leave_out(samples: &mut Vec<Sample>, unread: &mut Unread, lost: Lost, which: impl Fn(&Sample) -> bool) {
    let before = samples.len();
    // Hardly ever there is one.
    if samples.iter().any(&which) {
        samples.retain(|sample| !which(sample));
    }
    unread.add(lost, before - samples.len());
}

/// Puts samples in the order of their times, without those whose times are mistakes.
fn order(samples: &mut Vec<Sample>, unread: &mut Unread) {
    if samples.is_sorted_by_key(|s| s.time_ms) {
        return;
    }
    let strays = strays(samples);
    if strays.len() <= (samples.len() / STRAY_IN).max(1) {
        let mut strays = strays.into_iter().peekable();
        let mut index = 0;
        let before = samples.len();
        samples.retain(|_| {
            index += 1;
            strays.next_if_eq(&(index - 1)).is_none()
        });
        unread.add(Lost::StraySample, before - samples.len());
    }
    if samples.is_sorted_by_key(|s| s.time_ms) {
        return;
    }
    // Either the points were shuffled, or only their times shake: what makes the shorter way.
    let mut by_time = samples.clone();
    by_time.sort_by_key(|s| s.time_ms);
    let mut times: Vec<i64> = samples.iter().map(|s| s.time_ms).collect();
    times.sort_unstable();
    let mut as_written = samples.clone();
    as_written.iter_mut().zip(times).for_each(|(sample, time_ms)| sample.time_ms = time_ms);
    *samples = if way_m(&as_written) < 0.9 * way_m(&by_time) { as_written } else { by_time };
}

/// By the counter where there is one: that falls where the order is wrong.
fn way_m(samples: &[Sample]) -> f64 {
    let counted: Vec<f64> = samples.iter().filter_map(|s| s.distance_m).collect();
    if counted.len() > samples.len() / 2 {
        return counted.windows(2).map(|two| (two[1] - two[0]).abs()).sum();
    }
    path_m(samples).unwrap_or(0.0)
}

/// Samples that do not rise with the others and lie far from both their neighbours, by their index.
fn strays(samples: &[Sample]) -> Vec<usize> {
    // The longest series of times that do not fall: the end of the best one of each length, and
    // what comes before each of its members.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(samples.len());
    for (at, sample) in samples.iter().enumerate() {
        let length = ends.partition_point(|end| samples[*end].time_ms <= sample.time_ms);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut rises = vec![false; samples.len()];
    let mut member = ends.last().copied();
    while let Some(at) = member {
        rises[at] = true;
        member = before[at];
    }
    let mut steps: Vec<i64> = samples.windows(2).map(|two| (two[1].time_ms - two[0].time_ms).abs()).collect();
    let middle = steps.len() / 2;
    let typical_ms = *steps.select_nth_unstable(middle).1;
    let slack_ms = SLACK_MS.max(10 * typical_ms);
    let is_far = |at: usize| {
        let earlier = samples[..at].iter().zip(&rises[..at]).rev().find(|(_, rises)| **rises);
        let later = samples[at..].iter().zip(&rises[at..]).find(|(_, rises)| **rises);
        let time_ms = samples[at].time_ms;
        earlier.is_some_and(|(s, _)| time_ms < s.time_ms - slack_ms)
            || later.is_some_and(|(s, _)| time_ms > s.time_ms + slack_ms)
    };
    (0..samples.len()).filter(|at| !rises[*at] && is_far(*at)).collect()
}

/// Samples of one moment that tell different things become one.
fn merge_parts(samples: &mut Vec<Sample>) {
    samples.dedup_by(|later, sample| {
        let is_part = later.time_ms == sample.time_ms && sample.is_completed_by(later);
        if is_part {
            sample.complete_with(later);
        }
        is_part
    });
}
