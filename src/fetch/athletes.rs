//! Whose answers these are: the athletes that an answer names, against what is known of the account that asked.
//!
//! Tokens that were mixed up on their way here give one athlete's data under another one's name, and every answer looks
//! well. The numbers that an answer names are the only thing that tells.

use std::collections::{HashMap, HashSet};

use crate::store::state::accounts::{Account, Identity};

/// What an answer says of the account that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// It is the account's, or names nobody.
    Theirs,
    /// It is the account's, which had another athlete's tokens the last time.
    TheirsAgain,
    /// It is the first to name the athlete of an account whose own id is no number of Strava's.
    Learned(String),
    /// Why nothing of it may be kept.
    NotTheirs(String),
}

#[derive(Debug, Default)]
pub struct Athletes {
    /// Users of athletes, by the athletes' numbers.
    users: HashMap<String, String>,
    /// Athletes by account, where the account's id is no number.
    learned: HashMap<String, String>,
    /// Accounts that had another athlete's tokens the last time.
    were_mistaken: HashSet<String>,
    /// Accounts of this run that have them.
    mistaken: HashSet<usize>,
}

/// Whether this is how Strava numbers athletes.
fn is_number(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

impl Athletes {
    pub fn of(all: Vec<Identity>) -> Athletes {
        let mut athletes = Athletes::default();
        for Identity { account_id, user_id, athlete_id, mistaken_at_s, .. } in all {
            if mistaken_at_s.is_some() {
                athletes.were_mistaken.insert(account_id.clone());
            }
            if is_number(&account_id) {
                athletes.users.insert(account_id, user_id);
            } else if let Some(athlete_id) = athlete_id {
                athletes.users.insert(athlete_id.clone(), user_id);
                athletes.learned.insert(account_id, athlete_id);
            }
        }
        athletes
    }

    /// Whether this account's tokens are another athlete's.
    pub fn is_mistaken(&self, index: usize) -> bool {
        self.mistaken.contains(&index)
    }

    /// Looks at the athletes that an answer names.
    pub fn look(&mut self, index: usize, account: &Account, named: &[String]) -> Whose {
        let Some(first) = named.first() else { return Whose::Theirs };
        let own = if is_number(&account.account_id) {
            Some(&account.account_id)
        } else {
            self.learned.get(&account.account_id)
        };
        // Who is learned now must not be known as somebody else, and be all that is named.
        let expected = own.unwrap_or(first);
        let is_others = |athlete: &&String| {
            let is_of_another = || self.users.get(*athlete).is_some_and(|user| *user != account.user_id);
            *athlete != expected || (own.is_none() && is_of_another())
        };
        if let Some(other) = named.iter().find(is_others) {
            self.mistaken.insert(index);
            return Whose::NotTheirs(self.reason(account, own, other));
        }
        if own.is_none() {
            self.users.insert(first.clone(), account.user_id.clone());
            self.learned.insert(account.account_id.clone(), first.clone());
            return Whose::Learned(first.clone());
        }
        if self.were_mistaken.remove(&account.account_id) { Whose::TheirsAgain } else { Whose::Theirs }
    }

    fn reason(&self, account: &Account, own: Option<&String>, other: &str) -> String {
        let user = &account.user_id;
        let whose = match self.users.get(other).filter(|owner| *owner != user) {
            Some(owner) => format!(" (user {owner})"),
            None => String::new(),
        };
        let not = own.map_or_else(String::new, |own| format!(", not {own}"));
        format!(
            "these tokens are of athlete {other}{whose}{not}: nothing of this answer is kept; give the account its own: \
             `longrun accounts add --replace`, or `longrun connect strava --user {user}`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn account(user_id: &str, account_id: &str) -> Account {
        Account {
            source: "strava".to_string(),
            user_id: user_id.to_string(),
            account_id: account_id.to_string(),
            access_token: Secret::new("access"),
            refresh_token: Secret::new("refresh"),
            expires_at: i64::MAX,
            scope: None,
        }
    }

    fn athletes(all: &[(&str, &str, Option<&str>)]) -> Athletes {
        let identity = |(user_id, account_id, athlete_id): &(&str, &str, Option<&str>)| Identity {
            account_id: account_id.to_string(),
            user_id: user_id.to_string(),
            athlete_id: athlete_id.map(str::to_string),
            mistaken_at_s: None,
            refresh_refused_at_s: None,
            refused_at_s: None,
            revoked_at_s: None,
        };
        Athletes::of(all.iter().map(identity).collect())
    }

    fn look(athletes: &mut Athletes, account: &Account, named: &[&str]) -> Whose {
        athletes.look(0, account, &named.iter().map(|id| id.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn an_account_that_is_a_number_is_that_athletes() {
        let mut all = athletes(&[("alice", "101", None), ("bob", "102", None)]);
        let alice = account("alice", "101");
        assert_eq!(look(&mut all, &alice, &["101"]), Whose::Theirs);
        assert_eq!(look(&mut all, &alice, &[]), Whose::Theirs);
        assert!(!all.is_mistaken(0));
        let Whose::NotTheirs(reason) = look(&mut all, &alice, &["101", "102"]) else { panic!() };
        assert!(reason.starts_with("these tokens are of athlete 102 (user bob), not 101: "), "{reason}");
        assert!(all.is_mistaken(0));
    }

    #[test]
    fn an_account_that_is_no_number_is_the_first_athletes_it_names_if_nobody_else_is_that() {
        let mut all = athletes(&[("alice", "a", None), ("bob", "102", None), ("carol", "c", Some("103"))]);
        let alice = account("alice", "a");
        for taken in ["102", "103"] {
            assert!(matches!(look(&mut all, &alice, &[taken]), Whose::NotTheirs(_)), "{taken}");
        }
        assert!(
            matches!(look(&mut all, &alice, &["101", "104"]), Whose::NotTheirs(_)),
            "a page of two people"
        );
        assert_eq!(look(&mut all, &alice, &["101"]), Whose::Learned("101".to_string()));
        assert_eq!(look(&mut all, &alice, &["101"]), Whose::Theirs);
        assert!(matches!(look(&mut all, &alice, &["104"]), Whose::NotTheirs(_)));
        let carol = account("carol", "c");
        assert_eq!(look(&mut all, &carol, &["103"]), Whose::Theirs, "as it was learned in an earlier run");
        assert!(matches!(look(&mut all, &carol, &["101"]), Whose::NotTheirs(_)));
    }
}
