//! A scenario: what goes wrong with answers, what athletes change, and what else spends the limits, as a file says it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Athlete, History, Inner, Limits, OldTokens, Twist};
use crate::error::{Error, Result};

/// The hours of a day, in UTC.
const HOURS: usize = 24;

/// A file of one, in TOML. What it leaves out is as Strava is in fair weather.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Of what is left to chance.
    seed: u64,
    /// Added to the clock of this machine.
    pub clock_offset_s: i64,
    latency_ms: u64,
    /// `end_at_once` or `end_with_use`.
    pub old_tokens: OldTokens,
    /// What users granted, where that is not everything.
    scopes: BTreeMap<String, String>,
    /// Requests that somebody else makes with the same application: in an hour, or in each of the 24 hours of a day.
    live_per_hour: PerHour,
    fault: Vec<Fault>,
    change: Vec<Change>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum PerHour {
    Always(f64),
    Of(Vec<f64>),
}

impl Default for PerHour {
    fn default() -> Self {
        PerHour::Always(0.0)
    }
}

impl PerHour {
    fn at(&self, time_s: i64) -> f64 {
        match self {
            PerHour::Always(requests) => *requests,
            PerHour::Of(hours) => hours[time_s.div_euclid(3_600).rem_euclid(HOURS as i64) as usize],
        }
    }

    fn is_sound(&self) -> bool {
        let is_count = |requests: &f64| requests.is_finite() && *requests >= 0.0;
        match self {
            PerHour::Always(requests) => is_count(requests),
            PerHour::Of(hours) => hours.len() == HOURS && hours.iter().all(is_count),
        }
    }
}

/// What is wrong with some answers. The first fault that fits a request is the one that shows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fault {
    /// A part of the path and query; of tokens it is `/oauth/token`. Without one, any request to the API.
    path: String,
    /// Of the requests that fit, by chance.
    share: f64,
    /// Of the requests that fit, each that has such a number.
    every: u64,
    /// The numbers of requests to the API, from 1; tokens have none.
    from_request: u64,
    to_request: Option<u64>,
    /// Seconds since the emulator began.
    from_s: f64,
    to_s: Option<f64>,
    /// At most so often.
    times: Option<u64>,
    status: Option<u16>,
    body: Option<String>,
    headers: BTreeMap<String, String>,
    date_shift_s: i64,
    delay_ms: u64,
    cut: bool,
}

impl Default for Fault {
    fn default() -> Self {
        Fault {
            path: String::new(),
            share: 1.0,
            every: 1,
            from_request: 0,
            to_request: None,
            from_s: 0.0,
            to_s: None,
            times: None,
            status: None,
            body: None,
            headers: BTreeMap::new(),
            date_shift_s: 0,
            delay_ms: 0,
            cut: false,
        }
    }
}

impl Fault {
    /// Whether a request is one of those that it may show with.
    fn fits(&self, asked: &Asked) -> bool {
        let elapsed_s = asked.elapsed.as_secs_f64();
        let is_token = asked.number == 0;
        let is_named =
            if self.path.is_empty() { !is_token } else { asked.path_and_query.contains(&self.path) };
        is_named
            && (is_token
                || asked.number >= self.from_request && self.to_request.is_none_or(|to| asked.number <= to))
            && elapsed_s >= self.from_s
            && self.to_s.is_none_or(|to| elapsed_s < to)
    }

    fn twist(&self) -> Twist {
        let instead = self.status.map(|status| {
            let body = self.body.clone().unwrap_or_else(|| {
                let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
                json!({"message": reason.unwrap_or("Error"), "errors": []}).to_string()
            });
            (status, body.into_bytes())
        });
        Twist {
            instead,
            date_shift_s: self.date_shift_s,
            headers: self.headers.iter().map(|(name, value)| (name.clone().into(), value.clone())).collect(),
            delay: Duration::from_millis(self.delay_ms),
            cut: self.cut,
        }
    }

    fn wrong(&self) -> Option<String> {
        let is_header = |(name, value): (&String, &String)| {
            HeaderName::try_from(name.as_str()).is_ok() && HeaderValue::try_from(value.as_str()).is_ok()
        };
        if self.status.is_some_and(|status| !(200..600).contains(&status)) {
            return Some("a status lies between 200 and 599".to_string());
        }
        if self.body.is_some() && self.status.is_none() {
            return Some("a body needs a status".to_string());
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Some("a share lies between 0 and 1".to_string());
        }
        if self.every == 0 {
            return Some("every begins at 1".to_string());
        }
        self.headers.iter().find(|header| !is_header(*header)).map(|(name, _)| format!("{name} is no header"))
    }
}

