//! Verified tokens are remembered, and no longer than they should be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::{SigningAlgorithm, UnixMillis};
use sekisho_scope::{Authenticator, MAX_CACHE_BYTES, SignatureVerifier, VerifyingKey};
use sekisho_scope_cases::Case;
use serde_json::json;

use crate::world::{Counting, NOW, bearer, world};

#[test]
fn a_remembered_token_is_not_verified_again() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    let rs256 = Counting::default();
    for _ in 0..5 {
        assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
    }
    assert_eq!(rs256.0.get(), 1);
    assert_eq!(authenticator.remembered_tokens(), 1);
}

#[test]
fn a_refused_token_is_not_remembered() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let rs256 = Counting::default();
    for name in [
        "a stranger's signature is refused",
        "an expired token is refused",
        "another audience is refused",
        "a token that begins later is refused",
    ] {
        let case = world.case(name);
        let token = world.token(case);
        let before = rs256.0.get();
        for _ in 0..3 {
            assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_err());
        }
        assert_eq!(rs256.0.get() - before, 3, "{name}");
    }
    assert_eq!(authenticator.remembered_tokens(), 0);
}

#[test]
fn a_remembered_token_expires_all_the_same() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    let rs256 = Counting::default();
    assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
    let end = UnixMillis((NOW.seconds() + 3600 + 60) * 1000);
    let last = UnixMillis(end.0 - 1);
    assert!(bearer(&mut authenticator, &token, &rs256, last).is_ok());
    assert_eq!(
        bearer(&mut authenticator, &token, &rs256, end),
        Err("expired_token")
    );
    assert_eq!(authenticator.remembered_tokens(), 0);
}

#[test]
fn a_remembered_token_is_early_again_when_the_clock_goes_back() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    let rs256 = Counting::default();
    assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
    let earlier = UnixMillis(NOW.0 - 3_600_000);
    let refused = bearer(&mut authenticator, &token, &rs256, earlier);
    assert_eq!(refused, Err("token_not_yet_valid"));
}

#[test]
fn expired_tokens_are_forgotten_when_asked() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let token = world.token(&Case::default());
    assert!(bearer(&mut authenticator, &token, &Counting::default(), NOW).is_ok());
    authenticator.forget_expired(NOW);
    assert_eq!(authenticator.remembered_tokens(), 1);
    authenticator.forget_expired(NOW.plus_millis(3_660_000));
    assert_eq!(authenticator.remembered_tokens(), 0);
}

#[test]
fn tokens_of_a_removed_key_are_forgotten_and_others_stay() {
    let world = world();
    let policy = world.policy("required");
    let mut authenticator = world.authenticator(&policy);
    let rs256 = Counting::default();
    let by_name = |name: &str| {
        let case = world.case(name);
        world.token(case)
    };
    let first = world.token(&Case::default());
    let second = by_name("a token signed with the other key of the issuer is accepted");
    let elsewhere = by_name("a version 1.0 token of a person is accepted");
    for token in [&first, &second, &elsewhere] {
        assert!(bearer(&mut authenticator, token, &rs256, NOW).is_ok());
    }
    let issuer = &policy.issuers[0].issuer;
    let mut keys = world.issuer_keys(issuer);
    let removed = keys.remove(0);
    authenticator.set_issuer_keys(issuer, keys.clone());
    assert_eq!(authenticator.remembered_tokens(), 2);
    let refused = bearer(&mut authenticator, &first, &rs256, NOW);
    assert_eq!(refused, Err("unknown_signing_key"));
    assert!(bearer(&mut authenticator, &second, &rs256, NOW).is_ok());
    assert_eq!(rs256.0.get(), 3);

    // Another key under a name that is known is another key.
    keys[0].material = removed.material;
    authenticator.set_issuer_keys(issuer, keys);
    let refused = bearer(&mut authenticator, &second, &rs256, NOW);
    assert_eq!(refused, Err("bad_signature"));
}

#[test]
fn a_token_that_differs_in_its_signature_only_is_verified_for_itself() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("required"));
    let mut token = world.token(&Case::default());
    let rs256 = Counting::default();
    assert!(bearer(&mut authenticator, &token, &rs256, NOW).is_ok());
    let at = token.len() - 10;
    token[at] = if token[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(
        bearer(&mut authenticator, &token, &rs256, NOW),
        Err("bad_signature")
    );
}

/// Believes everything: what is counted here is memory.
struct Believing;

impl SignatureVerifier for Believing {
    fn verify(&self, _: &VerifyingKey, _: SigningAlgorithm, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

/// A token of almost 8 KiB.
fn numbered(number: usize) -> Vec<u8> {
    let claims = json!({
        "iss": "https://login.example/tenant-a/v2.0", "aud": "api://sekisho",
        "tid": "aaaaaaaa-0000-4000-8000-000000000001", "oid": format!("{number}"), "scp": "text_apis",
        "exp": NOW.seconds() + 3600, "fill": "x".repeat(5800),
    });
    let [header, payload] = [r#"{"alg":"RS256","kid":"kid-1"}"#, &claims.to_string()]
        .map(|text| URL_SAFE_NO_PAD.encode(text));
    // As with real ones, no two signatures are equal.
    let signature = URL_SAFE_NO_PAD.encode(format!("{number:032}"));
    format!("{header}.{payload}.{signature}").into_bytes()
}

fn remember(authenticator: &mut Authenticator, token: &[u8]) {
    assert!(bearer(authenticator, token, &Believing, NOW).is_ok());
}

#[test]
fn memory_is_bounded_and_what_is_in_use_stays() {
    let world = world();
    let mut authenticator = world.authenticator(&world.policy("none"));
    let used = world.token(&Case::default());
    let rs256 = Counting::default();
    for number in 0..3000 {
        remember(&mut authenticator, &numbered(number));
        if number % 100 == 0 {
            assert!(bearer(&mut authenticator, &used, &rs256, NOW).is_ok());
        }
        assert!(authenticator.remembered_tokens() * 5800 <= MAX_CACHE_BYTES);
    }
    assert!(authenticator.remembered_tokens() * 9000 > MAX_CACHE_BYTES / 2);
    assert_eq!(rs256.0.get(), 1);
}
