//! From which odds on a pair is a match, or for review.

use crate::dedupe::Thresholds;
use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Odds {
    /// A pair is one workout from these odds on: 20 is twenty to one
    #[arg(long, default_value_t = Thresholds::default().match_odds, value_name = "ODDS", value_parser = odds)]
    match_odds: f64,
    /// A pair is for somebody to look at from these odds on
    #[arg(long, default_value_t = Thresholds::default().review_odds, value_name = "ODDS", value_parser = odds)]
    review_odds: f64,
}

fn odds(text: &str) -> std::result::Result<f64, String> {
    let odds: f64 = text.parse().map_err(|_| "odds are a number, like 20".to_string())?;
    if odds.is_finite() && odds > 0.0 { Ok(odds) } else { Err("odds are more than 0".to_string()) }
}

impl Odds {
    /// The flags that say the same.
    #[cfg(feature = "testing")]
    pub fn words(self) -> [String; 4] {
        let flag = |name: &str| format!("--{name}-odds");
        [flag("match"), self.match_odds.to_string(), flag("review"), self.review_odds.to_string()]
    }

    pub fn thresholds(self) -> Result<Thresholds> {
        if self.review_odds > self.match_odds {
            return Err(Error::Usage(format!(
                "--review-odds {} are more than --match-odds {}: a pair that is sure needs no look",
                self.review_odds, self.match_odds
            )));
        }
        Ok(Thresholds { match_odds: self.match_odds, review_odds: self.review_odds })
    }
}
