//! Tracks for small maps: few points, as text.

use crate::model::polyline::{self, Track};

/// Enough for a map of some hundred pixels.
const POINTS: usize = 120;

/// Every nth point of a track, and always the last one, as an encoded polyline.
pub fn thinned(lat_e5: &[i32], lon_e5: &[i32]) -> Option<String> {
    if lat_e5.is_empty() || lat_e5.len() != lon_e5.len() {
        return None;
    }
    let step = lat_e5.len().div_ceil(POINTS);
    let last = lat_e5.len() - 1;
    let mut track = Track::default();
    for at in (0..lat_e5.len()).step_by(step).chain((last % step != 0).then_some(last)) {
        track.lat_e5.push(lat_e5[at]);
        track.lon_e5.push(lon_e5[at]);
    }
    Some(polyline::encode(&track))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_track_is_thinned_and_keeps_its_ends() {
        let lat: Vec<i32> = (0..10_000).collect();
        let lon: Vec<i32> = (0..10_000).map(|i| -i).collect();
        let text = thinned(&lat, &lon).unwrap();
        let track = polyline::decode(text.as_bytes()).unwrap();
        assert!(track.len() <= POINTS + 1);
        assert_eq!((track.lat_e5[0], *track.lat_e5.last().unwrap()), (0, 9_999));
        assert_eq!(thinned(&[], &[]), None);
        assert_eq!(polyline::decode(thinned(&[7], &[8]).unwrap().as_bytes()).unwrap().len(), 1);
    }
}
