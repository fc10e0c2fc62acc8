//! Tracks for maps: few points, as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::polyline::{self, Track};

/// Enough for a drawing of some hundred pixels.
const OF_A_PAIR: usize = 80;
/// And among thousands of others on one map.
const OF_MANY: usize = 40;
/// The map of all tracks has points of so many 1e-5 degrees: some ten metres.
const COARSE_E5: i32 = 10;
/// The map is loaded by cells of so many 1e-5 degrees: a quarter of one, or some 25 km.
const CELL_E5: i32 = 25_000;

/// Every nth point of a track, and always the last one, as an encoded polyline.
pub fn thinned(lat_e5: &[i32], lon_e5: &[i32]) -> Option<String> {
    thin(lat_e5, lon_e5, OF_A_PAIR).map(|track| polyline::encode(&track))
}

fn thin(lat_e5: &[i32], lon_e5: &[i32], points: usize) -> Option<Track> {
    if lat_e5.is_empty() || lat_e5.len() != lon_e5.len() {
        return None;
    }
    let step = lat_e5.len().div_ceil(points);
    let last = lat_e5.len() - 1;
    let mut track = Track::default();
    for at in (0..lat_e5.len()).step_by(step).chain((last % step != 0).then_some(last)) {
        track.lat_e5.push(lat_e5[at]);
        track.lon_e5.push(lon_e5[at]);
    }
    Some(track)
}

/// All tracks, by where they begin.
#[derive(Debug, Clone, Default)]
pub struct Map {
    pub cells: Vec<Cell>,
    /// Tracks that there are. Of more than the most that are drawn, every nth is.
    pub tracks: u64,
    pub every: u64,
}

/// The tracks that begin in a square.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// Its middle, in 1e-5 degrees.
    pub lat_e5: i32,
    pub lon_e5: i32,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// By its number among the users.
    pub user: u32,
    /// An encoded polyline in 1e-4 degrees.
    pub points: Box<str>,
}

/// Draws at most so many.
#[derive(Debug, Serialize, Deserialize)]
pub struct Drawing {
    most: usize,
    every: u64,
    /// The number of its first track. Drawings that are put together begin with different ones, so that of every nth
    /// each has its share.
    from: u64,
    tracks: u64,
    /// With the number of each.
    lines: BTreeMap<(i32, i32), Vec<(u64, Line)>>,
    kept: usize,
}

impl Drawing {
    pub fn new(most: usize, from: u64) -> Drawing {
        Drawing { most, every: 1, from, tracks: 0, lines: BTreeMap::new(), kept: 0 }
    }

    pub fn take(&mut self, user: u32, lat_e5: &[i32], lon_e5: &[i32]) {
        if lat_e5.is_empty() || lat_e5.len() != lon_e5.len() {
            return;
        }
        let number = self.from + self.tracks;
        self.tracks += 1;
        if number % self.every != 0 || self.most == 0 {
            return;
        }
        let Some(track) = thin(lat_e5, lon_e5, OF_MANY) else { return };
        let cell = (lat_e5[0].div_euclid(CELL_E5), lon_e5[0].div_euclid(CELL_E5));
        let points = polyline::encode(&coarse(&track)).into();
        self.lines.entry(cell).or_default().push((number, Line { user, points }));
        self.kept += 1;
        if self.kept > self.most {
            self.thin_to(self.every * 2);
        }
    }

    /// Takes in another, with its users by their numbers here.
    pub fn add(&mut self, other: Drawing, users: &[u32]) {
        self.tracks += other.tracks;
        for (cell, lines) in other.lines {
            let renamed = lines.into_iter().map(|(number, line)| {
                (number, Line { user: users[line.user as usize], points: line.points })
            });
            self.lines.entry(cell).or_default().extend(renamed);
        }
        self.thin_to(self.every.max(other.every));
        while self.kept > self.most {
            self.thin_to(self.every * 2);
        }
    }

