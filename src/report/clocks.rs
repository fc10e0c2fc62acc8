//! What was found out about people's clocks and zones, and how the odds of pairs fared with people who looked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::dataset::cells::Rows;

/// Stretches that are listed, the longest first.
const MOST: usize = 200;
/// Shifts nearer than this are one clock.
const ONE_CLOCK_S: i64 = 120;
/// After so long another stretch begins.
const LONGEST_GAP_MS: i64 = 60 * 86_400_000;

/// The records of one source that were moved alike for a stretch of days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockFigures {
    pub user: String,
    pub source: String,
    /// As `moved_a_why` in `matches`.
    pub why: String,
    pub from_ms: i64,
    pub to_ms: i64,
    pub records: u64,
    /// What they were moved by: the least and the most, which differ where daylight saving or a trip lies between.
    pub least_s: i64,
    pub most_s: i64,
}

/// Of the pairs that somebody answered and that had such odds before, how many are the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnsweredOdds {
    pub odds_from: f64,
    pub pairs: u64,
    pub same: u64,
}

/// Odds from which each line begins.
const ODDS: [f64; 6] = [0.0, 0.05, 1.0, 20.0, 100.0, 1000.0];

/// Counts while rows of `matches` are read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counting {
    /// Of each record of the bucket that is read, when it says that it began, what it was moved by, and why.
    #[serde(skip)]
    moved: BTreeMap<Channel, Moved>,
    longest: Vec<ClockFigures>,
    answered: [(u64, u64); ODDS.len()],
}

impl Counting {
    pub fn take(&mut self, rows: &Rows, row: usize) {
        for side in ["a", "b"] {
            let Some(why) = rows.word(&format!("moved_{side}_why"), row) else { continue };
            let text = |name: &str| rows.text(&format!("{name}_{side}"), row);
            let start_ms = rows.time_ms(&format!("start_time_{side}"), row);
            let moved_s = i64::from(rows.whole(&format!("moved_{side}_s"), row).unwrap_or(0));
            let channel = (rows.text("user_id", row), text("source"), why);
            self.moved.entry(channel).or_default().insert((start_ms, text("source_id")), moved_s);
        }
        if rows.text("reason", row) == "person" {
            let odds = f64::from(rows.small("bits", row)).exp2();
            let line = ODDS.iter().rposition(|from| odds >= *from).unwrap_or(0);
            self.answered[line].0 += 1;
            self.answered[line].1 += u64::from(rows.text("decision", row) == "match");
        }
    }

    /// All rows of a bucket were taken: nobody's stretch goes on in another one.
    pub fn end_bucket(&mut self) {
        let stretches = std::mem::take(&mut self.moved).into_iter().flat_map(stretches).collect();
        self.keep(stretches);
    }

    fn keep(&mut self, stretches: Vec<ClockFigures>) {
        self.longest.extend(stretches);
        self.longest.sort_by_cached_key(|s| {
            (std::cmp::Reverse(s.records), s.user.clone(), s.source.clone(), s.from_ms)
        });
        self.longest.truncate(MOST);
    }

    /// Takes in what was counted of another bucket.
    pub fn add(&mut self, other: Counting) {
        self.keep(other.longest);
        for (to, (pairs, same)) in self.answered.iter_mut().zip(other.answered) {
            to.0 += pairs;
            to.1 += same;
        }
    }

    pub fn clocks(self) -> (Vec<ClockFigures>, Vec<AnsweredOdds>) {
        let line = |(odds_from, (pairs, same)): (f64, (u64, u64))| AnsweredOdds { odds_from, pairs, same };
        let answered = ODDS.into_iter().zip(self.answered).map(line);
        (self.longest, answered.filter(|line| line.pairs > 0).collect())
    }
}

/// User, source, and why its records were moved.
type Channel = (String, String, String);
/// By start and id, what a record was moved by.
type Moved = BTreeMap<(i64, String), i64>;

fn stretches(((user, source, why), moved): (Channel, Moved)) -> Vec<ClockFigures> {
    let mut stretches: Vec<ClockFigures> = Vec::new();
    // Of local times only the zone is known, and each day's offset follows from it.
    let is_one = why != "clock";
    for ((start_ms, _), moved_s) in moved {
        let goes_on = |last: &&mut ClockFigures| {
            start_ms - last.to_ms <= LONGEST_GAP_MS
                && (is_one || (moved_s - last.most_s).abs() <= ONE_CLOCK_S)
        };
        match stretches.last_mut().filter(goes_on) {
            Some(last) => {
                last.to_ms = start_ms;
                last.records += 1;
                last.least_s = last.least_s.min(moved_s);
                last.most_s = last.most_s.max(moved_s);
            }
            None => stretches.push(ClockFigures {
                user: user.clone(),
                source: source.clone(),
                why: why.clone(),
                from_ms: start_ms,
                to_ms: start_ms,
                records: 1,
                least_s: moved_s,
                most_s: moved_s,
            }),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_one_stretch_through_daylight_saving_and_a_clock_ends_when_it_is_set() {
        const DAY_MS: i64 = 86_400_000;
        let channel = |why: &str, moved: &[(i64, i64)]| {
            let days = moved.iter().map(|(day, s)| ((day * DAY_MS, format!("r{day}")), *s)).collect();
            stretches((("u".to_string(), "hevy".to_string(), why.to_string()), days))
        };
        let local =
            channel("local_time", &[(0, -3600), (20, -3600), (40, -7200), (41, 18_000), (300, -3600)]);
        let seen: Vec<_> = local.iter().map(|s| (s.records, s.least_s, s.most_s)).collect();
        assert_eq!(seen, [(4, -7200, 18_000), (1, -3600, -3600)]);
        let clock = channel("clock", &[(0, 3600), (1, 3610), (2, -540), (3, -541)]);
        let seen: Vec<_> = clock.iter().map(|s| (s.records, s.from_ms / DAY_MS, s.to_ms / DAY_MS)).collect();
        assert_eq!(seen, [(2, 0, 1), (2, 2, 3)]);
    }
}
