//! What a trap does to its stream, to others and to what comes after.

use std::time::Duration;

use sekisho_test_harness::host::{FailPolicy, Headers, ResponseFlags, Thread};

use super::support::{WORKER, answer, builder, get, plugin, said};

#[test]
fn a_trap_is_a_503_without_body_and_without_a_log() {
    let Some(builder) = builder() else { return };
    let mut host = builder
        .plugin(plugin("e", "ve", ""))
        .plugin(plugin("f", "ve", ""))
        .build()
        .unwrap();
    let stream = host.request(WORKER, get("e.rqh=panic"));
    assert_eq!(said(&host, stream), ["e rqh eos=true"]);
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        (outcome.status, outcome.body(), outcome.completed),
        (Some(503), vec![], true)
    );
    assert_eq!(outcome.details.as_deref(), Some("wasm_fail_stream"));
    assert!(
        host.is_dead(Thread::Worker(WORKER), "f"),
        "plugins of one VM die together"
    );

    let stream = host.request(WORKER, get("f.rsh=panic"));
    answer(&mut host, stream);
    assert_eq!(
        said(&host, stream),
        ["e rqh eos=true", "f rqh eos=true", "f rsh eos=false"]
    );
    assert_eq!(host.outcome(stream).unwrap().status, Some(503));
}

#[test]
fn other_streams_of_a_dead_vm_fail_at_their_next_event_and_waiting_ones_hang() {
    let Some(builder) = builder() else { return };
    let mut host = builder.plugin(plugin("o", "vo", "")).build().unwrap();
    let waiting = host.request(WORKER, get("rqh=pause"));
    let events = host.request(WORKER, get(""));
    host.response_headers(events, Headers::from([(":status", "200")]), false);
    host.response_body(events, "event0\n", false);
    let unanswered = host.request(WORKER, get(""));

    host.request(WORKER, get("rqh=panic"));

    assert!(host.paused(waiting).unwrap().orphaned);
    assert!(!host.outcome(waiting).unwrap().ended());
    host.response_body(events, "event1\n", false);
    let outcome = host.outcome(events).unwrap();
    assert_eq!((outcome.chunks.len(), outcome.reset), (1, true));
    answer(&mut host, unanswered);
    assert_eq!(host.outcome(unanswered).unwrap().status, Some(503));
    for stream in [waiting, events, unanswered] {
        assert!(!said(&host, stream).contains(&"o log".to_owned()));
    }
    host.advance(Duration::from_secs(300));
    let outcome = host.outcome(waiting).unwrap();
    assert_eq!(
        (outcome.status, outcome.flags),
        (Some(503), ResponseFlags::STREAM_IDLE_TIMEOUT)
    );
    assert_eq!(outcome.details.as_deref(), Some("wasm_fail_stream"));
}

#[test]
fn a_reload_gives_a_new_vm_at_once_and_then_only_after_the_back_off() {
    let Some(builder) = builder() else { return };
    let mut host = builder.plugin(plugin("o", "vo", "")).build().unwrap();
    let status = |host: &mut sekisho_test_harness::host::Host, script: &str| {
        let stream = host.request(WORKER, get(script));
        answer(host, stream);
        host.outcome(stream).unwrap().status.unwrap()
    };
    assert_eq!(status(&mut host, "rqh=panic"), 503);
    assert_eq!(status(&mut host, ""), 200);
    assert_eq!(status(&mut host, "rqh=panic"), 503);
    assert_eq!(status(&mut host, ""), 503);
    host.advance(Duration::from_millis(999));
    assert_eq!(status(&mut host, ""), 503);
    host.advance(Duration::from_millis(1));
    assert_eq!(status(&mut host, ""), 200);
}

#[test]
fn a_closed_plugin_stays_dead_and_an_open_one_lets_everything_pass() {
    let Some(wasm) = super::support::probe() else {
        return;
    };
    for (policy, expected) in [(FailPolicy::FailClosed, 503), (FailPolicy::FailOpen, 200)] {
        let mut spec = plugin("o", "vo", "");
        spec.fail_policy = policy;
        let host = sekisho_test_harness::host::Host::builder().module("probe", wasm.clone());
        let mut host = host.plugin(spec).build().unwrap();
        host.request(WORKER, get("rqh=panic"));
        host.advance(Duration::from_secs(60));
        let stream = host.request(WORKER, get("rqh=reply:401:x"));
        answer(&mut host, stream);
        assert_eq!(
            host.outcome(stream).unwrap().status,
            Some(expected),
            "{policy:?}"
        );
    }
}

#[test]
fn a_trap_while_logging_leaves_the_answer_alone() {
    let Some(builder) = builder() else { return };
    let mut host = builder.plugin(plugin("o", "vo", "")).build().unwrap();
    let stream = host.request(WORKER, get("log=panic"));
    answer(&mut host, stream);
    assert_eq!(host.outcome(stream).unwrap().status, Some(200));
    assert!(host.outcome(stream).unwrap().completed);
    assert!(host.is_dead(Thread::Worker(WORKER), "o"));
}

#[test]
fn memory_never_shrinks_until_a_reload() {
    let Some(builder) = builder() else { return };
    let mut host = builder.plugin(plugin("o", "vo", "")).build().unwrap();
    let thread = Thread::Worker(WORKER);
    let before = host.memory_bytes(thread, "o").unwrap();
    host.request(WORKER, get("rqh=grow:20000000"));
    let grown = host.memory_bytes(thread, "o").unwrap();
    assert!(grown > before + 19_000_000);
    host.request(WORKER, get("rqh=panic"));
    host.request(WORKER, get(""));
    assert_eq!(host.memory_bytes(thread, "o").unwrap(), before);
}
