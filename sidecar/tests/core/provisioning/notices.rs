//! People learn of their accounts by mail, over TLS, from a real mail server.

use std::sync::Arc;

use sekisho::events::Author;
use sekisho::mail::Mail;
use sekisho::mail::outbox::{self, State as LetterState};
use sekisho::provisioning::Notices;
use sekisho::provisioning::NoticesByMail;
use sekisho::provisioning::config;
use sekisho::provisioning::jobs::{self, State, Task};
use sekisho::provisioning::notices::links::{self, Revealed};
use sekisho::settings::{InForce, LiveSettings};
use sekisho_domain::UnixMillis;
use serde_json::{Value, json};

use super::faulty::Faults;
use super::{HEADER, finish, order, runner_with};
use crate::mail::{Secret, Server, Taken};
use crate::world::World;

/// A world, a mail server, and notices that go there.
struct Desk {
    world: World,
    server: Server,
    secret: Secret,
    faults: Arc<Faults>,
    section: Value,
    language: &'static str,
}

impl Desk {
    async fn new(section: Value, language: &'static str) -> Self {
        Self {
            world: World::new().await,
            server: Server::start("starttls").await,
            secret: Secret::new("correct horse"),
            faults: Arc::default(),
            section,
            language,
        }
    }

    fn notices(&self) -> Arc<dyn Notices> {
        let more = json!({"secret_file": self.secret.path(), "language": self.language, "days": 1});
        let settings = self.server.settings(more);
        let mail = Mail::new(settings, "Example", &self.world.clock).unwrap();
        let mut problems = Vec::new();
        let people = json!({"notices": self.section});
        let people = config::read(Some(people), &mut problems);
        assert_eq!(problems, []);
        let settings = LiveSettings::fixed(InForce {
            people: Arc::new(people),
            ..InForce::default()
        });
        let (store, clock) = (self.world.store.clone(), self.world.clock.clone());
        Arc::new(NoticesByMail::new(mail, store, settings, clock))
    }

    async fn order(&self, job: &str, rows: &str) {
        let file = format!("{HEADER}\n{rows}");
        let now = self.world.clock.now();
        order(&self.world.store, &self.world.policy, job, &file, now).await;
    }

    async fn finish(&self) {
        let notices = Some(self.notices());
        let mut runner = runner_with(&self.world, &self.faults, notices);
        finish(&self.world, &mut runner).await;
    }

    async fn task(&self, job: &str) -> Task {
        let tasks = jobs::tasks(&self.world.store, job, 0, 1).await.unwrap();
        tasks.into_iter().next().unwrap()
    }

    /// The password that was set last.
    fn password(&self) -> String {
        self.faults.passwords().last().unwrap().1.clone()
    }

    /// No table, log or file beside the database has any of the passwords.
    async fn nothing_has_a_password(&self) {
        self.world.writer.take_pending().await.unwrap();
        World::sound(&self.world.verify().await);
        if crate::world::on_postgres() {
            return;
        }
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        sqlx::raw_sql(sql)
            .execute(self.world.store.pool())
            .await
            .unwrap();
        for file in std::fs::read_dir(self.world.folder.path()).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for (_, password) in self.faults.passwords() {
                let is_there = bytes
                    .windows(password.len())
                    .any(|window| window == password.as_bytes());
                assert!(!is_there, "{}", path.display());
            }
        }
    }
}

fn text(taken: &Taken) -> String {
    let text = taken.envelope["text"].as_str().unwrap();
    text.replace("\r\n", "\n")
}

fn subject(taken: &Taken) -> String {
    taken.envelope["subject"].as_str().unwrap().to_owned()
}

const TARO: &str = "1,山田太郎,taro@example.com,hr,,,2023/04/01,,active\n";

