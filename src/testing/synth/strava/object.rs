//! JSON as Strava writes it.

use std::fmt::Write;

/// A JSON object in the making. Strava's field order matters to nobody, but bodies of
/// millions of activities are made with it, so it writes straight into one string.
pub struct Object {
    out: String,
}

impl Object {
    pub fn new() -> Object {
        Object { out: String::from("{") }
    }

    pub fn raw(&mut self, key: &str, value: impl std::fmt::Display) -> &mut Self {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        write!(self.out, "\"{key}\":{value}").expect("writing to memory");
        self
    }

    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.raw(key, serde_json::to_string(value).expect("text is JSON"))
    }

    /// With a fraction, as Strava writes its floats: `174.0`.
    pub fn float(&mut self, key: &str, value: f64) -> &mut Self {
        self.raw(key, format_args!("{value:?}"))
    }

    pub fn null(&mut self, key: &str) -> &mut Self {
        self.raw(key, "null")
    }

    pub fn end(&mut self) -> String {
        let mut out = std::mem::take(&mut self.out);
        out.push('}');
        out
    }
}
