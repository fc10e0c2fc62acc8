//! The fields of a record: their types, and what to do with one that is not what it has to be.

use std::fmt::Write;

use jiff::Timestamp;
use simd_json::{Node, StaticNode};

use super::Value;
use super::plain::needs_no_escape;
use crate::sources::Fault;
use crate::sources::formats::time::utc;

/// Fields that are nested deeper are refused, so that no reader has to recurse further.
const MAX_DEPTH: usize = 64;
/// What the unknown fields of a record take, or half of them.
const BYTES_OF_OBJECT: usize = 192;
/// Elements of a list whose faults are named one by one; those of the others are counted.
const MAX_NAMED: usize = 20;

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

/// The whole number that is nearest.
pub fn rounded(field: &str, value: Value<'_, '_>) -> Result<i32, Fault> {
    let number = number(field, value)?.round();
    if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
        return Err(Fault::field(field, format!("expected a whole number of 32 bits, found {number}")));
    }
    Ok(number as i32)
}

pub fn text(field: &str, value: Value<'_, '_>) -> Result<String, Fault> {
    value.as_str().map(str::to_string).ok_or_else(|| expected(field, "a string", value))
}

/// True or false, also where it is written as 1 or 0.
pub fn flag(field: &str, value: Value<'_, '_>) -> Result<bool, Fault> {
    let number = || match value.as_f64() {
        Some(0.0) => Some(false),
        Some(1.0) => Some(true),
        _ => None,
    };
    value.as_bool().or_else(number).ok_or_else(|| expected(field, "a boolean", value))
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
    // As nearly all are written. A leap second is not for this way.
    let is_plain =
        matches!(text.as_bytes(), [.., b':', a, b, b'Z'] if text.len() == 20 && [*a, *b] != *b"60");
    let plain = is_plain.then(|| utc(text)).flatten();
    plain.or_else(|| text.parse().ok()).ok_or_else(|| Fault::expected(field, "a time", text))
}

/// All elements of a list, each of which has to be sound: a position, or the keys of a table.
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

