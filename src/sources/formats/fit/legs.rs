//! Sessions, laps and samples of a file put together: one recording for each session.

use super::part::Part;
use super::session::{Session, sums_of_laps};
use super::{EPOCH_S, FIRST_ABSOLUTE, names, time};
use crate::model::activity::Lap;
use crate::sources::Fault;
use crate::sources::formats::recording::{Recording, begin_counters_at};
use crate::sources::formats::series::add_heart_rates;

/// Samples that go on so long after the last lap are of one that was never closed.
const UNCLOSED_S: i64 = 60;

impl Part {
    pub fn into_recordings(mut self) -> Result<Vec<Recording>, Fault> {
        let mut sessions = std::mem::take(&mut self.sessions);
        if sessions.is_empty() {
            sessions.push(self.session_of_laps()?);
        }
        add_heart_rates(&mut self.samples, &std::mem::take(&mut self.heart_rates.rates));
        let sessions = self.dated(sessions);
        let starts: Vec<i64> = sessions.iter().map(|(start_s, _)| *start_s).collect();
        // Of several sessions, what happened belongs to the last one that had begun.
        let session_at = |time_s: i64| starts.iter().rposition(|start| *start <= time_s).unwrap_or(0);
        let mut recordings: Vec<Recording> =
            sessions.iter().map(|(start_s, session)| self.recording(*start_s, session)).collect();
        let samples = std::mem::take(&mut self.samples);
        match &mut recordings[..] {
            [only] => only.samples = samples,
            many => samples.into_iter().for_each(|sample| {
                many[session_at(sample.time_ms / 1000 - EPOCH_S)].samples.push(sample);
            }),
        }
        for lap in std::mem::take(&mut self.laps) {
            let at = lap.start_time.map_or(0, |start| session_at(start.as_second() - EPOCH_S));
            let laps = recordings[at].activity.laps.get_or_insert_default();
            laps.push(Lap { lap_index: i32::try_from(laps.len() + 1).ok(), ..lap });
        }
        for (time_s, set) in std::mem::take(&mut self.sets) {
            recordings[session_at(time_s)].activity.exercise_sets.get_or_insert_default().push(set);
        }
        count_each_leg(&mut recordings);
        recordings[0].unread.add_all(&self.unread);
        recordings.iter_mut().for_each(Recording::make_sense);
        Ok(recordings)
    }

    /// The laps tell what the session that was never written would have.
    fn session_of_laps(&mut self) -> Result<Session, Fault> {
        if self.samples.is_empty() && self.lap_sums.iter().all(|lap| lap.begins_s().is_none()) {
            return Err(Fault::record(match &self.partial {
                Some(partial) => format!("no samples and no session before the end: {partial}"),
                None => "an activity file without samples and without a session".to_string(),
            }));
        }
        self.partial.get_or_insert_with(|| "no session was written".to_string());
        let all = sums_of_laps(&self.lap_sums);
        let last_s = self.samples.iter().map(|s| s.time_ms / 1000 - EPOCH_S).max();
        let is_closed = last_s.is_none_or(|last| all.end_s.is_some_and(|end| last <= end + UNCLOSED_S));
        Ok(if is_closed {
            all
        } else {
            Session { start_s: all.start_s, sport: all.sport, sub_sport: all.sub_sport, ..Session::default() }
        })
    }

    /// Sessions with when they began, in that order. One that does not say it began where the one
    /// before it ended, or with the first sample.
    fn dated(&self, sessions: Vec<Session>) -> Vec<(i64, Session)> {
        let first_s = self.samples.iter().map(|s| s.time_ms / 1000 - EPOCH_S).min();
        let first_lap_s = self.lap_sums.iter().filter_map(Session::begins_s).min();
        let mut before_s = None;
        let mut dated: Vec<(i64, Session)> = sessions
            .into_iter()
            .map(|session| {
                let start_s = session.begins_s().or(before_s).or(first_s).or(first_lap_s).unwrap_or(0);
                before_s = session.ends_s().or(session.elapsed_s.map(|elapsed| start_s + elapsed as i64));
                (start_s, session)
            })
            .collect();
        dated.sort_by_key(|(start_s, _)| *start_s);
        dated
    }

    fn recording(&self, start_s: i64, session: &Session) -> Recording {
        let is_device_time = start_s < FIRST_ABSOLUTE;
        let mut recording = Recording { is_device_time, ..Recording::default() };
        let unix_ms = |fit_s: i64| (fit_s + EPOCH_S) * 1000;
        if session.begins_s().is_some() {
            recording.stated.starts_ms.push(unix_ms(start_s));
            // Some write the start in its place.
            let end_s = session.end_s.filter(|end_s| *end_s > start_s).or(session.ends_s());
            recording.stated.end_ms = end_s.map(unix_ms);
        }
        let a = &mut recording.activity;
        a.start_time = time(start_s);
        a.utc_offset_s = self.utc_offset_s;
        a.sport_raw = names::sport(session.sport.or(self.sport.0), session.sub_sport.or(self.sport.1));
        a.title.clone_from(&session.profile_name);
        a.device_name = self.device();
        a.device_serial = self.serial.map(|serial| serial.to_string());
        a.elapsed_s = session.elapsed_s;
        a.moving_s = session.moving_s.or(session.timer_s);
        a.distance_m = session.distance_m;
        a.calories_kcal = session.calories_kcal;
        a.avg_speed_mps = session.avg_speed_mps;
        a.max_speed_mps = session.max_speed_mps;
        a.avg_heart_rate_bpm = session.avg_heart_rate_bpm;
        a.max_heart_rate_bpm = session.max_heart_rate_bpm;
        a.avg_cadence_rpm = session.avg_cadence_rpm;
        a.max_cadence_rpm = session.max_cadence_rpm;
        a.avg_power_w = session.avg_power_w;
        a.max_power_w = session.max_power_w;
        a.weighted_power_w = session.normalized_power_w;
        a.work_kj = session.work_j.map(|j| j / 1000.0);
        a.elevation_gain_m = session.ascent_m;
        a.elevation_loss_m = session.descent_m;
        a.temperature_c = session.temperature_c;
        a.extra = crate::sources::extra(&session.extra);
        a.partial.clone_from(&self.partial);
        recording
    }
}

/// A counter that runs on through the legs of a file counts each from what it read before.
fn count_each_leg(recordings: &mut [Recording]) {
    let mut read_before_m = None;
    for recording in recordings {
        let counted = || recording.samples.iter().filter_map(|s| s.distance_m);
        let (first, last) = (counted().next(), counted().next_back());
        if let (Some(before_m), Some(first_m)) = (read_before_m, first)
            && before_m > 0.0
            && first_m >= before_m
        {
            begin_counters_at(&mut recording.samples, before_m);
        }
        read_before_m = last.or(read_before_m);
    }
}
