//! Tracks as lines: GeoJSON (RFC 7946) and GeoParquet 1.1 (<https://geoparquet.org/releases/v1.1.0/>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Float64Array, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Float32Type, Float64Type, Int32Type, Int64Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};

use super::table;
use crate::store::dataset::cells::Rows;

/// Longitude and latitude in degrees, as both formats want them.
pub type Line = Vec<(f64, f64)>;

/// The track of each workout; none where it has fewer than two points.
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
fn bounds(line: &Line) -> [f64; 4] {
    line.iter().fold([180.0, 90.0, -180.0, -90.0], |[w, s, e, n], (lon, lat)| {
        [lon.min(w), lat.min(s), lon.max(e), lat.max(n)]
    })
}

/// A collection of features, one a line, with the values that are there as properties.
pub fn json(rows: &RecordBatch, lines: &[Option<Line>]) -> Vec<u8> {
    let (schema, columns) = (rows.schema(), table::printable(rows));
    let mut out = br#"{"type":"FeatureCollection","features":["#.to_vec();
    for (row, line) in lines.iter().enumerate() {
        let mut properties = Map::new();
        for (field, column) in schema.fields().iter().zip(&columns) {
            if column.is_valid(row) {
                properties.insert(field.name().clone(), value(column, row));
            }
        }
        let geometry = line.as_ref().map(|line| json!({ "type": "LineString", "coordinates": line }));
        let feature = json!({ "type": "Feature", "geometry": geometry, "properties": properties });
        out.extend_from_slice(if row == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut out, &feature).expect("memory takes it");
    }
    out.extend_from_slice(b"\n]}\n");
    out
}

fn value(column: &ArrayRef, row: usize) -> Value {
    match column.data_type() {
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => json!(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        _ => json!(table::texts(column).value(row).to_string()),
    }
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

pub fn parquet(rows: &RecordBatch, lines: &[Option<Line>]) -> Vec<u8> {
    const SOUND: &str = "memory takes it";
    let boxes: Vec<Option<[f64; 4]>> = lines.iter().map(|line| line.as_ref().map(bounds)).collect();
    let whole = boxes
        .iter()
        .flatten()
        .copied()
        .reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]);
    let mut geometry = BinaryBuilder::new();
    for line in lines {
        geometry.append_option(line.as_ref().map(wkb));
    }
    const SIDES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];
    let sides: Fields = SIDES.iter().map(|side| Field::new(*side, DataType::Float64, false)).collect();
    let side = |at: usize| -> ArrayRef {
        Arc::new(boxes.iter().map(|b| b.map_or(0.0, |b| b[at])).collect::<Float64Array>())
    };
    let known: NullBuffer = boxes.iter().map(Option::is_some).collect();
    let sides_of = StructArray::new(sides.clone(), (0..4).map(side).collect(), Some(known));
    let more: Vec<(Field, ArrayRef)> = vec![
        (Field::new("geometry", DataType::Binary, true), Arc::new(geometry.finish())),
        (Field::new("bbox", DataType::Struct(sides), true), Arc::new(sides_of)),
    ];
    let rows = table::with(rows, more, Schema::new);
    let covering: Map<String, Value> =
        SIDES.iter().map(|side| (side.to_string(), json!(["bbox", side]))).collect();
    let mut column = json!({
        "encoding": "WKB",
        "geometry_types": ["LineString"],
        "covering": { "bbox": covering },
    });
    if let Some(whole) = whole {
        column["bbox"] = json!(whole);
    }
    let geo = json!({ "version": "1.1.0", "primary_column": "geometry", "columns": { "geometry": column } });
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(vec![KeyValue::new("geo".to_string(), geo.to_string())]))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).expect(SOUND);
    writer.write(&rows).expect(SOUND);
    writer.into_inner().expect(SOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_two_points_is_the_41_bytes_that_wkb_wants() {
        let bytes = wkb(&vec![(2.35, 48.85), (-0.5, 51.5)]);
        assert_eq!(bytes.len(), 1 + 4 + 4 + 2 * 16);
        assert_eq!(bytes[..9], [1, 2, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[9..17], 2.35_f64.to_le_bytes());
        assert_eq!(bounds(&vec![(2.35, 48.85), (-0.5, 51.5)]), [-0.5, 48.85, 2.35, 51.5]);
    }
}
