//! Distance counters: where they begin, where they start over, and values that are mistakes.

use super::sums::STANDSTILL_MPS;
use super::{Lost, Recording, Sample, Unread, path_m};

/// Nobody covers more between two samples that a counter may fall by.
const JUMP_M: f64 = 100.0;
/// What may be covered before the first sample: so much at once,
const HEAD_START_M: f64 = 50.0;
/// and so much in every second.
const FASTEST_MPS: f64 = 30.0;
const M_PER_KM: f64 = 1000.0;
/// A shorter way says nothing of units.
const LEAST_WAY_M: f64 = 100.0;
/// How well a way by its positions agrees with the counter of it.
const SAME_WAY: f64 = 0.1;
/// How exactly a device's own total is that of its counter.
const SAME: f64 = 0.01;

impl Recording {
    /// Makes the samples' distances count from the start of the recording.
    pub fn count_from_start(&mut self) {
        mend(&mut self.samples, &mut self.unread);
        self.count_in_metres();
        let Some(first) = self.samples.iter().find(|s| s.distance_m.is_some()) else { return };
        let begin_m = first.distance_m.unwrap_or_default();
        let seconds = (first.time_ms - self.activity.start_time.as_millisecond()) as f64 / 1000.0;
        if begin_m <= HEAD_START_M + FASTEST_MPS * seconds.max(0.0) {
            return;
        }
        let last_m = self.samples.iter().filter_map(|s| s.distance_m).fold(0.0, f64::max);
        let is_total = |stated: f64| (stated - last_m).abs() <= last_m * SAME;
        if !self.activity.distance_m.is_some_and(is_total) {
            begin_counters_at(&mut self.samples, begin_m);
        }
    }
}

impl Recording {
    /// Some count kilometres and call them metres: what the file says of the whole and the positions tell.
    fn count_in_metres(&mut self) {
        let counted = self.samples.iter().filter_map(|s| s.distance_m).fold(0.0, f64::max);
        let read_m = counted * M_PER_KM;
        if read_m < LEAST_WAY_M || counted >= LEAST_WAY_M {
            return;
        }
        let witnesses = [self.activity.distance_m, path_m(&self.samples)];
        let mut witnesses = witnesses.into_iter().flatten().filter(|m| *m >= LEAST_WAY_M).peekable();
        if witnesses.peek().is_none() || !witnesses.all(|m| (m - read_m).abs() <= SAME_WAY * read_m) {
            return;
        }
        for distance_m in self.samples.iter_mut().filter_map(|s| s.distance_m.as_mut()) {
            *distance_m = in_centimetres(*distance_m * M_PER_KM);
        }
        self.activity
            .doubt("distance_m", format!("the samples count to {counted}, which is read as kilometres"));
    }
}

/// Takes what was counted before off every distance.
pub fn begin_counters_at(samples: &mut [Sample], begin_m: f64) {
    for distance_m in samples.iter_mut().filter_map(|s| s.distance_m.as_mut()) {
        *distance_m = in_centimetres((*distance_m - begin_m).max(0.0));
    }
}

/// As devices write them, without what adding makes of fractions.
fn in_centimetres(metres: f64) -> f64 {
    (metres * 100.0).round() / 100.0
}

/// Takes out single values that are mistakes, and goes on where a counter starts over.
fn mend(samples: &mut [Sample], unread: &mut Unread) {
    for sample in samples.iter_mut() {
        unread.keep(&mut sample.distance_m, 0.0..=1e8, Lost::Distance);
    }
    // A counter that stands at 0 while somebody moves is none.
    let moves = |s: &Sample| s.speed_mps.is_some_and(|mps| mps > STANDSTILL_MPS);
    if samples.iter().any(moves) && samples.iter().all(|s| s.distance_m.is_none_or(|m| m == 0.0)) {
        let lost = samples.iter_mut().filter_map(|sample| sample.distance_m.take()).count();
        return unread.add(Lost::Distance, lost);
    }
    let falls = |known: &[f64]| known.windows(2).any(|two| two[0] - two[1] > JUMP_M);
    let known: Vec<f64> = samples.iter().filter_map(|s| s.distance_m).collect();
    if !falls(&known) {
        return;
    }
    let mut mended = Vec::with_capacity(known.len());
    let mut counted_before = 0.0;
    let mut last = known[0];
    for (at, value) in known.iter().copied().enumerate() {
        let later = known.get(at + 1).copied();
        let rises_too_high = later.is_some_and(|later| value - later > JUMP_M && later >= last - JUMP_M);
        let falls_too_low = last - value > JUMP_M && later.is_some_and(|later| later >= last - JUMP_M);
        let is_stale = at == 0 && later.is_some_and(|later| value - later > JUMP_M);
        if (at > 0 && (rises_too_high || falls_too_low)) || is_stale {
            mended.push(None);
            if is_stale {
                last = later.unwrap_or_default();
            }
            continue;
        }
        if last - value > JUMP_M {
            counted_before += last;
        }
        last = value;
        mended.push(Some(in_centimetres(counted_before + value)));
    }
    let mut mended = mended.into_iter();
    for sample in samples.iter_mut().filter(|s| s.distance_m.is_some()) {
        sample.distance_m = mended.next().flatten();
        if sample.distance_m.is_none() {
            unread.add(Lost::Distance, 1);
        }
    }
}
