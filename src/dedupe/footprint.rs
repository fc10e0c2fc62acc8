//! Where a track went, as the set of cells it touched: robust to another sampling, to noise of a
//! receiver and to ends that were cut off. The cells are found when they are first asked for, which of most records they
//! never are: only of those that are candidates with another one.

use std::sync::{Arc, OnceLock};

use arrow::buffer::ScalarBuffer;

/// A cell is some 80 m wide and high: further than receivers err, nearer than the next street but one.
const CELL_E5: i64 = 72;
/// Cells of one latitude band are equally wide.
const BAND_E5: i64 = 100_000;
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

/// Eight by eight cells: where they lie, row and column in one number, and a bit for each.
type Tile = (u64, u64);

/// The tile of one cell.
fn tile(cell: u64) -> Tile {
    let (row, column) = (cell >> 32, cell & u64::from(u32::MAX));
    ((row >> 3) * ROW + (column >> 3), 1 << (8 * (row & 7) + (column & 7)))
}

/// Puts tiles in order, each once.
fn merged(mut tiles: Vec<Tile>) -> Box<[Tile]> {
    tiles.sort_unstable_by_key(|(place, _)| *place);
    tiles.dedup_by(|(place, cells), (before, all)| {
        let is_same = place == before;
        *all |= if is_same { *cells } else { 0 };
        is_same
    });
    tiles.into()
}

/// The cells that a track touched.
#[derive(Debug, Default, PartialEq)]
struct Cells {
    count: u64,
    /// Sorted.
    tiles: Box<[Tile]>,
    /// The same with all cells beside them, found when another track is first held against it.
    around: OnceLock<Box<[Tile]>>,
}

impl Cells {
    /// Of tiles in any order, also several times.
    fn of(tiles: Vec<Tile>) -> Cells {
        let tiles = merged(tiles);
        let count = tiles.iter().map(|(_, cells)| u64::from(cells.count_ones())).sum();
        Cells { count, tiles, around: OnceLock::new() }
    }

    fn around(&self) -> &[Tile] {
        const FIRST_COLUMN: u64 = 0x0101_0101_0101_0101;
        const LAST_COLUMN: u64 = FIRST_COLUMN << 7;
        self.around.get_or_init(|| {
            let mut around: Vec<Tile> = Vec::with_capacity(4 * self.tiles.len());
            for (place, cells) in &self.tiles {
                let beside = (cells & !LAST_COLUMN) << 1 | (cells & !FIRST_COLUMN) >> 1;
                // What lies at an edge is beside cells of the next tile.
                let columns = [
                    (place - 1, (cells & FIRST_COLUMN) << 7),
                    (*place, cells | beside),
                    (place + 1, (cells & LAST_COLUMN) >> 7),
                ];
                for (place, cells) in columns {
                    let rows = [
                        (place - ROW, cells << 56),
                        (place, cells | cells << 8 | cells >> 8),
                        (place + ROW, cells >> 56),
                    ];
                    around.extend(rows.into_iter().filter(|(_, cells)| *cells != 0));
                }
            }
            merged(around)
        })
    }

    /// How many of them the other has, or has beside its own.
    fn count_within(&self, other: &Cells) -> u64 {
        let (own, others) = (&self.tiles, other.around());
        let (mut shared, mut i, mut j) = (0, 0, 0);
        // Without branches, which nobody could foresee.
        while let (Some((place, cells)), Some((others_place, around))) = (own.get(i), others.get(j)) {
            let is_same = u64::from(place == others_place);
            shared += u64::from((cells & around & is_same.wrapping_neg()).count_ones());
            (i, j) = (i + usize::from(place <= others_place), j + usize::from(others_place <= place));
        }
        shared
    }
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

/// One row up, of cells or of tiles.
const ROW: u64 = 1 << 32;
/// Makes rows and columns of all numbers positive.
const OFFSET: i64 = 1 << 25;

/// Finds the cell of a point: row and column in one number.
struct Grid {
    /// Where the band begins that the last point lay in.
    band_e5: i64,
    /// Columns per 1e-5 degrees of longitude in the band, in parts of 2^32.
    columns: i64,
}

impl Grid {
    fn at(lat_e5: i32) -> Grid {
        let band = i64::from(lat_e5).div_euclid(BAND_E5);
        let narrowed = (band as f64 + 0.5).to_radians().cos().max(0.01);
        Grid { band_e5: band * BAND_E5, columns: (narrowed / CELL_E5 as f64 * 2_f64.powi(32)) as i64 }
    }

