//! A large company, with as many subscription keys as people, from the database over Link in
//! many parts into a filter.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot do its work has failed"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use sekisho_domain::{IssuerKey, KeyMaterial, UnixMillis};
use sekisho_link::directory::key_set;
use sekisho_test_harness::gateway::{Answer, Gateway as _, ModuleSet, Place, Request};
use sekisho_test_harness::on_host::OnHost;
use sekisho_test_harness::scenario::ScenarioPolicy;
use sekisho_test_harness::sidecar::{IssuedKey, Registered, Setup, Sidecar};
use sekisho_test_harness::tokens::{self, Algorithm, KEY_ID, Signer, Subject};

/// `SEKISHO_PEOPLE=100000` makes it larger; putting so many into a database takes a minute.
const PEOPLE: usize = 30_000;
/// 2026-01-15T10:00:05+09:00.
const STANDS_AT: UnixMillis = UnixMillis(1_768_438_805_000);
/// So generous that only a filter which never gets ready fails: machines that run tests are slow and
/// busy, and their filters are not optimised by V8.
const READY_WITHIN: Duration = Duration::from_secs(180);

#[test]
fn everybody_of_a_large_company_can_call_and_nobody_else() {
    let asked = std::env::var("SEKISHO_PEOPLE").ok();
    let people = asked.map_or(PEOPLE, |number| number.parse().unwrap());
    let place = Place {
        envoy: None,
        ..Place::of_this_checkout()
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/policies/company.yaml");
    let policy = ScenarioPolicy::load(&file).unwrap();
    let policy = policy.complete(&BTreeMap::new()).unwrap();
    let trusted = policy.policy.issuers.first().unwrap().clone();
    let setup = Setup {
        policy,
        people: (0..people).map(|at| person(&trusted.tenant, at)).collect(),
        keys: (0..people).map(key).collect(),
        issuer_keys: key_set(&trusted.issuer, &[published(&trusted.issuer)]),
        stands_at: Some(STANDS_AT),
    };
    let sidecar = Sidecar::start(setup).unwrap();
    let began = now();
    let mut gateway = OnHost::start(ModuleSet::Gateway, &place, sidecar).unwrap();
    let mut status = |header: &str, value: String| {
        let request = Request {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            headers: vec![(header.to_owned(), value.into_bytes())],
            body: vec![br#"{"model":"gpt-4o","max_tokens":1,"messages":[]}"#.to_vec()],
            ..Request::default()
        };
        let answer = Answer {
            status: 200,
            body: vec![b"{}".to_vec()],
            ..Answer::default()
        };
        let exchange = gateway.call(&request, &answer).unwrap();
        exchange.response.unwrap().status
    };
    while status("api-key", secret(0)) != 200 {
        assert!(began.elapsed() < READY_WITHIN, "it is not ready yet");
    }
    println!(
        "{PEOPLE} people and keys: ready after {:?}",
        began.elapsed()
    );
    for at in [0, 1, people / 2, people - 1] {
        assert_eq!(status("api-key", secret(at)), 200, "key {at}");
        let subject = Subject {
            issuer: &trusted.issuer,
            tenant: &trusted.tenant,
            audience: trusted.audiences.first().unwrap(),
            object_id: &object_id(at),
            scopes: &["all_apis".to_owned()],
        };
        let claims = tokens::claims(&subject, STANDS_AT);
        let token = tokens::sign(&claims, Signer::Issuer, Algorithm::RS256, KEY_ID).unwrap();
        let bearer = format!("Bearer {token}");
        assert_eq!(status("authorization", bearer), 200, "person {at}");
    }
    assert_eq!(status("api-key", secret(people)), 401);
}

fn person(tenant: &str, at: usize) -> Registered {
    Registered {
        id: format!("{at:06}"),
        tenant: tenant.to_owned(),
        object_id: object_id(at),
        department: "sales".to_owned(),
        active: true,
    }
}

fn object_id(at: usize) -> String {
    format!("00000000-0000-4000-8000-{at:012}")
}

fn key(at: usize) -> IssuedKey {
    IssuedKey {
        id: format!("key-{at:016x}"),
        secret: secret(at),
        department: "sales".to_owned(),
        user: Some(format!("{at:06}")),
        scopes: vec!["all_apis".to_owned()],
        ..IssuedKey::default()
    }
}

fn secret(at: usize) -> String {
    let mut random = [0x42; 32];
    let number = at.to_be_bytes();
    random
        .iter_mut()
        .zip(number)
        .for_each(|(to, from)| *to = from);
    sekisho_scope::new_key(random)
}

fn published(issuer: &str) -> IssuerKey {
    let (n, e) = tokens::published().unwrap();
    IssuerKey {
        issuer: issuer.to_owned(),
        kid: KEY_ID.to_owned(),
        material: KeyMaterial::Rsa { n, e },
        algorithm: None,
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it really takes")]
fn now() -> Instant {
    Instant::now()
}
