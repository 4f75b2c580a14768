//! Answers that filters give themselves.

use sekisho_test_harness::host::Headers;

use super::support::{ENDED, WORKER, answer, get, lines, post, said, tick, two};

#[test]
fn a_reply_at_headers_reaches_the_same_filter_and_the_later_one_only_logs() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("a.rqh=reply:403:no"));
    let expected = [
        "a rqh eos=true",
        "reply status=0",
        "a rsh eos=false",
        "a rsb n=2 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED]));
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        (outcome.status, outcome.body()),
        (Some(403), b"no".to_vec())
    );
    assert_eq!(outcome.headers.text("content-length"), Some("2"));
    assert_eq!(outcome.headers.text("content-type"), Some("text/plain"));
    assert_eq!(outcome.headers.text("x-probe"), Some("reply"));
    assert_eq!(outcome.headers.text("connection"), None);
    assert_eq!(outcome.details.as_deref(), Some("probe_said"));
    assert!(host.upstream(stream).is_none());
}

#[test]
fn a_reply_of_the_second_filter_passes_both() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("b.rqh=reply:403:no"));
    let expected = [
        "a rqh eos=true",
        "b rqh eos=true",
        "reply status=0",
        "b rsh eos=false",
        "a rsh eos=false",
        "b rsb n=2 eos=true",
        "a rsb n=2 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED]));
}

#[test]
fn a_reply_before_the_body_was_read_closes_the_connection() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, post("a.rqb=reply:403:no"));
    host.request_body(stream, "abc", true);
    let expected = [
        "a rqh eos=false",
        "b rqh eos=false",
        "a rqb n=3 eos=false",
        "reply status=0",
        "b rsh eos=false",
        "a rsh eos=false",
        "b rsb n=2 eos=true",
        "a rsb n=2 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED]));
    assert_eq!(
        host.outcome(stream).unwrap().headers.text("connection"),
        Some("close")
    );
}

#[test]
fn a_reply_from_the_root_context_ends_a_waiting_request() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("a.rqh=pause,tick:reply:403:no"));
    tick(&mut host);
    let expected = [
        "a rqh eos=true",
        "a wake status=0",
        "reply status=0",
        "a rsh eos=false",
        "a rsb n=2 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED]));
    assert_eq!(host.outcome(stream).unwrap().status, Some(403));
}

#[test]
fn a_reply_in_place_of_response_headers_passes_no_filter() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("b.rsh=reply:502:bad"));
    answer(&mut host, stream);
    let expected = [
        "a rqh eos=true",
        "b rqh eos=true",
        "b rsh eos=false",
        "reply status=0",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED]));
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        (outcome.status, outcome.body()),
        (Some(502), b"bad".to_vec())
    );
}

#[test]
fn a_reply_in_the_response_body_cuts_the_stream() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("b.rsb=reply:502:bad"));
    answer(&mut host, stream);
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        (outcome.status, outcome.completed, outcome.reset),
        (Some(200), false, true)
    );
    assert!(outcome.chunks.is_empty());
    assert_eq!(
        said(&host, stream)[5..],
        lines(&[&["reply status=0"], &ENDED])
    );
}

#[test]
fn a_reply_while_response_headers_wait_replaces_them() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("a.rsh=pause,tick:reply:502:x"));
    host.response_headers(stream, Headers::from([(":status", "200")]), true);
    tick(&mut host);
    let outcome = host.outcome(stream).unwrap();
    assert_eq!((outcome.status, outcome.body()), (Some(502), b"x".to_vec()));
}

#[test]
fn a_filter_can_hold_its_own_reply() {
    let Some(mut host) = two() else { return };
    let script =
        "a.rqh=reply:403:no;a.rsh=pause;a.rsb=pause;a.rse=pause,tick:rset:x-late:1+rresume";
    let stream = host.request(WORKER, get(script));
    assert_eq!(host.outcome(stream).unwrap().status, None);
    tick(&mut host);
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        (outcome.status, outcome.headers.text("x-late")),
        (Some(403), Some("1"))
    );
}
