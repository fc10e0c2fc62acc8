//! What it takes to add a column: one line with its attributes. `docs/contributing.md` shows this.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Schema};
use jiff::Timestamp;
use parquet::basic::Encoding;
use parquet::schema::types::ColumnPath;

use super::merge::upsert;
use super::{batch, properties};
use crate::model::column::Giver;
use crate::model::columns::{Columns, TableRow, record};
use crate::model::golden::kept_of;

record! {
    /// A dive.
    pub struct Dive, DiveColumns {
        #[col(golden = Nobody)]
        pub source_id: String,
        #[col(golden = Nobody)]
        pub fetched_at: Timestamp,
        #[col(golden = Nobody)]
        pub detail_at: Option<Timestamp>,
        // The line that is added:
        #[col(detail, golden = Written, zero_is_absent, range = 0.0..=12_000.0, encoding = Prefixes, statistics)]
        pub depth_m: Option<f64>,
    }
}

fn dive(fetched_s: i64, is_detail: bool, depth_m: Option<f64>) -> Dive {
    let fetched_at = Timestamp::from_second(fetched_s).unwrap();
    Dive { source_id: "1".to_string(), fetched_at, detail_at: is_detail.then_some(fetched_at), depth_m }
}

fn rows(dives: &[Dive]) -> RecordBatch {
    let mut columns = DiveColumns::default();
    dives.iter().for_each(|dive| columns.push(dive));
    batch::<Dive>(&mut columns)
}

fn depths_m(batch: &RecordBatch) -> Vec<Option<f64>> {
    batch.column_by_name("depth_m").unwrap().as_primitive::<Float64Type>().iter().collect()
}

#[test]
fn a_new_column_is_one_line_and_everything_follows_from_it() {
    let column = &Dive::COLUMNS[3];
    assert_eq!((column.name, column.is_detail, column.golden), ("depth_m", true, Giver::Written));

    // The schema, and zero that is no value wherever rows are made.
    assert_eq!(DiveColumns::fields()[3].name(), "depth_m");
    let two = rows(&[dive(1, true, Some(0.0)), dive(1, true, Some(7.0))]);
    assert_eq!(depths_m(&two), [None, Some(7.0)]);

    // Two readings of one record, put together.
    let mut shallow = dive(1, true, Some(0.0));
    assert_eq!(shallow.absent(), ["depth_m"]);
    shallow.fill_from(dive(1, true, Some(7.0)));
    assert_eq!(shallow.depth_m, Some(7.0));

    // The check.
    let mut deep = dive(1, true, Some(20_000.0));
    assert_eq!(deep.take_implausible(), [(column, 20_000.0)]);
    assert_eq!(deep.depth_m, None);

    // Merging: the whole before a line in a list, and never emptied.
    let versions =
        [rows(&[dive(10, true, Some(30.0))]), rows(&[dive(20, false, Some(9.0)), dive(30, true, None)])];
    let columns = Dive::COLUMNS.iter().collect();
    let schema = versions[0].schema();
    let merged: Vec<RecordBatch> =
        upsert::merged(columns, schema, &["source_id"], versions.iter().collect()).collect();
    assert_eq!(depths_m(&merged[0]), [Some(30.0)]);

    // Golden rows.
    let kept = kept_of::<Dive>();
    let kept: Vec<_> = kept.iter().map(|kept| (kept.column.name, kept.column.golden)).collect();
    assert_eq!(kept, [("depth_m", Giver::Written)]);

    // The Parquet file.
    let columns: Vec<_> = Dive::COLUMNS.iter().collect();
    let properties = properties(&Schema::new(DiveColumns::fields()), &columns).build();
    let path = ColumnPath::from("depth_m");
    assert_eq!(properties.encoding(&path), Some(Encoding::DELTA_BYTE_ARRAY));
    assert!(!properties.dictionary_enabled(&path));
    assert_ne!(
        properties.statistics_enabled(&path),
        properties.statistics_enabled(&ColumnPath::from("fetched_at"))
    );
}
