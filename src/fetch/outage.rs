//! When the API stumbles: one fact of the API, or one thing that it cannot give?
//!
//! A single failure says neither. So from the first one on, one request at a time goes out, each for another thing,
//! with pauses that grow. When one is answered the outage is over; if a single thing had failed until then, the
//! failure was its own. An outage therefore costs a few requests an hour, and blames nobody.

use std::collections::HashMap;

use crate::store::landing::Ask;

/// The pause after the first failure. It doubles with each one.
const FIRST_PAUSE_MS: i64 = 500;
const LONGEST_PAUSE_MS: i64 = 5 * 60_000;

/// What failed: an account's request, or its refresh of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Suspect {
    pub account: usize,
    /// None for the token endpoint.
    pub ask: Option<Ask>,
}

/// Whether a failure can be one thing's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// HTTP 500, or a body that makes no sense: perhaps of this thing alone.
    OfOneThing,
    /// No connection, a time-out, 502, 503, 597: hardly.
    OfTheApi,
}

/// The API has answered nothing well since.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    pub since_ms: i64,
    pub reason: String,
    pub probe_at_ms: i64,
    probes: u32,
    suspects: HashMap<Suspect, Suspicion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Suspicion {
    failures: u32,
    can_be_its_own: bool,
}

impl Outage {
    pub fn begin(now_ms: i64) -> Outage {
        Outage {
            since_ms: now_ms,
            reason: String::new(),
            probe_at_ms: now_ms,
            probes: 0,
            suspects: HashMap::new(),
        }
    }

    /// Something failed. `retry_after_ms` is how long the server wants to be left alone.
    pub fn failed(
        &mut self,
        suspect: Suspect,
        trouble: Trouble,
        reason: String,
        now_ms: i64,
        retry_after_ms: Option<i64>,
    ) {
        // What was in flight when it began says nothing new.
        let is_probe = now_ms >= self.probe_at_ms;
        if is_probe {
            let pause_ms = FIRST_PAUSE_MS.saturating_mul(1 << self.probes.min(20)).min(LONGEST_PAUSE_MS);
            self.probes += 1;
            self.probe_at_ms = now_ms + pause_ms;
        }
        self.probe_at_ms = self.probe_at_ms.max(now_ms + retry_after_ms.unwrap_or(0));
        self.reason = reason;
        let suspicion =
            self.suspects.entry(suspect).or_insert(Suspicion { failures: 0, can_be_its_own: false });
        suspicion.failures += 1;
        suspicion.can_be_its_own |= trouble == Trouble::OfOneThing;
    }

    /// How many things have failed.
    pub fn suspects(&self) -> usize {
        self.suspects.len()
    }

    pub fn is_suspect(&self, suspect: &Suspect) -> bool {
        self.suspects.contains_key(suspect)
    }

    /// A thing is asked for no more.
    pub fn forget(&mut self, suspect: &Suspect) {
        self.suspects.remove(suspect);
    }

    /// Something was answered well. Returns what alone had failed, if it was one thing.
    pub fn over(self) -> Option<Suspect> {
        let mut suspects = self.suspects.into_keys();
        suspects.next().filter(|_| suspects.next().is_none())
    }

    /// How often a thing has failed in this outage.
    pub fn times(&self, suspect: &Suspect) -> u32 {
        self.suspects.get(suspect).map_or(0, |suspicion| suspicion.failures)
    }

    /// How often a thing has failed in a way that can be its own.
    pub fn failures_of(&self, suspect: &Suspect) -> u32 {
        self.suspects.get(suspect).filter(|s| s.can_be_its_own).map_or(0, |s| s.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(account: usize) -> Suspect {
        Suspect {
            account,
            ask: Some(Ask::OfActivity { kind: "detail".to_string(), id: account.to_string(), start_s: 0 }),
        }
    }

    #[test]
    fn one_thing_that_failed_among_others_is_at_fault_and_of_many_nobody_is() {
        let mut outage = Outage::begin(0);
        outage.failed(suspect(1), Trouble::OfOneThing, String::new(), 0, None);
        outage.failed(suspect(1), Trouble::OfOneThing, String::new(), 500, None);
        assert_eq!(outage.clone().over(), Some(suspect(1)));
        outage.failed(suspect(2), Trouble::OfOneThing, String::new(), 1_500, None);
        assert_eq!(outage.over(), None);
    }

    #[test]
    fn who_failed_is_known_and_who_is_asked_no_more_is_forgotten() {
        let mut outage = Outage::begin(0);
        outage.failed(suspect(1), Trouble::OfTheApi, String::new(), 0, None);
        outage.failed(suspect(2), Trouble::OfOneThing, String::new(), 0, None);
        assert_eq!(outage.suspects(), 2);
        assert!(outage.is_suspect(&suspect(1)) && !outage.is_suspect(&suspect(3)));
        assert_eq!((outage.failures_of(&suspect(1)), outage.failures_of(&suspect(2))), (0, 1));
        outage.forget(&suspect(2));
        assert_eq!((outage.suspects(), outage.is_suspect(&suspect(2))), (1, false));
    }

    #[test]
    fn an_outage_of_six_hours_costs_less_than_a_hundred_requests() {
        let mut outage = Outage::begin(0);
        let mut probes = 0;
        while outage.probe_at_ms < 6 * 3_600_000 {
            let now_ms = outage.probe_at_ms;
            outage.failed(suspect(probes), Trouble::OfTheApi, String::new(), now_ms, None);
            probes += 1;
        }
        assert!(probes < 100, "{probes}");
    }

    #[test]
    fn what_the_server_asks_for_is_honoured() {
        let mut outage = Outage::begin(1_000);
        outage.failed(suspect(1), Trouble::OfTheApi, String::new(), 1_000, Some(90_000));
        assert_eq!(outage.probe_at_ms, 91_000);
    }
}
