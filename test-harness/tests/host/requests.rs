//! The way of a request through the chain.

use sekisho_test_harness::host::{Headers, HttpVersion};

use super::support::{ENDED, PASSED, WORKER, answer, get, lines, old, post, said, tick, two};

#[test]
fn a_request_without_a_body_passes_forward_and_its_response_backward() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get(""));
    assert!(host.upstream(stream).unwrap().complete);
    answer(&mut host, stream);
    let request = ["a rqh eos=true", "b rqh eos=true"];
    assert_eq!(said(&host, stream), lines(&[&request, &PASSED]));
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        (outcome.status, outcome.body(), outcome.completed),
        (Some(200), b"hello".to_vec(), true)
    );
}

#[test]
fn a_body_seen_to_its_end_while_headers_wait_sets_headers_that_count() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=pause;a.rqb=pause;a.rqe=set:x-set:1,body";
    let stream = host.request(WORKER, post(script));
    host.request_body(stream, "abc", false);
    assert!(host.upstream(stream).is_none());
    host.request_body(stream, "def", true);
    let upstream = host.upstream(stream).unwrap();
    assert_eq!(upstream.headers.text("x-set"), Some("1"));
    assert_eq!(
        (upstream.body(), upstream.complete),
        (b"abcdef".to_vec(), true)
    );
    assert_eq!(host.route_cache_clears(stream), 1);
    let expected = [
        "a rqh eos=false",
        "a rqb n=3 eos=false",
        "a rqb n=6 eos=false",
        "a rqb n=6 eos=true",
        "set x-set status=0",
        "body status=0 \"abcdef\"",
        "b rqh eos=false",
        "b rqb n=6 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
}

#[test]
fn a_request_held_past_its_end_goes_on_when_the_root_context_resumes_it() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=pause;a.rqb=pause;a.rqe=pause,tick:set:x-set:1+body+resume";
    let stream = host.request(WORKER, post(script));
    host.request_body(stream, "abc", false);
    host.request_body(stream, "def", true);
    let pause = host.paused(stream).unwrap();
    assert_eq!(
        (pause.plugin.as_str(), pause.response, pause.orphaned),
        ("a", false, false)
    );
    tick(&mut host);
    assert!(host.paused(stream).is_none());
    assert_eq!(
        host.upstream(stream).unwrap().headers.text("x-set"),
        Some("1")
    );
    answer(&mut host, stream);
    let expected = [
        "a rqh eos=false",
        "a rqb n=3 eos=false",
        "a rqb n=6 eos=false",
        "a rqb n=6 eos=true",
        "a wake status=0",
        "set x-set status=0",
        "body status=0 \"abcdef\"",
        "resume status=0",
        "b rqh eos=false",
        "b rqb n=6 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected, &PASSED]));
}

#[test]
fn after_a_resume_headers_can_be_neither_read_nor_written() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=pause,tick:set:x-set:1+resume+set:x-n:1+get:x-n";
    let stream = host.request(WORKER, get(script));
    tick(&mut host);
    let expected = [
        "a rqh eos=true",
        "a wake status=0",
        "set x-set status=0",
        "resume status=0",
        "set x-n status=2",
        "get x-n status=2 null",
        "b rqh eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
    let headers = &host.upstream(stream).unwrap().headers;
    assert_eq!(
        (headers.text("x-set"), headers.text("x-n")),
        (Some("1"), None)
    );
}

#[test]
fn a_resume_while_the_body_comes_lets_what_was_kept_pass() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=pause,tick:set:x-set:1+resume;a.rqb=pause,set:x-n:1;a.rqe=set:x-n:1";
    let stream = host.request(WORKER, post(script));
    host.request_body(stream, "abc", false);
    tick(&mut host);
    host.request_body(stream, "def", true);
    let expected = [
        "a rqh eos=false",
        "a rqb n=3 eos=false",
        "set x-n status=0",
        "a wake status=0",
        "set x-set status=0",
        "resume status=0",
        "b rqh eos=false",
        "b rqb n=3 eos=false",
        "a rqb n=3 eos=false",
        "set x-n status=2",
        "a rqb n=3 eos=true",
        "set x-n status=2",
        "b rqb n=3 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
    assert_eq!(host.upstream(stream).unwrap().body(), b"abcdef");
}

