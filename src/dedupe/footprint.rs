//! Where a track went, as the set of cells it touched: robust to another sampling, to noise of a
//! receiver and to ends that were cut off.

/// A cell is some 80 m wide and high: further than receivers err, nearer than the next street but one.
const CELL_E5: f64 = 72.0;
/// Cells of one latitude band are equally wide.
const BAND_E5: f64 = 100_000.0;
/// Points further apart than this have a gap between them that nobody knows the way of: some 3 km.
const GAP_E5: f64 = 2_700.0;
/// A ride of 600 km. What is walked after that is not looked at.
const MAX_CELLS: usize = 8_192;

/// The cells of a track, sorted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Footprint {
    core: Vec<u32>,
    /// The cells around them, too.
    wide: Vec<u32>,
}

/// Row and column of a cell in one number. It repeats after 5,000 km, which no two records of one
/// morning are apart.
fn cell(row: i64, column: i64) -> u32 {
    ((row as u32) & 0xffff) << 16 | ((column as u32) & 0xffff)
}

fn place(lat_e5: f64, lon_e5: f64) -> (i64, i64) {
    let band = ((lat_e5 / BAND_E5).floor() + 0.5) * BAND_E5;
    let narrowed = (band / 1e5).to_radians().cos().max(0.01);
    ((lat_e5 / CELL_E5).floor() as i64, (lon_e5 * narrowed / CELL_E5).floor() as i64)
}

impl Footprint {
    /// Of points in whole 1e-5 degrees.
    pub fn of(lat_e5: &[i32], lon_e5: &[i32]) -> Footprint {
        let mut core = Vec::new();
        let mut last = None;
        let mut before: Option<(f64, f64)> = None;
        let mut touch = |lat: f64, lon: f64| {
            let at = place(lat, lon);
            if last != Some(at) {
                last = Some(at);
                core.push(at);
            }
            core.len() < MAX_CELLS
        };
        'walk: for (lat, lon) in lat_e5.iter().zip(lon_e5) {
            let (lat, lon) = (f64::from(*lat), f64::from(*lon));
            if let Some((from_lat, from_lon)) = before {
                let (north, east) = (lat - from_lat, lon - from_lon);
                let longest = north.abs().max(east.abs());
                let steps = if longest < GAP_E5 { (longest / (CELL_E5 / 2.0)) as u32 } else { 0 };
                for step in 1..=steps {
                    let share = f64::from(step) / f64::from(steps + 1);
                    if !touch(from_lat + north * share, from_lon + east * share) {
                        break 'walk;
                    }
                }
            }
            if !touch(lat, lon) {
                break;
            }
            before = Some((lat, lon));
        }
        Footprint::of_cells(&core)
    }

    fn of_cells(places: &[(i64, i64)]) -> Footprint {
        let mut core: Vec<u32> = places.iter().map(|(row, column)| cell(*row, *column)).collect();
        let mut wide: Vec<u32> = places
            .iter()
            .flat_map(|(row, column)| {
                (-1..=1).flat_map(move |up| (-1..=1).map(move |right| cell(row + up, column + right)))
            })
            .collect();
        for cells in [&mut core, &mut wide] {
            cells.sort_unstable();
            cells.dedup();
        }
        Footprint { core, wide }
    }

    pub fn is_empty(&self) -> bool {
        self.core.is_empty()
    }

    /// Of several parts.
    pub fn union(parts: &[&Footprint]) -> Footprint {
        let join = |cells: &dyn Fn(&Footprint) -> Vec<u32>| {
            let mut all: Vec<u32> = parts.iter().flat_map(|part| cells(part)).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        Footprint { core: join(&|part| part.core.clone()), wide: join(&|part| part.wide.clone()) }
    }

    /// The share of this one's cells that the other was in or beside.
    pub fn share_within(&self, other: &Footprint) -> f64 {
        let (mut shared, mut at) = (0_usize, 0);
        for cell in &self.core {
            while at < other.wide.len() && other.wide[at] < *cell {
                at += 1;
            }
            if at == other.wide.len() {
                break;
            }
            shared += usize::from(other.wide[at] == *cell);
        }
        shared as f64 / self.core.len().max(1) as f64
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

    #[test]
    fn a_gap_is_not_walked_and_a_track_around_the_world_ends() {
        let gap = Footprint::of(&[0, 50_000], &[0, 0]);
        assert_eq!(gap.core.len(), 2);
        let lat: Vec<i32> = (0..200_000).map(|i| (i % 7_000) * 2_000 - 7_000_000).collect();
        let lon: Vec<i32> = (0..200_000).map(|i| i * 180 - 18_000_000).collect();
        assert!(Footprint::of(&lat, &lon).core.len() <= MAX_CELLS);
    }
}
