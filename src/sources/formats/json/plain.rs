//! JSON as nearly everybody writes it, read in one pass. simd-json looks for all brackets, commas and quotes of a page
//! before it reads what lies between them; records of fifty short fields take three quarters of its time here.
//!
//! What is read, simd-json reads as well, to the same nodes. The rest is refused, sound or not, and simd-json says what
//! it is: halves of characters, zero with a sign, nesting that no source has.

use simd_json::{Node, StaticNode};

/// What lies deeper is not read here.
const MAX_DEPTH: usize = 100;
/// More digits may not fit into 64 bits with a sign.
const MAX_DIGITS: usize = 18;
/// Every whole number up to this one is a number of 64 bits with a fraction, exactly.
const MAX_EXACT: u64 = 1 << 53;
/// The powers of ten that are exact, too: dividing one exact number by another rounds once, and so correctly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// A place in a text.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn of(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// How many bytes lie before it.
    pub fn at(self) -> usize {
        self.at
    }

    /// The next byte that is no white space.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        match *self.text.as_bytes().get(self.at)? {
            ..=b' ' => self.skip(),
            byte => Some(byte),
        }
    }

    #[cold]
    fn skip(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes behind the next byte, if it is this one.
    #[inline(always)]
    pub fn take(&mut self, byte: u8) -> Option<()> {
        let found = self.peek()? == byte;
        self.at += usize::from(found);
        found.then_some(())
    }

    /// Reads a value, and adds its nodes; None where it is refused. Texts with escapes are written to `room`, which has
    /// to be as long as what is read.
    #[inline(always)]
    pub fn value<'n>(
        &mut self,
        nodes: &mut Vec<Node<'n>>,
        room: &mut &'n mut [u8],
        depth: usize,
    ) -> Option<()>
    where
        'a: 'n,
    {
        match self.peek()? {
            b'"' => nodes.push(Node::String(self.string(room)?)),
            b'{' => self.object(nodes, room, depth + 1)?,
            b'[' => self.array(nodes, room, depth + 1)?,
            b't' => nodes.push(self.word("true", StaticNode::Bool(true))?),
            b'f' => nodes.push(self.word("false", StaticNode::Bool(false))?),
            b'n' => nodes.push(self.word("null", StaticNode::Null)?),
            _ => nodes.push(Node::Static(self.number()?)),
        }
        Some(())
    }

    fn object<'n>(&mut self, nodes: &mut Vec<Node<'n>>, room: &mut &'n mut [u8], depth: usize) -> Option<()>
    where
        'a: 'n,
    {
        let start = self.open(nodes, depth)?;
        let mut len = 0;
        if self.take(b'}').is_none() {
            loop {
                if self.peek()? != b'"' {
                    return None;
                }
                nodes.push(Node::String(self.string(room)?));
                self.take(b':')?;
                self.value(nodes, room, depth)?;
                len += 1;
                if self.is_last(b'}')? {
                    break;
                }
            }
        }
        nodes[start] = Node::Object { len, count: nodes.len() - start - 1 };
        Some(())
    }

    fn array<'n>(&mut self, nodes: &mut Vec<Node<'n>>, room: &mut &'n mut [u8], depth: usize) -> Option<()>
    where
        'a: 'n,
    {
        let start = self.open(nodes, depth)?;
        let mut len = 0;
        if self.take(b']').is_none() {
            loop {
                self.value(nodes, room, depth)?;
                len += 1;
                if self.is_last(b']')? {
                    break;
                }
            }
        }
        nodes[start] = Node::Array { len, count: nodes.len() - start - 1 };
        Some(())
    }

    /// Goes behind a bracket, and leaves a node to be filled in when all is known.
    fn open(&mut self, nodes: &mut Vec<Node<'_>>, depth: usize) -> Option<usize> {
        self.at += 1;
        nodes.push(Node::Static(StaticNode::Null));
        (depth <= MAX_DEPTH).then_some(nodes.len() - 1)
    }

    /// Goes behind a comma, or behind the bracket that ends what it stands in.
    #[inline(always)]
    pub fn is_last(&mut self, bracket: u8) -> Option<bool> {
        let next = self.peek()?;
        self.at += 1;
        if next == b',' { Some(false) } else { (next == bracket).then_some(true) }
    }

    fn word<'n>(&mut self, word: &str, node: StaticNode) -> Option<Node<'n>> {
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            Node::Static(node)
        })
    }

    /// A text, from its first quote to behind its last.
    #[inline(always)]
    fn string<'n>(&mut self, room: &mut &'n mut [u8]) -> Option<&'n str>
    where
        'a: 'n,
    {
        let start = self.at + 1;
        let end = self.special(start)?;
        if self.text.as_bytes()[end] != b'"' {
            return self.escaped(start, end, room);
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// A text with a backslash at `at`.
    fn escaped<'n>(&mut self, start: usize, mut at: usize, room: &mut &'n mut [u8]) -> Option<&'n str> {
        let bytes = self.text.as_bytes();
        let (mut from, mut length) = (start, 0);
        let mut put = |piece: &[u8]| {
            room[length..length + piece.len()].copy_from_slice(piece);
            length += piece.len();
        };
        loop {
            put(&bytes[from..at]);
            if bytes[at] == b'"' {
                break;
            }
            from = at + 2;
            match bytes.get(at + 1)? {
                byte @ (b'"' | b'\\' | b'/') => put(&[*byte]),
                b'n' => put(b"\n"),
                b't' => put(b"\t"),
                b'r' => put(b"\r"),
                b'b' => put(b"\x08"),
                b'f' => put(b"\x0c"),
                b'u' => {
                    let (character, end) = self.character(at)?;
                    put(character.encode_utf8(&mut [0; 4]).as_bytes());
                    from = end;
                }
                _ => return None,
            }
            at = self.special(from)?;
        }
        self.at = at + 1;
        let (text, rest) = std::mem::take(room).split_at_mut(length);
        *room = rest;
        std::str::from_utf8(text).ok()
    }

    /// The character of `\u00e9` or of a pair such as `\ud83c\udfc3`, and where it ends. None for half a pair.
    fn character(self, at: usize) -> Option<(char, usize)> {
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
            let is_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u16::from_str_radix(digits, 16).ok().filter(|_| is_digits)
        };
        let first = unit(at)?;
        match char::from_u32(first.into()) {
            Some(character) => Some((character, at + 6)),
            None => {
                let pair = [first, unit(at + 6)?];
                Some((char::decode_utf16(pair).next()?.ok()?, at + 12))
            }
        }
    }

    /// The next quote or backslash of a text. None where it has no end, or a character that has to be escaped.
    #[inline(always)]
    fn special(self, mut at: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        while let Some(sixteen) = bytes.get(at..)?.first_chunk() {
            let found = specials(sixteen);
            if found != 0 {
                at += found.trailing_zeros() as usize / 8;
                return (bytes[at] >= b' ').then_some(at);
            }
            at += 16;
        }
        let rest = bytes[at..].iter().position(|byte| is_special(*byte))?;
        (bytes[at + rest] >= b' ').then_some(at + rest)
    }

    fn number(&mut self) -> Option<StaticNode> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start;
        let is_negative = bytes[at] == b'-';
        at += usize::from(is_negative);
        let first = at;
        let mut number = digits(bytes, &mut at, 0);
        let mut length = at - first;
        let is_whole_sound = length == 1 || (length > 1 && bytes[first] != b'0');
        if !is_whole_sound {
            return None;
        }
        let mut power = 0_i32;
        let mut has_fraction = false;
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            let point = at;
            number = digits(bytes, &mut at, number);
            has_fraction = true;
            length += at - point;
            power = -i32::try_from(at - point).ok()?;
            if at == point {
                return None;
            }
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            has_fraction = true;
            let is_small = bytes.get(at) == Some(&b'-');
            at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
            let point = at;
            let exponent = digits(bytes, &mut at, 0);
            if !(1..=3).contains(&(at - point)) {
                return None;
            }
            power += if is_small { -(exponent as i32) } else { exponent as i32 };
        }
        self.at = at;
        if !has_fraction {
            return match is_negative {
                _ if length > MAX_DIGITS => long(self.text.get(start..at)?),
                true => (number > 0).then(|| StaticNode::I64(-(number as i64))),
                false => Some(StaticNode::U64(number)),
            };
        }
        let is_exact = length <= MAX_DIGITS && number <= MAX_EXACT;
        let value = match (is_exact, POWERS.get(power.unsigned_abs() as usize)) {
            (true, Some(by)) if power < 0 => number as f64 / by,
            (true, Some(by)) => number as f64 * by,
            _ => {
                let value: f64 = self.text.get(start..at)?.parse().ok()?;
                return value.is_finite().then_some(StaticNode::F64(value));
            }
        };
        Some(StaticNode::F64(if is_negative { -value } else { value }))
    }
}