#[test]
fn a_header_set_after_the_first_piece_released_the_headers_is_lost() {
    let Some(mut host) = two() else { return };
    let stream = host.request(
        WORKER,
        post("a.rqh=pause;a.rqb=set:x-set:1;a.rqe=set:x-n:1"),
    );
    host.request_body(stream, "abc", true);
    let expected = [
        "a rqh eos=false",
        "a rqb n=3 eos=false",
        "set x-set status=0",
        "b rqh eos=false",
        "b rqb n=3 eos=false",
        "a rqb n=0 eos=true",
        "set x-n status=0",
        "b rqb n=0 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
    let headers = &host.upstream(stream).unwrap().headers;
    assert_eq!(
        (headers.text("x-set"), headers.text("x-n")),
        (Some("1"), None)
    );
}

#[test]
fn headers_let_go_are_a_bad_argument_until_the_log() {
    let Some(mut host) = two() else { return };
    let script = "a.rqb=get:x-a,map;a.rsh=get:x-a,map,rget:x-b;a.rsb=rget:x-b;\
                  log=get:x-a,rget:x-b";
    let stream = host.request(WORKER, post(script).header("x-a", "1"));
    host.request_body(stream, "abc", true);
    answer(&mut host, stream);
    let said = said(&host, stream);
    let about = |word: &str| -> Vec<&str> {
        said.iter()
            .filter(|line| line.starts_with(word))
            .map(String::as_str)
            .collect()
    };
    assert_eq!(
        about("get "),
        [
            "get x-a status=2 null",
            "get x-a status=2 null",
            "get x-a status=0 \"1\"",
            "get x-a status=0 \"1\"",
        ]
    );
    assert_eq!(about("map "), ["map status=0 null=true len=0"; 2]);
    assert_eq!(
        about("rget "),
        [
            "rget x-b status=1 null",
            "rget x-b status=2 null",
            "rget x-b status=1 null",
            "rget x-b status=1 null",
        ]
    );
}

#[test]
fn without_the_setting_a_pause_at_headers_stops_body_callbacks_too() {
    let Some(mut host) = old() else { return };
    let stream = host.request(WORKER, post("rqh=pause,tick:set:x-set:1+resume"));
    host.request_body(stream, "abc", false);
    host.request_body(stream, "def", false);
    assert_eq!(said(&host, stream), ["o rqh eos=false"]);
    tick(&mut host);
    host.request_body(stream, "ghi", true);
    let expected = [
        "o rqh eos=false",
        "o wake status=0",
        "set x-set status=0",
        "resume status=0",
        "o rqb n=6 eos=false",
        "o rqb n=3 eos=false",
        "o rqb n=0 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
    assert_eq!(
        host.upstream(stream).unwrap().headers.text("x-set"),
        Some("1")
    );
    assert_eq!(host.upstream(stream).unwrap().body(), b"abcdefghi");
}

#[test]
fn http2_ends_a_body_with_its_last_piece_or_with_an_empty_one() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, post("").version(HttpVersion::Http2));
    host.request_body(stream, "abc", true);
    let expected = [
        "a rqh eos=false",
        "b rqh eos=false",
        "a rqb n=3 eos=true",
        "b rqb n=3 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));

    let stream = host.request(WORKER, post("").version(HttpVersion::Http2));
    host.request_body(stream, "", true);
    let expected = [
        "a rqh eos=false",
        "b rqh eos=false",
        "a rqb n=0 eos=true",
        "b rqb n=0 eos=true",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
}

#[test]
fn http2_trailers_end_the_body_without_a_body_callback_and_headers_still_count() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=pause;a.rqb=pause;a.rqt=body,set:x-set:1,tget:x-t";
    let stream = host.request(WORKER, post(script).version(HttpVersion::Http2));
    host.request_body(stream, "abc", false);
    host.request_body(stream, "def", false);
    host.request_trailers(stream, Headers::from([("x-t", "1")]));
    let expected = [
        "a rqh eos=false",
        "a rqb n=3 eos=false",
        "a rqb n=6 eos=false",
        "a rqt n=1",
        "body status=0 \"abcdef\"",
        "set x-set status=0",
        "tget x-t status=0 \"1\"",
        "b rqh eos=false",
        "b rqb n=6 eos=false",
        "b rqt n=1",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
    let upstream = host.upstream(stream).unwrap();
    assert_eq!(upstream.headers.text("x-set"), Some("1"));
    assert_eq!(upstream.trailers.as_ref().unwrap().text("x-t"), Some("1"));
    assert!(upstream.complete);
}

#[test]
fn trailers_can_be_held_and_resumed_from_the_root_context() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=pause;a.rqb=pause;a.rqt=pause,tick:body+set:x-set:1+tget:x-t+resume";
    let stream = host.request(WORKER, post(script).version(HttpVersion::Http2));
    host.request_body(stream, "abc", false);
    host.request_trailers(stream, Headers::from([("x-t", "1")]));
    tick(&mut host);
    let expected = [
        "a rqh eos=false",
        "a rqb n=3 eos=false",
        "a rqt n=1",
        "a wake status=0",
        "body status=0 \"abc\"",
        "set x-set status=0",
        "tget x-t status=0 \"1\"",
        "resume status=0",
        "b rqh eos=false",
        "b rqb n=3 eos=false",
        "b rqt n=1",
    ];
    assert_eq!(said(&host, stream), lines(&[&expected]));
}

#[test]
fn http1_drops_request_trailers() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, post("a.rqb=pause"));
    host.request_body(stream, "abc", false);
    host.request_trailers(stream, Headers::from([("x-t", "1")]));
    let upstream = host.upstream(stream).unwrap();
    assert_eq!((upstream.complete, &upstream.trailers), (true, &None));
    assert!(said(&host, stream).contains(&"a rqb n=3 eos=true".to_owned()));
}

