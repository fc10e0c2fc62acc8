//! A Strava that behaves like Strava, on loopback: for `demo`, for tests, and for anyone who
//! needs one.
//!
//! It serves tokens (`oauth`), the athlete, lists, activities and streams (`activities`), and what else clients ask
//! for (`more`: laps, zones, kudos, comments, photos, statistics, gear). Both pairs of rate windows are counted as
//! Strava counts them: fixed windows, and every request counts, a refused one too. Every answer has the four rate
//! headers and the date of its clock, and it says no in Strava's words.

mod activities;
mod answer;
mod changes;
pub mod limits;
mod more;
mod oauth;
pub mod recorded;
pub mod scenario;
mod synthetic;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, Uri, header};
use axum::middleware::Next;
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::model::secret::Secret;
use crate::sources::strava;
use crate::store::state::accounts::Account;
use answer::{Answer, athlete_body, fault, not_found};
use changes::Changes;
pub use limits::Limits;
use limits::Usage;
pub use recorded::Recorded;
use scenario::Course;
pub use scenario::Scenario;
pub use synthetic::Synthetic;

/// Somebody who has an account here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Athlete {
    pub id: u64,
    pub user_id: String,
}

/// An activity as the list orders them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub start_s: i64,
}

/// What is served.
pub trait History: Send + Sync {
    fn athletes(&self) -> Vec<Athlete>;
    /// Newest first.
    fn entries(&self, athlete: usize) -> &[Entry];
    fn summary(&self, athlete: usize, index: usize) -> Vec<u8>;
    fn detail(&self, athlete: usize, index: usize) -> Vec<u8>;
    fn streams(&self, athlete: usize, index: usize) -> Option<Vec<u8>>;
}

/// Called with every request to the API before it is answered: its number, from 1, and its path.
pub type Hook = Box<dyn Fn(u64, &str) + Send + Sync>;

/// A request, as a script sees it.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// From 1. Requests to the token endpoint are not counted.
    pub number: u64,
    pub path_and_query: &'a str,
    /// Since the emulator began.
    pub elapsed: Duration,
}

/// What is to be wrong with an answer.
#[derive(Debug, Clone, Default)]
pub struct Twist {
    /// Status and body, instead of the right ones.
    pub instead: Option<(u16, Vec<u8>)>,
    /// Added to the clock that the answer is dated by.
    pub date_shift_s: i64,
    /// Put over the right headers. An empty text leaves one out.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The answer breaks off in its middle, and the connection ends.
    pub cut: bool,
    /// How much longer the answer takes.
    pub delay: Duration,
}

/// Says what goes wrong and when.
pub type Script = Box<dyn Fn(&Asked) -> Option<Twist> + Send + Sync>;

/// When a refresh token ends for which a new one was given.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldTokens {
    /// As Strava says. Who is killed before the new one has come has lost both.
    #[default]
    EndAtOnce,
    /// Once the new tokens are used, so that only who uses them before they are kept can lose them.
    EndWithUse,
}

pub struct Config {
    pub port: u16,
    pub limits: Limits,
    pub token_lifetime: Duration,
    pub old_tokens: OldTokens,
    pub client_id: String,
    pub client_secret: String,
    /// Added to this machine's clock.
    pub clock_offset_s: i64,
    /// Pages come shorter than asked, as Strava warns that they may: a short one is not the last.
    pub short_pages: bool,
    /// Every answer takes this long.
    pub latency: Duration,
    pub hook: Option<Hook>,
    pub script: Option<Script>,
    pub scenario: Scenario,
    /// Every request is written here once it is answered, as a line of JSON.
    pub requests_file: Option<std::fs::File>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            port: 0,
            limits: Limits::default(),
            token_lifetime: Duration::from_secs(21_600),
            old_tokens: OldTokens::default(),
            client_id: "longrun".to_string(),
            client_secret: "emulated-secret".to_string(),
            clock_offset_s: 0,
            short_pages: false,
            latency: Duration::ZERO,
            hook: None,
            script: None,
            scenario: Scenario::default(),
            requests_file: None,
        }
    }
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Logged {
    pub path_and_query: String,
    pub athlete: Option<u64>,
    pub status: u16,
}

/// A running emulator. It ends when this is dropped.
pub struct Emulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    config: Config,
    history: Box<dyn History>,
    athletes: Vec<Athlete>,
    begin: Instant,
    requests: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    limits: Limits,
    usage: Usage,
    course: Course,
    /// Access token to athlete and end, unix seconds.
    access: HashMap<String, (usize, i64)>,
    refresh: HashMap<String, usize>,
    issued: u64,
    /// What athletes granted who did not grant everything.
    scopes: HashMap<usize, String>,
    /// Codes that were given and not used yet, each with whose it is; and those that were used.
    codes: HashMap<String, usize>,
    used_codes: HashSet<String>,
    log: Vec<Logged>,
    /// Answers to give instead of the right one: a part of the path, status and body.
    planted: VecDeque<(String, u16, Vec<u8>)>,
    changes: Changes,
}

