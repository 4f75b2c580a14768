//! What is in an issuer's key set.

use sekisho_domain::IssuerKey;
use sekisho_domain::policy::raw::RawJwk;
use sekisho_domain::signing::JwkError;
use sekisho_scope::{UnusableKey, VerifyingKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{JwksError, has};

/// Most keys of a set that are looked at: every gateway holds them all.
const MOST_KEYS: usize = 100;
/// Most characters of a `kid` that are shown.
const SHOWN: usize = 64;

/// The keys of a set.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet {
    /// By `kid`.
    pub(super) keys: Vec<IssuerKey>,
    /// In the order of the set.
    pub(super) left_out: Vec<LeftOut>,
}

/// A key that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Its place in the set, from 0.
    pub(super) at: usize,
    /// Its name, if it has one.
    pub(super) kid: String,
    /// Why.
    pub(super) why: Why,
}

/// Why a key is not used. A set may hold keys of all kinds (RFC 7517, section 5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error("is not a JSON Web Key with `kty` and `kid`: {0}")]
    Form(String),
    #[error(transparent)]
    Jwk(#[from] JwkError),
    #[error(transparent)]
    Unusable(#[from] UnusableKey),
    #[error("an earlier key has the same `kid`")]
    Duplicate,
    #[error("the set has more than {MOST_KEYS} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Named {
    #[serde(default)]
    kid: String,
}

/// Reads a set.
///
/// # Errors
/// [`JwksError`] if it is none, or has no key that tokens can be verified with.
pub(super) fn read(issuer: &str, body: &[u8]) -> Result<KeySet, JwksError> {
    let raw: Raw<'_> = serde_json::from_slice(body)?;
    if raw.keys.is_empty() {
        return Err(JwksError::Empty);
    }
    let mut set = KeySet::default();
    for (at, jwk) in raw.keys.iter().enumerate() {
        match usable(issuer, jwk, at, &set.keys) {
            Ok(key) => set.keys.push(key),
            Err(why) => set.left_out.push(LeftOut {
                at,
                kid: shown_kid(jwk),
                why,
            }),
        }
    }
    if set.keys.is_empty() {
        return Err(JwksError::NoUsableKey(raw.keys.len()));
    }
    set.keys.sort_by(|a, b| a.kid.cmp(&b.kid));
    Ok(set)
}

fn usable(
    issuer: &str,
    jwk: &RawValue,
    at: usize,
    earlier: &[IssuerKey],
) -> Result<IssuerKey, Why> {
    if at >= MOST_KEYS {
        return Err(Why::TooMany);
    }
    let jwk: RawJwk = serde_json::from_str(jwk.get()).map_err(|e| Why::Form(e.to_string()))?;
    let key = IssuerKey::from_jwk(issuer, &jwk)?;
    // Sizes, exponent, a point that is on the curve.
    VerifyingKey::new(key.clone())?;
    if has(earlier, &key.kid) {
        return Err(Why::Duplicate);
    }
    Ok(key)
}

fn shown_kid(jwk: &RawValue) -> String {
    let named: Named = serde_json::from_str(jwk.get()).unwrap_or_default();
    named.kid.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    /// An odd number of as many bits: enough for the rules about sizes.
    fn key(kid: &str, bytes: usize, e: &[u8]) -> Value {
        let mut n = vec![0xff; bytes];
        if let Some(last) = n.last_mut() {
            *last = 0x0d;
        }
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "RSA", "kid": kid, "n": encode(&n), "e": encode(e)})
    }

    /// The key of RFC 7515, appendix A.2.1.
    fn sound(kid: &str) -> Value {
        let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ\
            PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0\
            LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD\
            Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2\
            PAcDTW9gb54h4FRWyuXpoQ";
        json!({"kty": "RSA", "kid": kid, "n": modulus, "e": "AQAB"})
    }

    fn of(keys: Value) -> Result<KeySet, JwksError> {
        let body = json!({ "keys": keys }).to_string();
        read("https://i.example", body.as_bytes())
    }

    fn kids(set: &KeySet) -> Vec<&str> {
        set.keys.iter().map(|key| key.kid.as_str()).collect()
    }

    #[test]
    fn good_keys_are_taken_and_each_of_the_others_is_named_with_its_reason() {
        let mut encryption = sound("enc");
        encryption["use"] = json!("enc");
        let mut private = sound("private");
        private["d"] = json!("AQAB");
        let set = of(json!([
            sound("b"),
            key("short", 128, &[1, 0, 1]),
            key("long", 1024, &[1, 0, 1]),
            key("three", 256, &[3]),
            encryption,
            private,
            {"kty": "oct", "kid": "symmetric", "k": "AQAB"},
            {"kty": "OKP", "kid": "okp", "crv": "Ed25519", "x": "AA"},
            {"kty": "RSA", "kid": "no-n", "e": "AQAB"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            "what is this",
            sound("b"),
            sound("a"),
            key("even", 256, &[1, 0, 1]),
        ]))
        .unwrap();
        assert_eq!(kids(&set), ["a", "b"]);
        let left_out: Vec<_> = set
            .left_out
            .iter()
            .map(|left| (left.at, left.kid.as_str()))
            .collect();
        let expected = [
            (1, "short"),
            (2, "long"),
            (3, "three"),
            (4, "enc"),
            (5, "private"),
            (6, "symmetric"),
            (7, "okp"),
            (8, "no-n"),
            (9, ""),
            (10, ""),
            (11, "b"),
            (13, "even"),
        ];
        assert_eq!(left_out, expected);
        assert_eq!(set.left_out[10].why, Why::Duplicate);
        assert_eq!(set.left_out[4].why, Why::Jwk(JwkError::Private));
    }

    #[test]
    fn a_key_with_a_member_twice_is_left_out() {
        let good = sound("a").to_string();
        let twice = good.replacen('{', "{\"kid\":\"x\",", 1);
        let body = format!("{{\"keys\":[{good},{twice}]}}");
        let set = read("i", body.as_bytes()).unwrap();
        assert_eq!((kids(&set), set.left_out.len()), (vec!["a"], 1));
    }

    #[test]
    fn what_is_no_key_set_is_told_from_one_without_usable_keys() {
        let nested = "[".repeat(100_000);
        for text in ["", "<html>", "[]", "{}", "{\"keys\":{}}", "null", &nested] {
            let error = read("i", text.as_bytes()).unwrap_err();
            assert!(matches!(error, JwksError::Form(_)), "{error}");
        }
        assert!(matches!(of(json!([])), Err(JwksError::Empty)));
        let weak = key("short", 128, &[1, 0, 1]);
        assert!(matches!(
            of(json!([weak, 7])),
            Err(JwksError::NoUsableKey(2))
        ));
    }

    #[test]
    fn no_set_makes_the_gateways_hold_more_than_a_hundred_keys() {
        let keys: Vec<Value> = (0..110).map(|at| sound(&format!("k{at:03}"))).collect();
        let set = of(json!(keys)).unwrap();
        assert_eq!((set.keys.len(), set.left_out.len()), (100, 10));
    }
}