#[tokio::test]
async fn a_new_account_is_told_with_name_password_and_steps_in_both_languages() {
    for (language, subject_of, steps) in [
        (
            "ja",
            "Example API 基盤のアカウントのお知らせ",
            "サインインの手順",
        ),
        (
            "en",
            "Your account for the API platform of Example",
            "How to sign in",
        ),
    ] {
        let section = json!({"sign_in_url": "https://in.example", "contact": "help@example.com"});
        let mut desk = Desk::new(section, language).await;
        desk.order("1", TARO).await;
        desk.finish().await;
        let taken = desk.server.taken().await;
        assert_eq!(taken.envelope["tls"], true);
        assert_eq!(taken.envelope["to"], json!(["taro@example.com"]));
        assert_eq!(subject(&taken), subject_of);
        let text = text(&taken);
        for part in [
            "山田太郎",
            ": taro@example.com\n",
            &format!(": {}\n", desk.password()),
            steps,
            "https://in.example",
            "help@example.com",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let task = desk.task("1").await;
        assert_eq!((task.state, task.note.as_str()), (State::Done, ""));
        desk.nothing_has_a_password().await;
    }
}

#[tokio::test]
async fn name_and_password_come_in_two_messages_where_the_policy_says_so() {
    let mut desk = Desk::new(json!({"password": "split", "language": "en"}), "ja").await;
    desk.order("1", TARO).await;
    desk.finish().await;
    let (first, second) = (desk.server.taken().await, desk.server.taken().await);
    let password = desk.password();
    assert!(text(&first).contains(": taro@example.com\n"));
    assert!(!text(&first).contains(&password));
    assert!(text(&second).contains(&password));
    assert!(!text(&second).contains("taro@example.com"));
    assert!(
        !text(&second).contains("API platform of Example for"),
        "{}",
        text(&second)
    );
    let mails = outbox::list(&desk.world.store, Some(LetterState::Sent), None, 9).await;
    assert_eq!(mails.unwrap().len(), 2);
    desk.nothing_has_a_password().await;
}

#[tokio::test]
async fn a_link_shows_the_password_once_and_to_nobody_without_its_code() {
    let section =
        json!({"password": "link", "link_url": "https://sekisho.example", "link_hours": 2});
    let mut desk = Desk::new(section, "ja").await;
    desk.order("1", TARO).await;
    desk.finish().await;
    let mail = text(&desk.server.taken().await);
    assert!(!mail.contains(&desk.password()), "{mail}");
    let link = mail
        .lines()
        .find_map(|line| line.strip_prefix("https://sekisho.example/v1/notices/"));
    let (id, code) = link.unwrap().split_once('#').unwrap();
    desk.nothing_has_a_password().await;
    let store = &desk.world.store;
    let open = async |code: &str, at: UnixMillis| {
        let mut author = links::reader(Some("192.0.2.1".to_owned()), at, rand());
        links::reveal(store, id, code, &mut author).await.unwrap()
    };
    let now = desk.world.clock.now();
    assert!(matches!(open("wrong", now).await, Revealed::Wrong(4)));
    let Revealed::Shown(shown) = open(code, now).await else {
        panic!("nothing is shown");
    };
    assert_eq!(shown.password, desk.password());
    assert_eq!(shown.user_name, "taro@example.com");
    assert!(matches!(open(code, now).await, Revealed::Gone));
    desk.nothing_has_a_password().await;
}

#[tokio::test]
async fn a_link_ends_with_its_time_its_tries_and_the_next_one() {
    let section =
        json!({"password": "link", "link_url": "https://sekisho.example", "link_hours": 2});
    let mut desk = Desk::new(section, "ja").await;
    let link = async |desk: &mut Desk| {
        let mail = text(&desk.server.taken().await);
        let link = mail
            .lines()
            .find_map(|line| line.strip_prefix("https://sekisho.example/v1/notices/"));
        let (id, code) = link.unwrap().split_once('#').unwrap();
        (id.to_owned(), code.to_owned())
    };
    let open = async |desk: &Desk, (id, code): &(String, String), hours: u64| {
        let at = UnixMillis(desk.world.clock.now().0 + hours * 3_600_000);
        let mut author = links::reader(None, at, rand());
        let revealed = links::reveal(&desk.world.store, id, code, &mut author).await;
        revealed.unwrap()
    };
    desk.order("1", TARO).await;
    desk.finish().await;
    let first = link(&mut desk).await;
    reset(&desk, "2").await;
    desk.finish().await;
    let second = link(&mut desk).await;
    assert!(
        matches!(open(&desk, &first, 0).await, Revealed::Gone),
        "another one came since"
    );
    let wrong = (second.0.clone(), first.1.clone());
    for left in [4, 3, 2, 1] {
        let Revealed::Wrong(found) = open(&desk, &wrong, 0).await else {
            panic!("it is opened or gone");
        };
        assert_eq!(found, left);
    }
    assert!(matches!(open(&desk, &wrong, 0).await, Revealed::Gone));
    assert!(
        matches!(open(&desk, &second, 0).await, Revealed::Gone),
        "it was tried too often"
    );
    reset(&desk, "3").await;
    desk.finish().await;
    let third = link(&mut desk).await;
    assert!(
        matches!(open(&desk, &third, 2).await, Revealed::Gone),
        "it has expired"
    );
    assert!(
        matches!(open(&desk, &third, 0).await, Revealed::Gone),
        "it is forgotten by then"
    );
    desk.nothing_has_a_password().await;
}

async fn reset(desk: &Desk, job: &str) {
    let person = sekisho::store::people::find(&desk.world.store, "1").await;
    let author = Author::program("test", desk.world.clock.now(), rand());
    let deed = jobs::Deed::ResetPassword;
    let job = sekisho::provisioning::desk::follow_up(
        deed,
        &person.unwrap().unwrap(),
        job.to_owned(),
        &author,
    );
    let mut connection = desk.world.store.pool().acquire().await.unwrap();
    jobs::add(&mut connection, &job).await.unwrap();
}

fn rand() -> [u8; 32] {
    let mut random = [0; 32];
    getrandom::fill(&mut random).unwrap();
    random
}

#[tokio::test]
async fn an_address_that_is_refused_is_named_and_the_right_one_gets_a_password_that_works() {
    let mut desk = Desk::new(json!({}), "en").await;
    desk.order("1", "1,Nobody,nobody@example.com,hr,,,2023/04/01,,active\n")
        .await;
    desk.finish().await;
    let task = desk.task("1").await;
    assert_eq!(task.state, State::Failed);
    assert_eq!(
        task.note,
        "the mail server answers 550 5.1.1: it takes this letter never"
    );
    let refused = outbox::list(&desk.world.store, Some(LetterState::Refused), None, 9).await;
    let refused = refused.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].to.plain(), "nobody@example.com");
    desk.order(
        "2",
        "1,Nobody,somebody@example.com,hr,,,2023/04/01,,active\n",
    )
    .await;
    desk.finish().await;
    assert_eq!(desk.task("2").await.state, State::Done);
    let taken = desk.server.taken().await;
    assert_eq!(taken.envelope["to"], json!(["somebody@example.com"]));
    assert!(text(&taken).contains(&desk.password()));
    desk.nothing_has_a_password().await;
}

