//! The noun: one activity as one source tells it.
//!
//! Units are the last word of a name; times are UTC; what the source did not say is null.
//! Ids are text, because sources disagree about how many digits a number has. Coordinates of
//! tracks are whole 1e-5 degrees, the precision of the encoded polylines they come from.

use jiff::Timestamp;

use crate::model::columns::record;
use crate::model::polyline::Track;

/// Written to every row, so that a reader can tell what the columns meant.
pub const SCHEMA_VERSION: i32 = 6;

/// Longer is no workout: an expedition, or a device that was never stopped.
const LONGEST_S: f64 = 60.0 * 86_400.0;

record! {
    /// One row of the `activities` dataset.
    pub struct Activity, ActivityColumns {
        /// The person, the same in every source.
        #[col(golden = Written, statistics)]
        pub user_id: String,
        #[col(golden = Nobody)]
        pub source: String,
        /// The source's own id of the activity.
        #[col(golden = Nobody, encoding = Prefixes, statistics)]
        pub source_id: String,
        #[col(golden = Nobody)]
        pub source_account_id: Option<String>,
        /// What the uploader called it: a file name, or another service's id.
        #[col(golden = Nobody, encoding = Plain)]
        pub external_id: Option<String>,
        #[col(golden = Nobody, encoding = Prefixes)]
        pub upload_id: Option<String>,
        #[col(golden = Written)]
        pub title: Option<String>,
        #[col(detail, golden = Written)]
        pub description: Option<String>,
        /// The canonical sport; null where the source's name has none.
        #[col(golden = Sport, statistics)]
        pub sport: Option<String>,
        /// The source's name of the sport, as it came.
        #[col(golden = Sport)]
        pub sport_raw: Option<String>,
        /// The rule that decided the canonical sport, where one did.
        #[col(golden = Sport)]
        pub sport_rule: Option<String>,
        #[col(golden = Start, encoding = Differences, statistics)]
        pub start_time: Timestamp,
        /// Local wall clock minus UTC at the start.
        #[col(golden = Start)]
        pub utc_offset_s: Option<i32>,
        /// As the source writes it: an IANA name where it gives one.
        #[col(golden = Start)]
        pub timezone: Option<String>,
        /// How far the start can be trusted: `exact`, `minute`, `hidden` or `zone_unknown`.
        #[col(golden = Start, with = "start_time", statistics)]
        pub start_quality: String,
        /// Of a start without a zone (`zone_unknown`): the offset that the person's other records of that day say. The
        /// start is not moved by it.
        #[col(golden = Nobody)]
        pub utc_offset_guess_s: Option<i32>,
        /// Which record says so, and by what: `strava 123: timezone Europe/Berlin`.
        #[col(golden = Nobody)]
        pub guess_from: Option<String>,
        #[col(parts = Sum, zero_is_absent, range = 0.0..=LONGEST_S, encoding = BytesApart, statistics)]
        pub elapsed_s: Option<f64>,
        #[col(parts = Sum, zero_is_absent, range = 0.0..=LONGEST_S, encoding = BytesApart)]
        pub moving_s: Option<f64>,
        #[col(parts = Sum, zero_is_absent, range = 0.0..=1e8, encoding = Plain, statistics)]
        pub distance_m: Option<f64>,
        #[col(parts = Sum, range = 0.0..=1e6)]
        pub elevation_gain_m: Option<f64>,
        #[col(parts = Sum, range = 0.0..=1e6)]
        pub elevation_loss_m: Option<f64>,
        #[col(parts = Least, range = -12_000.0..=100_000.0)]
        pub elevation_low_m: Option<f64>,
        #[col(parts = Most, range = -12_000.0..=100_000.0)]
        pub elevation_high_m: Option<f64>,
        #[col(parts = Mean, zero_is_absent, range = 0.0..=1_000.0, encoding = Plain)]
        pub avg_speed_mps: Option<f64>,
        #[col(parts = Most, zero_is_absent, range = 0.0..=1_000.0, encoding = Plain)]
        pub max_speed_mps: Option<f64>,
        #[col(parts = Mean, zero_is_absent, range = 0.0..=254.0)]
        pub avg_heart_rate_bpm: Option<f64>,
        #[col(parts = Most, zero_is_absent, range = 0.0..=254.0)]
        pub max_heart_rate_bpm: Option<f64>,
        /// Of one leg for runs, as Strava and Garmin count it.
        #[col(parts = Mean, zero_is_absent, range = 0.0..=1_000.0)]
        pub avg_cadence_rpm: Option<f64>,
        #[col(parts = Most, zero_is_absent, range = 0.0..=1_000.0)]
        pub max_cadence_rpm: Option<f64>,
        #[col(parts = Mean, zero_is_absent, range = 0.0..=10_000.0)]
        pub avg_power_w: Option<f64>,
        #[col(parts = Most, zero_is_absent, range = 0.0..=100_000.0)]
        pub max_power_w: Option<f64>,
        #[col(parts = Nothing, zero_is_absent, range = 0.0..=10_000.0)]
        pub weighted_power_w: Option<f64>,
        #[col(parts = Sum, zero_is_absent, range = 0.0..=1e6)]
        pub work_kj: Option<f64>,
        /// Whether power was measured, and not estimated.
        pub device_watts: Option<bool>,
        #[col(detail, parts = Sum, zero_is_absent, range = 0.0..=1e6)]
        pub calories_kcal: Option<f64>,
        #[col(parts = Mean, range = -100.0..=100.0)]
        pub temperature_c: Option<f64>,
        #[col(range = -90.0..=90.0, encoding = BytesApart)]
        pub start_lat_deg: Option<f64>,
        #[col(range = -180.0..=180.0, encoding = BytesApart)]
        pub start_lon_deg: Option<f64>,
        #[col(parts = Last, range = -90.0..=90.0, encoding = BytesApart)]
        pub end_lat_deg: Option<f64>,
        #[col(parts = Last, range = -180.0..=180.0, encoding = BytesApart)]
        pub end_lon_deg: Option<f64>,
        #[col(detail, parts = Least, of_track, encoding = Differences)]
        pub bbox_south_e5: Option<i32>,
        #[col(detail, parts = Least, of_track, encoding = Differences)]
        pub bbox_west_e5: Option<i32>,
        #[col(detail, parts = Most, of_track, encoding = Differences)]
        pub bbox_north_e5: Option<i32>,
        #[col(detail, parts = Most, of_track, encoding = Differences)]
        pub bbox_east_e5: Option<i32>,
        #[col(detail, parts = Joined, encoding = Steps)]
        pub track_lat_e5: Option<Vec<i32>>,
        #[col(detail, parts = Joined, encoding = Steps)]
        pub track_lon_e5: Option<Vec<i32>>,
        /// Along the track, on a sphere.
        #[col(detail, parts = Sum, of_track, encoding = BytesApart)]
        pub track_length_m: Option<f64>,
        #[col(detail, parts = Joined)]
        pub laps: Option<Vec<Lap>>,
        #[col(detail, parts = Nothing)]
        pub splits_metric: Option<Vec<Split>>,
        #[col(detail, parts = Nothing)]
        pub splits_standard: Option<Vec<Split>>,
        #[col(detail, golden = Sets, parts = Joined)]
        pub exercise_sets: Option<Vec<ExerciseSet>>,
        #[col(detail, golden = Written, parts = Joined)]
        pub segment_efforts: Option<Vec<SegmentEffort>>,
        #[col(detail, golden = Written, parts = Nothing)]
        pub best_efforts: Option<Vec<SegmentEffort>>,
        #[col(detail)]
        pub device_name: Option<String>,
        /// The device's own number.
        #[col(detail)]
        pub device_serial: Option<String>,
        /// Of the device's file, not gzipped, in hexadecimal: the same in every source that has it.
        #[col(parts = Nothing)]
        pub file_sha256: Option<String>,
        #[col(golden = Written)]
        pub gear_id: Option<String>,
        pub trainer: Option<bool>,
        #[col(golden = Written)]
        pub commute: Option<bool>,
        /// Entered by hand: no recording.
        pub manual: Option<bool>,
        #[col(golden = Written)]
        pub private: Option<bool>,
        #[col(golden = Written)]
        pub visibility: Option<String>,
        #[col(golden = Written)]
        pub flagged: Option<bool>,
        #[col(golden = Written, parts = Nothing)]
        pub suffer_score: Option<f64>,
        #[col(detail, golden = Written)]
        pub perceived_exertion: Option<f64>,
        /// Strava's number: 1 and 11 races, 2 long run, 3 and 12 workouts.
        #[col(golden = Written, parts = Nothing)]
        pub workout_type: Option<i32>,
        #[col(golden = Written, parts = Nothing)]
        pub kudos_count: Option<i32>,
        #[col(golden = Written, parts = Nothing)]
        pub achievement_count: Option<i32>,
        #[col(golden = Written, parts = Nothing)]
        pub comment_count: Option<i32>,
        #[col(golden = Written, parts = Nothing)]
        pub athlete_count: Option<i32>,
        #[col(golden = Written, parts = Nothing)]
        pub photo_count: Option<i32>,
        #[col(golden = Written, parts = Nothing)]
        pub pr_count: Option<i32>,
        /// Whether it is the whole of a multisport event whose legs are records of their own. No sum counts it.
        #[col(parts = Nothing)]
        pub is_parent: Option<bool>,
        /// Of a leg of a multisport event: the id of the record of the whole, in the same source.
        #[col(parts = Nothing)]
        pub parent_id: Option<String>,
        /// Whether the live pipeline itself put it there.
        #[col(parts = Nothing)]
        pub uploaded_by_pipeline: Option<bool>,
        /// The columns that the source left out and that were computed from the samples.
        #[col(golden = Nobody)]
        pub computed: Option<Vec<String>>,
        /// The values that are older than `fetched_at` (of details, than `detail_at`), because what came later said
        /// nothing of them.
        #[col(golden = Nobody)]
        pub earlier: Option<Vec<Earlier>>,
        /// Why only a part of the recording could be read, where that is so.
        #[col(golden = Nobody, with = "file_sha256")]
        pub partial: Option<String>,
        /// Values that contradict others or cannot be, and what became of them.
        #[col(golden = Nobody, with = "file_sha256")]
        pub doubts: Option<Vec<Doubt>>,
        /// Fields of the source that have no column, as a JSON object.
        #[col(detail, golden = Nobody)]
        pub extra: Option<String>,
        /// How it came: `api`, `archive`, `file`, or `api+archive` where both had it.
        #[col(golden = Nobody)]
        pub origin: String,
        #[col(golden = Nobody, statistics)]
        pub fetched_at: Timestamp,
        /// When the whole of it was last fetched; null while only a list had it.
        #[col(detail, golden = Nobody)]
        pub detail_at: Option<Timestamp>,
        /// When the source's terms ask for it to be fetched anew or forgotten.
        #[col(golden = Nobody)]
        pub expires_at: Option<Timestamp>,
        /// When it was found that the source has it no more, or shows it no more. Workouts and sums leave it out.
        #[col(golden = Nobody)]
        pub gone_at: Option<Timestamp>,
        /// How that was found: `deleted` (the source says so), `not_found` (asked for, it is not there), `not_listed`
        /// (a walk of the whole list missed it), or `deleted_or_private` (either of these, where the athlete did not
        /// grant what is private).
        #[col(golden = Nobody, statistics)]
        pub gone_why: Option<String>,
        /// Where its bytes are: file below the lake, `@` offset of the frame or `!` file in the archive,
        /// `#` index within.
        #[col(golden = Nobody, encoding = Prefixes)]
        pub raw_ref: String,
        /// Where the archive's own record is, where the API has one too.
        #[col(golden = Nobody)]
        pub archive_ref: Option<String>,
        #[col(golden = Nobody)]
        pub schema_version: i32,
    }
}