/// The records of a list. One that cannot be read is left out, and of one that can be read in part the rest is
/// kept; `faults` says what and where.
pub fn list_of_records<'tape, 'input, T>(
    field: &str,
    value: Value<'tape, 'input>,
    faults: &mut Vec<Fault>,
    mut record: impl FnMut(Value<'tape, 'input>, &mut Vec<Fault>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let elements = value.elements().ok_or_else(|| expected(field, "a list", value))?;
    let mut read = Vec::new();
    let mut unnamed = 0_usize;
    for (index, element) in elements.enumerate() {
        let mut own = Vec::new();
        match record(element, &mut own) {
            Ok(record) => read.push(record),
            Err(fault) => own.push(fault),
        }
        for fault in own {
            if index < MAX_NAMED {
                let place = format!("{field}[{index}]");
                let field = fault.field.map_or_else(|| place.clone(), |inner| format!("{place}.{inner}"));
                faults.push(Fault::field(field, fault.reason));
            } else {
                unnamed += 1;
            }
        }
    }
    if unnamed > 0 {
        faults.push(Fault::field(field, format!("{unnamed} more of its values cannot be read")));
    }
    Ok(read)
}

/// A series of values, as long as it was written. A value that cannot be read is none; `faults` says how many.
pub fn series<'tape, 'input, T>(
    field: &str,
    value: Value<'tape, 'input>,
    faults: &mut Vec<Fault>,
    mut read: impl FnMut(Value<'tape, 'input>) -> Result<T, Fault>,
) -> Result<Vec<Option<T>>, Fault> {
    let elements = value.elements().ok_or_else(|| expected(field, "a list", value))?;
    let (mut bad, mut first) = (0_usize, None);
    let values = elements.enumerate().map(|(index, value)| {
        if is_absent(value) {
            return None;
        }
        let value = read(value);
        if let Err(fault) = &value {
            bad += 1;
            first.get_or_insert_with(|| (index, fault.reason.clone()));
        }
        value.ok()
    });
    let values: Vec<Option<T>> = values.collect();
    if let Some((index, reason)) = first {
        let all = values.len();
        faults
            .push(Fault::field(field, format!("{bad} of {all} values cannot be read; [{index}]: {reason}")));
    }
    Ok(values)
}

/// Calls `each` for every field that has a value. A field that cannot be read is lost alone, and `faults` says
/// why. What `each` does not know (`Ok(false)`) is gathered and returned as a JSON object, so that nothing is
/// lost.
pub fn fields<'tape, 'input>(
    value: Value<'tape, 'input>,
    faults: &mut Vec<Fault>,
    mut each: impl FnMut(&'input str, Value<'tape, 'input>, &mut Vec<Fault>) -> Result<bool, Fault>,
) -> Result<Option<String>, Fault> {
    let Some(entries) = value.entries() else {
        return Err(Fault::record(format!("expected an object, found {}", kind(value))));
    };
    let mut extra = String::new();
    for (key, value) in entries {
        if is_absent(value) {
            continue;
        }
        match each(key, value, faults) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        }
        let before = extra.len();
        let mut written = Ok(());
        push_field(&mut extra, key, |out| written = write(out, value, 1));
        if let Err(reason) = written {
            extra.truncate(before);
            faults.push(Fault::field(key, reason));
        }
    }
    Ok(closed(extra))
}

/// Writes a field of an object that begins with its first field.
pub fn push_field(object: &mut String, key: &str, value: impl FnOnce(&mut String)) {
    if object.is_empty() {
        object.reserve(BYTES_OF_OBJECT);
        object.push('{');
    } else {
        object.push(',');
    }
    push_text(object, key);
    object.push(':');
    value(object);
}

/// The object, ended; None where it has no field.
pub fn closed(mut object: String) -> Option<String> {
    if object.is_empty() {
        return None;
    }
    object.push('}');
    Some(object)
}

/// A field without which a record is none: why it is not there.
pub fn missing(field: &str, faults: &[Fault]) -> Fault {
    let known = faults.iter().find(|fault| fault.field.as_deref() == Some(field));
    known.cloned().unwrap_or_else(|| Fault::field(field, "missing"))
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
                push_text(out, key);
                out.push(':');
                write(out, element, depth + 1)?;
            }
            out.push('}');
        }
        Node::String(text) => push_text(out, text),
        Node::Static(StaticNode::Null) => out.push_str("null"),
        Node::Static(StaticNode::Bool(flag)) => out.push_str(if flag { "true" } else { "false" }),
        Node::Static(StaticNode::I64(number)) => out.push_str(itoa::Buffer::new().format(number)),
        Node::Static(StaticNode::U64(number)) => out.push_str(itoa::Buffer::new().format(number)),
        Node::Static(StaticNode::I128(number)) => out.push_str(&number.to_string()),
        Node::Static(StaticNode::U128(number)) => out.push_str(&number.to_string()),
        Node::Static(StaticNode::F64(number)) => push_number(out, number),
    }
    Ok(())
}

/// The shortest text that reads back as the number: in the standard library's form, which itself
/// takes its time where no exponent is needed. Of two equally near texts either may stand.
fn push_number(out: &mut String, number: f64) {
    if number == 0.0 || (1e-4..1e16).contains(&number.abs()) {
        out.push_str(ryu::Buffer::new().format_finite(number));
    } else {
        write!(out, "{number:?}").expect("a string takes everything");
    }
}

/// Writes a text in quotes.
pub fn push_text(out: &mut String, text: &str) {
    if needs_no_escape(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("text is JSON"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use simd_json::{Node, Tape};

    use super::{Value, push_number, time};

    proptest! {
        #[test]
        fn a_time_is_what_the_library_reads(
            plain in "[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z",
            other in "[ 0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9](:[0-6][0-9])?([.][0-9]{1,3})?(Z|z|[+-][01][0-9]:?[0-5][0-9]| )?",
        ) {
            for text in [&*plain, &*other] {
                let tape = Tape(vec![Node::String(text)]);
                let expected: Option<jiff::Timestamp> = text.parse().ok();
                prop_assert_eq!(time("t", Value::of(&tape)).ok(), expected, "{}", text);
            }
        }

        #[test]
        fn a_number_is_written_as_the_shortest_text_that_reads_back(number in prop::num::f64::NORMAL | prop::num::f64::ZERO, digits in -99_999_i32..99_999, scale in -9_i32..18) {
            for number in [number, f64::from(digits) * 10_f64.powi(scale), 134_175_684_578_955.63] {
                let mut out = String::new();
                push_number(&mut out, number);
                prop_assert_eq!(out.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()));
                prop_assert_eq!(out.len(), format!("{number:?}").len());
            }
        }
    }
}
