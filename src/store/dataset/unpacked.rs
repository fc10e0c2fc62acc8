//! What `steps` packed, unpacked: lists of whole numbers in DELTA_BINARY_PACKED, a page at a time, for a small part of
//! the work that Parquet's own reader would have with them. Levels are looked at as runs, and 32 differences are unpacked
//! at a time, by code that knows how many bits each takes. Whoever else writes such pages is understood, too.

use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};

use super::steps::{ELEMENT, NO_LIST, QUARTER};

/// Lists, one behind the other. The last one may go on in the next page.
#[derive(Default)]
pub struct Lists {
    pub values: Vec<i32>,
    /// Where each begins.
    pub begins: Vec<i32>,
    pub are_lists: Vec<bool>,
}

impl Lists {
    /// Takes the first ones, with where the last of them ends.
    pub fn take(&mut self, rows: usize) -> Lists {
        let end = self.begins.get(rows).map_or(self.values.len(), |end| *end as usize);
        let mut later = self.begins.split_off(rows);
        later.iter_mut().for_each(|begin| *begin -= end as i32);
        let rest = Lists {
            values: self.values.split_off(end),
            begins: later,
            are_lists: self.are_lists.split_off(rows),
        };
        let mut first = std::mem::replace(self, rest);
        first.begins.push(end as i32);
        first
    }
}

/// The levels and values of a page that can be read here.
pub struct Packed<'a> {
    levels: u32,
    repetitions: &'a [u8],
    definitions: &'a [u8],
    values: &'a [u8],
}

impl<'a> Packed<'a> {
    /// None for a page of another kind.
    pub fn of(page: &'a Page) -> Result<Option<Packed<'a>>> {
        let Page::DataPage { buf, num_values, encoding: Encoding::DELTA_BINARY_PACKED, .. } = page else {
            return Ok(None);
        };
        let mut rest = &buf[..];
        let mut levels = || {
            let bytes = u32::from_le_bytes(*take(&mut rest, 4)?.first_chunk().expect("these are four"));
            take(&mut rest, bytes as usize)
        };
        let (repetitions, definitions) = (levels()?, levels()?);
        Ok(Some(Packed { levels: *num_values, repetitions, definitions, values: rest }))
    }

    /// Puts its lists behind those that there are. A page has no more than `most`.
    pub fn add_to(self, lists: &mut Lists, most: usize) -> Result<()> {
        let most = most + lists.begins.len();
        let mut end = i32::try_from(lists.values.len()).map_err(|_| damaged("too many points"))?;
        unpack(self.values, self.levels, &mut lists.values)?;
        let mut repetitions = Runs { bytes: self.repetitions, bits: 1, ..Runs::default() };
        let mut definitions = Runs { bytes: self.definitions, bits: 2, ..Runs::default() };
        let mut left = self.levels;
        while left > 0 {
            let (repetition, definition) = (repetitions.level()?, definitions.level()?);
            let length = repetitions.length.min(definitions.length).min(left);
            if repetition == 0 {
                if lists.begins.len() + length as usize > most {
                    return Err(damaged("more lists than rows"));
                }
                let step = usize::from(definition == ELEMENT);
                lists.begins.extend((0..length as usize).map(|n| end + (n * step) as i32));
                lists.are_lists.resize(lists.begins.len(), definition != NO_LIST);
            }
            if definition == ELEMENT {
                end = end.checked_add_unsigned(length).ok_or_else(|| damaged("too many points"))?;
            }
            repetitions.length -= length;
            definitions.length -= length;
            left -= length;
        }
        match lists.values.len() == end.unsigned_abs() as usize {
            true => Ok(()),
            false => Err(damaged("a list has more or fewer points than its levels say")),
        }
    }
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(what.to_string())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    bytes.split_off(..count).ok_or_else(|| damaged("a page ends too early"))
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(damaged("a number has no end"))
}

fn zigzag(bytes: &mut &[u8]) -> Result<i32> {
    let number = varint(bytes)?;
    Ok(((number >> 1) as i64 ^ -((number & 1) as i64)) as i32)
}

/// Levels as runs of equal ones. Where some are packed, each is a run.
#[derive(Default)]
struct Runs<'a> {
    bytes: &'a [u8],
    bits: u32,
    level: u8,
    /// Of the run at which this is.
    length: u32,
    /// Levels that are packed, and how many of them there are.
    packed: &'a [u8],
    is_packed: u32,
    at: u32,
}

