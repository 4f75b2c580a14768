//! Mails to a real server (aiosmtpd), which misbehaves as it is told.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho::mail::outbox::{self, Entry, Order, State};
use sekisho::mail::{Address, Letter, Mail, MailSettings, Undelivered, Unusable};
use sekisho::policy_file;
use sekisho_domain::UnixMillis;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::world::{World, policy_json};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const DAY: u64 = 24 * 3600 * 1000;

pub(crate) struct Server {
    port: u16,
    moods: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Server {
    pub(crate) async fn start(protection: &str) -> Self {
        let tests = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"));
        let mut process = Command::new(python())
            .arg(tests.join("core/mail_server.py"))
            .arg(tests.join("tls"))
            .arg(protection)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let moods = process.stdin.take().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let mut server = Self {
            port: 0,
            moods,
            said: said.lines(),
            _process: process,
        };
        server.port = server.line().await.parse().unwrap();
        server
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.said.next_line()).await;
        let line = line.unwrap().unwrap();
        // `None`: the server has ended, and its standard error says why.
        line.unwrap()
    }

    pub(crate) async fn is(&mut self, mood: &str) {
        let line = format!("{mood}\n");
        self.moods.write_all(line.as_bytes()).await.unwrap();
        self.moods.flush().await.unwrap();
        let said: Value = serde_json::from_str(&self.line().await).unwrap();
        assert_eq!(said, json!({"mood": mood}));
    }

    /// What it has taken.
    pub(crate) async fn taken(&mut self) -> Taken {
        let taken: Value = serde_json::from_str(&self.line().await).unwrap();
        let message = taken["message"].as_str().unwrap();
        let message = STANDARD.decode(message).unwrap();
        Taken {
            message: String::from_utf8(message).unwrap(),
            envelope: taken,
        }
    }

    pub(crate) fn settings(&self, more: Value) -> MailSettings {
        let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/ca.pem");
        let mut section = json!({
            "server": format!("localhost:{}", self.port), "ca_file": ca, "hello": "sidecar.test",
            "sender": "sekisho@example.com", "sender_name": "関所", "bounces_to": "bounces@example.com",
            "user": "sekisho",
        });
        let members = section.as_object_mut().unwrap();
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.clone(), value.clone()),
            };
        }
        let mut file = policy_json();
        file["mail"] = section;
        let file = policy_file::parse(&file.to_string()).unwrap();
        let filters = String::from_utf8(file.json).unwrap();
        assert!(!filters.contains("bounces"), "filters get it");
        file.sections.mail.unwrap()
    }
}

pub(crate) struct Taken {
    pub(crate) envelope: Value,
    pub(crate) message: String,
}

/// The interpreter with what `scripts/lib/checks.txt` names.
fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("SEKISHO_CHECKS_PYTHON") {
        return python.into();
    }
    let cache = std::env::var_os("SEKISHO_CACHE").map(PathBuf::from);
    let cache =
        cache.or_else(|| Some(PathBuf::from(std::env::var_os("XDG_CACHE_HOME")?).join("sekisho")));
    let cache = cache
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/sekisho"));
    let python = cache.join("checks/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run scripts/setup --only checks",
        python.display()
    );
    python
}

/// A password in a file of its own.
pub(crate) struct Secret(tempfile::TempDir);

impl Secret {
    pub(crate) fn new(password: &str) -> Self {
        let secret = Self(tempfile::tempdir().unwrap());
        secret.set(password);
        secret
    }

    pub(crate) fn set(&self, password: &str) {
        std::fs::write(self.path(), format!("{password}\n")).unwrap();
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("password")
    }
}

fn letter(to: &str) -> Letter {
    let html = "<p>今月の予算の80%を使いました。</p>".to_owned();
    let text = "今月の予算の80%を使いました。\n.\n".to_owned();
    Letter::new(to.parse().unwrap(), "予算のお知らせ", text, Some(html)).unwrap()
}

fn mail(world: &World, settings: MailSettings) -> Mail {
    Mail::new(settings, "Example", &world.clock).unwrap()
}

/// Puts a letter into the outbox; its id.
async fn put(world: &World, to: &str, once: &str) -> Option<String> {
    let mut connection = world.store.pool().acquire().await.unwrap();
    let order = Order {
        once,
        random: std::array::from_fn(|at| once.as_bytes().get(at).copied().unwrap_or(0)),
        purpose: "notification",
        letter: &letter(to),
        at: world.clock.now(),
    };
    outbox::put(&mut connection, &order).await.unwrap()
}

