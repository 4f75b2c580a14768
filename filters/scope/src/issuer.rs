//! Trusted issuers and their keys.

use std::sync::Arc;

use sekisho_domain::policy::Issuer;
use sekisho_domain::{IssuerKey, SigningAlgorithm};

use crate::verify::{UnusableKey, VerifyingKey};

/// An issuer that the policy trusts.
pub(crate) struct TrustedIssuer {
    pub(crate) issuer: String,
    tenant: String,
    audiences: Vec<String>,
    pub(crate) algorithms: Vec<SigningAlgorithm>,
    pub(crate) department_claim: Option<String>,
    keys: Vec<Arc<VerifyingKey>>,
}

impl TrustedIssuer {
    pub(crate) fn new(issuer: &Issuer) -> Self {
        let mut trusted = Self {
            issuer: issuer.issuer.clone(),
            tenant: issuer.tenant.clone(),
            audiences: issuer.audiences.clone(),
            algorithms: issuer.algorithms.clone(),
            department_claim: issuer.department_claim.clone(),
            keys: Vec::new(),
        };
        trusted.set_keys(issuer.keys.clone());
        trusted
    }

    /// Replaces the keys; those that stay are the same object as before.
    pub(crate) fn set_keys(&mut self, published: Vec<IssuerKey>) -> Vec<UnusableKey> {
        let mut keys: Vec<Arc<VerifyingKey>> = Vec::with_capacity(published.len());
        let mut unusable = Vec::new();
        for key in published {
            let (issuer, kid) = (key.issuer.clone(), key.kid.clone());
            if issuer != self.issuer {
                unusable.push(UnusableKey::NotTrusted { issuer, kid });
            } else if keys.iter().any(|earlier| earlier.kid() == kid) {
                unusable.push(UnusableKey::Duplicate { issuer, kid });
            } else if let Some(same) = self.keys.iter().find(|earlier| earlier.is(&key)) {
                keys.push(Arc::clone(same));
            } else {
                match VerifyingKey::new(key) {
                    Ok(key) => keys.push(Arc::new(key)),
                    Err(error) => unusable.push(error),
                }
            }
        }
        self.keys = keys;
        unusable
    }

    pub(crate) fn key(&self, kid: &str) -> Option<&Arc<VerifyingKey>> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    pub(crate) fn holds(&self, key: &Arc<VerifyingKey>) -> bool {
        self.keys.iter().any(|held| Arc::ptr_eq(held, key))
    }

    /// Issuer and tenant belong together: one issuer signs for many tenants.
    pub(crate) fn issued(&self, iss: &str, tid: &str) -> bool {
        self.issuer == iss && self.tenant.eq_ignore_ascii_case(tid)
    }

    pub(crate) fn accepts<'a>(&self, mut audiences: impl Iterator<Item = &'a str>) -> bool {
        audiences.any(|audience| self.audiences.iter().any(|known| known == audience))
    }
}
