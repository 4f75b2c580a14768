//! Signing keys of issuers, and the one operation that is done with them.

use std::fmt;

use p256::ecdsa;
use rsa::pkcs8::EncodePublicKey as _;
use rsa::sha2::Sha256;
use rsa::signature::Verifier as _;
use rsa::{BigUint, RsaPublicKey, pkcs1v15, pss};
use sekisho_domain::{Denial, DenialCode, IssuerKey, KeyMaterial, SigningAlgorithm};

use crate::token::{self, Token};
use crate::weakness::{Weakness, look_for_weakness};

/// Bytes of a coordinate of P-256 (RFC 7518, section 6.2.1.2).
const COORDINATE: usize = 32;

/// Why a published key cannot be used. Tokens that name it are refused as signed by an
/// unknown key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// Signatures under it prove too little.
    #[error("key `{kid}` of `{issuer}` {weakness}")]
    Weak {
        /// Whose.
        issuer: String,
        /// Which.
        kid: String,
        /// In what way.
        weakness: Weakness,
    },
    /// The `kid` is already taken in the same set.
    #[error("`{issuer}` publishes more than one key `{kid}`")]
    Duplicate {
        /// Whose.
        issuer: String,
        /// Which.
        kid: String,
    },
    /// It names another issuer than the set that it is in, or one that the policy does not trust.
    #[error("key `{kid}` belongs to `{issuer}`, which the policy does not trust here")]
    NotTrusted {
        /// Whose.
        issuer: String,
        /// Which.
        kid: String,
    },
}

/// A public key that signatures can be verified with.
#[derive(Clone)]
pub struct VerifyingKey {
    published: IssuerKey,
    prepared: Prepared,
}

#[derive(Clone)]
enum Prepared {
    Rsa {
        public: RsaPublicKey,
        spki_der: Vec<u8>,
    },
    P256(ecdsa::VerifyingKey),
}

impl VerifyingKey {
    /// Prepares a published key.
    ///
    /// # Errors
    /// [`UnusableKey::Weak`] (RFC 7518, section 3.3, demands at least 2048 bits).
    pub fn new(key: IssuerKey) -> Result<Self, UnusableKey> {
        match prepare(&key.material) {
            Ok(prepared) => Ok(Self {
                published: key,
                prepared,
            }),
            Err(weakness) => Err(UnusableKey::Weak {
                issuer: key.issuer,
                kid: key.kid,
                weakness,
            }),
        }
    }

    /// The `kid` that tokens name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.published.kid
    }

    /// An RSA key as SubjectPublicKeyInfo (RFC 5280, section 4.1), DER: what Envoy's
    /// `verify_signature` takes.
    #[must_use]
    pub fn spki_der(&self) -> Option<&[u8]> {
        match &self.prepared {
            Prepared::Rsa { spki_der, .. } => Some(spki_der),
            Prepared::P256(_) => None,
        }
    }

    /// Whether signatures of this algorithm can be the key's: by its kind, and by what its
    /// publisher says that it is for.
    #[must_use]
    pub fn is_for(&self, algorithm: SigningAlgorithm) -> bool {
        self.published.material.fits(algorithm)
            && self.published.algorithm.is_none_or(|own| own == algorithm)
    }

    pub(crate) fn is(&self, key: &IssuerKey) -> bool {
        self.published == *key
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (issuer, kid) = (&self.published.issuer, &self.published.kid);
        write!(f, "VerifyingKey({kid} of {issuer})")
    }
}

fn prepare(material: &KeyMaterial) -> Result<Prepared, Weakness> {
    match material {
        KeyMaterial::Rsa { n, e } => {
            let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
            look_for_weakness(&n, &e)?;
            let public = RsaPublicKey::new(n, e).map_err(|_| Weakness::Modulus)?;
            let spki_der = public.to_public_key_der().map_err(|_| Weakness::Modulus)?;
            Ok(Prepared::Rsa {
                public,
                spki_der: spki_der.into_vec(),
            })
        }
        KeyMaterial::P256 { x, y } => {
            if x.len() != COORDINATE || y.len() != COORDINATE {
                return Err(Weakness::Coordinates);
            }
            // SEC 1, section 2.3.3: uncompressed. Reading it checks the curve's equation.
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            ecdsa::VerifyingKey::from_sec1_bytes(&point)
                .map(Prepared::P256)
                .map_err(|_| Weakness::NotOnCurve)
        }
    }
}

/// The one operation that is done with keys: RFC 7518, sections 3.3 to 3.5.
pub trait SignatureVerifier {
    /// Whether `signature` is the key's signature of `signed` by `algorithm`, which
    /// [is for](VerifyingKey::is_for) the key.
    fn verify(
        &self,
        key: &VerifyingKey,
        algorithm: SigningAlgorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> bool;
}

/// The payload of a compact JWS (RFC 7515), whatever it is, if one of the keys has signed it
/// with one of the algorithms: the layer below tokens, which the authenticator stands on.
///
/// # Errors
/// [`Denial`] as of [`Authenticator::authenticate`](crate::Authenticator::authenticate).
pub fn verified_payload(
    jws: &[u8],
    keys: &[VerifyingKey],
    algorithms: &[SigningAlgorithm],
    verifier: &dyn SignatureVerifier,
) -> Result<Vec<u8>, Denial> {
    let token = token::parse(jws)?;
    let key = keys.iter().find(|key| key.kid() == token.kid);
    let key = key.ok_or(DenialCode::UnknownSigningKey)?;
    if !is_signed(&token, key, algorithms, verifier) {
        return Err(DenialCode::BadSignature.into());
    }
    Ok(token.payload)
}

/// What a token says of its algorithm counts only among those that the policy allows, and
/// only if the key is for it.
pub(crate) fn is_signed(
    token: &Token<'_>,
    key: &VerifyingKey,
    algorithms: &[SigningAlgorithm],
    verifier: &dyn SignatureVerifier,
) -> bool {
    let algorithm = token.algorithm;
    algorithms.contains(&algorithm)
        && key.is_for(algorithm)
        && verifier.verify(key, algorithm, token.signed, &token.signature)
}

/// Verifies inside the filter: for hosts without `verify_signature`, and for what that
/// cannot do.
#[derive(Clone, Copy, Debug, Default)]
pub struct PureRust;

impl SignatureVerifier for PureRust {
    fn verify(
        &self,
        key: &VerifyingKey,
        algorithm: SigningAlgorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        match (&key.prepared, algorithm) {
            (Prepared::Rsa { public, .. }, SigningAlgorithm::Rs256) => {
                let key = pkcs1v15::VerifyingKey::<Sha256>::new(public.clone());
                pkcs1v15::Signature::try_from(signature)
                    .is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
            (Prepared::Rsa { public, .. }, SigningAlgorithm::Ps256) => {
                // RFC 7518, section 3.5: the salt is as long as the hash.
                let key = pss::VerifyingKey::<Sha256>::new(public.clone());
                pss::Signature::try_from(signature)
                    .is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
            (Prepared::P256(public), SigningAlgorithm::Es256) => {
                use p256::ecdsa::signature::Verifier as _;
                ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| public.verify(signed, &signature).is_ok())
            }
            (Prepared::Rsa { .. }, SigningAlgorithm::Es256) | (Prepared::P256(_), _) => false,
        }
    }
}
