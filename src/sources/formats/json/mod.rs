//! Reading JSON that need not be what it should be: simd-json where a document is sound, and
//! record by record where it is not, so that one bad record never takes its neighbours along.

use std::cell::RefCell;

use jiff::Timestamp;
use simd_json::{Buffers, Node, StaticNode, Tape};

use crate::sources::Fault;

/// Fields that are nested deeper are refused, so that no reader has to recurse further.
const MAX_DEPTH: usize = 64;
/// How often the end of a broken record is guessed anew on one page.
const MAX_RESYNCS: usize = 10_000;

/// A value in a parsed document. simd-json's own type of this kind hides whole numbers of more
/// than 64 bits, and ids have them.
#[derive(Debug, Clone, Copy)]
pub struct Value<'tape, 'input>(&'tape [Node<'input>]);

impl<'tape, 'input> Value<'tape, 'input> {
    fn of(tape: &'tape Tape<'input>) -> Value<'tape, 'input> {
        Value(&tape.0)
    }

    fn node(self) -> Node<'input> {
        self.0[0]
    }

    /// How many nodes the value spans.
    fn span(self) -> usize {
        match self.node() {
            Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
            Node::String(_) | Node::Static(_) => 1,
        }
    }

    pub fn is_null(self) -> bool {
        matches!(self.node(), Node::Static(StaticNode::Null))
    }

    pub fn as_str(self) -> Option<&'input str> {
        match self.node() {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Static(StaticNode::Bool(flag)) => Some(flag),
            _ => None,
        }
    }

    pub fn as_f64(self) -> Option<f64> {
        match self.node() {
            Node::Static(StaticNode::F64(n)) => Some(n),
            Node::Static(StaticNode::I64(n)) => Some(n as f64),
            Node::Static(StaticNode::U64(n)) => Some(n as f64),
            Node::Static(StaticNode::I128(n)) => Some(n as f64),
            Node::Static(StaticNode::U128(n)) => Some(n as f64),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn elements(self) -> Option<Elements<'tape, 'input>> {
        match self.node() {
            Node::Array { len, .. } => Some(Elements { rest: &self.0[1..], left: len }),
            _ => None,
        }
    }

    /// The keys and values of an object.
    pub fn entries(self) -> Option<impl Iterator<Item = (&'input str, Value<'tape, 'input>)>> {
        let Node::Object { len, .. } = self.node() else { return None };
        let mut halves = Elements { rest: &self.0[1..], left: 2 * len };
        Some(std::iter::from_fn(move || {
            let key = halves.next()?.as_str().expect("a key is a string");
            Some((key, halves.next()?))
        }))
    }

    pub fn get(self, name: &str) -> Option<Value<'tape, 'input>> {
        self.entries()?.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Values that lie one behind the other.
#[derive(Debug, Clone)]
pub struct Elements<'tape, 'input> {
    rest: &'tape [Node<'input>],
    left: usize,
}

impl<'tape, 'input> Iterator for Elements<'tape, 'input> {
    type Item = Value<'tape, 'input>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = Value(self.rest);
        let (value, rest) = self.rest.split_at(value.span());
        self.rest = rest;
        Some(Value(value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

thread_local! {
    /// A page's nodes take more room than its bytes: memory that is worth keeping.
    static SCRATCH: RefCell<(Buffers, Tape<'static>)> = RefCell::new((Buffers::default(), Tape(Vec::new())));
}

/// Parses a document in place and hands it on.
fn parse<T>(bytes: &mut [u8], read: impl FnOnce(Result<Value<'_, '_>, simd_json::Error>) -> T) -> T {
    let (mut buffers, tape) = SCRATCH.with_borrow_mut(|(buffers, tape)| {
        (std::mem::take(buffers), std::mem::replace(tape, Tape(Vec::new())))
    });
    let mut tape = tape.reset();
    let parsed = simd_json::fill_tape(bytes, &mut buffers, &mut tape);
    let result = read(parsed.map(|()| Value::of(&tape)));
    SCRATCH.set((buffers, tape.reset()));
    result
}

/// Calls `each` for every element of a JSON array, in order: with the element, or with why
/// it cannot be read. `again` gives the bytes anew, since simd-json parses in place. An error
/// means that the document as a whole is not an array.
pub fn for_each_element(
    bytes: &mut [u8],
    again: impl FnOnce() -> Vec<u8>,
    mut each: impl FnMut(usize, Result<Value<'_, '_>, String>),
) -> Result<(), String> {
    let whole = parse(bytes, |parsed| {
        let value = parsed.ok()?;
        let Some(elements) = value.elements() else {
            return Some(Err(format!("expected a list, found {}", kind(value))));
        };
        for (index, element) in elements.enumerate() {
            each(index, Ok(element));
        }
        Some(Ok(()))
    });
    if let Some(ended) = whole {
        return ended;
    }
    let bytes = again();
    let trimmed = trim(&bytes);
    if trimmed.first() != Some(&b'[') {
        return Err(format!("expected a list, found {}", guess(trimmed)));
    }
    let mut scan = Scan { bytes: trimmed, at: 1, resyncs: 0, is_over: false };
    let mut index = 0;
    while let Some(element) = scan.next_element() {
        match element {
            Ok(mut element) => {
                parse(&mut element, |parsed| each(index, parsed.map_err(|e| e.to_string())));
            }
            Err(reason) => each(index, Err(reason)),
        }
        index += 1;
    }
    Ok(())
}

/// Parses one document and hands it on. An error says why it is no JSON.
pub fn with_document<T>(
    bytes: &mut [u8],
    read: impl FnOnce(Value<'_, '_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let what = (!matches!(trim(bytes).first(), Some(b'{' | b'['))).then(|| guess(trim(bytes)));
    parse(bytes, |parsed| match parsed {
        Ok(value) => read(value),
        Err(e) => Err(Fault::record(match what {
            Some(what) => format!("expected JSON, found {what}"),
            None => format!("not valid JSON: {e}"),
        })),
    })
}

/// Calls `each` for every record of a document, however its writer wrapped them: a list of them, a list
/// under `key`, several such lists, or one record alone. The flag says whether the record stood
/// under the key. What is not sound is read record by record.
pub fn records(
    bytes: &[u8],
    key: &str,
    mut each: impl FnMut(usize, bool, Result<Value<'_, '_>, String>),
) -> Result<(), String> {
    let is_sound = parse(&mut bytes.to_vec(), |parsed| {
        let Ok(value) = parsed else { return false };
        let mut index = 0;
        let mut take = |value: Value<'_, '_>, is_under_key| {
            each(index, is_under_key, Ok(value));
            index += 1;
        };
        let mut open = |value: Value<'_, '_>| match value.get(key).and_then(Value::elements) {
            Some(list) => list.for_each(|record| take(record, true)),
            None => take(value, false),
        };
        match value.elements() {
            Some(elements) => elements.for_each(&mut open),
            None => open(value),
        }
        true
    });
    if is_sound {
        return Ok(());
    }
    let inner = inner_list(bytes, key);
    let list = inner.unwrap_or(bytes).to_vec();
    for_each_element(&mut list.clone(), || list, |index, element| each(index, inner.is_some(), element))
}

/// The list that stands under a key, sound or not, wherever the key first stands; to the end of the
/// bytes where it is cut.
fn inner_list<'a>(bytes: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let quoted = format!("\"{key}\"");
    let at = bytes.windows(quoted.len()).position(|w| w == quoted.as_bytes())?;
    let rest = bytes[at + quoted.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    if !rest.starts_with(b"[") {
        return None;
    }
    Some(&rest[..element_end(rest).unwrap_or(rest.len())])
}

/// Without a byte order mark and the white space around.
fn trim(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii()
}

/// What something that is not JSON seems to be.
fn guess(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "nothing",
        [b'<', ..] => "an HTML page",
        [b'{', ..] => "an object, or the beginning of one",
        _ if std::str::from_utf8(bytes).is_err() => "bytes that are no text",
        _ => "text that is not JSON",
    }
}

/// Walks the elements of an array that is not sound as a whole.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    resyncs: usize,
    /// Whether the end was reached, or given up for.
    is_over: bool,
}

impl Scan<'_> {
    fn next_element(&mut self) -> Option<Result<Vec<u8>, String>> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let skipped = rest.iter().take_while(|b| b.is_ascii_whitespace() || **b == b',').count();
        self.at += skipped;
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
            return Some(Ok(rest[..end].to_vec()));
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
fn element_end(bytes: &[u8]) -> Option<usize> {
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

/// What a value is, for a person.
pub fn kind(value: Value<'_, '_>) -> &'static str {
    match value.node() {
        Node::Static(StaticNode::Null) => "null",
        Node::Static(StaticNode::Bool(_)) => "a boolean",
        Node::Static(_) => "a number",
        Node::String(_) => "a string",
        Node::Array { .. } => "a list",
        Node::Object { .. } => "an object",
    }
}

/// Absent, null, the empty string and the empty list all say the same: no value.
pub fn is_absent(value: Value<'_, '_>) -> bool {
    matches!(value.node(), Node::Static(StaticNode::Null) | Node::String("") | Node::Array { len: 0, .. })
}

fn expected(field: &str, what: &str, value: Value<'_, '_>) -> Fault {
    Fault::field(field, format!("expected {what}, found {}", kind(value)))
}

pub fn number(field: &str, value: Value<'_, '_>) -> Result<f64, Fault> {
    match value.as_f64() {
        Some(number) if number.is_finite() => Ok(number),
        Some(_) => Err(Fault::field(field, "expected a finite number")),
        None => Err(expected(field, "a number", value)),
    }
}

/// A whole number, also where it is written `12.0`.
pub fn whole(field: &str, value: Value<'_, '_>) -> Result<i32, Fault> {
    let number = number(field, value)?;
    if number.fract() != 0.0 || !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
        return Err(Fault::field(field, format!("expected a whole number of 32 bits, found {number}")));
    }
    Ok(number as i32)
}

pub fn text(field: &str, value: Value<'_, '_>) -> Result<String, Fault> {
    value.as_str().map(str::to_string).ok_or_else(|| expected(field, "a string", value))
}

pub fn flag(field: &str, value: Value<'_, '_>) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| expected(field, "a boolean", value))
}

/// An id, whatever its length, as its digits. Some sources write them as strings.
pub fn id(field: &str, value: Value<'_, '_>) -> Result<String, Fault> {
    match value.node() {
        Node::Static(StaticNode::U64(number)) => Ok(number.to_string()),
        Node::Static(StaticNode::I64(number)) => Ok(number.to_string()),
        Node::Static(StaticNode::U128(number)) => Ok(number.to_string()),
        Node::Static(StaticNode::I128(number)) => Ok(number.to_string()),
        // Some exports write large numbers as `1.2e10`.
        Node::Static(StaticNode::F64(number)) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Ok((number as i64).to_string())
        }
        Node::String(text) => Ok(text.to_string()),
        _ => Err(expected(field, "a whole number or a string", value)),
    }
}

/// A time with a zone, such as `2025-10-18T12:49:52Z`.
pub fn time(field: &str, value: Value<'_, '_>) -> Result<Timestamp, Fault> {
    let text = value.as_str().ok_or_else(|| expected(field, "a time", value))?;
    text.parse().map_err(|_| Fault::expected(field, "a time", text))
}

pub fn list<'tape, 'input, T>(
    field: &str,
    value: Value<'tape, 'input>,
    mut element: impl FnMut(Value<'tape, 'input>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let elements = value.elements().ok_or_else(|| expected(field, "a list", value))?;
    elements
        .enumerate()
        .map(|(index, value)| {
            element(value).map_err(|fault| {
                let field = match fault.field {
                    Some(inner) => format!("{field}[{index}].{inner}"),
                    None => format!("{field}[{index}]"),
                };
                Fault::field(field, fault.reason)
            })
        })
        .collect()
}

/// Calls `each` for every field that has a value. What it does not know (`Ok(false)`) is
/// gathered and returned as a JSON object, so that nothing is lost.
pub fn fields<'tape, 'input>(
    value: Value<'tape, 'input>,
    mut each: impl FnMut(&'input str, Value<'tape, 'input>) -> Result<bool, Fault>,
) -> Result<Option<String>, Fault> {
    let Some(entries) = value.entries() else {
        return Err(Fault::record(format!("expected an object, found {}", kind(value))));
    };
    let mut extra = String::new();
    for (key, value) in entries {
        if is_absent(value) || each(key, value)? {
            continue;
        }
        extra.push(if extra.is_empty() { '{' } else { ',' });
        write_string(&mut extra, key);
        extra.push(':');
        write(&mut extra, value, 1).map_err(|reason| Fault::field(key, reason))?;
    }
    if extra.is_empty() {
        return Ok(None);
    }
    extra.push('}');
    Ok(Some(extra))
}

/// One object of fields without a column, and another one within it under a name of its own.
pub fn joined(object: Option<String>, name: &str, other: Option<String>) -> Option<String> {
    match (object, other) {
        (Some(object), Some(other)) => {
            let open = object.strip_suffix('}').unwrap_or(&object);
            Some(format!("{open},\"{name}\":{other}}}"))
        }
        (None, Some(other)) => Some(format!("{{\"{name}\":{other}}}")),
        (object, None) => object,
    }
}

fn write(out: &mut String, value: Value<'_, '_>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    match value.node() {
        Node::Array { .. } => {
            out.push('[');
            for (index, element) in value.elements().into_iter().flatten().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, element, depth + 1)?;
            }
            out.push(']');
        }
        Node::Object { .. } => {
            out.push('{');
            for (index, (key, element)) in value.entries().into_iter().flatten().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write(out, element, depth + 1)?;
            }
            out.push('}');
        }
        Node::String(text) => write_string(out, text),
        Node::Static(StaticNode::Null) => out.push_str("null"),
        Node::Static(StaticNode::Bool(flag)) => out.push_str(if flag { "true" } else { "false" }),
        Node::Static(StaticNode::I64(number)) => out.push_str(&number.to_string()),
        Node::Static(StaticNode::U64(number)) => out.push_str(&number.to_string()),
        Node::Static(StaticNode::I128(number)) => out.push_str(&number.to_string()),
        Node::Static(StaticNode::U128(number)) => out.push_str(&number.to_string()),
        Node::Static(StaticNode::F64(number)) => out.push_str(&format!("{number:?}")),
    }
    Ok(())
}

