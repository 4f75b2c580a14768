//! Rules that follow a log, and receivers that misbehave.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sekisho::alerts::{self, RuleName, Severity};
use sekisho::events::Author;
use sekisho::forward::Standings;
use sekisho::ledger::Calendar;
use sekisho::log::search::{Filter as Records, search};
use sekisho::mail::Mail;
use sekisho::policy_file;
use sekisho::settings::{Ground, LiveSettings, SettingsValues};
use sekisho::store::alerts::StoredAlert;
use sekisho::store::alerts::list::{Filter, newest};
use sekisho::store::settings;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::mail::{Secret, Server};
use crate::world::{World, policy_json, usage_of};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MINUTE: u64 = 60_000;

/// Rules at work, until they are dropped: as if the process were killed.
struct Watching {
    tasks: Vec<JoinHandle<()>>,
    standings: Standings,
    settings: LiveSettings,
}

impl Watching {
    async fn start(world: &World, section: Value) -> Self {
        Self::start_with(world, section, None).await
    }

    async fn start_with(world: &World, section: Value, mail: Option<&Mail>) -> Self {
        let mut file = policy_json();
        file["alerts"] = section;
        if mail.is_some() {
            file["mail"] = json!({"server": "mail.example:587", "sender": "sekisho@example.com"});
        }
        let file = policy_file::parse(&file.to_string()).unwrap();
        assert!(!String::from_utf8(file.json).unwrap().contains("alerts"));
        let standings = Standings::default();
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        let (store, writer, clock) = (&world.store, &world.writer, &world.clock);
        let whole = serde_json::from_str(&file.whole).unwrap();
        let settings = LiveSettings::new(Ground::new(&whole)).unwrap();
        let alerts = (&file.sections.alerts, &settings, mail);
        let tasks = alerts::start(store, &calendar, alerts, writer, clock, &standings).await;
        let tasks = tasks.unwrap();
        Self {
            tasks,
            standings,
            settings,
        }
    }

