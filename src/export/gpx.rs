//! GPX 1.1 (<https://www.topografix.com/GPX/1/1/>), a file for a workout with a track.
//!
//! Where the samples of its best recording are there, points have times, altitude, heart rate, cadence (as Garmin's
//! TrackPointExtension has them, which most tools read) and power; elsewhere they have only their place.

use std::fmt::Write;

use jiff::SignedDuration;
use quick_xml::escape::escape;

use super::samples::{Samples, value};
use crate::store::dataset::cells::Rows;
use crate::store::dataset::geometry::Line;

/// A file of the points between.
pub fn file(rows: &Rows, row: usize, points: &str) -> String {
    let text = |column: &str| rows.word(column, row).map(|text| escape_text(&text));
    let tag = |tag: &str, text: Option<String>| {
        text.map_or(String::new(), |text| format!("<{tag}>{text}</{tag}>\n"))
    };
    let start = rows.time("start_time", row).map(|time| time.to_string());
    [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <gpx version=\"1.1\" creator=\"longrun\" xmlns=\"http://www.topografix.com/GPX/1/1\" \
         xmlns:tpx=\"http://www.garmin.com/xmlschemas/TrackPointExtension/v1\">\n<metadata>",
        &tag("time", start),
        "</metadata>\n<trk>\n",
        &tag("name", text("title")),
        &tag("desc", text("description")),
        &tag("type", text("sport")),
        "<trkseg>\n",
        points,
        "</trkseg>\n</trk>\n</gpx>\n",
    ]
    .concat()
}

/// Without the characters that no XML may have.
fn escape_text(text: &str) -> String {
    let is_sound = |c: &char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    let sound: String =
        text.chars().filter(is_sound).filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect();
    escape(&sound).into_owned()
}

pub fn points_of_line(line: &Line) -> String {
    let mut points = String::new();
    for (lon, lat) in line {
        _ = writeln!(points, "<trkpt lat=\"{lat:.5}\" lon=\"{lon:.5}\"/>");
    }
    points
}

/// None where a recording has fewer than two places.
pub fn points(of: &Samples) -> Option<String> {
    let (mut points, mut count) = (String::new(), 0);
    for at in 0..of.count {
        let (Some(lat), Some(lon)) = (value(&of.lat_e7, at), value(&of.lon_e7, at)) else { continue };
        let [lat, lon] = [lat, lon].map(|e7| f64::from(e7) / 1e7);
        _ = write!(points, "<trkpt lat=\"{lat:.7}\" lon=\"{lon:.7}\">");
        if let Some(metres) = value(&of.altitude_m, at) {
            _ = write!(points, "<ele>{metres:.1}</ele>");
        }
        let time = value(&of.time_s, at)
            .and_then(|s| of.start.checked_add(SignedDuration::from_secs(s.into())).ok());
        if let Some(time) = time {
            _ = write!(points, "<time>{time}</time>");
        }
        let mut more = String::new();
        for (tag, series) in
            [("atemp", &of.temperature_c), ("hr", &of.heart_rate_bpm), ("cad", &of.cadence_rpm)]
        {
            if let Some(value) = value(series, at) {
                _ = write!(more, "<tpx:{tag}>{value}</tpx:{tag}>");
            }
        }
        let watts = value(&of.power_w, at).map_or(String::new(), |watts| format!("<power>{watts}</power>"));
        if !more.is_empty() {
            more = format!("<tpx:TrackPointExtension>{more}</tpx:TrackPointExtension>");
        }
        if !more.is_empty() || !watts.is_empty() {
            _ = write!(points, "<extensions>{watts}{more}</extensions>");
        }
        points.push_str("</trkpt>\n");
        count += 1;
    }
    (count > 1).then_some(points)
}
