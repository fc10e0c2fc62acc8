//! Requests to the API and to the token endpoint.
//!
//! A token travels in the Authorization header and nowhere else; no error of this module
//! carries a header or a form.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::Deserialize;

use super::budget::{PairSeen, RateSeen};
use super::verdict::{names_the_application, names_the_grant};
use crate::error::Result;
use crate::http::{self, chain};
use crate::model::secret::{Secret, Secrets};
use crate::store::landing::MAX_BODY_BYTES;
use crate::store::state::accounts::Account;

/// The application that the accounts gave their consent to.
#[derive(Debug, Clone)]
pub struct App {
    pub client_id: String,
    pub client_secret: Secret,
}

impl App {
    /// What nobody must read, with its own.
    pub fn secrets_with<const N: usize>(&self, others: [&Secret; N]) -> Secrets {
        Secrets::of(others.into_iter().chain([&self.client_secret]).cloned())
    }
}

#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    oauth: String,
}

/// An answer of the API, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The server's clock, unix seconds.
    pub date_s: Option<i64>,
    pub rate: RateSeen,
    /// How long the server wants to be left alone.
    pub retry_after_ms: Option<i64>,
    pub body: Vec<u8>,
    /// What it says of an error.
    pub said: String,
}

/// How long an access token lasts where its answer does not say, as Strava documents it: six hours.
const LIFETIME_S: i64 = 21_600;

/// What the token endpoint gave: at least one of both tokens. Each field is read by itself. A new refresh token has
/// ended the one before it, so nothing that is wrong beside it may cost it.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    pub access_token: Option<Secret>,
    /// None where the one before stays good (RFC 6749, section 6).
    pub refresh_token: Option<Secret>,
    expires_at: Option<i64>,
    /// Seconds from when it was given.
    expires_in: Option<i64>,
    /// Only when a code was exchanged.
    pub athlete_id: Option<u64>,
}

impl Grant {
    fn read(body: &[u8]) -> Option<Grant> {
        // The first value: whatever stands behind it costs no token either.
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<serde_json::Value>();
        let answer = values.next()?.ok()?;
        let token = |name: &str| {
            let text = answer.get(name)?.as_str().filter(|text| !text.is_empty());
            text.map(Secret::new)
        };
        let whole = |value: &serde_json::Value| {
            let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
            number.filter(|number| *number > 0.0).map(|number| number as i64)
        };
        let number = |name: &str| answer.get(name).and_then(whole);
        let grant = Grant {
            access_token: token("access_token"),
            refresh_token: token("refresh_token"),
            expires_at: number("expires_at"),
            expires_in: number("expires_in"),
            athlete_id: answer.get("athlete").and_then(|athlete| athlete.get("id")?.as_u64()),
        };
        (grant.access_token.is_some() || grant.refresh_token.is_some()).then_some(grant)
    }

    /// When the access token ends that came at this time, unix seconds. How long it lasts is right by any clock, and a
    /// time only by the endpoint's own; a token that would have ended when it came has an end that nobody knows.
    pub fn ends_at(&self, now_s: i64) -> i64 {
        let at_s = self.expires_at.filter(|at_s| self.expires_in.is_none() && *at_s > now_s);
        at_s.unwrap_or_else(|| now_s.saturating_add(self.expires_in.unwrap_or(LIFETIME_S)))
    }
}

/// Why there are no new tokens.
#[derive(Debug)]
pub enum NoGrant {
    /// The endpoint refuses: asking again will not help.
    Refused(String),
    /// Worth another try, after the time that the server asks for, if it does.
    Trouble { reason: String, retry_after_ms: Option<i64> },
}

impl Client {
    pub fn new(base: &str, oauth: &str) -> Result<Client> {
        let urls = [http::url(base)?, http::url(oauth)?];
        let http = http::client(&urls, Duration::from_secs(120))?;
        let [base, oauth] = urls.map(|url| url.as_str().trim_end_matches('/').to_string());
        Ok(Client { http, base, oauth })
    }

