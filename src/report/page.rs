//! The report as a page: a template with the data in it.

use super::Report;

const TEMPLATE: &str = include_str!("page.html");
/// Where the data goes.
const PLACE: &str = "\"@DATA@\"";

/// The whole report as one HTML file.
pub fn html(report: &Report) -> String {
    let data = serde_json::to_string(report).expect("a report is plain");
    // Within a script, only the beginning of a tag could end it or hide what follows.
    let data = data.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let (before, after) = TEMPLATE.split_once(PLACE).expect("the template has a place for the data");
    [before, &data, after].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Workout;

    #[test]
    fn a_title_cannot_leave_the_data() {
        let title = "</script><script>alert(1)</script><!--";
        let workout = Workout { title: Some(title.to_string()), ..Workout::default() };
        let page = html(&Report { workouts: vec![workout], ..Report::default() });
        assert!(!page.contains("alert(1)</script>"));
        assert_eq!(page.matches("</script>").count(), TEMPLATE.matches("</script>").count());
        // No other file and no other host is asked for anything.
        for asks in ["src=", "href=\"http", "url(", "@import", "fetch("] {
            assert!(!TEMPLATE.contains(asks), "{asks}");
        }
    }
}
