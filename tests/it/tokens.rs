//! Tokens from a token endpoint that answers otherwise than expected.

use std::collections::VecDeque;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longrun::store::state::accounts::Account;
use longrun::testing::emulator::{Config, Twist};
use longrun::testing::synth::Options;
use serde_json::{Value, json};

use crate::support::{BINARY, Ended, SmallDisk, WIDE, World};

const ONE: Options = Options { seed: 43, users: 1, activities: 20 };

/// A world whose token endpoint gives these answers first, each after a while.
struct Tokens {
    world: World,
    answers: Arc<Mutex<VecDeque<Value>>>,
}

impl Tokens {
    fn of(options: Options, delay: Duration) -> Tokens {
        let answers = Arc::new(Mutex::new(VecDeque::<Value>::new()));
        let given = answers.clone();
        let script = move |asked: &longrun::testing::emulator::Asked| {
            let is_token = asked.path_and_query == "/oauth/token";
            let answer = is_token.then(|| given.lock().unwrap().pop_front()).flatten()?;
            Some(Twist { instead: Some((200, answer.to_string().into_bytes())), delay, ..Twist::default() })
        };
        let config = Config { limits: WIDE, script: Some(Box::new(script)), ..Config::default() };
        Tokens { world: World::of(options, config).0, answers }
    }

    /// Gives new tokens, which end those before them, with the next answer of the token endpoint, together with this and
    /// without what is null in it.
    fn rotate(&self, more: Value) -> Account {
        self.world.emulator.revoke_access();
        let new = self.world.emulator.accounts().remove(0);
        let mut answer = json!({"access_token": new.access_token, "refresh_token": new.refresh_token});
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer.as_object_mut().unwrap().retain(|name, value| name == "expires_at" || !value.is_null());
        self.answers.lock().unwrap().push_back(answer);
        new
    }

    fn stored(&self) -> Account {
        serde_json::from_str(&self.world.run(&["accounts", "export"]).expect(0).stdout).unwrap()
    }
}

#[test]
fn a_new_token_is_kept_whatever_is_other_beside_it() {
    let tokens = Tokens::of(ONE, Duration::ZERO);
    let end_s = jiff::Timestamp::now().as_second() + 21_600;
    for more in [
        json!({"expires_in": 21_600}),
        json!({"expires_at": null, "expires_in": "21600"}),
        json!({"expires_at": end_s.to_string()}),
        json!({"expires_at": end_s as f64}),
        json!({"expires_at": end_s - 43_200, "expires_in": 21_600}),
        json!({"expires_at": end_s - 43_200}),
        json!({"expires_at": "soon", "athlete": "somebody", "token_type": 7}),
        json!({}),
    ] {
        let new = tokens.rotate(more.clone());
        let ended = tokens.world.fetch(&["--max-age", "0s", "--depth", "detail"]).expect(0);
        assert_eq!(ended.json()["token_refreshes"], 1, "{more}");
        let stored = tokens.stored();
        assert_eq!(stored.refresh_token, new.refresh_token, "{more}");
        assert!((end_s - 60..end_s + 600).contains(&stored.expires_at), "{more}: {}", stored.expires_at);
    }
}

#[test]
fn a_grant_without_a_refresh_token_leaves_the_one_before_in_place() {
    let tokens = Tokens::of(ONE, Duration::ZERO);
    let before = tokens.stored();
    let new = tokens.rotate(json!({"expires_in": 21_600, "refresh_token": null}));
    tokens.world.fetch(&[]).expect(0);
    let stored = tokens.stored();
    assert_eq!((stored.access_token, stored.refresh_token), (new.access_token, before.refresh_token));
}

#[test]
fn a_grant_without_an_access_token_still_renews_the_refresh_token() {
    let tokens = Tokens::of(ONE, Duration::ZERO);
    let new = tokens.rotate(json!({"access_token": null}));
    // The endpoint takes only the newest refresh token, so this one was used.
    let ended = tokens.world.fetch(&[]).expect(0);
    assert_eq!(ended.json()["token_refreshes"], 1);
    assert_ne!(tokens.stored().refresh_token, new.refresh_token);
}

