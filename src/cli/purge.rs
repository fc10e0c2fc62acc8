//! `longrun purge`

use super::fetch::Api;
use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::http;
use crate::store::purge::{Purged, purge};
use crate::store::state::accounts::Accounts;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    api: Api,
    /// Forget this user; can be given several times
    #[arg(long = "user", value_name = "ID", required = true)]
    users: Vec<String>,
    /// Take the access back at the source first, so that the tokens work nowhere
    #[arg(long)]
    revoke: bool,
    /// Do it; without this, only who would be forgotten is said
    #[arg(long)]
    apply: bool,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = context.open()?;
    if !args.apply {
        say!(
            "would forget {}: landing, archives, datasets, reports and state; --apply does it, and it cannot be undone",
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

fn revoke(accounts: &Accounts, args: &Args) -> Result<()> {
    let client = args.api.client()?;
    let app = args.api.app();
    for account in accounts.list()?.iter().filter(|account| args.users.contains(&account.user_id)) {
        http::block_on(client.revoke(app.as_ref(), account))?.map_err(|reason| {
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
    say!(
        "forgot {} {}: {} responses, {} archives, {} rows of state, {} reports",
        p.users,
        if p.users == 1 { "user" } else { "users" },
        output::count(p.responses),
        p.archives,
        output::count(p.state_rows as u64),
        p.reports
    );
    if p.unreadable_bytes > 0 {
        say!("{} of landing that could not be read went with them", output::bytes(p.unreadable_bytes));
    }
    if p.dataset_files > 0 {
        say!("run `longrun normalize` and `longrun dedupe` to make the datasets of the others anew");
    }
}
