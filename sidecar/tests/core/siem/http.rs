//! Receivers over HTTP: a collector of OCSF events and Azure Monitor.

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Bringing, add, complete_and_in_order};
use crate::world::World;

/// How the next request is treated.
#[derive(Clone, Debug)]
enum Mood {
    /// Taken.
    Take,
    /// Answered with this status line and header.
    Answer(&'static str),
    /// The connection ends before anything is read.
    Cut,
    /// Taken, but the connection ends without an answer.
    Swallow,
    /// Taken, after a while.
    Slow,
}

#[derive(Default)]
struct Seen {
    moods: VecDeque<Mood>,
    /// Places of the records that were taken.
    received: Vec<u64>,
    /// Head lines of all requests.
    requests: Vec<String>,
    heads: Vec<String>,
    tokens: u64,
}

struct Receiver {
    at: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    async fn start(moods: impl IntoIterator<Item = Mood>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            moods: moods.into_iter().collect(),
            ..Seen::default()
        }));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { at, seen }
    }

    fn received(&self) -> Vec<u64> {
        self.seen.lock().unwrap().received.clone()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        while !buffer.windows(4).any(|w| w == b"\r\n\r\n") {
            let mut chunk = [0; 8192];
            let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
            buffer.extend_from_slice(&chunk[..n]);
        }
        let end = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
        let lower = head.to_lowercase();
        let is_token = head.starts_with("POST /token");
        let mood = {
            let mut seen = seen.lock().unwrap();
            seen.requests.extend(head.lines().next().map(str::to_owned));
            seen.heads.push(lower.clone());
            match is_token {
                true => Mood::Take,
                false => seen.moods.pop_front().unwrap_or(Mood::Take),
            }
        };
        if matches!(mood, Mood::Cut) {
            return None;
        }
        let length = lower.split("content-length: ").nth(1)?;
        let length: usize = length.lines().next()?.trim().parse().ok()?;
        while buffer.len() < end + length {
            let mut chunk = [0; 8192];
            let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
            buffer.extend_from_slice(&chunk[..n]);
        }
        let body = buffer[end..end + length].to_vec();
        buffer.drain(..end + length);
        if matches!(mood, Mood::Slow) {
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        let answer = if is_token {
            token(&seen, &body)
        } else if let Mood::Answer(head) = mood {
            format!("HTTP/1.1 {head}\r\ncontent-length: 4\r\n\r\nbusy")
        } else {
            let gzip = lower.contains("content-encoding: gzip");
            seen.lock().unwrap().received.extend(places(&body, gzip));
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n".to_owned()
        };
        if matches!(mood, Mood::Swallow) {
            return None;
        }
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn token(seen: &Mutex<Seen>, body: &[u8]) -> String {
    let form: Vec<_> = url::form_urlencoded::parse(body).into_owned().collect();
    let has = |name: &str, value: &str| form.contains(&(name.to_owned(), value.to_owned()));
    assert!(has("grant_type", "client_credentials") && has("client_id", "c"));
    assert!(has("client_secret", "hush") && has("scope", "https://monitor.azure.com/.default"));
    let mut seen = seen.lock().unwrap();
    seen.tokens += 1;
    let body = json!({"access_token": format!("t{}", seen.tokens), "token_type": "Bearer",
                      "expires_in": 3599})
    .to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn places(body: &[u8], gzip: bool) -> Vec<u64> {
    if gzip {
        let mut text = String::new();
        GzDecoder::new(body).read_to_string(&mut text).unwrap();
        let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
        for row in &rows {
            assert_eq!(row["TimeGenerated"], "2026-11-23T09:00:00Z");
            assert_eq!(
                (&row["Result"], &row["User"]),
                (&json!("refused"), &json!("E001"))
            );
        }
        return rows
            .iter()
            .map(|row| row["Sequence"].as_u64().unwrap())
            .collect();
    }
    let lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let of = |line| {
        let event: Value = serde_json::from_slice(line).unwrap();
        assert_eq!(event["class_uid"], 6003);
        event["metadata"]["sequence"].as_u64().unwrap()
    };
    lines.map(of).collect()
}

fn collector(at: SocketAddr, secret: &std::path::Path) -> Value {
    json!({"name": "collector", "ocsf_http": {"url": format!("http://{at}/in"),
        "header": {"name": "authorization", "prefix": "Bearer ", "secret_file": secret}}})
}

#[tokio::test]
async fn a_collector_that_misbehaves_gets_every_record_in_order() {
    let world = World::new().await;
    let secret = world.folder.path().join("secret");
    std::fs::write(&secret, "hush\n").unwrap();
    let receiver = Receiver::start([
        Mood::Answer("429 Too Many Requests\r\nretry-after: 2"),
        Mood::Take,
        Mood::Answer("500 Internal Server Error"),
        Mood::Cut,
        Mood::Swallow,
        Mood::Slow,
    ])
    .await;
    add(&world, 0..5).await;
    let began = tokio::time::Instant::now();
    let bringing = Bringing::start(&world, collector(receiver.at, &secret)).await;
    assert_eq!(bringing.failing().await, "it answers 429");
    bringing.taken(5).await;
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "sooner than it was told"
    );
    // The log goes on whatever the receiver does.
    add(&world, 5..30).await;
    bringing.taken(30).await;
    drop(bringing);
    add(&world, 30..35).await;
    // The cursor is saved once a second: a little comes once more.
    let bringing = Bringing::start(&world, collector(receiver.at, &secret)).await;
    bringing.taken(35).await;
    assert_eq!(bringing.standing().failing(), None);
    complete_and_in_order(&receiver.received(), 35);
    let seen = receiver.seen.lock().unwrap();
    assert!(
        seen.heads
            .iter()
            .all(|head| head.contains("authorization: bearer hush"))
    );
    assert!(
        seen.heads
            .iter()
            .all(|head| head.contains("content-type: application/x-ndjson"))
    );
}

#[tokio::test]
async fn whoever_brings_records_may_be_killed_at_any_moment() {
    let world = World::new().await;
    let secret = world.folder.path().join("secret");
    std::fs::write(&secret, "hush").unwrap();
    let receiver = Receiver::start([Mood::Swallow, Mood::Take, Mood::Cut]).await;
    let mut records = 0;
    for round in 0..12u64 {
        add(&world, records..records + 40).await;
        records += 40;
        let bringing = Bringing::start(&world, collector(receiver.at, &secret)).await;
        let moment = Duration::from_millis(round * 7 % 50);
        tokio::time::sleep(moment).await;
        drop(bringing);
    }
    let bringing = Bringing::start(&world, collector(receiver.at, &secret)).await;
    bringing.taken(records).await;
    complete_and_in_order(&receiver.received(), records);
}

#[tokio::test]
async fn nobody_there_stops_nothing_and_loses_nothing() {
    let world = World::new().await;
    let secret = world.folder.path().join("secret");
    std::fs::write(&secret, "hush").unwrap();
    let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = nobody.local_addr().unwrap();
    drop(nobody);
    let bringing = Bringing::start(&world, collector(at, &secret)).await;
    add(&world, 0..20).await;
    let why = bringing.failing().await;
    assert!(
        why.starts_with("it cannot be reached") && !why.contains("http://"),
        "{why}"
    );
    assert_eq!(bringing.standing().next, 0);
    std::fs::remove_file(&secret).unwrap();
    drop(bringing);
    // Without its secret it is not even begun.
    let mut file = crate::world::policy_json();
    file["siem"] = json!([collector(at, &secret)]);
    let file = sekisho::policy_file::parse(&file.to_string()).unwrap();
    let unusable = sekisho::siem::check(&file.sections.siem, &world.clock).unwrap_err();
    let text = unusable.to_string();
    assert!(
        text.contains("destination `collector`") && text.contains("no secret in file"),
        "{text}"
    );
}

#[tokio::test]
async fn azure_monitor_gets_rows_with_a_token_that_is_renewed_when_it_is_refused() {
    let world = World::new().await;
    let secret = world.folder.path().join("secret");
    std::fs::write(&secret, "hush").unwrap();
    let receiver = Receiver::start([
        Mood::Take,
        Mood::Answer("401 Unauthorized\r\nx-ms-error-code: InvalidToken"),
        Mood::Take,
        Mood::Answer("429 Too Many Requests\r\nretry-after: 1"),
        Mood::Swallow,
    ])
    .await;
    let at = receiver.at;
    let sentinel = json!({"name": "sentinel", "azure_monitor": {
        "endpoint": format!("http://{at}"), "rule": "dcr-000", "stream": "Custom-Sekisho_CL",
        "client_secret": {"token_url": format!("http://{at}/token"), "client_id": "c",
                          "secret_file": secret}}});
    add(&world, 0..3).await;
    let bringing = Bringing::start(&world, sentinel).await;
    bringing.taken(3).await;
    add(&world, 3..6).await;
    assert_eq!(bringing.failing().await, "it answers 401 `InvalidToken`");
    bringing.taken(6).await;
    add(&world, 6..9).await;
    bringing.taken(9).await;
    complete_and_in_order(&receiver.received(), 9);
    let seen = receiver.seen.lock().unwrap();
    assert_eq!(seen.tokens, 2);
    // As Microsoft's own SDK does it.
    let wanted = "POST /dataCollectionRules/dcr-000/streams/Custom-Sekisho_CL?api-version=2023-01-01 HTTP/1.1";
    assert_eq!(
        seen.requests.iter().filter(|line| *line == wanted).count(),
        seen.requests.len() - 2
    );
    let calls = seen
        .heads
        .iter()
        .filter(|head| head.contains("/datacollectionrules/"));
    let bearers: Vec<bool> = calls
        .map(|head| head.contains("authorization: bearer t1"))
        .collect();
    assert_eq!(bearers[..3], [true, true, false], "{:?}", seen.heads);
}
