//! One account's part in a run: what is known of it, what it owes, and how far its tokens go.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use crate::sources::strava::endpoints::{self, OF_ACTIVITIES};
use crate::sources::strava::walk::{Owed, Progress, Wanted};
use crate::store::landing::Ask;
use crate::store::state::accounts::Account;
use crate::store::state::parked::Parked;

/// An access token that ends sooner is refreshed first, unless it was given for less.
const TOKEN_MARGIN_S: i64 = 60;
/// When an access token that was refused ended.
const ENDED: i64 = i64::MIN;
/// Pages that a list is thought to have while nothing is known of it.
const PAGES_OF_A_LIST: u64 = 2;

/// How far an account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The next page of its list is owed.
    PageOwed,
    PageInFlight,
    /// Its list is known, and so is what is owed beyond it.
    Listed,
    /// Nothing more is asked of it in this run.
    GivenUp,
}

/// What is known of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// As it was stored, or used since it came.
    Kept,
    /// Just given: it is used, however soon it ends.
    New,
    InRefresh,
    /// The token endpoint is out of order.
    Waiting,
}

/// How often new tokens were not to be had while others were, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshFailures {
    pub times: u32,
    pub since_ms: i64,
}

pub struct Work {
    pub account: Account,
    pub progress: Progress,
    /// Lower comes first.
    pub rank: u32,
    phase: Phase,
    token: Token,
    /// By so much an access token is refreshed before it ends.
    margin_s: i64,
    /// Whether the access token is one that the source gave in this run.
    pub is_given: bool,
    /// What was asked for with an access token that was refused, and not answered since.
    pub refused_tokens: HashSet<Ask>,
    owed: Queues,
    parked: HashMap<(usize, Box<str>), Parked>,
    /// Failures that were a thing's own.
    failures: HashMap<Ask, u32>,
    refresh_failures: Option<RefreshFailures>,
    pub served: u64,
}

/// What is owed at each endpoint of activities.
enum Queues {
    /// How much at a time: it is queued when its turn comes.
    Counted([usize; OF_ACTIVITIES], Timestamp),
    Queued([VecDeque<Owed>; OF_ACTIVITIES]),
}

impl Queues {
    fn lengths(&self) -> [usize; OF_ACTIVITIES] {
        match self {
            Queues::Counted(counts, _) => *counts,
            Queues::Queued(queues) => std::array::from_fn(|index| queues[index].len()),
        }
    }

    /// The queue of an endpoint; None before it is made, which is of all that is owed.
    fn queue(&mut self, index: usize) -> Option<&mut VecDeque<Owed>> {
        match self {
            Queues::Counted(..) => None,
            Queues::Queued(queues) => Some(&mut queues[index]),
        }
    }
}

/// Where an account stands among those that wait for their turn: the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Where what is asked next stands among the endpoints.
    pub endpoint: usize,
    rank: u32,
    /// A list that was begun is brought to its end first.
    is_new: bool,
    served: u64,
    pub account: usize,
}

impl Work {
    pub fn new(account: Account, progress: Progress, rank: u32, parked: Vec<Parked>) -> Work {
        let place = |parked: Parked| {
            let is_it = |index: &usize| endpoints::of_activities(*index).kind == parked.kind;
            Some((((0..OF_ACTIVITIES).find(is_it)?, parked.id.as_str().into()), parked))
        };
        Work {
            account,
            progress,
            rank,
            phase: Phase::PageOwed,
            token: Token::Kept,
            margin_s: TOKEN_MARGIN_S,
            is_given: false,
            refused_tokens: HashSet::new(),
            owed: Queues::Counted([0; OF_ACTIVITIES], Timestamp::MIN),
            parked: parked.into_iter().filter_map(place).collect(),
            failures: HashMap::new(),
            refresh_failures: None,
            served: 0,
        }
    }

    /// Finds out whether a page is owed, and what is owed beyond the list if not.
    pub fn look(&mut self, wanted: &Wanted, now: Timestamp) {
        // What the walk wants to know of one activity may be set aside until another day.
        let is_due = |ask: &Ask| {
            let place = endpoints::place(ask).and_then(|(index, id)| self.parked.get(&(index, id.into())));
            place.is_none_or(|parked| parked.next_s <= now.as_second())
        };
        if self.phase == Phase::PageOwed && self.progress.next_page(wanted, now).filter(is_due).is_none() {
            self.know_list(wanted, now);
        }
    }

