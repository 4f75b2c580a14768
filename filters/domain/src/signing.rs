//! Public keys of issuers, as JSON Web Keys write them (RFC 7517; RFC 7518, section 6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::policy::raw::RawJwk;

/// A signature algorithm that tokens may have (RFC 7518, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256 and MGF1 with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl SigningAlgorithm {
    /// Every algorithm.
    pub const EVERY: [Self; 3] = [Self::Rs256, Self::Ps256, Self::Es256];

    /// The value of `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
        }
    }

    /// The algorithm of this name, exactly: names are case-sensitive.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::EVERY
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

/// The public numbers of a key, big endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMaterial {
    /// For RS256 and PS256.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Public exponent.
        e: Vec<u8>,
    },
    /// A point of P-256, for ES256: 32 bytes each.
    P256 {
        /// First coordinate.
        x: Vec<u8>,
        /// Second coordinate.
        y: Vec<u8>,
    },
}

impl KeyMaterial {
    /// Whether signatures of this algorithm can be made with such a key.
    #[must_use]
    pub const fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        match self {
            Self::Rsa { .. } => !matches!(algorithm, SigningAlgorithm::Es256),
            Self::P256 { .. } => matches!(algorithm, SigningAlgorithm::Es256),
        }
    }
}

/// A public key of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKey {
    /// The `iss` whose tokens it verifies.
    pub issuer: String,
    /// The `kid` that tokens name.
    pub kid: String,
    /// The key itself.
    pub material: KeyMaterial,
    /// The one algorithm that the key is for, where its publisher says so.
    pub algorithm: Option<SigningAlgorithm>,
}

/// Why a JSON Web Key is not one that tokens can be verified with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// `kty` and `crv` name neither RSA nor P-256.
    #[error("must be an RSA key with `n` and `e`, or an EC key with `crv` P-256, `x` and `y`")]
    Kind,
    /// A number is missing, or not base64url without padding.
    #[error("`{member}` must be a number in base64url without padding")]
    Number { member: &'static str },
    /// The `kid` is missing, empty or over 256 bytes.
    #[error("`kid` must have 1 to 256 bytes")]
    KeyId,
    /// `use` or `key_ops` say that it is not for verifying signatures.
    #[error("is not for verifying signatures by its `use` or `key_ops`")]
    Purpose,
    /// `alg` is another than the supported ones, or not one for keys of this kind.
    #[error("`alg` must be one that fits the key: RS256, PS256 or ES256")]
    Algorithm,
    /// Private or symmetric members: whoever can read the set can sign.
    #[error("has private members: the key is compromised")]
    Private,
}

/// Longest `kid`, bytes.
const MAX_KID: usize = 256;

impl IssuerKey {
    /// Reads a key of an issuer's set. Whether its numbers make a strong key is for the
    /// verifier to judge.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn from_jwk(issuer: &str, jwk: &RawJwk) -> Result<Self, JwkError> {
        if [jwk.d, jwk.p, jwk.q, jwk.k].iter().any(Option::is_some) {
            return Err(JwkError::Private);
        }
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => KeyMaterial::Rsa {
                n: number("n", jwk.n.as_deref())?,
                e: number("e", jwk.e.as_deref())?,
            },
            ("EC", Some("P-256")) => KeyMaterial::P256 {
                x: number("x", jwk.x.as_deref())?,
                y: number("y", jwk.y.as_deref())?,
            },
            _ => return Err(JwkError::Kind),
        };
        if !(1..=MAX_KID).contains(&jwk.kid.len()) {
            return Err(JwkError::KeyId);
        }
        let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = |operations: &Vec<String>| operations.iter().any(|name| name == "verify");
        if !for_signatures || !jwk.key_ops.as_ref().is_none_or(verifies) {
            return Err(JwkError::Purpose);
        }
        let algorithm = match jwk.alg.as_deref() {
            None => None,
            Some(name) => Some(
                SigningAlgorithm::parse(name)
                    .filter(|algorithm| material.fits(*algorithm))
                    .ok_or(JwkError::Algorithm)?,
            ),
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            kid: jwk.kid.clone(),
            material,
            algorithm,
        })
    }
}

/// base64url without padding (RFC 7515, section 2).
fn number(member: &'static str, text: Option<&str>) -> Result<Vec<u8>, JwkError> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .filter(|bytes| !bytes.is_empty())
        .ok_or(JwkError::Number { member })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(jwk: Value) -> Result<IssuerKey, JwkError> {
        IssuerKey::from_jwk("https://i.example", &serde_json::from_value(jwk).unwrap())
    }

    fn rsa(more: Value) -> Value {
        let mut jwk = json!({"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB", "x5t": "ignored"});
        for (name, value) in more.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    }

    #[test]
    fn keys_of_both_kinds_are_read() {
        let key = read(rsa(
            json!({"alg": "PS256", "use": "sig", "key_ops": ["verify"]}),
        ))
        .unwrap();
        assert_eq!(key.algorithm, Some(SigningAlgorithm::Ps256));
        let (n, e) = (vec![1, 0, 1], vec![1, 0, 1]);
        assert_eq!(key.material, KeyMaterial::Rsa { n, e });
        let ec = json!({"kty": "EC", "crv": "P-256", "kid": "e", "x": "AQ", "y": "Ag"});
        let (x, y) = (vec![1], vec![2]);
        assert_eq!(read(ec).unwrap().material, KeyMaterial::P256 { x, y });
    }

    #[test]
    fn each_misfit_is_named() {
        for (jwk, error) in [
            (rsa(json!({"kty": "oct", "k": "AQAB"})), JwkError::Private),
            (rsa(json!({"d": "AQAB"})), JwkError::Private),
            (rsa(json!({"kty": "EC"})), JwkError::Kind),
            (rsa(json!({"kty": "rsa"})), JwkError::Kind),
            (rsa(json!({"n": "AQAB="})), JwkError::Number { member: "n" }),
            (rsa(json!({"n": "AQA\n"})), JwkError::Number { member: "n" }),
            (rsa(json!({"n": ""})), JwkError::Number { member: "n" }),
            (rsa(json!({"e": "AQB"})), JwkError::Number { member: "e" }),
            (rsa(json!({"kid": ""})), JwkError::KeyId),
            (rsa(json!({"use": "enc"})), JwkError::Purpose),
            (rsa(json!({"key_ops": ["sign"]})), JwkError::Purpose),
            (rsa(json!({"alg": "ES256"})), JwkError::Algorithm),
            (rsa(json!({"alg": "RS512"})), JwkError::Algorithm),
            (rsa(json!({"alg": "rs256"})), JwkError::Algorithm),
        ] {
            assert_eq!(read(jwk.clone()), Err(error), "{jwk}");
        }
    }
}
