//! `GET /athlete/activities`: an athlete's list, newest first, 200 activities a page.

use jiff::Timestamp;

use super::{Answer, Depth, Endpoint, News, OnRow, Row};
use crate::sources::strava::api;
use crate::sources::{Fault, ReadFrom};
use crate::store::landing::Ask;

/// What a page may hold at most, and is asked for.
pub const PER_PAGE: u32 = 200;

pub static ENDPOINT: Endpoint = Endpoint {
    kind: "list",
    answer: "page",
    answers: "pages",
    depth: Depth::List,
    of_activity: None,
    path,
    describe,
    is_the_activity: false,
    athletes: api::athletes_of_list,
    read,
    rows,
};

fn read(_: &Ask, body: &[u8]) -> Result<News, String> {
    let entries = api::list_entries(body)?;
    if !entries.is_empty() && entries.iter().all(Option::is_none) {
        return Err(format!("none of the {} records on the page can be read", entries.len()));
    }
    Ok(News::Page(entries))
}

fn path(ask: &Ask) -> String {
    let Ask::List { before_s, page, .. } = ask else { unreachable!("it is the list's") };
    let before = before_s.map_or_else(String::new, |before_s| format!("&before={before_s}"));
    let page = if *page > 1 { format!("&page={page}") } else { String::new() };
    format!("/athlete/activities?per_page={PER_PAGE}{before}{page}")
}

fn describe(ask: &Ask) -> String {
    let Ask::List { before_s, page, .. } = ask else { unreachable!("it is the list's") };
    let before = before_s.and_then(|before_s| Timestamp::from_second(before_s).ok());
    match before {
        Some(before) => format!("page {page} of the list before {before}"),
        None => format!("page {page} of the list"),
    }
}

fn rows(answer: Answer, from: &ReadFrom, on_row: OnRow) {
    let read = api::activity_list(answer.body, from, |index, taken| {
        on_row(index, taken.map(Row::of));
    });
    if let Err(reason) = read {
        on_row(0, Err(Fault::record(reason)));
    }
}