/// What becomes of a part of an athlete's history, or of the application, at a time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    r#do: What,
    /// After so many requests to the API.
    #[serde(default)]
    after_requests: u64,
    /// So many seconds after the emulator began.
    #[serde(default)]
    after_s: f64,
    /// Of whom; of everybody where nobody is named.
    user: Option<String>,
    /// Which activities; otherwise a share of all.
    #[serde(default)]
    ids: Vec<String>,
    share: Option<f64>,
    /// Of an edit.
    fields: Option<Value>,
    /// Of a crop: the share that is left.
    keep: Option<f64>,
    /// Overall short and day, read short and day.
    limits: Option<[u32; 4]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Edit,
    Crop,
    Delete,
    Restore,
    Private,
    Public,
    /// Not there before, whatever its date.
    Upload,
    /// The athlete takes the access back.
    Deauthorize,
    Limits,
}

/// A change, with what it is of.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Edit(Value),
    Crop(f64),
    Delete,
    Restore,
    Private(bool),
    Deauthorize(Vec<usize>),
    Limits([u32; 4]),
}

#[derive(Debug)]
struct Due {
    after_requests: u64,
    after: Duration,
    ids: Vec<String>,
    act: Act,
}

/// How far a scenario is.
#[derive(Debug, Default)]
pub(super) struct Course {
    rng: Option<Pcg64Mcg>,
    /// Of each fault, the requests that fitted it, and those that it showed with.
    faults: Vec<(u64, u64)>,
    due: Vec<Due>,
    /// Until when the others' requests are counted, and what is left of one.
    live: Option<(i64, f64)>,
}

impl Scenario {
    pub fn open(path: &Path) -> Result<Scenario> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Scenario::parse(&text).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))
    }

    fn parse(text: &str) -> Result<Scenario, String> {
        let scenario: Scenario = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            format!("line {line}: {}", e.message())
        })?;
        if !scenario.live_per_hour.is_sound() {
            return Err(format!("live_per_hour is a number, or {HOURS} of them"));
        }
        let wrong = |fault: &Fault| fault.wrong();
        match scenario.fault.iter().enumerate().find_map(|(at, fault)| Some((at, wrong(fault)?))) {
            Some((at, wrong)) => Err(format!("fault {}: {wrong}", at + 1)),
            None => Ok(scenario),
        }
    }

    pub fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms)
    }
}

impl Course {
    /// What is wrong with the answer to a request.
    pub(super) fn twist(&mut self, scenario: &Scenario, asked: &Asked) -> Twist {
        for (fault, (fitted, shown)) in scenario.fault.iter().zip(&mut self.faults) {
            if !fault.fits(asked) {
                continue;
            }
            *fitted += 1;
            let rng = self.rng.get_or_insert_with(|| Pcg64Mcg::seed_from_u64(scenario.seed));
            let is_drawn = fault.share >= 1.0 || rng.random::<f64>() < fault.share;
            if is_drawn
                && fitted.is_multiple_of(fault.every)
                && fault.times.is_none_or(|times| *shown < times)
            {
                *shown += 1;
                return fault.twist();
            }
        }
        Twist::default()
    }
}

