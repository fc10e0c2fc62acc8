//! Bytes of one source to activities: pure functions, one file per source.

pub mod json;
pub mod strava;

/// Why a record, or one field of it, could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", .field.as_ref().map(|f| format!("field `{f}`: ")).unwrap_or_default())]
pub struct Fault {
    pub source_id: Option<String>,
    pub field: Option<String>,
    pub reason: String,
}

impl Fault {
    pub fn record(reason: impl Into<String>) -> Fault {
        Fault { source_id: None, field: None, reason: reason.into() }
    }

    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Fault {
        Fault { source_id: None, field: Some(field.into()), reason: reason.into() }
    }

    pub fn of(mut self, source_id: Option<&str>) -> Fault {
        self.source_id = source_id.map(str::to_string);
        self
    }
}
