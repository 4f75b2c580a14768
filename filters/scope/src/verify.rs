//! Signing keys of issuers, and the one operation that is done with them.

use jwt_simple::algorithms::{RS256PublicKey, RSAPublicKeyLike as _};
use jwt_simple::claims::NoCustomClaims;
use jwt_simple::common::VerificationOptions;
use jwt_simple::prelude::{Duration, UnixTimeStamp};
use sekisho_domain::{IssuerKey, KeyMaterial};

use crate::token::MAX_TOKEN_BYTES;

/// Why a published key cannot be used. Tokens that name it are refused as signed by an
/// unknown key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// Not RSA of 2048 to 4096 bits with exponent 65537.
    #[error("key `{kid}` of `{issuer}` is not an RSA key of 2048 to 4096 bits with exponent 65537")]
    NotAllowed { issuer: String, kid: String },
    /// The `kid` is already taken in the same set.
    #[error("`{issuer}` publishes more than one key `{kid}`")]
    Duplicate { issuer: String, kid: String },
    /// It names another issuer than the set that it is in, or one that the policy does not trust.
    #[error("key `{kid}` belongs to `{issuer}`, which the policy does not trust here")]
    NotTrusted { issuer: String, kid: String },
}

/// A public key that signatures can be verified with.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    kid: String,
    material: KeyMaterial,
    public: RS256PublicKey,
    spki_der: Vec<u8>,
}

impl VerifyingKey {
    /// Prepares a published key.
    ///
    /// # Errors
    /// [`UnusableKey::NotAllowed`] (RFC 7518, section 3.3, demands at least 2048 bits).
    pub fn new(key: IssuerKey) -> Result<Self, UnusableKey> {
        let prepared = match &key.material {
            KeyMaterial::Rsa { n, e } => RS256PublicKey::from_components(n, e)
                .and_then(|public| public.to_der().map(|der| (public, der)))
                .ok(),
            KeyMaterial::P256 { .. } => None,
        };
        match prepared {
            Some((public, spki_der)) => Ok(Self {
                kid: key.kid,
                material: key.material,
                public,
                spki_der,
            }),
            None => Err(UnusableKey::NotAllowed {
                issuer: key.issuer,
                kid: key.kid,
            }),
        }
    }

    /// The `kid` that tokens name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key as SubjectPublicKeyInfo (RFC 5280, section 4.1), DER: what Envoy's
    /// `verify_signature` takes.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    pub(crate) fn is(&self, key: &IssuerKey) -> bool {
        self.kid == key.kid && self.material == key.material
    }
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.3).
pub trait Rs256 {
    /// Whether `signature` is the key's signature of `signed`. `token` is the whole
    /// compact token that both come from, for implementations that read it themselves.
    fn verify(&self, key: &VerifyingKey, token: &[u8], signed: &[u8], signature: &[u8]) -> bool;
}

/// Verifies by jwt-simple, inside the filter: for hosts without `verify_signature`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PureRust;

impl Rs256 for PureRust {
    fn verify(&self, key: &VerifyingKey, token: &[u8], _signed: &[u8], _signature: &[u8]) -> bool {
        let Ok(token) = std::str::from_utf8(token) else {
            return false;
        };
        // The signature alone shall matter here: at the beginning of time nothing has
        // expired, and whatever begins later is accepted.
        let options = VerificationOptions {
            artificial_time: Some(UnixTimeStamp::from_secs(0)),
            time_tolerance: Some(Duration::from_secs(0)),
            accept_future: true,
            max_token_length: Some(MAX_TOKEN_BYTES),
            max_header_length: Some(MAX_TOKEN_BYTES),
            ..VerificationOptions::default()
        };
        key.public
            .verify_token::<NoCustomClaims>(token, Some(options))
            .is_ok()
    }
}
