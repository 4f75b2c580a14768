//! Receivers of syslog, with and without TLS.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Bringing, add, complete_and_in_order};
use crate::tls::{acceptor, file};
use crate::world::World;

/// How the next connection is treated.
#[derive(Clone, Copy)]
enum Mood {
    /// Read to its end, and closed in turn.
    Take,
    /// Closed after so many bytes.
    CutAfter(usize),
    /// Read to its end, and dropped without a proper end.
    Drop,
}

type Messages = Arc<Mutex<Vec<String>>>;

struct Receiver {
    at: SocketAddr,
    messages: Messages,
}

impl Receiver {
    async fn start(moods: impl IntoIterator<Item = Mood>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let messages = Messages::default();
        let taken = Arc::clone(&messages);
        let mut moods: VecDeque<Mood> = moods.into_iter().collect();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mood = moods.pop_front().unwrap_or(Mood::Take);
                match &tls {
                    None => serve(stream, mood, &taken).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, mood, &taken).await;
                        }
                    }
                }
            }
        });
        Self { at, messages }
    }

    fn received(&self) -> Vec<u64> {
        let messages = self.messages.lock().unwrap();
        let place = |message: &String| {
            let rest = message.split("fileId=").nth(1).unwrap();
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        messages.iter().map(place).collect()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, mood: Mood, taken: &Messages) {
    let mut bytes = Vec::new();
    let most = match mood {
        Mood::CutAfter(most) => most,
        Mood::Take | Mood::Drop => usize::MAX,
    };
    let mut chunk = [0; 512];
    while bytes.len() < most {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
    taken.lock().unwrap().extend(frames(&bytes));
    if matches!(mood, Mood::Take) {
        let _ = stream.shutdown().await;
    }
}

/// Octet counting (RFC 6587, section 3.4.1): what is whole.
fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space])
            .unwrap()
            .parse()
            .unwrap();
        let Some(frame) = bytes.get(space + 1..space + 1 + length) else {
            break;
        };
        frames.push(String::from_utf8(frame.to_vec()).unwrap());
        bytes = &bytes[space + 1 + length..];
    }
    frames
}

fn encrypted(at: SocketAddr, authorities: &str) -> Value {
    json!({"name": "arcsight", "cef_syslog": {"address": format!("localhost:{}", at.port()),
                                              "ca_file": file(authorities)}})
}

#[tokio::test]
async fn a_receiver_that_cuts_gets_every_record_in_order() {
    let world = World::new().await;
    let receiver =
        Receiver::start([Mood::CutAfter(700), Mood::Take, Mood::CutAfter(1)], None).await;
    add(&world, 0..40).await;
    let arcsight = json!({"name": "arcsight", "cef_syslog": {
        "address": receiver.at.to_string(), "plaintext": true}});
    let bringing = Bringing::start(&world, arcsight).await;
    bringing.taken(40).await;
    add(&world, 40..60).await;
    bringing.taken(60).await;
    complete_and_in_order(&receiver.received(), 60);
    let messages = receiver.messages.lock().unwrap();
    let sound = |message: &String| {
        message.starts_with("<108>1 2026-11-23T09:00:00.000Z ")
            && message.contains(" sekisho - refuse - CEF:0|Sekisho|Sekisho|")
            && message.contains("|budget_exhausted|API call refused|5|")
    };
    assert!(messages.iter().all(sound), "{messages:#?}");
}

#[tokio::test]
async fn over_tls_a_receiver_confirms_by_its_own_proper_end() {
    let world = World::new().await;
    let receiver = Receiver::start([Mood::Drop, Mood::Take], Some(acceptor())).await;
    add(&world, 0..10).await;
    let bringing = Bringing::start(&world, encrypted(receiver.at, "ca.pem")).await;
    let why = bringing.failing().await;
    assert_eq!(why, "it does not confirm that it has everything");
    assert_eq!(bringing.standing().next, 0);
    bringing.taken(10).await;
    let received = receiver.received();
    assert_eq!(received.len(), 20, "{received:?}");
    complete_and_in_order(&received, 10);
}

/// rsyslog with GnuTLS is such a receiver.
#[tokio::test]
async fn a_receiver_that_never_ends_properly_can_be_accepted() {
    let world = World::new().await;
    let receiver = Receiver::start([Mood::Drop], Some(acceptor())).await;
    add(&world, 0..30).await;
    let mut destination = encrypted(receiver.at, "ca.pem");
    destination["cef_syslog"]["accept_bare_close"] = true.into();
    let bringing = Bringing::start(&world, destination).await;
    bringing.taken(30).await;
    assert_eq!(receiver.received(), Vec::from_iter(0..30));
}

#[tokio::test]
async fn a_receiver_that_nobody_vouches_for_gets_nothing() {
    let world = World::new().await;
    let receiver = Receiver::start([], Some(acceptor())).await;
    add(&world, 0..3).await;
    let bringing = Bringing::start(&world, encrypted(receiver.at, "other-ca.pem")).await;
    let why = bringing.failing().await;
    assert!(why.contains("certificate"), "{why}");
    assert!(receiver.received().is_empty());
}
