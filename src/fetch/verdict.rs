//! What an answer means: decided from its status and its words, without doing anything.

use super::outage::Trouble;

/// What is to be done about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Keep it: it is what was asked for, or says that it is not there.
    Land,
    /// The rate limit: others have spent what was left.
    OverTheLimit,
    /// The access token is not taken.
    TokenRefused(String),
    /// This thing is not given to us: the account's other things may be.
    Refused(String),
    /// The application is not let in: nothing is, until a person looks after it.
    ApplicationRefused(String),
    /// No answer. The same request may work later.
    Trouble(Trouble, String),
}

const CONNECT_AGAIN: &str =
    "connect again with `longrun connect strava`, and leave the boxes for activities ticked";

/// Judges a status, a body and what that says.
pub fn judge(status: u16, body: &[u8], said: &str) -> Verdict {
    let words = format!("HTTP {status}{said}");
    match status {
        200 => Verdict::Land,
        // What Strava does not find it says in its own words, or with nothing. A page is of something before it.
        404 | 410 if body.trim_ascii().is_empty() || !said.is_empty() => Verdict::Land,
        404 | 410 => Verdict::Trouble(Trouble::OfOneThing, words),
        429 => Verdict::OverTheLimit,
        // Some proxies say so with another status.
        403 if said.to_ascii_lowercase().contains("rate limit") => Verdict::OverTheLimit,
        // The token is sound, and new ones would grant no more.
        401 if said.contains("_permission missing") => {
            Verdict::Refused(format!("{words}; the athlete did not grant it: {CONNECT_AGAIN}"))
        }
        401 => Verdict::TokenRefused(words),
        403 if said.contains("Application") => Verdict::ApplicationRefused(words),
        402 | 403 | 451 => Verdict::Refused(words),
        500 => Verdict::Trouble(Trouble::OfOneThing, words),
        // A request that cannot be right is this thing's, and asking the same again is no help.
        400..=499 if !matches!(status, 408 | 425) => Verdict::Refused(words),
        _ => Verdict::Trouble(Trouble::OfTheApi, words),
    }
}

/// Whether a refusal of the token endpoint is about what the athlete granted, and not about the application's id or
/// secret, which is refused for everybody.
pub fn names_the_grant(words: &str) -> bool {
    words.contains("refresh_token") || words.contains("RefreshToken") || words.contains("invalid_grant")
}

/// Whether a refusal of the token endpoint is about the application's id or secret.
pub fn names_the_application(words: &str) -> bool {
    ["Application", "client_id", "client_secret", "invalid_client"].iter().any(|word| words.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::client::said;
    use crate::model::secret::Secrets;

    fn judge(status: u16, body: &[u8]) -> Verdict {
        super::judge(status, body, &said(body, &Secrets::default()))
    }

    #[test]
    fn a_wrong_secret_says_nothing_of_the_athlete() {
        for words in
            ["RefreshToken refresh_token invalid", "refresh_token", "RefreshToken code", "invalid_grant"]
        {
            assert!(names_the_grant(words) && !names_the_application(words), "{words}");
        }
        for words in [
            "HTTP 401: Authorization Error (Application client_secret invalid)",
            "HTTP 400: Bad Request (Application client_id invalid)",
        ] {
            assert!(!names_the_grant(words) && names_the_application(words), "{words}");
        }
        assert!(!names_the_application("HTTP 403"));
    }

    #[test]
    fn a_limit_is_a_limit_whatever_the_status() {
        let body =
            br#"{"message":"Rate Limit Exceeded","errors":[{"resource":"Application","field":"rate limit","code":"exceeded"}]}"#;
        assert_eq!(judge(429, body), Verdict::OverTheLimit);
        assert_eq!(judge(403, body), Verdict::OverTheLimit);
    }

    #[test]
    fn a_refusal_is_told_from_trouble_and_an_application_from_an_athlete() {
        let inactive =
            br#"{"message":"Forbidden","errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}"#;
        assert!(matches!(judge(403, inactive), Verdict::ApplicationRefused(_)));
        assert!(matches!(judge(403, b""), Verdict::Refused(_)));
        assert!(matches!(judge(402, b""), Verdict::Refused(_)));
        assert!(matches!(judge(401, b""), Verdict::TokenRefused(_)));
        for status in [502, 503, 504, 597, 408] {
            assert!(matches!(judge(status, b"<html>"), Verdict::Trouble(Trouble::OfTheApi, _)), "{status}");
        }
        assert!(matches!(judge(500, b""), Verdict::Trouble(Trouble::OfOneThing, _)));
        assert_eq!(judge(404, b""), Verdict::Land);
        assert_eq!(judge(404, br#"{"message":"Record Not Found","errors":[]}"#), Verdict::Land);
        for status in [404, 410] {
            let page = b"<html>nginx</html>";
            assert!(matches!(judge(status, page), Verdict::Trouble(Trouble::OfOneThing, _)), "{status}");
        }
    }
}
