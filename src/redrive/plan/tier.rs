//! The last stage: what a user's tier has left, and what must wait for something before it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::held::{Held, Reason};
use super::stages::{End, Planned, Ready, Settled, Weighed};
use crate::fitglue::users::User;

/// Since when messages count against what is left of a tier: since the user's export was written, or, where that was
/// in another month, since this one began.
pub fn counted_since_s(user: &User, now: Timestamp) -> i64 {
    user.written_s.max(month_start(now).as_second())
}

/// What a user's tier has left this month, beside what is left to the live pipeline; None where it has no limit.
/// `sent` are the syncs of the messages since [`counted_since_s`].
pub fn syncs_left(user: &User, sent: u64, leave: u64, now: Timestamp) -> Option<u64> {
    let of_tier = user.tier?.syncs_a_month()?;
    // An export of another month says nothing of this one.
    let used = if user.written_s >= month_start(now).as_second() { user.syncs_used } else { 0 };
    Some(of_tier.saturating_sub(used.saturating_add(sent).saturating_add(leave)))
}

/// The first second of the calendar month, in UTC.
fn month_start(now: Timestamp) -> Timestamp {
    let date = now.to_zoned(TimeZone::UTC).date().first_of_month();
    DateTime::from(date).to_zoned(TimeZone::UTC).map_or(now, |start| start.timestamp())
}

/// What one user may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub syncs_left: Option<u64>,
    /// Messages since then are counted in that.
    pub counted_since_s: i64,
    /// Left to the live pipeline.
    pub leave_syncs: u64,
    /// When the oldest began of those that may have arrived, are owed, and are not asked for now.
    pub unsettled_elsewhere: Option<Timestamp>,
    /// Whether messages may overtake each other.
    pub unordered: bool,
}

/// Lets a user's messages through, oldest first, or holds them.
pub fn allow(weighed: Vec<Result<Weighed, Box<Settled>>>, allowance: Allowance) -> Vec<Planned> {
    let mut left = allowance.syncs_left;
    // What may have arrived and does not go now keeps back whatever began later.
    let mut unsettled_since = allowance.unsettled_elsewhere.filter(|_| !allowance.unordered);
    let one = |weighed: Result<Weighed, Box<Settled>>| {
        let settled = match weighed {
            Ok(weighed) => match hold(&weighed, &mut left, unsettled_since, &allowance) {
                Some(held) => weighed.held(held),
                None => return Planned::Ready(Box::new(Ready::let_through(weighed))),
            },
            Err(settled) => settled,
        };
        // What can never go again keeps nothing back.
        let may_go = matches!(&settled.end, End::Held(held) if !held.reason.is_for_good());
        let is_in_doubt = settled.unsettled.is_some() && may_go;
        if is_in_doubt && !allowance.unordered {
            let start = settled.owed.start;
            unsettled_since = Some(unsettled_since.map_or(start, |since| since.min(start)));
        }
        Planned::Settled(settled)
    };
    weighed.into_iter().map(one).collect()
}

fn hold(
    weighed: &Weighed,
    left: &mut Option<u64>,
    unsettled_since: Option<Timestamp>,
    allowance: &Allowance,
) -> Option<Held> {
    if let Some(since) = unsettled_since.filter(|since| *since < weighed.owed.start) {
        let why = format!(
            "the message of a workout of {since} may have arrived, and does not go now; what comes later waits for it"
        );
        return Some(Held::new(Reason::UnsettledBefore, why));
    }
    let left = left.as_mut()?;
    let cost = weighed.destinations.len() as u64;
    // One that was begun may have been counted.
    let is_counted = weighed.unsettled.is_some_and(|unsettled| unsettled.last_s >= allowance.counted_since_s);
    let cost = if is_counted { 0 } else { cost };
    if *left >= cost {
        *left -= cost;
        return None;
    }
    // Whatever comes later must not come before it.
    *left = 0;
    let syncs = if cost == 1 { "1 sync".to_string() } else { format!("{cost} syncs") };
    let why = format!(
        "it needs {syncs}, and the hobbyist's tier has fewer left this month (--leave-syncs {} are for the live pipeline)",
        allowance.leave_syncs
    );
    Some(Held::new(Reason::TierBudget, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitglue::users::Tier;

    #[test]
    fn a_tier_has_what_nobody_has_used_this_month() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let second = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
        let user =
            |tier, syncs_used, written_s| User { tier: Some(tier), syncs_used, written_s, pipelines: vec![] };
        let left = |user: &User, sent: u64| syncs_left(user, sent, 5, now);
        let this_month = second("2026-11-20T00:00:00Z");
        assert_eq!(left(&user(Tier::Athlete, 90, this_month), 3), None);
        assert_eq!(left(&user(Tier::Hobbyist, 4, this_month), 3), Some(13));
        assert_eq!(left(&user(Tier::Hobbyist, 24, this_month), 3), Some(0));
        assert_eq!(left(&user(Tier::Hobbyist, u64::MAX, this_month), u64::MAX), Some(0));
        let of_last_month = user(Tier::Hobbyist, 24, second("2026-10-20T00:00:00Z"));
        assert_eq!(left(&of_last_month, 9), Some(11));
        assert_eq!(counted_since_s(&of_last_month, now), second("2026-11-01T00:00:00Z"));
    }
}