#[tokio::test]
async fn a_process_that_ends_with_a_mail_under_way_sends_another_password_under_another_name() {
    let mut desk = Desk::new(json!({}), "en").await;
    desk.server.is("hang-up").await;
    desk.order("1", TARO).await;
    let mut killed = runner_with(&desk.world, &desk.faults, Some(desk.notices()));
    for _ in 0..20 {
        killed.round().await.unwrap();
    }
    assert_eq!(desk.faults.passwords().len(), 1);
    let waiting = desk.task("1").await;
    assert_eq!(waiting.state, State::Waiting);
    assert!(waiting.note.contains("may have it"), "{}", waiting.note);
    // The password is gone with the process.
    drop(killed);
    desk.server.is("take").await;
    desk.world.hand.advance(61_000);
    desk.finish().await;
    assert_eq!(desk.faults.passwords().len(), 2);
    assert!(text(&desk.server.taken().await).contains(&desk.password()));
    desk.nothing_has_a_password().await;
}

#[tokio::test]
async fn a_mail_server_that_is_down_loses_nobody_and_each_gets_one_password() {
    let mut desk = Desk::new(json!({}), "en").await;
    desk.secret.set("wrong horse");
    let people: String = (1..=5)
        .map(|n| format!("{n},P{n},p{n}@example.com,hr,,,2023/04/01,,active\n"))
        .collect();
    desk.order("1", &people).await;
    let mut runner = runner_with(&desk.world, &desk.faults, Some(desk.notices()));
    for _ in 0..40 {
        runner.round().await.unwrap();
        desk.world.hand.advance(61_000);
    }
    assert_eq!(jobs::standing(&desk.world.store).await.unwrap().retrying, 5);
    desk.secret.set("correct horse");
    finish(&desk.world, &mut runner).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(desk.server.taken().await);
    }
    assert_eq!(desk.faults.passwords().len(), 5, "the same at each try");
    for (_, password) in desk.faults.passwords() {
        assert_eq!(
            told.iter()
                .filter(|taken| text(taken).contains(&password))
                .count(),
            1
        );
    }
}

