//! Where a track went, as the set of cells it touched: robust to another sampling, to noise of a
//! receiver and to ends that were cut off. The cells are found when they are first asked for, which of most records they
//! never are: only of those that are candidates with another one.

use std::sync::{Arc, OnceLock};

use arrow::buffer::ScalarBuffer;

/// A cell is some 80 m wide and high: further than receivers err, nearer than the next street but one.
const CELL_E5: i64 = 72;
/// Cells of one latitude band are equally wide.
const BAND_E5: i32 = 100_000;
/// Points further apart than this have a gap between them that nobody knows the way of: some 3 km.
const GAP_E5: i32 = 2_700;
/// A ride of 600 km. What is walked after that is not looked at.
const MAX_CELLS: usize = 8_192;

/// Where a track went.
#[derive(Debug, Clone)]
pub struct Footprint {
    /// The points, in whole 1e-5 degrees.
    lat_e5: ScalarBuffer<i32>,
    lon_e5: ScalarBuffer<i32>,
    cells: OnceLock<Arc<Cells>>,
}

/// Cells that lie side by side in a row, by the first and the last of them.
type Run = (u64, u64);

/// The cells that a track touched.
#[derive(Debug, Default, PartialEq)]
struct Cells {
    count: u64,
    /// Sorted; no two of them touch.
    runs: Box<[Run]>,
    /// The same with all cells beside them, found when another track is first held against it.
    around: OnceLock<Box<[Run]>>,
}

impl Cells {
    /// Of cells in any order, also several times.
    fn of(mut cells: Vec<u64>) -> Cells {
        cells.sort_unstable();
        cells.dedup();
        let mut runs: Vec<Run> = Vec::with_capacity(cells.len());
        for cell in &cells {
            extend(&mut runs, (*cell, *cell));
        }
        Cells { count: cells.len() as u64, runs: runs.into(), around: OnceLock::new() }
    }

    fn around(&self) -> &[Run] {
        self.around.get_or_init(|| {
            let mut around: Vec<Run> = Vec::with_capacity(2 * self.runs.len());
            // In the row below, in its own and in the row above: each in order, and so merged.
            let rows = [0_u64.wrapping_sub(ROW), 0, ROW];
            let mut at = [0_usize; 3];
            loop {
                let run = |n: usize| {
                    let (first, last) = self.runs.get(at[n])?;
                    Some((n, (first.wrapping_add(rows[n]) - 1, last.wrapping_add(rows[n]) + 1)))
                };
                let Some((n, next)) = (0..3).filter_map(run).min_by_key(|(_, run)| *run) else { break };
                at[n] += 1;
                extend(&mut around, next);
            }
            around.into()
        })
    }

    /// How many of them the other has, or has beside its own.
    fn count_within(&self, other: &Cells) -> u64 {
        let (own, others) = (&self.runs, other.around());
        let (mut shared, mut i, mut j) = (0, 0, 0);
        // Without branches, which nobody could foresee.
        while let (Some((first, last)), Some((from, to))) = (own.get(i), others.get(j)) {
            shared += (1 + *last.min(to)).saturating_sub(*first.max(from));
            (i, j) = (i + usize::from(last <= to), j + usize::from(to <= last));
        }
        shared
    }
}

