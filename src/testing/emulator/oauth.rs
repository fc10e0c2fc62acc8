//! Consent, tokens, and their end.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::json;

use super::activities::Words;
use super::changes::Changes;
use super::{Answer, Config, Inner, OldTokens, Shared, athlete_body, fault};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/oauth/token", post(token))
        .route("/oauth/authorize", get(authorize))
        .route("/oauth/deauthorize", post(deauthorize))
        .route("/api/v3/oauth/deauthorize", post(deauthorize))
        .route("/oauth/revoke", post(revoke))
}

type Shares = State<Arc<Shared>>;

#[derive(Serialize)]
pub(super) struct Grant {
    token_type: &'static str,
    pub access_token: String,
    pub expires_at: i64,
    expires_in: i64,
    pub refresh_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    athlete: Option<serde_json::Value>,
}

impl Inner {
    /// New tokens for an athlete.
    pub(super) fn issue(&mut self, athlete: usize, now_s: i64, config: &Config) -> Grant {
        self.issued += 1;
        let lifetime_s = config.token_lifetime.as_secs() as i64;
        let access_token = format!("emulated-access-{}-{athlete}", self.issued);
        let refresh_token = format!("emulated-refresh-{}-{athlete}", self.issued);
        if config.old_tokens == OldTokens::EndAtOnce {
            self.used(athlete, &refresh_token);
        }
        self.refresh.insert(refresh_token.clone(), athlete);
        self.access.insert(access_token.clone(), (athlete, now_s + lifetime_s));
        Grant {
            token_type: "Bearer",
            access_token,
            expires_at: now_s + lifetime_s,
            expires_in: lifetime_s,
            refresh_token,
            athlete: None,
        }
    }

    /// A token is known to have come: the refresh tokens from before it end.
    pub(super) fn used(&mut self, athlete: usize, token: &str) {
        self.refresh.retain(|other, owner| *owner != athlete || number(other) >= number(token));
    }

    /// What an athlete granted.
    pub(super) fn scope(&self, athlete: usize) -> &str {
        self.scopes.get(&athlete).map_or("read,activity:read_all", String::as_str)
    }

    /// What athletes changed, and whether what is private is shown to who asks for this one.
    pub(super) fn shown_to(&self, athlete: usize) -> (Changes, bool) {
        (self.changes.clone(), self.scope(athlete).contains("activity:read_all"))
    }

    /// A code that can be exchanged once.
    fn code(&mut self, athlete: usize) -> String {
        self.issued += 1;
        let code = format!("emulated-code-{}", self.issued);
        self.codes.insert(code.clone(), athlete);
        code
    }

    /// Whose code it is; an error says what is wrong with it.
    fn exchange(&mut self, code: &str) -> Result<usize, (&'static str, &'static str)> {
        match self.codes.remove(code) {
            Some(athlete) => {
                self.used_codes.insert(code.to_string());
                Ok(athlete)
            }
            None if self.used_codes.contains(code) => Err(("", "expired")),
            None => Err(("code", "invalid")),
        }
    }

    /// Ends all tokens of whoever has this one. False where nobody has.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        let owner = self.access.get(token).map(|(athlete, _)| *athlete);
        let Some(owner) = owner.or_else(|| self.refresh.get(token).copied()) else { return false };
        self.end_tokens(|athlete| athlete == owner);
        true
    }
}

/// The later a token was given, the higher.
pub(super) fn number(token: &str) -> u64 {
    token.split('-').nth(2).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Fields may be in the query, too.
async fn token(State(shared): Shares, uri: Uri, form: String) -> Response<Body> {
    let now_s = shared.now_s();
    // Answers of the token endpoint carry no rate headers.
    let twist = shared.twist(0, "/oauth/token");
    tokio::time::sleep(twist.delay).await;
    let answer =
        Answer { date_s: now_s + twist.date_shift_s, rate: None, headers: twist.headers, cut: twist.cut };
    let form = format!("{form}&{}", uri.query().unwrap_or_default());
    let asked = |name: &str| field(&form, name).unwrap_or_default();
    if let Some((status, body)) = twist.instead {
        return answer.with(status, body);
    }
    let config = &shared.config;
    if asked("client_id") != config.client_id || asked("client_secret") != config.client_secret {
        return answer.with(400, fault("Bad Request", "Application", "client_id", "invalid"));
    }
    let mut inner = shared.lock();
    let (owner, is_code) = match asked("grant_type").as_str() {
        "refresh_token" => {
            let owner = inner.refresh.get(&asked("refresh_token")).copied();
            (owner.ok_or(("RefreshToken", "refresh_token", "invalid")), false)
        }
        "authorization_code" => {
            let owner = inner.exchange(&asked("code"));
            (owner.map_err(|(field, code)| ("AuthorizationCode", field, code)), true)
        }
        _ => return answer.with(400, fault("Bad Request", "Application", "grant_type", "invalid")),
    };
    let owner = match owner {
        Ok(owner) => owner,
        Err((resource, field, code)) => {
            return answer.with(400, fault("Bad Request", resource, field, code));
        }
    };
    inner.used(owner, &asked("refresh_token"));
    let mut grant = inner.issue(owner, now_s, config);
    grant.athlete = is_code.then(|| athlete_body(&shared.athletes[owner]));
    answer.with(200, serde_json::to_vec(&grant).expect("a grant is plain"))
}

/// Strava's consent page, with the consent given at once, by the first athlete: to what was asked for, or to less
/// where that athlete grants less.
async fn authorize(State(shared): Shares, Query(asked): Query<Words>) -> Response<Body> {
    let asked = |name: &str| asked.get(name).map_or("", String::as_str);
    let mut inner = shared.lock();
    let code = inner.code(0);
    let scope = inner.scopes.get(&0).map_or(asked("scope"), String::as_str);
    let query = [("state", asked("state")), ("code", code.as_str()), ("scope", scope)];
    let location = reqwest::Url::parse_with_params(asked("redirect_uri"), &query);
    let response = Response::builder();
    match location {
        Ok(location) => response.status(StatusCode::FOUND).header(header::LOCATION, location.as_str()),
        Err(_) => response.status(StatusCode::BAD_REQUEST),
    }
    .body(Body::empty())
    .expect("the parts are sound")
}

/// A field of a form.
fn field(form: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://form/?{form}")).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The old way: the access token that ends, in the header or the form.
async fn deauthorize(State(shared): Shares, headers: HeaderMap, form: String) -> Response<Body> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(String::from);
    let token = bearer.or_else(|| field(&form, "access_token")).unwrap_or_default();
    let is_known = shared.lock().revoke(&token);
    plain(&shared, if is_known { 200 } else { 401 }, json!({"access_token": token}).to_string().into_bytes())
}

/// The new way: the application names itself, and a token in the form.
async fn revoke(State(shared): Shares, headers: HeaderMap, form: String) -> Response<Body> {
    let config = &shared.config;
    let expected =
        format!("Basic {}", BASE64.encode(format!("{}:{}", config.client_id, config.client_secret)));
    let is_app =
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == expected.as_bytes());
    if is_app {
        shared.lock().revoke(&field(&form, "token").unwrap_or_default());
    }
    plain(&shared, if is_app { 200 } else { 401 }, Vec::new())
}

/// Without rate headers, as all of the token endpoint.
pub(super) fn plain(shared: &Shared, status: u16, body: Vec<u8>) -> Response<Body> {
    let answer = Answer { date_s: shared.now_s(), rate: None, headers: Vec::new(), cut: false };
    answer.with(status, body)
}