#[tokio::test]
async fn a_mail_that_is_never_taken_is_given_up_after_the_days_of_the_policy() {
    let mut desk = Desk::new(json!({}), "en").await;
    desk.server.is("greylist").await;
    desk.order("1", TARO).await;
    desk.finish().await;
    let task = desk.task("1").await;
    assert_eq!(task.state, State::Failed);
    assert_eq!(
        task.note,
        "given up after 1 days: the mail server answers 451 4.7.1: not now"
    );
    let mails = outbox::list(&desk.world.store, Some(LetterState::GivenUp), None, 9).await;
    let mails = mails.unwrap();
    assert!(mails[0].life.tries < 30, "{}", mails[0].life.tries);
    // Tried again by hand, it begins anew.
    desk.server.is("take").await;
    let mut connection = desk.world.store.pool().acquire().await.unwrap();
    assert!(jobs::retry(&mut connection, "1").await.unwrap());
    drop(connection);
    desk.finish().await;
    assert_eq!(desk.task("1").await.state, State::Done);
    assert!(text(&desk.server.taken().await).contains(&desk.password()));
}

#[tokio::test]
async fn whoever_waits_for_a_mail_is_disabled_at_once_when_that_is_ordered() {
    let mut desk = Desk::new(json!({}), "en").await;
    desk.server.is("greylist").await;
    desk.order("1", TARO).await;
    let mut runner = runner_with(&desk.world, &desk.faults, Some(desk.notices()));
    for _ in 0..20 {
        runner.round().await.unwrap();
    }
    assert_eq!(desk.task("1").await.attempts, 1);
    desk.order(
        "2",
        "1,山田太郎,taro@example.com,hr,,,2023/04/01,,inactive\n",
    )
    .await;
    let mut author = Author::program("test", desk.world.clock.now(), rand());
    let store = &desk.world.store;
    let suspended = sekisho::store::people::suspend(store, "1", true, &mut author, None);
    suspended.await.unwrap().unwrap();
    // Without any time passing.
    for _ in 0..20 {
        runner.round().await.unwrap();
    }
    let enabled: (i64,) = sqlx::query_as("SELECT enabled FROM embedded_accounts")
        .fetch_one(desk.world.store.pool())
        .await
        .unwrap();
    assert_eq!(enabled.0, 0);
    assert_eq!(desk.task("1").await.state, State::Done);
}

#[tokio::test]
async fn an_account_that_was_made_while_nobody_could_be_told_is_not_told_later() {
    let desk = Desk::new(json!({}), "en").await;
    desk.order("1", TARO).await;
    let mut untold = runner_with(&desk.world, &desk.faults, None);
    finish(&desk.world, &mut untold).await;
    assert!(desk.task("1").await.note.starts_with("no notice was sent"));
    // Mail is there now; somebody may have set a password by hand.
    desk.order(
        "2",
        "1,山田太郎,taro@example.com,sales,,,2023/04/01,,active\n",
    )
    .await;
    desk.finish().await;
    assert_eq!(desk.faults.passwords().len(), 1);
    assert_eq!(
        outbox::list(&desk.world.store, None, None, 9)
            .await
            .unwrap(),
        []
    );
}