    fn thin_to(&mut self, every: u64) {
        self.every = every;
        for lines in self.lines.values_mut() {
            lines.retain(|(number, _)| number % every == 0);
        }
        self.kept = self.lines.values().map(Vec::len).sum();
    }

    pub fn finish(self) -> Map {
        let middle = |cell: i32| cell * CELL_E5 + CELL_E5 / 2;
        let cell = |((lat, lon), lines): ((i32, i32), Vec<(u64, Line)>)| Cell {
            lat_e5: middle(lat),
            lon_e5: middle(lon),
            lines: lines.into_iter().map(|(_, line)| line).collect(),
        };
        let cells = self.lines.into_iter().map(cell).filter(|cell| !cell.lines.is_empty()).collect();
        Map { cells, tracks: self.tracks, every: self.every }
    }
}

/// In 1e-4 degrees, without points that fall together.
fn coarse(track: &Track) -> Track {
    let mut coarse = Track::default();
    let mut before = None;
    for at in track.lat_e5.iter().zip(&track.lon_e5) {
        let at = (at.0.div_euclid(COARSE_E5), at.1.div_euclid(COARSE_E5));
        if before != Some(at) {
            coarse.lat_e5.push(at.0);
            coarse.lon_e5.push(at.1);
        }
        before = Some(at);
    }
    coarse
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
        assert!(track.len() <= OF_A_PAIR + 1);
        assert_eq!((track.lat_e5[0], *track.lat_e5.last().unwrap()), (0, 9_999));
        assert_eq!(thinned(&[], &[]), None);
        assert_eq!(polyline::decode(thinned(&[7], &[8]).unwrap().as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn drawings_put_together_have_every_nth_of_each_and_end_where_there_are_more_of_them_than_lines() {
        let drawing = |from, tracks, most| {
            let mut drawing = Drawing::new(most, from);
            (0..tracks).for_each(|at| drawing.take(0, &[at, at + 100], &[from as i32 * CELL_E5, 0]));
            drawing
        };
        let together = |parts: u64, tracks, most| {
            let mut all = Drawing::new(most, 0);
            (0..parts).for_each(|from| all.add(drawing(from, tracks, most), &[from as u32]));
            all.finish()
        };
        let map = together(4, 100, 60);
        assert_eq!((map.tracks, map.every), (400, 8));
        let drawn: Vec<(u32, usize)> =
            map.cells.iter().map(|cell| (cell.lines[0].user, cell.lines.len())).collect();
        assert_eq!(drawn, [(0, 13), (1, 12), (2, 12), (3, 12)]);
        let crowded = together(9, 1, 2);
        assert_eq!((crowded.tracks, crowded.every, crowded.cells.len()), (9, 8, 2));
        assert_eq!(together(3, 5, 0).cells.len(), 0);
    }

    #[test]
    fn a_map_of_more_tracks_than_it_may_draw_has_every_nth_of_everywhere() {
        let mut drawing = Drawing::new(100, 0);
        for number in 0..1_000 {
            // In turn in two towns.
            let (lat, lon) = if number % 3 == 0 { (4_885_000, 235_000) } else { (-3_390_000, 15_120_000) };
            drawing.take(number, &[lat, lat + 100], &[lon, lon + 50]);
        }
        let map = drawing.finish();
        assert_eq!((map.tracks, map.every, map.cells.len()), (1_000, 16, 2));
        let drawn: Vec<usize> = map.cells.iter().map(|cell| cell.lines.len()).collect();
        assert_eq!(drawn.iter().sum::<usize>(), 1_000_usize.div_ceil(16));
        assert!(drawn.iter().all(|lines| *lines > 15), "{drawn:?}");
        let south = &map.cells[0];
        assert_eq!((south.lat_e5, south.lon_e5), (-3_387_500, 15_112_500));
        let line = polyline::decode(south.lines[0].points.as_bytes()).unwrap();
        assert_eq!((line.lat_e5, line.lon_e5), (vec![-339_000, -338_990], vec![1_512_000, 1_512_005]));
    }
}
