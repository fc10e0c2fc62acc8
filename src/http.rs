//! The one door to the network: how every client of HTTP is set up, and what may be sent where.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Response, Url};

use crate::error::{Error, Result};

/// TLS for the whole process.
pub fn set_up_tls() {
    // Twice is no harm, and the process may have one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs what waits on the network.
pub fn block_on<F: Future>(future: F) -> Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(Error::io("start", "the network"))?.block_on(future))
}

/// How often an open connection of HTTP/2 is asked whether it still is one: unlike one of HTTP/1.1, it outlives a
/// request that got no answer.
const PING_EVERY: Duration = Duration::from_secs(20);

/// A client for these addresses, which waits so long for a whole answer. It keeps its connections, and speaks HTTP/2
/// where the other side offers that.
pub fn client(urls: &[Url], timeout: Duration) -> Result<reqwest::Client> {
    set_up_tls();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("longrun/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .timeout(timeout)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_EVERY)
        .http2_keep_alive_while_idle(true)
        // A redirect would carry the token somewhere else.
        .redirect(reqwest::redirect::Policy::none());
    if urls.iter().all(is_loopback) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|e| Error::Remote(format!("failed to set up HTTPS: {}", chain(&e))))
}

/// An address that secrets and people's activities may be sent to.
pub fn url(text: &str) -> Result<Url> {
    // What is no URL may be a secret in the wrong place.
    let url = Url::parse(text).map_err(|e| Error::Usage(format!("the address is not a URL: {e}")))?;
    // Over plain HTTP they would be everybody's.
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(Error::Usage(format!("{} must begin with https: tokens are sent there", shown(&url))));
    }
    Ok(url)
}

/// An address without what may be a secret: the query, and whoever it names.
pub fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Whether an address is of this machine.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

/// `Sat, 18 Oct 2025 23:40:56 GMT`
pub fn date_s(text: &str) -> Option<i64> {
    let broken_down = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", text).ok()?;
    Some(broken_down.to_datetime().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// The body of an answer, unless it is longer than it may be.
pub async fn body(mut response: Response, most_bytes: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| chain(&e.without_url()))? {
        if body.len() + chunk.len() > most_bytes {
            return Err(format!("the answer is longer than {most_bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error and what caused it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
