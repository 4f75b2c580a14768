//! Issuers' signing keys: fetched, kept, pushed.
//!
//! The last good set of every issuer is in the database, so that the identity provider
//! may be down for a day; a set without one usable key never replaces one that has some.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::policy::Issuer;
use sekisho_domain::{IssuerKey, KeyMaterial, UnixMillis};
use sekisho_link::v1;
use sekisho_scope::VerifyingKey;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::snapshot::SnapshotHub;
use crate::store::{Store, StoreError, issuer_keys};

/// How often keys are fetched.
const PERIOD: Duration = Duration::from_secs(3600);
/// How soon after a failure, while some keys are known.
const RETRY: Duration = Duration::from_secs(60);
/// How soon after a failure, while none is.
const RETRY_WITHOUT_KEYS: Duration = Duration::from_secs(2);
/// How often unknown keys in tokens may make us fetch.
const DEMANDED_AT_MOST: Duration = Duration::from_secs(300);
/// Largest key set, bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// Why a key set was not taken.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// No answer, or none with status 200.
    #[error("the issuer's keys cannot be fetched")]
    Fetch(#[from] reqwest::Error),
    /// Over a megabyte.
    #[error("the issuer's key set is larger than 1 MiB")]
    TooLarge,
    /// Not a JSON Web Key Set (RFC 7517, section 5).
    #[error("the issuer's key set is not one")]
    Form(#[from] serde_json::Error),
    /// No RSA key of 2048 to 4096 bits with exponent 65537 for signatures.
    #[error("the issuer's key set has no key that can be used")]
    NoUsableKey,
    /// The database.
    #[error("the issuer's keys cannot be stored")]
    Store(#[from] StoreError),
}

/// Fetches the keys of all issuers; cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyFetcher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: reqwest::Client,
    store: Store,
    hub: SnapshotHub,
    clock: Clock,
    demands: HashMap<String, Notify>,
}

impl KeyFetcher {
    /// For the issuers of the hub's policy that have a `jwks_uri`.
    ///
    /// # Errors
    /// No HTTP client can be made on this machine.
    pub fn new(store: Store, hub: SnapshotHub, clock: Clock) -> Result<Self, JwksError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let issuers = hub.policy();
        let issuers = issuers
            .issuers
            .iter()
            .filter(|issuer| issuer.jwks_uri.is_some());
        let demands = issuers
            .map(|issuer| (issuer.issuer.clone(), Notify::new()))
            .collect();
        Ok(Self(Arc::new(Shared {
            client,
            store,
            hub,
            clock,
            demands,
        })))
    }

    /// Pushes what was fetched last, then fetches on and on, each issuer for itself.
    ///
    /// # Errors
    /// [`StoreError`]: the last good sets cannot be read.
    pub async fn start(&self) -> Result<(), StoreError> {
        let policy = self.0.hub.policy();
        for issuer in &policy.issuers {
            let Some(uri) = issuer.jwks_uri.clone() else {
                continue;
            };
            let stored = issuer_keys::load(&self.0.store, &issuer.issuer).await?;
            if !stored.is_empty() {
                self.push(issuer, stored.clone());
            }
            tokio::spawn(self.clone().fetch_on_and_on(issuer.clone(), uri, stored));
        }
        Ok(())
    }

    /// A token named a key that none of these issuers is known to have: they may have new
    /// ones. Fetches at most every five minutes.
    pub fn demand(&self) {
        for demand in self.0.demands.values() {
            demand.notify_one();
        }
    }

    async fn fetch_on_and_on(self, issuer: Issuer, uri: String, mut pushed: Vec<IssuerKey>) {
        let mut demanded = UnixMillis(0);
        let mut failed_before = false;
        loop {
            let pause = match self.take(&issuer, &uri, &mut pushed).await {
                Ok(news) => {
                    if news || failed_before {
                        let keys = pushed.len();
                        tracing::info!(issuer = issuer.issuer, keys, "signing keys fetched");
                    }
                    failed_before = false;
                    PERIOD
                }
                Err(error) => {
                    if !failed_before {
                        let error = &error as &dyn std::error::Error;
                        let keys = pushed.len();
                        tracing::warn!(
                            issuer = issuer.issuer,
                            error,
                            keys,
                            "no new signing keys; the last good ones stay"
                        );
                    }
                    failed_before = true;
                    if pushed.is_empty() {
                        RETRY_WITHOUT_KEYS
                    } else {
                        RETRY
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.demanded(&issuer.issuer, demanded) => demanded = self.0.clock.now(),
            }
        }
    }

    /// Waits for a demand that comes long enough after the last.
    async fn demanded(&self, issuer: &str, last: UnixMillis) {
        let Some(demand) = self.0.demands.get(issuer) else {
            return std::future::pending().await;
        };
        loop {
            demand.notified().await;
            if u128::from(self.0.clock.now().since(last)) >= DEMANDED_AT_MOST.as_millis() {
                return;
            }
        }
    }

    /// Fetches, stores and pushes; whether there was anything new.
    async fn take(
        &self,
        issuer: &Issuer,
        uri: &str,
        pushed: &mut Vec<IssuerKey>,
    ) -> Result<bool, JwksError> {
        let body = self.fetch(uri).await?;
        let keys = usable_keys(&issuer.issuer, &body)?;
        if keys == *pushed {
            return Ok(false);
        }
        issuer_keys::replace(&self.0.store, &issuer.issuer, &keys).await?;
        self.push(issuer, keys.clone());
        *pushed = keys;
        Ok(true)
    }

    async fn fetch(&self, uri: &str) -> Result<Vec<u8>, JwksError> {
        let mut answer = self.0.client.get(uri).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(JwksError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Keys that stand in the policy itself stay valid beside the fetched ones.
    fn push(&self, issuer: &Issuer, mut keys: Vec<IssuerKey>) {
        for key in &issuer.keys {
            if !keys.iter().any(|fetched| fetched.kid == key.kid) {
                keys.push(key.clone());
            }
        }
        let keys = keys.into_iter().filter_map(|key| match key.material {
            KeyMaterial::Rsa { n, e } => Some(v1::RsaKey {
                kid: key.kid,
                n: n.into(),
                e: e.into(),
            }),
            KeyMaterial::P256 { .. } => None,
        });
        self.0.hub.set_issuer_keys(v1::IssuerKeySet {
            issuer: issuer.issuer.clone(),
            keys: keys.collect(),
        });
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: String,
    n: String,
    e: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
}

/// The keys of a set that RS256 can be verified with, by `kid`. Keys for other purposes
/// and of other kinds are passed over: RFC 7517, section 5, tells us to.
fn usable_keys(issuer: &str, body: &[u8]) -> Result<Vec<IssuerKey>, JwksError> {
    let set: KeySet = serde_json::from_slice(body)?;
    let mut keys: Vec<IssuerKey> = Vec::new();
    for key in set.keys {
        let Ok(key) = serde_json::from_value::<Key>(key) else {
            continue;
        };
        let for_signatures = key.usage.as_deref().is_none_or(|usage| usage == "sig");
        let for_rs256 = key.alg.as_deref().is_none_or(|alg| alg == "RS256");
        let decoded = URL_SAFE_NO_PAD
            .decode(&key.n)
            .ok()
            .zip(URL_SAFE_NO_PAD.decode(&key.e).ok());
        let (true, "RSA", Some((n, e))) = (for_signatures && for_rs256, key.kty.as_str(), decoded)
        else {
            continue;
        };
        let key = IssuerKey {
            issuer: issuer.to_owned(),
            kid: key.kid,
            material: KeyMaterial::Rsa { n, e },
            algorithm: None,
        };
        // 2048 to 4096 bits, exponent 65537.
        let sound = VerifyingKey::new(key.clone()).is_ok();
        if sound && !keys.iter().any(|earlier| earlier.kid == key.kid) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Err(JwksError::NoUsableKey);
    }
    keys.sort_by(|a, b| a.kid.cmp(&b.kid));
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// An odd number of as many bits: enough for the rules about sizes.
    fn key(kid: &str, bytes: usize, e: &[u8]) -> Value {
        let mut n = vec![0xff; bytes];
        if let Some(last) = n.last_mut() {
            *last = 0x0d;
        }
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "RSA", "kid": kid, "n": encode(&n), "e": encode(e)})
    }

    fn kids(keys: Value) -> Result<Vec<String>, JwksError> {
        let body = json!({"keys": keys}).to_string();
        let keys = usable_keys("https://i.example", body.as_bytes())?;
        Ok(keys.into_iter().map(|key| key.kid).collect())
    }

    #[test]
    fn only_rsa_keys_of_2048_to_4096_bits_with_exponent_65537_are_taken() {
        let f4 = [1, 0, 1];
        let kids = kids(json!([
            key("b", 256, &f4),
            key("short", 128, &f4),
            key("long", 1024, &f4),
            key("three", 256, &[3]),
            {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "RSA", "kid": "no-n"},
            key("a", 512, &f4),
        ]));
        assert_eq!(kids.unwrap(), ["a", "b"]);
    }

    #[test]
    fn keys_for_encryption_or_another_algorithm_are_passed_over() {
        let mut encryption = key("enc", 256, &[1, 0, 1]);
        encryption["use"] = json!("enc");
        let mut other = key("ps", 256, &[1, 0, 1]);
        other["alg"] = json!("PS256");
        let good = key("sig", 256, &[1, 0, 1]);
        assert_eq!(kids(json!([encryption, other, good])).unwrap(), ["sig"]);
    }

    #[test]
    fn a_set_without_a_usable_key_is_an_error() {
        assert!(matches!(kids(json!([])), Err(JwksError::NoUsableKey)));
        assert!(matches!(
            usable_keys("i", b"<html>"),
            Err(JwksError::Form(_))
        ));
    }
}
