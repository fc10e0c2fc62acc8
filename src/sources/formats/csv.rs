//! CSV as people's exports write it: any encoding, rows of any length, columns found by name.

use std::borrow::Cow;

use csv::{ReaderBuilder, StringRecord};
use encoding_rs::{Encoding, WINDOWS_1252};

use crate::sources::Fault;

/// Bytes as text: by their byte order mark, as UTF-8, or else as what Windows writes in the West.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[length..]).0;
    }
    match bytes {
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => encoding_rs::UTF_16BE.decode_without_bom_handling(bytes).0,
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0,
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
        },
    }
}

/// What an export writes where it failed to write a value.
pub const FAILED: &str = "#error#";

/// A table, whole in memory.
#[derive(Debug, Default)]
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<StringRecord>,
}

/// How quotes within quotes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    Doubled,
    /// Doubled, or behind a backslash.
    Escaped,
}

/// Reads a table. Its delimiter is the comma, or the semicolon where the header has more of those.
pub fn table(text: &str, quotes: Quotes) -> Result<Table, Fault> {
    let head = text.lines().next().unwrap_or_default();
    let count = |c: char| head.matches(c).count();
    let delimiter = if count(';') > count(',') { b';' } else { b',' };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .escape((quotes == Quotes::Escaped).then_some(b'\\'))
        .from_reader(text.as_bytes());
    let mut table = Table::default();
    for record in reader.records() {
        let record = record.map_err(|e| Fault::record(format!("not a table: {e}")))?;
        if table.header.is_empty() {
            table.header = record.iter().map(|name| name.trim().to_string()).collect();
        } else {
            table.rows.push(record);
        }
    }
    if table.header.is_empty() {
        return Err(Fault::record("an empty file"));
    }
    Ok(table)
}

impl Table {
    /// The place of a column, by any of its names.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.header.iter().position(|h| h.eq_ignore_ascii_case(name)))
    }
}

/// A cell that says something.
pub fn cell(row: &StringRecord, column: Option<usize>) -> Option<&str> {
    row.get(column?).map(str::trim).filter(|text| !text.is_empty() && *text != FAILED)
}

/// A number of a cell, with a point or a comma before its fraction.
pub fn number(field: &str, text: &str) -> Result<f64, Fault> {
    let plain = match (text.contains(','), text.contains('.')) {
        (false, _) => Cow::Borrowed(text),
        // The comma groups thousands.
        (true, true) => Cow::Owned(text.replace(',', "")),
        (true, false) => Cow::Owned(text.replace(',', ".")),
    };
    match plain.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(number) => Err(Fault::field(field, format!("expected a finite number, found {number}"))),
        Err(_) => Err(Fault::expected(field, "a number", text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_encoding_is_read() {
        let utf16: Vec<u8> = "id,Titel ä".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&utf16), "id,Titel ä");
        assert_eq!(text(&[b"\xff\xfe".as_slice(), &utf16].concat()), "id,Titel ä");
        assert_eq!(text(b"\xef\xbb\xbfid"), "id");
        assert_eq!(text(b"M\xe4rz"), "März");
    }

    #[test]
    fn quotes_within_quotes_are_read_in_both_ways() {
        let doubled = table("a,b\n1,\"x \"\"y\"\"\nz\"\n", Quotes::Doubled).unwrap();
        assert_eq!(doubled.rows[0].get(1), Some("x \"y\"\nz"));
        let escaped = table("a,b\n1,\"x \\\"y\\\"\nz\"\n", Quotes::Escaped).unwrap();
        assert_eq!(escaped.rows[0].get(1), Some("x \"y\"\nz"));
    }

    #[test]
    fn numbers_are_read_with_either_mark() {
        for (text, value) in [("9,44", 9.44), ("1,234.5", 1234.5), ("3322.949951171875", 3322.949951171875)] {
            assert_eq!(number("f", text), Ok(value));
        }
        assert!(number("f", "NaN").is_err() && number("f", "far").is_err() && number("f", "1e999").is_err());
    }
}
