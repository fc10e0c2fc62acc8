//! Encoded polylines as integer tracks.
//!
//! The format is Google's encoded polyline algorithm: latitude and longitude in turn, each the
//! difference to the point before, in whole 1e-5 degrees (for Strava's precision of 5),
//! zigzag, five bits a character, lowest first, plus 63. A polyline here is the text after
//! JSON unescaping: a backslash is one character of it.
//!
//! One loop takes value after value and knows every error. Where the processor allows it, `avx2` takes most of a line
//! instead, many values at once; what it takes and what the loop takes is the same.

#[cfg(target_arch = "x86_64")]
mod avx2;

/// Points as whole 1e-5 degrees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Track {
    pub lat_e5: Vec<i32>,
    pub lon_e5: Vec<i32>,
}

/// The smallest box that holds a track, in whole 1e-5 degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundingBox {
    pub south_e5: i32,
    pub west_e5: i32,
    pub north_e5: i32,
    pub east_e5: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolylineError {
    #[error("character {at} of the polyline is not one of the alphabet")]
    Alphabet { at: usize },
    #[error("the polyline is cut in the middle of a value, at character {at}")]
    CutValue { at: usize },
    #[error("the polyline is cut after a latitude, at character {at}")]
    CutPoint { at: usize },
    #[error("the value before character {at} of the polyline is too long")]
    TooLong { at: usize },
    #[error("the polyline leaves the globe before character {at}")]
    OffGlobe { at: usize },
}

const EARTH_RADIUS_M: f64 = 6_371_008.8;
const HALF_TURN_E5: i64 = 180 * 100_000;
const QUARTER_TURN_E5: i64 = 90 * 100_000;
/// Six groups hold ±2^29, far more than a full turn of 36 million.
const MAX_SHIFT: u32 = 25;
/// Characters from here on have the bit that says that their value goes on.
#[cfg(target_arch = "x86_64")]
const GOES_ON: u8 = 63 + 0x20;

/// Metres between two points of a recording, as whole 1e-7 degrees of latitude and longitude, on a sphere that is taken
/// for flat between them.
pub fn between_e7_m(a: (i32, i32), b: (i32, i32)) -> f64 {
    const METRES_PER_E7: f64 = EARTH_RADIUS_M * std::f64::consts::PI / 180.0 * 1e-7;
    let north = f64::from(b.0) - f64::from(a.0);
    let east = f64::from(b.1) - f64::from(a.1);
    // The short way around.
    let east = if east.abs() > 1.8e9 { 3.6e9 - east.abs() } else { east };
    let east = east * (f64::from(a.0) * 1e-7).to_radians().cos();
    (north * north + east * east).sqrt() * METRES_PER_E7
}

/// Decodes a polyline of precision 5. A track that goes on across the antimeridian is wrapped
/// into ±180 degrees.
pub fn decode(text: &[u8]) -> Result<Track, PolylineError> {
    let mut track = Track::default();
    decode_into(text, &mut track)?;
    Ok(track)
}

/// The same into a track that was used before, whose memory is used again. After an error it holds the points before it.
pub fn decode_into(text: &[u8], track: &mut Track) -> Result<(), PolylineError> {
    track.lat_e5.clear();
    track.lon_e5.clear();
    let mut cursor = Cursor::default();
    #[cfg(target_arch = "x86_64")]
    {
        let points = avx2::count_ends(text) / 2 + avx2::GROUP;
        track.lat_e5.reserve_exact(points);
        track.lon_e5.reserve_exact(points);
        // The first value is the distance from the equator, which is long.
        let mut until = text.len().min(1);
        while cursor.at < text.len() {
            take_one_by_one(text, &mut cursor, until, track)?;
            until = avx2::take(text, &mut cursor, track).max(cursor.at + 1);
        }
    }
    take_one_by_one(text, &mut cursor, text.len(), track)
}

/// How far a text is decoded: the next character, and the last point before it, not wrapped.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    at: usize,
    lat_e5: i32,
    lon_e5: i32,
}

