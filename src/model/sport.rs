//! Canonical sports, and every source's names for them: the tables `data/sports.csv` and, for the languages that
//! Strava writes its archives in, `data/strava_sports.csv`.
//!
//! Canonical are the live pipeline's 50 activity types and the six sports Strava has added since. A cell holds a
//! source's names, `|` between them; case, spaces and punctuation do not count. A name that is in no table is kept
//! raw, never guessed, and `normalize` counts it. An athlete's own rules come before the tables.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::error::{Error, Result};

const TABLE: &str = include_str!("../../data/sports.csv");
/// A line is a language, a sport and its names there. They are Strava's own where public exports show them, and
/// otherwise what people who speak the language call the sport.
const LANGUAGES: &str = include_str!("../../data/strava_sports.csv");
const STRAVA: &str = "strava";
/// Device files come from every service. Names that are not in their own column are looked up in these, in order.
const FILES: (&str, [&str; 2]) = ("files", ["garmin", STRAVA]);
/// Says only that somebody exercised.
pub const ANY_FAMILY: &str = "any";
/// The family of sports on snow.
pub const SNOW: &str = "snow";
/// That of sports on the spot.
pub const GYM: &str = "gym";
pub const RIDE: &str = "ride";

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sport {
    pub name: &'static str,
    /// Sports that sources take for one another; [`ANY_FAMILY`] is that of a workout of any kind.
    pub family: &'static str,
    /// The live pipeline's enum value; empty for the sports it has none for.
    pub fitglue: &'static str,
    /// Strava's `sport_type`.
    pub strava: &'static str,
    /// What device files call it, `|` between the names: the one of FIT's profile first, where it has one.
    pub files: &'static str,
}

struct Table {
    sports: Vec<Sport>,
    /// Places in the list, by the column, which is the name of a source, and the name that it uses.
    by_name: HashMap<&'static str, HashMap<String, usize, QuickHash>, QuickHash>,
}

/// The names are ours, so nobody can choose them to collide; and each activity is looked up several times.
type QuickHash = BuildHasherDefault<Fnv>;

/// FNV-1a.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.0 =
            bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

static SPORTS: LazyLock<Table> = LazyLock::new(|| {
    let mut lines = TABLE.lines();
    let header: Vec<&'static str> = lines.next().expect("the table has a header").split(',').collect();
    let mut table = Table { sports: Vec::new(), by_name: HashMap::default() };
    let mut written: Vec<(&'static str, &'static str, String)> = Vec::new();
    for line in lines {
        let cells: Vec<&'static str> = line.split(',').collect();
        let strava = cells[3].split('|').next().expect("a cell is there");
        let files = header.iter().position(|column| *column == FILES.0).expect("device files have a column");
        let (name, family, fitglue, files) = (cells[0], cells[1], cells[2], cells[files]);
        let sport = Sport { name, family, fitglue, strava, files };
        for (column, cell) in header.iter().zip(&cells).skip(3) {
            for name in cell.split('|').filter(|name| !name.is_empty()) {
                let meant = squashed(name);
                table.by_name.entry(column).or_default().insert(meant.clone(), table.sports.len());
                written.push((*column, name, meant));
            }
        }
        table.sports.push(sport);
    }
    let of_strava = table.by_name.entry(STRAVA).or_default();
    for line in LANGUAGES.lines().skip(1) {
        let [_language, name, names] = line.splitn(3, ',').collect::<Vec<_>>()[..] else {
            panic!("{line:?} is not a language, a sport and its names");
        };
        let sport =
            table.sports.iter().position(|sport| sport.name == name).expect("the sport is in the table");
        for name in names.split('|') {
            let meant = squashed(name);
            of_strava.insert(meant.clone(), sport);
            written.push((STRAVA, name, meant));
        }
    }
    // As they are written, too: that is how most of them come.
    for (column, name, meant) in written.into_iter().filter(|(_, name, meant)| name != meant) {
        let names = table.by_name.get_mut(column).expect("the name is from there");
        names.insert(name.to_string(), names[&meant]);
    }
    table
});

pub fn all() -> &'static [Sport] {
    &SPORTS.sports
}

/// The sport of a canonical name.
pub fn named(name: &str) -> Option<Sport> {
    all().iter().find(|sport| sport.name == name).copied()
}

/// The canonical name of what a source calls `raw`. A name that goes from the general to the special
/// (`running/trail`) and is not known as a whole is known by its beginning, or by its end where the beginning says
/// only that somebody exercised (`generic/lap_swimming`).
pub fn canonical(source: &str, raw: &str) -> Option<&'static str> {
    known(source, raw).map(|sport| sport.name)
}

/// The same, with what is true of the sport.
pub fn known(source: &str, raw: &str) -> Option<&'static Sport> {
    let columns = [source].into_iter().chain(FILES.1.into_iter().filter(|_| source == FILES.0));
    let known = |name: &str| {
        let as_written = SPORTS.by_name.get(source).and_then(|names| names.get(name));
        let squashed = || {
            let name = squashed(name);
            columns.clone().find_map(|column| SPORTS.by_name.get(column)?.get(&name))
        };
        as_written.or_else(squashed).map(|place| &SPORTS.sports[*place])
    };
    let pair = || {
        let (general, special) = raw.split_once('/')?;
        match known(general) {
            Some(sport) if sport.family != ANY_FAMILY => Some(sport),
            vague => known(special).or(vague),
        }
    };
    known(raw).or_else(pair)
}

