//! A body that takes its time: the caller's permit has to be good still when its last byte
//! comes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use crate::world::{PASSING, PERSON, World};

const BODY: &str = r#"{"model":"gpt-4o","max_tokens":8}"#;
/// Longer than a change takes to every gateway.
const A_WHILE: Duration = Duration::from_millis(600);

/// What is not as it must be.
pub(crate) fn attempt(world: &World) -> Vec<String> {
    let nothing = || {};
    world.calls();
    let mut wrong = Vec::new();
    let mut must = |what: &str, answer: &str, beginning: &str, calls: usize| {
        if !answer.starts_with(beginning) {
            let line = answer.lines().next().unwrap_or_default();
            wrong.push(format!("{what}: `{line}` instead of `{beginning}`"));
        }
        let seen = world.calls();
        if seen != calls {
            wrong.push(format!("{what}: a provider saw {seen} calls"));
        }
    };
    let sidecar = world.sidecar();
    let bearer = format!("authorization: Bearer {}", world.token);
    must(
        "a slow body",
        &send(world, &bearer, nothing),
        "HTTP/1.1 200",
        1,
    );
    let suspended = send(world, &bearer, || sidecar.suspend(PERSON, true).unwrap());
    must(
        "a person is disabled meanwhile",
        &suspended,
        "HTTP/1.1 403",
        0,
    );
    sidecar.suspend(PERSON, false).unwrap();
    sleep(A_WHILE);
    must(
        "and enabled",
        &send(world, &bearer, nothing),
        "HTTP/1.1 200",
        1,
    );
    let key = format!("api-key: {}", world.passing_key);
    must("a key", &send(world, &key, nothing), "HTTP/1.1 200", 1);
    let revoked = send(world, &key, || sidecar.revoke(PASSING).unwrap());
    must("a key is revoked meanwhile", &revoked, "HTTP/1.1 401", 0);
    wrong
}

/// Sends all but the last byte, lets something happen, and sends the rest.
fn send(world: &World, credential: &str, meanwhile: impl FnOnce()) -> String {
    let mut stream = TcpStream::connect(world.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let (most, last) = BODY.split_at(BODY.len() - 1);
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\n{credential}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{most}",
        BODY.len()
    )
    .unwrap();
    sleep(A_WHILE);
    meanwhile();
    sleep(A_WHILE);
    stream.write_all(last.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end, too.
    let _ = stream.read_to_end(&mut answer);
    let _ = stream.shutdown(Shutdown::Both);
    String::from_utf8_lossy(&answer).into_owned()
}
