//! What is known of one activity: what the list says of it, what was had of it, and what is owed.

use super::{Anew, DAY_S};
use crate::sources::strava::endpoints::{self, About, OF_ACTIVITIES};

/// What is younger than this may not be there yet.
pub(super) const FRESH_S: i64 = 3 * DAY_S;
/// What is not there yet is asked for again after these times, and then never.
const NOT_YET_S: [i64; 4] = [3 * 3_600, 12 * 3_600, DAY_S, 3 * DAY_S];

/// One activity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Known {
    pub start_s: i64,
    pub manual: bool,
    /// What the list's line says, hashed; 0 before a list had it.
    pub(super) print: u64,
    /// The last walk that listed it; 0 where only an archive has it.
    pub(super) scan: u32,
    /// When it can have come to be: its start, or when a later walk first listed it.
    pub(super) since_s: i64,
    pub(super) gone: Option<Gone>,
    pub(super) had: [Had; OF_ACTIVITIES],
}

/// Strava had an activity and has it no more, or shows it no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// When that was found, in unix seconds.
    pub at_s: i64,
    pub why: GoneWhy,
}

/// How it was found that an activity is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneWhy {
    /// Asked for by its id, it is not there (HTTP 404 or 410).
    NotFound,
    /// A walk of the whole list did not come across it.
    NotListed,
}

/// What an endpoint gave of an activity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Had {
    #[default]
    NotAsked,
    /// When the list's line said this. 0 stands for whatever it said.
    Whole { print: u64, at_s: i64 },
    /// It was not there, so often.
    Nothing { print: u64, at_s: i64, times: u8 },
}

impl Known {
    /// Whether the activity itself was had from the API.
    pub(super) fn has_detail(&self) -> bool {
        self.had.iter().enumerate().any(|(index, had)| {
            let is_of_api = matches!(had, Had::Whole { at_s, .. } if *at_s > i64::MIN);
            is_of_api && endpoints::of_activities(index).is_the_activity
        })
    }

    /// When what the endpoint at this index gives is owed: a time that may be in the past; None for never.
    pub(super) fn owed_at_s(&self, index: usize, id: &str, anew: Option<&Anew>) -> Option<i64> {
        let is_other = |print: u64| print != self.print && print != 0 && self.print != 0;
        let about = About { id, is_manual: self.manual };
        match self.had[index] {
            _ if self.gone.is_some() || !endpoints::of_activities(index).can_be_had(&about) => None,
            Had::NotAsked => Some(i64::MIN),
            Had::Whole { print, at_s } => {
                let is_anew = anew.is_some_and(|anew| anew.covers(id, self.start_s, at_s));
                (is_anew || is_other(print)).then_some(i64::MIN)
            }
            Had::Nothing { print, .. } if is_other(print) => Some(i64::MIN),
            Had::Nothing { at_s, .. } if anew.is_some_and(|anew| anew.covers(id, self.start_s, at_s)) => {
                Some(i64::MIN)
            }
            Had::Nothing { at_s, times, .. } => {
                let pause_s = NOT_YET_S.get(usize::from(times).saturating_sub(1))?;
                // The activity itself is never empty, however old it is.
                let is_soon = endpoints::of_activities(index).is_the_activity
                    || at_s - self.since_s < FRESH_S * i64::from(times);
                is_soon.then_some(at_s + pause_s)
            }
        }
    }

    /// The source has it. What was not there the last time may be there again: at once where it was away in between,
    /// and as for a fresh upload where the source says both that it is there and that it is not.
    pub(super) fn is_back(&mut self, at_s: i64) {
        match self.gone.take().map(|gone| gone.why) {
            Some(GoneWhy::NotListed) => {
                for had in &mut self.had {
                    if matches!(had, Had::Nothing { .. }) {
                        *had = Had::NotAsked;
                    }
                }
            }
            Some(GoneWhy::NotFound) => self.since_s = at_s,
            None => {}
        }
    }
}
