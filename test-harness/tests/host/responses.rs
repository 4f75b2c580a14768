//! The way of a response back through the chain.

use sekisho_test_harness::host::Headers;

use super::support::{ENDED, WORKER, answer, get, lines, old, said, tick, two};

fn empty_answer() -> Headers {
    Headers::from([(":status", "200"), ("content-length", "0")])
}

#[test]
fn response_headers_without_a_body_can_be_held_and_resumed() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("a.rsh=pause,tick:rset:x-late:1+rresume"));
    host.response_headers(stream, empty_answer(), true);
    assert_eq!(host.outcome(stream).unwrap().status, None);
    assert!(host.paused(stream).unwrap().response);
    tick(&mut host);
    let outcome = host.outcome(stream).unwrap();
    assert_eq!((outcome.status, outcome.completed), (Some(200), true));
    assert_eq!(outcome.headers.text("x-late"), Some("1"));
    let expected = [
        "a rqh eos=true",
        "b rqh eos=true",
        "b rsh eos=true",
        "a rsh eos=true",
        "a wake status=0",
        "rset x-late status=0",
        "rresume status=0",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED]));
}

#[test]
fn held_response_headers_are_released_by_a_body_callback_that_continues() {
    let Some(mut host) = two() else { return };
    let script = "a.rsh=pause,tick:rset:x-late:1+rresume";
    let stream = host.request(WORKER, get(script));
    answer(&mut host, stream);
    assert!(host.outcome(stream).unwrap().completed);
    tick(&mut host);
    let late = host
        .logs()
        .iter()
        .filter(|line| line.text.contains("wake"))
        .count();
    assert_eq!(late, 1, "the probe still tries");
    assert!(
        host.logs()
            .iter()
            .any(|line| line.text.ends_with("status=2"))
    );
    assert_eq!(host.outcome(stream).unwrap().headers.text("x-late"), None);
}

#[test]
fn a_whole_response_can_be_held_with_headers_still_open() {
    let Some(mut host) = two() else { return };
    let script = "a.rsh=pause;a.rsb=pause;a.rse=pause,tick:rset:x-late:1+rbody+rresume";
    let stream = host.request(WORKER, get(script));
    answer(&mut host, stream);
    assert_eq!(host.outcome(stream).unwrap().status, None);
    tick(&mut host);
    let expected = [
        "a rqh eos=true",
        "b rqh eos=true",
        "b rsh eos=false",
        "a rsh eos=false",
        "b rsb n=5 eos=false",
        "a rsb n=5 eos=false",
        "b rsb n=0 eos=true",
        "a rsb n=5 eos=true",
        "a wake status=0",
        "rset x-late status=0",
        "rbody status=0 \"hello\"",
        "rresume status=0",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED]));
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(outcome.body(), b"hello");
    assert_eq!(outcome.headers.text("x-late"), Some("1"));
}

#[test]
fn only_the_end_of_a_stream_is_held_while_its_events_flow() {
    let Some(mut host) = two() else { return };
    let script = "a.rse=pause,tick:rget:x-a+rset:x-a:1+rbody+rresume";
    let stream = host.request(WORKER, get(script));
    host.response_headers(stream, Headers::from([(":status", "200")]), false);
    for event in ["event0\n", "event1\n"] {
        host.response_body(stream, event, false);
    }
    assert_eq!(
        host.outcome(stream).unwrap().chunks,
        [b"event0\n", b"event1\n"]
    );
    host.response_body(stream, "", true);
    assert!(!host.outcome(stream).unwrap().completed);
    tick(&mut host);
    assert!(host.outcome(stream).unwrap().completed);
    let said = said(&host, stream);
    let woken = said
        .iter()
        .skip_while(|line| !line.contains("wake"))
        .take(5);
    assert_eq!(
        woken.collect::<Vec<_>>(),
        [
            "a wake status=0",
            "rget x-a status=2 null",
            "rset x-a status=2",
            "rbody status=0 null",
            "rresume status=0",
        ]
    );
}

#[test]
fn without_the_setting_a_held_response_arrives_in_one_piece() {
    let Some(mut host) = old() else { return };
    let stream = host.request(WORKER, get("rsh=pause,tick:rset:x-l:1+rresume"));
    answer(&mut host, stream);
    tick(&mut host);
    let expected = [
        "o rqh eos=true",
        "o rsh eos=false",
        "o wake status=0",
        "rset x-l status=0",
        "rresume status=0",
        "o rsb n=5 eos=true",
        "o log",
        "o done",
        "o delete",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
    assert_eq!(host.outcome(stream).unwrap().headers.text("x-l"), Some("1"));
}

#[test]
fn an_http2_upstream_ends_with_its_last_piece() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get(""));
    host.response_headers(stream, Headers::from([(":status", "200")]), false);
    host.response_data_frame(stream, "hello", true);
    assert!(said(&host, stream).contains(&"a rsb n=5 eos=true".to_owned()));
    assert!(host.outcome(stream).unwrap().completed);
}

#[test]
fn response_trailers_end_a_response() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get(""));
    host.response_headers(stream, Headers::from([(":status", "200")]), false);
    host.response_data_frame(stream, "hello", false);
    host.response_trailers(stream, Headers::from([("x-t", "1")]));
    let said = said(&host, stream);
    assert!(said.contains(&"b rst n=1".to_owned()) && said.contains(&"a rst n=1".to_owned()));
    let outcome = host.outcome(stream).unwrap();
    assert!(outcome.completed && outcome.trailers.is_some());
}
