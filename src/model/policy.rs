//! How long a source's terms let what its API gave be kept. What people exported themselves is theirs, and no policy
//! is about it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The policies that come with longrun, by name.
const KNOWN: [(&str, &str); 1] = [(STRAVA_2026, include_str!("../../data/policies/strava-2026.toml"))];
/// What Strava asks for today.
pub const STRAVA_2026: &str = "strava-2026";

const HOUR_S: i64 = 3_600;

/// What sources ask for, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Policy {
    sources: BTreeMap<String, Terms>,
}

/// What one source asks for. What is left out is not asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What was fetched is fetched anew or forgotten within so many days.
    cached_days: Option<u32>,
    /// What the source no longer has is forgotten within so many hours.
    gone_hours: Option<u32>,
    /// All that was fetched of an athlete who took the access back is forgotten within so many days.
    revoked_days: Option<u32>,
}

impl Policy {
    /// The text of a policy that comes with longrun.
    pub fn known(name: &str) -> Option<&'static str> {
        KNOWN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    pub fn parse(text: &str) -> Result<Policy, String> {
        toml::from_str(text).map_err(|e| e.message().to_string())
    }

    /// What a source asks for.
    pub fn of(&self, source: &str) -> Terms {
        self.sources.get(source).copied().unwrap_or_default()
    }
}

impl Terms {
    /// How long what was fetched may be kept, in seconds.
    pub fn cached_s(&self) -> Option<i64> {
        self.cached_days.map(|days| i64::from(days) * 24 * HOUR_S)
    }

    /// How long what the source no longer has may be kept, in seconds.
    pub fn gone_s(&self) -> Option<i64> {
        self.gone_hours.map(|hours| i64::from(hours) * HOUR_S)
    }

    /// How long what was fetched of an athlete who took the access back may be kept, in seconds: a day less than the
    /// terms say, so that whoever looks once a day is in time.
    pub fn revoked_s(&self) -> Option<i64> {
        self.revoked_days.map(|days| (i64::from(days) - 1).max(0) * 24 * HOUR_S)
    }

    /// When a row is to be fetched anew or forgotten, in seconds, if the oldest of it was fetched then, and its
    /// source had it no more since then.
    pub fn expires_s(&self, oldest_s: i64, gone_s: Option<i64>) -> Option<i64> {
        let cached = self.cached_s().map(|s| oldest_s.saturating_add(s));
        let gone = gone_s.zip(self.gone_s()).map(|(at_s, s)| at_s.saturating_add(s));
        cached.into_iter().chain(gone).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_counts_and_other_sources_ask_for_nothing() {
        let policy = Policy::parse(Policy::known(STRAVA_2026).unwrap()).unwrap();
        let terms = policy.of("strava");
        assert_eq!(terms.expires_s(0, None), Some(7 * 86_400));
        assert_eq!(terms.expires_s(0, Some(10)), Some(10 + 48 * 3_600));
        assert_eq!(terms.expires_s(0, Some(6 * 86_400)), Some(7 * 86_400));
        assert_eq!(terms.revoked_s(), Some(29 * 86_400));
        assert_eq!(policy.of("hevy").expires_s(0, Some(0)), None);
    }

    #[test]
    fn a_misspelt_term_is_refused() {
        let e = Policy::parse("[strava]\ncached_weeks = 1\n").unwrap_err();
        assert!(e.contains("cached_weeks"), "{e}");
    }
}