/// A whole number of many digits, which ids can be.
fn long(text: &str) -> Option<StaticNode> {
    let unsigned = || Some(text.parse().map_or(StaticNode::U128(text.parse().ok()?), StaticNode::U64));
    let signed = || Some(text.parse().map_or(StaticNode::I128(text.parse().ok()?), StaticNode::I64));
    if text.starts_with('-') { signed() } else { unsigned() }
}

/// Reads digits behind a number's first ones. Of too many of them the number is of no use.
fn digits(bytes: &[u8], at: &mut usize, mut number: u64) -> u64 {
    while let Some(byte @ b'0'..=b'9') = bytes.get(*at) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        *at += 1;
    }
    number
}

/// Whether a text is written in JSON as it is.
pub(super) fn needs_no_escape(text: &str) -> bool {
    let (sixteens, rest) = text.as_bytes().as_chunks();
    sixteens.iter().all(|sixteen| specials(sixteen) == 0) && !rest.iter().any(|byte| is_special(*byte))
}

/// Whether a byte has to be escaped in a text.
#[inline(always)]
fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

/// Eight bits for each of sixteen bytes, the lowest for the first; not 0 where it is special. Written so that a
/// processor takes all at once.
#[inline(always)]
fn specials(sixteen: &[u8; 16]) -> u128 {
    u128::from_le_bytes(sixteen.map(|byte| u8::from(is_special(byte))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The nodes of a document, written out; None where it is refused.
    fn read(text: &str) -> Option<String> {
        let (mut nodes, mut room) = (Vec::new(), vec![0; text.len()]);
        let mut reader = Reader::of(text);
        reader.value(&mut nodes, &mut &mut *room, 0)?;
        reader.peek().is_none().then(|| format!("{nodes:?}"))
    }

    fn read_by_simd_json(text: &str) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        simd_json::to_tape(&mut bytes).ok().map(|tape| format!("{:?}", tape.0))
    }

    #[test]
    fn what_is_plain_is_read_as_simd_json_reads_it() {
        for text in [
            "{}",
            " [ ] ",
            r#"{"a":[1,{"b":null},[]],"c":{},"":""}"#,
            r#"["é🏃","tab\t\"quoted\" \\ \/ \u00e9 \ud83c\udfc3 \u0000","\b\f\n\r", "long enough for eight bytes at once\\"]"#,
            "[0,-1,999999999999999999,-999999999999999999,987654321234567891234,-9223372036854775808,18446744073709551615]",
            "[0.0,-0.0,1.5,-3.25,1e3,1E-3,1.5e+22,123456789012345.678,0.1e-7,1e22,9007199254740993.0,4.9e-300]",
            "[true , false,\n null]",
        ] {
            assert!(read(text).is_some(), "{text} is refused");
            assert_eq!(read(text), read_by_simd_json(text), "{text}");
        }
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert_eq!(read(&deep), read_by_simd_json(&deep));
    }

    #[test]
    fn what_is_not_plain_is_refused() {
        for text in [
            "",
            "{",
            "[1",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "[1]]",
            "[1}",
            "[1 2]",
            "tru",
            "+1",
            ".5",
            "1.",
            "-",
            "01",
            "-01",
            "1e",
            "1e+",
            "0x10",
            "NaN",
            "1e999",
            "-0",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\ud83c\"",
            "\"\\ud83cx\"",
            "\"\\udfc3\\ud83c\"",
            "\"a\u{1}b\"",
            "\"line\nline\"",
            "\u{feff}[]",
            "\u{a0}[]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        assert_eq!(read(&deep), None);
        assert_eq!(read(&"[".repeat(1_000_000)), None);
    }

    /// JSON of all kinds, with white space, and with every way to write a number or a character.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_string()),
            any::<bool>().prop_map(|flag| flag.to_string()),
            "-?(0|[1-9][0-9]{0,40})([.][0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
            any::<f64>().prop_map(|number| format!("{number:e}")),
            any::<f64>().prop_map(|number| number.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<u128>().prop_map(|number| number.to_string()),
            any::<u64>().prop_map(|number| number.to_string()),
            any::<i128>().prop_map(|number| number.to_string()),
            any::<String>().prop_map(|text| serde_json::to_string(&text).expect("text is JSON")),
            r#""([ -!#-\[\]-~é]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83c\\udfc3){0,30}""#,
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            let list =
                prop::collection::vec(inner.clone(), 0..8).prop_map(|all| format!("[{}]", all.join(",")));
            let field = ("[a-z_]{0,20}", "[ \n\t\r]{0,2}", inner)
                .prop_map(|(key, space, value)| format!("\"{key}\"{space}:{space}{value}"));
            let object = prop::collection::vec(field, 0..8).prop_map(|all| format!("{{{}}}", all.join(" ,")));
            prop_oneof![list, object]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_read_simd_json_reads_the_same(text in json()) {
            if let Some(nodes) = read(&text) {
                prop_assert_eq!(Some(nodes), read_by_simd_json(&text), "{}", text);
            }
        }

        #[test]
        fn whatever_is_read_of_broken_json_is_sound(text in json(), at in any::<prop::sample::Index>(), by in "[\\[\\]{},:\"\\\\ 0-9.eE+tfnul\u{0}-\u{20}é-]{0,2}", gone in 0_usize..3) {
            let mut broken: Vec<char> = text.chars().collect();
            let at = at.index(broken.len());
            let end = (at + gone).min(broken.len());
            broken.splice(at..end, by.chars());
            let broken: String = broken.into_iter().collect();
            if let Some(nodes) = read(&broken) {
                prop_assert_eq!(Some(nodes), read_by_simd_json(&broken), "{}", broken);
            }
        }
    }
}
