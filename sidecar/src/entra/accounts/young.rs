//! Accounts that not every part of Entra ID may know yet.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sekisho_domain::UnixMillis;

use crate::provisioning::ObjectId;

/// How long an account is young, milliseconds. Usually Entra ID needs seconds.
const YOUTH_MILLIS: u64 = 5 * 60 * 1_000;

/// When accounts were made.
#[derive(Debug)]
pub(super) struct Young {
    /// What was made shortly before is not known.
    began: UnixMillis,
    born: Mutex<HashMap<ObjectId, UnixMillis>>,
}

impl Young {
    pub(super) fn new(began: UnixMillis) -> Self {
        Self {
            began,
            born: Mutex::default(),
        }
    }

    /// An account was made, or seen for the first time.
    pub(super) fn born(&self, id: &ObjectId, now: UnixMillis) {
        let mut born = self.born.lock().unwrap_or_else(PoisonError::into_inner);
        born.retain(|_, at| now.since(*at) < YOUTH_MILLIS);
        born.insert(id.clone(), now);
    }

    /// Whether it may be there though somebody says that it is not.
    pub(super) fn is_young(&self, id: &ObjectId, now: UnixMillis) -> bool {
        if now.since(self.began) < YOUTH_MILLIS {
            return true;
        }
        let born = self.born.lock().unwrap_or_else(PoisonError::into_inner);
        born.get(id).is_some_and(|at| now.since(*at) < YOUTH_MILLIS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_young_for_five_minutes_and_all_are_after_a_start() {
        let young = Young::new(UnixMillis(0));
        let id = ObjectId("a".to_owned());
        assert!(young.is_young(&id, UnixMillis(YOUTH_MILLIS - 1)));
        assert!(!young.is_young(&id, UnixMillis(YOUTH_MILLIS)));
        young.born(&id, UnixMillis(YOUTH_MILLIS));
        assert!(young.is_young(&id, UnixMillis(2 * YOUTH_MILLIS - 1)));
        assert!(!young.is_young(&id, UnixMillis(2 * YOUTH_MILLIS)));
    }
}
