//! Whoever verifies, the answers are the same.

use sekisho_domain::{IssuerKey, KeyMaterial, Policy};
use sekisho_scope::{Authenticator, UnusableKey};
use sekisho_scope_cases::{Case, jwk};
use serde_json::json;

use crate::world::{BOTH, NOW, bearer, world};

#[test]
fn every_changed_character_of_a_token_is_refused_alike() {
    let world = world();
    let policy = world.policy("required");
    let mut authenticator = world.authenticator(&policy);
    let good = world.token(&Case::default());
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] = if good[at] == b'A' { b'Q' } else { b'A' };
        let [(_, pure), (_, host)] = BOTH;
        let by_pure = bearer(&mut authenticator, &changed, pure, NOW);
        let by_host = bearer(&mut authenticator, &changed, host, NOW);
        assert!(by_pure.is_err(), "character {at} can be changed");
        assert_eq!(by_pure, by_host, "character {at}");
    }
    assert_eq!(authenticator.remembered_tokens(), 0);
}

#[test]
fn keys_that_stand_in_the_policy_verify() {
    let world = world();
    let mut file = world.policy_file("none");
    let mut key = jwk("tenant-a", "kid-1");
    key["use"] = json!("sig");
    key["alg"] = json!("RS256");
    file["issuers"][0]["jwks"] = json!({"keys": [key]});
    let policy = Policy::parse(file).unwrap();
    let token = world.token(&Case::default());
    for (_, rs256) in BOTH {
        let mut authenticator = Authenticator::new(&policy);
        assert!(bearer(&mut authenticator, &token, rs256, NOW).is_ok());
    }
}

#[test]
fn a_modulus_with_leading_zeros_is_the_same_key() {
    let world = world();
    let policy = world.policy("required");
    let token = world.token(&Case::default());
    for (_, rs256) in BOTH {
        let mut authenticator = world.authenticator(&policy);
        let issuer = &policy.issuers[0].issuer;
        let mut keys = world.issuer_keys(issuer);
        let KeyMaterial::Rsa { n, .. } = &mut keys[0].material else {
            panic!("not an RSA key");
        };
        n.insert(0, 0);
        assert_eq!(authenticator.set_issuer_keys(issuer, keys), []);
        assert!(bearer(&mut authenticator, &token, rs256, NOW).is_ok());
    }
}

#[test]
fn keys_that_cannot_be_used_are_named_and_left_out() {
    let world = world();
    let policy = world.policy("required");
    let issuer = policy.issuers[0].issuer.clone();
    let mut authenticator = Authenticator::new(&policy);
    let key = |kid: &str, n: Vec<u8>, e: Vec<u8>| IssuerKey {
        issuer: issuer.clone(),
        kid: kid.into(),
        material: KeyMaterial::Rsa { n, e },
        algorithm: None,
    };
    let mut published = world.issuer_keys(&issuer);
    let good = || [vec![0xff; 255], vec![0xe3]].concat();
    published.push(key("kid-1", good(), vec![1, 0, 1]));
    published.push(key("short", vec![0xff; 128], vec![1, 0, 1]));
    published.push(key("long", vec![0xff; 513], vec![1, 0, 1]));
    published.push(key(
        "even",
        [vec![0xff; 255], vec![0]].concat(),
        vec![1, 0, 1],
    ));
    published.push(key("small-factors", vec![0xff; 256], vec![1, 0, 1]));
    published.push(key("small-exponent", good(), vec![3]));
    published.push(key("empty", vec![], vec![]));
    let point = |kid: &str, x: Vec<u8>, y: Vec<u8>| IssuerKey {
        material: KeyMaterial::P256 { x, y },
        ..key(kid, vec![], vec![])
    };
    published.push(point("beside-the-curve", vec![1; 32], vec![2; 32]));
    published.push(point("no-point", vec![0; 32], vec![0; 32]));
    published.push(point("short-coordinate", vec![1; 31], vec![2; 32]));
    let mut foreign = key("foreign", good(), vec![1, 0, 1]);
    foreign.issuer = "https://evil.example/".into();
    published.push(foreign.clone());
    let unusable = authenticator.set_issuer_keys(&issuer, published);
    let kids: Vec<&str> = unusable
        .iter()
        .map(|error| match error {
            UnusableKey::Weak { kid, .. }
            | UnusableKey::Duplicate { kid, .. }
            | UnusableKey::NotTrusted { kid, .. } => kid.as_str(),
        })
        .collect();
    assert_eq!(
        kids,
        [
            "kid-1",
            "short",
            "long",
            "even",
            "small-factors",
            "small-exponent",
            "empty",
            "beside-the-curve",
            "no-point",
            "short-coordinate",
            "foreign"
        ]
    );
    assert_eq!(
        unusable[0].to_string(),
        format!("`{issuer}` publishes more than one key `kid-1`")
    );
    let unusable = authenticator.set_issuer_keys("https://evil.example/", vec![foreign]);
    assert_eq!(unusable.len(), 1);
}