/// Takes whole points until one ends at or behind a character.
fn take_one_by_one(
    text: &[u8],
    cursor: &mut Cursor,
    until: usize,
    track: &mut Track,
) -> Result<(), PolylineError> {
    let Cursor { mut at, lat_e5, lon_e5 } = *cursor;
    let (mut lat, mut lon) = (i64::from(lat_e5), i64::from(lon_e5));
    while at < until {
        lat += value(text, &mut at)?;
        if !(-QUARTER_TURN_E5..=QUARTER_TURN_E5).contains(&lat) {
            return Err(PolylineError::OffGlobe { at });
        }
        if at == text.len() {
            return Err(PolylineError::CutPoint { at });
        }
        lon += value(text, &mut at)?;
        if !(-2 * HALF_TURN_E5..=2 * HALF_TURN_E5).contains(&lon) {
            return Err(PolylineError::OffGlobe { at });
        }
        track.lat_e5.push(lat as i32);
        track.lon_e5.push(wrapped(lon));
    }
    *cursor = Cursor { at, lat_e5: lat as i32, lon_e5: lon as i32 };
    Ok(())
}

#[inline]
fn value(text: &[u8], at: &mut usize) -> Result<i64, PolylineError> {
    let mut bits = 0_u32;
    let mut shift = 0;
    loop {
        let Some(&byte) = text.get(*at) else {
            return Err(PolylineError::CutValue { at: *at });
        };
        if !(63..=126).contains(&byte) {
            return Err(PolylineError::Alphabet { at: *at });
        }
        if shift > MAX_SHIFT {
            return Err(PolylineError::TooLong { at: *at });
        }
        *at += 1;
        let group = u32::from(byte) - 63;
        bits |= (group & 0x1f) << shift;
        if group < 0x20 {
            break;
        }
        shift += 5;
    }
    let magnitude = i64::from(bits >> 1);
    Ok(if bits & 1 == 1 { !magnitude } else { magnitude })
}

fn wrapped(lon: i64) -> i32 {
    let turn = 2 * HALF_TURN_E5;
    let wrapped = match lon {
        lon if lon > HALF_TURN_E5 => lon - turn,
        lon if lon < -HALF_TURN_E5 => lon + turn,
        lon => lon,
    };
    wrapped as i32
}

/// Encodes points of whole 1e-5 degrees.
pub fn encode(track: &Track) -> String {
    let mut text = String::with_capacity(track.lat_e5.len() * 5);
    let (mut before_lat, mut before_lon) = (0, 0);
    for (&lat, &lon) in track.lat_e5.iter().zip(&track.lon_e5) {
        push_value(&mut text, lat - before_lat);
        push_value(&mut text, lon - before_lon);
        (before_lat, before_lon) = (lat, lon);
    }
    text
}

fn push_value(text: &mut String, difference: i32) {
    let mut bits = ((difference << 1) ^ (difference >> 31)) as u32;
    while bits >= 0x20 {
        text.push(char::from((bits & 0x1f | 0x20) as u8 + 63));
        bits >>= 5;
    }
    text.push(char::from(bits as u8 + 63));
}

impl Track {
    pub fn len(&self) -> usize {
        self.lat_e5.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lat_e5.is_empty()
    }

    /// Length on a sphere of the mean Earth radius, in metres. Between neighbours the sphere is
    /// taken for flat at their mean latitude: over the few kilometres between two points of a
    /// recording that is off by less than a millionth.
    pub fn length_m(&self) -> f64 {
        const RADIANS_PER_E5: f64 = std::f64::consts::PI / 18_000_000.0;
        let mut cosine = NearbyCosine::new();
        let mut sum = 0.0;
        for (lat, lon) in self.lat_e5.windows(2).zip(self.lon_e5.windows(2)) {
            let north = f64::from(lat[1] - lat[0]) * RADIANS_PER_E5;
            let mean = (f64::from(lat[0]) + f64::from(lat[1])) / 2.0 * RADIANS_PER_E5;
            let east_e5 = lon[1] - lon[0];
            // The short way around.
            let east_e5 = if east_e5.abs() > HALF_TURN_E5 as i32 {
                2 * HALF_TURN_E5 as i32 - east_e5.abs()
            } else {
                east_e5
            };
            let east = f64::from(east_e5) * RADIANS_PER_E5 * cosine.of(mean);
            sum += (north * north + east * east).sqrt();
        }
        sum * EARTH_RADIUS_M
    }

    /// None for no points. A track across the antimeridian gets a box around the globe.
    pub fn bounding_box(&self) -> Option<BoundingBox> {
        if self.is_empty() {
            return None;
        }
        let (south_e5, north_e5) = ends(&self.lat_e5);
        let (west_e5, east_e5) = ends(&self.lon_e5);
        Some(BoundingBox { south_e5, west_e5, north_e5, east_e5 })
    }
}

