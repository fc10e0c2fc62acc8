//! `longrun accounts`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::sources::strava::scope;
use crate::store::lake::Lake;
use crate::store::state::accounts::{Account, Accounts, Added, Opened, Replace};
use crate::store::state::seal::Key;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add accounts, or renew their tokens, from JSON lines
    ///
    /// Each line is an object with user_id (the person, as you number them), account_id (the
    /// athlete, as Strava does), access_token, refresh_token and expires_at (unix seconds).
    /// Either all lines are taken or none. Tokens that end earlier than those the lake has are left out.
    Add {
        /// The file, or - for stdin
        file: PathBuf,
        /// Take older tokens too, in place of newer ones
        #[arg(long)]
        replace: bool,
    },
    /// Show whose history can be fetched, without the tokens
    List,
    /// Write the accounts with their tokens to stdout, as `add` reads them
    Export,
    /// Seal the tokens with the key in LONGRUN_KEY or LONGRUN_KEY_FILE, so that a copied lake gives nobody a token
    ///
    /// A key is 32 bytes in base64: `openssl rand -base64 32`.
    Rekey {
        /// The file with the key they are sealed with now
        #[arg(long, value_name = "FILE")]
        old_key_file: Option<PathBuf>,
        /// Store them in plain again, opened with the key of the environment
        #[arg(long, conflicts_with = "old_key_file")]
        plain: bool,
    },
    /// Say that users took the access back, as a source's webhook tells (`"authorized": "false"`)
    ///
    /// A refresh token that is not taken does not tell that: it may have been renewed elsewhere. `purge --expired` then
    /// forgets what the source gave of them when its terms ask for that, counted from when it was first refused.
    Revoked {
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Forget the tokens of users; what was fetched stays
    Remove {
        #[arg(required = true)]
        users: Vec<String>,
    },
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    match args.action {
        Action::Add { file, replace } => {
            let text = read(&file)?;
            let accounts = parse(&file.display().to_string(), &text)?;
            let replace = if replace { Replace::Any } else { Replace::OlderOnly };
            let added = Accounts::open(&context.open_or_create()?)?.add(&accounts, replace)?;
            describe(added);
        }
        Action::List => list(context, &context.open()?)?,
        Action::Export => return export(&context.open()?),
        Action::Rekey { old_key_file, plain } => rekey(&context.open()?, old_key_file.as_deref(), plain)?,
        Action::Revoked { users } => {
            let accounts = Accounts::open(&context.open()?)?;
            for user in users {
                if accounts.revoked(&user, jiff::Timestamp::now().as_second())? == 0 {
                    return Err(Error::Usage(format!("user {user} has no account in this lake")));
                }
                say!("user {user} took the access back; `longrun status` says what Strava's terms ask for");
            }
        }
        Action::Remove { users } => {
            let accounts = Accounts::open(&context.open()?)?;
            for user in users {
                if accounts.remove(&user)? == 0 {
                    return Err(Error::Usage(format!("user {user} has no account in this lake")));
                }
                say!("removed the tokens of user {user}");
            }
        }
    }
    Ok(Exit::Done)
}

/// Those whose tokens open; an error where none's do.
fn export(lake: &Lake) -> Result<Exit> {
    let (opened, closed): (Vec<Opened>, Vec<Opened>) =
        Accounts::open_to_read(lake)?.list()?.into_iter().partition(std::result::Result::is_ok);
    let is_none_open = opened.is_empty();
    for account in opened.into_iter().flatten() {
        output::print(&serde_json::to_string(&account).expect("an account is plain"))?;
    }
    let mut exit = Exit::Done;
    for closed in closed.into_iter().filter_map(std::result::Result::err) {
        if is_none_open {
            return Err(closed.error());
        }
        say!("left out: {}", closed.reason);
        exit = Exit::Incomplete;
    }
    Ok(exit)
}

fn describe(added: Added) {
    let accounts = |count: usize| format!("{count} {}", if count == 1 { "account" } else { "accounts" });
    say!("added {}, renewed {}", accounts(added.new), accounts(added.renewed));
    if added.older > 0 {
        say!(
            "left out older tokens of {}: the lake has newer ones (--replace takes the older ones)",
            accounts(added.older)
        );
    }
}

