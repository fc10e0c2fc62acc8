//! `longrun doctor`

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::output::say;
use super::{Context, Exit, dedupe, fetch, output};
use crate::error::{Error, Result};
use crate::fitglue;
use crate::http;
use crate::normalize::Annotations;
use crate::sources::strava::scope;
use crate::store::dataset;
use crate::store::lake::Lake;
use crate::store::state::accounts::{Accounts, Closed};
use crate::store::state::exports::Exports;
use crate::store::state::seal::is_sealed;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave out what needs the network
    #[arg(long)]
    offline: bool,
    /// Complain of less free space than this many GiB
    #[arg(long, default_value_t = 5, value_name = "GIB")]
    free: u64,
    #[command(flatten)]
    api: fetch::Api,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    /// Works, and somebody should know.
    Note,
    /// Does not work.
    Bad,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    /// What is so, and what to do where it is not good.
    said: String,
}

fn good(said: impl Into<String>) -> (State, String) {
    (State::Good, said.into())
}

fn note(said: impl Into<String>) -> (State, String) {
    (State::Note, said.into())
}

fn bad(said: impl Into<String>) -> (State, String) {
    (State::Bad, said.into())
}

/// Clocks further apart would be seen in rate windows.
const CLOCK_OFF: SignedDuration = SignedDuration::from_secs(60);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(context: &Context, args: &Args) -> Result<Exit> {
    let mut findings = Vec::new();
    let mut add = |what, found: Result<(State, String)>| {
        let (state, said) = found.unwrap_or_else(|e| bad(e.to_string()));
        findings.push(Finding { what, state, said });
    };
    let lake = context.open();
    add("disk", disk(context, args.free));
    match &lake {
        Ok(lake) => {
            add("lake", sound(lake));
            add("accounts", accounts(lake));
            add("pipeline", exports(lake));
        }
        Err(e) => add("lake", Ok(bad(e.to_string()))),
    }
    if !args.offline {
        let date = http::block_on(asked(&args.api))?;
        match date {
            Ok(date) => {
                add("network", Ok(good(format!("{} answers", shown(&args.api)))));
                add("clock", Ok(clock(date, Timestamp::now())));
            }
            Err(e) => add("network", Err(e)),
        }
    }
    if context.json {
        output::json(&findings)?;
    } else {
        for finding in &findings {
            let mark = match finding.state {
                State::Good => "ok  ",
                State::Note => "note",
                State::Bad => "BAD ",
            };
            say!("{mark}  {:<9} {}", finding.what, finding.said);
        }
    }
    Ok(Exit::of(findings.iter().all(|finding| finding.state != State::Bad)))
}

fn shown(api: &fetch::Api) -> String {
    http::url(api.base_url()).map(|url| http::shown(&url)).unwrap_or_default()
}

fn disk(context: &Context, wanted_gib: u64) -> Result<(State, String)> {
    // Before there is a lake, the folder that it will be in.
    let there = context.folder()?.ancestors().find(|path| path.is_dir() || path.as_os_str().is_empty());
    let folder = there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let found =
        rustix::fs::statvfs(folder).map_err(|e| Error::io("look at the disk of", folder)(e.into()))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let said = format!("{} free", output::bytes(free));
    Ok(match free >> 30 {
        gib if gib >= wanted_gib => good(said),
        _ => bad(format!(
            "{said}, less than {wanted_gib} GiB: make room, or move the lake; nothing stored is lost"
        )),
    })
}

fn sound(lake: &Lake) -> Result<(State, String)> {
    lake.backend().scratch()?;
    // The rules and the policy, and the weights.
    Annotations::read(lake)?;
    dedupe::weights_of(lake)?;
    let folders = [
        (lake.activities_folder(), "normalize"),
        (lake.golden_folder(), "dedupe"),
        (lake.matches_folder(), "dedupe"),
    ];
    for (folder, command) in folders {
        for file in dataset::files(lake, &folder)? {
            dataset::check_schema(lake, &file, command)?;
        }
    }
    Ok(good(format!("{} can be written, and its columns are this longrun's", lake.root().display())))
}

fn accounts(lake: &Lake) -> Result<(State, String)> {
    let accounts = Accounts::open_to_read(lake)?;
    let all = accounts.list_stored()?;
    if all.is_empty() {
        return Ok(note("none: `longrun connect strava --user ID`, or `longrun accounts add FILE`"));
    }
    let many = output::count_of(all.len() as u64, "account", "accounts");
    let lacking =
        all.iter().filter(|account| account.scope.as_deref().and_then(scope::lack).is_some()).count();
    accounts.list()?.into_iter().collect::<std::result::Result<Vec<_>, _>>().map_err(Closed::error)?;
    let plain = all.iter().filter(|account| !is_sealed(account.refresh_token.expose())).count() as u64;
    if plain == all.len() as u64 {
        return Ok(note(format!(
            "{many}; their tokens are not sealed: set LONGRUN_KEY, then `longrun accounts rekey`"
        )));
    }
    if plain > 0 {
        let plain = output::count(plain);
        return Ok(note(format!(
            "{many}, of which {plain} have tokens that are not sealed: `longrun accounts rekey` seals them"
        )));
    }
    Ok(match lacking {
        0 => good(format!("{many}, whose tokens open with the key")),
        _ => note(format!(
            "{many}, of which {lacking} did not grant everything: `longrun accounts list` says what"
        )),
    })
}

fn exports(lake: &Lake) -> Result<(State, String)> {
    let imports = Exports::open(lake)?.imports()?;
    if imports.is_empty() {
        return Ok(good("no exports of the live pipeline, so nothing is compared with it"));
    }
    let age = fetch::duration(fitglue::EXPORT_AGE).expect("it is a duration").unsigned_abs();
    Ok(match fitglue::why_not_to_send(&imports, Timestamp::now(), age, false) {
        Some(why) => note(why),
        None => good("its exports are new and whole"),
    })
}

/// Asks the API for nothing, without a token, and returns the date of the answer, whatever that is.
async fn asked(api: &fetch::Api) -> Result<Option<Timestamp>> {
    let url = http::url(api.base_url())?;
    let client = http::client(std::slice::from_ref(&url), PATIENCE)?;
    let answer = client.head(url.clone()).send().await;
    let answer = answer.map_err(|e| {
        Error::Remote(format!(
            "{} does not answer ({}); see to the network, a proxy or a firewall",
            http::shown(&url),
            http::chain(&e)
        ))
    })?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    Ok(date.and_then(|date| Timestamp::from_second(http::date_s(date)?).ok()))
}

fn clock(theirs: Option<Timestamp>, ours: Timestamp) -> (State, String) {
    let Some(theirs) = theirs else { return note("the API does not say what time it is") };
    let off = ours.duration_since(theirs);
    if off.abs() <= CLOCK_OFF {
        return good("as the API's");
    }
    let (seconds, way) = (off.abs().as_secs() as f64, if off.is_positive() { "ahead of" } else { "behind" });
    note(format!("{} {way} the API's: set it, or let NTP do it", output::seconds(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_said_with_the_way() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| Some(now + SignedDuration::from_secs(seconds));
        assert_eq!(clock(at(-30), now).0, State::Good);
        assert!(clock(at(-7_200), now).1.contains("ahead of"));
        assert!(clock(at(7_200), now).1.contains("behind"));
        assert_eq!(clock(None, now).0, State::Note);
    }
}
