//! Google's object store as far as longrun uses it, in memory: generations, conditions on them, listings in pages, and
//! faults before and after a write.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::sync::oneshot;

pub const BUCKET: &str = "people";
const PAGE: usize = 40;

/// What happens to every so manieth put.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Refused with 503, and nothing is written.
    pub before: Option<u64>,
    /// Written, and then answered with 503.
    pub after: Option<u64>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, (u64, Bytes)>,
    generation: u64,
    puts: u64,
    faults: Faults,
}

pub struct Gcs {
    pub port: u16,
    inner: Arc<Mutex<Inner>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Gcs {
    pub fn start(faults: Faults) -> Gcs {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Mutex::new(Inner { faults, ..Inner::default() }));
        let app = Router::new()
            .route("/{bucket}", any(list))
            .route("/{bucket}/", any(list))
            .route("/{bucket}/{*name}", any(object))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(inner.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Gcs { port, inner, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A service account without rights to prove.
    pub fn account(&self) -> String {
        let account = serde_json::json!({
            "gcs_base_url": self.url(), "disable_oauth": true, "client_email": "test", "private_key": "longrun-test-s3cret",
            "private_key_id": "",
        });
        account.to_string()
    }

    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let inner = self.inner.lock().unwrap();
        inner.objects.iter().map(|(name, (_, bytes))| (name.clone(), bytes.to_vec())).collect()
    }

    pub fn objects(&self) -> Vec<String> {
        self.contents().into_iter().map(|(name, _)| name).collect()
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        self.thread.take().map(std::thread::JoinHandle::join).transpose().unwrap();
    }
}

type Shared = State<Arc<Mutex<Inner>>>;

fn answer(status: StatusCode, code: &str) -> Response {
    (status, format!("<?xml version='1.0'?><Error><Code>{code}</Code></Error>")).into_response()
}

async fn object(
    State(shared): Shared,
    Path((bucket, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = shared.lock().unwrap();
    if bucket != BUCKET {
        return answer(StatusCode::NOT_FOUND, "NoSuchBucket");
    }
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let there = inner.objects.get(&name).cloned();
    match method {
        Method::PUT => {
            inner.puts += 1;
            let is_due = |every: Option<u64>| every.is_some_and(|every| inner.puts.is_multiple_of(every));
            if is_due(inner.faults.before) {
                return answer(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
            }
            let generation = there.map_or(0, |(generation, _)| generation);
            if number("x-goog-if-generation-match").is_some_and(|wanted| wanted != generation) {
                return answer(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
            }
            let is_lost = is_due(inner.faults.after);
            inner.generation += 1;
            let generation = inner.generation;
            inner.objects.insert(name, (generation, body));
            if is_lost {
                return answer(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
            }
            described(generation, 0).body(axum::body::Body::empty()).unwrap()
        }
        Method::GET | Method::HEAD => {
            let Some((generation, bytes)) = there else { return answer(StatusCode::NOT_FOUND, "NoSuchKey") };
            let range = headers.get(header::RANGE).and_then(|range| {
                let (begin, end) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
                Some((begin.parse::<usize>().ok()?, end.parse::<usize>().ok()?))
            });
            match range {
                Some((begin, _)) if begin >= bytes.len() => {
                    answer(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange")
                }
                Some((begin, end)) => {
                    let end = (end + 1).min(bytes.len());
                    described(generation, end - begin)
                        .status(StatusCode::PARTIAL_CONTENT)
                        .header(header::CONTENT_RANGE, format!("bytes {begin}-{}/{}", end - 1, bytes.len()))
                        .body(bytes.slice(begin..end).into())
                        .unwrap()
                }
                None => described(generation, bytes.len()).body(bytes.into()).unwrap(),
            }
        }
        Method::DELETE => match inner.objects.remove(&name) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => answer(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

fn described(generation: u64, length: usize) -> axum::http::response::Builder {
    Response::builder()
        .header("x-goog-generation", generation)
        .header(header::ETAG, format!("\"{generation}\""))
        .header(header::LAST_MODIFIED, "Thu, 26 Nov 2026 00:00:00 GMT")
        .header(header::CONTENT_LENGTH, length)
}

async fn list(
    State(shared): Shared,
    Path(bucket): Path<String>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    if bucket != BUCKET {
        return answer(StatusCode::NOT_FOUND, "NoSuchBucket");
    }
    let inner = shared.lock().unwrap();
    let word = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let behind = word("continuation-token").max(word("start-after"));
    let prefix = word("prefix");
    let mut found =
        inner.objects.iter().filter(|(name, _)| name.starts_with(&prefix) && **name > behind).peekable();
    let mut page = String::new();
    let mut last = String::new();
    for (name, (generation, bytes)) in found.by_ref().take(PAGE) {
        page += &format!(
            "<Contents><Key>{name}</Key><LastModified>2026-11-26T00:00:00Z</LastModified>\
             <ETag>\"{generation}\"</ETag><Size>{}</Size></Contents>",
            bytes.len()
        );
        last.clone_from(name);
    }
    let next = match found.peek() {
        Some(_) => format!("<NextContinuationToken>{last}</NextContinuationToken>"),
        None => String::new(),
    };
    format!("<?xml version='1.0'?><ListBucketResult>{next}{page}</ListBucketResult>").into_response()
}
