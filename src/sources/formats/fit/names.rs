//! Names for FIT's numbers, from tables in `data/` made of the public profile, 21.218.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::model::sport::{named, squashed};

type Names = LazyLock<HashMap<i64, &'static str>>;

macro_rules! table {
    ($file:literal) => {
        LazyLock::new(|| {
            let lines = include_str!(concat!("../../../../data/", $file)).lines().skip(1);
            let row = |line: &'static str| {
                let (number, name) = line.split_once(',').expect("a number and a name");
                (number.parse().expect("a number"), name)
            };
            lines.map(row).collect()
        })
    };
}

static SPORTS: Names = table!("fit_sports.csv");
static SUB_SPORTS: Names = table!("fit_sub_sports.csv");
static MANUFACTURERS: Names = table!("fit_manufacturers.csv");
static GARMIN_PRODUCTS: Names = table!("fit_garmin_products.csv");
static EXERCISES: Names = table!("fit_exercises.csv");

const GARMIN: &[i64] = &[1, 2, 13, 15, 89];

/// `running/trail`, or `running` where there is no more to say.
pub fn sport(sport: Option<i64>, sub_sport: Option<i64>) -> Option<String> {
    let name = |names: &Names, number: i64| {
        names.get(&number).map_or_else(|| number.to_string(), |name| (*name).to_string())
    };
    let sport = name(&SPORTS, sport?);
    match sub_sport {
        None | Some(0) => Some(sport),
        Some(sub_sport) => Some(format!("{sport}/{}", name(&SUB_SPORTS, sub_sport))),
    }
}

/// The numbers of the sport and the sub-sport that a canonical sport has in the profile; of one that it does not know,
/// those of any training.
pub fn numbers_of_sport(canonical: &str) -> (u8, u8) {
    /// By name, without punctuation.
    static NUMBERS: LazyLock<HashMap<String, (u8, u8)>> = LazyLock::new(|| {
        let specials = || std::iter::once(0).chain(SUB_SPORTS.keys().copied());
        let pairs = SPORTS.keys().flat_map(|general| specials().map(|special| (*general, special)));
        let named = pairs.filter_map(|(general, special)| {
            let name = squashed(&sport(Some(general), Some(special))?);
            Some((name, (u8::try_from(general).ok()?, u8::try_from(special).ok()?)))
        });
        named.collect()
    });
    const TRAINING: (u8, u8) = (10, 0);
    let names = named(canonical).map_or("", |sport| sport.files).split('|');
    names.map(|name| NUMBERS.get(name)).find_map(Option::<&_>::copied).unwrap_or(TRAINING)
}

/// As a person knows it: `Garmin fenix 5`. A number stands for what is not in the tables.
pub fn device(manufacturer: i64, product: Option<i64>) -> String {
    let maker = MANUFACTURERS
        .get(&manufacturer)
        .map_or_else(|| format!("manufacturer {manufacturer}"), |name| (*name).to_string());
    let Some(product) = product else { return maker };
    match GARMIN_PRODUCTS.get(&product).filter(|_| GARMIN.contains(&manufacturer)) {
        Some(name) if name.starts_with(&maker) => (*name).to_string(),
        Some(name) => format!("{maker} {name}"),
        None => format!("{maker} {product}"),
    }
}

/// The category of a strength exercise.
pub fn exercise(category: i64) -> Option<String> {
    EXERCISES.get(&category).map(|name| (*name).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sport_is_read_back_from_its_numbers() {
        for known in crate::model::sport::all() {
            let (general, special) = numbers_of_sport(known.name);
            let name = sport(Some(general.into()), Some(special.into())).unwrap();
            let read = crate::model::sport::canonical("files", &name).unwrap();
            let is_unknown_to_fit = (general, special) == (10, 0);
            assert!(read == known.name || is_unknown_to_fit, "{}: {name} is {read}", known.name);
        }
        assert_eq!(numbers_of_sport("trail_run"), (1, 3));
        assert_eq!(numbers_of_sport("ride"), (2, 0));
        assert_eq!(numbers_of_sport("yoga"), (10, 43));
    }

    #[test]
    fn devices_go_by_the_names_that_people_know() {
        for (manufacturer, product, name) in [
            (1, Some(2697), "Garmin fenix 5"),
            (1, Some(2691), "Garmin Forerunner 935"),
            (1, Some(1036), "Garmin Edge 500"),
            (1, Some(4060), "Garmin 4060"),
            (89, Some(4265), "Tacx Neo Smart"),
            (32, Some(31), "Wahoo 31"),
            (265, None, "Strava"),
            (60_000, Some(1), "manufacturer 60000 1"),
        ] {
            assert_eq!(device(manufacturer, product), name);
        }
    }
}
