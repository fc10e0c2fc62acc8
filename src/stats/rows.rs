//! What is summed: the workouts, or every record that tells of one.

use arrow::array::Array;
use jiff::civil::Date;

use super::calendar::{self, Begin};
use crate::dedupe::Gone;
use crate::error::{Error, Result};
use crate::model::sport;
use crate::store::dataset::cells::{Rows, field, structs};
use crate::store::dataset::{self, Recordings};
use crate::store::each::{Gathered, each_bucket};
use crate::store::lake::{Bucket, Lake};

/// What is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Each workout, however many sources tell of it.
    Once,
    /// Every record of every source.
    Told(Gone),
}

/// Whose workouts, and which.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Empty for all.
    pub users: Vec<String>,
    pub since: Option<Date>,
    /// Itself included.
    pub until: Option<Date>,
    /// A sport, or a family of sports.
    pub sport: Option<String>,
    pub counting: Counting,
    /// Empty for all.
    pub buckets: Vec<Bucket>,
}

impl Filter {
    /// The buckets that may have some, or why there is nothing to count.
    pub fn buckets(&self, lake: &Lake) -> Result<Vec<Bucket>> {
        let has = |folder| Ok::<_, Error>(!dataset::files(lake, &folder)?.is_empty());
        if self.counting == Counting::Once && !has(lake.golden_folder())? && has(lake.activities_folder())? {
            let how = "run `longrun dedupe` first, or count every record with --told";
            return Err(Error::Usage(format!("no workouts yet; {how}")));
        }
        let mut buckets = lake.buckets_of(&self.users);
        buckets.retain(|bucket| self.buckets.is_empty() || self.buckets.contains(bucket));
        Ok(buckets)
    }

    pub fn takes(&self, row: &Row) -> bool {
        self.since.is_none_or(|since| row.day >= calendar::day_of(since))
            && self.until.is_none_or(|until| row.day <= calendar::day_of(until))
            && self.sport.as_deref().is_none_or(|wanted| wanted == row.sport || wanted == row.family)
    }
}

/// A workout, or a record of one.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub id: String,
    pub user: String,
    /// All that tell of it, `+` between.
    pub source: String,
    /// Its canonical name, or else that of the source.
    pub sport: String,
    pub family: &'static str,
    pub gear: Option<String>,
    pub device: Option<String>,
    /// Days since 1970, in the athlete's calendar.
    pub day: i64,
    pub distance_m: f64,
    pub moving_s: f64,
    pub elevation_gain_m: f64,
    pub avg_heart_rate_bpm: Option<f64>,
    pub max_heart_rate_bpm: Option<f64>,
    /// Weighted, or else the average.
    pub power_w: Option<f64>,
    /// Whether it was indoors or in a game: its distances are no measurements.
    pub is_virtual: bool,
    /// The records that may have its samples.
    pub recordings: Recordings,
}

const COMMON: [&str; 20] = [
    "user_id",
    "sport",
    "sport_raw",
    "start_time",
    "utc_offset_s",
    "timezone",
    "elapsed_s",
    "moving_s",
    "distance_m",
    "elevation_gain_m",
    "avg_heart_rate_bpm",
    "max_heart_rate_bpm",
    "avg_power_w",
    "weighted_power_w",
    "device_watts",
    "device_name",
    "gear_id",
    "trainer",
    "is_parent",
    "start_quality",
];

/// All workouts of the filter's users in a bucket, by user and time. The filter's dates and sport are not looked at.
pub fn read(lake: &Lake, bucket: Bucket, filter: &Filter) -> Result<Vec<Row>> {
    let (batches, own): (_, fn(&Rows, usize, &mut Row)) = match filter.counting {
        Counting::Once => {
            let columns = [&COMMON[..], &["golden_id", "members", "lineage"]].concat();
            (dataset::read_checked(lake, &lake.golden(bucket), Some(&columns), "dedupe")?, of_workout)
        }
        Counting::Told(_) => {
            let columns = [&COMMON[..], &["source", "source_id", "gone_at"]].concat();
            (dataset::activities(lake, bucket, Some(&columns))?, of_record)
        }
    };
    let mut begun = Vec::new();
    for batch in &batches {
        let rows = Rows(batch);
        for at in 0..batch.num_rows() {
            let user = rows.text("user_id", at);
            let is_gone =
                filter.counting == Counting::Told(Gone::LeftOut) && rows.column("gone_at").is_valid(at);
            // The legs of a multisport event are workouts of their own.
            if is_gone
                || rows.is_true("is_parent", at)
                || !(filter.users.is_empty() || filter.users.contains(&user))
            {
                continue;
            }
            let mut row = common(&rows, at, user);
            own(&rows, at, &mut row);
            begun.push((begin(&rows, at), row));
        }
    }
    Ok(dated(begun))
}