/// Adds a run that begins no earlier than the last one.
fn extend(runs: &mut Vec<Run>, (first, last): Run) {
    match runs.last_mut() {
        Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
        _ => runs.push((first, last)),
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

/// One row of cells up.
const ROW: u64 = 1 << 32;
/// Makes rows and columns of the southern and western halves positive.
const OFFSET: i64 = 1 << 20;

/// Finds the cell of a point: row and column in one number.
struct Grid {
    band: i32,
    /// Columns per 1e-5 degrees of longitude in the band, in parts of 2^32.
    columns: i64,
}

impl Grid {
    fn new() -> Grid {
        Grid { band: i32::MIN, columns: 0 }
    }

    fn cell(&mut self, lat_e5: i32, lon_e5: i32) -> u64 {
        let band = lat_e5.div_euclid(BAND_E5);
        if band != self.band {
            let narrowed = (f64::from(band) + 0.5).to_radians().cos().max(0.01);
            (self.band, self.columns) = (band, (narrowed / CELL_E5 as f64 * 2_f64.powi(32)) as i64);
        }
        let row = i64::from(lat_e5).div_euclid(CELL_E5);
        let column = (i64::from(lon_e5) * self.columns) >> 32;
        (row + OFFSET).unsigned_abs() << 32 | (column + OFFSET).unsigned_abs()
    }
}

impl Footprint {
    /// Of points in whole 1e-5 degrees.
    pub fn of(lat_e5: &[i32], lon_e5: &[i32]) -> Footprint {
        Footprint::along(lat_e5.to_vec().into(), lon_e5.to_vec().into())
    }

    /// The same of points that others hold, too.
    pub fn along(lat_e5: ScalarBuffer<i32>, lon_e5: ScalarBuffer<i32>) -> Footprint {
        Footprint { lat_e5, lon_e5, cells: OnceLock::new() }
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
            let mut cells: Vec<u64> = Vec::new();
            self.walk(|cell| {
                cells.push(cell);
                true
            });
            Arc::new(Cells::of(cells))
        })
    }

    /// Hands over the cells on the way, each that is not the one before, while more are wanted.
    fn walk(&self, mut wants_more: impl FnMut(u64) -> bool) {
        let mut grid = Grid::new();
        let mut last = None;
        let mut left = MAX_CELLS;
        let mut touch = |lat: i32, lon: i32| {
            let cell = grid.cell(lat, lon);
            if last == Some(cell) {
                return true;
            }
            last = Some(cell);
            left -= 1;
            wants_more(cell) && left > 0
        };
        let mut before: Option<Point> = None;
        for (lat, lon) in self.points() {
            if let Some((from_lat, from_lon)) = before {
                let (north, east) = (lat - from_lat, lon.wrapping_sub(from_lon));
                let longest = north.abs().max(east.saturating_abs());
                let steps = if longest < GAP_E5 { longest / (CELL_E5 as i32 / 2) } else { 0 };
                for step in 1..=steps {
                    let (north, east) = (north * step / (steps + 1), east * step / (steps + 1));
                    if !touch(from_lat + north, from_lon + east) {
                        return;
                    }
                }
            }
            if !touch(lat, lon) {
                return;
            }
            before = Some((lat, lon));
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

    /// No place at all, or hardly more than one: a receiver that lay still in a room says nothing of a way.
    pub fn is_one_place(&self) -> bool {
        const FEWEST_CELLS: usize = 4;
        if let Some(cells) = self.cells.get() {
            return cells.count < FEWEST_CELLS as u64;
        }
        let mut cells: Vec<u64> = Vec::with_capacity(FEWEST_CELLS);
        self.walk(|cell| {
            if !cells.contains(&cell) {
                cells.push(cell);
            }
            cells.len() < FEWEST_CELLS
        });
        cells.len() < FEWEST_CELLS
    }

    /// The share of this one's cells that the other was in or beside.
    pub fn share_within(&self, other: &Footprint) -> f64 {
        let (own, others) = (self.cells(), other.cells());
        own.count_within(others) as f64 / own.count.max(1) as f64
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

    proptest::proptest! {
        #[test]
        fn what_is_shared_is_what_looking_at_every_pair_of_cells_finds(
            own in proptest::collection::vec((0_u64..12, 0_u64..12), 0..60),
            others in proptest::collection::vec((0_u64..12, 0_u64..12), 0..60),
        ) {
            let offset = OFFSET.unsigned_abs();
            let cells = |of: &[(u64, u64)]| {
                Cells::of(of.iter().map(|(row, column)| (row + offset) << 32 | (column + offset)).collect())
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
            let is_one_place = track.is_one_place();
            assert_eq!(is_one_place, track.cells().count < 4);
        }
    }
}
