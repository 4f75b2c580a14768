//! Keys that live as long as the process.

use std::collections::HashMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::rand_core::{OsRng, RngCore as _};
use rsa::sha2::Sha256;
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPrivateKey, pkcs1v15, pss};
use sekisho_domain::{KeyMaterial, SigningAlgorithm};
use sekisho_scope::hash_key;
use serde_json::{Value, json};

const RSA_NAMES: [&str; 5] = [
    "tenant-a",
    "tenant-a-next",
    "tenant-b",
    "tenant-c",
    "stranger",
];
const P256_NAMES: [&str; 2] = ["tenant-c-ec", "stranger-ec"];

/// A private key.
#[derive(Clone, Debug)]
pub enum SigningKey {
    /// For RS256 and PS256.
    Rsa(Box<RsaPrivateKey>),
    /// For ES256.
    P256(Box<ecdsa::SigningKey>),
}

/// The private key of this name. `stranger` and `stranger-ec` are published by nobody.
#[must_use]
pub fn signing_key(name: &str) -> &'static SigningKey {
    static RSA: [OnceLock<SigningKey>; RSA_NAMES.len()] =
        [const { OnceLock::new() }; RSA_NAMES.len()];
    static P256: [OnceLock<SigningKey>; P256_NAMES.len()] =
        [const { OnceLock::new() }; P256_NAMES.len()];
    let place = |names: &[&str]| names.iter().position(|known| *known == name);
    match (place(&RSA_NAMES), place(&P256_NAMES)) {
        (Some(at), _) => RSA[at].get_or_init(|| new_rsa(name)),
        (None, Some(at)) => P256[at].get_or_init(new_p256),
        (None, None) => panic!("no key `{name}`"),
    }
}

/// Looking for primes takes a second; these are always the same.
fn new_rsa(name: &str) -> SigningKey {
    let primes: HashMap<String, [String; 2]> =
        serde_yaml_ng::from_str(include_str!("../cases/primes.yaml")).expect("primes");
    let read = |hex: &String| BigUint::parse_bytes(hex.as_bytes(), 16).expect("a prime");
    let [p, q] = primes.get(name).expect("primes of this name");
    let key = RsaPrivateKey::from_p_q(read(p), read(q), BigUint::from(65537u32));
    SigningKey::Rsa(Box::new(key.expect("an RSA key")))
}

fn new_p256() -> SigningKey {
    loop {
        let mut scalar = [0; 32];
        OsRng.fill_bytes(&mut scalar);
        if let Ok(key) = ecdsa::SigningKey::from_slice(&scalar) {
            return SigningKey::P256(Box::new(key));
        }
    }
}

/// The public numbers of the key of this name.
#[must_use]
pub fn published(name: &str) -> KeyMaterial {
    match signing_key(name) {
        SigningKey::Rsa(key) => KeyMaterial::Rsa {
            n: key.n().to_bytes_be(),
            e: key.e().to_bytes_be(),
        },
        SigningKey::P256(key) => {
            let point = key.verifying_key().to_sec1_point(false);
            let (x, y) = point.as_bytes()[1..].split_at(32);
            KeyMaterial::P256 {
                x: x.to_vec(),
                y: y.to_vec(),
            }
        }
    }
}

/// The public key of this name as a JSON Web Key.
#[must_use]
pub fn jwk(name: &str, kid: &str) -> Value {
    let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    match published(name) {
        KeyMaterial::Rsa { n, e } => {
            json!({"kty": "RSA", "kid": kid, "n": encode(n), "e": encode(e)})
        }
        KeyMaterial::P256 { x, y } => {
            json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": encode(x), "y": encode(y)})
        }
    }
}

/// Signs as the algorithm says; `public-key-as-secret` makes an HMAC with the published key.
pub(crate) fn sign(signer: &str, algorithm: Option<SigningAlgorithm>, text: &[u8]) -> Vec<u8> {
    if signer == "public-key-as-secret" {
        let SigningKey::Rsa(key) = signing_key("tenant-a") else {
            return Vec::new();
        };
        let pem = key.to_public_key().to_public_key_pem(LineEnding::LF);
        return hash_key(pem.expect("a PEM").as_bytes(), text).to_vec();
    }
    match (signing_key(signer), algorithm) {
        (SigningKey::Rsa(key), Some(SigningAlgorithm::Ps256)) => {
            let key = pss::SigningKey::<Sha256>::new((**key).clone());
            key.sign_with_rng(&mut OsRng, text).to_vec()
        }
        (SigningKey::Rsa(key), _) => {
            let key = pkcs1v15::SigningKey::<Sha256>::new((**key).clone());
            key.sign(text).to_vec()
        }
        (SigningKey::P256(key), _) => {
            use p256::ecdsa::signature::Signer as _;
            let signature: ecdsa::Signature = key.sign(text);
            signature.to_bytes().to_vec()
        }
    }
}
