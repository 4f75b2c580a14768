//! What becomes of calls whose filter traps, on a real Envoy: none is without a record of its end.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot do its work has failed"
)]

#[path = "caller/mod.rs"]
mod caller;

use std::time::Duration;

use caller::{Caller, World};
use sekisho_test_harness::gateway::{Answer, Exchange, Gateway, ModuleSet, Place, Request};
use sekisho_test_harness::on_envoy::{OnEnvoy, Surroundings};
use sekisho_test_harness::sidecar::LogProbe;
use serde_json::Value;

/// What Envoy says of a stream whose VM trapped.
const TRAPPED: &str = "wasm_fail_stream";
/// So often records are looked for, and so long in between.
const TRIES: usize = 600;
const BETWEEN: Duration = Duration::from_millis(100);

#[test]
fn calls_whose_filter_traps_on_envoy_are_recorded_with_their_reason() {
    let mut place = Place::of_this_checkout();
    if place.envoy.is_none() {
        eprintln!("skipped: SEKISHO_ENVOY is not set to an Envoy binary");
        return;
    }
    // In the place of the gateway's module: the same, and an answer can make it trap.
    let filters = tempfile::tempdir().unwrap();
    let module = place.filters.join("trapping.wasm");
    std::fs::copy(&module, filters.path().join("gateway.wasm")).unwrap();
    place.filters = filters.path().into();
    let probe = LogProbe::default();
    let surroundings = Surroundings::start(&["openai".to_owned()], probe.clone()).unwrap();
    let world = World::new("company.yaml", surroundings.addresses(), None);
    let (sidecar, caller) = world.start(probe);
    let mut gateway =
        OnEnvoy::start(ModuleSet::Gateway, &place, surroundings, sidecar, None).unwrap();

    until_ready(&mut gateway, &caller);
    an_answer_that_has_begun(&mut gateway, &caller);
    until_ready(&mut gateway, &caller);
    an_answer_that_has_not_begun(&mut gateway, &caller, None);
    until_ready(&mut gateway, &caller);
    let other = ended_call(&gateway);
    an_answer_that_has_not_begun(&mut gateway, &caller, Some(&other));
    until_ready(&mut gateway, &caller);
    an_answer_that_speaks_for_another(&mut gateway, &caller, &other);
    until_ready(&mut gateway, &caller);
    gateway.wait();
    gateway.sidecar().verify().unwrap();
}

/// The client has a part of it; the call ends as unknown, at what was reserved for it, and its
/// record says why.
fn an_answer_that_has_begun(gateway: &mut OnEnvoy, caller: &Caller) {
    let exchange = call(
        gateway,
        caller,
        &[],
        &["data: {}\n\n", "data: trap here\n\n"],
    );
    let response = exchange.response.unwrap();
    assert_eq!((response.status, response.complete), (200, false));
    let id = response
        .headers
        .iter()
        .find(|(name, _)| name == "x-sekisho-record");
    let id = String::from_utf8(id.unwrap().1.clone()).unwrap();
    let of_call = |record: &Value| record["record_id"] == id.as_str();
    let records = until(gateway, 2, of_call);
    let (admit, end) = (&records[0], &records[1]);
    assert_eq!(admit["kind"], "admit");
    assert_eq!(
        (&end["kind"], &end["outcome"]),
        (&"complete".into(), &"unknown".into())
    );
    assert_eq!(end["detail"], TRAPPED);
    assert_eq!(end["usage_source"], "estimated");
    assert_eq!(
        (&end["usage"], &end["cost_micros"]),
        (&admit["usage"], &admit["cost_micros"])
    );
}

/// The client is refused by Envoy, which tells so; what had been admitted ends as unknown. Both are
/// known by the request's id.
fn an_answer_that_has_not_begun(gateway: &mut OnEnvoy, caller: &Caller, forged: Option<&str>) {
    let before = all(gateway);
    let mut headers = vec![("x-trap", "now")];
    headers.extend(forged.map(|id| ("x-sekisho-record", id)));
    let exchange = call(gateway, caller, &headers, &["{}"]);
    assert_eq!(exchange.response.unwrap().status, 503);
    let is_new = |record: &Value| !before.contains(record);
    let records = until(gateway, 3, is_new);
    let of = |kind: &str| {
        records
            .iter()
            .find(|record| record["kind"] == kind)
            .unwrap()
    };
    let (admit, end, refusal) = (of("admit"), of("complete"), of("refuse"));
    assert_eq!(end["record_id"], admit["record_id"]);
    assert_eq!(
        (&end["outcome"], &end["usage"]),
        (&"unknown".into(), &admit["usage"])
    );
    assert_eq!(
        (&refusal["denial"], &refusal["detail"]),
        (&"refused_by_proxy".into(), &TRAPPED.into())
    );
    assert_eq!(refusal["status"], 503);
    assert_eq!(refusal["call"]["request_id"], admit["call"]["request_id"]);
}

