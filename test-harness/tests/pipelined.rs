//! How many batches a worker has under way to its sidecar, on the test host.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot do its work has failed"
)]

#[path = "caller/mod.rs"]
mod caller;

use std::collections::BTreeMap;
use std::time::Duration;

use caller::{Caller, World};
use sekisho_domain::UnixMillis;
use sekisho_test_harness::gateway::{Answer, Disturbance, Gateway as _, ModuleSet, Place, Request};
use sekisho_test_harness::host::{Host, StreamId};
use sekisho_test_harness::on_host::OnHost;
use sekisho_test_harness::sidecar::LogProbe;

/// 2026-01-15T10:00:05+09:00.
const STANDS_AT: UnixMillis = UnixMillis(1_768_438_805_000);
const ANSWER: &str = r#"{"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
/// Of answers to their requests; the filter's ticks come in between.
const A_WHILE: Duration = Duration::from_millis(120);

fn gateway(policy: &str) -> (OnHost, Caller) {
    let place = Place {
        envoy: None,
        ..Place::of_this_checkout()
    };
    let world = World::new(policy, &BTreeMap::new(), Some(STANDS_AT));
    let (sidecar, caller) = world.start(LogProbe::default());
    let mut gateway = OnHost::start(ModuleSet::Gateway, &place, sidecar).unwrap();
    // Tokens are known from now on, and leases are there.
    let answer = Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: vec![ANSWER.into()],
        ..Answer::default()
    };
    let exchange = gateway.call(&request(&caller), &answer).unwrap();
    assert_eq!(exchange.response.unwrap().status, 200);
    gateway.wait();
    (gateway, caller)
}

fn request(caller: &Caller) -> Request {
    let bearer = format!("Bearer {}", caller.token);
    Request {
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: vec![
            ("authorization".to_owned(), bearer.into_bytes()),
            ("content-type".to_owned(), b"application/json".to_vec()),
        ],
        body: vec![br#"{"model":"gpt-4o","max_tokens":1,"messages":[]}"#.to_vec()],
        ..Request::default()
    }
}

fn is_upstream(host: &Host, call: StreamId) -> bool {
    host.upstream(call)
        .is_some_and(|upstream| upstream.complete)
}

#[test]
fn a_call_that_waits_for_its_record_does_not_wait_for_another_batch_first() {
    let (mut gateway, caller) = gateway("company.yaml");
    let (request, before) = (request(&caller), gateway.sidecar().records().unwrap().len());
    gateway.disturb(Disturbance::Stall).unwrap();
    let mut calls = Vec::new();
    for under_way in [1, 2, 2] {
        calls.push(gateway.begin_call(&request));
        assert_eq!(gateway.unheard(), under_way);
    }
    let none = calls.iter().all(|call| !is_upstream(gateway.host(), *call));
    assert!(none, "a call went before it was on record");
    gateway.disturb(Disturbance::Resume).unwrap();
    for call in &calls {
        assert!(is_upstream(gateway.host(), *call), "{:?}", gateway.log());
    }
    let after = gateway.sidecar().records().unwrap().len();
    assert_eq!(after, before + calls.len());
    gateway.sidecar().verify().unwrap();
}

#[test]
fn two_batches_that_are_lost_with_their_stream_are_told_again() {
    let (mut gateway, caller) = gateway("company.yaml");
    let (request, before) = (request(&caller), gateway.sidecar().records().unwrap().len());
    gateway.disturb(Disturbance::Stall).unwrap();
    for under_way in [1, 2, 2] {
        gateway.begin_call(&request);
        assert_eq!(gateway.unheard(), under_way);
    }
    gateway.disturb(Disturbance::Cut).unwrap();
    gateway.disturb(Disturbance::Resume).unwrap();
    gateway.advance(Duration::from_secs(1)).unwrap();
    // Each was admitted and taken back: nobody waited any longer.
    let records = gateway.sidecar().records().unwrap();
    let kinds = records
        .iter()
        .skip(before)
        .map(|record| record.record["kind"].clone());
    let (admits, refusals): (Vec<_>, Vec<_>) = kinds.partition(|kind| kind == "admit");
    assert_eq!((admits.len(), refusals.len()), (3, 3), "{refusals:?}");
    gateway.sidecar().verify().unwrap();
}

#[test]
fn calls_that_wait_for_nothing_have_one_batch_under_way() {
    let (mut gateway, caller) = gateway("company.yaml");
    let mut request = request(&caller);
    request.path = "/v1/embeddings".to_owned();
    request.body = vec![br#"{"model":"text-embedding-3-small","input":"a"}"#.to_vec()];
    gateway.disturb(Disturbance::Stall).unwrap();
    let mut most = 0;
    for _ in 0..200 {
        let call = gateway.begin_call(&request);
        assert!(is_upstream(gateway.host(), call), "{:?}", gateway.log());
        most = most.max(gateway.unheard());
    }
    gateway.advance(A_WHILE).unwrap();
    assert_eq!((most, gateway.unheard()), (1, 1));
    gateway.disturb(Disturbance::Resume).unwrap();
    assert_eq!(gateway.unheard(), 0);
    gateway.wait();
    gateway.sidecar().verify().unwrap();
}
