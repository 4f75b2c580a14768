//! By which push services know who sends (RFC 8292).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::{PublicKey, SecretKey};
use sekisho_domain::UnixMillis;
use serde_json::json;
use url::Url;

use super::encrypt::{KeyTrouble, point};

/// How long a token is good, seconds: a day is the most (RFC 8292, section 2).
const GOOD: u64 = 12 * 3600;

/// The sidecar's key.
#[derive(Clone)]
pub struct VapidKey {
    signing: SigningKey,
    public: PublicKey,
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VapidKey")
    }
}

impl VapidKey {
    /// The key of these bytes, which are random.
    ///
    /// # Errors
    /// [`KeyTrouble::Key`]: they are no key; practically never, if they are random.
    pub fn read(bytes: &[u8; 32]) -> Result<Self, KeyTrouble> {
        let secret = SecretKey::from_slice(bytes).map_err(|_| KeyTrouble::Key)?;
        Ok(Self {
            public: secret.public_key(),
            signing: SigningKey::from(&secret),
        })
    }

    /// The public key as browsers want it: an uncompressed point in Base64url.
    #[must_use]
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(point(&self.public))
    }

    /// The header `Authorization` for a push service. `contact`: whom its people write to.
    pub(super) fn authorization(&self, endpoint: &Url, contact: &str, now: UnixMillis) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"typ": "JWT", "alg": "ES256"}));
        let claims = part(json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now.seconds() + GOOD, "sub": contact,
        }));
        let signed = format!("{header}.{claims}");
        let signature: Signature = self.signing.sign(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        format!("vapid t={signed}.{signature}, k={}", self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier as _;

    #[test]
    fn a_push_service_can_check_who_sends() {
        let key = VapidKey::read(&[9; 32]).unwrap();
        let endpoint = Url::parse("https://push.example:8443/p/secret").unwrap();
        let header = key.authorization(&endpoint, "mailto:a@example.com", UnixMillis(1_000_000));
        let header = header.strip_prefix("vapid t=").unwrap();
        let (token, public) = header.split_once(", k=").unwrap();
        assert_eq!(public, key.public_key());
        let public = URL_SAFE_NO_PAD.decode(public).unwrap();
        let public = VerifyingKey::from_sec1_bytes(&public).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = Signature::from_slice(&signature).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
        let (_, claims) = signed.split_once('.').unwrap();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        let wanted = json!({"aud": "https://push.example:8443", "exp": 44_200, "sub": "mailto:a@example.com"});
        assert_eq!(claims, wanted);
    }

    #[test]
    fn nothing_is_no_key() {
        assert_eq!(VapidKey::read(&[0; 32]).unwrap_err(), KeyTrouble::Key);
        assert_eq!(
            format!("{:?}", VapidKey::read(&[1; 32]).unwrap()),
            "VapidKey"
        );
    }
}
