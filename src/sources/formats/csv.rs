//! CSV as people's exports write it: any encoding, rows of any length, columns found by name.

use std::borrow::Cow;

use encoding_rs::{Encoding, WINDOWS_1252};
use memchr::{memchr, memchr2, memchr3};

use super::decimal;
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

/// How quotes within quotes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    Doubled,
    /// Doubled, or behind a backslash.
    Escaped,
}

/// A table. Its rows stay in the text and are taken apart one by one, when somebody looks at them.
#[derive(Debug)]
pub struct Table<'a> {
    pub header: Vec<String>,
    lines: Vec<&'a str>,
    marks: Marks,
}

/// The cells of a row.
#[derive(Debug)]
pub struct Row<'a>(Vec<Cow<'a, str>>);

/// What stands between cells and within quotes.
#[derive(Debug, Clone, Copy)]
struct Marks {
    delimiter: u8,
    escape: Option<u8>,
}

/// Finds the rows of a table. Its delimiter is the comma, or the semicolon where the header has more of those.
pub fn table(text: &str, quotes: Quotes) -> Result<Table<'_>, Fault> {
    let head = text.lines().next().unwrap_or_default();
    let count = |c: char| head.matches(c).count();
    let delimiter = if count(';') > count(',') { b';' } else { b',' };
    let marks = Marks { delimiter, escape: (quotes == Quotes::Escaped).then_some(b'\\') };
    let mut lines = marks.lines(text);
    let header = lines.next().ok_or_else(|| Fault::record("an empty file"))?;
    let mut names = Vec::new();
    marks.cells(header, |name| names.push(name.trim().to_string()));
    Ok(Table { header: names, lines: lines.collect(), marks })
}

impl<'a> Table<'a> {
    /// The place of a column, by any of its names.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.header.iter().position(|h| h.eq_ignore_ascii_case(name)))
    }

    /// How many rows there are below the header.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn row(&self, number: usize) -> Row<'a> {
        let mut cells = Vec::with_capacity(self.header.len());
        self.marks.cells(self.lines[number], |cell| cells.push(cell));
        Row(cells)
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'a>> {
        (0..self.len()).map(|number| self.row(number))
    }

    /// One cell, with the rest of its row not taken apart.
    pub fn cell(&self, number: usize, column: usize) -> Option<Cow<'a, str>> {
        let line = self.lines[number];
        let mut at = 0;
        for _ in 0..column {
            at = self.marks.cell(line, at).1 + 1;
            if at > line.len() {
                return None;
            }
        }
        Some(self.marks.cell(line, at).0)
    }
}

impl Row<'_> {
    pub fn get(&self, column: usize) -> Option<&str> {
        self.0.get(column).map(|cell| &**cell)
    }

    /// How many cells it has, which need not be as many as the header.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|cell| &**cell)
    }
}