    /// Until every record has been looked at that was there.
    async fn caught_up(&self, world: &World) {
        let records = sekisho::log::size(&world.store).await.unwrap();
        let waiting = async {
            loop {
                let all = self.standings.all();
                let rules = all.iter().find(|one| one.kind == "rules").unwrap();
                if rules.next >= records {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{:?}", self.standings.all());
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn all(world: &World) -> Vec<StoredAlert> {
    let mut alerts = newest(&world.store, &Filter::default(), None, 1000)
        .await
        .unwrap();
    alerts.reverse();
    alerts
}

/// Names of events in the log that tell of alerts.
async fn told(world: &World) -> usize {
    world.writer.take_pending().await.unwrap();
    let raised = Records {
        event: Some("alert.raise".into()),
        ..Records::default()
    };
    let page = search(&world.store, &raised, None, 1000).await.unwrap();
    page.records.len()
}

async fn refuse(world: &World, numbers: std::ops::Range<u64>) {
    let mut worker = world.worker(u8::try_from(numbers.start % 200).unwrap() + 1);
    for n in numbers {
        let entry = worker.call(n, "sales").refuse();
        worker.entries(vec![entry]).await;
    }
}

fn only_bursts() -> Value {
    json!({"rules": {
        "refusal_burst": {"user": 3, "key": 0, "address": 0, "denial": 5, "quiet_minutes": 10},
        "sudden_volume": {"enabled": false}, "budget_events": {"enabled": false},
        "unknown_closes": {"enabled": false},
    }})
}

#[tokio::test]
async fn a_burst_of_refusals_is_an_alert_and_an_event_on_record() {
    let world = World::new().await;
    let watching = Watching::start(&world, only_bursts()).await;
    refuse(&world, 0..2).await;
    watching.caught_up(&world).await;
    assert_eq!(all(&world).await, []);
    refuse(&world, 2..9).await;
    watching.caught_up(&world).await;
    let found = all(&world).await;
    let about: Vec<_> = found
        .iter()
        .map(|one| one.alert.subject.to_string())
        .collect();
    assert_eq!(about, ["user E001", "denial budget_exhausted"]);
    let first = &found[0].alert;
    assert_eq!(first.rule, RuleName::RefusalBurst);
    assert_eq!((first.count, first.against), (3, 3));
    assert_eq!(first.severity, Severity::Medium);
    assert_eq!(first.department.as_deref(), Some("sales"));
    assert_eq!(told(&world).await, 2);
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn an_alert_is_mailed_once_to_whoever_wants_it() {
    let world = World::new().await;
    let secret = Secret::new("correct horse");
    let mut server = Server::start("starttls").await;
    let settings = server.settings(json!({"secret_file": secret.path()}));
    let mail = Mail::new(settings, "Example", &world.clock).unwrap();
    let mut section = only_bursts();
    section["mails"] = json!([
        {"to": ["soc@example.com"], "rules": ["refusal_burst"], "severity": "medium", "language": "en"},
        {"to": ["board@example.com"], "severity": "high"},
        {"to": ["people@example.com"], "rules": ["off_hours"]},
    ]);
    for round in 0..2 {
        // The second one stands for a sidecar that takes over: nothing is told twice.
        let watching = Watching::start_with(&world, section.clone(), Some(&mail)).await;
        refuse(&world, round * 10..round * 10 + 4).await;
        watching.caught_up(&world).await;
    }
    let running = mail.start(&world.store);
    let found = all(&world).await;
    let mut told = Vec::new();
    for _ in &found {
        let taken = server.taken().await;
        assert!(taken.envelope.to_string().contains("soc@example.com"));
        let message = taken.message;
        assert!(message.contains("Subject: [medium] "), "{message}");
        let about = found.iter().filter(|one| message.contains(&one.id));
        told.extend(about.map(|one| one.id.clone()));
    }
    told.sort();
    let mut ids: Vec<_> = found.iter().map(|one| one.id.clone()).collect();
    ids.sort();
    assert_eq!(told, ids);
    let mails =
        "SELECT CAST(COUNT(*) AS BIGINT) FROM mail_outbox WHERE recipient <> 'soc@example.com'";
    let others: i64 = sqlx::query_scalar(mails)
        .fetch_one(world.store.pool())
        .await
        .unwrap();
    let mails = "SELECT CAST(COUNT(*) AS BIGINT) FROM mail_outbox";
    let count: i64 = sqlx::query_scalar(mails)
        .fetch_one(world.store.pool())
        .await
        .unwrap();
    assert_eq!((others, count), (0, i64::try_from(found.len()).unwrap()));
    running.abort();
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn calls_at_night_and_ends_that_nobody_saw_are_alerts() {
    let world = World::new().await;
    let section = json!({"rules": {"off_hours": {"holidays": ["2026-11-24"]}}});
    let watching = Watching::start(&world, section).await;
    // Monday, 18:00 in Tokyo: within working hours.
    let mut silent = world.worker(9);
    let lost = silent.call(900, "hr");
    silent.entries(vec![lost.admit(&[])]).await;
    world.hand.advance(12_000);
    world.writer.tick().await.unwrap();
    watching.caught_up(&world).await;
    let found = all(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].alert.rule, RuleName::UnknownCloses);
    assert_eq!(found[0].alert.severity, Severity::High);
    // Tuesday, 15:00: a holiday.
    world.hand.advance(21 * 60 * MINUTE);
    let mut worker = world.worker(1);
    for n in 0..3 {
        let call = worker.call(n, "sales");
        let entries = vec![call.admit(&[]), call.complete(usage_of(1, 1))];
        worker.entries(entries).await;
    }
    watching.caught_up(&world).await;
    let found = all(&world).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1].alert.rule, RuleName::OffHours);
    assert_eq!(found[1].alert.subject.id, "E001");
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_an_alert() {
    let world = World::new().await;
    let section = json!({"rules": {"budget_events": {"levels": [100], "windows": ["minute"]}}});
    let watching = Watching::start(&world, section).await;
    let mut worker = world.worker(1);
    let leases = worker.lease(&[("hr-calls", 3)]).await.leases;
    for n in 0..3 {
        let call = worker.call(n, "hr");
        let entries = vec![call.admit(&leases), call.complete(usage_of(1, 1))];
        worker.entries(entries).await;
    }
    let waiting = async {
        while all(&world).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    let found = all(&world).await;
    let budget = &found[0].alert;
    assert_eq!(
        (budget.subject.id.as_str(), budget.count),
        ("hr-calls", 100)
    );
    assert_eq!(budget.detail.as_deref(), Some("requests: 3 / 3"));
    drop(watching);
}

#[tokio::test]
async fn no_alert_is_lost_or_doubled_by_those_who_are_killed() {
    let world = World::new().await;
    for round in 0..12u64 {
        let watching = Watching::start(&world, only_bursts()).await;
        // Two now and one after the next start: what was counted is remembered.
        refuse(&world, round * 10..round * 10 + 2).await;
        match round % 3 {
            0 => watching.caught_up(&world).await,
            1 => tokio::time::sleep(Duration::from_millis(30)).await,
            _ => {}
        }
        drop(watching);
        refuse(&world, round * 10 + 2..round * 10 + 3).await;
        world.hand.advance(12 * MINUTE);
    }
    let watching = Watching::start(&world, only_bursts()).await;
    watching.caught_up(&world).await;
    let found = all(&world).await;
    // Three each round are one alert of the person; five with one code are never together.
    assert_eq!(found.len(), 12, "{found:#?}");
    let places: Vec<u64> = found.iter().map(|one| one.seq).collect();
    assert_eq!(places, (1..=12).collect::<Vec<_>>());
    assert!(found.iter().all(|one| one.alert.count == 3));
    world.writer.take_pending().await.unwrap();
    assert_eq!(told(&world).await, 12);
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn rules_that_were_never_run_leave_what_is_old_alone() {
    let world = World::new().await;
    refuse(&world, 0..10).await;
    world.hand.advance(25 * 60 * MINUTE);
    refuse(&world, 10..20).await;
    let watching = Watching::start(&world, only_bursts()).await;
    watching.caught_up(&world).await;
    let found = all(&world).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let now = world.clock.now();
    assert!(found.iter().all(|one| one.alert.at == now));
}

/// How the next request is treated.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Take,
    Answer(&'static str),
    /// The connection ends before anything is read.
    Cut,
    /// Taken, but the connection ends without an answer.
    Swallow,
}

#[derive(Default)]
struct Seen {
    moods: VecDeque<Mood>,
    /// Ids of messages that were taken.
    taken: Vec<String>,
    bodies: Vec<Value>,
    requests: usize,
}

/// A receiver that checks signatures.
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

    fn taken(&self) -> Vec<String> {
        self.seen.lock().unwrap().taken.clone()
    }

    async fn has(&self, ids: &[String]) {
        let waiting = async {
            while !ids.iter().all(|id| self.taken().contains(id)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{:?} of {ids:?}", self.taken());
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
        let mut headers = HeaderMap::new();
        for line in head.lines().skip(1) {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let mood = {
            let mut seen = seen.lock().unwrap();
            seen.requests += 1;
            seen.moods.pop_front().unwrap_or(Mood::Take)
        };
        if matches!(mood, Mood::Cut) {
            return None;
        }
        let length: usize = headers["content-length"].to_str().ok()?.parse().ok()?;
        while buffer.len() < end + length {
            let mut chunk = [0; 8192];
            let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
            buffer.extend_from_slice(&chunk[..n]);
        }
        let body = buffer[end..end + length].to_vec();
        buffer.drain(..end + length);
        let answer = match mood {
            Mood::Answer(head) => format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"),
            _ => {
                let header = |name: &str| headers[name].to_str().unwrap().to_owned();
                let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
                let signer = standardwebhooks::Webhook::new(SECRET).unwrap();
                let signed = signer.sign(&id, at.parse().unwrap(), &body).unwrap();
                assert_eq!(header("webhook-signature"), signed);
                let mut seen = seen.lock().unwrap();
                seen.taken.push(id);
                seen.bodies.push(serde_json::from_slice(&body).unwrap());
                "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
        };
        if matches!(mood, Mood::Swallow) {
            return None;
        }
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// The secret in a file, and the section with a webhook to this receiver.
fn told_by(receiver: &Receiver, wanted: &Value) -> (NamedTempFile, Value) {
    let mut secret = NamedTempFile::new().unwrap();
    writeln!(secret, "{SECRET}").unwrap();
    let mut section = only_bursts();
    let mut webhook = json!({"name": "soc", "webhook": {
        "url": format!("http://{}/in", receiver.at), "secret_file": secret.path(),
    }});
    for (name, value) in wanted.as_object().unwrap() {
        webhook[name] = value.clone();
    }
    section["webhooks"] = json!([webhook]);
    (secret, section)
}

async fn bursts(world: &World, rounds: std::ops::Range<u64>) {
    for round in rounds {
        refuse(world, round * 10..round * 10 + 3).await;
        world.hand.advance(12 * MINUTE);
    }
}

#[tokio::test]
async fn a_receiver_that_fails_at_times_gets_every_alert_signed_and_in_order() {
    let world = World::new().await;
    let receiver = Receiver::start([
        Mood::Answer("503 Service Unavailable\r\nretry-after: 0"),
        Mood::Cut,
        Mood::Swallow,
        Mood::Take,
        Mood::Answer("302 Found\r\nlocation: http://127.0.0.1:9/elsewhere"),
    ])
    .await;
    let (_secret, section) = told_by(&receiver, &json!({}));
    let watching = Watching::start(&world, section).await;
    bursts(&world, 0..4).await;
    watching.caught_up(&world).await;
    let ids: Vec<String> = all(&world).await.into_iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 4);
    receiver.has(&ids).await;
    let mut taken = receiver.taken();
    // The one that was swallowed comes again under the same id.
    taken.dedup();
    assert_eq!(taken, ids);
    let seen = receiver.seen.lock().unwrap();
    assert!(seen.requests > seen.taken.len());
    let body = &seen.bodies[0];
    assert_eq!(body["type"], "alert.raised");
    assert_eq!(body["data"]["rule"], "refusal_burst");
    assert_eq!(body["data"]["subject"]["id"], "E001");
    let text = body["data"]["text"]["en"].as_str().unwrap();
    assert!(text.contains("3 calls of user E001"), "{text}");
}

#[tokio::test]
async fn a_receiver_is_told_what_it_wants_to_hear_from_when_it_is_named() {
    let world = World::new().await;
    {
        let watching = Watching::start(&world, only_bursts()).await;
        bursts(&world, 0..1).await;
        watching.caught_up(&world).await;
    }
    let receiver = Receiver::start([]).await;
    let wanted = json!({"rules": ["refusal_burst", "changes"], "severity": "medium"});
    let (_secret, section) = told_by(&receiver, &wanted);
    let deaf = json!({"severity": "high"});
    let (_other, other) = told_by(&receiver, &deaf);
    let mut section = section;
    let mut webhook = other["webhooks"][0].clone();
    webhook["name"] = "deaf".into();
    section["webhooks"].as_array_mut().unwrap().push(webhook);
    for round in 1..3u64 {
        // Killed before and after: nothing is told twice, for it was saved what was taken.
        let watching = Watching::start(&world, section.clone()).await;
        bursts(&world, round..round + 1).await;
        watching.caught_up(&world).await;
        let ids: Vec<String> = all(&world).await.into_iter().map(|one| one.id).collect();
        receiver.has(&ids[1..]).await;
        // Cursors are saved within a second.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    let ids: Vec<String> = all(&world).await.into_iter().map(|one| one.id).collect();
    assert_eq!(receiver.taken(), ids[1..]);
}

#[tokio::test]
async fn a_webhook_without_its_secret_does_not_start() {
    let world = World::new().await;
    let receiver = Receiver::start([]).await;
    let (secret, section) = told_by(&receiver, &json!({}));
    std::fs::write(secret.path(), "hush").unwrap();
    let mut file = policy_json();
    file["alerts"] = section;
    let file = policy_file::parse(&file.to_string()).unwrap();
    let checked = alerts::check(&file.sections.alerts, &world.clock);
    let why = checked.unwrap_err().to_string();
    assert!(why.contains("`soc`") && why.contains("whsec_"), "{why}");
    assert!(!why.contains("hush"));
}

#[tokio::test]
async fn rules_go_by_settings_from_the_moment_they_are_changed() {
    let world = World::new().await;
    let rules = json!({"refusal_burst": {"user": 3, "address": 0, "denial": 0}});
    let watching = Watching::start(&world, json!({"rules": rules})).await;
    let mut worker = world.worker(1);
    let values: SettingsValues =
        serde_json::from_value(json!({"alerts": {"rules": {"refusal_burst": {"user": 5}}}}))
            .unwrap();
    let mut author = Author::program("test", world.clock.now(), [3; 32]);
    let changed = settings::change(&world.store, &mut author, |_| Ok::<_, ()>(values)).await;
    let (stored, is_new) = changed.unwrap().unwrap();
    assert!(is_new);
    watching.settings.take(&stored);
    for n in 1..=4 {
        let entry = worker.call(n, "sales").refuse();
        worker.entries(vec![entry]).await;
    }
    watching.caught_up(&world).await;
    assert_eq!(all(&world).await.len(), 0);
    let entry = worker.call(5, "sales").refuse();
    worker.entries(vec![entry]).await;
    watching.caught_up(&world).await;
    assert_eq!(all(&world).await.len(), 1);
}
