//! Halves of characters.
//!
//! A character beyond the first plane is written as two escapes in JSON. A text that was cut between them ends
//! in half a character, which no parser takes.

use memchr::memmem;

/// Writes U+FFFD over every half, which is as long. The rest of the document stays as it was.
pub fn mend(bytes: &mut [u8]) {
    let escapes = memmem::Finder::new(b"\\u");
    let mut at = 0;
    while let Some(found) = escapes.find(&bytes[at..]) {
        let start = at + found;
        let backslashes = bytes[..start].iter().rev().take_while(|byte| **byte == b'\\').count();
        let unit = code_unit(bytes, start).filter(|_| backslashes % 2 == 0);
        at = match unit {
            None => start + 2,
            Some(0xd800..=0xdbff) if matches!(code_unit(bytes, start + 6), Some(0xdc00..=0xdfff)) => {
                start + 12
            }
            Some(0xd800..=0xdfff) => {
                bytes[start..start + 6].copy_from_slice(b"\\ufffd");
                start + 6
            }
            Some(_) => start + 6,
        };
    }
}

/// What the escape at a place stands for.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_are_replaced() {
        for (text, mended) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\ude00 x""#, r#""\ufffd x""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\u00e9\uD83D""#, r#""\u00e9\ufffd""#),
            (r#""\ud8""#, r#""\ud8""#),
        ] {
            let mut bytes = text.as_bytes().to_vec();
            mend(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), mended);
        }
    }
}