impl Marks {
    /// The lines with something in them. A line breaks where no quotes are around.
    fn lines(self, text: &str) -> impl Iterator<Item = &str> {
        let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(['\r', '\n']);
            let (line, behind) = rest.split_at(self.end_of_line(rest.as_bytes()));
            rest = behind;
            Some(line).filter(|line| !line.is_empty())
        })
    }

    fn end_of_line(self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(found) = memchr3(b'"', b'\n', b'\r', &bytes[at..]) {
            at += found;
            if bytes[at] != b'"' {
                return at;
            }
            // Within a cell a quote is one like any letter.
            let opens = at == 0 || bytes[at - 1] == self.delimiter;
            at = if opens { self.end_of_quotes(bytes, at + 1).1 } else { at + 1 };
        }
        bytes.len()
    }

    /// Where what stands within quotes ends, and where the text goes on behind them.
    fn end_of_quotes(self, bytes: &[u8], begin: usize) -> (usize, usize) {
        let mut at = begin;
        while let Some(found) = self.next_mark(&bytes[at..]) {
            at += found;
            if bytes[at] == b'"' && bytes.get(at + 1) != Some(&b'"') {
                return (at, at + 1);
            }
            at = (at + 2).min(bytes.len());
        }
        (bytes.len(), bytes.len())
    }

    /// The next quote or backslash, of those that mean something.
    fn next_mark(self, bytes: &[u8]) -> Option<usize> {
        match self.escape {
            None => memchr(b'"', bytes),
            Some(escape) => memchr2(b'"', escape, bytes),
        }
    }

    /// All cells of a line, in order.
    fn cells<'a>(self, line: &'a str, mut each: impl FnMut(Cow<'a, str>)) {
        let mut begin = Some(0);
        while let Some(at) = begin {
            let (cell, end) = self.cell(line, at);
            each(cell);
            begin = (end < line.len()).then_some(end + 1);
        }
    }

    /// The cell that begins at a byte, and where it ends.
    #[inline]
    fn cell(self, line: &str, at: usize) -> (Cow<'_, str>, usize) {
        let bytes = line.as_bytes();
        let end_from = |from: usize| memchr(self.delimiter, &bytes[from..]).map_or(line.len(), |n| from + n);
        match bytes.get(at) {
            None => (Cow::Borrowed(""), at),
            // Most cells of a wide table are empty.
            Some(byte) if *byte == self.delimiter => (Cow::Borrowed(""), at),
            Some(b'"') => {
                let (quoted_end, behind) = self.end_of_quotes(bytes, at + 1);
                let end = end_from(behind);
                let quoted = self.without_marks(&line[at + 1..quoted_end]);
                (if behind == end { quoted } else { quoted + &line[behind..end] }, end)
            }
            Some(_) => {
                let end = end_from(at);
                (Cow::Borrowed(&line[at..end]), end)
            }
        }
    }

    /// What was meant by what stands within quotes.
    fn without_marks(self, quoted: &str) -> Cow<'_, str> {
        let Some(mut mark) = self.next_mark(quoted.as_bytes()) else { return Cow::Borrowed(quoted) };
        let mut meant = String::with_capacity(quoted.len());
        let mut begin = 0;
        loop {
            meant.push_str(&quoted[begin..mark]);
            // The mark goes, and what follows it stays, whatever it is.
            begin = mark + 1;
            let behind = (mark + 2).min(quoted.len());
            match self.next_mark(&quoted.as_bytes()[behind..]) {
                Some(found) => mark = behind + found,
                None => {
                    meant.push_str(&quoted[begin..]);
                    return Cow::Owned(meant);
                }
            }
        }
    }
}

/// A cell that says something.
pub fn cell<'a>(row: &'a Row<'_>, column: Option<usize>) -> Option<&'a str> {
    // Most cells of a wide table are empty.
    let text = row.get(column?).filter(|text| !text.is_empty())?.trim();
    Some(text).filter(|text| !text.is_empty() && *text != FAILED)
}

/// A number of a cell, with a point or a comma before its fraction.
pub fn number(field: &str, text: &str) -> Result<f64, Fault> {
    if let Some(number) = decimal::plain(text) {
        return Ok(number);
    }
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
    use proptest::prelude::*;

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
        assert_eq!(doubled.row(0).get(1), Some("x \"y\"\nz"));
        let escaped = table("a,b\n1,\"x \\\"y\\\"\nz\"\n", Quotes::Escaped).unwrap();
        assert_eq!(escaped.row(0).get(1), Some("x \"y\"\nz"));
    }

    #[test]
    fn numbers_are_read_with_either_mark() {
        for (text, value) in [("9,44", 9.44), ("1,234.5", 1234.5), ("3322.949951171875", 3322.949951171875)] {
            assert_eq!(number("f", text), Ok(value));
        }
        assert!(number("f", "NaN").is_err() && number("f", "far").is_err() && number("f", "1e999").is_err());
    }

    /// The header and the rows as the `csv` crate reads them.
    fn as_another_reader_reads(text: &str, quotes: Quotes) -> Vec<Vec<String>> {
        let head = text.lines().next().unwrap_or_default();
        let is_semicolon = head.matches(';').count() > head.matches(',').count();
        let mut reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(if is_semicolon { b';' } else { b',' })
            .escape((quotes == Quotes::Escaped).then_some(b'\\'))
            .from_reader(text.as_bytes());
        let mut rows: Vec<Vec<String>> =
            reader.records().map(|row| row.unwrap().iter().map(str::to_string).collect()).collect();
        if let Some(header) = rows.first_mut() {
            header.iter_mut().for_each(|name| *name = name.trim().to_string());
        }
        rows
    }

    proptest! {
        #[test]
        fn any_text_has_the_rows_that_another_reader_finds(
            text in "[ab,;\"\\\\\r\né ]{0,40}", is_escaped in any::<bool>()
        ) {
            let quotes = if is_escaped { Quotes::Escaped } else { Quotes::Doubled };
            let read: Vec<Vec<String>> = table(&text, quotes).map_or_else(|_| Vec::new(), |table| {
                let rows = table.rows().map(|row| row.iter().map(str::to_string).collect());
                std::iter::once(table.header.clone()).chain(rows).collect()
            });
            prop_assert_eq!(read, as_another_reader_reads(&text, quotes));
        }
    }
}
