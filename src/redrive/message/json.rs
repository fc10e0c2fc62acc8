//! Writes JSON as the live pipeline's own services do: protobuf's, with what is zero left out, escaped for HTML.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Writes times that mostly go on by a second.
#[derive(Default)]
pub struct Clock {
    day: Option<i64>,
    date: [u8; 11],
}

impl Clock {
    /// RFC 3339 with `Z`, in quotes; a fraction only where there is one.
    pub fn write(&mut self, out: &mut Vec<u8>, unix_ms: i64) {
        const DAY_S: i64 = 86_400;
        let (second, ms) = (unix_ms.div_euclid(1000), unix_ms.rem_euclid(1000));
        let (day, of_day) = (second.div_euclid(DAY_S), second.rem_euclid(DAY_S));
        if self.day != Some(day) {
            let date = Timestamp::from_second(day * DAY_S).unwrap_or_default().to_zoned(TimeZone::UTC).date();
            let [century, of_century] = two_digits(date.year().unsigned_abs());
            let ([m0, m1], [d0, d1]) =
                (digits(date.month().unsigned_abs()), digits(date.day().unsigned_abs()));
            let ([y0, y1], [y2, y3]) = (digits(century), digits(of_century));
            self.date = [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T'];
            self.day = Some(day);
        }
        let of_day = of_day as u32;
        let ([h0, h1], [m0, m1], [s0, s1]) =
            (digits((of_day / 3600) as u8), digits((of_day / 60 % 60) as u8), digits((of_day % 60) as u8));
        out.push(b'"');
        out.extend_from_slice(&self.date);
        out.extend_from_slice(&[h0, h1, b':', m0, m1, b':', s0, s1]);
        if ms != 0 {
            let [t0, t1] = digits((ms / 10) as u8);
            out.extend_from_slice(&[b'.', t0, t1, b'0' + (ms % 10) as u8]);
        }
        out.extend_from_slice(b"Z\"");
    }
}

fn two_digits(year: u16) -> [u8; 2] {
    [(year / 100 % 100) as u8, (year % 100) as u8]
}

fn digits(below_100: u8) -> [u8; 2] {
    [b'0' + below_100 / 10, b'0' + below_100 % 10]
}

/// JSON that is being written.
pub struct Json(pub Vec<u8>);

impl Json {
    pub fn open(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    pub fn close(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    /// Before everything but the first within a bracket.
    pub fn comma(&mut self) {
        if !matches!(self.0.last(), Some(b'{' | b'[')) {
            self.0.push(b',');
        }
    }

    pub fn key(&mut self, name: &str) {
        self.comma();
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    pub fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.key(name);
            self.string(value);
        }
    }

    pub fn time(&mut self, name: &str, time: Timestamp) {
        self.key(name);
        Clock::default().write(&mut self.0, time.as_millisecond());
    }

    pub fn flag(&mut self, name: &str) {
        self.key(name);
        self.0.extend_from_slice(b"true");
    }

    pub fn whole(&mut self, name: &str, value: i32) {
        if value != 0 {
            self.present_whole(name, i64::from(value));
        }
    }

    pub fn present_whole(&mut self, name: &str, value: i64) {
        self.key(name);
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Left out where it is zero, and where no JSON number says it.
    pub fn number(&mut self, name: &str, value: f64) {
        if value.to_bits() != 0 && value.is_finite() {
            self.present_number(name, value);
        }
    }

    pub fn present_number(&mut self, name: &str, value: f64) {
        self.key(name);
        write_number(&mut self.0, value);
    }

    /// A field behind another: its name is written with what stands around it. Left out where it is zero.
    pub fn next_whole(&mut self, name: &'static [u8], value: i32) {
        if value != 0 {
            self.0.extend_from_slice(name);
            self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
    }

    pub fn next_number(&mut self, name: &'static [u8], value: f64) {
        if value.to_bits() != 0 && value.is_finite() {
            self.0.extend_from_slice(name);
            write_number(&mut self.0, value);
        }
    }

    pub fn string(&mut self, text: &str) {
        let (bytes, out) = (text.as_bytes(), &mut self.0);
        out.push(b'"');
        let (mut at, mut end) = (0, out.len());
        while at < bytes.len() {
            // Whole words are written below, whatever of them counts.
            if out.len() < end + 2 * WORD {
                let rest = bytes.len() - at;
                out.resize(end + rest + rest / 4 + 2 * WORD, 0);
            }
            let word = match bytes[at..].first_chunk::<WORD>() {
                Some(word) => *word,
                None => {
                    let mut word = [b' '; WORD];
                    word[..bytes.len() - at].copy_from_slice(&bytes[at..]);
                    word
                }
            };
            out[end..end + WORD].copy_from_slice(&word);
            let plain = plain_bytes(word).min(bytes.len() - at);
            at += plain;
            end += plain;
            if plain == WORD || at == bytes.len() {
                continue;
            }
            let (escaped, length, read) = match &bytes[at..] {
                // U+2028 and U+2029 are line ends to JavaScript.
                [0xe2, 0x80, 0xa8, ..] => (*b"\\u2028  ", 6, 3),
                [0xe2, 0x80, 0xa9, ..] => (*b"\\u2029  ", 6, 3),
                [byte, ..] => {
                    let (escaped, length) = ESCAPES[usize::from(*byte)];
                    (escaped, length, 1)
                }
                [] => unreachable!("it ended above"),
            };
            out[end..end + WORD].copy_from_slice(&escaped);
            end += length;
            at += read;
        }
        out.truncate(end);
        out.push(b'"');
    }
}

const WORD: usize = 8;

/// How many of the first bytes stand for themselves in a string. The others may have to be escaped.
fn plain_bytes(word: [u8; WORD]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; WORD]);
    const HIGHS: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    // Of the bits that these set, the lowest is always right.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let special = below(word, 0x20)
        // `"` and `&`, `<` and `>` differ in one bit.
        | equal(word | (ONES * 4), b'&')
        | equal(word | (ONES * 2), b'>')
        | equal(word, b'\\')
        | equal(word, 0xe2);
    special.trailing_zeros() as usize / 8
}

/// What stands for a byte in a string, and how long that is.
const ESCAPES: [([u8; WORD], usize); 256] = {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut escapes = [([b' '; WORD], 0); 256];
    let mut byte = 0;
    while byte < 256 {
        let mut escaped = [b' '; WORD];
        let short = match byte as u8 {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => 0,
        };
        let length = if short != 0 {
            [escaped[0], escaped[1]] = [b'\\', short];
            2
        } else if byte < 0x20 || matches!(byte as u8, b'<' | b'>' | b'&') {
            escaped = [b'\\', b'u', b'0', b'0', HEX[byte >> 4], HEX[byte & 0xf], b' ', b' '];
            6
        } else {
            escaped[0] = byte as u8;
            1
        };
        escapes[byte] = (escaped, length);
        byte += 1;
    }
    escapes
};

/// The fewest digits that come back to the same number, written as Go writes them.
fn write_number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if size == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if (1e-5..1e16).contains(&size) {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else if (1e-6..1e21).contains(&size) {
        out.extend_from_slice(value.to_string().as_bytes());
    } else {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').expect("the format has an exponent");
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        out.extend_from_slice(format!("{digits}e{sign}{exponent}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> String {
        let mut out = Vec::new();
        write_number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, text) in [
            (3.0, "3"),
            (f64::from(51.50735_f32), "51.50735092163086"),
            (-0.0, "-0"),
            (1e-5, "0.00001"),
            (1.5e-6, "0.0000015"),
            (1e-7, "1e-7"),
            (1.25e-10, "1.25e-10"),
            (1e15, "1000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn strings_are_escaped_for_html_and_javascript() {
        let mut json = Json(Vec::new());
        json.string("a\"\\\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}<b>&é\u{2028}\u{2029}\u{202a}🏃");
        let text = String::from_utf8(json.0).unwrap();
        assert_eq!(
            text,
            "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}\\u003cb\\u003e\\u0026é\\u2028\\u2029\u{202a}🏃\""
        );
        json = Json(Vec::new());
        json.string("\u{e2}\u{80}");
        assert_eq!(String::from_utf8(json.0).unwrap(), "\"\u{e2}\u{80}\"");
    }

    /// Beside the slow way, a character at a time.
    #[test]
    fn any_string_is_escaped_as_character_by_character() {
        const LETTERS: [char; 14] = [
            'a', '"', '\\', '&', '<', '>', '\n', '\u{1}', 'é', '\u{2028}', '\u{2029}', '\u{202a}', '🏃',
            '\u{7f}',
        ];
        let slow = |text: &str| {
            let mut out = String::from("\"");
            for letter in text.chars() {
                match letter {
                    '"' | '\\' => out.extend(['\\', letter]),
                    '\n' => out.push_str("\\n"),
                    '<' | '>' | '&' | '\u{0}'..' ' | '\u{2028}' | '\u{2029}' => {
                        out.push_str(&format!("\\u{:04x}", letter as u32));
                    }
                    _ => out.push(letter),
                }
            }
            out + "\""
        };
        let mut state = 1_u64;
        for length in (0..40).chain([100, 1000]) {
            for _ in 0..50 {
                let text: String = (0..length)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        // Mostly plain ones.
                        if state >> 62 == 0 { LETTERS[(state >> 40) as usize % LETTERS.len()] } else { 'x' }
                    })
                    .collect();
                let mut json = Json(Vec::new());
                json.string(&text);
                assert_eq!(String::from_utf8(json.0).unwrap(), slow(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn times_have_a_fraction_only_where_there_is_one() {
        let mut clock = Clock::default();
        let mut out = Vec::new();
        for ms in
            [1_767_600_000_000, 1_767_600_000_050, 1_767_657_599_999, 1_767_657_600_000, -62_135_596_800_000]
        {
            clock.write(&mut out, ms);
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"2026-01-05T08:00:00Z\"\"2026-01-05T08:00:00.050Z\"\"2026-01-05T23:59:59.999Z\"\"2026-01-06T00:00:00Z\"\"0001-01-01T00:00:00Z\""
        );
    }
}
