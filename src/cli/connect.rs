//! `longrun connect strava`

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use clap::Subcommand;
use rand::RngExt;
use reqwest::Url;

use super::fetch::Api;
use super::output::say;
use super::{Context, Exit};
use crate::error::{Error, Result};
use crate::fetch::client::NoGrant;
use crate::http;
use crate::sources::strava::{self, scope};
use crate::store::state::accounts::{Account, Accounts, Replace};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Print the page where the athlete gives consent, and wait on a loopback port for it
    Strava {
        #[command(flatten)]
        api: Api,
        /// The person, as you number them
        #[arg(long, value_name = "ID")]
        user: String,
        /// The loopback port that the browser is sent back to; 0 takes a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let Source::Strava { api, user, port } = args.source;
    let app = api.app().ok_or_else(|| {
        Error::Usage(
            "the application's id and secret are needed: set LONGRUN_STRAVA_CLIENT_ID and LONGRUN_STRAVA_CLIENT_SECRET \
             (from https://www.strava.com/settings/api)"
                .to_string(),
        )
    })?;
    let client = api.client()?;
    let mut accounts = Accounts::open(&context.open_or_create()?)?;
    // Before an athlete is asked for a consent that nothing could be kept of.
    if let Some(reason) = accounts.why_no_new_tokens()? {
        return Err(Error::Usage(reason.to_string()));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(Error::io("listen on", format!("127.0.0.1:{port}")))?;
    let address = listener.local_addr().map_err(Error::io("listen on", "127.0.0.1"))?;
    let state = format!("{:032x}", rand::rng().random::<u128>());
    say!("open this page in a browser, as the athlete:");
    super::output::print(&client.consent_page(&app.client_id, &format!("http://{address}/"), &state))?;
    let Consent { code, scope } = wait_for_consent(&listener, &state)?;
    let grant = http::block_on(client.exchange(&app, &code))?.map_err(|e| match e {
        NoGrant::Refused(reason) => Error::Remote(format!("strava refuses to give tokens ({reason})")),
        NoGrant::Trouble { reason, .. } => {
            Error::Remote(format!("no tokens came: {reason}; run the same command again"))
        }
    })?;
    let expires_at = grant.ends_at(jiff::Timestamp::now().as_second());
    let (Some(access_token), Some(refresh_token), Some(athlete_id)) =
        (grant.access_token, grant.refresh_token, grant.athlete_id)
    else {
        return Err(Error::Remote(
            "strava's answer lacks a token, or the athlete whose they are; run the same command again"
                .to_string(),
        ));
    };
    let account = Account {
        source: strava::SOURCE.to_string(),
        user_id: user,
        account_id: athlete_id.to_string(),
        access_token,
        refresh_token,
        expires_at,
        scope: Some(scope).filter(|scope| !scope.is_empty()),
    };
    accounts.add(std::slice::from_ref(&account), Replace::Any)?;
    if let Some(lack) = account.scope.as_deref().and_then(scope::lack) {
        say!("{lack}");
    }
    say!("connected strava athlete {} as user {}", account.account_id, account.user_id);
    Ok(Exit::Done)
}

/// What the browser comes back with.
struct Consent {
    code: String,
    /// What the athlete granted, with commas between.
    scope: String,
}

/// Waits until the browser comes back with a code for our own question.
fn wait_for_consent(listener: &TcpListener, state: &str) -> Result<Consent> {
    loop {
        let (stream, _) = listener.accept().map_err(Error::io("listen on", "127.0.0.1"))?;
        // Browsers ask for icons and open spare connections; those are not it.
        if let Some(answer) = read_answer(stream, state) {
            return answer;
        }
    }
}

fn read_answer(mut stream: TcpStream, state: &str) -> Option<Result<Consent>> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut request = BufReader::new(std::io::Read::take(&stream, 64 << 10));
    let mut line = String::new();
    request.read_line(&mut line).ok()?;
    // To the end of the head: a browser that is answered while it speaks sees a broken connection.
    let mut header = String::from("any");
    while !header.trim().is_empty() {
        header.clear();
        request.read_line(&mut header).ok()?;
    }
    let target = line.split_whitespace().nth(1)?;
    let url = Url::parse("http://127.0.0.1").ok()?.join(target).ok()?;
    let word =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let answer = match (word("state"), word("code"), word("error")) {
        (Some(said), Some(code), None) if said == state => {
            Ok(Consent { code, scope: word("scope").unwrap_or_default() })
        }
        (Some(said), _, Some(error)) if said == state => {
            Err(Error::Remote(format!("the athlete did not give consent ({error})")))
        }
        _ => {
            let _ =
                stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return None;
        }
    };
    let text = if answer.is_ok() { "Connected. You can close this page." } else { "No consent was given." };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    let _ = stream.write_all(format!("{head}{text}").as_bytes());
    Some(answer)
}
