//! Exports of a document database: a JSON array, an object with the array in it, or JSON lines; in snake_case or
//! lowerCamelCase, with plain values or with typed ones (`{"stringValue": …}`), as its API gives them.

use std::fmt;
use std::io::{BufRead, Read};

use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::sources::formats::time;

/// Why nothing was taken of an export: it has no beginning, or no end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    #[error("it is empty; an export of nothing is `[]`")]
    Empty,
    #[error("it is cut off or broken ({0}); nothing of it was taken")]
    Broken(String),
}

/// Longer entries are no entries.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// Reads the entries one at a time, however many there are. `take` gets the place of each, and says whether to
/// go on.
pub fn each(
    mut input: impl BufRead,
    take: &mut dyn FnMut(String, std::result::Result<Value, String>) -> bool,
) -> Result<std::result::Result<(), Cut>> {
    let unreadable = |e| Error::io("read", "the export")(e);
    loop {
        let buffer = input.fill_buf().map_err(unreadable)?;
        let Some(first) = buffer.first() else { return Ok(Err(Cut::Empty)) };
        match first {
            // White space, and the mark that some editors put before UTF-8.
            b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => input.consume(1),
            b'[' => return Ok(each_of_array(input, take)),
            _ => return each_line(input, take),
        }
    }
}

fn each_of_array(
    input: impl BufRead,
    take: &mut dyn FnMut(String, std::result::Result<Value, String>) -> bool,
) -> std::result::Result<(), Cut> {
    struct Entries<'a>(&'a mut dyn FnMut(String, std::result::Result<Value, String>) -> bool);
    impl<'de> Visitor<'de> for Entries<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an array of entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
            let mut at = 0;
            while let Some(value) = entries.next_element()? {
                at += 1;
                if !(self.0)(format!("entry {at}"), Ok(value)) {
                    break;
                }
            }
            Ok(())
        }
    }
    let mut reader = serde_json::Deserializer::from_reader(input);
    let read = reader.deserialize_seq(Entries(take)).and_then(|()| reader.end());
    read.map_err(|e| Cut::Broken(e.to_string()))
}

/// Lines, or one object that runs over many of them.
fn each_line(
    mut input: impl BufRead,
    take: &mut dyn FnMut(String, std::result::Result<Value, String>) -> bool,
) -> Result<std::result::Result<(), Cut>> {
    let unreadable = |e| Error::io("read", "the export")(e);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        number += 1;
        let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            return Ok(Ok(()));
        }
        if read as u64 == MAX_LINE_BYTES {
            return Ok(Err(Cut::Broken(format!("line {number} is longer than {MAX_LINE_BYTES} bytes"))));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<Value>(&line) {
            Ok(Value::Object(object)) if is_wrapper(&object) => {
                if !each_within(object, take) {
                    return Ok(Ok(()));
                }
            }
            // An object that goes on behind its first line: all of it is read as one.
            Err(e) if number == 1 && e.is_eof() => {
                let mut whole = std::mem::take(&mut line);
                input.read_to_end(&mut whole).map_err(unreadable)?;
                return Ok(match serde_json::from_slice::<Value>(&whole) {
                    Ok(Value::Object(object)) if is_wrapper(&object) => {
                        each_within(object, take);
                        Ok(())
                    }
                    Ok(one) => {
                        take("entry 1".to_string(), Ok(one));
                        Ok(())
                    }
                    Err(e) => Err(Cut::Broken(e.to_string())),
                });
            }
            // More was to come.
            Err(e) if e.is_eof() && line.last() != Some(&b'\n') => {
                return Ok(Err(Cut::Broken(format!("line {number}: {e}"))));
            }
            value => {
                if !take(format!("line {number}"), value.map_err(|e| e.to_string())) {
                    return Ok(Ok(()));
                }
            }
        }
    }
}

