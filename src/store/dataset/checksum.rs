//! The checksum in the header of a page, so that bytes which a disk has changed are an error and never other values.
//!
//! The crate checks it wherever a page is read, and so do others; its writer leaves it out. The header is Thrift's
//! [compact protocol]: three numbers (kind of the page, size before and after compression), the checksum, and then one
//! struct for the kind.
//!
//! [compact protocol]: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

use parquet::errors::{ParquetError, Result};

/// Begins a field that is a number of 32 bits, with an id that is one more than the last one's.
const NEXT_NUMBER: u8 = 0x15;
/// What the ids of two fields differ by stands in the upper half of a field's first byte.
const ONE_ID: u8 = 0x10;
/// A number has seven bits in each byte, and this one where there are more to come.
const MORE: u8 = 0x80;

/// Puts the checksum of a page's bytes into its header, which begins at `header`. Returns by how much that has grown.
pub fn put(bytes: &mut Vec<u8>, header: usize, checksum: u32) -> Result<usize> {
    let mut at = header;
    for _ in 0..3 {
        let number = bytes.get(at).filter(|byte| **byte == NEXT_NUMBER).map(|_| &bytes[at + 1..]);
        let end = number.and_then(|number| number.iter().position(|byte| byte & MORE == 0));
        at += 2 + end.ok_or_else(unknown)?;
    }
    // Two ids further: the checksum, and at least the first struct.
    let after = bytes.get_mut(at).filter(|byte| **byte >= 2 * ONE_ID).ok_or_else(unknown)?;
    *after -= ONE_ID;
    let mut field = vec![NEXT_NUMBER];
    let number = checksum.cast_signed();
    let mut left = ((number << 1) ^ (number >> 31)).cast_unsigned();
    while left >= u32::from(MORE) {
        field.push(left as u8 | MORE);
        left >>= 7;
    }
    field.push(left as u8);
    let grown = field.len();
    bytes.splice(at..at, field);
    Ok(grown)
}

fn unknown() -> ParquetError {
    ParquetError::General("the header of a page begins otherwise than it should".to_string())
}

#[cfg(test)]
mod tests {
    use crate::model::activity::Activity;
    use crate::model::columns::{Columns, TableRow};
    use crate::store::backend::Key;
    use crate::store::dataset::{self, MadeFrom, Table};
    use crate::store::lake::Lake;

    #[test]
    fn no_byte_of_a_page_can_change_and_no_reader_see_it() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(dir.path()).unwrap();
        let mut columns = <Activity as TableRow>::Columns::default();
        for row in 0..20 {
            columns.push(&Activity {
                source_id: row.to_string(),
                elapsed_s: (row > 5).then_some(f64::from(row)),
                track_lat_e5: (row % 5 > 0).then(|| (0..row * row).collect()),
                ..Activity::default()
            });
        }
        let batch = dataset::batch::<Activity>(&mut columns);
        let key = Key::new("activities/strava-000.parquet");
        dataset::write(&lake, &key, Table::Activities, &MadeFrom::default(), [batch]).unwrap();
        let path = lake.place(&key);
        let whole = std::fs::read(&path).unwrap();
        dataset::check_pages(&lake, &key).unwrap();
        let rows = dataset::read(&lake, &key, None).unwrap();
        let pages = dataset::metadata(&lake, &key).unwrap().unwrap();
        let end = pages.metadata().row_group(0).columns().iter().map(|chunk| {
            let (begin, length) = chunk.byte_range();
            (begin + length) as usize
        });
        let mut seen = 0;
        for at in 4..end.max().unwrap() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).unwrap();
            let is_seen = dataset::check_pages(&lake, &key).is_err();
            // In a header there are bits that mean nothing.
            let is_never_else = || dataset::read(&lake, &key, None).map_or(true, |read| read == rows);
            assert!(is_seen || is_never_else(), "byte {at}");
            seen += usize::from(is_seen);
        }
        assert!(seen > 3000, "{seen}");
    }
}
