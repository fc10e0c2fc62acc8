//! `longrun purge`

use jiff::Timestamp;

use super::fetch::Api;
use super::normalize::policy_text;
use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::fetch::retention;
use crate::http;
use crate::model::policy::Policy;
use crate::sources::strava;
use crate::store::lake::Lake;
use crate::store::place::Place;
use crate::store::purge::{Purged, purge, purge_store};
use crate::store::state::accounts::{Accounts, Closed};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["users", "expired"]))]
pub struct Args {
    #[command(flatten)]
    api: Api,
    /// Forget this user; can be given several times
    #[arg(long = "user", value_name = "ID", conflicts_with = "expired")]
    users: Vec<String>,
    /// Forget what a policy asks for: API answers that are too old, activities that the source no longer has, and
    /// accounts whose athletes took the access back
    #[arg(long)]
    expired: bool,
    /// The policy: `strava-2026`, or a TOML file. By default the one that `normalize --policy` keeps
    #[arg(long, value_name = "NAME|FILE", requires = "expired")]
    policy: Option<String>,
    /// Take the access back at the source first, so that the tokens work nowhere
    #[arg(long, requires = "users")]
    revoke: bool,
    /// Do it; without this, only what would be forgotten is said
    #[arg(long)]
    apply: bool,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    if matches!(context.lake, Place::Url(_)) {
        return in_store(context, &args);
    }
    let lake = context.open()?;
    if args.expired {
        return forget_expired(context, &lake, &args);
    }
    if !args.apply {
        say!(
            "would forget {}: landing, archives, datasets, reports, runs, what a redrive wrote here, and state; --apply does it, and it cannot be undone",
            args.users.join(", ")
        );
        return Ok(Exit::Done);
    }
    if args.revoke {
        revoke(&Accounts::open(&lake)?, &args)?;
    }
    let purged = purge(&lake, &args.users)?;
    if context.json {
        output::json(&purged)?;
    }
    describe(&purged);
    Ok(Exit::Done)
}

/// In a store there are no tokens to be taken back, and no state.
fn in_store(context: &Context, args: &Args) -> Result<Exit> {
    let url = &context.lake;
    if args.expired || args.revoke {
        return Err(Error::Usage(format!(
            "--expired and --revoke are for the machine that fetches; run them there, and then name the users here ({url})"
        )));
    }
    let lake = context.open_anywhere()?;
    let users = args.users.join(", ");
    if !args.apply {
        say!(
            "would forget {users} in {url}: landing, archives, datasets, reports and all runs; stop every task first, because \
             this needs the lake for itself; --apply does it, and it cannot be undone"
        );
        return Ok(Exit::Done);
    }
    let purged = purge_store(&lake, &args.users)?;
    if context.json {
        output::json(&purged)?;
    }
    describe(&purged);
    say!(
        "the store lists nothing of {users} any more; forget them also on the machine that fetches, before the next push"
    );
    Ok(Exit::Done)
}

fn forget_expired(context: &Context, lake: &Lake, args: &Args) -> Result<Exit> {
    let text = match &args.policy {
        Some(name) => policy_text(name)?,
        None => lake.text(&lake.policy())?.ok_or_else(|| {
            Error::Usage(
                "this lake has no policy: give one here (--policy strava-2026) or with `longrun normalize --policy`"
                    .to_string(),
            )
        })?,
    };
    let policy = Policy::parse(&text).map_err(|e| Error::damaged(lake.place(&lake.policy()), e))?;
    let (terms, now) = (policy.of(strava::SOURCE), Timestamp::now());
    let expired = if args.apply {
        retention::forget(lake, &terms, now)?
    } else {
        retention::expired(lake, &terms, now)?
    };
    if context.json {
        output::json(&expired)?;
    }
    let answers = output::count_of(expired.responses, "API answer", "API answers");
    let gone = output::count_of(expired.activities, "activity", "activities");
    let refused = match expired.accounts {
        0 => String::new(),
        n => {
            let accounts = output::count_of(n, "account whose athlete", "accounts whose athletes");
            format!(", and all of {accounts} took the access back")
        }
    };
    let oldest =
        expired.oldest.map_or_else(String::new, |at| format!(", the oldest of {}", output::date(at)));
    if !args.apply {
        say!(
            "would forget {answers} that are too old{oldest}, and {gone} that Strava no longer has{refused}; --apply does it"
        );
        return Ok(Exit::Done);
    }
    say!("forgot {answers}{oldest}, and {gone} that Strava no longer has{refused}; archives stay");
    if expired.unreadable_bytes > 0 {
        say!("{} of landing that could not be read went with them", output::bytes(expired.unreadable_bytes));
    }
    if expired.dataset_files > 0 {
        say!("run `longrun normalize` and `longrun dedupe` to make the datasets anew from what is left");
    }
    Ok(Exit::Done)
}

fn revoke(accounts: &Accounts, args: &Args) -> Result<()> {
    let client = args.api.client()?;
    let app = args.api.app();
    for account in accounts.list_stored()?.into_iter().filter(|account| args.users.contains(&account.user_id))
    {
        let account = accounts.opened(account).map_err(Closed::error)?;
        http::block_on(client.revoke(app.as_ref(), &account))?.map_err(|reason| {
            Error::Remote(format!(
                "the access of user {} could not be taken back ({reason}); nothing was forgotten yet; run this again, or without --revoke",
                account.user_id
            ))
        })?;
        say!("took back the access to {} account {}", account.source, account.account_id);
    }
    Ok(())
}

fn describe(purged: &Purged) {
    let p = purged;
    let found = p.responses + p.lines + p.unreadable_bytes;
    if found == 0 && p.archives + p.state_rows + p.dataset_files == 0 {
        say!(
            "the lake has nothing of {}: is the name right?",
            if p.users == 1 { "this user" } else { "these users" }
        );
    }
    say!(
        "forgot {} {}: {} responses, {} archives, {} rows of state, {} lines of messages, {} files of reports and runs",
        p.users,
        if p.users == 1 { "user" } else { "users" },
        output::count(p.responses),
        p.archives,
        output::count(p.state_rows as u64),
        output::count(p.lines),
        p.reports
    );
    if p.unreadable_bytes > 0 {
        say!("{} of landing that could not be read went with them", output::bytes(p.unreadable_bytes));
    }
    if p.dataset_files > 0 {
        say!("run `longrun normalize` and `longrun dedupe` to make the datasets of the others anew");
    }
}
