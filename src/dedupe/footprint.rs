//! Where a track went, as the set of cells it touched: robust to another sampling, to noise of a
//! receiver and to ends that were cut off. The cells are found when they are first asked for, which of most records they
//! never are: only of those that are candidates with another one.

use std::sync::{Arc, OnceLock};

use arrow::buffer::ScalarBuffer;

use super::tiles::{Cells, Gathered, ROW};

/// A cell is some 80 m wide and high: further than receivers err, nearer than the next street but one.
const CELL_E5: i32 = 72;
/// Cells of one latitude band are equally wide.
const BAND_E5: i32 = 100_000;
/// Points further apart than this have a gap between them that nobody knows the way of: some 3 km.
const GAP_E5: i32 = 2_700;
/// A ride of 600 km. What is walked after that is not looked at.
const MAX_CELLS: usize = 8_192;

/// With fewer cells, a track is one place.
const FEWEST_CELLS: usize = 4;

/// Where a track went.
#[derive(Debug, Clone)]
pub struct Footprint {
    /// The points, in whole 1e-5 degrees.
    lat_e5: ScalarBuffer<i32>,
    lon_e5: ScalarBuffer<i32>,
    /// No place at all, or hardly more than one: a receiver that lay still in a room says nothing of a way.
    pub is_one_place: bool,
    cells: OnceLock<Arc<Cells>>,
}

impl Default for Footprint {
    fn default() -> Footprint {
        Footprint::of(&[], &[])
    }
}

impl PartialEq for Footprint {
    fn eq(&self, other: &Footprint) -> bool {
        self.cells() == other.cells() && self.ends() == other.ends()
    }
}

/// Latitude and longitude, in whole 1e-5 degrees.
type Point = (i32, i32);

/// Makes rows and columns of all numbers positive.
const OFFSET: u32 = 1 << 25;

/// Finds the cells of points: row and column in one number.
struct Grid {
    /// Where the band begins that the last point lay in.
    band_e5: i32,
    /// Columns per 1e-5 degrees of longitude in the band, in parts of 2^32.
    columns: u32,
}

impl Grid {
    fn at(lat_e5: i32) -> Grid {
        let band = lat_e5.div_euclid(BAND_E5);
        let narrowed = (f64::from(band) + 0.5).to_radians().cos().max(0.01);
        Grid { band_e5: band * BAND_E5, columns: (narrowed / f64::from(CELL_E5) * 2_f64.powi(32)) as u32 }
    }

    fn has(&self, lat_e5: i32) -> bool {
        lat_e5.wrapping_sub(self.band_e5).cast_unsigned() < BAND_E5.cast_unsigned()
    }

    /// The cell of a point in the band.
    fn own_cell(&self, lat_e5: i32, lon_e5: i32) -> u64 {
        // Half as wide and without a sign, so that the compiler finds several at a time.
        const FIRST_ROW: u32 = OFFSET * CELL_E5.cast_unsigned();
        let row = FIRST_ROW.wrapping_add_signed(lat_e5) / CELL_E5.cast_unsigned();
        let east = (u64::from(lon_e5.cast_unsigned()) * u64::from(self.columns)) >> 32;
        // West of zero, 2^32 too much was taken.
        let too_far = (lon_e5 >> 31).cast_unsigned() & self.columns;
        let column = (east as u32).wrapping_sub(too_far).wrapping_add(OFFSET);
        u64::from(row) << 32 | u64::from(column)
    }

    fn cell(&mut self, lat_e5: i32, lon_e5: i32) -> u64 {
        if !self.has(lat_e5) {
            *self = Grid::at(lat_e5);
        }
        self.own_cell(lat_e5, lon_e5)
    }

    /// The cells of some points, and whether all lie in one band.
    fn cells(&mut self, lat_e5: &[i32], lon_e5: &[i32]) -> (Vec<u64>, bool) {
        let points = || lat_e5.iter().zip(lon_e5);
        if let Some(first) = lat_e5.first() {
            *self = Grid::at(*first);
        }
        // To stop at the first that is elsewhere would be to look at them one at a time.
        let is_one_band = lat_e5.iter().fold(true, |all, lat| all & self.has(*lat));
        let cells = match is_one_band {
            true => points().map(|(lat, lon)| self.own_cell(*lat, *lon)).collect(),
            false => points().map(|(lat, lon)| self.cell(*lat, *lon)).collect(),
        };
        (cells, is_one_band)
    }
}

