//! Tracks as lines: GeoJSON (RFC 7946) and GeoParquet 1.1 (<https://geoparquet.org/releases/v1.1.0/>).

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};

use super::table;
use crate::store::dataset::geometry::{self, Line};

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
        let geometry = line.as_ref().map(geometry_of);
        let feature = json!({ "type": "Feature", "geometry": geometry, "properties": properties });
        out.extend_from_slice(if row == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut out, &feature).expect("memory takes it");
    }
    out.extend_from_slice(b"\n]}\n");
    out
}

/// A line, or its parts where it crosses the 180th meridian, which RFC 7946 (3.1.9) has cut there.
fn geometry_of(line: &Line) -> Value {
    let mut parts: Vec<Line> = vec![Vec::new()];
    for (lon, lat) in line {
        let part = parts.last_mut().expect("there is one from the beginning");
        if let Some((from_lon, from_lat)) = part.last().copied()
            && (lon - from_lon).abs() > 180.0
        {
            let side = 180_f64.copysign(from_lon);
            let share = (side - from_lon) / (lon + 2.0 * side - from_lon);
            let cut_lat = from_lat + share * (lat - from_lat);
            part.push((side, cut_lat));
            parts.push(vec![(-side, cut_lat), (*lon, *lat)]);
        } else {
            part.push((*lon, *lat));
        }
    }
    match parts.len() {
        1 => json!({ "type": "LineString", "coordinates": parts[0] }),
        _ => json!({ "type": "MultiLineString", "coordinates": parts }),
    }
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

pub fn parquet(rows: &RecordBatch, lines: &[Option<Line>]) -> Vec<u8> {
    const SOUND: &str = "memory takes it";
    let more = geometry::fields().into_iter().zip(geometry::columns(lines)).collect();
    let rows = table::with(rows, more, Schema::new);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(vec![geometry::metadata(geometry::bounds(lines))]))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).expect(SOUND);
    writer.write(&rows).expect(SOUND);
    writer.into_inner().expect(SOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_over_the_180th_meridian_is_cut_there() {
        let line = vec![(179.0, 10.0), (-179.0, 12.0), (-178.0, 12.0)];
        let cut = geometry_of(&line);
        assert_eq!(cut["type"], "MultiLineString");
        let parts = json!([[[179.0, 10.0], [180.0, 11.0]], [[-180.0, 11.0], [-179.0, 12.0], [-178.0, 12.0]]]);
        assert_eq!(cut["coordinates"], parts);
        assert_eq!(geometry_of(&vec![(1.0, 2.0), (3.0, 4.0)])["type"], "LineString");
    }
}
