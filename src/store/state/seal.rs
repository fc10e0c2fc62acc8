//! Tokens sealed with a key, so that a copied lake gives nobody a token.
//!
//! A sealed text is `sealed:` and the base64 of a nonce and of what ChaCha20-Poly1305 made of the text. What it
//! belongs to is authenticated with it: a token that is moved to another account's row does not open.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::RngExt;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::error::{Error, Result};
use crate::model::secret::Secret;

const PREFIX: &str = "sealed:";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// What tokens are sealed with.
#[derive(Clone)]
pub struct Key([u8; KEY_BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl Key {
    /// 32 bytes in base64, as `openssl rand -base64 32` prints them. `from` says where they were read.
    pub fn parse(text: &str, from: &str) -> Result<Key> {
        let bytes = BASE64.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Key).ok_or_else(|| {
            Error::Usage(format!(
                "{from} is no key: it must hold {KEY_BYTES} bytes in base64; make one with `openssl rand -base64 {KEY_BYTES}`"
            ))
        })
    }

    pub fn read(path: &Path) -> Result<Key> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Key::parse(&text, &path.display().to_string())
    }

    /// The key of `LONGRUN_KEY`, or of the file that `LONGRUN_KEY_FILE` names; None where neither is set.
    pub fn from_env() -> Result<Option<Key>> {
        if let Ok(text) = std::env::var("LONGRUN_KEY") {
            return Key::parse(&text, "LONGRUN_KEY").map(Some);
        }
        std::env::var_os("LONGRUN_KEY_FILE").map(|path| Key::read(Path::new(&path))).transpose()
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &self.0).expect("the key has the length"))
    }

    pub fn seal(&self, secret: &Secret, belongs_to: &str) -> String {
        let nonce: [u8; NONCE_BYTES] = rand::rng().random();
        let mut bytes = secret.expose().as_bytes().to_vec();
        let sealed = self.cipher().seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(belongs_to.as_bytes()),
            &mut bytes,
        );
        sealed.expect("a token is short");
        format!("{PREFIX}{}", BASE64.encode([nonce.as_slice(), &bytes].concat()))
    }

    /// None where this is not the key, or the text is damaged or another row's.
    pub fn open(&self, text: &str, belongs_to: &str) -> Option<Secret> {
        let mut bytes = BASE64.decode(text.strip_prefix(PREFIX)?).ok()?;
        let mut sealed = bytes.split_off(NONCE_BYTES.min(bytes.len()));
        let nonce = Nonce::try_assume_unique_for_key(&bytes).ok()?;
        let opened =
            self.cipher().open_in_place(nonce, Aad::from(belongs_to.as_bytes()), &mut sealed).ok()?;
        String::from_utf8(opened.to_vec()).ok().map(Secret::new)
    }
}

pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_at_its_place_only() {
        let key = Key([7; KEY_BYTES]);
        let sealed = key.seal(&Secret::new("token"), "strava/1/access");
        assert!(is_sealed(&sealed) && !sealed.contains("token"));
        assert_eq!(key.open(&sealed, "strava/1/access"), Some(Secret::new("token")));
        assert_eq!(key.open(&sealed, "strava/2/access"), None);
        assert_eq!(Key([8; KEY_BYTES]).open(&sealed, "strava/1/access"), None);
        assert_eq!(key.open("sealed:AAAA", "strava/1/access"), None);
        assert_ne!(key.seal(&Secret::new("token"), "strava/1/access"), sealed, "a nonce is used once");
    }

    #[test]
    fn a_key_is_32_bytes_and_is_never_quoted() {
        let e = Key::parse("hunter2", "LONGRUN_KEY").unwrap_err().to_string();
        assert!(e.contains("LONGRUN_KEY") && e.contains("openssl rand") && !e.contains("hunter2"), "{e}");
        assert!(Key::parse(&format!("{}\n", BASE64.encode([1; 32])), "LONGRUN_KEY").is_ok());
    }
}
