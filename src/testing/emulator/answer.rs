//! What answers look like: their headers, and their words where they say no.

use std::borrow::Cow;
use std::io;
use std::str::FromStr;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;

use super::Athlete;

/// What every answer carries.
pub(super) struct Answer {
    pub date_s: i64,
    pub rate: Option<[(&'static str, String); 4]>,
    /// Over these.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Breaks off in its middle.
    pub cut: bool,
}

impl Answer {
    pub fn with(self, status: u16, body: Vec<u8>) -> Response<Body> {
        let kind = if body.starts_with(b"<") { "text/html" } else { "application/json; charset=utf-8" };
        let date = jiff::Timestamp::from_second(self.date_s).expect("a clock's time");
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut response = Response::builder()
            .status(StatusCode::from_u16(status).expect("a status"))
            .header(header::CONTENT_TYPE, kind)
            .header(header::DATE, date);
        for (name, value) in self.rate.into_iter().flatten() {
            response = response.header(name, HeaderValue::from_str(&value).expect("digits and commas"));
        }
        let body = if self.cut {
            response = response.header(header::CONTENT_LENGTH, body.len().max(1));
            let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
            let pieces = [Ok(half), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
            Body::from_stream(futures_util::stream::iter(pieces))
        } else {
            Body::from(body)
        };
        let mut response = response.body(body).expect("the parts are sound");
        for (name, value) in self.headers {
            let name = HeaderName::from_str(&name).expect("scripts write sound headers");
            response.headers_mut().remove(&name);
            if !value.is_empty() {
                let value = HeaderValue::from_str(&value).expect("scripts write sound headers");
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

pub(super) fn fault(message: &str, resource: &str, field: &str, code: &str) -> Vec<u8> {
    let errors = [serde_json::json!({"resource": resource, "field": field, "code": code})];
    serde_json::json!({"message": message, "errors": errors}).to_string().into_bytes()
}

pub(super) fn not_found() -> Vec<u8> {
    fault("Record Not Found", "Activity", "id", "not found")
}

pub(super) fn athlete_body(athlete: &Athlete) -> serde_json::Value {
    serde_json::json!({
        "id": athlete.id, "username": athlete.user_id, "resource_state": 2,
        "firstname": athlete.user_id, "lastname": "Emulated", "premium": false, "summit": false,
        "created_at": "2011-05-01T00:00:00Z", "friend": null, "follower": null,
    })
}