    /// Asks the API. An error means that there was no whole answer. Nothing of the answer holds one of the secrets.
    pub async fn get(
        &self,
        path_and_query: &str,
        token: &Secret,
        secrets: &Secrets,
    ) -> Result<Answer, String> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| "the access token has characters that no header can carry".to_string())?;
        bearer.set_sensitive(true);
        let request = self.http.get(format!("{}{path_and_query}", self.base)).header(AUTHORIZATION, bearer);
        let response = request.send().await.map_err(|e| chain(&e.without_url()))?;
        let status = response.status().as_u16();
        let date_s = date_s(response.headers());
        let rate = RateSeen {
            overall: pair(response.headers(), "x-ratelimit-limit", "x-ratelimit-usage"),
            read: pair(response.headers(), "x-readratelimit-limit", "x-readratelimit-usage"),
        };
        let retry_after_ms = retry_after_ms(response.headers());
        let body = secrets.struck_from_data(http::body(response, MAX_BODY_BYTES).await?);
        let said = said(&body, secrets);
        Ok(Answer { status, date_s, rate, retry_after_ms, body, said })
    }

    /// New tokens for an account, from its refresh token.
    pub async fn refresh(&self, app: &App, account: &Account) -> Result<Grant, NoGrant> {
        let secrets = app.secrets_with([&account.refresh_token, &account.access_token]);
        let what = [("grant_type", "refresh_token"), ("refresh_token", account.refresh_token.expose())];
        self.token(app, &what, &secrets).await
    }

    /// Tokens for who gave their consent.
    pub async fn exchange(&self, app: &App, code: &str) -> Result<Grant, NoGrant> {
        let secrets = app.secrets_with([&Secret::new(code)]);
        self.token(app, &[("grant_type", "authorization_code"), ("code", code)], &secrets).await
    }

    /// Takes an account's access back: the way of 2027 where the application's secret is known and the source has that
    /// way, the old one otherwise.
    pub async fn revoke(&self, app: Option<&App>, account: &Account) -> Result<(), String> {
        let failed = |e: reqwest::Error| chain(&e.without_url());
        if let Some(app) = app {
            let request = self
                .http
                .post(format!("{}/revoke", self.oauth))
                .basic_auth(&app.client_id, Some(app.client_secret.expose()))
                .form(&[("token", account.refresh_token.expose())]);
            match request.send().await.map_err(failed)?.status().as_u16() {
                200..=299 => return Ok(()),
                404 | 405 => {}
                status => return Err(format!("HTTP {status}")),
            }
        }
        let request = self.http.post(format!("{}/deauthorize", self.oauth));
        let response = request.bearer_auth(account.access_token.expose()).send().await.map_err(failed)?;
        match response.status().as_u16() {
            // A token that is not taken gives no access any more.
            200..=299 | 401 => Ok(()),
            status => Err(format!("HTTP {status}")),
        }
    }

    async fn token(&self, app: &App, what: &[(&str, &str)], secrets: &Secrets) -> Result<Grant, NoGrant> {
        let mut form =
            vec![("client_id", app.client_id.as_str()), ("client_secret", app.client_secret.expose())];
        form.extend(what);
        let trouble = |reason: String| NoGrant::Trouble { reason, retry_after_ms: None };
        let sent = self.http.post(format!("{}/token", self.oauth)).form(&form).send().await;
        let response = sent.map_err(|e| trouble(chain(&e.without_url())))?;
        let status = response.status().as_u16();
        let retry_after_ms = retry_after_ms(response.headers());
        let body = http::body(response, MAX_BODY_BYTES).await.map_err(trouble)?;
        match status {
            200..=299 => {
                let said = said(&body, secrets);
                Grant::read(&body).ok_or_else(|| trouble(format!("HTTP {status} without a token{said}")))
            }
            _ => {
                let reason = format!("HTTP {status}{}", said(&body, secrets));
                // What names neither is of something before it.
                let is_refusal = matches!(status, 400 | 401 | 403)
                    && (names_the_grant(&reason) || names_the_application(&reason));
                Err(match is_refusal {
                    true => NoGrant::Refused(reason),
                    false => NoGrant::Trouble { reason, retry_after_ms },
                })
            }
        }
    }

    /// The page where an athlete gives consent.
    pub fn consent_page(&self, client_id: &str, redirect_uri: &str, state: &str) -> String {
        let query = [
            ("client_id", client_id),
            ("response_type", "code"),
            ("redirect_uri", redirect_uri),
            ("approval_prompt", "auto"),
            ("scope", "read,activity:read_all"),
            ("state", state),
        ];
        let url = Url::parse_with_params(&format!("{}/authorize", self.oauth), &query);
        url.expect("the base was parsed before").to_string()
    }
}

fn date_s(headers: &HeaderMap) -> Option<i64> {
    http::date_s(headers.get(DATE)?.to_str().ok()?)
}

/// Seconds, or a date.
fn retry_after_ms(headers: &HeaderMap) -> Option<i64> {
    /// Nobody means longer.
    const LONGEST_S: i64 = 86_400;
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().or_else(|| {
        let now_s = date_s(headers).unwrap_or_else(|| jiff::Timestamp::now().as_second());
        Some(http::date_s(text)? - now_s)
    });
    seconds.map(|seconds: i64| seconds.clamp(0, LONGEST_S) * 1_000)
}

/// Two headers of the shape `100,1000`.
fn pair(headers: &HeaderMap, limit: &str, usage: &str) -> Option<PairSeen> {
    let two = |name: &str| -> Option<(u32, u32)> {
        let (short, day) = headers.get(name)?.to_str().ok()?.split_once(',')?;
        Some((short.trim().parse().ok()?, day.trim().parse().ok()?))
    };
    let (short_limit, day_limit) = two(limit)?;
    let (short_used, day_used) = two(usage)?;
    Some(PairSeen { short_limit, day_limit, short_used, day_used })
}

