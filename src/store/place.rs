//! Where a lake is: a folder of this machine, or a bucket of an object store.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What `--lake` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Folder(PathBuf),
    /// `gs://bucket/prefix` or `s3://bucket/prefix`, without a slash at the end.
    Url(String),
}

/// The stores that URLs can name.
const SCHEMES: [&str; 2] = ["gs://", "s3://"];

impl Place {
    /// A name that is no text is a folder's.
    pub fn named(name: OsString) -> Result<Place, String> {
        match name.to_str() {
            Some(text) => text.parse(),
            None => Ok(Place::Folder(name.into())),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        if let Some(path) = text.strip_prefix("file://") {
            return match path.starts_with('/') {
                true => Ok(Place::Folder(path.into())),
                false => Err("a file:// URL has three slashes: file:///data/lake".to_string()),
            };
        }
        if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            let url = text.trim_end_matches('/');
            // Credentials come from the environment; in a URL they would stand in every message.
            return match url.contains(['@', '?', '#']) {
                true => Err("a bucket's URL is s3://bucket/prefix or gs://bucket/prefix, and nothing else"
                    .to_string()),
                false if url.ends_with(':') => Err("the URL names no bucket".to_string()),
                false => Ok(Place::Url(url.to_string())),
            };
        }
        match text.split_once("://") {
            Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Err(format!("a lake is a folder, gs://…, s3://… or file://…, and not {scheme}://…"))
            }
            _ => Ok(Place::Folder(text.into())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(path) => path.display().fmt(f),
            Place::Url(url) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lake_is_a_folder_or_a_url() {
        for (text, place) in [
            ("lake", Place::Folder("lake".into())),
            ("file:///data/lake", Place::Folder("/data/lake".into())),
            ("s3://bucket/a/b/", Place::Url("s3://bucket/a/b".to_string())),
            ("gs://bucket", Place::Url("gs://bucket".to_string())),
        ] {
            assert_eq!(text.parse(), Ok(place));
        }
        for (text, says) in [
            ("file://lake", "three slashes"),
            ("az://bucket", "not az://"),
            ("s3://", "names no bucket"),
            ("s3://key:secret@bucket", "nothing else"),
        ] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