impl Emulator {
    pub fn start(config: Config, history: Box<dyn History>) -> Result<Emulator> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(Error::io("listen on", format!("127.0.0.1:{}", config.port)))?;
        let address = listener.local_addr().map_err(Error::io("listen on", "127.0.0.1"))?;
        let athletes = history.athletes();
        let mut inner = Inner { limits: config.limits, ..Inner::default() };
        inner.begin(&config.scenario, &athletes, &*history)?;
        let shared = Arc::new(Shared {
            config,
            history,
            athletes,
            begin: Instant::now(),
            requests: AtomicU64::new(0),
            inner: Mutex::new(inner),
        });
        let (stop, stopped) = oneshot::channel();
        let app = Router::new()
            .merge(oauth::routes())
            .merge(activities::routes())
            .merge(more::routes())
            .fallback(nowhere)
            .method_not_allowed_fallback(nowhere)
            .layer(axum::middleware::from_fn_with_state(shared.clone(), write_down))
            .with_state(shared.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::io("start", "the emulator"))?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let listener =
                    tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
                let done = async {
                    let _ = stopped.await;
                };
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => served.expect("loopback serves"),
                    () = done => {}
                }
            });
        });
        Ok(Emulator { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the API is.
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    /// Where tokens are given.
    pub fn oauth_url(&self) -> String {
        format!("http://{}/oauth", self.address)
    }

    /// Issues tokens for everybody.
    pub fn accounts(&self) -> Vec<Account> {
        let mut inner = self.shared.lock();
        let now_s = self.shared.now_s();
        let issue = |(number, athlete): (usize, &Athlete)| {
            let grant = inner.issue(number, now_s, &self.shared.config);
            Account {
                source: strava::SOURCE.to_string(),
                user_id: athlete.user_id.clone(),
                account_id: athlete.id.to_string(),
                access_token: Secret::new(grant.access_token),
                refresh_token: Secret::new(grant.refresh_token),
                expires_at: grant.expires_at,
                scope: Some(inner.scope(number).to_string()),
            }
        };
        self.shared.athletes.iter().enumerate().map(issue).collect()
    }

    /// What was asked so far, tokens aside.
    pub fn log(&self) -> Vec<Logged> {
        self.shared.lock().log.clone()
    }

    /// Requests that somebody else makes with the same application: the live pipeline.
    pub fn spend(&self, requests: u32) {
        let now_s = self.shared.now_s();
        self.shared.lock().spend(now_s, requests);
    }

    /// Gives this answer to the next request whose path and query contain `part`.
    pub fn plant(&self, part: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.shared.lock().planted.push_back((part.to_string(), status, body.into()));
    }

    /// Deletes an activity, as its athlete would.
    pub fn delete(&self, id: &str) {
        self.shared.lock().changes.delete(id);
    }

    /// Brings a deleted activity back.
    pub fn restore(&self, id: &str) {
        self.shared.lock().changes.restore(id);
    }

    /// Edits an activity, as its athlete would: these fields of its line and its detail.
    pub fn edit(&self, id: &str, fields: serde_json::Value) {
        self.shared.lock().changes.edit(id, fields);
    }

    /// Makes an activity one that only its athlete sees, or everybody again.
    pub fn set_private(&self, id: &str, is_private: bool) {
        self.shared.lock().changes.set_private(id, is_private);
    }

    /// Lets an athlete grant this from now on, as one does who connects again with other boxes ticked.
    pub fn grant(&self, user_id: &str, scope: &str) {
        let athlete = self.shared.athletes.iter().position(|athlete| athlete.user_id == user_id);
        let athlete = athlete.expect("a user of this emulator");
        self.shared.lock().scopes.insert(athlete, scope.to_string());
    }

    /// How many tokens of a user work.
    pub fn tokens_of(&self, user_id: &str) -> usize {
        let inner = self.shared.lock();
        let is_theirs = |athlete: &usize| self.shared.athletes[*athlete].user_id == user_id;
        let access = inner.access.values().filter(|(athlete, _)| is_theirs(athlete)).count();
        access + inner.refresh.values().filter(|athlete| is_theirs(athlete)).count()
    }

    /// How often tokens were given, also to begin with.
    pub fn renewals(&self) -> u64 {
        self.shared.lock().issued
    }

    /// Ends all tokens of a user, as an athlete does who takes the access back at Strava.
    pub fn deauthorize(&self, user_id: &str) {
        self.shared.lock().end_tokens(|athlete| self.shared.athletes[athlete].user_id == user_id);
    }

    /// Makes every access token given so far invalid, as an athlete does who disconnects.
    pub fn revoke_access(&self) {
        self.shared.lock().access.clear();
    }

    /// Makes every access token invalid but the last one of each athlete.
    pub fn revoke_older_access(&self) {
        let mut inner = self.shared.lock();
        let mut last: HashMap<usize, u64> = HashMap::new();
        for (token, (athlete, _)) in &inner.access {
            let last = last.entry(*athlete).or_default();
            *last = oauth::number(token).max(*last);
        }
        inner.access.retain(|token, (athlete, _)| Some(oauth::number(token)) == last.get(athlete).copied());
    }

    /// Makes every refresh token given so far invalid.
    pub fn revoke_refresh(&self) {
        self.shared.lock().refresh.clear();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no handler panics while it holds this")
    }

    fn now_s(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since.as_secs() as i64 + self.config.clock_offset_s
    }

    fn twist(&self, number: u64, path_and_query: &str) -> Twist {
        let asked = Asked { number, path_and_query, elapsed: self.begin.elapsed() };
        let scripted = self.config.script.as_ref().and_then(|script| script(&asked));
        scripted.unwrap_or_else(|| self.lock().course.twist(&self.config.scenario, &asked))
    }

    /// Counts a request, and lets it in or says why not. It is counted and logged when it comes, also if whoever sent it
    /// does not wait for the answer.
    async fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<Admitted, Response<Body>> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let path_and_query = uri.path_and_query().map_or_else(String::new, ToString::to_string);
        if let Some(hook) = &self.config.hook {
            hook(number, &path_and_query);
        }
        let twist = self.twist(number, &path_and_query);
        let pause = self.config.latency + twist.delay;
        let Judged { refusal, athlete, mut answer } = self.judge(number, path_and_query, headers, twist);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        answer.date_s += self.now_s();
        match (refusal, athlete) {
            (None, Some(athlete)) => Ok(Admitted { athlete, answer }),
            (refusal, _) => {
                let (status, body) = refusal.expect("who is not let in is refused");
                Err(answer.with(status, body))
            }
        }
    }

    /// Counts and logs a request, and finds whose it is, or why it is refused. The date of the answer is by how much it
    /// is to be wrong.
    fn judge(&self, number: u64, path_and_query: String, headers: &HeaderMap, twist: Twist) -> Judged {
        let now_s = self.now_s();
        let mut inner = self.lock();
        inner.go_on(&self.config.scenario, number, self.begin.elapsed(), now_s);
        let over = inner.spend(now_s, 1);
        let rate = inner.usage.headers(&inner.limits);
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let athlete = token
            .and_then(|token| inner.access.get(token))
            .and_then(|(athlete, end_s)| (*end_s > now_s).then_some(*athlete));
        if let Some((athlete, token)) = athlete.zip(token) {
            inner.used(athlete, token);
        }
        let planted = inner.planted.iter().position(|(part, _, _)| path_and_query.contains(part.as_str()));
        let planted = planted.and_then(|at| inner.planted.remove(at));
        let planted = planted.map(|(_, status, body)| (status, body)).or(twist.instead);
        let refusal = if planted.is_some() && over.is_none() {
            planted
        } else if let Some(field) = over {
            Some((429, fault("Rate Limit Exceeded", "Application", field, "exceeded")))
        } else if athlete.is_none() {
            Some((401, fault("Authorization Error", "Athlete", "access_token", "invalid")))
        } else if athlete.is_some_and(|athlete| !inner.scope(athlete).contains("activity:read"))
            && path_and_query.contains("/activities")
        {
            Some((401, fault("Authorization Error", "AccessToken", "activity:read_permission", "missing")))
        } else {
            None
        };
        inner.log.push(Logged {
            path_and_query,
            athlete: athlete.map(|number| self.athletes[number].id),
            status: refusal.as_ref().map_or(200, |(status, _)| *status),
        });
        let answer =
            Answer { date_s: twist.date_shift_s, rate: Some(rate), headers: twist.headers, cut: twist.cut };
        Judged { refusal, athlete, answer }
    }
}

