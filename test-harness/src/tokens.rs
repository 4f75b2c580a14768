//! Access tokens as Entra ID issues them (version 2.0), signed with keys that live as long as the
//! process.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::SigningKey;
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sekisho_domain::UnixMillis;
use serde_json::{Map, Value, json};

const BITS: usize = 2048;
/// How long a token is valid if nothing else is said, seconds: Entra gives 60 to 90 minutes.
const LIFETIME: u64 = 3_900;

/// Why a token cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no RSA key can be made")]
pub struct NoKey;

/// Who signs a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signer {
    /// The key that the issuer publishes.
    #[default]
    Issuer,
    /// Another key, under the published key's id.
    Stranger,
    /// The key that the issuer publishes next.
    Successor,
}

/// What stands in a token's header beside its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[default]
    RS256,
    /// Named so, though it is signed with RS256.
    HS256,
    /// Named so, and not signed.
    #[serde(rename = "none")]
    None,
}

/// The id of the published key.
pub const KEY_ID: &str = "scenario-key-1";
/// The id of the key that is published next.
const NEXT_KEY_ID: &str = "scenario-key-2";

/// The key id in the tokens of a signer.
#[must_use]
pub const fn key_id(signer: Signer) -> &'static str {
    match signer {
        Signer::Issuer | Signer::Stranger => KEY_ID,
        Signer::Successor => NEXT_KEY_ID,
    }
}

/// A signing key.
struct Key {
    public: RsaPublicKey,
    signing: SigningKey<Sha256>,
}

fn key(signer: Signer) -> Result<&'static Key, NoKey> {
    static ISSUER: OnceLock<Option<Key>> = OnceLock::new();
    static STRANGER: OnceLock<Option<Key>> = OnceLock::new();
    static SUCCESSOR: OnceLock<Option<Key>> = OnceLock::new();
    let cell = match signer {
        Signer::Issuer => &ISSUER,
        Signer::Stranger => &STRANGER,
        Signer::Successor => &SUCCESSOR,
    };
    let made = cell.get_or_init(|| {
        let private = RsaPrivateKey::new(&mut OsRng, BITS).ok()?;
        Some(Key {
            public: private.to_public_key(),
            signing: SigningKey::new(private),
        })
    });
    made.as_ref().ok_or(NoKey)
}

/// Modulus and exponent of the published key, big endian.
///
/// # Errors
/// [`NoKey`].
pub fn published() -> Result<(Vec<u8>, Vec<u8>), NoKey> {
    published_by(Signer::Issuer)
}

/// Modulus and exponent of a signer's key, big endian.
///
/// # Errors
/// [`NoKey`].
pub fn published_by(signer: Signer) -> Result<(Vec<u8>, Vec<u8>), NoKey> {
    let key = key(signer)?;
    Ok((key.public.n().to_bytes_be(), key.public.e().to_bytes_be()))
}

/// Whom a token is for.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The `iss` claim.
    pub issuer: &'a str,
    /// The `tid` claim.
    pub tenant: &'a str,
    /// The `aud` claim.
    pub audience: &'a str,
    /// The `oid` claim.
    pub object_id: &'a str,
    /// The `scp` claim, as a list.
    pub scopes: &'a [String],
}

/// The claims of a person's token that is valid from `now` on.
#[must_use]
pub fn claims(subject: &Subject<'_>, now: UnixMillis) -> Map<String, Value> {
    let issued = now.seconds();
    let claims = json!({
        "iss": subject.issuer,
        "aud": subject.audience,
        "tid": subject.tenant,
        "oid": subject.object_id,
        "sub": format!("pairwise-{}", subject.object_id),
        "azp": "c44b4083-3bb0-49c1-b47d-974e53cbdf3c",
        "azpacr": "0",
        "scp": subject.scopes.join(" "),
        "ver": "2.0",
        "iat": issued,
        "nbf": issued,
        "exp": issued.saturating_add(LIFETIME),
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}

/// The compact form (RFC 7515, section 7.1).
///
/// # Errors
/// [`NoKey`].
pub fn sign(
    claims: &Map<String, Value>,
    signer: Signer,
    algorithm: Algorithm,
    key_id: &str,
) -> Result<String, NoKey> {
    let name = match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::HS256 => "HS256",
        Algorithm::None => "none",
    };
    let header = json!({"typ": "JWT", "alg": name, "kid": key_id}).to_string();
    let payload = Value::Object(claims.clone()).to_string();
    let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(payload.as_bytes())
    );
    let signature = match algorithm {
        // The empty signature would make the token malformed before its algorithm is seen.
        Algorithm::None => b"none".to_vec(),
        _ => key(signer)?.signing.sign(signed.as_bytes()).to_vec(),
    };
    Ok(format!("{signed}.{}", encode(&signature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_parts_and_the_claims_of_its_person() {
        let scopes = ["text_apis".to_owned()];
        let subject = Subject {
            issuer: "https://i.example/v2.0",
            tenant: "t",
            audience: "api://sekisho",
            object_id: "o",
            scopes: &scopes,
        };
        let claims = claims(&subject, UnixMillis(1_000_000));
        let token = sign(&claims, Signer::Issuer, Algorithm::RS256, KEY_ID).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        let payload: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(payload["scp"], "text_apis");
        assert_eq!(payload["exp"], 1_000 + LIFETIME);
        let stranger = sign(&claims, Signer::Stranger, Algorithm::RS256, KEY_ID).unwrap();
        assert_ne!(stranger, token);
    }
}