/// Whether an object is not an entry itself, but holds a list of them.
fn is_wrapper(object: &Map<String, Value>) -> bool {
    const OF_ENTRIES: [&str; 8] = ["user_id", "userId", "uid", "path", "__path__", "name", "id", "fields"];
    object.values().any(Value::is_array) && !OF_ENTRIES.iter().any(|key| object.contains_key(*key))
}

/// Whether to go on.
fn each_within(
    object: Map<String, Value>,
    take: &mut dyn FnMut(String, std::result::Result<Value, String>) -> bool,
) -> bool {
    for (key, value) in object {
        let Value::Array(entries) = value else { continue };
        for (at, entry) in entries.into_iter().enumerate() {
            if !take(format!("{key}, entry {}", at + 1), Ok(entry)) {
                return false;
            }
        }
    }
    true
}

/// A document of the database: its fields, and the parts of its path.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    object: Map<String, Value>,
    path: Vec<String>,
}

impl Document {
    pub fn of(value: Value) -> std::result::Result<Document, String> {
        let Value::Object(mut object) = value else { return Err("not an object".to_string()) };
        let path = ["path", "__path__", "name"].iter().find_map(|key| object.get(*key)?.as_str());
        // A document's name holds its path; a pipeline's own name does not.
        let path: Vec<String> =
            path.map(|path| path.split('/').map(str::to_string).collect()).unwrap_or_default();
        if let Some(Value::Object(fields)) = object.remove("fields") {
            object.extend(fields.into_iter().map(|(key, value)| (key, untyped(value))));
        }
        Ok(Document { object, path })
    }