fn common(rows: &Rows, at: usize, user: String) -> Row {
    let named = rows.word("sport", at);
    let known = named.as_deref().and_then(sport::named);
    let measured = rows.is_true("device_watts", at);
    Row {
        user,
        family: known.map_or(sport::ANY_FAMILY, |sport| sport.family),
        is_virtual: rows.is_true("trainer", at)
            || known.is_some_and(|sport| sport.name.starts_with("virtual_")),
        sport: named.or_else(|| rows.word("sport_raw", at)).unwrap_or_else(|| "unknown".to_string()),
        gear: rows.word("gear_id", at),
        device: rows.word("device_name", at),
        distance_m: rows.number("distance_m", at).unwrap_or(0.0),
        moving_s: rows.number("moving_s", at).or_else(|| rows.number("elapsed_s", at)).unwrap_or(0.0),
        elevation_gain_m: rows.number("elevation_gain_m", at).unwrap_or(0.0),
        avg_heart_rate_bpm: rows.number("avg_heart_rate_bpm", at),
        max_heart_rate_bpm: rows.number("max_heart_rate_bpm", at),
        power_w: rows
            .number("weighted_power_w", at)
            .or_else(|| rows.number("avg_power_w", at).filter(|_| measured)),
        ..Row::default()
    }
}

fn of_workout(rows: &Rows, at: usize, row: &mut Row) {
    row.id = rows.text("golden_id", at);
    let members = structs(rows.list("members"), at);
    let mut sources: Vec<String> =
        (0..members.len()).map(|member| field(&members, "source", member)).collect();
    sources.sort_unstable();
    sources.dedup();
    row.source = sources.join("+");
    row.recordings = Recordings::of(rows, at);
}

fn of_record(rows: &Rows, at: usize, row: &mut Row) {
    row.source = rows.text("source", at);
    let id = rows.text("source_id", at);
    row.id = format!("{}:{id}", row.source);
    row.recordings.best = Some((row.source.clone(), id));
}

/// When it began, by the clock of the athlete where anything of the row says that.
fn begin(rows: &Rows, at: usize) -> Begin {
    let start_ms = rows.time_ms("start_time", at);
    let by_name = || {
        let (zone, start) = (rows.word("timezone", at)?, rows.time("start_time", at)?);
        calendar::offset_s(&zone, start)
    };
    // A start without a zone is what the athlete's clock said.
    let unzoned = (rows.text("start_quality", at) == "zone_unknown").then_some(0);
    let utc_offset_s = unzoned.or_else(|| rows.whole("utc_offset_s", at)).or_else(by_name);
    Begin { start_ms, utc_offset_s }
}

/// The rows with their days, by user and time. Where nothing says an offset, that of the athlete's nearest workout
/// that says one holds.
fn dated(mut begun: Vec<(Begin, Row)>) -> Vec<Row> {
    begun.sort_by(|(a_begin, a), (b_begin, b)| {
        (&a.user, a_begin.start_ms, &a.id).cmp(&(&b.user, b_begin.start_ms, &b.id))
    });
    for person in begun.chunk_by_mut(|(_, a), (_, b)| a.user == b.user) {
        let known: Vec<(i64, i32)> =
            person.iter().filter_map(|(begin, _)| Some((begin.start_ms, begin.utc_offset_s?))).collect();
        for (begin, row) in person {
            let behind = known.partition_point(|(start_ms, _)| *start_ms < begin.start_ms);
            let beside = known[behind.saturating_sub(1)..known.len().min(behind + 1)].iter();
            let nearest = beside.min_by_key(|(start_ms, _)| start_ms.abs_diff(begin.start_ms));
            begin.utc_offset_s = begin.utc_offset_s.or_else(|| nearest.map(|(_, offset_s)| *offset_s));
            row.day = begin.day();
        }
    }
    begun.into_iter().map(|(_, row)| row).collect()
}

/// Works on the rows of all buckets of a filter, a bucket at a time.
pub fn each<T: Send>(
    lake: &Lake,
    filter: &Filter,
    work: impl Fn(Bucket, Vec<Row>) -> Result<T> + Sync,
) -> Result<Gathered<Vec<T>>> {
    Ok(each_bucket(&filter.buckets(lake)?, |bucket| work(bucket, read(lake, bucket, filter)?))?.into())
}