impl Activity {
    /// Takes what is absent here from another record of the same activity, which may have
    /// computed some of it.
    pub fn complete_with(&mut self, mut other: Activity) {
        let absent = self.absent();
        let mut computed = self.computed.take().unwrap_or_default();
        let theirs = other.computed.take().unwrap_or_default();
        computed.extend(theirs.into_iter().filter(|column| absent.contains(&column.as_str())));
        self.fill_from(other);
        self.computed = Some(computed).filter(|computed| !computed.is_empty());
    }

    /// Notes that a column's value is doubtful, and why.
    pub fn doubt(&mut self, field: &str, reason: impl Into<String>) {
        let doubt = Doubt { field: field.to_string(), reason: reason.into() };
        self.doubts.get_or_insert_default().push(doubt);
    }

    /// Sets the line that was walked, and what follows from it.
    pub fn set_track(&mut self, track: Track) {
        if let Some(bounds) = track.bounding_box() {
            self.bbox_south_e5 = Some(bounds.south_e5);
            self.bbox_west_e5 = Some(bounds.west_e5);
            self.bbox_north_e5 = Some(bounds.north_e5);
            self.bbox_east_e5 = Some(bounds.east_e5);
        }
        self.track_length_m = Some(track.length_m());
        self.track_lat_e5 = Some(track.lat_e5);
        self.track_lon_e5 = Some(track.lon_e5);
    }
}

