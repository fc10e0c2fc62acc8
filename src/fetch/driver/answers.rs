//! What is done with what came back: tokens are stored, answers landed, and the scheduler is told.

use super::*;
use crate::fetch::athletes::Whose;
use crate::fetch::outage::Trouble;
use crate::fetch::verdict::{Verdict, judge, names_the_application};
use crate::store::landing::Header;

impl Fetch<'_> {
    pub(super) fn land(&mut self, flight: Flight, watch: &mut dyn FnMut(Event)) -> Result<()> {
        match flight {
            Flight::Grant { account, grant } => self.land_grant(account, grant),
            Flight::Answer { account, ask, token, sent_ms, answer } => match answer {
                Ok(answer) => self.land_answer(account, ask, &token, sent_ms, answer, watch),
                Err(reason) => {
                    let user = &self.scheduler.account(account).account.user_id;
                    tracing::warn!(user, path = endpoints::path(&ask), reason, "no answer");
                    self.scheduler.unanswered();
                    let now_ms = self.now_ms();
                    self.scheduler.trouble(account, &ask, Trouble::OfTheApi, reason, None, now_ms);
                    Ok(())
                }
            },
        }
    }

    fn land_grant(&mut self, index: usize, grant: Result<Grant, NoGrant>) -> Result<()> {
        match grant {
            Ok(grant) => {
                let has_access = grant.access_token.is_some();
                let now_s = self.server_s();
                let account = renewed(&self.scheduler.account(index).account, grant, now_s);
                // On the disk before it is used: the old refresh token may have ended.
                self.tokens.rotate(&account)?;
                if has_access {
                    self.summary.token_refreshes += 1;
                    tracing::info!(user = account.user_id, "tokens renewed");
                    self.scheduler.refreshed(index, account);
                } else {
                    let reason = "the token endpoint gave no access token".to_string();
                    let now_ms = self.now_ms();
                    self.scheduler.refresh_trouble(index, reason, None, now_ms);
                    self.scheduler.keep(index, account);
                }
            }
            // It is one fact, and no account's: with the next account it would be the same.
            Err(NoGrant::Refused(reason)) if names_the_application(&reason) => {
                return Err(Error::Remote(format!(
                    "strava does not know the application by this id and secret ({reason}); set LONGRUN_STRAVA_CLIENT_ID and \
                     LONGRUN_STRAVA_CLIENT_SECRET to those of https://www.strava.com/settings/api, then run the same command again"
                )));
            }
            Err(NoGrant::Refused(reason)) => match self.stored_meanwhile(index)? {
                Some(Ok(stored)) => self.scheduler.refreshed_elsewhere(index, stored),
                Some(Err(closed)) => self.scheduler.refresh_given_up(index, closed.reason),
                None => self.scheduler.refresh_refused(index, &reason),
            },
            Err(NoGrant::Trouble { reason, retry_after_ms }) => {
                let now_ms = self.now_ms();
                self.scheduler.refresh_trouble(index, reason, retry_after_ms, now_ms);
            }
        }
        Ok(())
    }

    fn land_answer(
        &mut self,
        index: usize,
        ask: Ask,
        token: &Secret,
        sent_ms: i64,
        answer: Answer,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let at_s = self.scheduler.answered(sent_ms, now_ms, answer.date_s, answer.rate);
        tracing::info!(
            user = self.scheduler.account(index).account.user_id,
            path = endpoints::path(&ask),
            status = answer.status,
            bytes = answer.body.len(),
            took_ms = now_ms - sent_ms,
            "answered"
        );
        // What was in flight when its tokens were found to be another athlete's.
        if self.athletes.is_mistaken(index) {
            return Ok(());
        }
        let is_list = endpoints::activity(&ask).is_none();
        match judge(answer.status, &answer.body, &answer.said) {
            // That an activity is gone is an answer; that a whole list is, is a refusal.
            Verdict::Land if is_list && answer.status != 200 => {
                self.scheduler.refused(index, &ask, format!("HTTP {}", answer.status), now_ms);
            }
            Verdict::Land => return self.land_body(index, ask, at_s, &answer, watch),
            Verdict::OverTheLimit => {
                self.summary.over_the_limit += 1;
                self.scheduler.over_the_limit(index, &ask, answer.retry_after_ms, now_ms);
                self.save()?;
            }
            // A newer token has come since.
            Verdict::TokenRefused(_) if self.scheduler.account(index).account.access_token != *token => {
                self.scheduler.again(index, &ask);
            }
            Verdict::TokenRefused(reason) => match self.stored_meanwhile(index)? {
                Some(Ok(stored)) => {
                    self.scheduler.again(index, &ask);
                    self.scheduler.adopt(index, stored);
                }
                // The refresh that follows says why.
                Some(Err(_)) | None => self.scheduler.token_refused(index, &ask, reason, now_ms),
            },
            Verdict::Refused(reason) => self.scheduler.refused(index, &ask, reason, now_ms),
            Verdict::ApplicationRefused(reason) => {
                return Err(Error::Remote(format!(
                    "strava refuses the application ({reason}); look after it at https://www.strava.com/settings/api, then run the same command again"
                )));
            }
            Verdict::Trouble(trouble, reason) => {
                self.scheduler.trouble(index, &ask, trouble, reason, answer.retry_after_ms, now_ms);
            }
        }
        Ok(())
    }

    /// Lands a body, then sees what it means.
    fn land_body(
        &mut self,
        index: usize,
        ask: Ask,
        at_s: i64,
        answer: &Answer,
        watch: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let account = &self.scheduler.account(index).account;
        match self.athletes.look(index, account, &endpoints::athletes(&ask, answer.status, &answer.body)) {
            Whose::Theirs => {}
            Whose::TheirsAgain => self.tokens.mistaken(account, None)?,
            Whose::Learned(athlete_id) => self.tokens.learned(account, &athlete_id)?,
            Whose::NotTheirs(reason) => {
                let now_ms = self.now_ms();
                let now_s = self.server_s();
                let account = &self.scheduler.account(index).account;
                tracing::warn!(
                    user = account.user_id,
                    path = endpoints::path(&ask),
                    "another athlete's answer"
                );
                self.tokens.mistaken(account, Some(now_s))?;
                self.summary.mistaken += 1;
                self.scheduler.mistaken(index, &ask, reason, now_ms);
                return Ok(());
            }
        }
        let fetched_at = strava::api::start_time(at_s);
        let newest = self.scheduler.account(index).progress.newest();
        let header = Header {
            v: 1,
            source: strava::SOURCE.to_string(),
            request: endpoints::path(&ask),
            ask,
            user_id: account.user_id.clone(),
            account_id: account.account_id.clone(),
            fetched_at,
            after: newest.filter(|newest| *newest > fetched_at),
            status: answer.status,
        };
        self.summary.landed_bytes += self.landing.append(&header, &answer.body)?;
        if self.refused.remove(&header.account_id) {
            self.tokens.refused(&header.source, &header.account_id, None)?;
        }
        let now_ms = self.now_ms();
        match endpoints::read(&header.ask, answer.status, &answer.body) {
            Err(reason) => {
                let reason = format!("{reason} (the answer is kept in the landing)");
                self.scheduler.trouble(index, &header.ask, Trouble::OfOneThing, reason, None, now_ms);
            }
            Ok(news) => {
                if matches!(news, endpoints::News::Nothing | endpoints::News::NotFound) {
                    self.summary.gone += 1;
                } else {
                    *self.summary.answers.entry(endpoints::answers(&header.ask)).or_default() += 1;
                }
                self.scheduler.landed(index, &header.ask, news, header.fetched_at, now_ms);
                watch(Event::Landed {
                    done: self.summary.answers.values().sum::<u64>() + self.summary.gone,
                    left: self.scheduler.left(),
                    activities: self.scheduler.activities(),
                    budget: &self.scheduler.budget,
                });
            }
        }
        Ok(())
    }
}
