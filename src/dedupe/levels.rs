//! What two records can show beside each other, and what each is worth before a lake has taught anything.
//!
//! Six comparisons, as independent of each other as records of workouts let them be. The first is the
//! *relation* in time (start, end and duration are one thing seen three ways); what the others can tell
//! depends on it, so a part is never charged for being shorter than its whole.
//!
//! `m` is how often pairs that are one workout show a level, `u` how often other candidates do; the weight
//! is log2(m / u) bits. The shares of the relation are not learned: they say what must be true of anybody
//! (a body is in one place, so two records of one person at one time are one outing unless something
//! contradicts it), and a lake in which nothing overlaps by chance cannot teach it.

/// A level, and how often it shows.
#[derive(Debug)]
pub struct Level {
    pub name: &'static str,
    pub m: f64,
    pub u: f64,
    /// Shown only where one is a part of the other; shares of these add up by themselves.
    pub is_of_part: bool,
}

/// One of the things that are compared.
#[derive(Debug)]
pub struct Comparison {
    pub name: &'static str,
    pub levels: &'static [Level],
    /// Whether a lake can teach its shares.
    pub is_learned: bool,
}

const fn level(name: &'static str, m: f64, u: f64) -> Level {
    Level { name, m, u, is_of_part: false }
}

const fn of_part(name: &'static str, m: f64, u: f64) -> Level {
    Level { name, m, u, is_of_part: true }
}

/// In the order of a [`Pattern`].
pub const COMPARISONS: [Comparison; 6] = [
    Comparison {
        name: "time",
        is_learned: false,
        levels: &[
            // Start and duration agree: to the second, to 20 s, to a minute, to five.
            level("same", 0.34, 0.000_02),
            level("aligned", 0.14, 0.000_02),
            level("close", 0.16, 0.000_04),
            level("loose", 0.05, 0.000_1),
            // They last equally long, and one was put a while earlier or later.
            level("slid", 0.02, 0.000_1),
            // They start together, or end together, and one goes on or began earlier.
            level("starts", 0.08, 0.000_35),
            level("ends", 0.03, 0.000_2),
            // One within the other: the most of it, or a piece.
            level("contained", 0.04, 0.000_25),
            level("piece", 0.01, 0.000_8),
            // One of several that follow each other and make up the other.
            level("sequence", 0.03, 0.000_1),
            // They overlap for most of the shorter, for some of it, or hardly.
            level("overlap", 0.005, 0.000_15),
            // They overlap, and somebody else recorded with the account of one of them at that time.
            level("company", 0.005, 0.005),
            level("partly", 0.004, 0.000_2),
            level("touch", 0.001, 0.06),
            // Apart by what a zone is off, by other whole hours, by quarters, by any time; one starts where
            // the other ends. Sizes agree closely.
            level("zone", 0.024, 0.001),
            level("hour", 0.01, 0.003),
            level("quarter", 0.002, 0.01),
            level("end_for_start", 0.003, 0.003),
            // And neither has another that it could be one with.
            level("end_alone", 0.006, 0.000_2),
            level("moved", 0.004, 0.02),
            // And neither has another that it could be one with, so nothing speaks for two workouts.
            level("hour_alone", 0.02, 0.001),
            // They lie apart on one day, and how they do and what else there is around them says how likely it is.
            level("stray", 0.002, 0.002),
            level("moved_alone", 0.01, 0.002),
            // Only the day is known, or what was typed in: both sizes agree, one does, none.
            level("day", 0.03, 0.002),
            level("day_one", 0.01, 0.005),
            // Sizes agree, and nothing else of that day fits.
            level("day_alone", 0.03, 0.000_4),
            level("stray_by_hand", 0.002, 0.002),
            level("day_only", 0.002, 0.01),
            level("beside", 0.000_5, 0.12),
        ],
    },
    Comparison {
        name: "distance",
        is_learned: true,
        levels: &[
            level("same", 0.48, 0.05),
            level("close", 0.22, 0.06),
            level("near", 0.09, 0.09),
            level("miles_for_km", 0.02, 0.02),
            level("different", 0.19, 0.78),
            // As fast as the whole; no more than the whole has; more.
            of_part("pace", 0.40, 0.14),
            of_part("within", 0.55, 0.61),
            of_part("beyond", 0.05, 0.25),
        ],
    },
    Comparison {
        name: "sport",
        is_learned: true,
        levels: &[
            level("same", 0.71, 0.28),
            level("family", 0.10, 0.06),
            // This person's sources call one sport by these two names.
            level("confused", 0.05, 0.03),
            level("unspecific", 0.109, 0.12),
            // Two ways of going on foot; a boat, and a machine that is like one.
            level("kin", 0.015, 0.03),
            level("different", 0.016, 0.48),
        ],
    },
    Comparison {
        name: "track",
        is_learned: true,
        levels: &[
            level("same", 0.80, 0.02),
            level("inside", 0.168, 0.006),
            level("partly", 0.03, 0.03),
            level("elsewhere", 0.002, 0.944),
        ],
    },
    Comparison {
        name: "identity",
        is_learned: false,
        levels: &[
            // The same file or the id that the other names; the same file name; one device, one second.
            level("same", 0.25, 0.000_001),
            level("name", 0.05, 0.000_1),
            level("device", 0.30, 0.001),
            level("another", 0.000_5, 0.30),
            level("none", 0.50, 0.70),
        ],
    },
    Comparison {
        name: "effort",
        is_learned: true,
        levels: &[
            level("same", 0.48, 0.10),
            level("close", 0.33, 0.17),
            level("apart", 0.12, 0.24),
            level("different", 0.066, 0.24),
            // A rate that is hardly of the same heart.
            level("other", 0.004, 0.25),
        ],
    },
];

pub const TIME: usize = 0;
pub const DISTANCE: usize = 1;
pub const SPORT: usize = 2;
pub const TRACK: usize = 3;
pub const IDENTITY: usize = 4;
pub const EFFORT: usize = 5;

/// There is nothing to compare.
pub const ABSENT: u8 = u8::MAX;

/// The level of each comparison.
pub type Pattern = [u8; COMPARISONS.len()];

/// The number of a level, by its name.
pub const fn number(comparison: usize, name: &str) -> u8 {
    let levels = COMPARISONS[comparison].levels;
    let mut at = 0;
    while at < levels.len() {
        if is_same(levels[at].name, name) {
            return at as u8;
        }
        at += 1;
    }
    panic!("the level is in the table")
}

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

pub fn level_name(comparison: usize, level: u8) -> Option<&'static str> {
    COMPARISONS[comparison].levels.get(usize::from(level)).map(|level| level.name)
}
