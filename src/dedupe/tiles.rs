//! Sets of cells, eight by eight in one number, so that many are held against many at once.

use std::sync::OnceLock;

/// One row up, of cells or of tiles.
pub const ROW: u64 = 1 << 32;

/// Eight by eight cells: where they lie, row and column in one number, and a bit for each.
type Tile = (u64, u64);

/// The tile of one cell.
fn tile(cell: u64) -> Tile {
    const WITHIN: u64 = 7 << 29;
    ((cell >> 3) & !WITHIN, 1 << (cell >> 29 & 56 | cell & 7))
}

/// The tiles of cells in any order, also several times. Most lie in that of the one before.
#[derive(Debug, Default)]
pub struct Gathered(Vec<Tile>);

impl Gathered {
    /// Adds cells: row and column in one number.
    pub fn add(&mut self, cells: &[u64]) {
        let Some(first) = cells.first() else { return };
        let (mut place, mut all) = self.0.pop().unwrap_or((tile(*first).0, 0));
        for cell in cells {
            let (own, bit) = tile(*cell);
            if own != place {
                self.0.push((place, all));
                (place, all) = (own, 0);
            }
            all |= bit;
        }
        self.0.push((place, all));
    }
}

/// Puts tiles in order, each once.
enum Board {
    /// All between the outermost ones, row after row.
    Near { south: u64, west: u64, width: u64, all: Vec<u64> },
    /// Some that lie far apart.
    Far(Vec<Tile>),
}

impl Board {
    /// For tiles beside these, and themselves.
    fn around(tiles: &[Tile]) -> Board {
        /// For each tile that is something, places that are nothing.
        const MOST_EMPTY: u64 = 16;
        let bounds = |of: fn(u64) -> u64| {
            let places = tiles.iter().map(|(place, _)| of(*place));
            let (least, most) = places.fold((u64::MAX, 1), |(least, most), at| (least.min(at), most.max(at)));
            (least.min(most) - 1, most + 1)
        };
        let ((south, north), (west, east)) = (bounds(|place| place / ROW), bounds(|place| place % ROW));
        let width = east - west + 1;
        let area = (north - south + 1) * width;
        match area <= MOST_EMPTY * (1 + tiles.len() as u64) {
            true => Board::Near { south, west, width, all: vec![0; area as usize] },
            false => Board::Far(Vec::with_capacity(9 * tiles.len())),
        }
    }

    fn add(&mut self, (place, cells): Tile) {
        match self {
            Board::Near { south, west, width, all } => {
                all[((place / ROW - *south) * *width + place % ROW - *west) as usize] |= cells;
            }
            Board::Far(tiles) => tiles.push((place, cells)),
        }
    }

    fn tiles(self) -> Box<[Tile]> {
        match self {
            Board::Near { south, west, width, all } => {
                let rows = all.chunks(width as usize).zip(south..);
                let tiles = rows.flat_map(|(cells, row)| {
                    cells.iter().zip(west..).map(move |(cells, column)| (row * ROW + column, *cells))
                });
                tiles.filter(|(_, cells)| *cells != 0).collect()
            }
            Board::Far(mut tiles) => {
                tiles.retain(|(_, cells)| *cells != 0);
                tiles.sort_unstable_by_key(|(place, _)| *place);
                tiles.dedup_by(|(place, cells), (before, all)| {
                    let is_same = place == before;
                    *all |= if is_same { *cells } else { 0 };
                    is_same
                });
                tiles.into()
            }
        }
    }
}

/// The cells that a track touched.
#[derive(Debug, Default, PartialEq)]
pub struct Cells {
    count: u64,
    /// Sorted.
    tiles: Box<[Tile]>,
    /// The same with all cells beside them, found when another track is first held against it.
    around: OnceLock<Box<[Tile]>>,
}

impl Cells {
    pub fn of(Gathered(gathered): Gathered) -> Cells {
        let mut board = Board::around(&gathered);
        gathered.into_iter().for_each(|tile| board.add(tile));
        let tiles = board.tiles();
        let count = tiles.iter().map(|(_, cells)| u64::from(cells.count_ones())).sum();
        Cells { count, tiles, around: OnceLock::new() }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    fn around(&self) -> &[Tile] {
        const FIRST_COLUMN: u64 = 0x0101_0101_0101_0101;
        const LAST_COLUMN: u64 = FIRST_COLUMN << 7;
        self.around.get_or_init(|| {
            let mut around = Board::around(&self.tiles);
            for (place, cells) in &self.tiles {
                let beside = (cells & !LAST_COLUMN) << 1 | (cells & !FIRST_COLUMN) >> 1;
                // What lies at an edge is beside cells of the next tile.
                let columns = [
                    (place - 1, (cells & FIRST_COLUMN) << 7),
                    (*place, cells | beside),
                    (place + 1, (cells & LAST_COLUMN) >> 7),
                ];
                for (place, cells) in columns {
                    around.add((place - ROW, cells << 56));
                    around.add((place, cells | cells << 8 | cells >> 8));
                    around.add((place + ROW, cells >> 56));
                }
            }
            around.tiles()
        })
    }

    /// How many of them the other has, or has beside its own.
    pub fn count_within(&self, other: &Cells) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_shared_is_what_looking_at_every_pair_of_cells_finds(
            own in proptest::collection::vec((0_u64..20, 0_u64..20), 0..60),
            others in proptest::collection::vec((0_u64..20, 0_u64..20), 0..60),
            far in proptest::prop_oneof![proptest::strategy::Just(1_u64), 1_u64..5_000],
        ) {
            let cells = |of: &[(u64, u64)]| {
                let mut gathered = Gathered::default();
                of.iter().for_each(|(row, column)| gathered.add(&[(row * far + 80) << 32 | (column * far + 80)]));
                Cells::of(gathered)
            };
            let distinct: std::collections::BTreeSet<_> = own.iter().collect();
            let is_beside = |(row, column): &(u64, u64)| {
                others.iter().any(|(r, c)| far * r.abs_diff(*row) <= 1 && far * c.abs_diff(*column) <= 1)
            };
            let shared = distinct.iter().filter(|cell| is_beside(cell)).count() as u64;
            proptest::prop_assert_eq!(cells(&own).count, distinct.len() as u64);
            proptest::prop_assert_eq!(cells(&own).count_within(&cells(&others)), shared);
        }
    }
}