/// What an upstream says in the gateway's name is believed by nobody, not even where the filter has
/// not said anything yet: a record of another call is not taken for this one's.
fn an_answer_that_speaks_for_another(gateway: &mut OnEnvoy, caller: &Caller, other: &str) {
    let before = all(gateway);
    let headers = [("x-trap", "later"), ("x-sekisho-record", other)];
    let exchange = call(
        gateway,
        caller,
        &headers,
        &["data: {}\n\n", "data: trap here\n\n"],
    );
    let response = exchange.response.unwrap();
    assert_eq!((response.status, response.complete), (200, false));
    let mut names = response.headers.iter().map(|(name, _)| name);
    assert!(!names.any(|name| name == "x-sekisho-record"));
    let is_new = |record: &Value| !before.contains(record);
    let records = until(gateway, 3, is_new);
    let of = |kind: &str| records.iter().find(|record| record["kind"] == kind);
    let (admit, end, refusal) = (of("admit"), of("complete"), of("refuse"));
    assert_eq!(end.unwrap()["record_id"], admit.unwrap()["record_id"]);
    assert_eq!(end.unwrap()["outcome"], "unknown");
    let refusal = refusal.unwrap();
    assert_eq!(refusal["detail"], TRAPPED);
    assert_ne!(refusal["record_id"], other);
    assert_eq!(
        refusal["call"]["request_id"],
        admit.unwrap()["call"]["request_id"]
    );
}

/// The id of a call that has ended.
fn ended_call(gateway: &OnEnvoy) -> String {
    let ended = all(gateway)
        .into_iter()
        .find(|record| record["kind"] == "complete" && record["outcome"] == "answered");
    ended.unwrap()["record_id"].as_str().unwrap().to_owned()
}

fn call(
    gateway: &mut OnEnvoy,
    caller: &Caller,
    headers: &[(&str, &str)],
    body: &[&str],
) -> Exchange {
    let request = Request {
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: vec![
            (
                "authorization".to_owned(),
                format!("Bearer {}", caller.token).into(),
            ),
            ("content-type".to_owned(), b"application/json".to_vec()),
        ],
        body: vec![br#"{"model":"gpt-4o","max_tokens":9,"stream":true,"messages":[]}"#.to_vec()],
        ..Request::default()
    };
    let mut all = vec![("content-type".to_owned(), b"text/event-stream".to_vec())];
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()));
    all.extend(headers);
    let answer = Answer {
        status: 200,
        headers: all,
        body: body.iter().map(|piece| piece.as_bytes().to_vec()).collect(),
        chunked: true,
        ..Answer::default()
    };
    gateway.call(&request, &answer).unwrap()
}

/// Calls until one is answered: a filter that has trapped comes back after a moment.
fn until_ready(gateway: &mut OnEnvoy, caller: &Caller) {
    let is_back = (0..TRIES).any(|_| {
        let exchange = call(gateway, caller, &[], &["data: [DONE]\n\n"]);
        let response = exchange.response;
        let passes = response.is_some_and(|response| response.status == 200);
        if !passes {
            std::thread::sleep(BETWEEN);
        }
        passes
    });
    assert!(is_back, "the filter does not come back");
}

/// So many records of a kind, once they are there.
fn until(gateway: &OnEnvoy, count: usize, is_of: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut records = Vec::new();
    for _ in 0..TRIES {
        records = all(gateway);
        records.retain(|record| is_of(record));
        if records.len() >= count {
            break;
        }
        std::thread::sleep(BETWEEN);
    }
    assert_eq!(records.len(), count, "{records:#?}");
    records
}

fn all(gateway: &OnEnvoy) -> Vec<Value> {
    let records = gateway.sidecar().records().unwrap();
    records.into_iter().map(|found| found.record).collect()
}
