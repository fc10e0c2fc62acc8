//! The elements of an array that is not sound, one by one.

use std::ops::Range;

/// How often the end of a broken record is guessed anew on one page.
const MAX_RESYNCS: usize = 10_000;

/// Walks the elements of an array that is not sound as a whole.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    resyncs: usize,
    /// Whether the end was reached, or given up for.
    is_over: bool,
}

impl<'a> Scan<'a> {
    /// From behind the bracket that opens the array, or behind one of its elements.
    pub fn of(array: &'a [u8], at: usize) -> Scan<'a> {
        Scan { bytes: array, at, resyncs: 0, is_over: false }
    }

    /// Where the next element stands, or why it cannot be read.
    pub fn next_element(&mut self) -> Option<Result<Range<usize>, String>> {
        let bytes: &'a [u8] = self.bytes;
        let rest = &bytes[self.at.min(bytes.len())..];
        let skipped = rest.iter().take_while(|b| b.is_ascii_whitespace() || **b == b',').count();
        self.at += skipped;
        let start = self.at;
        let rest = &rest[skipped..];
        match rest {
            [b']'] => return None,
            [] if self.is_over => return None,
            [] => {
                self.is_over = true;
                return Some(Err("the list is cut: it has no end".to_string()));
            }
            // A bracket that stands where a comma did would make one record of all that follow, or none.
            [b'[' | b']', behind @ ..] if behind.trim_ascii_start().starts_with(b"{") => {
                self.at += 1;
                return self.next_element();
            }
            [b']', behind @ ..] if next_border(behind, 0).is_none() => {
                self.at = self.bytes.len();
                self.is_over = true;
                return Some(Err("bytes behind the end of the list".to_string()));
            }
            _ => {}
        }
        let end = element_end(rest);
        if let Some(end) = end
            && is_sound(&rest[..end])
        {
            self.at += end;
            return Some(Ok(start..self.at));
        }
        // The record is broken. Where its brackets are sound and it is followed as a record is, it ends there.
        if let Some(end) = end
            && rest[..end].ends_with(b"}")
            && is_border(&rest[end..])
        {
            self.at += end;
            return Some(Err(complaint(&rest[..end])));
        }
        // Or else the next one begins where something behind a `},{` is sound.
        let mut from = 0;
        while let Some((end, next)) = next_border(rest, from) {
            self.resyncs += 1;
            if self.resyncs > MAX_RESYNCS {
                break;
            }
            if element_end(&rest[next..]).is_some_and(|end| is_sound(&rest[next..next + end])) {
                self.at += next;
                return Some(Err(complaint(&rest[..end])));
            }
            from = next;
        }
        self.at = self.bytes.len();
        self.is_over = true;
        let reason = match end {
            Some(end) => complaint(&rest[..end]),
            None => "the list is cut in the middle of this record".to_string(),
        };
        Some(Err(reason))
    }
}

/// Whether a record can end before these bytes: another one follows, or the list ends.
fn is_border(bytes: &[u8]) -> bool {
    match bytes.trim_ascii_start() {
        [b',', rest @ ..] => rest.trim_ascii_start().starts_with(b"{"),
        [b']', rest @ ..] => rest.trim_ascii().is_empty(),
        _ => false,
    }
}

/// The next `},{`, white space within allowed: where the first bracket ends and the second begins.
fn next_border(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'}') {
        let end = at + found + 1;
        let behind = bytes[end..].trim_ascii_start();
        if let Some(rest) = behind.strip_prefix(b",")
            && rest.trim_ascii_start().starts_with(b"{")
        {
            return Some((end, bytes.len() - rest.trim_ascii_start().len()));
        }
        at = end;
    }
    None
}

/// Where the value at the beginning ends, by its brackets. None where it does not.
pub(super) fn element_end(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => {
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' if !in_string && depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn is_sound(element: &[u8]) -> bool {
    simd_json::to_tape(&mut element.to_vec()).is_ok()
}

fn complaint(element: &[u8]) -> String {
    match std::str::from_utf8(element) {
        Err(e) => format!("invalid UTF-8 at byte {} of the record", e.valid_up_to()),
        Ok(_) => match simd_json::to_tape(&mut element.to_vec()) {
            Err(e) => format!("not valid JSON: {e}"),
            Ok(_) => "not valid JSON".to_string(),
        },
    }
}
