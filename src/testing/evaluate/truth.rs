//! What records truly are: read from a file, and joined with the records of a lake.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Deserialize;

use super::corpus::Export;
use super::listed::Listed;
use crate::error::{Error, Result};
use crate::testing::synth::exports;

/// What one record truly is.
#[derive(Debug, Clone)]
pub struct Known {
    pub source: String,
    pub key: String,
    /// Records that share one are the same workout.
    pub workouts: BTreeSet<String>,
    pub classes: BTreeSet<String>,
    pub relation: String,
    /// Its place among the person's records; None where there is none.
    pub record: Option<usize>,
}

/// By user.
pub type Truth = BTreeMap<String, Vec<Known>>;

#[derive(Debug, Deserialize)]
struct Row {
    user: String,
    source: String,
    key: String,
    workout: String,
    #[serde(default)]
    class: String,
    #[serde(default)]
    relation: String,
}

/// Reads a `truth.csv`, whose sources are called as the folders of the exports are. Rows of one record are put together;
/// rows with one key and workout are of several records.
pub fn of_csv(path: &Path, exports: &[Export]) -> Result<Truth> {
    let of_folder: HashMap<(&str, &str), &str> = exports
        .iter()
        .filter_map(|export| Some(((export.user.as_str(), export.folder.as_str()), export.source?.name())))
        .collect();
    let source_of = |row: &Row| match of_folder.get(&(row.user.as_str(), row.source.as_str())) {
        Some(source) => (*source).to_string(),
        None => row.source.replace('_', "-"),
    };
    let complain = |e: csv::Error| Error::Usage(format!("{}: {e}", path.display()));
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_path(path).map_err(complain)?;
    let mut truth = Truth::new();
    let mut seen: HashMap<(String, String, String), usize> = HashMap::new();
    for row in reader.deserialize() {
        let row: Row = row.map_err(complain)?;
        let own = truth.entry(row.user.clone()).or_default();
        let classes = row.class.split('|').map(str::trim).filter(|class| !class.is_empty());
        let source = source_of(&row);
        let place = (row.user, source, row.key);
        match seen.get(&place) {
            Some(at) if !own[*at].workouts.contains(&row.workout) => {
                own[*at].workouts.insert(row.workout);
                own[*at].classes.extend(classes.map(str::to_string));
            }
            _ => {
                own.push(Known {
                    source: place.1.clone(),
                    key: place.2.clone(),
                    workouts: BTreeSet::from([row.workout]),
                    classes: classes.map(str::to_string).collect(),
                    relation: row.relation,
                    record: None,
                });
                seen.insert(place, own.len() - 1);
            }
        }
    }
    Ok(truth)
}

/// Reads the `truth.jsonl` of `synth exports` or `synth activities`.
pub fn of_jsonl(path: &Path) -> Result<Truth> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let mut truth = Truth::new();
    for (number, line) in text.lines().enumerate() {
        let known: exports::Truth = serde_json::from_str(line)
            .map_err(|e| Error::Usage(format!("{}, line {}: {e}", path.display(), number + 1)))?;
        let mut classes: BTreeSet<String> = known.classes.iter().map(word).collect();
        classes.extend(known.scene.map(|(scene, _)| word(&scene)));
        truth.entry(known.user_id).or_default().push(Known {
            source: known.source.name().to_string(),
            key: known.source_id,
            workouts: known.of.into_iter().collect(),
            classes,
            relation: String::new(),
            record: None,
        });
    }
    Ok(truth)
}

/// A word as it stands in JSON.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).expect("it is plain");
    value.as_str().unwrap_or_default().to_string()
}

/// Finds each record that a person's truth tells of, by its key. The corpus' documentation says how.
pub fn join(known: &mut [Known], records: &[Listed]) {
    let mut taken = vec![false; records.len()];
    let fits: [fn(&str, &Listed) -> bool; 3] = [has_id, has_file, has_times];
    for fit in fits {
        for one in known.iter_mut().filter(|one| one.record.is_none()) {
            let found = records.iter().enumerate().find(|(at, record)| {
                !taken[*at] && record.source.replace('_', "-") == one.source && fit(&one.key, record)
            });
            if let Some((at, _)) = found {
                one.record = Some(at);
                taken[at] = true;
            }
        }
    }
}