record! {
    /// Why a value of a row is not what the source says, or may be wrong.
    pub struct Doubt, DoubtColumns {
        /// The column.
        pub field: String,
        pub reason: String,
    }
}

record! {
    /// A value that is older than its row.
    pub struct Earlier, EarlierColumns {
        /// `extra.name` for a field of `extra`.
        pub column: String,
        pub fetched_at: Timestamp,
        /// Whether it came with the whole of the activity, and not with its line in a list.
        pub is_detail: bool,
    }
}

record! {
    /// A lap, as the device or the athlete cut it.
    pub struct Lap, LapColumns {
        pub lap_id: Option<String>,
        pub name: Option<String>,
        pub lap_index: Option<i32>,
        pub split: Option<i32>,
        pub start_time: Option<Timestamp>,
        pub elapsed_s: Option<f64>,
        pub moving_s: Option<f64>,
        pub distance_m: Option<f64>,
        pub elevation_gain_m: Option<f64>,
        pub avg_speed_mps: Option<f64>,
        pub max_speed_mps: Option<f64>,
        pub avg_heart_rate_bpm: Option<f64>,
        pub max_heart_rate_bpm: Option<f64>,
        pub avg_cadence_rpm: Option<f64>,
        pub avg_power_w: Option<f64>,
        pub device_watts: Option<bool>,
        pub pace_zone: Option<i32>,
        /// Of the first sample in the streams.
        pub start_index: Option<i32>,
        pub end_index: Option<i32>,
        pub extra: Option<String>,
    }
}