/// Letters and digits in lower case.
pub fn squashed(name: &str) -> String {
    if name.is_ascii() {
        let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
        return letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    }
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// An athlete's own rules: the first one whose words stand in the title decides the sport.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// In lower case.
    substring: String,
    sport: &'static str,
}

impl Rules {
    /// Reads `[{"substring": …, "target_type": …}, …]`, as the pipeline's Type Mapper has them.
    /// The sport is the pipeline's name of it, Strava's, or the canonical one.
    pub fn parse(text: &str) -> Result<Rules> {
        #[derive(Deserialize)]
        struct Written {
            substring: String,
            target_type: String,
        }
        let written: Vec<Written> = serde_json::from_str(text).map_err(|e| {
            Error::Usage(format!(
                "the rules cannot be read ({e}); they look like \
                     [{{\"substring\": \"parkrun\", \"target_type\": \"Run\"}}]"
            ))
        })?;
        let rules = written.into_iter().enumerate().map(|(at, rule)| {
            let wanted = squashed(rule.target_type.trim_start_matches("ACTIVITY_TYPE_"));
            let sport = all().iter().find(|s| squashed(s.name) == wanted || squashed(s.strava) == wanted);
            let complain = |what: &str| Error::Usage(format!("rule {}: {what}", at + 1));
            let sport = sport.ok_or_else(|| {
                complain(&format!(
                    "{:?} is no sport; Strava's names are known, such as TrailRun",
                    rule.target_type
                ))
            })?;
            if rule.substring.trim().is_empty() {
                return Err(complain("its substring is empty, so it would take every title"));
            }
            Ok(Rule { substring: rule.substring.to_lowercase(), sport: sport.name })
        });
        rules.collect::<Result<_>>().map(Rules)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sport that the rules give a title, and the words that decided.
    pub fn decide(&self, title: &str) -> Option<(&'static str, &str)> {
        if self.0.is_empty() {
            return None;
        }
        let title = title.to_lowercase();
        let rule = self.0.iter().find(|rule| title.contains(&rule.substring))?;
        Some((rule.sport, &rule.substring))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_pipelines_sports_and_stravas_newer_ones() {
        assert_eq!(all().len(), 56);
        assert_eq!(all().iter().filter(|s| !s.fitglue.is_empty()).count(), 50);
        assert_eq!(named("ebike_ride").unwrap().fitglue, "ACTIVITY_TYPE_EBIKE_RIDE");
        assert_eq!(canonical("strava", "Padel"), Some("padel"));
        assert_eq!(canonical("strava", "UnderwaterHockey"), None);
        for sport in all() {
            assert_eq!(canonical("strava", sport.strava), Some(sport.name));
        }
    }

    #[test]
    fn every_source_has_its_own_names() {
        for (source, raw, sport) in [
            ("strava", "Weight Training", "weight_training"),
            ("strava", "Radfahrt", "ride"),
            ("strava", "E-Bike Ride", "ebike_ride"),
            ("garmin", "TRAIL_RUNNING", "trail_run"),
            ("garmin", "lap_swimming", "swim"),
            ("fitbit", "Outdoor Bike", "ride"),
            ("apple", "TraditionalStrengthTraining", "weight_training"),
            ("health-connect", "running_treadmill", "run"),
            ("files", "running/trail", "trail_run"),
            ("files", "running/some_new_kind", "run"),
            ("files", "Biking", "ride"),
            ("files", "generic/lap_swimming", "swim"),
            ("files", "training/elliptical", "elliptical"),
            ("files", "training/some_new_kind", "workout"),
            ("files", "resort_skiing_snowboarding_ws", "alpine_ski"),
            ("files", "Course à pied", "run"),
        ] {
            assert_eq!(canonical(source, raw), Some(sport), "{source} {raw}");
        }
        assert_eq!(canonical("fitbit", "Radfahrt"), None);
    }

    #[test]
    fn no_name_of_strava_means_two_sports_in_any_language() {
        let mut sport_of: HashMap<String, &str> = HashMap::new();
        for sport in all() {
            sport_of.insert(squashed(sport.strava), sport.name);
        }
        let mut languages = std::collections::BTreeSet::new();
        for line in LANGUAGES.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            languages.insert(cells[0]);
            for name in cells[2].split('|') {
                let sport = sport_of.entry(squashed(name)).or_insert(cells[1]);
                assert_eq!(*sport, cells[1], "{name:?} in {:?}", cells[0]);
                assert_eq!(canonical(STRAVA, name), Some(cells[1]), "{name:?}");
            }
        }
        assert!(languages.len() >= 18, "{languages:?}");
    }

    #[test]
    fn the_first_rule_whose_words_stand_in_the_title_decides() {
        let rules = Rules::parse(
            r#"[{"substring":"Parkrun","target_type":"ACTIVITY_TYPE_RUN"},{"substring":"run","target_type":"TrailRun"}]"#,
        )
        .unwrap();
        assert_eq!(rules.decide("Saturday PARKRUN"), Some(("run", "parkrun")));
        assert_eq!(rules.decide("a long run"), Some(("trail_run", "run")));
        assert_eq!(rules.decide("yoga"), None);
        for bad in [
            "{}",
            r#"[{"substring":"x","target_type":"Chess"}]"#,
            r#"[{"substring":" ","target_type":"Run"}]"#,
        ] {
            assert!(Rules::parse(bad).is_err());
        }
    }
}
