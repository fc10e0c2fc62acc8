//! Canonical sports, and every source's names for them: the table `data/sports.csv`.
//!
//! Canonical are the live pipeline's 50 activity types and the six sports Strava has added
//! since. A name that is not in the table is kept raw, never guessed.

use std::collections::HashMap;
use std::sync::LazyLock;

const TABLE: &str = include_str!("../data/sports.csv");

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sport {
    pub name: &'static str,
    /// The live pipeline's enum value; empty for the sports it has none for.
    pub fitglue: &'static str,
    /// Strava's `sport_type`.
    pub strava: &'static str,
}

static SPORTS: LazyLock<Vec<Sport>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let mut cells = line.split(',');
        let mut cell = || cells.next().expect("every line has every column");
        Sport { name: cell(), fitglue: cell(), strava: cell() }
    };
    TABLE.lines().skip(1).map(line).collect()
});

static BY_STRAVA: LazyLock<HashMap<&'static str, Sport>> =
    LazyLock::new(|| SPORTS.iter().map(|sport| (sport.strava, *sport)).collect());

pub fn all() -> &'static [Sport] {
    &SPORTS
}

/// The sport that Strava calls `name`, in `sport_type` or in the older `type`.
pub fn from_strava(name: &str) -> Option<Sport> {
    BY_STRAVA.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_pipelines_sports_and_stravas_newer_ones() {
        assert_eq!(all().len(), 56);
        assert_eq!(all().iter().filter(|s| !s.fitglue.is_empty()).count(), 50);
        assert_eq!(from_strava("EBikeRide").unwrap().fitglue, "ACTIVITY_TYPE_EBIKE_RIDE");
        assert_eq!(from_strava("Padel").unwrap().name, "padel");
        assert_eq!(from_strava("UnderwaterHockey"), None);
    }
}
