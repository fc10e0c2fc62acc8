//! What it takes to add an endpoint: this file, and a line in `ALL`. `docs/contributing.md` shows this.

use super::{Depth, Endpoint, Row, whole};
use crate::sources::strava::api;

pub static ENDPOINT: Endpoint = Endpoint {
    kind: "weather",
    answer: "weather",
    answers: "weathers",
    depth: Depth::Detail,
    of_activity: Some(|about| about.id.starts_with("outside")),
    path: |ask| format!("/activities/{}/weather", super::id(ask)),
    describe: |ask| format!("the weather of activity {}", super::id(ask)),
    is_the_activity: false,
    athletes: |_| Vec::new(),
    read: whole,
    rows: |answer, from, on_row| {
        let taken = api::activity_detail(answer.body, from);
        on_row(0, taken.map(Row::of).map_err(|fault| fault.or_of(super::id(answer.ask))));
    },
};

#[test]
fn a_new_endpoint_is_one_file_and_everything_follows_from_it() {
    use super::{News, OF_ACTIVITIES, of_activities};
    use crate::sources::strava::walk::{Progress, Wanted};
    use jiff::{SignedDuration, Timestamp};

    let mut progress = Progress::default();
    let page = ["outside-1", "inside-1"].map(|id| {
        let body = format!(r#"[{{"id":1,"start_date":"2024-05-01T06:00:00Z","name":"{id}"}}]"#);
        let entry = api::list_entries(body.as_bytes()).unwrap().remove(0).unwrap();
        Some(super::ListEntry { id: id.to_string(), ..entry })
    });
    let now: Timestamp = "2024-06-01T00:00:00Z".parse().unwrap();
    let wanted = Wanted::new(Depth::Detail, now, SignedDuration::ZERO, None);
    let list = progress.next_page(&wanted, now).unwrap();
    progress.take(&list, News::Page(page.to_vec()), now);
    let index = OF_ACTIVITIES - 1;
    let owed = progress.owed(index, &wanted, now);
    assert_eq!(owed.iter().map(|owed| &*owed.id).collect::<Vec<_>>(), ["outside-1"]);
    let ask = of_activities(index).ask(&owed[0].id, owed[0].start_s);
    assert_eq!(super::path(&ask), "/activities/outside-1/weather");
    progress.take(&ask, super::read(&ask, 200, br#"{"sky":"blue"}"#).unwrap(), now);
    assert_eq!((progress.owed(index, &wanted, now).len(), progress.had(index)), (0, 1));
}
