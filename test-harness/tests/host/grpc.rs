//! gRPC streams and HTTP calls of filters.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sekisho_test_harness::host::{
    GrpcOpen, GrpcPeer, GrpcReplies, GrpcStatus, GrpcStreamId, HttpCall, HttpPeer, HttpReplies,
    HttpReply, Thread,
};

use super::support::{WORKER, builder, get, plugin, said, tick};

/// Remembers what it was told; answers at once if it is to.
#[derive(Default)]
struct Peer {
    opened: Vec<GrpcOpen>,
    messages: Vec<(GrpcStreamId, Vec<u8>)>,
    cancelled: Vec<GrpcStreamId>,
    prompt: bool,
}

impl GrpcPeer for Peer {
    fn on_open(&mut self, open: &GrpcOpen, _: &mut GrpcReplies) {
        self.opened.push(open.clone());
    }

    fn on_message(&mut self, stream: GrpcStreamId, message: &[u8], replies: &mut GrpcReplies) {
        self.messages.push((stream, message.to_vec()));
        if self.prompt {
            replies.send(stream, [b"ack ", message].concat());
        }
    }

    fn on_cancel(&mut self, stream: GrpcStreamId) {
        self.cancelled.push(stream);
    }
}

fn linked(prompt: bool) -> Option<(sekisho_test_harness::host::Host, Rc<RefCell<Peer>>)> {
    let peer = Rc::new(RefCell::new(Peer {
        prompt,
        ..Peer::default()
    }));
    let host = builder()?
        .plugin(plugin("a", "va", "link=side"))
        .grpc_peer("side", Rc::clone(&peer));
    let mut host = host.workers(2).build().unwrap();
    tick(&mut host);
    Some((host, peer))
}

#[test]
fn every_worker_and_the_main_thread_open_their_own_stream() {
    let Some((_, peer)) = linked(true) else {
        return;
    };
    let peer = peer.borrow();
    let threads: Vec<_> = peer.opened.iter().map(|open| open.thread).collect();
    let worker = |w| Thread::Worker(sekisho_test_harness::host::WorkerId(w));
    assert_eq!(threads, [Thread::Main, worker(0), worker(1)]);
    let open = &peer.opened[0];
    assert_eq!(
        (open.service.as_str(), open.method.as_str()),
        ("probe.Link", "Talk")
    );
    assert_eq!(open.initial_metadata.text("who"), Some("me"));
}

#[test]
fn a_message_from_a_stream_is_answered_and_the_answer_resumes_it() {
    let Some((mut host, peer)) = linked(true) else {
        return;
    };
    let stream = host.request(WORKER, get("rqh=send:hello,tick:set:x-set:1+resume,pause"));
    assert_eq!(peer.borrow().messages[0].1, b"hello");
    assert_eq!(
        host.upstream(stream).unwrap().headers.text("x-set"),
        Some("1")
    );
    let woken = said(&host, stream);
    assert!(woken.contains(&"a wake status=0".to_owned()), "{woken:?}");
}

#[test]
fn a_late_answer_resumes_only_its_worker() {
    let Some((mut host, peer)) = linked(false) else {
        return;
    };
    let stream = host.request(WORKER, get("rqh=send:hello,tick:resume,pause"));
    host.advance(Duration::from_secs(3));
    assert!(host.upstream(stream).is_none());
    let (link, _) = peer.borrow().messages[0].clone();
    let others = host.grpc_streams("side");
    for other in others.iter().filter(|other| **other != link) {
        host.grpc_send(*other, "ack");
    }
    assert!(host.upstream(stream).is_none());
    host.grpc_send(link, "ack");
    assert!(host.upstream(stream).is_some());
}

#[test]
fn a_peer_that_goes_away_closes_streams_and_is_found_again_when_it_is_back() {
    let Some((mut host, peer)) = linked(true) else {
        return;
    };
    host.set_grpc_reachable("side", false);
    let closed = host
        .logs()
        .iter()
        .filter(|l| l.text.ends_with("status=14"))
        .count();
    assert_eq!(closed, 3);
    tick(&mut host);
    assert!(host.grpc_streams("side").is_empty());
    host.set_grpc_reachable("side", true);
    tick(&mut host);
    tick(&mut host);
    assert_eq!(host.grpc_streams("side").len(), 3);
    assert_eq!(peer.borrow().opened.len(), 6);
}

#[test]
fn a_stream_of_a_dead_vm_is_cut_when_the_vm_is_replaced_and_its_last_request_ended() {
    let Some((mut host, peer)) = linked(true) else {
        return;
    };
    let waiting = host.request(WORKER, get("rqh=pause"));
    host.request(WORKER, get("rqh=panic"));
    assert!(peer.borrow().cancelled.is_empty());
    host.request(WORKER, get(""));
    assert!(peer.borrow().cancelled.is_empty());
    host.abort_client(waiting);
    let dead = peer.borrow().opened[1].stream;
    assert_eq!(peer.borrow().cancelled, [dead]);
    tick(&mut host);
    assert_eq!(host.grpc_streams("side").len(), 3);
}

#[test]
fn an_answer_to_a_dead_vm_is_dropped() {
    let Some((mut host, peer)) = linked(false) else {
        return;
    };
    let stream = host.request(WORKER, get("rqh=send:hello,tick:resume,pause"));
    host.request(WORKER, get("rqh=panic"));
    let (link, _) = peer.borrow().messages[0].clone();
    host.grpc_send(link, "ack");
    host.grpc_close(link, GrpcStatus::OK);
    assert!(host.paused(stream).unwrap().orphaned);
}

struct Echo;

impl HttpPeer for Echo {
    fn on_call(&mut self, call: &HttpCall, replies: &mut HttpReplies) {
        replies.reply(
            call.id,
            HttpReply {
                body: b"hi".to_vec(),
                ..HttpReply::status(200)
            },
        );
    }
}

struct Silent;

impl HttpPeer for Silent {
    fn on_call(&mut self, _: &HttpCall, _: &mut HttpReplies) {}
}

#[test]
fn a_call_is_answered_or_times_out_as_504_or_names_an_unknown_cluster() {
    let Some(builder) = builder() else { return };
    let builder = builder.plugin(plugin("a", "va", ""));
    let mut host = builder
        .http_peer("echo", Echo)
        .http_peer("silent", Silent)
        .build()
        .unwrap();
    let stream = host.request(WORKER, get("rqh=call:echo,pause;call=resume"));
    assert!(said(&host, stream).contains(&"a call headers=1 body=2 status=200".to_owned()));
    assert!(host.upstream(stream).is_some());

    let stream = host.request(WORKER, get("rqh=call:silent,pause;call=reply:401:no"));
    host.advance(Duration::from_millis(499));
    assert_eq!(host.outcome(stream).unwrap().status, None);
    host.advance(Duration::from_millis(1));
    assert!(said(&host, stream).contains(&"a call headers=1 body=0 status=504".to_owned()));
    assert_eq!(host.outcome(stream).unwrap().status, Some(401));

    let stream = host.request(WORKER, get("rqh=call:nowhere"));
    assert!(said(&host, stream).contains(&"call nowhere Err(BadArgument)".to_owned()));
}