    fn cell(&mut self, lat_e5: i32, lon_e5: i32) -> u64 {
        if !(self.band_e5..self.band_e5 + BAND_E5).contains(&i64::from(lat_e5)) {
            *self = Grid::at(lat_e5);
        }
        // Without a sign, a division is a multiplication.
        let row = (i64::from(lat_e5) + OFFSET * CELL_E5).unsigned_abs() / CELL_E5.unsigned_abs();
        let column = ((i64::from(lon_e5) * self.columns) >> 32) + OFFSET;
        row << 32 | column.unsigned_abs()
    }
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
    let steps = if longest < GAP_E5 { longest / (CELL_E5 as i32 / 2) } else { 0 };
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
            let mut tiles: Vec<Tile> = Vec::new();
            self.walk(|cell| {
                let (place, bit) = tile(cell);
                match tiles.last_mut() {
                    Some((last, cells)) if *last == place => *cells |= bit,
                    _ => tiles.push((place, bit)),
                }
                true
            });
            Arc::new(Cells::of(tiles))
        })
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
        own.count_within(others) as f64 / own.count.max(1) as f64
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
            let band = f64::from(lat.div_euclid(BAND_E5 as i32)) + 0.5;
            let columns = band.to_radians().cos().max(0.01) / CELL_E5 as f64 * 2_f64.powi(32);
            let row = i64::from(lat).div_euclid(CELL_E5) + OFFSET;
            let column = ((i64::from(lon) * columns as i64) >> 32) + OFFSET;
            let cell = (row << 32 | column).unsigned_abs();
            if cells.last() != Some(&cell) && cells.len() < MAX_CELLS {
                cells.push(cell);
            }
        };
        for (at, (lat, lon)) in points.iter().enumerate() {
            if let Some((from_lat, from_lon)) = at.checked_sub(1).map(|before| points[before]) {
                let (north, east) = (lat - from_lat, lon - from_lon);
                let longest = north.abs().max(east.abs());
                let parts = if longest < GAP_E5 { longest / (CELL_E5 as i32 / 2) + 1 } else { 1 };
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
            let mut cells = Vec::new();
            Footprint::of(&lat, &lon).walk(|cell| {
                cells.push(cell);
                true
            });
            proptest::prop_assert_eq!(cells, slow_cells(&points));
        }

        #[test]
        fn what_is_shared_is_what_looking_at_every_pair_of_cells_finds(
            own in proptest::collection::vec((0_u64..20, 0_u64..20), 0..60),
            others in proptest::collection::vec((0_u64..20, 0_u64..20), 0..60),
        ) {
            let offset = OFFSET.unsigned_abs();
            let cells = |of: &[(u64, u64)]| {
                Cells::of(of.iter().map(|(row, column)| tile((row + offset) << 32 | (column + offset))).collect())
            };
            let distinct: std::collections::BTreeSet<_> = own.iter().collect();
            let is_beside = |(row, column): &(u64, u64)| {
                others.iter().any(|(r, c)| r.abs_diff(*row) <= 1 && c.abs_diff(*column) <= 1)
            };
            let shared = distinct.iter().filter(|cell| is_beside(cell)).count() as u64;
            proptest::prop_assert_eq!(cells(&own).count, distinct.len() as u64);
            proptest::prop_assert_eq!(cells(&own).count_within(&cells(&others)), shared);
        }
    }

    #[test]
    fn a_gap_is_not_walked_and_a_track_around_the_world_ends() {
        let gap = Footprint::of(&[0, 50_000], &[0, 0]);
        assert_eq!(gap.cells().count, 2);
        let lat: Vec<i32> = (0..200_000).map(|i| (i % 7_000) * 2_000 - 7_000_000).collect();
        let lon: Vec<i32> = (0..200_000).map(|i| i * 180 - 18_000_000).collect();
        assert!(Footprint::of(&lat, &lon).cells().count <= MAX_CELLS as u64);
    }

    #[test]
    fn whether_it_is_one_place_is_seen_on_the_way_as_in_all_of_its_cells() {
        let to_and_fro = |cells: i32, points: i32| {
            let lat: Vec<i32> = (0..points).map(|i| i % cells * CELL_E5 as i32).collect();
            Footprint::of(&lat, &vec![0; lat.len()])
        };
        // Further than cells are counted, it goes on to others.
        let mut late: Vec<i32> = (0..2 * MAX_CELLS as i32).map(|i| i % 2 * CELL_E5 as i32).collect();
        late.extend([1_000, 2_000, 3_000, 4_000]);
        let late = Footprint::of(&late, &vec![0; late.len()]);
        for track in [to_and_fro(3, 9), to_and_fro(4, 9), to_and_fro(1, 1), Footprint::default(), late] {
            assert_eq!(track.is_one_place, track.cells().count < 4);
        }
    }
}
