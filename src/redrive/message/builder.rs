//! An entry of a plan as a message: the teller's row, its samples, and what its source said of it.

use std::collections::HashMap;

use super::originals::Reader;
use super::payload::{self, Delivery, Payload, Samples};
use super::samples::{self, Place};
use crate::error::Result;
use crate::model::activity::{ExerciseSet, Lap};
use crate::model::sport;
use crate::redrive::Options;
use crate::redrive::plan::{Decision, Entry, Held, Reason, UserPlan};
use crate::redrive::reconcile::Teller;
use crate::sources::Source;
use crate::store::dataset::cells::Rows;
use crate::store::lake::Lake;
use arrow::array::RecordBatch;
use jiff::tz::TimeZone;

/// What a message may be, once the splitter has encoded it in base64 to publish it again.
pub const MAX_ENCODED_BYTES: usize = 10_000_000;

/// Of a record, at most: every field with all of its digits.
const MOST_BYTES_OF_RECORD: usize = 340;

/// `SOURCE_STRAVA`
pub fn source(source: Source) -> &'static str {
    source.spec().fitglue
}

/// Builds messages. Samples and originals are read some at a time, as they are asked for in the plan's order.
pub struct Builder<'a> {
    lake: &'a Lake,
    options: &'a Options,
    originals: Reader,
    samples: HashMap<Place, Samples>,
}

/// Read ahead at most, of one user.
const AHEAD: usize = 32;
const AHEAD_SAMPLES: usize = 100_000;

impl<'a> Builder<'a> {
    pub fn new(lake: &'a Lake, options: &'a Options) -> Builder<'a> {
        Builder { lake, options, originals: Reader::default(), samples: HashMap::new() }
    }

    /// Why an entry could not be sent, if it could not. It is built only where its length is in doubt.
    pub fn check(&mut self, plan: &UserPlan, at: usize) -> Result<Option<Held>> {
        const ALL_BUT_LISTS: usize = 1 << 16;
        let entry = &plan.entries[at];
        let teller = entry.teller.as_ref().expect("who is sent has been chosen");
        let rows = Rows(&plan.batches[teller.row.0]);
        let row = teller.row.1;
        let year = rows.time("start_time", row).map(|t| t.to_zoned(TimeZone::UTC).year());
        if !year.is_some_and(|year| (1..=9999).contains(&year)) {
            return Ok(Some(Held::new(Reason::NoTime, "it began in a year that no message can say")));
        }
        if self.options.is_webhook() {
            return Ok(None);
        }
        let original = match self.original(plan, entry, teller) {
            Ok(original) => original.map_or(0, str::len),
            Err(held) => return Ok(Some(held)),
        };
        let of_others = entry.others.iter().filter(|_| self.options.merged);
        let of_others = of_others.filter_map(|t| plan.places.of(t.source, &plan.user_id, &t.source_id));
        let samples = of_others.chain(&entry.samples).map(|place| place.samples).max().unwrap_or(0);
        // A byte of text is six at most, escaped.
        let text =
            original + rows.words("title").value(row).len() + rows.words("description").value(row).len();
        let most = samples * MOST_BYTES_OF_RECORD + text * 6 + ALL_BUT_LISTS;
        Ok(if encoded(most) <= MAX_ENCODED_BYTES { None } else { self.build(plan, at)?.err() })
    }

    fn original(
        &mut self,
        plan: &UserPlan,
        entry: &Entry,
        teller: &Teller,
    ) -> std::result::Result<Option<&str>, Held> {
        let Some(original) = &entry.original else { return Ok(None) };
        match self.originals.read(self.lake, original, &plan.user_id, &teller.source_id) {
            Ok(text) => Ok(Some(text)),
            Err(_) if self.options.without_original => Ok(None),
            Err(why) => Err(Held::new(
                Reason::OriginalGone,
                format!("{why}; `longrun fetch` gets it again, --without-original sends the rest"),
            )),
        }
    }

    /// The message, or why there is none.
    pub fn build(&mut self, plan: &UserPlan, at: usize) -> Result<std::result::Result<Vec<u8>, Held>> {
        let entry = &plan.entries[at];
        let teller = entry.teller.as_ref().expect("who is sent has been chosen");
        if self.options.is_webhook() {
            // Only that there is an activity is said, and the sink says it.
            return Ok(Ok(Vec::new()));
        }
        let rows = Rows(&plan.batches[teller.row.0]);
        let row = teller.row.1;
        let mut metadata = vec![("backfill", "true".to_string())];
        let mut samples = match &entry.samples {
            Some(place) => Some(self.samples(plan, at, place)?),
            None => None,
        };
        let mut sets = rows.within("exercise_sets", row).map(|sets| exercise_sets(&sets)).unwrap_or_default();
        if self.options.merged {
            let beats =
                |s: &Samples| s.heart_rate_bpm.as_ref().is_some_and(|rates| rates.iter().any(|r| *r > 0));
            if !samples.as_ref().is_some_and(beats) {
                for other in &entry.others {
                    let Some(place) = plan.places.of(other.source, &plan.user_id, &other.source_id) else {
                        continue;
                    };
                    let [ref read] = samples::read(self.lake, &[place])?[..] else { continue };
                    if let Some(merged) =
                        samples::with_heart_rate_of(samples.clone(), read, ahead_s(teller, other))
                    {
                        samples = Some(merged);
                        metadata.push(("longrun_merged_heart_rate", other.name()));
                        break;
                    }
                }
            }
            if sets.is_empty() {
                let with_sets = entry.others.iter().find_map(|other| {
                    let sets = Rows(&plan.batches[other.row.0]).within("exercise_sets", other.row.1)?;
                    (sets.num_rows() > 0).then(|| (other.name(), exercise_sets(&sets)))
                });
                if let Some((name, theirs)) = with_sets {
                    metadata.push(("longrun_merged_strength_sets", name));
                    sets = theirs;
                }
            }
        }
        let (title, description) = (rows.text("title", row), rows.text("description", row));
        let laps = rows.within("laps", row).map(|of| laps(&of)).unwrap_or_default();
        let told_sport = rows.word("sport", row).and_then(|name| sport::named(&name));
        let thin = self.options.thin;
        let original = match self.original(plan, entry, teller) {
            Ok(original) => original,
            Err(held) => return Ok(Err(held)),
        };
        let delivery = Delivery { execution_id: &entry.execution_id, pipeline_id: &entry.pipeline_id };
        loop {
            let payload = Payload {
                source: source(teller.source),
                user_id: &plan.user_id,
                original_json: original,
                metadata: &metadata,
                activity_id: &teller.source_id,
                start: rows.time("start_time", row).unwrap_or(entry.start),
                name: Some(&title),
                description: Some(&description),
                sport: told_sport.map_or("", |sport| sport.fitglue),
                elapsed_s: teller.elapsed_s.unwrap_or(0.0),
                distance_m: rows.number("distance_m", row),
                calories_kcal: rows.number("calories_kcal", row),
                laps: &laps,
                sets: &sets,
                samples: samples.as_ref(),
                as_f32: teller.source == Source::Strava,
            };
            let bytes = payload::message(&payload, delivery);
            let encoded = encoded(bytes.len());
            if encoded <= MAX_ENCODED_BYTES {
                return Ok(Ok(bytes));
            }
            let most = samples.as_ref().map_or(0, |samples| samples.time_s.len());
            match samples.as_mut().filter(|samples| thin && samples.every < most) {
                Some(samples) => {
                    let next = if samples.every == 0 {
                        encoded.div_ceil(MAX_ENCODED_BYTES).max(2)
                    } else {
                        samples.every * 2
                    };
                    samples.every = next.min(most);
                    metadata.retain(|(key, _)| *key != "longrun_thinned_to_every");
                    metadata.push(("longrun_thinned_to_every", samples.every.to_string()));
                }
                None => {
                    let way = if thin { "" } else { "; --thin sends every second record, or fewer" };
                    return Ok(Err(Held::new(
                        Reason::TooLarge,
                        format!(
                            "it takes {encoded} bytes in base64, and {MAX_ENCODED_BYTES} pass through the pipeline{way}"
                        ),
                    )));
                }
            }
        }
    }

    /// An entry's samples, and those of the next ones from the same file.
    fn samples(&mut self, plan: &UserPlan, at: usize, place: &Place) -> Result<Samples> {
        if let Some(samples) = self.samples.remove(place) {
            return Ok(samples);
        }
        let mut ahead: Vec<&Place> = Vec::new();
        let mut total = 0;
        let next = plan.entries[at..]
            .iter()
            .filter(|e| e.decision == Decision::Send)
            .filter_map(|e| e.samples.as_ref());
        for next in next.filter(|next| next.file == place.file).take(AHEAD) {
            total += next.samples;
            if total > AHEAD_SAMPLES && !ahead.is_empty() {
                break;
            }
            ahead.push(next);
        }
        if !ahead.contains(&place) {
            ahead.push(place);
        }
        ahead.sort_by_key(|place| place.row);
        ahead.dedup();
        let read = samples::read(self.lake, &ahead)?;
        self.samples = ahead.into_iter().cloned().zip(read).collect();
        Ok(self.samples.remove(place).unwrap_or_default())
    }
}

