//! Verified tokens, so that the signature of each is computed once.
//!
//! Two generations: what is used moves to the young one; when that is full it becomes
//! the old one and the former old one goes. Every operation takes constant time, and
//! what is in use stays.

use std::collections::HashMap;
use std::sync::Arc;

use sekisho_domain::{DenialCode, DepartmentId, ScopeSet, UnixMillis, User};

use crate::principal::Principal;
use crate::verify::VerifyingKey;

/// Most memory that verified tokens take, bytes (estimated generously).
pub const MAX_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Most verified tokens that are kept.
pub const MAX_CACHE_ENTRIES: usize = 8192;

/// What an entry takes besides the token and the texts from it.
const ENTRY_BYTES: usize = 768;

/// What a verified token says.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) key: Arc<VerifyingKey>,
    /// Last moment with the allowed skew, exclusive.
    pub(crate) expires: UnixMillis,
    /// First moment with the allowed skew.
    pub(crate) begins: UnixMillis,
    pub(crate) is_application: bool,
    pub(crate) tenant: String,
    pub(crate) object_id: String,
    pub(crate) application: Option<String>,
    /// The department that the issuer's claim names, if the policy has it.
    pub(crate) department: Option<DepartmentId>,
    pub(crate) granted: ScopeSet,
    pub(crate) roles: Vec<String>,
}

/// A verified token and who it makes its bearer, as long as the directory's entry stays.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) facts: Arc<Facts>,
    pub(crate) user: Option<Arc<User>>,
    pub(crate) outcome: Result<Arc<Principal>, DenialCode>,
}

#[derive(Default)]
struct Generation {
    entries: HashMap<Box<[u8]>, Verified>,
    bytes: usize,
}

impl Generation {
    /// Whether an entry more would take it over half of what all may take.
    fn is_full_for(&self, token: &[u8]) -> bool {
        self.entries.len() >= MAX_CACHE_ENTRIES / 2
            || self.bytes + cost(token) > MAX_CACHE_BYTES / 2
    }

    fn insert(&mut self, token: Box<[u8]>, verified: Verified) {
        let added = cost(&token);
        if self.entries.insert(token, verified).is_none() {
            self.bytes += added;
        }
    }

    fn remove(&mut self, token: &[u8]) -> Option<(Box<[u8]>, Verified)> {
        let entry = self.entries.remove_entry(token)?;
        self.bytes = self.bytes.saturating_sub(cost(token));
        Some(entry)
    }

    fn retain(&mut self, mut keep: impl FnMut(&Facts) -> bool) {
        let bytes = &mut self.bytes;
        self.entries.retain(|token, verified| {
            let stays = keep(&verified.facts);
            if !stays {
                *bytes = bytes.saturating_sub(cost(token));
            }
            stays
        });
    }
}

/// The texts of principal and facts come from the token, so none is longer than it.
fn cost(token: &[u8]) -> usize {
    ENTRY_BYTES + 3 * token.len()
}

/// Verified tokens by their exact bytes.
#[derive(Default)]
pub(crate) struct Cache {
    young: Generation,
    old: Generation,
}

impl Cache {
    pub(crate) fn get(&mut self, token: &[u8], now: UnixMillis) -> Option<Verified> {
        if let Some(verified) = self.young.entries.get(token) {
            return Some(verified.clone());
        }
        let (token, verified) = self.old.remove(token)?;
        self.insert(token, verified.clone(), now);
        Some(verified)
    }

    pub(crate) fn insert(&mut self, token: Box<[u8]>, verified: Verified, now: UnixMillis) {
        if self.young.is_full_for(&token) && !self.young.entries.contains_key(&token) {
            self.young.retain(|facts| now < facts.expires);
            // Not worth another look soon if little went.
            if self.young.bytes > MAX_CACHE_BYTES / 4
                || self.young.entries.len() > MAX_CACHE_ENTRIES / 4
            {
                self.old = std::mem::take(&mut self.young);
            }
        }
        self.young.insert(token, verified);
    }

    pub(crate) fn remove(&mut self, token: &[u8]) {
        self.young.remove(token);
        self.old.remove(token);
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Facts) -> bool) {
        self.young.retain(&mut keep);
        self.old.retain(&mut keep);
    }

    pub(crate) fn len(&self) -> usize {
        self.young.entries.len() + self.old.entries.len()
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.young.bytes + self.old.bytes
    }
}
