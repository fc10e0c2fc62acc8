//! What the pipeline's boosters do with history: the table `data/boosters.csv`, read in FitGlue's public repository.
//! A booster that is not in it is said to be unknown, never to be harmless.

use std::sync::LazyLock;

use super::plain_name;

const TABLE: &str = include_str!("../../data/boosters.csv");

/// A line of the table. FitGlue's enum calls it `ENRICHER_PROVIDER_` and its name in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booster {
    pub name: &'static str,
    /// It stops each run and sends the user a push, until there is an answer.
    pub asks: bool,
    /// It counts on from one activity to the next, and is right only if they come oldest first and once.
    pub keeps_count: bool,
    /// It takes the time of the run for that of the activity.
    pub reads_clock: bool,
}

struct Table {
    boosters: Vec<Booster>,
    /// Of the pipeline's enum, by name.
    numbers: Vec<(&'static str, u32)>,
}

static BOOSTERS: LazyLock<Table> = LazyLock::new(|| {
    let mut numbers = Vec::new();
    let booster = |line: &'static str| {
        let cells: Vec<&str> = line.split(',').collect();
        let [number, name, asks, keeps_count, reads_clock] = cells[..] else {
            panic!("a line of the table of boosters has five cells")
        };
        if let Ok(number) = number.parse() {
            numbers.push((name, number));
        }
        Booster { name, asks: asks == "1", keeps_count: keeps_count == "1", reads_clock: reads_clock == "1" }
    };
    let boosters = TABLE.lines().skip(1).map(booster).collect();
    Table { boosters, numbers }
});

/// A booster's name in the one spelling: `ENRICHER_PROVIDER_USER_INPUT` and `11` are `user_input`.
pub fn booster_of(name: &str) -> String {
    plain_name(name, &["enricher_provider_"], &BOOSTERS.numbers)
}

/// What is known of a booster, by its name in the one spelling.
pub fn known(name: &str) -> Option<&'static Booster> {
    BOOSTERS.boosters.iter().find(|booster| booster.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booster_is_known_by_its_name_and_its_number() {
        for name in ["ENRICHER_PROVIDER_USER_INPUT", "user_input", "UserInput", "11"] {
            assert_eq!(booster_of(name), "user_input");
        }
        assert!(known("user_input").is_some_and(|booster| booster.asks && !booster.keeps_count));
        assert!(known("goal_tracker").is_some_and(|booster| booster.keeps_count && booster.reads_clock));
        assert_eq!(known(&booster_of("ENRICHER_PROVIDER_NEXT_YEARS")), None);
    }
}
