//! The report as a page: a template with its style, its scripts and the data in it.
//!
//! The figures lie in it as JSON and are drawn at once. All else lies in blocks of packed JSON ([`blocks`]), which the
//! scripts unpack when they are needed.

mod blocks;

use std::io::{self, Write};

use super::Report;

pub use blocks::pack;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
/// In this order, as one script.
const SCRIPTS: [&str; 10] = [
    include_str!("base.js"),
    include_str!("answers.js"),
    include_str!("overview.js"),
    include_str!("time.js"),
    include_str!("list.js"),
    include_str!("map.js"),
    include_str!("pair.js"),
    include_str!("review.js"),
    include_str!("workouts.js"),
    include_str!("people.js"),
];
const BLOCKS: &str = "<!--@BLOCKS@-->";

/// The template with everything but the data.
fn page() -> String {
    TEMPLATE.replace("/*@STYLE@*/", STYLE).replace("/*@SCRIPT@*/", &SCRIPTS.concat())
}

/// Writes the whole report as one HTML file.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let data = serde_json::to_string(&blocks::Data::of(report)).expect("a report is plain");
    // Within a script, only the beginning of a tag could end it or hide what follows.
    let data = data.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let page = page();
    let (before, after) = page.split_once("\"@DATA@\"").expect("the template has a place for the data");
    let (between, after) = after.split_once(BLOCKS).expect("the template has a place for the blocks");
    for text in [before, &data, between] {
        out.write_all(text.as_bytes())?;
    }
    blocks::all(report, out)?;
    out.write_all(after.as_bytes())
}

/// The whole report as the text of one HTML file.
pub fn html(report: &Report) -> String {
    let mut page = Vec::new();
    write(report, &mut page).expect("memory takes it");
    String::from_utf8(page).expect("it is text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ConflictFigures, Overview, Workout};

    #[test]
    fn a_title_cannot_leave_the_data() {
        let title = "</script><script>alert(1)</script><!--";
        let workout = Workout { title: Some(title.into()), ..Workout::default() };
        let conflict = ConflictFigures { source: title.to_string(), ..ConflictFigures::default() };
        let overview = Overview { conflicts: vec![conflict], ..Overview::default() };
        let users = vec!["alice".to_string()];
        let shown = html(&Report { overview, users, workouts: vec![workout], ..Report::default() });
        assert!(!shown.contains("alert(1)</script>"));
        let blocks = shown.matches("id=\"block-").count();
        assert_eq!(shown.matches("</script>").count(), page().matches("</script>").count() + blocks);
    }

    #[test]
    fn the_page_asks_no_other_file_and_no_other_host_for_anything() {
        let page = page();
        for asks in ["src=", "href=\"http", "url(", "@import", "fetch("] {
            assert!(!page.contains(asks), "{asks}");
        }
        for place in ["@STYLE@", "@SCRIPT@"] {
            assert!(!page.contains(place), "{place}");
        }
    }
}
