//! Letters whose content is kept nowhere: noted in the outbox, and handed over by whoever has it.

use std::time::Duration;

use sekisho_domain::UnixMillis;
use uuid::Uuid;

use super::letter::MessageName;
use super::outbox::{self, LETTERS, Order, State};
use super::posting::Posting;
use super::postman;
use super::undelivered::Undelivered;
use crate::outbox::{DAY, Why};
use crate::store::{Store, StoreError};

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The server has taken it.
    Taken,
    /// It may take it another time.
    Later {
        /// Why not now.
        why: String,
        /// How long to wait before the next try. None: that is for the server's trouble to say,
        /// and nothing else can be handed over now either.
        wait: Option<Duration>,
    },
    /// It never will, or did not for as many days as the policy says.
    Never {
        /// Why.
        why: String,
    },
}

impl Posting {
    /// Notes that there is this letter, hands it over, and notes what came of it.
    ///
    /// # Errors
    /// [`StoreError`]; then the server may have it.
    pub async fn hand_over_noted(
        &mut self,
        store: &Store,
        order: &Order<'_>,
    ) -> Result<Attempt, StoreError> {
        let noted = outbox::note(store, order).await?;
        let id = Uuid::parse_str(&noted.id)
            .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, noted.id.as_bytes()));
        // The next try may say something else, so that it must not be taken for this one.
        let name = MessageName::of_try(id.into_bytes(), order.at);
        let handed = self.hand_over(order.letter, &name).await;
        let now = self.now();
        let Err(undelivered) = handed else {
            let why = Why::default();
            LETTERS
                .ended(store, &noted.id, State::Sent, &why, now)
                .await?;
            return Ok(Attempt::Taken);
        };
        let why = Why {
            code: undelivered.code(),
            text: undelivered.to_string(),
        };
        let text = why.text.clone();
        if undelivered.is_final() {
            LETTERS
                .ended(store, &noted.id, State::Refused, &why, now)
                .await?;
            return Ok(Attempt::Never { why: text });
        }
        let days = self.days();
        if now.0.saturating_sub(noted.since.0) >= days * DAY {
            LETTERS
                .ended(store, &noted.id, State::GivenUp, &why, now)
                .await?;
            let why = format!("given up after {days} days: {text}");
            return Ok(Attempt::Never { why });
        }
        let wait = match &undelivered {
            Undelivered::Server(_) | Undelivered::InDoubt(_) => None,
            _ => Some(Duration::from_millis(postman::wait(
                noted.tries,
                &undelivered,
            ))),
        };
        let next = now.0.saturating_add(wait.map_or(0, millis));
        LETTERS
            .put_off(store, &noted.id, &why, UnixMillis(next))
            .await?;
        Ok(Attempt::Later { why: text, wait })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
