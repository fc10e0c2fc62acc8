//! Reading JSON that need not be what it should be: in one pass where it is written as nearly all of it is, by
//! simd-json where it is written otherwise, and record by record where it is not sound, so that one bad record never
//! takes its neighbours along.

mod fields;
mod plain;
mod scan;
mod surrogates;
mod value;

use std::cell::RefCell;
use std::ops::Range;

use simd_json::Tape;

use crate::sources::Fault;
use plain::Reader;
use scan::{Scan, element_end};

pub use fields::{
    closed, fields, flag, id, is_absent, kind, list, list_of_records, missing, number, push_field, push_text,
    rounded, series, text, time, whole,
};
pub use value::{Elements, Value};

thread_local! {
    /// Nodes, and room for texts with escapes: memory that is worth keeping.
    static SCRATCH: RefCell<(Tape<'static>, Vec<u8>)> = const { RefCell::new((Tape(Vec::new()), Vec::new())) };
}

/// Lends nodes, and as much room as what is to be read.
fn with_scratch<T>(bytes: &[u8], read: impl FnOnce(&mut Tape<'static>, &mut [u8]) -> T) -> T {
    let (mut tape, mut room) = SCRATCH
        .with_borrow_mut(|(tape, room)| (std::mem::replace(tape, Tape(Vec::new())), std::mem::take(room)));
    if room.len() < bytes.len() {
        room.resize(bytes.len(), 0);
    }
    let result = read(&mut tape, &mut room[..bytes.len()]);
    SCRATCH.set((tape, room));
    result
}

/// Parses a document and hands it on.
fn parse<T>(bytes: &[u8], read: impl FnOnce(Result<Value<'_, '_>, simd_json::Error>) -> T) -> T {
    with_scratch(bytes, |scratch, room| {
        let mut tape = std::mem::replace(scratch, Tape(Vec::new())).reset();
        let plain = simdutf8::basic::from_utf8(bytes).ok().map(Reader::of).and_then(|mut reader| {
            reader.value(&mut tape.0, &mut &mut *room, 0)?;
            reader.peek().is_none().then_some(())
        });
        if plain.is_some() {
            let result = read(Ok(Value::of(&tape)));
            *scratch = tape.reset();
            return result;
        }
        *scratch = tape.reset();
        let mut bytes = bytes.to_vec();
        surrogates::mend(&mut bytes);
        match simd_json::to_tape(&mut bytes) {
            Ok(tape) => read(Ok(Value::of(&tape))),
            Err(e) => read(Err(e)),
        }
    })
}

/// Calls `each` for every element of a JSON array, in order: with the element, or with why
/// it cannot be read. An error means that the document as a whole is not an array.
pub fn for_each_element(
    bytes: &[u8],
    mut each: impl FnMut(usize, Result<Value<'_, '_>, String>),
) -> Result<(), String> {
    let mut index = 0;
    elements(bytes, |element| {
        each(index, element.map(|(_, value)| value));
        index += 1;
    })
}

/// Where the elements that [`for_each_element`] finds stand; None for one that cannot be read.
pub fn element_ranges(bytes: &[u8]) -> Result<Vec<Option<Range<usize>>>, String> {
    let mut ranges = Vec::new();
    elements(bytes, |element| ranges.push(element.ok().map(|(range, _)| range)))?;
    Ok(ranges)
}

/// Calls `each` for every element of an array, and with where it stands.
fn elements(
    bytes: &[u8],
    mut each: impl FnMut(Result<(Range<usize>, Value<'_, '_>), String>),
) -> Result<(), String> {
    let trimmed = trim(bytes);
    let begin = trimmed.as_ptr().addr() - bytes.as_ptr().addr();
    let place = |range: Range<usize>| begin + range.start..begin + range.end;
    let Err(at) = plain_elements(trimmed, |range, value| each(Ok((place(range), value)))) else {
        return Ok(());
    };
    if trimmed.first() != Some(&b'[') {
        return Err(parse(bytes, |parsed| match parsed {
            Ok(value) => format!("expected a list, found {}", kind(value)),
            Err(_) => format!("expected a list, found {}", guess(trimmed)),
        }));
    }
    let mut mended = trimmed.to_vec();
    surrogates::mend(&mut mended);
    let mut scan = Scan::of(&mended, at);
    while let Some(element) = scan.next_element() {
        match element {
            Ok(range) => parse(&mended[range.clone()], |parsed| match parsed {
                Ok(value) => each(Ok((place(range), value))),
                Err(e) => each(Err(e.to_string())),
            }),
            Err(reason) => each(Err(reason)),
        }
    }
    Ok(())
}

/// Calls `each` for the elements of an array, each parsed by itself, so that its nodes are still at hand. An error says
/// how many bytes were read before there was something that is not plain, behind the bracket at least.
fn plain_elements(bytes: &[u8], mut each: impl FnMut(Range<usize>, Value<'_, '_>)) -> Result<(), usize> {
    let Ok(text) = simdutf8::basic::from_utf8(bytes) else { return Err(1) };
    with_scratch(bytes, |scratch, room| {
        let mut reader = Reader::of(text);
        let mut read = 1;
        let whole = reader.take(b'[').and_then(|()| {
            let mut is_last = reader.take(b']').is_some();
            while !is_last {
                let mut tape = std::mem::replace(scratch, Tape(Vec::new())).reset();
                reader.peek();
                let start = reader.at();
                let value = reader.value(&mut tape.0, &mut &mut *room, 0);
                // Not before it is known that the element ends where it seems to.
                let behind = reader.at();
                let last = value.and_then(|()| reader.is_last(b']'));
                if last.is_some() {
                    each(start..behind, Value::of(&tape));
                    read = behind;
                }
                *scratch = tape.reset();
                is_last = last?;
            }
            reader.peek().is_none().then_some(())
        });
        whole.ok_or(read)
    })
}

/// Parses one document and hands it on. An error says why it is no JSON.
pub fn with_document<T>(
    bytes: &[u8],
    read: impl FnOnce(Value<'_, '_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    parse(bytes, |parsed| match parsed {
        Ok(value) => read(value),
        Err(e) => Err(Fault::record(match trim(bytes) {
            [b'{' | b'[', ..] => format!("not valid JSON: {e}"),
            other => format!("expected JSON, found {}", guess(other)),
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
    let is_sound = parse(bytes, |parsed| {
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
    for_each_element(inner.unwrap_or(bytes), |index, element| each(index, inner.is_some(), element))
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

/// Whether something seems to be a list, sound or not.
pub fn is_list(bytes: &[u8]) -> bool {
    trim(bytes).first() == Some(&b'[')
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ids of an array's elements, and `Err` where one cannot be read.
    fn ids(bytes: &[u8]) -> Result<Vec<Result<String, String>>, String> {
        let mut ids = Vec::new();
        for_each_element(bytes, |_, element| {
            ids.push(element.map(|e| e.get("id").and_then(|v| id("id", v).ok()).unwrap_or_default()));
        })?;
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
    fn elements_stand_where_they_were_written() {
        let pages: [&[u8]; 4] = [
            b"\xef\xbb\xbf [ {\"id\":1}, {\"id\" : 2 } ,\n{\"id\":3}] ",
            b" [{\"id\":1},{\"id\":tru},{\"id\":3}]",
            b"[{\"id\":1},{\"id\":2,\"name\":\"\xff\"}, {\"id\":3}]",
            b"[{\"id\":1,\"name\":\"\\ud83d\"},{\"id\":2},{\"id\":3,\"na",
        ];
        for page in pages {
            let id = |value: Value<'_, '_>| id("id", value.get("id").unwrap());
            let read = |range: Range<usize>| with_document(&page[range], id).unwrap();
            let found: Vec<_> =
                element_ranges(page).unwrap().into_iter().map(|range| range.map(read)).collect();
            let expected: Vec<_> = ids(page).unwrap().into_iter().map(Result::ok).collect();
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(page));
        }
        assert_eq!(element_ranges(b"[1, 22 ,[3]]").unwrap(), [Some(1..2), Some(4..6), Some(8..11)]);
        element_ranges(b"{}").unwrap_err();
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
            for_each_element(&page, |_, element| {
                let mut faults = Vec::new();
                let extra = element
                    .map_err(Fault::record)
                    .and_then(|value| fields(value, &mut faults, |key, _, _| Ok(key == "id")));
                faults.extend(extra.as_ref().err().cloned());
                read.push((extra, faults));
            })
            .unwrap();
            let fault = &read[0].1[0];
            assert!(fault.reason.contains(reason), "{fault}");
            assert_eq!(read[1], (Ok(None), Vec::new()));
        }
    }

    #[test]
    fn half_an_emoji_costs_no_record() {
        let page = br#"[{"id":1,"name":"Run \ud83d"},{"id":2,"name":"\ud83c\udfc3"}]"#.to_vec();
        assert_eq!(good(&ids(&page).unwrap()), ["1", "2"]);
        let name = with_document(br#"{"name":"Run \ud83d"}"#, |v| text("name", v.get("name").unwrap()));
        assert_eq!(name.unwrap(), "Run \u{fffd}");
    }

    #[test]
    fn unknown_fields_come_back_as_they_were() {
        let doc = br#"{"id":1,"none":null,"empty":[],"a":"\u00e9\n","b":[1,-2,2.50,18446744073709551616,{"c":true}]}"#;
        let extra = with_document(doc, |v| fields(v, &mut Vec::new(), |key, _, _| Ok(key == "id"))).unwrap();
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
