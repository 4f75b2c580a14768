//! Messages to browsers, whose push service is one of the test's own, and to webhooks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho::policy_file;
use sekisho::push::{Push, VapidKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use web_push_native::p256;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint as _;

use crate::service::{Answer, As, Service};
use crate::tls::{acceptor, file};
use crate::world::policy_json;

const SEND: &str = "/v1/notifications/push";
const MINE: &str = "/v1/users/me/push-subscriptions";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AUTH: [u8; 16] = [7; 16];
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A push service that answers as it is told, and `201` when it is told no more.
struct Receiver {
    port: u16,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone)]
struct Request {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers, requests) = (Arc::default(), Arc::default());
        let receiver = Self {
            port,
            answers,
            requests,
        };
        let (answers, requests) = (receiver.answers.clone(), receiver.requests.clone());
        tokio::spawn(async move {
            let tls = acceptor();
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = tls.accept(stream).await else {
                    continue;
                };
                let mut bytes = Vec::new();
                let request = loop {
                    if let Some(request) = Request::read(&bytes) {
                        break request;
                    }
                    assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "cut off");
                };
                let answer = answers.lock().unwrap().pop_front();
                requests.lock().unwrap().push(request);
                let answer = answer.unwrap_or("201 Created");
                let answer =
                    format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
        receiver
    }

    fn answer(&self, answer: &'static str) {
        self.answers.lock().unwrap().push_back(answer);
    }

    fn endpoint(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Request {
    /// If it is whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let headers: HeaderMap = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
        let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
        Some(Self {
            path,
            headers,
            body,
        })
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// The service with the section `push`, until it is dropped.
struct Pushing {
    service: Service,
    push: Push,
    task: JoinHandle<()>,
    _secret: tempfile::NamedTempFile,
}

impl Drop for Pushing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pushing {
    async fn start(webhook: &str) -> Self {
        let service = Service::new().await;
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), SECRET).unwrap();
        let mut policy = policy_json();
        policy["push"] = json!({
            "contact": "mailto:operations@example.com", "days": 1,
            "private_hosts": ["localhost"], "ca_file": file("ca.pem"),
            "webhooks": [{"name": "teams", "webhook": {"url": webhook, "secret_file": secret.path()}}],
        });
        let parsed = policy_file::parse(&policy.to_string()).unwrap();
        let filters = String::from_utf8(parsed.json).unwrap();
        assert!(!filters.contains("teams"), "filters get it");
        let settings = parsed.sections.push.unwrap();
        let key = VapidKey::read(&[9; 32]).unwrap();
        let push = Push::new(settings, key, &service.world.clock).unwrap();
        service.api.push_with(push.clone());
        let task = push.start(&service.world.store);
        Self {
            service,
            push,
            task,
            _secret: secret,
        }
    }

    async fn register(&self, caller: As, endpoint: &str) -> Answer {
        let body = subscription(endpoint);
        self.service.call(caller, "POST", MINE, Some(body)).await
    }

    async fn send(&self, order: &str, body: Value) -> Answer {
        // The list is in the order of time.
        self.service.world.hand.advance(10);
        let headers = [("idempotency-key", order)];
        self.service
            .call_headed(As::Administrator, "POST", SEND, &headers, Some(body))
            .await
    }

    /// Until the newest message has become this.
    async fn newest(&self, state: &str) -> Value {
        let waiting = async {
            loop {
                let page = self.service.get(As::Auditor, SEND).await;
                let newest = page.body["messages"][0].clone();
                if newest["state"] == state {
                    return newest;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let newest = tokio::time::timeout(PATIENCE, waiting).await;
        newest.unwrap_or_else(|_| panic!("it never became {state}"))
    }
}

fn browser() -> p256::SecretKey {
    p256::SecretKey::from_slice(&[5; 32]).unwrap()
}

fn subscription(endpoint: &str) -> Value {
    let point = browser().public_key().to_encoded_point(false);
    json!({
        "endpoint": endpoint, "expirationTime": null, "label": "Laptop",
        "keys": {"p256dh": URL_SAFE_NO_PAD.encode(point.as_bytes()), "auth": URL_SAFE_NO_PAD.encode(AUTH)},
    })
}

/// By an implementation that is not ours.
fn decrypted(body: &[u8]) -> Value {
    let auth = web_push_native::Auth::clone_from_slice(&AUTH);
    let text = web_push_native::decrypt(body.to_vec(), &browser(), &auth).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn message(users: &[&str]) -> Value {
    json!({"users": users, "title": "メンテナンス", "text": "日曜 1 時から", "urgency": "high",
           "url": "https://status.example.com/", "ttl_seconds": 3600})
}

#[tokio::test]
async fn a_browser_gets_what_only_it_can_read() {
    let (receiver, pushing) =
        tokio::join!(Receiver::start(), Pushing::start("http://localhost:9/"));
    let service = &pushing.service;
    let key = service
        .get(As::NobodySpecial, "/v1/notifications/push/key")
        .await;
    assert_eq!(key.body["public_key"], pushing.push.public_key());
    let registered = pushing
        .register(As::NobodySpecial, &receiver.endpoint("/p/1"))
        .await;
    assert_eq!(
        registered.status,
        StatusCode::CREATED,
        "{}",
        registered.text
    );
    let sent = pushing.send("a", message(&["003", "002"])).await;
    assert_eq!(sent.status, StatusCode::ACCEPTED, "{}", sent.text);
    assert_eq!(sent.body["without_browser"], json!(["002"]));
    let entry = pushing.newest("sent").await;
    assert_eq!(entry["user"], "003");
    assert_eq!(entry["subscription"], registered.body["id"]);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request.path, "/p/1");
    assert_eq!(request.header("content-encoding"), "aes128gcm");
    assert_eq!(
        (request.header("ttl"), request.header("urgency")),
        ("3600", "high")
    );
    let authorization = request.header("authorization");
    let wanted = format!(", k={}", pushing.push.public_key());
    assert!(authorization.starts_with("vapid t=") && authorization.ends_with(&wanted));
    let read = decrypted(&request.body);
    assert_eq!(read["data"]["title"], "メンテナンス");
    assert_eq!(read["data"]["url"], "https://status.example.com/");
    let text = String::from_utf8_lossy(&request.body);
    assert!(!text.contains("status.example.com"));

    // The same order again pushes nothing, another one under its name is refused.
    let again = pushing.send("a", message(&["003", "002"])).await;
    assert_eq!(again.body["messages"][0]["id"], entry["id"]);
    let other = pushing.send("a", message(&["003"])).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(receiver.requests().len(), 1);
    let mine = service.get(As::NobodySpecial, MINE).await;
    let shown = &mine.body["subscriptions"][0];
    assert_eq!(
        (&shown["label"], &shown["push_service"]),
        (&json!("Laptop"), &json!("localhost"))
    );
    assert!(shown["used_at"].is_string() && !mine.text.contains("/p/1"));
    // What is on record names neither the text nor where it went.
    let events = "/v1/audit/logs/search?decision=event&limit=2";
    let events = service.get(As::Auditor, events).await;
    let named = |at: usize| events.body["records"][at]["record"]["event"].clone();
    assert_eq!(named(0)["name"], "notification.push");
    assert_eq!(
        named(0)["after"],
        json!({"people": 2, "browsers": 1, "webhooks": []})
    );
    assert_eq!(named(1)["name"], "push.subscribe");
    assert!(!events.text.contains("/p/1") && !events.text.contains("日曜"));
}

#[tokio::test]
async fn a_message_is_tried_again_until_it_is_taken_or_its_browser_is_gone() {
    let (receiver, pushing) =
        tokio::join!(Receiver::start(), Pushing::start("http://localhost:9/"));
    let service = &pushing.service;
    pushing
        .register(As::NobodySpecial, &receiver.endpoint("/p/1"))
        .await;
    receiver.answer("503 Service Unavailable\r\nretry-after: 600");
    pushing.send("a", message(&["003"])).await;
    let waits = async {
        loop {
            let page = service.get(As::Auditor, SEND).await;
            let newest = page.body["messages"][0].clone();
            if newest["tries"] == 1 {
                return newest;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waits = tokio::time::timeout(PATIENCE, waits).await.unwrap();
    assert_eq!(
        (&waits["state"], &waits["status"]),
        (&json!("waiting"), &json!(503))
    );
    assert_eq!(waits["reason"], "it answers 503");
    let health = service.get(As::Auditor, "/v1/system/health").await;
    let all = health.body["details"]["dependencies"].as_array().unwrap();
    let service_of = all.iter().find(|one| one["kind"] == "push").unwrap();
    assert_eq!(service_of["status"], "failing");
    service.world.hand.advance(600_000);
    let taken = pushing.newest("sent").await;
    assert_eq!(taken["tries"], 2);

    // One that is refused can be tried again.
    receiver.answer("400 Bad Request");
    pushing.send("b", message(&["003"])).await;
    let refused = pushing.newest("refused").await;
    assert_eq!(refused["status"], 400);
    let retry = format!("{SEND}/{}/retry", refused["id"].as_str().unwrap());
    let retried = service.call(As::Administrator, "POST", &retry, None).await;
    assert_eq!(retried.status, StatusCode::OK, "{}", retried.text);
    pushing.newest("sent").await;
    let retried = service.call(As::Administrator, "POST", &retry, None).await;
    assert_eq!(retried.status, StatusCode::CONFLICT);

    receiver.answer("410 Gone");
    pushing.send("c", message(&["003"])).await;
    pushing.newest("gone").await;
    let mine = service.get(As::NobodySpecial, MINE).await;
    assert_eq!(mine.body["subscriptions"], json!([]));
    let nobody = pushing.send("d", message(&["003"])).await;
    assert_eq!(nobody.body["messages"], json!([]));
    service.world.writer.take_pending().await.unwrap();
    let events = "/v1/audit/logs/search?decision=event&limit=5";
    let events = service.get(As::Auditor, events).await;
    assert!(
        events
            .text
            .contains("its push service does not know it any longer")
    );
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_given_up() {
    let pushing = Pushing::start("http://localhost:9/").await;
    // Nobody listens there.
    let registered = pushing
        .register(As::NobodySpecial, "https://localhost:9/p")
        .await;
    assert_eq!(registered.status, StatusCode::CREATED);
    pushing.send("a", message(&["003"])).await;
    for _ in 0..100 {
        pushing.service.world.hand.advance(60_000);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let given_up = pushing.newest("given_up").await;
    assert!(
        given_up["reason"]
            .as_str()
            .unwrap()
            .contains("nobody wants")
    );
}

#[tokio::test]
async fn a_webhook_gets_a_message_that_it_can_check() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&got);
    let take = async move |headers: HeaderMap, body: axum::body::Bytes| {
        noted.lock().unwrap().push((headers, body.to_vec()));
        StatusCode::NO_CONTENT
    };
    let receiver = axum::Router::new().route("/", axum::routing::post(take));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, receiver).await });
    let pushing = Pushing::start(&url).await;
    let body = json!({"webhooks": ["teams"], "title": "Alert", "text": "x"});
    pushing.send("a", body).await;
    let entry = pushing.newest("sent").await;
    assert_eq!(entry["webhook"], "teams");
    let (headers, body) = got.lock().unwrap()[0].clone();
    assert_eq!(headers["webhook-id"], entry["id"].as_str().unwrap());
    let moment = headers["webhook-timestamp"].to_str().unwrap();
    let checker = standardwebhooks::Webhook::new(SECRET).unwrap();
    let signed = checker.sign("x", moment.parse().unwrap(), &body);
    assert!(signed.is_ok());
    let signature = checker
        .sign(
            entry["id"].as_str().unwrap(),
            moment.parse().unwrap(),
            &body,
        )
        .unwrap();
    assert_eq!(headers["webhook-signature"], signature.as_str());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["title"]),
        (&json!("notification.sent"), &json!("Alert"))
    );
}

#[tokio::test]
async fn what_is_no_browser_is_not_registered_and_nobody_touches_anothers() {
    let pushing = Pushing::start("http://localhost:9/").await;
    let service = &pushing.service;
    for (endpoint, named) in [
        ("http://localhost:9/", "must be an https URL"),
        ("https://127.0.0.1/", "not public"),
        ("https://169.254.169.254/latest", "not public"),
        ("https://sidecar/", "not public"),
    ] {
        let refused = pushing.register(As::NobodySpecial, endpoint).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{endpoint}"
        );
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{detail}");
    }
    let mut weak = subscription("https://localhost/p");
    weak["keys"]["auth"] = json!("AAAA");
    let refused = service
        .call(As::NobodySpecial, "POST", MINE, Some(weak))
        .await;
    assert_eq!(
        refused.body["detail"],
        "`keys`: `auth` does not have 16 bytes"
    );

    let endpoint = "https://localhost:9/p";
    let mine = pushing.register(As::NobodySpecial, endpoint).await;
    let again = pushing.register(As::NobodySpecial, endpoint).await;
    assert_eq!(
        (again.status, &again.body["id"]),
        (StatusCode::OK, &mine.body["id"])
    );
    let path = format!("{MINE}/{}", mine.body["id"].as_str().unwrap());
    let other = service.call(As::Manager, "DELETE", &path, None).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    // Whoever signs in at a shared browser has it from then on.
    let theirs = pushing.register(As::Manager, endpoint).await;
    assert_eq!(theirs.status, StatusCode::CREATED);
    let former = service.get(As::NobodySpecial, MINE).await;
    assert_eq!(former.body["subscriptions"], json!([]));
    let id = theirs.body["id"].as_str().unwrap();
    let path = format!("{MINE}/{id}");
    let removed = service.call(As::Manager, "DELETE", &path, None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    // Of too many the oldest goes.
    for n in 0..21 {
        service.world.hand.advance(10);
        let endpoint = format!("https://localhost:9/{n}");
        pushing.register(As::Manager, &endpoint).await;
    }
    let all = service.get(As::Manager, MINE).await;
    assert_eq!(all.body["subscriptions"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn what_cannot_be_pushed_is_refused_at_once() {
    let pushing = Pushing::start("http://localhost:9/").await;
    for (body, named) in [
        (json!({"title": "x", "text": "y"}), "1 to 500 recipients"),
        (
            json!({"users": ["999"], "title": "x", "text": "y"}),
            "`users[0]`",
        ),
        (
            json!({"webhooks": ["x"], "title": "x", "text": "y"}),
            "`webhooks[0]`",
        ),
        (
            json!({"webhooks": ["teams"], "title": "a\nb", "text": "y"}),
            "`title`",
        ),
        (
            json!({"webhooks": ["teams"], "title": "x", "text": "y".repeat(4000)}),
            "3993",
        ),
        (
            json!({"webhooks": ["teams"], "title": "x", "text": "y", "url": "javascript:x"}),
            "`url`",
        ),
        (
            json!({"webhooks": ["teams"], "title": "x", "text": "y", "ttl_seconds": 86_401}),
            "`ttl_seconds`",
        ),
    ] {
        let refused = pushing.send("a", body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{named}");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{detail}");
    }
    let service = Service::new().await;
    let body = json!({"webhooks": ["teams"], "title": "x", "text": "y"});
    let none = service
        .call(As::Administrator, "POST", SEND, Some(body))
        .await;
    assert_eq!(none.status, StatusCode::CONFLICT);
}
