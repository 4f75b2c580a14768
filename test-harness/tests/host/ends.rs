//! The ways in which streams end.

use std::time::Duration;

use sekisho_test_harness::host::{Headers, ResponseFlags};

use super::support::{ENDED, WORKER, get, lines, said, tick, two};

#[test]
fn a_client_that_leaves_a_waiting_request_is_logged_and_cannot_be_resumed() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=pause,tick:resume;log=prop:response/code,rget:x-a";
    let stream = host.request(WORKER, get(script));
    host.abort_client(stream);
    tick(&mut host);
    let expected = [
        "a rqh eos=true",
        "a log",
        "prop response/code None",
        "rget x-a status=1 null",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED[1..]]));
    assert!(
        host.logs()
            .iter()
            .any(|line| line.text.ends_with("status=2")),
        "effective context"
    );
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        outcome.flags,
        ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION
    );
    assert_eq!(
        outcome.details.as_deref(),
        Some("downstream_remote_disconnect")
    );
}

#[test]
fn a_client_that_leaves_a_stream_of_events_is_logged_with_the_status_it_got() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("log=prop:response/code_details"));
    host.response_headers(stream, Headers::from([(":status", "200")]), false);
    host.response_body(stream, "event0\n", false);
    host.abort_client(stream);
    let details = "prop response/code_details Some(\"downstream_remote_disconnect\")";
    assert_eq!(said(&host, stream)[6..8], ["a log", details]);
    // What the upstream still sends goes nowhere.
    host.response_body(stream, "event1\n", true);
    assert_eq!(host.outcome(stream).unwrap().chunks, [b"event0\n"]);
}

#[test]
fn an_upstream_that_dies_before_answering_is_a_503_that_passes_the_filters() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get(""));
    host.reset_upstream(stream);
    let expected = [
        "a rqh eos=true",
        "b rqh eos=true",
        "b rsh eos=false",
        "a rsh eos=false",
        "b rsb n=95 eos=true",
        "a rsb n=95 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED]));
    assert_eq!(host.outcome(stream).unwrap().status, Some(503));
}

#[test]
fn an_upstream_that_dies_while_answering_cuts_the_stream_without_an_end() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get(""));
    host.response_headers(stream, Headers::from([(":status", "200")]), false);
    host.response_body(stream, "event0\n", false);
    host.reset_upstream(stream);
    let said = said(&host, stream);
    assert!(
        !said
            .iter()
            .any(|line| line.contains("rsb") && line.contains("eos=true"))
    );
    assert_eq!(said[6..], ENDED);
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        (outcome.completed, outcome.reset, outcome.status),
        (false, true, Some(200))
    );
}

#[test]
fn a_request_that_nobody_resumes_times_out() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("a.rqh=pause"));
    host.advance(Duration::from_secs(299));
    assert!(!host.outcome(stream).unwrap().ended());
    host.advance(Duration::from_secs(1));
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(outcome.status, Some(504));
    assert_eq!(outcome.details.as_deref(), Some("stream_idle_timeout"));
}