/// Length in base64.
fn encoded(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// What the other's clock is ahead of the teller's, but for whole quarters of an hour, which are zones.
fn ahead_s(teller: &Teller, other: &Teller) -> i64 {
    const QUARTER_S: i64 = 900;
    const NO_ZONE_S: i64 = 780;
    let ahead = other.start_s - teller.start_s;
    if ahead.abs() < NO_ZONE_S {
        ahead
    } else {
        (ahead + QUARTER_S / 2).rem_euclid(QUARTER_S) - QUARTER_S / 2
    }
}

fn laps(batch: &RecordBatch) -> Vec<Lap> {
    let rows = Rows(batch);
    let lap = |row| Lap {
        start_time: rows.time("start_time", row),
        elapsed_s: rows.number("elapsed_s", row),
        distance_m: rows.number("distance_m", row),
        ..Lap::default()
    };
    (0..batch.num_rows()).map(lap).collect()
}

fn exercise_sets(batch: &RecordBatch) -> Vec<ExerciseSet> {
    let rows = Rows(batch);
    let set = |row| ExerciseSet {
        exercise_name: rows.word("exercise_name", row),
        superset_id: rows.word("superset_id", row),
        set_type: rows.word("set_type", row),
        reps: rows.whole("reps", row),
        weight_kg: rows.number("weight_kg", row),
        distance_m: rows.number("distance_m", row),
        duration_s: rows.number("duration_s", row),
        notes: rows.word("notes", row),
        ..ExerciseSet::default()
    };
    (0..batch.num_rows()).map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_no_part_of_how_far_a_clock_is_ahead() {
        let teller = |start_s| Teller {
            source: Source::Strava,
            source_id: String::new(),
            is_same: true,
            start_s,
            elapsed_s: None,
            is_echo: false,
            row: (0, 0),
        };
        for (other_s, ahead) in [(1_000, 0), (1_090, 90), (940, -60), (4_603, 3), (1_000 - 20_700 - 7, -7)] {
            assert_eq!(ahead_s(&teller(1_000), &teller(other_s)), ahead);
        }
    }
}
