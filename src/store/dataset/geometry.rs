//! Tracks as lines for tools that read GeoParquet 1.1 (<https://geoparquet.org/releases/v1.1.0/>): two columns behind the
//! others, and a word in the file's metadata. A lake has them where somebody asked for it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Float64Array, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef};
use parquet::file::metadata::KeyValue;
use serde_json::{Map, Value, json};

use super::cells::Rows;
use crate::store::backend::Key;
use crate::store::lake::Lake;

const GEOMETRY: &str = "geometry";
const BBOX: &str = "bbox";
/// Rows that get them at a time.
const ROWS: usize = 512;
const SIDES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// Longitude and latitude in degrees.
pub type Line = Vec<(f64, f64)>;

/// The track of each row; none where it has fewer than two points.
pub fn lines(rows: &RecordBatch) -> Vec<Option<Line>> {
    let cells = Rows(rows);
    let (lats, lons) = (cells.list("track_lat_e5"), cells.list("track_lon_e5"));
    let degrees = |e5: &i32| f64::from(*e5) / 1e5;
    let line = |row: usize| {
        if lats.is_null(row) || lons.is_null(row) {
            return None;
        }
        let (lat, lon) = (lats.value(row), lons.value(row));
        let [lat, lon] = [&lat, &lon].map(|list| list.as_primitive::<Int32Type>().values());
        let line: Line = lon.iter().map(degrees).zip(lat.iter().map(degrees)).collect();
        (line.len() > 1).then_some(line)
    };
    (0..rows.num_rows()).map(line).collect()
}

/// West, south, east, north.
type Bounds = [f64; 4];

fn bounds_of(line: &Line) -> Bounds {
    line.iter().fold([180.0, 90.0, -180.0, -90.0], |[w, s, e, n], (lon, lat)| {
        [lon.min(w), lat.min(s), lon.max(e), lat.max(n)]
    })
}

/// The bounds of all lines.
pub fn bounds(lines: &[Option<Line>]) -> Option<Bounds> {
    let each = lines.iter().flatten().map(bounds_of);
    each.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
}

/// A line as well-known binary, little-endian.
fn wkb(line: &Line) -> Vec<u8> {
    const LITTLE_ENDIAN: u8 = 1;
    const LINE_STRING: u32 = 2;
    let mut bytes = vec![LITTLE_ENDIAN];
    bytes.extend(LINE_STRING.to_le_bytes());
    bytes.extend((line.len() as u32).to_le_bytes());
    bytes.extend(line.iter().flat_map(|(lon, lat)| [lon.to_le_bytes(), lat.to_le_bytes()]).flatten());
    bytes
}

/// The two columns: the line as well-known binary, and its bounds.
pub fn fields() -> [Field; 2] {
    [Field::new(GEOMETRY, DataType::Binary, true), Field::new(BBOX, DataType::Struct(sides()), true)]
}

fn sides() -> Fields {
    SIDES.iter().map(|side| Field::new(*side, DataType::Float64, false)).collect()
}

pub fn columns(lines: &[Option<Line>]) -> [ArrayRef; 2] {
    let mut geometry = BinaryBuilder::new();
    lines.iter().for_each(|line| geometry.append_option(line.as_ref().map(wkb)));
    let boxes: Vec<Option<Bounds>> = lines.iter().map(|line| line.as_ref().map(bounds_of)).collect();
    let side = |at: usize| -> ArrayRef {
        Arc::new(boxes.iter().map(|b| b.map_or(0.0, |b| b[at])).collect::<Float64Array>())
    };
    let known: NullBuffer = boxes.iter().map(Option::is_some).collect();
    [
        Arc::new(geometry.finish()),
        Arc::new(StructArray::new(sides(), (0..4).map(side).collect(), Some(known))),
    ]
}

/// What says that a file is GeoParquet. The bounds of all that is in it may be left out.
pub fn metadata(bounds: Option<Bounds>) -> KeyValue {
    let covering: Map<String, Value> =
        SIDES.iter().map(|side| (side.to_string(), json!([BBOX, side]))).collect();
    let mut column = json!({
        "encoding": "WKB",
        "geometry_types": ["LineString"],
        "covering": { BBOX: covering },
    });
    if let Some(bounds) = bounds {
        column[BBOX] = json!(bounds);
    }
    let geo = json!({ "version": "1.1.0", "primary_column": GEOMETRY, "columns": { GEOMETRY: column } });
    KeyValue::new("geo".to_string(), geo.to_string())
}

/// Whether a file is to have the two columns.
pub(super) fn belongs_to(lake: &Lake, key: &Key) -> bool {
    let is_in =
        |folder: Key| key.as_str().strip_prefix(folder.as_str()).is_some_and(|name| name.starts_with('/'));
    lake.has_geometry() && [lake.activities_folder(), lake.golden_folder()].into_iter().any(is_in)
}

/// A schema with the two columns.
pub(super) fn with_fields(schema: &Schema) -> SchemaRef {
    let own = schema.fields().iter().map(|field| field.as_ref().clone());
    Arc::new(Schema::new(own.chain(fields()).collect::<Vec<_>>()))
}

/// Rows with the two columns, some at a time: a line takes four times what its two lists do.
pub(super) fn with_columns(rows: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let schema = with_fields(&rows.schema());
    (0..rows.num_rows()).step_by(ROWS).map(move |at| {
        let piece = rows.slice(at, ROWS.min(rows.num_rows() - at));
        let all = piece.columns().iter().cloned().chain(columns(&lines(&piece)));
        RecordBatch::try_new(schema.clone(), all.collect()).expect("the columns are of the schema")
    })
}

/// Whether a column, by its path in the file, is one of the two.
pub(super) fn is_one(path: &str) -> bool {
    [GEOMETRY, BBOX].contains(&path.split('.').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_two_points_is_the_41_bytes_that_wkb_wants() {
        let line = vec![(2.35, 48.85), (-0.5, 51.5)];
        let bytes = wkb(&line);
        assert_eq!(bytes.len(), 1 + 4 + 4 + 2 * 16);
        assert_eq!(bytes[..9], [1, 2, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[9..17], 2.35_f64.to_le_bytes());
        assert_eq!(bounds(&[None, Some(line)]), Some([-0.5, 48.85, 2.35, 51.5]));
        assert_eq!(bounds(&[None]), None);
    }
}
