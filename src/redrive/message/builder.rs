//! A record as a message: its row, its samples, and its original as the source gave it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::originals::{Original, Reader};
use super::payload::{self, Delivery, Payload, Samples};
use super::samples;
use crate::error::Result;
use crate::model::activity::{ExerciseSet, Lap};
use crate::model::sport;
use crate::redrive::workouts::Member;
use crate::sources::Source;
use crate::store::dataset::{Place, cells::Rows};
use crate::store::lake::Lake;

/// What a message may be, once the splitter has encoded it in base64 to publish it again.
pub const MAX_ENCODED_BYTES: usize = 10_000_000;

/// Of a record, at most: every field with all of its digits.
const MOST_BYTES_OF_RECORD: usize = 340;

/// `SOURCE_STRAVA`
pub fn source(source: Source) -> &'static str {
    source.spec().fitglue
}

/// A digest of what messages say of a record: two that say the same have the same. Samples and the original follow
/// from the activity, and are no part of it.
pub fn content(rows: Rows, row: usize) -> i64 {
    let number = |name: &str| rows.number(name, row).map(f64::to_bits);
    let said = (
        (rows.word("title", row), rows.word("description", row), rows.word("sport", row)),
        (rows.time_ms("start_time", row), number("elapsed_s"), number("distance_m"), number("calories_kcal")),
        rows.within("laps", row).map(|of| laps(&of)),
        rows.within("exercise_sets", row).map(|of| exercise_sets(&of)),
    );
    XxHash64::oneshot(0, format!("{said:?}").as_bytes()).cast_signed()
}

/// What goes into messages, where there is a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Heart rates and sets that other records of the workout have.
    pub merged: bool,
    /// Fewer samples, where all would be too long.
    pub thin: bool,
    /// Activities whose original is gone, without it.
    pub without_original: bool,
}

/// What a message is made of, and where each part lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub user_id: String,
    pub execution_id: String,
    pub pipeline_id: String,
    pub member: Member,
    pub samples: Option<Place>,
    pub original: Option<Original>,
    /// The other records of the workout, and where their samples are.
    pub others: Vec<(Member, Option<Place>)>,
    /// A digest of what it says.
    pub content: i64,
}

/// Why there is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsendable {
    /// It began in a year that no message can say.
    NoTime,
    OriginalGone(String),
    TooLarge {
        encoded_bytes: usize,
    },
}

/// Builds messages of the rows in some batches. Samples and originals are read some at a time, as they are asked for.
pub struct Builder {
    lake: Lake,
    content: Content,
    batches: Arc<[RecordBatch]>,
    originals: Reader,
    samples: HashMap<Place, Samples>,
}

/// Read ahead at most, of one user.
const AHEAD: usize = 32;
const AHEAD_SAMPLES: usize = 100_000;

impl Builder {
    pub fn new(lake: &Lake, content: Content, batches: Arc<[RecordBatch]>) -> Builder {
        Builder {
            lake: lake.clone(),
            content,
            batches,
            originals: Reader::default(),
            samples: HashMap::new(),
        }
    }

    /// The athlete's account at the source, where the record says it.
    pub fn account_id(&self, draft: &Draft) -> Option<String> {
        let (rows, row) = draft.member.rows(&self.batches);
        rows.word("source_account_id", row)
    }

    /// Why a draft could not become a message, if it could not. It is built only where its length is in doubt.
    pub fn check(&mut self, draft: &Draft) -> Result<Option<Unsendable>> {
        const ALL_BUT_LISTS: usize = 1 << 16;
        let batches = self.batches.clone();
        let (rows, row) = draft.member.rows(&batches);
        let year = rows.time("start_time", row).map(|t| t.to_zoned(TimeZone::UTC).year());
        if !year.is_some_and(|year| (1..=9999).contains(&year)) {
            return Ok(Some(Unsendable::NoTime));
        }
        let original = match self.original(draft) {
            Ok(original) => original.map_or(0, str::len),
            Err(gone) => return Ok(Some(gone)),
        };
        let of_others =
            draft.others.iter().filter(|_| self.content.merged).filter_map(|(_, place)| place.as_ref());
        let samples = of_others.chain(&draft.samples).map(|place| place.samples).max().unwrap_or(0);
        // A byte of text is six at most, escaped.
        let text =
            original + rows.words("title").value(row).len() + rows.words("description").value(row).len();
        let most = samples * MOST_BYTES_OF_RECORD + text * 6 + ALL_BUT_LISTS;
        Ok(if encoded(most) <= MAX_ENCODED_BYTES {
            None
        } else {
            self.build(draft, &mut std::iter::empty())?.err()
        })
    }

    fn original(&mut self, draft: &Draft) -> std::result::Result<Option<&str>, Unsendable> {
        let Some(original) = &draft.original else { return Ok(None) };
        match self.originals.read(&self.lake, original, &draft.user_id, &draft.member.source_id) {
            Ok(text) => Ok(Some(text)),
            Err(_) if self.content.without_original => Ok(None),
            Err(why) => Err(Unsendable::OriginalGone(why)),
        }
    }

