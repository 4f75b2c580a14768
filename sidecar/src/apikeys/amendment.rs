//! Changing what a key is for.

use sekisho_domain::{Policy, UnixMillis, UserId};

use super::rules::{self, OrderError};
use crate::store::keys::StoredKey;

/// What is to change; what is `None` stays. Who pays cannot change: that is another key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// What people call it.
    pub name: Option<String>,
    /// The person it is for, known to be in the directory; or nobody any longer.
    pub user: Option<Option<UserId>>,
    /// What it grants.
    pub scopes: Option<Vec<String>>,
    /// Where it may be used from, CIDR; empty: everywhere.
    pub networks: Option<Vec<String>>,
    /// From when on it is refused; or never.
    pub expires: Option<Option<UnixMillis>>,
}

impl Amendment {
    /// Changes the key.
    ///
    /// # Errors
    /// [`OrderError`]; the key is of no use then.
    pub fn apply(
        self,
        key: &mut StoredKey,
        policy: &Policy,
        now: UnixMillis,
    ) -> Result<(), OrderError> {
        if key.revoked.is_some() {
            return Err(OrderError::Revoked);
        }
        if let Some(name) = self.name {
            key.name = rules::name(&name)?;
        }
        if let Some(user) = self.user {
            key.user = user;
        }
        if let Some(scopes) = self.scopes {
            key.scopes = rules::scopes(scopes, policy)?;
        }
        if let Some(networks) = self.networks {
            key.networks = rules::networks(&networks)?;
        }
        if let Some(expires) = self.expires {
            key.expires = rules::expiry(expires, now)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apikeys::order::tests::{key, policy};

    #[test]
    fn what_is_not_named_stays() {
        let mut changed = key();
        let amendment = Amendment {
            networks: Some(vec!["192.0.2.0/24".into()]),
            expires: Some(None),
            user: Some(Some("001".into())),
            ..Amendment::default()
        };
        amendment
            .apply(&mut changed, &policy(), UnixMillis(1500))
            .unwrap();
        let expected = StoredKey {
            networks: vec!["192.0.2.0/24".parse().unwrap()],
            expires: None,
            user: Some("001".into()),
            ..key()
        };
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_revoked_key_is_not_changed() {
        let mut revoked = key();
        revoked.revoked = Some(UnixMillis(1200));
        let amendment = Amendment {
            expires: Some(None),
            ..Amendment::default()
        };
        let outcome = amendment.apply(&mut revoked, &policy(), UnixMillis(1500));
        assert_eq!(outcome, Err(OrderError::Revoked));
    }
}
