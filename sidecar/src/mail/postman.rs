//! Brings what is in the outbox to the server.

use std::time::Duration;

use sekisho_domain::UnixMillis;
use uuid::Uuid;

use super::letter::{self, MessageName};
use super::outbox::{self, Due, LETTERS, State};
use super::{Mail, Undelivered, carrier};
use crate::forward::{Trouble, backoff};
use crate::outbox::{DAY, Forgetting, PERIOD, Why};
use crate::store::{Store, StoreError};

/// Letters of one connection.
const AT_ONCE: u32 = 50;

pub(super) struct Postman {
    mail: Mail,
    store: Store,
    failures: u32,
    forgetting: Forgetting,
    /// Whether the server is to be asked though nothing is there for it: at first, and while it
    /// fails.
    asks: bool,
}

impl Postman {
    pub(super) const fn new(mail: Mail, store: Store) -> Self {
        Self {
            mail,
            store,
            failures: 0,
            forgetting: Forgetting::of(&LETTERS),
            asks: true,
        }
    }

    /// Brings what is there and what comes, for ever.
    pub(super) async fn run(mut self) {
        loop {
            match self.round().await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(PERIOD).await,
                Err(trouble) => {
                    let rest = self.failed(&trouble);
                    tokio::time::sleep(rest).await;
                }
            }
        }
    }

    /// Whether there was anything to bring.
    async fn round(&mut self) -> Result<bool, Trouble> {
        let now = self.mail.0.clock.now();
        self.forgetting.look(&self.store, now).await?;
        let due = outbox::due(&self.store, now, AT_ONCE).await?;
        // Whoever hands over at once may have found that it fails; then it is asked until it works.
        if due.is_empty() && !self.asks && self.mail.failing().is_none() {
            return Ok(false);
        }
        let connected = self.mail.0.carrier.connect().await;
        let mut session = match connected {
            Ok(session) => session,
            Err(trouble) => {
                self.give_up_old(&due, &trouble).await?;
                return Err(trouble);
            }
        };
        self.asks = false;
        if due.is_empty() {
            self.well();
        }
        for due in &due {
            match self.bring(&mut session, due).await? {
                Some(Undelivered::Server(trouble) | Undelivered::InDoubt(trouble)) => {
                    session.end().await;
                    return Err(trouble);
                }
                // Whoever answers with a code works.
                None | Some(_) => self.well(),
            }
            if session.is_broken() {
                break;
            }
        }
        session.end().await;
        Ok(!due.is_empty())
    }

    /// Brings one letter and notes what becomes of it; why it was not taken.
    async fn bring(
        &self,
        session: &mut carrier::Session,
        due: &Due,
    ) -> Result<Option<Undelivered>, Trouble> {
        let now = self.mail.0.clock.now();
        let Ok(letter) = &due.letter else {
            // Nobody but us writes there.
            let why = Why {
                code: None,
                text: "its recipient is no address".to_owned(),
            };
            LETTERS
                .ended(&self.store, &due.id, State::Refused, &why, now)
                .await?;
            return Ok(None);
        };
        // Every try has the same Message-ID, by which the reader's side tells a second one.
        let id = Uuid::parse_str(&due.id)
            .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, due.id.as_bytes()));
        let name = MessageName::new(id.into_bytes());
        let settings = self.mail.settings();
        let written = letter::message(letter, settings, &name, due.created_at)?;
        let handed = session.hand_over(&letter.to, &written).await;
        let now = self.mail.0.clock.now();
        match handed {
            Ok(_) => {
                let why = Why::default();
                LETTERS
                    .ended(&self.store, &due.id, State::Sent, &why, now)
                    .await?;
                tracing::debug!(mail = due.id, to = %letter.to, "handed over");
                Ok(None)
            }
            Err(why) => {
                self.not_taken(due, &why, now).await?;
                Ok(Some(why))
            }
        }
    }

    async fn not_taken(
        &self,
        due: &Due,
        why: &Undelivered,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let to = due.letter.as_ref().map(|letter| letter.to.to_string());
        let to = to.unwrap_or_default();
        let noted = Why {
            code: why.code(),
            text: why.to_string(),
        };
        if why.is_final() {
            tracing::warn!(mail = due.id, to, %why, "a mail is refused");
            return LETTERS
                .ended(&self.store, &due.id, State::Refused, &noted, now)
                .await;
        }
        if self.is_old(due, now) {
            tracing::warn!(mail = due.id, to, %why, "a mail is given up");
            return LETTERS
                .ended(&self.store, &due.id, State::GivenUp, &noted, now)
                .await;
        }
        let next = UnixMillis(now.0.saturating_add(wait(due.tries, why)));
        LETTERS.put_off(&self.store, &due.id, &noted, next).await
    }

    fn is_old(&self, due: &Due, now: UnixMillis) -> bool {
        let most = self.mail.settings().days * DAY;
        now.0.saturating_sub(due.created_at.0) >= most
    }

    /// Also while the server cannot be reached at all, letters end some day.
    async fn give_up_old(&self, due: &[Due], trouble: &Trouble) -> Result<(), StoreError> {
        let now = self.mail.0.clock.now();
        for due in due.iter().filter(|due| self.is_old(due, now)) {
            let why = Why {
                code: None,
                text: format!("the mail server cannot be used: {}", trouble.sentence()),
            };
            tracing::warn!(mail = due.id, why = why.text, "a mail is given up");
            LETTERS
                .ended(&self.store, &due.id, State::GivenUp, &why, now)
                .await?;
        }
        Ok(())
    }

    fn well(&mut self) {
        self.failures = 0;
        self.mail.note_well();
    }

    /// Notes what is wrong with the server; how long to wait.
    fn failed(&mut self, trouble: &Trouble) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.asks = true;
        self.mail.note_failing(trouble);
        let random = getrandom::u64().unwrap_or_default();
        backoff::rest(self.failures, trouble.told(), random)
    }
}

/// How long a letter waits after so many tries before this one, milliseconds.
pub(super) fn wait(tries: u64, why: &Undelivered) -> u64 {
    let mut wait = crate::outbox::wait(tries);
    match why {
        Undelivered::Temporary { after, .. } => wait = wait.max(after.unwrap_or_default()),
        // Of the letter nothing is known: its turn is when the server's is.
        Undelivered::Server(_) => wait = Duration::ZERO,
        Undelivered::InDoubt(_) | Undelivered::Refused { .. } => {}
    }
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_waits_longer_at_each_try_and_one_of_a_failing_server_goes_with_it() {
        let temporary = Undelivered::Temporary {
            code: 451,
            status: None,
            after: None,
        };
        let usual = |tries| wait(tries, &temporary) / 60_000;
        assert_eq!([usual(0), usual(1), usual(9)], [1, 2, 120]);
        assert_eq!(wait(3, &Undelivered::Server(Trouble::Slow)), 0);
        assert_eq!(wait(0, &Undelivered::InDoubt(Trouble::Slow)), 60_000);
    }
}
