//! Letters that are handed over while somebody waits.

use sekisho_domain::UnixMillis;

use super::Mail;
use super::carrier::Session;
use super::letter::{self, Letter, MessageName};
use super::undelivered::{HandedOver, Undelivered};

/// One connection for several letters; it is opened for the first, and anew when it broke.
pub struct Posting {
    mail: Mail,
    session: Option<Session>,
}

impl Posting {
    pub(super) const fn new(mail: Mail) -> Self {
        Self {
            mail,
            session: None,
        }
    }

    /// Hands a letter to the server. Nothing of it is stored, and nothing is tried again.
    ///
    /// # Errors
    /// [`Undelivered`].
    pub async fn hand_over(
        &mut self,
        letter: &Letter,
        name: &MessageName,
    ) -> Result<HandedOver, Undelivered> {
        let handed = self.try_once(letter, name).await;
        match &handed {
            Err(Undelivered::Server(trouble) | Undelivered::InDoubt(trouble)) => {
                self.mail.note_failing(trouble);
            }
            // Whoever answers with a code works.
            Ok(_) | Err(_) => self.mail.note_well(),
        }
        handed
    }

    async fn try_once(
        &mut self,
        letter: &Letter,
        name: &MessageName,
    ) -> Result<HandedOver, Undelivered> {
        let shared = &self.mail.0;
        let message = letter::message(letter, &shared.settings, name, shared.clock.now())?;
        let mut session = match self.session.take() {
            Some(session) => session,
            None => shared.carrier.connect().await?,
        };
        let handed = session.hand_over(&letter.to, &message).await;
        if session.is_broken() {
            session.end().await;
        } else {
            self.session = Some(session);
        }
        handed
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.mail.0.clock.now()
    }

    /// For how many days a letter is tried.
    pub(super) fn days(&self) -> u64 {
        self.mail.0.settings.days
    }

    /// Ends the connection.
    pub async fn end(self) {
        if let Some(session) = self.session {
            session.end().await;
        }
    }
}

impl std::fmt::Debug for Posting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Posting").finish_non_exhaustive()
    }
}
