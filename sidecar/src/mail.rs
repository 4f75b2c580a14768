//! Mail: what the sidecar writes to people, over SMTP and TLS.
//!
//! There are two ways. [`Mail::send_now`] hands a letter to the server while the caller waits,
//! and keeps nothing of it: for what must never be stored, such as a first password. The
//! [`outbox`] keeps a letter in the database, in the transaction of whatever it is about, and
//! the active sidecar brings it to the server, again and again for some days: for alerts,
//! reports and notifications. It arrives at least once; each try has the same `Message-ID`.

pub mod address;
mod at_once;
mod carrier;
pub mod config;
pub mod letter;
pub mod outbox;
mod posting;
mod postman;
pub mod templates;
mod undelivered;

use std::sync::{Arc, OnceLock};

use serde::Serialize;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::forward::{Failing, Trouble};
use crate::settings::LiveSettings;
use crate::store::Store;
use crate::vitals::Pulse;
pub use address::{Address, NotAnAddress};
pub use at_once::Attempt;
use carrier::Carrier;
pub use config::{MailSettings, Protection};
pub use letter::{Letter, MessageName};
pub use posting::Posting;
use templates::Templates;
pub use templates::{Language, TemplateError};
pub use undelivered::{HandedOver, Undelivered};

/// The way to the mail server of the policy; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mail(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    carrier: Carrier,
    templates: Templates,
    settings: MailSettings,
    /// What goes before them.
    live: OnceLock<LiveSettings>,
    organisation: String,
    clock: Clock,
    pulse: Pulse,
}

/// Mail cannot be sent by these settings, whatever the server says.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A secret, a certificate.
    #[error("`mail`: {}", .0.sentence())]
    Server(#[from] Trouble),
    /// A template of the company's own.
    #[error("`mail.templates`: {0}")]
    Template(#[from] TemplateError),
}

impl Mail {
    /// Mail by these settings. Reads the templates, and whether secret and certificates are
    /// there; the server is not asked.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn new(
        settings: MailSettings,
        organisation: &str,
        clock: &Clock,
    ) -> Result<Self, Unusable> {
        Ok(Self(Arc::new(Shared {
            carrier: Carrier::new(&settings)?,
            templates: Templates::load(settings.templates.as_deref())?,
            settings,
            live: OnceLock::new(),
            organisation: organisation.to_owned(),
            clock: clock.clone(),
            pulse: Pulse::default(),
        })))
    }

    /// What the policy says of mail.
    #[must_use]
    pub fn settings(&self) -> &MailSettings {
        &self.0.settings
    }

    /// From now on mails go by these settings, where they say something else than the policy file.
    pub fn follow(&self, settings: &LiveSettings) {
        // There is one.
        let _ = self.0.live.set(settings.clone());
    }

    fn language(&self) -> Language {
        let live = self.0.live.get();
        live.map_or(self.0.settings.language, |live| live.now().language)
    }

    /// A letter to `to` from the template of this name, in this language or in that of the
    /// policy. Whatever the template names must be in `values`; `organisation` is there.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn compose(
        &self,
        template: &str,
        language: Option<Language>,
        to: &Address,
        values: &impl Serialize,
    ) -> Result<Letter, TemplateError> {
        let language = language.unwrap_or_else(|| self.language());
        let organisation = &self.0.organisation;
        let written = self
            .0
            .templates
            .write(template, language, organisation, values)?;
        Letter::new(to.clone(), &written.subject, written.text, written.html)
            .map_err(TemplateError::Letter)
    }

    /// Hands a letter to the server now. Nothing of it is stored, and nothing is tried again:
    /// what becomes of it is the caller's to say. `id`: random bytes that no other letter has.
    ///
    /// # Errors
    /// [`Undelivered`].
    pub async fn send_now(&self, letter: &Letter, id: [u8; 16]) -> Result<HandedOver, Undelivered> {
        let mut posting = self.posting();
        let handed = posting.hand_over(letter, &MessageName::new(id)).await;
        posting.end().await;
        handed
    }

    /// Several letters that are handed over now, as by [`Self::send_now`].
    #[must_use]
    pub fn posting(&self) -> Posting {
        Posting::new(self.clone())
    }

    /// Begins to bring what is in the outbox, for ever. For the active sidecar alone.
    pub fn start(&self, store: &Store) -> JoinHandle<()> {
        let postman = postman::Postman::new(self.clone(), store.clone());
        tokio::spawn(postman.run())
    }

    /// What is wrong with the server, while something is.
    #[must_use]
    pub fn failing(&self) -> Option<Failing> {
        self.0.pulse.beat().failing
    }

    /// How the server is.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    fn note_well(&self) {
        if self.0.pulse.well(self.0.clock.now()) {
            tracing::info!("the mail server takes mails again");
        }
    }

    fn note_failing(&self, trouble: &Trouble) {
        let why = trouble.sentence();
        // Once per trouble, not at each try.
        if self.0.pulse.failed(self.0.clock.now(), why.clone()) {
            tracing::warn!(why, "mails cannot be sent");
        }
    }
}
