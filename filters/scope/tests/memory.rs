//! What verified tokens take of a worker's memory, measured and not estimated.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use peak_alloc::PeakAlloc;
use sekisho_domain::{SigningAlgorithm, UnixMillis};
use sekisho_scope::{
    Authenticator, Credential, MAX_CACHE_BYTES, MAX_CACHE_ENTRIES, SignatureVerifier, VerifyingKey,
};
use sekisho_scope_cases::World;
use serde_json::json;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const NOW: UnixMillis = UnixMillis(1_751_328_000_500);
const TOKENS: usize = 100_000;

/// Believes everything: what is measured here is memory.
struct Believing;

impl SignatureVerifier for Believing {
    fn verify(&self, _: &VerifyingKey, _: SigningAlgorithm, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

/// A token as large as Entra ID's are, of somebody else each time.
fn token(number: usize) -> Vec<u8> {
    let claims = json!({
        "iss": "https://login.example/tenant-a/v2.0", "aud": "api://sekisho",
        "tid": "aaaaaaaa-0000-4000-8000-000000000001", "oid": format!("{number:036}"),
        "azp": "99999999-0000-4000-8000-000000000009", "scp": "text_apis", "acrs": ["c1", "p1"],
        "roles": ["Sekisho.Auditor"], "exp": NOW.seconds() + 3600, "fill": "x".repeat(number % 700),
    });
    let [header, payload] = [r#"{"alg":"RS256","kid":"kid-1"}"#, &claims.to_string()]
        .map(|text| URL_SAFE_NO_PAD.encode(text));
    let signature = URL_SAFE_NO_PAD.encode(format!("{number:0256}"));
    format!("{header}.{payload}.{signature}").into_bytes()
}

fn show(authenticator: &mut Authenticator, number: usize) {
    let token = token(number);
    let shown = authenticator.authenticate(&Credential::Bearer(&token), &Believing, NOW);
    assert!(shown.is_ok());
}

#[test]
fn a_hundred_thousand_tokens_take_no_more_memory_than_is_promised() {
    let world = World::load();
    let mut authenticator = world.authenticator(&world.policy("none"), NOW);
    let before = HEAP.current_usage();
    let mut most = 0;
    for number in 0..TOKENS {
        show(&mut authenticator, number);
        assert!(authenticator.remembered_tokens() <= MAX_CACHE_ENTRIES);
        most = most.max(HEAP.current_usage().saturating_sub(before));
    }
    assert!(most <= MAX_CACHE_BYTES, "{most} bytes");
    // And it is used: the estimate is not so generous that nothing stays.
    assert!(most >= MAX_CACHE_BYTES / 3, "{most} bytes");

    authenticator.forget_expired(NOW.plus_millis(4_000_000));
    assert_eq!(authenticator.remembered_tokens(), 0);
}
