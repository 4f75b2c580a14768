//! Issuers' signing keys: fetched, kept, pushed.
//!
//! Every issuer's key set is fetched once an hour, and at once when a token names a key
//! that is not known, but not more often than every five minutes, however many such tokens
//! come and through however many gateways. The last good set is in the database: the
//! identity provider may be down for a day. What is not a key set with at least one usable
//! key never replaces one that is.

mod fetch;
mod keeper;
mod schedule;
mod set;

use std::collections::HashMap;
use std::sync::Arc;

use sekisho_domain::IssuerKey;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::snapshot::SnapshotHub;
use crate::store::{Store, StoreError, issuer_keys};
use crate::vitals::Pulse;
use fetch::Client;
use keeper::{Keeper, Question};
pub use schedule::DEMANDED_AT_MOST_MILLIS;

/// Questions that wait while a set is being fetched; who comes later is told to ask again.
const MOST_QUESTIONS: usize = 1024;
/// When to ask again if too many are asking.
const BUSY_MILLIS: u64 = 1_000;

/// Why a key set was not taken.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// Anybody on the way could change the answer.
    #[error("`jwks_uri` `{0}` must be an https URL; http is for loopback addresses alone")]
    Insecure(String),
    /// No answer.
    #[error("the issuer's keys cannot be fetched")]
    Fetch(#[from] reqwest::Error),
    /// Something else than the answer itself. Redirects are followed on the same host alone.
    #[error("the issuer answers with status {0}")]
    Status(u16),
    /// Over a megabyte.
    #[error("the issuer's key set is larger than 1 MiB")]
    TooLarge,
    /// Not a JSON Web Key Set (RFC 7517, section 5).
    #[error("the issuer's answer is not a key set")]
    Form(#[from] serde_json::Error),
    /// There are none.
    #[error("the issuer's key set is empty")]
    Empty,
    /// None that is for signatures and strong enough.
    #[error("none of the {0} keys of the issuer's key set can be used")]
    NoUsableKey(usize),
    /// The database.
    #[error("the issuer's keys cannot be stored")]
    Store(#[from] StoreError),
}

/// That somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The issuer is not looked at for unknown keys for so many milliseconds.
    pub quiet_millis: u64,
}

/// The key sets of all issuers; cheap to clone.
#[derive(Clone, Debug)]
pub struct KeySets(Arc<HashMap<String, Asked>>);

/// Where an issuer's keys are asked for, and how the issuer is.
#[derive(Debug)]
struct Asked {
    questions: mpsc::Sender<Question>,
    pulse: Pulse,
}

impl KeySets {
    /// Pushes what was fetched last of the issuers of the hub's policy that have a
    /// `jwks_uri`; then fetches on and on, each issuer for itself.
    ///
    /// # Errors
    /// [`JwksError`]: an address is not secure, or the last good sets cannot be read.
    pub async fn start(store: &Store, hub: &SnapshotHub, clock: &Clock) -> Result<Self, JwksError> {
        let client = Client::new()?;
        let policy = hub.policy();
        let mut asking = HashMap::new();
        let mut keepers = Vec::new();
        for issuer in &policy.issuers {
            let Some(uri) = &issuer.jwks_uri else {
                continue;
            };
            let uri = fetch::secure(uri).ok_or_else(|| JwksError::Insecure(uri.clone()))?;
            let stored = issuer_keys::load(store, &issuer.issuer).await?;
            let (sender, questions) = mpsc::channel(MOST_QUESTIONS);
            let keeper = Keeper::new(
                (issuer.clone(), uri),
                client.clone(),
                store.clone(),
                hub.clone(),
                clock.clone(),
                stored,
            );
            let asked = Asked {
                questions: sender,
                pulse: keeper.pulse(),
            };
            asking.insert(issuer.issuer.clone(), asked);
            keepers.push(keeper.run(questions));
        }
        for keeper in keepers {
            tokio::spawn(keeper);
        }
        Ok(Self(Arc::new(asking)))
    }

    /// How each issuer is whose keys are fetched.
    pub fn pulses(&self) -> impl Iterator<Item = (&str, &Pulse)> {
        let pulses = self.0.iter();
        pulses.map(|(issuer, asked)| (issuer.as_str(), &asked.pulse))
    }

    /// A token named a key that is not known: the issuer may have a new one. Returns when
    /// it has been looked at, or at once if that was so lately; what was found is pushed by
    /// then. Never fails: where nothing can be found, nothing is found.
    pub async fn look(&self, issuer: &str, kid: &str) -> Looked {
        let Some(asking) = self.0.get(issuer) else {
            // Its keys stand in the policy.
            let quiet_millis = DEMANDED_AT_MOST_MILLIS;
            return Looked { quiet_millis };
        };
        let busy = Looked {
            quiet_millis: BUSY_MILLIS,
        };
        let (answer, answered) = oneshot::channel();
        let kid = kid.to_owned();
        if asking.questions.try_send(Question { kid, answer }).is_err() {
            return busy;
        }
        answered.await.unwrap_or(busy)
    }
}

/// Whether a set has a key of this name.
fn has(keys: &[IssuerKey], kid: &str) -> bool {
    keys.iter().any(|key| key.kid == kid)
}
