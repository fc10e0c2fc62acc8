//! Reading XML that people's devices and phones wrote: events with bounded nesting, names
//! without their prefixes, and text in whatever encoding it is.

use std::borrow::Cow;
use std::io::BufRead;

use encoding_rs::Encoding;
use memchr::{memchr, memchr2};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// No format here nests deeper than a dozen.
const MAX_DEPTH: usize = 64;
/// What one tag or one text may take.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// `&#1114111;`, and some more.
const LONGEST_REFERENCE: usize = 16;

/// Something that happened while reading.
pub enum Node<'a> {
    Start(&'a BytesStart<'a>),
    /// The name, and the text directly within, unescaped and trimmed.
    End(&'a str, &'a str),
}

/// Bytes as text: by their byte order mark, by what the declaration says, or as UTF-8 with what
/// is none of it replaced.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[length..]).0;
    }
    // Without a mark, every second byte of UTF-16 gives it away.
    match bytes {
        [0, b'<', ..] => return encoding_rs::UTF_16BE.decode_without_bom_handling(bytes).0,
        [b'<', 0, ..] => return encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0,
        _ => {}
    }
    declared(bytes).unwrap_or(encoding_rs::UTF_8).decode_without_bom_handling(bytes).0
}

/// What `<?xml … encoding="…"?>` says, where it says another than UTF-8 would be.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(256)];
    let end = head.windows(2).position(|w| w == b"?>")?;
    let head = std::str::from_utf8(&head[..end]).ok()?;
    let rest = head.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let label = rest[1..].split(quote).next()?;
    Encoding::for_label(label.as_bytes()).filter(|e| e.is_ascii_compatible())
}

/// The name without its prefix.
pub fn local<'a>(start: &'a BytesStart<'_>) -> &'a str {
    after_colon(start.name().into_inner())
}

/// An attribute by its local name, unescaped.
pub fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.attributes().with_checks(false).flatten().find(|attribute| {
        let key = attribute.key.into_inner();
        key == name || key.rsplit(':').next() == Some(name)
    })?;
    Some(unescaped(&found.value))
}

fn unescaped(text: &str) -> String {
    // A broken entity is kept as it stands.
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_string(), Cow::into_owned)
}

/// Each reference by itself. Entities that a document defines itself are not expanded: they stay
/// as names, as a lone `&` does.
fn push_unescaped(texts: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        texts.push_str(&rest[..at]);
        let end = rest.as_bytes()[at..].iter().take(LONGEST_REFERENCE).position(|byte| *byte == b';');
        let length = end.map_or(1, |end| end + 1);
        let (reference, behind) = rest[at..].split_at(length);
        texts.push_str(&unescaped(reference));
        rest = behind;
    }
    texts.push_str(rest);
}

/// Without its prefix.
fn after_colon(name: &str) -> &str {
    &name[name.bytes().rposition(|byte| byte == b':').map_or(0, |colon| colon + 1)..]
}