/// Whether all that lies between two points of a band lies in these cells, which are theirs: nothing does that is not
/// between them in both directions.
fn are_side_by_side(one: u64, other: u64) -> bool {
    let apart = one.abs_diff(other);
    apart <= 1 || apart == ROW
}

/// A gap that is walked has no more parts than these.
const MOST_PARTS: usize = GAP_E5 as usize / (CELL_E5 as usize / 2) + 1;
/// By a number of parts, one of them in 2^32, rounded up: what is below 2^25 is divided by it by multiplying.
const ONE_OF: [u64; MOST_PARTS + 1] = {
    let mut one_of = [0; MOST_PARTS + 1];
    let mut parts = 1;
    while parts <= MOST_PARTS {
        one_of[parts] = (1_u64 << 32).div_ceil(parts as u64);
        parts += 1;
    }
    one_of
};

/// The points on the way from one to the next, of which none is far from the one before, rounded towards the first; none
/// in a gap.
fn between((lat, lon): Point, (next_lat, next_lon): Point) -> impl Iterator<Item = Point> {
    let (north, east) = (next_lat - lat, next_lon.wrapping_sub(lon));
    let longest = north.abs().max(east.saturating_abs());
    let steps = if longest < GAP_E5 { longest / (CELL_E5 / 2) } else { 0 };
    let one = ONE_OF[steps as usize + 1];
    let along = move |distance: i32| {
        let part = u64::from(distance.unsigned_abs()) * one;
        move |step: u64| distance.signum() * ((part * step) >> 32) as i32
    };
    let (north, east) = (along(north), along(east));
    (1..=steps as u64).map(move |step| (lat + north(step), lon + east(step)))
}

impl Footprint {
    /// Of points in whole 1e-5 degrees.
    pub fn of(lat_e5: &[i32], lon_e5: &[i32]) -> Footprint {
        Footprint::along(lat_e5.to_vec().into(), lon_e5.to_vec().into())
    }

    /// The same of points that others hold, too.
    pub fn along(lat_e5: ScalarBuffer<i32>, lon_e5: ScalarBuffer<i32>) -> Footprint {
        let mut footprint = Footprint { lat_e5, lon_e5, is_one_place: true, cells: OnceLock::new() };
        footprint.is_one_place = !footprint.has_cells(FEWEST_CELLS);
        footprint
    }

    fn points(&self) -> impl DoubleEndedIterator<Item = Point> {
        self.lat_e5.iter().copied().zip(self.lon_e5.iter().copied())
    }

    /// Its first and its last point.
    fn ends(&self) -> Option<[Point; 2]> {
        Some([self.points().next()?, self.points().next_back()?])
    }

    fn cells(&self) -> &Cells {
        self.cells.get_or_init(|| {
            let gathered = self.of_all_points().unwrap_or_else(|| {
                let mut gathered = Gathered::default();
                self.walk(|cell| {
                    gathered.add(&[cell]);
                    true
                });
                gathered
            });
            Arc::new(Cells::of(gathered))
        })
    }

    /// The cells of the whole way: first those of all points, many at a time, and then what else lies between some. None
    /// where they may be more than are looked at, which only a walk tells.
    fn of_all_points(&self) -> Option<Gathered> {
        let mut grid = Grid::at(0);
        let (cells, is_one_band) = grid.cells(&self.lat_e5, &self.lon_e5);
        let (mut further, mut changes) = (Vec::new(), 1);
        for (at, two) in cells.windows(2).enumerate() {
            changes += usize::from(two[0] != two[1]);
            if !(is_one_band && are_side_by_side(two[0], two[1])) {
                let point = |at: usize| (self.lat_e5[at], self.lon_e5[at]);
                let points = between(point(at), point(at + 1));
                further.extend(points.map(|(lat, lon)| grid.cell(lat, lon)));
            }
        }
        if changes + further.len() > MAX_CELLS {
            return None;
        }
        let mut gathered = Gathered::default();
        gathered.add(&cells);
        gathered.add(&further);
        Some(gathered)
    }