/// Sends signals to a process while the token endpoint is about to answer it.
fn signalled(tokens: &Tokens, mut command: Command, signals: &[&str]) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !tokens.answers.lock().unwrap().is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let process = child.id().to_string();
    for signal in signals {
        assert!(Command::new("kill").args([signal, process.as_str()]).status().unwrap().success());
    }
    Ended::of(child.wait_with_output().unwrap())
}

#[test]
fn no_signal_that_asks_for_an_end_costs_a_token_that_is_on_its_way() {
    if longrun::signals::is_hangup_ignored() {
        eprintln!("skipped: hangups are ignored here, as under nohup, so that a fetch ignores them, too");
        return;
    }
    let tokens = Tokens::of(ONE, Duration::from_secs(3));
    for command in [&["fetch", "--max-age", "0s"][..], &["run", "--until", "fetch", "--max-age", "0s"]] {
        for signals in [&["-HUP"][..], &["-TERM", "-HUP", "-INT", "-TERM"]] {
            let new = tokens.rotate(json!({"expires_in": 21_600}));
            let ended = signalled(&tokens, tokens.world.command(command), signals).expect(75);
            assert_eq!(tokens.stored().refresh_token, new.refresh_token, "{signals:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_fetch_that_is_to_outlive_the_terminal_does() {
    let tokens = Tokens::of(ONE, Duration::from_secs(1));
    tokens.rotate(json!({"expires_in": 21_600}));
    let fetch = tokens.world.command(&["fetch"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" fetch", BINARY]).stdin(Stdio::null());
    command.envs(fetch.get_envs().filter_map(|(name, value)| Some((name, value?))));
    signalled(&tokens, command, &["-HUP"]).expect(0);
}

#[test]
fn on_a_full_disk_no_token_is_asked_for_that_could_not_be_kept() {
    let Some(disk) = SmallDisk::of("8m") else { return };
    let config = Config { limits: WIDE, token_lifetime: Duration::from_secs(1), ..Config::default() };
    let (world, _) = World::of(ONE, config);
    let lake = disk.path().join("lake");
    assert!(Command::new("cp").arg("-rp").arg(world.lake_folder()).arg(&lake).status().unwrap().success());
    let fetch = || {
        Ended::of(world.command(&["fetch", "--depth", "list"]).env("LONGRUN_LAKE", &lake).output().unwrap())
    };
    let ballast = disk.path().join("ballast");
    let _ =
        Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", ballast.display())).arg("bs=4k").output();
    let given = world.emulator.renewals();
    let ended = fetch();
    assert!(ended.code != Some(0), "{ended:?}");
    assert_eq!(world.emulator.renewals(), given, "{}", ended.stderr);
    std::fs::remove_file(&ballast).unwrap();
    fetch().expect(0);
}

#[test]
fn a_refusal_that_names_neither_the_grant_nor_the_application_is_waited_for() {
    for (status, body) in
        [(403, "<html>not from here</html>"), (400, ""), (401, r#"{"message":"Too Many Requests"}"#)]
    {
        let left = Mutex::new(2);
        let script = move |asked: &longrun::testing::emulator::Asked| {
            let mut left = left.lock().unwrap();
            if asked.path_and_query != "/oauth/token" || *left == 0 {
                return None;
            }
            *left -= 1;
            Some(Twist { instead: Some((status, body.as_bytes().to_vec())), ..Twist::default() })
        };
        let token_lifetime = Duration::from_secs(1);
        let config =
            Config { limits: WIDE, token_lifetime, script: Some(Box::new(script)), ..Config::default() };
        let (world, _) = World::of(ONE, config);
        let summary = world.fetch(&["--depth", "list"]).expect(0).json();
        assert_eq!((&summary["failures"], &summary["activities"]), (&json!([]), &json!(20)), "{status}");
    }
}