/// What an error body says, for a person and without secrets: `: Authorization Error (Application: invalid)`.
/// `errors` is a list of objects, or now and then something else.
pub fn said(body: &[u8], secrets: &Secrets) -> String {
    #[derive(Deserialize)]
    struct Fault {
        message: Option<String>,
        #[serde(default)]
        errors: serde_json::Value,
    }
    let Ok(Fault { message: Some(message), errors }) = serde_json::from_slice(body) else {
        return String::new();
    };
    let word =
        |error: &serde_json::Value, key: &str| error.get(key)?.as_str().map(|word| secrets.struck_from(word));
    let details: Vec<String> = errors
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| {
            let words: Vec<String> = ["resource", "field", "code"]
                .iter()
                .filter_map(|key| word(error, key))
                .filter(|w| !w.is_empty())
                .collect();
            words.join(" ")
        })
        .collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join("; ")) };
    format!(": {}{details}", secrets.struck_from(&message).chars().take(200).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_over_https_or_to_this_machine_only() {
        let oauth = "https://www.strava.com/oauth";
        assert!(Client::new("https://api-v3.strava.com/", oauth).is_ok());
        assert!(Client::new("http://127.0.0.1:8080/api/v3", oauth).is_ok());
        assert!(Client::new("http://[::1]:8080/api/v3", oauth).is_ok());
        let e = Client::new("http://www.strava.com/api/v3", oauth).unwrap_err().to_string();
        assert!(e.contains("must begin with https"), "{e}");
        assert!(Client::new("strava", oauth).unwrap_err().to_string().contains("is not a URL"));
    }

    #[test]
    fn whatever_is_wrong_with_a_grant_costs_itself_only() {
        let read = |body: &str| Grant::read(body.as_bytes());
        let ends = |more: &str| read(&format!(r#"{{"access_token":"a"{more}}}"#)).unwrap().ends_at(1_000);
        for more in [
            r#","expires_at":5000"#,
            r#","expires_at":5000.0,"expires_in":null"#,
            r#","expires_at":" 5000 ""#,
            r#","expires_at":null,"expires_in":"4000""#,
            r#","expires_in":4000.0,"expires_at":{},"athlete":7,"refresh_token":null"#,
        ] {
            assert_eq!(ends(more), 5_000, "{more}");
        }
        assert_eq!(ends(""), 1_000 + LIFETIME_S);
        assert_eq!(ends(r#","expires_at":999"#), 1_000 + LIFETIME_S);
        assert_eq!(ends(r#","expires_at":999,"expires_in":4000"#), 5_000);
        assert_eq!(ends(r#","expires_in":1e300"#), i64::MAX);
        assert_eq!(
            read(r#"{"access_token":"a"} and more"#),
            read(r#"{"access_token":"a","refresh_token":""}"#)
        );
        assert_eq!(read(r#"{"refresh_token":"r"}"#).unwrap().refresh_token, Some(Secret::new("r")));
        for nothing in ["", "[]", "null", r#"{"access_token":""}"#, r#"{"message":"a"}"#] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn headers_are_read_in_any_case_and_shape() {
        let mut headers = HeaderMap::new();
        headers.insert("X-Readratelimit-Limit", HeaderValue::from_static("100,1000"));
        headers.insert("X-ReadRateLimit-Usage", HeaderValue::from_static("2, 225"));
        headers.insert(DATE, HeaderValue::from_static("Sat, 18 Oct 2025 23:40:56 GMT"));
        let read = pair(&headers, "x-readratelimit-limit", "x-readratelimit-usage").unwrap();
        assert_eq!((read.short_limit, read.day_limit, read.short_used, read.day_used), (100, 1000, 2, 225));
        assert_eq!(pair(&headers, "x-ratelimit-limit", "x-ratelimit-usage"), None);
        assert_eq!(date_s(&headers), Some(1_760_830_856));
    }

    #[test]
    fn how_long_to_wait_is_read_in_both_forms() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after_ms(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("120"));
        assert_eq!(retry_after_ms(&headers), Some(120_000));
        headers.insert(DATE, HeaderValue::from_static("Sat, 18 Oct 2025 23:40:56 GMT"));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Sat, 18 Oct 2025 23:41:26 GMT"));
        assert_eq!(retry_after_ms(&headers), Some(30_000));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("-5"));
        assert_eq!(retry_after_ms(&headers), Some(0));
    }

    #[test]
    fn strava_is_quoted_whatever_the_shape_of_its_errors() {
        let body = br#"{"message":"Authorization Error","errors":[{"resource":"Application","field":"","code":"invalid"}]}"#;
        let said = |body: &[u8]| said(body, &Secrets::default());
        assert_eq!(said(body), ": Authorization Error (Application invalid)");
        assert_eq!(
            said(br#"{"errors":"Rate Limit Exceeded","status":429,"message":"Too Many Requests"}"#),
            ": Too Many Requests"
        );
        assert_eq!(said(b""), "");
    }
}
