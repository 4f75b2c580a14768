//! Signing keys from a provider that counts who comes, through sessions of Link, with a
//! clock that is moved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sekisho::clock::Hand;
use sekisho::jwks::{JwksError, KeySets};
use sekisho::link::Link;
use sekisho::snapshot::SnapshotHub;
use sekisho::vitals::Beat;
use sekisho_domain::Policy;
use sekisho_link::v1;
use serde_json::{Value, json};

use crate::world::{Worker, World, policy_json};

const ISSUER: &str = "https://login.example/t/v2.0";
const FIVE_MINUTES: u64 = 300_000;
const HOUR: u64 = 3_600_000;

/// An identity provider's end of it.
#[derive(Clone)]
struct Provider {
    fetches: Arc<AtomicUsize>,
    answer: Arc<Mutex<Answer>>,
    address: SocketAddr,
}

#[derive(Clone)]
enum Answer {
    Keys(Vec<&'static str>),
    Body(String),
    Status(u16),
    Redirect(String),
    Slowly(Vec<&'static str>),
}

impl Provider {
    async fn start(keys: &[&'static str]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            fetches: Arc::default(),
            answer: Arc::new(Mutex::new(Answer::Keys(keys.to_vec()))),
            address: listener.local_addr().unwrap(),
        };
        let router = Router::new()
            .route("/keys", get(keys_endpoint))
            .route("/moved", get(|| async { body(&["moved"]) }))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    fn now_answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn publishes(&self, keys: &[&'static str]) {
        self.now_answers(Answer::Keys(keys.to_vec()));
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Waits until there were so many fetches.
    async fn fetched(&self, times: usize) {
        eventually(|| self.fetches() >= times).await;
    }
}

async fn keys_endpoint(State(provider): State<Provider>) -> Response {
    provider.fetches.fetch_add(1, Ordering::SeqCst);
    let answer = provider.answer.lock().unwrap().clone();
    match answer {
        Answer::Keys(kids) => body(&kids),
        // Whatever type it says that it is.
        Answer::Body(text) => ([(header::CONTENT_TYPE, "text/plain")], text).into_response(),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Answer::Slowly(kids) => {
            tokio::time::sleep(Duration::from_millis(500)).await;
            body(&kids)
        }
    }
}

fn body(kids: &[&str]) -> Response {
    let keys: Vec<Value> = kids.iter().map(|kid| jwk(kid)).collect();
    json!({ "keys": keys }).to_string().into_response()
}

/// RFC 7515, appendix A.2.1.
const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ\
    PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0\
    LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD\
    Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2\
    PAcDTW9gb54h4FRWyuXpoQ";

fn jwk(kid: &str) -> Value {
    json!({"kty": "RSA", "kid": kid, "n": MODULUS, "e": "AQAB"})
}

/// A sidecar that trusts the provider.
struct Sidecar {
    world: World,
    hub: SnapshotHub,
    link: Link,
    key_sets: KeySets,
}

impl Sidecar {
    async fn start(provider: &Provider) -> Self {
        let world = World::new().await;
        let uri = format!("http://{}/keys", provider.address);
        let (hub, key_sets) = start(&world, &uri).await.unwrap();
        let link = Link::new(world.writer.clone(), hub.clone()).with_key_sets(key_sets.clone());
        Self {
            world,
            hub,
            link,
            key_sets,
        }
    }

    fn worker(&self, number: u8) -> Worker {
        Worker::new(
            &self.link,
            number,
            number,
            Vec::new(),
            self.world.clock.clone(),
        )
    }

    fn hand(&self) -> &Hand {
        &self.world.hand
    }

    /// The keys that gateways have now.
    fn pushed(&self) -> Vec<String> {
        pushed(&self.hub)
    }

    async fn look(&self, kid: &str) -> u64 {
        self.key_sets.look(ISSUER, kid).await.quiet_millis
    }
}

async fn start(world: &World, uri: &str) -> Result<(SnapshotHub, KeySets), JwksError> {
    let mut policy = Policy::parse(policy_json()).unwrap();
    // Past the policy's own checks.
    policy.issuers[0].jwks_uri = Some(uri.to_owned());
    let policy = Arc::new(policy);
    let hub = SnapshotHub::new(policy, b"{}".to_vec(), b"pepper".to_vec());
    let key_sets = KeySets::start(&world.store, &hub, &world.clock).await?;
    Ok((hub, key_sets))
}

fn pushed(hub: &SnapshotHub) -> Vec<String> {
    let mut parts = hub.subscribe();
    let first = parts.poll_next().unwrap();
    let keys = first.issuer_keys.iter().flat_map(|set| &set.keys);
    keys.map(|key| key.kid.clone()).collect()
}

/// In real time: what must happen within a second has two.
async fn eventually(mut done: impl FnMut() -> bool) {
    let began = now();
    while !done() {
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "it never happened"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it really takes")]
fn now() -> Instant {
    Instant::now()
}

fn question(kid: &str) -> v1::KeySetRequest {
    v1::KeySetRequest {
        issuer: ISSUER.into(),
        kid: kid.into(),
    }
}

/// Asks as a gateway does; what came in order: keys that were pushed, and the answers.
async fn ask(worker: &mut Worker, kids: &[&str]) -> (Vec<Vec<String>>, BTreeMap<String, u64>) {
    let up = v1::Up {
        key_set_requests: kids.iter().map(|kid| question(kid)).collect(),
        ..v1::Up::default()
    };
    let up = worker.batch(up);
    worker.session.take(up).await.unwrap();
    let (mut sets, mut answers) = (Vec::new(), BTreeMap::new());
    while answers.len() < kids.len() {
        let down = worker.session.recv().await.unwrap();
        for set in down.snapshot.iter().flat_map(|s| &s.issuer_keys) {
            assert!(answers.is_empty(), "a key comes before the answer");
            sets.push(set.keys.iter().map(|key| key.kid.clone()).collect());
        }
        for answer in down.key_set_answers {
            answers.insert(answer.kid, answer.quiet_millis);
        }
    }
    (sets, answers)
}

#[tokio::test]
async fn a_new_key_is_there_within_a_second_of_its_first_sight() {
    let provider = Provider::start(&["old"]).await;
    let sidecar = Sidecar::start(&provider).await;
    eventually(|| sidecar.pushed() == ["old"]).await;
    let mut worker = sidecar.worker(1);
    // The set changes right after it was fetched.
    provider.publishes(&["old", "new"]);
    let began = now();
    let (sets, answers) = ask(&mut worker, &["new"]).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(sets.last().unwrap(), &["new", "old"]);
    assert_eq!(answers["new"], FIVE_MINUTES);
    assert_eq!(provider.fetches(), 2);
    // Whoever asks for a key that is there by now causes nothing.
    assert!(sidecar.look("new").await > 0);
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test]
async fn ten_thousand_random_keys_at_many_gateways_cause_one_fetch_in_five_minutes() {
    let provider = Provider::start(&["old"]).await;
    let sidecar = Sidecar::start(&provider).await;
    eventually(|| sidecar.pushed() == ["old"]).await;
    let mut workers: Vec<Worker> = (1..=20).map(|number| sidecar.worker(number)).collect();
    for round in 0..10 {
        for (at, worker) in workers.iter_mut().enumerate() {
            let kids: Vec<String> = (0..50).map(|n| format!("{round}-{at}-{n}")).collect();
            let kids: Vec<&str> = kids.iter().map(String::as_str).collect();
            let (_, answers) = ask(worker, &kids).await;
            let expected = FIVE_MINUTES - round * 29_000;
            assert!(answers.values().all(|quiet| *quiet == expected));
        }
        sidecar.hand().advance(29_000);
    }
    assert_eq!(provider.fetches(), 2, "one at the start, one on demand");
    // Now the five minutes are over, and the first unknown key is looked for at once.
    provider.publishes(&["old", "new"]);
    sidecar.hand().advance(9_999);
    assert_eq!(sidecar.look("new").await, 1);
    assert_eq!(provider.fetches(), 2);
    sidecar.hand().advance(1);
    let (sets, _) = ask(&mut workers[0], &["new"]).await;
    assert_eq!(sets.last().unwrap(), &["new", "old"]);
    assert_eq!(provider.fetches(), 3);
}

#[tokio::test]
async fn all_who_ask_while_a_set_is_fetched_are_answered_by_that_fetch() {
    let provider = Provider::start(&["old"]).await;
    let sidecar = Sidecar::start(&provider).await;
    eventually(|| sidecar.pushed() == ["old"]).await;
    provider.now_answers(Answer::Slowly(vec!["old", "new"]));
    let asking = (0..100).map(|_| {
        let key_sets = sidecar.key_sets.clone();
        tokio::spawn(async move { key_sets.look(ISSUER, "new").await })
    });
    for asking in asking.collect::<Vec<_>>() {
        asking.await.unwrap();
    }
    assert_eq!(sidecar.pushed(), ["new", "old"]);
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test]
async fn others_do_not_wait_while_a_key_is_looked_for() {
    let provider = Provider::start(&["old"]).await;
    let sidecar = Sidecar::start(&provider).await;
    eventually(|| sidecar.pushed() == ["old"]).await;
    provider.now_answers(Answer::Slowly(vec!["old"]));
    let mut worker = sidecar.worker(1);
    let up = worker.batch(v1::Up {
        key_set_requests: vec![question("new")],
        ..v1::Up::default()
    });
    let began = now();
    worker.session.take(up).await.unwrap();
    while worker.session.recv().await.unwrap().ack == 0 {}
    assert!(began.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn a_removed_key_is_gone_within_the_hour() {
    let provider = Provider::start(&["old", "removed"]).await;
    let sidecar = Sidecar::start(&provider).await;
    eventually(|| sidecar.pushed() == ["old", "removed"]).await;
    provider.publishes(&["old"]);
    sidecar.hand().advance(HOUR);
    eventually(|| sidecar.pushed() == ["old"]).await;
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test]
async fn a_day_without_the_provider_and_a_restart_in_it_leave_the_keys() {
    let provider = Provider::start(&["old"]).await;
    let sidecar = Sidecar::start(&provider).await;
    eventually(|| sidecar.pushed() == ["old"]).await;
    // What is stored is what a restart begins with.
    tokio::time::sleep(Duration::from_millis(100)).await;
    provider.now_answers(Answer::Status(503));
    for hour in 1..=24 {
        sidecar.hand().advance(HOUR);
        provider.fetched(hour + 1).await;
    }
    assert_eq!(sidecar.pushed(), ["old"]);
    let beat = || sidecar.key_sets.pulses().next().unwrap().1.beat();
    let failing = |beat: Beat| beat.failing.map(|failing| failing.why);
    let why = "the issuer answers with status 503";
    eventually(|| failing(beat()).as_deref() == Some(why)).await;
    let began = beat().last_success.unwrap();
    assert!(beat().failing.unwrap().since.since(began) >= HOUR);
    let nowhere = "http://127.0.0.1:9/keys";
    let (hub, _key_sets) = start(&sidecar.world, nowhere).await.unwrap();
    assert_eq!(pushed(&hub), ["old"]);
    // When it is back, new keys are found at once.
    provider.publishes(&["new"]);
    sidecar.look("new").await;
    assert_eq!(sidecar.pushed(), ["new"]);
    let back = beat();
    assert!(back.failing.is_none() && back.last_success > Some(began));
}

#[tokio::test]
async fn nothing_but_a_key_set_replaces_a_key_set() {
    let provider = Provider::start(&["old"]).await;
    let sidecar = Sidecar::start(&provider).await;
    eventually(|| sidecar.pushed() == ["old"]).await;
    let elsewhere = Provider::start(&["evil"]).await;
    let weak = json!({"keys": [{"kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB"}]});
    let large = format!(
        "{{\"keys\":[{}],\"pad\":\"{}\"}}",
        jwk("x"),
        "x".repeat(1 << 20)
    );
    for answer in [
        Answer::Status(500),
        Answer::Status(404),
        Answer::Status(204),
        Answer::Body("<html>sign in</html>".into()),
        Answer::Body(String::new()),
        Answer::Body("{\"keys\":[]}".into()),
        Answer::Body("{\"keys\":[".into()),
        Answer::Body(weak.to_string()),
        Answer::Body(large),
        Answer::Redirect(format!("http://{}/keys", elsewhere.address)),
        Answer::Redirect("/keys".into()),
    ] {
        provider.now_answers(answer);
        let before = provider.fetches();
        sidecar.hand().advance(FIVE_MINUTES);
        sidecar.look("new").await;
        assert!(provider.fetches() > before);
        assert_eq!(sidecar.pushed(), ["old"]);
    }
    assert_eq!(elsewhere.fetches(), 0, "no other host is asked");
    // On its own host it may have moved, and call its answer what it likes.
    provider.now_answers(Answer::Redirect("/moved".into()));
    sidecar.hand().advance(FIVE_MINUTES);
    sidecar.look("moved").await;
    assert_eq!(sidecar.pushed(), ["moved"]);
    let text = json!({"keys": [jwk("text"), {"kty": "oct", "kid": "o", "k": "AQAB"}]});
    provider.now_answers(Answer::Body(text.to_string()));
    sidecar.hand().advance(FIVE_MINUTES);
    sidecar.look("text").await;
    assert_eq!(sidecar.pushed(), ["text"]);
}

#[tokio::test]
async fn an_issuer_that_nobody_trusts_is_not_looked_for() {
    let provider = Provider::start(&["old"]).await;
    let sidecar = Sidecar::start(&provider).await;
    eventually(|| sidecar.pushed() == ["old"]).await;
    let looked = sidecar.key_sets.look("https://evil.example", "k").await;
    assert_eq!(looked.quiet_millis, FIVE_MINUTES);
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn keys_over_plain_http_from_another_machine_are_not_served() {
    let world = World::new().await;
    let error = start(&world, "http://login.example/keys")
        .await
        .unwrap_err();
    assert!(matches!(error, JwksError::Insecure(_)));
    assert!(error.to_string().contains("http://login.example/keys"));
}
