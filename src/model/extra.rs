//! The column `extra`: fields of a source that have no column, as one JSON object.

/// One object of fields without a column, and another one within it under a name of its own.
pub fn joined(object: Option<String>, name: &str, other: Option<String>) -> Option<String> {
    match (object, other) {
        (Some(object), Some(other)) => {
            let open = object.strip_suffix('}').unwrap_or(&object);
            let comma = if open == "{" { "" } else { "," };
            Some(format!("{open}{comma}\"{name}\":{other}}}"))
        }
        (None, Some(other)) => Some(format!("{{\"{name}\":{other}}}")),
        (object, None) => object,
    }
}