    /// A list within, read like any other.
    pub fn within(&self, name: &str) -> Vec<Document> {
        let list = self.object.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|value| Document::of(value.clone()).ok()).collect()
    }

    fn after(&self, folder: &str) -> Option<String> {
        let at = self.path.iter().rposition(|part| part == folder)?;
        self.path.get(at + 1).filter(|part| !part.is_empty()).cloned()
    }

    /// The collection that it is in, where it says.
    pub fn collection(&self) -> Option<&str> {
        let at = self.path.iter().rposition(|part| part == "users")?;
        Some(self.path.get(at + 2).map_or("users", String::as_str))
    }

    pub fn has(&self, names: &[&str]) -> bool {
        self.get(names).is_some()
    }

    pub fn get(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| self.object.get(*name)).filter(|value| !value.is_null())
    }

    /// Text, or a number as it is written.
    pub fn word(&self, names: &[&str]) -> Option<String> {
        word(self.get(names)?)
    }

    pub fn words(&self, names: &[&str]) -> Vec<String> {
        self.get(names).and_then(Value::as_array).into_iter().flatten().filter_map(word).collect()
    }

    pub fn number(&self, names: &[&str]) -> Option<f64> {
        self.get(names).and_then(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok()))
    }

    pub fn user_id(&self) -> std::result::Result<String, String> {
        self.word(&["user_id", "userId", "uid"])
            .or_else(|| self.after("users"))
            .ok_or_else(|| "no user_id".to_string())
    }

    /// Its own key: given by itself, or at the end of its path.
    pub fn key(&self, collection: &str) -> Option<String> {
        self.word(&["id", "key", "entry", "document_id", "documentId", "__id__"])
            .or_else(|| self.after(collection))
    }

    /// Unix seconds. A text that is no time is an error.
    pub fn second(&self, names: &[&str]) -> std::result::Result<Option<i64>, String> {
        Ok(match self.get(names) {
            Some(Value::String(text)) => {
                Some(time::utc(text).ok_or_else(|| format!("{} {text:?} is no time", names[0]))?.as_second())
            }
            Some(Value::Number(number)) => number.as_i64().or_else(|| number.as_f64().map(|s| s as i64)),
            Some(Value::Object(time)) => {
                time.get("_seconds").or_else(|| time.get("seconds")).and_then(Value::as_i64)
            }
            _ => None,
        })
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `{"integerValue": "2"}` as `2`.
fn untyped(value: Value) -> Value {
    let Value::Object(object) = value else { return value };
    let Some((kind, inner)) = object.into_iter().next() else { return Value::Null };
    let object = |inner: Value| match inner {
        Value::Object(mut object) => {
            object.remove("fields").or_else(|| object.remove("values")).unwrap_or_default()
        }
        _ => Value::Null,
    };
    match (kind.as_str(), inner) {
        ("integerValue", Value::String(text)) => text.parse::<i64>().map_or(Value::Null, Value::from),
        ("mapValue", inner) => match object(inner) {
            Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, untyped(value))).collect(),
            _ => Value::Object(Map::new()),
        },
        ("arrayValue", inner) => match object(inner) {
            Value::Array(values) => values.into_iter().map(untyped).collect(),
            _ => Value::Array(Vec::new()),
        },
        ("nullValue", _) => Value::Null,
        (_, inner) => inner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, bool)>, Option<Cut>) {
        let mut seen = Vec::new();
        let ended = each(text.as_bytes(), &mut |place, value| {
            seen.push((place, value.is_ok()));
            true
        });
        (seen, ended.unwrap().err())
    }

    #[test]
    fn an_array_a_wrapped_array_and_lines_are_the_same_entries() {
        for text in [
            r#"[{"id":1},{"id":2}]"#,
            "\u{feff} [\n{\"id\":1},\n{\"id\":2}\n]\n",
            r#"{"runs":[{"id":1},{"id":2}]}"#,
            "{\n \"runs\": [\n  {\"id\":1}, {\"id\":2}\n ]\n}",
            "{\"id\":1}\n\n{\"id\":2}",
        ] {
            let (seen, cut) = read(text);
            assert_eq!((seen.len(), cut), (2, None), "{text}");
        }
        assert_eq!(read("[]"), (Vec::new(), None));
        assert_eq!(read("{\n\"id\": 1\n}").0.len(), 1);
    }

    #[test]
    fn what_has_no_end_is_cut_and_what_is_empty_is_empty() {
        assert_eq!(read("").1, Some(Cut::Empty));
        assert_eq!(read(" \n").1, Some(Cut::Empty));
        assert!(matches!(read(r#"[{"id":1},{"i"#).1, Some(Cut::Broken(_))));
        assert!(matches!(read("{\n \"runs\": [\n  {\"id\":1},").1, Some(Cut::Broken(_))));
        assert!(matches!(read("{\"id\":1}\n{\"id").1, Some(Cut::Broken(_))));
        let (seen, cut) = read("{\"id\":1}\n{\"id\n{\"id\":3}\n");
        let taken: Vec<(&str, bool)> = seen.iter().map(|(place, is_sound)| (&place[..], *is_sound)).collect();
        assert_eq!((taken, cut), (vec![("line 1", true), ("line 2", false), ("line 3", true)], None));
    }

    #[test]
    fn typed_values_are_plain_ones() {
        let text = r#"{"name":"projects/p/databases/d/documents/users/u1/pipeline_runs/r1","fields":{
            "status":{"integerValue":"2"},"title":{"stringValue":"x"},"none":{"nullValue":null},
            "destinations":{"arrayValue":{"values":[{"integerValue":"1"}]}},"m":{"mapValue":{"fields":{"a":{"booleanValue":true}}}}}}"#;
        let entry = Document::of(serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(entry.user_id().unwrap(), "u1");
        assert_eq!(
            (entry.collection(), entry.key("pipeline_runs").as_deref()),
            (Some("pipeline_runs"), Some("r1"))
        );
        assert_eq!(entry.word(&["status"]).as_deref(), Some("2"));
        assert_eq!(entry.words(&["destinations"]), ["1"]);
        assert_eq!(entry.get(&["m"]), Some(&serde_json::json!({"a": true})));
        assert!(!entry.has(&["none"]));
    }
}