impl Inner {
    /// Counts requests of whoever it is. Says which limit they are over, in the word of the 429's body.
    fn spend(&mut self, now_s: i64, requests: u32) -> Option<&'static str> {
        self.usage.count(&self.limits, now_s, requests)
    }

    fn end_tokens(&mut self, is_theirs: impl Fn(usize) -> bool) {
        self.access.retain(|_, (athlete, _)| !is_theirs(*athlete));
        self.refresh.retain(|_, athlete| !is_theirs(*athlete));
    }
}

/// Writes a request down with the status of its answer.
async fn write_down(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response<Body> {
    let Some(mut file) = shared.config.requests_file.as_ref() else { return next.run(request).await };
    let (method, uri) = (request.method().to_string(), request.uri().to_string());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let line = serde_json::json!({"method": method, "path": uri, "status": status});
    if let Err(e) = file.write_all(format!("{line}\n").as_bytes()) {
        tracing::warn!("a request could not be written down: {e}");
    }
    response
}

/// What Strava says where there is nothing. Without a token nobody knows whose call it is.
async fn nowhere(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Served {
    let words = fault("Record Not Found", "resource", "path", "invalid");
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(oauth::plain(&shared, 404, words));
    }
    Ok(shared.admit(&uri, &headers).await?.answer.with(404, words))
}

/// What is known of a request when it comes.
struct Judged {
    refusal: Option<(u16, Vec<u8>)>,
    athlete: Option<usize>,
    answer: Answer,
}

/// A request that may be answered.
struct Admitted {
    athlete: usize,
    answer: Answer,
}

/// An answer, or the refusal of who was not let in.
type Served = Result<Response<Body>, Response<Body>>;