record! {
    /// A kilometre or a mile.
    pub struct Split, SplitColumns {
        pub split: Option<i32>,
        pub elapsed_s: Option<f64>,
        pub moving_s: Option<f64>,
        pub distance_m: Option<f64>,
        pub elevation_difference_m: Option<f64>,
        pub avg_speed_mps: Option<f64>,
        pub avg_grade_adjusted_speed_mps: Option<f64>,
        pub avg_heart_rate_bpm: Option<f64>,
        pub pace_zone: Option<i32>,
        pub extra: Option<String>,
    }
}

record! {
    /// A segment ridden or run, or a best effort over a distance (then without a segment).
    pub struct SegmentEffort, SegmentEffortColumns {
        pub effort_id: Option<String>,
        pub name: Option<String>,
        pub segment_id: Option<String>,
        pub start_time: Option<Timestamp>,
        pub elapsed_s: Option<f64>,
        pub moving_s: Option<f64>,
        pub distance_m: Option<f64>,
        pub avg_heart_rate_bpm: Option<f64>,
        pub max_heart_rate_bpm: Option<f64>,
        pub avg_cadence_rpm: Option<f64>,
        pub avg_power_w: Option<f64>,
        pub device_watts: Option<bool>,
        pub start_index: Option<i32>,
        pub end_index: Option<i32>,
        pub kom_rank: Option<i32>,
        pub pr_rank: Option<i32>,
        pub hidden: Option<bool>,
        pub extra: Option<String>,
    }
}

