//! Names that people give: a copy is called as its original, whatever became of its time on the way.

use std::collections::{BTreeMap, BTreeSet};

use twox_hash::XxHash64;

use super::cluster::Clusters;
use crate::model::sport;

/// With less, a name says nothing: it stands on every fourth workout.
const LEAST_BITS: f64 = 2.0;
const MOST_BITS: f64 = 5.0;

/// The name that somebody gave, whatever its capital letters. Apps name things after a sport, in their own words: those
/// are nobody's names.
pub fn given(title: &str) -> Option<u64> {
    let words: Vec<&str> = title.split_whitespace().collect();
    let is_sport = |words: &[&str]| {
        let words = words.concat();
        ["strava", "garmin"].iter().any(|source| sport::known(source, &words).is_some())
    };
    let names_sport = words.iter().any(|word| is_sport(&[word])) || words.windows(2).any(is_sport);
    let is_given = !names_sport && !words.is_empty();
    is_given.then(|| XxHash64::oneshot(0, title.trim().to_lowercase().as_bytes()))
}

/// Which clusters carry which names.
pub struct Titles {
    clusters_of: BTreeMap<u64, BTreeSet<usize>>,
    workouts: usize,
}

impl Titles {
    pub fn of(clusters: &Clusters) -> Titles {
        let mut clusters_of: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        for (at, record) in clusters.records.iter().enumerate() {
            if let Some(title) = record.title {
                clusters_of.entry(title).or_default().insert(clusters.of[at]);
            }
        }
        Titles { clusters_of, workouts: clusters.members.iter().filter(|own| !own.is_empty()).count() }
    }

    /// What it says that two are called the same, as nothing else within `near_s` is. None where no name tells, where
    /// one account calls both so, and where one device made both.
    pub fn bits(&self, clusters: &Clusters, (one, other): (usize, usize), near_s: i64) -> Option<f64> {
        let named = |cluster: usize, title: u64| {
            let members = clusters.members[cluster].iter().map(|at| &clusters.records[*at]);
            members.filter(move |record| record.title == Some(title))
        };
        let is_copy =
            |title: u64| named(one, title).all(|a| named(other, title).all(|b| !a.is_of_one_account_with(b)));
        let start_s = |cluster: usize| clusters.placed[clusters.typical(cluster)].start_s;
        let is_near = |cluster: &usize| {
            [one, other].iter().any(|of| (start_s(*of) - start_s(*cluster)).abs() <= near_s)
        };
        let bits = |(_, all): (&u64, &BTreeSet<usize>)| {
            let rarity = (self.workouts as f64 / all.len() as f64).log2();
            let is_rare = rarity >= LEAST_BITS && all.iter().filter(|at| is_near(at)).count() == 2;
            is_rare.then_some(rarity.min(MOST_BITS))
        };
        let titles: BTreeSet<u64> =
            clusters.members[one].iter().filter_map(|at| clusters.records[*at].title).collect();
        let shared = titles.iter().filter_map(|title| self.clusters_of.get_key_value(title));
        let shared = shared.filter(|(title, all)| all.contains(&other) && is_copy(**title));
        shared.filter_map(bits).max_by(f64::total_cmp).filter(|_| !are_of_one_device(clusters, one, other))
    }
}

/// Whether one device made records of both.
fn are_of_one_device(clusters: &Clusters, one: usize, other: usize) -> bool {
    let devices = |cluster: usize| -> BTreeSet<_> {
        let records = clusters.members[cluster].iter().map(|at| &clusters.records[*at]);
        records.filter_map(|record| Some((record.source, record.device?))).collect()
    };
    !devices(one).is_disjoint(&devices(other))
}

#[cfg(test)]
mod tests {
    use super::given;

    #[test]
    fn what_apps_call_things_is_no_name() {
        for title in ["Morning Run", "Stockholm Strength Training", "Lunch Weight Training", "Yoga", " "] {
            assert_eq!(given(title), None, "{title}");
        }
        assert!(given("Legs").is_some());
        assert_eq!(given(" 5x5 A"), given("5X5 a"));
        assert_ne!(given("5x5 A"), given("5x5 B"));
    }
}
