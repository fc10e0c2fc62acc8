//! How a run goes, for Prometheus: every account, the rate windows, and what was done.
//!
//! The numbers are worked out when somebody asks, by the run itself and between two of its steps, so they cost nothing
//! while nobody does. A thread of its own talks to who asks.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::Summary;
use super::budget::Budget;
use super::scheduler::Scheduler;
use crate::error::{Error, Result};
use crate::sources::strava::endpoints;

/// Who asks gets the numbers from before if the run does not come to it within this time.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a request may have before its empty line.
const MAX_HEAD_BYTES: usize = 8 << 10;

/// Between a run and those who ask how it goes.
#[derive(Debug, Default)]
pub struct Metrics {
    said: Mutex<Said>,
    is_said: Condvar,
    asked: Notify,
}

#[derive(Debug, Default)]
struct Said {
    text: String,
    times: u64,
}

impl Metrics {
    /// Answers who asked.
    pub fn say(&self, text: String) {
        let mut said = self.said.lock().expect("nobody panics while holding it");
        said.text = text;
        said.times += 1;
        self.is_said.notify_all();
    }

    fn ask(&self) -> String {
        let said = self.said.lock().expect("nobody panics while holding it");
        let times = said.times;
        self.asked.notify_one();
        let waited = self.is_said.wait_timeout_while(said, PATIENCE, |said| said.times == times);
        waited.expect("nobody panics while holding it").0.text.clone()
    }
}

/// Returns when somebody asks how it goes: never, where nobody can.
pub async fn asked(metrics: Option<&Metrics>) {
    match metrics {
        Some(metrics) => metrics.asked.notified().await,
        None => std::future::pending().await,
    }
}

/// Answers `GET /metrics` until it is dropped.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(address: SocketAddr, metrics: Arc<Metrics>) -> Result<Server> {
        let listener = TcpListener::bind(address).map_err(Error::io("listen on", address.to_string()))?;
        let address = listener.local_addr().map_err(Error::io("listen on", address.to_string()))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever went away in the middle gets nothing.
                let _ = stream.and_then(|stream| answer(stream, &metrics));
            }
        });
        Ok(Server { address, is_over, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // It waits for somebody to come.
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(if own.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() });
        }
        let has_come = TcpStream::connect_timeout(&own, Duration::from_secs(1)).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| has_come) {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, metrics: &Metrics) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut head = Vec::new();
    let mut some = [0; 1_024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let length = stream.read(&mut some)?;
        if length == 0 || head.len() > MAX_HEAD_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&some[..length]);
    }
    let is_ours = head.starts_with(b"GET /metrics ") || head.starts_with(b"GET / ");
    let (status, text) =
        if is_ours { ("200 OK", metrics.ask()) } else { ("404 Not Found", "ask for /metrics\n".to_string()) };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
}

/// What is written of a run, in the text format of Prometheus.
pub struct Page(String);

impl Page {
    /// `waits_until_s` is when the next call may be sent, while one is waited for.
    pub fn of(scheduler: &Scheduler, summary: &Summary, now_ms: i64, waits_until_s: Option<i64>) -> String {
        let mut page = Page(String::new());
        page.done(scheduler, summary);
        page.budget(&scheduler.budget);
        let room = scheduler.budget.room(now_ms);
        let done_s = room.done_s(scheduler.left(), now_ms.div_euclid(1_000)).unwrap_or(0);
        page.one("longrun_calls_owed", "Calls that are still owed, as far as is known.", scheduler.left());
        page.one("longrun_done_timestamp_seconds", "When the last of them fits; 0 for never.", done_s);
        let waits = "Until when a call is waited for; 0 while none is.";
        page.one("longrun_waits_until_timestamp_seconds", waits, waits_until_s.unwrap_or(0));
        page.accounts(scheduler);
        page.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, if name.ends_with("_total") { "counter" } else { "gauge" }, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn done(&mut self, scheduler: &Scheduler, summary: &Summary) {
        self.head("longrun_calls_total", "counter", "Calls that were made, by kind.");
        for kind in endpoints::ALL.iter().map(|endpoint| endpoint.kind) {
            let calls = summary.calls.get(kind).copied().unwrap_or(0);
            let _ = writeln!(self.0, "longrun_calls_total{{kind=\"{kind}\"}} {calls}");
        }
        let counts = [
            ("longrun_retries_total", "Calls that repeated one before.", scheduler.retries),
            (
                "longrun_refused_for_rate_total",
                "Calls that were refused for the rate.",
                summary.over_the_limit,
            ),
            ("longrun_outages_total", "Times that the API did not answer well.", scheduler.outages),
            ("longrun_set_aside_total", "Things that were refused.", summary.parked),
            ("longrun_token_refreshes_total", "Tokens that were renewed.", summary.token_refreshes),
            ("longrun_landed_bytes_total", "Bytes of answers that were kept.", summary.landed_bytes),
        ];
        for (name, help, count) in counts {
            self.one(name, help, count);
        }
    }

    fn budget(&mut self, budget: &Budget) {
        type Of = fn(&crate::store::state::rates::Window) -> u32;
        let each: [(&str, &str, Of); 2] = [
            ("longrun_rate_limit", "Calls that fit into a rate window.", |window| window.limit),
            ("longrun_rate_used", "Calls that were counted in it.", |window| window.used),
        ];
        for (name, help, of) in each {
            self.head(name, "gauge", help);
            for (pair, windows) in [("overall", &budget.overall), ("read", &budget.read)] {
                for (window, counts) in [("short", &windows.short), ("day", &windows.day)] {
                    let _ = writeln!(self.0, "{name}{{pair=\"{pair}\",window=\"{window}\"}} {}", of(counts));
                }
            }
        }
    }

    fn accounts(&mut self, scheduler: &Scheduler) {
        type Of = fn(&super::account::Work, &Scheduler) -> i64;
        let each: [(&str, &str, Of); 6] = [
            (
                "longrun_account_fresh_timestamp_seconds",
                "The list is as fresh as that; 0 for never.",
                |work, _| work.progress.walked_at().map_or(0, Timestamp::as_second),
            ),
            ("longrun_account_activities", "Activities that are there.", |work, _| {
                work.progress.activities() as i64
            }),
            ("longrun_account_gone", "Activities that are there no more.", |work, _| {
                work.progress.gone_count() as i64
            }),
            ("longrun_account_calls_owed", "Calls that are still owed.", |work, scheduler| {
                work.left(&scheduler.wanted) as i64
            }),
            (
                "longrun_account_set_aside",
                "Things that were refused and are tried again another day.",
                |work, _| work.parked_count() as i64,
            ),
            ("longrun_account_given_up", "Whether nothing more is asked of it in this run.", |work, _| {
                i64::from(work.is_given_up())
            }),
        ];
        for (name, help, of) in each {
            self.head(name, "gauge", help);
            for work in scheduler.accounts() {
                let user = escaped(&work.account.user_id);
                let _ = writeln!(self.0, "{name}{{user=\"{user}\"}} {}", of(work, scheduler));
            }
        }
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
