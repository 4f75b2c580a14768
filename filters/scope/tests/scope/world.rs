//! The world of the cases at one moment, and the two implementations of RS256.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use sekisho_domain::{Denial, Policy, SigningAlgorithm, UnixMillis};
use sekisho_scope::{
    Authenticator, Credential, Principal, PureRust, SignatureVerifier, VerifyingKey,
};
use sekisho_scope_cases::{Case, World};

pub(crate) use sekisho_scope_cases::PEPPER;

/// 2025-07-01T00:00:00Z and half a second.
pub(crate) const NOW: UnixMillis = UnixMillis(1_751_328_000_500);

/// The world at [`NOW`].
pub(crate) struct Standing(World);

impl Deref for Standing {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

pub(crate) fn world() -> Standing {
    Standing(World::load())
}

impl Standing {
    pub(crate) fn authenticator(&self, policy: &Policy) -> Authenticator {
        self.0.authenticator(policy, NOW)
    }

    pub(crate) fn token(&self, case: &Case) -> Vec<u8> {
        sekisho_scope_cases::token(self, case, NOW)
    }
}

/// Stands for the host: takes an RSA key as DER and verifies RS256 with ring, whose RSA is
/// BoringSSL's.
pub(crate) struct Host;

impl SignatureVerifier for Host {
    fn verify(
        &self,
        key: &VerifyingKey,
        algorithm: SigningAlgorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        let (SigningAlgorithm::Rs256, Some(der)) = (algorithm, key.spki_der()) else {
            return PureRust.verify(key, algorithm, signed, signature);
        };
        let key = RsaPublicKey::from_public_key_der(der).unwrap();
        let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            .is_ok()
    }
}

pub(crate) const BOTH: [(&str, &dyn SignatureVerifier); 2] =
    [("in Rust", &PureRust), ("host", &Host)];

/// Counts how often a signature was verified.
#[derive(Default)]
pub(crate) struct Counting(pub(crate) Cell<usize>);

impl SignatureVerifier for Counting {
    fn verify(
        &self,
        key: &VerifyingKey,
        algorithm: SigningAlgorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        self.0.set(self.0.get() + 1);
        Host.verify(key, algorithm, signed, signature)
    }
}

pub(crate) fn bearer(
    authenticator: &mut Authenticator,
    token: &[u8],
    verifier: &dyn SignatureVerifier,
    now: UnixMillis,
) -> Result<Arc<Principal>, &'static str> {
    code(authenticator.authenticate(&Credential::Bearer(token), verifier, now))
}

pub(crate) fn code<T>(outcome: Result<T, Denial>) -> Result<T, &'static str> {
    outcome.map_err(|denial| denial.code.as_str())
}