    fn know_list(&mut self, wanted: &Wanted, now: Timestamp) {
        self.phase = Phase::Listed;
        if self.parked.is_empty() {
            let count = |index| self.progress.owed_count(index, wanted, now);
            self.owed = Queues::Counted(std::array::from_fn(count), now);
        } else {
            self.queue(wanted, now);
        }
    }

    fn queue(&mut self, wanted: &Wanted, now: Timestamp) {
        let queue = |index| {
            let mut owed = self.progress.owed(index, wanted, now);
            let is_due = |owed: &Owed| {
                let parked = self.parked.get(&(index, owed.id.clone()));
                parked.is_none_or(|parked| parked.next_s <= now.as_second())
            };
            owed.retain(is_due);
            owed.into()
        };
        self.owed = Queues::Queued(std::array::from_fn(queue));
    }

    /// Whether an answer is one that the walk of the list goes on from.
    pub fn is_walking_by(&self, ask: &Ask) -> bool {
        self.phase == Phase::PageInFlight || endpoints::activity(ask).is_none()
    }

    /// What the walk of the list asked for has landed.
    pub fn listed(&mut self, wanted: &Wanted, now: Timestamp) {
        // Fresh enough, however short the time that is asked for.
        if self.progress.is_walked() { self.know_list(wanted, now) } else { self.phase = Phase::PageOwed }
    }

    /// This account's place among others; None while there is nothing to ask of it.
    pub fn turn(&self, account: usize) -> Option<Turn> {
        let endpoint = match self.phase {
            _ if matches!(self.token, Token::InRefresh | Token::Waiting) => return None,
            Phase::GivenUp | Phase::PageInFlight => return None,
            Phase::PageOwed => 0,
            Phase::Listed => 1 + self.owed.lengths().iter().position(|length| *length > 0)?,
        };
        let is_new = endpoint > 0 || !self.progress.is_walking();
        Some(Turn { endpoint, rank: self.rank, is_new, served: self.served, account })
    }

    /// What would be asked next.
    pub fn peek(&mut self, wanted: &Wanted, now: Timestamp) -> Option<Ask> {
        if self.phase == Phase::PageOwed {
            return self.progress.next_page(wanted, now);
        }
        if let Queues::Counted(_, at) = self.owed {
            // The clock may have been ahead, and what was counted is owed all the same.
            self.queue(wanted, now.max(at));
        }
        let mut first = |index| Some((index, self.owed.queue(index)?.front()?.clone()));
        let (index, owed) = (0..OF_ACTIVITIES).find_map(&mut first)?;
        Some(endpoints::of_activities(index).ask(&owed.id, owed.start_s))
    }

    /// Takes what is asked next.
    pub fn next(&mut self, wanted: &Wanted, now: Timestamp) -> Option<Ask> {
        let ask = self.peek(wanted, now)?;
        if self.phase == Phase::PageOwed {
            self.phase = Phase::PageInFlight;
        } else if let Some((index, _)) = endpoints::place(&ask) {
            drop(self.owed.queue(index).and_then(VecDeque::pop_front));
        }
        self.served += 1;
        if self.token == Token::New {
            self.token = Token::Kept;
            // Another one would end as soon, so one that is given for less than that is used to its end.
            let is_short = self.account.expires_at.saturating_sub(TOKEN_MARGIN_S) < now.as_second();
            self.margin_s = if is_short { 0 } else { TOKEN_MARGIN_S };
        }
        Some(ask)
    }

    /// What was asked for is owed still: next, or behind the others.
    pub fn put_back(&mut self, ask: &Ask, is_next: bool) {
        if self.phase == Phase::PageInFlight {
            self.phase = Phase::PageOwed;
        } else if let Some(((id, start_s), (index, _))) = endpoints::activity(ask).zip(endpoints::place(ask))
        {
            let owed = Owed { id: id.into(), start_s };
            if let Some(queue) = self.owed.queue(index) {
                if is_next { queue.push_front(owed) } else { queue.push_back(owed) }
            }
        }
    }

