//! Why a workout that is owed is not sent.

use std::collections::BTreeMap;

use serde::Serialize;

impl Reason {
    /// Whether nothing frees what is held for it.
    pub fn is_for_good(self) -> bool {
        matches!(self, Reason::Gone | Reason::NoDuration | Reason::NoTime)
    }
}

/// A reason, and in a sentence what it is about here and what frees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    pub reason: Reason,
    pub why: String,
}

impl Held {
    pub fn new(reason: Reason, why: impl Into<String>) -> Held {
        Held { reason, why: why.into() }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $frees:literal;)*) => {
        /// The kinds of reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// What a person does about it.
            pub fn frees(self) -> &'static str {
                match self { $(Reason::$variant => $frees,)* }
            }
        }
    };
}

reasons! {
    /// Nothing is known of the user, or of the tier.
    UnknownUser = "unknown_user", "longrun pipeline import an export of users";
    /// No pipeline, none that is known and enabled, or more than one that would take it.
    NoPipeline = "no_pipeline", "--pipeline ID, or a newer export of pipelines";
    /// A destination of the pipeline is a source, too.
    WritesBack = "writes_back", "--allow-write-back";
    /// It could be the same as one that the pipeline has or gets: a person has to say.
    ForReview = "for_review", "longrun dedupe decide --pair A B same|different, then longrun dedupe";
    /// The enricher drops what took no time.
    NoDuration = "no_duration", "nothing: the pipeline would drop it without a word";
    /// No message can say when it began.
    NoTime = "no_time", "nothing: no message can say when it began";
    /// Longer than what passes through the pipeline.
    TooLarge = "too_large", "--thin";
    /// The source's own answer is gone from the landing.
    OriginalGone = "original_gone", "longrun fetch, or --without-original";
    /// The sink takes activities of another source only.
    OtherSource = "other_source", "another sink";
    /// The sink needs the athlete's account at the source, and no record says it.
    NoAccount = "no_account", "longrun fetch, or another sink";
    /// The source no longer has it.
    Gone = "gone", "nothing: its athlete deleted or hid it";
    /// One before it may have arrived or not, and is left out now.
    UnsettledBefore = "unsettled_before", "the same command without filters";
    /// It was delivered before, and its run has come to nothing since.
    DeliveredBefore = "delivered_before", "--again WORKOUT";
    /// The sink has refused it before.
    RejectedBefore = "rejected_before", "--retry-rejected";
    /// The tier's syncs of this month are used up.
    TierBudget = "tier_budget", "the same command next month, or a smaller --leave-syncs";
}

/// How many are held for a reason, one of them, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HeldFigures {
    pub count: u64,
    pub example: String,
    pub why: String,
    pub frees: &'static str,
}

pub type AllHeld = BTreeMap<&'static str, HeldFigures>;

/// Counts one that is held.
pub fn count(all: &mut AllHeld, user_id: &str, golden_id: &str, held: &Held) {
    let figures = all.entry(held.reason.name()).or_default();
    figures.count += 1;
    if figures.count == 1 {
        figures.example = format!("{golden_id} of {user_id}");
        figures.why.clone_from(&held.why);
        figures.frees = held.reason.frees();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_called_the_same_everywhere() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
            assert_eq!(reason.is_for_good(), reason.frees().starts_with("nothing"), "{reason:?}");
        }
    }
}