/// The least and the greatest. Written so that a processor takes several at once, which it does not of `Iterator::min`.
fn ends(values: &[i32]) -> (i32, i32) {
    values.iter().fold((i32::MAX, i32::MIN), |(least, most), value| (least.min(*value), most.max(*value)))
}

/// The cosine of angles that lie close together: three terms of its series around one that was
/// computed.
struct NearbyCosine {
    at: f64,
    sin: f64,
    cos: f64,
}

impl NearbyCosine {
    /// Within this the fourth term is below 2e-10.
    const RADIUS: f64 = 1e-3;

    fn new() -> NearbyCosine {
        NearbyCosine { at: 0.0, sin: 0.0, cos: 1.0 }
    }

    #[inline]
    fn of(&mut self, angle: f64) -> f64 {
        let away = angle - self.at;
        if away.abs() > Self::RADIUS {
            (self.sin, self.cos) = angle.sin_cos();
            self.at = angle;
            return self.cos;
        }
        self.cos - away * self.sin - away * away / 2.0 * self.cos
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of Google's own description of the format.
    const EXAMPLE: &str = "_p~iF~ps|U_ulLnnqC_mqNvxq`@";

    #[test]
    fn the_documented_example_decodes() {
        let track = decode(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(track.lat_e5, [3_850_000, 4_070_000, 4_325_200]);
        assert_eq!(track.lon_e5, [-12_020_000, -12_095_000, -12_645_300]);
        assert_eq!(encode(&track), EXAMPLE);
        assert_eq!(decode(b"").unwrap(), Track::default());
    }

    #[test]
    fn a_cut_polyline_is_an_error_and_not_a_wrong_last_point() {
        assert_eq!(decode(b"_ibE_seK_seK_se"), Err(PolylineError::CutValue { at: 15 }));
        assert_eq!(decode(b"_ibE_seK_seK"), Err(PolylineError::CutPoint { at: 12 }));
        for cut in 1..EXAMPLE.len() {
            let decoded = decode(&EXAMPLE.as_bytes()[..cut]);
            let is_whole = [10, 18].contains(&cut);
            assert_eq!(decoded.is_ok(), is_whole, "cut at {cut}: {decoded:?}");
        }
    }

    #[test]
    fn foreign_bytes_and_endless_values_are_errors() {
        assert_eq!(decode(b"_ibE\n"), Err(PolylineError::Alphabet { at: 4 }));
        assert_eq!(decode(b"\x7f?"), Err(PolylineError::Alphabet { at: 0 }));
        assert_eq!(decode(b"~~~~~~~~~~~~"), Err(PolylineError::TooLong { at: 6 }));
        let north = Track { lat_e5: vec![9_000_001], lon_e5: vec![0] };
        assert!(matches!(decode(encode(&north).as_bytes()), Err(PolylineError::OffGlobe { .. })));
    }

    #[test]
    fn a_track_across_the_antimeridian_is_wrapped() {
        let across = Track { lat_e5: vec![0, 0], lon_e5: vec![17_999_000, 18_020_000] };
        assert_eq!(decode(encode(&across).as_bytes()).unwrap().lon_e5, [17_999_000, -17_980_000]);
    }

    /// Great-circle length by haversines, the slow way.
    fn haversines_m(track: &Track) -> f64 {
        let radians = |e5: i32| (f64::from(e5) / 1e5).to_radians();
        let step = |i: usize| {
            let (lat0, lat1) = (radians(track.lat_e5[i]), radians(track.lat_e5[i + 1]));
            let lon = radians(track.lon_e5[i + 1]) - radians(track.lon_e5[i]);
            let h = ((lat1 - lat0) / 2.0).sin().powi(2) + lat0.cos() * lat1.cos() * (lon / 2.0).sin().powi(2);
            2.0 * 6_371_008.8 * h.sqrt().asin()
        };
        (0..track.len().saturating_sub(1)).map(step).sum()
    }

    #[test]
    fn a_track_across_the_antimeridian_is_as_long_as_elsewhere() {
        let track =
            |lon: i32| Track { lat_e5: vec![0, 0], lon_e5: vec![lon - 500, wrapped(i64::from(lon) + 500)] };
        assert!((track(18_000_000).length_m() - track(0).length_m()).abs() < 1e-6);
    }

    #[test]
    fn a_degree_of_latitude_has_its_length() {
        let degree = Track { lat_e5: (0..=100).map(|i| i * 1000).collect(), lon_e5: vec![0; 101] };
        assert!((degree.length_m() - 111_195.08).abs() < 0.01, "{}", degree.length_m());
    }

    /// Lines of steps that are short, long or beyond the globe, with some of their characters replaced by others, cut
    /// anywhere.
    fn broken_line() -> impl Strategy<Value = Vec<u8>> {
        let step = prop_oneof![
            8 => -40..40,
            4 => -2_000..2_000,
            2 => -600_000..600_000,
            1 => -20_000_000..20_000_000,
        ];
        let start = (-9_000_000..=9_000_000, -18_000_000..=18_000_000);
        let steps = prop::collection::vec((step.clone(), step), 0..120);
        let others = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
        (start, steps, others, prop::option::weighted(0.3, any::<prop::sample::Index>())).prop_map(
            |(start, steps, others, cut)| {
                let mut text = String::new();
                for (lat, lon) in std::iter::once(start).chain(steps) {
                    push_value(&mut text, lat);
                    push_value(&mut text, lon);
                }
                let mut text = text.into_bytes();
                let length = text.len();
                others.iter().for_each(|(at, other)| text[at.index(length)] = *other);
                if let Some(cut) = cut {
                    text.truncate(cut.index(length));
                }
                text
            },
        )
    }

    /// What makes a line fast: a guard that no clock wobbles.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn one_by_one_are_taken_only_first_points_and_long_steps() {
        if !avx2::is_there() {
            println!("skipped: the processor has no AVX2");
            return;
        }
        let mut text = String::new();
        for n in 0..1_000 {
            let step = if n % 100 == 0 { 400_000 } else { (n * 37) % 3_000 - 1_500 };
            push_value(&mut text, step);
            push_value(&mut text, -step / 7);
        }
        let mut cursor = Cursor::default();
        let mut track = Track::default();
        track.lat_e5.reserve(1_000 + avx2::GROUP);
        track.lon_e5.reserve(1_000 + avx2::GROUP);
        let (mut one_by_one, mut until) = (0, 1);
        while cursor.at < text.len() {
            let before = track.len();
            take_one_by_one(text.as_bytes(), &mut cursor, until, &mut track).unwrap();
            one_by_one += track.len() - before;
            until = avx2::take(text.as_bytes(), &mut cursor, &mut track).max(cursor.at + 1);
        }
        assert_eq!(Ok(track), decode(text.as_bytes()));
        // Up to a group lies in front of each of the ten long ones.
        assert!((10..=10 * avx2::GROUP).contains(&one_by_one), "{one_by_one}");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(
            points in prop::collection::vec((-9_000_000..=9_000_000, -18_000_000..=18_000_000), 0..200)
        ) {
            let (lat_e5, lon_e5) = points.into_iter().unzip();
            let track = Track { lat_e5, lon_e5 };
            prop_assert_eq!(decode(encode(&track).as_bytes()), Ok(track));
        }

        #[test]
        fn lengths_are_those_of_great_circles(
            lat in -7_000_000..7_000_000, steps in prop::collection::vec((-2_000..2_000, -2_000..2_000), 1..200)
        ) {
            let (mut track, mut at) = (Track::default(), (lat, 0));
            for (north, east) in steps {
                at = (at.0 + north, at.1 + east);
                track.lat_e5.push(at.0);
                track.lon_e5.push(at.1);
            }
            let (fast, slow) = (track.length_m(), haversines_m(&track));
            prop_assert!((fast - slow).abs() <= 1e-6 * slow + 1e-6, "{} {}", fast, slow);
        }

        #[test]
        fn a_broken_line_is_decoded_as_value_after_value_is(text in broken_line()) {
            let mut plain = Track::default();
            let plain = take_one_by_one(&text, &mut Cursor::default(), text.len(), &mut plain).map(|()| plain);
            prop_assert_eq!(decode(&text), plain);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(track) = decode(&bytes) {
                prop_assert_eq!(track.lat_e5.len(), track.lon_e5.len());
                prop_assert!(track.lon_e5.iter().all(|lon| lon.abs() <= 18_000_000));
            }
        }
    }
}