/// Walks a document that is in memory. `each` may stop it with a reason.
///
/// Texts are handed on where they stand, and nothing is copied but what has entities in it: that
/// is why this does not go through the reader of [`walk_stream`], which does it piece by piece.
pub fn walk(document: &str, each: impl FnMut(Node<'_>) -> Result<(), String>) -> Result<(), String> {
    let mut walk = Walk::new(each);
    // The names of the open elements, and without their prefixes.
    let mut open: Vec<(&str, &str)> = Vec::new();
    let mut rest = document;
    let at = |rest: &str| (document.len() - rest.len()) as u64;
    loop {
        // Between elements there is mostly white space.
        let blank = rest.bytes().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let text = &rest.as_bytes()[blank..];
        let (length, has_entities) = match memchr2(b'<', b'&', text) {
            Some(at) if text[at] == b'&' => (memchr(b'<', &text[at..]).map(|more| at + more), true),
            found => (found, false),
        };
        let Some(length) = length else {
            walk.text(rest, has_entities)?;
            return walk.end_of_document();
        };
        if length > 0 || walk.has_texts() {
            walk.text(&rest[..blank + length], has_entities)?;
        }
        let tag = &rest[blank + length + 1..];
        let position = at(tag) - 1;
        rest = match tag.as_bytes() {
            [b'/', ..] => {
                let tag = &tag[1..];
                // Almost always it is the one that is open, and nothing stands behind its name.
                let begun = open.pop();
                let ended =
                    begun.and_then(|(name, local)| Some((local, tag.strip_prefix(name)?.strip_prefix('>')?)));
                let (local, behind) = match ended {
                    Some(ended) => ended,
                    None => {
                        let (name, behind) = split_at_byte(tag, b'>').ok_or(CUT)?;
                        let name = name.trim_ascii_end();
                        if begun.is_some_and(|(begun, _)| begun != name) {
                            return Err(unsound(position, &format_args!("</{name}> ends another element")));
                        }
                        (after_colon(name), behind)
                    }
                };
                walk.end(local, position)?;
                behind
            }
            [b'!' | b'?', ..] => {
                let (data, behind) = beside_elements(tag).ok_or(CUT)?;
                walk.data(data, position)?;
                behind
            }
            _ => {
                let length = tag.bytes().position(ends_name).ok_or(CUT)?;
                let (content, behind) = match tag.as_bytes()[length] {
                    b'>' => (&tag[..length], &tag[length + 1..]),
                    _ => whole_tag(tag).ok_or(CUT)?,
                };
                let (content, is_empty) = content.strip_suffix('/').map_or((content, false), |c| (c, true));
                let length = content.bytes().position(|b| b.is_ascii_whitespace()).unwrap_or(content.len());
                let name = &content[..length];
                if name.is_empty() {
                    return Err(unsound(position, &"a tag without a name"));
                }
                walk.start(&BytesStart::from_content(content, length), position)?;
                let local = after_colon(name);
                if is_empty {
                    walk.end(local, position)?;
                } else {
                    open.push((name, local));
                }
                behind
            }
        };
    }
}

/// What may stand behind the name of a tag.
fn ends_name(byte: u8) -> bool {
    matches!(byte, b'>' | b'/' | b'"' | b'\'') || byte.is_ascii_whitespace()
}

const CUT: &str = "the document is cut";

/// What stands before the first such byte, which is one of ASCII, and behind it.
fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr(byte, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

/// A tag, and what stands behind it. It ends at the first `>` that no quotes are around.
fn whole_tag(tag: &str) -> Option<(&str, &str)> {
    let (content, behind) = split_at_byte(tag, b'>')?;
    if memchr2(b'"', b'\'', content.as_bytes()).is_none() {
        return Some((content, behind));
    }
    let mut quote = None;
    let end = tag.bytes().position(|byte| match quote {
        None if matches!(byte, b'"' | b'\'') => {
            quote = Some(byte);
            false
        }
        None => byte == b'>',
        Some(_) => {
            quote = quote.filter(|quote| *quote != byte);
            false
        }
    })?;
    Some((&tag[..end], &tag[end + 1..]))
}

/// What begins with `!` or `?`: its text, where it has some, and what stands behind it.
fn beside_elements(tag: &str) -> Option<(&str, &str)> {
    let behind = |end: &str| Some(("", tag.split_once(end)?.1));
    if let Some(data) = tag.strip_prefix("![CDATA[") {
        return data.split_once("]]>");
    }
    if tag.starts_with("!--") {
        return behind("-->");
    }
    if tag.starts_with('?') {
        return behind("?>");
    }
    // Definitions of a document's own stand in brackets.
    let end = tag.find('>')?;
    if tag[..end].contains('[') { Some(("", tag.split_once(']')?.1.split_once('>')?.1)) } else { behind(">") }
}

/// Walks a document piece by piece.
pub fn walk_stream(
    input: impl BufRead,
    each: impl FnMut(Node<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let mut reader = Reader::from_reader(Bounded { input, since_event: 0 });
    configure(reader.config_mut());
    let mut walk = Walk::new(each);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        reader.get_mut().since_event = 0;
        let position = reader.buffer_position();
        let event = reader.read_event_into(&mut buffer).map_err(|e| unsound(position, &e))?;
        if walk.step(event, position)? {
            return Ok(());
        }
    }
}

fn configure(config: &mut quick_xml::reader::Config) {
    config.expand_empty_elements = true;
    config.allow_dangling_amp = true;
}

fn unsound(position: u64, what: &dyn std::fmt::Display) -> String {
    format!("not sound XML at byte {position}: {what}")
}

struct Walk<'a, F> {
    each: F,
    /// The text of the innermost element, where it is one piece without entities.
    whole: &'a str,
    /// The other texts within the open elements, one behind the other,
    texts: String,
    /// and where each begins.
    open: Vec<usize>,
    has_begun: bool,
}

impl<'a, F: FnMut(Node<'_>) -> Result<(), String>> Walk<'a, F> {
    fn new(each: F) -> Walk<'a, F> {
        Walk { each, whole: "", texts: String::new(), open: Vec::new(), has_begun: false }
    }

    fn start(&mut self, start: &BytesStart<'_>, position: u64) -> Result<(), String> {
        self.has_begun = true;
        if self.open.len() == MAX_DEPTH {
            return Err(unsound(position, &format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.put_aside();
        self.open.push(self.texts.len());
        (self.each)(Node::Start(start))
    }

    /// The end of an element, by its local name.
    fn end(&mut self, name: &str, position: u64) -> Result<(), String> {
        let Some(begin) = self.open.pop() else {
            return Err(unsound(position, &"an element ends that did not begin"));
        };
        let whole = std::mem::take(&mut self.whole);
        if begin == self.texts.len() {
            return (self.each)(Node::End(name, whole.trim_ascii()));
        }
        self.texts.push_str(whole);
        (self.each)(Node::End(name, self.texts[begin..].trim_ascii()))?;
        self.texts.truncate(begin);
        Ok(())
    }

    /// Whether the innermost element has texts that white space may stand between.
    fn has_texts(&self) -> bool {
        self.open.last().is_some_and(|begin| *begin != self.texts.len())
    }

    /// A text, with its entities as they are written, where it has some.
    fn text(&mut self, text: &'a str, has_entities: bool) -> Result<(), String> {
        // What stands between the children of an element is mostly line breaks, gigabytes of them.
        if self.open.is_empty() || (!self.has_texts() && text.trim_ascii().is_empty()) {
            return Ok(());
        }
        self.put_aside();
        if has_entities {
            push_unescaped(&mut self.texts, text);
        } else {
            self.whole = text;
        }
        self.stay_small(0)
    }

    /// A text that is as it stands.
    fn data(&mut self, data: &str, position: u64) -> Result<(), String> {
        if !self.open.is_empty() && !data.is_empty() {
            self.put_aside();
            self.texts.push_str(data);
        }
        self.stay_small(position)
    }

    /// Makes room for a further piece of text.
    fn put_aside(&mut self) {
        self.texts.push_str(std::mem::take(&mut self.whole));
    }

    fn stay_small(&self, position: u64) -> Result<(), String> {
        if self.texts.len() + self.whole.len() > MAX_EVENT_BYTES {
            return Err(unsound(position, &format_args!("texts of more than {MAX_EVENT_BYTES} bytes")));
        }
        Ok(())
    }

    fn end_of_document(&self) -> Result<(), String> {
        match (self.has_begun, self.open.is_empty()) {
            (false, _) => Err("no XML element in it".to_string()),
            (true, false) => Err(CUT.to_string()),
            (true, true) => Ok(()),
        }
    }

    /// Takes an event. True at the end of the document.
    fn step(&mut self, event: Event<'_>, position: u64) -> Result<bool, String> {
        match event {
            Event::Start(start) => self.start(&start, position)?,
            Event::End(end) => self.end(after_colon(end.name().into_inner()), position)?,
            Event::Text(text)
                if self.open.last() == Some(&self.texts.len()) && text.trim_ascii().is_empty() => {}
            Event::Text(text) if !self.open.is_empty() => self.texts.push_str(&text),
            Event::CData(text) => self.data(&text, position)?,
            Event::GeneralRef(reference) if !self.open.is_empty() => {
                self.texts.push_str(&unescaped(&format!("&{};", &*reference)));
            }
            Event::Eof => return self.end_of_document().map(|()| true),
            _ => {}
        }
        self.stay_small(position).map(|()| false)
    }
}

/// Refuses an endless event before it fills the memory.
struct Bounded<R> {
    input: R,
    since_event: usize,
}

impl<R: BufRead> std::io::Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.input.read(buffer)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.since_event > MAX_EVENT_BYTES {
            return Err(std::io::Error::other(format!(
                "one tag or text of more than {MAX_EVENT_BYTES} bytes"
            )));
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.since_event += amount;
        self.input.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(document: &str) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        walk(document, |node| {
            if let Node::End(name, text) = node {
                names.push(format!("{name}={text}"));
            }
            Ok(())
        })?;
        Ok(names)
    }

    #[test]
    fn prefixes_leading_space_and_entities_do_not_matter() {
        let document =
            "          <?xml version=\"1.0\"?><a:b xmlns:a=\"x\">&lt;1 &amp; 2&gt;<![CDATA[<3>]]><c/></a:b>";
        assert_eq!(names(document).unwrap(), ["c=", "b=<1 & 2><3>"]);
    }

    #[test]
    fn entity_bombs_are_not_expanded_and_nesting_is_bounded() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
        assert_eq!(names(bomb).unwrap(), ["x=&b;"]);
        assert!(names(&"<a>".repeat(100_000)).unwrap_err().contains("nested deeper"));
        assert!(names("<a><b></b>").unwrap_err().contains("is cut"));
        assert!(names("nothing").unwrap_err().contains("no XML element"));
        assert!(names("<a><b></a></b>").unwrap_err().contains("</a> ends another element"));
        assert!(names("<a b=\"1").unwrap_err().contains("is cut"));
    }

    #[test]
    fn text_is_read_in_its_own_encoding() {
        assert_eq!(text(b"\xef\xbb\xbf<a/>"), "<a/>");
        assert!(text(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>").ends_with("<a>ä</a>"));
        let utf16: Vec<u8> = "<a>ł</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&utf16), "<a>ł</a>");
        assert_eq!(text(b"<a>\xff</a>"), "<a>\u{fffd}</a>");
    }

    #[test]
    fn a_document_in_memory_reads_as_one_that_comes_in_pieces() {
        let stated = |node: Node<'_>| match node {
            Node::Start(start) => format!("<{} {:?}", local(start), attribute(start, "b")),
            Node::End(name, text) => format!("{name}={text}"),
        };
        for document in [
            "<?xml version='1.0'?><!-- <x> --><a b='1>2'>one<!-- - -->two<c/> three &lt;&#33;</a>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]>\n<a b = \"q'q\">\n <c>\n</c>\n &x; &amp; <![CDATA[<&]]>z</a >\n",
            "<p:a xmlns:p='u' p:b='&quot;'><d>  spaced  </d>tail</p:a>",
        ] {
            let (mut whole, mut pieces) = (Vec::new(), Vec::new());
            walk(document, |node| {
                whole.push(stated(node));
                Ok(())
            })
            .unwrap();
            walk_stream(document.as_bytes(), |node| {
                pieces.push(stated(node));
                Ok(())
            })
            .unwrap();
            assert_eq!(whole, pieces);
        }
    }
}
