//! Arbitrary and damaged bytes, with a fixed seed: nothing traps, nothing is accepted. The fuzz
//! targets run the same functions for longer.

use proptest::prelude::{any, prop};
use proptest::strategy::Strategy as _;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sekisho_scope_cases::{fuzz, jwk};
use serde_json::json;

/// How often each function is called: a few seconds without optimisation.
const ROUNDS: u32 = 3_000;

fn runner() -> TestRunner {
    let config = Config {
        cases: ROUNDS,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(config, rng)
}

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Swap(prop::sample::Index, prop::sample::Index),
    Append(Vec<u8>),
}

fn changes() -> impl proptest::strategy::Strategy<Value = Vec<Change>> {
    let at = any::<prop::sample::Index>;
    // What means something to a parser, more often than other bytes.
    let byte = || {
        proptest::prop_oneof![
            prop::sample::select(&b".\"\\{}[]:,=-_+/% \t\r\n\0AQgw019ez"[..]),
            any::<u8>()
        ]
    };
    let change = proptest::prop_oneof![
        (at(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (at(), 1..40usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (at(), 1..40usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        prop::collection::vec(byte(), 1..8).prop_map(Change::Append),
    ];
    prop::collection::vec(change, 1..5)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len();
        match change {
            Change::Append(more) => bytes.extend(more),
            Change::Insert(at, byte) => bytes.insert(at.index(length + 1), *byte),
            _ if length == 0 => {}
            Change::Set(at, byte) => bytes[at.index(length)] = *byte,
            Change::Remove(at, count) => {
                let from = at.index(length);
                bytes.drain(from..length.min(from + count));
            }
            Change::Repeat(at, count) => {
                let from = at.index(length);
                let piece = bytes[from..length.min(from + count)].to_vec();
                bytes.splice(from..from, piece);
            }
            Change::Swap(one, other) => bytes.swap(one.index(length), other.index(length)),
        }
    }
    bytes
}

/// Runs on damaged seeds and on bytes out of nowhere.
fn run(seeds: &[Vec<u8>], property: fn(&[u8])) {
    for seed in seeds {
        property(seed);
    }
    let damaged = (prop::sample::select(seeds.to_vec()), changes())
        .prop_map(|(seed, changes)| changed(seed, &changes));
    let anything = prop::collection::vec(any::<u8>(), 0..200);
    let input = proptest::prop_oneof![9 => damaged, 1 => anything];
    let outcome = runner().run(&input, |bytes| {
        property(&bytes);
        Ok::<_, TestCaseError>(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn damaged_credentials_name_nobody() {
    run(&fuzz::seeds(), fuzz::authorization);
}

#[test]
fn damaged_payloads_under_a_good_signature_trap_nothing() {
    let of = |token: &[u8]| {
        use base64::Engine as _;
        let payload = token.split(|byte| *byte == b'.').nth(1)?;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        engine.decode(payload).ok()
    };
    let seeds: Vec<Vec<u8>> = fuzz::seeds().iter().filter_map(|seed| of(seed)).collect();
    run(&seeds, fuzz::payload);
}

#[test]
fn damaged_key_sets_trap_nothing_and_verify_nothing() {
    let mut other = jwk("stranger", "kid-1");
    other["alg"] = json!("RS256");
    other["use"] = json!("sig");
    other["x5c"] = json!(["AA=="]);
    let sets = [
        json!({"keys": [other]}),
        json!({"keys": [jwk("tenant-a", "kid-1"), jwk("stranger-ec", "kid-2")]}),
        json!({"keys": []}),
        json!({"keys": [{"kty": "oct", "kid": "kid-1", "k": "AQAB"}]}),
    ];
    let seeds = sets.map(|set| set.to_string().into_bytes());
    run(&seeds, fuzz::key_set);
}

#[test]
fn damaged_paths_trap_nothing_and_lead_nowhere_else() {
    let seeds = [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1beta/models/text_apis:generateContent",
        "/v1/models/text_apis:generateContent?alt=sse",
        "/model/text_apis/converse",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse",
        "/openai/deployments/text_apis/chat/completions?api-version=2024-10-21",
        "/openai/deployments/text_apis/../../x/%2e%2e/chat/completions",
        "/v1/chat/completions;a=b/%00%5c//",
    ];
    let seeds = seeds.map(|seed| seed.as_bytes().to_vec());
    run(&seeds, fuzz::path);
}