async fn entry(world: &World, id: &str) -> Entry {
    outbox::find(&world.store, id).await.unwrap().unwrap()
}

/// Until it is so.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "never: {what}");
    waited.unwrap()
}

async fn in_state(world: &World, id: &str, state: State) -> Entry {
    until("the letter ends so", async || {
        Some(entry(world, id).await).filter(|entry| entry.life.state == state)
    })
    .await
}

async fn tried(world: &World, id: &str, tries: u64) -> Entry {
    until("the letter is tried", async || {
        Some(entry(world, id).await).filter(|entry| entry.life.tries >= tries)
    })
    .await
}

/// The task that brings what is in the outbox; dropped, it is as if the process were killed.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test]
async fn a_letter_arrives_over_each_kind_of_connection() {
    let world = World::on_sqlite().await;
    let secret = Secret::new("correct horse");
    let plain = json!({"tls": "none", "ca_file": null, "user": null});
    for (protection, more, is_private) in [
        ("starttls", json!({"secret_file": secret.path()}), true),
        (
            "implicit",
            json!({"tls": "implicit", "secret_file": secret.path()}),
            false,
        ),
        ("plain", plain, false),
    ] {
        let mut server = Server::start(protection).await;
        let mail = mail(&world, server.settings(more));
        let handed = mail.send_now(&letter("taro@example.com"), [7; 16]).await;
        let handed = handed.unwrap();
        let taken = server.taken().await;
        assert_eq!(taken.envelope["from"], "bounces@example.com");
        assert_eq!(taken.envelope["to"], json!(["taro@example.com"]));
        assert_eq!(taken.envelope["tls"], is_private, "{protection}");
        assert_eq!(
            taken.envelope["signed_in"],
            protection != "plain",
            "{protection}"
        );
        assert_eq!(taken.envelope["hello"], "sidecar.test");
        let message = taken.message;
        assert!(message.contains(&handed.message_id), "{message}");
        assert!(message.contains("multipart/alternative"), "{message}");
        assert!(message.is_ascii(), "{message}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_or_that_offers_no_tls_gets_no_password() {
    let world = World::on_sqlite().await;
    let secret = Secret::new("correct horse");
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/other-ca.pem");
    for (protection, tls) in [
        ("starttls", "starttls"),
        ("implicit", "implicit"),
        ("plain", "starttls"),
    ] {
        let server = Server::start(protection).await;
        let more = json!({"tls": tls, "secret_file": secret.path(), "ca_file": other});
        let mail = mail(&world, server.settings(more));
        let failed = mail.send_now(&letter("taro@example.com"), [7; 16]).await;
        let failed = failed.unwrap_err();
        assert!(matches!(failed, Undelivered::Server(_)), "{failed}");
        let told = failed.to_string();
        let why = if protection == "plain" {
            "STARTTLS"
        } else {
            "invalid peer certificate"
        };
        assert!(told.contains(why), "{protection}: {told}");
    }
}

#[tokio::test]
async fn what_the_server_says_is_told_apart_and_names_nobody() {
    let world = World::on_sqlite().await;
    let secret = Secret::new("correct horse");
    let mut server = Server::start("starttls").await;
    let mail = mail(
        &world,
        server.settings(json!({"secret_file": secret.path()})),
    );
    for (mood, expected) in [
        ("greylist", "the mail server answers 451 4.7.1: not now"),
        (
            "refuse",
            "the mail server answers 550 5.1.1: it takes this letter never",
        ),
        ("full", "the mail server answers 452 4.3.1: not now"),
        (
            "refuse-sender",
            "the mail server cannot be used: it answers 550 `5.7.60`",
        ),
        (
            "hang-up",
            "the connection ended before the mail server had confirmed the letter: it may have it",
        ),
    ] {
        server.is(mood).await;
        let failed = mail.send_now(&letter("taro@example.com"), [7; 16]).await;
        let failed = failed.unwrap_err();
        assert!(failed.to_string().starts_with(expected), "{mood}: {failed}");
        assert!(
            !format!("{failed} {failed:?}").contains("taro@"),
            "{failed:?}"
        );
        assert_eq!(failed.is_final(), mood == "refuse");
        assert_eq!(failed.is_in_doubt(), mood == "hang-up");
    }
    secret.set("wrong horse");
    let failed = mail.send_now(&letter("taro@example.com"), [7; 16]).await;
    let told = failed.unwrap_err().to_string();
    assert!(told.contains("it answers 535"), "{told}");
    assert!(!told.contains("horse"), "{told}");
}

#[tokio::test]
async fn a_letter_of_the_outbox_is_sent_once_and_what_it_said_is_forgotten() {
    let world = World::new().await;
    let secret = Secret::new("correct horse");
    let mut server = Server::start("starttls").await;
    let mail = mail(
        &world,
        server.settings(json!({"secret_file": secret.path()})),
    );
    let id = put(&world, "taro@example.com", "a").await.unwrap();
    assert_eq!(put(&world, "taro@example.com", "a").await, None);
    let _running = Running(mail.start(&world.store));
    let sent = in_state(&world, &id, State::Sent).await;
    let life = sent.life;
    assert_eq!((life.tries, life.code, life.trouble), (1, None, None));
    let message = server.taken().await.message;
    let name = Uuid::parse_str(&id).unwrap().simple().to_string();
    assert!(
        message.contains(&format!("Message-ID: <{name}@example.com>")),
        "{message}"
    );
    let row: (String, String) = sqlx::query_as("SELECT body, html FROM mail_outbox")
        .fetch_one(world.store.pool())
        .await
        .unwrap();
    assert_eq!(row, (String::new(), String::new()));
    assert_eq!(put(&world, "taro@example.com", "a").await, None);
}

#[tokio::test]
async fn a_greylisted_letter_comes_back_later_and_a_refused_one_does_not() {
    let world = World::new().await;
    let secret = Secret::new("correct horse");
    let mut server = Server::start("starttls").await;
    let mail = mail(
        &world,
        server.settings(json!({"secret_file": secret.path()})),
    );
    server.is("greylist").await;
    let id = put(&world, "taro@example.com", "a").await.unwrap();
    let _running = Running(mail.start(&world.store));
    let waiting = tried(&world, &id, 1).await;
    let life = &waiting.life;
    assert_eq!((life.state, life.code), (State::Waiting, Some(451)));
    let next = UnixMillis(world.clock.now().0 + 60_000);
    assert_eq!(waiting.life.next_at, Some(next));
    server.is("take").await;
    let refused = put(&world, "nobody@example.com", "b").await.unwrap();
    let after = put(&world, "hanako@example.com", "c").await.unwrap();
    // One that is refused keeps nobody else waiting.
    in_state(&world, &after, State::Sent).await;
    let refused = in_state(&world, &refused, State::Refused).await;
    assert_eq!((refused.life.tries, refused.life.code), (1, Some(550)));
    assert_eq!(entry(&world, &id).await.life.state, State::Waiting);
    world.hand.advance(60_000);
    let sent = in_state(&world, &id, State::Sent).await;
    assert_eq!(sent.life.tries, 2);
    // Told after the letter is marked as sent.
    until("it is well", async || {
        mail.failing().is_none().then_some(())
    })
    .await;
    assert_eq!(
        server.taken().await.envelope["to"],
        json!(["hanako@example.com"])
    );
    assert_eq!(
        server.taken().await.envelope["to"],
        json!(["taro@example.com"])
    );
}

#[tokio::test]
async fn a_wrong_password_fails_no_letter_and_is_told_until_it_is_right() {
    let world = World::new().await;
    let secret = Secret::new("wrong horse");
    let mut server = Server::start("starttls").await;
    let mail = mail(
        &world,
        server.settings(json!({"secret_file": secret.path()})),
    );
    let id = put(&world, "taro@example.com", "a").await.unwrap();
    let _running = Running(mail.start(&world.store));
    let failing = until("it fails", async || mail.failing()).await;
    assert!(failing.why.contains("it answers 535"), "{}", failing.why);
    assert_eq!(mail.pulse().beat().last_success, None);
    assert_eq!(entry(&world, &id).await.life.state, State::Waiting);
    secret.set("correct horse");
    in_state(&world, &id, State::Sent).await;
    // Told after the letter is marked as sent.
    until("it is well", async || {
        mail.failing().is_none().then_some(())
    })
    .await;
    assert!(mail.pulse().beat().well_since.is_some());
    server.taken().await;
}

#[tokio::test]
async fn a_letter_that_the_server_may_have_is_sent_again_under_the_same_name() {
    let world = World::new().await;
    let secret = Secret::new("correct horse");
    let mut server = Server::start("starttls").await;
    let mail = mail(
        &world,
        server.settings(json!({"secret_file": secret.path()})),
    );
    server.is("hang-up").await;
    let id = put(&world, "taro@example.com", "a").await.unwrap();
    let running = Running(mail.start(&world.store));
    tried(&world, &id, 1).await;
    // The process is killed; another one goes on.
    drop(running);
    server.is("take").await;
    world.hand.advance(60_000);
    let _running = Running(mail.start(&world.store));
    in_state(&world, &id, State::Sent).await;
    let name = Uuid::parse_str(&id).unwrap().simple().to_string();
    assert!(server.taken().await.message.contains(&name));
}

#[tokio::test]
async fn a_letter_is_given_up_after_the_days_of_the_policy() {
    let world = World::new().await;
    let secret = Secret::new("correct horse");
    let mut server = Server::start("starttls").await;
    let more = json!({"secret_file": secret.path(), "days": 1});
    let mail = mail(&world, server.settings(more));
    server.is("greylist").await;
    let greylisted = put(&world, "taro@example.com", "a").await.unwrap();
    let _running = Running(mail.start(&world.store));
    tried(&world, &greylisted, 1).await;
    world.hand.advance(DAY);
    let given_up = in_state(&world, &greylisted, State::GivenUp).await;
    assert_eq!(given_up.life.code, Some(451));
    // Also while nobody can be reached at all.
    secret.set("wrong horse");
    let unsent = put(&world, "taro@example.com", "b").await.unwrap();
    until("it fails", async || mail.failing()).await;
    world.hand.advance(DAY);
    let given_up = in_state(&world, &unsent, State::GivenUp).await;
    assert!(given_up.life.trouble.unwrap().contains("535"));
}

#[tokio::test]
async fn letters_are_listed_by_what_became_of_them_and_forgotten_after_ninety_days() {
    let world = World::new().await;
    let secret = Secret::new("correct horse");
    let mut server = Server::start("starttls").await;
    let mail = mail(
        &world,
        server.settings(json!({"secret_file": secret.path()})),
    );
    let mut ids = Vec::new();
    for (to, once) in [("taro@example.com", "a"), ("nobody@example.com", "b")] {
        ids.push(put(&world, to, once).await.unwrap());
    }
    let running = Running(mail.start(&world.store));
    in_state(&world, &ids[0], State::Sent).await;
    in_state(&world, &ids[1], State::Refused).await;
    let listed = async |state, before: Option<&str>| -> Vec<String> {
        let listed = outbox::list(&world.store, state, before, 9).await.unwrap();
        listed.into_iter().map(|entry| entry.id).collect()
    };
    assert_eq!(listed(None, None).await, [ids[1].clone(), ids[0].clone()]);
    assert_eq!(listed(Some(State::Refused), None).await, ids[1..]);
    assert_eq!(listed(None, Some(&ids[1])).await, ids[..1]);
    assert_eq!(outbox::count(&world.store, State::Sent).await.unwrap(), 1);
    drop(running);
    world.hand.advance(91 * DAY);
    let _running = Running(mail.start(&world.store));
    until("they are forgotten", async || {
        listed(None, None).await.is_empty().then_some(())
    })
    .await;
    server.taken().await;
}

#[tokio::test]
async fn settings_by_which_nothing_can_be_sent_are_refused_at_the_start() {
    let world = World::on_sqlite().await;
    let server = Server::start("plain").await;
    for more in [
        json!({"secret_file": "/nowhere/password"}),
        json!({"secret_env": "SEKISHO_TESTS_HAVE_NO_SUCH_VARIABLE"}),
        json!({"user": null, "ca_file": "/nowhere/ca.pem"}),
        json!({"user": null, "templates": "/nowhere/templates"}),
    ] {
        let refused = Mail::new(server.settings(more.clone()), "Example", &world.clock);
        let told: Unusable = refused.err().unwrap();
        assert!(
            told.to_string().contains("nowhere") || told.to_string().contains("NO_SUCH"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_template_becomes_a_letter_in_the_language_of_the_policy_or_of_the_reader() {
    let world = World::on_sqlite().await;
    let server = Server::start("plain").await;
    let mail = mail(&world, server.settings(json!({"user": null})));
    let to: Address = "taro@example.com".parse().unwrap();
    let values = json!({"subject": "停止", "text": "今夜です。"});
    let letter = mail.compose("notification", None, &to, &values).unwrap();
    assert_eq!(letter.subject(), "停止");
    let unknown = mail.compose("notification", None, &to, &json!({"subject": "x"}));
    assert!(
        unknown
            .unwrap_err()
            .to_string()
            .contains("notification.ja.txt")
    );
    let injected = json!({"subject": "x\r\nBcc: all@example.com", "text": ""});
    assert!(mail.compose("notification", None, &to, &injected).is_err());
    assert!(mail.compose("no-such", None, &to, &values).is_err());
}