fn has_id(key: &str, record: &Listed) -> bool {
    record.source_id == key
}

fn has_file(key: &str, record: &Listed) -> bool {
    let (name, number) = match key.rsplit_once('#') {
        Some((name, number)) => (name, number.parse::<usize>().ok()),
        None => (key, None),
    };
    fn plain(path: &str) -> &str {
        path.rsplit(['/', '!']).next().unwrap_or(path).trim_end_matches(".gz")
    }
    let (path, index) = record.raw_ref.rsplit_once('#').unwrap_or((&record.raw_ref, "0"));
    let is_named = plain(path) == plain(name)
        || record.external_id.as_deref().is_some_and(|id| plain(id) == plain(name));
    is_named && number.is_none_or(|number| index.parse::<usize>().is_ok_and(|index| index + 1 == number))
}

fn has_times(key: &str, record: &Listed) -> bool {
    match key.split_once('/') {
        Some((start, end)) => is_at(start, record.start_s, record) && is_at(end, record.end_s(), record),
        None => is_at(key, record.start_s, record),
    }
}

fn is_at(text: &str, second: i64, record: &Listed) -> bool {
    let within_s = if text.matches(':').count() < 2 && text.len() < 20 { 59 } else { 1 };
    let is_near = |wanted: i64| (second - wanted).abs() <= within_s;
    if let Ok(number) = text.parse::<i64>() {
        return is_near(number) || is_near(number / 1000);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return is_near(time.as_second());
    }
    let Ok(clock) = text.parse::<DateTime>() else { return false };
    let Ok(clock) = clock.to_zoned(jiff::tz::TimeZone::UTC) else { return false };
    let clock_s = clock.timestamp().as_second();
    // A clock whose zone nobody knows stands in the lake as it stands in the export.
    is_near(clock_s) || record.utc_offset_s.is_some_and(|offset_s| is_near(clock_s - i64::from(offset_s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(source: &str, id: &str, raw_ref: &str, start: &str, elapsed_s: f64) -> Listed {
        Listed {
            source: source.to_string(),
            source_id: id.to_string(),
            external_id: None,
            raw_ref: raw_ref.to_string(),
            file_sha256: None,
            start_s: start.parse::<Timestamp>().unwrap().as_second(),
            utc_offset_s: None,
            elapsed_s: Some(elapsed_s),
            distance_m: None,
            sport: None,
        }
    }

    #[test]
    fn records_are_found_by_id_file_start_or_start_and_end() {
        let text = "user,source,key,workout,class,relation\n\
            u,strava,77,w1,cropped|by_hand,same\n\
            u,files,ride.gpx#2,w1,,\n\
            u,files,ride.gpx#2,w2,,\n\
            u,hevy,2025-12-22T08:00,w3,,\n\
            u,apple,2025-12-22T08:00:00Z/2025-12-22T09:00:00Z,w3,,\n\
            u,apple,2025-12-22T08:00:00Z/2025-12-22T09:00:00Z,w3,,\n\
            u,strava,78,w4,,\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut truth = of_csv(file.path(), &[]).unwrap();
        let known = truth.get_mut("u").unwrap();
        let records = [
            listed("apple", "a", "x!export.xml", "2025-12-22T08:00:00Z", 1800.0),
            listed("apple", "b", "x!export.xml", "2025-12-22T08:00:00Z", 3600.0),
            listed("apple", "c", "x!export.xml", "2025-12-22T08:00:00Z", 3600.0),
            listed("files", "f", "x!uploads/ride.gpx.gz#0", "2025-12-22T08:00:00Z", 3600.0),
            listed("files", "g", "x!uploads/ride.gpx.gz#1", "2025-12-22T10:00:00Z", 3600.0),
            listed("hevy", "h", "x!workouts.csv#0", "2025-12-22T08:00:00Z", 3600.0),
            listed("strava", "77", "x!activities.csv#0", "2025-12-22T08:00:00Z", 3600.0),
        ];
        join(known, &records);
        let found: Vec<Option<usize>> = known.iter().map(|one| one.record).collect();
        assert_eq!(found, [Some(6), Some(4), Some(5), Some(1), Some(2), None]);
        assert_eq!(known[1].workouts.len(), 2);
        assert_eq!(known[0].classes.len(), 2);
    }
}
