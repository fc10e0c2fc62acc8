//! Texts that must never be shown: tokens, passwords, keys.

use std::fmt;

use memchr::memmem;
use serde::{Deserialize, Serialize};

/// Something that must never be shown. It says so in every debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// For the header or the store that it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What stands where a secret was struck out.
const STRUCK: &str = "…";
/// Whole answers are data, in which a shorter text may be a word like any other.
const SHORTEST_IN_DATA: usize = 12;

/// What another side was told in confidence, and may repeat in what it says. Its words are ours to show and to keep only
/// without that.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    pub fn of(all: impl IntoIterator<Item = Secret>) -> Secrets {
        let mut all: Vec<Secret> = all.into_iter().filter(|secret| !secret.0.is_empty()).collect();
        // The longest first, so that none is left in pieces.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.0.len()));
        Secrets(all)
    }

    /// Words without any of them.
    pub fn struck_from(&self, words: &str) -> String {
        self.0.iter().fold(words.to_string(), |words, secret| words.replace(&secret.0, STRUCK))
    }

    /// An answer without any of them.
    pub fn struck_from_data(&self, mut data: Vec<u8>) -> Vec<u8> {
        for secret in self.0.iter().filter(|secret| secret.0.len() >= SHORTEST_IN_DATA) {
            let found: Vec<usize> = memmem::find_iter(&data, secret.0.as_bytes()).collect();
            for at in found.into_iter().rev() {
                data.splice(at..at + secret.0.len(), STRUCK.bytes());
            }
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_struck_leaves_no_piece_and_nothing_else_is() {
        let secrets = Secrets::of(["0123456789ab", "", "0123456789abcdef", "id"].map(Secret::new));
        let words = "id 0123456789abcdef, 0123456789ab0123456789ab";
        assert_eq!(secrets.struck_from(words), "… …, ……");
        let data = secrets.struck_from_data(words.as_bytes().to_vec());
        assert_eq!(String::from_utf8(data).unwrap(), "id …, ……");
        assert_eq!(Secrets::default().struck_from(words), words);
    }
}