fn rekey(lake: &Lake, old_key_file: Option<&Path>, plain: bool) -> Result<()> {
    let new = Key::from_env()?;
    if new.is_none() {
        return Err(Error::Usage(
            "there is no key: set LONGRUN_KEY, or LONGRUN_KEY_FILE to a file with one; make one with `openssl rand -base64 32`"
                .to_string(),
        ));
    }
    let old = old_key_file.map(Key::read).transpose()?;
    let (old, new) = if plain { (new, None) } else { (old.or_else(|| new.clone()), new) };
    let is_sealed = new.is_some();
    let _guard = lake.backend().lock("landing", "the landing")?;
    let count = Accounts::open_with(lake, old)?.rekey(new)?;
    say!("{} the tokens of {count} accounts", if is_sealed { "sealed" } else { "stored in plain" });
    Ok(())
}

fn read(file: &PathBuf) -> Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(Error::io("read", "stdin"))?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(Error::io("read", file))
}

/// The complaint names line and field, and never quotes the line: it holds tokens.
fn parse(file: &str, text: &str) -> Result<Vec<Account>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            let complain = |what: String| Error::Usage(format!("{file}, line {}: {what}", at + 1));
            let account: Account = serde_json::from_str(line).map_err(|e| {
                let is_missing = e.to_string().starts_with("missing field");
                let what = e.to_string().split(" at line").next().unwrap_or_default().to_string();
                complain(if is_missing { what } else { format!("not an account, column {}", e.column()) })
            })?;
            if account.source != crate::sources::strava::SOURCE {
                return Err(complain(format!(
                    "source {:?} has no accounts here; strava has",
                    account.source
                )));
            }
            if account.user_id.is_empty() || account.account_id.is_empty() {
                return Err(complain("user_id and account_id must not be empty".to_string()));
            }
            Ok(account)
        })
        .collect()
}

fn list(context: &Context, lake: &Lake) -> Result<()> {
    #[derive(serde::Serialize)]
    struct Shown {
        user_id: String,
        source: String,
        account_id: String,
        token_ends: Option<jiff::Timestamp>,
        scope: Option<String>,
        /// What cannot be fetched with that, and the way out.
        lack: Option<&'static str>,
    }
    let accounts = Accounts::open_to_read(lake)?.list_stored()?;
    let shown = accounts.into_iter().map(|a| Shown {
        user_id: a.user_id,
        source: a.source,
        account_id: a.account_id,
        token_ends: jiff::Timestamp::from_second(a.expires_at).ok(),
        lack: a.scope.as_deref().and_then(scope::lack),
        scope: a.scope,
    });
    let shown: Vec<Shown> = shown.collect();
    if context.json {
        return output::json(&shown);
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|a| {
            let ends = a.token_ends.map_or_else(|| "?".to_string(), |t| t.to_string());
            let granted = a.scope.clone().unwrap_or_else(|| "?".to_string());
            vec![a.user_id.clone(), a.source.clone(), a.account_id.clone(), ends, granted]
        })
        .collect();
    let head = ["user", "source", "account", "access token ends", "granted"];
    output::print(output::table(&head, &rows).trim_end())?;
    for shown in &shown {
        if let Some(lack) = shown.lack {
            say!("user {}: {lack}", shown.user_id);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named_and_its_tokens_are_not_shown() {
        let good = r#"{"user_id":"u","account_id":"1","access_token":"s3cret","refresh_token":"s3cret","expires_at":1}"#;
        assert_eq!(parse("f", &format!("{good}\n\n{good}\n")).unwrap().len(), 2);
        for (bad, why) in [
            (good.replace("\"user_id\":\"u\",", ""), "missing field `user_id`"),
            (good.replace(":1}", ":\"s3cret\"}"), "not an account"),
            (good.replace("{\"user_id\"", "{\"source\":\"garmin\",\"user_id\""), "garmin"),
            ("s3cret".to_string(), "not an account"),
        ] {
            let e = parse("tokens.jsonl", &format!("{good}\n{bad}")).unwrap_err().to_string();
            assert!(e.starts_with("tokens.jsonl, line 2: ") && e.contains(why), "{e}");
            assert!(!e.contains("s3cret"), "{e}");
        }
    }
}
