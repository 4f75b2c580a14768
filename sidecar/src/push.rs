//! Push: short messages to the browsers of people, and to webhooks.
//!
//! Browsers are reached over the push services of those who make them (Web Push: RFC 8030, encrypted
//! by RFC 8291, signed by RFC 8292), webhooks as alerts are (Standard Webhooks). People register
//! their browsers themselves ([`subscriptions`]). Messages wait in the [`outbox`], in the
//! transaction of whatever they are about, and the active sidecar brings them until they are taken,
//! refused, or out of date.

mod bearer;
pub mod config;
mod encrypt;
mod guard;
pub mod outbox;
pub mod subscriptions;
mod vapid;

use std::collections::HashMap;
use std::sync::Arc;

use reqwest::Client;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::forward::webhook::Webhook;
use crate::forward::{Trouble, http};
use crate::store::Store;
use crate::vitals::{Kind, Pulse, Vitals};
pub use config::PushSettings;
pub use encrypt::{KeyTrouble, MOST_PAYLOAD, SubscriberKeys};
pub use guard::{Forbidden, Guard};
pub use vapid::VapidKey;

/// The ways of the policy; cheap to clone.
#[derive(Clone)]
pub struct Push(Arc<Shared>);

struct Shared {
    settings: PushSettings,
    guard: Guard,
    key: VapidKey,
    client: Client,
    clock: Clock,
    pulse: Pulse,
    webhooks: HashMap<String, (Webhook, Pulse)>,
}

impl std::fmt::Debug for Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key.
        f.debug_struct("Push")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// Nothing can be pushed by these settings, whatever the others say.
#[derive(Debug, thiserror::Error)]
#[error("`push`: {}", .0.sentence())]
pub struct Unusable(#[from] Trouble);

impl Push {
    /// Reads whether secrets and certificates are there; nobody is asked. `key`: by which push
    /// services know the sidecar.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn new(settings: PushSettings, key: VapidKey, clock: &Clock) -> Result<Self, Unusable> {
        let guard = Guard::new(settings.hosts.clone(), settings.private_hosts.clone());
        let builder = http::builder(settings.authorities.as_deref())?;
        let client = builder.dns_resolver(Arc::new(guard.clone())).build();
        let mut webhooks = HashMap::new();
        for (name, target) in &settings.webhooks {
            let webhook = Webhook::new(target.clone(), clock.clone())?;
            webhooks.insert(name.clone(), (webhook, Pulse::default()));
        }
        Ok(Self(Arc::new(Shared {
            settings,
            guard,
            key,
            client: client.map_err(Trouble::from)?,
            clock: clock.clone(),
            pulse: Pulse::default(),
            webhooks,
        })))
    }

    /// What the policy says of push.
    #[must_use]
    pub fn settings(&self) -> &PushSettings {
        &self.0.settings
    }

    /// Whom messages may go to.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.0.guard
    }

    /// What browsers are told to know the sidecar by (`applicationServerKey`).
    #[must_use]
    pub fn public_key(&self) -> String {
        self.0.key.public_key()
    }

    /// How the push services and webhooks are.
    pub fn watch_over(&self, vitals: &Vitals) {
        vitals.add(Kind::Push, "push services", self.0.pulse.clone());
        for (name, (_, pulse)) in &self.0.webhooks {
            vitals.add(Kind::Webhook, format!("push/{name}"), pulse.clone());
        }
    }

    /// Begins to bring what is in the outbox, for ever. For the active sidecar alone.
    pub fn start(&self, store: &Store) -> JoinHandle<()> {
        let bearer = bearer::Bearer::new(self.clone(), store.clone());
        tokio::spawn(bearer.run())
    }
}