record! {
    /// A set of a strength exercise.
    pub struct ExerciseSet, ExerciseSetColumns {
        pub exercise_name: Option<String>,
        pub exercise_index: Option<i32>,
        /// Sets of one superset share it.
        pub superset_id: Option<String>,
        pub set_index: Option<i32>,
        pub set_type: Option<String>,
        pub reps: Option<i32>,
        pub weight_kg: Option<f64>,
        pub distance_m: Option<f64>,
        pub duration_s: Option<f64>,
        pub perceived_exertion: Option<f64>,
        pub notes: Option<String>,
    }
}

record! {
    /// One row of the `streams` dataset: the samples of one activity. Every list that is there
    /// has one element per sample; an element is null where the sensor said nothing.
    pub struct Streams, StreamsColumns {
        #[col(statistics)]
        pub user_id: String,
        pub source: String,
        #[col(encoding = Prefixes, statistics)]
        pub source_id: String,
        #[col(statistics)]
        pub start_time: Timestamp,
        /// Samples in each list.
        pub samples: i32,
        /// How many of the lists below there are. Of several versions the one with the most is kept.
        pub series: i32,
        /// Since the start.
        #[col(encoding = Differences)]
        pub time_s: Option<Vec<Option<i32>>>,
        pub distance_m: Option<Vec<Option<f64>>>,
        #[col(encoding = Differences)]
        pub lat_e7: Option<Vec<Option<i32>>>,
        #[col(encoding = Differences)]
        pub lon_e7: Option<Vec<Option<i32>>>,
        pub altitude_m: Option<Vec<Option<f64>>>,
        pub speed_mps: Option<Vec<Option<f64>>>,
        pub heart_rate_bpm: Option<Vec<Option<i32>>>,
        pub cadence_rpm: Option<Vec<Option<i32>>>,
        pub power_w: Option<Vec<Option<i32>>>,
        pub temperature_c: Option<Vec<Option<i32>>>,
        pub moving: Option<Vec<Option<bool>>>,
        pub grade_percent: Option<Vec<Option<f64>>>,
        pub origin: String,
        #[col(statistics)]
        pub fetched_at: Timestamp,
        #[col(encoding = Prefixes)]
        pub raw_ref: String,
        pub schema_version: i32,
    }
}

impl Streams {
    /// The same streams, saying how many lists they have.
    pub fn counted(mut self) -> Streams {
        let all = Streams::default().absent().len();
        self.series = i32::try_from(all - self.absent().len()).expect("there are few lists");
        self
    }
}

record! {
    /// One row of the `rejects` dataset: something that was not taken, and where it lies.
    pub struct Reject, RejectColumns {
        #[col(statistics)]
        pub user_id: String,
        pub source: String,
        /// What it was: `list`, `detail` or `streams` of an API; `file`, `row` or `record` of an archive.
        pub kind: String,
        /// Where it could be read.
        #[col(encoding = Prefixes, statistics)]
        pub source_id: Option<String>,
        /// The field at fault, where it was one.
        pub field: Option<String>,
        pub reason: String,
        /// Whether the rest of the record was taken without the field.
        pub record_kept: bool,
        #[col(encoding = Prefixes)]
        pub raw_ref: String,
        #[col(statistics)]
        pub fetched_at: Timestamp,
    }
}