impl Inner {
    pub(super) fn begin(
        &mut self,
        scenario: &Scenario,
        athletes: &[Athlete],
        history: &dyn History,
    ) -> Result<()> {
        let who = |user: &str| {
            let at = athletes.iter().position(|athlete| athlete.user_id == user);
            at.ok_or_else(|| {
                Error::Usage(format!("the scenario names {user}, and there is nobody of that name"))
            })
        };
        for (user, scope) in &scenario.scopes {
            self.scopes.insert(who(user)?, scope.clone());
        }
        self.course.faults = vec![(0, 0); scenario.fault.len()];
        let mut rng = Pcg64Mcg::seed_from_u64(scenario.seed ^ 1);
        for (at, change) in scenario.change.iter().enumerate() {
            let wrong = |what: String| Error::Usage(format!("change {} of the scenario: {what}", at + 1));
            let users = match &change.user {
                Some(user) => vec![who(user)?],
                None => (0..athletes.len()).collect(),
            };
            let ids = change.ids_of(&users, history, &mut rng).map_err(wrong)?;
            let act = change.act(users).map_err(wrong)?;
            if change.r#do == What::Upload {
                ids.iter().for_each(|id| self.changes.delete(id));
            }
            let after = Duration::try_from_secs_f64(change.after_s);
            let after = after.map_err(|_| wrong("after_s is no number of seconds".to_string()))?;
            self.course.due.push(Due { after_requests: change.after_requests, after, ids, act });
        }
        Ok(())
    }

    /// Brings everything up to the time of a request.
    pub(super) fn go_on(&mut self, scenario: &Scenario, number: u64, elapsed: Duration, now_s: i64) {
        let is_due = |due: &mut Due| number > due.after_requests && elapsed >= due.after;
        let due: Vec<Due> = self.course.due.extract_if(.., is_due).collect();
        for Due { ids, act, .. } in due {
            self.act(&ids, &act);
        }
        let (mut time_s, mut left) = self.course.live.unwrap_or((now_s, 0.0));
        // What was made before the running day is in no window.
        time_s = time_s.max(now_s - i64::from(self.limits.day_s));
        while time_s < now_s {
            let next_s = (time_s.div_euclid(60) + 1) * 60;
            let until_s = next_s.min(now_s);
            left += scenario.live_per_hour.at(time_s) * (until_s - time_s) as f64 / 3_600.0;
            self.spend(time_s, left.floor() as u32);
            (time_s, left) = (until_s, left.fract());
        }
        self.course.live = Some((time_s, left));
    }

    fn act(&mut self, ids: &[String], act: &Act) {
        match act {
            Act::Edit(fields) => ids.iter().for_each(|id| self.changes.edit(id, fields.clone())),
            Act::Crop(keep) => ids.iter().for_each(|id| self.changes.crop(id, *keep)),
            Act::Delete => ids.iter().for_each(|id| self.changes.delete(id)),
            Act::Restore => ids.iter().for_each(|id| self.changes.restore(id)),
            Act::Private(is_private) => ids.iter().for_each(|id| self.changes.set_private(id, *is_private)),
            Act::Deauthorize(athletes) => self.end_tokens(|athlete| athletes.contains(&athlete)),
            Act::Limits([overall_short, overall_day, read_short, read_day]) => {
                self.limits = Limits {
                    overall_short: *overall_short,
                    overall_day: *overall_day,
                    read_short: *read_short,
                    read_day: *read_day,
                    ..self.limits
                };
            }
        }
    }
}

impl Change {
    /// The activities that it is of.
    fn ids_of(
        &self,
        users: &[usize],
        history: &dyn History,
        rng: &mut Pcg64Mcg,
    ) -> Result<Vec<String>, String> {
        let theirs = || users.iter().flat_map(|user| history.entries(*user)).map(|entry| entry.id.clone());
        if matches!(self.r#do, What::Deauthorize | What::Limits) {
            return Ok(Vec::new());
        }
        match (self.share, self.ids.is_empty()) {
            (Some(share), true) if (0.0..=1.0).contains(&share) => {
                Ok(theirs().filter(|_| rng.random::<f64>() < share).collect())
            }
            (None, false) => {
                let there: HashSet<String> = theirs().collect();
                match self.ids.iter().find(|id| !there.contains(*id)) {
                    Some(id) => Err(format!("there is no activity {id}")),
                    None => Ok(self.ids.clone()),
                }
            }
            _ => Err("it needs ids, or a share between 0 and 1".to_string()),
        }
    }

    fn act(&self, users: Vec<usize>) -> Result<Act, String> {
        let lacks = |what: &str| format!("it needs {what}");
        Ok(match self.r#do {
            What::Edit => match &self.fields {
                Some(fields @ Value::Object(_)) => Act::Edit(fields.clone()),
                _ => return Err(lacks("fields, a table")),
            },
            What::Crop => match self.keep {
                Some(keep) if keep > 0.0 && keep < 1.0 => Act::Crop(keep),
                _ => return Err(lacks("keep, a share between 0 and 1")),
            },
            What::Delete => Act::Delete,
            What::Restore | What::Upload => Act::Restore,
            What::Private => Act::Private(true),
            What::Public => Act::Private(false),
            What::Deauthorize => Act::Deauthorize(users),
            What::Limits => Act::Limits(self.limits.ok_or_else(|| lacks("limits, four numbers"))?),
        })
    }
}
