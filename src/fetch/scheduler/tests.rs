//! A scheduler, a server that counts, and a clock, for the tests of whose turn it is, of tokens and of outages.

mod outages;
mod tokens;
mod turns;

use std::collections::HashSet;

use jiff::SignedDuration;

use super::*;
use crate::fetch::budget::{PairSeen, RateSeen};
use crate::fetch::outage::Trouble;
use crate::fetch::reserve::Reserve;
use crate::model::secret::Secret;
use crate::sources::strava::api::ListEntry;
use crate::sources::strava::endpoints::{self, Depth, News};
use crate::sources::strava::walk::Progress;
use crate::store::state::accounts::Account;

/// The server's time when the local clock shows nothing; at the beginning of a window.
const BEGIN_S: i64 = 1_790_000_100;
const WINDOW_MS: i64 = 900_000;

fn account(number: usize, expires_at: i64) -> Account {
    Account {
        source: "strava".to_string(),
        user_id: format!("user-{number}"),
        account_id: number.to_string(),
        access_token: Secret::new("access"),
        refresh_token: Secret::new("refresh"),
        expires_at,
        scope: None,
    }
}

fn works(count: usize) -> Vec<Work> {
    let work = |n| Work::new(account(n, i64::MAX), Progress::default(), u32::MAX, Vec::new());
    (0..count).map(work).collect()
}

const BOUNDS: Bounds =
    Bounds { concurrency: 4, max_requests: None, max_wait_ms: None, patience_ms: 3_600_000, has_app: true };

/// A scheduler, a server that is never full unless it says so, and the time.
struct World {
    scheduler: Scheduler,
    now_ms: i64,
    /// Calls that the server has counted, of how many.
    used: u32,
    limit: u32,
}

type Sent = (usize, Ask);

impl World {
    fn new(works: Vec<Work>, bounds: Bounds) -> World {
        let begin = Timestamp::from_second(BEGIN_S).unwrap();
        let wanted = Wanted::new(Depth::Streams, begin, SignedDuration::from_hours(1), None);
        let budget = Budget::new(900, 86_400, Reserve::Share(0.0));
        let clock = ServerClock::guess(begin.as_millisecond());
        World {
            scheduler: Scheduler::new(works, wanted, budget, clock, bounds, 0),
            now_ms: 0,
            used: 0,
            limit: 600,
        }
    }

    /// One whose clock has settled: three accounts that are only there for it have empty lists by now.
    fn settled(mut works: Vec<Work>, bounds: Bounds) -> World {
        let wanted = works.len();
        works.extend(
            (wanted..wanted + 3).map(|n| Work::new(account(n, i64::MAX), Progress::default(), 0, Vec::new())),
        );
        let mut world = World::new(works, bounds);
        for _ in 0..3 {
            let sent = world.get();
            assert!(sent.0 >= wanted);
            world.land(&sent, page(&[]));
        }
        world
    }

    fn next(&mut self) -> Step {
        self.scheduler.next(self.now_ms)
    }

    #[track_caller]
    fn get(&mut self) -> Sent {
        match self.next() {
            Step::Get { account, ask } => {
                self.used += 1;
                (account, ask)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The answer of a request has come.
    fn answered(&mut self) -> i64 {
        let pair = |factor: u32| {
            Some(PairSeen {
                short_limit: self.limit * factor,
                day_limit: 100_000 * factor,
                short_used: self.used,
                day_used: self.used,
            })
        };
        let rate = RateSeen { overall: pair(2), read: pair(1) };
        let date_s = BEGIN_S + self.now_ms.div_euclid(1_000);
        self.scheduler.answered(self.now_ms, self.now_ms, Some(date_s), rate)
    }

    fn land(&mut self, (account, ask): &Sent, news: News) {
        let at_s = self.answered();
        self.scheduler.landed(*account, ask, news, Timestamp::from_second(at_s).unwrap(), self.now_ms);
    }

    fn fail(&mut self, (account, ask): &Sent, trouble: Trouble) {
        self.answered();
        self.scheduler.trouble(*account, ask, trouble, "HTTP 503".to_string(), None, self.now_ms);
    }

    /// Gives an account a list of these activities, begun so many seconds ago.
    fn list(&mut self, sent: &Sent, ids: &[(&str, i64)]) {
        self.land(sent, page(ids));
    }

    /// Waits for what it has to wait for.
    #[track_caller]
    fn wait(&mut self) -> Why {
        match self.next() {
            Step::WaitUntil { local_ms, why } => {
                assert!(local_ms > self.now_ms, "a wait for what is over");
                self.now_ms = local_ms;
                why
            }
            other => panic!("{other:?}"),
        }
    }

    /// Walks everybody's list: each account has activities with these numbers.
    fn walked(&mut self, accounts: usize, activities: usize) {
        for _ in 0..accounts {
            let sent = self.get();
            let ids: Vec<String> = (0..activities).map(|n| format!("{}0{n}", sent.0 + 1)).collect();
            let ids: Vec<(&str, i64)> =
                ids.iter().zip(1..).map(|(id, ago)| (id.as_str(), ago * 1_000_000)).collect();
            self.list(&sent, &ids);
            self.end_list(sent.0, &ids);
        }
    }

    /// Answers what comes behind the only page of an account's list: nothing but its oldest activity.
    #[track_caller]
    fn end_list(&mut self, account: usize, ids: &[(&str, i64)]) {
        let last = self.get();
        assert_eq!(last.0, account, "a list that was begun is brought to its end");
        let begins_with_oldest = matches!(last.1, Ask::List { before_s: Some(_), .. });
        self.list(&last, ids.last_chunk::<1>().filter(|_| begins_with_oldest).map_or(&[], |oldest| oldest));
    }
}

fn page(ids: &[(&str, i64)]) -> News {
    let entry = |(id, ago_s): &(&str, i64)| {
        Some(ListEntry { id: id.to_string(), start_s: BEGIN_S - ago_s, manual: false, print: 1 })
    };
    News::Page(ids.iter().map(entry).collect())
}

fn kind(ask: &Ask) -> usize {
    endpoints::index(ask).unwrap()
}

fn failures(scheduler: &mut Scheduler) -> Vec<String> {
    let effects = scheduler.effects().into_iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Failed(failure) => Some(format!("{}: {}", failure.user_id, failure.reason)),
            _ => None,
        })
        .collect()
}

fn parked(scheduler: &mut Scheduler) -> Vec<(String, u32)> {
    let effects = scheduler.effects().into_iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Parked { parked, .. } => Some((parked.id, parked.tries)),
            _ => None,
        })
        .collect()
}