fn write_string(out: &mut String, text: &str) {
    if text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&serde_json::to_string(text).expect("text is JSON"));
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ids of an array's elements, and `Err` where one cannot be read.
    fn ids(bytes: &[u8]) -> Result<Vec<Result<String, String>>, String> {
        let mut ids = Vec::new();
        for_each_element(
            &mut bytes.to_vec(),
            || bytes.to_vec(),
            |_, element| {
                ids.push(element.map(|e| e.get("id").and_then(|v| id("id", v).ok()).unwrap_or_default()));
            },
        )?;
        Ok(ids)
    }

    fn good(ids: &[Result<String, String>]) -> Vec<&str> {
        ids.iter().filter_map(|id| id.as_deref().ok()).collect()
    }

    #[test]
    fn one_bad_record_leaves_its_neighbours() {
        let bad: [(&[u8], &str); 5] = [
            (b"{\"id\":2,\"name\":\"\xff\"}", "invalid UTF-8"),
            (b"{\"id\":2,\"name\":\"stray\"quote\"}", "not valid JSON"),
            (b"{\"id\":2,\"name\":tru}", "not valid JSON"),
            (b"{\"id\":2,\"name\":\"no end}", "not valid JSON"),
            (b"{\"id\":2,,}", "not valid JSON"),
        ];
        for (record, reason) in bad {
            let page = [b"[{\"id\":1},".as_slice(), record, b",{\"id\":3},{\"id\":4}]"].concat();
            let ids = ids(&page).unwrap();
            assert_eq!(good(&ids), ["1", "3", "4"], "{}", String::from_utf8_lossy(record));
            let complaint = ids[1].as_ref().unwrap_err();
            assert!(complaint.contains(reason), "{complaint}");
        }
    }

    #[test]
    fn a_broken_record_with_lists_within_is_one_and_so_is_one_with_space_around() {
        let page = b"[{\"id\":1,\"x\":[{\"a\":1},{\"a\":NaN},{\"a\":3}],\"y\":2} ,\n {\"id\":2}, {\"id\":3}]";
        let ids = ids(page).unwrap();
        assert_eq!((ids.len(), good(&ids)), (3, vec!["2", "3"]));
    }

    #[test]
    fn a_list_that_is_cut_between_records_says_so() {
        let ids = ids(b"[{\"id\":1},{\"id\":2},").unwrap();
        assert_eq!(good(&ids), ["1", "2"]);
        assert!(ids[2].as_ref().unwrap_err().contains("is cut"));
    }

    #[test]
    fn a_bracket_between_records_leaves_those_that_follow() {
        for page in [b"[{\"id\":1}[{\"id\":2},{\"id\":3}]", b"[{\"id\":1}]{\"id\":2},{\"id\":3}]"] {
            assert_eq!(good(&ids(page).unwrap()), ["1", "2", "3"]);
        }
    }

    #[test]
    fn a_cut_page_keeps_what_came_before_the_cut() {
        let ids = ids(b"[{\"id\":1},{\"id\":2},{\"id\":3,\"na").unwrap();
        assert_eq!(good(&ids), ["1", "2"]);
        assert!(ids[2].as_ref().unwrap_err().contains("cut in the middle"));
    }

    #[test]
    fn what_is_no_list_is_named() {
        for (bytes, what) in [
            (b"<html></html>".as_slice(), "an HTML page"),
            (b"{\"message\":\"no\"}", "an object"),
            (b"{\"mess", "an object, or the beginning"),
            (b"", "nothing"),
            (b"busy", "text"),
            (b"\xff\xfe", "no text"),
        ] {
            let e = ids(bytes).unwrap_err();
            assert!(e.contains(what), "{e}");
        }
    }

    #[test]
    fn an_id_of_twenty_digits_is_an_id() {
        assert_eq!(
            good(&ids(b"[{\"id\":12345678901234567890},{\"id\":\"a\"}]").unwrap()),
            ["12345678901234567890", "a"]
        );
    }

    #[test]
    fn nesting_is_bounded_and_does_not_recurse_without_end() {
        for (depth, reason) in [(100, "nested deeper"), (10_000, "DepthLimitExceeded")] {
            let nest = format!("{{\"id\":1,\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            let page = format!("[{nest},{{\"id\":2}}]").into_bytes();
            let mut read = Vec::new();
            for_each_element(
                &mut page.clone(),
                || page.clone(),
                |_, element| {
                    let taken = element.map_err(Fault::record);
                    read.push(taken.and_then(|value| fields(value, |key, _| Ok(key == "id"))));
                },
            )
            .unwrap();
            let fault = read[0].as_ref().unwrap_err();
            assert!(fault.reason.contains(reason), "{fault}");
            assert_eq!(read[1], Ok(None));
        }
    }

    #[test]
    fn unknown_fields_come_back_as_they_were() {
        let mut doc = br#"{"id":1,"none":null,"empty":[],"a":"\u00e9\n","b":[1,-2,2.50,18446744073709551616,{"c":true}]}"#.to_vec();
        let extra = with_document(&mut doc, |v| fields(v, |key, _| Ok(key == "id"))).unwrap();
        assert_eq!(extra.unwrap(), "{\"a\":\"é\\n\",\"b\":[1,-2,2.5,18446744073709551616,{\"c\":true}]}");
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_records_or_in_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = ids(&bytes);
        }

        #[test]
        fn a_page_broken_at_any_byte_loses_at_most_what_was_hit(at in 0_usize..600, byte in any::<u8>()) {
            let mut page = b"[".to_vec();
            for n in 0..30 {
                page.extend_from_slice(format!("{{\"id\":{n},\"name\":\"n\"}}{}", if n < 29 { "," } else { "]" }).as_bytes());
            }
            let at = at % page.len();
            page[at] = byte;
            if let Ok(ids) = ids(&page) {
                prop_assert!(good(&ids).len() >= 27, "{} of 30 left", good(&ids).len());
            } else {
                prop_assert_eq!(at, 0);
            }
        }
    }
}