    /// Sets a thing aside until a later time. Returns what is to be stored.
    pub fn park(&mut self, ask: &Ask, reason: String, wanted: &Wanted, now: Timestamp) -> Option<Parked> {
        let (index, id) = endpoints::place(ask)?;
        let now_s = now.as_second();
        if let Some(queue) = self.owed.queue(index)
            && let Some(at) = queue.iter().rposition(|owed| &*owed.id == id)
        {
            queue.remove(at);
        }
        let tries = self.parked.get(&(index, id.into())).map_or(0, |parked| parked.tries) + 1;
        let parked = Parked {
            account_id: self.account.account_id.clone(),
            kind: endpoints::of_activities(index).kind.to_string(),
            id: id.to_string(),
            reason,
            tries,
            next_s: now_s + pause_s(tries),
        };
        self.parked.insert((index, id.into()), parked.clone());
        // The list's end waits for it, and nothing else of the account does.
        self.look(wanted, now);
        Some(parked)
    }

    pub fn is_parked(&self, ask: &Ask) -> bool {
        endpoints::place(ask).is_some_and(|(index, id)| self.parked.contains_key(&(index, id.into())))
    }

    /// How many things are set aside.
    pub fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// A thing that was set aside has come.
    pub fn unpark(&mut self, ask: &Ask) -> bool {
        endpoints::place(ask).is_some_and(|(index, id)| self.parked.remove(&(index, id.into())).is_some())
    }

    /// Counts a failure that was this thing's own.
    pub fn failed(&mut self, ask: &Ask) -> u32 {
        let failures = self.failures.entry(ask.clone()).or_default();
        *failures += 1;
        *failures
    }

    pub fn failures_of(&self, ask: &Ask) -> u32 {
        self.failures.get(ask).copied().unwrap_or(0)
    }

    pub fn give_up(&mut self) {
        self.phase = Phase::GivenUp;
    }

    pub fn is_given_up(&self) -> bool {
        self.phase == Phase::GivenUp
    }

    pub fn needs_refresh(&self, now_s: i64) -> bool {
        self.token == Token::Kept && self.account.expires_at.saturating_sub(self.margin_s) < now_s
    }

    /// Whether new tokens are on their way, or will be asked for next.
    pub fn awaits_refresh(&self) -> bool {
        matches!(self.token, Token::InRefresh | Token::Waiting) || self.account.expires_at == ENDED
    }

    /// The access token was refused: it has ended, whatever it says.
    pub fn distrust(&mut self) {
        self.account.expires_at = ENDED;
        if self.token == Token::New {
            self.token = Token::Kept;
        }
    }

    pub fn wait_for_tokens(&mut self) {
        self.token = Token::Waiting;
    }

    pub fn begin_refresh(&mut self) {
        self.token = Token::InRefresh;
    }

    /// No new tokens came.
    pub fn end_refresh(&mut self) {
        self.token = Token::Kept;
    }

    /// Tokens that a refresh gave, or that another process stored.
    pub fn renew(&mut self, account: Account) {
        self.account = account;
        self.token = Token::New;
        self.is_given = false;
        self.refresh_failures = None;
    }

    /// The token endpoint did not answer well to this account from then on, and did to another one.
    pub fn refresh_failed(&mut self, since_ms: i64) -> RefreshFailures {
        let failures = self.refresh_failures.get_or_insert(RefreshFailures { times: 0, since_ms });
        failures.times += 1;
        *failures
    }

    /// Things that are asked for before any of another kind: while they fail, nothing else of this account has its turn.
    pub fn in_turn(&self) -> usize {
        match self.phase {
            Phase::PageOwed => 1,
            Phase::Listed => self.owed.lengths().into_iter().find(|length| *length > 0).unwrap_or(0),
            Phase::PageInFlight | Phase::GivenUp => 0,
        }
    }

    /// Requests that are still needed: a guess, while the list is not known to its end.
    pub fn left(&self, wanted: &Wanted) -> u64 {
        match self.phase {
            Phase::GivenUp => 0,
            Phase::Listed => self.owed.lengths().iter().sum::<usize>() as u64,
            Phase::PageOwed | Phase::PageInFlight => {
                let each = endpoints::ALL.iter().skip(1).filter(|endpoint| endpoint.depth <= wanted.depth);
                PAGES_OF_A_LIST + (each.count() * self.progress.activities()) as u64
            }
        }
    }
}

/// What was refused is tried again after a day, then after twice as long each time, up to a month.
fn pause_s(tries: u32) -> i64 {
    86_400 * (1 << tries.saturating_sub(1).min(5)).min(30)
}

#[cfg(test)]
mod tests {
    use super::pause_s;

    #[test]
    fn what_was_refused_is_tried_again_ever_more_seldom() {
        let days: Vec<i64> = (1..8).map(|tries| pause_s(tries) / 86_400).collect();
        assert_eq!(days, [1, 2, 4, 8, 16, 30, 30]);
    }
}