    /// Hands over the cells on the way, each that is not the one before, while more are wanted.
    fn walk(&self, mut wants_more: impl FnMut(u64) -> bool) {
        let mut grid = Grid::at(0);
        let mut last = None;
        let mut left = MAX_CELLS;
        let mut touch = |(lat, lon): Point| {
            let cell = grid.cell(lat, lon);
            if last == Some(cell) {
                return true;
            }
            last = Some(cell);
            left -= 1;
            wants_more(cell) && left > 0
        };
        let mut before: Option<Point> = None;
        for point in self.points() {
            let is_walked = before.is_none_or(|before| between(before, point).all(&mut touch));
            if !is_walked || !touch(point) {
                return;
            }
            before = Some(point);
        }
    }

    /// Whether both begin at one point, but for what rounding does. Two receivers are metres apart.
    pub fn begins_with(&self, other: &Footprint) -> bool {
        const ROUNDED_E5: u32 = 2;
        let first = |of: &Footprint| of.lat_e5.first().copied().zip(of.lon_e5.first().copied());
        first(self).zip(first(other)).is_some_and(|((lat, lon), (other_lat, other_lon))| {
            lat.abs_diff(other_lat).max(lon.abs_diff(other_lon)) <= ROUNDED_E5
        })
    }

    pub fn is_empty(&self) -> bool {
        self.points().next().is_none()
    }

    /// Whether another track begins where this one ended, or where it began, as far as both are known: whoever goes
    /// on after a break does so at the hut or at the car.
    pub fn leads_to(&self, next: &Footprint) -> Option<bool> {
        // Some 600 m: receivers take their time, and people cross a street for lunch.
        const NEAR_E5: f64 = 540.0;
        let ([first, last], [(next_lat, next_lon), _]) = (self.ends()?, next.ends()?);
        let is_near = |(lat, lon): Point| {
            let narrowed = (f64::from(lat) / 100_000.0).to_radians().cos();
            let (north, east) = (f64::from(next_lat) - f64::from(lat), f64::from(next_lon) - f64::from(lon));
            north.hypot(east * narrowed) <= NEAR_E5
        };
        Some(is_near(last) || is_near(first))
    }

    /// Whether it has so many cells, which most have soon.
    fn has_cells(&self, fewest: usize) -> bool {
        let mut cells: Vec<u64> = Vec::with_capacity(fewest);
        self.walk(|cell| {
            if !cells.contains(&cell) {
                cells.push(cell);
            }
            cells.len() < fewest
        });
        cells.len() >= fewest
    }

    /// The share of this one's cells that the other was in or beside.
    pub fn share_within(&self, other: &Footprint) -> f64 {
        let (own, others) = (self.cells(), other.cells());
        own.count_within(others) as f64 / own.count().max(1) as f64
    }

