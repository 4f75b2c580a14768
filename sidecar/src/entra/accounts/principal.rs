//! The application whose roles people have, as it was a short while ago.

use std::sync::{Mutex, PoisonError};

use sekisho_domain::UnixMillis;

use crate::entra::operations::service_principal::ServicePrincipal;

/// How long it is not asked for again, milliseconds: a new role is usable soon.
const KEPT_MILLIS: u64 = 60 * 1_000;

/// The application, and since when it is known.
#[derive(Debug, Default)]
pub(super) struct Principal(Mutex<Option<(ServicePrincipal, UnixMillis)>>);

impl Principal {
    pub(super) fn known(&self, now: UnixMillis) -> Option<ServicePrincipal> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |since: &UnixMillis| now.since(*since) < KEPT_MILLIS;
        let known = known.as_ref().filter(|(_, since)| fresh(since));
        known.map(|(principal, _)| principal.clone())
    }

    pub(super) fn keep(&self, principal: ServicePrincipal, now: UnixMillis) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((principal, now));
    }
}