    /// The message, or why there is none. `next` are the places of samples that will be asked for after this.
    pub fn build(
        &mut self,
        draft: &Draft,
        next: &mut dyn Iterator<Item = &Place>,
    ) -> Result<std::result::Result<Vec<u8>, Unsendable>> {
        let batches = self.batches.clone();
        let (rows, row) = draft.member.rows(&batches);
        let mut metadata = vec![("backfill", "true".to_string())];
        let mut samples = match &draft.samples {
            Some(place) => Some(self.samples(place, next)?),
            None => None,
        };
        let mut sets = rows.within("exercise_sets", row).map(|sets| exercise_sets(&sets)).unwrap_or_default();
        if self.content.merged {
            if let Some((merged, from)) = merged_heart_rate(&self.lake, draft, samples.as_ref())? {
                samples = Some(merged);
                metadata.push(("longrun_merged_heart_rate", from));
            }
            if sets.is_empty()
                && let Some((theirs, from)) = self.merged_sets(draft)
            {
                sets = theirs;
                metadata.push(("longrun_merged_strength_sets", from));
            }
        }
        let (title, description) = (rows.text("title", row), rows.text("description", row));
        let laps = rows.within("laps", row).map(|of| laps(&of)).unwrap_or_default();
        let sport = rows.word("sport", row).and_then(|name| sport::named(&name));
        let thin = self.content.thin;
        let original = match self.original(draft) {
            Ok(original) => original,
            Err(gone) => return Ok(Err(gone)),
        };
        let Some(start) = rows.time("start_time", row) else { return Ok(Err(Unsendable::NoTime)) };
        let delivery = Delivery { execution_id: &draft.execution_id, pipeline_id: &draft.pipeline_id };
        loop {
            let payload = Payload {
                source: source(draft.member.source),
                user_id: &draft.user_id,
                original_json: original,
                metadata: &metadata,
                activity_id: &draft.member.source_id,
                start,
                name: Some(&title),
                description: Some(&description),
                sport: sport.map_or("", |sport| sport.fitglue),
                elapsed_s: draft.member.elapsed_s.unwrap_or(0.0),
                distance_m: rows.number("distance_m", row),
                calories_kcal: rows.number("calories_kcal", row),
                laps: &laps,
                sets: &sets,
                samples: samples.as_ref(),
                as_f32: draft.member.source == Source::Strava,
            };
            let bytes = payload::message(&payload, delivery);
            let encoded_bytes = encoded(bytes.len());
            if encoded_bytes <= MAX_ENCODED_BYTES {
                return Ok(Ok(bytes));
            }
            let most = samples.as_ref().map_or(0, |samples| samples.time_s.len());
            let Some(samples) = samples.as_mut().filter(|samples| thin && samples.every < most) else {
                return Ok(Err(Unsendable::TooLarge { encoded_bytes }));
            };
            let next = if samples.every == 0 {
                encoded_bytes.div_ceil(MAX_ENCODED_BYTES).max(2)
            } else {
                samples.every * 2
            };
            samples.every = next.min(most);
            metadata.retain(|(key, _)| *key != "longrun_thinned_to_every");
            metadata.push(("longrun_thinned_to_every", samples.every.to_string()));
        }
    }

    /// The sets of the first other record that has some, and its name.
    fn merged_sets(&self, draft: &Draft) -> Option<(Vec<ExerciseSet>, String)> {
        draft.others.iter().find_map(|(other, _)| {
            let (rows, row) = other.rows(&self.batches);
            let sets = rows.within("exercise_sets", row)?;
            (sets.num_rows() > 0).then(|| (exercise_sets(&sets), other.name()))
        })
    }

    /// The samples at a place, and those of the next ones from the same file.
    fn samples(&mut self, place: &Place, next: &mut dyn Iterator<Item = &Place>) -> Result<Samples> {
        if let Some(samples) = self.samples.remove(place) {
            return Ok(samples);
        }
        let mut ahead: Vec<&Place> = vec![place];
        let mut total = place.samples;
        for next in next.take(AHEAD).filter(|next| next.file == place.file) {
            total += next.samples;
            if total > AHEAD_SAMPLES {
                break;
            }
            ahead.push(next);
        }
        ahead.sort_by_key(|place| place.row);
        ahead.dedup();
        let read = samples::read(&self.lake, &ahead)?;
        self.samples = ahead.into_iter().cloned().zip(read).collect();
        Ok(self.samples.remove(place).unwrap_or_default())
    }
}

/// Own samples with the heart rates of the first other record that has some, where the own have none; and its name.
fn merged_heart_rate(lake: &Lake, draft: &Draft, own: Option<&Samples>) -> Result<Option<(Samples, String)>> {
    let beats = |s: &Samples| s.heart_rate_bpm.as_ref().is_some_and(|rates| rates.iter().any(|r| *r > 0));
    if own.is_some_and(beats) {
        return Ok(None);
    }
    for (other, place) in &draft.others {
        let Some(place) = place else { continue };
        let [ref theirs] = samples::read(lake, &[place])?[..] else { continue };
        if let Some(merged) = samples::with_heart_rate_of(own.cloned(), theirs, ahead_s(&draft.member, other))
        {
            return Ok(Some((merged, other.name())));
        }
    }
    Ok(None)
}

/// Length in base64.
fn encoded(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// How far the other's clock is ahead, but for whole quarters of an hour, which are zones.
fn ahead_s(own: &Member, other: &Member) -> i64 {
    const QUARTER_S: i64 = 900;
    const NO_ZONE_S: i64 = 780;
    let ahead = other.start_s - own.start_s;
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
        let member = |start_s| Member {
            source: Source::Strava,
            source_id: String::new(),
            is_same: true,
            start_s,
            elapsed_s: None,
            is_echo: false,
            is_gone: false,
            row: (0, 0),
        };
        for (other_s, ahead) in [(1_000, 0), (1_090, 90), (940, -60), (4_603, 3), (1_000 - 20_700 - 7, -7)] {
            assert_eq!(ahead_s(&member(1_000), &member(other_s)), ahead);
        }
    }
}
