//! Tokens from a token endpoint that answers otherwise than expected.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use longrun::store::state::accounts::Account;
use longrun::testing::emulator::{Config, Twist};
use longrun::testing::synth::Options;
use serde_json::{Value, json};

use crate::support::{WIDE, World};

const ONE: Options = Options { seed: 43, users: 1, activities: 20 };

/// A world whose token endpoint gives these answers first.
struct Tokens {
    world: World,
    answers: Arc<Mutex<VecDeque<Value>>>,
}

impl Tokens {
    fn of(options: Options) -> Tokens {
        let answers = Arc::new(Mutex::new(VecDeque::<Value>::new()));
        let given = answers.clone();
        let script = move |asked: &longrun::testing::emulator::Asked| {
            let is_token = asked.path_and_query == "/oauth/token";
            let answer = is_token.then(|| given.lock().unwrap().pop_front()).flatten()?;
            Some(Twist { instead: Some((200, answer.to_string().into_bytes())), ..Twist::default() })
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
    let tokens = Tokens::of(ONE);
    let end_s = jiff::Timestamp::now().as_second() + 21_600;
    for more in [
        json!({"expires_in": 21_600}),
        json!({"expires_at": null, "expires_in": "21600"}),
        json!({"expires_at": end_s.to_string()}),
        json!({"expires_at": end_s as f64}),
        json!({"expires_at": "soon", "athlete": "somebody", "token_type": 7}),
        json!({}),
    ] {
        let new = tokens.rotate(more.clone());
        let ended = tokens.world.fetch(&["--max-age", "0s"]).expect(0);
        assert_eq!(ended.json()["token_refreshes"], 1, "{more}");
        let stored = tokens.stored();
        assert_eq!(stored.refresh_token, new.refresh_token, "{more}");
        assert!((end_s - 60..end_s + 600).contains(&stored.expires_at), "{more}: {}", stored.expires_at);
    }
}

#[test]
fn a_grant_without_a_refresh_token_leaves_the_one_before_in_place() {
    let tokens = Tokens::of(ONE);
    let before = tokens.stored();
    let new = tokens.rotate(json!({"expires_in": 21_600, "refresh_token": null}));
    tokens.world.fetch(&[]).expect(0);
    let stored = tokens.stored();
    assert_eq!((stored.access_token, stored.refresh_token), (new.access_token, before.refresh_token));
}

#[test]
fn a_grant_without_an_access_token_still_renews_the_refresh_token() {
    let tokens = Tokens::of(ONE);
    let new = tokens.rotate(json!({"access_token": null}));
    // The endpoint takes only the newest refresh token, so this one was used.
    let ended = tokens.world.fetch(&[]).expect(0);
    assert_eq!(ended.json()["token_refreshes"], 1);
    assert_ne!(tokens.stored().refresh_token, new.refresh_token);
}
