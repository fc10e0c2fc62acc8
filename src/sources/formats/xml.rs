//! Reading XML that people's devices and phones wrote: events with bounded nesting, names
//! without their prefixes, and text in whatever encoding it is.

use std::borrow::Cow;
use std::io::BufRead;

use encoding_rs::Encoding;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// No format here nests deeper than a dozen.
const MAX_DEPTH: usize = 64;
/// What one tag or one text may take.
const MAX_EVENT_BYTES: usize = 16 << 20;

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

/// Without its prefix.
fn after_colon(name: &str) -> &str {
    &name[name.bytes().rposition(|byte| byte == b':').map_or(0, |colon| colon + 1)..]
}

/// Walks a document that is in memory. `each` may stop it with a reason.
pub fn walk(document: &str, each: impl FnMut(Node<'_>) -> Result<(), String>) -> Result<(), String> {
    let mut reader = Reader::from_str(document);
    configure(reader.config_mut());
    let mut walk = Walk::new(each);
    loop {
        let position = reader.buffer_position();
        let event = reader.read_event().map_err(|e| unsound(position, &e))?;
        if walk.step(event, position)? {
            return Ok(());
        }
    }
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

struct Walk<F> {
    each: F,
    /// The texts within the open elements, one behind the other,
    texts: String,
    /// and where each begins.
    open: Vec<usize>,
    has_begun: bool,
}

impl<F: FnMut(Node<'_>) -> Result<(), String>> Walk<F> {
    fn new(each: F) -> Walk<F> {
        Walk { each, texts: String::new(), open: Vec::new(), has_begun: false }
    }

    /// Takes an event. True at the end of the document.
    fn step(&mut self, event: Event<'_>, position: u64) -> Result<bool, String> {
        match event {
            Event::Start(start) => {
                self.has_begun = true;
                if self.open.len() == MAX_DEPTH {
                    return Err(unsound(position, &format_args!("nested deeper than {MAX_DEPTH} levels")));
                }
                self.open.push(self.texts.len());
                (self.each)(Node::Start(&start))?;
            }
            Event::End(end) => {
                let Some(begin) = self.open.pop() else {
                    return Err(unsound(position, &"an element ends that did not begin"));
                };
                let name = end.name().into_inner();
                (self.each)(Node::End(after_colon(name), self.texts[begin..].trim_ascii()))?;
                self.texts.truncate(begin);
            }
            // What stands between the children of an element is mostly line breaks, gigabytes of them.
            Event::Text(text)
                if self.open.last() == Some(&self.texts.len()) && text.trim_ascii().is_empty() => {}
            Event::Text(text) if !self.open.is_empty() => self.texts.push_str(&text),
            Event::CData(text) if !self.open.is_empty() => self.texts.push_str(&text),
            // Entities that a document defines itself are not expanded: they stay as names.
            Event::GeneralRef(reference) if !self.open.is_empty() => {
                self.texts.push_str(&unescaped(&format!("&{};", &*reference)));
            }
            Event::Eof if !self.has_begun => return Err("no XML element in it".to_string()),
            Event::Eof if !self.open.is_empty() => return Err("the document is cut".to_string()),
            Event::Eof => return Ok(true),
            _ => {}
        }
        if self.texts.len() > MAX_EVENT_BYTES {
            return Err(unsound(position, &format_args!("texts of more than {MAX_EVENT_BYTES} bytes")));
        }
        Ok(false)
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
    }

    #[test]
    fn text_is_read_in_its_own_encoding() {
        assert_eq!(text(b"\xef\xbb\xbf<a/>"), "<a/>");
        assert!(text(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>").ends_with("<a>ä</a>"));
        let utf16: Vec<u8> = "<a>ł</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&utf16), "<a>ł</a>");
        assert_eq!(text(b"<a>\xff</a>"), "<a>\u{fffd}</a>");
    }
}