#[test]
fn a_body_over_the_limit_is_refused_with_413_and_the_filter_sees_the_refusal() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=pause;a.rqb=pause;a.rqe=pause;log=prop:response/code_details";
    let stream = host.request(WORKER, post(script));
    host.request_body(stream, vec![b'a'; 40_000], false);
    host.request_body(stream, vec![b'b'; 40_000], false);
    let details = "prop response/code_details Some(\"request_payload_too_large\")";
    let expected = [
        "a rqh eos=false",
        "a rqb n=40000 eos=false",
        "a rqb n=80000 eos=false",
        "a rsh eos=false",
        "a rsb n=17 eos=true",
        "a log",
        details,
    ];
    // b gets a context for the log alone: its script was in the request that it never saw.
    assert_eq!(said(&host, stream), lines(&[&expected, &ENDED[1..]]));
    let outcome = host.outcome(stream).unwrap();
    assert_eq!(
        (outcome.status, outcome.body()),
        (Some(413), b"Payload Too Large".to_vec())
    );
    assert_eq!(outcome.headers.text("connection"), Some("close"));
    assert!(host.upstream(stream).is_none());
}

#[test]
fn a_body_that_passes_is_not_limited() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, post(""));
    for _ in 0..10 {
        host.request_body(stream, vec![b'a'; 40_000], false);
    }
    host.request_body(stream, "", true);
    assert_eq!(host.upstream(stream).unwrap().body().len(), 400_000);
}

#[test]
fn a_replaced_body_leaves_content_length_alone() {
    let Some(mut host) = two() else { return };
    let head = post("a.rqh=pause;a.rqb=pause;a.rqe=setbody:longer-than-before");
    let stream = host.request(WORKER, head.header("content-length", "3"));
    host.request_body(stream, "abc", true);
    let upstream = host.upstream(stream).unwrap();
    assert_eq!(upstream.body(), b"longer-than-before");
    assert_eq!(upstream.headers.text("content-length"), Some("3"));
}

#[test]
fn a_value_that_is_not_utf8_reaches_the_upstream_unchanged() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("a.rqh=get:x-raw").header("x-raw", b"a\xffb"));
    assert_eq!(
        host.upstream(stream).unwrap().headers.get("x-raw"),
        Some(b"a\xffb".as_slice())
    );
    assert_eq!(said(&host, stream)[1], "get x-raw status=0 \"a\u{fffd}b\"");
}

#[test]
fn filter_state_of_one_segment_is_seen_by_every_filter_and_of_two_by_none() {
    let Some(mut host) = two() else { return };
    let script = "a.rqh=setprop:k:v,setprop:l/m:w;b.rqh=prop:k,prop:filter_state/wasm.k,\
                  prop:l/m,prop:plugin_name,prop:source/address,prop:nope;log=prop:k";
    let stream = host.request(
        WORKER,
        get(script).property("source.address", "192.0.2.1:4711"),
    );
    answer(&mut host, stream);
    let said = said(&host, stream);
    let props: Vec<_> = said
        .iter()
        .filter(|line| line.starts_with("prop "))
        .collect();
    assert_eq!(
        props,
        [
            "prop k Some(\"v\")",
            "prop filter_state/wasm.k Some(\"v\")",
            "prop l/m None",
            "prop plugin_name Some(\"b\")",
            "prop source/address Some(\"192.0.2.1:4711\")",
            "prop nope None",
            "prop k Some(\"v\")",
            "prop k Some(\"v\")",
        ]
    );
    assert_eq!(host.filter_state(stream, "wasm.k"), Some(b"v".as_slice()));
}