impl Runs<'_> {
    /// The level of the next run.
    fn level(&mut self) -> Result<u8> {
        while self.length == 0 {
            if self.at < self.is_packed {
                let first = self.at * self.bits;
                self.level = self.packed[first as usize / 8] >> (first % 8) & ((1 << self.bits) - 1);
                (self.at, self.length) = (self.at + 1, 1);
                continue;
            }
            let header = u32::try_from(varint(&mut self.bytes)?).map_err(|_| damaged("a run is too long"))?;
            if header & 1 == 0 {
                (self.level, self.length) = (take(&mut self.bytes, 1)?[0], header >> 1);
            } else {
                // The last of them may be cut off.
                let groups = (header >> 1).min(self.bytes.len() as u32);
                let bytes = (groups * self.bits).min(self.bytes.len() as u32);
                self.packed = take(&mut self.bytes, bytes as usize)?;
                (self.is_packed, self.at) = (bytes * 8 / self.bits, 0);
            }
        }
        Ok(self.level)
    }
}

/// Adds the values of a page, of which there are no more than `most`.
fn unpack(mut bytes: &[u8], most: u32, values: &mut Vec<i32>) -> Result<()> {
    let (block, parts) = (varint(&mut bytes)?, varint(&mut bytes)?);
    let (count, first) = (varint(&mut bytes)?, zigzag(&mut bytes)?);
    let of_part = block.checked_div(parts).filter(|part| *part > 0 && part % QUARTER as u64 == 0);
    let Some(of_part) = of_part.filter(|_| count <= u64::from(most) && parts <= block) else {
        return Err(damaged("a page of differences begins with numbers that cannot be"));
    };
    if count == 0 {
        return Ok(());
    }
    values.push(first);
    let (mut last, mut left) = (first, count as usize - 1);
    while left > 0 {
        let least = zigzag(&mut bytes)?;
        for bits in take(&mut bytes, parts as usize)? {
            for _ in 0..of_part / QUARTER as u64 {
                if left == 0 {
                    break;
                }
                let packed = take(&mut bytes, QUARTER / 8 * usize::from(*bits))?;
                let mut quarter = unpacked_quarter(packed, *bits)?.map(u32::cast_signed);
                for one in &mut quarter {
                    last = last.wrapping_add(least).wrapping_add(*one);
                    *one = last;
                }
                let used = left.min(QUARTER);
                values.extend_from_slice(&quarter[..used]);
                left -= used;
            }
        }
    }
    Ok(())
}

/// Differences of so many bits each, one behind the other. For each number of bits the compiler makes code of its own, in
/// which every shift is known.
fn unpacked_quarter(bytes: &[u8], bits: u8) -> Result<[u32; QUARTER]> {
    fn unpacked<const BITS: usize>(bytes: &[u8]) -> [u32; QUARTER] {
        let mut words = [0_u32; BITS];
        let packed = bytes.as_chunks::<4>().0;
        words.iter_mut().zip(packed).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
        std::array::from_fn(|at| {
            let (word, shift) = (at * BITS / 32, at * BITS % 32);
            let low = words[word] >> shift;
            let value = if shift + BITS > 32 { low | words[word + 1] << (32 - shift) } else { low };
            value & (u32::MAX >> (32 - BITS))
        })
    }
    macro_rules! by_bits {
        ($($known:literal)*) => {
            match bits {
                0 => Ok([0; QUARTER]),
                $($known => Ok(unpacked::<$known>(bytes)),)*
                _ => Err(damaged("a difference has more than 32 bits")),
            }
        };
    }
    by_bits!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}
