//! Project Wycheproof's vectors, at the layer of JWS: payloads are not claims there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::{IssuerKey, SigningAlgorithm};
use sekisho_scope::{SignatureVerifier, VerifyingKey, verified_payload};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::BOTH;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    public: Value,
    #[serde(default)]
    private: Value,
    tests: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    tc_id: u32,
    comment: String,
    #[serde(default)]
    jws: Value,
    #[serde(default)]
    jwe: Value,
    result: String,
}

/// Vectors that are labelled valid and must be refused here, and why.
const STRICTER: &[(u32, &str)] = &[
    (259, "the payload is empty, as a detached one is"),
    (272, "the payload is empty, as a detached one is"),
    (346, "the header says PS384, the key is for PS256"),
    (350, "the header says PS384, the key is for PS256"),
    (347, "the key is for `ES521`, which is no algorithm"),
    (351, "the key is for `ES521`, which is no algorithm"),
    (372, "has characters that base64url does not have"),
    (373, "has characters that base64url does not have"),
];

/// Vectors that are labelled invalid and are the same bytes as the valid 357.
const MISLABELLED: [u32; 2] = [367, 370];

fn usable_keys(group: &Group) -> Vec<VerifyingKey> {
    let published = match &group.public {
        Value::Null => &group.private,
        public => public,
    };
    let listed = match published.get("keys").and_then(Value::as_array) {
        Some(keys) => keys.clone(),
        None => vec![published.clone()],
    };
    let mut keys = Vec::new();
    for mut jwk in listed {
        // Vectors of RFC 7515 have keys and tokens without names; here all have one.
        if jwk.get("kid").is_none() {
            jwk["kid"] = json!("");
        }
        let Ok(jwk) = serde_json::from_value(jwk) else {
            continue;
        };
        if let Ok(key) = IssuerKey::from_jwk("https://issuer.example", &jwk)
            && let Ok(key) = VerifyingKey::new(key)
        {
            keys.push(key);
        }
    }
    keys
}

fn is_accepted(jws: &str, keys: &[VerifyingKey], verifier: &dyn SignatureVerifier) -> bool {
    verified_payload(jws.as_bytes(), keys, &SigningAlgorithm::EVERY, verifier).is_ok()
}

/// Whether the token's own word on its algorithm is one of ours.
fn is_of_our_kind(shown: &str) -> bool {
    let header = shown.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    let algorithm = header["alg"].as_str().and_then(SigningAlgorithm::parse);
    algorithm.is_some()
}

/// How many vectors of a file are accepted; every one comes out as it should.
fn accepted(text: &str, stricter: &[(u32, &str)], verifier: &dyn SignatureVerifier) -> usize {
    let file: File = serde_json::from_str(text).unwrap();
    let (mut seen, mut accepted) = (0, 0);
    for group in &file.test_groups {
        let keys = usable_keys(group);
        for vector in &group.tests {
            seen += 1;
            // What is no text is JSON serialisation, which no header carries.
            let mut shown = [&vector.jws, &vector.jwe].into_iter();
            let shown = shown.find(|shown| !shown.is_null()).unwrap();
            let shown = shown.as_str().map_or(shown.to_string(), str::to_owned);
            let is_excluded = stricter.iter().any(|(id, _)| *id == vector.tc_id);
            let expected = vector.result == "valid" && is_of_our_kind(&shown) && !is_excluded;
            let outcome = is_accepted(&shown, &keys, verifier);
            assert_eq!(outcome, expected, "{} {}", vector.tc_id, vector.comment);
            accepted += usize::from(outcome);
        }
    }
    assert_eq!(seen, file.number_of_tests);
    accepted
}

#[test]
fn every_vector_of_signatures_comes_out_as_it_should() {
    let text = include_str!("../wycheproof/json_web_signature_test.json");
    for (_, verifier) in BOTH {
        assert_eq!(accepted(text, STRICTER, verifier), 14);
    }
}

#[test]
fn every_vector_of_keys_comes_out_as_it_should() {
    let text = include_str!("../wycheproof/json_web_key_test.json");
    for (_, verifier) in BOTH {
        assert_eq!(accepted(text, &[], verifier), 1);
    }
}

#[test]
fn every_vector_of_tokens_comes_out_as_it_should_and_every_encrypted_one_is_refused() {
    let text = include_str!("../wycheproof/json_web_crypto_test.json");
    for (_, verifier) in BOTH {
        assert_eq!(accepted(text, &[], verifier), 2);
    }
}

#[test]
fn the_defects_of_the_vectors_are_still_there() {
    let text = include_str!("../wycheproof/json_web_signature_test.json");
    let file: File = serde_json::from_str(text).unwrap();
    let vectors = file.test_groups.iter().flat_map(|group| &group.tests);
    let by_id: BTreeMap<u32, &Vector> = vectors.map(|vector| (vector.tc_id, vector)).collect();
    for (id, reason) in STRICTER {
        assert_eq!(by_id[id].result, "valid", "{id}: {reason}");
    }
    for id in MISLABELLED {
        assert_eq!(by_id[&id].result, "invalid");
        assert_eq!(by_id[&id].jws, by_id[&357].jws);
    }
}
