//! Errors, one variant per thing that the reader can do about it. A spent budget, a rejected record or a page that
//! must be asked for again is a value, not an error.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense; another flag or path helps.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("failed to {action} {}: {source}{}", .path.display(), hint(.source))]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// Another longrun holds the store.
    #[error(
        "{store} is in use by another longrun ({holder}); wait for it to end, or stop it, and run this again"
    )]
    Busy { store: String, holder: String },
    /// Stored bytes are not what longrun wrote.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged { path: PathBuf, what: String },
    /// A server answered in a way that only a person can resolve.
    #[error("{0}")]
    Remote(String),
}

impl Error {
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// Whether the same would happen wherever else the work went on: no space, no rights, somebody else's lock.
    pub fn is_everywhere(&self) -> bool {
        match self {
            Error::Busy { .. } | Error::Usage(_) | Error::Remote(_) => true,
            Error::Io { source, .. } => !hint(source).is_empty(),
            Error::Damaged { .. } => false,
        }
    }

    pub fn damaged(path: impl AsRef<Path>, what: impl fmt::Display) -> Error {
        Error::Damaged { path: path.as_ref().to_path_buf(), what: what.to_string() }
    }
}

/// The way out, for errors that have one.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again; everything stored before is intact"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "; choose a folder that can be written with --lake, or change the permissions of this one"
        }
        _ => "",
    }
}
