//! The nouns: what an activity is, its columns, sports and tracks. Nothing here reads or writes.

pub mod activity;
pub mod column;
pub mod columns;
pub mod extra;
pub mod golden;
pub mod hex;
pub mod pair;
pub mod policy;
pub mod polyline;
pub mod secret;
pub mod sparse;
pub mod sport;

/// Bytes as hexadecimal text, as hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to memory does not fail");
        text
    })
}