    /// The share of each one's cells that the other was in or beside.
    pub fn shares(&self, other: &Footprint) -> (f64, f64) {
        let own = self.share_within(other);
        // Nobody was beside somebody who was not beside them.
        (own, if own > 0.0 { other.share_within(self) } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// North for a while, then east; a point every so many metres, cut at both ends.
    fn walk(every_m: f64, cut_m: f64, noise_e5: i32, moved_e5: i32) -> Footprint {
        let (mut lat, mut lon) = (Vec::new(), Vec::new());
        let mut along = cut_m;
        while along <= 8_000.0 - cut_m {
            let off = noise_e5 * ((along / every_m) as i32 % 3 - 1);
            lat.push(5_252_000 + moved_e5 + (along.min(4_000.0) / 1.11) as i32 + off);
            lon.push(1_341_000 + moved_e5 + ((along - 4_000.0).max(0.0) / 0.68) as i32 - off);
            along += every_m;
        }
        Footprint::of(&lat, &lon)
    }

    #[test]
    fn sampling_noise_and_crops_leave_a_track_the_same() {
        let track = walk(5.0, 0.0, 0, 0);
        for (other, least) in
            [(walk(90.0, 0.0, 0, 0), 0.99), (walk(5.0, 0.0, 12, 0), 0.97), (walk(300.0, 0.0, 3, 0), 0.97)]
        {
            assert!(track.share_within(&other) >= least, "{}", track.share_within(&other));
            assert!(other.share_within(&track) >= least, "{}", other.share_within(&track));
        }
        let cropped = walk(5.0, 250.0, 0, 0);
        assert!(cropped.share_within(&track) > 0.99);
        let left = track.share_within(&cropped);
        assert!((0.9..0.99).contains(&left), "{left}");
        assert!(track.share_within(&walk(5.0, 0.0, 0, 1_000)) < 0.05, "a kilometre further");
        assert_eq!(track.share_within(&Footprint::default()), 0.0);
        assert_eq!(Footprint::default().share_within(&track), 0.0);
    }

    /// The cells of a walk, by division alone.
    fn slow_cells(points: &[Point]) -> Vec<u64> {
        let mut cells: Vec<u64> = Vec::new();
        let mut touch = |lat: i32, lon: i32| {
            let band = f64::from(lat.div_euclid(BAND_E5)) + 0.5;
            let columns = band.to_radians().cos().max(0.01) / f64::from(CELL_E5) * 2_f64.powi(32);
            let row = i64::from(lat.div_euclid(CELL_E5)) + i64::from(OFFSET);
            let column = ((i64::from(lon) * columns as i64) >> 32) + i64::from(OFFSET);
            let cell = (row << 32 | column).unsigned_abs();
            if cells.last() != Some(&cell) && cells.len() < MAX_CELLS {
                cells.push(cell);
            }
        };
        for (at, (lat, lon)) in points.iter().enumerate() {
            if let Some((from_lat, from_lon)) = at.checked_sub(1).map(|before| points[before]) {
                let (north, east) = (lat - from_lat, lon - from_lon);
                let longest = north.abs().max(east.abs());
                let parts = if longest < GAP_E5 { longest / (CELL_E5 / 2) + 1 } else { 1 };
                (1..parts).for_each(|n| touch(from_lat + north * n / parts, from_lon + east * n / parts));
            }
            touch(*lat, *lon);
        }
        cells
    }

    proptest::proptest! {
        #[test]
        fn a_walk_touches_the_cells_that_divisions_find(
            start in (-8_990_000_i32..8_990_000, -17_990_000_i32..17_990_000),
            moves in proptest::collection::vec((-3_000_i32..3_000, -3_000_i32..3_000, 1_i32..100), 0..80),
        ) {
            let mut points = vec![start];
            for (north, east, shorter) in moves {
                let (lat, lon) = points[points.len() - 1];
                points.push((lat + north / shorter, lon + east / shorter));
            }
            let (lat, lon): (Vec<i32>, Vec<i32>) = points.iter().copied().unzip();
            let footprint = Footprint::of(&lat, &lon);
            let mut cells = Vec::new();
            footprint.walk(|cell| {
                cells.push(cell);
                true
            });
            let mut walked = Gathered::default();
            walked.add(&cells);
            proptest::prop_assert_eq!(cells, slow_cells(&points));
            proptest::prop_assert_eq!(footprint.cells(), &Cells::of(walked));
        }
    }

    #[test]
    fn a_gap_is_not_walked_and_a_track_around_the_world_ends() {
        let gap = Footprint::of(&[0, 50_000], &[0, 0]);
        assert_eq!(gap.cells().count(), 2);
        let lat: Vec<i32> = (0..200_000).map(|i| (i % 7_000) * 2_000 - 7_000_000).collect();
        let lon: Vec<i32> = (0..200_000).map(|i| i * 180 - 18_000_000).collect();
        assert!(Footprint::of(&lat, &lon).cells().count() <= MAX_CELLS as u64);
    }

    #[test]
    fn whether_it_is_one_place_is_seen_on_the_way_as_in_all_of_its_cells() {
        let to_and_fro = |cells: i32, points: i32| {
            let lat: Vec<i32> = (0..points).map(|i| i % cells * CELL_E5).collect();
            Footprint::of(&lat, &vec![0; lat.len()])
        };
        // Further than cells are counted, it goes on to others.
        let mut late: Vec<i32> = (0..2 * MAX_CELLS as i32).map(|i| i % 2 * CELL_E5).collect();
        late.extend([1_000, 2_000, 3_000, 4_000]);
        let late = Footprint::of(&late, &vec![0; late.len()]);
        for track in [to_and_fro(3, 9), to_and_fro(4, 9), to_and_fro(1, 1), Footprint::default(), late] {
            assert_eq!(track.is_one_place, track.cells().count() < 4);
        }
    }
}
